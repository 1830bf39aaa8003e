/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers that any thread changes and a scraper reads: counters, gauges and histograms, written out
 * in Prometheus' text format, version 0.0.4.
 *
 * A table of struct metric_def names the families; one family has a series for each set of values
 * of its labels, made when it is first asked for. Values are atomics: changing one never waits for a
 * scrape. Names end in their base unit, those of counters in _total.
 *
 * The output is in the order of the table, and within a family in the order of the label values
 * (numbers by size), so that two scrapes can be compared. A family without series is not written.
 */
#ifndef CM_SERVE_METRICS_H
#define CM_SERVE_METRICS_H

#include "base/mem.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum {
    METRIC_LABELS = 2,       /* of one family, at most */
    METRIC_BUCKETS = 16,     /* of one histogram, at most, without +Inf */
    METRIC_SERIES = 8192,    /* of one family; what is beyond is counted, but not written */
    METRIC_LABEL_BYTES = 256 /* of one label's value, cut */
};

struct metric_def {
    const char *name;
    enum metric_type type;
    int group;                         /* the caller's: which parts of the program it belongs to */
    const char *labels[METRIC_LABELS]; /* names; NULL: none (further) */
    const double *buckets;             /* METRIC_HISTOGRAM: upper bounds, rising, the last is 0 */
    const char *unit;                  /* for people */
    const char *help;                  /* one sentence */
};

struct metrics;
struct metric; /* one series */

/* defs must outlive the metrics. */
struct metrics *metrics_new(const struct metric_def *defs, size_t n);
void metrics_free(struct metrics *m);

/*
 * The series of defs[def] with these label values (NULL for labels it has not). Valid until
 * metrics_free, also after metrics_drop.
 */
struct metric *metrics_get(struct metrics *m, size_t def, const char *a, const char *b);
/* Not written until it is asked for again: a partition that went to another process. */
void metrics_drop(struct metrics *m, size_t def, const char *a, const char *b);
/* Makes the series of all families of these groups (bits) that have no labels, so that they show as 0. */
void metrics_show(struct metrics *m, int groups);

void metric_add(struct metric *s, double by); /* counters: by >= 0 */
/* Gauges; also counters whose total is kept elsewhere. */
void metric_set(struct metric *s, double value);
void metric_observe(struct metric *s, double value); /* histograms */
double metric_value(const struct metric *s);         /* histograms: the number of observations */

/* Appends the text; out->overflow says that it was too much. */
void metrics_write(struct metrics *m, struct buf *out);

/* For metrics_get: a partition's number as text. */
enum { METRIC_NUMBER = 24 };
const char *metric_number(int64_t n, char out[METRIC_NUMBER]);

#endif
