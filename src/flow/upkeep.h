/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keeps the tables small and fast while others write and read them: small files become large
 * ones, the log is folded into a checkpoint when enough commits have come, entries and files nobody
 * needs are removed (decision 0014).
 *
 * Nothing here changes what is in a table. Every part stands for itself: killed at any point, the
 * next upkeep goes on.
 */
#ifndef CM_FLOW_UPKEEP_H
#define CM_FLOW_UPKEEP_H

#include "flow/lake.h"

struct upkeep_options {
    int64_t optimize_files; /* small files of a partition from which on they are joined; 0: never */
    int64_t optimize_target_bytes;
    int64_t checkpoint_interval; /* commits; 0: never */
    int64_t log_retention_ms;
    int64_t log_entries; /* kept at most; 0: any number */
    int64_t file_retention_ms;
    int64_t vacuum_every_ms; /* 0: never */
    const char *models_dir;  /* the user's models (models.h); NULL: none */
};

struct upkeep_result {
    int64_t joined, made; /* small files, and what they became */
    int64_t checkpoints;
    int64_t log_files; /* removed from the logs */
    int64_t files;     /* deleted */
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

/*
 * Deletes what nobody needs of one table, as table_vacuum: for `v` file_retention_ms of `o` and what the
 * layer above has read count. A commit without files notes that it was done, and when.
 */
int upkeep_vacuum(struct lake *l, struct table *tb, const struct upkeep_options *o,
                  struct table_vacuum_options v, struct table_vacuum_result *ret, struct err *e);

#endif
