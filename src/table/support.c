/* SPDX-License-Identifier: Apache-2.0 */
#include "table/support.h"

#include "table/snapshot.h"

#include <strings.h>

enum { READER_VERSION = 1, WRITER_VERSION = 2 };

static const char *setting(const json *meta, const char *name) {
    return json_str(json_get(json_get(meta, "configuration"), name));
}

static bool is_true(const char *s) {
    return s && strcasecmp(s, "true") == 0;
}

/* " (features a, b)", or nothing. The caller frees. */
static char *features_text(const json *protocol, const char *which) {
    struct buf b = BUF_INIT(1024);
    for (struct json_iter it = json_iter(json_get(protocol, which)); json_next(&it);)
        if (json_str(it.value))
            buf_addf(&b, "%s%s", b.len ? ", " : " (features ", json_str(it.value));
    if (b.len)
        buf_add_char(&b, ')');
    return buf_detach(&b);
}

static int check_version(const json *protocol, const char *role, int supported, struct err *e) {
    bool reader = supported == READER_VERSION;
    int64_t v = json_int(json_get(protocol, reader ? "minReaderVersion" : "minWriterVersion"), -1);
    if (v >= 1 && v <= supported)
        return 0;
    if (v < 1)
        return err_set(e, ERR_STORAGE, "the protocol action names no Delta %s version", role);
    _cleanup_(freep) char *features =
        features_text(protocol, reader ? "readerFeatures" : "writerFeatures");
    err_set(e, ERR_STORAGE,
            "the table asks for Delta %s version %lld%s; clickmill knows version %d", role,
            (long long)v, features, supported);
    return err_hint(e,
                    "somebody upgraded the table; drop the features in Spark (ALTER TABLE … DROP "
                    "FEATURE), or copy its rows into a table without them");
}

struct json_doc *support_schema(const json *meta, struct err *e) {
    const char *text = json_str(json_get(meta, "schemaString"));
    if (!text) {
        err_set(e, ERR_STORAGE, "the metaData action has no schemaString");
        return NULL;
    }
    struct json_doc *d = json_parse(text, strlen(text), ERR_STORAGE, e);
    if (!d)
        err_wrap(e, "schemaString");
    return d;
}

const json *support_field(const json *fields, const char *name) {
    for (struct json_iter it = json_iter(fields); json_next(&it);) {
        const char *s = json_str(json_get(it.value, "name"));
        if (s && strcasecmp(s, name) == 0)
            return it.value;
    }
    return NULL;
}

static int check_column(const struct table_def *def, const struct column *c,
                        const struct json_doc *schema, struct err *e) {
    const json *field = support_field(json_get(json_root(schema), "fields"), c->name);
    const char *name = json_str(json_get(field, "name")), *type = json_str(json_get(field, "type")),
               *want = column_type_delta(c->type);
    if (!field)
        return table_def_is_later(def, c->name)
                   ? 0
                   : err_set(e, ERR_STORAGE, "the table has no column %s (%s)", c->name, want);
    if (strcmp(name, c->name) != 0)
        return err_set(e, ERR_STORAGE, "the table has no column %s (%s), but one named %s", c->name,
                       want, name);
    if (type && strcmp(type, want) == 0)
        return 0;
    struct buf b = BUF_INIT(1024);
    json_text(json_get(field, "type"), &b);
    err_set(e, ERR_STORAGE, "column %s has the type %s, not \"%s\"", name, buf_str(&b), want);
    buf_release(&b);
    return e->code;
}

static int check_columns(const struct table_def *def, const struct json_doc *schema,
                         struct err *e) {
    for (size_t i = 0; i < def->n_columns; i++)
        if (check_column(def, &def->columns[i], schema, e) != 0)
            return err_hint(e, "somebody changed the table's columns: undo that, or " TABLE_ANEW);
    return 0;
}

static int check_partition(const struct table_def *def, const json *meta, struct err *e) {
    const json *by = json_get(meta, "partitionColumns");
    struct json_iter it = json_iter(by);
    if (json_is_array(by) && json_len(by) == 1 && json_next(&it) && json_str(it.value) &&
        strcmp(json_str(it.value), def->partition_by) == 0)
        return 0;
    struct buf b = BUF_INIT(1024);
    json_text(by, &b);
    err_set(e, ERR_STORAGE, "the table is partitioned by %s, not by %s",
            b.len ? buf_str(&b) : "nothing", def->partition_by);
    buf_release(&b);
    return err_hint(e, TABLE_ANEW);
}

int support_read(const struct table_def *def, const json *protocol, const json *meta,
                 struct err *e) {
    /* Before the version that brought it, which names no feature. */
    const char *mapping = setting(meta, "delta.columnMapping.mode");
    if (mapping && strcmp(mapping, "none") != 0)
        return err_set(e, ERR_STORAGE,
                       "the table asks for column mapping (delta.columnMapping.mode=%s), which "
                       "clickmill does not know",
                       mapping);
    int r = check_version(protocol, "reader", READER_VERSION, e);
    if (r)
        return r;
    const char *provider = json_str(json_get(json_get(meta, "format"), "provider"));
    if (!provider || strcmp(provider, "parquet") != 0)
        return err_set(e, ERR_STORAGE, "the table's files are %s, not parquet",
                       provider ? provider : "of no named format");
    _cleanup_(json_freep) struct json_doc *schema = support_schema(meta, e);
    if (!schema)
        return e->code;
    r = check_columns(def, schema, e);
    return r ? r : check_partition(def, meta, e);
}

static int declare(struct column *c, const json *field, struct err *e) {
    const char *name = json_str(json_get(field, "name")), *type = json_str(json_get(field, "type"));
    if (!name || !type || !column_type_find(type, &c->type)) {
        struct buf b = BUF_INIT(1024);
        json_text(json_get(field, "type"), &b);
        err_set(e, ERR_STORAGE, "column %s has the type %s, which clickmill does not use",
                name ? name : "without a name", buf_str(&b));
        buf_release(&b);
        return err_hint(e, "somebody changed the table's columns: undo that, or " TABLE_ANEW);
    }
    c->name = xstrdup(name);
    return 0;
}

int support_declared(const struct table_def *given, const json *meta, struct table_def **ret,
                     struct err *e) {
    _cleanup_(json_freep) struct json_doc *schema = support_schema(meta, e);
    if (!schema)
        return e->code;
    const json *fields = json_get(json_root(schema), "fields");
    struct column *columns = xcalloc(json_len(fields) + 1, sizeof *columns);
    struct column by = {0};
    struct table_def *def = xcalloc(1, sizeof *def);
    *def = *given;
    def->columns = columns;
    int r = 0;
    for (struct json_iter it = json_iter(fields); r == 0 && json_next(&it);) {
        struct column c = {0};
        r = declare(&c, it.value, e);
        if (r == 0 && !by.name && strcmp(c.name, given->partition_by) == 0)
            by = c;
        else if (r == 0)
            columns[def->n_columns++] = c;
    }
    if (by.name)
        columns[def->n_columns++] = by;
    else if (r == 0)
        r = err_set(e, ERR_STORAGE, "the table has no column %s", given->partition_by);
    if (r)
        support_declared_free(def);
    else
        *ret = def;
    return r;
}

void support_declared_free(struct table_def *def) {
    if (!def)
        return;
    for (size_t i = 0; i < def->n_columns; i++)
        free((char *)(uintptr_t)def->columns[i].name);
    free((struct column *)(uintptr_t)def->columns);
    free(def);
}

/* Promises about the values of a column that we would have to keep. */
static const struct {
    const char *key, *what;
} promises[] = {
    {"delta.invariants", "an invariant"},
    {"delta.generationExpression", "values generated from others"},
    {"delta.identity.start", "values generated as an identity"},
};

static int check_promises(const struct json_doc *schema, struct err *e) {
    for (struct json_iter it = json_iter(json_get(json_root(schema), "fields")); json_next(&it);) {
        const char *name = json_str(json_get(it.value, "name"));
        for (size_t i = 0; i < ARRAY_LEN(promises); i++)
            if (json_get(json_get(it.value, "metadata"), promises[i].key))
                return err_set(e, ERR_STORAGE, "column %s has %s (%s)", name, promises[i].what,
                               promises[i].key);
        if (!json_bool(json_get(it.value, "nullable"), true))
            return err_set(e, ERR_STORAGE, "column %s is NOT NULL", name);
    }
    return 0;
}

/* Properties that ask more of each write. */
static int check_settings(const json *meta, struct err *e) {
    for (struct json_iter it = json_iter(json_get(meta, "configuration")); json_next(&it);)
        if (strncmp(it.name, "delta.constraints.", strlen("delta.constraints.")) == 0)
            return err_set(e, ERR_STORAGE, "the table has a constraint (%s: %s)", it.name,
                           json_str(it.value) ? json_str(it.value) : "");
    if (is_true(setting(meta, "delta.enableChangeDataFeed")))
        return err_set(e, ERR_STORAGE,
                       "the table keeps a change data feed (delta.enableChangeDataFeed)");
    return 0;
}

int support_write(const json *protocol, const json *meta, struct err *e) {
    _cleanup_(json_freep) struct json_doc *schema = support_schema(meta, e);
    if (!schema)
        return e->code;
    /* Before the version that brought them, so that the message names what it is about. */
    if (check_promises(schema, e) != 0 || check_settings(meta, e) != 0)
        return err_hint(e, "clickmill cannot keep that promise: take it off the table");
    const char *text = json_str(json_get(meta, "schemaString"));
    if (strstr(text, "delta.invariants")) /* in a nested field */
        return err_set(e, ERR_STORAGE, "a nested column has an invariant (delta.invariants)");
    int r = check_version(protocol, "writer", WRITER_VERSION, e);
    if (r)
        return r;
    const char *retention = setting(meta, "delta.setTransactionRetentionDuration");
    if (retention) {
        err_set(e, ERR_STORAGE,
                "delta.setTransactionRetentionDuration is %s: positions older than that would be "
                "forgotten, and their records read again",
                retention);
        return err_hint(
            e, "ALTER TABLE … UNSET TBLPROPERTIES ('delta.setTransactionRetentionDuration')");
    }
    return 0;
}

bool support_is_older(const struct table_def *def, const struct json_doc *meta) {
    if (!def->later)
        return false;
    struct err ignored;
    _cleanup_(json_freep) struct json_doc *schema =
        support_schema(json_get(json_root(meta), "metaData"), &ignored);
    for (const char *const *name = def->later; schema && *name; name++)
        if (!support_field(json_get(json_root(schema), "fields"), *name))
            return true;
    return false;
}

char *support_foreign_column(const struct table_def *def, const json *meta) {
    struct err ignored;
    _cleanup_(json_freep) struct json_doc *schema = support_schema(meta, &ignored);
    const json *fields = schema ? json_get(json_root(schema), "fields") : NULL;
    for (struct json_iter it = json_iter(fields); json_next(&it);) {
        const char *name = json_str(json_get(it.value, "name"));
        if (!name || !table_def_column(def, name))
            return xstrdup(name ? name : "");
    }
    return NULL;
}

bool support_append_only(const json *meta) {
    return is_true(setting(meta, "delta.appendOnly"));
}
