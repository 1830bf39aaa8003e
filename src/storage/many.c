/* SPDX-License-Identifier: Apache-2.0 */
/* Many files at a time: a few threads, each of which takes the next file until there is none. */
#include "storage/many.h"

#include <pthread.h>

#include "storage/storage.h"

struct work {
    int (*one)(void *arg, size_t i, struct err *e);
    void *arg;
    size_t n;
    pthread_mutex_t lock; /* guards the rest */
    size_t next;
    int failed; /* of the first call that failed; then no further one is begun */
    struct err *e;
};

static bool take_next(struct work *w, size_t *ret) {
    pthread_mutex_lock(&w->lock);
    bool more = !w->failed && w->next < w->n;
    if (more)
        *ret = w->next++;
    pthread_mutex_unlock(&w->lock);
    return more;
}

static void fail(struct work *w, int r, const struct err *why) {
    pthread_mutex_lock(&w->lock);
    if (!w->failed) {
        w->failed = r;
        *w->e = *why;
    }
    pthread_mutex_unlock(&w->lock);
}

static void *run(void *arg) {
    struct work *w = arg;
    for (size_t i; take_next(w, &i);) {
        struct err e;
        int r = w->one(w->arg, i, &e);
        if (r)
            fail(w, r, &e);
    }
    return NULL;
}

/* Where no other thread can be started, the caller's does it all. */
int side_by_side(int lanes, size_t first, size_t n, int (*one)(void *arg, size_t i, struct err *e),
                 void *arg, struct err *e) {
    struct work w = {.one = one, .arg = arg, .n = n, .next = first, .e = e};
    size_t threads = MIN((size_t)MAX(lanes, 1), n - MIN(first, n)), started = 0;
    pthread_t *thread = xcalloc(threads, sizeof *thread);
    pthread_mutex_init(&w.lock, NULL);
    while (started + 1 < threads && pthread_create(&thread[started], NULL, run, &w) == 0)
        started++;
    run(&w);
    for (size_t i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&w.lock);
    free(thread);
    return w.failed;
}

struct batch {
    struct storage *st;
    struct storage_file *v;
};

static int localize(void *arg, size_t i, struct err *e) {
    struct batch *b = arg;
    char local[LIMIT_PATH];
    int r = storage_localize(b->st, b->v[i].path, b->v[i].size, local, e);
    if (r == 0) {
        b->v[i].local = xstrdup(local);
        b->v[i].done = true;
    }
    return r;
}

static int publish(void *arg, size_t i, struct err *e) {
    struct batch *b = arg;
    int r = storage_publish(b->st, b->v[i].local, b->v[i].path, e);
    b->v[i].done = r == 0;
    return r;
}

int storage_localize_all(struct storage *st, struct storage_file *v, size_t n, struct err *e) {
    struct batch b = {st, v};
    for (size_t i = 0; i < n; i++) {
        v[i].local = NULL;
        v[i].done = false;
    }
    int r = side_by_side(st->lanes, 0, n, localize, &b, e);
    for (size_t i = 0; r && i < n; i++) {
        if (v[i].done)
            storage_unlocalize(st, v[i].path);
        free(TAKE_PTR(v[i].local));
        v[i].done = false;
    }
    return r;
}

int storage_publish_all(struct storage *st, struct storage_file *v, size_t n, struct err *e) {
    struct batch b = {st, v};
    for (size_t i = 0; i < n; i++)
        v[i].done = false;
    return side_by_side(st->lanes, 0, n, publish, &b, e);
}
