/* SPDX-License-Identifier: Apache-2.0 */
#include "base/schema.h"

#include "base/mem.h"

/* bronze: every event that arrived, decoded or with the reason why not. */
static const struct column bronze_columns[] = {
    {"product_id", TYPE_INT},      {"category", TYPE_STRING},      {"price", TYPE_DOUBLE},
    {"event_ts", TYPE_LONG}, /* as sent: seconds, milli-, micro- or nanoseconds */
    {"event_key", TYPE_STRING},    {"event_id", TYPE_STRING},      {"event_type", TYPE_STRING},
    {"user_id", TYPE_STRING},      {"session_id", TYPE_STRING},    {"sku", TYPE_STRING},
    {"quantity", TYPE_INT},        {"currency", TYPE_STRING},      {"order_id", TYPE_STRING},
    {"page_url", TYPE_STRING},     {"referrer", TYPE_STRING},      {"user_agent", TYPE_STRING},
    {"extra", TYPE_STRING},        {"protocol", TYPE_STRING},      {"received_at", TYPE_TIMESTAMP},
    {"source_topic", TYPE_STRING}, {"source_partition", TYPE_INT}, {"source_offset", TYPE_LONG},
    {"source_index", TYPE_INT},    {"reject_reason", TYPE_STRING}, {"reject_detail", TYPE_STRING},
    {"raw", TYPE_BINARY},          {"ingest_date", TYPE_DATE}, /* the UTC day of received_at */
};

/* silver: one row per real event, no event_key twice. */
static const struct column silver_columns[] = {
    {"event_key", TYPE_STRING},     {"event_id", TYPE_STRING},      {"event_type", TYPE_STRING},
    {"event_time", TYPE_TIMESTAMP}, {"product_id", TYPE_STRING}, /* the sku where there is one */
    {"category", TYPE_STRING},      {"price", TYPE_MONEY},          {"quantity", TYPE_INT},
    {"currency", TYPE_STRING},      {"revenue", TYPE_MONEY},        {"user_id", TYPE_STRING},
    {"session_id", TYPE_STRING},    {"order_id", TYPE_STRING},      {"page_url", TYPE_STRING},
    {"referrer", TYPE_STRING},      {"is_bot", TYPE_BOOLEAN},       {"received_at", TYPE_TIMESTAMP},
    {"source_topic", TYPE_STRING},  {"source_partition", TYPE_INT}, {"source_offset", TYPE_LONG},
    {"source_index", TYPE_INT},     {"event_date", TYPE_DATE}, /* the UTC day of event_time */
};

static const struct column gold_columns[] = {
    {"category", TYPE_STRING},
    {"total_events", TYPE_INT},
    {"total_revenue", TYPE_DOUBLE},
    {"event_date", TYPE_DATE},
};

const struct table_def bronze_events = {
    .name = "bronze/events",
    .view = "bronze.events",
    .columns = bronze_columns,
    .n_columns = ARRAY_LEN(bronze_columns),
    .partition_by = "ingest_date",
};

const struct table_def silver_events = {
    .name = "silver/events",
    .view = "silver.events",
    .columns = silver_columns,
    .n_columns = ARRAY_LEN(silver_columns),
    .partition_by = "event_date",
};

const struct table_def gold_clickstream_metrics = {
    .name = "gold/clickstream_metrics",
    .view = "gold.clickstream_metrics",
    .columns = gold_columns,
    .n_columns = ARRAY_LEN(gold_columns),
    .partition_by = "event_date",
};

static const struct {
    const char *delta, *sql;
} type_names[] = {
    [TYPE_STRING] = {"string", "STRING"},
    [TYPE_INT] = {"integer", "INT"},
    [TYPE_LONG] = {"long", "BIGINT"},
    [TYPE_DOUBLE] = {"double", "DOUBLE"},
    [TYPE_BOOLEAN] = {"boolean", "BOOLEAN"},
    [TYPE_BINARY] = {"binary", "BINARY"},
    [TYPE_DATE] = {"date", "DATE"},
    [TYPE_TIMESTAMP] = {"timestamp", "TIMESTAMPTZ"},
    [TYPE_MONEY] = {"decimal(18,4)", "DECIMAL(18,4)"},
};

const char *column_type_delta(enum column_type t) {
    return type_names[t].delta;
}

const char *column_type_sql(enum column_type t) {
    return type_names[t].sql;
}

bool column_type_find(const char *delta, enum column_type *ret) {
    for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
        if (strcmp(type_names[i].delta, delta) == 0) {
            *ret = (enum column_type)i;
            return true;
        }
    return false;
}

bool table_def_is_later(const struct table_def *def, const char *column) {
    for (const char *const *name = def->later; name && *name; name++)
        if (strcmp(*name, column) == 0)
            return true;
    return false;
}

const struct column *table_def_column(const struct table_def *def, const char *name) {
    for (size_t i = 0; i < def->n_columns; i++)
        if (strcmp(def->columns[i].name, name) == 0)
            return &def->columns[i];
    return NULL;
}

struct table_file *table_files_add(struct table_files *f) {
    if (f->n == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 8;
        f->v = xrealloc(f->v, f->cap * sizeof *f->v);
    }
    f->v[f->n] = (struct table_file){.rows = -1};
    return &f->v[f->n++];
}

void table_file_copy(struct table_file *to, const struct table_file *from) {
    *to = (struct table_file){
        .path = from->path ? xstrdup(from->path) : NULL,
        .partition = from->partition ? xstrdup(from->partition) : NULL,
        .size = from->size,
        .rows = from->rows,
        .mtime_ms = from->mtime_ms,
        .stats = from->stats ? xstrdup(from->stats) : NULL,
    };
}

void table_file_release(struct table_file *f) {
    free(f->path);
    free(f->partition);
    free(f->stats);
    *f = (struct table_file){.rows = -1};
}

void table_files_release(struct table_files *f) {
    for (size_t i = 0; i < f->n; i++)
        table_file_release(&f->v[i]);
    free(f->v);
    *f = (struct table_files){0};
}

int64_t table_files_rows(const struct table_files *f) {
    int64_t rows = 0;
    for (size_t i = 0; i < f->n && rows >= 0; i++)
        rows = f->v[i].rows < 0 ? -1 : rows + f->v[i].rows;
    return rows;
}
