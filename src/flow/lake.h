/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All tables of the lake opened together, and questions asked of them in SQL: for status,
 * reconcile, sql and table. Which gold tables there are say the models (models.h); a gold table whose
 * model is gone is one of them too.
 */
#ifndef CM_FLOW_LAKE_H
#define CM_FLOW_LAKE_H

#include "base/err.h"
#include "engine/engine.h"
#include "flow/models.h"
#include "table/table.h"

/* Every table by its definition, in the order of the flow; those of the models may not be there yet. */
struct lake_defs {
    struct models models;
    const struct table_def **v; /* bronze, silver, a gold table for each of models.v, others */
    size_t n;
    struct table_def *others; /* gold tables without a model: v's last ones */
    size_t n_others;
};
/* models_dir: as in models_load. */
int lake_defs_find(struct storage *st, const char *models_dir, struct lake_defs *ret,
                   struct err *e);
void lake_defs_release(struct lake_defs *d);
/* The table by "silver.events", "silver/events", or the last part where it names one table only; NULL if unknown. */
const struct table_def *lake_defs_named(const struct lake_defs *d, const char *name);

/* Can an error of a gold table be left aside? It can pass never, and a table that is nobody's any more must not be in the way. */
bool lake_does_without(bool has_model, const struct err *e);

struct lake_gold {
    const struct model *model; /* NULL: there is none any more */
    struct table *tb;
    bool missing; /* as no_bronze */
};

struct lake {
    struct storage *st;
    struct engine *en; /* may be NULL where no SQL is asked */
    struct lake_defs defs;
    struct table *bronze, *silver;
    struct lake_gold *gold; /* the contract's table first */
    size_t n_gold;
    /* Set by whoever finds files of it missing: SQL then sees the table empty. */
    bool no_bronze, no_silver;
};

int lake_open(struct lake *l, struct storage *st, struct engine *en, const char *models_dir,
              struct err *e);
void lake_close(struct lake *l);
/* Reads the commits made since, of all tables. */
int lake_refresh(struct lake *l, struct err *e);

/* All tables in the order of the flow; i < lake_tables. */
size_t lake_tables(const struct lake *l);
struct table *lake_table(const struct lake *l, size_t i);
struct table *lake_find(const struct lake *l, const char *view); /* NULL: no such table */

/*
 * SQL over the whole tables under their names bronze.events, silver.events, gold.clickstream_metrics
 * and so on. A gold table that is not there yet has no name, but for the contract's.
 */
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
