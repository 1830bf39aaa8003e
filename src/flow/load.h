/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gold -> the database people look at, table by table: the dates that changed in gold since the sink's
 * watermark, as upserts and deletes, in one transaction with the new watermark. A table that the
 * database cannot take fails alone: the others are loaded all the same.
 */
#ifndef CM_FLOW_LOAD_H
#define CM_FLOW_LOAD_H

#include "base/err.h"
#include "engine/engine.h"
#include "flow/check.h"
#include "sink/sink.h"
#include "storage/storage.h"

struct load_result {
    int64_t loads; /* transactions: at most one a table */
    int64_t dates; /* sent */
    int64_t rows;  /* sent; these and the following of all tables together */
    int64_t upserted, unchanged, deleted;
    int64_t failed;       /* tables that could not be loaded; the others are */
    int64_t gold_version; /* of clickstream_metrics, reached; -1: there is no gold yet */
};

struct load_options {
    const char *models_dir; /* the user's models (models.h); NULL: none */
    /*
     * What the rules let pass: a gold table that another process has moved on since waits for the next
     * load. NULL: unchecked.
     */
    const struct check_result *checked;
};

/*
 * With ret->failed > 0 the step has done what it could, and
 * the error says which tables failed and why.
 */
int flow_load(struct storage *st, struct engine *en, struct sink *sk, const struct load_options *o,
              struct load_result *ret, struct err *e);

#endif
