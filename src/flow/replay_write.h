/* SPDX-License-Identifier: Apache-2.0 */
/* The open batch of a replay: one file a day, committed together with the number of rows replayed. */
#ifndef CM_FLOW_REPLAY_WRITE_H
#define CM_FLOW_REPLAY_WRITE_H

#include "flow/replay.h"
#include "parquet/bronze.h"

struct replay_batch {
    struct storage *st;
    struct table *tb;
    const struct replay_options *o;
    char stage[LIMIT_PATH]; /* local folder; "": none yet */
    char *position;
    int64_t at; /* rows replayed when the batch's rows were chosen; -1: none */
    struct bronze_group *group;
    struct parquet_file *file; /* of `day`; NULL: none is open */
    char *local;
    int32_t day;
    struct table_files adds; /* finished, not published */
    char **locals;           /* of each of them */
    uint64_t files_made;
    int64_t rows;
    int64_t committed, commits; /* so far */
};

void replay_batch_init(struct replay_batch *b, struct storage *st, struct table *tb,
                       const struct replay_options *o);
void replay_batch_release(struct replay_batch *b);
/* Rows are chosen from now on: the table as it stands is what they must be committed to. */
void replay_batch_begin(struct replay_batch *b);
/* Days in order. Commits when it is full. ERR_CONFLICT: another replay was faster; begin anew. */
int replay_batch_add(struct replay_batch *b, const struct event *ev,
                     const struct bronze_source *src, struct err *e);
int replay_batch_commit(struct replay_batch *b, struct err *e);
/* Forgets what is not committed. */
void replay_batch_drop(struct replay_batch *b);

#endif
