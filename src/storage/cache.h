/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local half of a lake that is far away: copies of its objects, kept for engines that read local
 * files only, and the folders in which new files are made. All of it lies below cache.dir, which any
 * number of processes and lakes may share:
 *
 *     objects/<xxx>/<entry>      what is kept; the name tells of which object, and its size and CRC
 *     .stage/<process>/          of one process each, removed by the next one after a crash
 *         <n>                    staging folders, and files on their way
 *         <n>/<path>             what is localized now: a second name (hard link) of an entry
 *
 * An entry is used only if its bytes have the size and the CRC-32C of its name, looked at each time;
 * anything else is removed and fetched anew. So no file needs to be synced, a crash leaves nothing
 * that could be taken for an object, and processes need no lock: removing an entry takes its first
 * name, and whoever has localized it keeps the second.
 *
 * Objects whose size the caller knows are files of a table: written once, under a name nobody uses
 * again. Others (checkpoints, log entries) are first asked for their size and etag.
 */
#ifndef CM_STORAGE_CACHE_H
#define CM_STORAGE_CACHE_H

#include "storage/storage.h"

enum { CACHE_ETAG = 256 };

/* An object as it is in the lake now. */
struct cache_object {
    int64_t size;
    char etag[CACHE_ETAG]; /* any text that changes when the bytes do; "": there is none */
    bool has_crc;          /* the CRC-32C of the bytes is known */
    uint32_t crc;
};

/* How the cache gets at the lake it belongs to. Called by several threads at once. */
struct cache_source {
    struct storage *st;
    /* ERR_NOT_FOUND */
    int (*look)(struct storage *st, const char *path, struct cache_object *ret, struct err *e);
    /*
     * Fills the empty file with the object's bytes, ret->size of them. ERR_NOT_FOUND. A driver
     * tries its requests again by itself; what fails as a whole the cache tries again.
     */
    int (*fetch)(struct storage *st, const char *path, int fd, struct cache_object *ret,
                 struct err *e);
};

struct cache;

/*
 * dir: made at the first use. lake: names the lake among those that share dir, without secrets.
 * max_bytes: what the entries together may have; those used longest ago go first, never one that is
 * in use, by whatever process. Of several processes, each may be a sixteenth off, and what is on its
 * way in one comes on top for the others.
 */
int cache_open(const char *dir, int64_t max_bytes, const char *lake, const struct cache_source *src,
               struct cache **ret, struct err *e);
/* Nothing may be localized any more. */
void cache_free(struct cache *c);

/* A new, empty folder on local disk, as storage_stage gives it, and its end. */
int cache_stage(struct cache *c, char ret_dir[LIMIT_PATH], struct err *e);
void cache_unstage(struct cache *c, const char *dir);

/* storage_localize and storage_unlocalize of a driver. */
int cache_localize(struct cache *c, const char *path, int64_t size, char ret_local[LIMIT_PATH],
                   struct err *e);
void cache_unlocalize(struct cache *c, const char *path);

/* After the file `local` was published as this object: it becomes an entry, or is removed. */
void cache_keep(struct cache *c, const char *path, const char *local,
                const struct cache_object *object);

/* Removes every entry below dir, of whatever lake; what is in use keeps its second name. Their number. */
int64_t cache_empty(const char *dir);

#endif
