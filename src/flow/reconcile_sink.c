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
};

struct sink_picture {
    struct sink_watermark mark;
    struct metric_rows rows;
};

static int keep(struct metric_rows *rows, const char *const *values) {
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
    return strcmp(a->v[EVENTS], b->v[EVENTS]) == 0 &&
           strtod(a->v[REVENUE], NULL) == strtod(b->v[REVENUE], NULL);
}

static void note(struct sink_comparison *cmp, const struct metric_row *gold,
                 const struct metric_row *sink) {
    cmp->compared++;
    if (gold && sink && same_values(gold, sink))
        return;
    if (cmp->differing++ > 0)
        return;
    const struct metric_row *any = gold ? gold : sink;
    cmp->first = xasprintf("%s, %s: gold has %s events, revenue %s; the sink has %s, %s",
                           any->v[DATE], any->v[CATEGORY], gold ? gold->v[EVENTS] : "no row",
                           gold ? gold->v[REVENUE] : "none", sink ? sink->v[EVENTS] : "no row",
                           sink ? sink->v[REVENUE] : "none");
}

static void sort_rows(struct metric_rows *rows) {
    if (rows->n)
        qsort(rows->v, rows->n, sizeof rows->v[0], compare_keys);
}

static void merge(const struct metric_rows *gold, const struct metric_rows *sink,
                  const struct dates *pending, struct sink_comparison *cmp) {
    size_t g = 0, s = 0;
    while (g < gold->n || s < sink->n) {
        int c = g == gold->n ? 1 : s == sink->n ? -1 : compare_keys(&gold->v[g], &sink->v[s]);
        const struct metric_row *any = c <= 0 ? &gold->v[g] : &sink->v[s];
        if (!dates_has(pending, any->v[DATE]))
            note(cmp, c <= 0 ? any : NULL, c >= 0 ? &sink->v[s] : NULL);
        g += c <= 0;
        s += c >= 0;
    }
}

static void rows_release(struct metric_rows *rows) {
    for (size_t i = 0; i < rows->n; i++)
        for (int k = 0; k < COLUMNS; k++)
            free(rows->v[i].v[k]);
    free(rows->v);
    *rows = (struct metric_rows){0};
}

void sink_picture_free(struct sink_picture *p) {
    if (p)
        rows_release(&p->rows);
    free(p);
}

static bool same_mark(const struct sink_watermark *a, const struct sink_watermark *b) {
    return a->version == b->version && (a->version < 0 || strcmp(a->table_id, b->table_id) == 0);
}

/* Read again when a load came between the watermark and the rows. */
int sink_picture_take(struct sink *sk, struct sink_picture **ret, struct err *e) {
    struct sink_picture *p = xcalloc(1, sizeof *p);
    struct sink_watermark after = {.version = -1};
    int r = sink_peek(sk, &sink_clickstream_metrics, &after, e);
    do {
        p->mark = after;
        rows_release(&p->rows);
        if (r == 0)
            r = sink_read(sk, &sink_clickstream_metrics, keep_sink, &p->rows, e);
        if (r == 0)
            r = sink_peek(sk, &sink_clickstream_metrics, &after, e);
    } while (r == 0 && !same_mark(&p->mark, &after));
    if (r < 0)
        sink_picture_free(p);
    else
        *ret = p;
    return r;
}

int sink_picture_compare(struct sink_picture *p, struct lake *l, struct sink_comparison *ret,
                         struct err *e) {
    struct dates pending = {0};
    struct metric_rows gold = {0};
    bool all = false;
    int r = 0;
    if (table_version(l->gold) >= 0) {
        bool same = p->mark.version >= 0 && strcmp(p->mark.table_id, table_id(l->gold)) == 0;
        r = dates_changed(l->gold, same ? p->mark.version : -1, &pending, &all, e);
    }
    const struct engine_rows rows = {.row = keep_gold, .arg = &gold};
    if (r == 0)
        r = lake_query(l,
                       "SELECT category, total_events, total_revenue, event_date FROM "
                       "gold.clickstream_metrics",
                       false, &rows, e);
    if (r == 0) {
        sort_rows(&gold);
        sort_rows(&p->rows);
        if (!all || p->mark.version < 0) /* else the next load writes all of it anew */
            merge(&gold, &p->rows, &pending, ret);
    }
    rows_release(&gold);
    dates_release(&pending);
    return r;
}
