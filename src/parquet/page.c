/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/page.h"

#include "parquet/thrift.h"

#include <assert.h>
#include <zstd.h>

enum { HEADER_ROOM = 64 }; /* a page header takes less */

struct page_writer {
    ZSTD_CCtx *zstd; /* NULL: no compression */
    struct buf *out;
    struct buf header;
};

struct page_writer *page_writer_new(int zstd_level) {
    struct page_writer *w = xcalloc(1, sizeof *w);
    w->header = BUF_INIT(HEADER_ROOM);
    if (zstd_level > 0) {
        w->zstd = ZSTD_createCCtx();
        if (!w->zstd) {
            fputs("clickmill: out of memory\n", stderr);
            _Exit(70);
        }
        size_t r = ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, zstd_level);
        assert(!ZSTD_isError(r));
        /* Four bytes a page, which every reader compares: one wrong bit is an error, not another value. */
        r = ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
        assert(!ZSTD_isError(r));
    }
    return w;
}

void page_writer_free(struct page_writer *w) {
    if (!w)
        return;
    ZSTD_freeCCtx(w->zstd);
    buf_release(&w->header);
    free(w);
}

void page_writer_begin(struct page_writer *w, struct buf *out, size_t expect) {
    w->out = out;
    buf_reserve(out, expect);
}

void page_chunk(struct page_writer *w, struct chunk *c, bool compress) {
    *c = (struct chunk){.at = w->out->len};
    c->codec = w->zstd && compress ? CODEC_ZSTD : CODEC_NONE;
}

/* The page's body at `to`, where `room` bytes are free; returns its length. */
static size_t put_body(struct page_writer *w, const struct chunk *c, char *to, size_t room,
                       const void *page, size_t n) {
    if (c->codec == CODEC_NONE) {
        memcpy(to, page, n);
        return n;
    }
    size_t r = ZSTD_compress2(w->zstd, to, room, page, n);
    assert(!ZSTD_isError(r)); /* nothing can fail: the room is ZSTD_compressBound() */
    return r;
}

static void make_header(struct page_writer *w, enum parquet_page type,
                        enum parquet_encoding encoding, uint32_t values, size_t plain,
                        size_t stored) {
    assert(plain <= INT32_MAX && stored <= INT32_MAX && values <= INT32_MAX);
    buf_reset(&w->header);
    struct thrift t = THRIFT_INIT(&w->header);
    thrift_struct(&t, 0);
    thrift_i32(&t, 1, type);
    thrift_i32(&t, 2, (int32_t)plain);
    thrift_i32(&t, 3, (int32_t)stored);
    thrift_struct(&t, type == PAGE_DATA ? 5 : 7);
    thrift_i32(&t, 1, (int32_t)values);
    thrift_i32(&t, 2, encoding);
    if (type == PAGE_DATA) {
        thrift_i32(&t, 3, ENCODING_RLE); /* definition levels */
        thrift_i32(&t, 4, ENCODING_RLE); /* repetition levels: there are none in a flat table */
    }
    thrift_end(&t);
    thrift_end(&t);
    assert(!w->header.overflow);
}

/* The header tells the compressed size, so it comes second; the body then moves up to it. */
static void put_page(struct page_writer *w, struct chunk *c, enum parquet_page type,
                     enum parquet_encoding encoding, uint32_t values, const void *page, size_t n) {
    struct buf *out = w->out;
    size_t room = ZSTD_compressBound(n);
    bool fits = buf_reserve(out, HEADER_ROOM + room);
    assert(fits);
    char *at = out->data + out->len;
    size_t stored = put_body(w, c, at + HEADER_ROOM, room, page, n);
    make_header(w, type, encoding, values, n, stored);
    memcpy(at, w->header.data, w->header.len);
    memmove(at + w->header.len, at + HEADER_ROOM, stored);
    out->len += w->header.len + stored;
    c->size += w->header.len + stored;
    c->plain_size += w->header.len + n;
}

void page_dict(struct page_writer *w, struct chunk *c, uint32_t values, const void *page,
               size_t n) {
    assert(!c->has_dict && c->data_pages == 0);
    put_page(w, c, PAGE_DICTIONARY, ENCODING_PLAIN, values, page, n);
    c->has_dict = true;
    c->dict_size = c->size;
}

void page_data(struct page_writer *w, struct chunk *c, uint32_t values, const void *page,
               size_t n) {
    put_page(w, c, PAGE_DATA, c->encoding, values, page, n);
    c->data_pages++;
}

void page_repeat(struct page_writer *w, struct chunk *ret, const struct chunk *c) {
    *ret = *c;
    ret->at = w->out->len;
    bool fits = buf_reserve(w->out, c->size);
    assert(fits);
    buf_add(w->out, w->out->data + c->at, c->size);
}
