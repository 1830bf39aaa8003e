/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunk of rows as DuckDB has it, column by column -> the Parquet files of its dates: the rows are
 * ordered by date, and each date's go to its row group.
 */
#include <assert.h>

#include "engine/duckdb_outlet.h"
#include "parquet/parts.h"

enum {
    CHUNK_ROWS = 2048, /* DuckDB's vectors are no longer */
    TEXT_MAX = 64 * MIB,
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

int outlet_write(const struct duck_outlet *o, duckdb_data_chunk in, const bool *wanted,
                 struct err *e) {
    struct chunk_rows c = {.columns = parts_columns(o->parts), .n = duckdb_data_chunk_get_size(in)};
    assert(c.n <= CHUNK_ROWS && c.columns->n <= ARRAY_LEN(c.v));
    for (size_t i = 0; i < c.columns->n; i++) {
        const struct column_form *form = &c.columns->v[i];
        c.v[i] = values_of(in, OUTLET_COLUMNS_FROM + i, c.n);
        if (form->type != PARQUET_BYTES || c.v[i].none)
            continue;
        c.v[i].same = form->twin < 0 && !form->twinned && all_same(&c.v[i], c.n);
        if (check_texts(&c.v[i], form->name, c.n, e) < 0)
            return e->code;
    }
    struct values days = {0};
    if (o->def->partition_by)
        days = values_of(in, OUTLET_COLUMNS_FROM + c.columns->n, c.n);
    struct lane *l = parts_take(o->parts);
    c.wanted = wanted;
    int r = add_chunk(&c, days.data ? &days : NULL, l, e);
    parts_give_back(o->parts, l);
    return r;
}
