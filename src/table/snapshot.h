/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table as the log's entries add up to it (PROTOCOL.md "Action Reconciliation"): kept in memory,
 * moved on one entry at a time, always at a version that exists.
 */
#ifndef CM_TABLE_SNAPSHOT_H
#define CM_TABLE_SNAPSHOT_H

#include "table/log.h"
#include "table/strmap.h"

/* For hints. A layer above counts what it took from the old table: it must go too. */
#define TABLE_ANEW                                                                                 \
    "move the table's folder away, with those of the layers above it, and let clickmill make "     \
    "them anew"

struct table {
    struct storage *st;            /* not ours */
    const struct table_def *given; /* by the caller; it may have no columns */
    const struct table_def *def;   /* the same, or `declared` */
    struct table_def *declared;    /* `given` with the columns of the log; NULL: not needed */
    int64_t version;               /* -1: no such table yet */
    char *id;
    struct table_files live; /* by path once `sorted` */
    bool sorted;
    struct strmap by_path; /* path → index in live */
    struct log_txn *txn;
    size_t n_txn;
    struct strmap by_app;             /* appId → index in txn */
    struct json_doc *protocol, *meta; /* the newest lines of their kind */
    bool append_only;
    bool keeps_stats;    /* the live files' statistics stay in memory */
    struct err no_write; /* why the table must not be written to; code 0: it may */
};

/* A table that holds nothing yet, as before version 0; table_close ends it. */
struct table *snapshot_new(struct storage *st, const struct table_def *given);
/* Reads one entry; ERR_NOT_FOUND if there is none of that version. Messages name the file. */
int snapshot_load(const struct table *tb, int64_t version, struct log_entry *ret, struct err *e);
/* Moves the table on by the entry, which must be the next one; takes what it needs out of it. */
int snapshot_apply(struct table *tb, struct log_entry *en, struct err *e);
/* The table as a checkpoint says: all actions there are, in one. It must hold nothing yet. */
int snapshot_start(struct table *tb, struct log_entry *en, struct err *e);
/*
 * That the entry we stand at is still there; ERR_NOT_FOUND. Then the log was cleaned past us, the
 * next entry may have come and gone too, and to write it again would fork the table.
 */
int snapshot_check_end(const struct table *tb, struct err *e);

#endif
