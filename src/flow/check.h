/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules run over the lake (checks.h), each over the days of check_days.h. Nothing is written but
 * the log. A rule of severity block that gives rows, or that cannot be run, blocks the load.
 */
#ifndef CM_FLOW_CHECK_H
#define CM_FLOW_CHECK_H

#include "base/mem.h"
#include "base/sha256.h"
#include "engine/engine.h"
#include "flow/checks.h"
#include "sink/sink.h"
#include "storage/storage.h"

enum check_state { CHECK_PASSED, CHECK_FAILED, CHECK_ERROR, CHECK_NOT_RUN };
extern const char *const check_state_names[]; /* "passed", "failed", "error", "off" */

enum {
    CHECK_ROWS = 5,        /* of those found, so many are kept */
    CHECK_COLUMNS = 8,     /* of these, the first so many columns */
    CHECK_VALUE_BYTES = 80 /* a value is cut there */
};

/* How one rule ended. */
struct check_outcome {
    char *name, *description; /* description: NULL if the file has none */
    enum check_severity severity;
    enum check_state state;
    int64_t rows;     /* found */
    struct buf first; /* the first rows, "event_date 2026-02-17, events 3; …" */
    struct buf json;  /* the same as a JSON array of objects, all values texts or null */
    struct err why;   /* CHECK_ERROR */
    int64_t
        since_us; /* failed or error: when it was first found so, without a break; set by check_history.h */
    bool is_new; /* it is not what the last check before found; set there, too */
};

/* A gold table in the version that was looked at. */
struct check_seen {
    char *view;
    int64_t version;
};

struct check_result {
    struct check_seen *seen;
    size_t n_seen;
    struct check_outcome
        *v; /* none: there is nothing in the lake yet, or what there is has passed (passed) */
    size_t n;
    char
        rules[SHA256_HEX]; /* of all rules there are: how they are asked, and how severe they are */
    int64_t warned;        /* rules of severity warn that gave rows or could not be run */
    int64_t blocking;      /* the same of severity block */
};
void check_result_release(struct check_result *r);

struct check_options {
    struct check_settings settings;
    const char *models_dir;
    const char *const *names; /* only these rules; NULL: all */
    size_t n_names;
    /* check_result.rules of those that have just passed: where no day waits to be loaded they are not
       asked once more. NULL: all are asked. */
    const char *passed;
};

/*
 * sk: where the load would go. ERR_CHECK: rules block the load; the message says which, with the first rows.
 * ERR_ENGINE: a rule built in could not be run. ERR_USAGE: there is no rule of such a name. *ret is filled in
 * in any case, with the rules that came to their end.
 */
int flow_check(struct storage *st, struct engine *en, struct sink *sk,
               const struct check_options *o, struct check_result *ret, struct err *e);

#endif
