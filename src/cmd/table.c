/* SPDX-License-Identifier: Apache-2.0 */
/* table list; table history|files|checkpoint NAME. */
#include "table/table.h"

#include "base/clock.h"
#include "cmd/cmd.h"
#include "cmd/out.h"
#include "cmd/parts.h"

struct table_opts {
    bool as_json;
};

static const struct opt options[] = {
    {"json", NULL, OPT_FLAG, offsetof(struct table_opts, as_json), "Print the result as JSON.", 0,
     0},
    {0},
};

static void number_text(int64_t v, char out[32]) {
    snprintf(out, 32, "%lld", (long long)v);
}

static int list_tables(struct storage *st, bool as_json, struct err *e) {
    static const char *const names[] = {"table", "version", "files", "rows", "bytes", "id"};
    static const bool numbers[] = {false, true, true, true, true, false};
    struct out_table t = {0};
    out_columns(&t, names, numbers, ARRAY_LEN(names));
    int r = 0;
    for (const struct table_def *const *def = all_tables; r == 0 && *def; def++) {
        struct table *tb;
        r = table_open(st, *def, &tb, e);
        if (r < 0)
            break;
        const struct table_files *live = table_live(tb);
        int64_t rows = 0, bytes = 0;
        for (size_t i = 0; i < live->n; i++) {
            rows += MAX(live->v[i].rows, 0);
            bytes += live->v[i].size;
        }
        char v[4][32];
        number_text(table_version(tb), v[0]);
        number_text((int64_t)live->n, v[1]);
        number_text(rows, v[2]);
        number_text(bytes, v[3]);
        const char *row[] = {(*def)->view, v[0], v[1], v[2], v[3], table_id(tb)};
        out_row(&t, row);
        table_close(tb);
    }
    if (r == 0)
        out_print(&t, as_json);
    out_release(&t);
    return r;
}

static int show_entry(void *arg, const struct table_entry *en, struct err *e) {
    (void)e;
    char version[32], added[32], removed[32], at[TIME_TEXT] = "";
    number_text(en->version, version);
    number_text((int64_t)en->add.n, added);
    number_text((int64_t)en->remove.n, removed);
    if (en->timestamp_ms)
        time_format_ms(en->timestamp_ms * 1000, at);
    struct buf metrics = BUF_INIT(64 * KIB);
    for (size_t i = 0; i < en->n_metrics; i++)
        buf_addf(&metrics, "%s%s=%s", i ? " " : "", en->metrics[i].name, en->metrics[i].value);
    const char *row[] = {version, at, en->operation, added, removed, buf_str(&metrics)};
    out_row(arg, row);
    buf_release(&metrics);
    return 0;
}

static int show_history(struct table *tb, struct out_table *t, struct err *e) {
    static const char *const names[] = {"version", "time",    "operation",
                                        "added",   "removed", "metrics"};
    static const bool numbers[] = {true, false, false, true, true, false};
    out_columns(t, names, numbers, ARRAY_LEN(names));
    return table_version(tb) < 0 ? 0
                                 : table_each_entry(tb, -1, table_version(tb), show_entry, t, e);
}

static int show_files(struct table *tb, struct out_table *t) {
    static const char *const names[] = {"path", "partition", "rows", "bytes"};
    static const bool numbers[] = {false, false, true, true};
    out_columns(t, names, numbers, ARRAY_LEN(names));
    const struct table_files *live = table_live(tb);
    for (size_t i = 0; i < live->n; i++) {
        char rows[32], bytes[32];
        number_text(live->v[i].rows, rows);
        number_text(live->v[i].size, bytes);
        const char *row[] = {live->v[i].path, live->v[i].partition, rows, bytes};
        out_row(t, row);
    }
    return 0;
}

static int make_checkpoint(struct table *tb, struct out_table *t, struct err *e) {
    static const char *const names[] = {"table", "checkpoint"};
    static const bool numbers[] = {false, true};
    int r = table_checkpoint(tb, e);
    if (r < 0)
        return r;
    char version[32];
    number_text(table_version(tb), version);
    out_columns(t, names, numbers, ARRAY_LEN(names));
    const char *row[] = {table_definition(tb)->view, version};
    if (table_version(tb) >= 0)
        out_row(t, row);
    return 0;
}

static bool is_word(const struct cmd *c, const char *word) {
    return strcmp(c->args[0], word) == 0;
}

/* Which table the other words speak of; NULL for list. */
static int find_table(const struct cmd *c, const struct table_def **ret, struct err *e) {
    *ret = NULL;
    if (is_word(c, "list"))
        return c->n_args == 1 ? 0 : err_set(e, ERR_USAGE, "table list: expected no further words");
    if (!is_word(c, "history") && !is_word(c, "files") && !is_word(c, "checkpoint"))
        return err_set(e, ERR_USAGE, "table: expected list, history, files or checkpoint, not '%s'",
                       c->args[0]);
    if (c->n_args < 2)
        return err_set(e, ERR_USAGE, "table %s: which table? silver.events, for one", c->args[0]);
    *ret = table_def_find(c->args[1]);
    if (*ret)
        return 0;
    err_set(e, ERR_USAGE, "table %s: there is no table '%s'", c->args[0], c->args[1]);
    return err_hint(e, "clickmill table list");
}

static int show_table(const struct cmd *c, struct storage *st, const struct table_def *def,
                      bool as_json, struct err *e) {
    struct table *tb;
    int r = table_open(st, def, &tb, e);
    if (r < 0)
        return r;
    struct out_table t = {0};
    r = is_word(c, "history")      ? show_history(tb, &t, e)
        : is_word(c, "checkpoint") ? make_checkpoint(tb, &t, e)
                                   : show_files(tb, &t);
    if (r == 0)
        out_print(&t, as_json);
    out_release(&t);
    table_close(tb);
    return r;
}

static int run(struct cmd *c, struct err *e) {
    bool as_json = ((const struct table_opts *)c->opts)->as_json;
    const struct table_def *def;
    struct parts p;
    int r = find_table(c, &def, e);
    if (r == 0)
        r = parts_open(c->cfg, PART_LAKE, &p, e);
    if (r < 0)
        return r;
    r = def ? show_table(c, p.st, def, as_json, e) : list_tables(p.st, as_json, e);
    parts_close(&p);
    return r;
}

const struct command cmd_table = {
    .name = "table",
    .operands = "list|history|files|checkpoint [NAME]",
    .summary = "Look after one table: its commits, its files, a checkpoint of its log.",
    .options = options,
    .opts_size = sizeof(struct table_opts),
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
