/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values people write in options and configuration: numbers, sizes, durations, yes and no.
 * One parser for both, so that both take the same spellings.
 */
#ifndef CM_BASE_VALUE_H
#define CM_BASE_VALUE_H

#include "base/err.h"

enum value_type {
    VALUE_TEXT,
    VALUE_URL,      /* a text whose password is masked when printed */
    VALUE_INT,      /* whole number */
    VALUE_SIZE,     /* bytes, not negative: 64KiB, 256MiB, 1GiB; a plain number is bytes */
    VALUE_DURATION, /* milliseconds, not negative: 500ms, 10s, 5m, 1h, 7d */
    VALUE_RATIO,    /* 0 … 1 */
    VALUE_BOOL,     /* true/false, yes/no, on/off, 1/0 */
};

/* "whole number", "size such as 256MiB", …: for messages and docs. */
const char *value_type_name(enum value_type t);

/*
 * Parses `text` as a number of type t (all but TEXT, URL and RATIO) and checks min <= v <= max
 * (both 0: no limits). On error ERR_CONFIG with "<what>: …"; the caller recodes.
 */
int value_parse(enum value_type t, const char *what, const char *text, int64_t min, int64_t max,
                int64_t *ret, struct err *e);
int value_parse_ratio(const char *what, const char *text, double *ret, struct err *e);

/* The URL with its password, and parameters not known to be harmless, as ****. The caller frees. */
char *url_mask(const char *url);

/* "host:5432", "[::1]:5432,other:5432/db": digits behind each colon before the path, so no password. */
bool url_has_ports_only(const char *hosts);

/* Is the value under this name a secret, or might it be? sasl.password, ssl.key.pem, … */
bool is_secret_name(const char *name);

/* Edit distance, for "did you mean". */
size_t edit_distance(const char *a, const char *b);

#endif
