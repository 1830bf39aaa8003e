/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries of the cache as files: their names, finding one, making room. Used by cache.c only.
 *
 * An entry's name is <object>-<size>-<crc>-<tag>: the first 40 digits of the SHA-256 of the lake's
 * and the object's name, the size in bytes, the CRC-32C of the bytes, and 16 digits of the SHA-256 of
 * the etag. Files with other names are not ours: never read, counted or removed.
 */
#ifndef CM_STORAGE_CACHE_STORE_H
#define CM_STORAGE_CACHE_STORE_H

#include "storage/cache.h"

struct entry_id {
    char object[41];
    int64_t size; /* -1: any, to find */
    uint32_t crc;
    char tag[17]; /* "": any, to find */
};

/* The identity of an object of a lake; etag NULL: any. size, crc: 0. */
struct entry_id entry_id_of(const char *lake, const char *path, const char *etag);

int entry_size(const char *file, int64_t *ret_size, struct err *e);
/* CRC and size of a file's bytes; ERR_STORAGE. */
int entry_sum(const char *file, int64_t *ret_size, uint32_t *ret_crc, struct err *e);

/*
 * Gives the entry of this identity the further name `use` after a look at all its bytes, and fills
 * what was left open in `id`. ERR_NOT_FOUND: there is none, or it was damaged and is removed.
 */
int entry_take(const char *root, struct entry_id *id, const char *use, struct err *e);
/* Gives the complete file its name as an entry; `file` keeps its own. */
int entry_add(const char *root, const struct entry_id *id, const char *file, struct err *e);

/*
 * Removes the entries used longest ago that nobody uses now, if `more` bytes do not fit below
 * max_bytes but can be made to, until they do with an eighth to spare. Returns the bytes that are left
 * then, without `more`.
 */
int64_t entries_make_room(const char *root, int64_t max_bytes, int64_t more);

#endif
