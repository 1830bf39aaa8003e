/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/encode.h"

#include "base/mem.h"
#include "parquet/bytes.h"
#include "parquet/encoding.h"

#include <assert.h>
#include <math.h>

enum {
    CONSTANT_BYTES = 64, /* the only text of a column is not compressed up to here */
    NUMBERS_MAX = 4096,  /* distinct numbers worth a dictionary */
    NUMBER_SLOTS = 4 * NUMBERS_MAX,
    PAGE_ROOM = PRESENCE_LEVELS_BOUND + DELTA_BOUND(GROUP_ROWS_MAX, 8),
};

struct encode_scratch {
    uint8_t page[PAGE_ROOM];
    uint16_t codes[GROUP_ROWS_MAX];
    uint16_t slots[NUMBER_SLOTS]; /* entry + 1; 0: free */
    uint64_t numbers[NUMBERS_MAX];
};

struct encode_scratch *encode_scratch_new(void) {
    return xmalloc(sizeof(struct encode_scratch));
}

void encode_scratch_free(struct encode_scratch *s) {
    free(s);
}

/* A column without any value: one page of levels. */
static void encode_nulls(const struct presence *p, uint32_t rows, struct encode_scratch *s,
                         struct page_writer *w, struct chunk *ret) {
    size_t n = presence_levels(p, 0, rows, rows, s->page);
    page_chunk(w, ret, false);
    ret->encoding = ENCODING_PLAIN;
    ret->stats.nulls = rows;
    page_data(w, ret, rows, s->page, n);
}

/* Levels, the width of the indices in a byte, the indices. */
static void put_index_page(const struct presence *p, uint32_t rows, const uint16_t *codes,
                           uint32_t n, uint32_t distinct, struct encode_scratch *s,
                           struct page_writer *w, struct chunk *ret) {
    int width = bit_width(distinct - 1);
    size_t at = presence_levels(p, 0, rows, rows, s->page);
    s->page[at++] = (uint8_t)width;
    if (width == 0)
        at += hybrid_run(s->page + at, 0, 0, n);
    else
        at += hybrid_u16(s->page + at, codes, n, width);
    ret->encoding = ENCODING_DICTIONARY;
    page_data(w, ret, rows, s->page, at);
}

/* Bit-packed, lowest bit first (Encodings.md, PLAIN). Booleans have no bounds: nobody skips by them. */
static void encode_booleans(struct number_column *c, uint32_t rows, struct encode_scratch *s,
                            struct page_writer *w, struct chunk *ret) {
    size_t at = presence_levels(&c->present, 0, rows, rows, s->page);
    size_t bytes = (c->n + 7) / 8;
    memset(s->page + at, 0, bytes);
    for (uint32_t i = 0; i < c->n; i++)
        s->page[at + i / 8] |= (uint8_t)(c->b[i] << i % 8);
    page_chunk(w, ret, true);
    ret->encoding = ENCODING_PLAIN;
    ret->stats.nulls = (int64_t)rows - c->n;
    page_data(w, ret, rows, s->page, at + bytes);
}

static inline uint64_t number_at(const void *values, size_t size, uint32_t i) {
    return size == 4 ? load32((const char *)values + (size_t)i * 4)
                     : load64((const char *)values + (size_t)i * 8);
}

/* Numbers the distinct values, compared bit by bit, in s->codes; how many, or 0 if too many. */
static inline uint32_t number_codes(const void *values, size_t size, uint32_t n,
                                    struct encode_scratch *s) {
    memset(s->slots, 0, sizeof s->slots);
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t v = number_at(values, size, i);
        uint32_t slot = (uint32_t)((v * 0x9e3779b97f4a7c15ULL) >> 50), probes = 0;
        while (s->slots[slot] && s->numbers[s->slots[slot] - 1] != v) {
            if (++probes == DICT_PROBES)
                return 0;
            slot = (slot + 1) % NUMBER_SLOTS;
        }
        if (!s->slots[slot]) {
            if (distinct == NUMBERS_MAX)
                return 0;
            s->numbers[distinct++] = v;
            s->slots[slot] = (uint16_t)distinct;
        }
        s->codes[i] = (uint16_t)(s->slots[slot] - 1);
    }
    return distinct;
}

/* As number_codes, for integers that are all the same. */
static uint32_t one_code(const struct number_column *c, size_t size, struct encode_scratch *s) {
    s->numbers[0] = number_at(c->values, size, 0);
    return 1;
}

static void note_int_range(const struct number_column *c, struct column_stats *stats) {
    int64_t min, max;
    if (c->type == PARQUET_INT32) {
        int32_t lo = c->i32[0], hi = lo;
        for (uint32_t i = 1; i < c->n; i++) {
            lo = MIN(lo, c->i32[i]);
            hi = MAX(hi, c->i32[i]);
        }
        min = lo;
        max = hi;
    } else {
        min = max = c->i64[0];
        for (uint32_t i = 1; i < c->n; i++) {
            min = MIN(min, c->i64[i]);
            max = MAX(max, c->i64[i]);
        }
    }
    stats->min = bound_int(min);
    stats->max = bound_int(max);
}

static void note_range(const struct number_column *c, struct column_stats *stats) {
    if (c->type != PARQUET_DOUBLE) {
        note_int_range(c, stats);
        return;
    }
    double min = c->f64[0], max = min;
    bool nan = isnan(min);
    for (uint32_t i = 1; i < c->n; i++) {
        min = MIN(min, c->f64[i]);
        max = MAX(max, c->f64[i]);
        nan |= isnan(c->f64[i]);
    }
    if (nan) /* orders with nothing: no bound is true */
        return;
    stats->min = bound_double(min);
    stats->max = bound_double(max);
}

/* How many distinct values a dictionary of the column would have; 0: none is made. */
static uint32_t judge_numbers(const struct number_column *c, const struct column_stats *stats,
                              struct encode_scratch *s) {
    if (c->type != PARQUET_DOUBLE && stats->min.i == stats->max.i)
        return one_code(c, number_size(c->type), s);
    if (c->type == PARQUET_INT64)
        return 0;
    uint32_t distinct = c->type == PARQUET_INT32 ? number_codes(c->values, 4, c->n, s)
                                                 : number_codes(c->values, 8, c->n, s);
    return distinct <= c->n / 2 ? distinct : 0;
}

static void put_number_dict(const struct number_column *c, uint32_t distinct,
                            struct encode_scratch *s, struct page_writer *w, struct chunk *ret) {
    if (c->type == PARQUET_INT32) {
        for (uint32_t i = 0; i < distinct; i++)
            store32((char *)s->numbers + (size_t)4 * i, (uint32_t)s->numbers[i]);
    }
    page_dict(w, ret, distinct, s->numbers, (size_t)distinct * number_size(c->type));
}

/* Values that are no dictionary: integers as deltas, if no difference can overflow, else PLAIN. */
static void put_number_page(const struct number_column *c, uint32_t rows, struct encode_scratch *s,
                            struct page_writer *w, struct chunk *ret) {
    size_t at = presence_levels(&c->present, 0, rows, rows, s->page);
    size_t size = number_size(c->type);
    uint64_t range = (uint64_t)ret->stats.max.i - (uint64_t)ret->stats.min.i;
    ret->encoding = ENCODING_DELTA;
    if (c->type == PARQUET_INT32 && range <= INT32_MAX) {
        at += delta_i32(s->page + at, c->i32, c->n);
    } else if (c->type == PARQUET_INT64 && range <= INT64_MAX) {
        at += delta_i64(s->page + at, c->i64, c->n);
    } else {
        ret->encoding = ENCODING_PLAIN;
        memcpy(s->page + at, c->values, c->n * size);
        at += c->n * size;
    }
    page_data(w, ret, rows, s->page, at);
}

void encode_numbers(struct number_column *c, uint32_t rows, struct encode_scratch *s,
                    struct page_writer *w, struct chunk *ret) {
    presence_finish(&c->present, rows);
    if (c->n == 0) {
        encode_nulls(&c->present, rows, s, w, ret);
        return;
    }
    if (c->type == PARQUET_BOOLEAN) {
        encode_booleans(c, rows, s, w, ret);
        return;
    }
    struct column_stats stats = {.nulls = (int64_t)rows - c->n};
    note_range(c, &stats);
    uint32_t distinct = judge_numbers(c, &stats, s);
    bool constant = distinct == 1 && presence_all(&c->present, rows);
    page_chunk(w, ret, !constant);
    ret->stats = stats;
    if (distinct) {
        put_number_dict(c, distinct, s, w, ret);
        put_index_page(&c->present, rows, s->codes, c->n, distinct, s, w, ret);
    } else {
        put_number_page(c, rows, s, w, ret);
    }
}

static void note_dict_range(const struct dict *d, struct column_stats *stats) {
    uint32_t min_len, max_len;
    const char *min = dict_text(d, 0, &min_len), *max = min;
    max_len = min_len;
    for (uint32_t i = 1; i < d->n; i++) {
        uint32_t len;
        const char *p = dict_text(d, i, &len);
        int below = memcmp(p, min, MIN(len, min_len));
        if (below < 0 || (below == 0 && len < min_len)) {
            min = p;
            min_len = len;
        }
        int above = memcmp(p, max, MIN(len, max_len));
        if (above > 0 || (above == 0 && len > max_len)) {
            max = p;
            max_len = len;
        }
    }
    stats->min = bound_text_min(min, min_len);
    stats->max = bound_text_max(max, max_len);
}

static void note_direct_range(const struct text_column *c, struct column_stats *stats) {
    stats->min = bound_text_min(c->data + c->min.at, c->min.len);
    stats->max = bound_text_max(c->data + c->max.at, c->max.len);
}

/*
 * A page of texts whose head, n bytes in s->page, does not fit in front of them: only a first page
 * of very many very short texts.
 */
static void put_first_page(const struct text_column *c, uint32_t rows, const struct text_page *next,
                           size_t n, struct encode_scratch *s, struct page_writer *w,
                           struct chunk *ret) {
    size_t texts = next->at - TEXT_HEAD;
    char *page = xmalloc(n + texts);
    memcpy(page, s->page, n);
    memcpy(page + n, c->data + TEXT_HEAD, texts);
    page_data(w, ret, rows, page, n + texts);
    free(page);
}

/*
 * The texts lie one behind the other as they will be stored. What goes in front of a page's texts,
 * levels and lengths, overwrites the end of the page before, which is compressed already; for the
 * first one there is TEXT_HEAD.
 */
static void put_text_pages(struct text_column *c, uint32_t rows, struct encode_scratch *s,
                           struct page_writer *w, struct chunk *ret) {
    ret->encoding = ENCODING_DELTA_LENGTH;
    for (size_t i = 0; i < c->n_pages; i++) {
        const struct text_page *page = &c->pages[i];
        struct text_page next = {rows, c->n, c->len};
        if (i + 1 < c->n_pages)
            next = page[1];
        size_t n = presence_levels(&c->present, page->row, next.row, rows, s->page);
        n += delta_i32(s->page + n, (const int32_t *)c->lens + page->value,
                       next.value - page->value);
        assert(n <= sizeof s->page);
        if (n > page->at) {
            assert(i == 0);
            put_first_page(c, next.row, &next, n, s, w, ret);
            continue;
        }
        memcpy(c->data + page->at - n, s->page, n);
        page_data(w, ret, next.row - page->row, c->data + page->at - n, next.at - page->at + n);
    }
}

void encode_texts(struct text_column *c, uint32_t rows, bool bounds, struct encode_scratch *s,
                  struct page_writer *w, struct chunk *ret) {
    presence_finish(&c->present, rows);
    if (c->n == 0) {
        encode_nulls(&c->present, rows, s, w, ret);
        return;
    }
    if (!c->direct && c->dict.n > 1 && c->dict.n > c->n - c->n / 4)
        text_make_direct(c);
    struct column_stats stats = {.nulls = (int64_t)rows - c->n};
    if (bounds && c->direct)
        note_direct_range(c, &stats);
    else if (bounds)
        note_dict_range(&c->dict, &stats);
    bool constant = !c->direct && c->dict.n == 1 && presence_all(&c->present, rows);
    page_chunk(w, ret, !constant || c->dict.len > CONSTANT_BYTES);
    ret->stats = stats;
    if (c->direct) {
        put_text_pages(c, rows, s, w, ret);
        return;
    }
    page_dict(w, ret, c->dict.n, c->dict.bytes, c->dict.len);
    put_index_page(&c->present, rows, c->codes, c->n, c->dict.n, s, w, ret);
}
