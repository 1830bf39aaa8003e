/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the tables a rule reads, so that it stays cheap on a large lake. The days to be judged are
 * those that gold has changed and the sink does not show yet, and the newest one; a rule whose header
 * says `Days: N` is given of silver and gold each of these with the N - 1 days before it, and of bronze
 * the N newest days of arrival.
 */
#ifndef CM_FLOW_CHECK_DAYS_H
#define CM_FLOW_CHECK_DAYS_H

#include "flow/dates.h"
#include "flow/lake.h"
#include "sink/sink.h"

/* The days to be judged. sk NULL: the newest alone. *ret_waiting: are there some that wait to be loaded? */
int check_days_find(struct lake *l, struct sink *sk, struct dates *ret, bool *ret_waiting,
                    struct err *e);

/* SELECT of them as event_date: the view `days`. The caller frees. */
char *check_days_select(const struct dates *days);

/* The tables as the rule sees them; the files are copies. */
struct check_inputs {
    struct engine_input *v;
    struct table_files *files;
    size_t n;
};
void check_inputs_make(const struct lake *l, const struct dates *days, int n_days,
                       struct check_inputs *ret);
void check_inputs_release(struct check_inputs *in);

#endif
