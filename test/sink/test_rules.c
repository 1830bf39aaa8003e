/* SPDX-License-Identifier: Apache-2.0 */
/* What the drivers share: statements as text, types that fit, passwords that stay hidden. */
#include "sink/fit.h"
#include "sink/helper.h"
#include "sink/rules.h"
#include "sink/sql.h"
#include "sink/sqlstate.h"
#include "sink/url.h"

static const struct sink_table *const metrics = &sink_clickstream_metrics;

static void sql_is(struct buf *b, const char *wanted) {
    assert_string_equal(buf_str(b), wanted);
    buf_release(b);
}

static void the_sink_table_is_made_exactly_so(void **state ATTR_UNUSED) {
    struct buf b = BUF_INIT(KIB);
    sql_create(&b, metrics->name, metrics);
    sql_is(&b, "CREATE TABLE clickstream_metrics (category TEXT, total_events INT, total_revenue "
               "DOUBLE PRECISION, event_date DATE, PRIMARY KEY (category, event_date))");
}

static void identifiers_are_quoted_where_needed(void **state ATTR_UNUSED) {
    static const char *const cases[][2] = {
        {"total_events", "total_events"}, {"Total", "\"Total\""}, {"a b", "\"a b\""},
        {"a\"b", "\"a\"\"b\""},           {"1st", "\"1st\""},     {"", "\"\""}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = BUF_INIT(KIB);
        sql_ident(&b, cases[i][0]);
        sql_is(&b, cases[i][1]);
    }
}

static void a_table_of_keys_only_is_not_updated(void **state ATTR_UNUSED) {
    const struct sink_column column = {"event_date", SINK_DATE, true};
    const struct sink_table days = {"days", &column, 1, "event_date"};
    struct buf b = BUF_INIT(KIB);
    sql_upsert(&b, "days", "r", &days);
    sql_is(&b, "INSERT INTO days AS t (event_date) SELECT event_date FROM r WHERE true ON CONFLICT "
               "(event_date) DO NOTHING");
}

static void copy_escapes_what_it_reads_otherwise(void **state ATTR_UNUSED) {
    struct buf b = BUF_INIT(KIB);
    sql_copy_value(&b, "a\tb\nc\rd\\e");
    sql_copy_value(&b, NULL);
    sql_copy_value(&b, "");
    sql_is(&b, "a\\tb\\nc\\rd\\\\e\\N");
}

static void types_that_hold_every_value_fit(void **state ATTR_UNUSED) {
    static const struct {
        enum sink_type want;
        const char *postgres, *not_postgres, *sqlite, *not_sqlite; /* joined by ; */
    } cases[] = {
        {SINK_TEXT, "text;character varying;character varying(4096)",
         "character varying(4095);character(300);citext;integer", "TEXT;VARCHAR(20);CLOB",
         "INT;DATE;BLOB"},
        {SINK_INT, "integer;bigint;numeric", "smallint;numeric(10,2);double precision;text",
         "INT;INTEGER;BIGINT;NUMERIC", "TEXT;REAL;DATE"},
        {SINK_BIGINT, "bigint;numeric", "integer;double precision", "INT;NUMERIC", "REAL"},
        {SINK_DOUBLE, "double precision;numeric", "real;numeric(10,2);money;integer",
         "DOUBLE PRECISION;REAL;FLOAT;NUMERIC(10,2);DECIMAL", "INT;TEXT;DATE"},
        {SINK_MONEY, "numeric;numeric(18,4);numeric(20,5)",
         "numeric(18,2);numeric(10,4);double precision", "NUMERIC(18,4)", "REAL;TEXT"},
        {SINK_DATE, "date", "timestamp without time zone;text", "DATE;TEXT", "DATETIME;INT;REAL"},
        {SINK_BOOLEAN, "boolean", "integer", "BOOLEAN;INT", "TEXT"},
        {SINK_TIMESTAMP, "timestamp with time zone;timestamp(6) with time zone",
         "timestamp without time zone;timestamp(0) with time zone", "TIMESTAMPTZ;TEXT;DATETIME",
         "INT"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int k = 0; k < 4; k++) {
            const char *list = (const char *const[]){cases[i].postgres, cases[i].not_postgres,
                                                     cases[i].sqlite, cases[i].not_sqlite}[k];
            const struct fit_dialect *d = k < 2 ? &fit_postgres : &fit_sqlite;
            _cleanup_(freep) char *copy = xstrdup(list);
            char *rest = copy, *type;
            while ((type = strsep(&rest, ";")))
                if (d->holds(cases[i].want, type) != (k % 2 == 0))
                    fail_msg("%s for %s", type, sql_type(cases[i].want));
        }
    assert_true(fit_sqlite.holds(SINK_TEXT, "")); /* no type, no change */
}

static void doubles_have_the_fewest_digits(void **state ATTR_UNUSED) {
    static const char *const cases[][2] = {{"100", "100"},
                                           {"0.1", "0.1"},
                                           {"329.85000000000002", "329.85"},
                                           {"0.30000000000000004", "0.30000000000000004"},
                                           {"-0", "0"},
                                           {"1e15", "1e+15"},
                                           {"NaN", "nan"},
                                           {"-Infinity", "-inf"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[RULES_VALUE];
        assert_string_equal(rules_value(SINK_DOUBLE, cases[i][0], out), cases[i][1]);
    }
}

static void databases_values_are_read_as_ours(void **state ATTR_UNUSED) {
    static const struct {
        enum sink_type type;
        const char *from, *to;
    } cases[] = {
        {SINK_BOOLEAN, "t", "true"},
        {SINK_BOOLEAN, "0", "false"},
        {SINK_TIMESTAMP, "2026-02-16 12:00:00.5+00", "2026-02-16T12:00:00.5Z"},
        {SINK_TIMESTAMP, "2026-02-16T12:00:00Z", "2026-02-16T12:00:00Z"},
        {SINK_TIMESTAMP, "infinity", "infinity"},
        {SINK_TEXT, "t", "t"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[RULES_VALUE];
        assert_string_equal(rules_value(cases[i].type, cases[i].from, out), cases[i].to);
    }
}

static void codes_of_a_failed_connection_are_found(void **state ATTR_UNUSED) {
    char text[256], code[SQLSTATE_TEXT];
    sqlstate_of_connect("connection to server at \"h\", port 1 failed: FATAL:  53300: zu viele\n"
                        "LOCATION:  ProcArrayAdd, procarray.c:1\n",
                        text, sizeof text, code);
    assert_string_equal(code, "53300");
    assert_string_equal(text, "connection to server at \"h\", port 1 failed: FATAL: zu viele");
    sqlstate_of_connect("could not connect: Connection refused\n\tIs the server running?\n", text,
                        sizeof text, code);
    assert_string_equal(code, "");
    assert_string_equal(text, "could not connect: Connection refused; Is the server running?");
}

static void only_what_can_pass_is_retried(void **state ATTR_UNUSED) {
    static const char *const yes[] = {"08006", "40001", "40P01", "55P03",
                                      "57P01", "57P03", "53300"};
    static const char *const no[] = {"28P01", "3D000", "42501", "23505", "25006", "53100", "XX000"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(sqlstate_passes(yes[i]));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(sqlstate_passes(no[i]));
    assert_true(connect_passes("connection to server on socket \"/s\" failed: "
                               "No such file or directory"));
    assert_false(connect_passes("could not open certificate file: No such file or directory"));
    assert_false(connect_passes("SSL error: certificate verify failed"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sink_table_is_made_exactly_so),
        cmocka_unit_test(identifiers_are_quoted_where_needed),
        cmocka_unit_test(a_table_of_keys_only_is_not_updated),
        cmocka_unit_test(copy_escapes_what_it_reads_otherwise),
        cmocka_unit_test(types_that_hold_every_value_fit),
        cmocka_unit_test(doubles_have_the_fewest_digits),
        cmocka_unit_test(databases_values_are_read_as_ours),
        cmocka_unit_test(codes_of_a_failed_connection_are_found),
        cmocka_unit_test(only_what_can_pass_is_retried),
    };
    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
