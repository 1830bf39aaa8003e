/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/watch_storage.h"

#include <stdatomic.h>

#include "base/clock.h"

enum call { GET, PUT_NEW, PUT, STAT, LIST, REMOVE, STAGE, PUBLISH, LOCALIZE, CALLS };
static const char *const names[CALLS] = {"get",    "put_new", "put",     "stat",    "list",
                                         "remove", "stage",   "publish", "localize"};

struct storage_watch {
    struct metrics *m;
    struct health_part *health, *working;
    struct metric *seconds[CALLS], *errors[CALLS];
    atomic_int failing; /* a call's number; -1: none */
    /* publish … put_new: the files of a commit, then its log entry */
    atomic_llong since_ns;
    atomic_bool entry_written;
};

struct watched {
    struct storage st; /* first */
    struct storage *inner;
    struct storage_watch *w;
};

struct storage_watch *storage_watch_new(struct metrics *m, struct health_part *health,
                                        struct health_part *working) {
    struct storage_watch *w = xcalloc(1, sizeof *w);
    w->m = m;
    w->health = health;
    w->working = working;
    w->failing = -1;
    w->entry_written = true;
    for (size_t i = 0; i < CALLS; i++) {
        w->seconds[i] = metrics_get(m, M_STORAGE_SECONDS, names[i], NULL);
        w->errors[i] = metrics_get(m, M_STORAGE_ERRORS, names[i], NULL);
    }
    return w;
}

void storage_watch_free(struct storage_watch *w) {
    free(w);
}

static int64_t begin(struct storage_watch *w) {
    if (w->working)
        health_alive(w->working);
    return clock_mono_ns();
}

static int end(struct storage_watch *w, enum call call, int64_t start_ns, int r,
               const struct err *e) {
    metric_observe(w->seconds[call], (double)(clock_mono_ns() - start_ns) / 1e9);
    if (w->working)
        health_alive(w->working);
    if (r < 0 && r != ERR_EXISTS && r != ERR_NOT_FOUND) {
        metric_add(w->errors[call], 1);
        atomic_store(&w->failing, (int)call);
        health_not_ready(w->health, e->msg);
    } else if (atomic_load(&w->failing) == (int)call) {
        atomic_store(&w->failing, -1);
        health_ready(w->health);
    }
    return r;
}

#define WATCHED(st) ((struct watched *)(st))
#define PASS_ON(call, ...)                                                                         \
    struct watched *s = WATCHED(st);                                                               \
    int64_t start = begin(s->w);                                                                   \
    return end(s->w, (call), start, __VA_ARGS__, e)

static int watched_get(struct storage *st, const char *path, struct buf *ret, struct err *e) {
    PASS_ON(GET, storage_get(s->inner, path, ret, e));
}

static int watched_put_new(struct storage *st, const char *path, const void *data, size_t len,
                           struct err *e) {
    atomic_store(&WATCHED(st)->w->entry_written, true);
    PASS_ON(PUT_NEW, storage_put_new(s->inner, path, data, len, e));
}

static int watched_put(struct storage *st, const char *path, const void *data, size_t len,
                       struct err *e) {
    PASS_ON(PUT, storage_put(s->inner, path, data, len, e));
}

static int watched_stat(struct storage *st, const char *path, struct storage_entry *ret,
                        struct err *e) {
    PASS_ON(STAT, storage_stat(s->inner, path, ret, e));
}

static int watched_list(struct storage *st, const char *dir, const char *start_after,
                        struct storage_entries *ret, struct err *e) {
    PASS_ON(LIST, storage_list(s->inner, dir, start_after, ret, e));
}

static int watched_remove(struct storage *st, const char *path, struct err *e) {
    PASS_ON(REMOVE, storage_remove(s->inner, path, e));
}

static int watched_stage(struct storage *st, char ret_dir[LIMIT_PATH], struct err *e) {
    PASS_ON(STAGE, storage_stage(s->inner, ret_dir, e));
}

static void watched_unstage(struct storage *st, const char *dir) {
    storage_unstage(WATCHED(st)->inner, dir);
}

static int watched_publish(struct storage *st, const char *local, const char *path, struct err *e) {
    if (atomic_exchange(&WATCHED(st)->w->entry_written, false))
        atomic_store(&WATCHED(st)->w->since_ns, clock_mono_ns());
    PASS_ON(PUBLISH, storage_publish(s->inner, local, path, e));
}

static int watched_localize(struct storage *st, const char *path, int64_t size,
                            char ret_local[LIMIT_PATH], struct err *e) {
    PASS_ON(LOCALIZE, storage_localize(s->inner, path, size, ret_local, e));
}

static void watched_unlocalize(struct storage *st, const char *path) {
    storage_unlocalize(WATCHED(st)->inner, path);
}

static void watched_free(struct storage *st) {
    storage_free(WATCHED(st)->inner);
    free(st);
}

static const struct storage_ops watched_ops = {
    .get = watched_get,
    .put_new = watched_put_new,
    .put = watched_put,
    .stat = watched_stat,
    .list = watched_list,
    .remove = watched_remove,
    .stage = watched_stage,
    .unstage = watched_unstage,
    .publish = watched_publish,
    .localize = watched_localize,
    .unlocalize = watched_unlocalize,
    .free = watched_free,
};

struct storage *storage_watch_wrap(struct storage_watch *w, struct storage *inner) {
    struct watched *s = xcalloc(1, sizeof *s);
    *s = (struct watched){.st = *inner, .inner = inner, .w = w}; /* all it says of itself holds */
    s->st.ops = &watched_ops;
    health_ready(w->health);
    return &s->st;
}

double storage_watch_committed(struct storage_watch *w) {
    int64_t since = atomic_load(&w->since_ns);
    atomic_store(&w->failing, -1);
    health_ready(w->health);
    return since ? (double)(clock_mono_ns() - since) / 1e9 : 0;
}
