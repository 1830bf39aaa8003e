/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cmd.h"
#include "cmd/out.h"
#include "cmd/parts.h"
#include "flow/lake.h"

struct sql_opts {
    bool json;
};

static const struct opt options[] = {
    {"json", NULL, OPT_FLAG, offsetof(struct sql_opts, json), "Print the rows as a JSON array.", 0,
     0},
    {0},
};

static int take_header(void *arg, const char *const *names, const char *const *types, size_t n,
                       struct err *e ATTR_UNUSED) {
    out_columns_typed(arg, names, types, n);
    return 0;
}

static int take_row(void *arg, const char *const *values, size_t n, struct err *e) {
    (void)n;
    (void)e;
    out_row(arg, values);
    return 0;
}

static int run(struct cmd *c, struct err *e) {
    struct parts p;
    int r = parts_open(c->cfg, PART_LAKE | PART_ENGINE, &p, e);
    if (r < 0)
        return r;
    struct lake l;
    struct out_table t = {0};
    r = lake_open(&l, p.st, p.en, config_text(c->cfg, CFG_MODELS_DIR), e);
    if (r == 0) {
        const struct engine_rows rows = {.header = take_header, .row = take_row, .arg = &t};
        r = lake_query(&l, c->args[0], true, &rows, e);
        lake_close(&l);
    }
    if (r == 0)
        out_print(&t, ((const struct sql_opts *)c->opts)->json);
    out_release(&t);
    parts_close(&p);
    return r;
}

const struct command cmd_sql = {
    .name = "sql",
    .operands = "QUERY",
    .summary = "Ask the tables: bronze.events, silver.events, gold.clickstream_metrics and the "
               "other models'.",
    .about = "The query may read the tables and nothing else on this machine.",
    .options = options,
    .opts_size = sizeof(struct sql_opts),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
