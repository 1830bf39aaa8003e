/* SPDX-License-Identifier: Apache-2.0 */
#include "table/parquet_session.h"

enum { MEMORY = 256 * MIB };

int parquet_begin(struct parquet_session *s, const struct table *tb, struct err *e) {
    *s = (struct parquet_session){.tb = tb};
    int r = storage_stage(tb->st, s->stage, e);
    if (r)
        return r;
    r = engine_open(
        "duckdb",
        &(struct engine_options){.threads = 1, .memory_bytes = MEMORY, .temp_dir = s->stage},
        &s->en, e);
    if (r)
        parquet_end(s);
    return r;
}

void parquet_end(struct parquet_session *s) {
    engine_free(s->en);
    parquet_drop_local(s);
    free(s->local);
    storage_unstage(s->tb->st, s->stage);
    *s = (struct parquet_session){0};
}

void parquet_drop_local(struct parquet_session *s) {
    for (size_t i = 0; i < s->n_local; i++) {
        storage_unlocalize(s->tb->st, s->local[i]);
        free(s->local[i]);
    }
    s->n_local = 0;
}

int parquet_add_local(struct parquet_session *s, const char *path, struct buf *sql, struct err *e) {
    char local[LIMIT_PATH];
    int r = storage_localize(s->tb->st, path, -1, local, e);
    if (r)
        return r;
    s->local = xrealloc(s->local, (s->n_local + 1) * sizeof *s->local);
    s->local[s->n_local++] = xstrdup(path);
    if (strpbrk(local, "*?[")) /* DuckDB would look for files of that pattern */
        return err_set(e, ERR_STORAGE, "%s: a path with *, ? or [ in it", local);
    buf_add_literal(sql, local);
    return 0;
}

int parquet_query(struct parquet_session *s, const char *sql, parquet_row *row, void *arg,
                  struct err *e) {
    struct engine_rows rows = {.row = row, .arg = arg};
    int r = engine_query(s->en, s->tb->st, NULL, 0, sql, false, &rows, e);
    return r == ERR_ENGINE ? err_recode(e, ERR_STORAGE) : r; /* the file is what is wrong */
}
