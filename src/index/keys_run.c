/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/util.h"
#include "index/keys_priv.h"

int keys_error(struct err *e, int errnum, const char *what, const char *path) {
    err_sys(e, ERR_STORAGE, errnum, "key index: %s '%s'", what, path);
    return errnum == ENOSPC || errnum == EDQUOT
               ? err_hint(e, "free some space there, or choose another silver.index_dir")
               : e->code;
}

static int damaged(const struct run *r, const char *why, struct err *e) {
    return err_set(e, ERR_CHECK, "run %llu %s", (unsigned long long)r->number, why);
}

char *run_path(const struct keys *k, uint64_t number) {
    return xasprintf("%s/%llu.run", k->dir, (unsigned long long)number);
}

/* All of it, or ERR_CHECK where the file ends before. */
static int read_at(const struct keys *k, const struct run *r, void *to, size_t len, uint64_t offset,
                   struct err *e) {
    char *at = to;
    while (len > 0) {
        ssize_t n = pread(r->fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            _cleanup_(freep) char *path = run_path(k, r->number);
            return keys_error(e, errno, "cannot read", path);
        }
        if (n == 0)
            return damaged(r, "is short", e);
        at += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

/* Where a block lies, and where its short hashes do. */
static uint64_t block_offset(uint64_t block) {
    return block / GROUP_BLOCKS * GROUP_KEYS * (sizeof(struct key) + sizeof(uint16_t)) +
           block % GROUP_BLOCKS * BLOCK_KEYS * sizeof(struct key);
}

static uint64_t short_offset(const struct run *r, uint64_t block) {
    uint64_t first = block / GROUP_BLOCKS * GROUP_BLOCKS;
    uint64_t keys = MIN(r->keys - first * BLOCK_KEYS, (uint64_t)GROUP_KEYS);
    return block_offset(first) + keys * sizeof(struct key) +
           (block - first) * BLOCK_KEYS * sizeof(uint16_t);
}

/* How many blocks there are from this one to the end of its group, `most` at most. */
static size_t in_group(const struct run *r, uint64_t block, size_t most) {
    uint64_t end = MIN((block / GROUP_BLOCKS + 1) * GROUP_BLOCKS, run_blocks(r));
    return (size_t)MIN((uint64_t)most, end - block);
}

static int read_fences(const struct keys *k, struct run *r, struct err *e) {
    size_t len = run_blocks(r) * sizeof *r->fences;
    uint64_t keys_len = r->keys * (sizeof(struct key) + sizeof(uint16_t));
    struct stat st;
    if (fstat(r->fd, &st) != 0 || (uint64_t)st.st_size != keys_len + len)
        return damaged(r, "has another size", e);
    r->fences = xmalloc(MAX(len, 1));
    if (read_at(k, r, r->fences, len, keys_len, e) < 0)
        return e->code;
    return crc32c(0, r->fences, len) == r->crc ? 0 : damaged(r, "is another one", e);
}

int run_open(const struct keys *k, struct run *r, struct err *e) {
    if (r->fences)
        return 0;
    _cleanup_(freep) char *path = run_path(k, r->number);
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0 && errno == ENOENT)
        return damaged(r, "is missing", e);
    if (r->fd < 0)
        return keys_error(e, errno, "cannot open", path);
    if (read_fences(k, r, e) == 0)
        return 0;
    run_close(r);
    return e->code;
}

void run_close(struct run *r) {
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    free(TAKE_PTR(r->fences));
}

int run_read(const struct keys *k, const struct run *r, uint64_t block, size_t n, struct key *to,
             struct err *e) {
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += block_keys(r, block + i) * sizeof *to;
    if (read_at(k, r, to, len, block_offset(block), e) < 0)
        return e->code;
    for (size_t i = 0; i < n; i++)
        if (crc32c(0, to + i * BLOCK_KEYS, block_keys(r, block + i) * sizeof *to) !=
            r->fences[block + i].crc)
            return damaged(r, "does not have the bytes that were written", e);
    return 0;
}

/* What was read last of a run that is looked into from its beginning to its end. */
struct window {
    uint64_t block, short_block;
    size_t n, n_short;
    struct key keys[WINDOW_BLOCKS * BLOCK_KEYS];
    uint16_t shorts[GROUP_KEYS];
};

/* How a run is looked into: blocks read at a time, and of their short hashes; 0: these not at all. */
struct manner {
    size_t blocks, shorts;
};

static struct manner manner_for(const struct run *r, size_t asked) {
    uint64_t blocks = run_blocks(r);
    if (asked >= blocks / 2)
        return (struct manner){WINDOW_BLOCKS,
                               0}; /* most blocks are wanted: all are read, in a row */
    return (struct manner){1, asked * 32 >= blocks ? GROUP_BLOCKS : 8};
}

/* The first block from `from` on that the hash may stand in. */
static uint64_t block_of(const struct run *r, uint64_t from, uint64_t hash) {
    uint64_t low = from, high = run_blocks(r), step = 1;
    while (low + step < high && r->fences[low + step].first < hash) {
        low += step; /* galloping: the next hash asked for is near */
        step *= 2;
    }
    high = MIN(high, low + step);
    while (high - low > 1) {
        uint64_t mid = low + (high - low) / 2;
        if (r->fences[mid].first < hash)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static size_t lower_bound(const struct key *v, size_t n, uint64_t hash) {
    size_t low = 0;
    for (size_t high = n; low < high;) {
        size_t mid = (low + high) / 2;
        if (v[mid].hash < hash)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* *ret: false, the hash is not in the block. */
static int may_hold(const struct keys *k, const struct run *r, uint64_t block, uint64_t hash,
                    size_t ahead, struct window *w, bool *ret, struct err *e) {
    if (block < w->short_block || block >= w->short_block + w->n_short) {
        size_t n = in_group(r, block, ahead), len = 0;
        for (size_t i = 0; i < n; i++)
            len += block_keys(r, block + i) * sizeof w->shorts[0];
        w->n_short = 0;
        if (read_at(k, r, w->shorts, len, short_offset(r, block), e) < 0)
            return e->code;
        w->short_block = block;
        w->n_short = n;
    }
    const uint16_t *v = w->shorts + (block - w->short_block) * BLOCK_KEYS;
    size_t n = block_keys(r, block);
    if (crc32c(0, v, n * sizeof *v) != r->fences[block].short_crc)
        return damaged(r, "does not have the bytes that were written", e);
    int found = 0;
    for (size_t i = 0; i < n; i++)
        found |= v[i] == (uint16_t)hash;
    *ret = found;
    return 0;
}

/* Appends what stands of the hash in the block. */
static int find_in(const struct keys *k, const struct run *r, uint64_t block, uint64_t hash,
                   size_t ahead, struct window *w, struct key_list *ret, struct err *e) {
    if (block < w->block || block >= w->block + w->n) {
        size_t n = in_group(r, block, ahead);
        w->n = 0;
        if (run_read(k, r, block, n, w->keys, e) < 0)
            return e->code;
        w->block = block;
        w->n = n;
    }
    const struct key *v = w->keys + (block - w->block) * BLOCK_KEYS;
    size_t n = block_keys(r, block);
    for (size_t i = lower_bound(v, n, hash); i < n && v[i].hash == hash; i++)
        key_list_add(ret, v[i]);
    return 0;
}

/* In this block and those behind it. */
static int find_one(const struct keys *k, const struct run *r, uint64_t block, uint64_t hash,
                    struct manner m, struct window *w, struct key_list *ret, struct err *e) {
    for (; block < run_blocks(r) && r->fences[block].first <= hash; block++) {
        bool may = true;
        if (m.shorts && may_hold(k, r, block, hash, m.shorts, w, &may, e) < 0)
            return e->code;
        if (may && find_in(k, r, block, hash, m.blocks, w, ret, e) < 0)
            return e->code;
    }
    return 0;
}

int run_find(const struct keys *k, struct run *r, const struct key *sorted, size_t n,
             struct key_list *ret, struct err *e) {
    if (run_open(k, r, e) < 0)
        return e->code;
    struct window *w = xmalloc(sizeof *w);
    w->block = w->n = w->short_block = w->n_short = 0;
    struct manner m = manner_for(r, n);
    posix_fadvise(r->fd, 0, 0, m.shorts ? POSIX_FADV_RANDOM : POSIX_FADV_SEQUENTIAL);
    uint64_t block = 0;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (i > 0 && sorted[i].hash == sorted[i - 1].hash)
            continue;
        block = block_of(r, block, sorted[i].hash);
        rc = find_one(k, r, block, sorted[i].hash, m, w, ret, e);
    }
    free(w);
    return rc;
}

int run_create(struct keys *k, struct run_writer *w, struct err *e) {
    *w = (struct run_writer){.k = k, .run = {.number = k->next++, .fd = -1}};
    w->path = run_path(k, w->run.number);
    w->fd = open(w->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd < 0) {
        keys_error(e, errno, "cannot create", w->path);
        free(TAKE_PTR(w->path));
        return e->code;
    }
    w->group = xmalloc(GROUP_KEYS * sizeof *w->group);
    return 0;
}

static int write_all(const struct run_writer *w, const void *p, size_t len, struct err *e) {
    for (const char *at = p; len > 0;) {
        ssize_t n = write(w->fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return keys_error(e, errno, "cannot write", w->path);
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static int flush_group(struct run_writer *w, struct err *e) {
    uint16_t *shorts = xmalloc(GROUP_KEYS * sizeof *shorts);
    for (size_t i = 0; i < w->n_group; i++)
        shorts[i] = (uint16_t)w->group[i].hash;
    for (size_t i = 0; i < w->n_group; i += BLOCK_KEYS) {
        size_t n = MIN((size_t)BLOCK_KEYS, w->n_group - i), blocks = run_blocks(&w->run);
        if (blocks == w->cap_fences) {
            w->cap_fences = MAX(blocks * 2, (size_t)1024);
            w->run.fences = xrealloc(w->run.fences, w->cap_fences * sizeof *w->run.fences);
        }
        w->run.fences[blocks] =
            (struct fence){.first = w->group[i].hash,
                           .crc = crc32c(0, w->group + i, n * sizeof *w->group),
                           .short_crc = crc32c(0, shorts + i, n * sizeof *shorts)};
        w->run.keys += n;
    }
    int r = write_all(w, w->group, w->n_group * sizeof *w->group, e);
    if (r == 0)
        r = write_all(w, shorts, w->n_group * sizeof *shorts, e);
    w->n_group = 0;
    free(shorts);
    return r;
}

int run_put(struct run_writer *w, const struct key *v, size_t n, struct err *e) {
    while (n > 0) {
        size_t part = MIN(n, (size_t)GROUP_KEYS - w->n_group);
        memcpy(w->group + w->n_group, v, part * sizeof *v);
        w->n_group += part;
        v += part;
        n -= part;
        if (w->n_group == (size_t)GROUP_KEYS && flush_group(w, e) < 0)
            return e->code;
    }
    return 0;
}

static void writer_release(struct run_writer *w) {
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    free(TAKE_PTR(w->path));
    free(TAKE_PTR(w->group));
    free(TAKE_PTR(w->run.fences));
}

void run_abort(struct run_writer *w) {
    unlink(w->path);
    writer_release(w);
}

int run_end(struct run_writer *w, struct run *ret, struct err *e) {
    int r = flush_group(w, e);
    size_t len = run_blocks(&w->run) * sizeof *w->run.fences;
    if (r == 0)
        r = write_all(w, w->run.fences, len, e);
    if (r == 0 && fdatasync(w->fd) != 0)
        r = keys_error(e, errno, "cannot sync", w->path);
    if (r < 0) {
        run_abort(w);
        return r;
    }
    *ret = (struct run){.number = w->run.number,
                        .keys = w->run.keys,
                        .crc = crc32c(0, w->run.fences, len),
                        .fd = -1};
    writer_release(w);
    return 0;
}
