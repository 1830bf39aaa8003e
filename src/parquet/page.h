/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages -> the bytes of a column chunk: header, then the page, compressed (parquet.thrift,
 * PageHeader; Compression.md). A chunk too small to gain from compression is declared uncompressed.
 */
#ifndef CM_PARQUET_PAGE_H
#define CM_PARQUET_PAGE_H

#include "base/mem.h"
#include "parquet/format.h"
#include "parquet/stats.h"

/* One column of one row group as the footer describes it. */
struct chunk {
    enum parquet_codec codec;
    enum parquet_encoding encoding; /* of the data pages */
    bool has_dict;
    int data_pages;
    size_t at;         /* of the first page, from the start of the row group */
    size_t dict_size;  /* of the dictionary page, header included */
    size_t size;       /* of all pages, headers included */
    size_t plain_size; /* the same, before compression */
    struct column_stats stats;
};

struct page_writer;
struct page_writer *page_writer_new(int zstd_level); /* 0: no compression */
void page_writer_free(struct page_writer *w);

/* Where pages go from now on; `expect` bytes are made ready. */
void page_writer_begin(struct page_writer *w, struct buf *out, size_t expect);

/* Begins a chunk. compress: its pages have more than a few bytes. */
void page_chunk(struct page_writer *w, struct chunk *c, bool compress);
/* values: those of the page, NULLs included; of a dictionary page, its entries. */
void page_dict(struct page_writer *w, struct chunk *c, uint32_t values, const void *page, size_t n);
void page_data(struct page_writer *w, struct chunk *c, uint32_t values, const void *page, size_t n);
/* A chunk with the same pages as `c`. */
void page_repeat(struct page_writer *w, struct chunk *ret, const struct chunk *c);

#endif
