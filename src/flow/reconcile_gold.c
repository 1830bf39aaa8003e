/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of reconcile between silver and gold. The contract's table is compared with sums of our
 * own over silver; every other one with what its model gives for all of silver in one go, however
 * many runs have made it day by day.
 */
#include "flow/dates.h"
#include "flow/gold_table.h"
#include "flow/reconcile_priv.h"

#define CLOSE "1e-9" /* of each other: sums of doubles depend on the order they are added in */

/* What became of each key: compared, differing, the first one that differs, and how. */
enum { COMPARED, DIFFERING, FIRST, HOW, RESULTS };

static char *not_these_dates(const char *column, const struct dates *d) {
    struct buf b = BUF_INIT(16 * MIB);
    buf_addf(&b, "%s NOT IN (DATE '0001-01-01'", column);
    for (size_t i = 0; i < d->n; i++)
        buf_addf(&b, ", DATE '%s'", d->v[i]);
    buf_add_char(&b, ')');
    return buf_detach(&b);
}

/* ---- the contract ---------------------------------------------------------------------------- */

static char *contract_sql(const struct dates *pending) {
    _cleanup_(freep) char *settled = not_these_dates("event_date", pending);
    return xasprintf(
        "SELECT count(*), count(*) FILTER (WHERE differs), min(which) FILTER (WHERE differs),"
        " arg_min(how, which) FILTER (WHERE differs) FROM "
        "(SELECT CAST(event_date AS VARCHAR) || ', ' || category AS which,"
        " ': silver has ' || coalesce(s.n || ' events, revenue ' || s.revenue, 'none') ||"
        " '; gold has ' || coalesce(g.total_events || ', ' || g.total_revenue, 'none') AS how,"
        " s.n IS DISTINCT FROM g.total_events OR s.revenue IS DISTINCT FROM g.total_revenue"
        " AS differs FROM"
        " (SELECT category, event_date, count(*) AS n,"
        " CAST(CAST(sum(revenue) AS VARCHAR) AS DOUBLE) AS revenue FROM silver_events"
        " WHERE category IS NOT NULL AND %s GROUP BY ALL) s FULL JOIN"
        " (SELECT category, event_date, sum(total_events) AS total_events,"
        " sum(total_revenue) AS total_revenue FROM gold_rows WHERE %s GROUP BY category, "
        "event_date)"
        " g USING (category, event_date))",
        settled, settled);
}

/* ---- the other models ------------------------------------------------------------------------ */

static void add_key(struct buf *b, const struct model *m) {
    buf_add_str(b, "CAST(event_date AS VARCHAR)");
    for (size_t i = 0; i < m->n_grain; i++)
        if (strcmp(m->grain[i], "event_date") != 0)
            buf_addf(b, " || ', ' || CAST(%s AS VARCHAR)", m->grain[i]);
}

static void add_differs(struct buf *b, const struct model *m, const struct column *c) {
    const char *n = c->name;
    if (c->type != TYPE_DOUBLE || m->built_in)
        buf_addf(b, " OR m.%s IS DISTINCT FROM g.%s", n, n);
    else
        buf_addf(b,
                 " OR (m.%s IS NULL) <> (g.%s IS NULL) OR coalesce(abs(m.%s - g.%s) > " CLOSE
                 " * greatest(abs(m.%s), abs(g.%s)), false)",
                 n, n, n, n, n, n);
}

/* A key that stands in gold twice differs too: a file that was added twice. */
static char *model_sql(const struct model *m, const struct table_def *def,
                       const struct dates *pending) {
    _cleanup_(freep) char *settled = not_these_dates("event_date", pending);
    struct buf b = BUF_INIT(32 * MIB);
    buf_add_str(&b, "SELECT count(*), count(*) FILTER (WHERE differs),"
                    " min(which) FILTER (WHERE differs), NULL FROM (SELECT ");
    add_key(&b, m);
    buf_add_str(&b, " AS which, m.made IS NULL OR g.copies IS DISTINCT FROM 1");
    for (size_t i = 0; i < def->n_columns; i++)
        if (!model_has_key(m, def->columns[i].name))
            add_differs(&b, m, &def->columns[i]);
    buf_add_str(&b, " AS differs FROM (SELECT 1 AS made");
    for (size_t i = 0; i < def->n_columns; i++)
        buf_addf(&b, ", CAST(%s AS %s) AS %s", def->columns[i].name,
                 column_type_sql(def->columns[i].type), def->columns[i].name);
    buf_addf(&b, " FROM model_rows WHERE %s) m FULL JOIN (SELECT count(*) AS copies, ", settled);
    model_add_grain(&b, m, ", ", "");
    for (size_t i = 0; i < def->n_columns; i++)
        if (!model_has_key(m, def->columns[i].name))
            buf_addf(&b, ", max(%s) AS %s", def->columns[i].name, def->columns[i].name);
    buf_addf(&b, " FROM gold_rows WHERE %s GROUP BY ", settled);
    model_add_grain(&b, m, ", ", "");
    buf_add_str(&b, ") g USING (");
    model_add_grain(&b, m, ", ", "");
    buf_add_str(&b, "))");
    return buf_detach(&b);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int take_result(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                       struct err *e ATTR_UNUSED) {
    char **v = arg;
    for (int i = 0; i < RESULTS; i++)
        v[i] = values[i] ? xstrdup(values[i]) : NULL;
    return 0;
}

static int ask(struct reconcile *rc, const struct lake_gold *g, const struct dates *pending,
               char *v[RESULTS], struct err *e) {
    const struct model *m = g->model;
    const struct table_def *def = table_definition(g->tb);
    const struct engine_input inputs[] = {
        {"silver_events", &silver_events, table_live(rc->lake.silver)},
        {"gold_rows", def, table_live(g->tb)},
    };
    bool contract = g == rc->lake.gold;
    _cleanup_(freep) char *sql = contract ? contract_sql(pending) : model_sql(m, def, pending);
    struct engine_stage stages[MODEL_STAGES];
    size_t n = contract ? 0 : model_inputs(m, stages);
    if (!contract)
        stages[n++] = (struct engine_stage){"model_rows", m->text, true, m->file};
    const struct engine_question q = {.what = "reconcile",
                                      .inputs = inputs,
                                      .n_inputs = ARRAY_LEN(inputs),
                                      .stages = stages,
                                      .n_stages = n,
                                      .sql = sql,
                                      .untrusted = !m->built_in};
    return engine_ask(rc->lake.en, rc->lake.st, &q,
                      &(struct engine_rows){.row = take_result, .arg = v}, e);
}

/* What cannot be computed is not proved: a check that is not ok, and the others go on. */
static int check(struct reconcile *rc, size_t i, const struct dates *pending, struct err *e) {
    const struct lake_gold *g = &rc->lake.gold[i];
    _cleanup_(freep) char *name = reconcile_name(rc, "gold", i, "gold.metrics");
    char *v[RESULTS] = {0};
    int r = 0;
    if (g->model->wrong.code < 0) {
        reconcile_check(rc, name, false, xstrdup(g->model->wrong.msg));
        return 0;
    }
    r = ask(rc, g, pending, v, e);
    if (r == ERR_ENGINE && !e->retry) {
        reconcile_check(rc, name, false, xstrdup(e->msg));
        err_clear(e);
        return 0;
    }
    if (r == 0 && strcmp(v[DIFFERING], "0") == 0)
        reconcile_check(rc, name, true, xasprintf("%s rows are those of silver", v[COMPARED]));
    else if (r == 0)
        reconcile_differs(rc, name, v[FIRST] ? xstrdup(v[FIRST]) : NULL,
                          xasprintf("%s of %s rows differ from silver, first: %s%s", v[DIFFERING],
                                    v[COMPARED], v[FIRST] ? v[FIRST] : "one without a key",
                                    v[HOW] ? v[HOW] : ""));
    for (int k = 0; k < RESULTS; k++)
        free(v[k]);
    return r;
}

static int check_table(struct reconcile *rc, size_t i, struct dates *all, struct err *e) {
    const struct lake_gold *g = &rc->lake.gold[i];
    struct dates pending = {0};
    bool any, other = false;
    int r = 0;
    if (!g->model || g->missing)
        return 0;
    if (table_id(rc->lake.silver)) {
        other = gold_is_other_model(g->model, rc->lake.silver, g->tb);
        r = gold_dates(g->model, rc->lake.silver, g->tb, &pending, &any, e);
    }
    for (size_t k = 0; r == 0 && k < pending.n; k++)
        dates_add(all, pending.v[k]);
    /* Of a model that has changed since, the table is to be made anew, maybe with other columns. */
    bool comparable = !other || g->model->wrong.code < 0;
    if (r == 0 && comparable && table_definition(g->tb)->n_columns > 0)
        r = check(rc, i, &pending, e);
    dates_release(&pending);
    return r;
}

int reconcile_gold(struct reconcile *rc, struct err *e) {
    struct dates all = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < rc->lake.n_gold; i++)
        r = check_table(rc, i, &all, e);
    rc->res->pending_dates = (int64_t)all.n;
    dates_release(&all);
    return r;
}
