/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of a bronze file, in file order: those of bronze_events (base/schema.h) without the
 * partition column. A test holds the two together.
 */
#ifndef CM_PARQUET_COLUMNS_H
#define CM_PARQUET_COLUMNS_H

#include "parquet/format.h"
#include "parquet/stats.h"

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

struct bronze_column_def {
    const char *name;
    enum parquet_type type;
    int logical;       /* LOGICAL_STRING, LOGICAL_TIMESTAMP, 0: none */
    enum log_form log; /* LOG_NONE: bounds nobody asks for, which would only fill the log */
};

extern const struct bronze_column_def bronze_columns[BRONZE_COLUMNS];

#endif
