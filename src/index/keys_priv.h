/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies in an index's folder:
 *
 *     lock          locked (flock) by who has it open
 *     manifest      which runs there are, up to which version; with a CRC-32C, replaced by rename
 *     <number>.run  keys by hash, 16 bytes each, in blocks of 4 KiB; behind each 128 blocks the last
 *                   two bytes of their hashes, by which most look-ups end without the block; behind
 *                   all of it a fence for each block: its first hash, and the CRC-32C of the block
 *                   and of its short hashes. The manifest has the fences' own CRC-32C.
 *
 * A number is never used again while its file may lie there: what the manifest does not name is
 * removed at opening. Numbers are little-endian, as this machine's are.
 *
 *     keys.c           the index
 *     keys_run.c       a run: written, looked into, read through
 *     keys_merge.c     several runs into one
 *     keys_manifest.c  the manifest and the folder
 */
#ifndef CM_INDEX_KEYS_PRIV_H
#define CM_INDEX_KEYS_PRIV_H

#include "index/keys.h"

enum {
    BLOCK_KEYS = 256, /* 4 KiB: what a look-up reads */
    RUNS_MAX = 64,    /* of an index, and of a merge */
    BUFFER_KEYS =
        2 * 1024 * 1024, /* added or asked for, in memory; twice 32 MiB while they are sorted */
    WINDOW_BLOCKS = 16,  /* what is read at a time by who reads all */
    GROUP_BLOCKS = 128,  /* whose short hashes lie together; a multiple of the window */
    GROUP_KEYS = GROUP_BLOCKS * BLOCK_KEYS,
};

struct fence {
    uint64_t first;          /* hash of the block */
    uint32_t crc, short_crc; /* CRC-32C of the block, and of its short hashes */
};

struct run {
    uint64_t number;
    uint64_t keys;
    uint32_t crc;         /* of the fences */
    int fd;               /* -1: not open */
    struct fence *fences; /* NULL: not read yet */
};

struct keys {
    char *dir;
    int lock_fd;
    struct keys_mark owner, mark;
    int64_t version;
    uint64_t next;                 /* number of the next run */
    struct run runs[RUNS_MAX + 1]; /* the oldest first */
    size_t n_runs;
    uint64_t *dead; /* numbers of runs that were merged since the last commit: it removes them */
    size_t n_dead;
    struct key *buffer, *scratch; /* BUFFER_KEYS each; NULL until the first key */
    size_t n_buffer;
    char *doubt;
};

static inline uint64_t run_blocks(const struct run *r) {
    return (r->keys + BLOCK_KEYS - 1) / BLOCK_KEYS;
}
static inline size_t block_keys(const struct run *r, uint64_t block) {
    return block + 1 < run_blocks(r) ? BLOCK_KEYS : (size_t)(r->keys - block * BLOCK_KEYS);
}

char *run_path(const struct keys *k, uint64_t number); /* the caller frees */
/* Opens the run's file and reads its fences; nothing to do if it is open. */
int run_open(const struct keys *k, struct run *r, struct err *e);
void run_close(struct run *r);
/* Reads `n` blocks of one group from the one on, checked. `to` has room for them. */
int run_read(const struct keys *k, const struct run *r, uint64_t block, size_t n, struct key *to,
             struct err *e);
/* Appends the run's keys with one of the n hashes; `sorted` by hash. */
int run_find(const struct keys *k, struct run *r, const struct key *sorted, size_t n,
             struct key_list *ret, struct err *e);

/* A run on its way: keys in the order of their hashes, then end. It is durable then but for its name. */
struct run_writer {
    const struct keys *k;
    char *path;
    int fd;
    struct run run; /* what it is so far */
    size_t cap_fences;
    struct key *group; /* GROUP_KEYS */
    size_t n_group;
};
int run_create(struct keys *k, struct run_writer *w, struct err *e);
int run_put(struct run_writer *w, const struct key *v, size_t n, struct err *e);
/* *ret: closed. After a failure the file is removed. */
int run_end(struct run_writer *w, struct run *ret, struct err *e);
void run_abort(struct run_writer *w);

/* Sorts by hash; scratch has room for n. */
void keys_sort(struct key *v, struct key *scratch, size_t n);
/*
 * Merges the newest runs into one, so that each of those left has more keys than all newer ones
 * together: there are few, and a key is written anew a few times over its life.
 */
int keys_merge(struct keys *k, struct err *e);

/* Reads the manifest into k and checks that its runs lie there. ERR_NOT_FOUND, ERR_CHECK. */
int manifest_read(struct keys *k, struct err *e);
int manifest_write(struct keys *k, struct err *e);
/* Removes the runs that k does not name; all: the manifest before them. */
int folder_sweep(const struct keys *k, bool all, struct err *e);
/* ERR_STORAGE: what the index could not do with the path. */
int keys_error(struct err *e, int errnum, const char *what, const char *path);

#endif
