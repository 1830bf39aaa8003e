/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/load.h"

#include "flow/dates.h"
#include "flow/step.h"
#include "table/table.h"

static const char select_rows[] = "SELECT category, total_events, total_revenue, event_date"
                                  " FROM gold_rows ORDER BY event_date, category";

struct load {
    struct storage *st;
    struct engine *en;
    struct sink *sk;
    struct table *gold;
    struct sink_watermark mark;
    struct dates dates;
    int64_t rows;
};

static int send_row(void *arg, const char *const *values, size_t n, struct err *e) {
    (void)n;
    struct load *l = arg;
    l->rows++;
    return sink_row(l->sk, values, e);
}

/* The dates whose rows may differ from what the sink shows, and whether that may hold others, too. */
static int find_dates(struct load *l, bool same_table, bool *ret_all, struct err *e) {
    return dates_changed(l->gold, same_table ? l->mark.version : -1, &l->dates, ret_all, e);
}

static int send(struct load *l, bool all, struct sink_load_result *done, struct err *e) {
    _cleanup_(table_files_release) struct table_files files = {0};
    dates_files(l->gold, &l->dates, &files);
    struct sink_load_begin begin = {.expected = &l->mark,
                                    .gold_table_id = table_id(l->gold),
                                    .gold_version = table_version(l->gold),
                                    .dates = (const char *const *)l->dates.v,
                                    .n_dates = l->dates.n,
                                    .replace_all = l->mark.version >= 0 && all};
    int r = sink_begin(l->sk, &sink_clickstream_metrics, &begin, e);
    const struct engine_input input = {"gold_rows", &gold_clickstream_metrics, &files};
    const struct engine_rows rows = {.row = send_row, .arg = l};
    if (r == 0 && files.n)
        r = engine_query(l->en, l->st, &input, 1, select_rows, false, &rows, e);
    if (r == 0)
        r = sink_commit(l->sk, done, e);
    if (r < 0)
        sink_rollback(l->sk);
    return r;
}

static int load_gold(struct load *l, struct load_result *sum, struct err *e) {
    int r = sink_prepare(l->sk, &sink_clickstream_metrics, &l->mark, e);
    if (r < 0)
        return r;
    bool same_table = l->mark.version >= 0 && strcmp(l->mark.table_id, table_id(l->gold)) == 0;
    if (same_table && l->mark.version >= table_version(l->gold))
        return 0;
    bool all;
    r = find_dates(l, same_table, &all, e);
    struct sink_load_result done = {0};
    if (r == 0)
        r = send(l, all, &done, e);
    if (r == 0)
        *sum = (struct load_result){.loads = 1,
                                    .dates = (int64_t)l->dates.n,
                                    .rows = l->rows,
                                    .upserted = done.upserted,
                                    .unchanged = done.unchanged,
                                    .deleted = done.deleted,
                                    .gold_version = table_version(l->gold)};
    return r;
}

int flow_load(struct storage *st, struct engine *en, struct sink *sk, struct load_result *ret,
              struct err *e) {
    struct load l = {.st = st, .en = en, .sk = sk};
    struct load_result sum = {.gold_version = -1};
    int r = table_open(st, &gold_clickstream_metrics, &l.gold, e);
    if (r == 0 && table_version(l.gold) >= 0 && !(r = step_stopped("load", e))) {
        sum.gold_version = table_version(l.gold);
        r = load_gold(&l, &sum, e);
    }
    r = step_settle("load", r, e);
    dates_release(&l.dates);
    table_close(l.gold);
    *ret = sum;
    return r;
}
