/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a load takes: bench_sink URL [ROWS [REPEATS]]. Loads ROWS (1,000) rows of 100 days: all
 * new, all the same, all changed, REPEATS (20) times each. One line of JSON a measurement, on
 * stdout, with the median. The table clickstream_metrics of that sink is overwritten.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "sink/sink.h"

enum { DAYS = 100 };

static void die(const struct err *e) {
    fprintf(stderr, "bench_sink: %s\n", e->msg);
    exit(-e->code);
}

/* The nth load: `cents` makes its values differ from the last one's. Gives its milliseconds. */
static double load(struct sink *sk, int rows, bool with_rows, int cents) {
    static int64_t version;
    struct sink_watermark at;
    struct sink_load_result done;
    struct err e;
    char days[DAYS][DATE_TEXT];
    const char *dates[DAYS];
    for (int i = 0; i < DAYS; i++) {
        day_format(20500 + i, days[i]);
        dates[i] = days[i];
    }
    int64_t start = clock_mono_ns();
    if (sink_prepare(sk, &sink_clickstream_metrics, &at, &e))
        die(&e);
    version = MAX(version, at.version) + 1;
    struct sink_load_begin b = {.expected = &at,
                                .gold_table_id = "bench",
                                .gold_version = version,
                                .dates = dates,
                                .n_dates = DAYS};
    if (sink_begin(sk, &sink_clickstream_metrics, &b, &e))
        die(&e);
    for (int i = 0; with_rows && i < rows; i++) {
        char category[32], events[16], revenue[32];
        snprintf(category, sizeof category, "category %d", i / DAYS);
        snprintf(events, sizeof events, "%d", i);
        snprintf(revenue, sizeof revenue, "%d.%02d", i, cents % 100);
        if (sink_row(sk, (const char *[]){category, events, revenue, dates[i % DAYS]}, &e))
            die(&e);
    }
    if (sink_commit(sk, &done, &e))
        die(&e);
    return (double)(clock_mono_ns() - start) / 1e6;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const struct sink *sk, const char *what, int rows, double *ms, int n) {
    qsort(ms, (size_t)n, sizeof *ms, compare);
    printf(
        "{\"bench\":\"sink_%s_%s\",\"rows\":%d,\"ms\":%.1f,\"ms_best\":%.1f,\"ms_worst\":%.1f}\n",
        sk->ops->scheme, what, rows, ms[n / 2], ms[0], ms[n - 1]);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fputs("bench_sink URL [ROWS [REPEATS]]\n", stderr);
        return 2;
    }
    int rows = argc > 2 ? atoi(argv[2]) : 1000;
    int n = argc > 3 ? MAX(1, atoi(argv[3])) : 20;
    double *ms = xcalloc((size_t)n, sizeof *ms);
    struct sink *sk;
    struct err e;
    if (sink_open(argv[1], &(struct sink_options){.timeout_ms = 10000}, &sk, &e))
        die(&e);
    for (int i = 0; i < n; i++) {
        load(sk, rows, false, 0);
        ms[i] = load(sk, rows, true, 1);
    }
    report(sk, "new", rows, ms, n);
    for (int i = 0; i < n; i++)
        ms[i] = load(sk, rows, true, 1);
    report(sk, "unchanged", rows, ms, n);
    for (int i = 0; i < n; i++)
        ms[i] = load(sk, rows, true, i + 2);
    report(sk, "changed", rows, ms, n);
    sink_free(sk);
    free(ms);
    return 0;
}
