/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row group of any table while it is filled, and its way into bytes. Rows are added a slice of at
 * most DICT_BATCH at a time and column by column within it, so that one column's memory is at
 * hand while it is worked on:
 *
 *     row_group_begin(g, n);
 *     number_add_…(&g->col[i].number, g->rows + k, …)     for each value of a number column
 *     row_group_texts(g, texts, n_texts);                 all the text columns
 *     row_group_end(g, n);
 *
 * What is not added is NULL. Where all rows so far have the same text in a column and in its twin
 * (columns.h: event_id and event_key), the column is neither stored nor compressed: its pages
 * are copied from the twin's.
 */
#ifndef CM_PARQUET_GROUP_H
#define CM_PARQUET_GROUP_H

#include "parquet/column.h"
#include "parquet/columns.h"
#include "parquet/encoded.h"

union column_data {
    struct number_column number;
    struct text_column text;
};

struct row_group {
    const struct columns *columns;
    uint32_t rows;
    uint64_t twins; /* bit i: so far column i equals its twin in every row, and is not stored */
    union column_data col[];
};

/* The texts of one column in a slice: those that are there, rows rising. */
struct gathered {
    int column;
    uint32_t n;
    struct text_value v[DICT_BATCH];
};

/* The columns must outlive the group. */
struct row_group *row_group_new(const struct columns *columns);
void row_group_free(struct row_group *g);
/* Empties it, keeps the memory (but for that of a flood of large texts). */
void row_group_reset(struct row_group *g);

static inline bool row_group_is_text(const struct row_group *g, size_t column) {
    return g->columns->v[column].type == PARQUET_BYTES;
}

void row_group_begin(struct row_group *g, uint32_t n);
/* Text columns in rising order, each at most once; a column and its twin both or neither. */
void row_group_texts(struct row_group *g, const struct gathered *texts, size_t n);
static inline void row_group_end(struct row_group *g, uint32_t n) {
    g->rows += n;
}

size_t row_group_bytes(const struct row_group *g);  /* about what its rows take */
size_t row_group_memory(const struct row_group *g); /* what it holds of the machine's memory */

/* What encoding needs for the moment; one serves any number of groups, one after the other. */
struct encoder;
struct encoder *encoder_new(int zstd_level); /* 1 … 19; 0: not compressed */
void encoder_free(struct encoder *enc);

/* At least one row. The group is empty afterwards, as after row_group_reset. */
struct encoded *row_group_encode(struct row_group *g, struct encoder *enc);

#endif
