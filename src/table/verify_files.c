/* SPDX-License-Identifier: Apache-2.0 */
/* Each live file: that it is there, what its footer says, and with `deep` all that is in it. */
#include <assert.h>

#include "base/util.h"
#include "table/parquet_session.h"
#include "table/verify.h"

enum { AT_ONCE = 500 }; /* files in one statement */

static int stopped(struct err *e) {
    return stop_requested() ? err_set(e, ERR_STOPPED, "stopped by a signal before its end") : 0;
}

/* --- files --- */

static int check_there(const struct verify *v, const struct table_files *files, bool *ret_all,
                       struct err *e) {
    size_t missing = 0;
    char *first = NULL;
    for (size_t i = 0; i < files->n; i++) {
        const struct table_file *f = &files->v[i];
        _cleanup_(freep) char *path = xasprintf("%s/%s", v->tb->def->name, f->path);
        struct storage_entry st;
        int r = storage_stat(v->tb->st, path, &st, e);
        if (r == 0 && (f->size < 0 || st.size == f->size))
            continue;
        if (r && r != ERR_NOT_FOUND) {
            free(first);
            return r;
        }
        if (missing++ == 0)
            first = r ? xasprintf("%s is gone", f->path)
                      : xasprintf("%s has %lld bytes, not %lld", f->path, (long long)st.size,
                                  (long long)f->size);
    }
    *ret_all = missing == 0;
    char *wrong = first ? xasprintf("%zu of %zu files are not as the log says, first: %s", missing,
                                    files->n, first)
                        : NULL;
    free(first);
    return verify_check(v, "files", wrong, xasprintf("%zu are there", files->n), e);
}

/* --- rows --- */

struct footers {
    const struct table_file *f; /* the next one, in the order asked for */
    size_t wrong, unknown;
    int64_t rows;
    char *first;
};

static int note_footer(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                       struct err *e ATTR_UNUSED) {
    struct footers *ft = arg;
    const struct table_file *f = ft->f++;
    size_t len = strlen(values[1]), tail = strlen(f->path);
    assert(len > tail && strcmp(values[1] + len - tail, f->path) == 0);
    int64_t rows = strtoll(values[0], NULL, 10);
    ft->rows += rows;
    ft->unknown += f->rows < 0;
    if (f->rows >= 0 && f->rows != rows && ft->wrong++ == 0)
        ft->first =
            xasprintf("%s has %lld rows, not %lld", f->path, (long long)rows, (long long)f->rows);
    return 0;
}

/* A footer that cannot be read fails the whole statement: then they are read one by one. */
static int read_footers(struct parquet_session *s, const struct table_file *f, size_t n,
                        struct footers *ft, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    struct footers before = *ft;
    int r = 0;
    buf_add_str(&sql, "SELECT num_rows, file_name FROM parquet_file_metadata([");
    for (size_t i = 0; r == 0 && i < n; i++) {
        _cleanup_(freep) char *path = xasprintf("%s/%s", s->tb->def->name, f[i].path);
        buf_add_str(&sql, i ? ", " : "");
        r = parquet_add_local(s, path, &sql, e);
    }
    buf_add_str(&sql, "])");
    ft->f = f;
    if (r == 0)
        r = parquet_query(s, buf_str(&sql), note_footer, ft, e);
    buf_release(&sql);
    parquet_drop_local(s);
    if (r != ERR_STORAGE || e->retry)
        return r;
    if (ft->first != before.first)
        free(ft->first);
    *ft = before;
    for (size_t i = 0; n > 1 && i < n; i++) {
        r = read_footers(s, &f[i], 1, ft, e);
        if (r)
            return r;
    }
    if (n == 1 && ft->wrong++ == 0)
        ft->first = xasprintf("%s: %s", f->path, e->msg);
    return 0;
}

static int check_rows(const struct verify *v, struct parquet_session *s,
                      const struct table_files *files, struct err *e) {
    struct footers ft = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < files->n; i += AT_ONCE) {
        r = stopped(e);
        if (r == 0)
            r = read_footers(s, &files->v[i], MIN(files->n - i, AT_ONCE), &ft, e);
    }
    char *wrong =
        ft.first ? xasprintf("%zu of %zu files differ, first: %s", ft.wrong, files->n, ft.first)
                 : NULL;
    free(ft.first);
    if (r) {
        free(wrong);
        return r;
    }
    return verify_check(v, "rows", wrong,
                        ft.unknown ? xasprintf("%lld; of %zu files the log does not say how many",
                                               (long long)ft.rows, ft.unknown)
                                   : xasprintf("%lld", (long long)ft.rows),
                        e);
}

/* --- content --- */

/* 'text' of a bound in the statistics, as SQL of the column's type; false: there is none. */
static bool add_bound(struct buf *sql, const json *stats, const char *which,
                      const struct column *c) {
    const json *bound = json_get(json_get(stats, which), c->name);
    if (!bound || json_is_null(bound))
        return false;
    struct buf text = BUF_INIT(LIMIT_TEXT * 8);
    if (json_str(bound))
        buf_add_str(&text, json_str(bound));
    else
        json_text(bound, &text);
    buf_add_str(sql, "CAST(");
    buf_add_literal(sql, buf_str(&text));
    buf_addf(sql, " AS %s)", column_type_sql(c->type));
    buf_release(&text);
    return true;
}

/*
 * For each column three texts: that nulls, smallest and largest are as said, or NULL. A timestamp's
 * largest value stands there cut to milliseconds.
 */
static void add_column(struct buf *sql, const json *stats, const struct column *c) {
    int64_t nulls = json_int(json_get(json_get(stats, "nullCount"), c->name), -1);
    if (nulls >= 0)
        buf_addf(sql,
                 ", CASE WHEN count(*) - count(\"%s\") <> %lld THEN '%s: ' || (count(*) - "
                 "count(\"%s\")) || ' nulls, not %lld' END",
                 c->name, (long long)nulls, c->name, c->name, (long long)nulls);
    static const struct {
        const char *which, *function, *order, *says;
    } bounds[] = {{"minValues", "min", "<", "smallest"}, {"maxValues", "max", ">", "largest"}};
    for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
        struct buf bound = BUF_INIT(LIMIT_TEXT * 16);
        if (add_bound(&bound, stats, bounds[i].which, c))
            buf_addf(sql,
                     ", CASE WHEN %s(\"%s\") %s %s%s THEN '%s: the %s value is ' || "
                     "CAST(%s(\"%s\") AS VARCHAR) || ', beyond what the statistics say' END",
                     bounds[i].function, c->name, bounds[i].order, buf_str(&bound),
                     i == 1 && c->type == TYPE_TIMESTAMP ? " + INTERVAL 1 MILLISECOND" : "",
                     c->name, bounds[i].says, bounds[i].function, c->name);
        buf_release(&bound);
    }
}

static int note_content(void *arg, const char *const *values, size_t n, struct err *e ATTR_UNUSED) {
    char **wrong = arg;
    for (size_t i = 1; i < n && !*wrong; i++)
        *wrong = values[i] ? xstrdup(values[i]) : NULL;
    return 0;
}

/* Reads every column of the file from end to end. *ret_wrong: the first thing that is; NULL: nothing. */
static int read_file(struct parquet_session *s, const struct table_file *f, char **ret_wrong,
                     struct err *e) {
    const struct table_def *def = s->tb->def;
    struct err ignored;
    _cleanup_(json_freep) struct json_doc *d =
        f->stats ? json_parse(f->stats, strlen(f->stats), ERR_STORAGE, &ignored) : NULL;
    struct buf sql = BUF_INIT(LIMIT_SQL);
    buf_add_str(&sql, "SELECT bit_xor(hash(file)) ");
    for (size_t i = 0; d && i < def->n_columns; i++)
        if (strcmp(def->columns[i].name, def->partition_by) != 0)
            add_column(&sql, json_root(d), &def->columns[i]);
    buf_add_str(&sql, " FROM file");
    struct table_file bare = *f; /* the engine must not believe the statistics here */
    bare.stats = NULL;
    struct table_files one = {.v = &bare, .n = 1};
    const struct engine_input input = {"file", def, &one};
    const struct engine_rows rows = {.row = note_content, .arg = ret_wrong};
    int r = engine_query(s->en, s->tb->st, &input, 1, buf_str(&sql), false, &rows, e);
    buf_release(&sql);
    if (r == 0 || r == ERR_STOPPED || e->retry)
        return r;
    *ret_wrong = xstrdup(e->msg);
    err_clear(e);
    return 0;
}

static int check_content(const struct verify *v, struct parquet_session *s,
                         const struct table_files *files, struct err *e) {
    size_t n_wrong = 0;
    char *first = NULL;
    int r = 0;
    for (size_t i = 0; r == 0 && i < files->n; i++) {
        char *wrong = NULL;
        r = stopped(e);
        if (r == 0)
            r = read_file(s, &files->v[i], &wrong, e);
        if (wrong && n_wrong++ == 0)
            first = xasprintf("%s: %s", files->v[i].path, wrong);
        free(wrong);
    }
    char *told = first ? xasprintf("%zu of %zu files are not as the log says, first: %s", n_wrong,
                                   files->n, first)
                       : NULL;
    free(first);
    if (r) {
        free(told);
        return r;
    }
    return verify_check(v, "content", told, xasprintf("%zu files were read", files->n), e);
}

int verify_files(const struct verify *v, const struct table_files *files, struct err *e) {
    struct parquet_session s;
    bool all = false;
    int r = check_there(v, files, &all, e);
    if (r || !all)
        return r;
    r = parquet_begin(&s, v->tb, e);
    if (r)
        return r;
    r = check_rows(v, &s, files, e);
    if (r == 0 && v->deep)
        r = check_content(v, &s, files, e);
    parquet_end(&s);
    return r;
}
