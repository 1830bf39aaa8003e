/* SPDX-License-Identifier: Apache-2.0 */
/* The sink contract on every driver, and opening by URL. */
#include "fake/sink_mem.h"
#include "sink/conformance.h"
#include "sink/helper.h"

static void *mem_new(void) {
    return mem_db_new();
}

static int mem_open(void *db, const struct sink_options *o, struct sink **ret, struct err *e) {
    return sink_mem_open(db, o, ret, e);
}

static void mem_free(void *db) {
    mem_db_free(db);
}

static void *sqlite_new(void) {
    return lake_folder_new();
}

static int sqlite_open(void *db, const struct sink_options *o, struct sink **ret, struct err *e) {
    _cleanup_(freep) char *url = xasprintf("sqlite:%s/made/on the way/analytics.db", (char *)db);
    return sink_open(url, o, ret, e);
}

static void sqlite_free(void *db) {
    lake_folder_free(db);
}

static void *postgres_new(void) {
    char schema[32];
    return pg_schema_url(pg_shared(), schema);
}

static int postgres_open(void *db, const struct sink_options *o, struct sink **ret, struct err *e) {
    return sink_open(db, o, ret, e);
}

static const struct sink_driver drivers[] = {
    {"mem", mem_new, mem_open, mem_free, .shared = false},
    {"sqlite", sqlite_new, sqlite_open, sqlite_free, .shared = true, .wide = true},
    {"postgresql", postgres_new, postgres_open, free, .shared = true},
};

static void urls_no_driver_reads_are_config_errors(void **state ATTR_UNUSED) {
    static const char *const urls[] = {
        "",
        "data/analytics.db",
        "mysql://clickmill:hidden@host/db",
        "host=localhost user=clickmill password=hidden",
        "postgresql:clickmill:hidden@host",
        "sqlite:",
        "sqlite://data/a.db",
        "sqlite:data/",
        "postgresql://clickmill:hidden",
        "postgresql://clickmill:hidden/db",
        "postgresql://clickmill:hid@den@host/db",
        "postgresql://clickmill:hid/den@host/db",
        "postgresql://clickmill:hid?den@host/db",
        "postgresql://clickmill:hidden%zz@host/db",
        "postgresql://clickmill:hidden@host/db?sslmod=require",
        "postgresql://clickmill:hidden@[::1/db",
        "postgresql://host/db?password=hidden&hidden",
    };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct sink_options o = {.timeout_ms = 100};
        struct sink *sk;
        struct err e;
        if (sink_open(urls[i], &o, &sk, &e) != ERR_CONFIG)
            fail_msg("%s: not refused", urls[i]);
        assert_false(e.retry);
        if (strstr(e.msg, "hid") || strstr(e.msg, "den@") || strstr(e.hint, "hid"))
            fail_msg("the password is in: %s", e.msg);
    }
}

static void an_unknown_scheme_is_told_the_known_ones(void **state ATTR_UNUSED) {
    struct sink_options o = {0};
    struct sink *sk;
    struct err e;
    assert_int_equal(sink_open("mysql://u:p@host/db", &o, &sk, &e), ERR_CONFIG);
    assert_says(&e, "\"mysql:\"");
    assert_says(&e, "sqlite:PATH");
    assert_says(&e, "postgresql://");
}

static void a_fake_that_is_told_to_fail_fails(void **state ATTR_UNUSED) {
    struct mem_db *db = mem_db_new();
    struct sink *sk;
    struct err e;
    struct sink_load_result done;
    struct load l = {.version = 1, .dates = "2026-02-16", .rows = "a|1|1|2026-02-16\n"};
    assert_ok(sink_mem_open(db, &(struct sink_options){0}, &sk, &e), &e);
    for (int nth = 1; nth <= 4; nth++) { /* prepare, begin, row, commit */
        mem_db_fail(db, nth, nth % 2);
        assert_int_equal(try_load(sk, &l, &done, &e), ERR_SINK);
        assert_int_equal(e.retry, nth % 2);
        assert_watermark(sk, "", -1);
    }
    mem_db_lose_answer(db);
    assert_int_equal(try_load(sk, &l, &done, &e), ERR_SINK);
    assert_true(e.retry);
    assert_watermark(sk, GOLD_ID, 1);
    assert_table(sk, l.rows);
    load_ok(sk, &l, 0, 1, 0);
    sink_free(sk);
    mem_db_free(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_no_driver_reads_are_config_errors),
        cmocka_unit_test(an_unknown_scheme_is_told_the_known_ones),
        cmocka_unit_test(a_fake_that_is_told_to_fail_fails),
    };
    int failed = cmocka_run_group_tests_name("open", tests, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
        failed += sink_conformance(&drivers[i]);
    return failed;
}
