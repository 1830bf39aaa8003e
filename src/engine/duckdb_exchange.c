/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that pass between a stage and this process. Taken: the stage's SELECT streams, a chunk of
 * 2,048 rows at a time. Given: they are appended to a table with the columns of that SELECT.
 */
#include "base/util.h"
#include "engine/duckdb_priv.h"

enum { COLUMNS_MAX = 8 };

static int take_chunk(struct session *s, const struct engine_stage *sg, duckdb_data_chunk chunk,
                      struct err *e) {
    const uint64_t *columns[COLUMNS_MAX];
    idx_t rows = duckdb_data_chunk_get_size(chunk);
    for (idx_t i = 0; i < duckdb_data_chunk_get_column_count(chunk); i++) {
        duckdb_vector v = duckdb_data_chunk_get_vector(chunk, i);
        uint64_t *valid = duckdb_vector_get_validity(v), *data = duckdb_vector_get_data(v);
        for (idx_t row = 0; valid && row < rows; row++)
            if (!duckdb_validity_row_is_valid(valid, row))
                data[row] = 0;
        columns[i] = data;
    }
    if (stop_requested())
        return err_set(e, ERR_STOPPED, "%s: stopped", s->what);
    return sg->exchange->take(sg->exchange->arg, columns, rows, e);
}

static int take_rows(struct session *s, const struct engine_stage *sg, duckdb_result *r,
                     struct err *e) {
    int rc = 0;
    for (duckdb_data_chunk c; rc == 0 && (c = duckdb_fetch_chunk(*r));
         duckdb_destroy_data_chunk(&c))
        rc = take_chunk(s, sg, c, e);
    const char *why = duckdb_result_error(r);
    if (rc == 0 && why && *why)
        rc = session_fail(s, sg->name, duckdb_result_error_type(r), why, e);
    return rc;
}

/* Every column is 64 bits wide. */
static bool fits(duckdb_prepared_statement ps) {
    idx_t n = duckdb_prepared_statement_column_count(ps);
    bool fit = n <= COLUMNS_MAX;
    for (idx_t i = 0; i < n && fit; i++) {
        duckdb_type type = duckdb_prepared_statement_column_type(ps, i);
        fit = type == DUCKDB_TYPE_UBIGINT || type == DUCKDB_TYPE_BIGINT ||
              type == DUCKDB_TYPE_TIMESTAMP_TZ;
    }
    return fit;
}

static int run_take(struct session *s, const struct engine_stage *sg, duckdb_prepared_statement ps,
                    struct err *e) {
    duckdb_pending_result pending;
    duckdb_result r;
    int rc;
    if (duckdb_pending_prepared_streaming(ps, &pending) != DuckDBSuccess) {
        rc = session_fail(s, sg->name, DUCKDB_ERROR_INVALID, duckdb_pending_error(pending), e);
        duckdb_destroy_pending(&pending);
        return rc;
    }
    if (duckdb_execute_pending(pending, &r) != DuckDBSuccess)
        rc = session_fail(s, sg->name, duckdb_result_error_type(&r), duckdb_result_error(&r), e);
    else
        rc = take_rows(s, sg, &r, e);
    duckdb_destroy_result(&r);
    duckdb_destroy_pending(&pending);
    return rc;
}

static int append_failed(struct session *s, const struct engine_stage *sg, duckdb_appender ap,
                         struct err *e) {
    duckdb_error_data data = duckdb_appender_error_data(ap);
    int rc = session_fail(s, sg->name, duckdb_error_data_error_type(data),
                          duckdb_error_data_message(data), e);
    duckdb_destroy_error_data(&data);
    return rc;
}

static int append_rows(struct session *s, const struct engine_stage *sg, duckdb_appender ap,
                       duckdb_data_chunk chunk, struct err *e) {
    uint64_t *columns[COLUMNS_MAX];
    for (size_t n = 1; n > 0;) {
        duckdb_data_chunk_reset(chunk);
        for (idx_t i = 0; i < duckdb_data_chunk_get_column_count(chunk); i++)
            columns[i] = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, i));
        int rc = sg->exchange->give(sg->exchange->arg, columns, duckdb_vector_size(), &n, e);
        if (rc < 0)
            return rc;
        duckdb_data_chunk_set_size(chunk, n);
        if (n > 0 && duckdb_append_data_chunk(ap, chunk) != DuckDBSuccess)
            return append_failed(s, sg, ap, e);
    }
    if (duckdb_appender_close(ap) != DuckDBSuccess)
        return append_failed(s, sg, ap, e);
    return 0;
}

static int fill_table(struct session *s, const struct engine_stage *sg, struct err *e) {
    duckdb_appender ap = NULL;
    if (duckdb_appender_create_ext(s->con, s->db, NULL, sg->name, &ap) != DuckDBSuccess) {
        append_failed(s, sg, ap, e);
        duckdb_appender_destroy(&ap);
        return e->code;
    }
    duckdb_logical_type types[COLUMNS_MAX];
    idx_t n = duckdb_appender_column_count(ap);
    for (idx_t i = 0; i < n; i++)
        types[i] = duckdb_appender_column_type(ap, i);
    duckdb_data_chunk chunk = duckdb_create_data_chunk(types, n);
    int rc = append_rows(s, sg, ap, chunk, e);
    duckdb_destroy_data_chunk(&chunk);
    for (idx_t i = 0; i < n; i++)
        duckdb_destroy_logical_type(&types[i]);
    duckdb_appender_destroy(&ap);
    return rc;
}

static int run_give(struct session *s, const struct engine_stage *sg, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    buf_add_str(&sql, "CREATE TABLE ");
    sql_name(&sql, sg->name);
    buf_addf(&sql, " AS SELECT * FROM (%s\n) LIMIT 0", sg->sql);
    int rc = session_exec(s, sg->name, buf_str(&sql), e);
    buf_release(&sql);
    return rc == 0 ? fill_table(s, sg, e) : rc;
}

int exchange_stage(struct session *s, const struct engine_stage *sg, struct err *e) {
    duckdb_prepared_statement ps;
    if (guard_prepare(s, sg->sql, true, &ps, e) < 0)
        return e->code;
    int rc = 0;
    if (!fits(ps))
        rc =
            err_set(e, ERR_BUG, "%s: stage %s: a column that is not of 64 bits", s->what, sg->name);
    else if (sg->exchange->take)
        rc = run_take(s, sg, ps, e);
    else
        rc = run_give(s, sg, e);
    duckdb_destroy_prepare(&ps);
    return rc;
}
