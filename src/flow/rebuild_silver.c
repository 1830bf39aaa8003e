/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Silver from bronze once more. The new rows are published first; the commit that puts them in the place
 * of the old ones sets silver's position, too, and so is refused if a silver step has committed
 * meanwhile. Then the bronze rows that step took in are read in addition to what is made already, and
 * the commit is tried again: a lake that never rests is rebuilt all the same. Where that would not be
 * enough (somebody was forgotten, another rebuild came first, a key came to another day), all is made anew.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "engine/models.h"
#include "flow/accounts.h"
#include "flow/forget.h"
#include "flow/rebuild.h"
#include "flow/step.h"
#include "flow/totals.h"

enum { MAX_TRIES = 50 };

struct rebuild {
    struct storage *st;
    struct engine *en;
    const struct rebuild_options *o;
    struct table *bronze, *silver;
    bool all;      /* no range */
    char *app_id;  /* silver's position */
    char *turn_id; /* of the txn that each rebuild moves on by one: of two at once one is refused */
    int64_t turn;
    char *mark_id;  /* forget_mark() */
    int64_t mark;   /* bronze's, when it was looked at */
    char *only;     /* the SELECT of the range's events; NULL: all rows */
    int64_t at, to; /* silver's position, and what the commit sets: bronze versions */
    int64_t read;   /* the bronze version up to which rows have been made; -1: nothing is made */
    bool unsettled; /* a commit was tried, and it is not known whether it came through */
    struct table_files fresh;     /* bronze files to read next */
    struct table_files made;      /* new files of silver, in no commit yet */
    struct silver_account sum;    /* of the rows read */
    struct silver_account before; /* what silver's positions say */
};

/* ---- which files --------------------------------------------------------------------------------- */

static bool in_range(const struct rebuild *rb, const struct table_file *f) {
    if (rb->all || !f->partition)
        return rb->all;
    return rb->o->days ? dates_has(rb->o->days, f->partition)
                       : date_range_has(&rb->o->range, f->partition);
}

/* Silver's files of the range, or those beside it. */
static void silver_files(const struct rebuild *rb, bool within, struct table_files *ret) {
    const struct table_files *live = table_live(rb->silver);
    for (size_t i = 0; i < live->n; i++)
        if (in_range(rb, &live->v[i]) == within)
            table_file_copy(table_files_add(ret), &live->v[i]);
}

static void copy_files(const struct table_files *from, struct table_files *to) {
    for (size_t i = 0; i < from->n; i++)
        table_file_copy(table_files_add(to), &from->v[i]);
}

/* What bronze's commits did after a version. */
struct later {
    struct table_files added; /* sorted by path */
    bool rewritten;           /* files became others, with the same rows */
    bool forgot;              /* rows became rejects */
};

static int take_later(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    struct later *l = arg;
    copy_files(&en->add, &l->added);
    l->rewritten |= en->n_other_adds > 0;
    l->forgot |= strcmp(en->operation, "FORGET") == 0;
    return 0;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct table_file *)a)->path, ((const struct table_file *)b)->path);
}

static int look_later(const struct rebuild *rb, int64_t from, int64_t to, struct later *ret,
                      struct err *e) {
    int r = table_each_entry(rb->bronze, from, to, take_later, ret, e);
    if (ret->added.n)
        qsort(ret->added.v, ret->added.n, sizeof ret->added.v[0], by_path);
    return r;
}

/* The live files that were not added later. */
static void consumed_files(const struct rebuild *rb, const struct later *l,
                           struct table_files *ret) {
    const struct table_files *live = table_live(rb->bronze);
    for (size_t i = 0; i < live->n; i++)
        if (!l->added.n ||
            !bsearch(&live->v[i], l->added.v, l->added.n, sizeof l->added.v[0], by_path))
            table_file_copy(table_files_add(ret), &live->v[i]);
}

/* ---- how many rows ------------------------------------------------------------------------------- */

static int take_count(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                      struct err *e ATTR_UNUSED) {
    *(int64_t *)arg = values[0] ? strtoll(values[0], NULL, 10) : 0;
    return 0;
}

/* As the log says; where a file, another writer's, does not, they are counted. */
static int count_rows(const struct rebuild *rb, const struct table_def *def,
                      const struct table_files *files, int64_t *ret, struct err *e) {
    *ret = table_files_rows(files);
    if (*ret >= 0)
        return 0;
    const struct engine_input input = {"counted", def, files};
    return engine_query(rb->en, rb->st, &input, 1, "SELECT count(*) FROM counted", false,
                        &(struct engine_rows){.row = take_count, .arg = ret}, e);
}

/* Rows that silver has and bronze has no more would be lost. */
static int check_bronze(const struct rebuild *rb, const struct later *later, struct err *e) {
    int64_t rows = 0, unread = 0;
    int r = count_rows(rb, &bronze_events, table_live(rb->bronze), &rows, e);
    if (r == 0)
        r = count_rows(rb, &bronze_events, &later->added, &unread, e);
    rows -= unread;
    if (r < 0 || rows >= rb->before.events || (rb->all && rb->o->force))
        return r;
    err_set(
        e, ERR_CHECK,
        "rebuild: bronze holds %lld of the %lld rows that silver was made of: what is gone from "
        "it would be lost from silver, too",
        (long long)rows, (long long)rb->before.events);
    return err_hint(e, "--force without --from and --to makes silver of what is left");
}

/* ---- rows ---------------------------------------------------------------------------------------- */

/* What a date of the range is held against; NULL: any. The caller frees. */
static char *days_of(const struct rebuild_options *o) {
    struct buf b = BUF_INIT(LIMIT_SQL);
    if (o->days) {
        buf_add_str(&b, "IN (NULL");
        for (size_t i = 0; i < o->days->n; i++)
            buf_addf(&b, ", DATE '%s'", o->days->v[i]);
        buf_add_char(&b, ')');
    } else if (o->range.from || o->range.to) {
        buf_addf(&b, "BETWEEN DATE '%s' AND DATE '%s'",
                 o->range.from ? o->range.from : "0001-01-01",
                 o->range.to ? o->range.to : "9999-12-31");
    } else {
        return NULL;
    }
    return buf_detach(&b);
}

/* NULL: all rows. The caller frees. */
static char *only_of(const struct rebuild_options *o) {
    _cleanup_(freep) char *days = days_of(o);
    const struct model_var var = {"days", days};
    return days ? model_render("sql/silver/in_range.sql", &var, 1) : NULL;
}

static int take_counters(struct rebuild *rb, const struct engine_result *made, struct err *e) {
    struct silver_account *s = &rb->sum;
    int64_t events = engine_counter(made, "events"), rows = engine_counter(made, "rows");
    int64_t others = engine_counter(made, "rejected") + engine_counter(made, "duplicates") +
                     engine_counter(made, "conflicts");
    if (events != others + rows)
        return err_set(e, ERR_BUG,
                       "rebuild: the counts do not add up: %lld read, %lld accounted for",
                       (long long)events, (long long)(others + rows));
    s->events += events;
    s->rejected += engine_counter(made, "rejected");
    s->duplicates += engine_counter(made, "duplicates");
    s->conflicts += engine_counter(made, "conflicts");
    s->rows += rows;
    return 0;
}

/* The rows of rb->fresh in addition to those made so far. */
static int make_rows(struct rebuild *rb, struct err *e) {
    int64_t began = clock_mono_ns();
    _cleanup_(table_files_release) struct table_files taken = {0};
    silver_files(rb, false, &taken);
    copy_files(&rb->made, &taken);
    static const struct table_files none = {0};
    const struct silver_inputs in = {&rb->fresh, taken.n ? table_live(rb->bronze) : &none, &taken,
                                     rb->only};
    struct engine_result made = {0};
    log_info("rebuild reads bronze", F_INT("files", (int64_t)rb->fresh.n),
             F_INT("up_to_version", rb->to));
    int r = silver_compute(rb->st, rb->en, &in, &made, e);
    if (r < 0)
        return r;
    copy_files(&made.files, &rb->made);
    r = take_counters(rb, &made, e);
    engine_result_release(&made);
    log_info("rebuilt", F_INT("events", rb->sum.events), F_INT("rows", rb->sum.rows),
             F_INT("files", (int64_t)rb->made.n), F_INT("ms", (clock_mono_ns() - began) / 1000000));
    return r;
}

/* ---- the commit ---------------------------------------------------------------------------------- */

/* Of the bronze rows silver has consumed, the rejects, and the conflicts with these files of silver. */
static int count_anew(struct rebuild *rb, const struct table_files *silver,
                      struct silver_account *ret, struct err *e) {
    _cleanup_(table_files_release) struct table_files consumed = {0};
    struct later later = {0};
    int r = look_later(rb, rb->to, table_version(rb->bronze), &later, e);
    if (r == 0)
        consumed_files(rb, &later, &consumed);
    table_files_release(&later.added);
    const struct engine_input inputs[] = {{bronze_events.view, &bronze_events, &consumed},
                                          {silver_events.view, &silver_events, silver}};
    const struct engine_rows rejected = {.row = take_count, .arg = &ret->rejected};
    const struct engine_rows conflicts = {.row = take_count, .arg = &ret->conflicts};
    if (r == 0)
        r = engine_query(rb->en, rb->st, inputs, 1,
                         "SELECT count(reject_reason) FROM bronze.events", false, &rejected, e);
    _cleanup_(freep) char *sql =
        xasprintf("SELECT count(*) FROM (\n%s\n)", model_text("sql/lake/conflicts.sql"));
    if (r == 0)
        r = engine_query(rb->en, rb->st, inputs, 2, sql, false, &conflicts, e);
    return r;
}

/* What the positions shall say: of all of bronze what was counted; of a range what can be told. */
static int new_account(struct rebuild *rb, struct silver_account *ret, struct err *e) {
    *ret = rb->sum;
    if (rb->all)
        return 0;
    _cleanup_(table_files_release) struct table_files beside = {0};
    silver_files(rb, false, &beside);
    int64_t rows;
    int r = count_rows(rb, &silver_events, &beside, &rows, e);
    if (r < 0)
        return r;
    *ret = rb->before;
    ret->rows = rows + rb->sum.rows;
    if (rb->o->days) {
        copy_files(&rb->made, &beside);
        r = count_anew(rb, &beside, ret, e);
        if (r < 0)
            return r;
    }
    int64_t repeats = ret->events - ret->rejected - ret->rows;
    if (repeats < 0)
        return err_set(e, ERR_CHECK,
                       "rebuild: silver would hold %lld rows of %lld events: it has rows that are "
                       "not from bronze",
                       (long long)ret->rows, (long long)(ret->events - ret->rejected));
    ret->conflicts = MIN(ret->conflicts, repeats);
    ret->duplicates = repeats - ret->conflicts;
    return 0;
}

struct setting {
    struct rebuild *rb;
    struct txn_list *l;
    const struct silver_account *to;
};

static void set_totals(const struct setting *s, const char *app_id,
                       const struct silver_account *a) {
    const struct table *tb = s->rb->silver;
    total_set(s->l, tb, app_id, "events", a->events);
    const struct {
        const char *name;
        int64_t value;
    } v[] = {{"rejected", a->rejected}, {"duplicates", a->duplicates}, {"conflicts", a->conflicts}};
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        if (v[i].value != MAX(total_of(tb, app_id, v[i].name), 0))
            total_set(s->l, tb, app_id, v[i].name, v[i].value);
}

/* Positions of a bronze table there was before: nothing that is left comes from it. */
static int clear_other(void *arg, const char *app_id, int64_t version ATTR_UNUSED) {
    const struct setting *s = arg;
    static const struct silver_account zero = {0};
    if (silver_is_position(app_id) && strcmp(app_id, s->rb->app_id) != 0)
        set_totals(s, app_id, &zero);
    return 0;
}

static void set_position(struct rebuild *rb, const struct silver_account *to, struct txn_list *l) {
    struct silver_account carried;
    txn_list_add(l, xstrdup(rb->app_id), rb->at, rb->to);
    txn_list_add(l, xstrdup(rb->turn_id), rb->turn, MAX(rb->turn, 0) + 1);
    int64_t known = table_txn(rb->silver, rb->mark_id);
    if ((rb->all || rb->o->days) && rb->mark != known) /* all of bronze was counted anew */
        txn_list_add(l, xstrdup(rb->mark_id), known, rb->mark);
    if (!silver_account_carried(rb->silver, &carried))
        return; /* begun without totals: the commits' counters are added up */
    const struct setting s = {rb, l, to};
    struct silver_account own = *to;
    if (rb->all) {
        table_txn_each(rb->silver, "silver/", clear_other, (void *)(uintptr_t)&s);
    } else { /* the others' stay as they are */
        own.events = total_of(rb->silver, rb->app_id, "events");
        own.rejected = MAX(total_of(rb->silver, rb->app_id, "rejected"), 0) + to->rejected -
                       rb->before.rejected;
        own.conflicts = MAX(total_of(rb->silver, rb->app_id, "conflicts"), 0) + to->conflicts -
                        rb->before.conflicts;
        own.duplicates = MAX(total_of(rb->silver, rb->app_id, "duplicates"), 0) + to->duplicates -
                         rb->before.duplicates;
    }
    set_totals(&s, rb->app_id, &own);
}

static int commit_files(struct rebuild *rb, const struct table_files *old,
                        const struct silver_account *to, struct err *e) {
    struct txn_list txn = {0};
    set_position(rb, to, &txn);
    const struct silver_account *b = &rb->before;
    /* What changes: so the counters of all commits add up to what the positions say. */
    const struct table_metric metrics[] = {{"events", to->events - b->events},
                                           {"rejected", to->rejected - b->rejected},
                                           {"duplicates", to->duplicates - b->duplicates},
                                           {"conflicts", to->conflicts - b->conflicts},
                                           {"rows", to->rows - b->rows},
                                           {"numRemovedFiles", (int64_t)old->n},
                                           {"numAddedFiles", (int64_t)rb->made.n}};
    crash_point("rebuild.after_data");
    int r = table_commit(rb->silver,
                         &(struct table_commit){.operation = "REBUILD",
                                                .add = &rb->made,
                                                .remove = old,
                                                .txn = txn.v,
                                                .n_txn = txn.n,
                                                .metrics = metrics,
                                                .n_metrics = ARRAY_LEN(metrics),
                                                .data_change = true},
                         NULL, e);
    txn_list_release(&txn);
    rb->unsettled = r < 0 && r != ERR_CONFLICT;
    return r;
}

static void fill_result(const struct rebuild *rb, const struct table_files *old,
                        struct rebuild_result *ret) {
    struct dates dates = {0};
    for (size_t i = 0; i < old->n; i++) {
        ret->rows_before += MAX(old->v[i].rows, 0);
        if (old->v[i].partition)
            dates_add(&dates, old->v[i].partition);
    }
    for (size_t i = 0; i < rb->made.n; i++)
        dates_add(&dates, rb->made.v[i].partition);
    ret->dates = (int64_t)dates.n;
    ret->rows_after = rb->sum.rows;
    ret->events = rb->sum.events;
    ret->rejected = rb->sum.rejected;
    ret->duplicates = rb->sum.duplicates;
    ret->conflicts = rb->sum.conflicts;
    dates_release(&dates);
}

static int commit(struct rebuild *rb, struct rebuild_result *ret, struct err *e) {
    _cleanup_(table_files_release) struct table_files old = {0};
    struct silver_account to;
    silver_files(rb, true, &old);
    int r = new_account(rb, &to, e);
    if (r == 0)
        r = commit_files(rb, &old, &to, e);
    if (r == 0)
        fill_result(rb, &old, ret);
    return r;
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static void begin_anew(struct rebuild *rb) {
    table_discard(rb->silver, &rb->made, ERR_BUG); /* no commit has them */
    table_files_release(&rb->made);
    rb->sum = (struct silver_account){0};
    rb->read = -1;
}

/* What silver's commits did after a version. */
struct went_on {
    const struct rebuild *rb;
    struct table_files beside; /* files that came to days beside the range */
    bool removed;              /* rows were taken out */
};

static int take_silver(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    struct went_on *w = arg;
    w->removed |= en->remove.n > 0;
    for (size_t i = 0; i < en->add.n; i++)
        if (!in_range(w->rb, &en->add.v[i]))
            table_file_copy(table_files_add(&w->beside), &en->add.v[i]);
    return 0;
}

/* Do rows made so far have keys that came to days beside the range? */
static int look_at_keys(const struct rebuild *rb, const struct table_files *beside, int64_t *ret,
                        struct err *e) {
    const struct engine_input inputs[] = {{"made", &silver_events, &rb->made},
                                          {"came", &silver_events, beside}};
    return engine_query(rb->en, rb->st, inputs, ARRAY_LEN(inputs),
                        "SELECT count(*) FROM made WHERE event_key IN (SELECT event_key FROM came)",
                        false, &(struct engine_rows){.row = take_count, .arg = ret}, e);
}

/* Whether what is made so far still stands beside what silver has become since it was looked at. */
static int check_made(struct rebuild *rb, int64_t since, struct err *e) {
    struct went_on w = {.rb = rb};
    int64_t taken = 0;
    int r = table_each_entry(rb->silver, since, table_version(rb->silver), take_silver, &w, e);
    if (r == 0 && !w.removed && w.beside.n && rb->made.n)
        r = look_at_keys(rb, &w.beside, &taken, e);
    if (r == ERR_NOT_FOUND || (r == 0 && (w.removed || taken))) {
        begin_anew(rb);
        r = 0;
    }
    table_files_release(&w.beside);
    return r;
}

/* Silver first: what it has consumed is then in our picture of bronze. */
static int look(struct rebuild *rb, struct err *e) {
    int64_t since = table_version(rb->silver);
    int r = table_refresh(rb->silver, e);
    if (r == 0)
        r = table_refresh(rb->bronze, e);
    if (r == 0)
        r = silver_account_read(rb->silver, &rb->before, e);
    free(TAKE_PTR(rb->before.broken)); /* reconcile tells it */
    if (r == 0 && rb->read >= 0)
        r = check_made(rb, since, e);
    if (r < 0)
        return r;
    rb->at = table_txn(rb->silver, rb->app_id);
    rb->turn = table_txn(rb->silver, rb->turn_id);
    rb->mark = table_txn(rb->bronze, rb->mark_id);
    if (rb->at > table_version(rb->bronze))
        return err_set(e, ERR_CHECK,
                       "rebuild: silver has consumed bronze up to version %lld, and "
                       "bronze stands at %lld",
                       (long long)rb->at, (long long)table_version(rb->bronze));
    rb->to = rb->all ? table_version(rb->bronze) : rb->at;
    return 0;
}

/*
 * All that silver has consumed, or all there is. A range is made of what silver has consumed; *ret_mixed:
 * there are files with rows of both kinds.
 */
static int plan_first(struct rebuild *rb, bool *ret_mixed, struct err *e) {
    struct later later = {0};
    int r = look_later(rb, rb->at, table_version(rb->bronze), &later, e);
    *ret_mixed = !rb->all && later.rewritten;
    if (r == 0)
        r = check_bronze(rb, &later, e);
    if (r == 0 && rb->all)
        copy_files(table_live(rb->bronze), &rb->fresh);
    else if (r == 0)
        consumed_files(rb, &later, &rb->fresh);
    table_files_release(&later.added);
    return r;
}

/* In addition to what is made what has come since; *ret_anew: that is not enough. */
static int plan_next(struct rebuild *rb, bool *ret_anew, struct err *e) {
    struct later later = {0}, unread = {0};
    int r = look_later(rb, rb->read, rb->to, &later, e);
    if (r == 0)
        r = look_later(rb, rb->to, table_version(rb->bronze), &unread, e);
    *ret_anew = r == ERR_NOT_FOUND || later.forgot || unread.forgot ||
                (!rb->all && (later.rewritten || unread.rewritten));
    table_files_release(&unread.added);
    if (r == 0 && !*ret_anew)
        rb->fresh = later.added;
    else
        table_files_release(&later.added);
    return *ret_anew ? 0 : r;
}

static int plan(struct rebuild *rb, bool *ret_mixed, struct err *e) {
    bool anew = rb->read < 0;
    *ret_mixed = false;
    table_files_release(&rb->fresh);
    int r = anew ? 0 : plan_next(rb, &anew, e);
    if (r < 0 || !anew)
        return r;
    if (rb->read >= 0)
        begin_anew(rb);
    return plan_first(rb, ret_mixed, e);
}

static int try_once(struct rebuild *rb, struct rebuild_result *ret, struct err *e) {
    bool mixed = false;
    int r = look(rb, e);
    if (r == 0 && rb->o->days && table_version(rb->silver) != rb->o->days_at)
        return err_set(e, ERR_CONFLICT, "silver has gone on since the days were chosen");
    if (r == 0)
        r = plan(rb, &mixed, e);
    if (r == 0 && mixed) { /* files of a later version: silver shall have read those, too */
        struct silver_result done;
        r = flow_silver(rb->st, rb->en, &rb->o->run->silver, &done, e);
        return r == 0 ? err_set(e, ERR_CONFLICT, "bronze was rewritten") : r;
    }
    if (r == 0 && rb->fresh.n && !(rb->o->days && rb->o->days->n == 0))
        r = make_rows(rb, e);
    if (r < 0)
        return r;
    rb->read = rb->to;
    return commit(rb, ret, e);
}

static int try_until_settled(struct rebuild *rb, struct rebuild_result *ret, struct err *e) {
    for (;;) {
        int r = step_stopped("rebuild", e);
        if (r == 0)
            r = try_once(rb, ret, e);
        ret->tries++;
        if (r != ERR_CONFLICT || rb->o->days)
            return r;
        if (ret->tries == MAX_TRIES) {
            err_retry(e);
            return err_recode(e, ERR_STORAGE);
        }
        log_info("another process was faster: what it did is taken in", F_STR("why", e->msg));
        err_clear(e);
    }
}

static int run(struct rebuild *rb, struct rebuild_result *ret, struct err *e) {
    if (table_version(rb->bronze) < 0)
        return err_set(e, ERR_CHECK, "rebuild: there is silver, and no bronze to make it from");
    rb->app_id = xasprintf("silver/%s", table_id(rb->bronze));
    rb->turn_id = xasprintf("rebuild/%s", table_id(rb->bronze));
    rb->mark_id = forget_mark(rb->bronze);
    rb->only = only_of(rb->o);
    rb->all = !rb->only;
    if (!rb->all && table_txn(rb->silver, rb->app_id) < 0)
        return err_set(e, ERR_CHECK, "rebuild: silver has read nothing of this bronze");
    int r = try_until_settled(rb, ret, e);
    if (r == 0)
        step_checkpoint(rb->silver, rb->o->run->checkpoint_interval);
    else
        table_discard(rb->silver, &rb->made, rb->unsettled ? r : ERR_BUG);
    return r;
}

int rebuild_silver(struct storage *st, struct engine *en, const struct rebuild_options *o,
                   struct rebuild_result *ret, struct err *e) {
    struct rebuild rb = {.st = st, .en = en, .o = o, .read = -1};
    int r = table_open(st, &silver_events, &rb.silver, e);
    if (r == 0)
        r = table_open(st, &bronze_events, &rb.bronze, e);
    if (r == 0)
        r = table_check_rewritable(rb.silver, e);
    if (r == 0 && table_version(rb.silver) >= 0)
        r = run(&rb, ret, e);
    table_files_release(&rb.fresh);
    table_files_release(&rb.made);
    free(rb.app_id);
    free(rb.turn_id);
    free(rb.mark_id);
    free(rb.only);
    table_close(rb.bronze);
    table_close(rb.silver);
    return r < 0 && !(r == ERR_CONFLICT && o->days) ? step_settle("rebuild", r, e) : r;
}
