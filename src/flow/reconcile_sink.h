/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last part of reconcile: the sink's rows against gold's, one by one. The picture of the sink
 * is taken before the lake is read (again), so that it is never newer than gold.
 */
#ifndef CM_FLOW_RECONCILE_SINK_H
#define CM_FLOW_RECONCILE_SINK_H

#include "base/err.h"
#include "flow/lake.h"
#include "sink/sink.h"

/* Of each gold table with a model: the rows and the watermark they belong to. */
struct sink_picture;
int sink_picture_take(struct sink *sk, const struct lake *l, struct sink_picture **ret,
                      struct err *e);
void sink_picture_free(struct sink_picture *p);
/* The version of l->gold[i], as it is now, that the sink shows; -1: none, or another table's. */
int64_t sink_picture_version(const struct sink_picture *p, const struct lake *l, size_t i);

struct sink_comparison {
    bool taken;       /* false: nothing to compare, gold has yet to make the table (anew) */
    int64_t compared; /* rows of gold, or of the sink alone, at dates that are not pending */
    int64_t differing;
    char *first; /* the first that differs, and where that is; the caller frees both */
    char *where;
};

/* Of l->gold[i]. Dates that changed in gold since the watermark are left out. */
int sink_picture_compare(const struct sink_picture *p, struct lake *l, size_t i,
                         struct sink_comparison *ret, struct err *e);

#endif
