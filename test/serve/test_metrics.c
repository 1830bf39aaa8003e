/* SPDX-License-Identifier: Apache-2.0 */
/* The registry and its text. Whether others can read the text: test/e2e/test_metrics.py. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include "serve/meters.h"
#include <cmocka.h>

enum { COUNT, GAUGE, SECONDS, PAIR };
static const double bounds[] = {0.5, 1, 2.5, 0};
static const struct metric_def defs[] = {
    [COUNT] = {"t_things_total", METRIC_COUNTER, 1, {0}, NULL, "things", "How many."},
    [GAUGE] =
        {"t_lag", METRIC_GAUGE, 2, {"partition"}, NULL, "records", "One \\ two\nthree \"four\"."},
    [SECONDS] = {"t_seconds", METRIC_HISTOGRAM, 1, {0}, bounds, "seconds", "How long."},
    [PAIR] = {"t_pair_seconds", METRIC_HISTOGRAM, 4, {"step", "table"}, bounds, "seconds", "Two."},
};

static void assert_text(struct metrics *m, const char *expected) {
    struct buf b = BUF_INIT(1 << 20);
    metrics_write(m, &b);
    assert_string_equal(buf_str(&b), expected);
    buf_release(&b);
}

static struct metrics *fresh(void) {
    return metrics_new(defs, ARRAY_LEN(defs));
}

static void what_was_never_asked_for_is_not_written(void **state ATTR_UNUSED) {
    struct metrics *m = fresh();
    assert_text(m, "");
    metrics_show(m, 2 | 4); /* they have labels: which series there are nobody knows yet */
    assert_text(m, "");
    metrics_show(m, 1);
    assert_text(m, "# HELP t_things_total How many.\n# TYPE t_things_total counter\n"
                   "t_things_total 0\n"
                   "# HELP t_seconds How long.\n# TYPE t_seconds histogram\n"
                   "t_seconds_bucket{le=\"0.5\"} 0\nt_seconds_bucket{le=\"1\"} 0\n"
                   "t_seconds_bucket{le=\"2.5\"} 0\nt_seconds_bucket{le=\"+Inf\"} 0\n"
                   "t_seconds_sum 0\nt_seconds_count 0\n");
    metrics_free(m);
}

static void partitions_stand_in_order_of_their_numbers(void **state ATTR_UNUSED) {
    struct metrics *m = fresh();
    static const int64_t numbers[] = {10, 9, 100, 0, 2};
    char text[METRIC_NUMBER];
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        metric_set(metrics_get(m, GAUGE, metric_number(numbers[i], text), NULL), (double)i);
    assert_text(m, "# HELP t_lag One \\\\ two\\nthree \"four\".\n# TYPE t_lag gauge\n"
                   "t_lag{partition=\"0\"} 3\nt_lag{partition=\"2\"} 4\nt_lag{partition=\"9\"} 1\n"
                   "t_lag{partition=\"10\"} 0\nt_lag{partition=\"100\"} 2\n");
    assert_ptr_equal(metrics_get(m, GAUGE, "9", NULL), metrics_get(m, GAUGE, "9", NULL));
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        metrics_drop(m, GAUGE, metric_number(numbers[i], text), NULL);
    metrics_drop(m, GAUGE, "77", NULL); /* there was none */
    assert_text(m, "");
    assert_int_equal(metric_value(metrics_get(m, GAUGE, "10", NULL)), 0);
    assert_text(m, "# HELP t_lag One \\\\ two\\nthree \"four\".\n# TYPE t_lag gauge\n"
                   "t_lag{partition=\"10\"} 0\n");
    metrics_free(m);
}

static void label_values_are_escaped_and_cut(void **state ATTR_UNUSED) {
    struct metrics *m = fresh();
    char longer[1000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    metric_set(metrics_get(m, GAUGE, "a\\b\"c\nd\xff ä", NULL), 1);
    metric_set(metrics_get(m, GAUGE, "", NULL), 2);
    metric_set(metrics_get(m, GAUGE, longer, NULL), 3);
    longer[METRIC_LABEL_BYTES - 1] = '\0';
    struct buf b = BUF_INIT(1 << 20);
    buf_addf(&b,
             "# HELP t_lag One \\\\ two\\nthree \"four\".\n# TYPE t_lag gauge\n"
             "t_lag{partition=\"\"} 2\n"
             "t_lag{partition=\"a\\\\b\\\"c\\nd\xEF\xBF\xBD ä\"} 1\nt_lag{partition=\"%s\"} 3\n",
             longer);
    assert_text(m, buf_str(&b));
    buf_release(&b);
    metrics_free(m);
}

static void numbers_keep_their_value(void **state ATTR_UNUSED) {
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"},
                 {-1, "-1"},
                 {0.1, "0.1"},
                 {1e15, "1e+15"},
                 {1795641362.98, "1795641362.98"},
                 {1.0 / 3, "0.3333333333333333"},
                 {123456789012345, "123456789012345"},
                 {INFINITY, "+Inf"},
                 {-INFINITY, "-Inf"},
                 {NAN, "NaN"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct metrics *m = fresh();
        metric_set(metrics_get(m, GAUGE, "0", NULL), cases[i].v);
        struct buf b = BUF_INIT(1 << 20);
        metrics_write(m, &b);
        char *value = strrchr(buf_str(&b), ' ');
        assert_non_null(value);
        value[strlen(value) - 1] = '\0';
        assert_string_equal(value + 1, cases[i].text);
        buf_release(&b);
        metrics_free(m);
    }
}

static void a_bucket_holds_what_is_at_most_its_bound(void **state ATTR_UNUSED) {
    struct metrics *m = fresh();
    static const double seen[] = {0, 0.5, 0.50001, 1, 2.5, 2.6, 1e9};
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        metric_observe(metrics_get(m, PAIR, "silver", "t\"x"), seen[i]);
    assert_text(m, "# HELP t_pair_seconds Two.\n# TYPE t_pair_seconds histogram\n"
                   "t_pair_seconds_bucket{step=\"silver\",table=\"t\\\"x\",le=\"0.5\"} 2\n"
                   "t_pair_seconds_bucket{step=\"silver\",table=\"t\\\"x\",le=\"1\"} 4\n"
                   "t_pair_seconds_bucket{step=\"silver\",table=\"t\\\"x\",le=\"2.5\"} 5\n"
                   "t_pair_seconds_bucket{step=\"silver\",table=\"t\\\"x\",le=\"+Inf\"} 7\n"
                   "t_pair_seconds_sum{step=\"silver\",table=\"t\\\"x\"} 1000000007.10001\n"
                   "t_pair_seconds_count{step=\"silver\",table=\"t\\\"x\"} 7\n");
    assert_int_equal(metric_value(metrics_get(m, PAIR, "silver", "t\"x")), 7);
    metrics_free(m);
}

static void counters_never_fall(void **state ATTR_UNUSED) {
    struct metrics *m = fresh();
    struct metric *s = metrics_get(m, COUNT, NULL, NULL);
    metric_add(s, 3);
    metric_add(s, -2);
    assert_int_equal(metric_value(s), 3);
    struct metric *g = metrics_get(m, GAUGE, "0", NULL);
    metric_add(g, 3);
    metric_add(g, -2);
    assert_int_equal(metric_value(g), 1);
    metrics_free(m);
}

static void the_number_of_series_is_bounded(void **state ATTR_UNUSED) {
    struct metrics *m = fresh();
    char text[METRIC_NUMBER];
    for (int64_t i = 0; i < METRIC_SERIES + 100; i++)
        metric_set(metrics_get(m, GAUGE, metric_number(i, text), NULL), 1);
    struct buf b = BUF_INIT(8 << 20);
    metrics_write(m, &b);
    size_t lines = 0;
    for (const char *p = buf_str(&b); (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, METRIC_SERIES + 2);
    buf_release(&b);
    metrics_free(m);
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *change(void *arg) {
    struct metrics *m = arg;
    char text[METRIC_NUMBER];
    for (int i = 0; i < ROUNDS; i++) {
        metric_add(metrics_get(m, COUNT, NULL, NULL), 1);
        metric_observe(metrics_get(m, SECONDS, NULL, NULL), i % 3);
        metric_add(metrics_get(m, GAUGE, metric_number(i % 50, text), NULL), 1);
    }
    return NULL;
}

static void threads_lose_nothing_and_a_scrape_is_consistent(void **state ATTR_UNUSED) {
    struct metrics *m = fresh();
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, change, m);
    for (int i = 0; i < 200; i++) {
        struct buf b = BUF_INIT(1 << 20);
        metrics_write(m, &b);
        const char *inf = strstr(buf_str(&b), "t_seconds_bucket{le=\"+Inf\"} "),
                   *count = strstr(buf_str(&b), "t_seconds_count ");
        if (inf && count)
            assert_int_equal(atoi(strchr(inf, ' ')), atoi(strchr(count, ' ')));
        buf_release(&b);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(metric_value(metrics_get(m, COUNT, NULL, NULL)), THREADS * ROUNDS);
    assert_int_equal(metric_value(metrics_get(m, SECONDS, NULL, NULL)), THREADS * ROUNDS);
    assert_int_equal(metric_value(metrics_get(m, GAUGE, "7", NULL)), THREADS * ROUNDS / 50);
    metrics_free(m);
}

/* The names follow Prometheus' own advice; the help is a sentence. */
static void every_meter_is_well_named(void **state ATTR_UNUSED) {
    for (size_t i = 0; i < M_N; i++) {
        const struct metric_def *d = &meters[i];
        assert_non_null(d->name);
        size_t n = strlen(d->name);
        assert_int_equal(strspn(d->name, "abcdefghijklmnopqrstuvwxyz_"), n);
        assert_true(strncmp(d->name, "clickmill_", 10) == 0 ||
                    strncmp(d->name, "process_", 8) == 0);
        bool total = n > 6 && strcmp(d->name + n - 6, "_total") == 0;
        assert_int_equal(total, d->type == METRIC_COUNTER);
        if (strcmp(d->unit, "seconds") == 0 && d->type != METRIC_COUNTER)
            assert_string_equal(d->name + n - 8, "_seconds");
        if (strcmp(d->unit, "bytes") == 0)
            assert_non_null(strstr(d->name, "_bytes"));
        assert_int_equal(d->help[strlen(d->help) - 1], '.');
        assert_int_equal(d->buckets != NULL, d->type == METRIC_HISTOGRAM);
        for (size_t k = 1; d->buckets && d->buckets[k] > 0; k++)
            assert_true(d->buckets[k] > d->buckets[k - 1] && k < METRIC_BUCKETS);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(meters[k].name, d->name);
    }
}

static void the_process_is_measured(void **state ATTR_UNUSED) {
    struct metrics *m = metrics_new(meters, M_N);
    metrics_show(m, METERS_PROCESS);
    meters_process(m);
    assert_true(metric_value(metrics_get(m, M_RESIDENT, NULL, NULL)) > 1e5);
    assert_true(metric_value(metrics_get(m, M_VIRTUAL, NULL, NULL)) > 1e6);
    assert_true(metric_value(metrics_get(m, M_OPEN_FDS, NULL, NULL)) >= 3);
    assert_true(metric_value(metrics_get(m, M_MAX_FDS, NULL, NULL)) >= 64);
    double start = metric_value(metrics_get(m, M_START, NULL, NULL));
    assert_true(fabs((double)time(NULL) - start) < 600);
    double cpu = metric_value(metrics_get(m, M_CPU, NULL, NULL));
    for (volatile int i = 0; i < 30000000; i++) {
        /* time passes */
    }
    meters_process(m);
    assert_true(metric_value(metrics_get(m, M_CPU, NULL, NULL)) > cpu);
    assert_true(metric_value(metrics_get(m, M_START, NULL, NULL)) == start);
    metrics_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_never_asked_for_is_not_written),
        cmocka_unit_test(partitions_stand_in_order_of_their_numbers),
        cmocka_unit_test(label_values_are_escaped_and_cut),
        cmocka_unit_test(numbers_keep_their_value),
        cmocka_unit_test(a_bucket_holds_what_is_at_most_its_bound),
        cmocka_unit_test(counters_never_fall),
        cmocka_unit_test(the_number_of_series_is_bounded),
        cmocka_unit_test(threads_lose_nothing_and_a_scrape_is_consistent),
        cmocka_unit_test(every_meter_is_well_named),
        cmocka_unit_test(the_process_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
