/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/storage_fault.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "storage/local_fs.h"

struct faulty {
    struct storage base;
    struct storage *inner;
    bool frees_inner;
    pthread_mutex_t lock; /* guards fault and count */
    struct fault fault;
    unsigned count;
    void (*hook)(void *arg, enum fault_call call, const char *path);
    void *hook_arg;
};

static struct faulty *faulty_of(struct storage *st) {
    return (struct faulty *)st;
}

/* Counts the call and tells what is to happen to it. */
static struct fault begin(struct faulty *fa, enum fault_call call, const char *path) {
    pthread_mutex_lock(&fa->lock);
    struct fault f = fa->fault;
    if (!f.calls || f.calls & call) {
        fa->count++;
        unsigned times = f.times ? f.times : 1;
        if (!f.at || fa->count < f.at || fa->count - f.at >= times)
            f.effect = FAULT_NONE;
    } else {
        f.effect = FAULT_NONE;
    }
    pthread_mutex_unlock(&fa->lock);
    if (fa->hook)
        fa->hook(fa->hook_arg, call, path);
    if (f.effect == FAULT_KILL)
        raise(SIGKILL);
    if (f.effect == FAULT_DELAY) {
        struct timespec ts = {.tv_sec = f.delay_ms / 1000, .tv_nsec = f.delay_ms % 1000 * 1000000L};
        nanosleep(&ts, NULL);
    }
    return f;
}

static bool spoils_before(const struct fault *f) {
    return f->effect == FAULT_FAIL || f->effect == FAULT_CUT;
}

static int fault_error(const struct fault *f, const char *path, struct err *e) {
    err_set(e, f->code ? f->code : ERR_STORAGE, "%s: injected fault", path);
    e->retry = f->retry;
    return e->code;
}

/* What the call answers, given what the wrapped storage did. */
static int end(const struct fault *f, const char *path, int r, struct err *e) {
    if (f->effect == FAULT_KILL_AFTER)
        raise(SIGKILL);
    return f->effect == FAULT_LOST_ANSWER ? fault_error(f, path, e) : r;
}

static int faulty_get(struct storage *st, const char *path, struct buf *ret, struct err *e) {
    struct fault f = begin(faulty_of(st), CALL_GET, path);
    if (spoils_before(&f) || f.effect == FAULT_LOST_ANSWER)
        return fault_error(&f, path, e);
    return end(&f, path, storage_get(faulty_of(st)->inner, path, ret, e), e);
}

/* What a client leaves behind that dies while it writes. */
static void leave_litter(struct storage *inner, const void *data, size_t len) {
    char dir[LIMIT_PATH];
    struct err e;
    if (storage_stage(inner, dir, &e) != 0)
        return;
    _cleanup_(freep) char *path = xasprintf("%s/cut", dir);
    fs_write_new(path, data, len / 2, &e);
}

static int faulty_put_new(struct storage *st, const char *path, const void *data, size_t len,
                          struct err *e) {
    struct storage *inner = faulty_of(st)->inner;
    struct fault f = begin(faulty_of(st), CALL_PUT_NEW, path);
    if (f.effect == FAULT_CUT)
        leave_litter(inner, data, len);
    if (spoils_before(&f))
        return fault_error(&f, path, e);
    return end(&f, path, storage_put_new(inner, path, data, len, e), e);
}

static int faulty_put(struct storage *st, const char *path, const void *data, size_t len,
                      struct err *e) {
    struct storage *inner = faulty_of(st)->inner;
    struct fault f = begin(faulty_of(st), CALL_PUT, path);
    if (f.effect == FAULT_CUT)
        leave_litter(inner, data, len);
    if (spoils_before(&f))
        return fault_error(&f, path, e);
    return end(&f, path, storage_put(inner, path, data, len, e), e);
}

static int faulty_stat(struct storage *st, const char *path, struct storage_entry *ret,
                       struct err *e) {
    struct fault f = begin(faulty_of(st), CALL_STAT, path);
    if (spoils_before(&f) || f.effect == FAULT_LOST_ANSWER)
        return fault_error(&f, path, e);
    return end(&f, path, storage_stat(faulty_of(st)->inner, path, ret, e), e);
}

static int faulty_list(struct storage *st, const char *dir, const char *start_after,
                       struct storage_entries *ret, struct err *e) {
    struct fault f = begin(faulty_of(st), CALL_LIST, dir);
    if (spoils_before(&f) || f.effect == FAULT_LOST_ANSWER)
        return fault_error(&f, dir, e);
    return end(&f, dir, storage_list(faulty_of(st)->inner, dir, start_after, ret, e), e);
}

static int faulty_remove(struct storage *st, const char *path, struct err *e) {
    struct fault f = begin(faulty_of(st), CALL_REMOVE, path);
    if (spoils_before(&f))
        return fault_error(&f, path, e);
    return end(&f, path, storage_remove(faulty_of(st)->inner, path, e), e);
}

static int faulty_stage(struct storage *st, char ret_dir[LIMIT_PATH], struct err *e) {
    struct fault f = begin(faulty_of(st), CALL_STAGE, "stage");
    if (spoils_before(&f) || f.effect == FAULT_LOST_ANSWER)
        return fault_error(&f, "stage", e);
    return end(&f, "stage", storage_stage(faulty_of(st)->inner, ret_dir, e), e);
}

static void faulty_unstage(struct storage *st, const char *dir) {
    storage_unstage(faulty_of(st)->inner, dir);
}

static int faulty_publish(struct storage *st, const char *local, const char *path, struct err *e) {
    struct storage *inner = faulty_of(st)->inner;
    struct fault f = begin(faulty_of(st), CALL_PUBLISH, path);
    if (f.effect == FAULT_CUT)
        leave_litter(inner, "half of a file", 14);
    if (spoils_before(&f))
        return fault_error(&f, path, e);
    return end(&f, path, storage_publish(inner, local, path, e), e);
}

static int faulty_localize(struct storage *st, const char *path, int64_t size,
                           char ret_local[LIMIT_PATH], struct err *e) {
    struct fault f = begin(faulty_of(st), CALL_LOCALIZE, path);
    if (spoils_before(&f) || f.effect == FAULT_LOST_ANSWER)
        return fault_error(&f, path, e);
    return end(&f, path, storage_localize(faulty_of(st)->inner, path, size, ret_local, e), e);
}

static void faulty_unlocalize(struct storage *st, const char *path) {
    storage_unlocalize(faulty_of(st)->inner, path);
}

static void faulty_free(struct storage *st) {
    struct faulty *fa = faulty_of(st);
    if (fa->frees_inner)
        storage_free(fa->inner);
    pthread_mutex_destroy(&fa->lock);
    free(st->url);
    free(fa);
}

static const struct storage_ops faulty_ops = {
    .get = faulty_get,
    .put_new = faulty_put_new,
    .put = faulty_put,
    .stat = faulty_stat,
    .list = faulty_list,
    .remove = faulty_remove,
    .stage = faulty_stage,
    .unstage = faulty_unstage,
    .publish = faulty_publish,
    .localize = faulty_localize,
    .unlocalize = faulty_unlocalize,
    .free = faulty_free,
};

struct storage *storage_fault_new(struct storage *inner, bool frees_inner) {
    struct faulty *fa = xcalloc(1, sizeof *fa);
    fa->base = *inner;
    fa->base.ops = &faulty_ops;
    fa->base.url = xstrdup(inner->url);
    fa->inner = inner;
    fa->frees_inner = frees_inner;
    pthread_mutex_init(&fa->lock, NULL);
    return &fa->base;
}

void storage_fault_arm(struct storage *st, const struct fault *f) {
    struct faulty *fa = faulty_of(st);
    pthread_mutex_lock(&fa->lock);
    fa->fault = f ? *f : (struct fault){0};
    fa->count = 0;
    pthread_mutex_unlock(&fa->lock);
}

unsigned storage_fault_calls(struct storage *st) {
    struct faulty *fa = faulty_of(st);
    pthread_mutex_lock(&fa->lock);
    unsigned n = fa->count;
    pthread_mutex_unlock(&fa->lock);
    return n;
}

void storage_fault_hook(struct storage *st,
                        void (*fn)(void *arg, enum fault_call call, const char *path), void *arg) {
    faulty_of(st)->hook = fn;
    faulty_of(st)->hook_arg = arg;
}
