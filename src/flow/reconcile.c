/* SPDX-License-Identifier: Apache-2.0 */
#include <fnmatch.h>

#include "flow/accounts.h"
#include "flow/forget.h"
#include "flow/reconcile_priv.h"

/* What to do, by the kind of difference: the first pattern that fits the check's name. */
static const char *hint_of(const char *name) {
    static const char *const hints[][2] = {
        {"bronze.log", "bring the entries of _delta_log back from a copy: nothing below bronze but "
                       "the stream has its rows"},
        {"*.log", "bring the entries of _delta_log back from a copy; or move the table's folder "
                  "away, with those of the layers above it, and let clickmill make them anew"},
        {"bronze.files",
         "bring the file back from a copy (HDFS: its trash, S3: an older version of "
         "it): nothing below bronze but the stream has its rows"},
        {"gold.files",
         "bring the file back from a copy, or let clickmill rebuild --layer gold make "
         "the table anew from silver"},
        {"silver.files", "bring the file back from a copy, or let clickmill rebuild --layer silver "
                         "make the table anew from bronze"},
        {"bronze.replayed", "clickmill rejects list shows what was replayed, clickmill table "
                            "history bronze.events which commits did it"},
        {"bronze.gaps", "the notes of the commits do not fit each other: was an entry of bronze's "
                        "_delta_log changed or removed? clickmill table verify bronze.events"},
        {"bronze.*", "clickmill table history bronze.events shows who else has added or removed "
                     "files; taking them out again (Delta's RESTORE) is up to whoever did it"},
        {"silver.forgotten",
         "where none is under way, clickmill forget --user … once more finds what "
         "is left to do"},
        {"silver.*", "clickmill table history silver.events shows who else has written to it; "
                     "clickmill rebuild --layer silver makes it anew from bronze"},
        {"gold.*", "clickmill table history shows who else has written to the table; clickmill "
                   "rebuild --layer gold makes it anew from silver"},
        {"sink.*", "somebody else has changed the table: DELETE its row FROM clickmill_loads, and "
                   "clickmill load writes all days anew"},
    };
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(hints) && fnmatch(hints[i][0], name, 0) != 0)
        i++;
    return hints[i][1];
}

static void add_check(struct reconcile *rc, struct reconcile_check check) {
    struct reconcile_result *res = rc->res;
    res->v = xrealloc(res->v, (res->n + 1) * sizeof *res->v);
    res->v[res->n++] = check;
    res->ok = res->ok && check.ok;
}

void reconcile_check(struct reconcile *rc, const char *name, bool ok, char *detail) {
    if (ok)
        add_check(rc,
                  (struct reconcile_check){.name = xstrdup(name), .ok = true, .detail = detail});
    else
        reconcile_differs(rc, name, NULL, detail);
}

void reconcile_differs(struct reconcile *rc, const char *name, char *first, char *detail) {
    add_check(rc,
              (struct reconcile_check){
                  .name = xstrdup(name), .detail = detail, .first = first, .hint = hint_of(name)});
}

void reconcile_equal(struct reconcile *rc, const char *name, const char *left, int64_t l,
                     const char *right, int64_t r) {
    reconcile_check(rc, name, l == r,
                    xasprintf("%s %lld, %s %lld", left, (long long)l, right, (long long)r));
}

/* --- silver: bronze = silver + duplicates + conflicts + rejects --- */

static int count_add(void *arg, const struct table_entry *en, struct err *e) {
    (void)e;
    for (size_t i = 0; i < en->add.n; i++)
        *(int64_t *)arg += MAX(en->add.v[i].rows, 0);
    return 0;
}

/* The bronze rows that silver has still to read. */
static int pending_rows(struct reconcile *rc, int64_t bronze_rows, struct err *e) {
    struct lake *l = &rc->lake;
    _cleanup_(freep) char *app_id = xasprintf("silver/%s", table_id(l->bronze));
    int64_t consumed = table_id(l->bronze) ? table_txn(l->silver, app_id) : -1;
    if (consumed < 0) {
        rc->res->pending_bronze = bronze_rows;
        return 0;
    }
    return table_each_entry(l->bronze, consumed, table_version(l->bronze), count_add,
                            &rc->res->pending_bronze, e);
}

/* What silver's commits say they did. */
static int check_silver_sums(struct reconcile *rc, struct silver_account *a, struct err *e) {
    int r = silver_account_audit(rc->lake.silver, a, e);
    if (r < 0)
        return r;
    int64_t sum = a->rows + a->duplicates + a->conflicts + a->rejected;
    if (a->broken)
        reconcile_check(rc, "silver.sum", false, TAKE_PTR(a->broken));
    else
        reconcile_equal(rc, "silver.sum", "rows read", a->events,
                        "silver + duplicates + conflicts + rejects", sum);
    return 0;
}

/* Two numbers that should be one; where not, the SELECT of at and what says where that begins. */
static int equal_or_first(struct reconcile *rc, const char *name, const char *left, int64_t l,
                          const char *right, int64_t r, const char *sql, struct err *e) {
    struct reconcile_place first = {0};
    if (l == r) {
        reconcile_equal(rc, name, left, l, right, r);
        return 0;
    }
    int code = reconcile_first(rc, sql, &first, e);
    if (code == 0)
        reconcile_differs(rc, name, TAKE_PTR(first.at),
                          xasprintf("%s %lld, %s %lld%s%s", left, (long long)l, right, (long long)r,
                                    first.what ? ", first: " : "", first.what ? first.what : ""));
    reconcile_place_release(&first);
    return code;
}

#define PLACE "concat_ws('/', source_topic, source_partition, source_offset, source_index)"

static const char sql_twice[] =
    "SELECT min(" PLACE "), 'the event key ' || event_key || ' of ' || min(event_date) || ', from '"
    " || min(" PLACE ") || ', is there ' || count(*) || ' times' FROM silver.events"
    " GROUP BY event_key HAVING count(*) > 1 ORDER BY min(event_date), event_key LIMIT 1";

static const char sql_other_keys[] =
    "SELECT place, 'the event key ' || event_key || ' ' || where_it_is || ', from ' || place FROM ("
    "SELECT event_key, received_at, " PLACE " AS place, 'of bronze is not in silver' AS where_it_is"
    " FROM bronze.events b WHERE reject_reason IS NULL"
    " AND NOT EXISTS (FROM silver.events s WHERE s.event_key = b.event_key) UNION ALL "
    "SELECT event_key, received_at, " PLACE ", 'of ' || event_date || ' in silver is not in bronze'"
    " FROM silver.events s WHERE NOT EXISTS (FROM bronze.events b WHERE b.event_key = s.event_key"
    " AND reject_reason IS NULL)) ORDER BY received_at, place LIMIT 1";

static int check_keys(struct reconcile *rc, int64_t in_silver, struct err *e) {
    static const char sql[] =
        "SELECT count(DISTINCT event_key) FROM bronze.events WHERE reject_reason IS NULL";
    int64_t in_bronze;
    int r = lake_counts(&rc->lake, sql, &in_bronze, 1, e);
    return r < 0 ? r
                 : equal_or_first(rc, "silver.keys", "event keys in bronze", in_bronze, "in silver",
                                  in_silver, sql_other_keys, e);
}

/* Between forget's commits to bronze and to silver the two differ by what was forgotten. */
static bool is_forgetting(struct reconcile *rc) {
    _cleanup_(freep) char *mark = forget_mark(rc->lake.bronze);
    if (table_txn(rc->lake.bronze, mark) == table_txn(rc->lake.silver, mark))
        return false;
    reconcile_check(rc, "silver.forgotten", false,
                    xstrdup("bronze has forgotten events that silver has or counts: a forget is "
                            "under way, or was cut off; their rows are not compared"));
    return true;
}

static int check_silver(struct reconcile *rc, struct err *e) {
    struct lake *l = &rc->lake;
    struct silver_account a = {0};
    int64_t data[2], bronze[2];
    int r = check_silver_sums(rc, &a, e);
    if (r == 0)
        r = lake_counts(l, "SELECT count(*), count(DISTINCT event_key) FROM silver.events", data, 2,
                        e);
    if (r == 0)
        r = lake_counts(l, "SELECT count(*), count(reject_reason) FROM bronze.events", bronze, 2,
                        e);
    if (r == 0)
        r = pending_rows(rc, bronze[0], e);
    if (r < 0)
        return r;
    reconcile_equal(rc, "silver.events", "bronze rows", bronze[0] - rc->res->pending_bronze,
                    "rows accounted for", a.events);
    bool alike = rc->res->pending_bronze == 0 && !is_forgetting(rc);
    if (alike)
        reconcile_equal(rc, "silver.rejected", "rejects in bronze", bronze[1],
                        "rejects accounted for", a.rejected);
    reconcile_equal(rc, "silver.rows", "rows committed", a.rows, "rows there", data[0]);
    r = equal_or_first(rc, "silver.once", "rows", data[0], "event keys", data[1], sql_twice, e);
    if (r == 0 && alike)
        r = check_keys(rc, data[1], e);
    if (r == 0 && alike)
        r = reconcile_arrivals(rc, &a, e);
    return r;
}

/* --- the sink --- */

/* The contract's table has the short names. */
char *reconcile_name(const struct reconcile *rc, const char *part, size_t i, const char *contract) {
    return i == 0 ? xstrdup(contract) : xasprintf("%s.%s", part, rc->lake.gold[i].model->name);
}

static int check_sink(struct reconcile *rc, size_t i, struct err *e) {
    struct sink_comparison cmp = {0};
    if (rc->lake.gold[i].missing)
        return 0;
    int r = sink_picture_compare(rc->sink, &rc->lake, i, &cmp, e);
    if (r == 0 && cmp.taken) {
        _cleanup_(freep) char *name = reconcile_name(rc, "sink", i, "sink.rows");
        if (cmp.differing == 0)
            reconcile_check(rc, name, true,
                            xasprintf("%lld rows are those of gold", (long long)cmp.compared));
        else
            reconcile_differs(rc, name, TAKE_PTR(cmp.where),
                              xasprintf("%lld of %lld rows differ from gold, first: %s",
                                        (long long)cmp.differing, (long long)cmp.compared,
                                        cmp.first));
    }
    free(cmp.where);
    free(cmp.first);
    return r;
}

/* The sink first: whatever is loaded while we look is then pending, not a difference. */
static int take_pictures(struct reconcile *rc, struct sink *sk, struct err *e) {
    int r = sink_picture_take(sk, &rc->lake, &rc->sink, e);
    return r == 0 ? lake_refresh(&rc->lake, e) : r;
}

static int compare_all(struct reconcile *rc, struct sink *sk, struct err *e) {
    int r = take_pictures(rc, sk, e);
    if (r == 0)
        reconcile_logs(rc);
    if (r == 0)
        r = reconcile_files(rc, e);
    if (r == 0)
        r = reconcile_bronze(rc, e);
    if (r == 0)
        r = reconcile_days(rc, e);
    if (r == 0 && !rc->lake.no_bronze && !rc->lake.no_silver)
        r = check_silver(rc, e);
    if (r == 0 && !rc->lake.no_silver)
        r = reconcile_gold(rc, e);
    for (size_t i = 0; r == 0 && i < rc->lake.n_gold; i++)
        r = check_sink(rc, i, e);
    return r;
}

/* What cannot be read is the difference that was looked for, if the lake itself is damaged. */
static int explain(struct reconcile *rc, struct storage *st, const char *models_dir,
                   struct err *e) {
    struct err why;
    bool found = false;
    if (e->retry || (e->code != ERR_STORAGE && e->code != ERR_ENGINE && e->code != ERR_NOT_FOUND))
        return e->code;
    if (reconcile_damage(rc, st, models_dir, &found, &why) < 0 || !found)
        return e->code;
    err_clear(e);
    return 0;
}

int flow_reconcile(struct storage *st, struct engine *en, struct sink *sk, const char *models_dir,
                   struct reconcile_result *ret, struct err *e) {
    struct reconcile_result res = {.ok = true};
    struct reconcile rc = {.res = &res};
    int r = lake_open(&rc.lake, st, en, models_dir, e);
    if (r == 0)
        r = compare_all(&rc, sk, e);
    if (r < 0)
        r = explain(&rc, st, models_dir, e);
    lake_close(&rc.lake);
    sink_picture_free(rc.sink);
    if (r < 0)
        reconcile_result_release(&res);
    else
        *ret = res;
    return r;
}

void reconcile_result_release(struct reconcile_result *r) {
    for (size_t i = 0; i < r->n; i++) {
        free(r->v[i].name);
        free(r->v[i].detail);
        free(r->v[i].first);
    }
    free(r->v);
    *r = (struct reconcile_result){0};
}
