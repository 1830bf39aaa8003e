/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table log: the only place that decides what is in a table. A table is a folder of Parquet
 * files plus `_delta_log/`, written as plain Delta Lake, reader version 1, writer version 2
 * (delta-io/delta PROTOCOL.md). A step's progress (txn) stands in the same commit as its rows.
 *
 * A struct table is one process's view of one table at one version; refresh moves it on. It is
 * used by one thread. Tables that ask for more than this file knows are refused: on read for an
 * unknown reader version or feature, on write for an unknown writer version, feature or setting.
 */
#ifndef CM_TABLE_TABLE_H
#define CM_TABLE_TABLE_H

#include "base/err.h"
#include "base/schema.h"
#include "storage/storage.h"

struct table;

/*
 * Reads the table at its newest version. A table that does not exist yet has version -1 and no files.
 * A definition without columns takes those that the log declares; with columns, they must be there,
 * in their types. Those that came later may be missing: they are NULL, and the next commit adds them.
 */
int table_open(struct storage *st, const struct table_def *def, struct table **ret, struct err *e);
void table_close(struct table *tb);
static inline void table_closep(struct table **tb) {
    table_close(*tb);
}
/* Reads the commits made since. Cheap when there are none (one look-up). */
int table_refresh(struct table *tb, struct err *e);

/* With the log's columns, if the caller's definition had none; valid until the next refresh or commit. */
const struct table_def *table_definition(const struct table *tb);
int64_t table_version(const struct table *tb);    /* -1: no such table yet */
const char *table_id(const struct table *tb);     /* metaData id; NULL: no such table yet */
int64_t table_created_ms(const struct table *tb); /* metaData createdTime; 0: unknown */
/* The txn version of an appId; -1 if it has none. */
int64_t table_txn(const struct table *tb, const char *app_id);
/* Calls fn for each txn whose appId starts with prefix; stops at and returns the first non-zero. */
int table_txn_each(const struct table *tb, const char *prefix,
                   int (*fn)(void *arg, const char *app_id, int64_t version), void *arg);
/* 0, or why clickmill must not write to the table as it stands: before work is done for nothing. */
int table_check_writable(const struct table *tb, struct err *e);
/* The live files, in byte order of their paths. Valid until the next refresh or commit. */
const struct table_files *table_live(const struct table *tb);
bool table_has_file(const struct table *tb, const char *path); /* a live one */

struct table_txn {
    const char *app_id;
    int64_t expected; /* what the table must still hold, -1 = nothing; else ERR_CONFLICT */
    int64_t next;
};

struct table_metric {
    const char *name;
    int64_t value;
};

/* A name and a text: of operationParameters and operationMetrics, where Delta keeps texts only. */
struct table_text {
    char *name, *value;
};

struct table_commit {
    const char *operation;            /* "WRITE", "STREAMING UPDATE", … */
    const struct table_files *add;    /* published already; may be NULL */
    const struct table_files *remove; /* live files this commit takes out; may be NULL */
    const struct table_txn *txn;      /* no appId twice */
    size_t n_txn;
    const struct table_metric *metrics; /* go to operationMetrics, as texts */
    size_t n_metrics;
    /* go to operationParameters, beside Delta's own (mode, partitionBy), in this order */
    const struct table_text *parameters;
    size_t n_parameters;
    bool data_change; /* false: the rows are only rearranged */
    /*
     * The columns the table has from this commit on; it must replace all rows of a table that had
     * others. NULL: as they are. A table that was opened without columns is made with these.
     */
    const struct table_def *define;
};

/*
 * Writes one log entry; creates the table if it is not there. Retries behind other writers'
 * commits as Delta's conflict rules allow, re-checking every txn each time. On ERR_CONFLICT (a
 * txn is not as expected, or another writer removed a file this commit removes, or added data to
 * a partition this commit replaces) nothing was written; refresh and decide anew.
 * On success the table stands at the new version. An ambiguous write is settled by looking for
 * our own txnId in the entry; if even that fails, the error says that the outcome is not known and
 * the entry may still turn up. So never delete published files because a commit failed: what no
 * entry names is vacuum's, but for those of table_discard.
 */
int table_commit(struct table *tb, const struct table_commit *c, int64_t *ret_version,
                 struct err *e);
/*
 * Removes files that were published for a commit that came to `r`, where they are certainly in no
 * entry: it was refused, or never tried (ERR_CONFLICT, ERR_BUG). After any other error they stay.
 */
void table_discard(const struct table *tb, const struct table_files *files, int r);

/*
 * Folds the log up to the version the table stands at into a checkpoint, so that readers need no
 * earlier entry. Nothing to do is success: no table yet, or a checkpoint as new as that. The
 * checkpoint is compared with the snapshot before it is published; ERR_STORAGE if it differs.
 */
int table_checkpoint(struct table *tb, struct err *e);

/* The version of the newest checkpoint; -1: none. */
int table_checkpointed(const struct table *tb, int64_t *ret, struct err *e);

struct table_clean_options {
    int64_t retention_ms; /* delta.logRetentionDuration counts instead where the table sets it */
    int64_t
        max_entries; /* of these at most so many are kept, unless the table sets that property; 0:
                             any number */
    int64_t needed_after; /* entries after this version are kept, whatever their age: somebody has
                             still to read them. INT64_MAX: nobody */
};
/*
 * Removes what no version within the retention needs of the log: the entries, checkpoints and Spark's
 * .crc files before the newest checkpoint that all entries to be kept can be read from. Never without
 * a checkpoint, and that one is read before anything is removed. delta.enableExpiredLogCleanup=false
 * is obeyed. Oldest first, so that whoever lists meanwhile sees a log that begins later.
 * *ret_removed: files.
 */
int table_clean_log(struct table *tb, const struct table_clean_options *o, int64_t *ret_removed,
                    struct err *e);

struct table_vacuum_options {
    /* at most a week, as removals are not remembered longer; delta.deletedFileRetentionDuration
       counts instead where the table sets it, and makes them remembered as long */
    int64_t retention_ms;
    int64_t asked_ms; /* -1: none; else instead of both, if it is not shorter, or `force` */
    bool force;
    int64_t needed_after; /* files removed by commits after this version are kept, whatever their
                             age: somebody has still to read these commits. INT64_MAX: nobody */
    bool removed_too; /* also files that were removed just now; the retention is that of the others:
                         those that are in no commit, and may be in somebody's next one */
    bool dry_run;     /* nothing is deleted */
    int (*on_file)(void *arg, const char *path, int64_t size, int64_t mtime_ms); /* may be NULL */
    void *arg;
};
struct table_vacuum_result {
    int64_t files, bytes; /* deleted, or to be deleted */
    int64_t kept; /* files that are not in the table, but too young, or removed too lately */
};
/*
 * Deletes the Parquet files below the table's folder that are older than the retention, are not in
 * the table, and were not removed from it within the retention: so a reader of an older version, and
 * a writer that has not committed yet, have that long to end. Folders and files whose names begin
 * with _ or . are not looked at. ERR_USAGE: a shorter retention without `force`, or a longer one than
 * removals are remembered.
 */
int table_vacuum(struct table *tb, const struct table_vacuum_options *o,
                 struct table_vacuum_result *ret, struct err *e);

struct table_optimize_options {
    int64_t target_bytes; /* of a rewritten file; one of half of that stays as it is */
    int64_t min_files;    /* a partition with fewer small files stays as it is; >= 2 */
    /* Also what was rewritten before: as few files as can be. Else a large file waits until as much
       has come behind it, so that over its life a row is rewritten only a few times. */
    bool full;
};
struct table_optimize_result {
    int64_t commits, removed, added; /* files */
    int64_t bytes_before, bytes_after, rows;
    int64_t conflicts; /* rewritten for nothing: another process was faster */
};
/*
 * Rewrites small files of one partition into one, in the order in which they came, a commit each
 * (dataChange=false), in bounded memory. Whoever appends is not disturbed, nor are readers. What is
 * committed stays, whenever it ends. ERR_STORAGE, before anything is done, for a table with columns
 * that are not ours: they would be lost.
 */
int table_optimize(struct table *tb, const struct table_optimize_options *o,
                   struct table_optimize_result *ret, struct err *e);
/* 0, or why table_optimize refuses the table as it stands. */
int table_check_rewritable(const struct table *tb, struct err *e);

/*
 * Is everything as the log says? Calls fn for each check, the detail a sentence; stops at and returns
 * the first non-zero. What is wrong is no error but ok = false, with the first differing file.
 *     log          every entry from the oldest checkpoint or version 0 on can be read, none is missing
 *     checkpoint   the newest says what the entries before it add up to
 *     positions    no txn goes back
 *     files        every live file is there, in its size
 *     rows         every file's footer has the rows the log says
 *     content      deep only: every file can be read from end to end, and nulls, smallest and largest
 *                  values are within what the log says
 */
typedef int table_check_fn(void *arg, const char *name, bool ok, const char *detail, struct err *e);
int table_verify(struct table *tb, bool deep, table_check_fn *fn, void *arg, struct err *e);

/*
 * What is wrong with the log of a table that could not be opened or read: entries that are missing
 * or make no sense, a checkpoint that cannot be read. *ret: a sentence, the caller frees; NULL:
 * nothing is. Reads all of it.
 */
int table_log_damage(struct storage *st, const struct table_def *def, char **ret, struct err *e);

/* One commit as it stands in the log. */
struct table_entry {
    int64_t version;
    int64_t timestamp_ms; /* commitInfo, else 0 */
    char *operation;      /* commitInfo, else "" */
    struct table_text *metrics;
    size_t n_metrics;
    struct table_text *parameters; /* those whose value is a text */
    size_t n_parameters;
    struct table_files add, remove; /* with dataChange=true only */
    struct table_txn *txn;          /* expected is not set */
    size_t n_txn;
    size_t n_other_adds, n_other_removes; /* with dataChange=false */
};
void table_entry_release(struct table_entry *en);

/*
 * Calls fn for each commit with from < version <= to, in order; stops at and returns the first
 * non-zero. ERR_NOT_FOUND: an entry was cleaned up, or is not there yet.
 */
int table_each_entry(struct table *tb, int64_t from, int64_t to,
                     int (*fn)(void *arg, const struct table_entry *en, struct err *e), void *arg,
                     struct err *e);

/* The oldest entry that is still in the log: 0 unless it was cleaned; -1: no entry at all. */
int table_log_begin(struct table *tb, int64_t *ret, struct err *e);

/* The value of a metric of an entry as a number; 0 if absent. */
int64_t table_entry_metric(const struct table_entry *en, const char *name);
/* The text of a parameter of an entry; NULL if absent. */
const char *table_entry_parameter(const struct table_entry *en, const char *name);

/* "part-<uuid>.zstd.parquet" in the partition's folder: a name nobody used before. The caller frees. */
char *table_new_file_path(const struct table_def *def, const char *partition);

#endif
