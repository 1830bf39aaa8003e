/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/checks.h"

#include "base/util.h"
#include "base/value.h"
#include "engine/models.h"
#include "flow/models.h"
#include "flow/sql_file.h"
#include "flow/sql_header.h"

enum { NAME, DESCRIPTION, SEVERITY, DAYS, N_KEYS };

static const struct sql_header_key keys[N_KEYS] = {[NAME] = {"Name"},
                                                   [DESCRIPTION] = {"Description"},
                                                   [SEVERITY] = {"Severity"},
                                                   [DAYS] = {"Days", .optional = true}};

static const char example[] =
    "begin the file with -- Name: NAME, -- Description: TEXT, -- Severity: warn; docs/checks.md "
    "has one to copy";

static const char built_in_dir[] = "sql/checks/";

const char *const check_severity_names[] = {"warn", "block", "off"};

/* ---- one rule -------------------------------------------------------------------------------- */

static struct check_rule *add_rule(struct checks *cs, char *name, char *file) {
    cs->v = xrealloc(cs->v, (cs->n + 1) * sizeof *cs->v);
    struct check_rule *c = &cs->v[cs->n++];
    *c = (struct check_rule){.name = name, .file = file, .severity = CHECK_BLOCK, .days = 1};
    return c;
}

/* What the header says, or nothing: then it stays at block. */
static bool find_severity(struct check_rule *c, const char *text) {
    for (int s = CHECK_WARN; s <= CHECK_BLOCK; s++)
        if (strcmp(text, check_severity_names[s]) == 0) {
            c->severity = (enum check_severity)s;
            return true;
        }
    return false;
}

static int take_days(struct check_rule *c, const struct sql_header *h, struct err *e) {
    enum { MOST = 3650 };
    int64_t n = h->lines[DAYS] ? digits_parse(sql_header_value(h, DAYS)) : 1;
    if (n < 1 || n > MOST)
        return err_set(e, ERR_ENGINE, "%s:%d: the Days must be a number from 1 to %d, not '%s'",
                       c->file, h->lines[DAYS], MOST, sql_header_value(h, DAYS));
    c->days = (int)n;
    return 0;
}

static int take_values(struct check_rule *c, const struct sql_header *h, struct err *e) {
    if (strcmp(sql_header_value(h, NAME), c->name) != 0)
        return err_set(e, ERR_ENGINE, "%s:%d: the Name is '%s', but the file is called %s.sql",
                       c->file, h->lines[NAME], sql_header_value(h, NAME), c->name);
    if (!find_severity(c, sql_header_value(h, SEVERITY)))
        return err_set(e, ERR_ENGINE, "%s:%d: the Severity must be warn or block, not '%s'",
                       c->file, h->lines[SEVERITY], sql_header_value(h, SEVERITY));
    c->description = xstrdup(sql_header_value(h, DESCRIPTION));
    return take_days(c, h, e);
}

static void parse(struct check_rule *c) {
    struct sql_header h = {.file = c->file, .keys = keys, .n_keys = N_KEYS, .example = example};
    const char *body;
    int r = sql_header_read(&h, c->sql, &body, &c->wrong);
    if (r < 0) /* one that only warns does so also where its header lacks something else */
        find_severity(c, sql_header_value(&h, SEVERITY));
    if (r == 0)
        r = take_values(c, &h, &c->wrong);
    if (r == 0 && !*body)
        err_set(&c->wrong, ERR_ENGINE, "%s: there is no SELECT behind the header", c->file);
    sql_header_release(&h);
}

/* ---- those built in -------------------------------------------------------------------------- */

/* "men's" -> "'men''s'": as SQL. The caller frees. */
static char *quoted(const char *text) {
    struct buf b = BUF_INIT(MIB);
    buf_add_literal(&b, text);
    return buf_detach(&b);
}

/* The one parameter of a rule; NULL: it has none. The caller frees. */
static char *parameter_of(const struct check_settings *s, const char *rule, const char **ret_name) {
    *ret_name = "share";
    if (strcmp(rule, "null_share") == 0)
        return xstrdup(s->null_share ? s->null_share : "1");
    if (strcmp(rule, "reject_share") == 0)
        return xstrdup(s->reject_share ? s->reject_share : "1");
    *ret_name = "change";
    if (strcmp(rule, "revenue_change") == 0)
        return xstrdup(s->revenue_change ? s->revenue_change : "1");
    *ret_name = "milliseconds";
    if (strcmp(rule, "freshness") == 0)
        return xasprintf("%lld", (long long)(s->freshness_ms ? s->freshness_ms : INT64_MAX));
    *ret_name = "categories";
    if (strcmp(rule, "unknown_categories") == 0)
        return quoted(s->categories ? s->categories : "");
    return NULL;
}

static void load_built_in(struct checks *cs, const struct check_settings *s) {
    size_t prefix = strlen(built_in_dir);
    for (size_t i = 0; i < model_files_n; i++) {
        const struct model_file *f = &model_files[i];
        if (strncmp(f->name, built_in_dir, prefix) != 0)
            continue;
        struct check_rule *c = add_rule(
            cs, xstrndup(f->name + prefix, strlen(f->name) - prefix - 4), xstrdup(f->name));
        struct model_var var;
        _cleanup_(freep) char *value = parameter_of(s, c->name, &var.name);
        var.value = value;
        c->built_in = true;
        c->sql = model_render(f->name, &var, value ? 1 : 0);
        parse(c);
    }
}

/* ---- the user's ------------------------------------------------------------------------------ */

static void take_file(void *arg, const char *path, const char *file, const char *name) {
    struct checks *cs = arg;
    const char *why = model_name_problem(name);
    const struct check_rule *same = checks_named(cs, name);
    if (!why && same && same->built_in)
        why = "it is built in";
    struct check_rule *c = add_rule(cs, sql_printable(name), xstrdup(file));
    if (why) {
        err_set(&c->wrong, ERR_ENGINE, "%s: no rule can be called '%s': %s", file, c->name, why);
        err_hint(&c->wrong, "rename the file");
        return;
    }
    c->sql = sql_file_read(path, file, &c->wrong);
    if (c->sql)
        parse(c);
}

/* ---- severities by the configuration --------------------------------------------------------- */

static int no_such_rule(const struct checks *cs, const char *key, const char *name, struct err *e) {
    const struct check_rule *nearest = &cs->v[0];
    for (size_t i = 1; i < cs->n; i++)
        if (edit_distance(name, cs->v[i].name) < edit_distance(name, nearest->name))
            nearest = &cs->v[i];
    err_set(e, ERR_CONFIG, "%s: there is no rule '%s'; the nearest is '%s'", key, name,
            nearest->name);
    return err_hint(e, "`clickmill check` lists the rules");
}

/* list: "a, b". set: for each rule, the key that has named it. */
static int apply(struct checks *cs, const char *list, enum check_severity severity,
                 const char **set, struct err *e) {
    _cleanup_(freep) char *key = xasprintf("check.%s", check_severity_names[severity]);
    static const char between[] = ", \t";
    int r = 0;
    for (const char *at = list ? list : ""; r == 0 && *(at += strspn(at, between));) {
        size_t n = strcspn(at, between);
        _cleanup_(freep) char *name = xstrndup(at, n);
        struct check_rule *c = checks_named(cs, name);
        at += n;
        if (!c)
            r = no_such_rule(cs, key, name, e);
        else if (set[c - cs->v])
            r = err_set(e, ERR_CONFIG, "%s: '%s' stands in check.%s already", key, name,
                        set[c - cs->v]);
        if (r < 0)
            break;
        c->severity = severity;
        set[c - cs->v] = check_severity_names[severity];
    }
    return r;
}

int checks_load(const struct check_settings *s, struct checks *ret, struct err *e) {
    struct checks cs = {0};
    const struct sql_folder folder = {
        .dir = s->dir, .key = "check.dir", .usual = CHECKS_DIR, .take = take_file, .arg = &cs};
    load_built_in(&cs, s);
    int r = s->dir && *s->dir ? sql_folder_each(&folder, e) : 0;
    _cleanup_(freep) const char **set = xcalloc(cs.n, sizeof *set);
    if (r == 0)
        r = apply(&cs, s->block, CHECK_BLOCK, set, e);
    if (r == 0)
        r = apply(&cs, s->warn, CHECK_WARN, set, e);
    if (r == 0)
        r = apply(&cs, s->off, CHECK_OFF, set, e);
    if (r < 0)
        checks_release(&cs);
    else
        *ret = cs;
    return r;
}

struct check_rule *checks_named(const struct checks *cs, const char *name) {
    for (size_t i = 0; i < cs->n; i++)
        if (strcmp(cs->v[i].name, name) == 0)
            return &cs->v[i];
    return NULL;
}

void checks_release(struct checks *cs) {
    for (size_t i = 0; i < cs->n; i++) {
        free(cs->v[i].name);
        free(cs->v[i].file);
        free(cs->v[i].sql);
        free(cs->v[i].description);
    }
    free(cs->v);
    *cs = (struct checks){0};
}
