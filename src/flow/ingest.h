/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream -> bronze. Each record read becomes rows of bronze/events: decoded, or with the reason why
 * not and its bytes. A batch is one commit that holds the rows and the positions they reach
 * (txn <app>/<cluster id>/<topic>/<partition> = next offset to read), so a crash at any instruction
 * leaves both or neither. The commit is a compare-and-swap on those positions: when another process was
 * faster the batch is dropped and the positions are read again. What else the commit says of the
 * stream: note.h.
 *
 * Partitions come and go (other processes of the same app): positions are read from the table when
 * one comes, what is open is committed before one goes, and dropped when it has gone already.
 *
 * Threads: poll -> decode (N) -> write and commit (the caller's thread). The poll thread makes all
 * calls on the stream. See ARCHITECTURE.md.
 */
#ifndef CM_FLOW_INGEST_H
#define CM_FLOW_INGEST_H

#include "base/err.h"
#include "storage/storage.h"
#include "stream/stream.h"

/* What this run has committed; all counts are since its start. */
struct ingest_result {
    int64_t records, bytes; /* read from the stream and committed */
    int64_t events;         /* rows written to bronze, rejected ones among them */
    int64_t rejected;
    int64_t commits, files;
    int64_t conflicts; /* commits refused because another process had moved a position */
    int64_t drops;     /* batches thrown away and read again: conflicts, and assignments lost */
    int64_t lost; /* offsets gone from the stream before they were read, accepted (accept_loss) */
    int64_t rebalances; /* assignments and revocations, as stream_stats says */
    /*
     * Where each partition that is ours now stands in the table; -1: nothing committed yet. By
     * partition number; valid during on_commit only, NULL in what flow_ingest returns.
     */
    const struct position *positions;
    size_t n_positions;
};

struct ingest_options {
    const char *app;
    int threads; /* that decode and encode */
    int64_t batch_rows, batch_bytes, batch_age_ms;
    bool keep_raw;
    int64_t checkpoint_interval; /* commits; 0: never */
    int zstd_level;
    bool once; /* stop at the end offsets seen at the start */
    int64_t
        timeout_ms; /* how long to wait for a lake, and with once for a stream, that gives nothing */
    /* After each commit and each dropped batch, with the totals so far, from the caller's thread; may be NULL. */
    void (*on_commit)(void *arg, const struct ingest_result *sum);
    void *arg;
};

/*
 * Runs until the ends are reached (once) or a stop is asked for. Once: an end is reached when the
 * table says so, whoever has read it: several processes share the work and all wait for all of it.
 * A stop finishes the batch: 0, or ERR_STOPPED with `once`. Errors: ERR_STREAM, ERR_STORAGE; what
 * was committed stays. A topic that is not the one bronze has positions of (deleted, made anew) is
 * ERR_STREAM before anything is read.
 */
int flow_ingest(struct stream *s, struct storage *st, const struct ingest_options *o,
                struct ingest_result *ret, struct err *e);

#endif
