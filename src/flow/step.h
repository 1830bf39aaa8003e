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
 * After a commit: folds the log into a checkpoint at every interval-th version (0: never). Of
 * several writers exactly the one whose commit that was does it. A failure is a warning: the table
 * is as good without.
 */
void step_checkpoint(struct table *tb, int64_t interval);

#endif
