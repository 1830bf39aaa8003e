/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: tries every part as it will be used, and says what is wrong and what to do. */
#include <sys/statvfs.h>

#include "base/json.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/parts.h"
#include "flow/gold_columns.h"
#include "flow/lake.h"

struct doctor_opts {
    bool as_json;
};

static const struct opt options[] = {
    {"json", NULL, OPT_FLAG, offsetof(struct doctor_opts, as_json), "Print the result as JSON.", 0,
     0},
    {0},
};

struct doctor {
    const struct config *cfg;
    struct json_out *json; /* NULL: as text */
    int first_code;        /* of the first part that failed */
    struct err first;
};

static void print(struct doctor *d, const char *state, const char *what, const char *detail,
                  const char *hint) {
    if (d->json) {
        json_obj(d->json, NULL);
        json_put(d->json, "part", what);
        json_put(d->json, "state", state);
        json_put(d->json, "detail", detail);
        json_put(d->json, "hint", *hint ? hint : NULL);
        json_obj_end(d->json);
        return;
    }
    printf("%-5s %-10s %s\n", state, what, detail);
    if (*hint)
        printf("                 HINT: %s\n", hint);
}

static void report(struct doctor *d, const char *what, int r, const struct err *e,
                   const char *good) {
    print(d, r == 0 ? "ok" : "WRONG", what, r == 0 ? good : e->msg, r == 0 ? "" : e->hint);
    if (r < 0 && !d->first_code) {
        d->first_code = r;
        d->first = *e;
    }
}

static char *masked(const struct config *cfg, enum config_id id) {
    return url_mask(config_text(cfg, id));
}

static void try_stream(struct doctor *d) {
    struct err e = {0};
    struct parts p = {0};
    struct bounds *v = NULL;
    size_t n = 0;
    int r = parts_open(d->cfg, PART_STREAM, &p, &e);
    if (r == 0)
        r = stream_bounds(p.s, &v, &n, &e);
    char *url = masked(d->cfg, CFG_STREAM_URL);
    char *good =
        xasprintf("%s, topic '%s', %zu partitions", url, config_text(d->cfg, CFG_STREAM_TOPIC), n);
    report(d, "stream", r, &e, good);
    free(good);
    free(url);
    free(v);
    parts_close(&p);
}

/* Put-if-absent is what exactly-once stands on: the second put must be refused. */
static int try_put(struct storage *st, struct err *e) {
    char uuid[UUID_TEXT];
    uuid_make(uuid);
    char *path = xasprintf("_doctor-%s", uuid);
    int r = storage_put_new(st, path, "1", 1, e);
    if (r == 0) {
        int again = storage_put_new(st, path, "2", 1, e);
        if (again == 0)
            r = err_set(e, ERR_STORAGE,
                        "%s: put-if-absent overwrites: two writers would lose commits", st->url);
        else if (again != ERR_EXISTS)
            r = again;
        struct err ignored;
        storage_remove(st, path, &ignored);
    }
    free(path);
    return r;
}

/* Where models.dir cannot be read, it is the models' line that says so. */
static const char *readable_models_dir(const struct config *cfg) {
    const char *dir = config_text(cfg, CFG_MODELS_DIR);
    struct models ms;
    struct err ignored;
    if (models_load(dir, &ms, &ignored) < 0)
        return NULL;
    models_release(&ms);
    return dir;
}

static void try_lake(struct doctor *d) {
    struct err e = {0};
    struct parts p = {0};
    struct lake l = {0};
    int r = parts_open(d->cfg, PART_LAKE, &p, &e);
    if (r == 0)
        r = try_put(p.st, &e);
    if (r == 0)
        r = lake_open(&l, p.st, NULL, readable_models_dir(d->cfg), &e);
    char *url = masked(d->cfg, CFG_LAKE_URL);
    char *good = xasprintf("%s: writable, put-if-absent works, tables readable", url);
    report(d, "lake", r, &e, good);
    free(good);
    free(url);
    lake_close(&l);
    parts_close(&p);
}

static int ignore_row(void *arg, const char *const *values, size_t n, struct err *e) {
    (void)arg;
    (void)values;
    (void)n;
    (void)e;
    return 0;
}

static void try_engine(struct doctor *d) {
    struct err e = {0};
    struct parts p = {0};
    int r = parts_open(d->cfg, PART_LAKE | PART_ENGINE, &p, &e);
    const struct engine_rows rows = {.row = ignore_row};
    if (r == 0)
        r = engine_query(p.en, p.st, NULL, 0, "SELECT 1", false, &rows, &e);
    report(d, "engine", r, &e, config_text(d->cfg, CFG_ENGINE_URL));
    parts_close(&p);
}

/* Is it one, and does the engine take its SELECT? */
static int try_model(struct engine *en, const struct model *m, struct err *e) {
    struct gold_columns *columns = NULL;
    if (m->wrong.code < 0) {
        *e = m->wrong;
        return e->code;
    }
    int r = gold_columns_find(en, m, &columns, e);
    gold_columns_free(columns);
    return r;
}

static int try_models_of(struct doctor *d, struct engine *en, const struct models *ms) {
    int good = 0;
    for (size_t i = 0; i < ms->n; i++) {
        struct err e = {0};
        int r = try_model(en, &ms->v[i], &e);
        good += r == 0;
        if (r < 0)
            report(d, "models", r, &e, "");
    }
    for (size_t i = 0; i < ms->n_refused; i++)
        report(d, "models", ms->refused[i].code, &ms->refused[i], "");
    return good;
}

static void try_models(struct doctor *d) {
    struct err e = {0};
    struct parts p = {0};
    struct models ms = {0};
    if (parts_open(d->cfg, PART_ENGINE, &p, &e) < 0) /* the engine's line has said so */
        return;
    int r = models_load(config_text(d->cfg, CFG_MODELS_DIR), &ms, &e);
    int good = r == 0 ? try_models_of(d, p.en, &ms) : 0;
    char *all = xasprintf("%d can be made", good);
    if (r < 0 || (size_t)good == ms.n + ms.n_refused)
        report(d, "models", r, &e, all);
    free(all);
    models_release(&ms);
    parts_close(&p);
}

/* The files; `clickmill check` runs them. */
static void try_checks(struct doctor *d) {
    struct err e = {0};
    struct checks cs = {0};
    struct run_options o = parts_run_options(d->cfg);
    int r = checks_load(&o.check.settings, &cs, &e), good = 0;
    for (size_t i = 0; i < cs.n; i++) {
        good += cs.v[i].wrong.code == 0;
        if (cs.v[i].wrong.code < 0)
            report(d, "checks", cs.v[i].wrong.code, &cs.v[i].wrong, "");
    }
    _cleanup_(freep) char *all = xasprintf("%d rules", good);
    if (r < 0 || (size_t)good == cs.n)
        report(d, "checks", r, &e, all);
    checks_release(&cs);
}

static void try_sink(struct doctor *d) {
    struct err e = {0};
    struct parts p = {0};
    struct sink_watermark mark;
    int r = parts_open(d->cfg, PART_SINK, &p, &e);
    if (r == 0)
        r = sink_prepare(p.sk, &sink_clickstream_metrics, &mark, &e);
    char *url = masked(d->cfg, CFG_SINK_URL);
    report(d, "sink", r, &e, url);
    free(url);
    parts_close(&p);
}

static void try_disk(struct doctor *d) {
    struct statvfs v;
    if (statvfs(".", &v) != 0)
        return;
    double gib = (double)v.f_bavail * (double)v.f_frsize / (1024.0 * MIB);
    char *detail = xasprintf("%.1f GiB free in the working folder", gib);
    print(d, gib < 1 ? "low" : "ok", "disk", detail, "");
    free(detail);
}

static int run(struct cmd *c, struct err *e) {
    struct buf b = BUF_INIT(MIB);
    struct json_out o = {.b = &b};
    bool as_json = ((const struct doctor_opts *)c->opts)->as_json;
    struct doctor d = {.cfg = c->cfg, .json = as_json ? &o : NULL};
    json_arr(&o, NULL);
    try_stream(&d);
    try_lake(&d);
    try_engine(&d);
    try_models(&d);
    try_checks(&d);
    try_sink(&d);
    try_disk(&d);
    json_arr_end(&o);
    if (as_json)
        puts(buf_str(&b));
    buf_release(&b);
    if (!d.first_code)
        return 0;
    *e = d.first;
    return d.first_code;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "Try every part as it will be used; say what is wrong.",
    .options = options,
    .opts_size = sizeof(struct doctor_opts),
    .run = run,
};
