/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All tables of the lake opened together, and questions asked of them in SQL: for status,
 * reconcile, sql and table.
 */
#ifndef CM_FLOW_LAKE_H
#define CM_FLOW_LAKE_H

#include "base/err.h"
#include "engine/engine.h"
#include "table/table.h"

struct lake {
    struct storage *st;
    struct engine *en; /* may be NULL where no SQL is asked */
    struct table *bronze, *silver, *gold;
    /* Set by whoever finds files of it missing: SQL then sees the table empty. */
    bool no_bronze, no_silver, no_gold;
};

int lake_open(struct lake *l, struct storage *st, struct engine *en, struct err *e);
void lake_close(struct lake *l);

/* SQL over the whole tables under their names bronze.events, silver.events, gold.clickstream_metrics. */
int lake_query(struct lake *l, const char *sql, bool untrusted, const struct engine_rows *rows,
               struct err *e);

/* SQL over some files of bronze.events alone. */
int lake_query_bronze(struct lake *l, const struct table_files *files, const char *sql,
                      const struct engine_rows *rows, struct err *e);

/* A query of one row: its values as texts (NULL: NULL), n of them; the caller frees each. No row: ERR_BUG. */
int lake_one_row(struct lake *l, const char *sql, char **ret_values, size_t n, struct err *e);
/* The same, all values being whole numbers. */
int lake_counts(struct lake *l, const char *sql, int64_t *ret_values, size_t n, struct err *e);

#endif
