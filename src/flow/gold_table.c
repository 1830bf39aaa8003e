/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/gold_table.h"

#include "base/util.h"
#include "flow/gold_columns.h"
#include "flow/step.h"
#include "flow/totals.h"

#define ROWS "model_rows" /* the stage with the model's rows */

enum { MAX_TRIES = 10 };

struct making {
    const struct gold_source *src;
    const struct model *m;
    struct table *tb;
    char *app_id;
    struct dates dates;
    struct gold_columns *columns; /* NULL: the table has them already */
    const struct table_def *def;  /* what is written */
};

/* ---- what is to be done ---------------------------------------------------------------------- */

char *gold_app_id(const struct table *silver) {
    return xasprintf("gold/%s", table_id(silver));
}

bool gold_is_other_model(const struct model *m, const struct table *silver,
                         const struct table *tb) {
    if (!table_id(silver))
        return false;
    _cleanup_(freep) char *app_id = gold_app_id(silver);
    return total_of(tb, app_id, "model") != m->hash;
}

struct makers {
    int64_t hash;
    bool any, this_one;
};

static int look_at_maker(void *arg, const char *app_id, int64_t version) {
    struct makers *mk = arg;
    const char *name = strrchr(app_id, '#');
    if (name && strcmp(name, "#model") == 0) {
        mk->any = true;
        mk->this_one |= version == mk->hash;
    }
    return 0;
}

bool gold_awaits_model(const struct model *m, const struct table *tb) {
    struct makers mk = {.hash = m->hash};
    table_txn_each(tb, "gold/", look_at_maker, &mk);
    return mk.any && !mk.this_one;
}

int gold_dates(const struct model *m, struct table *silver, struct table *tb, struct dates *ret,
               bool *ret_any, struct err *e) {
    _cleanup_(freep) char *app_id = gold_app_id(silver);
    int64_t from = table_txn(tb, app_id);
    bool other = gold_is_other_model(m, silver, tb), all;
    *ret_any = other || from < table_version(silver);
    if (!*ret_any)
        return 0;
    int r = dates_changed(silver, other ? -1 : from, ret, &all, e);
    if (r == 0 && all) /* also those that silver may have lost, or another silver had */
        dates_of(tb, ret);
    return r;
}

/* ---- the rows -------------------------------------------------------------------------------- */

/* How many rows, and how many no table may have: without a key, of one key, without a number. */
static char *counters_of(const struct model *m, const struct table_def *def) {
    struct buf b = BUF_INIT(64 * KIB);
    buf_add_str(&b, "SELECT count(*) AS rows, count(CASE WHEN ");
    model_add_grain(&b, m, " OR ", " IS NULL");
    buf_add_str(&b, " THEN 1 END) AS without_key, (SELECT count(*) FROM (SELECT 1 FROM " ROWS
                    " GROUP BY ");
    model_add_grain(&b, m, ", ", "");
    buf_add_str(&b, " HAVING count(*) > 1) AS repeats) AS repeated, count(CASE WHEN false");
    for (size_t i = 0; i < def->n_columns; i++)
        if (def->columns[i].type == TYPE_DOUBLE) /* NaN is greater than any number */
            buf_addf(&b, " OR abs(%s) > 1.7976931348623157e308", def->columns[i].name);
    buf_add_str(&b, " THEN 1 END) AS infinite FROM " ROWS);
    return buf_detach(&b);
}

static int compute(struct making *mk, struct engine_result *ret, struct err *e) {
    const struct model *m = mk->m;
    _cleanup_(table_files_release) struct table_files files = {0};
    dates_files(mk->src->silver, &mk->dates, &files);
    const struct engine_input input = {"silver_events", &silver_events, &files};
    struct engine_stage stages[MODEL_STAGES];
    size_t n = model_inputs(m, stages);
    stages[n++] = (struct engine_stage){ROWS, m->text, true, m->file};
    _cleanup_(freep) char *counters = counters_of(m, mk->def);
    return engine_run(mk->src->en, mk->src->st,
                      &(struct engine_job){.what = "gold",
                                           .inputs = &input,
                                           .n_inputs = 1,
                                           .stages = stages,
                                           .n_stages = n,
                                           .select = "SELECT * FROM " ROWS,
                                           .output = mk->def,
                                           .counters = counters,
                                           .untrusted = !m->built_in},
                      ret, e);
}

/* Rows that would not be replaced with their day, or that no database could tell apart. */
static int check_rows(const struct making *mk, const struct engine_result *made, struct err *e) {
    const char *file = mk->m->file;
    struct buf keys = BUF_INIT(4 * KIB);
    model_add_grain(&keys, mk->m, ", ", "");
    int64_t without = engine_counter(made, "without_key"),
            repeated = engine_counter(made, "repeated"), odd = engine_counter(made, "infinite");
    int r = 0;
    if (without) {
        r = err_set(e, ERR_ENGINE,
                    "gold: %s: %lld rows have no value in a column of the grain (%s)", file,
                    (long long)without, buf_str(&keys));
        err_hint(e, "leave them out (WHERE ... IS NOT NULL), or give them a name by coalesce()");
    } else if (repeated) {
        r = err_set(e, ERR_ENGINE, "gold: %s: %lld times the grain (%s) does not tell rows apart",
                    file, (long long)repeated, buf_str(&keys));
        err_hint(e, "GROUP BY the columns of the grain, or name further ones in its header");
    } else if (odd) {
        r = err_set(e, ERR_ENGINE, "gold: %s: %lld rows hold a number that is infinite or none",
                    file, (long long)odd);
        err_hint(e, "a division by zero? CASE WHEN n > 0 THEN ... / n END");
    }
    for (size_t i = 0; r == 0 && i < made->files.n; i++)
        if (!dates_has(&mk->dates, made->files.v[i].partition)) {
            r = err_set(e, ERR_ENGINE,
                        "gold: %s: rows of %s, a day whose events were not asked for", file,
                        made->files.v[i].partition);
            err_hint(e, "event_date must be that of the events a row is made of: a model is given "
                        "only the days that changed");
        }
    buf_release(&keys);
    return r;
}

/* ---- the commit ------------------------------------------------------------------------------ */

/* Other columns: nothing of the old ones may stay, whoever wrote it. */
static void find_replaced(const struct making *mk, struct table_files *ret) {
    const struct table_files *live = table_live(mk->tb);
    if (!mk->columns)
        dates_files(mk->tb, &mk->dates, ret);
    for (size_t i = 0; mk->columns && i < live->n; i++)
        table_file_copy(table_files_add(ret), &live->v[i]);
}

static int commit(struct making *mk, const struct engine_result *made, int64_t rows,
                  int64_t *ret_before, struct err *e) {
    _cleanup_(table_files_release) struct table_files replaced = {0};
    struct txn_list txn = {0};
    find_replaced(mk, &replaced);
    txn_list_add(&txn, xstrdup(mk->app_id), table_txn(mk->tb, mk->app_id),
                 table_version(mk->src->silver));
    total_set(&txn, mk->tb, mk->app_id, "model", mk->m->hash);
    struct table_metric metrics[] = {{"dates", (int64_t)mk->dates.n}, {"rows", rows}};
    struct table_text model = {(char *)(uintptr_t) "model", mk->m->file};
    int64_t version;
    crash_point("gold.after_data");
    int r = table_commit(mk->tb,
                         &(struct table_commit){.operation = "WRITE",
                                                .add = &made->files,
                                                .remove = &replaced,
                                                .txn = txn.v,
                                                .n_txn = txn.n,
                                                .metrics = metrics,
                                                .n_metrics = ARRAY_LEN(metrics),
                                                .parameters = &model,
                                                .n_parameters = 1,
                                                .data_change = true,
                                                .define = mk->columns ? mk->def : NULL},
                         &version, e);
    txn_list_release(&txn);
    for (size_t i = 0; i < replaced.n; i++)
        *ret_before += MAX(replaced.v[i].rows, 0);
    return r;
}

/* The columns are asked for where the model is another one, and given to a table without them. */
static int find_columns(struct making *mk, struct err *e) {
    mk->def = table_definition(mk->tb);
    if (!gold_is_other_model(mk->m, mk->src->silver, mk->tb) && mk->def->n_columns > 0)
        return 0;
    int r = gold_columns_find(mk->src->en, mk->m, &mk->columns, e);
    if (r < 0)
        return r;
    if (gold_columns_same(mk->def, &mk->columns->def)) {
        gold_columns_free(TAKE_PTR(mk->columns));
        return 0;
    }
    mk->def = &mk->columns->def;
    return mk->m->def.n_columns == 0
               ? 0
               : err_set(e, ERR_BUG, "gold: %s does not give the columns of the contract",
                         mk->m->file);
}

static int make(struct making *mk, struct gold_made *ret, struct err *e) {
    struct engine_result made = {0};
    int r = find_columns(mk, e);
    if (r == 0)
        r = compute(mk, &made, e);
    if (r < 0)
        return r;
    int64_t rows = engine_counter(&made, "rows");
    r = check_rows(mk, &made, e);
    if (r < 0) {
        table_discard(mk->tb, &made.files, ERR_BUG); /* no commit was tried */
    } else {
        int64_t before = 0;
        r = commit(mk, &made, rows, &before, e);
        if (r < 0)
            table_discard(mk->tb, &made.files, r);
        else
            *ret = (struct gold_made){true, rows, before};
    }
    engine_result_release(&made);
    return r;
}

/*
 * A day that silver has no rows of any more is one of gold's still. Silver is read after the table:
 * the position must not go back behind what another process has just reached.
 */
static int plan_dates(struct making *mk, bool *any, struct err *e) {
    const struct date_range *again = mk->src->again;
    int r = again ? table_refresh(mk->src->silver, e) : 0;
    if (r == 0)
        r = gold_dates(mk->m, mk->src->silver, mk->tb, &mk->dates, any, e);
    if (r < 0 || !again)
        return r;
    dates_of_range(mk->src->silver, again, &mk->dates);
    dates_of_range(mk->tb, again, &mk->dates);
    *any |= mk->dates.n > 0;
    return 0;
}

static int make_once(struct making *mk, struct dates *all, struct gold_made *ret, struct err *e) {
    bool any = false;
    int r = plan_dates(mk, &any, e);
    if (r == 0 && any)
        r = make(mk, ret, e);
    if (r == 0 && any)
        step_checkpoint(mk->tb, mk->src->checkpoint_interval);
    for (size_t i = 0; r == 0 && i < mk->dates.n; i++)
        dates_add(all, mk->dates.v[i]);
    dates_release(&mk->dates);
    gold_columns_free(TAKE_PTR(mk->columns));
    return r;
}

/*
 * Once more where the commit was refused, and yet nobody has done our work: a file we replace was
 * rewritten meanwhile (optimize). Days that are asked for again are nobody's work but ours.
 */
static int make_until_settled(struct making *mk, struct dates *all, struct gold_made *ret,
                              struct err *e) {
    for (int tries = 1;; tries++) {
        int64_t at = table_txn(mk->tb, mk->app_id);
        int r = make_once(mk, all, ret, e);
        if (r != ERR_CONFLICT)
            return r;
        struct err why = *e;
        r = table_refresh(mk->tb, e);
        if (r < 0)
            return r;
        bool done = !mk->src->again && table_txn(mk->tb, mk->app_id) != at;
        if (!done && tries < MAX_TRIES)
            continue;
        *e = why;
        if (!done)
            err_retry(e);
        return done ? ERR_CONFLICT : err_recode(e, ERR_STORAGE);
    }
}

int gold_table_make(const struct gold_source *src, const struct model *m, struct dates *all,
                    struct gold_made *ret, struct err *e) {
    struct making mk = {.src = src, .m = m, .app_id = gold_app_id(src->silver)};
    *ret = (struct gold_made){0};
    int r = table_open(src->st, &m->def, &mk.tb, e);
    if (r == 0)
        r = table_check_writable(mk.tb, e);
    if (r == 0)
        r = make_until_settled(&mk, all, ret, e);
    free(mk.app_id);
    table_close(mk.tb);
    return r;
}
