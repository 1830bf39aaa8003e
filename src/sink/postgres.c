/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL (12 or newer), over libpq.
 *
 * Everything is set per transaction (time zone, time limits) and nothing outlives one (temporary
 * table, advisory lock), so that a connection pooler in transaction mode may stand between. A load:
 *
 *     BEGIN; advisory lock of the table; watermark FOR UPDATE, as expected?
 *     CREATE TEMP TABLE clickmill_rows ... ON COMMIT DROP; COPY rows into it
 *     INSERT ... ON CONFLICT DO UPDATE; DELETE what was not sent; watermark; COMMIT
 *
 * clickmill_loads stands in the schema of the table it speaks of: the same table name in another
 * schema has a watermark of its own. Server messages below an error are dropped.
 */
#include <assert.h>
#include <libpq-fe.h>
#include <poll.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/util.h"
#include "base/value.h"
#include "sink/driver.h"
#include "sink/postgres.h"
#include "sink/rules.h"
#include "sink/sql.h"
#include "sink/sqlstate.h"
#include "sink/url.h"

#define ROWS "pg_temp.clickmill_rows"

enum {
    COPY_CHUNK = 64 * KIB,
    STATEMENT_MS = 10 * 60 * 1000,        /* the server gives a statement up then */
    ANSWER_MS = STATEMENT_MS + 30 * 1000, /* and we a server that does not even do that */
    IDLE_MS = 60 * 1000,                  /* a loader that hangs must not keep its locks */
};

static struct pg_sink *pg_of(struct sink *sk) {
    return (struct pg_sink *)sk;
}

void pg_result_freep(struct pg_result **r) {
    PQclear(*r);
}

int pg_rows(const struct pg_result *r) {
    return PQntuples(r);
}

char *pg_text(const struct pg_result *r, int row, int column) {
    return PQgetvalue(r, row, column);
}

/* ---- Errors and statements ---- */

static bool lost(const struct pg_sink *pg) {
    return pg->hung || PQstatus(pg->conn) != CONNECTION_OK;
}

/* libpq ends its messages with a line feed and has several lines for several hosts. */
static void one_line(char *s) {
    for (char *nl = strchr(s, '\n'); nl; nl = strchr(nl, '\n'))
        *nl = nl[1] ? ' ' : '\0';
}

/* r NULL: the failure is the connection's. */
static int fail(struct pg_sink *pg, const PGresult *r, const char *what, struct err *e) {
    const char *code = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    const char *primary = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *detail = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL) : NULL;
    char text[1024];
    if (pg->hung)
        snprintf(text, sizeof text, "no answer from the server for %d s", ANSWER_MS / 1000);
    else if (primary)
        snprintf(text, sizeof text, "%s%s%s", primary, detail ? ": " : "", detail ? detail : "");
    else
        snprintf(text, sizeof text, "%s", PQerrorMessage(pg->conn));
    one_line(text);
    err_set(e, ERR_SINK, "%s: cannot %s: %s", pg->base.url, what, text);
    if (code)
        sqlstate_hint(e, code, PQuser(pg->conn), PQdb(pg->conn));
    e->retry = lost(pg) || (code && sqlstate_passes(code));
    return e->code;
}

/* Waits until libpq can give a result without blocking. */
static bool wait_answer(struct pg_sink *pg) {
    int64_t until = clock_mono_ns() + (int64_t)ANSWER_MS * 1000000;
    while (PQisBusy(pg->conn)) {
        int64_t left = (until - clock_mono_ns()) / 1000000;
        struct pollfd p = {.fd = PQsocket(pg->conn), .events = POLLIN};
        if (left <= 0) {
            pg->hung = true;
            return false;
        }
        poll(&p, 1, (int)left);
        if (!PQconsumeInput(pg->conn))
            return true; /* PQgetResult tells the error */
    }
    return true;
}

/* The last result of what was sent; NULL: the connection gave none. Stays in COPY if that began. */
static PGresult *take_result(struct pg_sink *pg) {
    PGresult *last = NULL;
    while (wait_answer(pg)) {
        PGresult *r = PQgetResult(pg->conn);
        if (!r)
            return last;
        PQclear(last);
        last = r;
        if (PQresultStatus(r) == PGRES_COPY_IN)
            return last;
    }
    PQclear(last);
    return NULL;
}

PGresult *pg_query(struct pg_sink *pg, const char *what, const char *sql, int n,
                   const char *const *params, struct err *e) {
    int sent = n < 0 ? PQsendQuery(pg->conn, sql)
                     : PQsendQueryParams(pg->conn, sql, n, NULL, params, NULL, NULL, 0);
    PGresult *r = sent ? take_result(pg) : NULL;
    switch (r ? PQresultStatus(r) : PGRES_FATAL_ERROR) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_COPY_IN:
        return r;
    default:
        fail(pg, r, what, e);
        PQclear(r);
        return NULL;
    }
}

int pg_run(struct pg_sink *pg, const char *what, const char *sql, struct err *e) {
    _pg_result_ r = pg_query(pg, what, sql, -1, NULL, e);
    return r ? 0 : e->code;
}

static int64_t rows_of(PGresult *r) {
    return strtoll(PQcmdTuples(r), NULL, 10);
}

/* ---- The connection ---- */

/* "postgresql://user@host:port/database": what every message names. It never holds a password. */
static void name_server(struct pg_sink *pg) {
    const char *host = PQhost(pg->conn), *port = PQport(pg->conn);
    const char *user = PQuser(pg->conn), *db = PQdb(pg->conn);
    free(pg->base.url);
    pg->base.url = xasprintf("postgresql://%s@%s:%s/%s", user ? user : "", host ? host : "",
                             port ? port : "", db ? db : "");
}

static int connect_failed(struct pg_sink *pg, struct err *e) {
    char text[1024], code[SQLSTATE_TEXT];
    sqlstate_of_connect(PQerrorMessage(pg->conn), text, sizeof text, code);
    err_set(e, ERR_SINK, "cannot connect to %s: %s", pg->base.url, text);
    if (*code)
        sqlstate_hint(e, code, PQuser(pg->conn), PQdb(pg->conn));
    else if (PQconnectionNeedsPassword(pg->conn))
        sqlstate_hint(e, "28P01", PQuser(pg->conn), PQdb(pg->conn));
    e->retry = *code ? sqlstate_passes(code) : connect_passes(text);
    if (e->retry && !e->hint[0])
        err_hint(e, "is it running there? see sink.url; sink.timeout says how long to try");
    return e->code;
}

/* Connects anew, with all of the URL's hosts and libpq's own time limit for each. */
static int connect_now(struct pg_sink *pg, struct err *e) {
    /* Verbose: only so does the message of a failed connection hold the SQLSTATE. */
    PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
    PQreset(pg->conn);
    PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
    pg->hung = pg->copying = false;
    name_server(pg);
    return PQstatus(pg->conn) == CONNECTION_OK ? 0 : connect_failed(pg, e);
}

/*
 * BEGIN, with what the session must be like. A time limit the user has set (in the URL, for the
 * role) stays, but for locks ours holds. What was idle for an hour may have been closed by the
 * other side: nothing was sent yet, so one more connection is tried.
 */
static int begin_tx(struct pg_sink *pg, bool read_only, struct err *e) {
    char sql[1024];
    snprintf(sql, sizeof sql,
             "BEGIN ISOLATION LEVEL READ COMMITTED%s; "
             "SELECT set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO', true),"
             " set_config('extra_float_digits', '3', true),"
             " set_config(name, value, true) FROM (VALUES ('lock_timeout', '%d'),"
             " ('statement_timeout', '%d'), ('idle_in_transaction_session_timeout', '%d'))"
             " AS limits (name, value) WHERE current_setting(name) = '0'"
             " OR name = 'lock_timeout'",
             read_only ? ", READ ONLY" : "", pg->options.timeout_ms, STATEMENT_MS, IDLE_MS);
    bool fresh = lost(pg);
    int rc = fresh ? connect_now(pg, e) : 0;
    if (rc == 0)
        rc = pg_run(pg, "begin a transaction", sql, e);
    if (rc && !fresh && lost(pg) && (rc = connect_now(pg, e)) == 0)
        rc = pg_run(pg, "begin a transaction", sql, e);
    return rc;
}

static void rollback_tx(struct pg_sink *pg) {
    if (!lost(pg) && pg->copying) {
        PQputCopyEnd(pg->conn, "rolled back");
        PQclear(take_result(pg));
    }
    pg->copying = false;
    if (!lost(pg) && PQtransactionStatus(pg->conn) != PQTRANS_IDLE) {
        struct err ignored;
        pg_run(pg, "roll back", "ROLLBACK", &ignored);
    }
}

/* COMMIT succeeds also where something failed before it: as a ROLLBACK, by its own word. */
static int commit_tx(struct pg_sink *pg, struct err *e) {
    _pg_result_ r = pg_query(pg, "commit", "COMMIT", -1, NULL, e);
    if (!r)
        return e->code;
    if (strcmp(PQcmdStatus(r), "COMMIT") != 0)
        return err_set(e, ERR_SINK, "%s: cannot commit: the server rolled back", pg->base.url);
    return 0;
}

/* ---- Before a load ---- */

static int read_watermark(struct pg_sink *pg, const struct sink_table *t, const char *lock,
                          struct sink_watermark *ret, struct err *e) {
    _cleanup_(freep) char *sql =
        xasprintf("SELECT gold_table_id, gold_version FROM %s WHERE table_name = $1%s",
                  pg->have.loads.name, lock);
    _pg_result_ r = pg_query(pg, "read the watermark", sql, 1, (const char *[]){t->name}, e);
    if (!r)
        return e->code;
    *ret = (struct sink_watermark){.version = -1};
    if (PQntuples(r) > 0) {
        snprintf(ret->table_id, sizeof ret->table_id, "%s", PQgetvalue(r, 0, 0));
        ret->version = strtoll(PQgetvalue(r, 0, 1), NULL, 10);
    }
    return 0;
}

static int pg_prepare(struct sink *sk, const struct sink_table *t, struct sink_watermark *ret,
                      struct err *e) {
    struct pg_sink *pg = pg_of(sk);
    assert(!pg->t);
    struct sink_watermark wm;
    int rc = begin_tx(pg, pg->options.read_only, e);
    if (rc == 0)
        rc = pg_tables_prepare(pg, t, &pg->have, e);
    if (rc == 0)
        rc = read_watermark(pg, t, "", &wm, e);
    if (rc == 0)
        rc = commit_tx(pg, e);
    if (rc == 0)
        *ret = wm;
    else
        rollback_tx(pg);
    return rc;
}

static int pg_peek(struct sink *sk, const struct sink_table *t, struct sink_watermark *ret,
                   struct err *e) {
    struct pg_sink *pg = pg_of(sk);
    struct sink_watermark wm = {.version = -1};
    int rc = begin_tx(pg, true, e);
    if (rc == 0)
        rc = pg_tables_find(pg, t, &pg->have, e);
    if (rc == 0 && pg->have.loads.name)
        rc = read_watermark(pg, t, "", &wm, e);
    rollback_tx(pg);
    if (rc == 0)
        *ret = wm;
    return rc;
}

/* ---- A load ---- */

static char *dates_array(const struct sink_load_begin *b) {
    struct buf array = BUF_INIT(LIMIT_SQL);
    buf_add_char(&array, '{');
    for (size_t i = 0; i < b->n_dates; i++)
        buf_addf(&array, "%s%s", i ? "," : "", b->dates[i]);
    buf_add_char(&array, '}');
    return buf_detach(&array);
}

/* One load of a table at a time. The watermark's row alone could not lock a first load. */
static int lock_table(struct pg_sink *pg, const struct sink_load_begin *b, struct err *e) {
    struct sink_watermark found;
    _cleanup_(freep) char *sql = xasprintf("SELECT pg_advisory_xact_lock(%d, oid::int4) FROM"
                                           " (VALUES (%s::oid)) AS t (oid)",
                                           PG_LOCK_CLASS, pg->have.table.oid);
    int rc = pg_run(pg, "lock the table against other loads", sql, e);
    if (rc == 0)
        rc = read_watermark(pg, pg->t, " FOR UPDATE", &found, e);
    return rc ? rc : rules_expect(&pg->base, pg->t, b->expected, &found, e);
}

/* The temporary table has the column types of the real one, so that both compare values alike. */
static int start_copy(struct pg_sink *pg, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    buf_add_str(&sql, "CREATE TEMP TABLE clickmill_rows ON COMMIT DROP AS SELECT ");
    sql_columns(&sql, pg->t, SQL_ALL, "");
    buf_addf(&sql, " FROM %s WITH NO DATA; COPY " ROWS " (", pg->have.table.name);
    sql_columns(&sql, pg->t, SQL_ALL, "");
    buf_add_str(&sql, ") FROM STDIN");
    int rc = pg_run(pg, "make the table of new rows", buf_str(&sql), e);
    buf_release(&sql);
    pg->copying = rc == 0;
    return rc;
}

static int pg_begin(struct sink *sk, const struct sink_table *t, const struct sink_load_begin *b,
                    struct err *e) {
    struct pg_sink *pg = pg_of(sk);
    assert(!pg->t && pg->have.loads.name); /* prepared */
    int rc = rules_begin(sk, t, b, e);
    if (rc)
        return rc;
    pg->t = t;
    pg->sent = 0;
    pg->out = BUF_INIT(LIMIT_SQL);
    pg->gold_table_id = xstrdup(b->gold_table_id);
    snprintf(pg->gold_version, sizeof pg->gold_version, "%lld", (long long)b->gold_version);
    pg->dates = b->replace_all ? NULL : dates_array(b);
    rc = begin_tx(pg, false, e);
    if (rc == 0)
        rc = lock_table(pg, b, e);
    if (rc == 0)
        rc = start_copy(pg, e);
    return rc;
}

static int send_rows(struct pg_sink *pg, struct err *e) {
    assert(!pg->out.overflow);
    if (pg->out.len && PQputCopyData(pg->conn, pg->out.data, (int)pg->out.len) != 1)
        return fail(pg, NULL, "send rows", e);
    buf_reset(&pg->out);
    return 0;
}

static int pg_row(struct sink *sk, const char *const *values, struct err *e) {
    struct pg_sink *pg = pg_of(sk);
    assert(pg->copying);
    int rc = rules_row(sk, pg->t, values, pg->have.narrow, pg->have.table.name, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < pg->t->n_columns; i++) {
        if (i)
            buf_add_char(&pg->out, '\t');
        sql_copy_value(&pg->out, values[i]);
    }
    buf_add_char(&pg->out, '\n');
    pg->sent++;
    return pg->out.len >= COPY_CHUNK ? send_rows(pg, e) : 0;
}

static int end_copy(struct pg_sink *pg, struct err *e) {
    int rc = send_rows(pg, e);
    if (rc)
        return rc;
    if (PQputCopyEnd(pg->conn, NULL) != 1)
        return fail(pg, NULL, "send rows", e);
    pg->copying = false;
    _pg_result_ r = take_result(pg);
    if (!r || PQresultStatus(r) != PGRES_COMMAND_OK)
        return fail(pg, r, "load rows", e);
    assert(rows_of(r) == pg->sent);
    return 0;
}

/* Of a row that came twice the upsert would silently keep one; an index would cost more than this. */
static int check_unique(struct pg_sink *pg, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    buf_add_str(&sql, "SELECT concat_ws(', ', ");
    sql_columns(&sql, pg->t, SQL_KEYS, "");
    buf_add_str(&sql, ") FROM " ROWS " GROUP BY ");
    sql_columns(&sql, pg->t, SQL_KEYS, "");
    buf_add_str(&sql, " HAVING count(*) > 1 LIMIT 1");
    _pg_result_ r = pg_query(pg, "compare rows", buf_str(&sql), 0, NULL, e);
    buf_release(&sql);
    if (!r)
        return e->code;
    if (pg_rows(r) == 0)
        return 0;
    return err_set(e, ERR_SINK, "%s: cannot load rows: one was sent twice (%.256s)", pg->base.url,
                   pg_text(r, 0, 0));
}

static int write_rows(struct pg_sink *pg, struct sink_load_result *ret, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    sql_upsert(&sql, pg->have.table.name, ROWS, pg->t);
    _pg_result_ upserted = pg_query(pg, "load rows", buf_str(&sql), 0, NULL, e);
    buf_reset(&sql);
    sql_delete(&sql, pg->have.table.name, ROWS, pg->t, pg->dates ? "= ANY ($1::date[])" : NULL);
    _pg_result_ deleted = NULL;
    if (upserted)
        deleted = pg_query(pg, "delete rows", buf_str(&sql), pg->dates ? 1 : 0,
                           (const char *[]){pg->dates}, e);
    buf_release(&sql);
    if (!deleted)
        return e->code;
    *ret = (struct sink_load_result){
        .upserted = rows_of(upserted),
        .unchanged = pg->sent - rows_of(upserted),
        .deleted = rows_of(deleted),
    };
    return 0;
}

static int write_watermark(struct pg_sink *pg, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    sql_watermark(&sql, pg->have.loads.name, '$', "now()");
    _pg_result_ r = pg_query(pg, "write the watermark", buf_str(&sql), 3,
                             (const char *[]){pg->t->name, pg->gold_table_id, pg->gold_version}, e);
    buf_release(&sql);
    return r ? 0 : e->code;
}

static void end_load(struct pg_sink *pg) {
    pg->t = NULL;
    buf_release(&pg->out);
    free(TAKE_PTR(pg->gold_table_id));
    free(TAKE_PTR(pg->dates));
}

static int pg_commit(struct sink *sk, struct sink_load_result *ret, struct err *e) {
    struct pg_sink *pg = pg_of(sk);
    assert(pg->copying);
    struct sink_load_result done;
    int rc = end_copy(pg, e);
    if (rc == 0)
        rc = check_unique(pg, e);
    if (rc == 0)
        rc = write_rows(pg, &done, e);
    if (rc == 0)
        rc = write_watermark(pg, e);
    if (rc)
        return rc;
    crash_point("load.before_commit");
    rc = commit_tx(pg, e);
    if (rc && lost(pg))
        err_wrap(e, "whether the load of %s went through is told by the next one", pg->t->name);
    if (rc)
        return rc;
    crash_point("load.after_commit");
    *ret = done;
    end_load(pg);
    return 0;
}

static void pg_rollback(struct sink *sk) {
    rollback_tx(pg_of(sk));
    end_load(pg_of(sk));
}

/* ---- Reading ---- */

static int give_rows(const PGresult *r, const struct sink_table *t,
                     int (*fn)(void *arg, const char *const *values, struct err *e), void *arg,
                     struct err *e) {
    char text[SINK_MAX_COLUMNS][RULES_VALUE];
    const char *values[SINK_MAX_COLUMNS];
    int rc = 0;
    for (int i = 0; rc == 0 && i < PQntuples(r); i++) {
        for (int k = 0; k < (int)t->n_columns; k++)
            values[k] = PQgetisnull(r, i, k)
                            ? NULL
                            : rules_value(t->columns[k].type, PQgetvalue(r, i, k), text[k]);
        rc = fn(arg, values, e);
    }
    return rc;
}

static int pg_read(struct sink *sk, const struct sink_table *t,
                   int (*fn)(void *arg, const char *const *values, struct err *e), void *arg,
                   struct err *e) {
    struct pg_sink *pg = pg_of(sk);
    struct pg_table tb = {0};
    struct buf sql = BUF_INIT(LIMIT_SQL);
    _pg_result_ r = NULL;
    int rc = begin_tx(pg, true, e);
    if (rc == 0)
        rc = pg_table_find(pg, t->name, &tb, e);
    if (rc == 0 && tb.name) {
        sql_select(&sql, tb.name, t, "\"C\"");
        r = pg_query(pg, "read rows", buf_str(&sql), 0, NULL, e);
        rc = r ? 0 : e->code;
    }
    rollback_tx(pg);
    if (r)
        rc = give_rows(r, t, fn, arg, e);
    buf_release(&sql);
    pg_table_release(&tb);
    return rc;
}

/* ---- Opening ---- */

static void pg_free(struct sink *sk) {
    struct pg_sink *pg = pg_of(sk);
    pg_rollback(sk);
    PQfinish(pg->conn);
    pg_tables_release(&pg->have);
    free(sk->url);
    free(pg);
}

static const struct sink_ops pg_ops = {
    .scheme = "postgresql",
    .prepare = pg_prepare,
    .peek = pg_peek,
    .begin = pg_begin,
    .row = pg_row,
    .commit = pg_commit,
    .rollback = pg_rollback,
    .read = pg_read,
    .free = pg_free,
};

/* The URL can be read, and no piece of its password would be taken for a host's name. */
int sink_postgres_check(const char *url, struct err *e) {
    _cleanup_(freep) char *masked = url_mask(url);
    if (!url_is_clear(url)) {
        err_set(e, ERR_CONFIG, "sink.url %s: where the password ends cannot be told", masked);
        return err_hint(e, "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and in names and "
                           "passwords @ as %%40, / as "
                           "%%2F, ? as %%3F, : as %%3A");
    }
    char *why = NULL, text[256];
    PQconninfoOption *read = PQconninfoParse(url, &why);
    if (read) {
        PQconninfoFree(read);
        return 0;
    }
    url_complaint(why ? why : "out of memory", text, sizeof text);
    PQfreemem(why);
    return err_set(e, ERR_CONFIG, "sink.url %s: %s", masked, text);
}

static void drop_notice(void *arg ATTR_UNUSED, const PGresult *r ATTR_UNUSED) {
}

int sink_postgres_open(const char *url, const struct sink_options *o, struct sink **ret,
                       struct err *e) {
    int rc = sink_postgres_check(url, e);
    if (rc)
        return rc;
    /* What stands before dbname can be overridden by the URL, what stands after it cannot. */
    char connect_s[16], unacked_ms[16];
    snprintf(connect_s, sizeof connect_s, "%d", MAX(2, (o->timeout_ms + 999) / 1000));
    snprintf(unacked_ms, sizeof unacked_ms, "%d", MAX(30000, o->timeout_ms));
    const char *const with[][2] = {
        {"connect_timeout", connect_s},
        {"fallback_application_name", "clickmill"},
        {"keepalives_idle", "30"},
        {"keepalives_interval", "10"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", unacked_ms},
        {"dbname", url},
        {"client_encoding", "UTF8"},
    };
    const char *names[ARRAY_LEN(with) + 1] = {NULL}, *values[ARRAY_LEN(with) + 1] = {NULL};
    for (size_t i = 0; i < ARRAY_LEN(with); i++) {
        names[i] = with[i][0];
        values[i] = with[i][1];
    }
    struct pg_sink *pg = xcalloc(1, sizeof *pg);
    pg->base.ops = &pg_ops;
    pg->options = *o;
    pg->conn = PQconnectStartParams(names, values, 1);
    if (!pg->conn)
        abort(); /* out of memory */
    PQsetNoticeReceiver(pg->conn, drop_notice, NULL);
    name_server(pg);
    /* Bad already: the parameters are, or there is no such socket. Else the real attempt begins. */
    rc = PQstatus(pg->conn) == CONNECTION_BAD ? connect_failed(pg, e) : connect_now(pg, e);
    if (rc == 0)
        *ret = &pg->base;
    else
        pg_free(&pg->base);
    return rc;
}
