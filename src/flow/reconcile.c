/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/accounts.h"
#include "flow/dates.h"
#include "flow/reconcile_priv.h"

void reconcile_check(struct reconcile *rc, const char *name, bool ok, char *detail) {
    struct reconcile_result *res = rc->res;
    res->v = xrealloc(res->v, (res->n + 1) * sizeof *res->v);
    res->v[res->n++] = (struct reconcile_check){xstrdup(name), ok, detail};
    res->ok = res->ok && ok;
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

static int check_silver(struct reconcile *rc, struct err *e) {
    struct lake *l = &rc->lake;
    struct silver_account a = {0};
    int64_t data[2], bronze_rows, bronze_keys;
    int r = check_silver_sums(rc, &a, e);
    if (r == 0)
        r = lake_counts(l, "SELECT count(*), count(DISTINCT event_key) FROM silver.events", data, 2,
                        e);
    if (r == 0)
        r = lake_counts(l, "SELECT count(*) FROM bronze.events", &bronze_rows, 1, e);
    if (r == 0)
        r = pending_rows(rc, bronze_rows, e);
    if (r < 0)
        return r;
    reconcile_equal(rc, "silver.events", "bronze rows", bronze_rows - rc->res->pending_bronze,
                    "rows accounted for", a.events);
    reconcile_equal(rc, "silver.rows", "rows committed", a.rows, "rows there", data[0]);
    reconcile_equal(rc, "silver.once", "rows", data[0], "event keys", data[1]);
    if (rc->res->pending_bronze > 0)
        return 0;
    r = lake_counts(
        l, "SELECT count(DISTINCT event_key) FROM bronze.events WHERE reject_reason IS NULL",
        &bronze_keys, 1, e);
    if (r == 0)
        reconcile_equal(rc, "silver.keys", "event keys in bronze", bronze_keys, "in silver",
                        data[1]);
    return r;
}

/* --- gold: silver with a category = gold --- */

static int pending_dates(struct reconcile *rc, struct dates *d, struct err *e) {
    struct lake *l = &rc->lake;
    if (!table_id(l->silver))
        return 0;
    _cleanup_(freep) char *app_id = xasprintf("gold/%s", table_id(l->silver));
    bool all;
    int r = dates_changed(l->silver, table_txn(l->gold, app_id), d, &all, e);
    if (r == 0 && all)
        dates_of(l->gold, d);
    rc->res->pending_dates = (int64_t)d->n;
    return r;
}

static char *not_these_dates(const struct dates *d) {
    struct buf b = BUF_INIT(16 * MIB);
    buf_add_str(&b, "coalesce(s.event_date, g.event_date) NOT IN (DATE '0001-01-01'");
    for (size_t i = 0; i < d->n; i++)
        buf_addf(&b, ", DATE '%s'", d->v[i]);
    buf_add_char(&b, ')');
    return buf_detach(&b);
}

static int check_gold(struct reconcile *rc, struct err *e) {
    struct dates pending = {0};
    int r = pending_dates(rc, &pending, e);
    char *settled = not_these_dates(&pending);
    char *sql = xasprintf("SELECT count(*), count(*) FILTER (WHERE differs), min_by(category, "
                          "(event_date, category)) FILTER (WHERE differs),"
                          " min_by(event_date, (event_date, category)) FILTER (WHERE differs) FROM "
                          "(SELECT coalesce(s.category, g.category) AS"
                          " category, coalesce(s.event_date, g.event_date) AS event_date, s.n IS "
                          "DISTINCT FROM g.total_events OR"
                          " s.revenue IS DISTINCT FROM g.total_revenue AS differs FROM (SELECT "
                          "category, event_date, count(*) AS n,"
                          " CAST(CAST(sum(revenue) AS VARCHAR) AS DOUBLE) AS revenue FROM "
                          "silver.events WHERE category IS NOT NULL"
                          " GROUP BY ALL) s FULL JOIN (SELECT category, event_date, "
                          "sum(total_events) AS total_events, sum(total_revenue) AS"
                          " total_revenue FROM gold.clickstream_metrics GROUP BY category, "
                          "event_date) g ON s.category = g.category AND s.event_date = g.event_date"
                          " WHERE %s)",
                          settled);
    char *v[4];
    if (r == 0)
        r = lake_one_row(&rc->lake, sql, v, 4, e);
    free(sql);
    free(settled);
    dates_release(&pending);
    if (r < 0)
        return r;
    bool ok = strcmp(v[1], "0") == 0;
    reconcile_check(
        rc, "gold.metrics", ok,
        ok ? xasprintf("%s rows of category and day are those of silver", v[0])
           : xasprintf("%s of %s rows differ from silver, first: %s, %s", v[1], v[0], v[3], v[2]));
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        free(v[i]);
    return 0;
}

static int check_sink(struct reconcile *rc, struct err *e) {
    struct sink_comparison cmp = {0};
    int r = sink_picture_compare(rc->sink, &rc->lake, &cmp, e);
    if (r == 0)
        reconcile_check(rc, "sink.rows", cmp.differing == 0,
                        cmp.differing == 0
                            ? xasprintf("%lld rows are those of gold", (long long)cmp.compared)
                            : xasprintf("%lld of %lld rows differ from gold, first: %s",
                                        (long long)cmp.differing, (long long)cmp.compared,
                                        cmp.first));
    free(cmp.first);
    return r;
}

int flow_reconcile(struct storage *st, struct engine *en, struct sink *sk,
                   struct reconcile_result *ret, struct err *e) {
    struct reconcile_result res = {.ok = true};
    struct reconcile rc = {.res = &res};
    /* The sink first: whatever is loaded while we look is then pending, not a difference. */
    int r = sink_picture_take(sk, &rc.sink, e);
    if (r == 0)
        r = lake_open(&rc.lake, st, en, e);
    if (r == 0)
        r = reconcile_files(&rc, e);
    if (r == 0)
        r = reconcile_bronze(&rc, e);
    if (r == 0 && !rc.lake.no_bronze && !rc.lake.no_silver)
        r = check_silver(&rc, e);
    if (r == 0 && !rc.lake.no_silver && !rc.lake.no_gold)
        r = check_gold(&rc, e);
    if (r == 0 && !rc.lake.no_gold)
        r = check_sink(&rc, e);
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
    }
    free(r->v);
    *r = (struct reconcile_result){0};
}
