/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up: everything in one process for one machine. Threads: the demo's shoppers (--demo), ingest, and
 * the caller's, which runs silver, gold and load every up.every and prints where things stand.
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

struct up_opts {
    bool demo;
    int64_t rate;
};

static void defaults(void *opts) {
    ((struct up_opts *)opts)->rate = 200;
}

static const struct opt options[] = {
    {"demo", NULL, OPT_FLAG, offsetof(struct up_opts, demo), "Also simulate shoppers, as produce does.", 0, 0},
    {"rate", "N", OPT_INT, offsetof(struct up_opts, rate), "Events a second of the simulated shoppers (200).", 1, 1000000},
    {0},
};

/* One of the other threads: ends when a stop is asked for, or fails and asks for it. */
struct worker {
    const char *name;
    const struct config *cfg;
    int64_t rate;
    atomic_llong count; /* events sent, records ingested */
    int code;
    struct err e;
};

static void *worker_end(struct worker *w, int r) {
    if (r < 0 && r != ERR_STOPPED) {
        w->code = r;
        log_err(LOG_ERROR, w->name, &w->e);
        stop_request();
    }
    return NULL;
}

static void on_commit(void *arg, const struct ingest_result *sum) {
    atomic_store(&((struct worker *)arg)->count, sum->records);
}

static void *ingest_thread(void *arg) {
    struct worker *w = arg;
    struct parts p;
    int r = parts_open(w->cfg, PART_STREAM | PART_LAKE, &p, &w->e);
    if (r < 0)
        return worker_end(w, r);
    struct ingest_options o = parts_ingest_options(w->cfg);
    o.on_commit = on_commit;
    o.arg = w;
    struct ingest_result res;
    r = flow_ingest(p.s, p.st, &o, &res, &w->e);
    parts_close(&p);
    return worker_end(w, r);
}
