/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each layer stands: what is in the stream and not yet in bronze, in bronze and not yet in
 * silver, and so on down to the sink.
 */
#ifndef CM_FLOW_STATUS_H
#define CM_FLOW_STATUS_H

#include "base/err.h"
#include "flow/lag.h"
#include "sink/sink.h"
#include "storage/storage.h"
#include "stream/stream.h"

struct layer_status {
    const char *table;
    int64_t version; /* -1: not there yet */
    int64_t files, rows, bytes;
    int64_t committed_ms; /* time of the newest commit; 0: none */
    int64_t behind;       /* versions of the layer below that are not taken in */
};

struct status {
    struct lag *partitions;
    size_t n_partitions;
    struct lag lag; /* of all together: lag_total */
    /*
     * When the newest record in bronze came to the stream, ms since 1970; 0: none. From the files'
     * statistics. Its age says how fresh bronze is.
     */
    int64_t newest_ms;
    double age_seconds; /* of it, now; -1: none */
    int64_t lost;       /* offsets accepted as lost (--accept-loss), by all commits */
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
