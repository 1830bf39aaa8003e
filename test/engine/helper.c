/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/helper.h"

static void open_engine(struct bench *b, int64_t memory_bytes) {
    struct err e;
    _cleanup_(freep) char *temp = xasprintf("%s/tmp/engine", b->folder);
    const struct engine_options o = {.threads = 2, .memory_bytes = memory_bytes, .temp_dir = temp};
    assert_ok(engine_open("duckdb", &o, &b->en, &e), &e);
}

int bench_new(void **state) {
    struct bench *b = xcalloc(1, sizeof *b);
    b->folder = lake_folder_new();
    _cleanup_(freep) char *lake = xasprintf("%s/lake", b->folder);
    b->st = lake_open(lake);
    open_engine(b, 256LL * MIB);
    *state = b;
    return 0;
}

int bench_free(void **state) {
    struct bench *b = *state;
    engine_free(b->en);
    storage_free(b->st);
    lake_folder_free(b->folder);
    free(b);
    return 0;
}

void bench_memory(struct bench *b, int64_t bytes) {
    engine_free(b->en);
    open_engine(b, bytes);
}

struct table_files written(struct bench *b, const struct table_def *def, const char *select) {
    struct engine_result r = {0};
    struct err e;
    assert_ok(engine_run(b->en, b->st,
                         &(struct engine_job){.what = "job", .select = select, .output = def}, &r,
                         &e),
              &e);
    return r.files;
}

static int add_row(void *arg, const char *const *values, size_t n, struct err *e ATTR_UNUSED) {
    struct buf *out = arg;
    if (out->len)
        buf_add_str(out, " / ");
    for (size_t i = 0; i < n; i++)
        buf_addf(out, "%s%s", i ? "|" : "", values[i] ? values[i] : "-");
    return 0;
}

char *rows_of(struct bench *b, const struct engine_input *inputs, size_t n, bool untrusted,
              const char *sql) {
    struct buf out = BUF_INIT(MIB);
    struct err e;
    const struct engine_rows rows = {.row = add_row, .arg = &out};
    if (engine_query(b->en, b->st, inputs, n, sql, untrusted, &rows, &e) < 0) {
        buf_reset(&out);
        buf_addf(&out, "ERROR: %s", e.msg);
    }
    return buf_detach(&out);
}

void check_rows(struct bench *b, const struct engine_input *in, const char *sql,
                const char *expected) {
    _cleanup_(freep) char *rows = rows_of(b, in, in ? 1 : 0, false, sql);
    assert_string_equal(rows, expected);
}
