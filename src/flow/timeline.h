/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the simulated events happen: n events spread over a period that ends now, in order, few at
 * night (UTC) and most in the evening. Without a period, every event happens now.
 */
#ifndef CM_FLOW_TIMELINE_H
#define CM_FLOW_TIMELINE_H

struct timeline {
    int64_t start_us, end_us;
    int64_t n;       /* 0: no period */
    bool clock;      /* "now" is the clock's, not end_us */
    double total;    /* weight of all hours … */
    double before;   /* … and of those before the current one */
    int64_t hour_us; /* where the current one begins */
};

/* now_us 0: the clock; n 0 or period_us 0: no period. */
void timeline_init(struct timeline *t, int64_t now_us, int64_t period_us, int64_t n);
/* The time of event i; i must not decrease from call to call. */
int64_t timeline_at(struct timeline *t, int64_t i);

#endif
