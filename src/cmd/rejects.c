/* SPDX-License-Identifier: Apache-2.0 */
/* rejects list|show|replay: the records that were rejected, and once more through the decoder. */
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "cmd/cmd.h"
#include "cmd/out.h"
#include "cmd/parts.h"
#include "engine/models.h"
#include "flow/replay.h"
#include "flow/sql_file.h"

struct rejects_opts {
    bool as_json, raw, dry_run;
    const char *reason, *from, *to, *mapping;
    int64_t limit; /* 0: not given */
};

#define FIELD(name) offsetof(struct rejects_opts, name)
static const struct opt options[] = {
    {"reason", "R", OPT_TEXT, FIELD(reason), "Only those rejected for this reason (wrong_type, …).",
     0, 0},
    {"from", "DAY", OPT_TEXT, FIELD(from), "Only those that arrived on this day or later (UTC).", 0,
     0},
    {"to", "DAY", OPT_TEXT, FIELD(to), "Only those that arrived on this day or before.", 0, 0},
    {"limit", "N", OPT_INT, FIELD(limit), "list, show: at most so many rows (list 1000, show 20).",
     1, 1000000},
    {"raw", NULL, OPT_FLAG, FIELD(raw), "show: the bytes of the record at POSITION, as they are.",
     0, 0},
    {"mapping", "FILE", OPT_TEXT, FIELD(mapping),
     "replay: what the SELECT in this file makes of them.", 0, 0},
    {"dry-run", NULL, OPT_FLAG, FIELD(dry_run), "replay: only say what would become of them.", 0,
     0},
    {"json", NULL, OPT_FLAG, FIELD(as_json), "Print the result as JSON.", 0, 0},
    {0},
};

struct job {
    const struct cmd *c;
    const struct rejects_opts *o;
    struct rejects_filter filter;
    struct parts p;
};

/* ---- list and show --------------------------------------------------------------------------- */

struct listing {
    struct out_table t;
    int64_t rows, limit;
};

static int take_header(void *arg, const char *const *names, const char *const *types, size_t n,
                       struct err *e ATTR_UNUSED) {
    struct listing *ls = arg;
    out_columns_typed(&ls->t, names, types, n);
    return 0;
}

static int take_row(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                    struct err *e ATTR_UNUSED) {
    struct listing *ls = arg;
    if (ls->rows++ < ls->limit)
        out_row(&ls->t, values);
    return 0;
}

static int ask(const struct job *job, struct rejects *rj, const char *sql, int64_t limit,
               struct err *e) {
    _cleanup_(table_files_release) struct table_files files = {0};
    struct listing ls = {.limit = job->o->limit ? job->o->limit : limit};
    const struct engine_rows rows = {.header = take_header, .row = take_row, .arg = &ls};
    _cleanup_(freep) char *limited = xasprintf("%s LIMIT %lld", sql, (long long)ls.limit + 1);
    rejects_files(rj, &files);
    int r = rejects_ask(rj, &files, limited, &rows, e);
    if (r == 0)
        out_print(&ls.t, job->o->as_json);
    bool more = r == 0 && ls.rows > ls.limit;
    if (more && job->o->as_json)
        log_warn("there are more: --limit shows them", F_INT("shown", ls.limit));
    else if (more)
        printf("There are more: --limit shows them.\n");
    out_release(&ls.t);
    return r;
}

static int list(struct job *job, struct rejects *rj, struct err *e) {
    return ask(job, rj, model_text("sql/lake/rejects_list.sql"), 1000, e);
}

static int show_bytes(struct rejects *rj, const struct rejects_position *at, struct err *e) {
    struct buf bytes = BUF_INIT(LIMIT_SQL);
    int r = rejects_bytes(rj, at, &bytes, e);
    if (r == 0)
        fwrite(buf_str(&bytes), 1, bytes.len, stdout);
    buf_release(&bytes);
    return r;
}

/* On a terminal a record is cut; --raw and --json have all of it. */
static int show(struct job *job, struct rejects *rj, struct err *e) {
    struct rejects_position at;
    const char *word = job->c->n_args > 1 ? job->c->args[1] : NULL;
    if (word && !rejects_position_parse(word, &at)) {
        err_set(e, ERR_USAGE, "rejects show: '%.200s' is no position", word);
        return err_hint(e, "topic/partition/offset/index, as rejects list prints them");
    }
    if (job->o->raw && !word) {
        err_set(e, ERR_USAGE, "rejects show: --raw of which record?");
        return err_hint(e, "clickmill rejects show --raw topic/partition/offset/index");
    }
    if (job->o->raw)
        return show_bytes(rj, &at, e);
    const char *raw =
        job->o->as_json
            ? "form, raw"
            : "CASE WHEN length(raw) > 200 THEN left(raw, 200) || '…' ELSE raw END AS raw";
    _cleanup_(freep) char *where = word ? rejects_position_sql(&at) : xstrdup("");
    _cleanup_(freep) char *sql =
        xasprintf("SELECT position, received_at, reason, detail, replayed, size, %s FROM (%s)%s "
                  "ORDER BY received_at, source_topic, source_partition, source_offset, "
                  "source_index",
                  raw, model_text("sql/lake/rejects_show.sql"), where);
    return ask(job, rj, sql, 20, e);
}

/* ---- replay ---------------------------------------------------------------------------------- */

static void print_json(const struct replay_result *r, bool dry_run) {
    struct buf b = BUF_INIT(4 * MIB);
    struct json_out o = {.b = &b};
    json_obj(&o, NULL);
    json_put_bool(&o, "dry_run", dry_run);
    json_put_int(&o, "replayed", r->replayed);
    json_put_int(&o, "still_rejected", r->still);
    json_put_int(&o, "commits", r->commits);
    json_arr(&o, "reasons");
    for (size_t i = 0; i < r->n; i++) {
        const struct replay_still *s = &r->v[i];
        json_obj(&o, NULL);
        json_put(&o, "reason", s->reason);
        json_put(&o, "field", s->field);
        json_put_int(&o, "rejects", s->n);
        json_put(&o, "first", s->first);
        json_put(&o, "detail", s->detail);
        json_obj_end(&o);
    }
    json_arr_end(&o);
    json_obj_end(&o);
    puts(buf_str(&b));
    buf_release(&b);
}

static void print_text(const struct replay_result *r, bool dry_run) {
    printf("rejects: %lld %s, %lld still rejected, %lld commits\n", (long long)r->replayed,
           dry_run ? "would be replayed" : "replayed", (long long)r->still, (long long)r->commits);
    static const char *const names[] = {"reason", "field", "rejects", "first", "found there"};
    static const bool numbers[] = {false, false, true, false, false};
    struct out_table t = {0};
    out_columns(&t, names, numbers, ARRAY_LEN(names));
    for (size_t i = 0; i < r->n; i++) {
        char n[32];
        out_number(r->v[i].n, n);
        const char *row[] = {r->v[i].reason, r->v[i].field, n, r->v[i].first, r->v[i].detail};
        out_row(&t, row);
    }
    if (r->n)
        out_print(&t, false);
    out_release(&t);
}

static void on_progress(void *arg, int64_t done, int64_t total) {
    struct progress *pr = arg;
    pr->total = total;
    progress_update(pr, done);
}

static int replay(struct job *job, struct err *e) {
    const struct config *cfg = job->c->cfg;
    const char *file = job->o->mapping;
    _cleanup_(freep) char *sql = file ? sql_file_read(file, file, e) : NULL;
    if (file && !sql)
        return err_wrap(e, "rejects replay");
    const struct rejects_mapping mapping = {sql, file};
    struct progress pr;
    progress_start(&pr, "rejects", "records", 0);
    const struct replay_options o = {
        .filter = job->filter,
        .mapping = job->o->mapping ? &mapping : NULL,
        .dry_run = job->o->dry_run,
        .keep_raw = config_int(cfg, CFG_INGEST_KEEP_RAW),
        .zstd_level = (int)config_int(cfg, CFG_INGEST_ZSTD_LEVEL),
        .batch_rows = config_int(cfg, CFG_INGEST_BATCH_ROWS),
        .checkpoint_interval = config_int(cfg, CFG_TABLE_CHECKPOINT_INTERVAL),
        .on_progress = on_progress,
        .arg = &pr,
    };
    struct replay_result res = {0};
    int r = flow_replay(job->p.st, job->p.en, &o, &res, e);
    progress_end(&pr);
    if (r == 0 && job->o->as_json)
        print_json(&res, o.dry_run);
    else if (r == 0)
        print_text(&res, o.dry_run);
    else if (res.commits > 0)
        log_warn("what was replayed before is committed", F_INT("rows", res.replayed));
    replay_result_release(&res);
    return r;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int take_filter(const struct rejects_opts *o, struct rejects_filter *ret, struct err *e) {
    *ret = REJECTS_ALL;
    ret->reason = o->reason;
    int r = o->reason ? rejects_check_reason(o->reason, e) : 0;
    return r == 0 ? cmd_days("rejects", o->from, o->to, &ret->from, &ret->to, e) : r;
}

/* An option that another word has would silently do nothing. */
static int check_words(const struct cmd *c, struct err *e) {
    const struct rejects_opts *o = c->opts;
    const char *word = c->args[0];
    bool is_replay = strcmp(word, "replay") == 0, is_show = strcmp(word, "show") == 0;
    if (!is_replay && !is_show && strcmp(word, "list") != 0)
        return err_set(e, ERR_USAGE, "rejects: expected list, show or replay, not '%.100s'", word);
    if (c->n_args > 1 && !is_show)
        return err_set(e, ERR_USAGE, "rejects %s: expected no further words", word);
    const struct {
        const char *name, *word;
        bool wrong;
    } v[] = {{"raw", "show", o->raw && !is_show},
             {"limit", "list and show", o->limit && is_replay},
             {"mapping", "replay", o->mapping && !is_replay},
             {"dry-run", "replay", o->dry_run && !is_replay}};
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        if (v[i].wrong)
            return err_set(e, ERR_USAGE, "rejects %s: --%s is an option of rejects %s", word,
                           v[i].name, v[i].word);
    return 0;
}

static int look(struct job *job, struct err *e) {
    struct rejects rj = {.st = job->p.st, .en = job->p.en, .filter = job->filter};
    int r = table_open(job->p.st, &bronze_events, &rj.bronze, e);
    if (r == 0)
        r = strcmp(job->c->args[0], "list") == 0 ? list(job, &rj, e) : show(job, &rj, e);
    table_close(rj.bronze);
    return r;
}

static int run(struct cmd *c, struct err *e) {
    struct job job = {.c = c, .o = c->opts};
    int r = check_words(c, e);
    if (r == 0)
        r = take_filter(job.o, &job.filter, e);
    if (r == 0)
        r = parts_open(c->cfg, PART_LAKE | PART_ENGINE, &job.p, e);
    if (r < 0)
        return r;
    r = strcmp(c->args[0], "replay") == 0 ? replay(&job, e) : look(&job, e);
    parts_close(&job.p);
    return r;
}

const struct command cmd_rejects = {
    .name = "rejects",
    .operands = "list|show|replay [POSITION]",
    .summary = "The records that were rejected: why, their bytes, and once more after a fix.",
    .about = "list counts them by day of arrival, reason and detail. show prints them one by one, "
             "or the one at\n"
             "POSITION (topic/partition/offset/index). replay decodes their bytes again, or what a "
             "mapping (one\n"
             "SELECT over the view rejects) makes of them: what is accepted now is appended to "
             "bronze, each record\n"
             "once, however often and by how many it is replayed; run takes it from there.",
    .options = options,
    .opts_size = sizeof(struct rejects_opts),
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
