/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A web server on 127.0.0.1 that gives every request the same scripted answer, byte by byte as
 * the test wrote it, so that broken servers can be played too. One connection at a time.
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
};

struct http_server *http_server_start(const struct http_script *script);
/* "http://127.0.0.1:PORT/products" */
const char *http_server_url(const struct http_server *s);
/* The request that came last, as text, once the server is stopped. */
const char *http_server_request(const struct http_server *s);
int http_server_requests(const struct http_server *s); /* how many there were, after stop */
void http_server_stop(struct http_server *s);
void http_server_free(struct http_server *s); /* stops it too */

#endif
