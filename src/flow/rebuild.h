/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer made anew from the one below, all of it or some days, and what stands above it brought up to
 * that: silver, gold, then the sink. One commit a table takes the old files out and puts the new ones
 * in, so that readers see the old or the new. Who else works on the tables goes on: what they commit
 * meanwhile is taken in before the commit is tried again. Killed at any point, the old stands (decision 0023).
 */
#ifndef CM_FLOW_REBUILD_H
#define CM_FLOW_REBUILD_H

#include "flow/dates.h"
#include "flow/run.h"

struct rebuild_options {
    bool silver; /* from silver on; else from gold on */
    struct date_range range;
    /*
     * Silver: these days and no range; NULL: as the range says. Rows of bronze may have been made
     * rejects since: what became of all of bronze is then counted anew.
     */
    const struct dates *days;
    int64_t
        days_at; /* silver's version that they were chosen from: ERR_CONFLICT if it has gone on */
    bool force;  /* also where bronze holds less than silver was made of: that is lost */
    const struct run_options *run; /* how gold and load are done */
};

struct rebuild_result {
    /* Of silver; zero where gold alone is made anew. */
    int64_t dates, rows_before, rows_after;
    int64_t events, rejected, duplicates, conflicts; /* of the bronze rows read anew */
    int64_t tries; /* commits that others overtook, and the last */
    struct gold_result gold;
    struct load_result load;
};

/*
 * ERR_CHECK: bronze does not hold all that silver was made of. Where models or tables failed alone the
 * rest is done, as in flow_run. *ret is filled also then.
 */
int flow_rebuild(struct storage *st, struct engine *en, const struct rebuild_options *o,
                 struct rebuild_result *ret, struct err *e);

/* Silver's part of it (rebuild_silver.c). */
int rebuild_silver(struct storage *st, struct engine *en, const struct rebuild_options *o,
                   struct rebuild_result *ret, struct err *e);

#endif
