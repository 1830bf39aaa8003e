/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What silver, gold and load share: how a step ends when somebody else was faster, when its files
 * are not needed, when a stop was asked for.
 */
#ifndef CM_FLOW_STEP_H
#define CM_FLOW_STEP_H

#include "base/err.h"
#include "base/schema.h"
#include "storage/storage.h"
#include "table/table.h"

/* ERR_STOPPED if a stop was asked for, else 0. */
int step_stopped(const char *step, struct err *e);

/*
 * ERR_CONFLICT becomes success: another process has just done the same step on the same input, so
 * there is nothing left to do. Everything else is passed on with the step's name in front.
 */
int step_settle(const char *step, int r, struct err *e);

/*
 * Of several tables, those that failed alone. What can pass, and a stop, ends the step: it is tried
 * again as a whole, and what is done already costs nothing then.
 */
struct step_failures {
    int64_t n, untold; /* untold: of these, those that the message has no room for */
    /* The first one's code and hint, the messages one after the other; ERR_STOPPED once a stop came. */
    struct err all;
};
void step_also(struct step_failures *f, const struct err *e); /* takes an error in */
/* The same; false: success, or an error that is the whole step's. */
bool step_failed_alone(struct step_failures *f, int r, const struct err *e);
/* What failed; 0 if nothing did. */
int step_failures_end(const struct step_failures *f, int64_t *ret_n, struct err *e);

/*
 * After a commit: folds the log into a checkpoint at every interval-th version (0: never). Of
 * several writers exactly the one whose commit that was does it. A failure is a warning: the table
 * is as good without.
 */
void step_checkpoint(struct table *tb, int64_t interval);

#endif
