/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a long-running verb shows of itself: /healthz, /readyz and /metrics. A verb starts a monitor,
 * lets it watch its parts, and tells it what was done:
 *
 *     struct monitor *mo;                                   NULL with serve.listen = off
 *     r = monitor_start(&(struct monitor_options){…}, &mo, e);
 *     r = parts_open(…, &p, e);
 *     monitor_input(mo, &p.s);                              p.s is now a watched stream
 *     …
 *     parts_close(&p);                                      first what is watched,
 *     monitor_free(mo);                                     then the monitor
 *
 * Every function takes NULL for the monitor and then does nothing. Threads: any; each part is
 * watched once.
 */
#ifndef CM_SERVE_MONITOR_H
#define CM_SERVE_MONITOR_H

#include "base/config.h"
#include "flow/ingest.h"
#include "flow/run.h"

/* What the verb does. */
enum { MONITOR_INGEST = 1, MONITOR_RUN = 2, MONITOR_PRODUCE = 4 };

struct monitor_options {
    const struct config *cfg;
    const char *verb;
    int does; /* MONITOR_… */
    /* Opens one more stream on the topic, for the sampler (MONITOR_INGEST). */
    int (*open_stream)(const struct config *cfg, struct stream **ret, struct err *e);
};

struct monitor;

/* Serves at once: not ready, as long as the parts are not open. ERR_CONFIG: serve.listen. */
int monitor_start(const struct monitor_options *o, struct monitor **ret, struct err *e);
void monitor_free(struct monitor *mo);

/* Each puts a watched one in the place of the part. */
void monitor_input(struct monitor *mo, struct stream **s);    /* that ingest reads */
void monitor_output(struct monitor *mo, struct stream **s);   /* that produce writes */
void monitor_bronze(struct monitor *mo, struct storage **st); /* that ingest writes */
void monitor_lake(struct monitor *mo, struct storage **st);   /* that runs work on */

/* From on_commit: the totals so far. */
void monitor_ingest(struct monitor *mo, const struct ingest_result *sum);
/* Around each flow_run. */
void monitor_run_begins(struct monitor *mo);
void monitor_run_ended(struct monitor *mo, const struct run_result *r, int code,
                       const struct err *why);
/* For run_options.on_step; arg: the monitor, may be NULL. */
void monitor_step(void *arg, const char *step, int code, double seconds);
/* A thread, MONITOR_INGEST or MONITOR_PRODUCE, has ended by an error. */
void monitor_failed(struct monitor *mo, int what, const struct err *why);

#endif
