/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/produce.h"

#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/parts.h"
#include "serve/monitor.h"

struct produce_opts {
    struct produce_options o; /* first: produce_defaults fills it */
    bool as_json;
};

enum { SEEDED_NOW = 1771286400 }; /* 2026-02-17T00:00:00Z, the contract's example */

#define FIELD(name) offsetof(struct produce_opts, o.name)

static const struct opt options[] = {
    {"from", "FILE|-", OPT_TEXT, FIELD(from),
     "Publish the lines of an NDJSON file as they are; - is standard input.", 0, 0},
    {"catalog", "FILE|URL", OPT_TEXT, FIELD(catalog),
     "Products of the simulated shoppers (default: built in).", 0, 0},
    {"events", "N", OPT_INT, FIELD(events),
     "How many events; 0: without end (10000; all lines of a file).", 0, INT64_MAX},
    {"rate", "R", OPT_INT, FIELD(rate), "Events a second; 0: as fast as it goes (0).", 0,
     100000000},
    {"seed", "S", OPT_INT, FIELD(seed),
     "The same seed makes the same events (another one each time).", 0, INT64_MAX},
    {"duplicates", "P", OPT_RATIO, FIELD(duplicates),
     "Share of events that are sent a second time.", 0, 0},
    {"late", "P", OPT_RATIO, FIELD(late), "Share of events that are one hour to five days late.", 0,
     0},
    {"bad", "P", OPT_RATIO, FIELD(bad), "Share of records that are malformed.", 0, 0},
    {"plain", NULL, OPT_FLAG, FIELD(plain), "Only product_id, category, price and event_ts.", 0, 0},
    {"ledger", "FILE", OPT_TEXT, FIELD(ledger),
     "Append a line of JSON for every acknowledged record.", 0, 0},
    {"now", "SECONDS", OPT_INT, FIELD(now_s),
     "Time of the last event, seconds since 1970 UTC (the clock's; 1771286400 with --seed).", 0,
     4102444800},
    {"period", "DURATION", OPT_DURATION, FIELD(period_ms),
     "Spread event_ts over this long before now (7d; 0 with --rate).", 0, INT64_MAX},
    {"ts-unit", "s|ms|us", OPT_TEXT, FIELD(ts_unit), "Unit of event_ts (s).", 0, 0},
    {"json", NULL, OPT_FLAG, offsetof(struct produce_opts, as_json), "Print the result as JSON.", 0,
     0},
    {0},
};

static void print_json(const struct produce_result *r) {
    struct buf b = BUF_INIT(4096);
    struct json_out o = {.b = &b};
    json_obj(&o, NULL);
    json_put_int(&o, "sent", r->sent);
    json_put_int(&o, "acked", r->acked);
    json_put_int(&o, "failed", r->failed);
    json_put_int(&o, "bytes", r->bytes);
    json_put_int(&o, "duplicates", r->duplicates);
    json_put_int(&o, "late", r->late);
    json_put_int(&o, "bad", r->bad);
    json_put_int(&o, "seed", r->seed);
    json_put_double(&o, "seconds", r->seconds);
    json_obj_end(&o);
    puts(buf_str(&b));
    buf_release(&b);
}

/* Without end, or for more than a minute: then it can be looked at meanwhile. */
static bool takes_long(const struct produce_options *o) {
    int64_t events = o->events < 0 && !o->from ? PRODUCE_EVENTS : o->events;
    return events == 0 || (o->rate > 0 && (events < 0 || events / o->rate >= 60));
}

static int run(struct cmd *c, struct err *e) {
    struct produce_opts *opts = c->opts;
    struct monitor *mo = NULL;
    struct stream *s;
    int r = 0;
    if (takes_long(&opts->o))
        r = monitor_start(&(struct monitor_options){c->cfg, "produce", MONITOR_PRODUCE, NULL}, &mo,
                          e);
    if (r == 0)
        r = parts_open_stream(c->cfg, &s, e);
    if (r < 0) {
        monitor_free(mo);
        return r;
    }
    monitor_output(mo, &s);
    /* The same seed makes the same events, times included, unless they happen now. */
    if (opts->o.seed >= 0 && opts->o.now_s == 0 && opts->o.rate == 0 && opts->o.events != 0)
        opts->o.now_s = SEEDED_NOW;
    struct produce_result res = {0};
    r = flow_produce(&opts->o, s, &res, e);
    if (opts->as_json && (r == 0 || r == ERR_STOPPED))
        print_json(&res);
    else if (r == 0 || r == ERR_STOPPED)
        printf("produce: %lld acknowledged in %.1f s\n", (long long)res.acked, res.seconds);
    stream_free(s);
    monitor_free(mo);
    return r;
}

const struct command cmd_produce = {
    .name = "produce",
    .operands = "",
    .summary = "Publish records: a file's lines, or the clicks of simulated shoppers.",
    .about =
        "Shoppers come in sessions, browse, fill carts and buy, over the FakeStore catalog. The "
        "ledger gets one line\n"
        "{\"topic\":…,\"partition\":…,\"offset\":…,\"event_id\":…} after each acknowledgement.",
    .options = options,
    .opts_size = sizeof(struct produce_opts),
    .defaults = produce_defaults,
    .run = run,
};
