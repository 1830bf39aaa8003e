/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a SELECT -> files and back: every type to its limits, any number of dates, little memory,
 * a full disk. And the function seen_before of the models.
 */
#include <signal.h>
#include <sys/resource.h>

#include "base/json.h"
#include "engine/helper.h"

static const struct column every_type[] = {
    {"s", TYPE_STRING},  {"i", TYPE_INT},    {"l", TYPE_LONG},      {"d", TYPE_DOUBLE},
    {"b", TYPE_BOOLEAN}, {"x", TYPE_BINARY}, {"t", TYPE_TIMESTAMP}, {"m", TYPE_MONEY},
    {"day", TYPE_DATE},  {"p", TYPE_DATE},
};
static const struct table_def every = {"silver/every", "silver.every", every_type,
                                       ARRAY_LEN(every_type), "p"};
static const struct table_def undated = {"silver/undated", "silver.undated", every_type, 9, NULL};

/* Every value differs from every NULL, and each column has its own. */
#define ROWS(n) ROWS_AND(n, "")
#define ROWS_AND(n, more)                                                                          \
    "SELECT CASE WHEN i % 3 > 0 THEN 'text ' || i % 1000 END AS s, "                               \
    "CASE WHEN i % 5 > 0 THEN (i * 7919 % 4294967296 - 2147483648)::INT END AS i, "                \
    "CASE WHEN i % 7 > 0 THEN (hash(i) // 2)::BIGINT END AS l, "                                   \
    "CASE WHEN i % 11 > 0 THEN (i - 1000) / 7.0::DOUBLE END AS d, "                                \
    "CASE WHEN i % 4 > 0 THEN i % 8 > 3 END AS b, "                                                \
    "CASE WHEN i % 6 > 0 THEN unhex(printf('%032x', i)) END AS x, "                                \
    "CASE WHEN i % 9 > 0 THEN make_timestamptz(i * 123456789 - 5000000000) END AS t, "             \
    "CASE WHEN i % 13 > 0 THEN (i * 1234567.8901 - 99999999)::DECIMAL(18,4) END AS m, "            \
    "CASE WHEN i % 17 > 0 THEN DATE '1969-01-01' + (i % 20000)::INT END AS day, "                  \
    "CASE WHEN i % 400 > 0 THEN DATE '2025-01-01' + (hash(i) % 399)::INT END AS p" more " "        \
    "FROM range(" n ") r(i)"

/* Nothing is left over either way. */
static void check_same(struct bench *b, const struct table_files *f, const struct table_def *def,
                       const char *rows) {
    const struct engine_input in = {"v", def, f};
    const char *columns =
        def->partition_by ? "s, i, l, d, b, x, t, m, day, p" : "s, i, l, d, b, x, t, m, day";
    _cleanup_(freep) char *sql = xasprintf(
        "SELECT (SELECT count(*) FROM (SELECT %s FROM v EXCEPT ALL SELECT %s FROM (%s))), "
        "(SELECT count(*) FROM (SELECT %s FROM (%s) EXCEPT ALL SELECT %s FROM v))",
        columns, columns, rows, columns, rows, columns);
    check_rows(b, &in, sql, "0|0");
}

static void values_of_every_type_come_back(void **state) {
    struct bench *b = *state;
    struct table_files f = written(b, &undated, ROWS("30000"));
    assert_int_equal(f.n, 1);
    assert_null(strchr(f.v[0].path, '/'));
    check_same(b, &f, &undated, ROWS("30000"));
    table_files_release(&f);
}

static void many_dates_in_any_order_with_little_memory(void **state) {
    struct bench *b = *state;
    bench_memory(b, 64LL * MIB);
    struct table_files f = written(b, &every, ROWS("100000"));
    assert_int_equal(f.n, 400);
    bench_memory(b, 512LL * MIB); /* to compare */
    check_same(b, &f, &every, ROWS("100000"));
    table_files_release(&f);
}

static void values_at_the_limits(void **state) {
    struct bench *b = *state;
    static const char rows[] =
        "SELECT s, i, l, d, b, x, t, m, day, DATE '2026-01-01' AS p FROM (VALUES "
        "('', -2147483648, -9223372036854775808, '-inf'::DOUBLE, true, ''::BLOB, "
        "TIMESTAMPTZ '0001-01-01 00:00:00Z', -99999999999999.9999, DATE '0001-01-01'), "
        "('\U0010FFFF', 2147483647, 9223372036854775807, 'nan'::DOUBLE, false, '\\x00\\xFF'::BLOB, "
        "TIMESTAMPTZ '9999-12-31 23:59:59.999999Z', 99999999999999.9999, DATE '9999-12-31'), "
        "(NULL, 0, 0, 5e-324, NULL, NULL, NULL, 0.0001, NULL), "
        "('a', -1, -1, 1.7976931348623157e308, true, 'a'::BLOB, "
        "TIMESTAMPTZ '1969-12-31 23:59:59.999999Z', -0.0001, DATE '1969-12-31')"
        ") v(s, i, l, d, b, x, t, m, day)";
    struct table_files f = written(b, &every, rows);
    assert_int_equal(f.n, 1);
    check_same(b, &f, &every, rows);
    const struct engine_input in = {"v", &every, &f};
    check_rows(b, &in, "SELECT min(m), max(m), min(t), max(t) FROM v",
               "-99999999999999.9999|99999999999999.9999|0001-01-01T00:00:00.000000Z|"
               "9999-12-31T23:59:59.999999Z");
    assert_non_null(strstr(f.v[0].stats, "\"m\":-99999999999999.9999"));
    assert_non_null(strstr(f.v[0].stats, "\"m\":99999999999999.9999"));
    table_files_release(&f);
}

/* Texts larger than a page, and one that is too large for any. */
static void huge_texts(void **state) {
    struct bench *b = *state;
    bench_memory(b, 1024LL * MIB);
    static const char rows[] =
        "SELECT repeat(chr(65 + i::INT), i::INT * 100000) AS s, NULL AS i, i AS l, NULL AS d, "
        "NULL AS b, NULL AS x, NULL AS t, NULL AS m, NULL AS day, DATE '2026-01-01' AS p "
        "FROM range(30) r(i)";
    struct table_files f = written(b, &every, rows);
    check_same(b, &f, &every, rows);
    table_files_release(&f);
    struct engine_result r = {0};
    struct err e;
    assert_int_equal(
        engine_run(b->en, b->st,
                   &(struct engine_job){
                       .what = "job",
                       .select = "SELECT repeat('x', 64 * 1024 * 1024 + 1) AS s, NULL AS i, "
                                 "NULL AS l, NULL AS d, NULL AS b, NULL AS x, NULL AS t, NULL AS "
                                 "m, NULL AS day, NULL AS p",
                       .output = &every},
                   &r, &e),
        ERR_ENGINE);
    assert_string_equal(e.msg, "job: silver/every: a text of 67108865 bytes in s; 67108864 are the "
                               "most");
}

/* Files may not grow beyond so many bytes: as on a full disk. */
static void limit_files(rlim_t bytes) {
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_publishes_nothing(void **state) {
    struct bench *b = *state;
    static const rlim_t limits[] = {0, 1000, 50000};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct engine_result r = {0};
        struct err e = {0};
        limit_files(limits[i]);
        int rc = engine_run(
            b->en, b->st,
            &(struct engine_job){.what = "silver", .select = ROWS("20000"), .output = &undated}, &r,
            &e);
        limit_files(RLIM_INFINITY);
        assert_int_equal(rc, ERR_STORAGE);
        assert_memory_equal(e.msg, "silver: ", 8);
        assert_int_equal(r.files.n, 0);
        _cleanup_(freep) char *lake = xasprintf("%s/lake", b->folder);
        _cleanup_(freep) char *left = files_below(lake);
        assert_null(strstr(left, "part-"));
    }
    check_rows(b, NULL, "SELECT 'usable'", "usable");
}

/* ---- columns that hold nothing ---------------------------------------------------------------- */

#define NO_TEXT                                                                                    \
    "SELECT NULL AS s, 1 AS i, NULL AS l, NULL AS d, NULL AS b, NULL AS x, NULL AS t, NULL AS m, " \
    "NULL AS day, DATE '2026-01-01' AS p"
#define A_TEXT                                                                                     \
    "SELECT 'here' AS s, NULL AS i, NULL AS l, NULL AS d, NULL AS b, NULL AS x, NULL AS t, "       \
    "NULL AS m, NULL AS day, DATE '2026-01-02' AS p"

static void a_column_without_values_is_null_of_its_type(void **state) {
    struct bench *b = *state;
    struct table_files f = written(b, &every, NO_TEXT);
    const struct engine_input in = {"v", &every, &f};
    check_rows(b, &in, "SELECT s, i, l, m, p, typeof(s), typeof(m), typeof(t) FROM v",
               "-|1|-|-|2026-01-01|VARCHAR|DECIMAL(18,4)|TIMESTAMP WITH TIME ZONE");
    /* Another file has one. */
    struct table_files g = written(b, &every, A_TEXT);
    table_file_copy(table_files_add(&f), &g.v[0]);
    check_rows(b, &in, "SELECT s, i FROM v ORDER BY p", "-|1 / here|-");
    /* What is not known is read. */
    free(f.v[0].stats);
    f.v[0].stats = NULL;
    free(f.v[1].stats);
    f.v[1].stats = xstrdup("{\"numRecords\":1}");
    check_rows(b, &in, "SELECT s, i FROM v ORDER BY p", "-|1 / here|-");
    table_files_release(&f);
    table_files_release(&g);
}

static void a_file_of_nothing_but_nulls(void **state) {
    struct bench *b = *state;
    struct table_files f = written(
        b, &every, "SELECT * REPLACE (NULL AS i) FROM (" NO_TEXT ") CROSS JOIN range(3) r(n)");
    const struct engine_input in = {"v", &every, &f};
    check_rows(b, &in, "SELECT count(*), count(s), count(i), count(day), count(p) FROM v",
               "3|0|0|0|3");
    table_files_release(&f);
}

/* ---- rows that are not written, columns that are not read ------------------------------------ */

/* The stage's rows are those set apart; of these the job's SELECT takes some. */
static struct table_files set_apart(struct bench *b, const struct table_def *def,
                                    const struct engine_input *in, const char *stage,
                                    const char *select) {
    const struct engine_stage stages[] = {{"few", stage, true, NULL, NULL, "apart"}};
    struct engine_result r = {0};
    struct err e;
    const struct engine_job job = {.what = "job",
                                   .inputs = in,
                                   .n_inputs = in ? 1 : 0,
                                   .stages = stages,
                                   .n_stages = 1,
                                   .select = select,
                                   .output = def};
    assert_ok(engine_run(b->en, b->st, &job, &r, &e), &e);
    return r.files;
}

static void rows_are_set_apart_and_the_others_are_written(void **state) {
    static const char *const cases[] = {
        ROWS_AND("20000", ", i % 3 = 0 AS apart"),
        ROWS_AND("20000", ", CASE WHEN i % 2 = 0 THEN i % 3 = 0 END AS apart"), /* NULL: yes */
        ROWS_AND("20000", ", true AS apart"),
        ROWS_AND("20000", ", false AS apart"),
        ROWS_AND("20000", ", hash(i) % 2 AS apart"),
        ROWS_AND("20000", ", i BETWEEN 2500 AND 2600 AS apart"), /* in most vectors none is */
    };
    static const char *const selects[] = {"SELECT * FROM few", "SELECT * FROM few WHERE l > 0",
                                          "SELECT * FROM few WHERE false"};
    static const char *const taken[] = {"true", "coalesce(l > 0, false)", "false"};
    struct bench *b = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t k = 0; k < ARRAY_LEN(selects); k++) {
            const struct table_def *def = i == 0 && k == 1 ? &every : &undated;
            struct table_files f = set_apart(b, def, NULL, cases[i], selects[k]);
            _cleanup_(freep) char *rows =
                xasprintf("SELECT * FROM (%s) WHERE NOT coalesce(apart::BOOLEAN, true) OR %s",
                          cases[i], taken[k]);
            if (f.n > 0)
                check_same(b, &f, def, rows);
            else
                assert_true(i == 2 && k == 2); /* nothing was to be written */
            table_files_release(&f);
        }
}

/* The texts go to the files from where they are: constants, dictionaries, and what is made on the way. */
static void texts_of_rows_beside_those_set_apart(void **state) {
#define FROM_S(text)                                                                               \
    "SELECT " text " AS s, i, l, d, b, x, t, m, day, hash(l) % 50 = 0 AS apart FROM v"
    static const char *const cases[] = {
        FROM_S("s"),
        FROM_S("'the same text in all of the rows'"),
        FROM_S("'short'"),
        FROM_S("CAST(NULL AS VARCHAR)"),
        FROM_S("'a longer text before: ' || s"),
        FROM_S("coalesce(s, 'a text instead of none')"),
        FROM_S("CASE WHEN i > 0 THEN s ELSE 'one of two long texts' END"),
        FROM_S("CAST(l AS VARCHAR) || ' and no other row has it'"),
        FROM_S("upper(s)"),
        FROM_S("repeat(s, 40)"),
        FROM_S("(SELECT max(s) || ' is found once' FROM v)"),
        FROM_S("s") " WHERE l % 7 <> 0", /* a choice of rows of each vector */
        FROM_S("CASE WHEN s IN (SELECT s FROM v WHERE i % 100 = 0) THEN s ELSE 'no such text is "
               "there' END"),
    };
    static const char *const sources[] = {
        /* few long texts, many, one, none in some vectors; a vector of one row at the end */
        ROWS("30000"),
        "SELECT * REPLACE ('a longer text: ' || i AS s) FROM (" ROWS("2049") ")",
        "SELECT * REPLACE ('a text that is one of ' || (hash(l) % 20) AS s) FROM (" ROWS(
            "10000") ")",
        "SELECT * REPLACE ('a text that is one of ' || (hash(l) % 22000) AS s) FROM (" ROWS(
            "30000") ")",
        "SELECT * REPLACE ('a text like every other' AS s) FROM (" ROWS("10000") ")",
        "SELECT * REPLACE (CASE WHEN l % 3 = 0 THEN 'now and then a text' END AS s) FROM (" ROWS(
            "10000") ")",
    };
    struct bench *b = *state;
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        struct table_files from = written(b, &undated, sources[i]);
        const struct engine_input in = {"v", &undated, &from};
        for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
            struct table_files f = set_apart(b, &undated, &in, cases[k], "SELECT * FROM few");
            const struct engine_input made[] = {in, {"made", &undated, &f}};
            _cleanup_(freep) char *sql =
                xasprintf("SELECT (SELECT count(*) FROM (SELECT s, l FROM made EXCEPT ALL "
                          "SELECT s, l FROM (%s))), (SELECT count(*) FROM made) - "
                          "(SELECT count(*) FROM (%s))",
                          cases[k], cases[k]);
            _cleanup_(freep) char *rows = rows_of(b, made, 2, false, sql);
            assert_string_equal(rows, "0|0");
            table_files_release(&f);
        }
        table_files_release(&from);
    }
#undef FROM_S
}

/* So many that the stage has more than one row group, of which few are taken by their rowid. */
static void few_of_many_that_are_set_apart(void **state) {
    struct bench *b = *state;
    struct table_files f = set_apart(b, &undated, NULL, ROWS_AND("400000", ", i % 4 > 0 AS apart"),
                                     "SELECT f.* FROM few f JOIN (SELECT rowid AS r FROM few WHERE "
                                     "l % 50000 = 7) t ON t.r = f.rowid");
    check_same(b, &f, &undated,
               "SELECT * FROM (" ROWS_AND("400000",
                                          ", i % 4 > 0 AS apart") ") WHERE NOT apart OR "
                                                                  "coalesce(l % 50000 = 7, false)");
    table_files_release(&f);
}

static const struct column two_texts[] = {{"key", TYPE_STRING}, {"id", TYPE_STRING}};
static const struct table_def pair = {"silver/pair", "silver.pair", two_texts, 2, NULL};

/* `id` of the job's input: what is in the file, or what `key` is. */
static char *ids_read(struct bench *b, const char *select) {
    struct table_files f = written(b, &pair, select);
    const struct engine_input in = {"v", &pair, &f};
    struct engine_result r = {0};
    struct err e;
    assert_ok(engine_run(b->en, b->st,
                         &(struct engine_job){.what = "job",
                                              .inputs = &in,
                                              .n_inputs = 1,
                                              .select = "SELECT * FROM v",
                                              .output = &pair,
                                              .twin = "id",
                                              .twin_of = "key"},
                         &r, &e),
              &e);
    const struct engine_input made = {"v", &pair, &r.files};
    char *text = rows_of(b, &made, 1, false, "SELECT id FROM v ORDER BY key");
    engine_result_release(&r);
    table_files_release(&f);
    return text;
}

/* The texts differ here, which in a lake they do not, to show which one was read. */
static void a_column_that_is_another_is_read_once(void **state) {
    static const char *const cases[][2] = {
        {"SELECT 'a' AS key, 'x' AS id UNION ALL SELECT 'b', 'y'", "a / b"},
        {"SELECT 'a' AS key, 'x' AS id UNION ALL SELECT 'b', NULL", "x / -"},
        {"SELECT 'a' AS key, NULL AS id UNION ALL SELECT 'b', NULL", "- / -"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *ids = ids_read(*state, cases[i][0]);
        assert_string_equal(ids, cases[i][1]);
    }
}

/* ---- seen_before ----------------------------------------------------------------------------- */

/* The stage's rows over keys that each come `times` times, in files that say so. */
static int64_t suspects(struct bench *b, const char *keys, const char *stage) {
    struct table_files f = written(b, &every, keys);
    const struct engine_input in = {"v", &every, &f};
    const struct engine_stage stages[] = {{"seen", stage, true, NULL}};
    struct engine_result r = {0};
    struct err e;
    assert_ok(engine_run(b->en, b->st,
                         &(struct engine_job){.what = "job",
                                              .inputs = &in,
                                              .n_inputs = 1,
                                              .stages = stages,
                                              .n_stages = 1,
                                              .counters = "SELECT count(*) AS n FROM seen"},
                         &r, &e),
              &e);
    int64_t n = engine_counter(&r, "n");
    engine_result_release(&r);
    table_files_release(&f);
    return n;
}

#define KEYS(n, expression)                                                                        \
    "SELECT NULL AS s, NULL AS i, " expression " AS l, NULL AS d, NULL AS b, NULL AS x, "          \
    "NULL AS t, NULL AS m, NULL AS day, DATE '2026-01-01' AS p FROM range(" n ") r(i)"

static void what_repeats_was_seen_before(void **state) {
    struct bench *b = *state;
    static const char stage[] = "SELECT DISTINCT h FROM (SELECT xxhash64(l) AS h FROM v) "
                                "WHERE seen_before(h)";
    assert_int_equal(suspects(b, KEYS("300000", "i"), stage), 0);
    assert_int_equal(suspects(b, KEYS("300000", "i % 299000"), stage), 1000);
    assert_int_equal(suspects(b, KEYS("300000", "i // 2"), stage), 150000);
    assert_int_equal(suspects(b, KEYS("300000", "0"), stage), 1);
}

/* The table has no room for all: none that repeats is missed, others are taken for repeats. */
static void too_many_values_for_the_memory(void **state) {
    struct bench *b = *state;
    bench_memory(b, 64LL * MIB); /* a quarter of it: 4 Mi values */
    static const char stage[] =
        "SELECT h FROM (SELECT xxhash64(i % 5999000) AS h FROM range(6000000) r(i)) "
        "WHERE seen_before(h) AND h IN (SELECT xxhash64(i) FROM range(1000) r(i))";
    assert_true(suspects(b, KEYS("300000", "i"), stage) >= 1000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_new, bench_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(values_of_every_type_come_back),
        TEST(many_dates_in_any_order_with_little_memory),
        TEST(values_at_the_limits),
        TEST(huge_texts),
        TEST(a_full_disk_publishes_nothing),
        TEST(a_column_without_values_is_null_of_its_type),
        TEST(a_file_of_nothing_but_nulls),
        TEST(what_repeats_was_seen_before),
        TEST(too_many_values_for_the_memory),
        TEST(rows_are_set_apart_and_the_others_are_written),
        TEST(texts_of_rows_beside_those_set_apart),
        TEST(few_of_many_that_are_set_apart),
        TEST(a_column_that_is_another_is_read_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
