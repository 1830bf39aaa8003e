/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the rows of a job go: duckdb_outlet.c gives DuckDB the functions that take them, and
 * duckdb_write.c puts them into files.
 */
#ifndef CM_ENGINE_DUCKDB_OUTLET_H
#define CM_ENGINE_DUCKDB_OUTLET_H

#include "engine/duckdb_priv.h"

enum { OUTLET_COLUMNS_FROM = 2 }; /* cm_write's parameters before the columns */

struct duck_outlet {
    struct duck_outlet *next; /* of the engine's */
    uint64_t id;
    const struct table_def *def;
    struct parts *parts;
    atomic_llong given; /* rows */
    pthread_mutex_t lock;
    struct err err;    /* the first failure */
    struct arena lent; /* texts that are not a chunk's */
};

/*
 * Takes the rows of cm_write's parameters that are wanted; from any thread. ERR_ENGINE for a text that
 * is too long, ERR_STORAGE.
 */
int outlet_write(const struct duck_outlet *o, duckdb_data_chunk in, const bool *wanted,
                 struct err *e);

#endif
