/* SPDX-License-Identifier: Apache-2.0 */
#include "index/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/util.h"
#include "index/keys_priv.h"
#include "storage/local_fs.h"

void key_list_add(struct key_list *l, struct key k) {
    if (l->n == l->cap) {
        l->cap = MAX(l->cap * 2, (size_t)1024);
        l->v = xrealloc(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n++] = k;
}

void key_list_release(struct key_list *l) {
    free(l->v);
    *l = (struct key_list){0};
}

/* Forgets what is in memory. */
static void forget(struct keys *k) {
    for (size_t i = 0; i < k->n_runs; i++)
        run_close(&k->runs[i]);
    k->n_runs = k->n_dead = k->n_buffer = 0;
    k->version = -1;
    k->mark = (struct keys_mark){0};
}

static int lock(struct keys *k, struct err *e) {
    _cleanup_(freep) char *path = xasprintf("%s/lock", k->dir);
    k->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (k->lock_fd < 0)
        return keys_error(e, errno, "cannot open", path);
    if (flock(k->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return err_set(e, ERR_CONFLICT, "key index: another process uses '%s'", k->dir);
    return keys_error(e, errno, "cannot lock", path);
}

/* What is there, as far as it is whole. */
static int load(struct keys *k, struct err *e) {
    int r = manifest_read(k, e);
    if (r == 0)
        return folder_sweep(k, false, e);
    if (r == ERR_CHECK)
        k->doubt = xstrdup(e->msg);
    else if (r != ERR_NOT_FOUND)
        return r;
    return keys_clear(k, e);
}

int keys_open(const char *dir, const struct keys_mark *owner, struct keys **ret, struct err *e) {
    struct keys *k = xcalloc(1, sizeof *k);
    *k = (struct keys){.lock_fd = -1, .version = -1, .next = 1, .owner = *owner};
    k->dir = fs_absolute(dir, e);
    int r = k->dir ? 0 : e->code;
    if (r == 0 && fs_mkdirs(k->dir, e) < 0)
        r = err_wrap(e, "key index");
    if (r == 0)
        r = lock(k, e);
    if (r == 0)
        r = load(k, e);
    if (r < 0) {
        keys_close(k);
        return r;
    }
    *ret = k;
    return 0;
}

void keys_close(struct keys *k) {
    if (!k)
        return;
    forget(k);
    if (k->lock_fd >= 0)
        close(k->lock_fd);
    free(k->buffer);
    free(k->scratch);
    free(k->dead);
    free(k->doubt);
    free(k->dir);
    free(k);
}

const char *keys_doubt(const struct keys *k) {
    return k->doubt;
}

int64_t keys_version(const struct keys *k) {
    return k->version;
}

const struct keys_mark *keys_at(const struct keys *k) {
    return &k->mark;
}

int64_t keys_rows(const struct keys *k) {
    uint64_t rows = k->n_buffer;
    for (size_t i = 0; i < k->n_runs; i++)
        rows += k->runs[i].keys;
    return (int64_t)rows;
}

int keys_clear(struct keys *k, struct err *e) {
    forget(k);
    return folder_sweep(k, true, e);
}

static void need_buffer(struct keys *k) {
    if (k->buffer)
        return;
    k->buffer = xmalloc(BUFFER_KEYS * sizeof *k->buffer);
    k->scratch = xmalloc(BUFFER_KEYS * sizeof *k->scratch);
}

/* The buffer becomes the newest run. */
static int flush(struct keys *k, struct err *e) {
    struct run_writer w;
    if (k->n_buffer == 0)
        return 0;
    if (k->n_runs == RUNS_MAX && keys_merge(k, e) < 0)
        return e->code;
    keys_sort(k->buffer, k->scratch, k->n_buffer);
    if (run_create(k, &w, e) < 0)
        return e->code;
    if (run_put(&w, k->buffer, k->n_buffer, e) < 0) {
        run_abort(&w);
        return e->code;
    }
    if (run_end(&w, &k->runs[k->n_runs], e) < 0)
        return e->code;
    k->n_runs++;
    k->n_buffer = 0;
    return 0;
}

/* Takes as many as there is room for. */
static size_t take(struct keys *k, const struct key *v, size_t n) {
    need_buffer(k);
    size_t part = MIN(n, BUFFER_KEYS - k->n_buffer);
    memcpy(k->buffer + k->n_buffer, v, part * sizeof *v);
    k->n_buffer += part;
    return part;
}

int keys_add(struct keys *k, const struct key *v, size_t n, struct err *e) {
    while (n > 0) {
        size_t part = take(k, v, n);
        v += part;
        n -= part;
        if (k->n_buffer == BUFFER_KEYS && flush(k, e) < 0)
            return e->code;
    }
    return 0;
}

int keys_commit(struct keys *k, int64_t version, const struct keys_mark *mark, struct err *e) {
    if (flush(k, e) < 0 || keys_merge(k, e) < 0)
        return e->code;
    crash_point("keys.merged");
    k->version = version;
    k->mark = *mark;
    if (manifest_write(k, e) < 0)
        return e->code;
    for (size_t i = 0; i < k->n_dead; i++) {
        _cleanup_(freep) char *path = run_path(k, k->dead[i]);
        unlink(path); /* at worst the next opening removes it */
    }
    k->n_dead = 0;
    return 0;
}

int keys_answer(struct keys *k, struct key_list *ret, struct err *e) {
    if (k->n_buffer == 0)
        return 0;
    keys_sort(k->buffer, k->scratch, k->n_buffer);
    int r = 0;
    for (size_t i = 0; i < k->n_runs && r == 0; i++)
        r = run_find(k, &k->runs[i], k->buffer, k->n_buffer, ret, e);
    k->n_buffer = 0;
    return r;
}

int keys_ask(struct keys *k, const struct key *v, size_t n, struct key_list *ret, struct err *e) {
    while (n > 0) {
        size_t part = take(k, v, n);
        v += part;
        n -= part;
        if (k->n_buffer == BUFFER_KEYS && keys_answer(k, ret, e) < 0)
            return e->code;
    }
    return 0;
}
