/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each layer stands: what is in the stream and not yet in bronze, in bronze and not yet in
 * silver, and so on down to the sink.
 */
#ifndef CM_FLOW_STATUS_H
#define CM_FLOW_STATUS_H

#include "base/err.h"
#include "sink/sink.h"
#include "storage/storage.h"
#include "stream/stream.h"

struct partition_status {
    int32_t partition;
    int64_t position; /* next offset bronze will hold; 0 when it holds none */
    int64_t end;
};

struct layer_status {
    const char *table;
    int64_t version; /* -1: not there yet */
    int64_t files, rows, bytes;
    int64_t committed_ms; /* time of the newest commit; 0: none */
    int64_t behind;       /* versions of the layer below that are not taken in */
};

struct status {
    struct partition_status *partitions;
    size_t n_partitions;
    int64_t lag; /* records in the stream that are not in bronze */
    struct layer_status layers[3];
    int64_t events, rejected, duplicates, conflicts; /* totals of bronze and silver */
    int64_t sink_version;                            /* the gold version the sink shows; -1: none */
    bool sink_is_current;
};

/* s and sk may be NULL: their part is left out. */
int flow_status(struct stream *s, const char *app, struct storage *st, struct sink *sk,
                struct status *ret, struct err *e);
void status_release(struct status *s);

#endif
