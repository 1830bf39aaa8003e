/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/lake.h"

int lake_open(struct lake *l, struct storage *st, struct engine *en, struct err *e) {
    *l = (struct lake){.st = st, .en = en};
    /* From the top down: what a layer has consumed is then in our picture of the one below it. */
    int r = table_open(st, &gold_clickstream_metrics, &l->gold, e);
    if (r == 0)
        r = table_open(st, &silver_events, &l->silver, e);
    if (r == 0)
        r = table_open(st, &bronze_events, &l->bronze, e);
    if (r < 0)
        lake_close(l);
    return r;
}

void lake_close(struct lake *l) {
    table_close(l->bronze);
    table_close(l->silver);
    table_close(l->gold);
    *l = (struct lake){0};
}

int lake_query_bronze(struct lake *l, const struct table_files *files, const char *sql,
                      const struct engine_rows *rows, struct err *e) {
    const struct engine_input input = {bronze_events.view, &bronze_events, files};
    return engine_query(l->en, l->st, &input, 1, sql, false, rows, e);
}

int lake_query(struct lake *l, const char *sql, bool untrusted, const struct engine_rows *rows,
               struct err *e) {
    static const struct table_files none = {0};
    const struct engine_input inputs[] = {
        {bronze_events.view, &bronze_events, l->no_bronze ? &none : table_live(l->bronze)},
        {silver_events.view, &silver_events, l->no_silver ? &none : table_live(l->silver)},
        {gold_clickstream_metrics.view, &gold_clickstream_metrics,
         l->no_gold ? &none : table_live(l->gold)},
    };
    return engine_query(l->en, l->st, inputs, ARRAY_LEN(inputs), sql, untrusted, rows, e);
}

struct one_row {
    char **values;
    size_t n, rows;
};

static int keep_row(void *arg, const char *const *values, size_t n, struct err *e) {
    struct one_row *o = arg;
    if (o->rows++ > 0 || n != o->n)
        return err_set(e, ERR_BUG, "a query of one row gave another shape");
    for (size_t i = 0; i < n; i++)
        o->values[i] = values[i] ? xstrdup(values[i]) : NULL;
    return 0;
}

int lake_one_row(struct lake *l, const char *sql, char **ret_values, size_t n, struct err *e) {
    struct one_row o = {.values = ret_values, .n = n};
    memset(ret_values, 0, n * sizeof *ret_values);
    int r = lake_query(l, sql, false, &(struct engine_rows){.row = keep_row, .arg = &o}, e);
    if (r == 0 && o.rows != 1)
        r = err_set(e, ERR_BUG, "a query of one row gave none");
    for (size_t i = 0; r < 0 && i < n; i++) {
        free(ret_values[i]);
        ret_values[i] = NULL;
    }
    return r;
}

int lake_counts(struct lake *l, const char *sql, int64_t *ret_values, size_t n, struct err *e) {
    char *texts[16];
    if (n > ARRAY_LEN(texts))
        return err_set(e, ERR_BUG, "lake_counts: too many values");
    int r = lake_one_row(l, sql, texts, n, e);
    for (size_t i = 0; r == 0 && i < n; i++) {
        ret_values[i] = texts[i] ? strtoll(texts[i], NULL, 10) : 0;
        free(texts[i]);
    }
    return r;
}
