/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The S3 driver's own parts.
 *
 *     s3.c          the contract of storage.h: names, lists, put-if-absent; opening
 *     s3_url.c      s3://bucket/prefix and the options -> where requests go
 *     s3_call.c     one request: signed, sent, tried again
 *     s3_error.c    an answer that is none -> what failed, why, what to do
 *     s3_list.c     ListObjectsV2
 *     s3_file.c     files to the lake and from it, large ones in parts side by side
 *     s3_keys*.c    the keys; aws_profile.c; sigv4.c
 */
#ifndef CM_STORAGE_S3_PRIV_H
#define CM_STORAGE_S3_PRIV_H

#include <pthread.h>

#include "net/http.h"
#include "storage/cache.h"
#include "storage/drivers.h"
#include "storage/s3_keys.h"

/* Where the lake is, and how it is asked for. */
struct s3_place {
    char *bucket;
    char *prefix; /* of all keys: "" or "a/b/" */
    char *base;   /* "https://host[:port]", with the bucket's name where it belongs in the host */
    char *host;   /* as the Host header says it */
    char *path;   /* before each key: "/", or "/bucket/" */
    char *region;
    bool is_aws;
};
int s3_place_of(const char *url, const struct storage_options *o, struct s3_place *ret,
                struct err *e);
void s3_place_release(struct s3_place *p);

struct s3 {
    struct storage base;
    struct s3_place at;
    struct http_client *http;
    struct s3_keys *keys;
    struct cache *cache;
    int64_t timeout_ms;
    int stall_ms;         /* not a byte for so long: the other side is gone */
    pthread_mutex_t lock; /* guards `proven` */
    bool proven;          /* this store keeps put-if-absent */
};

static inline struct s3 *s3_of(struct storage *st) {
    return (struct s3 *)st;
}

/* ---- one request ---- */

enum { S3_HEADERS = 3, S3_SMALL = 64 * 1024 };

struct s3_call {
    const char *method;
    const char *key;   /* whole, prefix included; NULL: the bucket */
    const char *query; /* encoded, sorted; NULL: none */
    /* What is sent: bytes, or a part of a file. */
    const void *body;
    size_t body_len;
    const struct http_file *upload;
    const struct http_file *download;      /* where the body of a good answer goes */
    const char *const headers[S3_HEADERS]; /* "name: value", names in lower case; signed */
    size_t max_body;                       /* of an answer in memory; 0: S3_SMALL */
    bool ranged;                           /* 416, nothing there to read, is a good answer */
    /* The root of the XML a good answer is; any other 2xx is a failure. NULL: the body is not XML. */
    const char *root;
    bool slow; /* it may take minutes, in which hardly a byte comes */
};

/*
 * Sends it until it is answered with 2xx, or the failure cannot pass, or the time is up. Answers:
 * ERR_NOT_FOUND (no such object), ERR_EXISTS (a condition of the request does not hold; an earlier
 * try whose answer got lost may have made it so). Else ERR_STORAGE.
 */
int s3_call(struct s3 *s, const struct s3_call *q, struct http_answer *ret, struct err *e);
/* Once, without patience: for what is only cleaned up. */
void s3_call_once(struct s3 *s, const struct s3_call *q);

/* ---- answers ---- */

enum s3_fate {
    S3_GOOD,
    S3_AGAIN,    /* can pass */
    S3_NEW_KEYS, /* can pass with other keys */
    S3_BAD,
};
/* Is the body a whole XML document with that root? Blanks may stand before it. */
bool s3_has_root(const struct http_answer *a, const char *root);
/* What a status that is not 2xx, or a 2xx that is not what was asked for, means; fills e. */
enum s3_fate s3_judge(const struct s3 *s, const struct s3_call *q, const struct http_answer *a,
                      struct err *e);

/* ---- pieces ---- */

char *s3_key_of(const struct s3 *s, const char *path); /* prefix + path */
/* The size of a file the answer to HEAD or GET tells; -1: it does not. */
int64_t s3_length(const struct http_answer *a);
/* The value of ETag; "": none. */
void s3_etag(const struct http_answer *a, char ret[CACHE_ETAG]);

/*
 * Appends the names of one page, an answer of ListObjectsV2, that are right below the prefix and after
 * start_after (may be NULL). ret_token: for the page after it; NULL: this was the last. *seen counts
 * what came, pages and what is hidden too: a list has an end. Pure.
 */
int s3_list_page(const struct buf *xml, const char *prefix, const char *start_after, int64_t *seen,
                 struct storage_entries *l, char **ret_token, struct err *e);
int s3_list_folder(struct s3 *s, const char *dir, const char *start_after,
                   struct storage_entries *ret, struct err *e);

/* Does the store keep put-if-absent? Asked once; a store that does not is refused. */
int s3_prove(struct s3 *s, struct err *e);

/* cache_source's fetch, and a driver's publish without the cache. */
int s3_fetch(void *arg, const char *path, const char *local, struct cache_object *ret,
             struct err *e);
int s3_send(struct s3 *s, const char *local, const char *path, struct cache_object *ret,
            struct err *e);

#endif
