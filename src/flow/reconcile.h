/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proof that nothing was lost and nothing is there twice, from the counters in the logs and,
 * independently, from the data:
 *   every log is whole, and as long as the layer above it has read; every file that it names is
 *   there, and every day has the rows that it says;
 *   records read = records in bronze per app, cluster, topic and partition, each offset once; what
 *   the commits cover tiles without a gap, and what is in it besides records is what the stream
 *   passed over and what was accepted as lost (note.h);
 *   bronze = silver + duplicates + conflicts + rejects, each event_key once;
 *   silver with a category = clickstream_metrics, per category and day; every other gold table is
 *   what its model gives for all of silver;  gold = sink, row by row.
 * What a later step has not taken in yet is pending, not an error.
 */
#ifndef CM_FLOW_RECONCILE_H
#define CM_FLOW_RECONCILE_H

#include "base/err.h"
#include "engine/engine.h"
#include "sink/sink.h"
#include "storage/storage.h"

struct reconcile_check {
    char *name; /* "bronze.rows" */
    bool ok;
    char *detail; /* the numbers compared; when not ok, where they differ first */
    char *
        first; /* that place alone: "clickstream/0/17/0", "2026-02-17, toys", a file; may be NULL */
    const char *hint; /* what to do; NULL where it is ok */
};

struct reconcile_result {
    struct reconcile_check *v;
    size_t n;
    int64_t pending_bronze; /* bronze rows silver has not consumed */
    int64_t pending_dates;  /* dates gold has still to compute, for any of its tables */
    bool ok;
};

/*
 * models_dir: the user's models (models.h). 0 also when some check is not ok: ret->ok says it. So it
 * is where a log or a file is damaged: that is a check, and what could not be compared has none.
 */
int flow_reconcile(struct storage *st, struct engine *en, struct sink *sk, const char *models_dir,
                   struct reconcile_result *ret, struct err *e);
void reconcile_result_release(struct reconcile_result *r);

#endif
