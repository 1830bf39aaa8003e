/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/check_days.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

static void add_newest(const struct table *tb, struct dates *to) {
    struct dates all = {0};
    dates_of(tb, &all);
    if (all.n > 0)
        dates_add(to, all.v[all.n - 1]);
    dates_release(&all);
}

/* What one gold table has that its table in the sink does not show. */
static int add_waiting(const struct lake_gold *g, struct sink *sk, struct dates *to,
                       struct err *e) {
    const struct sink_table t = {.name = g->model->name};
    struct sink_watermark mark;
    int r = sink_peek(sk, &t, &mark, e);
    if (r < 0)
        return r;
    bool same = mark.version >= 0 && strcmp(mark.table_id, table_id(g->tb)) == 0, all;
    return dates_changed(g->tb, same ? mark.version : -1, to, &all, e);
}

int check_days_find(struct lake *l, struct sink *sk, struct dates *ret, bool *ret_waiting,
                    struct err *e) {
    int r = 0;
    for (size_t i = 0; r == 0 && sk && i < l->n_gold; i++)
        if (l->gold[i].model && table_version(l->gold[i].tb) >= 0)
            r = add_waiting(&l->gold[i], sk, ret, e);
    *ret_waiting = ret->n > 0;
    add_newest(l->silver, ret);
    return r;
}

char *check_days_select(const struct dates *days) {
    struct buf b = BUF_INIT(LIMIT_SQL);
    buf_add_str(&b, "SELECT CAST(v AS DATE) AS event_date FROM (VALUES (NULL)");
    for (size_t i = 0; i < days->n; i++) {
        int32_t ignored; /* the log's text stands in SQL only if it is a day */
        if (day_parse(days->v[i], strlen(days->v[i]), &ignored))
            buf_addf(&b, ", ('%s')", days->v[i]);
    }
    buf_add_str(&b, ") AS t(v) WHERE v IS NOT NULL");
    return buf_detach(&b);
}

/* Is it one of the days, or one of the n_days - 1 before one of them? */
static bool is_near(const struct dates *days, const char *date, int n_days) {
    int32_t at, day;
    if (!date || !day_parse(date, strlen(date), &at))
        return false;
    for (size_t i = 0; i < days->n; i++)
        if (day_parse(days->v[i], strlen(days->v[i]), &day) && day >= at)
            return day - at < n_days; /* the first that is not before it */
    return false;
}

static void take_files(const struct table *tb, const struct dates *days, int n_days,
                       struct table_files *to) {
    struct dates all = {0}, near = {0};
    dates_of(tb, &all);
    for (size_t i = 0; i < all.n; i++)
        if (is_near(days, all.v[i], n_days))
            dates_add(&near, all.v[i]);
    dates_files(tb, &near, to);
    dates_release(&all);
    dates_release(&near);
}

void check_inputs_make(const struct lake *l, const struct dates *days, int n_days,
                       struct check_inputs *ret) {
    size_t n = lake_tables(l);
    *ret = (struct check_inputs){.v = xcalloc(n, sizeof *ret->v),
                                 .files = xcalloc(n, sizeof *ret->files)};
    for (size_t i = 0; i < n; i++) {
        const struct table *tb = lake_table(l, i);
        const struct table_def *def = table_definition(tb);
        struct dates newest = {0};
        if (def->n_columns == 0) /* it is not there yet */
            continue;
        if (tb == l->bronze)
            add_newest(tb, &newest);
        take_files(tb, tb == l->bronze ? &newest : days, n_days, &ret->files[ret->n]);
        ret->v[ret->n] = (struct engine_input){def->view, def, &ret->files[ret->n]};
        ret->n++;
        dates_release(&newest);
    }
}

void check_inputs_release(struct check_inputs *in) {
    for (size_t i = 0; i < in->n; i++)
        table_files_release(&in->files[i]);
    free(in->v);
    free(in->files);
    *in = (struct check_inputs){0};
}
