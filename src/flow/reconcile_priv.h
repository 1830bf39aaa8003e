/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of reconcile share: the lake as one picture, and the checks made on it. */
#ifndef CM_FLOW_RECONCILE_PRIV_H
#define CM_FLOW_RECONCILE_PRIV_H

#include "flow/accounts.h"
#include "flow/lake.h"
#include "flow/reconcile.h"
#include "flow/reconcile_sink.h"

struct reconcile {
    struct lake lake;
    struct sink_picture *sink;
    struct reconcile_result *res;
};

/* Adds a check; takes `detail`. */
void reconcile_check(struct reconcile *rc, const char *name, bool ok, char *detail);
/* One that is not ok; takes `first`, too, which may be NULL. */
void reconcile_differs(struct reconcile *rc, const char *name, char *first, char *detail);
void reconcile_equal(struct reconcile *rc, const char *name, const char *left, int64_t l,
                     const char *right, int64_t r);

/* The name of gold[i]'s check: "sink.funnel_daily"; the contract's table has one of its own. The caller frees. */
char *reconcile_name(const struct reconcile *rc, const char *part, size_t i, const char *contract);

/* silver against gold: every model once more over all of silver, but for the dates that are pending. */
int reconcile_gold(struct reconcile *rc, struct err *e);

/* bronze against the notes of its commits (note.h): per source and partition. */
int reconcile_bronze(struct reconcile *rc, struct err *e);

/* Every log is as long as the layer above has read it. */
void reconcile_logs(struct reconcile *rc);
/*
 * After an error that does not pass: looks for what is damaged in the lake, and makes checks of it.
 * *ret: there is something, so that the error is no wonder.
 */
int reconcile_damage(struct reconcile *rc, struct storage *st, const char *models_dir, bool *ret,
                     struct err *e);

/* The rows of every day are those that the log says. */
int reconcile_days(struct reconcile *rc, struct err *e);

/* What became of each day's arrivals, all of which silver has read; acc: what its commits say. */
int reconcile_arrivals(struct reconcile *rc, const struct silver_account *acc, struct err *e);

/* What is wrong where: asked once it is known that something is. Each *ret is NULL: nothing found; the caller frees. */
struct reconcile_place {
    char *at;   /* "clickstream/0/17/0" */
    char *what; /* "clickstream/0/17/0 is not there" */
};
void reconcile_place_release(struct reconcile_place *p);
/* source: of accounts.h. The first offset of the partition that is not there once. */
int reconcile_first_offset(struct reconcile *rc, const char *source, const char *topic,
                           int32_t partition, struct reconcile_place *ret, struct err *e);
/* The answer of a SELECT of two texts, at and what, or of no row. */
int reconcile_first(struct reconcile *rc, const char *sql, struct reconcile_place *ret,
                    struct err *e);

/* Every file that a log names is there, in its size. Marks a table of which some are not. */
int reconcile_files(struct reconcile *rc, struct err *e);

/*
 * A replayed row (replay.h) keeps the reason of the rejected one in reject_detail, also after its user was
 * forgotten (forget.h). What is forgotten is a reject no more.
 */
#define RECONCILE_IS_REPLAYED                                                                      \
    "(coalesce(reject_reason, 'forgotten') = 'forgotten' AND reject_detail IS NOT NULL)"
#define RECONCILE_IS_REJECT "coalesce(reject_reason, 'forgotten') <> 'forgotten'"

#endif
