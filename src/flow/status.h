/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each layer stands: what is in the stream and not yet in bronze, in bronze and not yet in
 * silver, and so on down to the sink.
 */
#ifndef CM_FLOW_STATUS_H
#define CM_FLOW_STATUS_H

#include "base/err.h"
#include "flow/check_history.h"
#include "flow/lag.h"
#include "sink/sink.h"
#include "storage/storage.h"
#include "stream/stream.h"

struct layer_status {
    char *table;     /* "silver.events" */
    int64_t version; /* -1: not there yet */
    int64_t files, rows, bytes;
    int64_t committed_ms; /* time of the newest commit; 0: none */
    int64_t behind;       /* versions of the layer below that are not taken in */
    /* Of gold tables. */
    bool is_gold, has_model; /* has_model: it is still made and loaded */
    char *problem;           /* why its model cannot be used; NULL: none */
    int64_t sink_version;    /* the version the sink shows; -1: none */
    bool sink_is_current;
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
    double age_seconds;          /* of it, now; -1: none */
    int64_t lost;                /* offsets accepted as lost (--accept-loss), by all commits */
    struct layer_status *layers; /* bronze, silver, then gold: the contract's table first */
    size_t n_layers;
    char **refused; /* the user's models that are none: why */
    size_t n_refused;
    int64_t events, rejected, duplicates, conflicts; /* totals of bronze and silver */
    int64_t replayed; /* rejected records of which there are events by now; they count in events */
    int64_t sink_version;     /* of the contract's table that the sink shows; -1: none */
    bool sink_is_current;     /* all tables */
    struct check_kept checks; /* what the last check of all rules found */
};

struct status_options {
    const char *app;           /* stream.app */
    const char *models_dir;    /* the user's models (models.h); NULL: none */
    const char *check_history; /* check_history.h; "": none */
};

/* s and sk may be NULL: their part is left out. */
int flow_status(struct stream *s, struct storage *st, struct sink *sk,
                const struct status_options *o, struct status *ret, struct err *e);
void status_release(struct status *s);

#endif
