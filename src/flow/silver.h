/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bronze -> silver: clean, each event once. Reads the bronze files added since the bronze version
 * in silver's txn (silver/<bronze table id>), runs sql/silver/ over them, commits the new rows and
 * the version reached as one. A repeat finds nothing to do; of two at once the second's commit is refused.
 */
#ifndef CM_FLOW_SILVER_H
#define CM_FLOW_SILVER_H

#include "base/err.h"
#include "base/schema.h"
#include "engine/engine.h"
#include "storage/storage.h"

struct silver_result {
    int64_t commits, files;
    /* events = rejected + duplicates + conflicts + rows */
    int64_t events, rejected, duplicates, conflicts, rows;
    int64_t bronze_version; /* reached; -1: there is no bronze yet */
    int64_t by_index;       /* of the commits, those whose repeats the key index found */
    int64_t index_keys;     /* in it when it was last used; 0: it was not */
};

struct silver_options {
    int64_t batch_rows; /* bronze rows after which a commit ends (whole bronze commits only) */
    int64_t checkpoint_interval; /* commits; 0: never */
    const char *index_dir;       /* of the key index (silver_keys.h); NULL: none */
    int64_t index_min_rows;      /* of silver, before there is one */
};

int flow_silver(struct storage *st, struct engine *en, const struct silver_options *o,
                struct silver_result *ret, struct err *e);

/* What the models of sql/silver/ are run over. */
struct silver_inputs {
    const struct table_files *fresh; /* bronze rows to take in */
    const struct table_files *old; /* where the price of a silver row is looked up as it was sent */
    const struct table_files *silver; /* whose keys are taken */
    /* A SELECT from the view bronze_read of those rows of the fresh files that count; NULL: all. */
    const char *only;
    /* Gives the rows of silver/keys that were met; NULL: the model looks for them in silver. */
    const struct engine_exchange *met;
};
/* Publishes the rows that stay and counts what became of each; the caller commits. */
int silver_compute(struct storage *st, struct engine *en, const struct silver_inputs *in,
                   struct engine_result *ret, struct err *e);

#endif
