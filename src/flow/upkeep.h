/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keeps the tables small and fast while others write and read them: a checkpoint of the log
 * when enough commits have come, and the removal of entries nobody needs (decision 0014).
 *
 * Nothing here changes what is in a table. Every part stands for itself: killed at any point, the
 * next upkeep goes on.
 */
#ifndef CM_FLOW_UPKEEP_H
#define CM_FLOW_UPKEEP_H

#include "flow/lake.h"

struct upkeep_options {
    int64_t checkpoint_interval; /* commits; 0: never */
    int64_t log_retention_ms;
    const char *models_dir; /* the user's models (models.h); NULL: none */
};

struct upkeep_result {
    int64_t checkpoints, log_files; /* made; removed */
};

/* All tables. */
int flow_upkeep(struct storage *st, const struct upkeep_options *o, struct upkeep_result *ret,
                struct err *e);

/*
 * The log of one table of the lake: a checkpoint if it is due, or at once if `now`; then what is older
 * than the retention goes, but for what the layer above has still to read.
 */
int upkeep_log(struct lake *l, struct table *tb, const struct upkeep_options *o, bool now,
               struct upkeep_result *sum, struct err *e);

#endif
