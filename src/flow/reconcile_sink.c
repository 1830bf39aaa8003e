/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/reconcile_sink.h"

#include "base/clock.h"
#include "flow/dates.h"
#include "flow/gold_columns.h"
#include "flow/gold_table.h"

/* One table's rows as the sink has them; values as texts, NULL: NULL. */
struct table_picture {
    struct gold_columns *columns; /* gold's, when it was taken; NULL: not taken */
    struct gold_sink as;
    struct sink_watermark mark;
    struct arena texts;
    const char ***rows;
    size_t n, cap;
};

struct sink_picture {
    struct table_picture *v;
    size_t n;
    int money_digits; /* sink_ops */
};

/* ---- taking it ------------------------------------------------------------------------------- */

static int keep_row(void *arg, const char *const *values, struct err *e ATTR_UNUSED) {
    struct table_picture *tp = arg;
    size_t n = tp->as.table.n_columns;
    const char **row = arena_alloc(&tp->texts, n * sizeof *row);
    for (size_t i = 0; i < n; i++)
        row[i] = values[i] ? arena_strndup(&tp->texts, values[i], strlen(values[i])) : NULL;
    if (tp->n == tp->cap) {
        tp->cap = tp->cap ? 2 * tp->cap : 256;
        tp->rows = xrealloc(tp->rows, tp->cap * sizeof *tp->rows);
    }
    tp->rows[tp->n++] = row;
    return 0;
}

static bool same_mark(const struct sink_watermark *a, const struct sink_watermark *b) {
    return a->version == b->version && (a->version < 0 || strcmp(a->table_id, b->table_id) == 0);
}

/* Read again when a load came between the watermark and the rows. */
static int take_rows(struct sink *sk, struct table_picture *tp, struct err *e) {
    const struct sink_table *t = &tp->as.table;
    struct sink_watermark after = {.version = -1};
    int r = sink_peek(sk, t, &after, e);
    do {
        tp->mark = after;
        tp->n = 0;
        arena_reset(&tp->texts);
        if (r == 0)
            r = sink_read(sk, t, keep_row, tp, e);
        if (r == 0)
            r = sink_peek(sk, t, &after, e);
    } while (r == 0 && !same_mark(&tp->mark, &after));
    return r;
}

/* Not of a model that has changed since gold was made: its grain need not be the table's. */
static int take_table(struct sink *sk, const struct lake *l, const struct lake_gold *g,
                      struct table_picture *tp, struct err *e) {
    const struct table_def *def = table_definition(g->tb);
    if (!g->model || g->model->wrong.code < 0 || def->n_columns == 0 ||
        gold_is_other_model(g->model, l->silver, g->tb))
        return 0;
    int r = gold_columns_copy(def, &tp->columns, e);
    if (r == 0)
        r = gold_sink_make(g->model, &tp->columns->def, &tp->as, e);
    return r == 0 ? take_rows(sk, tp, e) : r;
}

int sink_picture_take(struct sink *sk, const struct lake *l, struct sink_picture **ret,
                      struct err *e) {
    struct sink_picture *p = xcalloc(1, sizeof *p);
    p->n = l->n_gold;
    p->v = xcalloc(p->n + 1, sizeof *p->v);
    p->money_digits = sk->ops->money_digits;
    int r = 0;
    for (size_t i = 0; r == 0 && i < p->n; i++)
        r = take_table(sk, l, &l->gold[i], &p->v[i], e);
    if (r < 0)
        sink_picture_free(p);
    else
        *ret = p;
    return r;
}

void sink_picture_free(struct sink_picture *p) {
    for (size_t i = 0; p && i < p->n; i++) {
        gold_columns_free(p->v[i].columns);
        arena_release(&p->v[i].texts);
        free(p->v[i].rows);
    }
    if (p)
        free(p->v);
    free(p);
}

int64_t sink_picture_version(const struct sink_picture *p, const struct lake *l, size_t i) {
    const struct sink_watermark *mark = &p->v[i].mark;
    const char *id = table_id(l->gold[i].tb);
    return p->v[i].columns && id && mark->version >= 0 && strcmp(mark->table_id, id) == 0
               ? mark->version
               : -1;
}

/* ---- comparing it ---------------------------------------------------------------------------- */

struct comparing {
    const struct table_picture *tp;
    const struct dates *pending;
    size_t date;      /* the column */
    int money_digits; /* that the sink keeps; 0: all */
    size_t at;        /* of the sink's rows */
    struct sink_comparison *cmp;
};

/* A key is never NULL where we wrote it; by hand, or by another writer, it may be. */
static const char *key_text(const char *s) {
    return s ? s : "";
}

/* As gold_select orders: a NULL comes first. */
static int compare_values(enum sink_type type, const char *a, const char *b) {
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    if (type != SINK_INT && type != SINK_BIGINT)
        return strcmp(a, b);
    long long x = strtoll(a, NULL, 10), y = strtoll(b, NULL, 10);
    return x < y ? -1 : x > y;
}

static int compare_keys(const struct sink_table *t, const char *const *a, const char *const *b) {
    for (size_t i = 0; i < t->n_columns; i++) {
        if (!t->columns[i].key)
            continue;
        int c = compare_values(t->columns[i].type, a[i], b[i]);
        if (c)
            return c;
    }
    return 0;
}

static int compare_rows(const void *a, const void *b, void *t) {
    return compare_keys(t, *(const char *const *const *)a, *(const char *const *const *)b);
}

static bool same_money(const char *a, const char *b, int digits) {
    char x[64], y[64];
    if (digits == 0)
        return strcmp(a, b) == 0;
    snprintf(x, sizeof x, "%.*g", digits, strtod(a, NULL));
    snprintf(y, sizeof y, "%.*g", digits, strtod(b, NULL));
    return strcmp(x, y) == 0;
}

static bool same_value(const struct comparing *c, enum sink_type type, const char *a,
                       const char *b) {
    int64_t x, y;
    if (!a || !b)
        return a == b;
    switch (type) {
    case SINK_DOUBLE:
        return strtod(a, NULL) == strtod(b, NULL);
    case SINK_MONEY:
        return same_money(a, b, c->money_digits);
    case SINK_TIMESTAMP:
        return time_parse(a, &x) && time_parse(b, &y) && x == y;
    default:
        return compare_values(type, a, b) == 0;
    }
}

static bool same_values(const struct comparing *c, const char *const *a, const char *const *b) {
    const struct sink_table *t = &c->tp->as.table;
    for (size_t i = 0; i < t->n_columns; i++)
        if (!t->columns[i].key && !same_value(c, t->columns[i].type, a[i], b[i]))
            return false;
    return true;
}

/* The row's key, or its other columns; the day is the first thing one looks for. */
static void add_row(struct buf *b, const struct comparing *c, const char *const *row, bool key) {
    const struct sink_table *t = &c->tp->as.table;
    const char *comma = "";
    if (key)
        buf_add_str(b, key_text(row[c->date]));
    for (size_t i = 0; i < t->n_columns; i++) {
        if (t->columns[i].key != key || (key && i == c->date))
            continue;
        if (key)
            buf_addf(b, ", %s", key_text(row[i]));
        else
            buf_addf(b, "%s%s %s", comma, t->columns[i].name, row[i] ? row[i] : "NULL");
        comma = ", ";
    }
}

static void describe(const struct comparing *c, const char *const *gold, const char *const *sink) {
    struct buf b = BUF_INIT(64 * KIB);
    add_row(&b, c, gold ? gold : sink, true);
    c->cmp->where = xstrdup(buf_str(&b));
    buf_add_str(&b, ": gold has ");
    if (gold)
        add_row(&b, c, gold, false);
    buf_add_str(&b, gold ? "; the sink has " : "no row; the sink has ");
    if (sink)
        add_row(&b, c, sink, false);
    else
        buf_add_str(&b, "no row");
    c->cmp->first = buf_detach(&b);
}

/* One key: what gold and the sink have for it, NULL: no row. */
static void note(struct comparing *c, const char *const *gold, const char *const *sink) {
    if (dates_has(c->pending, key_text((gold ? gold : sink)[c->date])))
        return;
    c->cmp->compared++;
    if (gold && sink && same_values(c, gold, sink))
        return;
    if (c->cmp->differing++ == 0)
        describe(c, gold, sink);
}

/* Gold's next row; both come in the order of the key. */
static int take_gold(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                     struct err *e ATTR_UNUSED) {
    struct comparing *c = arg;
    const struct table_picture *tp = c->tp;
    int order = 1;
    while (c->at < tp->n && (order = compare_keys(&tp->as.table, tp->rows[c->at], values)) < 0)
        note(c, NULL, tp->rows[c->at++]);
    bool both = c->at < tp->n && order == 0;
    note(c, values, both ? tp->rows[c->at] : NULL);
    c->at += both;
    return 0;
}

static int merge(struct comparing *c, struct lake *l, const struct table_def *def, struct err *e) {
    const struct table_picture *tp = c->tp;
    const struct engine_rows rows = {.row = take_gold, .arg = c};
    _cleanup_(freep) char *sql = gold_select(&tp->as.table, def->view);
    if (tp->n)
        qsort_r(tp->rows, tp->n, sizeof *tp->rows, compare_rows, (void *)(uintptr_t)&tp->as.table);
    int r = lake_query(l, sql, false, &rows, e);
    while (r == 0 && c->at < tp->n)
        note(c, NULL, tp->rows[c->at++]);
    return r;
}

static size_t date_column(const struct sink_table *t) {
    size_t i = 0;
    while (strcmp(t->columns[i].name, t->date_column) != 0)
        i++;
    return i;
}

int sink_picture_compare(const struct sink_picture *p, struct lake *l, size_t i,
                         struct sink_comparison *ret, struct err *e) {
    const struct table_picture *tp = &p->v[i];
    struct table *gold = l->gold[i].tb;
    const struct table_def *def = table_definition(gold);
    struct dates pending = {0};
    bool all = false;
    int r = 0;
    if (!tp->columns)
        return 0;
    if (table_version(gold) >= 0) {
        bool same = tp->mark.version >= 0 && strcmp(tp->mark.table_id, table_id(gold)) == 0;
        r = dates_changed(gold, same ? tp->mark.version : -1, &pending, &all, e);
    }
    struct comparing c = {.tp = tp,
                          .pending = &pending,
                          .date = date_column(&tp->as.table),
                          .money_digits = p->money_digits,
                          .cmp = ret};
    ret->taken = true;
    /* Other columns, or no telling what changed: the next load writes all of it anew. */
    bool settled = gold_columns_same(def, &tp->columns->def) && (!all || tp->mark.version < 0);
    if (r == 0 && settled)
        r = merge(&c, l, def, e);
    dates_release(&pending);
    return r;
}
