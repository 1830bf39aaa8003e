/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that answers by script, to play what a real one does on bad days. For a kind of request (its
 * method, and a text its target holds) a list of answers, one after the other; the last one stays. The rule
 * made last counts first. Put-if-absent is proven from the start, unless a test plays that too.
 */
#ifndef CM_TEST_STORAGE_S3_PLAY_H
#define CM_TEST_STORAGE_S3_PLAY_H

#include "fake/http_server.h"
#include "storage/s3_helper.h"

struct s3_play;

struct s3_play *s3_play_new(void);
void s3_play_free(struct s3_play *p);
const char *s3_play_endpoint(const struct s3_play *p);
/* The lake s3://shop-lake/lake in it; freed by the play's end. */
struct storage *s3_play_lake(struct s3_play *p);

void s3_play_answer(struct s3_play *p, const char *method, const char *target, int status,
                    const char *headers, const char *body);
/* To HEAD: of an object of that size. */
void s3_play_answer_head(struct s3_play *p, const char *target, const char *headers, int64_t size);
/* One more answer for the rule made last. */
void s3_play_then(struct s3_play *p, int status, const char *headers, const char *body);
/* The connection is reset in place of the answer; half of it is sent. */
void s3_play_reset(struct s3_play *p, const char *method, const char *target);
void s3_play_cut(struct s3_play *p, const char *method, const char *target, const char *body);
/* 200 with a body whose length is not told: it ends with the connection. */
void s3_play_open_end(struct s3_play *p, const char *method, const char *target, const char *body);
/* The answer made last comes so much later. */
void s3_play_delay(struct s3_play *p, int ms);
/* fn is called when a request of the rule made last comes, before its answer. */
void s3_play_hook(struct s3_play *p, void (*fn)(void *arg), void *arg);

/* How many requests of this kind came so far. */
int s3_play_count(struct s3_play *p, const char *method, const char *target);
/* The head of the last one of this kind; the caller frees. NULL: none. */
char *s3_play_head(struct s3_play *p, const char *method, const char *target);

#define S3_ERROR(code, more)                                                                       \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" code                               \
    "</Code><Message>played " code "</Message>" more "</Error>"

#endif
