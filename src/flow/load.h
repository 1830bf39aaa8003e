/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gold -> the database people look at: the dates that changed in gold since the sink's watermark,
 * as upserts and deletes, in one transaction with the new watermark.
 */
#ifndef CM_FLOW_LOAD_H
#define CM_FLOW_LOAD_H

#include "base/err.h"
#include "engine/engine.h"
#include "sink/sink.h"
#include "storage/storage.h"

struct load_result {
    int64_t loads;       /* transactions: 0 or 1 */
    int64_t dates, rows; /* sent */
    int64_t upserted, unchanged, deleted;
    int64_t gold_version; /* reached; -1: there is no gold yet */
};

int flow_load(struct storage *st, struct engine *en, struct sink *sk, struct load_result *ret,
              struct err *e);

#endif
