/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two halves of the HDFS driver: hdfs.c reads, lists and removes, hdfs_write.c makes objects.
 *
 * What is not finished lies in `.stage/<host>-<pid>-<uuid>/` under the lake's root, one folder per
 * opening, made at the first write and removed at the end. What a crash leaves there is removed by
 * the next process that writes, once it is a day old by the NameNode's clock.
 */
#ifndef CM_STORAGE_HDFS_PRIV_H
#define CM_STORAGE_HDFS_PRIV_H

#include <pthread.h>

#include "storage/cache.h"
#include "storage/drivers.h"
#include "storage/webhdfs.h"

struct hdfs {
    struct storage base;
    struct webhdfs *w;
    char *root; /* absolute; "" for HDFS's own */
    struct cache *cache;
    pthread_mutex_t lock; /* guards the rest */
    char *stage;          /* absolute; NULL: not made yet */
    unsigned long count;  /* of the names used in it */
};

/* A file or folder as the NameNode knows it. */
struct hdfs_status {
    bool is_dir;
    int64_t size, mtime_ms;
    int64_t file_id; /* never used again for another file */
};

/* Absolute paths. Each tries again what can pass, for base.patience_ms; ERR_NOT_FOUND is an answer. */
char *hdfs_full(const struct hdfs *h, const char *path); /* the caller frees */
int hdfs_status(struct hdfs *h, const char *full, struct hdfs_status *ret, struct err *e);
int hdfs_list_folder(struct hdfs *h, const char *full, const char *start_after,
                     struct storage_entries *ret, struct err *e);

/* What a new object is made of: bytes in memory, or an open file from its beginning. */
struct hdfs_source {
    const void *data;
    int64_t len;
    const struct http_file *file; /* NULL: data */
};

enum hdfs_over { HDFS_NEW, HDFS_REPLACE };
/*
 * Makes the object, whole or not at all. HDFS_NEW: never replaces, ERR_EXISTS. After ERR_STORAGE it may
 * have been made all the same, or may yet be, by a RENAME whose answer was lost.
 */
int hdfs_make(struct hdfs *h, const char *full, const struct hdfs_source *src, enum hdfs_over over,
              struct hdfs_status *ret, struct err *e);
/* Removes this opening's folder for what is not finished. */
void hdfs_stage_remove(struct hdfs *h);

#endif
