/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of a row group while it is filled. Values come with rising row numbers below
 * GROUP_ROWS_MAX; rows passed over are NULL. Memory is kept over a reset.
 *
 * Numbers lie in plain arrays; how they are coded is decided when all are known (encode.h).
 * Texts start as a dictionary, which stores a repeated text as two bytes. A column whose texts turn
 * out to be (nearly) all different changes over to PLAIN at once: its texts then lie in memory as they will in
 * the file. Such a column starts as PLAIN in the following groups and tries again now and then.
 */
#ifndef CM_PARQUET_COLUMN_H
#define CM_PARQUET_COLUMN_H

#include "parquet/dict.h"
#include "parquet/format.h"
#include "parquet/presence.h"

struct number_column {
    struct presence present;
    enum parquet_type type; /* PARQUET_INT32, _INT64 or _DOUBLE */
    uint32_t n;             /* values */
    union {
        void *values;
        int32_t *i32;
        int64_t *i64;
        double *f64;
    };
};

void number_init(struct number_column *c, enum parquet_type type);
void number_reset(struct number_column *c);
void number_release(struct number_column *c);

static inline void number_add_i32(struct number_column *c, uint32_t row, int32_t v) {
    presence_mark(&c->present, row);
    c->i32[c->n++] = v;
}

static inline void number_add_i64(struct number_column *c, uint32_t row, int64_t v) {
    presence_mark(&c->present, row);
    c->i64[c->n++] = v;
}

static inline void number_add_f64(struct number_column *c, uint32_t row, double v) {
    presence_mark(&c->present, row);
    c->f64[c->n++] = v;
}

/* Where a page of PLAIN texts begins: its first row, a multiple of 8, and its bytes in `data`. */
struct text_page {
    uint32_t row;
    size_t at;
};

struct text_column {
    struct presence present;
    uint32_t n; /* values */
    bool plain; /* values lie in data; otherwise in dict and codes */
    bool never_dict;
    int skip_dict; /* groups to begin as PLAIN before a dictionary is tried again */
    struct dict dict;
    uint16_t *codes; /* numbers of dictionary entries */
    /* PLAIN values from data + TEXT_HEAD on: the page's levels are put in front of them in place. */
    char *data;
    size_t len, cap, limit; /* of data, TEXT_HEAD included; behind limit there is work to do first */
    uint32_t end;           /* behind the row of the last value in data */
    struct text_page *pages;
    size_t n_pages, pages_cap;
    /* Smallest and largest value in data: first bytes, and where its length stands. */
    uint64_t min_prefix, max_prefix;
    size_t min_at, max_at;
    size_t held; /* bytes of texts kept */
};

enum { TEXT_HEAD = (PRESENCE_LEVELS_BOUND + 63) & ~63 };

/* plain: no dictionary at all. */
void text_init(struct text_column *c, bool plain);
void text_reset(struct text_column *c);
void text_release(struct text_column *c);

void text_add(struct text_column *c, uint32_t row, const char *p, uint32_t len);
/* Adds s, likely the same as the text before. */
void text_add_same(struct text_column *c, uint32_t row, const char *s);

/* Changes over from the dictionary to PLAIN. */
void text_make_plain(struct text_column *c);
/* Makes `to` a copy; only while both have the same rows. */
void text_copy(struct text_column *to, const struct text_column *from);

#endif
