/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP client: one request, one answer in memory, with every bound set. The only user of
 * libcurl. TLS certificates and host names are always checked; http and https are the only
 * protocols, also behind a redirect.
 *
 * Any status the server gives is an answer, not an error: the caller judges it. Errors (no
 * connection, timeout, an answer too large, …) carry the code the caller chose, and retry where
 * the same request may work a moment later.
 */
#ifndef CM_NET_HTTP_H
#define CM_NET_HTTP_H

#include "base/err.h"
#include "base/mem.h"

struct http_request {
    const char *method; /* NULL: GET */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
    const void *body;           /* NULL: none */
    size_t body_len;
    int connect_timeout_ms; /* 0: 10 s */
    int timeout_ms;         /* of the whole exchange; 0: 60 s */
    size_t max_body;        /* of the answer; must be set */
    int max_redirects;      /* 0: a redirect is an answer like any other */
    int error_code;         /* ERR_STREAM, ERR_STORAGE, … */
};

struct http_answer {
    int status;         /* 200, … */
    char *content_type; /* NULL: none */
    struct buf body;
};

/* Safe to call from several threads. The URL in messages is masked (no user, no password). */
int http_fetch(const struct http_request *q, struct http_answer *ret, struct err *e);
void http_answer_release(struct http_answer *a);

/* "http://…" or "https://…". */
bool http_is_url(const char *text);

#endif
