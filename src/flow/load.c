/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/load.h"

#include "base/log.h"
#include "flow/dates.h"
#include "flow/gold_columns.h"
#include "flow/gold_table.h"
#include "flow/step.h"
#include "table/table.h"

struct load {
    struct storage *st;
    struct engine *en;
    struct sink *sk;
    const struct check_result *checked; /* NULL: unchecked */
    struct models models;
    struct dates all; /* of all tables */
    struct load_result sum;
    struct step_failures failures;
};

/* One table. */
struct loading {
    struct load *l;
    struct table *gold;
    struct gold_sink to;
    struct sink_watermark mark;
    struct dates dates;
    int64_t rows;
};

static int send_row(void *arg, const char *const *values, size_t n, struct err *e) {
    (void)n;
    struct loading *ld = arg;
    ld->rows++;
    return sink_row(ld->l->sk, values, e);
}

static int send_rows(struct loading *ld, const struct table_files *files, struct err *e) {
    const struct table_def *def = table_definition(ld->gold);
    const struct engine_input input = {"gold_rows", def, files};
    const struct engine_rows rows = {.row = send_row, .arg = ld};
    _cleanup_(freep) char *sql = gold_select(&ld->to.table, "gold_rows");
    return engine_query(ld->l->en, ld->l->st, &input, 1, sql, false, &rows, e);
}

static int send(struct loading *ld, bool all, struct sink_load_result *done, struct err *e) {
    struct sink *sk = ld->l->sk;
    _cleanup_(table_files_release) struct table_files files = {0};
    dates_files(ld->gold, &ld->dates, &files);
    struct sink_load_begin begin = {.expected = &ld->mark,
                                    .gold_table_id = table_id(ld->gold),
                                    .gold_version = table_version(ld->gold),
                                    .dates = (const char *const *)ld->dates.v,
                                    .n_dates = ld->dates.n,
                                    .replace_all = ld->mark.version >= 0 && all};
    int r = sink_begin(sk, &ld->to.table, &begin, e);
    if (r == 0 && files.n)
        r = send_rows(ld, &files, e);
    if (r == 0)
        r = sink_commit(sk, done, e);
    if (r < 0)
        sink_rollback(sk);
    return r;
}

static void add_up(struct loading *ld, const struct sink_load_result *done) {
    struct load_result *sum = &ld->l->sum;
    sum->loads++;
    sum->rows += ld->rows;
    sum->upserted += done->upserted;
    sum->unchanged += done->unchanged;
    sum->deleted += done->deleted;
    for (size_t i = 0; i < ld->dates.n; i++)
        dates_add(&ld->l->all, ld->dates.v[i]);
}

static int load_gold(struct loading *ld, const struct model *m, struct err *e) {
    int r = gold_sink_make(m, table_definition(ld->gold), &ld->to, e);
    if (r == 0)
        r = sink_prepare(ld->l->sk, &ld->to.table, &ld->mark, e);
    if (r < 0)
        return r;
    bool same_table = ld->mark.version >= 0 && strcmp(ld->mark.table_id, table_id(ld->gold)) == 0;
    if (same_table && ld->mark.version >= table_version(ld->gold))
        return 0;
    bool all; /* the sink may hold rows of other dates, too */
    r = dates_changed(ld->gold, same_table ? ld->mark.version : -1, &ld->dates, &all, e);
    struct sink_load_result done = {0};
    if (r == 0)
        r = send(ld, all, &done, e);
    if (r == 0)
        add_up(ld, &done);
    return r;
}

/* A table that gold has still to make anew, or could not, has not the columns of the model's grain. */
static bool can_be_loaded(const struct model *m, const struct table *gold) {
    if (table_version(gold) < 0)
        return false;
    bool awaits = gold_awaits_model(m, gold);
    if (awaits)
        log_info("not loaded: the model has changed since the table was made",
                 F_STR("table", m->def.view));
    return !awaits;
}

static bool was_checked(const struct check_result *c, const struct table *gold) {
    const char *view = table_definition(gold)->view;
    for (size_t i = 0; c && i < c->n_seen; i++)
        if (strcmp(c->seen[i].view, view) == 0 && c->seen[i].version == table_version(gold))
            return true;
    if (c)
        log_info("not loaded: the table has changed since it was checked", F_STR("table", view));
    return !c;
}

/* 0 also for a table that failed alone. */
static int load_model(struct load *l, const struct model *m, struct err *e) {
    struct loading ld = {.l = l};
    int r = step_stopped("load", e);
    if (r == 0)
        r = table_open(l->st, &m->def, &ld.gold, e);
    if (r == 0 && can_be_loaded(m, ld.gold) && was_checked(l->checked, ld.gold)) {
        r = step_settle("load", load_gold(&ld, m, e), e);
        if (r == 0 && m == l->models.v)
            l->sum.gold_version = table_version(ld.gold);
    }
    dates_release(&ld.dates);
    table_close(ld.gold);
    return step_failed_alone(&l->failures, r, e) ? 0 : r;
}

int flow_load(struct storage *st, struct engine *en, struct sink *sk, const struct load_options *o,
              struct load_result *ret, struct err *e) {
    struct load l = {
        .st = st, .en = en, .sk = sk, .checked = o->checked, .sum = {.gold_version = -1}};
    int r = models_load(o->models_dir, &l.models, e);
    for (size_t i = 0; r == 0 && i < l.models.n; i++)
        if (l.models.v[i].wrong.code ==
            0) /* else gold has said so, and what it made before stays */
            r = load_model(&l, &l.models.v[i], e);
    l.sum.dates = (int64_t)l.all.n;
    if (r == 0)
        r = step_failures_end(&l.failures, &l.sum.failed, e);
    r = step_settle("load", r, e);
    dates_release(&l.all);
    models_release(&l.models);
    *ret = l.sum;
    return r;
}
