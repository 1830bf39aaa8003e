/* SPDX-License-Identifier: Apache-2.0 */
/* What is PostgreSQL's own: the connection, tables somebody else has made, a server that dies. */
#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "sink/helper.h"

#define ROW "a|1|1.5|2026-02-16\n"
#define TABLE (&sink_clickstream_metrics)

static struct pg_server server; /* ours alone: it is killed and reconfigured */
static char *admin;             /* its administrator's URL */
static char schema[32], *url;   /* a schema per test */
static const struct load one = {.version = 1, .dates = "2026-02-16", .rows = ROW};

static int start_server(void **state ATTR_UNUSED) {
    pg_server_new(&server);
    admin = pg_server_admin(&server);
    return 0;
}

static int stop_server(void **state ATTR_UNUSED) {
    pg_server_free(&server);
    free(admin);
    return 0;
}

static int setup(void **state ATTR_UNUSED) {
    url = pg_schema_url(server.url, schema);
    return 0;
}

static int teardown(void **state ATTR_UNUSED) {
    free(url);
    return 0;
}

#define _sink_ _cleanup_(sink_freep) struct sink *

static void value_is(const char *sql, const char *wanted) {
    _cleanup_(freep) char *value = pg_value(url, sql);
    assert_string_equal(value, wanted);
}

/* The server's URL with another "user:password@host:port/db?…" part. The caller frees. */
static char *url_as(const char *user, const char *rest) {
    const char *host = strchr(server.url, '@') + 1;
    return xasprintf("postgresql://%s@%.*s%s", user, (int)strcspn(host, "/"), host, rest);
}

static int open_fails(const char *at, struct err *e) {
    struct sink_options o = {.timeout_ms = 2000};
    struct sink *sk = NULL;
    int rc = sink_open(at, &o, &sk, e);
    sink_free(sk);
    return rc;
}

/* ---- Tables ---- */

static void the_schema_holds_the_tables_of_the_contract(void **state ATTR_UNUSED) {
    _sink_ sk = sink_open_ok(url);
    load_ok(sk, &one, 1, 0, 0);
    value_is("SELECT string_agg(column_name || ' ' || data_type || ' ' || is_nullable, ', ' ORDER "
             "BY ordinal_position) FROM information_schema.columns WHERE table_schema = "
             "current_schema() AND table_name = 'clickstream_metrics'",
             "category text NO, total_events integer YES, total_revenue double precision YES, "
             "event_date date NO");
    value_is("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = "
             "'clickstream_metrics'::regclass",
             "PRIMARY KEY (category, event_date)");
    value_is("SELECT string_agg(column_name || ' ' || data_type || ' ' || is_nullable, ', ' ORDER "
             "BY ordinal_position) FROM information_schema.columns WHERE table_schema = "
             "current_schema() AND table_name = 'clickmill_loads'",
             "table_name text NO, gold_table_id text NO, gold_version bigint NO, loaded_at "
             "timestamp with time zone NO");
    value_is("SELECT table_name || ' ' || gold_version || ' ' || (now() - loaded_at < '1 min') "
             "FROM clickmill_loads",
             "clickstream_metrics 1 true");
    value_is("SELECT count(*) FROM pg_class WHERE relname = 'clickmill_rows'", "0");
}

static void a_load_that_changes_nothing_writes_no_row(void **state ATTR_UNUSED) {
    _sink_ sk = sink_open_ok(url);
    load_ok(sk, &one, 1, 0, 0);
    _cleanup_(freep) char *before =
        pg_value(url, "SELECT xmin || ' ' || ctid FROM clickstream_metrics");
    load_ok(sk, &one, 0, 1, 0);
    value_is("SELECT xmin || ' ' || ctid FROM clickstream_metrics", before);
}

static void tables_that_fit_are_used(void **state ATTR_UNUSED) {
    static const char *const tables[] = {
        "CREATE TABLE clickstream_metrics (id bigserial PRIMARY KEY, category varchar NOT NULL, "
        "note text NOT NULL DEFAULT 'x', total_events bigint NOT NULL, total_revenue numeric, "
        "event_date date, who int GENERATED ALWAYS AS IDENTITY, other text, twice bigint GENERATED "
        "ALWAYS AS (total_events * 2) STORED, UNIQUE (event_date, category))",
        "CREATE TABLE clickstream_metrics (event_date date, category text, total_events numeric, "
        "total_revenue float8, PRIMARY KEY (event_date, category) INCLUDE (total_events)) "
        "PARTITION BY RANGE (event_date); CREATE TABLE part_2026 PARTITION OF clickstream_metrics "
        "FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "CREATE TABLE clickstream_metrics (gone int, category text, total_events int, "
        "total_revenue "
        "float8, event_date date); ALTER TABLE clickstream_metrics DROP COLUMN gone; CREATE UNIQUE "
        "INDEX ON clickstream_metrics (category, event_date)",
    };
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        _cleanup_(freep) char *fresh = pg_schema_url(server.url, schema);
        pg_do(fresh, tables[i]);
        _sink_ sk = sink_open_ok(fresh);
        load_ok(sk, &one, 1, 0, 0);
        load_ok(sk, &one, 0, 1, 0);
        load_ok(sk,
                &(struct load){.version = 2, .dates = "2026-02-16", .rows = "a|2|3|2026-02-16\n"},
                1, 0, 0);
        assert_table(sk, "a|2|3|2026-02-16\n");
        load_ok(sk, &(struct load){.version = 3, .dates = "2026-02-16"}, 0, 0, 1);
    }
}

#define HEAD "CREATE TABLE clickstream_metrics (category text, total_events int, "
#define REST "total_revenue float8, event_date date"
#define KEY ", PRIMARY KEY (category, event_date))"

static void tables_that_do_not_fit_are_refused_and_the_hint_mends_them(void **state ATTR_UNUSED) {
    static const struct {
        const char *sql, *says;
        bool no_cure; /* the hint is no statement to be run as it is */
    } cases[] = {
        {HEAD "event_date date" KEY, "column total_revenue DOUBLE PRECISION is missing", false},
        {HEAD "total_revenue real, event_date date" KEY,
         "column total_revenue is real, not DOUBLE PRECISION", false},
        {HEAD "total_revenue numeric(10,2), event_date date" KEY, "is numeric(10,2), not", false},
        {HEAD "total_revenue float8, event_date text" KEY, "column event_date is text, not DATE",
         false},
        {HEAD "total_revenue float8, event_date timestamptz" KEY,
         "column event_date is timestamp with time zone", false},
        {"CREATE TABLE clickstream_metrics (category varchar(20), total_events smallint, " REST KEY,
         "column category is character varying(20), not TEXT; column total_events is smallint",
         false},
        {HEAD REST ", must int NOT NULL, \"Must\" int NOT NULL" KEY, "column \"Must\" must have",
         false},
        {HEAD REST ")", "over exactly (category, event_date)", false},
        {HEAD REST ", PRIMARY KEY (category))", "over exactly (category, event_date)", false},
        {HEAD REST ", UNIQUE (category, event_date, total_events))", "over exactly", false},
        {HEAD REST ", PRIMARY KEY (category, event_date) DEFERRABLE)", "deferrable", false},
        {HEAD REST "); CREATE UNIQUE INDEX ON clickstream_metrics (category, event_date) WHERE "
                   "total_events > 0",
         "over exactly", false},
        {HEAD REST "); CREATE UNIQUE INDEX ON clickstream_metrics (lower(category), event_date)",
         "over exactly", false},
        {"CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = "
         "false); CREATE TABLE clickstream_metrics (category text COLLATE loose, total_events "
         "int, " REST KEY,
         "takes different texts for equal", false},
        {HEAD "total_revenue float8 GENERATED ALWAYS AS (1.5) STORED, event_date date" KEY,
         "computed by the database", false},
        {"CREATE UNLOGGED TABLE clickstream_metrics (category text, total_events int, " REST KEY,
         "unlogged", false},
        {"CREATE VIEW clickstream_metrics AS SELECT 'a' AS category", "is a view", true},
        {"CREATE MATERIALIZED VIEW clickstream_metrics AS SELECT 1 AS a", "is a materialized view",
         true},
        {"CREATE SEQUENCE clickstream_metrics", "is no table", true},
        {HEAD REST KEY "; CREATE TABLE clickmill_loads (table_name text PRIMARY KEY, gold_version "
                       "int, gold_table_id text)",
         "clickmill_loads cannot take clickmill_loads: column gold_version is integer, not BIGINT; "
         "column loaded_at TIMESTAMPTZ is missing",
         false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *fresh = pg_schema_url(server.url, schema);
        pg_do(fresh, cases[i].sql);
        _sink_ sk = sink_open_ok(fresh);
        struct sink_watermark at;
        struct err e;
        assert_int_equal(sink_prepare(sk, TABLE, &at, &e), ERR_SINK);
        assert_false(e.retry);
        assert_says(&e, cases[i].says);
        assert_says(&e, "clickmill@127.0.0.1:");
        if (cases[i].no_cure)
            continue;
        const char *cure = strstr(e.hint, ": ALTER");
        pg_do(fresh, cure ? cure + 2 : e.hint);
        load_ok(sk, &one, 1, 0, 0);
    }
}

static void a_bigint_column_takes_counts_beyond_int(void **state ATTR_UNUSED) {
    _sink_ sk = sink_open_ok(url);
    struct load l = {.version = 1, .dates = "2026-02-16", .rows = "a|3000000000|1|2026-02-16\n"};
    struct sink_load_result done;
    struct err e;
    assert_int_equal(try_load(sk, &l, &done, &e), ERR_SINK);
    pg_do(url, strstr(e.hint, "ALTER TABLE"));
    load_ok(sk, &l, 1, 0, 0);
    assert_table(sk, l.rows);
}

static void the_first_schema_of_search_path_that_has_the_table_is_used(void **state ATTR_UNUSED) {
    char behind[32];
    _cleanup_(freep) char *other = pg_schema_url(server.url, behind);
    _cleanup_(freep) char *both = xasprintf("%s,%s", url, behind);
    {
        _sink_ sk = sink_open_ok(other);
        load_ok(sk, &one, 1, 0, 0);
    }
    _sink_ sk = sink_open_ok(both);
    load_ok(sk, &(struct load){.version = 2, .dates = "2026-02-16", .rows = ROW}, 0, 1, 0);
    value_is("SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace",
             "0");
    pg_do(url, HEAD REST KEY);
    assert_watermark(sk, "", -1); /* another table: its watermark is its own */
    load_ok(sk, &one, 1, 0, 0);
    assert_table(sk, ROW);
}

static void rights_that_lack_are_named(void **state ATTR_UNUSED) {
    _cleanup_(freep) char *sql = xasprintf(
        "CREATE ROLE guest LOGIN PASSWORD 'clickmill'; GRANT USAGE ON SCHEMA %s TO guest; ALTER "
        "ROLE guest SET search_path = %s; REVOKE TEMPORARY ON DATABASE clickmill FROM PUBLIC",
        schema, schema);
    pg_do(admin, sql);
    _cleanup_(freep) char *guest = url_as("guest:clickmill", "/clickmill");
    _sink_ sk = sink_open_ok(guest);
    struct sink_load_result done;
    struct err e;
    assert_int_equal(try_load(sk, &one, &done, &e), ERR_SINK);
    assert_false(e.retry);
    assert_says(&e, "permission denied for schema");
    assert_says(&e, "GRANT");
    _sink_ owner = sink_open_ok(url);
    load_ok(owner, &one, 1, 0, 0);
    assert_int_equal(try_load(sk, &one, &done, &e), ERR_SINK);
    assert_says(&e, "permission denied for table");
    _cleanup_(freep) char *grant =
        xasprintf("GRANT ALL ON ALL TABLES IN SCHEMA %s TO guest", schema);
    pg_do(admin, grant);
    assert_int_equal(try_load(sk, &one, &done, &e), ERR_SINK);
    assert_says(&e, "GRANT TEMPORARY ON DATABASE clickmill TO guest");
    pg_do(admin, "GRANT TEMPORARY ON DATABASE clickmill TO PUBLIC");
    load_ok(sk, &one, 0, 1, 0);
}

static void a_server_that_takes_no_writes_is_told(void **state ATTR_UNUSED) {
    _cleanup_(freep) char *standby = xasprintf("%s%%20-cdefault_transaction_read_only%%3Don", url);
    struct sink_load_result done;
    struct err e;
    _sink_ sk = sink_open_ok(standby);
    assert_int_equal(try_load(sk, &one, &done, &e), ERR_SINK);
    assert_false(e.retry);
    assert_says(&e, "read-only transaction");
    assert_says(&e, "target_session_attrs");
}

/* ---- The connection ---- */

static void what_is_wrong_with_the_connection_is_told(void **state ATTR_UNUSED) {
    static const struct {
        const char *user, *rest, *says;
        bool retry;
    } cases[] = {
        {"clickmill:hidden", "/clickmill", "password authentication failed", false},
        {"clickmill", "/clickmill", "no password supplied", false},
        {"nobody:hidden", "/clickmill", "password authentication failed", false},
        {"clickmill:clickmill", "/nothing", "database \"nothing\" does not exist", false},
        {"clickmill:clickmill", "/clickmill?sslmode=verify-full", "root certificate", false},
        {"clickmill:clickmill", "/clickmill?sslmode=nonsense", "sslmode", false},
        {"clickmill:clickmill", "/clickmill?host=/nowhere", "/nowhere", true},
        {"clickmill:clickmill", "/clickmill?hostaddr=127.0.0.1&port=1", "Connection refused", true},
        {"clickmill:clickmill", "/clickmill?host=name.invalid", "could not translate host name",
         true},
    };
    unsetenv("PGPASSWORD");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *at = url_as(cases[i].user, cases[i].rest);
        struct err e;
        assert_int_equal(open_fails(at, &e), ERR_SINK);
        assert_says(&e, cases[i].says);
        assert_says(&e, "cannot connect to postgresql://");
        if (e.retry != cases[i].retry || strstr(e.msg, "hidden") || strstr(e.hint, "hidden") ||
            strstr(e.msg, ":clickmill@") || strchr(e.msg, '\n'))
            fail_msg("%s (retry %d)", e.msg, e.retry);
    }
}

static void libpqs_ways_to_give_a_password_work(void **state ATTR_UNUSED) {
    _cleanup_(freep) char *plain = url_as("clickmill", "/clickmill");
    _cleanup_(freep) char *asked = url_as("clickmill", "/clickmill?password=clickmill");
    setenv("PGPASSWORD", "clickmill", 1);
    sink_free(sink_open_ok(plain));
    unsetenv("PGPASSWORD");
    sink_free(sink_open_ok(asked));
    _cleanup_(freep) char *passfile = xasprintf("%s/pgpass", server.folder);
    _cleanup_(freep) char *from_file = url_as("clickmill", "/clickmill?passfile=");
    _cleanup_(freep) char *with_file = xasprintf("%s%s", from_file, passfile);
    make_file(passfile, "*:*:*:clickmill:clickmill\n", 26);
    _cleanup_(freep) char *chmod_it = xasprintf("chmod 600 '%s'", passfile);
    assert_int_equal(system(chmod_it), 0);
    _sink_ sk = sink_open_ok(with_file);
    assert_null(strstr(sk->url, "clickmill:"));
}

static void tls_is_used_and_certificates_are_checked(void **state ATTR_UNUSED) {
    _cleanup_(freep) char *require = xasprintf("%s&sslmode=require", url);
    _sink_ sk = sink_open_ok(require);
    load_ok(sk, &one, 1, 0, 0);
    value_is("SELECT bool_and(s.ssl) AND count(*) > 0 FROM pg_stat_activity AS a JOIN pg_stat_ssl "
             "AS s USING (pid) WHERE a.application_name = 'clickmill'",
             "t");
    struct err e;
    _cleanup_(freep) char *full =
        xasprintf("%s&sslmode=verify-full&sslrootcert=%s/server.crt", url, server.folder);
    assert_int_equal(open_fails(full, &e), ERR_SINK);
    assert_false(e.retry);
    assert_says(&e, "does not match host name");
    _cleanup_(freep) char *ca =
        xasprintf("%s&sslmode=verify-ca&sslrootcert=%s/server.crt", url, server.folder);
    sink_free(sink_open_ok(ca));
}

static void a_host_that_is_away_is_passed_over(void **state ATTR_UNUSED) {
    const char *port = strrchr(server.url, ':') + 1;
    _cleanup_(freep) char *two =
        xasprintf("postgresql://clickmill:clickmill@127.0.0.1:1,127.0.0.1:%.*s/clickmill", 5, port);
    _sink_ sk = sink_open_ok(two);
    assert_non_null(strstr(sk->url, port));
}

static void too_many_connections_pass(void **state ATTR_UNUSED) {
    pg_do(admin, "ALTER ROLE clickmill CONNECTION LIMIT 0");
    struct err e;
    assert_int_equal(open_fails(url, &e), ERR_SINK);
    pg_do(admin, "ALTER ROLE clickmill CONNECTION LIMIT -1");
    assert_true(e.retry);
    assert_says(&e, "too many connections");
}

static void the_session_reads_alike_whatever_the_server_is_set_to(void **state ATTR_UNUSED) {
    pg_do(url,
          "SET client_min_messages = error; CREATE TABLE clickstream_metrics (category text "
          "CHECK (current_setting('TimeZone') = 'UTC' AND current_setting('client_encoding') = "
          "'UTF8' AND current_setting('application_name') = 'clickmill' AND "
          "current_setting('statement_timeout') = '10min' AND current_setting('lock_timeout') "
          "= '5s'), total_events int, total_revenue float8, event_date date, PRIMARY KEY "
          "(category, event_date))");
    _cleanup_(freep) char *latin = xasprintf("%s&client_encoding=LATIN1", url);
    _sink_ sk = sink_open_ok(latin);
    struct load l = {
        .version = 1, .dates = "2026-02-16", .rows = "\xc3\xa4|1|0.30000000000000004|2026-02-16\n"};
    load_ok(sk, &l, 1, 0, 0);
    assert_table(sk, l.rows);
}

static void limits_the_user_has_set_stay(void **state ATTR_UNUSED) {
    _cleanup_(freep) char *limited = xasprintf("%s%%20-cstatement_timeout%%3D150", url);
    _sink_ sk = sink_open_ok(limited);
    load_ok(sk, &one, 1, 0, 0);
    pg_do(url, "CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM "
               "pg_sleep(5); RETURN NEW; END$$; CREATE TRIGGER nap BEFORE INSERT ON "
               "clickstream_metrics FOR EACH ROW EXECUTE FUNCTION nap()");
    struct sink_load_result done;
    struct err e;
    assert_int_equal(try_load(sk, &one, &done, &e), ERR_SINK);
    assert_true(e.retry);
    assert_says(&e, "statement timeout");
    pg_do(url, "SET client_min_messages = error; DROP FUNCTION nap CASCADE");
    load_ok(sk, &one, 0, 1, 0);
}

/* ---- A server that goes away ---- */

static void cut_sessions(void) {
    pg_do(admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
                 "'clickmill'");
}

static void a_connection_closed_while_idle_is_made_anew(void **state ATTR_UNUSED) {
    _sink_ sk = sink_open_ok(url);
    load_ok(sk, &one, 1, 0, 0);
    cut_sessions();
    load_ok(sk, &one, 0, 1, 0);
    pg_server_do(&server, "stop");
    pg_server_do(&server, "start");
    assert_table(sk, ROW);
}

static void a_connection_cut_in_a_load_is_an_error_to_retry(void **state ATTR_UNUSED) {
    _sink_ sk = sink_open_ok(url);
    load_ok(sk, &one, 1, 0, 0);
    struct sink_watermark at;
    struct sink_load_result done;
    struct err e;
    struct load two = {.version = 2, .dates = "2026-02-16", .rows = "b|2|2|2026-02-16\n"};
    assert_ok(sink_prepare(sk, TABLE, &at, &e), &e);
    assert_ok(begin_load(sk, &two, &at, &e), &e);
    cut_sessions();
    assert_int_equal(sink_commit(sk, &done, &e), ERR_SINK);
    assert_true(e.retry);
    sink_rollback(sk);
    assert_table(sk, ROW);
    load_ok(sk, &two, 1, 0, 1);
}

static void a_server_killed_in_a_load_has_nothing_half_done(void **state ATTR_UNUSED) {
    _sink_ sk = sink_open_ok(url);
    load_ok(sk, &one, 1, 0, 0);
    struct sink_watermark at;
    struct sink_load_result done;
    struct err e;
    struct buf rows = BUF_INIT(64 * MIB);
    for (int i = 0; i < 20000; i++)
        buf_addf(&rows, "category %d|1|1|2026-02-16\n", i);
    struct load many = {.version = 2, .dates = "2026-02-16", .rows = buf_str(&rows)};
    assert_ok(sink_prepare(sk, TABLE, &at, &e), &e);
    assert_ok(begin_load(sk, &many, &at, &e), &e); /* 500 kB of rows are on their way */
    pg_server_do(&server, "crash");
    int rc = send_rows_of(sk, "z|1|1|2026-02-16\n", &e);
    if (rc == 0)
        rc = sink_commit(sk, &done, &e);
    assert_int_equal(rc, ERR_SINK);
    assert_true(e.retry);
    sink_rollback(sk);
    assert_int_equal(try_load(sk, &many, &done, &e), ERR_SINK); /* still away */
    assert_true(e.retry);
    assert_says(&e, "Connection refused");
    pg_server_do(&server, "start");
    assert_table(sk, ROW);
    assert_watermark(sk, GOLD_ID, 1);
    load_ok(sk, &many, 20000, 0, 1);
    buf_release(&rows);
}

static void *kill_soon(void *arg) {
    usleep(*(useconds_t *)arg);
    pg_server_do(&server, "crash");
    return NULL;
}

/* The kill comes at another moment each time, also in COMMIT; the retry settles what happened. */
static void a_kill_at_any_moment_is_settled_by_the_retry(void **state ATTR_UNUSED) {
    _sink_ sk = sink_open_ok(url);
    struct sink_load_result done;
    struct err e;
    int64_t version = 1;
    load_ok(sk, &one, 1, 0, 0);
    for (useconds_t after = 1000; after < 8000; after += 5000) {
        pthread_t killer;
        pthread_create(&killer, NULL, kill_soon, &after);
        int rc = 0;
        while (rc == 0) {
            struct load l = {.version = ++version, .dates = "2026-02-16", .rows = ROW};
            rc = try_load(sk, &l, &done, &e);
        }
        assert_int_equal(rc, ERR_SINK);
        assert_true(e.retry);
        pthread_join(killer, NULL);
        pg_server_do(&server, "start");
        struct sink_watermark at;
        assert_ok(sink_peek(sk, TABLE, &at, &e), &e);
        assert_in_range(at.version, version - 1, version);
        assert_table(sk, ROW);
        version = at.version + 1;
        load_ok(sk, &(struct load){.version = version, .dates = "2026-02-16", .rows = ROW}, 0, 1,
                0);
    }
}

static void *cut_soon(void *arg ATTR_UNUSED) {
    usleep(300000);
    cut_sessions();
    return NULL;
}

/* Committed: the server waits for a standby that does not exist, and is cut off while it waits. */
static void a_commit_whose_answer_is_lost_is_settled_by_the_watermark(void **state ATTR_UNUSED) {
    _sink_ sk = sink_open_ok(url);
    load_ok(sk, &one, 1, 0, 0);
    struct sink_load_result done;
    struct err e;
    pthread_t cutter;
    pg_do(admin, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    pg_do(admin, "SELECT pg_reload_conf()");
    pthread_create(&cutter, NULL, cut_soon, NULL);
    struct load two = {.version = 2, .dates = "2026-02-16", .rows = "b|2|2|2026-02-16\n"};
    int rc = try_load(sk, &two, &done, &e);
    pthread_join(cutter, NULL);
    pg_do(admin, "ALTER SYSTEM RESET synchronous_standby_names");
    pg_do(admin, "SELECT pg_reload_conf()");
    assert_int_equal(rc, ERR_SINK);
    assert_true(e.retry);
    assert_says(&e, "whether the load of clickstream_metrics went through is told by the next one");
    assert_watermark(sk, GOLD_ID, 2);
    assert_table(sk, two.rows);
}

/* Not committed: the session ends in a deferred trigger, which runs within COMMIT. */
static void a_commit_that_dies_is_settled_by_the_watermark(void **state ATTR_UNUSED) {
    _sink_ sk = sink_open_ok(url);
    load_ok(sk, &one, 1, 0, 0);
    struct sink_load_result done;
    struct err e;
    pg_do(url, "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM "
               "pg_terminate_backend(pg_backend_pid()); RETURN NULL; END$$; CREATE CONSTRAINT "
               "TRIGGER die AFTER INSERT ON clickstream_metrics DEFERRABLE INITIALLY DEFERRED FOR "
               "EACH ROW EXECUTE FUNCTION die()");
    struct load two = {.version = 2, .dates = "2026-02-16", .rows = "b|2|2|2026-02-16\n"};
    assert_int_equal(try_load(sk, &two, &done, &e), ERR_SINK);
    assert_true(e.retry);
    assert_says(&e, "is told by the next one");
    assert_watermark(sk, GOLD_ID, 1);
    assert_table(sk, ROW);
    pg_do(url, "DROP TRIGGER die ON clickstream_metrics");
    load_ok(sk, &two, 1, 0, 1);
}

static void a_server_that_starts_or_stops_passes(void **state ATTR_UNUSED) {
    _sink_ sk = sink_open_ok(url);
    load_ok(sk, &one, 1, 0, 0);
    struct sink_watermark at;
    struct sink_load_result done;
    struct err e;
    assert_ok(sink_prepare(sk, TABLE, &at, &e), &e);
    assert_ok(begin_load(sk, &one, &at, &e), &e);
    pg_server_do(&server, "stop"); /* fast: it ends open sessions */
    assert_int_equal(sink_commit(sk, &done, &e), ERR_SINK);
    assert_true(e.retry);
    sink_rollback(sk);
    assert_int_equal(open_fails(url, &e), ERR_SINK);
    assert_true(e.retry);
    pg_server_do(&server, "start");
    load_ok(sk, &one, 0, 1, 0);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_schema_holds_the_tables_of_the_contract),
        T(a_load_that_changes_nothing_writes_no_row),
        T(tables_that_fit_are_used),
        T(tables_that_do_not_fit_are_refused_and_the_hint_mends_them),
        T(a_bigint_column_takes_counts_beyond_int),
        T(the_first_schema_of_search_path_that_has_the_table_is_used),
        T(rights_that_lack_are_named),
        T(a_server_that_takes_no_writes_is_told),
        T(what_is_wrong_with_the_connection_is_told),
        T(libpqs_ways_to_give_a_password_work),
        T(tls_is_used_and_certificates_are_checked),
        T(a_host_that_is_away_is_passed_over),
        T(too_many_connections_pass),
        T(the_session_reads_alike_whatever_the_server_is_set_to),
        T(limits_the_user_has_set_stay),
        T(a_connection_closed_while_idle_is_made_anew),
        T(a_connection_cut_in_a_load_is_an_error_to_retry),
        T(a_server_killed_in_a_load_has_nothing_half_done),
        T(a_kill_at_any_moment_is_settled_by_the_retry),
        T(a_commit_whose_answer_is_lost_is_settled_by_the_watermark),
        T(a_commit_that_dies_is_settled_by_the_watermark),
        T(a_server_that_starts_or_stops_passes),
    };
#undef T
    return cmocka_run_group_tests_name("postgres", tests, start_server, stop_server);
}
