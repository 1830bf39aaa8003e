/* SPDX-License-Identifier: Apache-2.0 */
/* conflicts: the events that silver left out because another one had their key (sql/lake/conflicts.sql). */
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/out.h"
#include "cmd/parts.h"
#include "engine/models.h"
#include "flow/lake.h"

struct conflicts_opts {
    bool as_json;
    int64_t limit;
};

static const struct opt options[] = {
    {"json", NULL, OPT_FLAG, offsetof(struct conflicts_opts, as_json),
     "Print them as a JSON array, with all that was compared.", 0, 0},
    {"limit", "N", OPT_INT, offsetof(struct conflicts_opts, limit),
     "At most so many (1000), in the order in which they came.", 1, 1000000},
    {0},
};

static void defaults(void *opts) {
    ((struct conflicts_opts *)opts)->limit = 1000;
}

/* What the terminal shows: the keys, both positions, what differs. The contents are for JSON. */
enum { SHORT = 4 };

struct listing {
    const struct conflicts_opts *o;
    struct out_table t;
    int64_t rows;
};

static int take_header(void *arg, const char *const *names, const char *const *types, size_t n,
                       struct err *e ATTR_UNUSED) {
    struct listing *ls = arg;
    out_columns_typed(&ls->t, names, types, ls->o->as_json ? n : SHORT);
    return 0;
}

static int take_row(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                    struct err *e ATTR_UNUSED) {
    struct listing *ls = arg;
    if (ls->rows++ < ls->o->limit)
        out_row(&ls->t, values);
    return 0;
}

static int run(struct cmd *c, struct err *e) {
    struct parts p;
    struct lake l;
    struct listing ls = {.o = c->opts};
    int r = parts_open(c->cfg, PART_LAKE | PART_ENGINE, &p, e);
    if (r < 0)
        return r;
    r = lake_open(&l, p.st, p.en, config_text(c->cfg, CFG_MODELS_DIR), e);
    if (r == 0) {
        const struct engine_rows rows = {.header = take_header, .row = take_row, .arg = &ls};
        _cleanup_(freep) char *sql = xasprintf(
            "%s LIMIT %lld", model_text("sql/lake/conflicts.sql"), (long long)ls.o->limit + 1);
        r = lake_query(&l, sql, false, &rows, e);
        lake_close(&l);
    }
    if (r == 0)
        out_print(&ls.t, ls.o->as_json);
    bool more = r == 0 && ls.rows > ls.o->limit;
    if (more && ls.o->as_json)
        log_warn("there are more conflicts: --limit shows them", F_INT("shown", ls.o->limit));
    else if (more)
        printf("There are more: --limit shows them.\n");
    out_release(&ls.t);
    parts_close(&p);
    return r;
}

const struct command cmd_conflicts = {
    .name = "conflicts",
    .operands = "",
    .summary = "List the events that came again under the same key with another content.",
    .about = "Silver keeps the first one of a key. For each of the others: where both are (topic,\n"
             "partition, offset, index) and what differs; with --json the contents, too.",
    .options = options,
    .opts_size = sizeof(struct conflicts_opts),
    .defaults = defaults,
    .run = run,
};
