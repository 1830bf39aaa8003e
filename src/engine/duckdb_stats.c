/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of COPY … (RETURN_STATS) -> files with the statistics of Delta's add action (delta-io
 * PROTOCOL.md, Per-file Statistics). A bound that is not certain is left out: a reader skips files
 * by them, so a missing one costs time and a wrong one loses rows.
 *
 * Columns are found by name, as later versions of DuckDB add some.
 */
#include <ctype.h>
#include <math.h>

#include "base/clock.h"
#include "base/json.h"
#include "engine/duckdb_priv.h"

enum { PREFIX_CHARS = 32 }; /* of a text: what Spark keeps, too */

/* One entry of a MAP(VARCHAR, …) vector: the child's positions. */
struct map {
    duckdb_vector keys, values;
    idx_t from, n;
};

static bool is_null(duckdb_vector v, idx_t row) {
    uint64_t *valid = duckdb_vector_get_validity(v);
    return valid && !duckdb_validity_row_is_valid(valid, row);
}

static struct map map_at(duckdb_vector v, idx_t row) {
    duckdb_vector child = duckdb_list_vector_get_child(v);
    struct map m = {duckdb_struct_vector_get_child(child, 0),
                    duckdb_struct_vector_get_child(child, 1), 0, 0};
    if (!is_null(v, row)) {
        duckdb_list_entry entry = ((const duckdb_list_entry *)duckdb_vector_get_data(v))[row];
        m.from = entry.offset;
        m.n = entry.length;
    }
    return m;
}

const char *text_bytes(const duckdb_string_t *s, size_t *ret_len) {
    *ret_len = s->value.inlined.length;
    return *ret_len <= sizeof s->value.inlined.inlined ? s->value.inlined.inlined
                                                       : s->value.pointer.ptr;
}

/* The text at a row, NULL for NULL. The caller frees. */
static char *text_at(duckdb_vector v, idx_t row) {
    size_t len;
    if (is_null(v, row))
        return NULL;
    const char *p = text_bytes((const duckdb_string_t *)duckdb_vector_get_data(v) + row, &len);
    return xstrndup(p, len);
}

/* Finds a key; false: not there. *ret: the position within m->values. */
static bool map_find(const struct map *m, const char *key, idx_t *ret) {
    size_t n = strlen(key);
    for (idx_t i = m->from; i < m->from + m->n; i++) {
        size_t len;
        const char *p =
            text_bytes((const duckdb_string_t *)duckdb_vector_get_data(m->keys) + i, &len);
        if (len == n && memcmp(p, key, n) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static char *map_text(const struct map *m, const char *key) {
    idx_t at;
    return map_find(m, key, &at) ? text_at(m->values, at) : NULL;
}

/* The first chars characters of a UTF-8 text, in bytes; *ret_cut: there were more. */
static size_t prefix(const char *s, size_t chars, bool *ret_cut) {
    size_t i = 0;
    for (; s[i] && chars > 0; chars--)
        do
            i++;
        while (((unsigned char)s[i] & 0xC0) == 0x80);
    *ret_cut = s[i] != '\0';
    return i;
}

/* "2026-11-22 12:34:56.123456+00" -> "2026-11-22T12:34:56.123Z": cut, never rounded. */
static bool put_time(struct json_out *o, const char *name, const char *s) {
    static const char shape[] = "dddd-dd-dd dd:dd:dd";
    for (size_t i = 0; i < sizeof shape - 1; i++)
        if (shape[i] == 'd' ? !isdigit((unsigned char)s[i]) : s[i] != shape[i])
            return false;
    char ms[4] = "000";
    const char *end = s + sizeof shape - 1;
    if (*end == '.') {
        size_t n = strspn(++end, "0123456789");
        memcpy(ms, end, MIN(n, 3));
        end += n;
    }
    if (strcmp(end, "+00") != 0)
        return false;
    char out[TIME_TEXT];
    snprintf(out, sizeof out, "%.10sT%.8s.%sZ", s, s + 11, ms);
    json_put(o, name, out);
    return true;
}

static bool put_number(struct json_out *o, const char *name, const char *s) {
    char *end;
    double d = strtod(s, &end);
    if (*end || end == s || !isfinite(d) || !(isdigit((unsigned char)*s) || *s == '-'))
        return false;
    json_put_raw(o, name, s);
    return true;
}

/* Writes one bound; nothing where it is not certain. */
static void put_bound(struct json_out *o, const struct column *c, const char *s, bool is_max) {
    bool cut;
    int32_t day;
    switch (c->type) {
    case TYPE_STRING: {
        size_t n = prefix(s, PREFIX_CHARS, &cut);
        if (!cut || !is_max)
            json_put_n(o, c->name, s, n);
        break;
    }
    case TYPE_INT:
    case TYPE_LONG:
    case TYPE_DOUBLE:
    case TYPE_MONEY:
        put_number(o, c->name, s);
        break;
    case TYPE_DATE:
        if (day_parse(s, strlen(s), &day))
            json_put(o, c->name, s);
        break;
    case TYPE_TIMESTAMP:
        put_time(o, c->name, s);
        break;
    case TYPE_BOOLEAN:
    case TYPE_BINARY:
        break;
    }
}

/* DuckDB quotes the columns' names: "price". */
static struct map column_stats(const struct map *all, const char *column) {
    struct map none = {0};
    idx_t at;
    struct buf quoted = BUF_INIT(LIMIT_PATH);
    sql_name(&quoted, column);
    bool found = map_find(all, buf_str(&quoted), &at);
    buf_release(&quoted);
    return found ? map_at(all->values, at) : none;
}

static void put_bounds(struct json_out *o, const struct map *all, const struct table_def *def,
                       bool is_max) {
    json_obj(o, is_max ? "maxValues" : "minValues");
    for (size_t i = 0; i < def->n_columns; i++) {
        struct map m = column_stats(all, def->columns[i].name);
        _cleanup_(freep) char *value = map_text(&m, is_max ? "max" : "min");
        _cleanup_(freep) char *nan = map_text(&m, "has_nan");
        if (value && !(nan && strcmp(nan, "false") != 0))
            put_bound(o, &def->columns[i], value, is_max);
    }
    json_obj_end(o);
}

static char *stats_json(const struct map *all, const struct table_def *def, int64_t rows) {
    struct buf b = BUF_INIT(LIMIT_CONFIG);
    struct json_out o = {.b = &b};
    json_obj(&o, NULL);
    json_put_int(&o, "numRecords", rows);
    put_bounds(&o, all, def, false);
    put_bounds(&o, all, def, true);
    json_obj(&o, "nullCount");
    for (size_t i = 0; i < def->n_columns; i++) {
        struct map m = column_stats(all, def->columns[i].name);
        _cleanup_(freep) char *nulls = map_text(&m, "null_count");
        if (nulls)
            put_number(&o, def->columns[i].name, nulls);
    }
    json_obj_end(&o);
    json_obj_end(&o);
    return buf_detach(&b);
}

enum { C_NAME, C_ROWS, C_SIZE, C_STATS, C_KEYS, N_COLUMNS };
static const char *const wanted[N_COLUMNS] = {
    [C_NAME] = "filename",           [C_ROWS] = "count",          [C_SIZE] = "file_size_bytes",
    [C_STATS] = "column_statistics", [C_KEYS] = "partition_keys",
};

static int find_columns(struct session *s, duckdb_result *r, idx_t ret[N_COLUMNS], struct err *e) {
    for (size_t i = 0; i < N_COLUMNS; i++) {
        idx_t n = duckdb_column_count(r), k = 0;
        while (k < n && strcmp(duckdb_column_name(r, k), wanted[i]) != 0)
            k++;
        if (k == n)
            return err_set(e, ERR_ENGINE, "%s: DuckDB does not tell the %s of what it wrote",
                           s->what, wanted[i]);
        ret[i] = k;
    }
    return 0;
}

static int add_file(struct session *s, duckdb_vector v[N_COLUMNS], idx_t row, const char *dir,
                    const struct table_def *def, struct table_files *ret, struct err *e) {
    size_t skip = strlen(dir);
    _cleanup_(freep) char *name = text_at(v[C_NAME], row);
    if (!name || strncmp(name, dir, skip) != 0 || name[skip] != '/')
        return err_set(e, ERR_ENGINE, "%s: DuckDB wrote '%s', not below '%s'", s->what,
                       name ? name : "", dir);
    struct table_file *f = table_files_add(ret);
    f->path = xstrdup(name + skip + 1);
    f->rows = (int64_t)((const uint64_t *)duckdb_vector_get_data(v[C_ROWS]))[row];
    f->size = (int64_t)((const uint64_t *)duckdb_vector_get_data(v[C_SIZE]))[row];
    if (def->partition_by) { /* NULL where COPY wrote without PARTITION_BY: the caller knows */
        struct map keys = map_at(v[C_KEYS], row);
        f->partition = map_text(&keys, def->partition_by);
    }
    struct map all = map_at(v[C_STATS], row);
    f->stats = stats_json(&all, def, f->rows);
    return 0;
}

int stats_files(struct session *s, duckdb_result *r, const char *dir, const struct table_def *def,
                struct table_files *ret, struct err *e) {
    idx_t at[N_COLUMNS];
    int rc = find_columns(s, r, at, e);
    for (duckdb_data_chunk c; rc == 0 && (c = duckdb_fetch_chunk(*r));
         duckdb_destroy_data_chunk(&c)) {
        duckdb_vector v[N_COLUMNS];
        for (size_t i = 0; i < N_COLUMNS; i++)
            v[i] = duckdb_data_chunk_get_vector(c, at[i]);
        for (idx_t row = 0; row < duckdb_data_chunk_get_size(c) && rc == 0; row++)
            rc = add_file(s, v, row, dir, def, ret, e);
    }
    return rc;
}
