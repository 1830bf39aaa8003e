/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a SELECT -> Parquet files. The rows go to a function of ours,
 *
 *     SELECT sum(cm_write(<job>, <is it to be written?>, column, …, partition)) FROM (<the SELECT>)
 *
 * which DuckDB calls from all of its threads with about 2,048 rows at a time, column by column: so
 * they are encoded where they are made, in parallel, and no row is ever handed to another thread.
 * The function gives 1 for each row that is to be written; the sum tells that none was left out (decision
 * 0009). A WHERE would do the same, but what is left of a vector after one is copied, text by text, before
 * it comes here.
 */
#include <assert.h>

#include "engine/duckdb_priv.h"
#include "parquet/parts.h"

enum {
    CHUNK_ROWS = 2048, /* DuckDB's vectors are no longer */
    ZSTD_LEVEL = 1,    /* what bronze has */
    COLUMNS_FROM = 2,  /* the function's parameters before them */
    TEXT_MAX = 64 * MIB,
    MEMORY_MIN = 16 * MIB,
    MEMORY_MAX = 64 * MIB,
};

/* Where a job's rows go. */
struct duck_outlet {
    struct duck_outlet *next; /* of the engine's */
    uint64_t id;
    const struct table_def *def;
    struct parts *parts;
    pthread_mutex_t lock;
    struct err err; /* the first failure */
};

/* A column of a chunk. */
struct values {
    const void *data;
    const uint64_t *valid; /* NULL: all are */
    bool none;             /* every value is NULL */
    bool same;             /* every value is the same text */
};

struct chunk_rows {
    const struct columns *columns;
    struct values v[64]; /* by column */
    const bool *wanted;  /* by row */
    idx_t n;
    uint16_t order[CHUNK_ROWS]; /* row numbers, date after date; last those that are not wanted */
};

static inline bool is_there(const struct values *v, uint32_t row) {
    return !v->valid || (v->valid[row / 64] >> row % 64 & 1);
}

static struct values values_of(duckdb_data_chunk chunk, idx_t column, idx_t n) {
    duckdb_vector v = duckdb_data_chunk_get_vector(chunk, column);
    struct values r = {duckdb_vector_get_data(v), duckdb_vector_get_validity(v), false, false};
    uint64_t any = !r.valid;
    for (idx_t i = 0; r.valid && i < n; i += 64)
        any |= r.valid[i / 64] & (n - i < 64 ? (1ULL << (n - i)) - 1 : UINT64_MAX);
    r.none = any == 0;
    return r;
}

/* What does not fit into the 16 bytes lies elsewhere: equal bytes are equal texts. */
static bool all_same(const struct values *v, idx_t n) {
    const duckdb_string_t *texts = v->data;
    for (idx_t i = 1; i < n; i++)
        if (memcmp(&texts[i], &texts[0], sizeof *texts) != 0)
            return false;
    return !v->valid;
}

/* text_bytes, in line: this is the innermost loop. */
static inline struct text_value text_of(const duckdb_string_t *s, uint32_t row) {
    uint32_t len = s->value.inlined.length;
    const char *p =
        len <= sizeof s->value.inlined.inlined ? s->value.inlined.inlined : s->value.pointer.ptr;
    return (struct text_value){p, len, row};
}

/* One type's values; without NULLs there is nothing to ask for each row. */
#define ADD_NUMBERS(type, member, add)                                                             \
    do {                                                                                           \
        const type *from = v->data;                                                                \
        if (v->valid) {                                                                            \
            for (uint32_t i = 0; i < n; i++)                                                       \
                if (is_there(v, rows[i]))                                                          \
                    add(c, at + i, from[rows[i]]);                                                 \
        } else {                                                                                   \
            type *to = c->member + c->n;                                                           \
            presence_mark_run(&c->present, at, n);                                                 \
            for (uint32_t i = 0; i < n; i++)                                                       \
                to[i] = from[rows[i]];                                                             \
            c->n += n;                                                                             \
        }                                                                                          \
    } while (0)

static void add_numbers(struct number_column *c, const struct values *v, const uint16_t *rows,
                        uint32_t n, uint32_t at) {
    switch (c->type) {
    case PARQUET_BOOLEAN:
        ADD_NUMBERS(bool, b, number_add_bool);
        break;
    case PARQUET_INT32:
        ADD_NUMBERS(int32_t, i32, number_add_i32);
        break;
    case PARQUET_INT64:
        ADD_NUMBERS(int64_t, i64, number_add_i64);
        break;
    case PARQUET_DOUBLE:
        ADD_NUMBERS(double, f64, number_add_f64);
        break;
    case PARQUET_BYTES:
        break;
    }
}

static void gather(struct gathered *t, const struct values *v, const uint16_t *rows, uint32_t n,
                   uint32_t at) {
    const duckdb_string_t *texts = v->data;
    uint32_t k = 0;
    if (v->valid) {
        for (uint32_t i = 0; i < n; i++)
            if (is_there(v, rows[i]))
                t->v[k++] = text_of(&texts[rows[i]], at + i);
    } else {
        for (; k < n; k++)
            t->v[k] = text_of(&texts[rows[k]], at + k);
    }
    t->n = k;
}

/* At most DICT_BATCH rows of one date. */
static void add_slice(const struct chunk_rows *c, struct row_group *g, const uint16_t *rows,
                      uint32_t n) {
    struct gathered texts[ARRAY_LEN(c->v)];
    size_t n_texts = 0;
    row_group_begin(g, n);
    for (size_t i = 0; i < c->columns->n; i++) {
        const struct values *v = &c->v[i];
        const struct column_form *form = &c->columns->v[i];
        if (v->none && form->twin < 0 && !form->twinned) /* twins come both or neither */
            continue;
        if (v->same) {
            struct text_value t = text_of(v->data, 0);
            text_add_same(&g->col[i].text, g->rows, n, t.p, t.len);
        } else if (row_group_is_text(g, i)) {
            texts[n_texts].column = (int)i;
            gather(&texts[n_texts++], v, rows, n, g->rows);
        } else {
            add_numbers(&g->col[i].number, v, rows, n, g->rows);
        }
    }
    row_group_texts(g, texts, n_texts);
    row_group_end(g, n);
}

static int add_date(const struct chunk_rows *c, struct lane *l, uint32_t slot, const uint16_t *rows,
                    uint32_t n, struct err *e) {
    struct row_group *g;
    if (lane_group(l, slot, n, &g, e) < 0)
        return e->code;
    for (uint32_t i = 0; i < n; i += DICT_BATCH)
        add_slice(c, g, rows + i, MIN(n - i, (uint32_t)DICT_BATCH));
    return 0;
}

/* Sorts the rows by slot (counting), in their order within each: slot i begins at start[i + 1]. */
static void order_rows(struct chunk_rows *c, const uint32_t *slots, uint32_t *start,
                       uint32_t n_slots) {
    for (idx_t row = 0; row < c->n; row++)
        start[slots[row] + 1]++;
    for (uint32_t i = 0; i < n_slots; i++)
        start[i + 1] += start[i];
    for (idx_t row = c->n; row-- > 0;) /* backwards: start[i + 1] goes down to the start of i */
        c->order[--start[slots[row] + 1]] = (uint16_t)row;
}

static int add_chunk(struct chunk_rows *c, const struct values *days, struct lane *l,
                     struct err *e) {
    uint32_t slots[CHUNK_ROWS];
    for (idx_t row = 0; row < c->n; row++) {
        bool dated = days && is_there(days, (uint32_t)row);
        slots[row] = !c->wanted[row]
                         ? UINT32_MAX
                         : lane_slot(l, dated ? ((const int32_t *)days->data)[row] : NO_DAY);
    }
    uint32_t n_slots = lane_slots(l);
    _cleanup_(freep) uint32_t *start = xcalloc(n_slots + 2, sizeof *start);
    for (idx_t row = 0; row < c->n; row++)
        slots[row] = MIN(slots[row], n_slots);
    order_rows(c, slots, start, n_slots + 1);
    int r = 0;
    for (uint32_t i = 0; i < n_slots && r == 0; i++)
        if (start[i + 2] > start[i + 1])
            r = add_date(c, l, i, c->order + start[i + 1], start[i + 2] - start[i + 1], e);
    return r == 0 ? lane_settle(l, e) : r;
}

/* ---- the function ---------------------------------------------------------------------------- */

static struct duck_outlet *find_outlet(struct duck *du, uint64_t id) {
    pthread_mutex_lock(&du->lock);
    struct duck_outlet *o = du->outlets;
    while (o && o->id != id)
        o = o->next;
    pthread_mutex_unlock(&du->lock);
    return o;
}

/* A page of texts must stay below 2 GiB; it ends at every eighth row, whatever they hold. */
static int check_texts(const struct values *v, const char *column, idx_t n, struct err *e) {
    uint32_t longest = 0;
    for (idx_t i = 0; i < (v->same ? 1 : n); i++)
        if (is_there(v, (uint32_t)i))
            longest = MAX(longest, ((const duckdb_string_t *)v->data)[i].value.inlined.length);
    if (longest <= TEXT_MAX)
        return 0;
    return err_set(e, ERR_ENGINE, "a text of %u bytes in %s; %d are the most", longest, column,
                   TEXT_MAX);
}

static int write_rows(struct duck_outlet *o, duckdb_data_chunk in, const bool *wanted,
                      struct err *e) {
    struct chunk_rows c = {.columns = parts_columns(o->parts), .n = duckdb_data_chunk_get_size(in)};
    assert(c.n <= CHUNK_ROWS && c.columns->n <= ARRAY_LEN(c.v));
    for (size_t i = 0; i < c.columns->n; i++) {
        const struct column_form *form = &c.columns->v[i];
        c.v[i] = values_of(in, COLUMNS_FROM + i, c.n);
        if (form->type != PARQUET_BYTES || c.v[i].none)
            continue;
        c.v[i].same = form->twin < 0 && !form->twinned && all_same(&c.v[i], c.n);
        if (check_texts(&c.v[i], form->name, c.n, e) < 0)
            return e->code;
    }
    struct values days = {0};
    if (o->def->partition_by)
        days = values_of(in, COLUMNS_FROM + c.columns->n, c.n);
    struct lane *l = parts_take(o->parts);
    c.wanted = wanted;
    int r = add_chunk(&c, days.data ? &days : NULL, l, e);
    parts_give_back(o->parts, l);
    return r;
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
    int r = o ? write_rows(o, in, wanted, &e) : err_set(&e, ERR_BUG, "no job %llu", (long long)*id);
    for (idx_t i = 0; i < n; i++)
        ones[i] = wanted[i];
    if (r == 0)
        return;
    duckdb_scalar_function_set_error(info, e.msg);
    if (!o)
        return;
    pthread_mutex_lock(&o->lock);
    if (o->err.code == 0)
        o->err = e;
    pthread_mutex_unlock(&o->lock);
}

int outlets_register(struct duck *du, duckdb_connection con, struct err *e) {
    duckdb_scalar_function f = duckdb_create_scalar_function();
    duckdb_logical_type job = duckdb_create_logical_type(DUCKDB_TYPE_UBIGINT);
    duckdb_logical_type truth = duckdb_create_logical_type(DUCKDB_TYPE_BOOLEAN);
    duckdb_logical_type any = duckdb_create_logical_type(DUCKDB_TYPE_ANY);
    duckdb_logical_type count = duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
    duckdb_scalar_function_set_name(f, "cm_write");
    duckdb_scalar_function_add_parameter(f, job);
    duckdb_scalar_function_add_parameter(f, truth);
    duckdb_scalar_function_set_varargs(f, any);
    duckdb_scalar_function_set_return_type(f, count);
    duckdb_scalar_function_set_special_handling(f); /* it is called for rows with NULLs, too */
    duckdb_scalar_function_set_volatile(f);         /* and for every row */
    duckdb_scalar_function_set_extra_info(f, du, NULL);
    duckdb_scalar_function_set_function(f, write_function);
    bool done = duckdb_register_scalar_function(con, f) == DuckDBSuccess;
    duckdb_destroy_logical_type(&job);
    duckdb_destroy_logical_type(&truth);
    duckdb_destroy_logical_type(&any);
    duckdb_destroy_logical_type(&count);
    duckdb_destroy_scalar_function(&f);
    return done ? 0 : err_set(e, ERR_ENGINE, "DuckDB does not take the function cm_write");
}

/* ---- a job's rows ---------------------------------------------------------------------------- */

static void outlet_open(struct duck_outlet *o, struct duck *du, const struct table_def *def,
                        const char *dir) {
    int64_t memory = MIN(MAX(du->o.memory_bytes / 8, MEMORY_MIN), MEMORY_MAX);
    *o = (struct duck_outlet){.id = atomic_fetch_add(&du->jobs, 1), .def = def};
    o->parts =
        parts_new(def, dir,
                  &(struct parts_options){
                      .zstd_level = ZSTD_LEVEL, .lanes = du->o.threads, .memory = (size_t)memory});
    pthread_mutex_init(&o->lock, NULL);
    pthread_mutex_lock(&du->lock);
    o->next = du->outlets;
    du->outlets = o;
    pthread_mutex_unlock(&du->lock);
}

static void outlet_close(struct duck_outlet *o, struct duck *du) {
    pthread_mutex_lock(&du->lock);
    struct duck_outlet **at = &du->outlets;
    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    pthread_mutex_unlock(&du->lock);
    parts_free(o->parts);
    pthread_mutex_destroy(&o->lock);
}

static void add_column(struct buf *sql, const struct column *c) {
    buf_add_str(sql, ", CAST(");
    sql_name(sql, c->name);
    buf_addf(sql, " AS %s)", column_type_sql(c->type));
}

/* Each column cast to its declared type: the function takes what it is given. */
static void add_statement(struct buf *sql, const struct duck_outlet *o, const char *select,
                          const char *only_if) {
    const struct table_def *def = o->def;
    const struct column *by = NULL;
    buf_addf(sql, "SELECT CAST(coalesce(sum(cm_write(%llu::UBIGINT, ", (unsigned long long)o->id);
    if (only_if)
        buf_addf(sql, "coalesce(CAST(%s AS BOOLEAN), false)", only_if);
    else
        buf_add_str(sql, "true");
    for (size_t i = 0; i < def->n_columns; i++) {
        const struct column *c = &def->columns[i];
        if (def->partition_by && strcmp(c->name, def->partition_by) == 0)
            by = c;
        else
            add_column(sql, c);
    }
    if (by)
        add_column(sql, by);
    buf_addf(sql, ")), 0) AS BIGINT) FROM (%s\n) AS rows_to_write", select);
}

/* Runs the SELECT; *ret_rows: how many the function was given. */
static int pour(struct session *s, struct duck_outlet *o, const char *select, const char *only_if,
                int64_t *ret_rows, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    add_statement(&sql, o, select, only_if);
    duckdb_result r;
    int rc = session_result(s, o->def->name, buf_str(&sql), &r, e);
    buf_release(&sql);
    if (rc < 0) {
        if (rc == ERR_ENGINE && o->err.code < 0) { /* ours; DuckDB has only its words */
            *e = o->err;
            return err_wrap(e, "%s: %s", s->what, o->def->name);
        }
        return rc;
    }
    duckdb_data_chunk chunk = duckdb_fetch_chunk(r);
    *ret_rows = *(const int64_t *)duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0));
    duckdb_destroy_data_chunk(&chunk);
    duckdb_destroy_result(&r);
    return 0;
}

int session_pour(struct session *s, const struct table_def *def, const char *select,
                 const char *only_if, const char *dir, struct table_files *ret, struct err *e) {
    struct duck_outlet o;
    struct table_files files = {0};
    int64_t poured = 0, written = 0;
    outlet_open(&o, s->du, def, dir);
    int rc = pour(s, &o, select, only_if, &poured, e);
    if (rc == 0 && parts_finish(o.parts, &files, e) < 0)
        rc = err_wrap(e, "%s: %s", s->what, def->name);
    outlet_close(&o, s->du);
    for (size_t i = 0; i < files.n; i++)
        written += files.v[i].rows;
    if (rc == 0 && written != poured)
        rc = err_set(e, ERR_BUG, "%s: %s: %lld rows were made, but %lld written", s->what,
                     def->name, (long long)poured, (long long)written);
    if (rc < 0)
        table_files_release(&files);
    else
        *ret = files;
    return rc;
}
