/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/gold.h"

#include "base/mem.h"
#include "flow/gold_table.h"
#include "flow/step.h"

struct gold {
    struct gold_source src;
    struct models models;
    struct dates dates;
    struct gold_result sum;
    struct step_failures failures;
};

/* 0 also for a model that failed alone. */
static int make(struct gold *g, const struct model *m, struct err *e) {
    struct gold_made made = {0};
    int r = step_stopped("gold", e);
    if (r < 0)
        return r;
    if (m->wrong.code < 0) {
        *e = m->wrong;
        r = err_wrap(e, "gold");
    } else {
        r = step_settle("gold", gold_table_make(&g->src, m, &g->dates, &made, e), e);
    }
    g->sum.commits += made.committed;
    g->sum.rows += made.rows;
    g->sum.rows_before += made.rows_before;
    return step_failed_alone(&g->failures, r, e) ? 0 : r;
}

static int no_such_model(const struct gold *g, const char *name, struct err *e) {
    struct buf names = BUF_INIT(16 * KIB);
    for (size_t i = 0; i < g->models.n; i++)
        buf_addf(&names, "%s%s", i ? ", " : "", g->models.v[i].name);
    err_set(e, ERR_USAGE, "gold: there is no model \"%s\"", name);
    err_hint(e, "there are: %s", buf_str(&names));
    buf_release(&names);
    return e->code;
}

/* NULL for all. */
static int find_model(const struct gold *g, const char *name, const struct model **ret,
                      struct err *e) {
    *ret = name ? models_named(&g->models, name) : NULL;
    return !name || *ret ? 0 : no_such_model(g, name, e);
}

static int make_all(struct gold *g, struct err *e) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < g->models.n; i++)
        r = make(g, &g->models.v[i], e);
    for (size_t i = 0; r == 0 && i < g->models.n_refused; i++) {
        struct err why = g->models.refused[i];
        err_wrap(&why, "gold");
        step_failed_alone(&g->failures, why.code, &why);
    }
    return r;
}

int flow_gold(struct storage *st, struct engine *en, const struct gold_options *o,
              struct gold_result *ret, struct err *e) {
    struct gold g = {.src = {st, en, NULL, o->checkpoint_interval, o->again},
                     .sum = {.silver_version = -1}};
    const struct model *only = NULL;
    int r = models_load(o->models_dir, &g.models, e);
    if (r == 0)
        r = find_model(&g, o->model, &only, e);
    if (r == 0)
        r = table_open(st, &silver_events, &g.src.silver, e);
    if (r == 0 && table_version(g.src.silver) >= 0) {
        g.sum.silver_version = table_version(g.src.silver);
        r = only ? make(&g, only, e) : make_all(&g, e);
    }
    g.sum.dates = (int64_t)g.dates.n;
    if (r == 0)
        r = step_failures_end(&g.failures, &g.sum.failed, e);
    r = step_settle("gold", r, e);
    dates_release(&g.dates);
    models_release(&g.models);
    table_close(g.src.silver);
    *ret = g.sum;
    return r;
}
