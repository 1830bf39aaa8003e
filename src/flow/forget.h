/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that is kept of a user goes, from bronze to the sink, in such a way that no version of any table
 * can be read back that holds it (decision 0024):
 *   bronze   the rows become rejects for the reason 'forgotten', of which position and time of receipt
 *            alone are left; of rejects that hold the user, raw and reject_detail go
 *   silver   the days that held the user are made anew from that; then gold, then the sink
 *   files    what the tables do not need any more is deleted at once, and the logs are cut off before
 *            that; so are the local copies of a lake far away
 * Whoever writes meanwhile is not disturbed; what comes of the user later is not touched. Each part is
 * found out from the tables: killed anywhere, a repeat does what is left.
 */
#ifndef CM_FLOW_FORGET_H
#define CM_FLOW_FORGET_H

#include "flow/run.h"

struct forget_options {
    const char *user; /* user_id; valid UTF-8, not blank */
    const struct run_options *run;
    const struct upkeep_options *upkeep;
    const char *cache_dir; /* of a lake far away; NULL: none */
};

struct forget_table {
    char *name;
    int64_t files_read, files_rewritten, files_made;
    int64_t rows_erased;                  /* of the user */
    int64_t raw_erased;                   /* of other rows: raw bytes that held the user */
    int64_t files_deleted, bytes_deleted; /* by now in no version */
    int64_t log_files;                    /* of the log, removed */
    int64_t version;                      /* the first that can be read */
};

struct forget_result {
    struct forget_table *v; /* bronze, silver, gold */
    size_t n;
    int64_t days;        /* of silver made anew */
    int64_t cache_files; /* local copies removed */
    int64_t repeated;    /* bronze was changed by others meanwhile: tried again */
    struct gold_result gold;
    struct load_result load;
};

/*
 * ERR_CHECK: what was to go from a log or a table's folder could not; the message says why. *ret is
 * filled also then; release it in any case.
 */
int flow_forget(struct storage *st, struct engine *en, const struct forget_options *o,
                struct forget_result *ret, struct err *e);
void forget_result_release(struct forget_result *r);

/*
 * Bronze's part (forget_bronze.c): rewrites the files that hold the user, all of which silver must have
 * read. ERR_CONFLICT: others rewrote them meanwhile. *ret_version: of the commit; -1: there was nothing.
 */
int forget_bronze(struct storage *st, struct engine *en, struct table *bronze, const char *user,
                  struct forget_table *ret, int64_t *ret_version, struct err *e);
/*
 * The txn that each such commit moves on by one. Silver has the number up to which its counters know what
 * was forgotten: while they differ, it must be told. The caller frees.
 */
char *forget_mark(const struct table *bronze);

#endif
