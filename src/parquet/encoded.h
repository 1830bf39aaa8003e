/* SPDX-License-Identifier: Apache-2.0 */
/* A row group on its way from group.c to file.c. */
#ifndef CM_PARQUET_ENCODED_H
#define CM_PARQUET_ENCODED_H

#include "parquet/columns.h"
#include "parquet/file.h"
#include "parquet/page.h"

struct encoded {
    uint32_t rows;
    struct buf bytes;      /* the column chunks one behind the other */
    struct chunk chunks[]; /* by column */
};

#endif
