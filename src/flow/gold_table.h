/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One gold table from silver: for the dates that changed since its position (gold/<silver table id>)
 * the model's rows replace those dates' files, in one commit with the version reached. A model that
 * is another than the one that made the table (#model, totals.h) is computed for all of history, and
 * may so bring other columns.
 */
#ifndef CM_FLOW_GOLD_TABLE_H
#define CM_FLOW_GOLD_TABLE_H

#include "flow/dates.h"
#include "flow/models.h"
#include "table/table.h"

struct gold_source {
    struct storage *st;
    struct engine *en;
    struct table *silver; /* exists */
    int64_t checkpoint_interval;
    const struct date_range *again; /* these days once more, changed or not; NULL: none */
};

struct gold_made {
    bool committed;
    int64_t rows, rows_before; /* rows_before: that these replaced, as the log says */
};

/* Has the model to be computed for all of history? false also where there is no silver. */
bool gold_is_other_model(const struct model *m, const struct table *silver, const struct table *tb);
/* The same, asked without silver: the table was never made by this model, but by others. */
bool gold_awaits_model(const struct model *m, const struct table *tb);
/* "gold/<silver table id>"; the caller frees. */
char *gold_app_id(const struct table *silver);
/* The dates to make anew: none, where nothing changed. */
int gold_dates(const struct model *m, struct table *silver, struct table *tb, struct dates *ret,
               bool *ret_any, struct err *e);

/*
 * Adds the dates it made anew to `all`. ERR_CONFLICT: another process was faster. ERR_ENGINE: the
 * model is wrong; the message names its file.
 */
int gold_table_make(const struct gold_source *src, const struct model *m, struct dates *all,
                    struct gold_made *ret, struct err *e);

#endif
