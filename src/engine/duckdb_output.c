/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows out of a job: COPY writes Parquet files into a staging folder and returns, with RETURN_STATS, all
 * that the table log wants to know of each; then they are published under the table's folder.
 */
#include <math.h>

#include "base/clock.h"
#include "base/json.h"
#include "engine/duckdb_priv.h"

enum { STATS_TEXT = 32 }; /* characters of a text in the statistics, as other writers do */

bool vector_text(duckdb_vector v, idx_t row, const char **ret, size_t *ret_len) {
    uint64_t *valid = duckdb_vector_get_validity(v);
    if (valid && !duckdb_validity_row_is_valid(valid, row))
        return false;
    duckdb_string_t *s = &((duckdb_string_t *)duckdb_vector_get_data(v))[row];
    *ret = duckdb_string_t_data(s);
    *ret_len = duckdb_string_t_length(*s);
    return true;
}

/* A MAP of a vector: keys and values stand in two child vectors, from `at` on, n of them. */
struct map {
    duckdb_vector keys, values;
    idx_t at, n;
};

static struct map vector_map(duckdb_vector v, idx_t row) {
    duckdb_list_entry entry = ((duckdb_list_entry *)duckdb_vector_get_data(v))[row];
    duckdb_vector pairs = duckdb_list_vector_get_child(v);
    return (struct map){duckdb_struct_vector_get_child(pairs, 0), duckdb_struct_vector_get_child(pairs, 1), entry.offset,
                        entry.length};
}

static bool key_is(const struct map *m, idx_t i, const char *name) {
    const char *key;
    size_t n, len = strlen(name);
    if (!vector_text(m->keys, m->at + i, &key, &n))
        return false;
    if (n >= 2 && key[0] == '"') { /* columns come quoted */
        key++;
        n -= 2;
    }
    return n == len && memcmp(key, name, n) == 0;
}

/* The text under a key; NULL if there is none. The caller frees. */
static char *map_text(const struct map *m, const char *name) {
    const char *text;
    size_t n;
    for (idx_t i = 0; i < m->n; i++)
        if (key_is(m, i, name))
            return vector_text(m->values, m->at + i, &text, &n) ? xstrndup(text, n) : NULL;
    return NULL;
}

/* "2023-11-14 22:13:20.123456+00" -> "2023-11-14T22:13:20.123Z": milliseconds, cut. */
static bool put_timestamp(struct json_out *o, const char *name, const char *text) {
    if (strlen(text) < 19 || text[10] != ' ')
        return false;
    char ms[4] = "000";
    for (size_t i = 0; text[19] == '.' && i < 3 && text[20 + i] >= '0' && text[20 + i] <= '9'; i++)
        ms[i] = text[20 + i];
    char out[32];
    snprintf(out, sizeof out, "%.10sT%.8s.%sZ", text, text + 11, ms);
    json_put(o, name, out);
    return true;
}

/* Bytes of the first `chars` characters of a UTF-8 text. */
static size_t prefix(const char *s, size_t chars) {
    size_t i = 0;
    for (; s[i] && (chars > 0 || ((unsigned char)s[i] & 0xC0) == 0x80); i++)
        chars -= ((unsigned char)s[i] & 0xC0) != 0x80;
    return i;
}

/* A bound of a column; left out where it would not be one (a cut maximum) or has no form in the log. */
static void put_bound(struct json_out *o, const struct column *c, const char *text, bool is_max) {
    switch (c->type) {
    case TYPE_INT:
    case TYPE_LONG:
    case TYPE_MONEY:
        json_put_raw(o, c->name, text);
        break;
    case TYPE_DOUBLE: {
        char *end;
        double d = strtod(text, &end);
        if (!*end && isfinite(d))
            json_put_double(o, c->name, d);
        break;
    }
    case TYPE_DATE:
        json_put(o, c->name, text);
        break;
    case TYPE_TIMESTAMP:
        put_timestamp(o, c->name, text);
        break;
    case TYPE_STRING: {
        size_t n = prefix(text, STATS_TEXT);
        if (!text[n] || !is_max)
            json_put_n(o, c->name, text, n);
        break;
    }
    case TYPE_BOOLEAN:
    case TYPE_BINARY:
        break;
    }
}

static void put_bounds(struct json_out *o, const char *name, const char *which, const struct table_def *def,
                       const struct map *stats) {
    json_obj(o, name);
    for (size_t c = 0; c < def->n_columns; c++)
        for (idx_t i = 0; i < stats->n; i++)
            if (key_is(stats, i, def->columns[c].name)) {
                struct map of = vector_map(stats->values, stats->at + i);
                char *nan = map_text(&of, "has_nan"), *text = map_text(&of, which);
                if (text && strcmp(which, "null_count") == 0)
                    json_put_raw(o, def->columns[c].name, text);
                else if (text && !(nan && strcmp(nan, "true") == 0))
                    put_bound(o, &def->columns[c], text, strcmp(which, "max") == 0);
                free(nan);
                free(text);
            }
    json_obj_end(o);
}

static char *stats_json(const struct table_def *def, int64_t rows, const struct map *stats) {
    struct buf b = BUF_INIT(MIB);
    struct json_out o = {.b = &b};
    json_obj(&o, NULL);
    json_put_int(&o, "numRecords", rows);
    put_bounds(&o, "minValues", "min", def, stats);
    put_bounds(&o, "maxValues", "max", def, stats);
    put_bounds(&o, "nullCount", "null_count", def, stats);
    json_obj_end(&o);
    return buf_detach(&b);
}

/* What COPY returned, by name: another version may have further columns. */
struct returned {
    duckdb_vector name, rows, size, stats, keys;
};

static struct returned returned_columns(duckdb_result *result, duckdb_data_chunk chunk) {
    struct returned r = {0};
    for (idx_t i = 0; i < duckdb_column_count(result); i++) {
        const char *name = duckdb_column_name(result, i);
        duckdb_vector v = duckdb_data_chunk_get_vector(chunk, i);
        if (strcmp(name, "filename") == 0)
            r.name = v;
        else if (strcmp(name, "count") == 0)
            r.rows = v;
        else if (strcmp(name, "file_size_bytes") == 0)
            r.size = v;
        else if (strcmp(name, "column_statistics") == 0)
            r.stats = v;
        else if (strcmp(name, "partition_keys") == 0)
            r.keys = v;
    }
    return r;
}

static int64_t vector_count(duckdb_vector v, idx_t row) {
    return (int64_t)((uint64_t *)duckdb_vector_get_data(v))[row];
}

/* Publishes one file that COPY wrote and describes it. */
static int take_file(struct session *s, const struct table_def *def, const struct returned *c, idx_t row,
                     struct table_files *ret, struct err *e) {
    const char *text;
    size_t n;
    if (!vector_text(c->name, row, &text, &n))
        return session_fail(s, "COPY", "returned a file without a name", e);
    char *local = xstrndup(text, n);
    struct table_file f = {.rows = vector_count(c->rows, row), .size = vector_count(c->size, row)};
    f.mtime_ms = clock_now_us() / 1000;
    struct map stats = vector_map(c->stats, row);
    f.stats = stats_json(def, f.rows, &stats);
    if (def->partition_by) {
        struct map keys = vector_map(c->keys, row);
        f.partition = map_text(&keys, def->partition_by);
    }
    const char *file = strrchr(local, '/') + 1;
    if (def->partition_by)
        f.path = xasprintf("%s=%s/%s", def->partition_by, f.partition ? f.partition : "__HIVE_DEFAULT_PARTITION__", file);
    else
        f.path = xstrdup(file);
    char *path = xasprintf("%s/%s", def->name, f.path);
    int r = storage_publish(s->st, local, path, e);
    if (r == 0)
        *table_files_add(ret) = f;
    else
        table_file_release(&f);
    free(path);
    free(local);
    return r;
}

static void take_back(struct session *s, const struct table_def *def, struct table_files *files) {
    for (size_t i = 0; i < files->n; i++) {
        char *path = xasprintf("%s/%s", def->name, files->v[i].path);
        struct err ignored;
        storage_remove(s->st, path, &ignored); /* at worst vacuum finds it */
        free(path);
    }
    table_files_release(files);
}

static int take_files(struct session *s, const struct table_def *def, duckdb_result *result, struct table_files *ret,
                      struct err *e) {
    struct table_files files = {0};
    int r = 0;
    for (duckdb_data_chunk chunk; r == 0 && (chunk = duckdb_fetch_chunk(*result));) {
        struct returned c = returned_columns(result, chunk);
        if (!c.name || !c.rows || !c.size || !c.stats || !c.keys)
            r = session_fail(s, "COPY", "RETURN_STATS gave other columns than expected", e);
        for (idx_t i = 0; r == 0 && i < duckdb_data_chunk_get_size(chunk); i++)
            if (vector_count(c.rows, i) > 0)
                r = take_file(s, def, &c, i, &files, e);
        duckdb_destroy_data_chunk(&chunk);
    }
    if (r < 0)
        take_back(s, def, &files);
    else
        *ret = files;
    return r;
}

static void copy_statement(struct buf *sql, const struct engine_job *job, const char *dir) {
    const struct table_def *def = job->output;
    buf_add_str(sql, "COPY (SELECT ");
    for (size_t i = 0; i < def->n_columns; i++)
        buf_addf(sql, "%sCAST(\"%s\" AS %s) AS \"%s\"", i ? ", " : "", def->columns[i].name,
                 column_type_sql(def->columns[i].type), def->columns[i].name);
    buf_addf(sql, " FROM (%s\n) made) TO ", job->select);
    sql_quote(sql, dir);
    buf_add_str(sql, " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, FILENAME_PATTERN 'part-{uuid}',"
                     " FILE_EXTENSION 'zstd.parquet', RETURN_STATS");
    if (def->partition_by)
        buf_addf(sql, ", PARTITION_BY (\"%s\")", def->partition_by);
    buf_add_char(sql, ')');
}

int session_write(struct session *s, const struct engine_job *job, struct table_files *ret, struct err *e) {
    char dir[LIMIT_PATH];
    int r = storage_stage(s->st, dir, e);
    if (r < 0)
        return r;
    char *out = xasprintf("%s/out", dir);
    struct buf sql = BUF_INIT(LIMIT_SQL);
    copy_statement(&sql, job, out);
    duckdb_result result;
    r = session_exec(s, "SET", "SET partitioned_write_max_open_files = 1000", NULL, e);
    if (r == 0)
        r = session_exec(s, "rows", buf_str(&sql), &result, e);
    if (r == 0) {
        r = take_files(s, job->output, &result, ret, e);
        duckdb_destroy_result(&result);
    }
    buf_release(&sql);
    free(out);
    storage_unstage(s->st, dir);
    return r;
}
