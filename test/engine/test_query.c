/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as text, and the walls around the user's own SQL: it reads the views and nothing else.
 */
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "engine/helper.h"
#include "fake/storage_fault.h"

static const struct column two_columns[] = {{"a", TYPE_INT}, {"d", TYPE_DATE}};
static const struct table_def two = {"silver/two", "silver.two", two_columns, 2, "d"};

static void values_are_texts(void **state) {
    static const struct {
        const char *sql, *text;
    } cases[] = {
        {"SELECT true, false, NULL", "true|false|-"},
        {"SELECT (-128)::TINYINT, 32767::SMALLINT, (-2147483648)::INT, 255::UTINYINT, "
         "65535::USMALLINT, "
         "4294967295::UINTEGER",
         "-128|32767|-2147483648|255|65535|4294967295"},
        {"SELECT 9223372036854775807, 18446744073709551615::UBIGINT",
         "9223372036854775807|18446744073709551615"},
        {"SELECT 170141183460469231731687303715884105727::HUGEINT, "
         "(-170141183460469231731687303715884105727)::HUGEINT, 0::HUGEINT",
         "170141183460469231731687303715884105727|-170141183460469231731687303715884105727|0"},
        {"SELECT 0.1::DOUBLE, 100::DOUBLE, 1e300, 5e-324, -0.0::DOUBLE, 0.1::DOUBLE + 0.2::DOUBLE",
         "0.1|100.0|1e+300|4.94065645841247e-324|-0.0|0.30000000000000004"},
        {"SELECT 'nan'::DOUBLE, 'inf'::DOUBLE, '-inf'::DOUBLE", "nan|inf|-inf"},
        {"SELECT 12.50::DECIMAL(4,2), -0.05::DECIMAL(9,2), 1::DECIMAL(18,4), 0::DECIMAL(38,10), "
         "-1234567890123456789012345678.0000000001::DECIMAL(38,10), 7::DECIMAL(3,0)",
         "12.50|-0.05|1.0000|0.0000000000|-1234567890123456789012345678.0000000001|7"},
        {"SELECT DATE '2026-11-22', DATE '1969-12-31', 'infinity'::DATE",
         "2026-11-22|1969-12-31|infinity"},
        {"SELECT TIMESTAMPTZ '2026-11-22 12:34:56.123456+01', TIMESTAMP '2026-11-22 12:34:56', "
         "'-infinity'::TIMESTAMPTZ",
         "2026-11-22T11:34:56.123456Z|2026-11-22T12:34:56.000000|-infinity"},
        {"SELECT '', 'short', 'longer than twelve bytes', 'zażółć'",
         "|short|longer than twelve bytes|zażółć"},
        {"SELECT [1, NULL, 3], {'x': 1}, MAP {'k': 'v'}, INTERVAL 1 DAY, TIME '01:02:03', "
         "1.5::FLOAT, 'ab'::BLOB",
         "[1, NULL, 3]|{'x': 1}|{k=v}|1 day|01:02:03|1.5|ab"},
        {"SELECT 1 AS a, 2 AS a", "1|2"},
        {"SELECT [i] FROM range(5) t(i) ORDER BY i DESC", "[4] / [3] / [2] / [1] / [0]"},
        {"SELECT 1 WHERE false", ""},
        {"VALUES (1), (2)", "1 / 2"},
        {"SELECT 1; -- and a word after it", "1"},
        {"SELECT [1]; -- and a word after it", "[1]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_rows(*state, NULL, cases[i].sql, cases[i].text);
}

static int keep_header(void *arg, const char *const *names, const char *const *types, size_t n,
                       struct err *e ATTR_UNUSED) {
    for (size_t i = 0; i < n; i++)
        buf_addf(arg, "%s:%s ", names[i], types[i]);
    return 0;
}

static int count_rows(void *arg, const char *const *values ATTR_UNUSED, size_t n ATTR_UNUSED,
                      struct err *e ATTR_UNUSED) {
    ++*(size_t *)arg;
    return 0;
}

static int no_row(void *arg ATTR_UNUSED, const char *const *values ATTR_UNUSED,
                  size_t n ATTR_UNUSED, struct err *e ATTR_UNUSED) {
    return 0;
}

static void the_header_names_columns_and_types(void **state) {
    struct bench *b = *state;
    struct buf out = BUF_INIT(MIB);
    struct err e;
    const struct engine_rows rows = {.header = keep_header, .row = no_row, .arg = &out};
    assert_ok(engine_query(b->en, b->st, NULL, 0,
                           "SELECT 1 AS \"a b\", 'x' AS a, now() AS a, 1.5::DECIMAL(18,4) AS m, "
                           "[1] AS l WHERE false",
                           false, &rows, &e),
              &e);
    assert_string_equal(buf_str(&out),
                        "a b:INTEGER a:VARCHAR a:TIMESTAMP WITH TIME ZONE m:DECIMAL(18,4) l:LIST ");
    buf_release(&out);
}

/* 200 million rows are never in memory: the engine has 256 MiB, and so much is sent in time. */
struct some {
    size_t rows, until;
};

static int stop_after(void *arg, const char *const *values ATTR_UNUSED, size_t n ATTR_UNUSED,
                      struct err *e) {
    struct some *s = arg;
    return ++s->rows == s->until ? err_set(e, ERR_SINK, "enough") : 0;
}

static void rows_stream_and_a_callbacks_error_ends_them(void **state) {
    struct bench *b = *state;
    struct err e;
    struct some some = {.until = 5000};
    const struct engine_rows rows = {.row = stop_after, .arg = &some};
    assert_int_equal(engine_query(b->en, b->st, NULL, 0,
                                  "SELECT i, repeat('x', 1000) FROM range(200000000) t(i)", false,
                                  &rows, &e),
                     ERR_SINK);
    assert_string_equal(e.msg, "enough");
    assert_int_equal(some.rows, 5000);
    check_rows(b, NULL, "SELECT 'usable'", "usable");
}

static void an_error_in_the_middle_is_an_error(void **state) {
    struct bench *b = *state;
    for (int i = 0; i < 50; i++) { /* now and then the thread that hands out rows is interrupted */
        _cleanup_(freep) char *rows =
            rows_of(b, NULL, 0, false,
                    "SELECT CASE WHEN i = 150000 THEN error('at last') ELSE i::VARCHAR END "
                    "FROM range(200000) t(i)");
        assert_non_null(strstr(rows, "ERROR: query: "));
        assert_non_null(strstr(rows, "at last"));
    }
}

static void *ask_to_stop(void *arg ATTR_UNUSED) {
    usleep(200 * 1000);
    stop_request();
    return NULL;
}

static void a_stop_ends_a_long_query(void **state) {
    struct bench *b = *state;
    pthread_t thread;
    size_t rows = 0;
    struct err e;
    const struct engine_rows out = {.row = count_rows, .arg = &rows};
    for (int untrusted = 0; untrusted < 2; untrusted++) {
        pthread_create(&thread, NULL, ask_to_stop, NULL);
        int rc = engine_query(
            b->en, b->st, NULL, 0,
            "SELECT count(*) FROM range(10000000) a(i), range(10000000) b(i) WHERE hash(a.i) = b.i",
            untrusted, &out, &e);
        pthread_join(thread, NULL);
        stop_reset();
        assert_int_equal(rc, ERR_STOPPED);
        assert_string_equal(e.msg, "query: stopped");
    }
}

/* What a statement does not name may be far away: it is not brought here, and cannot be read by a trick. */
static void only_files_of_tables_that_are_named_are_brought(void **state) {
    struct bench *b = *state;
    struct table_files files = written(b, &two, "SELECT 1 AS a, DATE '2026-01-01' AS d");
    const struct engine_input in[] = {{"bronze.two", &two, &files}, {"silver.two", &two, &files}};
    static const struct {
        const char *sql, *want;
        unsigned brought;
    } cases[] = {{"SELECT a FROM silver.two", "1", 1},
                 {"SELECT a FROM \"Silver\".TWO", "1", 1},
                 {"SELECT x.a FROM silver.two x, bronze.two y", "1", 2},
                 {"SELECT 7", "7", 0},
                 {"SELECT a FROM query_table('bro' || 'nze.two')", "must name bronze.two", 0}};
    struct storage *st = b->st;
    b->st = storage_fault_new(st, false);
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        storage_fault_arm(b->st, &(struct fault){.calls = CALL_LOCALIZE});
        _cleanup_(freep) char *rows = rows_of(b, in, 2, i % 2, cases[i / 2].sql);
        if (!strstr(rows, cases[i / 2].want))
            fail_msg("%s: %s", cases[i / 2].sql, rows);
        assert_int_equal(storage_fault_calls(b->st), cases[i / 2].brought);
    }
    storage_free(b->st);
    b->st = st;
    table_files_release(&files);
}

/* ---- the user's own SQL ---------------------------------------------------------------------- */

static void the_user_may_read_the_views(void **state) {
    struct bench *b = *state;
    struct table_files files = written(
        b, &two, "SELECT i::INT AS a, DATE '2026-01-01' + (i % 2)::INT AS d FROM range(4) t(i)");
    const struct engine_input in = {"silver.two", &two, &files};
    static const struct {
        const char *sql, *text;
    } cases[] = {
        {"SELECT a, d FROM silver.two ORDER BY a",
         "0|2026-01-01 / 1|2026-01-02 / 2|2026-01-01 / 3|2026-01-02"},
        {"WITH x AS (SELECT max(a) AS m FROM silver.two) SELECT m FROM x", "3"},
        {"FROM silver.two SELECT count(*)", "4"},
        {"VALUES (1)", "1"},
        {"DESCRIBE silver.two", "a|INTEGER|YES|-|-|- / d|DATE|YES|-|-|-"},
        {"SELECT count(*) FROM (SUMMARIZE silver.two)", "2"},
        {"SELECT name FROM (SHOW TABLES) WHERE name = 'x'", ""},
        {" -- word\n SELECT 1 -- word", "1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *rows = rows_of(b, &in, 1, true, cases[i].sql);
        assert_string_equal(rows, cases[i].text);
    }
    static const char *const explained[] = {
        "EXPLAIN SELECT a FROM silver.two",
        "explain analyze SELECT a FROM silver.two",
        "/* c */ EXPLAIN -- c\n (FROM silver.two)",
        "EXPLAIN (ANALYZE, FORMAT json) SELECT a FROM silver.two",
        "SUMMARIZE silver.two",
    };
    for (size_t i = 0; i < ARRAY_LEN(explained); i++) {
        _cleanup_(freep) char *rows = rows_of(b, &in, 1, true, explained[i]);
        assert_null(strstr(rows, "ERROR"));
    }
    table_files_release(&files);
}

/* %s is the lake's one data file; each of these must fail. */
static const char *const forbidden[] = {
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/hostname')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM read_parquet('/etc/passwd')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM parquet_metadata('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_text('%s/../../_delta_log/x.json')",
    "SELECT * FROM read_csv('https://example.org/x.csv')",
    "SELECT getenv('HOME')",
    "SELECT * FROM query('COPY (SELECT 1) TO ''%s''')",
    "COPY (SELECT 1) TO '/tmp/clickmill-never.csv'",
    "COPY (SELECT 1) TO '%s'",
    "COPY (SELECT 1 AS a) TO '%s' (FORMAT parquet)",
    "EXPLAIN ANALYZE COPY (SELECT 1 AS a) TO '%s' (FORMAT parquet)",
    "EXPLAIN (ANALYZE) COPY (SELECT 1 AS a) TO '%s' (FORMAT parquet)",
    "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
    "WITH x AS (COPY (SELECT 1) TO '%s') SELECT * FROM x",
    "EXPORT DATABASE '/tmp/clickmill-never'",
    "IMPORT DATABASE '/tmp'",
    "ATTACH '/tmp/clickmill-never.db'",
    "ATTACH ':memory:' AS more",
    "DETACH memory",
    "USE memory",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET memory_limit = '100GB'",
    "RESET memory_limit",
    "SET VARIABLE x = 1",
    "SET TimeZone = 'Europe/Warsaw'",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "PRAGMA memory_limit='1TB'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '/tmp/x.duckdb_extension'",
    "FORCE CHECKPOINT",
    "VACUUM",
    "CALL pragma_version()",
    "CALL enable_logging()",
    "SELECT * FROM enable_logging('QueryLog', storage = 'file', storage_path = "
    "'/tmp/clickmill-never')",
    "SELECT * FROM main.\"ENABLE_LOGGING\"('QueryLog', storage = 'stdout')",
    "SELECT write_log('x')",
    "SELECT * FROM enable_profiling(save_location = '/tmp/clickmill-never')",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM \"Query\" /* x */ ('FROM enable' || '_logging()')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "CREATE TABLE x (i INT)",
    "CREATE VIEW x AS SELECT 1",
    "CREATE SECRET s (TYPE http, BEARER_TOKEN 'x')",
    "CREATE MACRO m(x) AS x",
    "DROP VIEW silver.two",
    "ALTER VIEW silver.two RENAME TO three",
    "INSERT INTO silver.two VALUES (1, DATE '2026-01-01')",
    "UPDATE silver.two SET a = 1",
    "DELETE FROM silver.two",
    "MERGE INTO silver.two USING (SELECT 1 AS a) s ON false WHEN NOT MATCHED THEN INSERT VALUES "
    "(1, NULL)",
    "BEGIN",
    "COMMIT",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY (SELECT 1) TO '%s'",
    "",
    "  ;; -- nothing",
    "SELEKT",
};

static void the_user_may_do_nothing_else(void **state) {
    struct bench *b = *state;
    struct table_files files = written(b, &two, "SELECT 1 AS a, DATE '2026-01-01' AS d");
    const struct engine_input in = {"silver.two", &two, &files};
    _cleanup_(freep) char *file = xasprintf("%s/lake/silver/two/%s", b->folder, files.v[0].path);
    struct stat before, after;
    assert_int_equal(stat(file, &before), 0);
    _cleanup_(freep) char *lake = xasprintf("%s/lake", b->folder);
    _cleanup_(freep) char *listed = files_below(lake);
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
        struct buf sql = BUF_INIT(MIB);
        const char *at = strstr(forbidden[i], "%s");
        buf_add(&sql, forbidden[i], at ? (size_t)(at - forbidden[i]) : strlen(forbidden[i]));
        if (at)
            buf_addf(&sql, "%s%s", file, at + 2);
        _cleanup_(freep) char *rows = rows_of(b, &in, 1, true, buf_str(&sql));
        if (strncmp(rows, "ERROR: query: ", 14) != 0)
            fail_msg("%s\ngives %s", buf_str(&sql), rows);
        buf_release(&sql);
    }
    assert_int_equal(stat(file, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(before.st_size, after.st_size);
    _cleanup_(freep) char *still = files_below(lake);
    assert_string_equal(listed, still);
    assert_int_not_equal(access("/tmp/clickmill-never", F_OK), 0);
    assert_int_not_equal(access("/tmp/clickmill-never.csv", F_OK), 0);
    assert_int_not_equal(access("/tmp/clickmill-never.db", F_OK), 0);
    check_rows(b, &in, "SELECT a FROM silver.two", "1");
    table_files_release(&files);
}

/* One more after an update of DuckDB: read about it, then allow it here or forbid it in the guard. */
static void every_table_function_is_known(void **state) {
    static const char known[] =
        "arrow_scan arrow_scan_dumb check_peg_parser checkpoint disable_logging disable_peg_parser "
        "disable_profiling "
        "duckdb_approx_database_count duckdb_columns duckdb_connection_count duckdb_constraints "
        "duckdb_coordinate_systems duckdb_databases duckdb_dependencies duckdb_extensions "
        "duckdb_external_file_cache duckdb_functions duckdb_indexes duckdb_keywords "
        "duckdb_log_contexts duckdb_logs duckdb_memory duckdb_optimizers "
        "duckdb_prepared_statements duckdb_schemas duckdb_secret_types duckdb_secrets "
        "duckdb_sequences duckdb_settings duckdb_table_sample duckdb_tables "
        "duckdb_temporary_files duckdb_types duckdb_variables duckdb_views enable_logging "
        "enable_peg_parser enable_profiling force_checkpoint generate_series glob "
        "icu_calendar_names "
        "json_each json_execute_serialized_sql json_tree parquet_bloom_probe "
        "parquet_file_metadata parquet_full_metadata parquet_kv_metadata parquet_metadata "
        "parquet_scan parquet_schema pg_timezone_names pragma_collations pragma_database_size "
        "pragma_metadata_info pragma_platform pragma_show pragma_storage_info "
        "pragma_table_info pragma_user_agent pragma_version query query_table range "
        "read_blob read_csv read_csv_auto read_duckdb read_json read_json_auto "
        "read_json_objects read_json_objects_auto read_ndjson read_ndjson_auto "
        "read_ndjson_objects read_parquet read_text repeat repeat_row seq_scan sniff_csv "
        "sql_auto_complete summary test_all_types test_vector_types truncate_duckdb_logs "
        "unnest which_secret";
    _cleanup_(freep) char *rows =
        rows_of(*state, NULL, 0, false,
                "SELECT string_agg(DISTINCT function_name, ' ' ORDER BY function_name) FROM "
                "duckdb_functions() WHERE function_type = 'table'");
    struct buf unknown = BUF_INIT(MIB);
    char *rest = NULL;
    for (char *name = strtok_r(rows, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        _cleanup_(freep) char *word = xasprintf(" %s ", name);
        _cleanup_(freep) char *all = xasprintf(" %s ", known);
        if (!strstr(all, word))
            buf_addf(&unknown, " %s", name);
    }
    assert_string_equal(buf_str(&unknown), "");
    buf_release(&unknown);
}

static void names_like_forbidden_ones_are_free(void **state) {
    _cleanup_(freep) char *rows = rows_of(*state, NULL, 0, true,
                                          "SELECT query, my_query FROM (SELECT 1 AS query, 2 AS "
                                          "my_query) WHERE query IN (1)");
    assert_string_equal(rows, "1|2");
}

static void a_failed_statement_says_what_and_where(void **state) {
    struct bench *b = *state;
    _cleanup_(freep) char *column = rows_of(b, NULL, 0, true, "SELECT nothing");
    assert_non_null(strstr(column, "ERROR: query: Binder Error: Referenced column \"nothing\""));
    _cleanup_(freep) char *two_of_them = rows_of(b, NULL, 0, true, "SELECT 1; SELECT 2");
    assert_string_equal(two_of_them, "ERROR: query: 2 statements: one is wanted");
    _cleanup_(freep) char *write = rows_of(b, NULL, 0, true, "CREATE TABLE x (i INT)");
    assert_string_equal(write, "ERROR: query: this statement does more than read");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_new, bench_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(values_are_texts),
        TEST(the_header_names_columns_and_types),
        TEST(rows_stream_and_a_callbacks_error_ends_them),
        TEST(an_error_in_the_middle_is_an_error),
        TEST(a_stop_ends_a_long_query),
        TEST(only_files_of_tables_that_are_named_are_brought),
        TEST(the_user_may_read_the_views),
        TEST(the_user_may_do_nothing_else),
        TEST(every_table_function_is_known),
        TEST(names_like_forbidden_ones_are_free),
        TEST(a_failed_statement_says_what_and_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
