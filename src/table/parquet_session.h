/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parquet files looked at or made for a table's upkeep: an engine for a moment, whatever engine runs
 * the models, and files made local. One thread, so that rows keep their order, and bounded memory.
 */
#ifndef CM_TABLE_PARQUET_SESSION_H
#define CM_TABLE_PARQUET_SESSION_H

#include "engine/engine.h"
#include "table/snapshot.h"

struct parquet_session {
    const struct table *tb;
    struct engine *en;
    char stage[LIMIT_PATH]; /* where files are made, and DuckDB spills */
    char **local;           /* paths to unlocalize */
    size_t n_local;
};
int parquet_begin(struct parquet_session *s, const struct table *tb, struct err *e);
void parquet_end(struct parquet_session *s);

/* Makes an object local and appends the file's name as a SQL text. */
int parquet_add_local(struct parquet_session *s, const char *path, struct buf *sql, struct err *e);
/* These files are needed no more; the end of the session does the same. */
void parquet_drop_local(struct parquet_session *s);

typedef int parquet_row(void *arg, const char *const *values, size_t n, struct err *e);
int parquet_query(struct parquet_session *s, const char *sql, parquet_row *row, void *arg,
                  struct err *e);

#endif
