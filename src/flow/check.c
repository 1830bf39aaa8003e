/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/check.h"

#include "base/json.h"
#include "base/util.h"
#include "flow/check_days.h"
#include "flow/sql_file.h"
#include "flow/step.h"

const char *const check_state_names[] = {"passed", "failed", "error", "off"};

struct check {
    struct lake lake;
    struct dates days;
    char *days_sql;
    struct checks rules;
    struct check_result res;
    struct step_failures failures; /* that block */
};

/* ---- the rows -------------------------------------------------------------------------------- */

/* Not more than `most` bytes of a text: it is data, and whoever wrote it may have meant harm. */
static char *one_line(const char *value, size_t most) {
    _cleanup_(freep) char *text = sql_printable(value);
    size_t n = 0, len;
    while (text[n] && n + (len = utf8_len(text + n, strlen(text + n))) <= most)
        n += len;
    return xasprintf("%.*s%s", (int)n, text, text[n] ? "..." : "");
}

struct finding {
    struct check_outcome *out;
    char *names[CHECK_COLUMNS];
    size_t n;
    struct json_out json;
};

static int take_header(void *arg, const char *const *names, const char *const *types ATTR_UNUSED,
                       size_t n, struct err *e ATTR_UNUSED) {
    struct finding *f = arg;
    for (f->n = 0; f->n < n && f->n < CHECK_COLUMNS; f->n++)
        f->names[f->n] = one_line(names[f->n], CHECK_VALUE_BYTES);
    return 0;
}

static int take_row(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                    struct err *e ATTR_UNUSED) {
    struct finding *f = arg;
    struct check_outcome *out = f->out;
    if (out->rows++ >= CHECK_ROWS)
        return 0;
    buf_add_str(&out->first, out->rows > 1 ? "; " : "");
    json_obj(&f->json, NULL);
    for (size_t i = 0; i < f->n; i++) {
        _cleanup_(freep) char *text = values[i] ? one_line(values[i], CHECK_VALUE_BYTES) : NULL;
        buf_addf(&out->first, "%s%s %s", i ? ", " : "", f->names[i], text ? text : "NULL");
        json_put(&f->json, f->names[i], text);
    }
    json_obj_end(&f->json);
    return 0;
}

static int ask(struct check *c, const struct check_rule *rule, struct engine *en,
               struct storage *st, struct check_outcome *out, struct err *e) {
    struct check_inputs in;
    struct finding f = {.out = out, .json = {.b = &out->json}};
    const struct engine_stage days = {.name = "days", .sql = c->days_sql};
    check_inputs_make(&c->lake, &c->days, rule->days, &in);
    json_arr(&f.json, NULL);
    int r = engine_ask(en, st,
                       &(struct engine_question){.what = "check",
                                                 .file = rule->file,
                                                 .inputs = in.v,
                                                 .n_inputs = in.n,
                                                 .stages = &days,
                                                 .n_stages = 1,
                                                 .sql = rule->sql,
                                                 .untrusted = !rule->built_in},
                       &(struct engine_rows){.header = take_header, .row = take_row, .arg = &f}, e);
    json_arr_end(&f.json);
    for (size_t i = 0; i < f.n; i++)
        free(f.names[i]);
    check_inputs_release(&in);
    return r;
}

/* ---- a rule ---------------------------------------------------------------------------------- */

/* The user's rule is wrong: that is its own fault, and no failure of the step. */
static bool is_wrong(const struct check_rule *rule, int r, const struct err *e) {
    return r == ERR_ENGINE && !rule->built_in && !e->retry;
}

static void blocks(struct check *c, const struct check_outcome *out) {
    enum { MOST = 600 };
    struct err e = {0};
    _cleanup_(freep) char *first = one_line(buf_str(&out->first), MOST);
    if (out->state == CHECK_ERROR)
        err_set(&e, ERR_CHECK, "check: the rule '%s' blocks the load, as it cannot be run: %s",
                out->name, out->why.msg);
    else
        err_set(&e, ERR_CHECK, "check: the rule '%s' blocks the load: it finds %lld rows: %s%s",
                out->name, (long long)out->rows, first, out->rows > CHECK_ROWS ? "; ..." : "");
    err_hint(&e,
             "the sink keeps its numbers; mend the data or the rule, and the next run loads all "
             "that waits; `clickmill check` shows the rows, `clickmill load --unchecked` loads "
             "in spite of them");
    step_also(&c->failures, &e);
}

static int run_rule(struct check *c, const struct check_rule *rule, struct engine *en,
                    struct storage *st, struct check_outcome *out, struct err *e) {
    struct err why = rule->wrong;
    int r = step_stopped("check", e);
    if (r < 0)
        return r;
    if (rule->severity == CHECK_OFF) {
        out->state = CHECK_NOT_RUN;
        return 0;
    }
    if (why.code == 0)
        ask(c, rule, en, st, out, &why);
    if (why.code < 0 && !is_wrong(rule, why.code, &why)) {
        *e = why;
        return e->code;
    }
    if (why.code < 0) {
        _cleanup_(freep) char *told = one_line(why.msg, sizeof why.msg);
        out->state = CHECK_ERROR;
        out->why = why; /* it may quote data */
        snprintf(out->why.msg, sizeof out->why.msg, "%s", told);
        out->rows = 0;
    } else {
        out->state = out->rows > 0 ? CHECK_FAILED : CHECK_PASSED;
    }
    if (out->state != CHECK_PASSED && rule->severity == CHECK_BLOCK) {
        c->res.blocking++;
        blocks(c, out);
    } else if (out->state != CHECK_PASSED) {
        c->res.warned++;
    }
    return 0;
}

static bool is_wanted(const struct check_options *o, const char *name) {
    bool wanted = !o->names;
    for (size_t i = 0; i < o->n_names && !wanted; i++)
        wanted = strcmp(o->names[i], name) == 0;
    return wanted;
}

static int run_rules(struct check *c, struct engine *en, struct storage *st,
                     const struct check_options *o, struct err *e) {
    int r = 0;
    c->res.v = xcalloc(c->rules.n, sizeof *c->res.v);
    for (size_t i = 0; r == 0 && i < c->rules.n; i++) {
        const struct check_rule *rule = &c->rules.v[i];
        if (!is_wanted(o, rule->name))
            continue;
        struct check_outcome *out = &c->res.v[c->res.n++];
        *out = (struct check_outcome){.name = xstrdup(rule->name),
                                      .description =
                                          rule->description ? xstrdup(rule->description) : NULL,
                                      .severity = rule->severity,
                                      .first = BUF_INIT(64 * KIB),
                                      .json = BUF_INIT(MIB)};
        r = run_rule(c, rule, en, st, out, e);
    }
    return r;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int check_names(const struct checks *rules, const struct check_options *o, struct err *e) {
    for (size_t i = 0; i < o->n_names; i++)
        if (!checks_named(rules, o->names[i])) {
            err_set(e, ERR_USAGE, "check: there is no rule '%s'", o->names[i]);
            return err_hint(e, "clickmill check, without a name, runs and lists them all");
        }
    return 0;
}

static void note_rules(struct check *c) {
    struct sha256 h;
    unsigned char digest[SHA256_LEN];
    sha256_begin(&h);
    for (size_t i = 0; i < c->rules.n; i++) {
        const struct check_rule *rule = &c->rules.v[i];
        _cleanup_(freep) char *text =
            xasprintf("%s %s %d\n%s", rule->name, check_severity_names[rule->severity], rule->days,
                      rule->wrong.code == 0 ? rule->sql : rule->wrong.msg);
        sha256_add(&h, text, strlen(text) + 1);
    }
    sha256_end(&h, digest);
    sha256_hex(digest, c->res.rules);
}

static void note_seen(struct check *c) {
    c->res.seen = xcalloc(c->lake.n_gold, sizeof *c->res.seen);
    for (size_t i = 0; i < c->lake.n_gold; i++) {
        const struct table *tb = c->lake.gold[i].tb;
        c->res.seen[c->res.n_seen++] =
            (struct check_seen){xstrdup(table_definition(tb)->view), table_version(tb)};
    }
}

static int check_lake(struct check *c, struct storage *st, struct engine *en, struct sink *sk,
                      const struct check_options *o, struct err *e) {
    int r = lake_open(&c->lake, st, en, o->models_dir, e);
    if (r < 0)
        return r;
    note_seen(c);
    note_rules(c);
    if (table_version(c->lake.bronze) >= 0) {
        bool waiting = false;
        r = check_days_find(&c->lake, sk, &c->days, &waiting, e);
        c->days_sql = check_days_select(&c->days);
        bool passed = o->passed && strcmp(o->passed, c->res.rules) == 0;
        if (r == 0 && (waiting || !passed))
            r = run_rules(c, en, st, o, e);
    }
    lake_close(&c->lake);
    return r;
}

int flow_check(struct storage *st, struct engine *en, struct sink *sk,
               const struct check_options *o, struct check_result *ret, struct err *e) {
    struct check c = {0};
    int64_t n;
    int r = checks_load(&o->settings, &c.rules, e);
    if (r == 0)
        r = check_names(&c.rules, o, e);
    if (r == 0)
        r = check_lake(&c, st, en, sk, o, e);
    if (r == 0)
        r = step_failures_end(&c.failures, &n, e);
    r = step_settle("check", r, e);
    dates_release(&c.days);
    free(c.days_sql);
    checks_release(&c.rules);
    *ret = c.res;
    return r;
}

void check_result_release(struct check_result *r) {
    for (size_t i = 0; i < r->n; i++) {
        free(r->v[i].name);
        free(r->v[i].description);
        buf_release(&r->v[i].first);
        buf_release(&r->v[i].json);
    }
    for (size_t i = 0; i < r->n_seen; i++)
        free(r->seen[i].view);
    free(r->seen);
    free(r->v);
    *r = (struct check_result){0};
}
