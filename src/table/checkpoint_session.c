/* SPDX-License-Identifier: Apache-2.0 */
#include "table/checkpoint_priv.h"

enum { MEMORY = 256 * MIB };

int checkpoint_begin(struct checkpoint_session *s, const struct table *tb, struct err *e) {
    *s = (struct checkpoint_session){.tb = tb};
    int r = storage_stage(tb->st, s->stage, e);
    if (r)
        return r;
    r = engine_open(
        "duckdb",
        &(struct engine_options){.threads = 1, .memory_bytes = MEMORY, .temp_dir = s->stage},
        &s->en, e);
    if (r)
        checkpoint_end(s);
    return r;
}

void checkpoint_end(struct checkpoint_session *s) {
    engine_free(s->en);
    for (size_t i = 0; i < s->n_local; i++) {
        storage_unlocalize(s->tb->st, s->local[i]);
        free(s->local[i]);
    }
    free(s->local);
    storage_unstage(s->tb->st, s->stage);
    *s = (struct checkpoint_session){0};
}

static void add_text(struct buf *sql, const char *text) {
    buf_add_char(sql, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            buf_add_char(sql, '\'');
        buf_add_char(sql, *text);
    }
    buf_add_char(sql, '\'');
}

int checkpoint_add_local(struct checkpoint_session *s, const char *path, struct buf *sql,
                         struct err *e) {
    char local[LIMIT_PATH];
    int r = storage_localize(s->tb->st, path, -1, local, e);
    if (r)
        return r;
    s->local = xrealloc(s->local, (s->n_local + 1) * sizeof *s->local);
    s->local[s->n_local++] = xstrdup(path);
    if (strpbrk(local, "*?[")) /* DuckDB would look for files of that pattern */
        return err_set(e, ERR_STORAGE, "%s: a path with *, ? or [ in it", local);
    add_text(sql, local);
    return 0;
}

int checkpoint_add_files(struct checkpoint_session *s, int64_t version, int64_t parts,
                         struct buf *sql, struct err *e) {
    buf_add_char(sql, '[');
    for (int64_t i = 1; i <= parts; i++) {
        _cleanup_(freep) char *path = checkpoint_path(s->tb->def, version, i, parts);
        if (i > 1)
            buf_add_str(sql, ", ");
        int r = checkpoint_add_local(s, path, sql, e);
        if (r)
            return r;
    }
    buf_add_char(sql, ']');
    return 0;
}

int checkpoint_query(struct checkpoint_session *s, const char *sql, checkpoint_row *row, void *arg,
                     struct err *e) {
    struct engine_rows rows = {.row = row, .arg = arg};
    int r = engine_query(s->en, s->tb->st, NULL, 0, sql, false, &rows, e);
    return r == ERR_ENGINE ? err_recode(e, ERR_STORAGE) : r; /* the file is what is wrong */
}

char *checkpoint_path(const struct table_def *def, int64_t version, int64_t part, int64_t parts) {
    if (parts == 1)
        return xasprintf("%s/_delta_log/%020lld.checkpoint.parquet", def->name, (long long)version);
    return xasprintf("%s/_delta_log/%020lld.checkpoint.%010lld.%010lld.parquet", def->name,
                     (long long)version, (long long)part, (long long)parts);
}
