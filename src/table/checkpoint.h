/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: the whole state of a table at one version in one Parquet file, so that a reader
 * needs no earlier entry (PROTOCOL.md "Checkpoints", the classic form, V1). Written and read with
 * DuckDB, whatever engine runs the models, since the files are small and local to the log.
 *
 * A checkpoint is a help, never a second truth: it is made from the entries and the checkpoint
 * before, checked against the snapshot in memory, and left out where anything does not agree.
 * `_last_checkpoint` is a hint where to begin listing; a wrong or missing one costs time only.
 */
#ifndef CM_TABLE_CHECKPOINT_H
#define CM_TABLE_CHECKPOINT_H

#include "table/parquet_session.h"
#include "table/snapshot.h"

/* How long removals stand in our checkpoints at least: delta.deletedFileRetentionDuration where not set. */
#define CHECKPOINT_KEEPS_REMOVES_MS (7 * 86400000LL)

/* What the table's log folder holds. */
struct log_listing {
    int64_t first, last;     /* oldest and newest entry; -1: none */
    int64_t checkpoint;      /* newest complete one we can read; -1: none */
    int64_t parts;           /* its number of files; 1: a single one without a number */
    bool foreign_checkpoint; /* there is one of a kind we cannot read (V2) */
};
/*
 * hinted: only from the checkpoint on that `_last_checkpoint` names, if it is there; first is then
 * not the log's first. Else all there is.
 */
int log_list(const struct table *tb, bool hinted, struct log_listing *ret, struct err *e);
/* The same, all there is, but of the checkpoints only those of a version <= up_to. */
int log_list_up_to(const struct table *tb, int64_t up_to, struct log_listing *ret, struct err *e);
/* The version that a file in the log's folder belongs to: an entry, a checkpoint, a .crc; -1: none. */
int64_t log_name_version(const char *name);

/* "<table>/_delta_log/<version>.checkpoint.parquet", or part i of n. The caller frees. */
char *checkpoint_path(const struct table_def *def, int64_t version, int64_t part, int64_t parts);
/* The list of a checkpoint's files as SQL: ['…', '…']. */
int checkpoint_add_files(struct parquet_session *s, const struct log_listing *l, struct buf *sql,
                         struct err *e);

/* Fills a table that holds nothing yet. On any error it still holds nothing. */
int checkpoint_load(struct table *tb, const struct log_listing *l, struct err *e);

#endif
