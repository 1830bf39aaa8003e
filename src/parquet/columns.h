/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of a table's files, in file order: those of its table_def (base/schema.h) without
 * the partition column, which stands in the folder's name.
 */
#ifndef CM_PARQUET_COLUMNS_H
#define CM_PARQUET_COLUMNS_H

#include "base/schema.h"
#include "parquet/format.h"

struct column_form {
    const char *name;
    enum column_type kind;
    enum parquet_type type;
    bool quiet;   /* bounds nobody asks for, which would only fill the table log */
    int twin;     /* an earlier column whose texts this one mostly repeats; -1: none */
    bool twinned; /* it is the twin of another */
};

struct columns {
    size_t n;
    struct column_form v[];
};

/* The caller frees; the names are those of def. */
struct columns *columns_new(const struct table_def *def);

#endif
