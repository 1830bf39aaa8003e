/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A web server on 127.0.0.1 that answers by script, byte by byte as the test wrote it, so that
 * broken servers can be played too: the same answer to every request, one after the other from a
 * list, or what a function chooses. Connections are served side by side.
 */
#ifndef CM_FAKE_HTTP_SERVER_H
#define CM_FAKE_HTTP_SERVER_H

#include "base/mem.h"

struct http_server;

struct http_script {
    const char *answer; /* status line, headers, body */
    size_t len;         /* 0: strlen(answer) */
    int delay_ms;       /* before the answer */
    int repeat;         /* the last `repeat_len` bytes are sent this many times more */
    size_t repeat_len;
    bool keep;  /* the connection stays open for another request */
    bool reset; /* the connection is reset, after what there is of an answer */
    size_t cut; /* the same, as soon as so many bytes of the request's body have come; 0: no */
};

struct http_server *http_server_start(const struct http_script *script);
/* The i-th request gets the i-th answer; those after the last get the last. */
struct http_server *http_server_start_list(const struct http_script *scripts, size_t n);
/* Called with each request's head as text, one at a time; what it returns lives until the stop. */
struct http_server *
http_server_start_choice(const struct http_script *(*choose)(void *arg, const char *request),
                         void *arg);

/* "http://127.0.0.1:PORT/products" */
const char *http_server_url(const struct http_server *s);
int http_server_port(const struct http_server *s);
/* The request that came last, as text, cut at 16 KiB, once the server is stopped; the one before. */
const char *http_server_request(const struct http_server *s);
const char *http_server_request_at(const struct http_server *s, int i);
/* How many bytes of its body came. */
size_t http_server_request_body_len(const struct http_server *s, int i);
int http_server_requests(const struct http_server *s);    /* how many there were, after stop */
int http_server_connections(const struct http_server *s); /* likewise */
void http_server_stop(struct http_server *s);
void http_server_free(struct http_server *s); /* stops it too */

#endif
