/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoded events -> row groups of bronze, without an engine in between: this is the hottest path
 * of the program (docs/decisions: why our own encoder). A worker fills a `bronze_group`, encodes it
 * to bytes; the writer appends encoded groups to a file and closes it with the footer.
 * Flow: event_decode -> bronze_group -> parquet_file -> storage_publish -> table.
 */
#ifndef CM_PARQUET_BRONZE_H
#define CM_PARQUET_BRONZE_H

#include "event/event.h"
#include "parquet/file.h"

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
    /* Of an event whose record was rejected when it came: the reason then, which stands in
       reject_detail, with reject_reason NULL. NULL: any other row. */
    const char *replayed;
};

/* The columns in file order: those of bronze_events without ingest_date. A test holds them together. */
enum bronze_column {
    COL_PRODUCT_ID,
    COL_CATEGORY,
    COL_PRICE,
    COL_EVENT_TS,
    COL_EVENT_KEY,
    COL_EVENT_ID,
    COL_EVENT_TYPE,
    COL_USER_ID,
    COL_SESSION_ID,
    COL_SKU,
    COL_QUANTITY,
    COL_CURRENCY,
    COL_ORDER_ID,
    COL_PAGE_URL,
    COL_REFERRER,
    COL_USER_AGENT,
    COL_EXTRA,
    COL_PROTOCOL,
    COL_RECEIVED_AT,
    COL_SOURCE_TOPIC,
    COL_SOURCE_PARTITION,
    COL_SOURCE_OFFSET,
    COL_SOURCE_INDEX,
    COL_REJECT_REASON,
    COL_REJECT_DETAIL,
    COL_RAW,
    BRONZE_COLUMNS
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

/* At least one row. The group is empty afterwards, as after bronze_group_reset. */
struct encoded *bronze_encode(struct bronze_group *g);

#endif
