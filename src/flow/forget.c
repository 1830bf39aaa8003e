/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/forget.h"

#include <strings.h>

#include "base/log.h"
#include "base/util.h"
#include "flow/gold_table.h"
#include "flow/rebuild.h"
#include "flow/step.h"
#include "storage/cache.h"
#include "table/retention.h"

enum {
    MAX_TRIES = 20,
    YOUNG_MS = 3600000,    /* a file in no commit may be in somebody's next one so long */
    DAY_MS = 24 * 3600000, /* further than clocks of storages are apart */
};

struct forget {
    struct storage *st;
    struct engine *en;
    const struct forget_options *o;
    struct lake lake;
    struct forget_result *res;
    struct step_failures failures;
};

/* Until silver has read all of our picture of bronze, whoever did it. */
static int catch_up(struct forget *f, struct err *e) {
    struct table *bronze = f->lake.bronze, *silver = f->lake.silver;
    _cleanup_(freep) char *app_id = xasprintf("silver/%s", table_id(bronze));
    for (int tries = 1;; tries++) {
        struct silver_result done;
        int r = flow_silver(f->st, f->en, &f->o->run->silver, &done, e);
        if (r == 0)
            r = table_refresh(silver, e);
        if (r < 0 || table_txn(silver, app_id) >= table_version(bronze))
            return r;
        if (tries == MAX_TRIES)
            return err_set(e, ERR_STORAGE,
                           "forget: silver does not come up to bronze's version %lld",
                           (long long)table_version(bronze));
    }
}

static bool gold_is_behind(const struct forget *f) {
    if (table_version(f->lake.silver) < 0)
        return false;
    _cleanup_(freep) char *app_id = gold_app_id(f->lake.silver);
    for (size_t i = 0; i < f->lake.n_gold; i++)
        if (f->lake.gold[i].model && f->lake.gold[i].model->wrong.code == 0 &&
            table_txn(f->lake.gold[i].tb, app_id) < table_version(f->lake.silver))
            return true;
    return false;
}

/* The same of gold; models that fail were told before. */
static int catch_up_gold(struct forget *f, struct err *e) {
    const struct gold_options g = {f->o->run->models_dir, f->o->run->checkpoint_interval};
    int r = 0;
    for (int tries = 0; r == 0 && tries < MAX_TRIES && (tries == 0 || gold_is_behind(f)); tries++) {
        struct gold_result gold;
        bool failed = false;
        if (flow_gold(f->st, f->en, &g, &gold, e) < 0) {
            failed = gold.failed > 0;
            r = failed ? 0 : e->code;
        }
        for (size_t i = 0; r == 0 && i < f->lake.n_gold; i++)
            r = table_refresh(f->lake.gold[i].tb, e);
        if (failed)
            break;
    }
    return r;
}

/* ---- bronze -------------------------------------------------------------------------------------- */

/* Silver reads on before: of our picture of bronze it has then read every row. */
static int try_bronze(struct forget *f, int64_t *ret_version, struct err *e) {
    int r = table_refresh(f->lake.bronze, e);
    if (r == 0)
        r = catch_up(f, e);
    return r ? r
             : forget_bronze(f->st, f->en, f->lake.bronze, f->o->user, &f->res->v[0], ret_version,
                             e);
}

static int erase_bronze(struct forget *f, int64_t *ret_version, struct err *e) {
    for (int tries = 1;; tries++) {
        int r = step_stopped("forget", e);
        if (r == 0)
            r = try_bronze(f, ret_version, e);
        if (r != ERR_CONFLICT)
            return r;
        if (tries == MAX_TRIES) {
            err_retry(e);
            return err_recode(e, ERR_STORAGE);
        }
        f->res->repeated++;
        err_clear(e);
    }
}

/* ---- silver, gold, sink -------------------------------------------------------------------------- */

static int take_day(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                    struct err *e ATTR_UNUSED) {
    if (values[0])
        dates_add(arg, values[0]);
    return 0;
}

/*
 * The user's days, those of others' events that come into a place of the user's, and those of a user whose
 * forgetting was cut off between bronze and silver.
 */
static int find_days(struct forget *f, struct dates *ret, struct err *e) {
    struct buf b = BUF_INIT(LIMIT_SQL);
    struct buf id = BUF_INIT(64 * KIB);
    buf_add_literal(&id, f->o->user);
    buf_addf(
        &b,
        "WITH mine AS (SELECT event_key, event_date FROM silver.events WHERE user_id = %s) "
        "SELECT event_date FROM mine UNION SELECT CAST(make_timestamp(CASE "
        "WHEN event_ts < 100000000000 THEN event_ts * 1000000 "
        "WHEN event_ts < 100000000000000 THEN event_ts * 1000 "
        "WHEN event_ts < 100000000000000000 THEN event_ts ELSE event_ts // 1000 END) AS DATE) "
        "FROM bronze.events WHERE reject_reason IS NULL AND event_key IN "
        "(SELECT event_key FROM mine) UNION SELECT s.event_date FROM silver.events s SEMI JOIN "
        "(FROM bronze.events WHERE reject_reason = 'forgotten') b ON b.source_offset = "
        "s.source_offset AND b.source_partition = s.source_partition AND b.source_index = "
        "s.source_index AND b.source_topic = s.source_topic AND b.received_at = s.received_at",
        buf_str(&id));
    int r = lake_refresh(&f->lake, e);
    if (r == 0) /* all that silver has read is in our picture of it */
        r = table_refresh(f->lake.bronze, e);
    if (r == 0)
        r = lake_query(&f->lake, buf_str(&b), false,
                       &(struct engine_rows){.row = take_day, .arg = ret}, e);
    buf_release(&id);
    buf_release(&b);
    return r;
}

static int64_t files_of(const struct table *tb, const struct dates *days) {
    _cleanup_(table_files_release) struct table_files files = {0};
    dates_files(tb, days, &files);
    return (int64_t)files.n;
}

static int count_users_rows(struct forget *f, int64_t *ret, struct err *e) {
    struct buf b = BUF_INIT(64 * KIB);
    buf_add_str(&b, "SELECT count(*) FROM silver.events WHERE user_id = ");
    buf_add_literal(&b, f->o->user);
    int r = lake_counts(&f->lake, buf_str(&b), ret, 1, e);
    buf_release(&b);
    return r;
}

/* Rows of bronze became rejects, now or before a forget was cut off, and silver counts them as before. */
static bool counts_are_old(const struct forget *f) {
    _cleanup_(freep) char *mark = forget_mark(f->lake.bronze);
    return table_txn(f->lake.bronze, mark) != table_txn(f->lake.silver, mark);
}

/* ERR_CONFLICT: silver went on meanwhile, and there may be other days. */
static int erase_days(struct forget *f, struct dates *days, struct err *e) {
    struct forget_table *t = &f->res->v[1];
    int r = find_days(f, days, e);
    t->files_read = (int64_t)table_live(f->lake.silver)->n;
    if (r == 0 && days->n)
        r = count_users_rows(f, &t->rows_erased, e);
    if (r < 0 || (days->n == 0 && !counts_are_old(f)))
        return r;
    struct rebuild_result done = {0};
    const struct rebuild_options o = {
        .silver = true, .days = days, .days_at = table_version(f->lake.silver), .run = f->o->run};
    t->files_rewritten = files_of(f->lake.silver, days);
    f->res->days = (int64_t)days->n;
    return rebuild_silver(f->st, f->en, &o, &done, e);
}

static int erase_silver(struct forget *f, struct err *e) {
    struct dates days = {0};
    int r;
    for (int tries = 1; (r = erase_days(f, &days, e)) == ERR_CONFLICT && tries < MAX_TRIES; tries++)
        dates_release(&days);
    if (r == ERR_CONFLICT) {
        err_retry(e);
        r = err_recode(e, ERR_STORAGE);
    }
    if (r == 0)
        r = table_refresh(f->lake.silver, e);
    if (r == 0)
        f->res->v[1].files_made = files_of(f->lake.silver, &days);
    dates_release(&days);
    return r;
}

/* What failed alone does not keep the rest from being done. */
static int follow(struct forget *f, struct err *e) {
    const struct gold_options g = {f->o->run->models_dir, f->o->run->checkpoint_interval};
    int r = flow_gold(f->st, f->en, &g, &f->res->gold, e);
    if (r < 0 && f->res->gold.failed == 0)
        return r;
    if (r < 0)
        step_also(&f->failures, e);
    crash_point("forget.after_gold");
    r = flow_run_load(f->st, f->en, f->o->run, NULL, &f->res->load,
                      e); /* no rule keeps a user there */
    step_failed_alone(&f->failures, r, e);
    if (r == ERR_STOPPED)
        return r;
    if (r < 0 && e->retry) /* the database is away: the tables need not wait for it */
        step_also(&f->failures, e);
    return 0;
}

/* ---- what is needed no more ---------------------------------------------------------------------- */

static int cut_log(struct forget *f, size_t i, struct err *e) {
    struct table *tb = lake_table(&f->lake, i);
    struct upkeep_options o = *f->o->upkeep;
    struct upkeep_result sum = {0};
    int64_t version = table_version(tb), begin = -1;
    o.log_retention_ms = -DAY_MS;
    o.log_entries = 0;
    int r = 0;
    for (int tries = 0; r == 0 && tries < MAX_TRIES && begin < version; tries++) {
        if (tries > 0) /* another process was at the log, or the reader above it not yet so far */
            r = lake_refresh(&f->lake, e);
        if (r == 0)
            r = upkeep_log(&f->lake, tb, &o, true, &sum, e);
        if (r == 0)
            r = table_log_begin(tb, &begin, e);
    }
    f->res->v[i].log_files = sum.log_files;
    f->res->v[i].version = begin;
    if (r < 0 || begin >= version)
        return r;
    struct err why = {0};
    err_set(&why, ERR_CHECK,
            "forget: the log of %s still begins at version %lld: its statistics may name the user",
            table_definition(tb)->view, (long long)begin);
    err_hint(&why, "a table's own delta.logRetentionDuration or enableExpiredLogCleanup, or a gold "
                   "model that fails, keeps it; when that is mended, forget once more");
    step_also(&f->failures, &why);
    return 0;
}

static int purge(struct forget *f, size_t i, struct err *e) {
    struct table *tb = lake_table(&f->lake, i);
    struct table_vacuum_result done = {0};
    struct table_vacuum_options v = {.asked_ms = YOUNG_MS, .force = true, .removed_too = true};
    int r = upkeep_vacuum(&f->lake, tb, f->o->upkeep, v, &done, e);
    f->res->v[i].files_deleted = done.files;
    f->res->v[i].bytes_deleted = done.bytes;
    return r;
}

/*
 * From below: what stands above a table has read all of our picture of it, so that neither its entries
 * nor its files are needed.
 */
static int purge_all(struct forget *f, struct err *e) {
    int r = table_refresh(f->lake.bronze, e);
    if (r == 0)
        r = catch_up(f, e);
    if (r == 0)
        r = catch_up_gold(f, e);
    for (size_t i = 0; r == 0 && i < lake_tables(&f->lake); i++) {
        if (table_version(lake_table(&f->lake, i)) < 0)
            continue;
        r = step_stopped("forget", e);
        if (r == 0)
            r = cut_log(f, i, e);
        if (r == 0)
            r = purge(f, i, e);
    }
    return r;
}

/* ---- all of it ----------------------------------------------------------------------------------- */

/* Its rows may be erased: an append-only table would take the commit, which only rearranges. */
static int check_erasable(const struct table *tb, struct err *e) {
    if (table_version(tb) < 0)
        return 0;
    const char *append_only = table_property(tb, "delta.appendOnly");
    if (append_only && strcasecmp(append_only, "true") == 0) {
        err_set(e, ERR_STORAGE, "forget: %s is append-only (delta.appendOnly=true)",
                table_definition(tb)->view);
        return err_hint(e, "ALTER TABLE … UNSET TBLPROPERTIES ('delta.appendOnly')");
    }
    return table_check_rewritable(tb, e);
}

static int forget(struct forget *f, struct err *e) {
    int64_t version = -1;
    if (table_version(f->lake.bronze) < 0)
        return 0;
    int r = check_erasable(f->lake.bronze, e);
    if (r == 0)
        r = check_erasable(f->lake.silver, e);
    if (r == 0)
        r = erase_bronze(f, &version, e);
    crash_point("forget.after_bronze");
    if (r == 0 && version >= 0)
        r = catch_up(f, e);
    if (r == 0)
        r = erase_silver(f, e);
    crash_point("forget.after_silver");
    if (r == 0)
        r = follow(f, e);
    if (r == 0)
        r = purge_all(f, e);
    if (r == 0 && f->o->cache_dir)
        f->res->cache_files = cache_empty(f->o->cache_dir);
    return r;
}

static void name_tables(struct forget *f) {
    f->res->n = lake_tables(&f->lake);
    f->res->v = xcalloc(f->res->n, sizeof *f->res->v);
    for (size_t i = 0; i < f->res->n; i++) {
        f->res->v[i].name = xstrdup(table_definition(lake_table(&f->lake, i))->view);
        f->res->v[i].version = -1;
    }
}

int flow_forget(struct storage *st, struct engine *en, const struct forget_options *o,
                struct forget_result *ret, struct err *e) {
    *ret = (struct forget_result){0};
    struct forget f = {.st = st, .en = en, .o = o, .res = ret};
    int64_t failed;
    int r = lake_open(&f.lake, st, en, o->run->models_dir, e);
    if (r < 0)
        return r;
    name_tables(&f);
    r = forget(&f, e);
    lake_close(&f.lake);
    return r < 0 ? step_settle("forget", r, e) : step_failures_end(&f.failures, &failed, e);
}

void forget_result_release(struct forget_result *r) {
    for (size_t i = 0; i < r->n; i++)
        free(r->v[i].name);
    free(r->v);
    *r = (struct forget_result){0};
}
