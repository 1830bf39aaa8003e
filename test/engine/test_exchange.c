/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that pass between a stage and this process, in both directions. */
#include "engine/helper.h"

enum { ROWS = 5000 };

struct passed {
    size_t rows, calls;
    uint64_t sum[2];
    int fail_at; /* the call that fails; 0: none */
};

static int take(void *arg, const uint64_t *const *columns, size_t rows, struct err *e) {
    struct passed *p = arg;
    if ((int)++p->calls == p->fail_at)
        return err_set(e, ERR_STORAGE, "no room for row %zu", p->rows);
    for (size_t i = 0; i < rows; i++)
        for (int c = 0; c < 2; c++)
            p->sum[c] += columns[c][i];
    p->rows += rows;
    return 0;
}

static int give(void *arg, uint64_t *const *columns, size_t max, size_t *ret_rows, struct err *e) {
    struct passed *p = arg;
    if ((int)++p->calls == p->fail_at)
        return err_set(e, ERR_CHECK, "row %zu is damaged", p->rows);
    size_t n = 0;
    for (; n < max && p->rows < ROWS; n++, p->rows++) {
        columns[0][n] = UINT64_MAX - p->rows;
        columns[1][n] = (uint64_t)((int64_t)p->rows - 1000);
    }
    *ret_rows = n;
    return 0;
}

/* One stage, and a number asked of it; sql NULL: none. */
static int run(struct bench *b, const char *stage, const struct engine_exchange *x,
               const char *counters, int64_t *ret, struct err *e) {
    const struct engine_stage stages[] = {{.name = "passing", .sql = stage, .exchange = x}};
    struct engine_result r = {0};
    int rc = engine_run(
        b->en, b->st,
        &(struct engine_job){.what = "test", .stages = stages, .n_stages = 1, .counters = counters},
        &r, e);
    *ret = engine_counter(&r, "n");
    engine_result_release(&r);
    return rc;
}

static void rows_are_taken(void **state) {
    struct passed p = {0};
    int64_t none;
    struct err e;
    assert_true(engine_is_inside(((struct bench *)*state)->en));
    assert_ok(run(*state,
                  "SELECT CAST(i AS UBIGINT), CASE WHEN i % 2 = 0 THEN make_timestamptz(i) END "
                  "FROM range(5000) t(i)",
                  &(struct engine_exchange){.take = take, .arg = &p}, NULL, &none, &e),
              &e);
    assert_int_equal(p.rows, ROWS);
    assert_int_equal(p.sum[0], ROWS * (ROWS - 1) / 2);
    assert_int_equal(p.sum[1], ROWS / 2 * (ROWS / 2 - 1)); /* NULLs are 0 */
}

static void rows_are_given(void **state) {
    struct passed p = {0};
    int64_t n;
    struct err e;
    assert_ok(run(*state, "SELECT CAST(1 AS UBIGINT) AS a, now() AS b",
                  &(struct engine_exchange){.give = give, .arg = &p},
                  "SELECT count(*) FILTER (a = 18446744073709551615 - 1000 - epoch_us(b)) AS n "
                  "FROM passing",
                  &n, &e),
              &e);
    assert_int_equal(n, ROWS);
    p = (struct passed){.rows = ROWS};
    assert_ok(run(*state, "SELECT CAST(1 AS UBIGINT) AS a, now() AS b",
                  &(struct engine_exchange){.give = give, .arg = &p},
                  "SELECT count(*) AS n FROM passing", &n, &e),
              &e);
    assert_int_equal(n, 0); /* a table without rows */
}

static void an_error_on_the_way_is_passed_on(void **state) {
    struct passed p = {.fail_at = 2};
    int64_t none;
    struct err e;
    assert_int_equal(run(*state,
                         "SELECT CAST(i AS UBIGINT), CAST(i AS UBIGINT) FROM range(100000) t(i)",
                         &(struct engine_exchange){.take = take, .arg = &p}, NULL, &none, &e),
                     ERR_STORAGE);
    assert_says(&e, "no room for row");
    p = (struct passed){.fail_at = 2};
    assert_int_equal(run(*state, "SELECT CAST(1 AS UBIGINT) AS a, now() AS b",
                         &(struct engine_exchange){.give = give, .arg = &p}, NULL, &none, &e),
                     ERR_CHECK);
    assert_says(&e, "is damaged");
    p = (struct passed){0};
    assert_int_equal(run(*state, "SELECT CAST('x' AS INTEGER), 1::UBIGINT",
                         &(struct engine_exchange){.take = take, .arg = &p}, NULL, &none, &e),
                     ERR_BUG); /* a column of 32 bits */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_taken, bench_new, bench_free),
        cmocka_unit_test_setup_teardown(rows_are_given, bench_new, bench_free),
        cmocka_unit_test_setup_teardown(an_error_on_the_way_is_passed_on, bench_new, bench_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
