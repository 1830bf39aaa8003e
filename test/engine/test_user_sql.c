/* SPDX-License-Identifier: Apache-2.0 */
/* The user's own SQL as the stage of a job: what it may do, and where a message says it is wrong. */
#include "engine/helper.h"

static const struct column two_columns[] = {{"a", TYPE_INT}, {"p", TYPE_DATE}};
static const struct table_def two = {"silver/every", "silver.every", two_columns, 2, "p"};

/* A job that must fail, with nothing to show for it. */
static void fails(struct bench *b, const struct engine_job *job, struct err *e) {
    struct engine_result r = {0};
    assert_int_equal(engine_run(b->en, b->st, job, &r, e), ERR_ENGINE);
    assert_int_equal(r.files.n + r.n_counters, 0);
    assert_null(strchr(e->msg, '\n'));
}

/* The user's own SQL: messages name its file and the line there. */
static void a_file_and_its_line_are_named(void **state) {
    struct err e;
    const struct engine_stage stage = {"rows", "-- one\n-- two\nSELECT\n  nothing\nFROM range(3)",
                                       true, "models/mine.sql"};
    struct engine_job job = {.what = "gold", .stages = &stage, .n_stages = 1};
    for (int untrusted = 0; untrusted < 2; untrusted++) {
        job.untrusted = untrusted;
        fails(*state, &job, &e);
        assert_non_null(strstr(e.msg, "gold: models/mine.sql:4: Binder Error: "));
    }
    const struct engine_stage runs = {
        "rows", "SELECT\n CAST(chr(64 + CAST(i AS INT)) AS INT) AS a FROM range(3) t(i)", true,
        "models/mine.sql"};
    job.stages = &runs;
    fails(*state, &job, &e);
    assert_non_null(strstr(e.msg, "gold: models/mine.sql:2: Conversion Error: "));
}

static void the_users_stages_only_read(void **state) {
    struct bench *b = *state;
    _cleanup_(freep) char *secret = xasprintf("%s/secret.csv", b->folder);
    FILE *f = fopen(secret, "w");
    assert_non_null(f);
    fputs("a\n1\n", f);
    fclose(f);
    _cleanup_(freep) char *reads = xasprintf("SELECT * FROM read_csv('%s')", secret);
    const char *const wrong[][2] = {
        {reads, "Permission Error"},
        {"SELECT cm_write(0, 1)", "'cm_write' is not allowed here"},
        {"SELECT cm_lend(0, 'a')", "'cm_lend' is not allowed here"},
        {"SELECT 1 AS a; SELECT 2 AS a", "2 statements: one is wanted"},
        {"CREATE TABLE x (a INT)", "does more than read"},
        {"COPY (SELECT 1) TO 'out.csv'", "Permission Error"},
        {"SELECT * FROM query('SELECT 1')", "'query()' is not allowed here"},
        {"", "0 statements: one is wanted"},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct err e;
        const struct engine_stage stage = {"rows", wrong[i][0], true, "models/mine.sql"};
        struct engine_job job = {
            .what = "gold", .stages = &stage, .n_stages = 1, .untrusted = true};
        fails(b, &job, &e);
        if (!strstr(e.msg, wrong[i][1]))
            fail_msg("%s: %s", wrong[i][0], e.msg);
    }
}

static void the_users_stages_are_written(void **state) {
    struct bench *b = *state;
    struct table_files f =
        written(b, &two, "SELECT i AS a, DATE '2026-01-01' AS p FROM range(10) t(i)");
    const struct engine_input in = {"silver_events", &two, &f};
    const struct engine_stage stage = {
        "rows", "-- sums\nSELECT sum(a) AS a, p FROM silver_events GROUP BY p; -- the end", true,
        "models/mine.sql"};
    struct engine_result r = {0};
    struct err e;
    assert_ok(engine_run(b->en, b->st,
                         &(struct engine_job){.what = "gold",
                                              .inputs = &in,
                                              .n_inputs = 1,
                                              .stages = &stage,
                                              .n_stages = 1,
                                              .select = "SELECT * FROM rows",
                                              .output = &two,
                                              .counters = "SELECT count(*) AS rows FROM rows",
                                              .untrusted = true},
                         &r, &e),
              &e);
    assert_int_equal(r.files.n, 1);
    const struct engine_input out = {"v", &two, &r.files};
    check_rows(b, &out, "SELECT a, p FROM v", "45|2026-01-01");
    engine_result_release(&r);
    table_files_release(&f);
}

static int note_columns(void *arg, const char *const *names, const char *const *types, size_t n,
                        struct err *e ATTR_UNUSED) {
    for (size_t i = 0; i < n; i++)
        buf_addf(arg, "%s %s;", names[i], types[i]);
    return 0;
}

/* Nothing is computed: the statement would fail if it were. */
static void columns_without_rows(void **state) {
    struct bench *b = *state;
    struct buf seen = BUF_INIT(KIB);
    struct err e;
    const struct engine_rows header = {.header = note_columns, .arg = &seen};
    for (int untrusted = 0; untrusted < 2; untrusted++) {
        const struct engine_question q = {
            .what = "gold",
            .file = "models/mine.sql",
            .sql =
                "SELECT CAST(error('computed') AS INT) AS a,\n sum(1) AS b, DATE '2026-01-01' AS p",
            .untrusted = untrusted};
        buf_reset(&seen);
        assert_ok(engine_ask(b->en, b->st, &q, &header, &e), &e);
        assert_string_equal(buf_str(&seen), "a INTEGER;b HUGEINT;p DATE;");
    }
    const struct engine_question wrong = {
        .what = "gold", .file = "models/mine.sql", .sql = "SELECT 1 AS a\nFORM x"};
    assert_int_equal(engine_ask(b->en, b->st, &wrong, &header, &e), ERR_ENGINE);
    assert_non_null(strstr(e.msg, "gold: models/mine.sql:2: Parser Error: "));
    buf_release(&seen);
}

/* Of two tables of one schema the files of one are gone: whoever does not name it does not notice. */
static void only_what_is_named_is_looked_for(void **state) {
    struct bench *b = *state;
    struct table_files f =
        written(b, &two, "SELECT i AS a, DATE '2026-01-01' AS p FROM range(3) t(i)");
    struct table_file gone = {.path = (char *)(uintptr_t) "p=2026-01-01/gone.parquet",
                              .partition = (char *)(uintptr_t) "2026-01-01",
                              .size = 100,
                              .rows = 1};
    struct table_files none = {.v = &gone, .n = 1};
    const struct engine_input in[] = {{"gold.mine", &two, &f}, {"gold.gone", &two, &none}};
    const struct engine_stage stages[] = {{"s", "SELECT a FROM gold.mine", true, NULL},
                                          {"s", "SELECT a FROM \"gold\".GONE", true, NULL}};
    struct err e;
    for (int i = 0; i < 2; i++) {
        const struct engine_question q = {.what = "query",
                                          .inputs = in,
                                          .n_inputs = 2,
                                          .stages = &stages[i],
                                          .n_stages = 1,
                                          .sql = "SELECT sum(a) FROM s"};
        struct buf seen = BUF_INIT(KIB);
        const struct engine_rows rows = {.header = note_columns, .arg = &seen};
        int r = engine_ask(b->en, b->st, &q, &rows, &e);
        assert_int_equal(r, i == 0 ? 0 : ERR_STORAGE);
        buf_release(&seen);
    }
    char *said = rows_of(b, in, 2, true, "SELECT sum(a) FROM gold.mine");
    assert_string_equal(said, "3");
    free(said);
    said = rows_of(b, in, 2, true, "SELECT sum(a) FROM gold.gone");
    assert_non_null(strstr(said, "gone.parquet"));
    free(said);
    table_files_release(&f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_new, bench_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_file_and_its_line_are_named),    TEST(the_users_stages_only_read),
        TEST(the_users_stages_are_written),     TEST(columns_without_rows),
        TEST(only_what_is_named_is_looked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
