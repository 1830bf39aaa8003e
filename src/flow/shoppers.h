/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulated shoppers: sessions that land, look around, fill and empty a cart, check out, buy, and
 * now and then bring something back; a few are bots. Popular products are seen more often
 * (Zipf), the shop is busy in the evening. The same options give the same bytes on every machine.
 *
 * Pure but for the clock, which is asked only where now_us is 0.
 */
#ifndef CM_FLOW_SHOPPERS_H
#define CM_FLOW_SHOPPERS_H

#include "flow/catalog.h"

struct shoppers_options {
    int64_t events; /* made up in all, duplicates not counted; 0: without end */
    uint64_t seed;
    int64_t now_us;     /* the time of the last event; 0: the clock's */
    int64_t period_us;  /* the events are spread over this long before now; 0, or no end: all now */
    int64_t ts_unit_us; /* event_ts in: 1000000 seconds, 1000 milli-, 1 microseconds */
    double rate; /* events a second, if all happen now: how many shoppers are there at a time */
    double duplicates; /* probability that an event is sent again a little later */
    double late;       /* probability that event_ts lies an hour to five days before its turn */
    double bad;        /* probability that a record is malformed instead */
    bool plain;        /* only the four members of the contract */
};

/* One record to send. The bytes are valid until the next call. */
struct made {
    const char *value, *key; /* key: the user_id; NULL for bots */
    size_t len, key_len;
    bool duplicate, late, bad;
};

struct shoppers;
/* The catalog must outlive them. */
struct shoppers *shoppers_new(const struct shoppers_options *o, const struct catalog *c);
/* false: that was all. */
bool shoppers_next(struct shoppers *sh, struct made *ret);
void shoppers_free(struct shoppers *sh);

#endif
