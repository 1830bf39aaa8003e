/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silver, gold and load: one step once. Nothing to do, or nothing there yet, is success. What a
 * data check blocks is not loaded by load either.
 */
#include "base/clock.h"
#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/parts.h"

struct step_opts {
    bool json, unchecked; /* unchecked: load's */
    const char *model;    /* gold's */
};

static const struct opt options[] = {
    {"json", NULL, OPT_FLAG, offsetof(struct step_opts, json), "Print the result as JSON.", 0, 0},
    {0},
};

static const struct opt gold_options[] = {
    {"json", NULL, OPT_FLAG, offsetof(struct step_opts, json), "Print the result as JSON.", 0, 0},
    {"model", "NAME", OPT_TEXT, offsetof(struct step_opts, model), "Make this model's table only.",
     0, 0},
    {0},
};

static const struct opt load_options[] = {
    {"json", NULL, OPT_FLAG, offsetof(struct step_opts, json), "Print the result as JSON.", 0, 0},
    {"unchecked", NULL, OPT_FLAG, offsetof(struct step_opts, unchecked),
     "Load without asking the data quality rules.", 0, 0},
    {0},
};

struct number {
    const char *name;
    int64_t value;
};

/* began: clock_mono_ns() before the step. */
static void print_numbers(const char *step, const struct number *v, size_t n, int64_t began,
                          bool as_json) {
    int64_t ms = (clock_mono_ns() - began) / 1000000;
    struct buf b = BUF_INIT(4096);
    struct json_out o = {.b = &b};
    if (as_json)
        json_obj(&o, NULL);
    else
        buf_addf(&b, "%s:", step);
    for (size_t i = 0; i < n; i++)
        if (as_json)
            json_put_int(&o, v[i].name, v[i].value);
        else
            buf_addf(&b, "%s %s %lld", i ? "," : "", v[i].name, (long long)v[i].value);
    if (as_json) {
        json_put_int(&o, "ms", ms);
        json_obj_end(&o);
    } else {
        buf_addf(&b, " in %.2f s", (double)ms / 1000);
    }
    puts(buf_str(&b));
    buf_release(&b);
}

static int run_silver(struct cmd *c, struct err *e) {
    struct parts p;
    int r = parts_open(c->cfg, PART_LAKE | PART_ENGINE, &p, e);
    if (r < 0)
        return r;
    struct silver_result s = {0};
    const struct silver_options o = parts_silver_options(c->cfg);
    int64_t began = clock_mono_ns();
    r = flow_silver(p.st, p.en, &o, &s, e);
    const struct number v[] = {{"commits", s.commits},     {"events", s.events},
                               {"rejected", s.rejected},   {"duplicates", s.duplicates},
                               {"conflicts", s.conflicts}, {"rows", s.rows}};
    if (r == 0)
        print_numbers("silver", v, ARRAY_LEN(v), began, ((const struct step_opts *)c->opts)->json);
    parts_close(&p);
    return r;
}

static int run_gold(struct cmd *c, struct err *e) {
    struct parts p;
    int r = parts_open(c->cfg, PART_LAKE | PART_ENGINE, &p, e);
    if (r < 0)
        return r;
    struct gold_result g = {0};
    const struct gold_options o = {.models_dir = config_text(c->cfg, CFG_MODELS_DIR),
                                   .checkpoint_interval =
                                       config_int(c->cfg, CFG_TABLE_CHECKPOINT_INTERVAL),
                                   .model = ((const struct step_opts *)c->opts)->model};
    int64_t began = clock_mono_ns();
    r = flow_gold(p.st, p.en, &o, &g, e);
    const struct number v[] = {
        {"commits", g.commits}, {"dates", g.dates}, {"rows", g.rows}, {"failed", g.failed}};
    if (r == 0 || g.failed > 0)
        print_numbers("gold", v, ARRAY_LEN(v), began, ((const struct step_opts *)c->opts)->json);
    parts_close(&p);
    return r;
}

static int run_load(struct cmd *c, struct err *e) {
    struct parts p;
    int r = parts_open(c->cfg, PART_LAKE | PART_ENGINE, &p, e);
    if (r < 0)
        return r;
    struct load_result l = {0};
    struct run_options o = parts_run_options(c->cfg);
    int64_t began = clock_mono_ns();
    r = ((const struct step_opts *)c->opts)->unchecked ? flow_run_load(p.st, p.en, &o, NULL, &l, e)
                                                       : flow_run_check_load(p.st, p.en, &o, &l, e);
    const struct number v[] = {{"loads", l.loads},         {"dates", l.dates},
                               {"rows", l.rows},           {"upserted", l.upserted},
                               {"unchanged", l.unchanged}, {"deleted", l.deleted},
                               {"failed", l.failed}};
    if (r == 0 || l.failed > 0)
        print_numbers("load", v, ARRAY_LEN(v), began, ((const struct step_opts *)c->opts)->json);
    parts_close(&p);
    return r;
}

const struct command cmd_silver = {
    .name = "silver",
    .operands = "",
    .summary = "Bronze to silver: clean, each event once.",
    .options = options,
    .opts_size = sizeof(struct step_opts),
    .run = run_silver,
};

const struct command cmd_gold = {
    .name = "gold",
    .operands = "",
    .summary = "Silver to gold: the metrics of the days that changed.",
    .options = gold_options,
    .opts_size = sizeof(struct step_opts),
    .run = run_gold,
};

const struct command cmd_load = {
    .name = "load",
    .operands = "",
    .summary = "Gold to the sink: the days that changed, in one transaction.",
    .about = "Nothing is loaded where a data quality rule of severity block fails (see check): the "
             "sink keeps\nits numbers, and the next load brings all that waits.",
    .options = load_options,
    .opts_size = sizeof(struct step_opts),
    .run = run_load,
};
