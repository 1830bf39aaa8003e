/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/accounts.h"
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
        reconcile_check(rc, name, cmp.differing == 0,
                        cmp.differing == 0
                            ? xasprintf("%lld rows are those of gold", (long long)cmp.compared)
                            : xasprintf("%lld of %lld rows differ from gold, first: %s",
                                        (long long)cmp.differing, (long long)cmp.compared,
                                        cmp.first));
    }
    free(cmp.first);
    return r;
}

/* The sink first: whatever is loaded while we look is then pending, not a difference. */
static int take_pictures(struct reconcile *rc, struct sink *sk, struct err *e) {
    int r = sink_picture_take(sk, &rc->lake, &rc->sink, e);
    return r == 0 ? lake_refresh(&rc->lake, e) : r;
}

int flow_reconcile(struct storage *st, struct engine *en, struct sink *sk, const char *models_dir,
                   struct reconcile_result *ret, struct err *e) {
    struct reconcile_result res = {.ok = true};
    struct reconcile rc = {.res = &res};
    int r = lake_open(&rc.lake, st, en, models_dir, e);
    if (r == 0)
        r = take_pictures(&rc, sk, e);
    if (r == 0)
        r = reconcile_files(&rc, e);
    if (r == 0)
        r = reconcile_bronze(&rc, e);
    if (r == 0 && !rc.lake.no_bronze && !rc.lake.no_silver)
        r = check_silver(&rc, e);
    if (r == 0 && !rc.lake.no_silver)
        r = reconcile_gold(&rc, e);
    for (size_t i = 0; r == 0 && i < rc.lake.n_gold; i++)
        r = check_sink(&rc, i, e);
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
