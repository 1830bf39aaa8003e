/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/monitor.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "serve/sampler.h"
#include "serve/server.h"
#include "serve/watch_storage.h"
#include "serve/watch_stream.h"
#include "version.h"

struct monitor {
    struct metrics *m;
    struct health *health;
    struct health_part *input_health, *output_health, *run_health;
    struct stream_watch *input, *output;
    struct storage_watch *bronze, *lake;
    struct sampler *sampler;
    struct server *server;
    struct ingest_result seen; /* what monitor_ingest has counted */
    char **rules;              /* those of the last check */
    size_t n_rules;
};

static void set(struct monitor *mo, enum meter id, double value) {
    metric_set(metrics_get(mo->m, id, NULL, NULL), value);
}

static void add(struct monitor *mo, enum meter id, int64_t by) {
    metric_add(metrics_get(mo->m, id, NULL, NULL), (double)by);
}

/* ---- pages ---- */

static void collect(struct monitor *mo) {
    if (mo->input)
        stream_watch_collect(mo->input);
    if (mo->sampler)
        sampler_collect(mo->sampler);
}

static void answer_health(struct monitor *mo, struct server_answer *a,
                          bool (*good)(struct health *h, struct buf *why)) {
    collect(mo);
    if (good(mo->health, &a->body))
        buf_add_str(&a->body, "ok\n");
    else
        a->status = 503;
}

static void page_healthz(void *arg, struct server_answer *a) {
    answer_health(arg, a, health_is_live);
}

static void page_readyz(void *arg, struct server_answer *a) {
    answer_health(arg, a, health_is_ready);
}

static void page_metrics(void *arg, struct server_answer *a) {
    struct monitor *mo = arg;
    collect(mo);
    meters_process(mo->m);
    struct buf why = BUF_INIT(KIB);
    set(mo, M_LIVE, health_is_live(mo->health, &why));
    set(mo, M_READY, health_is_ready(mo->health, &why));
    buf_release(&why);
    a->type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_write(mo->m, &a->body);
}

static const struct server_route routes[] = {
    {"/healthz", page_healthz}, {"/readyz", page_readyz}, {"/metrics", page_metrics}, {0}};

/* ---- start and end ---- */

static void add_parts(struct monitor *mo, const struct monitor_options *o) {
    static const char starting[] = "starting";
    struct health *h = mo->health;
    if (o->does & MONITOR_INGEST) {
        mo->input_health = health_add(h, "stream", "no partition is assigned yet");
        mo->input = stream_watch_new(mo->m, mo->input_health, true);
        mo->bronze = storage_watch_new(mo->m, health_add(h, "bronze", starting), NULL);
    }
    if (o->does & MONITOR_RUN) {
        mo->run_health = health_add(h, "run", "the first run has not ended yet");
        mo->lake = storage_watch_new(mo->m, health_add(h, "lake", starting), mo->run_health);
        for (size_t i = 0; i < RUN_STEPS; i++)
            metrics_get(mo->m, M_STEP_FAILURES, run_step_names[i], NULL);
        metrics_get(mo->m, M_RUNS, "ok", NULL);
        metrics_get(mo->m, M_RUNS, "failed", NULL);
    }
    if (o->does & MONITOR_PRODUCE) {
        mo->output_health = health_add(h, "produce", starting);
        mo->output = stream_watch_new(mo->m, mo->output_health, false);
    }
    int groups = METERS_PROCESS;
    groups |= o->does & MONITOR_INGEST ? METERS_INGEST | METERS_LAKE : 0;
    groups |= o->does & MONITOR_RUN ? METERS_RUN | METERS_LAKE : 0;
    groups |= o->does & MONITOR_PRODUCE ? METERS_PRODUCE : 0;
    metrics_show(mo->m, groups);
    metric_set(metrics_get(mo->m, M_BUILD, o->verb, CM_VERSION), 1);
}

static void start_sampler(struct monitor *mo, const struct monitor_options *o) {
    if (!(o->does & (MONITOR_INGEST | MONITOR_RUN)))
        return;
    mo->sampler = sampler_start(
        &(struct sampler_options){.cfg = o->cfg,
                                  .m = mo->m,
                                  .open_stream = o->does & MONITOR_INGEST ? o->open_stream : NULL,
                                  .all_tables = o->does & MONITOR_RUN,
                                  .every_ms = config_int(o->cfg, CFG_SERVE_SAMPLE_EVERY)});
}

int monitor_start(const struct monitor_options *o, struct monitor **ret, struct err *e) {
    const char *listen = config_text(o->cfg, CFG_SERVE_LISTEN);
    *ret = NULL;
    if (strcmp(listen, "off") == 0)
        return 0;
    struct monitor *mo = xcalloc(1, sizeof *mo);
    mo->m = metrics_new(meters, M_N);
    mo->health = health_new(config_int(o->cfg, CFG_SERVE_STUCK_AFTER));
    add_parts(mo, o);
    int r = server_start(listen, routes, mo, &mo->server, e);
    if (r < 0) {
        monitor_free(mo);
        return r;
    }
    if (server_moved(mo->server))
        log_warn("the port is taken, another one is used", F_STR("wanted", listen),
                 F_STR("addr", server_address(mo->server)));
    log_info("serving metrics", F_STR("addr", server_address(mo->server)));
    start_sampler(mo, o);
    *ret = mo;
    return 0;
}

static void forget_rules(struct monitor *mo) {
    while (mo->n_rules > 0)
        free(mo->rules[--mo->n_rules]);
    free(TAKE_PTR(mo->rules));
}

/* The server goes first: it asks everything else. */
void monitor_free(struct monitor *mo) {
    if (!mo)
        return;
    server_free(mo->server);
    if (!sampler_stop(mo->sampler)) {
        log_warn("a look at the stream or the lake does not end; ending without it");
        return;
    }
    stream_watch_free(mo->input);
    stream_watch_free(mo->output);
    storage_watch_free(mo->bronze);
    storage_watch_free(mo->lake);
    health_free(mo->health);
    metrics_free(mo->m);
    forget_rules(mo);
    free(mo);
}

/* ---- what is watched and told ---- */

void monitor_input(struct monitor *mo, struct stream **s) {
    if (mo)
        *s = stream_watch_wrap(mo->input, *s);
}

void monitor_output(struct monitor *mo, struct stream **s) {
    if (mo)
        *s = stream_watch_wrap(mo->output, *s);
}

void monitor_bronze(struct monitor *mo, struct storage **st) {
    if (mo)
        *st = storage_watch_wrap(mo->bronze, *st);
}

void monitor_lake(struct monitor *mo, struct storage **st) {
    if (mo)
        *st = storage_watch_wrap(mo->lake, *st);
}

void monitor_ingest(struct monitor *mo, const struct ingest_result *sum) {
    if (!mo)
        return;
    const struct ingest_result *seen = &mo->seen;
    add(mo, M_INGEST_RECORDS, sum->records - seen->records);
    add(mo, M_INGEST_BYTES, sum->bytes - seen->bytes);
    add(mo, M_INGEST_EVENTS, sum->events - seen->events);
    add(mo, M_INGEST_REJECTED, sum->rejected - seen->rejected);
    add(mo, M_INGEST_COMMITS, sum->commits - seen->commits);
    add(mo, M_INGEST_FILES, sum->files - seen->files);
    add(mo, M_INGEST_CONFLICTS, sum->conflicts - seen->conflicts);
    add(mo, M_INGEST_DROPS, sum->drops - seen->drops);
    add(mo, M_INGEST_LOST, sum->lost - seen->lost);
    if (sum->commits > seen->commits) {
        metric_observe(metrics_get(mo->m, M_INGEST_BATCH, NULL, NULL),
                       (double)(sum->events - seen->events));
        metric_observe(metrics_get(mo->m, M_INGEST_COMMIT_SECONDS, NULL, NULL),
                       storage_watch_committed(mo->bronze));
        set(mo, M_INGEST_LAST_COMMIT, (double)(clock_now_us() / 1000) / 1e3);
    }
    mo->seen = *sum;
}

void monitor_run_begins(struct monitor *mo) {
    if (mo)
        health_alive(mo->run_health);
}

static void count_run(struct monitor *mo, const struct run_result *r) {
    add(mo, M_SILVER_COMMITS, r->silver.commits);
    add(mo, M_SILVER_EVENTS, r->silver.events);
    add(mo, M_SILVER_REJECTED, r->silver.rejected);
    add(mo, M_SILVER_DUPLICATES, r->silver.duplicates);
    add(mo, M_SILVER_CONFLICTS, r->silver.conflicts);
    add(mo, M_SILVER_ROWS, r->silver.rows);
    add(mo, M_SILVER_BY_INDEX, r->silver.by_index);
    if (r->silver.by_index > 0)
        set(mo, M_SILVER_INDEX_KEYS, (double)r->silver.index_keys);
    add(mo, M_GOLD_COMMITS, r->gold.commits);
    add(mo, M_GOLD_DATES, r->gold.dates);
    add(mo, M_GOLD_ROWS, r->gold.rows);
    add(mo, M_LOAD_LOADS, r->load.loads);
    add(mo, M_LOAD_DATES, r->load.dates);
    add(mo, M_LOAD_UPSERTED, r->load.upserted);
    add(mo, M_LOAD_UNCHANGED, r->load.unchanged);
    add(mo, M_LOAD_DELETED, r->load.deleted);
    add(mo, M_STEP_RETRIES, r->tries);
    metric_observe(metrics_get(mo->m, M_RUN_SECONDS, NULL, NULL), r->seconds);
}

/* Of a step that was not reached, or broke off, nothing is known: what the last one said stays. */
static void set_failed(struct monitor *mo, enum meter id, int code, int64_t failed) {
    if (code == 0 || failed > 0)
        set(mo, id, (double)failed);
}

static bool was_run(const struct check_result *r, const char *rule) {
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->v[i].name, rule) == 0)
            return r->v[i].state != CHECK_NOT_RUN;
    return false;
}

/* Those that are gone or off are not shown any more. */
static void count_checks(struct monitor *mo, const struct check_result *r) {
    for (size_t i = 0; i < mo->n_rules; i++)
        if (!was_run(r, mo->rules[i]))
            metrics_drop(mo->m, M_CHECK_FAILING, mo->rules[i], NULL);
    forget_rules(mo);
    mo->rules = xcalloc(r->n, sizeof *mo->rules);
    for (size_t i = 0; i < r->n; i++) {
        const struct check_outcome *out = &r->v[i];
        if (out->state == CHECK_NOT_RUN)
            continue;
        bool bad = out->state != CHECK_PASSED;
        metric_set(metrics_get(mo->m, M_CHECK_FAILING, out->name, NULL), bad);
        metric_add(metrics_get(mo->m, M_CHECK_FAILURES, out->name, NULL), bad);
        mo->rules[mo->n_rules++] = xstrdup(out->name);
    }
}

static void count_steps(struct monitor *mo, const struct run_result *r) {
    double now = (double)(clock_now_us() / 1000) / 1e3;
    for (size_t i = 0; i < RUN_STEPS; i++) {
        if (r->codes[i] < 0)
            metric_add(metrics_get(mo->m, M_STEP_FAILURES, run_step_names[i], NULL), 1);
        else if (r->codes[i] == 0)
            metric_set(metrics_get(mo->m, M_STEP_LAST_SUCCESS, run_step_names[i], NULL), now);
    }
    bool checked = r->codes[RUN_CHECK] == 0 || r->codes[RUN_CHECK] == ERR_CHECK;
    if (checked && r->check.n > 0) {
        count_checks(mo, &r->check);
        set(mo, M_LOAD_BLOCKED, r->check.blocking > 0);
    }
    set_failed(mo, M_GOLD_FAILED, r->codes[RUN_GOLD], r->gold.failed);
    set_failed(mo, M_LOAD_FAILED, r->codes[RUN_LOAD], r->load.failed);
    if (r->load.gold_version >= 0)
        set(mo, M_LOAD_GOLD_VERSION, (double)r->load.gold_version);
}

void monitor_run_ended(struct monitor *mo, const struct run_result *r, int code,
                       const struct err *why) {
    if (!mo)
        return;
    health_rest(mo->run_health);
    count_run(mo, r);
    if (code == ERR_STOPPED)
        return;
    metric_add(metrics_get(mo->m, M_RUNS, code < 0 ? "failed" : "ok", NULL), 1);
    count_steps(mo, r);
    if (code < 0) {
        health_not_ready(mo->run_health, why->msg);
    } else {
        storage_watch_committed(mo->lake);
        health_ready(mo->run_health);
    }
}

void monitor_step(void *arg, const char *step, int code ATTR_UNUSED, double seconds) {
    struct monitor *mo = arg;
    if (mo)
        metric_observe(metrics_get(mo->m, M_STEP_SECONDS, step, NULL), seconds);
}

void monitor_failed(struct monitor *mo, int what, const struct err *why) {
    if (mo)
        health_dead(what == MONITOR_INGEST ? mo->input_health : mo->output_health, why->msg);
}
