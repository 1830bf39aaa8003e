/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/lake.h"

#include "base/log.h"

static const char gold_dir[] = "gold";

/* ---- which tables there are ------------------------------------------------------------------ */

/* The folders of gold that are no model's. */
static int find_others(struct storage *st, struct lake_defs *d, struct err *e) {
    struct storage_entries l = {0};
    int r = storage_list(st, gold_dir, NULL, &l, e);
    if (r < 0)
        return r;
    d->others = xcalloc(l.n + 1, sizeof *d->others);
    for (size_t i = 0; i < l.n; i++)
        if (l.v[i].is_dir && !model_name_problem(l.v[i].name) &&
            !models_named(&d->models, l.v[i].name))
            d->others[d->n_others++] =
                (struct table_def){.name = xasprintf("%s/%s", gold_dir, l.v[i].name),
                                   .view = xasprintf("%s.%s", gold_dir, l.v[i].name),
                                   .partition_by = "event_date"};
    storage_entries_release(&l);
    return 0;
}

int lake_defs_find(struct storage *st, const char *models_dir, struct lake_defs *ret,
                   struct err *e) {
    struct lake_defs d = {0};
    int r = models_load(models_dir, &d.models, e);
    if (r == 0)
        r = find_others(st, &d, e);
    if (r < 0) {
        lake_defs_release(&d);
        return r;
    }
    d.v = xcalloc(2 + d.models.n + d.n_others, sizeof *d.v);
    d.v[d.n++] = &bronze_events;
    d.v[d.n++] = &silver_events;
    for (size_t i = 0; i < d.models.n; i++)
        d.v[d.n++] = &d.models.v[i].def;
    for (size_t i = 0; i < d.n_others; i++)
        d.v[d.n++] = &d.others[i];
    *ret = d;
    return 0;
}

void lake_defs_release(struct lake_defs *d) {
    for (size_t i = 0; i < d->n_others; i++) {
        free((char *)(uintptr_t)d->others[i].name);
        free((char *)(uintptr_t)d->others[i].view);
    }
    free(d->others);
    free(d->v);
    models_release(&d->models);
    *d = (struct lake_defs){0};
}

const struct table_def *lake_defs_named(const struct lake_defs *d, const char *name) {
    const struct table_def *by_last_part = NULL;
    size_t matches = 0;
    for (size_t i = 0; i < d->n; i++) {
        const struct table_def *def = d->v[i];
        if (strcmp(name, def->name) == 0 || strcmp(name, def->view) == 0)
            return def;
        if (strcmp(name, strrchr(def->name, '/') + 1) == 0) {
            by_last_part = def;
            matches++;
        }
    }
    return matches == 1 ? by_last_part : NULL;
}

/* ---- the tables ------------------------------------------------------------------------------ */

bool lake_does_without(bool has_model, const struct err *e) {
    return !has_model && !e->retry && e->code != ERR_STOPPED;
}

static int open_gold(struct lake *l, struct err *e) {
    int r = 0;
    l->gold = xcalloc(l->defs.n, sizeof *l->gold);
    for (size_t i = 2; r == 0 && i < l->defs.n; i++) {
        struct lake_gold g = {.model = i - 2 < l->defs.models.n ? &l->defs.models.v[i - 2] : NULL};
        r = table_open(l->st, l->defs.v[i], &g.tb, e);
        if (r < 0 && lake_does_without(g.model, e)) {
            log_err(LOG_WARN, "a table without a model is left aside", e);
            r = 0;
        } else if (r == 0) {
            l->gold[l->n_gold++] = g;
        }
    }
    return r;
}

int lake_open(struct lake *l, struct storage *st, struct engine *en, const char *models_dir,
              struct err *e) {
    *l = (struct lake){.st = st, .en = en};
    int r = lake_defs_find(st, models_dir, &l->defs, e);
    /* From the top down: what a layer has consumed is then in our picture of the one below it. */
    if (r == 0)
        r = open_gold(l, e);
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
    for (size_t i = 0; i < l->n_gold; i++)
        table_close(l->gold[i].tb);
    free(l->gold);
    lake_defs_release(&l->defs);
    *l = (struct lake){0};
}

size_t lake_tables(const struct lake *l) {
    return 2 + l->n_gold;
}

struct table *lake_table(const struct lake *l, size_t i) {
    return i == 0 ? l->bronze : i == 1 ? l->silver : l->gold[i - 2].tb;
}

struct table *lake_find(const struct lake *l, const char *view) {
    for (size_t i = 0; i < lake_tables(l); i++)
        if (strcmp(table_definition(lake_table(l, i))->view, view) == 0)
            return lake_table(l, i);
    return NULL;
}

int lake_refresh(struct lake *l, struct err *e) {
    int r = 0;
    for (size_t i = lake_tables(l); r == 0 && i-- > 0;)
        r = table_refresh(lake_table(l, i), e);
    return r;
}

/* ---- questions ------------------------------------------------------------------------------- */

int lake_query_bronze(struct lake *l, const struct table_files *files, const char *sql,
                      const struct engine_rows *rows, struct err *e) {
    const struct engine_input input = {bronze_events.view, &bronze_events, files};
    return engine_query(l->en, l->st, &input, 1, sql, false, rows, e);
}

static struct engine_input input_of(struct table *tb, bool missing) {
    static const struct table_files none = {0};
    const struct table_def *def = table_definition(tb);
    return (struct engine_input){def->view, def, missing ? &none : table_live(tb)};
}

int lake_query(struct lake *l, const char *sql, bool untrusted, const struct engine_rows *rows,
               struct err *e) {
    _cleanup_(freep) struct engine_input *inputs = xcalloc(lake_tables(l), sizeof *inputs);
    size_t n = 0;
    inputs[n++] = input_of(l->bronze, l->no_bronze);
    inputs[n++] = input_of(l->silver, l->no_silver);
    for (size_t i = 0; i < l->n_gold; i++)
        if (table_definition(l->gold[i].tb)->n_columns > 0)
            inputs[n++] = input_of(l->gold[i].tb, l->gold[i].missing);
    return engine_query(l->en, l->st, inputs, n, sql, untrusted, rows, e);
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
