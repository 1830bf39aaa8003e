/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a SELECT -> Parquet files. The rows go to a function of ours,
 *
 *     SELECT sum(cm_write(<job>, <is it to be written?>, column, …, partition)) FROM (<the SELECT>)
 *
 * which DuckDB calls from all of its threads with about 2,048 rows at a time, column by column: so
 * they are encoded where they are made, in parallel, and no row is ever handed to another thread.
 * The function gives 1 for each row that it has written, and 0 for the others: those are the rows of a
 * stage of which only some are set apart,
 *
 *     … FROM (SELECT *, cm_write(…) AS cm_written FROM (<the SELECT>)) WHERE cm_written = 0
 *
 * (a WHERE with the call in it would be joined to one of the SELECT's own, and see rows that this leaves out).
 * There the texts come as cm_lend(<job>, text): the 16 bytes by which DuckDB knows a text, called a
 * number. DuckDB flattens what it hands to a function of ours, for which it copies every text of a
 * dictionary once for each row that has it; numbers are copied faster.
 */
#include "engine/duckdb_outlet.h"

#include <assert.h>

#include "parquet/parts.h"

enum {
    ZSTD_LEVEL = 1, /* what bronze has */
    MEMORY_MIN = 16 * MIB,
    MEMORY_MAX = 64 * MIB,
};

/* ---- the function ---------------------------------------------------------------------------- */

static struct duck_outlet *find_outlet(struct duck *du, uint64_t id) {
    pthread_mutex_lock(&du->lock);
    struct duck_outlet *o = du->outlets;
    while (o && o->id != id)
        o = o->next;
    pthread_mutex_unlock(&du->lock);
    return o;
}

/* The text of more than 12 bytes is a copy now, the job's own. */
static void keep_text(struct duck_outlet *o, duckdb_string_t *text) {
    uint32_t len = text->value.inlined.length;
    if (len <= sizeof text->value.inlined.inlined)
        return;
    pthread_mutex_lock(&o->lock);
    text->value.pointer.ptr = arena_strndup(&o->lent, text->value.pointer.ptr, len);
    pthread_mutex_unlock(&o->lock);
}

/* cm_write(job, wanted, columns …, partition): 1 for each row that is wanted, 0 for the others. */
static void write_function(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    idx_t n = duckdb_data_chunk_get_size(in);
    int64_t *ones = duckdb_vector_get_data(out);
    if (n == 0)
        return;
    struct duck *du = duckdb_scalar_function_get_extra_info(info);
    const uint64_t *id = duckdb_vector_get_data(duckdb_data_chunk_get_vector(in, 0));
    struct duck_outlet *o = find_outlet(du, *id);
    struct err e = {0};
    const bool *wanted = duckdb_vector_get_data(duckdb_data_chunk_get_vector(in, 1));
    int r =
        o ? outlet_write(o, in, wanted, &e) : err_set(&e, ERR_BUG, "no job %llu", (long long)*id);
    int64_t given = 0;
    for (idx_t i = 0; i < n; i++)
        given += ones[i] = wanted[i];
    if (r == 0) {
        atomic_fetch_add_explicit(&o->given, given, memory_order_relaxed);
        return;
    }
    duckdb_scalar_function_set_error(info, e.msg);
    if (!o)
        return;
    pthread_mutex_lock(&o->lock);
    if (o->err.code == 0)
        o->err = e;
    pthread_mutex_unlock(&o->lock);
}

/*
 * cm_lend(job, text): the text's bytes lie where they are, in the vectors of the chunk that cm_write is
 * given next. Not so perhaps of a single one: what is the same for all rows DuckDB may compute beforehand,
 * and that vector is gone by then.
 */
static void lend_function(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    idx_t n = duckdb_data_chunk_get_size(in);
    duckdb_vector texts = duckdb_data_chunk_get_vector(in, 1);
    const uint64_t *valid = duckdb_vector_get_validity(texts);
    duckdb_string_t *lent = duckdb_vector_get_data(out);
    memcpy(lent, duckdb_vector_get_data(texts), n * sizeof *lent);
    if (valid) {
        duckdb_vector_ensure_validity_writable(out);
        memcpy(duckdb_vector_get_validity(out), valid, (n + 63) / 64 * sizeof *valid);
    }
    if (n != 1 || (valid && !(valid[0] & 1)))
        return;
    const uint64_t *id = duckdb_vector_get_data(duckdb_data_chunk_get_vector(in, 0));
    struct duck_outlet *o = find_outlet(duckdb_scalar_function_get_extra_info(info), *id);
    if (o)
        keep_text(o, lent);
    else
        duckdb_scalar_function_set_error(info, "cm_lend: no such job");
}

int outlets_register(struct duck *du, duckdb_connection con, struct err *e) {
    static const struct sql_function functions[] = {
        {"cm_write",
         {DUCKDB_TYPE_UBIGINT, DUCKDB_TYPE_BOOLEAN},
         .more = true,
         .result = DUCKDB_TYPE_BIGINT,
         .every_row = true,
         .run = write_function},
        {"cm_lend", /* of a dictionary each text once */
         {DUCKDB_TYPE_UBIGINT, DUCKDB_TYPE_VARCHAR},
         .result = DUCKDB_TYPE_HUGEINT,
         .run = lend_function},
    };
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(functions) && r == 0; i++)
        r = function_register(du, con, &functions[i], e);
    return r;
}

/* ---- a job's rows ---------------------------------------------------------------------------- */

void outlet_open(struct session *s, const struct table_def *def, const char *dir) {
    struct duck *du = s->du;
    int64_t memory = MIN(MAX(du->o.memory_bytes / 8, MEMORY_MIN), MEMORY_MAX);
    struct duck_outlet *o = xcalloc(1, sizeof *o);
    o->id = atomic_fetch_add(&du->jobs, 1);
    o->def = def;
    o->parts =
        parts_new(def, dir,
                  &(struct parts_options){
                      .zstd_level = ZSTD_LEVEL, .lanes = du->o.threads, .memory = (size_t)memory});
    pthread_mutex_init(&o->lock, NULL);
    pthread_mutex_lock(&du->lock);
    o->next = du->outlets;
    du->outlets = o;
    pthread_mutex_unlock(&du->lock);
    s->outlet = o;
}

void outlet_close(struct session *s) {
    struct duck_outlet *o = TAKE_PTR(s->outlet);
    if (!o)
        return;
    pthread_mutex_lock(&s->du->lock);
    struct duck_outlet **at = &s->du->outlets;
    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    pthread_mutex_unlock(&s->du->lock);
    parts_free(o->parts);
    arena_release(&o->lent);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

/* Cast to its declared type: the function takes what it is given. */
static void add_column(struct buf *sql, const struct duck_outlet *o, const struct column *c,
                       bool lend) {
    lend = lend && c->type == TYPE_STRING;
    buf_add_str(sql, ", ");
    if (lend)
        buf_addf(sql, "cm_lend(%llu::UBIGINT, ", (unsigned long long)o->id);
    buf_add_str(sql, "CAST(");
    sql_name(sql, c->name);
    buf_addf(sql, " AS %s)%s", column_type_sql(c->type), lend ? ")" : "");
}

/* The call. apart: as in engine_stage; the other rows are written, or all of them. */
static void add_call(struct buf *sql, const struct duck_outlet *o, const char *apart) {
    const struct table_def *def = o->def;
    const struct column *by = NULL;
    buf_addf(sql, "cm_write(%llu::UBIGINT, ", (unsigned long long)o->id);
    if (apart) {
        buf_add_str(sql, "NOT coalesce(CAST(");
        sql_name(sql, apart);
        buf_add_str(sql, " AS BOOLEAN), true)");
    } else {
        buf_add_str(sql, "true");
    }
    for (size_t i = 0; i < def->n_columns; i++) {
        const struct column *c = &def->columns[i];
        if (def->partition_by && strcmp(c->name, def->partition_by) == 0)
            by = c;
        else
            add_column(sql, o, c, apart);
    }
    if (by)
        add_column(sql, o, by, false);
    buf_add_char(sql, ')');
}

void outlet_add_stage(struct session *s, const struct engine_stage *sg, struct buf *sql) {
    assert(s->outlet && sg->keep);
    buf_add_str(sql, "SELECT * EXCLUDE (cm_written) FROM (SELECT *, ");
    add_call(sql, s->outlet, sg->apart);
    buf_addf(sql, " AS cm_written FROM (%s\n) AS rows_to_write) AS apart WHERE cm_written = 0",
             sg->sql);
}

/* A statement failed: our own reason, if it is ours; DuckDB has only its words. */
int outlet_fail(const struct session *s, int r, struct err *e) {
    if (r != ERR_ENGINE || !s->outlet || s->outlet->err.code == 0)
        return r;
    *e = s->outlet->err;
    return err_wrap(e, "%s: %s", s->what, s->outlet->def->name);
}

int outlet_pour(struct session *s, const char *select, struct table_files *ret, struct err *e) {
    struct duck_outlet *o = s->outlet;
    struct buf sql = BUF_INIT(LIMIT_SQL);
    buf_add_str(&sql, "SELECT sum(");
    add_call(&sql, o, NULL);
    buf_addf(&sql, ") FROM (%s\n) AS rows_to_write", select);
    int r = session_exec(s, o->def->name, buf_str(&sql), e);
    buf_release(&sql);
    if (r < 0)
        return outlet_fail(s, r, e);
    struct table_files files = {0};
    int64_t written = 0, given = atomic_load(&o->given);
    if (parts_finish(o->parts, &files, e) < 0)
        r = err_wrap(e, "%s: %s", s->what, o->def->name);
    for (size_t i = 0; i < files.n; i++)
        written += files.v[i].rows;
    if (r == 0 && written != given)
        r = err_set(e, ERR_BUG, "%s: %s: %lld rows were made, but %lld written", s->what,
                    o->def->name, (long long)given, (long long)written);
    if (r < 0)
        table_files_release(&files);
    else
        *ret = files;
    return r;
}
