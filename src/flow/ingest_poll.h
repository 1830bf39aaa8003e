/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first stage of ingest, for its own files: ingest_poll.c reads and follows the assignments,
 * ingest_span.c fills the units, ingest_ends.c knows when --once is done.
 */
#ifndef CM_FLOW_INGEST_POLL_H
#define CM_FLOW_INGEST_POLL_H

#include "flow/ingest_priv.h"

struct poller {
    struct ingest *in;
    struct unit *u; /* being filled */
    uint64_t seq;
    unsigned generation;
    /* the open batch */
    bool batch_open;
    int64_t batch_records, batch_bytes, batch_since_ns;
    /* the partitions that are ours: the next offset of each; -1: where it begins is not known yet */
    struct position *at;
    size_t n_at;
    struct bounds *begins; /* while it is asked with UNIT_BEGIN */
    size_t n_begins;
    bool read_again; /* ask for all positions anew; nothing is in flight */
    /* once: where to stop, and where the table stood when last asked */
    struct bounds *ends;
    int64_t *seen;
    size_t n_ends;
    int64_t asked_ns;
    int64_t progress_ns;
    int pause_ms; /* the last pause for a stream that does not answer; 0: it does */
};

/* --- ingest_span.c: what a poll brought goes into units --- */

/* An empty unit; NULL when the writer has closed the way back. */
struct unit *poller_unit(struct poller *p);
bool poller_send(struct poller *p, struct unit *u, enum unit_kind kind);
/* Makes sure that there is a unit to fill. */
bool poller_need_unit(struct poller *p);
bool poller_send_span(struct poller *p, bool ends_batch);
/* Forgets what was read and not sent. */
void poller_drop_span(struct poller *p);
bool poller_span_is_full(const struct poller *p);
bool poller_batch_is_due(const struct poller *p);

struct position *poller_position(struct poller *p, int32_t partition);
/*
 * Takes in what a poll appended to the span behind `from` records and `bytes`, what it passed over
 * and what it lost. ERR_BUG when the stream breaks its contract: another's partition, a repeat.
 */
int poller_note(struct poller *p, const struct poll_result *pr, size_t from, size_t bytes,
                struct err *e);

/* --- ingest_poll.c --- */

/*
 * What is open of the batch goes to the writer to be committed, once the stream has confirmed that
 * it is of the topic we know.
 */
int poller_end_batch(struct poller *p, struct err *e);
/* Hands a question through the pipeline, behind all that was sent, and waits for the writer's answer. */
struct position *poller_ask(struct poller *p, enum unit_kind kind, const int32_t *parts, size_t n,
                            bool lost);

/* --- ingest_ends.c: when is --once done? --- */

/* Looks where the stream ends; *ret_done: the table has all of it already. */
int ends_start(struct poller *p, bool *ret_done, struct err *e);
/* We have read, and the others have committed, all of it; asks the table now and then. */
int ends_reached(struct poller *p, bool *ret, struct err *e);
/* ERR_STREAM when nothing has come for too long. */
int ends_check_timeout(const struct poller *p, struct err *e);

#endif
