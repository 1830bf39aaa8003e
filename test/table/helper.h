/* SPDX-License-Identifier: Apache-2.0 */
/* What the table tests share: commits in one line, and a table's state as one text. */
#ifndef CM_TEST_TABLE_HELPER_H
#define CM_TEST_TABLE_HELPER_H

#include "base/json.h"
#include "storage/helper.h"
#include "table/table.h"

/* The tests' table; few columns, one of them a date to partition by. */
#define TEST_DEF (&gold_clickstream_metrics)
#define TEST_LOG "gold/clickstream_metrics/_delta_log"

/* A commit under construction. Everything is copied. */
struct change {
    struct table_commit c;
    struct table_files add, remove;
    struct table_txn txn[8];
    struct table_metric metrics[4];
};
struct change *change_new(void); /* operation WRITE, data_change true */
void change_free(struct change *ch);
static inline void change_freep(struct change **ch) {
    change_free(*ch);
}
/* The file's size and rows are made from the length of its path. */
void change_add(struct change *ch, const char *path, const char *partition);
void change_remove(struct change *ch, const char *path, const char *partition);
void change_txn(struct change *ch, const char *app_id, int64_t expected, int64_t next);
void change_metric(struct change *ch, const char *name, int64_t value);
int change_commit(struct change *ch, struct table *tb, struct err *e);

struct table *open_table(struct storage *st);
/* A file in one commit of its own; fails the test if it fails. */
void append_file(struct table *tb, const char *path, const char *partition);

/*
 * "v3 a@2026-11-22 b@NULL | app=7": version, live files with their partitions, txns in order of
 * their appIds. The caller frees.
 */
char *state_of(const struct table *tb);
#define assert_state(tb, want)                                                                     \
    do {                                                                                           \
        char *state_ = state_of(tb);                                                               \
        assert_string_equal(state_, want);                                                         \
        free(state_);                                                                              \
    } while (0)

/* Writes a log entry by hand: the lines as they are. */
/* For table_verify: nothing may be wrong. */
int must_be_right(void *arg, const char *name, bool ok, const char *detail, struct err *e);
void put_entry(struct storage *st, int64_t version, const char *text);
char *get_entry(struct storage *st, int64_t version); /* NULL: not there */

/* Lines of a version 0 that is right. META_WITH: members of configuration; SCHEMA: as it stands in the log. */
#define PROTOCOL "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n"
#define FIELD(name, type)                                                                          \
    "{\\\"name\\\":\\\"" name "\\\",\\\"type\\\":\\\"" type                                        \
    "\\\",\\\"nullable\\\":true,\\\"metadata\\\":{}}"
#define SCHEMA(fields) "{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[" fields "]}"
#define CATEGORY FIELD("category", "string")
#define EVENTS FIELD("total_events", "integer")
#define REVENUE FIELD("total_revenue", "double")
#define DATE FIELD("event_date", "date")
#define TEST_FIELDS CATEGORY "," EVENTS "," REVENUE "," DATE
#define META_OF(schema, partition_columns, configuration)                                          \
    "{\"metaData\":{\"id\":\"11111111-2222-4333-8444-555555555555\",\"format\":{\"provider\":"     \
    "\"parquet\",\"options\":{}},\"schemaString\":\"" schema                                       \
    "\",\"partitionColumns\":" partition_columns ",\"configuration\":{" configuration              \
    "},\"createdTime\":1700000000000}}\n"
#define META_WITH(configuration) META_OF(SCHEMA(TEST_FIELDS), "[\"event_date\"]", configuration)
#define META META_WITH("")

#endif
