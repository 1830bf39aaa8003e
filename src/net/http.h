/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP client: one request, one answer, with every bound set. The only user of libcurl. TLS
 * certificates and host names are always checked; http and https are the only protocols, also
 * behind a redirect; HTTP/1.1.
 *
 * Any status the server gives is an answer, not an error: the caller judges it. Errors (no
 * connection, timeout, an answer too large or cut short, …) carry the code the caller chose, retry
 * where the same request may work a moment later, and unsure where any of it had been sent.
 * An answer without Content-Length that ends with its connection cannot be told from a cut one: see
 * `told_end`.
 */
#ifndef CM_NET_HTTP_H
#define CM_NET_HTTP_H

#include "base/err.h"
#include "base/mem.h"

/* What the requests to one service have in common. Texts are copied. */
struct http_options {
    int error_code;         /* ERR_STREAM, ERR_STORAGE, … */
    int connect_timeout_ms; /* 0: 10 s */
    /* How long a request goes on once a signal has asked the program to stop; 0: it ends at once. */
    int stop_grace_ms;
    const char *ca_file;   /* PEM: who signs servers' certificates; NULL: those the system trusts */
    const char *cert_file; /* PEM: the certificate we show, its key with it; NULL: none */
    bool direct;           /* past any proxy the environment names */
};

/*
 * The options and a pool of open connections, which are used again. Safe to use from several
 * threads; not after a fork.
 */
struct http_client;
struct http_client *http_client_new(const struct http_options *o);
void http_client_free(struct http_client *h);
static inline void http_client_freep(struct http_client **h) {
    http_client_free(*h);
}

/* Bytes of an open file from `offset` on. Its position is neither used nor moved. */
struct http_file {
    int fd;
    int64_t offset;
    int64_t len;
};

struct http_request {
    const char *method; /* NULL: GET */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
    /* What is sent: these bytes, or those of a file; neither: PUT and POST send an empty body. */
    const void *body;
    size_t body_len;
    const struct http_file *upload;
    /* Where the body of an answer 2xx goes, at most `len` bytes; NULL, and any other answer: memory. */
    const struct http_file *download;
    size_t max_body;   /* of an answer in memory; must be set */
    int timeout_ms;    /* of the whole exchange; 0: 60 s, or with stall_ms none */
    int stall_ms;      /* not even 1 KiB/s over that time, in whole seconds, is an error; 0: none */
    int max_redirects; /* 0: a redirect is an answer like any other */
    bool negotiate;    /* log in by Kerberos (SPNEGO) with the ticket there is */
    bool told_end;     /* an answer 2xx that does not tell where its body ends was cut short */
    /*
     * For what must not be done twice: libcurl sends a request again on its own where an open
     * connection, used again, turns out dead. This one goes over a new connection.
     */
    bool once;
};

struct http_answer {
    int status;         /* 200, … */
    struct buf headers; /* for http_header */
    struct buf body;
    int64_t downloaded; /* bytes written to the file */
};

/* The URL in messages is masked: no user, no password, no parameter that may be a secret. */
int http_fetch(struct http_client *h, const struct http_request *q, struct http_answer *ret,
               struct err *e);
/* The value of the first header of that name, whatever its case; NULL: none. */
const char *http_header(const struct http_answer *a, const char *name);
/* Retry-After in ms, an hour at most; 0: not told, or as a date. */
int http_wait_ms(const struct http_answer *a);
void http_answer_release(struct http_answer *a);

/* Can this libcurl log in by Kerberos? */
bool http_has_negotiate(void);
/* "http://…" or "https://…". */
bool http_is_url(const char *text);

#endif
