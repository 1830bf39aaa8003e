/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/silver.h"

#include "base/log.h"
#include "base/util.h"
#include "engine/models.h"
#include "flow/silver_keys.h"
#include "flow/step.h"
#include "flow/totals.h"
#include "table/table.h"

struct silver {
    struct storage *st;
    struct engine *en;
    struct table *bronze, *silver;
    char *app_id;
    int64_t from, to; /* bronze versions: from < v <= to are consumed by this commit */
    struct table_files fresh, old;
    int64_t fresh_rows, batch_rows;
    struct silver_keys keys;
    int64_t index_keys; /* that were asked for the repeats; 0: silver itself was */
    bool uncounted;     /* a fresh file, another writer's, does not say how many rows it has */
    bool whole;         /* the fresh files are all there are, and cannot be told apart by commit */
    int64_t before;     /* the batch ends before this version of bronze; 0: as batch_rows says */
    int64_t checkpoint_interval;
};

static void take_file(struct silver *s, const struct table_file *f) {
    table_file_copy(table_files_add(&s->fresh), f);
    s->fresh_rows += MAX(f->rows, 0);
    s->uncounted |= f->rows < 0;
}

static int take_entry(void *arg, const struct table_entry *en, struct err *e) {
    (void)e;
    struct silver *s = arg;
    if ((s->fresh_rows > 0 && s->fresh_rows >= s->batch_rows) ||
        (s->before > 0 && en->version >= s->before))
        return 1; /* enough for one commit */
    for (size_t i = 0; i < en->add.n; i++)
        take_file(s, &en->add.v[i]);
    s->to = en->version;
    return 0;
}

static int any_gone(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    const struct table *bronze = arg;
    for (size_t i = 0; i < en->add.n; i++)
        if (!table_has_file(bronze, en->add.v[i].path))
            return 1;
    return 0;
}

/*
 * The files whose rows silver has not seen: those of the next commits, so many that batch_rows are
 * reached. Silver that begins where the log was cleaned, or files were rewritten since, takes all
 * that is there at once: the files of the first commits may exist no more.
 */
static int collect_fresh(struct silver *s, struct err *e) {
    int64_t version = table_version(s->bronze);
    int r = s->from < 0 ? table_each_entry(s->bronze, -1, version, any_gone, s->bronze, e) : 0;
    if (r == 0)
        return MIN(table_each_entry(s->bronze, s->from, version, take_entry, s, e), 0);
    if (r < 0 && r != ERR_NOT_FOUND)
        return r;
    const struct table_files *live = table_live(s->bronze);
    for (size_t i = 0; i < live->n; i++)
        take_file(s, &live->v[i]);
    s->to = version;
    s->whole = true;
    return 0;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct table_file *)a)->path, ((const struct table_file *)b)->path);
}

/*
 * The bronze files whose rows silver has seen: the live ones that were not added after s->from. A
 * rewritten file may hold rows that it has not: nobody looks for these (sql/silver/committed.sql).
 */
static int collect_old(struct silver *s, struct err *e) {
    struct silver later = {.batch_rows = INT64_MAX};
    if (s->from < 0)
        return 0;
    int r = table_each_entry(s->bronze, s->from, table_version(s->bronze), take_entry, &later, e);
    if (r < 0) {
        table_files_release(&later.fresh);
        return r;
    }
    if (later.fresh.n)
        qsort(later.fresh.v, later.fresh.n, sizeof later.fresh.v[0], by_path);
    const struct table_files *live = table_live(s->bronze);
    for (size_t i = 0; i < live->n; i++)
        if (!later.fresh.n ||
            !bsearch(&live->v[i], later.fresh.v, later.fresh.n, sizeof later.fresh.v[0], by_path))
            table_file_copy(table_files_add(&s->old), &live->v[i]);
    table_files_release(&later.fresh);
    return 0;
}

int silver_compute(struct storage *st, struct engine *en, const struct silver_inputs *in,
                   struct engine_result *ret, struct err *e) {
    const struct engine_input inputs[] = {
        {in->only ? "bronze_read" : "bronze_new", &bronze_events, in->fresh},
        {"bronze_old", &bronze_events, in->old},
        {"silver_events", &silver_events, in->silver},
    };
    const char *engine = en->ops->scheme;
    const char *met = in->met ? "sql/silver/keys.sql" : "sql/silver/met.sql";
    _cleanup_(freep) char *bots = bots_pattern(model_text("conf/bots.txt"), e);
    if (!bots)
        return e->code;
    const struct model_var var = {"bots", bots};
    _cleanup_(freep) char *agents = model_render("sql/silver/bot_agents.sql", &var, 1);
    const struct engine_stage stages[] = {
        {"bronze_new", in->only},
        {"repeated", model_text_for(engine, "sql/silver/repeated.sql"), .keep = true},
        {"met", model_text(met), .keep = true, .exchange = in->met},
        {"committed", model_text("sql/silver/committed.sql"), .keep = true},
        {"suspect_keys", model_text("sql/silver/suspect_keys.sql"), .keep = true},
        {"bot_agents", agents, .keep = true},
        {"arrived", model_text_for(engine, "sql/silver/arrived.sql")},
        {"typed", model_text("sql/silver/typed.sql")},
        {"suspects", model_text_for(engine, "sql/silver/suspects.sql"), .keep = true,
         .apart = "is_suspect"},
        {"ranked", model_text("sql/silver/ranked.sql"), .keep = true},
    };
    size_t skip = in->only ? 0 : 1;
    return engine_run(en, st,
                      &(struct engine_job){.what = "silver",
                                           .inputs = inputs,
                                           .n_inputs = ARRAY_LEN(inputs),
                                           .stages = stages + skip,
                                           .n_stages = ARRAY_LEN(stages) - skip,
                                           .select = model_text("sql/silver/events.sql"),
                                           .output = &silver_events,
                                           .twin = "event_id",
                                           .twin_of = "event_key",
                                           .counters = model_text("sql/silver/counters.sql")},
                      ret, e);
}

/* The silver rows that were met, as the key index found them. */
struct met {
    struct key_list found;
    size_t given;
};

static int give_met(void *arg, uint64_t *const *columns, size_t max, size_t *ret_rows,
                    struct err *e ATTR_UNUSED) {
    struct met *m = arg;
    size_t n = MIN(max, m->found.n - m->given);
    for (size_t i = 0; i < n; i++) {
        columns[0][i] = m->found.v[m->given + i].hash;
        columns[1][i] = (uint64_t)m->found.v[m->given + i].at;
    }
    m->given += n;
    *ret_rows = n;
    return 0;
}

static int make_rows(struct silver *s, struct engine_result *ret, struct err *e) {
    static const struct table_files none;
    struct met met = {0};
    const struct engine_exchange give = {.give = give_met, .arg = &met};
    int64_t asked = 0;
    bool known = silver_keys_find(&s->keys, &s->fresh, s->fresh_rows, &met.found, &asked);
    s->index_keys = known ? keys_rows(s->keys.k) : 0;
    bool alone = known && met.found.n == 0; /* nothing of silver is looked at */
    const struct silver_inputs in = {.fresh = &s->fresh,
                                     .old = alone ? &none : &s->old,
                                     .silver = alone ? &none : table_live(s->silver),
                                     .met = known ? &give : NULL};
    int r = silver_compute(s->st, s->en, &in, ret, e);
    key_list_release(&met.found);
    int64_t keys = engine_counter(ret, "events") - engine_counter(ret, "rejected");
    if (r == 0 && known && asked != keys) /* what was not asked for would be doubled */
        r = err_set(e, ERR_BUG,
                    "silver: the key index was asked for %lld of %lld keys; nothing was committed",
                    (long long)asked, (long long)keys);
    return r;
}

static int check_counters(const struct engine_result *r, const struct silver *s, struct err *e) {
    int64_t events = engine_counter(r, "events"), rows = engine_counter(r, "rows"), written = 0;
    for (size_t i = 0; i < r->files.n; i++)
        written += r->files.v[i].rows;
    int64_t sum = engine_counter(r, "rejected") + engine_counter(r, "duplicates") +
                  engine_counter(r, "conflicts") + rows;
    if (events == sum && rows == written && (events == s->fresh_rows || s->uncounted))
        return 0;
    return err_set(e, ERR_BUG,
                   "silver: the counts do not add up: %lld rows in bronze, %lld read, %lld "
                   "accounted for, %lld rows made, "
                   "%lld written; nothing was committed",
                   (long long)s->fresh_rows, (long long)events, (long long)sum, (long long)rows,
                   (long long)written);
}

/* The version reached, and what it has added up to since the first one. */
static void add_position(const struct silver *s, const struct engine_result *r,
                         struct txn_list *l) {
    static const char *const counters[] = {"rejected", "duplicates", "conflicts"};
    txn_list_add(l, xstrdup(s->app_id), s->from, s->to);
    if (s->from < 0)
        total_start(l, s->app_id, "events", engine_counter(r, "events"));
    else if (total_of(s->silver, s->app_id, "events") < 0)
        return; /* begun without totals */
    else
        total_grow(l, s->silver, s->app_id, "events", engine_counter(r, "events"));
    for (size_t i = 0; i < ARRAY_LEN(counters); i++)
        total_grow(l, s->silver, s->app_id, counters[i], engine_counter(r, counters[i]));
}

static int commit(struct silver *s, const struct engine_result *r, struct err *e) {
    struct txn_list txn = {0};
    add_position(s, r, &txn);
    struct table_metric metrics[] = {
        {"events", engine_counter(r, "events")},
        {"rejected", engine_counter(r, "rejected")},
        {"duplicates", engine_counter(r, "duplicates")},
        {"conflicts", engine_counter(r, "conflicts")},
        {"rows", engine_counter(r, "rows")},
    };
    int64_t version;
    crash_point("silver.after_data");
    int done = table_commit(s->silver,
                            &(struct table_commit){.operation = "WRITE",
                                                   .add = &r->files,
                                                   .txn = txn.v,
                                                   .n_txn = txn.n,
                                                   .metrics = metrics,
                                                   .n_metrics = ARRAY_LEN(metrics),
                                                   .data_change = true},
                            &version, e);
    txn_list_release(&txn);
    return done;
}

static void add_up(struct silver_result *sum, const struct engine_result *r) {
    sum->commits++;
    sum->files += (int64_t)r->files.n;
    sum->events += engine_counter(r, "events");
    sum->rejected += engine_counter(r, "rejected");
    sum->duplicates += engine_counter(r, "duplicates");
    sum->conflicts += engine_counter(r, "conflicts");
    sum->rows += engine_counter(r, "rows");
}

/*
 * The batch was more than the engine's memory holds at once (most of it known already, say): again with
 * half of its commits. Of one there is no half.
 */
static bool halve(struct silver *s, struct err *e) {
    if (!e->too_much || s->whole || s->to - s->from < 2)
        return false;
    log_warn("silver batch too large for engine.memory, halved", F_INT("rows", s->fresh_rows),
             F_INT("commits", s->to - s->from), F_STR("error", e->msg));
    s->before = s->from + 1 + (s->to - s->from) / 2;
    err_clear(e);
    return true;
}

/* Without fresh files the commits of bronze only rewrote some, or held none: the position is moved. */
static int make_and_commit(struct silver *s, struct engine_result *made, struct err *e) {
    int r = s->fresh.n ? make_rows(s, made, e) : 0;
    if (r == 0)
        r = check_counters(made, s, e);
    if (r == 0)
        r = commit(s, made, e);
    if (r < 0)
        table_discard(s->silver, &made->files, r);
    return r;
}

/* One commit's worth; *ret_more: there may be more. */
static int one_commit(struct silver *s, struct silver_result *sum, bool *ret_more, struct err *e) {
    *ret_more = false;
    s->fresh_rows = 0;
    s->uncounted = s->whole = false;
    s->index_keys = 0;
    s->from = s->to = table_txn(s->silver, s->app_id);
    if (s->from >= table_version(s->bronze))
        return 0;
    struct engine_result made = {0};
    int r = collect_fresh(s, e);
    if (r == 0)
        r = collect_old(s, e);
    if (r == 0)
        r = make_and_commit(s, &made, e);
    if (r == 0) {
        add_up(sum, &made);
        sum->by_index += s->index_keys > 0;
        sum->index_keys = MAX(s->index_keys, sum->index_keys);
        if (s->before > 0 && s->fresh_rows > 0) /* what was too much once is so again */
            s->batch_rows = s->fresh_rows;
        s->before = 0;
        step_checkpoint(s->silver, s->checkpoint_interval);
    } else if (halve(s, e)) {
        r = 0;
    }
    engine_result_release(&made);
    table_files_release(&s->fresh);
    table_files_release(&s->old);
    *ret_more = r == 0;
    return r;
}

int flow_silver(struct storage *st, struct engine *en, const struct silver_options *o,
                struct silver_result *ret, struct err *e) {
    struct silver s = {.st = st,
                       .en = en,
                       .batch_rows = o->batch_rows,
                       .checkpoint_interval = o->checkpoint_interval};
    struct silver_result sum = {.bronze_version = -1};
    int r = table_open(st, &bronze_events, &s.bronze, e);
    if (r == 0)
        r = table_open(st, &silver_events, &s.silver, e);
    if (r == 0)
        r = table_check_writable(s.silver, e);
    if (r == 0 && table_version(s.bronze) >= 0) {
        s.app_id = xasprintf("silver/%s", table_id(s.bronze));
        s.keys = (struct silver_keys){.dir = o->index_dir,
                                      .min_rows = o->index_min_rows,
                                      .st = st,
                                      .en = en,
                                      .silver = s.silver};
        sum.bronze_version = table_version(s.bronze);
        bool more = true;
        while (r == 0 && more && !(r = step_stopped("silver", e)))
            r = one_commit(&s, &sum, &more, e);
    }
    r = step_settle("silver", r, e);
    silver_keys_close(&s.keys);
    free(s.app_id);
    table_close(s.bronze);
    table_close(s.silver);
    *ret = sum;
    return r;
}
