/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite: the sink that needs no server. One file, made with its folder.
 *
 * The journal mode stays as it is in the file: for one we make that is SQLite's own default, the
 * rollback journal. Other programs read the file while we write, often from a container that sees
 * the folder read-only or over a share; WAL needs a shared memory file that each reader must be
 * able to make, a rollback journal nothing. Its price, readers wait for the few milliseconds of a
 * commit and a commit for them, is small at one load an hour. synchronous=FULL: what was reported
 * as loaded survives a power loss.
 *
 * Rows go into a TEMP table first, with the key as its primary key: it tells a row sent twice, and
 * which of the rows that are there were not sent.
 */
#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/util.h"
#include "sink/driver.h"
#include "sink/fit.h"
#include "sink/rules.h"
#include "sink/sql.h"

#define ROWS "temp.clickmill_rows"

struct sqlite_sink {
    struct sink base;
    sqlite3 *db;
    /* The load that is open; t NULL: none. */
    const struct sink_table *t;
    sqlite3_stmt *insert;
    int64_t sent;
    char *gold_table_id;
    int64_t gold_version;
    char *dates; /* JSON array; NULL: all dates */
};

static struct sqlite_sink *sqlite_of(struct sink *sk) {
    return (struct sqlite_sink *)sk;
}

/* ---- Errors and statements ---- */

static int fail(struct sqlite_sink *sq, struct err *e, const char *what) {
    int code = sqlite3_errcode(sq->db) & 0xFF;
    int os = sqlite3_system_errno(sq->db);
    bool with_os = os && (code == SQLITE_CANTOPEN || code == SQLITE_IOERR);
    err_set(e, ERR_SINK, "%s: cannot %s: %s%s%s", sq->base.url, what, sqlite3_errmsg(sq->db),
            with_os ? ": " : "", with_os ? strerrordesc_np(os) : "");
    switch (code) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        e->retry = true;
        return err_hint(e, "another program holds the file; let it finish, or raise sink.timeout");
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return err_hint(e, "move the file away: the next load makes a new one from the lake");
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return err_hint(e, "give us the right to write the file and its folder");
    case SQLITE_FULL:
        return err_hint(e, "make room on the disk; nothing of this load is kept");
    default:
        return e->code;
    }
}

static int run(struct sqlite_sink *sq, const char *what, const char *sql, struct err *e) {
    return sqlite3_exec(sq->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(sq, e, what);
}

static void finalizep(sqlite3_stmt **st) {
    sqlite3_finalize(*st);
}

static int prepare_stmt(struct sqlite_sink *sq, const char *what, const char *sql,
                        sqlite3_stmt **ret, struct err *e) {
    if (sqlite3_prepare_v2(sq->db, sql, -1, ret, NULL) != SQLITE_OK)
        return fail(sq, e, what);
    return 0;
}

static void bind_text(sqlite3_stmt *st, int at, const char *s) {
    sqlite3_bind_text(st, at, s, -1, SQLITE_TRANSIENT);
}

/* One row or none: *ret_row says which. */
static int step(struct sqlite_sink *sq, const char *what, sqlite3_stmt *st, bool *ret_row,
                struct err *e) {
    int rc = sqlite3_step(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return fail(sq, e, what);
    *ret_row = rc == SQLITE_ROW;
    return 0;
}

static const char *text_at(sqlite3_stmt *st, int i) {
    const char *s = (const char *)sqlite3_column_text(st, i);
    return s ? s : "";
}

/* ---- The tables ---- */

/* "table", "view" or "virtual"; "" if there is none of that name. */
static int kind_of(struct sqlite_sink *sq, const char *table, char ret[16], struct err *e) {
    _cleanup_(finalizep) sqlite3_stmt *st = NULL;
    bool row = false;
    int rc = prepare_stmt(sq, "read the schema",
                          "SELECT type FROM pragma_table_list"
                          " WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
                          &st, e);
    if (rc)
        return rc;
    bind_text(st, 1, table);
    rc = step(sq, "read the schema", st, &row, e);
    if (rc)
        return rc;
    snprintf(ret, 16, "%s", row ? text_at(st, 0) : "");
    return 0;
}

/*
 * The table's columns, into `a`. INTEGER PRIMARY KEY is the row's number and is given by SQLite,
 * also where it is NOT NULL.
 */
static int find_columns(struct sqlite_sink *sq, const char *table, struct arena *a,
                        struct fit_table *ret, struct err *e) {
    _cleanup_(finalizep) sqlite3_stmt *st = NULL;
    int rc = prepare_stmt(
        sq, "read the schema",
        "SELECT name, type, hidden >= 2, \"notnull\" AND dflt_value IS NULL AND hidden = 0"
        " AND NOT (pk = 1 AND upper(type) = 'INTEGER'),"
        " count(*) OVER () FROM pragma_table_xinfo(?1, 'main')",
        &st, e);
    if (rc)
        return rc;
    bind_text(st, 1, table);
    struct fit_column *columns = NULL;
    for (bool row = true;;) {
        rc = step(sq, "read the schema", st, &row, e);
        if (rc || !row)
            return rc;
        if (!columns)
            ret->columns = columns =
                arena_alloc(a, (size_t)sqlite3_column_int(st, 4) * sizeof *columns);
        const char *name = text_at(st, 0), *type = text_at(st, 1);
        columns[ret->n++] = (struct fit_column){
            .name = arena_strndup(a, name, strlen(name)),
            .type = arena_strndup(a, type, strlen(type)),
            .generated = sqlite3_column_int(st, 2),
            .required = sqlite3_column_int(st, 3),
        };
    }
}

/* A unique index over exactly the key columns that compares bytes (NOCASE would merge some). */
static int find_key(struct sqlite_sink *sq, const struct sink_table *t, bool *ret, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    int n = 0;
    buf_add_str(
        &sql, "SELECT 1 FROM pragma_index_list(?1, 'main') AS l"
              " WHERE l.\"unique\" AND NOT l.partial"
              " AND NOT EXISTS (SELECT 1 FROM pragma_index_xinfo(l.name, 'main') AS x"
              "  WHERE x.key AND (x.coll <> 'BINARY' OR x.name IS NULL OR lower(x.name) NOT IN (");
    for (size_t i = 0; i < t->n_columns; i++)
        if (t->columns[i].key)
            buf_addf(&sql, "%s'%s'", n++ ? ", " : "", t->columns[i].name);
    buf_addf(
        &sql,
        "))) AND (SELECT count(*) FROM pragma_index_xinfo(l.name, 'main') AS x WHERE x.key) = %d",
        n);
    _cleanup_(finalizep) sqlite3_stmt *st = NULL;
    int rc = prepare_stmt(sq, "read the schema", buf_str(&sql), &st, e);
    buf_release(&sql);
    if (rc)
        return rc;
    bind_text(st, 1, t->name);
    return step(sq, "read the schema", st, ret, e);
}

static int check_fit(struct sqlite_sink *sq, const struct sink_table *t, const char *kind,
                     struct err *e) {
    if (strcmp(kind, "table") != 0) {
        err_set(e, ERR_SINK, "%s: %s is a %s%s, not a table we could load", sq->base.url, t->name,
                kind, strcmp(kind, "virtual") == 0 ? " table" : "");
        return err_hint(e, "give it another name: clickmill makes the table %s itself", t->name);
    }
    struct arena a = {0};
    struct fit_table found = {.shown = t->name};
    int rc = find_columns(sq, t->name, &a, &found, e);
    if (rc == 0)
        rc = find_key(sq, t, &found.unique, e);
    if (rc == 0)
        rc = fit_check(&sq->base, t, &found, &fit_sqlite, e);
    arena_release(&a);
    return rc;
}

/* A table that is missing is made; one that is there must fit. Inside a transaction. */
static int make_or_check(struct sqlite_sink *sq, const struct sink_table *t, const char *create,
                         bool *ret_made, struct err *e) {
    char kind[16];
    int rc = kind_of(sq, t->name, kind, e);
    if (rc)
        return rc;
    *ret_made = !*kind;
    if (*kind)
        return check_fit(sq, t, kind, e);
    return run(sq, "make the table", create, e);
}

static int read_watermark(struct sqlite_sink *sq, const struct sink_table *t,
                          struct sink_watermark *ret, struct err *e) {
    _cleanup_(finalizep) sqlite3_stmt *st = NULL;
    bool row = false;
    int rc = prepare_stmt(sq, "read the watermark",
                          "SELECT gold_table_id, gold_version FROM main." SINK_LOADS_NAME
                          " WHERE table_name = ?1",
                          &st, e);
    if (rc)
        return rc;
    bind_text(st, 1, t->name);
    rc = step(sq, "read the watermark", st, &row, e);
    if (rc)
        return rc;
    *ret = (struct sink_watermark){.version = row ? sqlite3_column_int64(st, 1) : -1};
    if (row)
        snprintf(ret->table_id, sizeof ret->table_id, "%s", text_at(st, 0));
    return 0;
}

static void sqlite_rollback(struct sink *sk);

static int make_tables(struct sqlite_sink *sq, const struct sink_table *t, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    bool made, unused;
    sql_create(&sql, t->name, t);
    int rc = make_or_check(sq, t, buf_str(&sql), &made, e);
    if (rc == 0)
        rc = make_or_check(sq, &sink_loads, "CREATE TABLE " SINK_LOADS_NAME " " SINK_LOADS_COLUMNS,
                           &unused, e);
    if (rc == 0 && made) {
        buf_reset(&sql);
        sql_forget(&sql, SINK_LOADS_NAME, t);
        rc = run(sq, "forget what was loaded before", buf_str(&sql), e);
    }
    buf_release(&sql);
    return rc;
}

static int sqlite_prepare(struct sink *sk, const struct sink_table *t, struct sink_watermark *ret,
                          struct err *e) {
    struct sqlite_sink *sq = sqlite_of(sk);
    assert(!sq->t);
    /* IMMEDIATE: of two that find no table, the second waits and then finds the first one's. */
    int rc = run(sq, "begin", "BEGIN IMMEDIATE", e);
    if (rc)
        return rc;
    struct sink_watermark wm;
    rc = make_tables(sq, t, e);
    if (rc == 0)
        rc = read_watermark(sq, t, &wm, e);
    if (rc == 0)
        rc = run(sq, "commit", "COMMIT", e);
    if (rc == 0)
        *ret = wm;
    else
        sqlite_rollback(sk);
    return rc;
}

static int sqlite_peek(struct sink *sk, const struct sink_table *t, struct sink_watermark *ret,
                       struct err *e) {
    struct sqlite_sink *sq = sqlite_of(sk);
    char table[16], loads[16];
    int rc = kind_of(sq, t->name, table, e);
    if (rc == 0)
        rc = kind_of(sq, SINK_LOADS_NAME, loads, e);
    if (rc)
        return rc;
    if (*table && *loads)
        return read_watermark(sq, t, ret, e);
    *ret = (struct sink_watermark){.version = -1};
    return 0;
}

/* ---- A load ---- */

static char *dates_json(const struct sink_load_begin *b) {
    struct buf json = BUF_INIT(LIMIT_SQL);
    buf_add_char(&json, '[');
    for (size_t i = 0; i < b->n_dates; i++)
        buf_addf(&json, "%s\"%s\"", i ? "," : "", b->dates[i]);
    buf_add_char(&json, ']');
    return buf_detach(&json);
}

static int make_rows_table(struct sqlite_sink *sq, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    sql_create(&sql, ROWS, sq->t);
    int rc = run(sq, "make the table of new rows", buf_str(&sql), e);
    buf_reset(&sql);
    buf_add_str(&sql, "INSERT INTO " ROWS " VALUES (?");
    for (size_t i = 1; i < sq->t->n_columns; i++)
        buf_add_str(&sql, ", ?");
    buf_add_str(&sql, ")");
    if (rc == 0)
        rc = prepare_stmt(sq, "load rows", buf_str(&sql), &sq->insert, e);
    buf_release(&sql);
    return rc;
}

static int sqlite_begin(struct sink *sk, const struct sink_table *t,
                        const struct sink_load_begin *b, struct err *e) {
    struct sqlite_sink *sq = sqlite_of(sk);
    assert(!sq->t);
    int rc = rules_begin(sk, t, b, e);
    if (rc == 0)
        rc = run(sq, "begin", "BEGIN IMMEDIATE", e);
    if (rc)
        return rc;
    sq->t = t;
    sq->sent = 0;
    sq->gold_table_id = xstrdup(b->gold_table_id);
    sq->gold_version = b->gold_version;
    sq->dates = b->replace_all ? NULL : dates_json(b);
    struct sink_watermark found;
    rc = read_watermark(sq, t, &found, e);
    if (rc == 0)
        rc = rules_expect(sk, t, b->expected, &found, e);
    if (rc == 0)
        rc = make_rows_table(sq, e);
    return rc;
}

static void bind_value(sqlite3_stmt *st, int at, enum sink_type type, const char *s) {
    if (!s) {
        sqlite3_bind_null(st, at);
        return;
    }
    switch (type) {
    case SINK_INT:
    case SINK_BIGINT:
        sqlite3_bind_int64(st, at, strtoll(s, NULL, 10));
        return;
    case SINK_DOUBLE:
        sqlite3_bind_double(st, at, strtod(s, NULL));
        return;
    case SINK_BOOLEAN:
        sqlite3_bind_int(st, at, *s == 't');
        return;
    case SINK_TEXT:
    case SINK_DATE:
    case SINK_TIMESTAMP:
    case SINK_MONEY: /* NUMERIC takes the text for a number, to 15 digits exactly */
        bind_text(st, at, s);
        return;
    }
    abort();
}

static int sqlite_row(struct sink *sk, const char *const *values, struct err *e) {
    struct sqlite_sink *sq = sqlite_of(sk);
    assert(sq->insert);
    /* No column is narrow: SQLite's INT has 64 bits. */
    int rc = rules_row(sk, sq->t, values, 0, sq->t->name, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < sq->t->n_columns; i++)
        bind_value(sq->insert, (int)i + 1, sq->t->columns[i].type, values[i]);
    bool row = false;
    rc = step(sq, "load rows", sq->insert, &row, e);
    sqlite3_reset(sq->insert);
    sq->sent += rc == 0;
    return rc;
}

static int upsert_rows(struct sqlite_sink *sq, int64_t *ret, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    sql_upsert(&sql, sq->t->name, ROWS, sq->t);
    int rc = run(sq, "load rows", buf_str(&sql), e);
    buf_release(&sql);
    *ret = sqlite3_changes(sq->db);
    return rc;
}

static int delete_rows(struct sqlite_sink *sq, int64_t *ret, struct err *e) {
    _cleanup_(finalizep) sqlite3_stmt *st = NULL;
    struct buf sql = BUF_INIT(LIMIT_SQL);
    sql_delete(&sql, sq->t->name, ROWS, sq->t,
               sq->dates ? "IN (SELECT value FROM json_each(?1))" : NULL);
    bool row = false;
    int rc = prepare_stmt(sq, "delete rows", buf_str(&sql), &st, e);
    buf_release(&sql);
    if (rc)
        return rc;
    if (sq->dates)
        bind_text(st, 1, sq->dates);
    rc = step(sq, "delete rows", st, &row, e);
    *ret = sqlite3_changes(sq->db);
    return rc;
}

static int write_watermark(struct sqlite_sink *sq, struct err *e) {
    _cleanup_(finalizep) sqlite3_stmt *st = NULL;
    struct buf sql = BUF_INIT(LIMIT_SQL);
    char now[TIME_TEXT];
    bool row = false;
    sql_watermark(&sql, SINK_LOADS_NAME, '?', "?4");
    int rc = prepare_stmt(sq, "write the watermark", buf_str(&sql), &st, e);
    buf_release(&sql);
    if (rc)
        return rc;
    time_format_ms(clock_now_us(), now);
    bind_text(st, 1, sq->t->name);
    bind_text(st, 2, sq->gold_table_id);
    sqlite3_bind_int64(st, 3, sq->gold_version);
    bind_text(st, 4, now);
    return step(sq, "write the watermark", st, &row, e);
}

static void end_load(struct sqlite_sink *sq) {
    sqlite3_finalize(TAKE_PTR(sq->insert));
    sq->t = NULL;
    free(TAKE_PTR(sq->gold_table_id));
    free(TAKE_PTR(sq->dates));
}

static int sqlite_commit(struct sink *sk, struct sink_load_result *ret, struct err *e) {
    struct sqlite_sink *sq = sqlite_of(sk);
    assert(sq->insert);
    sqlite3_finalize(TAKE_PTR(sq->insert));
    int64_t upserted, deleted;
    int rc = upsert_rows(sq, &upserted, e);
    if (rc == 0)
        rc = delete_rows(sq, &deleted, e);
    if (rc == 0)
        rc = write_watermark(sq, e);
    if (rc == 0)
        rc = run(sq, "drop the table of new rows", "DROP TABLE " ROWS, e);
    if (rc)
        return rc;
    crash_point("load.before_commit");
    rc = run(sq, "commit", "COMMIT", e);
    if (rc)
        return rc;
    crash_point("load.after_commit");
    *ret = (struct sink_load_result){upserted, sq->sent - upserted, deleted};
    end_load(sq);
    return 0;
}

static void sqlite_rollback(struct sink *sk) {
    struct sqlite_sink *sq = sqlite_of(sk);
    end_load(sq);
    /* SQLite may have rolled back by itself (disk full, I/O error). */
    if (sq->db && !sqlite3_get_autocommit(sq->db))
        sqlite3_exec(sq->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- Reading ---- */

static const char *column_value(sqlite3_stmt *st, int i, enum sink_type type,
                                char out[RULES_VALUE]) {
    if (sqlite3_column_type(st, i) == SQLITE_NULL)
        return NULL;
    if (type == SINK_DOUBLE) {
        rules_double(sqlite3_column_double(st, i), out);
        return out;
    }
    if (type == SINK_MONEY) {
        snprintf(out, RULES_VALUE, "%.4f", sqlite3_column_double(st, i));
        return out;
    }
    return rules_value(type, text_at(st, i), out);
}

static int sqlite_read(struct sink *sk, const struct sink_table *t,
                       int (*fn)(void *arg, const char *const *values, struct err *e), void *arg,
                       struct err *e) {
    struct sqlite_sink *sq = sqlite_of(sk);
    char kind[16], text[SINK_MAX_COLUMNS][RULES_VALUE];
    const char *values[SINK_MAX_COLUMNS];
    int rc = kind_of(sq, t->name, kind, e);
    if (rc || !*kind)
        return rc;
    _cleanup_(finalizep) sqlite3_stmt *st = NULL;
    struct buf sql = BUF_INIT(LIMIT_SQL);
    sql_select(&sql, t->name, t, "BINARY");
    rc = prepare_stmt(sq, "read rows", buf_str(&sql), &st, e);
    buf_release(&sql);
    while (rc == 0) {
        bool row = false;
        rc = step(sq, "read rows", st, &row, e);
        if (rc || !row)
            break;
        for (size_t i = 0; i < t->n_columns; i++)
            values[i] = column_value(st, (int)i, t->columns[i].type, text[i]);
        rc = fn(arg, values, e);
    }
    return rc;
}

/* ---- Opening ---- */

static void sqlite_free(struct sink *sk) {
    struct sqlite_sink *sq = sqlite_of(sk);
    sqlite_rollback(sk);
    sqlite3_close(sq->db);
    free(sk->url);
    free(sq);
}

static const struct sink_ops sqlite_ops = {
    .scheme = "sqlite",
    .money_digits = 15, /* a double's */
    .prepare = sqlite_prepare,
    .peek = sqlite_peek,
    .begin = sqlite_begin,
    .row = sqlite_row,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .read = sqlite_read,
    .free = sqlite_free,
};

static int make_folders(const char *url, const char *file, struct err *e) {
    _cleanup_(freep) char *path = xstrdup(file);
    for (char *s = strchr(path + 1, '/'); s; s = strchr(s + 1, '/')) {
        *s = '\0';
        if (mkdir(path, 0777) < 0 && errno != EEXIST)
            return err_sys(e, ERR_SINK, errno, "%s: cannot make the folder %s", url, path);
        *s = '/';
    }
    return 0;
}

static int open_file(struct sqlite_sink *sq, const char *path, const struct sink_options *o,
                     struct err *e) {
    int flags = o->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    if (o->read_only && access(path, F_OK) < 0 && errno == ENOENT) {
        path = ":memory:"; /* reads as an empty sink, and nothing is made */
        flags = SQLITE_OPEN_READWRITE;
    }
    if (sqlite3_open_v2(path, &sq->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return fail(sq, e, "open the file");
    sqlite3_busy_timeout(sq->db, o->timeout_ms);
    /* SQLite reads the file only now; NOTADB shows here. */
    int rc = run(sq, "open the file",
                 "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA schema_version", e);
    if (rc == 0 && !o->read_only && sqlite3_db_readonly(sq->db, "main")) {
        err_set(e, ERR_SINK, "%s: the file is read-only", sq->base.url);
        rc = err_hint(e, "give us the right to write the file and its folder");
    }
    return rc;
}

static const char *path_of(const char *url) {
    return url + strlen("sqlite:");
}

int sink_sqlite_check(const char *url, struct err *e) {
    const char *path = path_of(url);
    if (*path && (strncmp(path, "//", 2) != 0 || path[2] == '/') && path[strlen(path) - 1] != '/')
        return 0;
    err_set(e, ERR_CONFIG, "sink.url %s names no file", url);
    return err_hint(e, "sqlite:PATH, as in sqlite:data/analytics.db or sqlite:/var/lib/a.db");
}

int sink_sqlite_open(const char *url, const struct sink_options *o, struct sink **ret,
                     struct err *e) {
    int rc = sink_sqlite_check(url, e);
    if (rc)
        return rc;
    const char *path = path_of(url);
    /* "./": a file may be called ":memory:", which SQLite would take for something else. */
    _cleanup_(freep) char *file = xasprintf("%s%s", *path == '/' ? "" : "./", path);
    struct sqlite_sink *sq = xcalloc(1, sizeof *sq);
    sq->base.ops = &sqlite_ops;
    sq->base.url = xstrdup(url);
    rc = o->read_only ? 0 : make_folders(url, file, e);
    if (rc == 0)
        rc = open_file(sq, file, o, e);
    if (rc == 0)
        *ret = &sq->base;
    else
        sqlite_free(&sq->base);
    return rc;
}
