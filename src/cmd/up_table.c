/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/up_table.h"

#include "cmd/out.h"
#include "flow/status.h"
#include "table/table.h"

static const char newest_days[] =
    "SELECT event_date, category, total_events, round(total_revenue, 2) AS total_revenue"
    " FROM gold.clickstream_metrics ORDER BY event_date DESC, total_revenue DESC, category"
    " LIMIT 12";

static int take_row(void *arg, const char *const *values, size_t n, struct err *e) {
    (void)n;
    (void)e;
    out_row(arg, values);
    return 0;
}

static int print_metrics(struct parts *p, struct err *e) {
    static const char *const names[] = {"event_date", "category", "total_events", "total_revenue"};
    static const bool numbers[] = {false, false, true, true};
    struct out_table t = {0};
    struct table *tb;
    int r = table_open(p->st, &gold_clickstream_metrics, &tb, e);
    if (r < 0)
        return r;
    const struct table_def *def = table_definition(tb);
    const struct engine_input input = {def->view, def, table_live(tb)};
    const struct engine_rows rows = {.row = take_row, .arg = &t};
    out_columns(&t, names, numbers, ARRAY_LEN(names));
    r = engine_query(p->en, p->st, &input, 1, newest_days, false, &rows, e);
    if (r == 0)
        out_print(&t, false);
    out_release(&t);
    table_close(tb);
    return r;
}

static void print_counts(const struct up_view *v, const struct status *s) {
    char n[4][32];
    out_thousands(v->ingested, n[0]);
    out_thousands(s->lag.offsets, n[1]);
    out_thousands(s->layers[0].rows, n[2]);
    out_thousands(s->layers[1].rows, n[3]);
    printf("up %.0f s  ingested %s (%.0f/s)  lag %s\n", v->seconds, n[0],
           v->seconds > 0 ? (double)v->ingested / v->seconds : 0, n[1]);
    printf("bronze %s rows in %lld files  silver %s rows  rejected %lld  duplicates %lld  "
           "conflicts %lld  sink %s\n",
           n[2], (long long)s->layers[0].files, n[3], (long long)s->rejected,
           (long long)s->duplicates, (long long)s->conflicts,
           s->sink_is_current ? "current" : "behind");
}

int up_show(struct up_view *v, const struct config *cfg, struct parts *p, struct err *e) {
    struct status s = {0};
    const struct status_options o = parts_status_options(cfg);
    int r = flow_status(p->s, p->st, p->sk, &o, &s, e);
    if (r < 0)
        return r;
    if (v->terminal || s.layers[2].version != v->gold_version) {
        if (v->terminal)
            fputs("\033[H\033[J", stdout);
        v->gold_version = s.layers[2].version;
        print_counts(v, &s);
        r = print_metrics(p, e);
        fflush(stdout);
    }
    status_release(&s);
    return r;
}
