/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the three stages of ingest share. Units travel poll -> decode -> write and, empty again,
 * back to poll: their number bounds the memory. Each carries its sequence number; the writer puts
 * them back in order.
 *
 * Each batch is read in one generation. When the writer drops a batch it raises the generation:
 * units of the old one are void, and poll reads again from the positions in the table.
 */
#ifndef CM_FLOW_INGEST_PRIV_H
#define CM_FLOW_INGEST_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "flow/ingest.h"
#include "parquet/bronze.h"
#include "table/table.h"

enum {
    SPAN_RECORDS = 64 * 1024, /* a unit becomes one row group (one a day) */
    SPAN_BYTES = 16 * MIB,
    SPAN_RANGES = 4096, /* ranges and losses: bounds what a commit notes (note.h) */
    MAX_INFLIGHT = 64,
};

enum unit_kind {
    UNIT_SPAN,
    UNIT_ASSIGN, /* partitions became ours: the writer answers with their positions */
    UNIT_BEGIN, /* the same, when the app has never read of the topic: where its partitions begin */
    UNIT_REVOKE, /* partitions go away: the writer answers when nothing of them is open */
    UNIT_ASK,    /* where does the table stand, whoever has read it? The writer answers */
    UNIT_END,    /* the poll thread is done, or failed (ingest.poll_err) */
};

/* What a span covers of one partition: offsets start <= o < next, of which so many were records. */
struct range {
    int32_t partition;
    int64_t start, next, records;
};

struct piece {
    int32_t day; /* ingest_date */
    struct encoded *en;
};

struct unit {
    enum unit_kind kind;
    uint64_t seq;
    unsigned generation;
    bool ends_batch;
    /* UNIT_SPAN: filled by poll */
    struct span *span;
    struct range *ranges;
    size_t n_ranges, cap_ranges;
    struct loss *losses; /* within the ranges */
    size_t n_losses, cap_losses;
    /* filled by decode */
    struct piece *pieces;
    size_t n_pieces, cap_pieces;
    int64_t rejected;
    /* UNIT_ASSIGN, UNIT_BEGIN, UNIT_REVOKE, UNIT_ASK */
    int32_t *partitions;
    size_t n_partitions;
    const struct bounds *begins; /* UNIT_BEGIN: of all partitions; the poll thread's, which waits */
    size_t n_begins;
    bool lost;
    bool open; /* lost: poll has dropped what it had of a batch */
};

struct ingest {
    struct stream *s; /* the poll thread's */
    struct storage *st;
    const struct ingest_options *o;
    struct queue *to_decode;  /* poll -> decode */
    struct queue *to_write;   /* decode -> write */
    struct queue *free_units; /* write -> poll */
    struct unit *units;
    size_t n_units;
    int decoders_left;
    pthread_mutex_t lock; /* guards reply, committed, decoders_left */
    pthread_cond_t replied;
    struct position *reply; /* writer -> poll: where to read, one per asked partition */
    bool reply_ready;
    struct position *committed; /* writer -> poll: in the table, the stream not yet told */
    size_t n_committed, cap_committed;
    atomic_uint generation; /* raised by the writer when positions must be read again */
    atomic_bool wide;       /* writer -> poll: the batch holds enough files or ranges, end it */
    atomic_bool failed;
    struct err poll_err;
    bool stopped_early;
};

/* Thread bodies; arg: struct ingest. */
void *ingest_poll_thread(void *arg);
void *ingest_decode_thread(void *arg);

/* The last stage, in the caller's thread, until the poll thread has ended. Sums up in ret. */
int ingest_write(struct ingest *in, struct table *tb, const char *stage, struct ingest_result *ret,
                 struct err *e);

#endif
