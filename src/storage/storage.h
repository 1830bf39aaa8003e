/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the lake's bytes lie: local disk, or far away. The drivers keep one contract; one conformance
 * suite runs against every driver and the fake.
 *
 * A storage is opened on the lake's root. Paths are relative to it, '/'-separated, of ASCII
 * letters, digits and -._=%~, without empty parts and without parts that begin with '.': such names
 * are private to the driver and never listed. Anything else is a bug (assert); "" is the root, for
 * list only.
 * What a call reports as done is durable (survives power loss) and visible to every process.
 *
 * A storage may be used by several threads at once.
 * Errors: ERR_STORAGE with e->retry where it can pass; ERR_NOT_FOUND and ERR_EXISTS as answers.
 */
#ifndef CM_STORAGE_STORAGE_H
#define CM_STORAGE_STORAGE_H

#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"

struct storage_entry {
    char *name; /* last part of the path */
    bool is_dir;
    int64_t size;     /* bytes; 0 for a folder */
    int64_t mtime_ms; /* since 1970 UTC */
};

struct storage_entries {
    struct storage_entry *v;
    size_t n, cap;
};
void storage_entries_release(struct storage_entries *l);

struct config;
struct storage;

struct storage_ops {
    /* Reads a whole object in place of what ret held; ERR_NOT_FOUND. ret->max bounds it. */
    int (*get)(struct storage *st, const char *path, struct buf *ret, struct err *e);
    /*
     * Put-if-absent: exactly one of several callers wins, readers see the whole object or none.
     * ERR_EXISTS: something stands there. Where an answer got lost on the way, that may be this call's
     * own object, as it may be after ERR_STORAGE: who must know looks at what is there.
     */
    int (*put_new)(struct storage *st, const char *path, const void *data, size_t len,
                   struct err *e);
    /* Replaces or creates, atomically for readers. */
    int (*put)(struct storage *st, const char *path, const void *data, size_t len, struct err *e);
    /* Of a file; ret->name is not set. ERR_NOT_FOUND, which a folder may be where there are none. */
    int (*stat)(struct storage *st, const char *path, struct storage_entry *ret, struct err *e);
    /*
     * The entries of one folder in byte order of their names, those after `start_after` (may be
     * NULL). A folder that does not exist is empty.
     */
    int (*list)(struct storage *st, const char *dir, const char *start_after,
                struct storage_entries *ret, struct err *e);
    /* Removing what is not there is success. Files only. */
    int (*remove)(struct storage *st, const char *path, struct err *e);
    /*
     * A new, empty folder on local disk in which files for this lake are made (an absolute path of
     * at most LIMIT_PATH bytes). The caller publishes from it, then calls unstage.
     */
    int (*stage)(struct storage *st, char ret_dir[LIMIT_PATH], struct err *e);
    void (*unstage)(struct storage *st,
                    const char *dir); /* removes the folder and what is left in it */
    /*
     * Moves a finished local file (from a staging folder) to `path`, which must be free. Never
     * overwrites: ERR_EXISTS. After ERR_STORAGE it can be called again.
     */
    int (*publish)(struct storage *st, const char *local, const char *path, struct err *e);
    /*
     * A local file with the object's bytes, for engines that read local disk only. Valid until
     * unlocalize. size: what the table says of it; an object of another size is an error. -1: unknown.
     */
    int (*localize)(struct storage *st, const char *path, int64_t size, char ret_local[LIMIT_PATH],
                    struct err *e);
    void (*unlocalize)(struct storage *st, const char *path);
    void (*free)(struct storage *st);
};

/*
 * Drivers embed this first. `url` names the lake in messages, secrets masked. `lanes`: how many calls
 * at a time make many files go faster; 0 and 1: one after the other does. `patience_ms`: how long a
 * call has tried by itself before it gives an error that can pass; 0: not at all.
 */
struct storage {
    const struct storage_ops *ops;
    char *url;
    int lanes;
    int64_t patience_ms;
};

/*
 * True for what the calls above accept as a path. Names that come from outside (a foreign log) are
 * tested with it before they are used.
 */
bool storage_path_ok(const char *path);

enum s3_path_style { S3_PATH_STYLE_AUTO, S3_PATH_STYLE_YES, S3_PATH_STYLE_NO };

/* What drivers of lakes far away need to know. Texts live as long as the storage does. */
struct storage_options {
    const char *cache_dir;   /* local folder for what is fetched, and for what is made */
    int64_t cache_max_bytes; /* see storage/cache.h */
    int64_t timeout_ms;      /* how long one call is tried again when the failure can pass */
    const char
        *ca_file; /* PEM: who signs the servers' certificates; NULL: whom the system trusts */
    const char *hdfs_user, *hdfs_token, *hdfs_cert_file; /* see webhdfs.h; NULL: none */
    bool hdfs_kerberos;
    const char *s3_endpoint, *s3_region, *s3_profile; /* NULL: see s3_url.c and s3_keys.h */
    enum s3_path_style s3_path_style;
};

/*
 * Opens by URL: file:PATH (created if missing), hdfs://HOST:PORT/PATH,
 * s3://BUCKET/PREFIX. ERR_CONFIG for a scheme no driver has.
 * o may be NULL for a local lake.
 */
int storage_open(const char *url, const struct storage_options *o, struct storage **ret,
                 struct err *e);
/*
 * Is there a driver for the URL, and does one of file: name a folder? What follows hdfs:// and s3:// is
 * looked at by storage_open. ERR_CONFIG.
 */
int storage_check(const char *url, struct err *e);
/* The lake the configuration names, opened as it says. cfg outlives it. */
int storage_open_configured(const struct config *cfg, struct storage **ret, struct err *e);

/* One of many files that are brought here or sent away together. */
struct storage_file {
    char *path;   /* in the lake; the caller's */
    int64_t size; /* to localize: as for storage_localize */
    char *local;  /* to localize: set, the caller frees; to publish: the file to send */
    bool done;    /* it is local now, or stands in the lake */
};
/*
 * Localizes all of them, or none: after a failure none needs unlocalize. The error is one of a file's,
 * with its words. Uses as many threads as the storage has lanes.
 */
int storage_localize_all(struct storage *st, struct storage_file *v, size_t n, struct err *e);
/* Publishes them. After a failure some may stand in the lake: `done` tells. */
int storage_publish_all(struct storage *st, struct storage_file *v, size_t n, struct err *e);

static inline int storage_get(struct storage *st, const char *path, struct buf *ret,
                              struct err *e) {
    return st->ops->get(st, path, ret, e);
}
static inline int storage_put_new(struct storage *st, const char *path, const void *data,
                                  size_t len, struct err *e) {
    return st->ops->put_new(st, path, data, len, e);
}
static inline int storage_put(struct storage *st, const char *path, const void *data, size_t len,
                              struct err *e) {
    return st->ops->put(st, path, data, len, e);
}
static inline int storage_stat(struct storage *st, const char *path, struct storage_entry *ret,
                               struct err *e) {
    return st->ops->stat(st, path, ret, e);
}
static inline int storage_list(struct storage *st, const char *dir, const char *start_after,
                               struct storage_entries *ret, struct err *e) {
    return st->ops->list(st, dir, start_after, ret, e);
}
static inline int storage_remove(struct storage *st, const char *path, struct err *e) {
    return st->ops->remove(st, path, e);
}
static inline int storage_stage(struct storage *st, char ret_dir[LIMIT_PATH], struct err *e) {
    return st->ops->stage(st, ret_dir, e);
}
static inline void storage_unstage(struct storage *st, const char *dir) {
    st->ops->unstage(st, dir);
}
static inline int storage_publish(struct storage *st, const char *local, const char *path,
                                  struct err *e) {
    return st->ops->publish(st, local, path, e);
}
static inline int storage_localize(struct storage *st, const char *path, int64_t size,
                                   char ret_local[LIMIT_PATH], struct err *e) {
    return st->ops->localize(st, path, size, ret_local, e);
}
static inline void storage_unlocalize(struct storage *st, const char *path) {
    st->ops->unlocalize(st, path);
}
static inline void storage_free(struct storage *st) {
    if (st)
        st->ops->free(st);
}
static inline void storage_freep(struct storage **st) {
    storage_free(*st);
}

#endif
