/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a file (parquet.thrift, FileMetaData): the schema, where the pages of each
 * group lie, statistics. Also the statistics of the whole file for the table log.
 */
#ifndef CM_PARQUET_FOOTER_H
#define CM_PARQUET_FOOTER_H

#include "parquet/encoded.h"

struct footer {
    int64_t size; /* bytes of the file so far: kept by the writer of the file */
    int64_t rows;
    size_t n_groups;
    struct buf groups; /* the RowGroup structs, in Thrift already */
    const struct columns *columns;
    struct column_stats *stats; /* by column */
};

/* The columns must outlive the footer. */
void footer_init(struct footer *f, const struct columns *columns);
void footer_release(struct footer *f);
/* The group will stand at f->size. */
void footer_add(struct footer *f, const struct encoded *en);
/* Footer, its length and the magic. */
void footer_put(struct footer *f, struct buf *out);
/* The JSON text `stats` of an add action; the caller frees. */
char *footer_log_stats(const struct footer *f);

#endif
