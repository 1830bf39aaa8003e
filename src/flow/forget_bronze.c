/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bronze files that hold a user, written anew without. A row of the user stays as a reject for the
 * reason 'forgotten', so that each position is still there once and reconcile goes on to prove it. The
 * commit says dataChange=false: nothing comes that the layers above have not read.
 */
#include "base/json.h"
#include "base/log.h"
#include "base/util.h"
#include "flow/forget.h"
#include "flow/totals.h"

struct search {
    struct storage *st;
    struct engine *en;
    char *flags; /* SELECT of bronze's rows with the columns is_users and names_user */
    struct table_files hits;
};

/* ---- which rows ---------------------------------------------------------------------------------- */

static bool is_integer(const char *s) {
    s += *s == '-';
    return *s && s[strspn(s, "0123456789")] == '\0';
}

/* "…" with every character beyond ASCII as \\uXXXX, as some writers of JSON do. */
static void put_ascii(struct buf *b, const char *user, bool upper) {
    struct buf text = BUF_INIT(64 * KIB);
    json_put_str(&text, user, strlen(user));
    for (size_t i = 0, n; i < text.len; i += n) {
        const uint8_t *p = (const uint8_t *)buf_str(&text) + i;
        n = utf8_len(buf_str(&text) + i, text.len - i);
        if (n == 1) {
            buf_add_char(b, (char)*p);
            continue;
        }
        uint32_t c = n == 2 ? *p & 0x1fu : n == 3 ? *p & 0x0fu : *p & 0x07u;
        for (size_t k = 1; k < n; k++)
            c = c << 6 | (p[k] & 0x3fu);
        if (c >= 0x10000) {
            buf_addf(b, upper ? "\\u%04X" : "\\u%04x", 0xd800u + ((c - 0x10000u) >> 10));
            c = 0xdc00u + ((c - 0x10000u) & 0x3ffu);
        }
        buf_addf(b, upper ? "\\u%04X" : "\\u%04x", c);
    }
    buf_release(&text);
}

/* Does `form` hold for one of the id's JSON spellings behind the prefix? '?' in it is that as a SQL literal. */
static void add_spellings(struct buf *b, const char *form, const char *prefix, const char *user) {
    const char *at = strchr(form, '?');
    for (int i = 0; i < 4; i++) {
        struct buf spelt = BUF_INIT(64 * KIB);
        buf_add_str(&spelt, prefix);
        if (i == 0)
            json_put_str(&spelt, user, strlen(user));
        else if (i == 1)
            buf_addf(&spelt, "\"%s\"", user);
        else
            put_ascii(&spelt, user, i == 3);
        buf_addf(b, "%s%.*s", i ? " OR " : "(", (int)(at - form), form);
        buf_add_literal(b, buf_str(&spelt));
        buf_add_str(b, at + 1);
        buf_release(&spelt);
    }
    buf_add_char(b, ')');
}

/*
 * Does JSON that is an object hold it as user_id, on whatever level? Is it in any other bytes as a whole
 * text, or as a number? Those are compared as SQL spells bytes, so that they need not be UTF-8.
 */
static void add_raw_test(struct buf *b, const char *user) {
    buf_add_str(b, "CASE WHEN json_valid(raw_text) AND raw_text[1] = '{' THEN "
                   "coalesce(json_extract_string(raw_text, '$.user_id') = ");
    buf_add_literal(b, user);
    buf_add_str(b, ", false) OR ");
    add_spellings(b, "regexp_matches(raw_text, '\"user_id\"\\s*:\\s*' || regexp_escape(?))", "",
                  user);
    if (is_integer(user))
        buf_addf(b, " OR regexp_matches(raw_text, '\"user_id\"\\s*:\\s*%s\\s*[,}]')", user);
    buf_add_str(b, " ELSE ");
    add_spellings(b, "contains(CAST(raw AS VARCHAR), CAST(encode(?) AS VARCHAR))", "", user);
    if (is_integer(user))
        buf_addf(b, " OR regexp_matches(CAST(raw AS VARCHAR), '[:,\\[\\s]%s\\s*([,}\\]]|$)')",
                 user);
    buf_add_str(b, " END");
}

static char *flags_of(const char *user) {
    struct buf b = BUF_INIT(LIMIT_SQL);
    buf_add_str(&b, "SELECT *, coalesce(reject_reason IS NULL AND user_id = ");
    buf_add_literal(&b, user);
    buf_add_str(&b, ", false) AS is_users, coalesce(CASE WHEN user_id = ");
    buf_add_literal(&b, user);
    buf_add_str(&b, " THEN false WHEN reject_reason IS NOT NULL THEN raw IS NOT NULL AND ");
    add_raw_test(&b, user);
    /* Another user's event that names this one in what no column holds. */
    buf_add_str(&b, " ELSE ");
    add_spellings(&b, "contains(extra, ?)", "\"user_id\":", user);
    if (is_integer(user))
        buf_addf(&b, " OR regexp_matches(extra, '\"user_id\":%s[,}]')", user);
    buf_add_str(&b,
                " END, false) AS names_user FROM (SELECT *, CASE WHEN reject_reason IS NOT NULL "
                "THEN TRY(decode(raw)) END AS raw_text FROM files)");
    return buf_detach(&b);
}

static const char *const kept[] = {"protocol",         "received_at",   "source_topic",
                                   "source_partition", "source_offset", "source_index"};
static const char *const told[] = {"extra", "raw"}; /* may name somebody */

static bool is_one_of(const char *name, const char *const *v, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, v[i]) == 0)
            return true;
    return false;
}

/* The rows as they shall be. */
static char *rows_of(const char *flags) {
    struct buf b = BUF_INIT(LIMIT_SQL);
    buf_add_str(&b, "SELECT ");
    for (size_t i = 0; i < bronze_events.n_columns; i++) {
        const char *name = bronze_events.columns[i].name;
        buf_add_str(&b, i ? ", " : "");
        if (strcmp(name, bronze_events.partition_by) == 0 || is_one_of(name, kept, ARRAY_LEN(kept)))
            buf_add_str(&b, name);
        else if (strcmp(name, "reject_reason") == 0)
            buf_addf(&b, "CASE WHEN is_users THEN 'forgotten' ELSE %s END AS %s", name, name);
        else if (strcmp(name, "reject_detail") ==
                 0) /* an event's is that of a replayed row: a reason */
            buf_addf(
                &b,
                "CASE WHEN names_user AND reject_reason IS NOT NULL THEN NULL ELSE %s END AS %s",
                name, name);
        else
            buf_addf(&b, "CASE WHEN is_users%s THEN NULL ELSE %s END AS %s",
                     is_one_of(name, told, ARRAY_LEN(told)) ? " OR names_user" : "", name, name);
    }
    buf_addf(&b, " FROM (%s)", flags);
    return buf_detach(&b);
}

/* ---- which files --------------------------------------------------------------------------------- */

struct counts {
    int64_t rows, users, named;
};

static int take_counts(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                       struct err *e ATTR_UNUSED) {
    struct counts *c = arg;
    c->rows = values[0] ? strtoll(values[0], NULL, 10) : 0;
    c->users = values[1] ? strtoll(values[1], NULL, 10) : 0;
    c->named = values[2] ? strtoll(values[2], NULL, 10) : 0;
    return 0;
}

static int count(struct search *s, const struct table_files *files, struct counts *ret,
                 struct err *e) {
    const struct engine_input input = {"files", &bronze_events, files};
    _cleanup_(freep) char *sql = xasprintf("SELECT count(*), count(*) FILTER (WHERE is_users), "
                                           "count(*) FILTER (WHERE names_user) FROM (%s)",
                                           s->flags);
    return engine_query(s->en, s->st, &input, 1, sql, false,
                        &(struct engine_rows){.row = take_counts, .arg = ret}, e);
}

/* Halves the files until those that hold the user are left. */
static int search(struct search *s, const struct table_file *v, size_t n, struct counts *sum,
                  struct err *e) {
    struct table_files part = {.v = (struct table_file *)(uintptr_t)v, .n = n, .cap = n};
    struct counts c = {0};
    int r = n == 0 ? 0 : count(s, &part, &c, e);
    if (r < 0 || c.users + c.named == 0)
        return r;
    if (n == 1) {
        table_file_copy(table_files_add(&s->hits), v);
        sum->rows += c.rows;
        sum->users += c.users;
        sum->named += c.named;
        return 0;
    }
    r = search(s, v, n / 2, sum, e);
    return r < 0 ? r : search(s, v + n / 2, n - n / 2, sum, e);
}

/* ---- the commit ---------------------------------------------------------------------------------- */

char *forget_mark(const struct table *bronze) {
    return xasprintf("forget/%s", table_id(bronze));
}

static int commit(struct search *s, struct table *bronze, const struct counts *c,
                  const struct table_files *made, struct err *e) {
    int64_t before = table_files_rows(&s->hits), after = table_files_rows(made);
    if (before < 0) /* another writer's file does not say: they were counted */
        before = c->rows;
    if (before != after)
        return err_set(e, ERR_BUG, "forget: %lld rows became %lld; nothing was committed",
                       (long long)before, (long long)after);
    const struct table_metric metrics[] = {{"forgotten", c->users},
                                           {"rawErased", c->named},
                                           {"numRemovedFiles", (int64_t)s->hits.n},
                                           {"numAddedFiles", (int64_t)made->n}};
    struct txn_list txn = {0};
    char *mark = forget_mark(bronze);
    int64_t so_far = table_txn(bronze, mark);
    txn_list_add(&txn, mark, so_far, MAX(so_far, 0) + 1);
    crash_point("forget.after_data");
    int r = table_commit(bronze,
                         &(struct table_commit){.operation = "FORGET",
                                                .add = made,
                                                .remove = &s->hits,
                                                .txn = txn.v,
                                                .n_txn = txn.n,
                                                .metrics = metrics,
                                                .n_metrics = ARRAY_LEN(metrics)},
                         NULL, e);
    txn_list_release(&txn);
    return r;
}

static int rewrite(struct search *s, struct table *bronze, const struct counts *c,
                   struct forget_table *ret, struct err *e) {
    const struct engine_input input = {"files", &bronze_events, &s->hits};
    _cleanup_(freep) char *rows = rows_of(s->flags);
    struct engine_result made = {0};
    int r = engine_run(s->en, s->st,
                       &(struct engine_job){.what = "forget",
                                            .inputs = &input,
                                            .n_inputs = 1,
                                            .select = rows,
                                            .output = &bronze_events},
                       &made, e);
    if (r == 0)
        r = commit(s, bronze, c, &made.files, e);
    if (r < 0)
        table_discard(bronze, &made.files, r);
    ret->files_made = (int64_t)made.files.n;
    engine_result_release(&made);
    return r;
}

int forget_bronze(struct storage *st, struct engine *en, struct table *bronze, const char *user,
                  struct forget_table *ret, int64_t *ret_version, struct err *e) {
    struct search s = {.st = st, .en = en, .flags = flags_of(user)};
    struct counts c = {0};
    const struct table_files *live = table_live(bronze);
    int64_t read = (int64_t)live->n;
    int r = search(&s, live->v, live->n, &c, e);
    *ret_version = -1;
    if (r == 0 && s.hits.n) {
        log_info("forget rewrites bronze", F_INT("files", (int64_t)s.hits.n), F_INT("of", read),
                 F_INT("rows", c.users), F_INT("raw", c.named));
        r = rewrite(&s, bronze, &c, ret, e);
        if (r == 0)
            *ret_version = table_version(bronze);
    }
    if (r == 0) {
        ret->files_read = read;
        ret->files_rewritten = (int64_t)s.hits.n;
        ret->rows_erased = c.users;
        ret->raw_erased = c.named;
    }
    table_files_release(&s.hits);
    free(s.flags);
    return r;
}
