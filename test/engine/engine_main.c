/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine by hand, on a lake's folder and without a table log: for test/e2e/test_models_oracle.py
 * and developers.
 *
 *     engine_main LAKE silver NEW OLD SILVER     bronze files new and old, silver files
 *     engine_main LAKE silver-plain …            the same by the texts that are every engine's
 *     engine_main LAKE gold SILVER
 *     engine_main LAKE models SILVER             all models: their columns, types and rows
 *     engine_main LAKE query SQL [VIEW=FILE]…    the user's own SQL over views such as silver.events
 *     engine_main LAKE trusted SQL [VIEW=FILE]…  the program's own
 *
 * NEW, OLD, … are files with one path a line, below the table's folder; - is an empty list. A line
 * may go on with a tab and the number of rows. Prints JSON: what a job wrote and counted, or a
 * query's rows. CM_ENGINE_MEMORY (MiB) and CM_ENGINE_THREADS are as engine.memory and engine.threads.
 */
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/util.h"
#include "engine/engine.h"
#include "engine/models.h"
#include "flow/models.h"
#include "flow/silver.h"

static int fail(const struct err *e) {
    fprintf(stderr, "%s\n", e->msg);
    if (e->hint[0])
        fprintf(stderr, "HINT: %s\n", e->hint);
    return err_exit_code(e->code);
}

/* Adds a line's file; its partition is what its folder says. */
static void add_line(struct storage *st, const struct table_def *def, char *line,
                     struct table_files *ret) {
    char *tab = strchr(line, '\t'), *slash;
    struct storage_entry entry;
    struct err e;
    struct table_file *f = table_files_add(ret);
    if (tab) {
        *tab = '\0';
        f->rows = atoll(tab + 1);
    }
    f->path = xstrdup(line);
    _cleanup_(freep) char *full = xasprintf("%s/%s", def->name, line);
    if (storage_stat(st, full, &entry, &e) == 0)
        f->size = entry.size;
    if ((slash = strchr(line, '/')) && strchr(line, '=') < slash) {
        const char *value = strchr(line, '=') + 1;
        if (strncmp(value, "__HIVE", 6) != 0)
            f->partition = xstrndup(value, (size_t)(slash - value));
    }
}

static int read_list(struct storage *st, const struct table_def *def, const char *list,
                     struct table_files *ret) {
    char line[LIMIT_PATH];
    FILE *in = strcmp(list, "-") == 0 ? NULL : fopen(list, "r");
    if (!in)
        return strcmp(list, "-") == 0 ? 0 : -1;
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        if (*line)
            add_line(st, def, line, ret);
    }
    fclose(in);
    return 0;
}

static void print_result(const struct engine_result *r, int64_t began_ns) {
    struct rusage used;
    struct buf b = BUF_INIT(LIMIT_SQL);
    struct json_out o = {.b = &b};
    getrusage(RUSAGE_SELF, &used);
    json_obj(&o, NULL);
    json_put_int(&o, "ms", (clock_mono_ns() - began_ns) / 1000000);
    json_put_int(&o, "cpu_ms",
                 used.ru_utime.tv_sec * 1000 + used.ru_utime.tv_usec / 1000 +
                     used.ru_stime.tv_sec * 1000 + used.ru_stime.tv_usec / 1000);
    json_put_int(&o, "rss_mib", used.ru_maxrss / 1024);
    json_obj(&o, "counters");
    for (size_t i = 0; i < r->n_counters; i++)
        json_put_int(&o, r->counters[i].name, r->counters[i].value);
    json_obj_end(&o);
    json_arr(&o, "files");
    for (size_t i = 0; i < r->files.n; i++) {
        const struct table_file *f = &r->files.v[i];
        json_obj(&o, NULL);
        json_put(&o, "path", f->path);
        json_put(&o, "partition", f->partition);
        json_put_int(&o, "rows", f->rows);
        json_put_int(&o, "size", f->size);
        json_put_raw(&o, "stats", f->stats);
        json_obj_end(&o);
    }
    json_arr_end(&o);
    json_obj_end(&o);
    puts(buf_str(&b));
    buf_release(&b);
}

static int run_job(struct engine *en, struct storage *st, const struct engine_job *job) {
    struct engine_result r = {0};
    struct err e;
    int64_t began = clock_mono_ns();
    if (engine_run(en, st, job, &r, &e) < 0)
        return fail(&e);
    print_result(&r, began);
    engine_result_release(&r);
    return 0;
}

/* DuckDB under another name: it is given the texts that are every engine's. */
struct plain {
    struct engine base;
    struct engine *duck;
};

static int plain_run(struct engine *en, struct storage *st, const struct engine_job *job,
                     struct engine_result *ret, struct err *e) {
    return engine_run(((struct plain *)en)->duck, st, job, ret, e);
}

static const struct engine_ops plain_ops = {.scheme = "plain", .run = plain_run};

static int run_silver(struct engine *en, struct storage *st, const struct table_files f[3]) {
    const struct silver_inputs in = {.fresh = &f[0], .old = &f[1], .silver = &f[2]};
    struct engine_result r = {0};
    struct err e;
    int64_t began = clock_mono_ns();
    if (silver_compute(st, en, &in, &r, &e) < 0)
        return fail(&e);
    print_result(&r, began);
    engine_result_release(&r);
    return 0;
}

static int run_gold(struct engine *en, struct storage *st, const struct table_files *files) {
    const struct engine_input input = {"silver_events", &silver_events, files};
    return run_job(en, st,
                   &(struct engine_job){.what = "gold",
                                        .inputs = &input,
                                        .n_inputs = 1,
                                        .select = model_text("sql/gold/clickstream_metrics.sql"),
                                        .output = &gold_clickstream_metrics});
}

static int put_row(void *arg, const char *const *values, size_t n, struct err *e ATTR_UNUSED) {
    struct json_out *o = arg;
    json_arr(o, NULL);
    for (size_t i = 0; i < n; i++)
        json_put(o, NULL, values[i]);
    json_arr_end(o);
    return 0;
}

static int put_header(void *arg, const char *const *names, const char *const *types, size_t n,
                      struct err *e) {
    put_row(arg, names, n, e);
    return put_row(arg, types, n, e);
}

static int ask_model(struct engine *en, struct storage *st, const struct table_files *silver,
                     const struct model *m, struct json_out *o, struct err *e) {
    const struct engine_input input = {"silver_events", &silver_events, silver};
    struct engine_stage stages[MODEL_STAGES];
    const struct engine_question q = {.what = m->name,
                                      .file = m->file,
                                      .inputs = &input,
                                      .n_inputs = 1,
                                      .stages = stages,
                                      .n_stages = model_inputs(m, stages),
                                      .sql = m->text};
    const struct engine_rows rows = {.header = put_header, .row = put_row, .arg = o};
    json_arr(o, m->name);
    int r = engine_ask(en, st, &q, &rows, e);
    json_arr_end(o);
    return r;
}

static int run_models(struct engine *en, struct storage *st, const struct table_files *silver) {
    struct buf b = BUF_INIT(1024 * MIB);
    struct json_out o = {.b = &b};
    struct models ms;
    struct err e;
    int r = models_load(NULL, &ms, &e);
    if (r < 0)
        return fail(&e);
    json_obj(&o, NULL);
    for (size_t i = 0; r == 0 && i < ms.n; i++)
        r = ask_model(en, st, silver, &ms.v[i], &o, &e);
    json_obj_end(&o);
    models_release(&ms);
    if (r == 0)
        puts(buf_str(&b));
    buf_release(&b);
    return r < 0 ? fail(&e) : 0;
}

static int print_row(void *arg ATTR_UNUSED, const char *const *values, size_t n,
                     struct err *e ATTR_UNUSED) {
    struct buf b = BUF_INIT(LIMIT_SQL);
    struct json_out o = {.b = &b};
    json_arr(&o, NULL);
    for (size_t i = 0; i < n; i++)
        json_put(&o, NULL, values[i]);
    json_arr_end(&o);
    puts(buf_str(&b));
    buf_release(&b);
    return 0;
}

static int print_header(void *arg, const char *const *names, const char *const *types, size_t n,
                        struct err *e) {
    print_row(arg, names, n, e);
    return print_row(arg, types, n, e);
}

static const struct table_def *find_def(const char *view) {
    static const struct table_def *const all[] = {&bronze_events, &silver_events,
                                                  &gold_clickstream_metrics};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (strcmp(all[i]->view, view) == 0)
            return all[i];
    return NULL;
}

static int run_query(struct engine *en, struct storage *st, bool untrusted, int argc, char **argv) {
    struct engine_input inputs[16];
    struct table_files files[16] = {0};
    struct err e;
    size_t n = 0;
    for (int i = 1; i < argc && n < ARRAY_LEN(inputs); i++, n++) {
        char *eq = strchr(argv[i], '=');
        *eq = '\0';
        inputs[n] = (struct engine_input){argv[i], find_def(argv[i]), &files[n]};
        if (!inputs[n].def || read_list(st, inputs[n].def, eq + 1, &files[n]) < 0)
            return 2;
    }
    const struct engine_rows rows = {.header = print_header, .row = print_row};
    int rc = engine_query(en, st, inputs, n, argv[0], untrusted, &rows, &e);
    for (size_t i = 0; i < n; i++)
        table_files_release(&files[i]);
    return rc < 0 ? fail(&e) : 0;
}

static int run_verb(struct engine *en, struct storage *st, int argc, char **argv) {
    static const struct table_def *const tables[3] = {&bronze_events, &bronze_events,
                                                      &silver_events};
    bool is_plain = argc == 4 && strcmp(argv[0], "silver-plain") == 0;
    bool is_silver = is_plain || (argc == 4 && strcmp(argv[0], "silver") == 0);
    struct plain plain = {.base.ops = &plain_ops, .duck = en};
    bool is_gold = argc == 2 && strcmp(argv[0], "gold") == 0;
    bool is_models = argc == 2 && strcmp(argv[0], "models") == 0;
    struct table_files files[3] = {0};
    int rc = 2;
    if (argc >= 2 && (strcmp(argv[0], "query") == 0 || strcmp(argv[0], "trusted") == 0))
        return run_query(en, st, argv[0][0] == 'q', argc - 1, argv + 1);
    for (int i = 0; is_silver && i < 3; i++)
        if (read_list(st, tables[i], argv[i + 1], &files[i]) < 0)
            return 2;
    if ((is_gold || is_models) && read_list(st, &silver_events, argv[1], &files[0]) < 0)
        return 2;
    if (is_silver)
        rc = run_silver(is_plain ? &plain.base : en, st, files);
    else if (is_gold)
        rc = run_gold(en, st, &files[0]);
    else if (is_models)
        rc = run_models(en, st, &files[0]);
    for (size_t i = 0; i < 3; i++)
        table_files_release(&files[i]);
    return rc;
}

static int64_t number_in(const char *variable, int64_t otherwise) {
    const char *text = getenv(variable);
    return text ? atoll(text) : otherwise;
}

int main(int argc, char **argv) {
    struct err e;
    struct storage *st = NULL;
    struct engine *en = NULL;
    if (argc < 3)
        return 2;
    stop_on_signals();
    _cleanup_(freep) char *url = xasprintf("file:%s", argv[1]);
    _cleanup_(freep) char *temp = xasprintf("%s/.tmp", argv[1]);
    const struct engine_options o = {.threads = (int)number_in("CM_ENGINE_THREADS", 2),
                                     .memory_bytes = number_in("CM_ENGINE_MEMORY", 512) * MIB,
                                     .temp_dir = temp};
    if (storage_open(url, NULL, &st, &e) < 0 || engine_open("duckdb", &o, &en, &e) < 0)
        return fail(&e);
    int rc = run_verb(en, st, argc - 2, argv + 2);
    if (rc == 2)
        fputs("usage: see the top of test/engine/engine_main.c\n", stderr);
    engine_free(en);
    storage_free(st);
    return rc;
}
