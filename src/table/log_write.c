/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "table/log.h"
#include "table/support.h"
#include "version.h"

/* Opens {"<action>":{ and closes it with the line's end. */
static struct json_out action_begin(struct buf *b, const char *action) {
    struct json_out o = {.b = b};
    json_obj(&o, NULL);
    json_obj(&o, action);
    return o;
}

static void action_end(struct json_out *o) {
    json_obj_end(o);
    json_obj_end(o);
    buf_add_char(o->b, '\n');
}

static size_t n_files(const struct table_files *f) {
    return f ? f->n : 0;
}

/* Every value is a text, lists and all: Spark reads a Map[String,String]. */
static void write_parameters(struct json_out *o, const struct table_def *def,
                             const struct table_commit *c) {
    json_obj(o, "operationParameters");
    if (c->data_change) {
        json_put(o, "mode", n_files(c->remove) ? "Overwrite" : "Append");
        _cleanup_(freep) char *by = xasprintf("[\"%s\"]", def->partition_by);
        json_put(o, "partitionBy", by);
    }
    for (size_t i = 0; i < c->n_parameters; i++)
        json_put(o, c->parameters[i].name, c->parameters[i].value);
    json_obj_end(o);
}

void log_write_info(struct buf *b, const struct table_def *def, const struct table_commit *c,
                    const char *txn_id, int64_t now_ms) {
    struct json_out o = action_begin(b, "commitInfo");
    json_put_int(&o, "timestamp", now_ms);
    json_put(&o, "operation", c->operation);
    write_parameters(&o, def, c);
    json_put_bool(&o, "isBlindAppend", n_files(c->remove) == 0 && c->data_change);
    json_obj(&o, "operationMetrics");
    for (size_t i = 0; i < c->n_metrics; i++) {
        char text[24];
        snprintf(text, sizeof text, "%lld", (long long)c->metrics[i].value);
        json_put(&o, c->metrics[i].name, text);
    }
    json_obj_end(&o);
    json_put(&o, "engineInfo", "clickmill/" CM_VERSION);
    json_put(&o, "txnId", txn_id);
    action_end(&o);
}

/* All columns are nullable: what a reject or an unknown leaves out is NULL. */
static void write_field(struct json_out *o, const struct column *c) {
    json_obj(o, NULL);
    json_put(o, "name", c->name);
    json_put(o, "type", column_type_delta(c->type));
    json_put_bool(o, "nullable", true);
    json_put_raw(o, "metadata", "{}");
    json_obj_end(o);
}

/* `fields`, which stay as they are, and behind them the definition's that are not among them. */
static char *schema_text(const struct table_def *def, const json *fields) {
    struct buf b = BUF_INIT(LIMIT_LOG_ENTRY);
    struct json_out o = {.b = &b};
    json_obj(&o, NULL);
    json_put(&o, "type", "struct");
    json_arr(&o, "fields");
    for (struct json_iter it = json_iter(fields); json_next(&it);) {
        struct buf field = BUF_INIT(LIMIT_LOG_ENTRY);
        json_text(it.value, &field);
        json_put_raw(&o, NULL, buf_str(&field));
        buf_release(&field);
    }
    for (size_t i = 0; i < def->n_columns; i++)
        if (!support_field(fields, def->columns[i].name))
            write_field(&o, &def->columns[i]);
    json_arr_end(&o);
    json_obj_end(&o);
    return buf_detach(&b);
}

void log_write_create(struct buf *b, const struct table_def *def, const char *id, int64_t now_ms) {
    struct json_out o = action_begin(b, "protocol");
    json_put_int(&o, "minReaderVersion", 1);
    json_put_int(&o, "minWriterVersion", 2);
    action_end(&o);

    o = action_begin(b, "metaData");
    json_put(&o, "id", id);
    json_put_raw(&o, "format", "{\"provider\":\"parquet\",\"options\":{}}");
    _cleanup_(freep) char *schema = schema_text(def, NULL);
    json_put(&o, "schemaString", schema);
    json_arr(&o, "partitionColumns");
    json_put(&o, NULL, def->partition_by);
    json_arr_end(&o);
    json_put_raw(&o, "configuration", "{}");
    json_put_int(&o, "createdTime", now_ms);
    action_end(&o);
}

static void write_meta(struct buf *b, const struct json_doc *meta, const char *schema) {
    struct json_out o = action_begin(b, "metaData");
    for (struct json_iter it = json_iter(json_get(json_root(meta), "metaData")); json_next(&it);) {
        if (strcmp(it.name, "schemaString") == 0) {
            json_put(&o, it.name, schema);
            continue;
        }
        struct buf value = BUF_INIT(LIMIT_LOG_ENTRY);
        json_text(it.value, &value);
        json_put_raw(&o, it.name, buf_str(&value));
        buf_release(&value);
    }
    action_end(&o);
}

void log_write_widen(struct buf *b, const struct table_def *def, const struct json_doc *meta) {
    struct err ignored;
    _cleanup_(json_freep) struct json_doc *old =
        support_schema(json_get(json_root(meta), "metaData"), &ignored);
    assert(old); /* it was read before */
    _cleanup_(freep) char *schema = schema_text(def, json_get(json_root(old), "fields"));
    write_meta(b, meta, schema);
}

void log_write_define(struct buf *b, const struct table_def *def, const struct json_doc *meta) {
    _cleanup_(freep) char *schema = schema_text(def, NULL);
    write_meta(b, meta, schema);
}

static void write_place(struct json_out *o, const struct table_def *def,
                        const struct table_file *f) {
    json_obj(o, "partitionValues");
    json_put(o, def->partition_by, f->partition);
    json_obj_end(o);
    json_put_int(o, "size", f->size);
}

static void write_add(struct buf *b, const struct table_def *def, const struct table_file *f,
                      bool data_change, int64_t now_ms) {
    assert(f->stats || f->rows >= 0);
    struct json_out o = action_begin(b, "add");
    _cleanup_(freep) char *path = log_path_encode(f->path);
    json_put(&o, "path", path);
    write_place(&o, def, f);
    json_put_int(&o, "modificationTime", f->mtime_ms ? f->mtime_ms : now_ms);
    json_put_bool(&o, "dataChange", data_change);
    if (f->stats) {
        json_put(&o, "stats", f->stats);
    } else {
        _cleanup_(freep) char *count = xasprintf("{\"numRecords\":%lld}", (long long)f->rows);
        json_put(&o, "stats", count);
    }
    action_end(&o);
}

static void write_remove(struct buf *b, const struct table_def *def, const struct table_file *f,
                         bool data_change, int64_t now_ms) {
    struct json_out o = action_begin(b, "remove");
    _cleanup_(freep) char *path = log_path_encode(f->path);
    json_put(&o, "path", path);
    json_put_int(&o, "deletionTimestamp", now_ms);
    json_put_bool(&o, "dataChange", data_change);
    json_put_bool(&o, "extendedFileMetadata", true);
    write_place(&o, def, f);
    action_end(&o);
}

void log_write_actions(struct buf *b, const struct table_def *def, const struct table_commit *c,
                       int64_t now_ms) {
    for (size_t i = 0; i < c->n_txn; i++) {
        struct json_out o = action_begin(b, "txn");
        json_put(&o, "appId", c->txn[i].app_id);
        json_put_int(&o, "version", c->txn[i].next);
        json_put_int(&o, "lastUpdated", now_ms);
        action_end(&o);
    }
    for (size_t i = 0; i < n_files(c->remove); i++)
        write_remove(b, def, &c->remove->v[i], c->data_change, now_ms);
    for (size_t i = 0; i < n_files(c->add); i++)
        write_add(b, def, &c->add->v[i], c->data_change, now_ms);
}
