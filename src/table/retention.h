/* SPDX-License-Identifier: Apache-2.0 */
/* How long a table keeps what it does not need any more: its own properties before our configuration. */
#ifndef CM_TABLE_RETENTION_H
#define CM_TABLE_RETENTION_H

#include "table/snapshot.h"

#define LOG_RETENTION "delta.logRetentionDuration"
#define FILE_RETENTION "delta.deletedFileRetentionDuration"

/*
 * Milliseconds of an interval as Spark writes them: "interval 30 days", "1 week 12 hours", of weeks,
 * days, hours, minutes, seconds, milli- and microseconds (cut). false: something else, such as months.
 */
bool interval_parse(const char *text, int64_t *ret_ms);

/* The property's duration, or `otherwise` where it is not set. ERR_STORAGE if it is none we can read. */
int retention_of(const struct table *tb, const char *property, int64_t otherwise_ms,
                 int64_t *ret_ms, struct err *e);

/* A property of the table as text; NULL: not set. */
const char *table_property(const struct table *tb, const char *name);

#endif
