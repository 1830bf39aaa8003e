/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the footer and the table log say of a column so that readers can skip files: smallest and
 * largest value and the number of NULLs (parquet.thrift, Statistics; Delta's PROTOCOL.md,
 * "Per-file Statistics"). A bound may be wider than the values, never narrower.
 */
#ifndef CM_PARQUET_STATS_H
#define CM_PARQUET_STATS_H

#include "base/json.h"
#include "base/schema.h"
#include "parquet/format.h"
#include "parquet/thrift.h"

enum {
    STAT_TEXT = 64,      /* bytes of a text kept as a bound */
    STAT_LOG_CHARS = 32, /* characters of it in the table log */
};

/* One bound. Numbers: i (INT32, INT64) or d. Texts: text, cut at a character's end. */
struct bound {
    bool known;
    bool exact; /* a value that occurs, not cut */
    uint8_t len;
    char text[STAT_TEXT + 4];
    int64_t i;
    double d;
};

struct column_stats {
    int64_t nulls;
    struct bound min, max;
};

struct bound bound_int(int64_t v);
struct bound bound_double(double v);
/* Not above, not below the text. A maximum that cannot be raised after cutting is not known. */
struct bound bound_text_min(const char *p, uint32_t len);
struct bound bound_text_max(const char *p, uint32_t len);

/* into: the statistics of both together. A part without values (all NULL) has no bounds to give. */
void stats_merge(struct column_stats *into, int64_t into_rows, const struct column_stats *part,
                 int64_t part_rows, enum parquet_type type);

/* The struct Statistics as field `field`. */
void stats_put(struct thrift *t, int field, const struct column_stats *s, enum parquet_type type);

/*
 * Adds the member `name` to minValues or maxValues; nothing if the bound is not known, or is no
 * value that JSON and Delta can say (infinity, the year 10000).
 */
void stats_log_min(struct json_out *o, const char *name, const struct bound *b,
                   enum column_type kind);
void stats_log_max(struct json_out *o, const char *name, const struct bound *b,
                   enum column_type kind);

#endif
