/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parquet's encodings read back, written from parquet-format's Encodings.md and parquet.thrift and
 * not from src/parquet: one value at a time, every length checked. Uncompressed pages only.
 */
#ifndef CM_TEST_PARQUET_DECODE_H
#define CM_TEST_PARQUET_DECODE_H

#include <assert.h>

#include "event/event.h"
#include "parquet/encoded.h"

struct reader {
    const uint8_t *p, *end;
};

static inline uint8_t read_byte(struct reader *r) {
    assert(r->p < r->end);
    return *r->p++;
}

static inline uint64_t read_varint(struct reader *r) {
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
        uint8_t b = read_byte(r);
        assert(shift < 64);
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return v;
    }
}

static inline int64_t read_zigzag(struct reader *r) {
    uint64_t v = read_varint(r);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Bit i of a bit-packed area: lowest bit of each byte first. */
static inline uint64_t read_packed(const uint8_t *p, size_t i, int width) {
    uint64_t v = 0;
    for (int b = 0; b < width; b++) {
        size_t bit = i * (size_t)width + (size_t)b;
        v |= (uint64_t)(p[bit / 8] >> bit % 8 & 1) << b;
    }
    return v;
}

/* RLE/bit-packing hybrid: n values. Only zeros may stand behind the last one. */
static inline void read_hybrid(struct reader *r, int width, uint32_t n, uint32_t *ret) {
    uint32_t at = 0;
    while (at < n) {
        uint64_t head = read_varint(r);
        if (head & 1) {
            size_t groups = head >> 1, bytes = groups * (size_t)width;
            assert((size_t)(r->end - r->p) >= bytes && groups > 0);
            assert((n - at + 7) / 8 >= groups);
            for (size_t i = 0; i < groups * 8; i++) {
                uint32_t v = (uint32_t)read_packed(r->p, i, width);
                if (at < n)
                    ret[at++] = v;
                else
                    assert(v == 0);
            }
            r->p += bytes;
        } else {
            uint64_t count = head >> 1;
            uint32_t v = 0;
            for (int i = 0; i < (width + 7) / 8; i++)
                v |= (uint32_t)read_byte(r) << (8 * i);
            assert(count > 0 && count <= n - at);
            while (count-- > 0)
                ret[at++] = v;
        }
    }
}

/* DELTA_BINARY_PACKED, n values of 32 or 64 bits. */
static inline void read_delta(struct reader *r, int bits, uint32_t n, int64_t *ret) {
    uint64_t block = read_varint(r), minis = read_varint(r);
    assert(block > 0 && block % 128 == 0 && minis > 0 && block / minis % 32 == 0);
    assert(read_varint(r) == n && n > 0);
    uint64_t mini = block / minis, v = (uint64_t)read_zigzag(r);
    ret[0] = bits == 32 ? (int32_t)v : (int64_t)v;
    for (uint64_t at = 1; at < n;) {
        uint64_t least = (uint64_t)read_zigzag(r);
        const uint8_t *widths = r->p;
        for (uint64_t m = 0; m < minis; m++)
            read_byte(r);
        for (uint64_t m = 0; m < minis && at < n; m++) {
            assert(widths[m] <= bits && (size_t)(r->end - r->p) >= mini * widths[m] / 8);
            for (uint64_t i = 0; i < mini && at < n; i++) {
                v += least + read_packed(r->p, i, widths[m]);
                ret[at++] = bits == 32 ? (int32_t)v : (int64_t)v;
            }
            r->p += mini * widths[m] / 8;
        }
    }
}

/* Numbers of a page header by field id; of a struct within it, 10 times the struct's id + id. */
static inline void read_struct(struct reader *r, int prefix, int64_t fields[100]) {
    for (int id = 0;;) {
        uint8_t head = read_byte(r);
        if (head == 0)
            return;
        id = head >> 4 ? id + (head >> 4) : (int)read_zigzag(r);
        assert(id > 0 && prefix + id < 100);
        switch (head & 15) {
        case 5:
        case 6:
            fields[prefix + id] = read_zigzag(r);
            break;
        case 12:
            read_struct(r, id * 10, fields);
            break;
        default:
            abort(); /* a type that page headers have not */
        }
    }
}

/* What a reader finds in one column of a group. */
struct found {
    uint32_t rows, values;
    int data_pages;
    bool has_dict;
    int64_t encoding;   /* of the data pages */
    uint32_t *present;  /* by row: 1, or 0 for NULL */
    int64_t *numbers;   /* by value: integers, or a double's bits */
    struct text *texts; /* by value, within the group's bytes */
};

static inline void found_release(struct found *f) {
    free(f->present);
    free(f->numbers);
    free(f->texts);
}

static inline int64_t read_number(struct reader *r, enum parquet_type type) {
    uint64_t v = 0;
    for (int i = 0; i < (type == PARQUET_INT32 ? 4 : 8); i++)
        v |= (uint64_t)read_byte(r) << (8 * i);
    return type == PARQUET_INT32 ? (int32_t)v : (int64_t)v;
}

static inline struct text read_text(struct reader *r, uint32_t len) {
    struct text t = {(const char *)r->p, len};
    assert((size_t)(r->end - r->p) >= len);
    r->p += len;
    return t;
}

/* n PLAIN values. */
static inline void read_plain(struct reader *r, enum parquet_type type, uint32_t n,
                              int64_t *numbers, struct text *texts) {
    if (type == PARQUET_BOOLEAN) { /* bits, lowest first; those behind the last are 0 */
        for (uint32_t i = 0; i < n; i += 8) {
            uint8_t bits = read_byte(r);
            for (uint32_t k = 0; k < 8; k++, bits >>= 1) {
                assert(i + k < n || !(bits & 1));
                if (i + k < n)
                    numbers[i + k] = bits & 1;
            }
        }
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (type == PARQUET_BYTES)
            texts[i] = read_text(r, (uint32_t)read_number(r, PARQUET_INT32));
        else
            numbers[i] = read_number(r, type);
    }
}

struct dictionary {
    uint32_t n;
    int64_t *numbers;
    struct text *texts;
};

static inline void read_indices(struct reader *r, const struct dictionary *d, uint32_t n,
                                int64_t *numbers, struct text *texts) {
    uint32_t *codes = malloc((n + 1) * sizeof *codes);
    read_hybrid(r, read_byte(r), n, codes);
    for (uint32_t i = 0; i < n; i++) {
        assert(codes[i] < d->n);
        numbers[i] = d->numbers[codes[i]];
        texts[i] = d->texts[codes[i]];
    }
    free(codes);
}

static inline void read_lengths(struct reader *r, uint32_t n, struct text *texts) {
    int64_t *lens = malloc((n + 1) * sizeof *lens);
    read_delta(r, 32, n, lens);
    for (uint32_t i = 0; i < n; i++) {
        assert(lens[i] >= 0);
        texts[i] = read_text(r, (uint32_t)lens[i]);
    }
    free(lens);
}

/* A data page of `rows` rows: definition levels, then values. */
static inline void read_data_page(struct reader *r, enum parquet_type type, uint32_t rows,
                                  const struct dictionary *d, struct found *f) {
    uint32_t length = (uint32_t)read_number(r, PARQUET_INT32), n = 0;
    assert(length <= (size_t)(r->end - r->p));
    struct reader levels = {r->p, r->p + length};
    r->p += length;
    read_hybrid(&levels, 1, rows, f->present + f->rows);
    assert(levels.p == levels.end);
    for (uint32_t i = 0; i < rows; i++)
        n += f->present[f->rows + i];
    int64_t *numbers = f->numbers + f->values;
    struct text *texts = f->texts + f->values;
    if (n > 0 && f->encoding == ENCODING_DICTIONARY)
        read_indices(r, d, n, numbers, texts);
    else if (n > 0 && f->encoding == ENCODING_DELTA)
        read_delta(r, type == PARQUET_INT32 ? 32 : 64, n, numbers);
    else if (n > 0 && f->encoding == ENCODING_DELTA_LENGTH)
        read_lengths(r, n, texts);
    else
        read_plain(r, type, n, numbers, texts);
    assert(r->p == r->end);
    f->rows += rows;
    f->values += n;
}

static inline struct found read_column(const struct encoded *en, size_t column,
                                       enum parquet_type type) {
    const struct chunk *c = &en->chunks[column];
    const uint8_t *start = (const uint8_t *)en->bytes.data + c->at;
    struct reader r = {start, start + c->size};
    size_t cap = en->rows + 1;
    struct dictionary d = {0, malloc(cap * sizeof *d.numbers), malloc(cap * sizeof *d.texts)};
    struct found f = {.present = malloc(cap * sizeof *f.present),
                      .numbers = calloc(cap, sizeof *f.numbers),
                      .texts = calloc(cap, sizeof *f.texts)};
    memset(d.numbers, 0, cap * sizeof *d.numbers);
    memset(d.texts, 0, cap * sizeof *d.texts);
    while (r.p < r.end) {
        int64_t header[100] = {0};
        read_struct(&r, 0, header);
        assert(header[2] == header[3] && header[2] <= r.end - r.p); /* not compressed */
        struct reader page = {r.p, r.p + header[2]};
        r.p += header[2];
        if (header[1] == PAGE_DICTIONARY) {
            assert(!f.has_dict && f.data_pages == 0 && header[72] == ENCODING_PLAIN);
            f.has_dict = true;
            d.n = (uint32_t)header[71];
            read_plain(&page, type, d.n, d.numbers, d.texts);
            assert(page.p == page.end);
            continue;
        }
        assert(header[1] == PAGE_DATA && header[53] == ENCODING_RLE && header[54] == ENCODING_RLE);
        f.encoding = header[52];
        read_data_page(&page, type, (uint32_t)header[51], &d, &f);
        f.data_pages++;
    }
    assert(f.rows == en->rows && f.has_dict == c->has_dict && f.data_pages == c->data_pages);
    assert(f.encoding == (int64_t)c->encoding && c->stats.nulls == f.rows - f.values);
    free(d.numbers);
    free(d.texts);
    return f;
}

#endif
