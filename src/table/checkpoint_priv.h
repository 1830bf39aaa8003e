/* SPDX-License-Identifier: Apache-2.0 */
/* What reading and writing a checkpoint share: an engine for a moment, and files made local. */
#ifndef CM_TABLE_CHECKPOINT_PRIV_H
#define CM_TABLE_CHECKPOINT_PRIV_H

#include "engine/engine.h"
#include "table/checkpoint.h"

struct checkpoint_session {
    const struct table *tb;
    struct engine *en;
    char stage[LIMIT_PATH]; /* where files are made, and DuckDB spills */
    char **local;           /* paths to unlocalize */
    size_t n_local;
};
int checkpoint_begin(struct checkpoint_session *s, const struct table *tb, struct err *e);
void checkpoint_end(struct checkpoint_session *s);

/* Makes an object local and appends the file's name as a SQL text. */
int checkpoint_add_local(struct checkpoint_session *s, const char *path, struct buf *sql,
                         struct err *e);
/* The list of a checkpoint's files as SQL: ['…', '…']. */
int checkpoint_add_files(struct checkpoint_session *s, int64_t version, int64_t parts,
                         struct buf *sql, struct err *e);

typedef int checkpoint_row(void *arg, const char *const *values, size_t n, struct err *e);
int checkpoint_query(struct checkpoint_session *s, const char *sql, checkpoint_row *row, void *arg,
                     struct err *e);

/* "<table>/_delta_log/<version>.checkpoint.parquet", or part i of n. The caller frees. */
char *checkpoint_path(const struct table_def *def, int64_t version, int64_t part, int64_t parts);

#endif
