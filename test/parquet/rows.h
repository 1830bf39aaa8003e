/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows to put into a group, and the check that a reader finds them again: every column, every row.
 */
#ifndef CM_TEST_PARQUET_ROWS_H
#define CM_TEST_PARQUET_ROWS_H

#include <setjmp.h>
#include <stdarg.h>

#include "parquet/bronze.h"
#include "parquet/decode.h"
#include <cmocka.h>

/* Rows and the memory of their texts. */
struct rows {
    struct event *ev;
    struct bronze_source *src;
    uint32_t n;
    struct arena texts;
};

static inline struct rows rows_new(uint32_t n) {
    struct rows r = {xcalloc(n, sizeof *r.ev), xcalloc(n, sizeof *r.src), n, {0}};
    for (uint32_t i = 0; i < n; i++) {
        r.ev[i].event_key = (struct text){"key", 3};
        r.ev[i].event_ts = 1771286400 + i;
        r.src[i] = (struct bronze_source){.topic = "clicks",
                                          .offset = i,
                                          .protocol = "native",
                                          .received_us = 1771286400000000 + i};
    }
    return r;
}

static inline void rows_release(struct rows *r) {
    free(r->ev);
    free(r->src);
    arena_release(&r->texts);
}

static inline struct text text(struct rows *r, const char *fmt, ...) ATTR_PRINTF(2, 3);

static inline struct text text(struct rows *r, const char *fmt, ...) {
    char s[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(s, sizeof s, fmt, ap);
    va_end(ap);
    return (struct text){arena_strndup(&r->texts, s, (size_t)n), (uint32_t)n};
}

static inline struct text text_of_length(struct rows *r, uint32_t len, char fill) {
    char *p = arena_alloc(&r->texts, len);
    memset(p, fill, len);
    return (struct text){p, len};
}

/* Below n; xorshift64. */
static inline uint32_t draw(uint32_t n) {
    static uint64_t x = 88172645463325252ULL;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)((x >> 20) % n);
}

static inline struct bronze_group *group_new(void) {
    return bronze_group_new(&(struct bronze_options){.zstd_level = 0});
}

/* What row i must have in a column: false for NULL. */
static inline bool want_text(const struct rows *r, uint32_t i, int column, struct text *ret) {
    const struct event *ev = &r->ev[i];
    const struct bronze_source *src = &r->src[i];
    *ret = (struct text){0};
    switch (column) {
    case COL_PROTOCOL:
        *ret = (struct text){src->protocol, (uint32_t)strlen(src->protocol)};
        break;
    case COL_SOURCE_TOPIC:
        *ret = (struct text){src->topic, (uint32_t)strlen(src->topic)};
        break;
    case COL_RAW:
        if (ev->reject || src->keep_raw)
            *ret = (struct text){src->raw, (uint32_t)src->raw_len};
        break;
    case COL_REJECT_REASON:
        if (ev->reject)
            *ret =
                (struct text){reject_name(ev->reject), (uint32_t)strlen(reject_name(ev->reject))};
        break;
    case COL_REJECT_DETAIL:
        *ret = ev->reject ? ev->detail : *ret;
        break;
    case COL_CATEGORY:
        *ret = ev->category;
        break;
    case COL_EVENT_KEY:
        *ret = ev->event_key;
        break;
    case COL_EVENT_ID:
        *ret = ev->event_id;
        break;
    case COL_EVENT_TYPE:
        *ret = ev->event_type;
        break;
    case COL_USER_ID:
        *ret = ev->user_id;
        break;
    case COL_SESSION_ID:
        *ret = ev->session_id;
        break;
    case COL_SKU:
        *ret = ev->sku;
        break;
    case COL_CURRENCY:
        *ret = ev->currency;
        break;
    case COL_ORDER_ID:
        *ret = ev->order_id;
        break;
    case COL_PAGE_URL:
        *ret = ev->page_url;
        break;
    case COL_REFERRER:
        *ret = ev->referrer;
        break;
    case COL_USER_AGENT:
        *ret = ev->user_agent;
        break;
    case COL_EXTRA:
        *ret = ev->extra;
        break;
    default:
        fail_msg("no text column: %d", column);
    }
    if (ev->reject && column < COL_PROTOCOL)
        *ret = (struct text){0};
    return ret->p != NULL;
}

static inline bool want_number(const struct rows *r, uint32_t i, int column, int64_t *ret) {
    const struct event *ev = &r->ev[i];
    const struct bronze_source *src = &r->src[i];
    switch (column) {
    case COL_PRODUCT_ID:
        *ret = ev->product_id;
        return !ev->reject && ev->has_product_id;
    case COL_PRICE:
        memcpy(ret, &ev->price, 8);
        return !ev->reject && ev->has_price;
    case COL_EVENT_TS:
        *ret = ev->event_ts;
        return !ev->reject;
    case COL_QUANTITY:
        *ret = ev->quantity;
        return !ev->reject && ev->has_quantity;
    case COL_RECEIVED_AT:
        *ret = src->received_us;
        return true;
    case COL_SOURCE_PARTITION:
        *ret = src->partition;
        return true;
    case COL_SOURCE_OFFSET:
        *ret = src->offset;
        return true;
    case COL_SOURCE_INDEX:
        *ret = src->index;
        return true;
    default:
        fail_msg("no number column: %d", column);
    }
    return false;
}

/* Bronze's columns as the encoder sees them. */
static inline const struct column_form *form_of(int column) {
    static struct columns *columns;
    if (!columns)
        columns = columns_new(&bronze_events);
    return &columns->v[column];
}

static inline struct found read_bronze(const struct encoded *en, enum bronze_column column) {
    return read_column(en, column, form_of((int)column)->type);
}

static inline void check_column(const struct rows *r, const struct encoded *en, int column) {
    struct found f = read_bronze(en, (enum bronze_column)column);
    uint32_t v = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        struct text t = {0};
        int64_t n = 0;
        bool is_text = form_of(column)->type == PARQUET_BYTES;
        bool there = is_text ? want_text(r, i, column, &t) : want_number(r, i, column, &n);
        if (there != f.present[i])
            fail_msg("%s: row %u is %sNULL", form_of(column)->name, i, there ? "" : "not ");
        if (!there)
            continue;
        if (is_text ? t.len != f.texts[v].len || memcmp(t.p, f.texts[v].p, t.len) != 0
                    : n != f.numbers[v])
            fail_msg("%s: row %u has another value", form_of(column)->name, i);
        v++;
    }
    assert_int_equal(v, f.values);
    found_release(&f);
}

static inline void check_all(const struct rows *r, const struct encoded *en) {
    assert_int_equal(encoded_rows(en), r->n);
    for (int c = 0; c < BRONZE_COLUMNS; c++)
        check_column(r, en, c);
}

/* Encodes the rows and checks them; the caller frees the result. */
static inline struct encoded *encode_checked(struct bronze_group *g, const struct rows *r) {
    bronze_group_add_many(g, r->ev, r->src, r->n);
    assert_int_equal(bronze_group_rows(g), r->n);
    struct encoded *en = bronze_encode(g);
    assert_int_equal(bronze_group_rows(g), 0);
    assert_int_equal(bronze_group_bytes(g), 0);
    check_all(r, en);
    return en;
}

static inline void check_rows(const struct rows *r) {
    struct bronze_group *g = group_new();
    encoded_free(encode_checked(g, r));
    bronze_group_free(g);
}

#endif
