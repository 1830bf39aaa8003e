/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up: everything in one process for one machine. Threads: the demo's shoppers (--demo), ingest, and
 * the caller's, which runs silver, gold, check and load every up.every and prints where things stand.
 * Each opens its own parts; they share nothing but the stop flag and the counts below.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/parts.h"
#include "cmd/up_table.h"
#include "flow/produce.h"
#include "serve/monitor.h"

struct up_opts {
    bool demo, accept_loss;
    int64_t rate;
};

static void defaults(void *opts) {
    ((struct up_opts *)opts)->rate = 200;
}

static const struct opt options[] = {
    {"demo", NULL, OPT_FLAG, offsetof(struct up_opts, demo),
     "Also simulate shoppers, as produce does.", 0, 0},
    {"rate", "N", OPT_INT, offsetof(struct up_opts, rate),
     "Events a second of the simulated shoppers (200).", 1, 1000000},
    {"accept-loss", NULL, OPT_FLAG, offsetof(struct up_opts, accept_loss),
     "Read on behind what the stream forgot before it was read; bronze notes the gap.", 0, 0},
    {0},
};

/* One of the other threads: ends when a stop is asked for, or fails and asks for it. */
struct worker {
    const char *name;
    int does; /* MONITOR_… */
    struct monitor *monitor;
    const struct config *cfg;
    bool accept_loss;
    int64_t rate;
    atomic_llong count; /* records ingested */
    int code;
    struct err e;
};

static void *worker_end(struct worker *w, int r) {
    if (r < 0 && r != ERR_STOPPED) {
        w->code = r;
        log_err(LOG_ERROR, w->name, &w->e);
        monitor_failed(w->monitor, w->does, &w->e);
        stop_request();
    }
    return NULL;
}

static void on_commit(void *arg, const struct ingest_result *sum) {
    struct worker *w = arg;
    atomic_store(&w->count, sum->records);
    monitor_ingest(w->monitor, sum);
}

static void *ingest_thread(void *arg) {
    struct worker *w = arg;
    struct parts p;
    int flags = PART_STREAM | PART_LAKE | (w->accept_loss ? PART_ACCEPT_LOSS : 0);
    int r = parts_open(w->cfg, flags, &p, &w->e);
    if (r < 0)
        return worker_end(w, r);
    monitor_input(w->monitor, &p.s);
    monitor_bronze(w->monitor, &p.st);
    struct ingest_options o = parts_ingest_options(w->cfg);
    o.on_commit = on_commit;
    o.arg = w;
    struct ingest_result res;
    r = flow_ingest(p.s, p.st, &o, &res, &w->e);
    parts_close(&p);
    return worker_end(w, r);
}

static void *demo_thread(void *arg) {
    struct worker *w = arg;
    struct stream *s;
    int r = parts_open_stream(w->cfg, &s, &w->e);
    if (r < 0)
        return worker_end(w, r);
    monitor_output(w->monitor, &s);
    struct produce_options o;
    produce_defaults(&o);
    o.events = 0; /* without end */
    o.rate = w->rate;
    o.quiet = true; /* the screen is up's */
    struct produce_result res;
    r = flow_produce(&o, s, &res, &w->e);
    stream_free(s);
    return worker_end(w, r);
}

/* From one round to the next. */
struct memory {
    int64_t upkept_ns;
    struct err
        alone; /* of models or tables that failed alone, and of rules that block, as last told */
};

/* A rule that still blocks may find other rows each time. */
static bool still_blocks(const struct memory *mem, int r, const struct check_result *checks) {
    bool same = r == ERR_CHECK && mem->alone.code == ERR_CHECK;
    for (size_t i = 0; i < checks->n; i++)
        same = same && !checks->v[i].is_new;
    return same;
}

/* What failed alone stops nothing. It is told once, and again when it has become something else. */
static int tell_alone(struct memory *mem, int r, const struct check_result *checks, struct err *e) {
    if (r < 0 && strcmp(mem->alone.msg, e->msg) != 0 && !still_blocks(mem, r, checks))
        log_err(LOG_ERROR, "a part of the round failed, the rest is done", e);
    err_clear(&mem->alone);
    if (r < 0)
        mem->alone = *e;
    err_clear(e);
    return 0;
}

/* One round of silver, gold, check and load. What can pass is reported and tried again in the next round. */
static int round_once(struct cmd *c, struct parts *p, struct monitor *mo, struct up_view *v,
                      struct memory *mem, struct err *e) {
    struct run_options o = parts_run_options(c->cfg);
    struct upkeep_options upkeep = parts_upkeep_options(c->cfg);
    struct run_result res;
    o.upkeep = parts_upkeep_due(c->cfg, &mem->upkept_ns) ? &upkeep : NULL;
    o.on_step = monitor_step;
    o.arg = mo;
    o.new_warnings_only = true;
    monitor_run_begins(mo);
    int r = flow_run(p->st, p->en, &o, &res, e);
    monitor_run_ended(mo, &res, r, e);
    if (res.complete)
        r = tell_alone(mem, r, &res.check, e);
    run_result_release(&res);
    if (r == 0)
        r = up_show(v, c->cfg, p, e);
    if (r == 0 || !e->retry)
        return r;
    log_err(LOG_WARN, "round failed", e);
    return 0;
}

static int rounds(struct cmd *c, struct parts *p, const struct worker *ingest, struct err *e) {
    struct up_view v = {.terminal = isatty(STDOUT_FILENO), .gold_version = -1};
    int64_t start = clock_mono_ns();
    struct memory mem = {.upkept_ns = start};
    int r = 0;
    for (bool last = false; r == 0 && !last;) {
        last = stop_wait((int)config_int(c->cfg, CFG_UP_EVERY));
        if (last)
            break;
        v.ingested = atomic_load(&ingest->count);
        v.seconds = (double)(clock_mono_ns() - start) / 1e9;
        r = round_once(c, p, ingest->monitor, &v, &mem, e);
    }
    return r == ERR_STOPPED ? 0 : r;
}

static int run(struct cmd *c, struct err *e) {
    const struct up_opts *opts = c->opts;
    struct monitor *mo;
    int does = MONITOR_INGEST | MONITOR_RUN | (opts->demo ? MONITOR_PRODUCE : 0);
    int r = monitor_start(&(struct monitor_options){c->cfg, "up", does, parts_open_stream}, &mo, e);
    if (r < 0)
        return r;
    struct worker demo = {"produce", MONITOR_PRODUCE, mo, .cfg = c->cfg, .rate = opts->rate},
                  ingest = {"ingest", MONITOR_INGEST, mo, .cfg = c->cfg,
                            .accept_loss = opts->accept_loss};
    struct parts p;
    r = parts_open(c->cfg, PART_STREAM | PART_LAKE | PART_ENGINE | PART_SINK, &p, e);
    if (r < 0) {
        monitor_free(mo);
        return r;
    }
    monitor_lake(mo, &p.st);
    pthread_t threads[2];
    int n = 0;
    if (opts->demo)
        pthread_create(&threads[n++], NULL, demo_thread, &demo);
    pthread_create(&threads[n++], NULL, ingest_thread, &ingest);
    r = rounds(c, &p, &ingest, e);
    stop_request();
    while (n > 0)
        pthread_join(threads[--n], NULL);
    parts_close(&p);
    monitor_free(mo);
    for (struct worker *w = &demo; r == 0 && w; w = w == &demo ? &ingest : NULL)
        if (w->code < 0) {
            *e = w->e;
            r = err_wrap(e, "%s", w->name);
        }
    return r;
}

const struct command cmd_up = {
    .name = "up",
    .operands = "",
    .summary = "Everything in one process: ingest, then silver, gold and load every few seconds.",
    .about = "Prints where the layers stand and the newest metrics. SIGTERM or SIGINT finish the "
             "open batch and end it.",
    .options = options,
    .opts_size = sizeof(struct up_opts),
    .defaults = defaults,
    .run = run,
};
