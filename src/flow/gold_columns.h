/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of a model's table: what the engine says the SELECT gives, in the types that a Delta
 * table and every sink have.
 */
#ifndef CM_FLOW_GOLD_COLUMNS_H
#define CM_FLOW_GOLD_COLUMNS_H

#include "flow/models.h"
#include "sink/sink.h"

/* The model's definition with its columns, the partition last. */
struct gold_columns {
    struct column v[SINK_MAX_COLUMNS];
    struct table_def def;
};

/*
 * Asks the engine, which computes nothing for it. ERR_ENGINE, naming the file: the SELECT is wrong,
 * or gives a column that cannot be one of the table.
 */
int gold_columns_find(struct engine *en, const struct model *m, struct gold_columns **ret,
                      struct err *e);
/* Of a table as it stands now. ERR_ENGINE: it has more than SINK_MAX_COLUMNS. */
int gold_columns_copy(const struct table_def *def, struct gold_columns **ret, struct err *e);
void gold_columns_free(struct gold_columns *c);

/* Has the table these columns, in these types and no others? */
bool gold_columns_same(const struct table_def *a, const struct table_def *b);

/* The table of the sink that a gold table is loaded into: the same columns, the grain its key. */
struct gold_sink {
    struct sink_column v[SINK_MAX_COLUMNS];
    struct sink_table table;
};
/* def: of the table as it stands. ERR_ENGINE if it has not the columns of the grain. */
int gold_sink_make(const struct model *m, const struct table_def *def, struct gold_sink *ret,
                   struct err *e);

/* "SELECT category, … FROM view ORDER BY the key", a NULL first. The caller frees. */
char *gold_select(const struct sink_table *t, const char *view);

#endif
