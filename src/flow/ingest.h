/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream -> bronze. Each record read becomes rows of bronze/events: decoded, or with the reason why
 * not and its bytes. A batch is one commit that holds the rows and the positions they reach
 * (txn <app>/<cluster id>/<topic>/<partition> = next offset to read), so a crash at any instruction
 * leaves both or neither. The commit is a compare-and-swap on those positions: when another process was
 * faster the batch is dropped and the positions are read again.
 *
 * Threads: poll -> decode (N) -> write and commit (the caller's thread). See ARCHITECTURE.md.
 */
#ifndef CM_FLOW_INGEST_H
#define CM_FLOW_INGEST_H

#include "base/err.h"
#include "storage/storage.h"
#include "stream/stream.h"

struct ingest_result {
    int64_t records, bytes; /* read from the stream and committed */
    int64_t events;         /* rows written to bronze, rejected ones among them */
    int64_t rejected;
    int64_t commits, files, conflicts;
};

struct ingest_options {
    const char *app;
    int threads; /* that decode and encode */
    int64_t batch_rows, batch_bytes, batch_age_ms;
    bool keep_raw;
    int zstd_level;
    bool once;          /* stop at the end offsets seen at the start */
    int64_t timeout_ms; /* once: how long to wait for a stream that gives nothing */
    /* After each commit, with the totals so far; may be NULL. */
    void (*on_commit)(void *arg, const struct ingest_result *sum);
    void *arg;
};

/*
 * Runs until the ends are reached (once) or a stop is asked for. A stop finishes the batch: 0, or
 * ERR_STOPPED with `once`. Errors: ERR_STREAM, ERR_STORAGE; what was committed stays.
 */
int flow_ingest(struct stream *s, struct storage *st, const struct ingest_options *o,
                struct ingest_result *ret, struct err *e);

/* "<app>/<cluster id>/<topic>/<partition>"; the caller frees. */
char *ingest_app_id(const char *app, const struct stream *s, int32_t partition);

#endif
