/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gold models: those built in (sql/gold/) and the user's own, one .sql file each in models.dir.
 * A file is a header of comment lines and one SELECT (docs/models.md says how to write one):
 *
 *     -- Name:        funnel_daily           the file's name, and the table's in gold and in the sink
 *     -- Description: From view to purchase, by category and day.
 *     -- Inputs:      people                 what the SELECT reads: silver_events, people, bots
 *     -- Partition:   event_date             always
 *     -- Grain:       category, event_date   the columns that tell its rows apart
 *     -- Columns:                            what each means; may be left out
 *     --   category  as sent
 *
 * Loading asks no engine: the columns are known when gold has run the SELECT (gold_columns.h).
 * A file that cannot be used spoils nothing else: it is listed with the reason.
 */
#ifndef CM_FLOW_MODELS_H
#define CM_FLOW_MODELS_H

#include "base/err.h"
#include "base/schema.h"
#include "engine/engine.h"

enum { MODEL_STAGES = 3, MODEL_GRAIN = 16 };

struct model {
    char *name; /* "funnel_daily" */
    char *file; /* for messages: "sql/gold/funnel_daily.sql", "models/mine.sql" */
    char *text; /* all of the file; NULL if it could not be read */
    bool built_in;
    struct table_def def; /* gold/<name>; no columns, but for the contract's table */
    /* From the header. */
    char *description;
    char *columns; /* lines "name  what it means"; may be NULL */
    char *inputs;
    char *grain[MODEL_GRAIN];
    size_t n_grain;
    bool reads_people, reads_bots;
    /* Of all that decides on its rows, >= 0: when it changes, history is computed anew. */
    int64_t hash;
    struct err wrong; /* code 0: it can be used */
};

struct models {
    struct model *v; /* the contract's first, then those built in, then the user's, by name */
    size_t n;
    struct err *refused; /* files that could not even give a table its name */
    size_t n_refused;
};

/*
 * dir: the user's folder; NULL: none. The default folder need not be there. ERR_CONFIG: it cannot
 * be read.
 */
int models_load(const char *dir, struct models *ret, struct err *e);
void models_release(struct models *m);
const struct model *models_named(const struct models *ms, const char *name); /* NULL: none */

/* The stages that come before the model's own SELECT: what it reads besides silver_events. */
size_t model_inputs(const struct model *m, struct engine_stage ret[MODEL_STAGES]);

/* Is this column part of the grain? */
bool model_has_key(const struct model *m, const char *column);

/* Adds the columns of the grain, each with `behind`. */
void model_add_grain(struct buf *b, const struct model *m, const char *between, const char *behind);

/* Why a table or a column must not be called so ("it is a word of SQL itself"); NULL: it may. */
const char *model_name_problem(const char *name);

#define MODELS_DIR "models" /* the default of models.dir */

#endif
