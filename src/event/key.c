/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event key of an event that brings no event_id. What goes into the digest is fixed for ever:
 * silver tells events apart by it, so a change here would make known events new ones.
 */
#include "base/sha256.h"
#include "event/event.h"

/* Collects `name=value\n` lines; most events fit and are hashed in one go. */
struct key_text {
    struct sha256 hash;
    size_t len;
    char buf[1024];
};

static void add(struct key_text *k, const char *p, size_t n) {
    if (n > sizeof k->buf - k->len) {
        sha256_add(&k->hash, k->buf, k->len);
        k->len = 0;
        if (n > sizeof k->buf) {
            sha256_add(&k->hash, p, n);
            return;
        }
    }
    memcpy(k->buf + k->len, p, n);
    k->len += n;
}

/* `name` with its equals sign. */
static inline void add_line(struct key_text *k, const char *name, const char *p, size_t n) {
    add(k, name, strlen(name));
    add(k, p, n);
    add(k, "\n", 1);
}

static inline void add_text(struct key_text *k, const char *name, struct text t) {
    if (t.p)
        add_line(k, name, t.p, t.len);
}

static void add_integer(struct key_text *k, const char *name, int64_t v) {
    char s[24], *end = s + sizeof s, *p = end;
    uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
    do
        *--p = (char)('0' + u % 10);
    while ((u /= 10) != 0);
    if (v < 0)
        *--p = '-';
    add_line(k, name, p, (size_t)(end - p));
}

static void add_price(struct key_text *k, double price) {
    char s[EVENT_DOUBLE_MAX];
    add_line(k, "price=", s, event_format_double(price, s, sizeof s));
}

void event_key_of(const struct event *ev, char ret_hex[EVENT_KEY_HEX]) {
    struct key_text k;
    sha256_begin(&k.hash);
    k.len = 0;
    if (ev->has_product_id)
        add_integer(&k, "product_id=", ev->product_id);
    add_text(&k, "sku=", ev->sku);
    add_text(&k, "category=", ev->category);
    if (ev->has_price)
        add_price(&k, ev->price);
    add_integer(&k, "event_ts=", ev->event_us);
    add_text(&k, "event_type=", ev->event_type);
    add_text(&k, "user_id=", ev->user_id);
    add_text(&k, "session_id=", ev->session_id);
    if (ev->has_quantity && ev->quantity != 1)
        add_integer(&k, "quantity=", ev->quantity);
    add_text(&k, "currency=", ev->currency);
    add_text(&k, "order_id=", ev->order_id);
    add_text(&k, "page_url=", ev->page_url);
    add_text(&k, "referrer=", ev->referrer);
    add_text(&k, "user_agent=", ev->user_agent);
    add_text(&k, "extra=", ev->extra);
    sha256_add(&k.hash, k.buf, k.len);

    static const char hex[] = "0123456789abcdef";
    unsigned char digest[SHA256_LEN];
    sha256_end(&k.hash, digest);
    for (size_t i = 0; i < EVENT_KEY_HEX; i++)
        ret_hex[i] = hex[digest[i / 2] >> (i % 2 ? 0 : 4) & 15];
}
