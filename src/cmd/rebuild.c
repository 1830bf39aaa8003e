/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/rebuild.h"

#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/parts.h"

struct rebuild_opts {
    const char *layer, *from, *to;
    bool force, json;
};

static const struct opt options[] = {
    {"layer", "silver|gold", OPT_TEXT, offsetof(struct rebuild_opts, layer),
     "The layer to make anew, with what is made from it.", 0, 0},
    {"from", "DAY", OPT_TEXT, offsetof(struct rebuild_opts, from),
     "The first event_date, as 2026-11-22 (default: the first there is).", 0, 0},
    {"to", "DAY", OPT_TEXT, offsetof(struct rebuild_opts, to),
     "The last one (default: the last there is).", 0, 0},
    {"force", NULL, OPT_FLAG, offsetof(struct rebuild_opts, force),
     "Silver: also where bronze holds less than silver was made of, which is then lost.", 0, 0},
    {"json", NULL, OPT_FLAG, offsetof(struct rebuild_opts, json), "Print the result as JSON.", 0,
     0},
    {0},
};

static int check_opts(const struct rebuild_opts *o, struct err *e) {
    if (!o->layer)
        return err_set(e, ERR_USAGE, "rebuild: --layer silver or --layer gold");
    bool silver = strcmp(o->layer, "silver") == 0;
    if (!silver && strcmp(o->layer, "gold") != 0) {
        err_set(e, ERR_USAGE, "rebuild: --layer is silver or gold, not '%s'", o->layer);
        return err_hint(e, "bronze is made from the stream alone: by ingest");
    }
    int32_t from, to;
    if (cmd_days("rebuild", o->from, o->to, &from, &to, e) < 0)
        return e->code;
    if (o->force && !silver)
        return err_set(e, ERR_USAGE, "rebuild: --force is an option of --layer silver");
    return 0;
}

static void put_json(const struct rebuild_opts *opts, const struct rebuild_result *r,
                     struct json_out *o) {
    json_obj(o, NULL);
    json_put(o, "layer", opts->layer);
    json_put(o, "from", opts->from);
    json_put(o, "to", opts->to);
    if (strcmp(opts->layer, "silver") == 0) {
        json_obj(o, "silver");
        json_put_int(o, "dates", r->dates);
        json_put_int(o, "rows_before", r->rows_before);
        json_put_int(o, "rows", r->rows_after);
        json_put_int(o, "events", r->events);
        json_put_int(o, "rejected", r->rejected);
        json_put_int(o, "duplicates", r->duplicates);
        json_put_int(o, "conflicts", r->conflicts);
        json_put_int(o, "tries", r->tries);
        json_obj_end(o);
    }
    json_obj(o, "gold");
    json_put_int(o, "dates", r->gold.dates);
    json_put_int(o, "rows_before", r->gold.rows_before);
    json_put_int(o, "rows", r->gold.rows);
    json_put_int(o, "failed", r->gold.failed);
    json_obj_end(o);
    json_obj(o, "load");
    json_put_int(o, "dates", r->load.dates);
    json_put_int(o, "upserted", r->load.upserted);
    json_put_int(o, "unchanged", r->load.unchanged);
    json_put_int(o, "deleted", r->load.deleted);
    json_put_int(o, "failed", r->load.failed);
    json_obj_end(o);
    json_obj_end(o);
}

static void print_text(const struct rebuild_opts *opts, const struct rebuild_result *r) {
    if (strcmp(opts->layer, "silver") == 0)
        printf("silver: dates %lld, rows before %lld, rows %lld; read: events %lld, rejected %lld, "
               "duplicates %lld, conflicts %lld\n",
               (long long)r->dates, (long long)r->rows_before, (long long)r->rows_after,
               (long long)r->events, (long long)r->rejected, (long long)r->duplicates,
               (long long)r->conflicts);
    printf("gold: dates %lld, rows before %lld, rows %lld\n", (long long)r->gold.dates,
           (long long)r->gold.rows_before, (long long)r->gold.rows);
    printf("load: dates %lld, upserted %lld, unchanged %lld, deleted %lld\n",
           (long long)r->load.dates, (long long)r->load.upserted, (long long)r->load.unchanged,
           (long long)r->load.deleted);
}

static void print(const struct rebuild_opts *opts, const struct rebuild_result *r) {
    if (!opts->json) {
        print_text(opts, r);
        return;
    }
    struct buf b = BUF_INIT(4096);
    struct json_out o = {.b = &b};
    put_json(opts, r, &o);
    puts(buf_str(&b));
    buf_release(&b);
}

static int run(struct cmd *c, struct err *e) {
    const struct rebuild_opts *opts = c->opts;
    struct parts p;
    int r = check_opts(opts, e);
    if (r == 0)
        r = parts_open(c->cfg, PART_LAKE | PART_ENGINE, &p, e);
    if (r < 0)
        return r;
    struct run_options run = parts_run_options(c->cfg);
    const struct rebuild_options o = {.silver = strcmp(opts->layer, "silver") == 0,
                                      .range = {opts->from, opts->to},
                                      .force = opts->force,
                                      .run = &run};
    struct rebuild_result res = {0};
    r = flow_rebuild(p.st, p.en, &o, &res, e);
    if (r == 0 || res.gold.failed > 0 || res.load.failed > 0 ||
        (r == ERR_CHECK && res.gold.silver_version >= 0)) /* a rule blocks the load */
        print(opts, &res);
    parts_close(&p);
    return r;
}

const struct command cmd_rebuild = {
    .name = "rebuild",
    .operands = "",
    .summary = "Make silver or gold anew from the layer below, while ingest goes on.",
    .about =
        "What stands above follows: silver, then the days of gold it touched, then the sink. One "
        "commit a\n"
        "table puts the new rows in the place of the old: readers see the one or the other, and "
        "a second\n"
        "rebuild gives the same rows. Exit code 8 where bronze does not hold any more what silver "
        "was made of.",
    .options = options,
    .opts_size = sizeof(struct rebuild_opts),
    .run = run,
};
