/* SPDX-License-Identifier: Apache-2.0 */
/* The last part of reconcile: the sink's rows against gold's, one by one. */
#ifndef CM_FLOW_RECONCILE_SINK_H
#define CM_FLOW_RECONCILE_SINK_H

#include "base/err.h"
#include "flow/lake.h"
#include "sink/sink.h"

struct sink_comparison {
    int64_t compared;  /* rows of gold, or of the sink alone, at dates that are not pending */
    int64_t differing;
    char *first; /* the first that differs; the caller frees */
};

/* Dates that changed in gold since the sink's watermark are left out. */
int reconcile_sink(struct lake *l, struct sink *sk, struct sink_comparison *ret, struct err *e);

#endif
