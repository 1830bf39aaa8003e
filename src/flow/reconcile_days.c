/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bronze by day of arrival, silver by day of the event: the rows that the log says, and those there. And
 * what became of each day's arrivals: bronze = silver + repeats + rejects.
 */
#include "flow/reconcile_priv.h"

struct day {
    const char *day; /* the file's partition; "" for NULL */
    int64_t rows;    /* by the log; then less those that are there */
};

struct days {
    struct day *v;
    size_t n;
    int64_t uncounted; /* files, other writers', that do not say how many rows they have */
    char *first, *why; /* the first day that differs; NULL: none */
    int64_t differing;
};

static int by_day(const void *a, const void *b) {
    return strcmp(((const struct day *)a)->day, ((const struct day *)b)->day);
}

/* Files of one day need not stand together: the log is in the order of paths. */
static struct days by_log(const struct table_files *live) {
    struct days d = {.v = xcalloc(live->n + 1, sizeof *d.v)};
    for (size_t i = 0; i < live->n; i++) {
        d.v[i] = (struct day){live->v[i].partition ? live->v[i].partition : "", live->v[i].rows};
        d.uncounted += live->v[i].rows < 0;
    }
    qsort(d.v, live->n, sizeof *d.v, by_day);
    for (size_t i = 0; i < live->n; i++)
        if (d.n > 0 && by_day(&d.v[d.n - 1], &d.v[i]) == 0)
            d.v[d.n - 1].rows += d.v[i].rows;
        else
            d.v[d.n++] = d.v[i];
    return d;
}

static void differs(struct days *d, const char *day, int64_t log, int64_t there) {
    if (d->differing++ == 0) {
        d->first = xstrdup(*day ? day : "no day");
        d->why = xasprintf("%s has %lld rows by the log, %lld are there", d->first, (long long)log,
                           (long long)there);
    }
}

/* In the order of the days: what the log has and nobody counted comes out at the end. */
static int take_day(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                    struct err *e ATTR_UNUSED) {
    struct days *d = arg;
    struct day key = {values[0] ? values[0] : "", 0};
    struct day *found = d->n ? bsearch(&key, d->v, d->n, sizeof *d->v, by_day) : NULL;
    int64_t there = strtoll(values[1], NULL, 10);
    if (!found || found->rows != there)
        differs(d, key.day, found ? found->rows : 0, there);
    if (found)
        found->rows = 0;
    return 0;
}

static int check(struct reconcile *rc, struct table *tb, const char *name, struct err *e) {
    const struct table_def *def = table_definition(tb);
    _cleanup_(freep) char *sql =
        xasprintf("SELECT CAST(%s AS VARCHAR), count(*) FROM %s GROUP BY 1 ORDER BY 1",
                  def->partition_by, def->view);
    struct days d = by_log(table_live(tb));
    int r = d.uncounted ? 0
                        : lake_query(&rc->lake, sql, false,
                                     &(struct engine_rows){.row = take_day, .arg = &d}, e);
    for (size_t i = 0; r == 0 && !d.uncounted && i < d.n; i++)
        if (d.v[i].rows != 0)
            differs(&d, d.v[i].day, d.v[i].rows, 0);
    if (r == 0 && d.differing)
        reconcile_differs(
            rc, name, TAKE_PTR(d.first),
            xasprintf("%lld of %zu days differ, first: %s", (long long)d.differing, d.n, d.why));
    else if (r == 0 && !d.uncounted)
        reconcile_check(rc, name, true, xasprintf("%zu days have the rows the log says", d.n));
    free(d.first);
    free(d.why);
    free(d.v);
    return r;
}

int reconcile_days(struct reconcile *rc, struct err *e) {
    int r = rc->lake.no_bronze ? 0 : check(rc, rc->lake.bronze, "bronze.days", e);
    return r < 0 || rc->lake.no_silver ? r : check(rc, rc->lake.silver, "silver.days", e);
}

/* ---- what became of the arrivals ----------------------------------------------------------------- */

/*
 * A row of silver keeps received_at of the bronze row it was made from, whose day ingest_date is. Two
 * questions, so that of a lake far away the files of one table at a time must be local.
 */
static const char sql_came[] =
    "SELECT coalesce(CAST(ingest_date AS VARCHAR), ''), count(*), count(reject_reason)"
    " FROM bronze.events"
    " GROUP BY 1 ORDER BY 1";
static const char sql_stayed[] =
    "SELECT coalesce(CAST(CAST(received_at AS DATE) AS VARCHAR), ''), count(*)"
    " FROM silver.events"
    " GROUP BY 1 ORDER BY 1";

struct arrival {
    char *day; /* "" for NULL */
    int64_t bronze, rejects;
};

struct arrivals {
    struct arrival *v; /* in the order of the days */
    size_t n;
    int64_t bronze, rejects, silver;
    char *first, *why; /* the first day of which silver has more than came; NULL: none */
};

static int take_came(void *arg, const char *const *v, size_t n ATTR_UNUSED,
                     struct err *e ATTR_UNUSED) {
    struct arrivals *a = arg;
    struct arrival day = {xstrdup(v[0]), strtoll(v[1], NULL, 10), strtoll(v[2], NULL, 10)};
    a->v = xrealloc(a->v, (a->n + 1) * sizeof *a->v);
    a->v[a->n++] = day;
    a->bronze += day.bronze;
    a->rejects += day.rejects;
    return 0;
}

static int by_arrival(const void *a, const void *b) {
    return strcmp(((const struct arrival *)a)->day, ((const struct arrival *)b)->day);
}

static int take_stayed(void *arg, const char *const *v, size_t n ATTR_UNUSED,
                       struct err *e ATTR_UNUSED) {
    static const struct arrival none = {0};
    struct arrivals *a = arg;
    const struct arrival key = {(char *)(uintptr_t)v[0], 0, 0};
    const struct arrival *came = a->n ? bsearch(&key, a->v, a->n, sizeof *a->v, by_arrival) : NULL;
    int64_t silver = strtoll(v[1], NULL, 10);
    a->silver += silver;
    if (!came)
        came = &none;
    if (silver > came->bronze - came->rejects && !a->first) {
        a->first = xstrdup(*v[0] ? v[0] : "no day");
        a->why = xasprintf("of %s silver has %lld rows, bronze %lld and %lld rejects", a->first,
                           (long long)silver, (long long)(came->bronze - came->rejects),
                           (long long)came->rejects);
    }
    return 0;
}

static void tell_arrivals(struct reconcile *rc, struct arrivals *a,
                          const struct silver_account *acc) {
    static const char name[] = "silver.arrivals";
    int64_t repeats = a->bronze - a->rejects - a->silver;
    bool same = repeats == acc->duplicates + acc->conflicts;
    if (a->first)
        reconcile_differs(rc, name, TAKE_PTR(a->first), TAKE_PTR(a->why));
    else
        reconcile_check(rc, name, same,
                        xasprintf("%zu days of arrival: bronze %lld = silver %lld + repeats %lld "
                                  "+ rejects %lld%s",
                                  a->n, (long long)a->bronze, (long long)a->silver,
                                  (long long)repeats, (long long)a->rejects,
                                  same ? "" : "; silver's commits counted other repeats"));
}

int reconcile_arrivals(struct reconcile *rc, const struct silver_account *acc, struct err *e) {
    struct arrivals a = {0};
    int r = lake_query(&rc->lake, sql_came, false,
                       &(struct engine_rows){.row = take_came, .arg = &a}, e);
    if (r == 0)
        r = lake_query(&rc->lake, sql_stayed, false,
                       &(struct engine_rows){.row = take_stayed, .arg = &a}, e);
    if (r == 0)
        tell_arrivals(rc, &a, acc);
    for (size_t i = 0; i < a.n; i++)
        free(a.v[i].day);
    free(a.v);
    free(a.first);
    free(a.why);
    return r;
}
