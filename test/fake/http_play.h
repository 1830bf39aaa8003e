/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A web server that plays what a real one does on bad days. For a kind of request (its method, and a
 * text its target holds) a list of answers, one after the other; the last one stays. The rule made last
 * counts first; what no rule is for is answered with 418.
 */
#ifndef CM_FAKE_HTTP_PLAY_H
#define CM_FAKE_HTTP_PLAY_H

#include "fake/http_server.h"

struct http_play;
struct http_play *http_play_new(void);
void http_play_free(struct http_play *p);
int http_play_port(const struct http_play *p);
/* From now on nobody answers. */
void http_play_stop(struct http_play *p);

/* method NULL: any. The length of the body is told, unless said otherwise. */
void http_play_answer(struct http_play *p, const char *method, const char *target, int status,
                      const char *headers, const char *body);
/* To HEAD: of an object of that size. */
void http_play_answer_head(struct http_play *p, const char *target, const char *headers,
                           int64_t size);
/* One more answer for the rule made last. */
void http_play_then(struct http_play *p, int status, const char *headers, const char *body);
/* The connection is reset in place of the answer; half of it is sent. */
void http_play_reset(struct http_play *p, const char *method, const char *target);
void http_play_cut(struct http_play *p, const char *method, const char *target, const char *body);
/* The connection is reset as soon as so many bytes of the request's body have come. */
void http_play_cut_request(struct http_play *p, const char *method, const char *target, size_t at);
/*
 * 200 with a body whose length is not told: it ends with the connection. Its last `repeat_len` bytes come
 * `repeat` times more.
 */
void http_play_open_end(struct http_play *p, const char *method, const char *target,
                        const char *body, int repeat, size_t repeat_len);
/* The answer made last comes so much later. */
void http_play_delay(struct http_play *p, int ms);
/* fn is called when a request of the rule made last comes, before its answer. */
void http_play_hook(struct http_play *p, void (*fn)(void *arg), void *arg);

/* How many requests of this kind came so far. */
int http_play_count(struct http_play *p, const char *method, const char *target);
/* The head of the last one of this kind; the caller frees. NULL: none. */
char *http_play_head(struct http_play *p, const char *method, const char *target);

#endif
