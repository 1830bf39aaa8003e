/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry of a table's log: the text of `_delta_log/<version, 20 digits>.json`, one action a
 * line (delta-io/delta PROTOCOL.md "Delta Log Entries", "Actions"), and what it says.
 *
 * Reading is tolerant where the protocol lets others write more than we do: unknown actions and
 * members are passed over, commitInfo may hold anything. Writing is exact.
 */
#ifndef CM_TABLE_LOG_H
#define CM_TABLE_LOG_H

#include "base/json.h"
#include "base/schema.h"
#include "table/table.h"

struct log_file {
    /* path is decoded; of a remove: path and partition, size where known, and mtime_ms is when it was
       removed, 0: unknown */
    struct table_file file;
    bool data_change;
};

struct log_files {
    struct log_file *v;
    size_t n, cap;
};

/* What an add or a remove says of a file: path as it stands in the log, texts NULL where absent. */
struct log_file_text {
    const char *path, *partition, *stats;
    int64_t size, mtime_ms;
    bool data_change, has_vector;
};
/* Appends it, decoded. ERR_STORAGE for a file we cannot read; `what` ("add") is for the message. */
int log_files_add(struct log_files *to, const char *what, const struct log_file_text *t,
                  struct err *e);

struct log_txn {
    char *app_id;
    int64_t version;
};

struct log_entry {
    int64_t version;
    int64_t timestamp_ms; /* commitInfo, else 0 */
    char *operation;      /* commitInfo, else "" */
    char *txn_id;         /* commitInfo, else NULL: who wrote this entry */
    struct table_text *metrics, *parameters;
    size_t n_metrics, n_parameters;
    struct log_files add, remove;
    struct log_txn *txn;
    size_t n_txn;
    struct json_doc *protocol, *meta; /* the action's whole line; NULL if there is none */
};

/*
 * ERR_STORAGE with line and byte on text that is no log entry, or that adds files we cannot read.
 * `ret` is set on success only.
 */
int log_entry_parse(const struct table_def *def, int64_t version, const char *text, size_t len,
                    struct log_entry *ret, struct err *e);
void log_entry_release(struct log_entry *en);
void table_texts_free(struct table_text *v, size_t n);

/* commitInfo, the first line of an entry. */
void log_write_info(struct buf *b, const struct table_def *def, const struct table_commit *c,
                    const char *txn_id, int64_t now_ms);
/* protocol and metaData: what version 0 holds besides. */
void log_write_create(struct buf *b, const struct table_def *def, const char *id, int64_t now_ms);
/* The table's metaData once more, with the columns of the definition that it lacks behind its own. */
void log_write_widen(struct buf *b, const struct table_def *def, const struct json_doc *meta);
/* The same, with the definition's columns instead. */
void log_write_define(struct buf *b, const struct table_def *def, const struct json_doc *meta);
/* txn, remove and add. */
void log_write_actions(struct buf *b, const struct table_def *def, const struct table_commit *c,
                       int64_t now_ms);

/* "<table>/_delta_log" and "<table>/_delta_log/00000000000000000042.json". The caller frees. */
char *log_dir(const struct table_def *def);
char *log_entry_path(const struct table_def *def, int64_t version);
/* The version an object in _delta_log is the entry of; -1 if it is something else. */
int64_t log_entry_version(const char *name);

/*
 * Paths stand in the log as URI references (RFC 2396), percent-encoded: a folder that is itself
 * escaped on disk, `p=a%20b`, is `p=a%2520b` in the log. The caller frees.
 */
char *log_path_encode(const char *path);
/* NULL if `encoded` is not a relative path that storage.h accepts. */
char *log_path_decode(const char *encoded);

#endif
