/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives totals (totals.h) to the positions an older clickmill began: what the whole log adds up to
 * becomes state, in commits of txn actions that restate the positions, so that nobody can move them
 * in between. Only then may the log be cleaned.
 */
#ifndef CM_FLOW_SEAL_H
#define CM_FLOW_SEAL_H

#include "table/table.h"

/*
 * tb is bronze or silver; other tables have no totals. *ret_sealed: every position carries them now;
 * false where the log does not add up, or is not whole any more: *ret_why (the caller frees) says so.
 */
int seal_totals(struct table *tb, bool *ret_sealed, char **ret_why, struct err *e);

#endif
