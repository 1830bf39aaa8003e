/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lake that is far away, and counts who comes: what the tests of the local cache share. Object
 * "t/<n>-<bytes>" has that many bytes, all of them made from n; what has "gone" in its name is not there.
 */
#ifndef CM_TEST_STORAGE_FAR_H
#define CM_TEST_STORAGE_FAR_H

#include <stdatomic.h>
#include <unistd.h>

#include "storage/cache.h"
#include "storage/helper.h"

enum { KB = 1000, ROOM = 100 * KB }; /* ROOM: cache.max_bytes */

struct far {
    struct storage st; /* only its patience counts */
    atomic_int fetches, looks;
    atomic_int fail;     /* so many fetches fail, half done */
    const char *etag;    /* of every object */
    int shift;           /* added to each byte: other contents under the same name */
    bool kill_in_fetch;  /* SIGKILL, half done */
    useconds_t delay_us; /* of a fetch */
};

int64_t size_of(const char *path);
char *bytes_of(const char *path, int shift);
bool bytes_are(const char *local, const char *path, int shift);
void assert_bytes(const char *local, const char *path, int shift);

struct bench {
    char *dir;
    struct far far;
    struct cache *c;
};

struct bench *begin(void);
void end(struct bench *b);
/* Each opening stands for a process of its own. */
struct cache *open_cache(struct bench *b, const char *lake);
/* As in a cache whose folder is `dir`. */
struct cache *open_cache_in(struct bench *b, const char *dir);

/* Localizes it, looks at every byte, keeps it. */
void hold(struct cache *c, const char *path);
void use(struct cache *c, const char *path);           /* and lets it go */
void use_elsewhere(struct bench *b, const char *path); /* with the cache opened anew */

/* Calls fn for each entry; returns how many there are. */
int each_entry(struct bench *b, void (*fn)(const char *file, void *arg), void *arg);
int64_t kept_bytes(struct bench *b);
/* For each_entry: another file in its place; who has the old one localized keeps it. */
void replace(const char *file, void *arg);

#endif
