/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results on stdout: a table with aligned columns, or the same as a JSON array of objects.
 */
#ifndef CM_CMD_OUT_H
#define CM_CMD_OUT_H

#include "base/err.h"
#include "base/mem.h"

struct out_table {
    char **names;
    bool *number; /* right-aligned, bare in JSON if it is a number there */
    size_t n_columns;
    char **cells; /* row by row; NULL: NULL */
    size_t n_cells, cap_cells;
};

void out_columns(struct out_table *t, const char *const *names, const bool *number, size_t n);
/* Of an answer of the engine: `types` are its own. */
void out_columns_typed(struct out_table *t, const char *const *names, const char *const *types,
                       size_t n);
void out_row(struct out_table *t, const char *const *values);
void out_print(const struct out_table *t, bool as_json);
void out_release(struct out_table *t);

/* "12345": a number as a cell. */
void out_number(int64_t v, char out[32]);
/* "12,345" */
void out_thousands(int64_t v, char out[32]);

#endif
