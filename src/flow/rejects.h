/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records that ingest rejected, asked of bronze: which there are, and which of them have been
 * replayed (replay.h). A question is a SELECT over these views:
 *     chosen    lake/rejects: the rejected rows that the filter lets through
 *     rejects   lake/rejects_open: those of them that were not replayed yet, for the user's SQL
 *     mapping   the user's SELECT, where there is one
 */
#ifndef CM_FLOW_REJECTS_H
#define CM_FLOW_REJECTS_H

#include "base/err.h"
#include "engine/engine.h"
#include "table/table.h"

struct rejects_filter {
    const char *reason; /* one of event.h's; NULL: all */
    int32_t from, to;   /* days of arrival (ingest_date), ends included */
};
#define REJECTS_ALL ((struct rejects_filter){.from = INT32_MIN, .to = INT32_MAX})

/* The user's own SQL that repairs records: it may read and nothing else. */
struct rejects_mapping {
    const char *sql;
    const char *file; /* for messages */
};

struct rejects {
    struct storage *st;
    struct engine *en;
    struct table *bronze;
    struct rejects_filter filter;
    const struct rejects_mapping *mapping; /* NULL: none */
};

/* The live files of the filter's days. */
void rejects_files(const struct rejects *rj, struct table_files *ret);
/* rows as in engine_ask. No files: empty views. */
int rejects_ask(const struct rejects *rj, const struct table_files *files, const char *sql,
                const struct engine_rows *rows, struct err *e);

/* 0 if the reason is one of the closed list; ERR_USAGE names them. */
int rejects_check_reason(const char *reason, struct err *e);

/* "topic/partition/offset/index", as it is printed, or without the index, which is 0 then. */
struct rejects_position {
    const char *topic; /* points into the text, topic_len bytes */
    size_t topic_len;
    int32_t partition, index;
    int64_t offset;
};
bool rejects_position_parse(const char *text, struct rejects_position *ret);
/* " WHERE source_topic = … AND …". The caller frees. */
char *rejects_position_sql(const struct rejects_position *p);

/*
 * The bytes of the record that was rejected at the position; of several the first that came.
 * ERR_CHECK: there is none.
 */
int rejects_bytes(const struct rejects *rj, const struct rejects_position *p, struct buf *ret,
                  struct err *e);

/* Appends what a text of hex digits says. */
void rejects_unhex(const char *hex, struct buf *ret);

#endif
