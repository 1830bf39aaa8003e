/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder under libFuzzer. Any bytes are a record; besides "no crash" it checks what must hold of
 * whatever comes out. The record lies in a block of exactly its size.
 */
#include "base/limits.h"
#include "event/bytes.h"
#include "event/event.h"

#include <assert.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECEIVED_US INT64_C(1771290000000000)

static void check_text(struct text t, size_t limit, bool may_be_blank) {
    if (!t.p)
        return;
    assert(t.len <= limit && (may_be_blank || t.len > 0));
    assert(utf8_scan_portable(t.p, t.p + t.len) == t.p + t.len);
    assert(!memchr(t.p, '\0', t.len));
}

static void check_reject(const struct event *ev) {
    assert(reject_name(ev->reject));
    assert(ev->detail.p && ev->detail.len > 0);
    check_text(ev->detail, LIMIT_REJECT_DETAIL, false);
    assert(!ev->event_key.p && !ev->extra.p && !ev->has_price);
}

static void check_event(const struct event *ev) {
    const struct text ids[] = {ev->category, ev->event_id,   ev->event_type, ev->user_id,
                               ev->sku,      ev->session_id, ev->currency,   ev->order_id};
    const struct text texts[] = {ev->page_url, ev->referrer, ev->user_agent};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        check_text(ids[i], LIMIT_ID, false);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        check_text(texts[i], LIMIT_TEXT, false);
    check_text(ev->extra, LIMIT_RECORD, false);
    check_text(ev->event_key, LIMIT_ID, false);
    assert(ev->event_key.p && (ev->event_id.p || ev->event_key.len == EVENT_KEY_HEX));
    assert(!ev->extra.p ||
           (ev->extra.p[0] == '{' && ev->extra.p[ev->extra.len - 1] == '}' && ev->extra.len > 2));
    assert(!(ev->has_product_id && ev->sku.p));
    if (ev->has_price)
        assert(ev->price >= 0 && ev->price <= LIMIT_PRICE && !signbit(ev->price));
    if (ev->has_quantity)
        assert(ev->quantity >= 0 && ev->quantity <= LIMIT_QUANTITY);
    assert(ev->event_us >= INT64_C(946684800000000) &&
           ev->event_us <= RECEIVED_US + LIMIT_FUTURE_US);
}

static bool same_text(struct text a, struct text b) {
    return a.len == b.len && !a.p == !b.p && (!a.p || memcmp(a.p, b.p, a.len) == 0);
}

/* extra is one spelling: decoded again, as an event's only other members, it comes out as it is. */
static void check_extra(struct event_decoder *d, struct text extra) {
    static const char start[] = "{\"event_type\":\"v\",\"event_ts\":1771286400,";
    struct buf rec = BUF_INIT(2 * LIMIT_RECORD);
    buf_add(&rec, start, sizeof start - 1);
    buf_add(&rec, extra.p + 1, extra.len - 1);
    struct event ev;
    event_decode(d, rec.data, rec.len, RECEIVED_US, &ev);
    assert(rec.len > LIMIT_RECORD || (ev.reject == REJECT_NONE && same_text(ev.extra, extra)));
    buf_release(&rec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct event_decoder *d;
    if (!d)
        d = event_decoder_new();
    char *rec = xmalloc(size);
    if (size > 0)
        memcpy(rec, data, size);
    struct event a, b;
    event_decode(d, rec, size, RECEIVED_US, &a);
    event_decode(d, rec, size, RECEIVED_US, &b);
    assert(a.reject == b.reject && a.event_us == b.event_us && same_text(a.detail, b.detail));
    assert(same_text(a.event_key, b.event_key) && same_text(a.extra, b.extra));
    if (a.reject != REJECT_NONE)
        check_reject(&a);
    else
        check_event(&a);
    if (a.extra.p)
        check_extra(d, a.extra);
    event_decoder_reset(d);
    free(rec);
    return 0;
}
