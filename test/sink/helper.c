/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/helper.h"

#include <libpq-fe.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake/service.h"

/* ---- Loads ---- */

int send_rows_of(struct sink *sk, const char *rows, struct err *e) {
    _cleanup_(freep) char *copy = xstrdup(rows);
    char *rest = copy, *line;
    int rc = 0;
    while (rc == 0 && (line = strsep(&rest, "\n")) && *line) {
        const char *values[8];
        char *value;
        for (size_t n = 0; n < ARRAY_LEN(values) && (value = strsep(&line, "|")); n++)
            values[n] = *value ? value : NULL;
        rc = sink_row(sk, values, e);
    }
    return rc;
}

int begin_load(struct sink *sk, const struct load *l, const struct sink_watermark *expected,
               struct err *e) {
    _cleanup_(freep) char *copy = xstrdup(l->dates ? l->dates : "");
    const char *dates[400];
    char *rest = copy, *date;
    size_t n = 0;
    while ((date = strsep(&rest, " ")))
        if (*date)
            dates[n++] = date;
    struct sink_load_begin b = {
        .expected = expected,
        .gold_table_id = l->id ? l->id : GOLD_ID,
        .gold_version = l->version,
        .dates = dates,
        .n_dates = n,
        .replace_all = l->replace_all,
    };
    int rc = sink_begin(sk, &sink_clickstream_metrics, &b, e);
    return rc ? rc : send_rows_of(sk, l->rows ? l->rows : "", e);
}

int try_load(struct sink *sk, const struct load *l, struct sink_load_result *ret, struct err *e) {
    struct sink_watermark at;
    int rc = sink_prepare(sk, &sink_clickstream_metrics, &at, e);
    if (rc == 0)
        rc = begin_load(sk, l, &at, e);
    if (rc == 0)
        rc = sink_commit(sk, ret, e);
    if (rc)
        sink_rollback(sk);
    return rc;
}

void load_ok(struct sink *sk, const struct load *l, int64_t upserted, int64_t unchanged,
             int64_t deleted) {
    struct sink_load_result done;
    struct err e;
    assert_ok(try_load(sk, l, &done, &e), &e);
    assert_int_equal(done.upserted, upserted);
    assert_int_equal(done.unchanged, unchanged);
    assert_int_equal(done.deleted, deleted);
}

static int add_row(void *arg, const char *const *values, struct err *e ATTR_UNUSED) {
    for (size_t i = 0; i < sink_clickstream_metrics.n_columns; i++)
        buf_addf(arg, "%s%s", i ? "|" : "", values[i] ? values[i] : "");
    buf_add_char(arg, '\n');
    return 0;
}

char *table_text(struct sink *sk) {
    struct buf text = BUF_INIT(64 * MIB);
    struct err e;
    assert_ok(sink_read(sk, &sink_clickstream_metrics, add_row, &text, &e), &e);
    return buf_detach(&text);
}

void assert_table(struct sink *sk, const char *rows) {
    _cleanup_(freep) char *text = table_text(sk);
    assert_string_equal(text, rows);
}

void assert_watermark(struct sink *sk, const char *id, int64_t version) {
    struct sink_watermark at;
    struct err e;
    assert_ok(sink_peek(sk, &sink_clickstream_metrics, &at, &e), &e);
    assert_int_equal(at.version, version);
    assert_string_equal(at.table_id, id);
}

struct sink *sink_open_ok(const char *url) {
    struct sink_options o = {.timeout_ms = 5000};
    struct sink *sk;
    struct err e;
    assert_ok(sink_open(url, &o, &sk, &e), &e);
    return sk;
}

/* ---- PostgreSQL ---- */

void pg_server_new(struct pg_server *s) {
    s->folder = lake_folder_new();
    s->url = service_run("postgres", "start", s->folder);
    s->url[strcspn(s->url, "\n")] = '\0';
}

void pg_server_do(const struct pg_server *s, const char *verb) {
    service_do("postgres", verb, s->folder, "");
}

void pg_server_free(struct pg_server *s) {
    pg_server_do(s, "stop");
    lake_folder_free(TAKE_PTR(s->folder));
    free(TAKE_PTR(s->url));
}

char *pg_server_admin(const struct pg_server *s) {
    const char *port = strrchr(s->url, ':') + 1;
    return xasprintf("postgresql:///clickmill?user=postgres&host=%s&port=%.*s", s->folder,
                     (int)strcspn(port, "/"), port);
}

static struct pg_server shared;
static pid_t shared_by;

static void stop_shared(void) {
    if (getpid() == shared_by) /* children of a test exit, too */
        pg_server_free(&shared);
}

const char *pg_shared(void) {
    const char *given = getenv("TEST_PG_URL");
    if (given && *given)
        return given;
    if (!shared.url) {
        pg_server_new(&shared);
        shared_by = getpid();
        atexit(stop_shared);
    }
    return shared.url;
}

char *pg_value(const char *url, const char *sql) {
    PGconn *conn = PQconnectdb(url);
    PGresult *r = PQexec(conn, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    char *value = xstrdup(PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    PQfinish(conn);
    return value;
}

void pg_do(const char *url, const char *sql) {
    free(pg_value(url, sql));
}

char *pg_schema_url(const char *url, char ret_schema[32]) {
    static int n;
    snprintf(ret_schema, 32, "s%d_%d", (int)getpid(), ++n);
    _cleanup_(freep) char *sql = xasprintf("CREATE SCHEMA %s", ret_schema);
    pg_do(url, sql);
    return xasprintf("%s%coptions=-csearch_path%%3D%s", url, strchr(url, '?') ? '&' : '?',
                     ret_schema);
}

/* ---- SQLite ---- */

char *sqlite_value(const char *path, const char *sql) {
    sqlite3 *db;
    sqlite3_stmt *st = NULL;
    char *value = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK)
        fail_msg("%s: %s", path, sqlite3_errmsg(db));
    sqlite3_busy_timeout(db, 5000);
    for (const char *rest = sql; rest && *rest;) {
        if (sqlite3_prepare_v2(db, rest, -1, &st, &rest) != SQLITE_OK)
            fail_msg("%s: %s", sql, sqlite3_errmsg(db));
        int rc = st ? sqlite3_step(st) : SQLITE_DONE;
        if (rc == SQLITE_ROW && !value)
            value = xstrdup(sqlite3_column_type(st, 0) == SQLITE_NULL
                                ? ""
                                : (const char *)sqlite3_column_text(st, 0));
        else if (rc != SQLITE_DONE && rc != SQLITE_ROW)
            fail_msg("%s: %s", sql, sqlite3_errmsg(db));
        sqlite3_finalize(st);
    }
    sqlite3_close(db);
    return value ? value : xstrdup("");
}

void sqlite_do(const char *path, const char *sql) {
    free(sqlite_value(path, sql));
}
