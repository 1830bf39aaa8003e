/* SPDX-License-Identifier: Apache-2.0 */
/* What is SQLite's own: the file, its locks, tables somebody else has made. */
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sink/helper.h"

#define ROW "a|1|1.5|2026-02-16\n"

static char *folder, *path, *url;
static const struct load one = {.version = 1, .dates = "2026-02-16", .rows = ROW};

static int setup(void **state ATTR_UNUSED) {
    folder = lake_folder_new();
    path = xasprintf("%s/a.db", folder);
    url = xasprintf("sqlite:%s", path);
    return 0;
}

static int teardown(void **state ATTR_UNUSED) {
    lake_folder_free(folder);
    free(path);
    free(url);
    return 0;
}

#define _sink_ _cleanup_(sink_freep) struct sink *

static void value_is(const char *sql, const char *wanted) {
    _cleanup_(freep) char *value = sqlite_value(path, sql);
    assert_string_equal(value, wanted);
}

static void the_file_holds_the_tables_of_the_contract(void **state ATTR_UNUSED) {
    _sink_ sk = sink_open_ok(url);
    load_ok(sk, &one, 1, 0, 0);
    value_is("SELECT sql FROM sqlite_schema WHERE name = 'clickstream_metrics'",
             "CREATE TABLE clickstream_metrics (category TEXT, total_events INT, total_revenue "
             "DOUBLE PRECISION, event_date DATE, PRIMARY KEY (category, event_date))");
    value_is("SELECT sql FROM sqlite_schema WHERE name = 'clickmill_loads'",
             "CREATE TABLE clickmill_loads (table_name TEXT PRIMARY KEY, gold_table_id TEXT NOT "
             "NULL, gold_version BIGINT NOT NULL, loaded_at TIMESTAMPTZ NOT NULL)");
    value_is("SELECT typeof(category) || ' ' || typeof(total_events) || ' ' || "
             "typeof(total_revenue) || ' ' || typeof(event_date) FROM clickstream_metrics",
             "text integer real text");
    value_is("SELECT strftime('%Y', event_date) FROM clickstream_metrics", "2026");
    value_is("SELECT typeof(gold_version) || ' ' || (abs(strftime('%s', loaded_at) - "
             "strftime('%s', 'now')) < 100) || ' ' || (loaded_at LIKE '____-__-__T__:__:__.___Z')"
             " FROM clickmill_loads WHERE table_name = 'clickstream_metrics'",
             "integer 1 1");
    value_is("PRAGMA journal_mode", "delete");
    value_is("SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table'",
             "clickstream_metrics,clickmill_loads");
}

static void tables_that_fit_are_used(void **state ATTR_UNUSED) {
    static const char *const tables[] = {
        "CREATE TABLE Clickstream_Metrics (id INTEGER PRIMARY KEY NOT NULL, note TEXT DEFAULT 'x', "
        "EVENT_DATE TEXT NOT NULL, total_revenue NUMERIC, total_events BIGINT, category "
        "VARCHAR(9), "
        "other INT, UNIQUE (event_date, category))",
        "CREATE TABLE clickstream_metrics (category TEXT, total_events INT, total_revenue REAL, "
        "event_date TEXT, PRIMARY KEY (category, event_date)) STRICT, WITHOUT ROWID",
        "CREATE TABLE clickstream_metrics (category, total_events, total_revenue, event_date, a AS "
        "(total_events + 1)); CREATE UNIQUE INDEX u ON clickstream_metrics (category, event_date)",
    };
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        unlink(path);
        sqlite_do(path, tables[i]);
        _sink_ sk = sink_open_ok(url);
        load_ok(sk, &one, 1, 0, 0);
        load_ok(sk, &one, 0, 1, 0);
        load_ok(sk,
                &(struct load){.version = 2, .dates = "2026-02-16", .rows = "a|2|3|2026-02-16\n"},
                1, 0, 0);
        assert_table(sk, "a|2|3|2026-02-16\n");
        load_ok(sk, &(struct load){.version = 3, .dates = "2026-02-16"}, 0, 0, 1);
    }
}

static void tables_that_do_not_fit_are_refused(void **state ATTR_UNUSED) {
#define HEAD "CREATE TABLE clickstream_metrics (category TEXT, total_events INT, "
#define KEY ", PRIMARY KEY (category, event_date))"
    static const char *const cases[][2] = {
        {HEAD "event_date DATE" KEY, "column total_revenue DOUBLE PRECISION is missing"},
        {HEAD "total_revenue INT, event_date DATE" KEY,
         "column total_revenue is INT, not DOUBLE PRECISION"},
        {HEAD "total_revenue REAL, event_date DATETIME" KEY, "column event_date is DATETIME"},
        {HEAD "total_revenue REAL, event_date DATE, must INT NOT NULL" KEY,
         "column must must have a value"},
        {HEAD "total_revenue AS (1.5), event_date DATE" KEY, "computed by the database"},
        {HEAD "total_revenue REAL, event_date DATE)",
         "no PRIMARY KEY or unique index over exactly (category, "
         "event_date)"},
        {HEAD "total_revenue REAL, event_date DATE, PRIMARY KEY (category))", "no PRIMARY KEY"},
        {HEAD "total_revenue REAL, event_date DATE, UNIQUE (category, event_date, total_events))",
         "no PRIMARY KEY"},
        {HEAD "total_revenue REAL, event_date DATE); CREATE UNIQUE INDEX u ON clickstream_metrics "
              "(category, event_date) WHERE total_events > 0",
         "no PRIMARY KEY"},
        {HEAD "total_revenue REAL, event_date DATE); CREATE UNIQUE INDEX u ON clickstream_metrics "
              "(lower(category), event_date)",
         "no PRIMARY KEY"},
        {"CREATE TABLE clickstream_metrics (category TEXT COLLATE NOCASE, total_events INT, "
         "total_revenue REAL, event_date DATE" KEY,
         "no PRIMARY KEY"},
        {"CREATE VIEW clickstream_metrics AS SELECT 1 AS category", "is a view"},
        {"CREATE TABLE clickmill_loads (table_name TEXT PRIMARY KEY)",
         "clickmill_loads cannot take clickmill_loads: column gold_table_id TEXT is missing"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unlink(path);
        sqlite_do(path, cases[i][0]);
        _sink_ sk = sink_open_ok(url);
        struct sink_watermark at;
        struct err e;
        assert_int_equal(sink_prepare(sk, &sink_clickstream_metrics, &at, &e), ERR_SINK);
        assert_false(e.retry);
        assert_true(*e.hint);
        assert_says(&e, cases[i][1]);
        assert_says(&e, url);
    }
}

static void the_hint_mends_the_misfit(void **state ATTR_UNUSED) {
    sqlite_do(path, "CREATE TABLE clickstream_metrics (category INT)");
    _sink_ sk = sink_open_ok(url);
    struct sink_watermark at;
    struct err e;
    assert_int_equal(sink_prepare(sk, &sink_clickstream_metrics, &at, &e), ERR_SINK);
    sqlite_do(path, strstr(e.hint, "ALTER TABLE"));
    load_ok(sk, &one, 1, 0, 0);
}

static int open_fails(const char *at, struct sink_options o, struct err *e) {
    struct sink *sk = NULL;
    int rc = sink_open(at, &o, &sk, e);
    sink_free(sk);
    return rc;
}

static void what_is_no_database_is_said_to_be_none(void **state ATTR_UNUSED) {
    char text[4096];
    struct err e;
    memset(text, 'x', sizeof text);
    make_file(path, text, sizeof text);
    assert_int_equal(open_fails(url, (struct sink_options){.timeout_ms = 100}, &e), ERR_SINK);
    assert_says(&e, "not a database");
    assert_says(&e, url);
    unlink(path);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(open_fails(url, (struct sink_options){.timeout_ms = 100}, &e), ERR_SINK);
    assert_says(&e, "cannot open the file");
    _cleanup_(freep) char *below = xasprintf("sqlite:%s/a.db/b/c.db", folder);
    rmdir(path);
    make_file(path, "x", 1);
    assert_int_equal(open_fails(below, (struct sink_options){.timeout_ms = 100}, &e), ERR_SINK);
    assert_says(&e, "cannot make the folder");
    assert_false(e.retry);
}

/* Some ways to fail need a user who may not do everything. True if fn gave true. */
static bool in_child_as_nobody(bool (*fn)(void)) {
    pid_t pid = fork();
    if (pid == 0) {
        if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(2);
        _exit(fn() ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    return status == 0;
}

static bool opening_says_read_only(void) {
    struct err e;
    bool refused = open_fails(url, (struct sink_options){.timeout_ms = 100}, &e) == ERR_SINK &&
                   strstr(e.msg, "read-only") && *e.hint;
    struct sink_options reader = {.timeout_ms = 100, .read_only = true};
    return refused && open_fails(url, reader, &e) == 0;
}

static void a_file_we_may_not_write_is_told(void **state ATTR_UNUSED) {
    sink_free(sink_open_ok(url));
    sqlite_do(path, "CREATE TABLE t (a)");
    chmod(folder, 0755);
    chmod(path, 0444);
    assert_true(in_child_as_nobody(opening_says_read_only));
}

static bool loading_hits_the_limit(void) {
    struct rlimit few = {64 * KIB, 64 * KIB};
    struct sink_load_result done;
    struct err e;
    struct buf rows = BUF_INIT(16 * MIB);
    struct sink *sk = sink_open_ok(url);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &few);
    for (int i = 0; i < 20000; i++)
        buf_addf(&rows, "category %d|1|1|2026-02-16\n", i);
    struct load l = {.version = 2, .dates = "2026-02-16", .rows = buf_str(&rows)};
    int rc = try_load(sk, &l, &done, &e);
    if (rc != ERR_SINK || e.retry || !strstr(e.msg, url))
        fprintf(stderr, "%d %s\n", rc, e.msg);
    return rc == ERR_SINK && !e.retry;
}

/* A file size limit stands for a full disk: write() fails half-way. */
static void a_full_disk_leaves_the_last_load(void **state ATTR_UNUSED) {
    _sink_ sk = sink_open_ok(url);
    load_ok(sk, &one, 1, 0, 0);
    chmod(folder, 0777);
    chmod(path, 0666);
    assert_true(in_child_as_nobody(loading_hits_the_limit));
    assert_table(sk, ROW);
    assert_watermark(sk, GOLD_ID, 1);
    value_is("PRAGMA integrity_check", "ok");
}

static void a_reader_that_stays_is_waited_for_then_told(void **state ATTR_UNUSED) {
    struct sink *sk;
    struct sink_options o = {.timeout_ms = 150};
    struct err e;
    assert_ok(sink_open(url, &o, &sk, &e), &e);
    load_ok(sk, &one, 1, 0, 0);
    sqlite3 *reader;
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_open(path, &reader), SQLITE_OK);
    sqlite3_prepare_v2(reader, "SELECT * FROM clickstream_metrics", -1, &st, NULL);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    struct sink_load_result done;
    assert_int_equal(try_load(sk, &(struct load){.version = 2, .dates = "2026-02-16"}, &done, &e),
                     ERR_SINK);
    assert_true(e.retry);
    assert_says(&e, "locked");
    sqlite3_finalize(st);
    sqlite3_close(reader);
    load_ok(sk, &(struct load){.version = 2, .dates = "2026-02-16"}, 0, 0, 1);
    sink_free(sk);
}

static void a_reader_sees_the_old_rows_until_the_commit(void **state ATTR_UNUSED) {
    _sink_ sk = sink_open_ok(url);
    load_ok(sk, &one, 1, 0, 0);
    struct sink_watermark at;
    struct sink_load_result done;
    struct err e;
    assert_ok(sink_prepare(sk, &sink_clickstream_metrics, &at, &e), &e);
    struct load l = {.version = 2, .dates = "2026-02-16", .rows = "a|9|9|2026-02-16\n"};
    assert_ok(begin_load(sk, &l, &at, &e), &e);
    value_is("SELECT total_events FROM clickstream_metrics", "1");
    assert_ok(sink_commit(sk, &done, &e), &e);
    value_is("SELECT total_events FROM clickstream_metrics", "9");
}

static void a_file_in_wal_mode_stays_in_it(void **state ATTR_UNUSED) {
    sqlite_do(path, "PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
    _sink_ sk = sink_open_ok(url);
    load_ok(sk, &one, 1, 0, 0);
    value_is("PRAGMA journal_mode", "wal");
}

static void names_sqlite_takes_for_something_else_are_files(void **state ATTR_UNUSED) {
    char cwd[LIMIT_PATH];
    assert_non_null(getcwd(cwd, sizeof cwd));
    assert_int_equal(chdir(folder), 0);
    static const char *const names[] = {":memory:", "file:x?mode=ro", "a%20b.db"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_(freep) char *strange = xasprintf("sqlite:%s", names[i]);
        _sink_ sk = sink_open_ok(strange);
        load_ok(sk, &one, 1, 0, 0);
        assert_int_equal(access(names[i], F_OK), 0);
    }
    assert_int_equal(chdir(cwd), 0);
}

static void reading_only_makes_no_file(void **state ATTR_UNUSED) {
    struct sink_options o = {.read_only = true};
    struct sink *sk;
    struct err e;
    assert_ok(sink_open(url, &o, &sk, &e), &e);
    assert_table(sk, "");
    assert_watermark(sk, "", -1);
    sink_free(sk);
    assert_int_equal(access(path, F_OK), -1);
    _sink_ writer = sink_open_ok(url);
    load_ok(writer, &one, 1, 0, 0);
    assert_ok(sink_open(url, &o, &sk, &e), &e);
    assert_table(sk, ROW);
    struct sink_load_result done;
    assert_int_equal(try_load(sk, &one, &done, &e), ERR_SINK);
    assert_says(&e, "readonly");
    sink_free(sk);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_file_holds_the_tables_of_the_contract),
        T(tables_that_fit_are_used),
        T(tables_that_do_not_fit_are_refused),
        T(the_hint_mends_the_misfit),
        T(what_is_no_database_is_said_to_be_none),
        T(a_file_we_may_not_write_is_told),
        T(a_full_disk_leaves_the_last_load),
        T(a_reader_that_stays_is_waited_for_then_told),
        T(a_reader_sees_the_old_rows_until_the_commit),
        T(a_file_in_wal_mode_stays_in_it),
        T(names_sqlite_takes_for_something_else_are_files),
        T(reading_only_makes_no_file),
    };
#undef T
    return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
}
