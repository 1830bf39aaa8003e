/* SPDX-License-Identifier: Apache-2.0 */
/*
 * produce: publishes records, either the lines of a file as they are (no key) or the clicks of
 * simulated shoppers (key = user_id; see shoppers.h).
 */
#ifndef CM_FLOW_PRODUCE_H
#define CM_FLOW_PRODUCE_H

#include "stream/stream.h"

enum { PRODUCE_EVENTS = 10000, PRODUCE_DAYS = 7 };

/* The verb's options; produce_defaults gives the values in brackets. */
struct produce_options {
    const char *from;    /* NDJSON file, "-" for stdin [NULL: shoppers] */
    const char *catalog; /* file or URL [NULL: built in] */
    int64_t events;      /* 0: no limit [-1: all lines of a file, PRODUCE_EVENTS of shoppers] */
    int64_t rate;        /* events a second, 0: as fast as it goes [0] */
    int64_t seed;        /* [-1: another one each time] */
    int64_t now_s;       /* seconds since 1970 UTC of the last event [0: the clock's] */
    int64_t period_ms;   /* event_ts lie in this long before now; 0: at the time of sending
                            [-1: PRODUCE_DAYS days, but 0 with a rate or without end] */
    const char *ts_unit; /* event_ts in "s", "ms" or "us" [NULL: s] */
    double duplicates;   /* probability that an event is sent a second time, a little later [0] */
    double late;         /* probability that an event is one hour to five days late [0] */
    double bad;          /* probability that a record is malformed [0] */
    bool plain;
    bool quiet;
    /* no progress on the terminal: somebody else draws there */ /* product_id, category, price and event_ts only [false] */
    const char *ledger; /* file; see ledger.h [NULL: none] */
};

void produce_defaults(void *options);

struct produce_result {
    int64_t sent, acked, failed;
    int64_t bytes;                 /* of the values sent */
    int64_t duplicates, late, bad; /* among the sent; a duplicate that is late counts in both */
    int64_t seed;
    double seconds;
};

/*
 * Publishes and returns once everything is acknowledged. `ret` is always filled. The stream's ack
 * function is taken over. ERR_STREAM: the input, the catalog, the ledger, or a record that was not
 * accepted (then it stops sending); ERR_USAGE: options that contradict each other; ERR_STOPPED: a
 * signal came first. Without end (events 0, no file), a signal is the normal end.
 */
int flow_produce(const struct produce_options *o, struct stream *s, struct produce_result *ret,
                 struct err *e);

#endif
