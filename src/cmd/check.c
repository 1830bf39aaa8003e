/* SPDX-License-Identifier: Apache-2.0 */
/* check: runs the data quality rules by themselves and shows what they find. */
#include <limits.h>

#include "base/json.h"
#include "base/limits.h"
#include "cmd/cmd.h"
#include "cmd/out.h"
#include "cmd/parts.h"

struct check_opts {
    bool as_json;
};

static const struct opt options[] = {
    {"json", NULL, OPT_FLAG, offsetof(struct check_opts, as_json),
     "Print the result as a JSON array, with the first rows of each rule.", 0, 0},
    {0},
};

static void print_text(const struct check_result *res) {
    static const char *const names[] = {"rule", "severity", "result", "rows", "the first of them"};
    static const bool numbers[] = {false, false, false, true, false};
    struct out_table t = {0};
    if (res->n == 0) {
        puts("There is nothing in the lake yet: nothing to check.");
        return;
    }
    out_columns(&t, names, numbers, ARRAY_LEN(names));
    for (size_t i = 0; i < res->n; i++) {
        const struct check_outcome *out = &res->v[i];
        char rows[32];
        out_thousands(out->rows, rows);
        const char *cells[] = {out->name, check_severity_names[out->severity],
                               check_state_names[out->state], rows,
                               out->state == CHECK_ERROR ? out->why.msg : buf_str(&out->first)};
        out_row(&t, cells);
    }
    out_print(&t, false);
    out_release(&t);
}

static void put_rule(struct json_out *o, const struct check_outcome *out) {
    json_obj(o, NULL);
    json_put(o, "rule", out->name);
    json_put(o, "description", out->description);
    json_put(o, "severity", check_severity_names[out->severity]);
    json_put(o, "result", check_state_names[out->state]);
    json_put_int(o, "rows", out->rows);
    json_put_raw(o, "first", out->state == CHECK_FAILED ? buf_str(&out->json) : "[]");
    json_put(o, "error", out->state == CHECK_ERROR ? out->why.msg : NULL);
    json_obj_end(o);
}

static void print_json(const struct check_result *res) {
    struct buf b = BUF_INIT(256 * MIB);
    struct json_out o = {.b = &b};
    json_arr(&o, NULL);
    for (size_t i = 0; i < res->n; i++)
        put_rule(&o, &res->v[i]);
    json_arr_end(&o);
    puts(buf_str(&b));
    buf_release(&b);
}

static int run(struct cmd *c, struct err *e) {
    struct parts p;
    struct check_result res;
    int r = parts_open(c->cfg, PART_LAKE | PART_ENGINE, &p, e);
    if (r < 0)
        return r;
    struct run_options o = parts_run_options(c->cfg);
    o.check.names = c->n_args > 0 ? (const char *const *)c->args : NULL;
    o.check.n_names = (size_t)c->n_args;
    r = flow_run_check(p.st, p.en, &o, false, &res, e);
    bool done = r == 0 || r == ERR_CHECK;
    if (done && ((const struct check_opts *)c->opts)->as_json)
        print_json(&res);
    else if (done)
        print_text(&res);
    check_result_release(&res);
    parts_close(&p);
    return r;
}

const struct command cmd_check = {
    .name = "check",
    .operands = "[RULE]...",
    .summary = "Run the data quality rules; show which rows they find.",
    .about =
        "A rule is a SELECT that must give no rows: those built in, and your own, one .sql file "
        "each in\nthe folder checks (docs/checks.md). Exit code 8 if one of severity block "
        "fails or cannot be run;\nrun and load then leave the sink as it is. A check of all "
        "rules is kept for status.",
    .options = options,
    .opts_size = sizeof(struct check_opts),
    .max_args = INT_MAX,
    .run = run,
};
