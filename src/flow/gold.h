/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Silver -> gold: for the event_dates that changed in silver since the version in gold's txn
 * (gold/<silver table id>), the model's rows are computed anew and replace those dates' files, in
 * one commit with the version reached.
 */
#ifndef CM_FLOW_GOLD_H
#define CM_FLOW_GOLD_H

#include "base/err.h"
#include "engine/engine.h"
#include "storage/storage.h"

struct gold_result {
    int64_t commits;
    int64_t dates; /* that changed in silver, also those left without rows */
    int64_t rows;
    int64_t silver_version; /* reached; -1: there is no silver yet */
};

int flow_gold(struct storage *st, struct engine *en, int64_t checkpoint_interval,
              struct gold_result *ret, struct err *e);

#endif
