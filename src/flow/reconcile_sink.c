/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/reconcile_sink.h"

#include "flow/dates.h"

/* Columns of sink_clickstream_metrics. */
enum { CATEGORY, EVENTS, REVENUE, DATE, COLUMNS };

struct metric_row {
    char *v[COLUMNS];
};

struct metric_rows {
    struct metric_row *v;
    size_t n, cap;
    const struct dates *pending;
};

static int keep(struct metric_rows *rows, const char *const *values) {
    if (values[DATE] && dates_has(rows->pending, values[DATE]))
        return 0;
    if (rows->n == rows->cap) {
        rows->cap = rows->cap ? 2 * rows->cap : 256;
        rows->v = xrealloc(rows->v, rows->cap * sizeof *rows->v);
    }
    struct metric_row *row = &rows->v[rows->n++];
    for (int i = 0; i < COLUMNS; i++)
        row->v[i] = xstrdup(values[i] ? values[i] : "");
    return 0;
}

static int keep_gold(void *arg, const char *const *values, size_t n, struct err *e) {
    (void)n;
    (void)e;
    return keep(arg, values);
}

static int keep_sink(void *arg, const char *const *values, struct err *e) {
    (void)e;
    return keep(arg, values);
}

static int compare_keys(const void *a, const void *b) {
    const struct metric_row *x = a, *y = b;
    int c = strcmp(x->v[DATE], y->v[DATE]);
    return c ? c : strcmp(x->v[CATEGORY], y->v[CATEGORY]);
}

static bool same_values(const struct metric_row *a, const struct metric_row *b) {
    return strcmp(a->v[EVENTS], b->v[EVENTS]) == 0 && strtod(a->v[REVENUE], NULL) == strtod(b->v[REVENUE], NULL);
}

static void note(struct sink_comparison *cmp, const struct metric_row *gold, const struct metric_row *sink) {
    cmp->compared++;
    if (gold && sink && same_values(gold, sink))
        return;
    if (cmp->differing++ > 0)
        return;
    const struct metric_row *any = gold ? gold : sink;
    cmp->first = xasprintf("%s, %s: gold has %s events, revenue %s; the sink has %s, %s", any->v[DATE], any->v[CATEGORY],
                           gold ? gold->v[EVENTS] : "no row", gold ? gold->v[REVENUE] : "none",
                           sink ? sink->v[EVENTS] : "no row", sink ? sink->v[REVENUE] : "none");
}

static void merge(const struct metric_rows *gold, const struct metric_rows *sink, struct sink_comparison *cmp) {
    size_t g = 0, s = 0;
    while (g < gold->n || s < sink->n) {
        int c = g == gold->n ? 1 : s == sink->n ? -1 : compare_keys(&gold->v[g], &sink->v[s]);
        note(cmp, c <= 0 ? &gold->v[g] : NULL, c >= 0 ? &sink->v[s] : NULL);
        g += c <= 0;
        s += c >= 0;
    }
}

static void rows_release(struct metric_rows *rows) {
    for (size_t i = 0; i < rows->n; i++)
        for (int k = 0; k < COLUMNS; k++)
            free(rows->v[i].v[k]);
    free(rows->v);
}

int reconcile_sink(struct lake *l, struct sink *sk, struct sink_comparison *ret, struct err *e) {
    struct sink_watermark mark;
    struct dates pending = {0};
    struct metric_rows gold = {.pending = &pending}, sink = {.pending = &pending};
    int r = sink_prepare(sk, &sink_clickstream_metrics, &mark, e);
    if (r == 0 && table_version(l->gold) >= 0) {
        bool same = mark.version >= 0 && strcmp(mark.table_id, table_id(l->gold)) == 0;
        r = dates_changed(l->gold, same ? mark.version : -1, table_version(l->gold), &pending, e);
    }
    const struct engine_rows rows = {.row = keep_gold, .arg = &gold};
    if (r == 0)
        r = lake_query(l, "SELECT category, total_events, total_revenue, event_date FROM gold.clickstream_metrics", false,
                       &rows, e);
    if (r == 0)
        r = sink_read(sk, &sink_clickstream_metrics, keep_sink, &sink, e);
    if (r == 0) {
        if (gold.n)
            qsort(gold.v, gold.n, sizeof gold.v[0], compare_keys);
        if (sink.n)
            qsort(sink.v, sink.n, sizeof sink.v[0], compare_keys);
        merge(&gold, &sink, ret);
    }
    rows_release(&gold);
    rows_release(&sink);
    dates_release(&pending);
    return r;
}
