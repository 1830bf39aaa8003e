/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/reconcile.h"

#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/parts.h"

struct reconcile_opts {
    bool json;
};

static const struct opt options[] = {
    {"json", NULL, OPT_FLAG, offsetof(struct reconcile_opts, json), "Print the result as JSON.", 0,
     0},
    {0},
};

static void print_json(const struct reconcile_result *r) {
    struct buf b = BUF_INIT(16 << 20);
    struct json_out o = {.b = &b};
    json_obj(&o, NULL);
    json_put_bool(&o, "ok", r->ok);
    json_put_int(&o, "pending_bronze_rows", r->pending_bronze);
    json_put_int(&o, "pending_dates", r->pending_dates);
    json_arr(&o, "checks");
    for (size_t i = 0; i < r->n; i++) {
        json_obj(&o, NULL);
        json_put(&o, "name", r->v[i].name);
        json_put_bool(&o, "ok", r->v[i].ok);
        json_put(&o, "detail", r->v[i].detail);
        json_put(&o, "first", r->v[i].first);
        json_put(&o, "hint", r->v[i].hint);
        json_obj_end(&o);
    }
    json_arr_end(&o);
    json_obj_end(&o);
    puts(buf_str(&b));
    buf_release(&b);
}

static void print_text(const struct reconcile_result *r) {
    for (size_t i = 0; i < r->n; i++)
        printf("%-6s %-18s %s\n", r->v[i].ok ? "ok" : "DIFFER", r->v[i].name, r->v[i].detail);
    if (r->pending_bronze || r->pending_dates)
        printf("pending: %lld bronze rows for silver, %lld days for gold\n",
               (long long)r->pending_bronze, (long long)r->pending_dates);
    puts(r->ok ? "reconciled: nothing lost, nothing twice" : "NOT reconciled");
}

static int run(struct cmd *c, struct err *e) {
    struct parts p;
    int r = parts_open(c->cfg, PART_LAKE | PART_ENGINE | PART_SINK_READ, &p, e);
    if (r < 0)
        return r;
    struct reconcile_result res = {0};
    r = flow_reconcile(p.st, p.en, p.sk, config_text(c->cfg, CFG_MODELS_DIR), &res, e);
    parts_close(&p);
    if (r < 0)
        return r;
    if (((const struct reconcile_opts *)c->opts)->json)
        print_json(&res);
    else
        print_text(&res);
    for (size_t i = 0; r == 0 && i < res.n; i++)
        if (!res.v[i].ok) {
            err_set(e, ERR_CHECK, "reconcile: %s: %s", res.v[i].name, res.v[i].detail);
            r = err_hint(e, "%s", res.v[i].hint);
        }
    reconcile_result_release(&res);
    return r;
}

const struct command cmd_reconcile = {
    .name = "reconcile",
    .operands = "",
    .summary = "Prove that nothing was lost or doubled, from stream to sink.",
    .about = "Compares the counters of every commit with the rows that are there. What a later "
             "step has still to take\n"
             "in is shown as pending. Exit code 8 when something differs: a log that was cut, a "
             "file that is gone or there\n"
             "twice, a row that somebody edited; with the first position, day and category, and "
             "what to do about it.",
    .options = options,
    .opts_size = sizeof(struct reconcile_opts),
    .run = run,
};
