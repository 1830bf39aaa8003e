/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table's files as a view. The columns and their types are those the table declares, whatever a
 * file holds: one that a file lacks is NULL. So no file is opened before a query needs it, and a
 * list of 100,000 files costs little. The partition column stands in no file but in its folder's
 * name; it is taken from there, after a check that the table's log says the same. A column that is
 * NULL in all of the files, by their statistics, is a constant; one that is NULL in none, and then holds
 * what another does, is that one.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "engine/duckdb_priv.h"

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* Is the percent-encoded text of n bytes this value? */
static bool decodes_to(const char *text, size_t n, const char *value) {
    for (size_t i = 0; i < n; value++) {
        char c = text[i++];
        if (c == '%' && i + 2 <= n && hex(text[i]) >= 0 && hex(text[i + 1]) >= 0) {
            c = (char)(hex(text[i]) << 4 | hex(text[i + 1]));
            i += 2;
        }
        if (!*value || *value != c)
            return false;
    }
    return *value == '\0';
}

/* The file must lie in <column>=<value>/, right below the table's folder. */
static int check_folder(const struct session *s, const struct table_def *def,
                        const struct table_file *f, struct err *e) {
    if (!def->partition_by)
        return 0;
    const char *value = f->partition ? f->partition : "__HIVE_DEFAULT_PARTITION__";
    size_t name = strlen(def->partition_by);
    const char *slash = strchr(f->path, '/');
    if (slash && !strchr(slash + 1, '/') && strncmp(f->path, def->partition_by, name) == 0 &&
        f->path[name] == '=' &&
        decodes_to(f->path + name + 1, (size_t)(slash - f->path) - name - 1, value))
        return 0;
    return err_set(e, ERR_STORAGE,
                   "%s: %s/%s: its folder does not say %s=%s, as the table's log does", s->what,
                   def->name, f->path, def->partition_by, value);
}

static void pin(struct session *s, char *path) {
    if (s->n_pinned == s->cap_pinned) {
        s->cap_pinned = s->cap_pinned ? s->cap_pinned * 2 : 64;
        s->pinned = xrealloc(s->pinned, s->cap_pinned * sizeof *s->pinned);
    }
    s->pinned[s->n_pinned++] = path;
}

/*
 * A local file whose name does not end like the object's (a cache's) would hide the partition; and
 * * ? [ in a path are a pattern to DuckDB.
 */
static bool needs_link(const char *local, const char *path) {
    size_t n = strlen(local), tail = strlen(path);
    return n <= tail || strcmp(local + n - tail, path) != 0 || strpbrk(local, "*?[");
}

/* Replaces `local` by a link to it, <links>/<number>/<path>. */
static int make_link(struct session *s, char local[LIMIT_PATH], const char *path) {
    if (!s->links) {
        s->links = xasprintf("%s/links-%p", s->du->temp.dir, (void *)s);
        if (mkdir(s->links, 0777) != 0)
            return -1;
    }
    _cleanup_(freep) char *link = xasprintf("%s/%zu/%s", s->links, s->n_pinned, path);
    for (char *at = link + strlen(s->links) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        int rc = mkdir(link, 0777);
        *at = '/';
        if (rc != 0 && errno != EEXIST)
            return -1;
    }
    if (symlink(local, link) != 0)
        return -1;
    snprintf(local, LIMIT_PATH, "%s", link);
    return 0;
}

/* Appends the local name of one file to the list. */
static int add_local(struct session *s, const struct table_file *f, const char *file,
                     struct buf *list, struct err *e) {
    char local[LIMIT_PATH];
    snprintf(local, sizeof local, "%s", file);
    if (needs_link(local, f->path) && make_link(s, local, f->path) < 0)
        return err_sys(e, ERR_ENGINE, errno, "%s: cannot link to '%s'", s->what, local);
    if (list->len)
        buf_add_char(list, ',');
    buf_add_literal(list, local);
    return 0;
}

/* Makes the files local, many at a time, and appends their names to the list. */
static int add_files(struct session *s, const struct engine_input *in, struct buf *list,
                     struct err *e) {
    size_t n = in->files->n;
    struct storage_file *v = xcalloc(n, sizeof *v);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        const struct table_file *f = &in->files->v[i];
        rc = check_folder(s, in->def, f, e);
        v[i] = (struct storage_file){.path = xasprintf("%s/%s", in->def->name, f->path),
                                     .size = f->size};
    }
    if (rc == 0 && n > 0) { /* without files there need be no storage either */
        rc = storage_localize_all(s->st, v, n, e);
        if (rc)
            err_wrap(e, "%s: %s", s->what, in->view);
        if (rc == ERR_NOT_FOUND)
            rc = err_recode(e, ERR_STORAGE);
    }
    for (size_t i = 0; i < n; i++) {
        if (v[i].done)
            pin(s, TAKE_PTR(v[i].path));
        if (rc == 0)
            rc = add_local(s, &in->files->v[i], v[i].local, list, e);
        free(v[i].path);
        free(v[i].local);
    }
    free(v);
    return rc;
}

/* How many of the file's rows are NULL in which column. *ret_doc: free it. NULL: it does not say. */
static const json *null_counts(const struct table_file *f, struct json_doc **ret_doc) {
    struct err ignored;
    *ret_doc = f->stats ? json_parse(f->stats, strlen(f->stats), ERR_BUG, &ignored) : NULL;
    return *ret_doc ? json_get(json_root(*ret_doc), "nullCount") : NULL;
}

/*
 * The columns that hold no value in any of the files, as their statistics say. They are not even
 * opened, and DuckDB leaves out what models compute from them: the shop's plain contract fills a
 * third of bronze's columns. The caller frees.
 */
static bool *absent_columns(const struct engine_input *in) {
    const struct table_def *def = in->def;
    bool *absent = xcalloc(def->n_columns, sizeof *absent);
    size_t left = 0;
    for (size_t i = 0; i < def->n_columns; i++)
        left += absent[i] = !def->partition_by || strcmp(def->columns[i].name, def->partition_by);
    for (size_t i = 0; i < in->files->n && left > 0; i++) {
        const struct table_file *f = &in->files->v[i];
        struct json_doc *doc;
        const json *nulls = null_counts(f, &doc);
        for (size_t k = 0; k < def->n_columns; k++) {
            if (!absent[k])
                continue;
            const json *n = json_get(nulls, def->columns[k].name);
            absent[k] = f->rows > 0 && json_int(n, -1) == f->rows;
            left -= !absent[k];
        }
        json_free(doc);
    }
    absent[0] = absent[0] && left < def->n_columns - (def->partition_by != NULL);
    return absent;
}

static bool is_never_null(const struct engine_input *in, const char *column) {
    bool never = in->files->n > 0;
    for (size_t i = 0; i < in->files->n && never; i++) {
        struct json_doc *doc;
        const json *nulls = null_counts(&in->files->v[i], &doc);
        never = json_int(json_get(nulls, column), -1) == 0;
        json_free(doc);
    }
    return never;
}

/* The column that is not read: it holds what session.twin_of does. -1: none. */
static int twin_column(const struct session *s, const struct engine_input *in) {
    const struct table_def *def = in->def;
    int twin = -1, of = -1;
    for (size_t i = 0; s->twin && i < def->n_columns; i++) {
        if (strcmp(def->columns[i].name, s->twin) == 0)
            twin = (int)i;
        if (strcmp(def->columns[i].name, s->twin_of) == 0)
            of = (int)i;
    }
    return twin >= 0 && of >= 0 && is_never_null(in, s->twin) ? twin : -1;
}

static void add_columns(struct buf *sql, const struct session *s, const struct table_def *def,
                        const bool *absent, int twin) {
    for (size_t i = 0; i < def->n_columns; i++) {
        const struct column *c = &def->columns[i];
        if (i)
            buf_add_str(sql, ", ");
        if (absent[i])
            buf_addf(sql, "CAST(NULL AS %s) AS ", column_type_sql(c->type));
        if ((int)i == twin)
            buf_addf(sql, "%s AS ", s->twin_of);
        if (def->partition_by && strcmp(c->name, def->partition_by) == 0)
            buf_addf(sql,
                     "CAST(nullif(url_decode(regexp_extract(filename, '/%s=([^/]*)/[^/]*$', 1)), "
                     "'__HIVE_DEFAULT_PARTITION__') AS %s) AS ",
                     c->name, column_type_sql(c->type));
        sql_name(sql, c->name);
    }
}

static void add_schema(struct buf *sql, const struct table_def *def, const bool *absent, int twin) {
    buf_add_str(sql, "schema = MAP {");
    const char *comma = "";
    for (size_t i = 0; i < def->n_columns; i++) {
        const struct column *c = &def->columns[i];
        if (absent[i] || (int)i == twin ||
            (def->partition_by && strcmp(c->name, def->partition_by) == 0))
            continue;
        buf_addf(sql, "%s'%s': {name: '%s', type: '%s', default_value: NULL}", comma, c->name,
                 c->name, column_type_sql(c->type));
        comma = ", ";
    }
    buf_add_char(sql, '}');
}

static void add_empty(struct buf *sql, const struct table_def *def) {
    for (size_t i = 0; i < def->n_columns; i++) {
        buf_addf(sql, "%sCAST(NULL AS %s) AS ", i ? ", " : "",
                 column_type_sql(def->columns[i].type));
        sql_name(sql, def->columns[i].name);
    }
}

int64_t view_rows(const struct table_files *files) {
    int64_t rows = 0;
    for (size_t i = 0; i < files->n; i++)
        rows += files->v[i].rows >= 0 ? files->v[i].rows : files->v[i].size / 50;
    return rows;
}

/* CREATE VIEW name, or schema.name with the schema made first. */
static int begin_view(struct session *s, const char *view, struct buf *sql, struct err *e) {
    const char *dot = strchr(view, '.');
    if (dot) {
        _cleanup_(freep) char *schema = xstrndup(view, (size_t)(dot - view));
        buf_add_str(sql, "CREATE SCHEMA IF NOT EXISTS ");
        sql_name(sql, schema);
        if (session_exec(s, view, buf_str(sql), e) < 0)
            return e->code;
        buf_reset(sql);
        buf_add_str(sql, "CREATE VIEW ");
        sql_name(sql, schema);
        buf_add_char(sql, '.');
        sql_name(sql, dot + 1);
    } else {
        buf_add_str(sql, "CREATE VIEW ");
        sql_name(sql, view);
    }
    buf_add_str(sql, " AS SELECT ");
    return 0;
}

int session_view(struct session *s, const struct engine_input *in, struct buf *paths,
                 struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL), list = BUF_INIT(LIMIT_SQL);
    int rc = begin_view(s, in->view, &sql, e);
    if (rc == 0)
        rc = add_files(s, in, &list, e);
    if (rc == 0 && in->files->n) {
        _cleanup_(freep) bool *absent = absent_columns(in);
        int twin = twin_column(s, in);
        add_columns(&sql, s, in->def, absent, twin);
        buf_add_str(&sql, " FROM read_parquet([");
        buf_add(&sql, list.data, list.len);
        buf_add_str(&sql, "], ");
        add_schema(&sql, in->def, absent, twin);
        buf_addf(&sql, ", explicit_cardinality = %lld)", (long long)MAX(view_rows(in->files), 1));
    } else if (rc == 0) {
        add_empty(&sql, in->def);
        buf_add_str(&sql, " WHERE false");
    }
    if (rc == 0 && (sql.overflow || list.overflow))
        rc = err_set(e, ERR_ENGINE, "%s: the list of %zu files of %s is too long", s->what,
                     in->files->n, in->view);
    if (rc == 0)
        rc = session_exec(s, in->view, buf_str(&sql), e);
    if (rc == 0 && paths && list.len) {
        if (paths->len)
            buf_add_char(paths, ',');
        buf_add(paths, list.data, list.len);
    }
    buf_release(&sql);
    buf_release(&list);
    return rc;
}

int session_view_closed(struct session *s, const struct engine_input *in, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    int rc = begin_view(s, in->view, &sql, e);
    if (rc == 0) {
        add_empty(&sql, in->def);
        buf_addf(&sql, " WHERE error('the statement must name %s to read it') IS NULL", in->view);
        rc = session_exec(s, in->view, buf_str(&sql), e);
    }
    buf_release(&sql);
    return rc;
}
