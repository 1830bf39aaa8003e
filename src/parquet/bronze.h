/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoded events -> a bronze Parquet file, without an engine in between: this is the hottest path
 * of the program (docs/decisions: why our own encoder). A worker fills a `bronze_group` (the
 * columns of one row group), encodes it to bytes; the writer appends encoded groups to a file and
 * closes it with the footer.
 * Flow: event_decode -> bronze_group -> bronze_file -> storage_publish -> table.
 *
 * Format: Apache Parquet, data pages of version 1, zstd; RLE_DICTIONARY, DELTA_BINARY_PACKED,
 * DELTA_LENGTH_BYTE_ARRAY and PLAIN (encode.h says which where); every column OPTIONAL; timestamps
 * INT64 microseconds isAdjustedToUTC; the partition column ingest_date is not in the file.
 */
#ifndef CM_PARQUET_BRONZE_H
#define CM_PARQUET_BRONZE_H

#include "base/err.h"
#include "base/mem.h"
#include "base/schema.h"
#include "event/event.h"

/* Where a row came from. */
struct bronze_source {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int32_t index;        /* the event's number within its record, from 0 */
    int64_t received_us;  /* the record's timestamp */
    const char *protocol; /* "native" */
    const char *raw; /* the record's bytes: stored for rejected rows, and for all if asked for */
    size_t raw_len;
    bool keep_raw;
};

struct bronze_group;

/* A group takes no more rows than that. */
#define BRONZE_GROUP_ROWS_MAX (128 * 1024)

struct bronze_options {
    int zstd_level; /* 1 … 19; 0: not compressed */
};

struct bronze_group *bronze_group_new(const struct bronze_options *o);
void bronze_group_free(struct bronze_group *g);
/* Empties it, keeps the memory (but for that of a flood of large records). */
void bronze_group_reset(struct bronze_group *g);
/* Below BRONZE_GROUP_ROWS_MAX rows. Copies what it needs: the event's texts may go away. */
void bronze_group_add(struct bronze_group *g, const struct event *ev,
                      const struct bronze_source *src);
/*
 * The same for n events, in this order: about twice as fast from some tens of events on, as it goes
 * column by column. The texts of all of them must be there until it returns. Sources whose topic
 * (or protocol) is the same pointer have the same topic.
 */
void bronze_group_add_many(struct bronze_group *g, const struct event *ev,
                           const struct bronze_source *src, size_t n);
size_t bronze_group_rows(const struct bronze_group *g);
size_t bronze_group_bytes(const struct bronze_group *g); /* about what it holds in memory */

/* An encoded row group: its pages as bytes, and what footer and add action will say of it. */
struct bronze_encoded;
/* At least one row. The group is empty afterwards, as after bronze_group_reset. */
struct bronze_encoded *bronze_encode(struct bronze_group *g);
void bronze_encoded_free(struct bronze_encoded *en);
size_t bronze_encoded_bytes(const struct bronze_encoded *en);
size_t bronze_encoded_rows(const struct bronze_encoded *en);

struct bronze_file;
/* Creates a local file that must not exist. */
int bronze_file_create(const char *local_path, struct bronze_file **ret, struct err *e);
/* Appends the group; frees it in any case. */
int bronze_file_append(struct bronze_file *f, struct bronze_encoded *en, struct err *e);
/*
 * Writes the footer and closes (no fsync: publish does). Fills size, rows and stats of ret, not
 * path, partition and mtime. A file without groups is valid and has no rows.
 *
 * After any failure (ERR_STORAGE) the local file is removed and further calls fail.
 */
int bronze_file_finish(struct bronze_file *f, struct table_file *ret, struct err *e);
/* Closes and removes an unfinished file; NULL is legal. After finish it only frees. */
void bronze_file_free(struct bronze_file *f);

#endif
