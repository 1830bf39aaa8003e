/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of a row group while it is filled. Values come with rising row numbers below
 * GROUP_ROWS_MAX; rows passed over are NULL. Memory grows with the rows and is kept over a reset.
 *
 * Numbers lie in plain arrays; how they are coded is decided when all are known (encode.h).
 * Texts start as a dictionary, which stores a repeated text as two bytes. A column whose texts turn
 * out to be (nearly) all different changes over at once to the texts themselves, one behind the
 * other as they will stand in the file (Encodings.md, DELTA_LENGTH_BYTE_ARRAY). Such a column
 * starts that way in the following groups and tries a dictionary again now and then.
 */
#ifndef CM_PARQUET_COLUMN_H
#define CM_PARQUET_COLUMN_H

#include "parquet/dict.h"
#include "parquet/encoding.h"
#include "parquet/format.h"
#include "parquet/presence.h"

struct number_column {
    struct presence present;
    enum parquet_type type; /* PARQUET_BOOLEAN, _INT32, _INT64 or _DOUBLE */
    uint32_t n, cap;        /* values */
    union {
        void *values;
        bool *b;
        int32_t *i32;
        int64_t *i64;
        double *f64;
    };
};

void number_init(struct number_column *c, enum parquet_type type);
void number_reset(struct number_column *c);
void number_release(struct number_column *c);
size_t number_held(const struct number_column *c); /* bytes of memory */
size_t number_size(enum parquet_type type);        /* bytes of a value in memory */

void number_grow(struct number_column *c);
/* Room for at most DICT_BATCH more values: before any number_add_…. */
static inline void number_reserve(struct number_column *c, uint32_t more) {
    if (__builtin_expect(c->cap - c->n < more, 0))
        number_grow(c);
}

static inline void number_add_bool(struct number_column *c, uint32_t row, bool v) {
    presence_mark(&c->present, row);
    c->b[c->n++] = v;
}

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

/* Where a page of texts begins. */
struct text_page {
    uint32_t row;   /* a multiple of 8 */
    uint32_t value; /* number of its first value in the column */
    size_t at;      /* in `data` */
};

/* A text in `data`; at is 0 for none. */
struct text_mark {
    uint64_t prefix; /* its first bytes */
    size_t at;
    uint32_t len;
};

struct text_column {
    struct presence present;
    uint32_t n; /* values */
    bool never_dict;
    bool direct;   /* values lie in data and lens; otherwise in dict and codes */
    int skip_dict; /* groups to begin as direct before a dictionary is tried again */
    size_t held;   /* bytes of texts kept */
    struct dict dict;
    uint16_t *codes; /* numbers of dictionary entries */
    uint32_t *lens;
    uint32_t codes_cap, lens_cap;
    char *data; /* texts from TEXT_HEAD on */
    size_t len, cap,
        limit;    /* of data, TEXT_HEAD included; beyond limit there is work to do first */
    uint32_t end; /* behind the row of the last value in data */
    struct text_page *pages;
    size_t n_pages, pages_cap;
    struct text_mark min, max;
};

/*
 * Room in front of the first text for what a page has before its texts, levels and lengths: as much
 * as these mostly take.
 */
#define TEXT_HEAD (16 * KIB)

/* never_dict: for what never repeats. */
void text_init(struct text_column *c, bool never_dict);
void text_reset(struct text_column *c);
void text_release(struct text_column *c);
size_t text_memory(const struct text_column *c); /* bytes, about */

/* At most DICT_BATCH values, rows rising. */
void text_add(struct text_column *c, const struct text_value *v, size_t n);
/* Adds the same text for rows [row, row + n); likely the one before. */
void text_add_same(struct text_column *c, uint32_t row, uint32_t n, const char *p, uint32_t len);

/* Changes over from the dictionary to the texts themselves. */
void text_make_direct(struct text_column *c);
/* Makes `to` a copy; only while both have the same rows. */
void text_copy(struct text_column *to, const struct text_column *from);

#endif
