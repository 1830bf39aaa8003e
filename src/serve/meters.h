/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All metrics of clickmill: one table gives what /metrics writes and the list in
 * docs/operations.md (`clickmill docs metrics`).
 */
#ifndef CM_SERVE_METERS_H
#define CM_SERVE_METERS_H

#include "serve/metrics.h"

/* Which parts of the program a metric belongs to. */
enum {
    METERS_PROCESS = 1,
    METERS_INGEST = 2, /* ingest, the stream it reads, the partitions */
    METERS_RUN = 4,    /* silver, gold, check, load */
    METERS_PRODUCE = 8,
    METERS_LAKE = 16, /* the storage, the tables */
};

enum meter {
    M_BUILD,
    M_LIVE,
    M_READY,
    M_CPU,
    M_RESIDENT,
    M_VIRTUAL,
    M_START,
    M_OPEN_FDS,
    M_MAX_FDS,
    M_INGEST_RECORDS,
    M_INGEST_BYTES,
    M_INGEST_EVENTS,
    M_INGEST_REJECTED,
    M_INGEST_COMMITS,
    M_INGEST_FILES,
    M_INGEST_CONFLICTS,
    M_INGEST_DROPS,
    M_INGEST_LOST,
    M_INGEST_BATCH,
    M_INGEST_COMMIT_SECONDS,
    M_INGEST_LAST_COMMIT,
    M_STREAM_READ,
    M_STREAM_LOST,
    M_STREAM_REBALANCES,
    M_STREAM_ERRORS,
    M_STREAM_BROKERS,
    M_STREAM_QUEUED,
    M_PARTITION_ASSIGNED,
    M_PARTITION_BEGIN,
    M_PARTITION_END,
    M_PARTITION_COMMITTED,
    M_PARTITION_LAG,
    M_PARTITION_LAG_SECONDS,
    M_PARTITION_RETENTION,
    M_SILVER_COMMITS,
    M_SILVER_EVENTS,
    M_SILVER_REJECTED,
    M_SILVER_DUPLICATES,
    M_SILVER_CONFLICTS,
    M_SILVER_ROWS,
    M_SILVER_BY_INDEX,
    M_SILVER_INDEX_KEYS,
    M_GOLD_COMMITS,
    M_GOLD_DATES,
    M_GOLD_ROWS,
    M_GOLD_FAILED,
    M_CHECK_FAILING,
    M_CHECK_FAILURES,
    M_LOAD_BLOCKED,
    M_LOAD_LOADS,
    M_LOAD_DATES,
    M_LOAD_UPSERTED,
    M_LOAD_UNCHANGED,
    M_LOAD_DELETED,
    M_LOAD_FAILED,
    M_LOAD_GOLD_VERSION,
    M_RUNS,
    M_RUN_SECONDS,
    M_STEP_SECONDS,
    M_STEP_FAILURES,
    M_STEP_RETRIES,
    M_STEP_LAST_SUCCESS,
    M_PRODUCE_SENT,
    M_PRODUCE_BYTES,
    M_PRODUCE_ACKED,
    M_PRODUCE_FAILED,
    M_STORAGE_SECONDS,
    M_STORAGE_ERRORS,
    M_TABLE_VERSION,
    M_TABLE_ROWS,
    M_TABLE_FILES,
    M_TABLE_BYTES,
    M_TABLE_BEHIND,
    M_TABLE_COMMIT_AGE,
    M_TABLE_DATA_AGE,
    M_SAMPLE_ERRORS,
    M_SAMPLE_TIME,
    M_N,
};
extern const struct metric_def meters[M_N];

/* The table in Markdown: name, type, unit, meaning. */
void meters_document(struct buf *out);

/* process_…: what the kernel says of this process, as of now. */
void meters_process(struct metrics *m);

#endif
