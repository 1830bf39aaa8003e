/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a table is made of: columns, and files with their statistics. Shared by the engines (which
 * write files), the table log (which decides what is in a table) and the flow.
 */
#ifndef CM_BASE_SCHEMA_H
#define CM_BASE_SCHEMA_H

/* Delta Lake's primitive types that clickmill uses. */
enum column_type {
    TYPE_STRING,
    TYPE_INT,  /* 32 bit */
    TYPE_LONG, /* 64 bit */
    TYPE_DOUBLE,
    TYPE_BOOLEAN,
    TYPE_BINARY,
    TYPE_DATE,      /* days since 1970-01-01 */
    TYPE_TIMESTAMP, /* an instant, microseconds since 1970 UTC */
    TYPE_MONEY,     /* decimal(18,4) */
};

struct column {
    const char *name;
    enum column_type type;
};

/* All columns may be NULL. partition_by names the one partition column; it is the last of `columns`. */
struct table_def {
    const char *name;             /* "silver/events": folder in the lake */
    const char *view;             /* "silver.events": its name in SQL */
    const struct column *columns; /* none: as the table's log declares them */
    size_t n_columns;
    const char *partition_by;
    /* The columns newer than the first release, NULL-terminated; NULL: none. A table that was made
       before lacks them: they are NULL there, and the next commit adds them. */
    const char *const *later;
};
bool table_def_is_later(const struct table_def *def, const char *column);

extern const struct table_def bronze_events, silver_events, gold_clickstream_metrics;

/*
 * The type's name in a Delta schema ("long") and in SQL ("BIGINT"). The SQL names are DuckDB's; Spark
 * knows them too, but for TIMESTAMPTZ, which Spark calls TIMESTAMP.
 */
const char *column_type_delta(enum column_type t);
const char *column_type_sql(enum column_type t);
/* The type of that name in a Delta schema; false: one that clickmill does not use. */
bool column_type_find(const char *delta, enum column_type *ret);
const struct column *table_def_column(const struct table_def *def,
                                      const char *name); /* NULL if absent */

/*
 * One Parquet file of a table. path is relative to the table's folder as it stands on disk
 * (not percent-encoded). partition: the partition column's value as text, NULL for NULL.
 * stats: the JSON text of the add action ({"numRecords":…,"minValues":…}), NULL if unknown; an open
 * table keeps none.
 */
struct table_file {
    char *path;
    char *partition;
    int64_t size; /* bytes */
    int64_t rows; /* -1: unknown */
    int64_t mtime_ms;
    char *stats;
};

struct table_files {
    struct table_file *v;
    size_t n, cap;
};

/* Appends an empty slot to fill. */
struct table_file *table_files_add(struct table_files *f);
void table_file_copy(struct table_file *to, const struct table_file *from);
void table_file_release(struct table_file *f);
void table_files_release(struct table_files *f);
int64_t table_files_rows(const struct table_files *f); /* -1: one, another writer's, does not say */

#endif
