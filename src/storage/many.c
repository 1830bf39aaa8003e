/* SPDX-License-Identifier: Apache-2.0 */
/* Many files at a time: a few threads, each of which takes the next file until there is none. */
#include <pthread.h>

#include "storage/storage.h"

struct batch {
    struct storage *st;
    struct storage_file *v;
    size_t n;
    int (*one)(struct storage *st, struct storage_file *f, struct err *e);
    pthread_mutex_t lock; /* guards the rest */
    size_t next;
    int failed; /* of the first file that failed; then no further one is begun */
    struct err *e;
};

static struct storage_file *take_next(struct batch *b) {
    pthread_mutex_lock(&b->lock);
    struct storage_file *f = b->failed || b->next == b->n ? NULL : &b->v[b->next++];
    pthread_mutex_unlock(&b->lock);
    return f;
}

static void fail(struct batch *b, int r, const struct err *why) {
    pthread_mutex_lock(&b->lock);
    if (!b->failed) {
        b->failed = r;
        *b->e = *why;
    }
    pthread_mutex_unlock(&b->lock);
}

static void *work(void *arg) {
    struct batch *b = arg;
    for (struct storage_file *f; (f = take_next(b));) {
        struct err e;
        int r = b->one(b->st, f, &e);
        if (r)
            fail(b, r, &e);
        else
            f->done = true;
    }
    return NULL;
}

/* The caller's thread is one of those that work; where no other can be started, the only one. */
static int run(struct storage *st, struct storage_file *v, size_t n,
               int (*one)(struct storage *, struct storage_file *, struct err *), struct err *e) {
    struct batch b = {.st = st, .v = v, .n = n, .one = one, .e = e};
    size_t threads = MIN((size_t)MAX(st->lanes, 1), n), started = 0;
    pthread_t *thread = xcalloc(MAX(threads, 1), sizeof *thread);
    pthread_mutex_init(&b.lock, NULL);
    while (started + 1 < threads && pthread_create(&thread[started], NULL, work, &b) == 0)
        started++;
    work(&b);
    for (size_t i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&b.lock);
    free(thread);
    return b.failed;
}

static int localize(struct storage *st, struct storage_file *f, struct err *e) {
    char local[LIMIT_PATH];
    int r = storage_localize(st, f->path, f->size, local, e);
    if (r == 0)
        f->local = xstrdup(local);
    return r;
}

static int publish(struct storage *st, struct storage_file *f, struct err *e) {
    return storage_publish(st, f->local, f->path, e);
}

int storage_localize_all(struct storage *st, struct storage_file *v, size_t n, struct err *e) {
    for (size_t i = 0; i < n; i++) {
        v[i].local = NULL;
        v[i].done = false;
    }
    int r = run(st, v, n, localize, e);
    for (size_t i = 0; r && i < n; i++) {
        if (v[i].done)
            storage_unlocalize(st, v[i].path);
        free(TAKE_PTR(v[i].local));
        v[i].done = false;
    }
    return r;
}

int storage_publish_all(struct storage *st, struct storage_file *v, size_t n, struct err *e) {
    for (size_t i = 0; i < n; i++)
        v[i].done = false;
    return run(st, v, n, publish, e);
}
