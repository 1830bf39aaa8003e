/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filled column -> its pages. Chooses the encoding:
 *   one value only, or few       RLE_DICTIONARY
 *   other integers               DELTA_BINARY_PACKED, PLAIN if they lie too far apart
 *   other doubles                PLAIN
 *   other texts                  DELTA_LENGTH_BYTE_ARRAY: without lengths among them, zstd is up to
 *                                three times as fast on keys and ids, and packs them better
 * and finds the statistics.
 */
#ifndef CM_PARQUET_ENCODE_H
#define CM_PARQUET_ENCODE_H

#include "parquet/column.h"
#include "parquet/page.h"

/* Memory the encoding of a column needs for the moment; one for all columns. */
struct encode_scratch;
struct encode_scratch *encode_scratch_new(void);
void encode_scratch_free(struct encode_scratch *s);

void encode_numbers(struct number_column *c, uint32_t rows, struct encode_scratch *s,
                    struct page_writer *w, struct chunk *ret);
/* Spoils the column: levels are written over texts that are done with. bounds: find min and max. */
void encode_texts(struct text_column *c, uint32_t rows, bool bounds, struct encode_scratch *s,
                  struct page_writer *w, struct chunk *ret);

#endif
