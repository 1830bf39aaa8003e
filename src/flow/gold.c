/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/gold.h"

#include "base/util.h"
#include "engine/models.h"
#include "flow/dates.h"
#include "flow/step.h"

struct gold {
    struct storage *st;
    struct engine *en;
    struct table *silver, *gold;
    char *app_id;
    struct dates dates;
};

static int compute(struct gold *g, struct engine_result *ret, struct err *e) {
    _cleanup_(table_files_release) struct table_files files = {0};
    dates_files(g->silver, &g->dates, &files);
    const struct engine_input input = {"silver_events", &silver_events, &files};
    return engine_run(g->en, g->st,
                      &(struct engine_job){.what = "gold",
                                           .inputs = &input,
                                           .n_inputs = 1,
                                           .select = model_text("sql/gold/clickstream_metrics.sql"),
                                           .output = &gold_clickstream_metrics},
                      ret, e);
}

static int commit(struct gold *g, int64_t silver_version, const struct engine_result *made,
                  int64_t rows, struct err *e) {
    _cleanup_(table_files_release) struct table_files replaced = {0};
    dates_files(g->gold, &g->dates, &replaced);
    struct table_txn txn = {g->app_id, table_txn(g->gold, g->app_id), silver_version};
    struct table_metric metrics[] = {{"dates", (int64_t)g->dates.n}, {"rows", rows}};
    int64_t version;
    crash_point("gold.after_data");
    return table_commit(g->gold,
                        &(struct table_commit){.operation = "WRITE",
                                               .add = &made->files,
                                               .remove = &replaced,
                                               .txn = &txn,
                                               .n_txn = 1,
                                               .metrics = metrics,
                                               .n_metrics = ARRAY_LEN(metrics),
                                               .data_change = true},
                        &version, e);
}

static int recompute(struct gold *g, struct gold_result *sum, struct err *e) {
    int64_t from = table_txn(g->gold, g->app_id), to = table_version(g->silver);
    if (from >= to)
        return 0;
    bool all;
    int r = dates_changed(g->silver, from, &g->dates, &all, e);
    if (r == 0 && all) /* also those that silver may have lost, or another silver had */
        dates_of(g->gold, &g->dates);
    struct engine_result made = {0};
    if (r == 0)
        r = compute(g, &made, e);
    int64_t rows = 0;
    for (size_t i = 0; i < made.files.n; i++)
        rows += made.files.v[i].rows;
    if (r == 0)
        r = commit(g, to, &made, rows, e);
    if (r == 0)
        *sum = (struct gold_result){
            .commits = 1, .dates = (int64_t)g->dates.n, .rows = rows, .silver_version = to};
    else
        step_discard(g->st, &gold_clickstream_metrics, &made.files, r);
    engine_result_release(&made);
    return r;
}

int flow_gold(struct storage *st, struct engine *en, int64_t checkpoint_interval,
              struct gold_result *ret, struct err *e) {
    struct gold g = {.st = st, .en = en};
    struct gold_result sum = {.silver_version = -1};
    int r = table_open(st, &silver_events, &g.silver, e);
    if (r == 0)
        r = table_open(st, &gold_clickstream_metrics, &g.gold, e);
    if (r == 0)
        r = table_check_writable(g.gold, e);
    if (r == 0 && table_version(g.silver) >= 0 && !(r = step_stopped("gold", e))) {
        sum.silver_version = table_version(g.silver);
        g.app_id = xasprintf("gold/%s", table_id(g.silver));
        r = recompute(&g, &sum, e);
        if (r == 0 && sum.commits > 0)
            step_checkpoint(g.gold, checkpoint_interval);
    }
    r = step_settle("gold", r, e);
    dates_release(&g.dates);
    free(g.app_id);
    table_close(g.silver);
    table_close(g.gold);
    *ret = sum;
    return r;
}
