/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last stage of ingest, for its own two files: ingest_write.c takes units in their order and
 * answers the poll thread's questions; ingest_batch.c makes files of them and commits;
 * ingest_begin.c is the app's first look at a topic.
 */
#ifndef CM_FLOW_INGEST_WRITE_H
#define CM_FLOW_INGEST_WRITE_H

#include "flow/ingest_priv.h"

/* One partition that is ours. */
struct partition_state {
    int32_t partition;
    int64_t committed; /* the table's txn, -1: none */
    bool in_batch;
    int64_t from, next, records; /* what the open batch covers */
};

struct open_file {
    int32_t day;
    struct parquet_file *file;
    char *local;
};

struct writer {
    struct ingest *in;
    struct table *tb;
    const char *stage;
    uint64_t files_made;
    struct ingest_result *sum;
    /* Whose positions these are; copies, because the stream is the poll thread's. */
    char *source;   /* "<app>/<cluster id>/<topic>"; NULL: not asked yet */
    char *topic_id; /* NULL: not known */
    bool begun;     /* it was looked at where its partitions begin */
    struct partition_state *parts;
    size_t n_parts;
    /* the open batch; none is open while n_covered is 0 */
    unsigned generation;
    struct open_file *files;
    size_t n_files;
    struct table_files adds; /* published already, when there were too many days to keep open */
    size_t n_covered;        /* partitions in it */
    int64_t records, bytes, events, rejected;
    struct loss *losses;
    size_t n_losses, cap_losses;
    /* units that came before their turn */
    struct unit *waiting[MAX_INFLIGHT];
    uint64_t next_seq;
};

struct partition_state *writer_part(struct writer *w, int32_t partition);

/* Refreshes the table, waiting for a lake that does not answer. */
int writer_look_again(struct writer *w, struct err *e);

/* ingest_begin.c: notes where the partitions begin, unless somebody did. */
int begin_note(struct writer *w, const struct unit *u, struct err *e);

/* Takes the unit's rows and positions into the open batch. */
int batch_take(struct writer *w, struct unit *u, struct err *e);
/* It notes so much that it should end, full or not. */
bool batch_is_wide(const struct writer *w);
/* Commits what is open. 0 also when the batch was refused and dropped: the generation tells. */
int batch_commit(struct writer *w, struct err *e);
/* Tells the caller where things stand now: after a commit, and when a batch was dropped. */
void batch_tell(struct writer *w);
/* Forgets what is open. */
void batch_drop(struct writer *w);
void batch_release(struct writer *w);

#endif
