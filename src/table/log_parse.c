/* SPDX-License-Identifier: Apache-2.0 */
#include "table/log.h"

struct parser {
    const struct table_def *def;
    struct log_entry *en;
    struct json_doc *line; /* the line being read; an action that is kept takes it */
    struct err *e;
};

static char *dup_str(const json *v) {
    const char *s = json_str(v);
    return s ? xstrdup(s) : NULL;
}

static struct log_file *files_slot(struct log_files *l) {
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 8;
        l->v = xrealloc(l->v, l->cap * sizeof *l->v);
    }
    return &l->v[l->n++];
}

/*
 * numRecords out of the statistics, which are JSON within JSON; -1 if they do not say. Nearly all
 * writers begin with it, and a table may have a million files: so that is looked at first.
 */
static int64_t rows_of(const char *stats) {
    static const char first[] = "{\"numRecords\":";
    if (!stats)
        return -1;
    if (strncmp(stats, first, strlen(first)) == 0) {
        char *end;
        int64_t v = strtoll(stats + strlen(first), &end, 10);
        if (v >= 0 && (*end == ',' || *end == '}'))
            return v;
    }
    struct err ignored = {0};
    _cleanup_(json_freep) struct json_doc *d =
        json_parse(stats, strlen(stats), ERR_STORAGE, &ignored);
    return d ? json_int(json_get(json_root(d), "numRecords"), -1) : -1;
}

int log_files_add(struct log_files *to, const char *what, const struct log_file_text *t,
                  struct err *e) {
    if (t->has_vector) {
        err_set(e, ERR_STORAGE, "%s of %s has a deletion vector, which clickmill cannot read", what,
                t->path);
        return err_hint(e, "set delta.enableDeletionVectors=false for the table and rewrite it "
                           "(REORG TABLE … APPLY (PURGE))");
    }
    char *path = log_path_decode(t->path);
    if (!path)
        return err_set(e, ERR_STORAGE,
                       "%s of \"%s\": not a path inside the table that clickmill can read", what,
                       t->path);
    /* The empty text is NULL for every type (PROTOCOL.md "Partition Value Serialization"). */
    bool has_partition = t->partition && *t->partition;
    *files_slot(to) =
        (struct log_file){.file = {.path = path,
                                   .partition = has_partition ? xstrdup(t->partition) : NULL,
                                   .size = t->size,
                                   .mtime_ms = t->mtime_ms,
                                   .stats = t->stats ? xstrdup(t->stats) : NULL,
                                   .rows = rows_of(t->stats)},
                          .data_change = t->data_change};
    return 0;
}

static int parse_file(struct parser *p, const char *what, const json *action,
                      struct log_files *to) {
    const json *vector = json_get(action, "deletionVector");
    struct log_file_text t = {
        .path = json_str(json_get(action, "path")),
        .partition = json_str(json_get(json_get(action, "partitionValues"), p->def->partition_by)),
        .stats = json_str(json_get(action, "stats")),
        .size = json_int(json_get(action, "size"), -1),
        .mtime_ms = json_int(json_get(action, "modificationTime"),
                             json_int(json_get(action, "deletionTimestamp"), 0)),
        .data_change = json_bool(json_get(action, "dataChange"), true),
        .has_vector = vector && !json_is_null(vector)};
    return t.path ? log_files_add(to, what, &t, p->e)
                  : err_set(p->e, ERR_STORAGE, "%s without a path", what);
}

static int parse_add(struct parser *p, const json *action) {
    return parse_file(p, "add", action, &p->en->add);
}

static int parse_remove(struct parser *p, const json *action) {
    return parse_file(p, "remove", action, &p->en->remove);
}

static int parse_txn(struct parser *p, const json *action) {
    const char *app_id = json_str(json_get(action, "appId"));
    int64_t version = json_int(json_get(action, "version"), INT64_MIN);
    if (!app_id || version == INT64_MIN)
        return err_set(p->e, ERR_STORAGE, "txn without an appId and a whole version");
    struct log_entry *en = p->en;
    en->txn = xrealloc(en->txn, (en->n_txn + 1) * sizeof *en->txn);
    en->txn[en->n_txn++] = (struct log_txn){.app_id = xstrdup(app_id), .version = version};
    return 0;
}

static int parse_protocol(struct parser *p, const json *action ATTR_UNUSED) {
    if (p->en->protocol)
        return err_set(p->e, ERR_STORAGE, "a second protocol action in one entry");
    p->en->protocol = TAKE_PTR(p->line);
    return 0;
}

static int parse_meta(struct parser *p, const json *action ATTR_UNUSED) {
    if (p->en->meta)
        return err_set(p->e, ERR_STORAGE, "a second metaData action in one entry");
    p->en->meta = TAKE_PTR(p->line);
    return 0;
}

static void add_text(struct table_text **v, size_t *n, const char *name, char *value) {
    *v = xrealloc(*v, (*n + 1) * sizeof **v);
    (*v)[(*n)++] = (struct table_text){.name = xstrdup(name), .value = value};
}

static void parse_metrics(struct log_entry *en, const json *metrics) {
    if (!json_is_object(metrics))
        return;
    for (struct json_iter it = json_iter(metrics); json_next(&it);) {
        char *value = dup_str(it.value);
        if (!value) {
            struct buf b = BUF_INIT(LIMIT_LOG_ENTRY);
            json_text(it.value, &b);
            value = buf_detach(&b);
        }
        add_text(&en->metrics, &en->n_metrics, it.name, value);
    }
}

static void parse_parameters(struct log_entry *en, const json *parameters) {
    if (!json_is_object(parameters))
        return;
    for (struct json_iter it = json_iter(parameters); json_next(&it);)
        if (json_str(it.value))
            add_text(&en->parameters, &en->n_parameters, it.name, dup_str(it.value));
}

/* Free-form: what has an unexpected type is left out, never an error. */
static int parse_info(struct parser *p, const json *action) {
    struct log_entry *en = p->en;
    en->timestamp_ms = json_int(json_get(action, "timestamp"), en->timestamp_ms);
    char *operation = dup_str(json_get(action, "operation"));
    if (operation) {
        free(en->operation);
        en->operation = operation;
    }
    char *txn_id = dup_str(json_get(action, "txnId"));
    if (txn_id) {
        free(en->txn_id);
        en->txn_id = txn_id;
    }
    parse_metrics(en, json_get(action, "operationMetrics"));
    parse_parameters(en, json_get(action, "operationParameters"));
    return 0;
}

/* cdc, domainMetadata and what is yet to come: readers pass over actions they do not know. */
static const struct {
    const char *name;
    int (*parse)(struct parser *p, const json *action);
} actions[] = {
    {"commitInfo", parse_info}, {"protocol", parse_protocol}, {"metaData", parse_meta},
    {"txn", parse_txn},         {"add", parse_add},           {"remove", parse_remove},
};

static int parse_line(struct parser *p, const char *line, size_t len) {
    p->line = json_parse(line, len, ERR_STORAGE, p->e);
    if (!p->line)
        return p->e->code;
    const json *root = json_root(p->line);
    int r =
        json_is_object(root) ? 0 : err_set(p->e, ERR_STORAGE, "an action that is no JSON object");
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(actions); i++) {
        const json *action = json_get(root, actions[i].name);
        if (!action || json_is_null(action))
            continue;
        r = json_is_object(action)
                ? actions[i].parse(p, action)
                : err_set(p->e, ERR_STORAGE, "%s is no JSON object", actions[i].name);
        if (!p->line) /* kept, and an action stands alone in its line */
            return r;
    }
    json_free(TAKE_PTR(p->line));
    return r;
}

static bool is_blank(const char *s, size_t n) {
    return strspn(s, " \t\r") >= n;
}

int log_entry_parse(const struct table_def *def, int64_t version, const char *text, size_t len,
                    struct log_entry *ret, struct err *e) {
    struct log_entry en = {.version = version, .operation = xstrdup("")};
    struct parser p = {.def = def, .en = &en, .e = e};
    size_t line = 0, actions_seen = 0;
    for (size_t at = 0, next; at < len; at = next) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t n = newline ? (size_t)(newline - text) - at : len - at;
        next = at + n + 1;
        line++;
        if (is_blank(text + at, n))
            continue;
        actions_seen++;
        if (parse_line(&p, text + at, n) != 0) {
            log_entry_release(&en);
            return err_wrap(e, "line %zu (from byte %zu)", line, at);
        }
    }
    if (actions_seen == 0) {
        log_entry_release(&en);
        err_set(e, ERR_STORAGE, "a log entry without any action (%zu bytes)", len);
        return err_hint(e,
                        "the file was cut short, by a full disk or a crash of what wrote it; if it "
                        "is the newest entry, moving it away undoes that commit");
    }
    *ret = en;
    return 0;
}

void table_texts_free(struct table_text *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free(v[i].name);
        free(v[i].value);
    }
    free(v);
}

static void files_release(struct log_files *l) {
    for (size_t i = 0; i < l->n; i++)
        table_file_release(&l->v[i].file);
    free(l->v);
    *l = (struct log_files){0};
}

void log_entry_release(struct log_entry *en) {
    files_release(&en->add);
    files_release(&en->remove);
    for (size_t i = 0; i < en->n_txn; i++)
        free(en->txn[i].app_id);
    free(en->txn);
    table_texts_free(en->metrics, en->n_metrics);
    table_texts_free(en->parameters, en->n_parameters);
    free(en->operation);
    free(en->txn_id);
    json_free(en->protocol);
    json_free(en->meta);
    *en = (struct log_entry){0};
}
