/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every maximum of the program in one place. Sizes in bytes unless the name says otherwise.
 */
#ifndef CM_BASE_LIMITS_H
#define CM_BASE_LIMITS_H

#define KIB (1024)
#define MIB (1024 * 1024)

/* The data contract (DESIGN section 4). */
#define LIMIT_RECORD (1 * MIB) /* a record's value */
#define LIMIT_DEPTH 128        /* JSON nesting; the record's own object is level 1 */
#define LIMIT_TEXT 4096        /* page_url, referrer, user_agent */
#define LIMIT_ID 256           /* category, event_type, currency and every id */
#define LIMIT_PRICE 1e9
#define LIMIT_QUANTITY 1000000
#define LIMIT_AMOUNT 1e14                       /* price x quantity stays below */
#define LIMIT_FUTURE_US (24LL * 3600 * 1000000) /* event_ts beyond the record's time */

/* The program. */
#define LIMIT_REJECT_DETAIL 256     /* reject_detail, cut */
#define LIMIT_LOG_TEXT 4096         /* one value in a log line, cut */
#define LIMIT_LOG_ENTRY (256 * MIB) /* one Delta log entry, parsed as a whole */
#define LIMIT_SQL (64 * MIB)        /* one statement; file lists make them long */
#define LIMIT_PATH 4096
#define LIMIT_CONFIG (1 * MIB)          /* clickmill.ini */
#define LIMIT_MODEL (1 * MIB)           /* a gold model of the user's */
#define LIMIT_CATALOG (16 * MIB)        /* a product catalog, fetched or read */
#define LIMIT_HTTP_ANSWER (8 * MIB)     /* what our HTTP server sends for one request */
#define LIMIT_HTTP_ERROR (64 * KIB)     /* of an answer that is short: an error, keys */
#define LIMIT_S3_LIST (8 * MIB)         /* of a store: a page of a listing, 1,000 names */
#define LIMIT_HTTP_HEADERS (64 * KIB)   /* of an answer a server gives us */
#define LIMIT_WEBHDFS_ANSWER (64 * MIB) /* of a NameNode: a page of a listing at most */
#define LIMIT_LIST 10000000             /* entries of one folder */
#define LIMIT_LINE (64 * MIB)           /* a line of an NDJSON file given to produce */

#endif
