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
 *     s3_sweep.c    what killed processes left
 *     s3_keys*.c    the keys; aws_profile.c; sigv4.c
 */
#ifndef CM_STORAGE_S3_PRIV_H
#define CM_STORAGE_S3_PRIV_H

#include <pthread.h>

#include "base/xml.h"
#include "net/http.h"
#include "storage/cache.h"
#include "storage/drivers.h"
#include "storage/s3_keys.h"
#include "storage/sigv4.h"

/* Where the lake is, and how it is asked for. */
struct s3_place {
    char *bucket;
    char *prefix; /* of all keys: "" or "a/b/" */
    char *base;   /* "https://host[:port]", with the bucket's name where it belongs in the host */
    char *host;   /* as the Host header says it */
    char *path;   /* before each key: "/", or "/bucket/" */
    char *region;
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
    int stall_ms;         /* under 1 KiB/s over so long: the other side is gone */
    pthread_mutex_t lock; /* guards the rest */
    bool proven;          /* this store keeps put-if-absent */
    int64_t sweep_ns;     /* when to sweep next, by the monotonic clock */
};

static inline struct s3 *s3_of(struct storage *st) {
    return (struct s3 *)st;
}

/* ---- one request ---- */

enum { S3_HEADERS = 3 };
#define S3_IF_ABSENT "if-none-match" /* with the value "*" */

struct s3_call {
    const char *method;
    const char *key;   /* whole, prefix included; NULL: the bucket */
    const char *query; /* encoded, sorted; NULL: none */
    /* What is sent: bytes, or a part of a file. */
    const void *body;
    size_t body_len;
    const struct http_file *upload;
    const struct http_file *download;        /* where the body of a good answer goes */
    struct sigv4_header headers[S3_HEADERS]; /* signed; without a name: none */
    size_t max_body;                         /* of an answer in memory; 0: LIMIT_HTTP_ERROR */
    bool ranged;                             /* 416, nothing there to read, is a good answer */
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
/* The same once, without patience. */
int s3_try(struct s3 *s, const struct s3_call *q, struct http_answer *ret, struct err *e);
/* Likewise, for what is only cleaned up. */
void s3_call_once(struct s3 *s, const struct s3_call *q);

/* ---- answers ---- */

/* As xml_walk. What a store sends while it is busy, blanks, may stand before the document. */
int s3_walk(const struct http_answer *a, xml_element *fn, void *arg, struct err *e);
/* Is the body a whole XML document with that root? */
bool s3_has_root(const struct http_answer *a, const char *root);
/*
 * The error that a status which is not 2xx, or a 2xx which is not what was asked for, means.
 * *ret_new_keys: it can pass with other keys.
 */
int s3_judge(const struct s3 *s, const struct s3_call *q, const struct http_answer *a,
             bool *ret_new_keys, struct err *e);

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

/* "Tue, 15 Nov 1994 12:45:26 GMT" in ms since 1970; 0: something else, or NULL. */
int64_t s3_time_ms(const char *text);
enum { S3_DAY_MS = 24 * 3600 * 1000 };
/* Removes what killed processes left a day ago or longer, as far as we may. */
void s3_sweep(struct s3 *s);

/* Does the store keep put-if-absent? Asked once; a store that does not is refused. */
int s3_prove(struct s3 *s, struct err *e);

/*
 * Files from the lake, one try into an empty file, and to it. ERR_NOT_FOUND; ERR_EXISTS: another
 * file stands there. What could not be done to which object the caller puts in front.
 */
int s3_fetch(struct s3 *s, const char *path, int fd, struct cache_object *ret, struct err *e);
int s3_send(struct s3 *s, const char *local, const char *path, struct cache_object *ret,
            struct err *e);

#endif
