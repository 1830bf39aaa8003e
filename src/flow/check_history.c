/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/check_history.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "flow/history.h"

enum { LARGEST = 4 * MIB, LATELY_US = 60000000 };

/* ---- the last check -------------------------------------------------------------------------- */

void check_kept_release(struct check_kept *k) {
    for (size_t i = 0; i < k->n; i++) {
        free(k->v[i].name);
        free(k->v[i].severity);
        free(k->v[i].result);
        free(k->v[i].since);
        free(k->v[i].first);
        free(k->v[i].error);
    }
    free(k->v);
    free(k->checked_at);
    free(k->rules);
    *k = (struct check_kept){0};
}

static char *copy(const json *object, const char *name) {
    const char *text = json_str(json_get(object, name));
    return text ? xstrdup(text) : NULL;
}

static bool take_rule(const json *v, struct check_kept_rule *ret) {
    struct buf first = BUF_INIT(LARGEST);
    json_text(json_get(v, "first"), &first);
    *ret = (struct check_kept_rule){.name = copy(v, "rule"),
                                    .severity = copy(v, "severity"),
                                    .result = copy(v, "result"),
                                    .rows = json_int(json_get(v, "rows"), 0),
                                    .since = copy(v, "since"),
                                    .first = buf_detach(&first),
                                    .error = copy(v, "error")};
    return ret->name && ret->severity && ret->result;
}

/* false: this is no line of ours. */
static bool take_line(const char *line, size_t n, struct check_kept *ret) {
    struct err ignored;
    _cleanup_(json_freep) struct json_doc *d = json_parse(line, n, ERR_STORAGE, &ignored);
    const json *root = d ? json_root(d) : NULL, *rules = json_get(root, "rules");
    struct check_kept k = {.checked_at = copy(root, "checked_at"),
                           .rules = copy(root, "of"),
                           .blocked = json_bool(json_get(root, "blocked"), false)};
    bool good = k.checked_at && json_is_array(rules);
    k.v = good ? xcalloc(json_len(rules), sizeof *k.v) : NULL;
    for (struct json_iter it = json_iter(rules); good && json_next(&it);)
        good = take_rule(it.value, &k.v[k.n++]);
    if (good)
        *ret = k;
    else
        check_kept_release(&k);
    return good;
}

int check_history_read(const char *path, struct check_kept *ret, struct err *e) {
    struct buf text;
    int r = history_end(path, LARGEST / 2, &text, e);
    bool found = false;
    *ret = (struct check_kept){0};
    for (size_t end = r == 0 ? text.len : 0, from; !found && end > 0; end = from) {
        for (from = end - 1; from > 0 && text.data[from - 1] != '\n';)
            from--;
        if (text.data[end - 1] == '\n')
            found = take_line(text.data + from, end - 1 - from, ret);
    }
    buf_release(&text);
    return r;
}

const char *check_kept_passed(const struct check_kept *k, bool warnings_do, int64_t now_us) {
    int64_t at;
    if (!k->checked_at || k->blocked || !time_parse(k->checked_at, &at) || now_us < at ||
        now_us - at > LATELY_US)
        return NULL;
    for (size_t i = 0; i < k->n && !warnings_do; i++)
        if (strcmp(k->v[i].result, check_state_names[CHECK_PASSED]) != 0 &&
            strcmp(k->v[i].result, check_state_names[CHECK_NOT_RUN]) != 0)
            return NULL;
    return k->rules;
}

/* ---- one more -------------------------------------------------------------------------------- */

static const struct check_kept_rule *find(const struct check_kept *k, const char *name) {
    for (size_t i = 0; i < k->n; i++)
        if (strcmp(k->v[i].name, name) == 0)
            return &k->v[i];
    return NULL;
}

static bool is_bad(enum check_state state) {
    return state == CHECK_FAILED || state == CHECK_ERROR;
}

void check_history_compare(const struct check_kept *before, int64_t now_us,
                           struct check_result *r) {
    for (size_t i = 0; i < r->n; i++) {
        struct check_outcome *out = &r->v[i];
        const struct check_kept_rule *was = find(before, out->name);
        out->is_new = !was || strcmp(was->result, check_state_names[out->state]) != 0;
        out->since_us = 0;
        if (is_bad(out->state) && !(was && was->since && time_parse(was->since, &out->since_us)))
            out->since_us = now_us;
    }
}

static void put_rule(struct json_out *o, const struct check_outcome *out) {
    json_obj(o, NULL);
    json_put(o, "rule", out->name);
    json_put(o, "severity", check_severity_names[out->severity]);
    json_put(o, "result", check_state_names[out->state]);
    json_put_int(o, "rows", out->rows);
    if (is_bad(out->state)) {
        char since[TIME_TEXT];
        time_format_ms(out->since_us, since);
        json_put(o, "since", since);
    }
    if (out->state == CHECK_FAILED)
        json_put_raw(o, "first", buf_str(&out->json));
    if (out->state == CHECK_ERROR)
        json_put(o, "error", out->why.msg);
    json_obj_end(o);
}

static void put_line(struct buf *line, int64_t now_us, const struct check_result *r) {
    struct json_out o = {.b = line};
    char at[TIME_TEXT];
    time_format_ms(now_us, at);
    json_obj(&o, NULL);
    json_put(&o, "checked_at", at);
    json_put_bool(&o, "blocked", r->blocking > 0);
    json_put(&o, "of", r->rules);
    json_arr(&o, "rules");
    for (size_t i = 0; i < r->n; i++)
        put_rule(&o, &r->v[i]);
    json_arr_end(&o);
    json_obj_end(&o);
    buf_add_char(line, '\n');
}

int check_history_append(const char *path, int64_t now_us, const struct check_result *r,
                         struct err *e) {
    struct buf line = BUF_INIT(LARGEST / 2);
    put_line(&line, now_us, r);
    int rc = history_append(path, &line, LARGEST, e);
    buf_release(&line);
    return rc;
}
