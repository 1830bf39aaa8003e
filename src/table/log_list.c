/* SPDX-License-Identifier: Apache-2.0 */
/* Which entries and checkpoints there are: the names in _delta_log. */
#include "table/checkpoint.h"

enum { DIGITS = 20, PART_DIGITS = 10 };

static const char *digits(const char *s, size_t n, int64_t *ret) {
    *ret = 0;
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9' || __builtin_mul_overflow(*ret, 10, ret) ||
            __builtin_add_overflow(*ret, s[i] - '0', ret))
            return NULL;
    return s + n;
}

/* A set of files that may become complete: those of one version and one number of parts. */
struct parts {
    int64_t version, n, seen;
};

/* "<v>.checkpoint.parquet", "<v>.checkpoint.<i>.<n>.parquet"; everything else of that name is V2. */
static void take_checkpoint(const char *name, int64_t up_to, struct parts *open,
                            struct log_listing *l) {
    int64_t version, part = 1, n = 1;
    const char *at = digits(name, DIGITS, &version);
    if (!at || version > up_to || strncmp(at, ".checkpoint.", 12) != 0)
        return;
    at += 12;
    bool single = strcmp(at, "parquet") == 0;
    const char *end = single ? at : digits(at, PART_DIGITS, &part);
    if (!single && end && *end == '.')
        end = digits(end + 1, PART_DIGITS, &n);
    if (!end || (!single && strcmp(end, ".parquet") != 0)) {
        size_t len = strlen(name); /* what is not ready yet ends otherwise */
        l->foreign_checkpoint |= (len > 8 && strcmp(name + len - 8, ".parquet") == 0) ||
                                 (len > 5 && strcmp(name + len - 5, ".json") == 0);
        return;
    }
    if (open->version != version || open->n != n || part == 1)
        *open = (struct parts){version, n, 0};
    open->seen += part == open->seen + 1; /* names come in order */
    if (open->seen == n && n > 0) {
        l->checkpoint = version;
        l->parts = n;
    }
}

static int list_from(const struct table *tb, const char *start_after, int64_t up_to,
                     struct log_listing *ret, struct err *e) {
    _cleanup_(freep) char *dir = log_dir(tb->def);
    struct storage_entries names = {0};
    struct log_listing l = {.first = -1, .last = -1, .checkpoint = -1};
    struct parts open = {.version = -1};
    int r = storage_list(tb->st, dir, start_after, &names, e);
    if (r)
        return r;
    for (size_t i = 0; i < names.n; i++) {
        int64_t v = log_entry_version(names.v[i].name);
        if (v < 0) {
            take_checkpoint(names.v[i].name, up_to, &open, &l);
            continue;
        }
        if (l.first < 0)
            l.first = v;
        l.last = v;
    }
    storage_entries_release(&names);
    *ret = l;
    return 0;
}

/* The version `_last_checkpoint` names; -1 if it is not there or not understood. */
static int hinted_version(const struct table *tb, int64_t *ret, struct err *e) {
    _cleanup_(freep) char *path = xasprintf("%s/_delta_log/_last_checkpoint", tb->def->name);
    struct buf b = BUF_INIT(MIB);
    *ret = -1;
    int r = storage_get(tb->st, path, &b, e);
    struct err ignored;
    struct json_doc *d = r == 0 ? json_parse(buf_str(&b), b.len, ERR_STORAGE, &ignored) : NULL;
    if (d)
        *ret = json_int(json_get(json_root(d), "version"), -1);
    json_free(d);
    buf_release(&b);
    return r == ERR_NOT_FOUND ? 0 : r;
}

int log_list(const struct table *tb, bool hinted, struct log_listing *ret, struct err *e) {
    int64_t hint = -1;
    int r = hinted ? hinted_version(tb, &hint, e) : 0;
    if (r)
        return r;
    if (hint >= 0) {
        char after[DIGITS + 2];
        snprintf(after, sizeof after, "%0*lld.", DIGITS, (long long)hint);
        r = list_from(tb, after, INT64_MAX, ret, e);
        if (r || ret->checkpoint >= 0)
            return r;
    }
    return list_from(tb, NULL, INT64_MAX, ret, e);
}

int log_list_up_to(const struct table *tb, int64_t up_to, struct log_listing *ret, struct err *e) {
    return list_from(tb, NULL, up_to, ret, e);
}

int64_t log_name_version(const char *name) {
    int64_t v;
    const char *at = strlen(name) > DIGITS ? digits(name, DIGITS, &v) : NULL;
    return at && *at == '.' ? v : -1;
}
