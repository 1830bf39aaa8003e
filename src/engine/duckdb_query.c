/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A query's rows as texts. The result streams: a chunk of 2,048 rows is in memory at a time, and
 * DuckDB waits until it has been handed on. The user's own SQL runs in a database of its own, since
 * what guard_lock takes away from one does not come back.
 */
#include "base/util.h"
#include "engine/duckdb_priv.h"

struct output {
    struct session *s;
    const struct engine_rows *rows;
    size_t n;
    duckdb_logical_type *types;
    struct buf texts;    /* of one row */
    size_t *starts;      /* of each value within texts; SIZE_MAX: NULL */
    const char **values; /* what the callback gets */
};

/* The type's name as SQL has it. */
static char *type_name(duckdb_logical_type type) {
    static const char *const names[] = {
        [DUCKDB_TYPE_BOOLEAN] = "BOOLEAN",
        [DUCKDB_TYPE_TINYINT] = "TINYINT",
        [DUCKDB_TYPE_SMALLINT] = "SMALLINT",
        [DUCKDB_TYPE_INTEGER] = "INTEGER",
        [DUCKDB_TYPE_BIGINT] = "BIGINT",
        [DUCKDB_TYPE_UTINYINT] = "UTINYINT",
        [DUCKDB_TYPE_USMALLINT] = "USMALLINT",
        [DUCKDB_TYPE_UINTEGER] = "UINTEGER",
        [DUCKDB_TYPE_UBIGINT] = "UBIGINT",
        [DUCKDB_TYPE_HUGEINT] = "HUGEINT",
        [DUCKDB_TYPE_FLOAT] = "FLOAT",
        [DUCKDB_TYPE_DOUBLE] = "DOUBLE",
        [DUCKDB_TYPE_VARCHAR] = "VARCHAR",
        [DUCKDB_TYPE_BLOB] = "BLOB",
        [DUCKDB_TYPE_DATE] = "DATE",
        [DUCKDB_TYPE_TIMESTAMP] = "TIMESTAMP",
        [DUCKDB_TYPE_TIME] = "TIME",
        [DUCKDB_TYPE_TIMESTAMP_TZ] = "TIMESTAMP WITH TIME ZONE",
        [DUCKDB_TYPE_INTERVAL] = "INTERVAL",
        [DUCKDB_TYPE_LIST] = "LIST",
        [DUCKDB_TYPE_STRUCT] = "STRUCT",
        [DUCKDB_TYPE_MAP] = "MAP",
        [DUCKDB_TYPE_UUID] = "UUID",
        [DUCKDB_TYPE_SQLNULL] = "NULL",
    };
    size_t id = (size_t)duckdb_get_type_id(type);
    if (id == DUCKDB_TYPE_DECIMAL)
        return xasprintf("DECIMAL(%d,%d)", duckdb_decimal_width(type), duckdb_decimal_scale(type));
    return xstrdup(id < ARRAY_LEN(names) && names[id] ? names[id] : "OTHER");
}

static int send_header(struct output *out, duckdb_prepared_statement ps, struct err *e) {
    const char **names = xcalloc(out->n + 1, sizeof *names);
    char **types = xcalloc(out->n + 1, sizeof *types);
    for (idx_t i = 0; i < out->n; i++) {
        names[i] = duckdb_prepared_statement_column_name(ps, i);
        duckdb_logical_type type = duckdb_prepared_statement_column_logical_type(ps, i);
        types[i] = type_name(type);
        duckdb_destroy_logical_type(&type);
    }
    int rc = out->rows->header
                 ? out->rows->header(out->rows->arg, names, (const char *const *)types, out->n, e)
                 : 0;
    for (idx_t i = 0; i < out->n; i++) {
        duckdb_free((void *)names[i]);
        free(types[i]);
    }
    free(names);
    free(types);
    return rc;
}

static int send_chunk(struct output *out, duckdb_data_chunk chunk, struct err *e) {
    for (idx_t row = 0; row < duckdb_data_chunk_get_size(chunk); row++) {
        buf_reset(&out->texts);
        for (idx_t i = 0; i < out->n; i++) {
            duckdb_vector v = duckdb_data_chunk_get_vector(chunk, i);
            uint64_t *valid = duckdb_vector_get_validity(v);
            out->starts[i] = SIZE_MAX;
            if (valid && !duckdb_validity_row_is_valid(valid, row))
                continue;
            out->starts[i] = out->texts.len;
            text_value(&out->texts, v, out->types[i], row);
        }
        if (out->texts.overflow)
            return err_set(e, ERR_ENGINE, "%s: a row of more than %d bytes", out->s->what,
                           LIMIT_SQL);
        for (idx_t i = 0; i < out->n; i++)
            out->values[i] = out->starts[i] == SIZE_MAX ? NULL : out->texts.data + out->starts[i];
        int rc = out->rows->row(out->rows->arg, out->values, out->n, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ret_type: why, if it was DuckDB that failed. */
static int send_rows(struct output *out, duckdb_result *r, duckdb_error_type *ret_type,
                     struct err *e) {
    int rc = 0;
    out->types = xcalloc(out->n + 1, sizeof *out->types);
    out->starts = xcalloc(out->n + 1, sizeof *out->starts);
    out->values = xcalloc(out->n + 1, sizeof *out->values);
    for (idx_t i = 0; i < out->n; i++)
        out->types[i] = duckdb_column_logical_type(r, i);
    for (duckdb_data_chunk c; rc == 0 && (c = duckdb_fetch_chunk(*r));
         duckdb_destroy_data_chunk(&c))
        rc = stop_requested() ? err_set(e, ERR_STOPPED, "%s: stopped", out->s->what)
                              : send_chunk(out, c, e);
    const char *why = duckdb_result_error(r);
    if (rc == 0 && why && *why) {
        *ret_type = duckdb_result_error_type(r);
        rc = session_fail(out->s, NULL, *ret_type, why, e);
    }
    for (idx_t i = 0; i < out->n; i++)
        duckdb_destroy_logical_type(&out->types[i]);
    free(out->types);
    free(out->starts);
    free(out->values);
    buf_release(&out->texts);
    return rc;
}

/*
 * Columns of nested and rarer types go through DuckDB's own cast to text: the statement becomes a
 * view, and *ps one that reads it.
 */
static int cast_rare(struct session *s, const char *sql, duckdb_prepared_statement *ps,
                     struct err *e) {
    idx_t n = duckdb_prepared_statement_column_count(*ps), rare = 0;
    struct buf view = BUF_INIT(LIMIT_SQL), cast = BUF_INIT(LIMIT_SQL);
    buf_add_str(&view, "CREATE TEMP VIEW rows_to_send(");
    buf_add_str(&cast, "SELECT ");
    for (idx_t i = 0; i < n; i++) {
        duckdb_logical_type type = duckdb_prepared_statement_column_logical_type(*ps, i);
        bool plain = text_can(type);
        rare += !plain;
        buf_addf(&view, "%sc%llu", i ? ", " : "", (unsigned long long)i);
        buf_addf(&cast, plain ? "%sc%llu" : "%sCAST(c%llu AS VARCHAR)", i ? ", " : "",
                 (unsigned long long)i);
        duckdb_destroy_logical_type(&type);
    }
    int rc = 0;
    if (rare) {
        duckdb_prepared_statement texts;
        buf_addf(&view, ") AS %s", sql);
        buf_add_str(&cast, " FROM rows_to_send");
        rc = session_exec(s, NULL, buf_str(&view), e);
        if (rc == 0)
            rc = guard_prepare(s, buf_str(&cast), false, &texts, e);
        if (rc == 0) {
            duckdb_destroy_prepare(ps);
            *ps = texts;
        }
    }
    buf_release(&view);
    buf_release(&cast);
    return rc;
}

static int execute_once(struct session *s, duckdb_prepared_statement ps, struct output *out,
                        duckdb_error_type *ret_type, struct err *e) {
    duckdb_pending_result pending;
    duckdb_result r;
    if (duckdb_pending_prepared_streaming(ps, &pending) != DuckDBSuccess) {
        session_fail(s, NULL, DUCKDB_ERROR_INVALID, duckdb_pending_error(pending), e);
        duckdb_destroy_pending(&pending);
        return e->code;
    }
    int rc = 0;
    if (duckdb_execute_pending(pending, &r) != DuckDBSuccess)
        rc = session_fail(s, NULL, duckdb_result_error_type(&r), duckdb_result_error(&r), e);
    else
        rc = send_rows(out, &r, ret_type, e);
    duckdb_destroy_result(&r);
    duckdb_destroy_pending(&pending);
    return rc;
}

static int drop_row(void *arg ATTR_UNUSED, const char *const *values ATTR_UNUSED,
                    size_t n ATTR_UNUSED, struct err *e ATTR_UNUSED) {
    return 0;
}

/*
 * An error in one of DuckDB's threads interrupts the others, and the one that hands out rows may
 * see that alone. Then the statement is run again, for the error's own words.
 */
static int execute(struct session *s, duckdb_prepared_statement ps, struct output *out,
                   struct err *e) {
    static const struct engine_rows nobody = {.row = drop_row};
    enum { TRIES = 5 };
    duckdb_error_type type = DUCKDB_ERROR_INVALID;
    int rc = execute_once(s, ps, out, &type, e);
    for (int i = 0; rc == ERR_ENGINE && type == DUCKDB_ERROR_INTERRUPT && i < TRIES; i++) {
        struct err again;
        out->rows = &nobody;
        type = DUCKDB_ERROR_INVALID;
        if (execute_once(s, ps, out, &type, &again) == 0)
            break; /* it was something else, and is over; but the rows were not all handed out */
        *e = again;
        rc = e->code;
    }
    return rc;
}

/* Runs it, or only says what its columns are. */
static int answer(struct session *s, const char *sql, duckdb_prepared_statement *ps,
                  const struct engine_rows *rows, struct err *e) {
    struct output out = {.s = s,
                         .rows = rows,
                         .n = duckdb_prepared_statement_column_count(*ps),
                         .texts = BUF_INIT(LIMIT_SQL)};
    int rc = send_header(&out, *ps, e);
    if (rc < 0 || !rows->row)
        return rc;
    rc = cast_rare(s, sql, ps, e);
    return rc == 0 ? execute(s, *ps, &out, e) : rc;
}

static bool stands_in(const struct engine_question *q, const char *name) {
    bool found = strcasestr(q->sql, name);
    for (size_t i = 0; i < q->n_stages && !found; i++)
        found = strcasestr(q->stages[i].sql, name);
    return found;
}

/*
 * SQL that does not hold the names of a view and of its schema cannot mean it: its files are not even
 * looked for. They may be far away, and many.
 */
static bool may_read(const struct engine_question *q, const char *view) {
    size_t n = strcspn(view, ".");
    _cleanup_(freep) char *first = xstrndup(view, n);
    return stands_in(q, first) && (!view[n] || stands_in(q, view + n + 1));
}

static int ask_in(struct session *s, const struct engine_question *q,
                  const struct engine_rows *rows, struct err *e) {
    struct buf paths = BUF_INIT(LIMIT_SQL);
    int rc = 0;
    for (size_t i = 0; i < q->n_inputs && rc == 0; i++)
        rc = may_read(q, q->inputs[i].view) ? session_view(s, &q->inputs[i], &paths, e)
                                            : session_view_closed(s, &q->inputs[i], e);
    if (rc == 0 && q->untrusted)
        rc = guard_lock(s, buf_str(&paths), e);
    buf_release(&paths);
    if (rc == 0)
        rc = session_stages(s, q->stages, q->n_stages, q->untrusted, e);
    duckdb_prepared_statement ps;
    s->file = q->file;
    if (rc < 0 || guard_prepare(s, q->sql, q->untrusted, &ps, e) < 0)
        return e->code;
    rc = answer(s, q->sql, &ps, rows, e);
    duckdb_destroy_prepare(&ps);
    return rc;
}

int duck_ask(struct engine *en, struct storage *st, const struct engine_question *q,
             const struct engine_rows *rows, struct err *e) {
    struct duck *du = (struct duck *)en;
    struct session s;
    duckdb_database own = NULL;
    if (q->untrusted && duck_open_db(du, &own, e) < 0)
        return e->code;
    int rc = session_open(&s, du, own, st, q->what, e);
    if (rc == 0) {
        rc = ask_in(&s, q, rows, e);
        session_close(&s);
    }
    duckdb_close(&own);
    return rc;
}
