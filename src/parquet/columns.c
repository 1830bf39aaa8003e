/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/columns.h"

#define INT PARQUET_INT32, 0, LOG_NUMBER
#define LONG PARQUET_INT64, 0, LOG_NUMBER
#define TEXT PARQUET_BYTES, LOGICAL_STRING, LOG_TEXT
#define TEXT_QUIET PARQUET_BYTES, LOGICAL_STRING, LOG_NONE

const struct bronze_column_def bronze_columns[BRONZE_COLUMNS] = {
    [COL_PRODUCT_ID] = {"product_id", INT},
    [COL_CATEGORY] = {"category", TEXT},
    [COL_PRICE] = {"price", PARQUET_DOUBLE, 0, LOG_NUMBER},
    [COL_EVENT_TS] = {"event_ts", LONG},
    [COL_EVENT_KEY] = {"event_key", TEXT_QUIET},
    [COL_EVENT_ID] = {"event_id", TEXT_QUIET},
    [COL_EVENT_TYPE] = {"event_type", TEXT},
    [COL_USER_ID] = {"user_id", TEXT},
    [COL_SESSION_ID] = {"session_id", TEXT_QUIET},
    [COL_SKU] = {"sku", TEXT},
    [COL_QUANTITY] = {"quantity", INT},
    [COL_CURRENCY] = {"currency", TEXT},
    [COL_ORDER_ID] = {"order_id", TEXT_QUIET},
    [COL_PAGE_URL] = {"page_url", TEXT_QUIET},
    [COL_REFERRER] = {"referrer", TEXT_QUIET},
    [COL_USER_AGENT] = {"user_agent", TEXT_QUIET},
    [COL_EXTRA] = {"extra", TEXT_QUIET},
    [COL_PROTOCOL] = {"protocol", TEXT},
    [COL_RECEIVED_AT] = {"received_at", PARQUET_INT64, LOGICAL_TIMESTAMP, LOG_TIMESTAMP},
    [COL_SOURCE_TOPIC] = {"source_topic", TEXT},
    [COL_SOURCE_PARTITION] = {"source_partition", INT},
    [COL_SOURCE_OFFSET] = {"source_offset", LONG},
    [COL_SOURCE_INDEX] = {"source_index", INT},
    [COL_REJECT_REASON] = {"reject_reason", TEXT},
    [COL_REJECT_DETAIL] = {"reject_detail", TEXT_QUIET},
    [COL_RAW] = {"raw", PARQUET_BYTES, 0, LOG_NONE},
};
