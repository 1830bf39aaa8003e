/* SPDX-License-Identifier: Apache-2.0 */
/* table list; table WORD NAME: what there is. What changes something is in table_upkeep.c. */
#include "base/clock.h"
#include "base/log.h"
#include "cmd/table_job.h"

static const struct opt options[] = {
    {"json", NULL, OPT_FLAG, offsetof(struct table_opts, as_json), "Print the result as JSON.", 0,
     0},
    {"deep", NULL, OPT_FLAG, offsetof(struct table_opts, deep),
     "verify: read all rows and hold them against the statistics.", 0, 0},
    {"dry-run", NULL, OPT_FLAG, offsetof(struct table_opts, dry_run),
     "vacuum: only list the files.", 0, 0},
    {"retention", "DURATION", OPT_DURATION, offsetof(struct table_opts, retention_ms),
     "vacuum: instead of table.vacuum_retention.", 0, INT64_MAX},
    {"force", NULL, OPT_FLAG, offsetof(struct table_opts, force),
     "vacuum: also with a shorter retention than the table's.", 0, 0},
    {0},
};

static void defaults(void *opts) {
    ((struct table_opts *)opts)->retention_ms = -1;
}

static int list_table(struct storage *st, const struct table_def *def, struct out_table *t,
                      struct err *e) {
    struct table *tb;
    int r = table_open(st, def, &tb, e);
    if (r < 0)
        return r;
    const struct table_files *live = table_live(tb);
    int64_t rows = 0, bytes = 0;
    for (size_t i = 0; i < live->n; i++) {
        rows += MAX(live->v[i].rows, 0);
        bytes += live->v[i].size;
    }
    char v[4][32];
    out_number(table_version(tb), v[0]);
    out_number((int64_t)live->n, v[1]);
    out_number(rows, v[2]);
    out_number(bytes, v[3]);
    const char *row[] = {def->view, v[0], v[1], v[2], v[3], table_id(tb)};
    out_row(t, row);
    table_close(tb);
    return 0;
}

static int list_tables(struct storage *st, const struct lake_defs *defs, bool as_json,
                       struct err *e) {
    static const char *const names[] = {"table", "version", "files", "rows", "bytes", "id"};
    static const bool numbers[] = {false, true, true, true, true, false};
    struct out_table t = {0};
    out_columns(&t, names, numbers, ARRAY_LEN(names));
    int r = 0;
    for (size_t k = 0; r == 0 && k < defs->n; k++) {
        r = list_table(st, defs->v[k], &t, e);
        if (r < 0 && lake_does_without(k < defs->n - defs->n_others, e)) {
            log_err(LOG_WARN, "a table without a model is left aside", e);
            err_clear(e);
            r = 0;
        }
    }
    if (r == 0)
        out_print(&t, as_json);
    out_release(&t);
    return r;
}

static int show_entry(void *arg, const struct table_entry *en, struct err *e) {
    (void)e;
    char version[32], added[32], removed[32], at[TIME_TEXT] = "";
    out_number(en->version, version);
    out_number((int64_t)(en->add.n + en->n_other_adds), added);
    out_number((int64_t)(en->remove.n + en->n_other_removes), removed);
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

static int show_history(struct table_job *job, struct err *e) {
    static const char *const names[] = {"version", "time",    "operation",
                                        "added",   "removed", "metrics"};
    static const bool numbers[] = {true, false, false, true, true, false};
    int64_t begin;
    out_columns(&job->out, names, numbers, ARRAY_LEN(names));
    int r = table_log_begin(job->tb, &begin, e);
    if (r == 0 && begin >= 0)
        r = table_each_entry(job->tb, begin - 1, table_version(job->tb), show_entry, &job->out, e);
    if (r == 0 && begin > 0)
        snprintf(job->remark, sizeof job->remark,
                 "the entries before version %lld were removed (table.log_retention)",
                 (long long)begin);
    return r;
}

static int show_files(struct table_job *job, struct err *e ATTR_UNUSED) {
    static const char *const names[] = {"path", "partition", "rows", "bytes"};
    static const bool numbers[] = {false, false, true, true};
    out_columns(&job->out, names, numbers, ARRAY_LEN(names));
    const struct table_files *live = table_live(job->tb);
    for (size_t i = 0; i < live->n; i++) {
        char rows[32], bytes[32];
        out_number(live->v[i].rows, rows);
        out_number(live->v[i].size, bytes);
        const char *row[] = {live->v[i].path, live->v[i].partition, rows, bytes};
        out_row(&job->out, row);
    }
    return 0;
}

static const struct {
    const char *name;
    int (*run)(struct table_job *job, struct err *e);
    bool upkeep; /* needs to know the whole lake */
} words[] = {
    {"history", show_history, false},           {"files", show_files, false},
    {"checkpoint", table_job_checkpoint, true}, {"optimize", table_job_optimize, false},
    {"vacuum", table_job_vacuum, true},         {"verify", table_job_verify, false},
};

static int unknown_word(const char *word, struct err *e) {
    struct buf b = BUF_INIT(KIB);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        buf_addf(&b, "%s%s", i + 1 == ARRAY_LEN(words) ? " or " : ", ", words[i].name);
    int r = err_set(e, ERR_USAGE, "table: expected list%s, not '%s'", buf_str(&b), word);
    buf_release(&b);
    return r;
}

/* An option that another word has would silently do nothing. */
static int check_options(const struct cmd *c, struct err *e) {
    const struct table_opts *o = c->opts;
    const struct {
        const char *name, *word;
        bool given;
    } v[] = {{"deep", "verify", o->deep},
             {"dry-run", "vacuum", o->dry_run},
             {"retention", "vacuum", o->retention_ms >= 0},
             {"force", "vacuum", o->force}};
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        if (v[i].given && strcmp(c->args[0], v[i].word) != 0)
            return err_set(e, ERR_USAGE, "table %s: --%s is an option of table %s", c->args[0],
                           v[i].name, v[i].word);
    return 0;
}

/* *ret: past the end for list. */
static int find_word(const struct cmd *c, size_t *ret, struct err *e) {
    size_t i = 0;
    while (i < ARRAY_LEN(words) && strcmp(words[i].name, c->args[0]) != 0)
        i++;
    *ret = i;
    if (i == ARRAY_LEN(words) && strcmp(c->args[0], "list") != 0)
        return unknown_word(c->args[0], e);
    if (i == ARRAY_LEN(words))
        return c->n_args == 1 ? 0 : err_set(e, ERR_USAGE, "table list: expected no further words");
    if (c->n_args < 2)
        return err_set(e, ERR_USAGE, "table %s: which table? silver.events, for one", c->args[0]);
    return 0;
}

static int find_table(const struct cmd *c, const struct lake_defs *defs,
                      const struct table_def **ret, struct err *e) {
    *ret = lake_defs_named(defs, c->args[1]);
    if (*ret)
        return 0;
    err_set(e, ERR_USAGE, "table %s: there is no table '%s'", c->args[0], c->args[1]);
    return err_hint(e, "clickmill table list");
}

static void print_job(const struct table_job *job) {
    out_print(&job->out, job->opts->as_json);
    if (job->remark[0] && !job->opts->as_json)
        printf("%s\n", job->remark);
}

static int look(struct table_job *job, const struct table_def *def, size_t word, struct err *e) {
    int r = table_open(job->p.st, def, &job->tb, e);
    if (r == 0)
        r = words[word].run(job, e);
    if (r == 0 || r == ERR_CHECK)
        print_job(job);
    table_close(job->tb);
    return r;
}

static int keep_up(struct table_job *job, const struct table_def *def, size_t word, struct err *e) {
    int r = lake_open(&job->l, job->p.st, NULL, config_text(job->c->cfg, CFG_MODELS_DIR), e);
    if (r == 0) {
        job->tb = lake_find(&job->l, def->view);
        r = job->tb ? words[word].run(job, e)
                    : err_set(e, ERR_STORAGE, "%s was just removed", def->view);
    }
    if (r == 0)
        print_job(job);
    lake_close(&job->l);
    return r;
}

static int run_word(struct table_job *job, const struct lake_defs *defs, size_t word,
                    struct err *e) {
    const struct table_def *def;
    if (word == ARRAY_LEN(words))
        return list_tables(job->p.st, defs, job->opts->as_json, e);
    int r = find_table(job->c, defs, &def, e);
    if (r < 0)
        return r;
    return words[word].upkeep ? keep_up(job, def, word, e) : look(job, def, word, e);
}

static int run(struct cmd *c, struct err *e) {
    struct table_job job = {.c = c, .opts = c->opts};
    struct lake_defs defs = {0};
    size_t word;
    int r = find_word(c, &word, e);
    if (r == 0)
        r = check_options(c, e);
    if (r == 0)
        r = parts_open(c->cfg, PART_LAKE, &job.p, e);
    if (r < 0)
        return r;
    r = lake_defs_find(job.p.st, config_text(c->cfg, CFG_MODELS_DIR), &defs, e);
    if (r == 0)
        r = run_word(&job, &defs, word, e);
    out_release(&job.out);
    lake_defs_release(&defs);
    parts_close(&job.p);
    return r;
}

const struct command cmd_table = {
    .name = "table",
    .operands = "list|history|files|checkpoint|optimize|vacuum|verify [NAME]",
    .summary = "Look after one table: what is in it, upkeep, proof that all is there.",
    .about = "checkpoint folds the log into a checkpoint and removes the entries that are older\n"
             "than table.log_retention and needed no more. optimize rewrites small files of one "
             "day into\n"
             "one of up to table.optimize_target, a commit each; whoever writes or reads is not\n"
             "disturbed. vacuum deletes the files that are in the\n"
             "table no more, or never came into it, and are older than table.vacuum_retention.\n"
             "verify holds log and files against each other; exit code 8 when something differs.",
    .options = options,
    .opts_size = sizeof(struct table_opts),
    .defaults = defaults,
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
