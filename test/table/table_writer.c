/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_writer LAKE-URL TABLE: makes commits as its standard input says, for tests that then read
 * the table with other programs. One commit a line:
 *   {"operation":"WRITE","data_change":true,
 *    "add":[{"file":"/local.parquet","partition":"2026-11-22","rows":3,"stats":"{…}","path":"…"}],
 *    "remove":["path"],"txn":[{"app_id":"app","expected":-1,"next":5}],"metrics":{"rows":3}}
 * `path` is made up if absent; the local file moves into the table. "later":["column","type"]: as a later
 * clickmill does that knows this column as well, its type in Delta's word. Answers a line each:
 *   {"version":0,"add":["path"]}
 */
#include <assert.h>

#include "base/json.h"
#include "table/table.h"

static void die(const struct err *e) {
    fprintf(stderr, "table_writer: %s\nHINT: %s\n", e->msg, e->hint);
    exit(1);
}

/* A staging folder is not needed: the given file is on the lake's file system already. */
static void add_file(struct storage *st, const struct table_def *def, const json *v,
                     struct table_files *add) {
    struct err e;
    struct table_file *f = table_files_add(add);
    const char *partition = json_str(json_get(v, "partition")),
               *stats = json_str(json_get(v, "stats"));
    const char *path = json_str(json_get(v, "path")), *local = json_str(json_get(v, "file"));
    f->path = path ? xstrdup(path) : table_new_file_path(def, partition);
    f->partition = partition ? xstrdup(partition) : NULL;
    f->stats = stats ? xstrdup(stats) : NULL;
    f->rows = json_int(json_get(v, "rows"), -1);
    _cleanup_(freep) char *in_lake = xasprintf("%s/%s", def->name, f->path);
    struct storage_entry en;
    if (storage_publish(st, local, in_lake, &e) != 0 || storage_stat(st, in_lake, &en, &e) != 0)
        die(&e);
    f->size = en.size;
    f->mtime_ms = en.mtime_ms;
}

static void remove_file(const struct table *tb, const char *path, struct table_files *remove) {
    const struct table_files *live = table_live(tb);
    for (size_t i = 0; i < live->n; i++)
        if (strcmp(live->v[i].path, path) == 0)
            table_file_copy(table_files_add(remove), &live->v[i]);
}

static void answer(int64_t version, const struct table_files *add) {
    struct buf b = BUF_INIT(LIMIT_LOG_ENTRY);
    struct json_out o = {.b = &b};
    json_obj(&o, NULL);
    json_put_int(&o, "version", version);
    json_arr(&o, "add");
    for (size_t i = 0; i < add->n; i++)
        json_put(&o, NULL, add->v[i].path);
    json_arr_end(&o);
    json_obj_end(&o);
    puts(buf_str(&b));
    fflush(stdout);
    buf_release(&b);
}

/* The definition with one column more, before the last. */
struct later {
    struct table_def def;
    struct column columns[64];
    const char *names[2];
};

static struct table *open_later(struct storage *st, const struct table_def *def, const json *more,
                                struct later *l) {
    struct json_iter it = json_iter(more);
    size_t n = def->n_columns;
    struct table *tb;
    struct err e;
    assert(n < ARRAY_LEN(l->columns) && json_len(more) == 2);
    *l = (struct later){.def = *def};
    memcpy(l->columns, def->columns, (n - 1) * sizeof *l->columns);
    l->columns[n] = def->columns[n - 1];
    json_next(&it);
    l->columns[n - 1].name = l->names[0] = json_str(it.value);
    json_next(&it);
    bool known = column_type_find(json_str(it.value), &l->columns[n - 1].type);
    assert(known);
    l->def.columns = l->columns;
    l->def.n_columns = n + 1;
    l->def.later = l->names;
    if (table_open(st, &l->def, &tb, &e) != 0)
        die(&e);
    return tb;
}

static void make_commit(struct storage *st, struct table *tb, const json *line) {
    struct err e;
    struct later later;
    const json *more = json_get(line, "later");
    struct table *of_later = more ? open_later(st, table_definition(tb), more, &later) : NULL;
    tb = of_later ? of_later : tb;
    struct table_files add = {0}, remove = {0};
    struct table_txn txn[16] = {0};
    struct table_metric metrics[16] = {0};
    const char *operation = json_str(json_get(line, "operation"));
    struct table_commit c = {.operation = operation ? operation : "WRITE",
                             .add = &add,
                             .remove = &remove,
                             .txn = txn,
                             .metrics = metrics,
                             .data_change = json_bool(json_get(line, "data_change"), true)};
    for (struct json_iter it = json_iter(json_get(line, "add")); json_next(&it);)
        add_file(st, table_definition(tb), it.value, &add);
    for (struct json_iter it = json_iter(json_get(line, "remove")); json_next(&it);)
        remove_file(tb, json_str(it.value), &remove);
    for (struct json_iter it = json_iter(json_get(line, "txn"));
         json_next(&it) && c.n_txn < ARRAY_LEN(txn);)
        txn[c.n_txn++] = (struct table_txn){json_str(json_get(it.value, "app_id")),
                                            json_int(json_get(it.value, "expected"), -1),
                                            json_int(json_get(it.value, "next"), -1)};
    for (struct json_iter it = json_iter(json_get(line, "metrics"));
         json_next(&it) && c.n_metrics < ARRAY_LEN(metrics);)
        metrics[c.n_metrics++] = (struct table_metric){it.name, json_int(it.value, 0)};
    int64_t version;
    if (table_commit(tb, &c, &version, &e) != 0)
        die(&e);
    table_close(of_later);
    answer(version, &add);
    table_files_release(&add);
    table_files_release(&remove);
}

static const struct table_def *find_def(const char *name) {
    static const struct table_def *const all[] = {&bronze_events, &silver_events,
                                                  &gold_clickstream_metrics};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (strcmp(all[i]->view, name) == 0 || strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}

int main(int argc, char **argv) {
    const struct table_def *def = argc == 3 ? find_def(argv[2]) : NULL;
    if (!def) {
        fputs("usage: table_writer LAKE-URL TABLE\n", stderr);
        return 2;
    }
    struct err e;
    struct storage *st;
    struct table *tb;
    if (storage_open(argv[1], NULL, &st, &e) != 0 || table_open(st, def, &tb, &e) != 0)
        die(&e);
    char *text = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&text, &cap, stdin)) > 0;) {
        struct json_doc *d = json_parse(text, (size_t)n, ERR_USAGE, &e);
        if (!d || table_refresh(tb, &e) != 0)
            die(&e);
        make_commit(st, tb, json_root(d));
        json_free(d);
    }
    free(text);
    table_close(tb);
    storage_free(st);
    return 0;
}
