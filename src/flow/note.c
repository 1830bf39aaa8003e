/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/note.h"

#include "base/json.h"

/* --- appIds --- */

/* The slash before `end`; NULL: none, or nothing between. */
static const char *slash_before(const char *s, const char *end) {
    const char *p = end;
    while (p > s && p[-1] != '/')
        p--;
    return p > s && p < end ? p - 1 : NULL;
}

bool source_parse(const char *app_id, struct source_parts *ret) {
    const char *end = app_id + strlen(app_id);
    const char *c = slash_before(app_id, end);
    const char *b = c ? slash_before(app_id, c) : NULL;
    const char *a = b ? slash_before(app_id, b) : NULL;
    if (!a || a == app_id || end - c > 11)
        return false;
    int64_t partition = 0;
    for (const char *p = c + 1; p < end; p++) {
        if (*p < '0' || *p > '9')
            return false;
        partition = 10 * partition + (*p - '0');
    }
    if (partition > INT32_MAX)
        return false;
    *ret = (struct source_parts){
        .app = app_id,
        .app_len = (size_t)(a - app_id),
        .cluster = a + 1,
        .cluster_len = (size_t)(b - a - 1),
        .topic = b + 1,
        .topic_len = (size_t)(c - b - 1),
        .source_len = (size_t)(c - app_id),
        .partition = (int32_t)partition,
    };
    return true;
}

/* --- positions --- */

struct source_search {
    const char *source;
    bool found;
};

static int look_for_source(void *arg, const char *app_id, int64_t version ATTR_UNUSED) {
    struct source_search *l = arg;
    struct source_parts s;
    l->found = l->found || (source_parse(app_id, &s) && s.source_len == strlen(l->source) &&
                            strncmp(app_id, l->source, s.source_len) == 0);
    return 0;
}

int64_t note_position(const struct table *tb, const char *source, int32_t partition) {
    _cleanup_(freep) char *app_id = xasprintf("%s/%d", source, partition);
    int64_t at = table_txn(tb, app_id);
    if (at >= 0)
        return at;
    struct source_search l = {.source = source};
    table_txn_each(tb, source, look_for_source, &l);
    return l.found ? 0 : -1;
}

/* --- writing --- */

static void begin_range(struct json_out *o, int32_t partition, int64_t from, int64_t to) {
    json_obj(o, NULL);
    json_put_int(o, "partition", partition);
    json_put_int(o, "from", from);
    json_put_int(o, "to", to);
}

char *note_positions(const struct covered *v, size_t n) {
    struct buf b = BUF_INIT(LIMIT_LOG_ENTRY);
    struct json_out o = {.b = &b};
    json_arr(&o, NULL);
    for (size_t i = 0; i < n; i++) {
        begin_range(&o, v[i].partition, v[i].from, v[i].to);
        json_put_int(&o, "records", v[i].records);
        json_obj_end(&o);
    }
    json_arr_end(&o);
    return buf_detach(&b);
}

char *note_losses(const struct loss *v, size_t n) {
    struct buf b = BUF_INIT(LIMIT_LOG_ENTRY);
    struct json_out o = {.b = &b};
    json_arr(&o, NULL);
    for (size_t i = 0; i < n; i++) {
        begin_range(&o, v[i].partition, v[i].from, v[i].to);
        json_obj_end(&o);
    }
    json_arr_end(&o);
    return buf_detach(&b);
}

/* --- reading --- */

void note_release(struct note *n) {
    free(n->source);
    free(n->v);
    free(n->lost);
    free(n->topic_id);
    *n = (struct note){0};
}

static int misfit(const struct table_entry *en, const char *what, struct err *e) {
    return err_set(e, ERR_CHECK, "version %lld: %s", (long long)en->version, what);
}

/* The stream positions the entry moves, as covered ranges of which only the end is known. */
static int take_txn(const struct table_entry *en, struct note *n, struct err *e) {
    n->v = xcalloc(MAX(en->n_txn, 1), sizeof *n->v);
    for (size_t i = 0; i < en->n_txn; i++) {
        struct source_parts s;
        if (!source_parse(en->txn[i].app_id, &s))
            continue;
        if (!n->source)
            n->source = xstrndup(en->txn[i].app_id, s.source_len);
        else if (strlen(n->source) != s.source_len ||
                 strncmp(n->source, en->txn[i].app_id, s.source_len) != 0)
            return misfit(en, "the positions of two sources in one commit", e);
        n->v[n->n++] = (struct covered){s.partition, -1, en->txn[i].next, -1};
    }
    return 0;
}

/* Noted in the order of the txn actions. */
static int take_position(const struct table_entry *en, struct covered *c, const json *v,
                         struct err *e) {
    int64_t partition = json_int(json_get(v, "partition"), -1);
    int64_t from = json_int(json_get(v, "from"), -1), to = json_int(json_get(v, "to"), -1);
    int64_t records = json_int(json_get(v, "records"), -1);
    if (c->partition != partition || c->to != to || from < 0 || from > to || records < 0 ||
        records > to - from)
        return misfit(en, "its noted positions are not those of its txn actions", e);
    c->from = from;
    c->records = records;
    return 0;
}

static int take_loss(const struct table_entry *en, struct note *n, const json *v, struct err *e) {
    struct loss l = {(int32_t)json_int(json_get(v, "partition"), -1),
                     json_int(json_get(v, "from"), -1), json_int(json_get(v, "to"), -1)};
    for (size_t i = 0; i < n->n; i++)
        if (n->v[i].partition == l.partition && l.from >= n->v[i].from && l.from < l.to &&
            l.to <= n->v[i].to) {
            n->lost[n->n_lost++] = l;
            return 0;
        }
    return misfit(en, "a noted loss lies outside of its positions", e);
}

static int take_notes(const struct table_entry *en, struct note *n, const char *positions,
                      struct err *e) {
    const char *lost = table_entry_parameter(en, "lost");
    _cleanup_(json_freep) struct json_doc *d =
        json_parse(positions, strlen(positions), ERR_CHECK, e);
    _cleanup_(json_freep) struct json_doc *l =
        lost && d ? json_parse(lost, strlen(lost), ERR_CHECK, e) : NULL;
    if (!d || (lost && !l))
        return err_wrap(e, "version %lld: its note of the stream", (long long)en->version);
    n->written = true;
    int r = json_len(json_root(d)) == n->n
                ? 0
                : misfit(en, "its noted positions are not those of its txn actions", e);
    size_t at = 0;
    for (struct json_iter it = json_iter(json_root(d)); r == 0 && json_next(&it);)
        r = take_position(en, &n->v[at++], it.value, e);
    if (r == 0 && l) {
        n->lost = xcalloc(MAX(json_len(json_root(l)), 1), sizeof *n->lost);
        for (struct json_iter it = json_iter(json_root(l)); r == 0 && json_next(&it);)
            r = take_loss(en, n, it.value, e);
    }
    return r;
}

int note_read(const struct table_entry *en, struct note *ret, struct err *e) {
    struct note n = {0};
    int r = take_txn(en, &n, e);
    const char *positions = table_entry_parameter(en, "positions");
    const char *topic_id = table_entry_parameter(en, "topicId");
    if (r == 0 && n.source && positions)
        r = take_notes(en, &n, positions, e);
    if (r == 0 && n.source && topic_id)
        n.topic_id = xstrdup(topic_id);
    if (r < 0)
        note_release(&n);
    else
        *ret = n;
    return r;
}

/* --- the last topic id --- */

struct looking_for {
    const char *source;
    bool found;
    char *topic_id;
};

/* "<source>/<partition>#topic=<id>" */
static int look_in_state(void *arg, const char *app_id, int64_t version ATTR_UNUSED) {
    static const char name[] = "#topic=";
    struct looking_for *l = arg;
    size_t len = strlen(l->source);
    if (app_id[len] != '/')
        return 0;
    const char *at = app_id + len + 1 + strspn(app_id + len + 1, "0123456789");
    if (strncmp(at, name, strlen(name)) != 0)
        return 0;
    l->topic_id = xstrdup(at + strlen(name));
    return 1;
}

static int look_at(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    struct looking_for *l = arg;
    size_t len = strlen(l->source);
    for (size_t i = 0; !l->found && i < en->n_txn; i++) {
        struct source_parts s;
        l->found = source_parse(en->txn[i].app_id, &s) && s.source_len == len &&
                   strncmp(en->txn[i].app_id, l->source, len) == 0;
    }
    const char *id = l->found ? table_entry_parameter(en, "topicId") : NULL;
    l->topic_id = id ? xstrdup(id) : NULL;
    return 0;
}

int note_last_topic_id(struct table *tb, const char *source, char **ret, struct err *e) {
    struct looking_for l = {.source = source};
    table_txn_each(tb, source, look_in_state, &l);
    for (int64_t v = table_version(tb); v >= 0 && !l.found && !l.topic_id; v--) {
        int r = table_each_entry(tb, v - 1, v, look_at, &l, e);
        if (r == ERR_NOT_FOUND)
            break; /* the log was cleaned up to here: nobody knows any more */
        if (r < 0)
            return r;
    }
    *ret = l.topic_id;
    return 0;
}
