/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run: silver, gold, check and load, one after the other, and then upkeep of the tables. Rules that
 * block (check.h) keep load from being done: the sink stays as it is, and all that waits is loaded by the next run they let pass.
 * A step that fails in a way that can pass is
 * tried again; since every step finds out by itself what is left to do, a repeat is harmless.
 */
#ifndef CM_FLOW_RUN_H
#define CM_FLOW_RUN_H

#include "flow/check.h"
#include "flow/gold.h"
#include "flow/load.h"
#include "flow/silver.h"
#include "flow/upkeep.h"

struct run_options {
    struct silver_options silver;
    int64_t checkpoint_interval; /* commits; 0: never */
    const char *models_dir;      /* the user's models (models.h); NULL: none */
    struct check_options check;
    const char *check_history; /* file of check_history.h; NULL, "": none */
    bool new_warnings_only;    /* of rules: only what the last check did not find is logged */
    int64_t retries;           /* further tries of a step */
    int64_t retry_delay_ms;    /* before the first of them; doubled each time */
    const char *sink_url;
    int64_t sink_timeout_ms; /* how long load waits for a sink that does not answer */
    /* The tables are kept up at the end; NULL: not this time. A failure there is a warning only. */
    const struct upkeep_options *upkeep;
    /* After each step, with its result (code) and how long it took, all its tries; may be NULL. */
    void (*on_step)(void *arg, const char *step, int code, double seconds);
    void *arg;
};

enum run_step { RUN_SILVER, RUN_GOLD, RUN_CHECK, RUN_LOAD, RUN_STEPS };
enum { RUN_NOT_REACHED = 1 }; /* for codes: no error has it */

struct run_result {
    int codes[RUN_STEPS]; /* how each step ended; RUN_NOT_REACHED */
    struct silver_result silver;
    struct gold_result gold;
    struct check_result check;
    struct load_result load;
    bool complete; /* all steps have done what they could: what failed, failed alone */
    int64_t tries; /* of steps that failed and were tried again */
    double seconds;
};
void run_result_release(struct run_result *r);

/*
 * Where models or tables failed alone (flow_gold, flow_load) the run goes on to its end; the error has
 * the code of the first and the words of all; after a stop it is ERR_STOPPED, and ERR_CHECK where the load
 * was blocked. "silver", "gold", "check", "load":
 */
extern const char *const run_step_names[RUN_STEPS];
int flow_run(struct storage *st, struct engine *en, const struct run_options *o,
             struct run_result *ret, struct err *e);

/*
 * check alone (flow_check): opens the sink to look where it stands, keeps what was found in check_history.
 * lately: what it says has passed within the last minute is enough where no day waits to be loaded.
 * *ret is filled in in any case.
 */
int flow_run_check(struct storage *st, struct engine *en, const struct run_options *o, bool lately,
                   struct check_result *ret, struct err *e);
/* Logs what rules of severity warn have found. */
void run_log_warnings(const struct check_result *r, bool new_ones);

/* load alone: opens the sink, tries again for sink_timeout_ms what can pass. checked: load_options. */
int flow_run_load(struct storage *st, struct engine *en, const struct run_options *o,
                  const struct check_result *checked, struct load_result *ret, struct err *e);
/* check, and load if no rule blocks. */
int flow_run_check_load(struct storage *st, struct engine *en, const struct run_options *o,
                        struct load_result *ret, struct err *e);

/* Appends one line of JSON to the history file (made with its folder if missing). */
int run_history_append(const char *path, int64_t started_us, const struct run_result *r, int code,
                       const struct err *why, struct err *e);

#endif
