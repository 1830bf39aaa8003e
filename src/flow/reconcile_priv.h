/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of reconcile share: the lake as one picture, and the checks made on it. */
#ifndef CM_FLOW_RECONCILE_PRIV_H
#define CM_FLOW_RECONCILE_PRIV_H

#include "flow/lake.h"
#include "flow/reconcile.h"
#include "flow/reconcile_sink.h"

struct reconcile {
    struct lake lake;
    struct sink_picture *sink;
    struct reconcile_result *res;
};

/* Adds a check; takes `detail`. */
void reconcile_check(struct reconcile *rc, const char *name, bool ok, char *detail);
void reconcile_equal(struct reconcile *rc, const char *name, const char *left, int64_t l,
                     const char *right, int64_t r);

/* The name of gold[i]'s check: "sink.funnel_daily"; the contract's table has one of its own. The caller frees. */
char *reconcile_name(const struct reconcile *rc, const char *part, size_t i, const char *contract);

/* silver against gold: every model once more over all of silver, but for the dates that are pending. */
int reconcile_gold(struct reconcile *rc, struct err *e);

/* bronze against the notes of its commits (note.h): per source and partition. */
int reconcile_bronze(struct reconcile *rc, struct err *e);

/* Every file that a log names is there, in its size. Marks a table of which some are not. */
int reconcile_files(struct reconcile *rc, struct err *e);

#endif
