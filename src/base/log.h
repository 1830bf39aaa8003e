/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs on stderr: one line an event, `ts=… level=info msg="…" key=value`, or JSON. Results never go
 * here (stdout). Only cmd/ and the long loops log errors; everything else returns them.
 *
 *     log_info("committed", F_STR("table", name), F_INT("version", v));
 *
 * Thread-safe: a line is written by one write(2). Whatever a text holds, it stays one line, without
 * control characters; texts beyond LIMIT_LOG_TEXT are cut.
 */
#ifndef CM_BASE_LOG_H
#define CM_BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *key; /* NULL ends the list */
    enum { LOG_STR, LOG_INT, LOG_NUM } type;
    const char *s; /* NULL is printed as an empty text */
    int64_t i;
    double d;
};

#define F_STR(k, v) ((struct log_field){.key = (k), .type = LOG_STR, .s = (v)})
#define F_INT(k, v) ((struct log_field){.key = (k), .type = LOG_INT, .i = (int64_t)(v)})
#define F_NUM(k, v) ((struct log_field){.key = (k), .type = LOG_NUM, .d = (double)(v)})

void log_setup(enum log_level from, bool as_json);
void log_write(enum log_level level, const char *msg, const struct log_field *fields);
/* An error with its context, and its hint as a field. */
void log_err(enum log_level level, const char *msg, const struct err *e);

#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define log_debug(msg, ...) log_write(LOG_DEBUG, (msg), LOG_FIELDS(__VA_ARGS__))
#define log_info(msg, ...) log_write(LOG_INFO, (msg), LOG_FIELDS(__VA_ARGS__))
#define log_warn(msg, ...) log_write(LOG_WARN, (msg), LOG_FIELDS(__VA_ARGS__))
#define log_error(msg, ...) log_write(LOG_ERROR, (msg), LOG_FIELDS(__VA_ARGS__))

#endif
