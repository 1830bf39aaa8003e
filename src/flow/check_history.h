/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the checks found, kept from one run to the next: a file with one line of JSON a check, for
 * status and for whoever wants to know since when a rule fails. Nothing else depends on it.
 */
#ifndef CM_FLOW_CHECK_HISTORY_H
#define CM_FLOW_CHECK_HISTORY_H

#include "flow/check.h"

struct check_kept_rule {
    char *name, *severity, *result; /* as they stand there: "warn", "failed" */
    int64_t rows;
    char *since; /* an instant; NULL: it did not fail */
    char *first; /* JSON array of the first rows */
    char *error; /* NULL: it could be run */
};

/* The last check. */
struct check_kept {
    char *checked_at; /* an instant; NULL: there was none */
    char *rules;      /* check_result.rules; NULL: not told */
    bool blocked;
    struct check_kept_rule *v;
    size_t n;
};
void check_kept_release(struct check_kept *k);

/* path "" or a file that is not there: no check. A line that is none is passed over. ERR_STORAGE. */
int check_history_read(const char *path, struct check_kept *ret, struct err *e);

/* The rules, if all of them have passed within the last minute, or none but warned where warnings will do; NULL: not so. */
const char *check_kept_passed(const struct check_kept *k, bool warnings_do, int64_t now_us);

/* Fills in since_us and is_new of the outcomes. */
void check_history_compare(const struct check_kept *before, int64_t now_us, struct check_result *r);

/* Appends one line; makes the file and its folder, and drops its older half when it is large. ERR_STORAGE. */
int check_history_append(const char *path, int64_t now_us, const struct check_result *r,
                         struct err *e);

#endif
