/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the decoder's tests: a table row says what one member is and what must come of it, as text:
 * the value of a column, "NULL", or "<reason>: <detail>".
 */
#ifndef CM_TEST_EVENT_TEST_H
#define CM_TEST_EVENT_TEST_H

#include "event/event.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* 2026-02-17T01:00:00Z: a day after the contract's example. */
#define RECEIVED_US INT64_C(1771290000000000)

#define PLAIN_REST "\"category\":\"c\",\"price\":5,\"event_ts\":1771286400"
#define PLAIN "{\"product_id\":1," PLAIN_REST "}"

struct row {
    const char *value;  /* the member's JSON text; NULL: leave the member out */
    const char *expect; /* what the column holds, or the reject */
};

/* Longer than any text a limit lets through. */
enum { SHOWN_MAX = 8192 };

static inline void show_text(struct text t, char *out) {
    snprintf(out, SHOWN_MAX, "%.*s", t.p ? (int)t.len : 4, t.p ? t.p : "NULL");
}

/* The column `name` of a decoded event, as text. */
static inline void show_column(const struct event *ev, const char *name, char *out) {
    const struct {
        const char *name;
        struct text t;
    } texts[] = {
        {"category", ev->category}, {"event_key", ev->event_key},
        {"event_id", ev->event_id}, {"event_type", ev->event_type},
        {"user_id", ev->user_id},   {"session_id", ev->session_id},
        {"sku", ev->sku},           {"currency", ev->currency},
        {"order_id", ev->order_id}, {"page_url", ev->page_url},
        {"referrer", ev->referrer}, {"user_agent", ev->user_agent},
    };
    snprintf(out, SHOWN_MAX, "NULL");
    if (strcmp(name, "event_ts") == 0)
        snprintf(out, SHOWN_MAX, "%lld = %lld us", (long long)ev->event_ts,
                 (long long)ev->event_us);
    else if (strcmp(name, "product_id") == 0 && ev->has_product_id)
        snprintf(out, SHOWN_MAX, "%d", ev->product_id);
    else if (strcmp(name, "product_id") == 0 && ev->sku.p)
        snprintf(out, SHOWN_MAX, "sku %.*s", (int)ev->sku.len, ev->sku.p);
    else if (strcmp(name, "price") == 0 && ev->has_price)
        snprintf(out, SHOWN_MAX, "%.17g", ev->price);
    else if (strcmp(name, "quantity") == 0 && ev->has_quantity)
        snprintf(out, SHOWN_MAX, "%d", ev->quantity);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (strcmp(name, texts[i].name) == 0)
            show_text(texts[i].t, out);
    if (strcmp(name, "extra") == 0)
        show_text(ev->extra, out);
}

/* Decodes a record from a block of exactly its size, so that a sanitizer sees a read beyond it. */
static inline void decode_and_show(const char *rec, size_t len, int64_t received_us,
                                   const char *column, char *out) {
    struct event_decoder *d = event_decoder_new();
    char *exact = xmalloc(len);
    memcpy(exact, rec, len);
    struct event ev;
    event_decode(d, exact, len, received_us, &ev);
    if (ev.reject != REJECT_NONE)
        snprintf(out, SHOWN_MAX, "%s: %.*s", reject_name(ev.reject), (int)ev.detail.len,
                 ev.detail.p);
    else
        show_column(&ev, column, out);
    free(exact);
    event_decoder_free(d);
}

/* Checks each row against a plain event in which `name` is the row's value. others: `,"a":1`… or "". */
static inline void check_rows(const char *name, const char *others, const struct row *rows,
                              size_t n) {
    static const char *const plain[][2] = {
        {"product_id", "1"}, {"category", "\"c\""}, {"price", "5"}, {"event_ts", "1771286400"}};
    char shown[SHOWN_MAX];
    for (size_t i = 0; i < n; i++) {
        struct buf rec = BUF_INIT(1 << 22);
        buf_add_str(&rec, "{\"x\":null");
        for (size_t k = 0; k < ARRAY_LEN(plain); k++)
            if (strcmp(name, plain[k][0]) != 0)
                buf_addf(&rec, ",\"%s\":%s", plain[k][0], plain[k][1]);
        if (rows[i].value)
            buf_addf(&rec, ",\"%s\":%s", name, rows[i].value);
        buf_addf(&rec, "%s}", others);
        decode_and_show(rec.data, rec.len, RECEIVED_US, name, shown);
        if (strcmp(shown, rows[i].expect) != 0)
            fail_msg("%s\n  gives    %s\n  expected %s", rec.data, shown, rows[i].expect);
        buf_release(&rec);
    }
}
#define CHECK_ROWS(name, others, ...)                                                              \
    do {                                                                                           \
        const struct row rows_[] = {__VA_ARGS__};                                                  \
        check_rows(name, others, rows_, ARRAY_LEN(rows_));                                         \
    } while (0)

/* Checks one whole record. */
static inline void check_record(const char *rec, size_t len, const char *column,
                                const char *expect) {
    char shown[SHOWN_MAX];
    decode_and_show(rec, len, RECEIVED_US, column, shown);
    if (strcmp(shown, expect) != 0)
        fail_msg("%.*s\n  gives    %s\n  expected %s", (int)MIN(len, 2000), rec, shown, expect);
}

/* n times s, in memory the caller frees. */
static inline char *repeat(const char *s, size_t n) {
    size_t len = strlen(s);
    char *p = xmalloc(len * n + 1);
    for (size_t i = 0; i < n; i++)
        memcpy(p + i * len, s, len);
    p[len * n] = '\0';
    return p;
}

/* `before` + n times `s` + `after`, in memory the caller frees. */
static inline char *around(const char *before, const char *s, size_t n, const char *after) {
    _cleanup_(freep) char *middle = repeat(s, n);
    return xasprintf("%s%s%s", before, middle, after);
}

#endif
