/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/run.h"

#include <errno.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/parts.h"
#include "serve/monitor.h"

struct run_opts {
    int64_t every;
    bool history, json;
};

static const struct opt options[] = {
    {"every", "DURATION", OPT_DURATION, offsetof(struct run_opts, every),
     "Run on a schedule, such as 1h, until stopped.", 1, INT32_MAX},
    {"history", NULL, OPT_FLAG, offsetof(struct run_opts, history),
     "Print the runs there were, one line of JSON each.", 0, 0},
    {"json", NULL, OPT_FLAG, offsetof(struct run_opts, json), "Print the result as JSON.", 0, 0},
    {0},
};

static void print_text(const struct run_result *r) {
    printf("silver: events %lld, rejected %lld, duplicates %lld, conflicts %lld, rows %lld\n",
           (long long)r->silver.events, (long long)r->silver.rejected,
           (long long)r->silver.duplicates, (long long)r->silver.conflicts,
           (long long)r->silver.rows);
    printf("gold: dates %lld, rows %lld\n", (long long)r->gold.dates, (long long)r->gold.rows);
    if (r->check.n > 0)
        printf("check: rules %zu, warned %lld, blocking %lld\n", r->check.n,
               (long long)r->check.warned, (long long)r->check.blocking);
    if (r->check.blocking > 0)
        puts("load: not done");
    else
        printf("load: dates %lld, upserted %lld, unchanged %lld, deleted %lld\n",
               (long long)r->load.dates, (long long)r->load.upserted, (long long)r->load.unchanged,
               (long long)r->load.deleted);
    printf("run: %.2f s\n", r->seconds);
}

static void print_json(const struct run_result *r) {
    struct buf b = BUF_INIT(4096);
    struct json_out o = {.b = &b};
    json_obj(&o, NULL);
    json_obj(&o, "silver");
    json_put_int(&o, "events", r->silver.events);
    json_put_int(&o, "rejected", r->silver.rejected);
    json_put_int(&o, "duplicates", r->silver.duplicates);
    json_put_int(&o, "conflicts", r->silver.conflicts);
    json_put_int(&o, "rows", r->silver.rows);
    json_obj_end(&o);
    json_obj(&o, "gold");
    json_put_int(&o, "dates", r->gold.dates);
    json_put_int(&o, "rows", r->gold.rows);
    json_put_int(&o, "failed", r->gold.failed);
    json_obj_end(&o);
    json_obj(&o, "check");
    json_put_int(&o, "rules", (int64_t)r->check.n);
    json_put_int(&o, "warned", r->check.warned);
    json_put_int(&o, "blocking", r->check.blocking);
    json_obj_end(&o);
    json_obj(&o, "load");
    json_put_int(&o, "dates", r->load.dates);
    json_put_int(&o, "upserted", r->load.upserted);
    json_put_int(&o, "unchanged", r->load.unchanged);
    json_put_int(&o, "deleted", r->load.deleted);
    json_put_int(&o, "failed", r->load.failed);
    json_obj_end(&o);
    json_put_double(&o, "seconds", r->seconds);
    json_obj_end(&o);
    puts(buf_str(&b));
    fflush(stdout);
    buf_release(&b);
}

/* A run that cannot be written down is a warning: the run itself stands. */
static void remember(const struct config *cfg, int64_t started_us, const struct run_result *r,
                     int code, const struct err *why) {
    const char *path = config_text(cfg, CFG_RUN_HISTORY);
    struct err e;
    if (*path && run_history_append(path, started_us, r, code, why, &e) < 0)
        log_err(LOG_WARN, "history", &e);
}

static int run_once(struct cmd *c, struct parts *p, const struct run_options *o, struct monitor *mo,
                    struct err *e) {
    struct run_result res = {0};
    int64_t started = clock_now_us();
    monitor_run_begins(mo);
    int r = flow_run(p->st, p->en, o, &res, e);
    monitor_run_ended(mo, &res, r, e);
    remember(c->cfg, started, &res, r, e);
    if (res.complete && ((const struct run_opts *)c->opts)->json)
        print_json(&res);
    else if (res.complete)
        print_text(&res);
    run_result_release(&res);
    return r;
}

/* A run that fails is reported and tried again at the next time. */
static int run_on_schedule(struct cmd *c, struct parts *p, struct run_options *o,
                           struct monitor *mo, int64_t every_ms, struct err *e) {
    int64_t upkept_ns = 0;
    const struct upkeep_options *upkeep = o->upkeep;
    while (!stop_requested()) {
        o->upkeep = parts_upkeep_due(c->cfg, &upkept_ns) ? upkeep : NULL;
        int64_t next_ns = clock_mono_ns() + every_ms * 1000000;
        int r = run_once(c, p, o, mo, e);
        if (r < 0 && r != ERR_STOPPED)
            log_err(LOG_ERROR, "run failed", e);
        err_clear(e);
        fflush(stdout);
        stop_wait((int)MAX(0, (next_ns - clock_mono_ns()) / 1000000));
    }
    return 0;
}

static int print_history(const struct config *cfg, struct err *e) {
    const char *path = config_text(cfg, CFG_RUN_HISTORY);
    FILE *f = *path ? fopen(path, "re") : NULL;
    if (!f)
        return *path && errno != ENOENT
                   ? err_sys(e, ERR_STORAGE, errno, "cannot read the history '%s'", path)
                   : 0;
    char chunk[8192];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        fwrite(chunk, 1, n, stdout);
    fclose(f);
    return 0;
}

static int run(struct cmd *c, struct err *e) {
    const struct run_opts *opts = c->opts;
    if (opts->history)
        return print_history(c->cfg, e);
    struct monitor *mo = NULL;
    int r = 0;
    if (opts->every)
        r = monitor_start(&(struct monitor_options){c->cfg, "run", MONITOR_RUN, NULL}, &mo, e);
    struct parts p;
    if (r == 0)
        r = parts_open(c->cfg, PART_LAKE | PART_ENGINE, &p, e);
    if (r < 0) {
        monitor_free(mo);
        return r;
    }
    monitor_lake(mo, &p.st);
    struct run_options o = parts_run_options(c->cfg);
    struct upkeep_options upkeep = parts_upkeep_options(c->cfg);
    o.upkeep = config_int(c->cfg, CFG_TABLE_UPKEEP_EVERY) ? &upkeep : NULL;
    o.on_step = monitor_step;
    o.arg = mo;
    r = opts->every ? run_on_schedule(c, &p, &o, mo, opts->every, e) : run_once(c, &p, &o, NULL, e);
    parts_close(&p);
    monitor_free(mo);
    return r;
}

const struct command cmd_run = {
    .name = "run",
    .operands = "",
    .summary = "silver, gold, check and load in order, once or on a schedule.",
    .about =
        "A step that fails in a way that can pass is tried again (run.retries, run.retry_delay).\n"
        "Where a data quality rule blocks, load is not done (see check).\n"
        "Every run appends a line to run.history. Repeating a run that found everything done "
        "changes nothing.",
    .options = options,
    .opts_size = sizeof(struct run_opts),
    .run = run,
};
