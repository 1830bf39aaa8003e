/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statements of a load as text. PostgreSQL and SQLite understand the same words here, so each
 * statement is written once; what differs (how rows and dates come in) is a parameter. Nothing is
 * read from outside but the names of our own table definitions: values never pass through here,
 * apart from sql_copy_value, which escapes them for COPY.
 */
#ifndef CM_SINK_SQL_H
#define CM_SINK_SQL_H

#include "sink/sink.h"

/* The name as it is if it is a plain lower-case word, else in double quotes. */
void sql_ident(struct buf *b, const char *name);

enum sql_which { SQL_ALL, SQL_KEYS, SQL_VALUES };
/* "a, b, c", each with `prefix` in front; SQL_VALUES: the columns outside the key. */
void sql_columns(struct buf *b, const struct sink_table *t, enum sql_which which,
                 const char *prefix);

/* "DOUBLE PRECISION": the column's type in the tables we make. */
const char *sql_type(enum sink_type type);

/* CREATE TABLE name (category TEXT, ..., PRIMARY KEY (category, event_date)) */
void sql_create(struct buf *b, const char *name, const struct sink_table *t);

/*
 * Moves the rows of table `rows` into `name`. A row that is there already with the same values is
 * not written (and not counted by the database): no dead rows for a load that changes nothing.
 */
void sql_upsert(struct buf *b, const char *name, const char *rows, const struct sink_table *t);

/* Deletes what is not in `rows`; `dates`: only where `t.date_column <dates>` is true (SQL). */
void sql_delete(struct buf *b, const char *name, const char *rows, const struct sink_table *t,
                const char *dates);

/* All rows by key; `collate` is the name of the collation that orders text by its bytes. */
void sql_select(struct buf *b, const char *name, const struct sink_table *t, const char *collate);

/* The watermark's row; its values are the parameters ?1 ?2 ?3 or $1 $2 $3 (mark); `now` is SQL. */
void sql_watermark(struct buf *b, const char *loads, char mark, const char *now);

/* No watermark of the table any more: it has been made anew, whatever was loaded before. */
void sql_forget(struct buf *b, const char *loads, const struct sink_table *t);

/* One value of COPY's text format; NULL becomes \N. */
void sql_copy_value(struct buf *b, const char *value);

#endif
