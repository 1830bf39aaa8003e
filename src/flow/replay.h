/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rejected records once more: their bytes, or what the user's mapping makes of them, go through
 * today's decoder. What it accepts is appended to bronze as a row at the same position, received when
 * the record was; the rejected row stays as the record of what came.
 *
 * No record is ever replayed twice (decision 0021): a commit holds rows and, as txn
 * "replay/<bronze table id>", how many were replayed until then, compared with what it was when the
 * rows were chosen. So of two replays at once one is refused and chooses anew, and what a killed one
 * has committed is seen by the next: it leaves out what is replayed. Ingest is not disturbed, nor are
 * its positions touched. Silver takes the rows in as any others.
 */
#ifndef CM_FLOW_REPLAY_H
#define CM_FLOW_REPLAY_H

#include "flow/rejects.h"

struct replay_options {
    struct rejects_filter filter;
    const struct rejects_mapping *mapping; /* NULL: the bytes as they came */
    bool dry_run;                          /* nothing is written */
    bool keep_raw; /* the bytes that were decoded are kept in the rows, too */
    int zstd_level;
    int64_t batch_rows; /* rows after which a commit ends */
    int64_t checkpoint_interval;
    /* Told of each record; total 0: not known. May be NULL. */
    void (*on_progress)(void *arg, int64_t done, int64_t total);
    void *arg;
};

/* Those that are rejected again for one reason, by the field their detail begins with. */
struct replay_still {
    char *reason, *field;
    int64_t n;
    char *first, *detail; /* position of the first, and what was found there */
};

struct replay_result {
    int64_t replayed; /* committed; dry_run: that would be */
    int64_t still, commits;
    struct replay_still *v;
    size_t n;
};

/*
 * What is committed stays, whenever it ends: *ret counts it after a failure, too. ERR_ENGINE, before
 * anything is committed: the mapping cannot be run, gives other columns than are wanted, or rows for
 * positions where no record was rejected.
 */
int flow_replay(struct storage *st, struct engine *en, const struct replay_options *o,
                struct replay_result *ret, struct err *e);
void replay_result_release(struct replay_result *r);

#endif
