/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Silver -> gold: every model's table is brought up to silver's version, each by a commit of its own
 * (gold_table.h). A model that is wrong fails alone: the others are made all the same.
 */
#ifndef CM_FLOW_GOLD_H
#define CM_FLOW_GOLD_H

#include "base/err.h"
#include "engine/engine.h"
#include "flow/dates.h"
#include "storage/storage.h"

struct gold_options {
    const char *models_dir; /* the user's models (models.h); NULL: none */
    int64_t checkpoint_interval;
    const struct date_range *again; /* these days once more, changed or not; NULL: none */
    const char *model; /* this one only; NULL: all. ERR_USAGE: there is none of that name */
};

struct gold_result {
    int64_t commits;        /* tables brought forward */
    int64_t dates;          /* that changed in silver, also those left without rows */
    int64_t rows;           /* of all tables together */
    int64_t rows_before;    /* that these replaced */
    int64_t failed;         /* models that could not be used; the others are done */
    int64_t silver_version; /* reached; -1: there is no silver yet */
};

/*
 * With ret->failed > 0 the step has done what it could, and the error says which models failed and
 * why. Otherwise an error ended the step where it came.
 */
int flow_gold(struct storage *st, struct engine *en, const struct gold_options *o,
              struct gold_result *ret, struct err *e);

#endif
