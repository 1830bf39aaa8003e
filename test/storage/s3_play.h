/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that answers by script (fake/http_play.h), and the lake in it. Put-if-absent is proven from the
 * start, unless a test plays that too.
 */
#ifndef CM_TEST_STORAGE_S3_PLAY_H
#define CM_TEST_STORAGE_S3_PLAY_H

#include "fake/http_play.h"
#include "storage/s3_helper.h"

struct s3_play {
    struct http_play *http;
    char endpoint[64];
    struct s3_lake *lake;
    struct storage *st; /* NULL: not opened yet */
};

struct s3_play *s3_play_new(void);
void s3_play_free(struct s3_play *p);
/*
 * The lake s3://shop-lake/lake in it; freed by the play's end. It has more patience than any machine
 * needs: where a test waits for its end, patience_ms says when that is.
 */
struct storage *s3_play_lake(struct s3_play *p);

#define S3_ERROR(code, more)                                                                       \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" code                               \
    "</Code><Message>played " code "</Message>" more "</Error>"

#endif
