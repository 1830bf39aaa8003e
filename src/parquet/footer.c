/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/footer.h"

#include "parquet/thrift.h"
#include "version.h"

#include <assert.h>

/* parquet-mr reads "<application> version <version> (build <hash>)" and mistrusts other forms. */
#define CREATED_BY "clickmill version " CM_VERSION " (build " CM_GIT ")"

void footer_init(struct footer *f, const struct columns *columns) {
    *f = (struct footer){.groups = BUF_INIT(INT32_MAX / 2), .columns = columns};
    f->stats = xcalloc(columns->n, sizeof *f->stats);
}

void footer_release(struct footer *f) {
    buf_release(&f->groups);
    free(f->stats);
}

static void put_encodings(struct thrift *t, const struct chunk *c) {
    bool plain = c->has_dict || c->encoding == ENCODING_PLAIN;
    thrift_list(t, 2, THRIFT_I32, 1 + (size_t)plain + (c->encoding != ENCODING_PLAIN));
    thrift_i32(t, 0, ENCODING_RLE);
    if (plain)
        thrift_i32(t, 0, ENCODING_PLAIN);
    if (c->encoding != ENCODING_PLAIN)
        thrift_i32(t, 0, c->encoding);
}

static void put_page_count(struct thrift *t, enum parquet_page type, enum parquet_encoding encoding,
                           int n) {
    thrift_struct(t, 0); /* PageEncodingStats */
    thrift_i32(t, 1, type);
    thrift_i32(t, 2, encoding);
    thrift_i32(t, 3, n);
    thrift_end(t);
}

/* ColumnChunk with its ColumnMetaData; offsets count from the start of the file. */
static void put_chunk(struct thrift *t, const struct column_form *form, const struct chunk *c,
                      int64_t rows, int64_t group_at) {
    int64_t at = group_at + (int64_t)c->at;
    thrift_struct(t, 0);
    thrift_i64(t, 2,
               0); /* file_offset: 0, as there is no copy of the metadata outside the footer */
    thrift_struct(t, 3);
    thrift_i32(t, 1, (int32_t)form->type);
    put_encodings(t, c);
    thrift_list(t, 3, THRIFT_BINARY, 1);
    thrift_text(t, 0, form->name);
    thrift_i32(t, 4, c->codec);
    thrift_i64(t, 5, rows);
    thrift_i64(t, 6, (int64_t)c->plain_size);
    thrift_i64(t, 7, (int64_t)c->size);
    thrift_i64(t, 9, at + (int64_t)c->dict_size);
    if (c->has_dict)
        thrift_i64(t, 11, at);
    stats_put(t, 12, &c->stats, form->type);
    thrift_list(t, 13, THRIFT_STRUCT, (size_t)c->has_dict + 1);
    if (c->has_dict)
        put_page_count(t, PAGE_DICTIONARY, ENCODING_PLAIN, 1);
    put_page_count(t, PAGE_DATA, c->encoding, c->data_pages);
    thrift_end(t);
    thrift_end(t);
}

void footer_add(struct footer *f, const struct encoded *en) {
    struct thrift t = THRIFT_INIT(&f->groups);
    int64_t plain_size = 0;
    thrift_struct(&t, 0);
    thrift_list(&t, 1, THRIFT_STRUCT, f->columns->n);
    for (size_t i = 0; i < f->columns->n; i++) {
        const struct chunk *c = &en->chunks[i];
        const struct column_form *form = &f->columns->v[i];
        put_chunk(&t, form, c, en->rows, f->size);
        stats_merge(&f->stats[i], f->rows, &c->stats, en->rows, form->type);
        plain_size += (int64_t)c->plain_size;
    }
    thrift_i64(&t, 2, plain_size);
    thrift_i64(&t, 3, en->rows);
    thrift_i64(&t, 5, f->size);
    thrift_i64(&t, 6, (int64_t)en->bytes.len);
    if (f->n_groups <= INT16_MAX)
        thrift_i16(&t, 7, (int16_t)f->n_groups);
    thrift_end(&t);
    f->rows += en->rows;
    f->n_groups++;
}

static void put_timestamp(struct thrift *t) {
    thrift_struct(t, LOGICAL_TIMESTAMP);
    thrift_bool(t, 1, true); /* isAdjustedToUTC */
    thrift_struct(t, 2);
    thrift_empty(t, UNIT_MICROS);
    thrift_end(t);
    thrift_end(t);
}

static void put_decimal(struct thrift *t) {
    thrift_struct(t, LOGICAL_DECIMAL);
    thrift_i32(t, 1, MONEY_SCALE);
    thrift_i32(t, 2, MONEY_PRECISION);
    thrift_end(t);
}

/* What the bytes mean: ConvertedType for older readers, then LogicalType. */
static void put_logical(struct thrift *t, enum column_type kind) {
    static const int converted[] = {
        [TYPE_STRING] = CONVERTED_UTF8,
        [TYPE_DATE] = CONVERTED_DATE,
        [TYPE_TIMESTAMP] = CONVERTED_TIMESTAMP_MICROS,
        [TYPE_MONEY] = CONVERTED_DECIMAL,
    };
    if (kind != TYPE_STRING && kind != TYPE_DATE && kind != TYPE_TIMESTAMP && kind != TYPE_MONEY)
        return;
    thrift_i32(t, 6, converted[kind]);
    if (kind == TYPE_MONEY) {
        thrift_i32(t, 7, MONEY_SCALE);
        thrift_i32(t, 8, MONEY_PRECISION);
    }
    thrift_struct(t, 10);
    if (kind == TYPE_STRING)
        thrift_empty(t, LOGICAL_STRING);
    else if (kind == TYPE_DATE)
        thrift_empty(t, LOGICAL_DATE);
    else if (kind == TYPE_TIMESTAMP)
        put_timestamp(t);
    else
        put_decimal(t);
    thrift_end(t);
}

/* SchemaElements: the root, then every column. */
static void put_schema(struct thrift *t, const struct columns *columns) {
    thrift_list(t, 2, THRIFT_STRUCT, 1 + columns->n);
    thrift_struct(t, 0);
    thrift_text(t, 4, "schema");
    thrift_i32(t, 5, (int32_t)columns->n);
    thrift_end(t);
    for (size_t i = 0; i < columns->n; i++) {
        const struct column_form *form = &columns->v[i];
        thrift_struct(t, 0);
        thrift_i32(t, 1, (int32_t)form->type);
        thrift_i32(t, 3, REPETITION_OPTIONAL);
        thrift_text(t, 4, form->name);
        put_logical(t, form->kind);
        thrift_end(t);
    }
}

/* ColumnOrder TYPE_ORDER for each column: without it readers ignore min_value and max_value. */
static void put_orders(struct thrift *t, size_t columns) {
    thrift_list(t, 7, THRIFT_STRUCT, columns);
    for (size_t i = 0; i < columns; i++) {
        thrift_struct(t, 0);
        thrift_empty(t, 1);
        thrift_end(t);
    }
}

void footer_put(struct footer *f, struct buf *out) {
    size_t from = out->len;
    struct thrift t = THRIFT_INIT(out);
    thrift_struct(&t, 0);
    thrift_i32(&t, 1, 1); /* version: data pages of version 1 */
    put_schema(&t, f->columns);
    thrift_i64(&t, 3, f->rows);
    thrift_list(&t, 4, THRIFT_STRUCT, f->n_groups);
    buf_add(out, f->groups.data, f->groups.len);
    thrift_text(&t, 6, CREATED_BY);
    put_orders(&t, f->columns->n);
    thrift_end(&t);
    uint32_t len = (uint32_t)(out->len - from);
    buf_add(out, &len, 4);
    buf_add_str(out, PARQUET_MAGIC);
    assert(!out->overflow && !f->groups.overflow);
}

static void log_bounds(const struct footer *f, struct json_out *o, bool max) {
    json_obj(o, max ? "maxValues" : "minValues");
    for (size_t i = 0; i < f->columns->n; i++) {
        const struct column_form *form = &f->columns->v[i];
        if (form->quiet)
            continue;
        if (max)
            stats_log_max(o, form->name, &f->stats[i].max, form->kind);
        else
            stats_log_min(o, form->name, &f->stats[i].min, form->kind);
    }
    json_obj_end(o);
}

char *footer_log_stats(const struct footer *f) {
    struct buf b = BUF_INIT(LIMIT_LOG_ENTRY);
    struct json_out o = {.b = &b};
    json_obj(&o, NULL);
    json_put_int(&o, "numRecords", f->rows);
    log_bounds(f, &o, false);
    log_bounds(f, &o, true);
    json_obj(&o, "nullCount");
    for (size_t i = 0; i < f->columns->n; i++)
        json_put_int(&o, f->columns->v[i].name, f->stats[i].nulls);
    json_obj_end(&o);
    json_obj_end(&o);
    return buf_detach(&b);
}
