/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/ingest.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/progress.h"
#include "cmd/cmd.h"
#include "cmd/parts.h"
#include "serve/monitor.h"

struct ingest_opts {
    bool once, accept_loss, json;
};

static const struct opt options[] = {
    {"once", NULL, OPT_FLAG, offsetof(struct ingest_opts, once),
     "Stop when the end offsets seen at the start are reached.", 0, 0},
    {"accept-loss", NULL, OPT_FLAG, offsetof(struct ingest_opts, accept_loss),
     "Read on behind what the stream forgot before it was read; bronze notes the gap.", 0, 0},
    {"json", NULL, OPT_FLAG, offsetof(struct ingest_opts, json), "Print the result as JSON.", 0, 0},
    {0},
};

struct watchers {
    struct progress progress;
    struct monitor *monitor; /* NULL with --once */
};

static void on_commit(void *arg, const struct ingest_result *sum) {
    struct watchers *w = arg;
    progress_update(&w->progress, sum->records);
    monitor_ingest(w->monitor, sum);
}

static void print_result(const struct ingest_result *r, double seconds, bool as_json) {
    if (!as_json) {
        printf("ingest: %lld records, %lld rejected, %lld commits in %.1f s\n",
               (long long)r->records, (long long)r->rejected, (long long)r->commits, seconds);
        if (r->lost)
            printf("accepted as lost: %lld offsets\n", (long long)r->lost);
        return;
    }
    struct buf b = BUF_INIT(4096);
    struct json_out o = {.b = &b};
    json_obj(&o, NULL);
    json_put_int(&o, "records", r->records);
    json_put_int(&o, "events", r->events);
    json_put_int(&o, "rejected", r->rejected);
    json_put_int(&o, "bytes", r->bytes);
    json_put_int(&o, "commits", r->commits);
    json_put_int(&o, "files", r->files);
    json_put_int(&o, "conflicts", r->conflicts);
    json_put_int(&o, "drops", r->drops);
    json_put_int(&o, "rebalances", r->rebalances);
    json_put_int(&o, "lost", r->lost);
    json_put_double(&o, "seconds", seconds);
    json_obj_end(&o);
    puts(buf_str(&b));
    buf_release(&b);
}

static int run(struct cmd *c, struct err *e) {
    const struct ingest_opts *opts = c->opts;
    struct parts p = {0};
    struct watchers w = {0};
    int r = 0, flags = PART_STREAM | PART_LAKE | (opts->accept_loss ? PART_ACCEPT_LOSS : 0);
    if (!opts->once)
        r = monitor_start(
            &(struct monitor_options){c->cfg, "ingest", MONITOR_INGEST, parts_open_stream},
            &w.monitor, e);
    if (r == 0)
        r = parts_open(c->cfg, flags, &p, e);
    if (r < 0) {
        monitor_free(w.monitor);
        return r;
    }
    monitor_input(w.monitor, &p.s);
    monitor_bronze(w.monitor, &p.st);
    progress_start(&w.progress, "ingest", "records", 0);
    struct ingest_options o = parts_ingest_options(c->cfg);
    o.once = opts->once;
    o.on_commit = on_commit;
    o.arg = &w;
    struct ingest_result res = {0};
    int64_t start = clock_mono_ns();
    r = flow_ingest(p.s, p.st, &o, &res, e);
    progress_end(&w.progress);
    if (r == 0 || r == ERR_STOPPED)
        print_result(&res, (double)(clock_mono_ns() - start) / 1e9, opts->json);
    parts_close(&p);
    monitor_free(w.monitor);
    return r;
}

const struct command cmd_ingest = {
    .name = "ingest",
    .operands = "",
    .summary = "Stream to bronze: every record, exactly once.",
    .about = "Runs until it is stopped (SIGTERM or SIGINT finish the open batch), or with --once "
             "until what was in\n"
             "the stream at the start has been read. Rejected records are kept in bronze with the "
             "reason.\n"
             "Several may run at once: they share the partitions, and each record is committed by "
             "one of them.",
    .options = options,
    .opts_size = sizeof(struct ingest_opts),
    .run = run,
};
