/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event key of an event that brings no event_id. What goes into the digest is fixed for ever:
 * silver tells events apart by it, so a change here would make known events new ones.
 */
#include "base/sha256.h"
#include "event/event.h"

#include <endian.h>

/* Collects `name=value\n` lines; those of most events fit and are hashed in one go. */
struct key_text {
    struct sha256 hash;
    char buf[1024];
    size_t len;
};

/* Texts up to here go through the buffer. */
enum { SHORT_TEXT = 512 };

static void flush(struct key_text *k) {
    sha256_add(&k->hash, k->buf, k->len);
    k->len = 0;
}

/* Inlined wherever used: the length of `name` is a constant there, and copying it a move or two. */
#define INLINE static inline __attribute__((always_inline))

/* `name` with its equals sign; then room for n bytes, n <= SHORT_TEXT, and the end of the line. */
INLINE char *begin_line(struct key_text *k, const char *name, size_t n) {
    size_t name_len = strlen(name);
    if (name_len + n + 1 > sizeof k->buf - k->len)
        flush(k);
    char *w = k->buf + k->len;
    memcpy(w, name, name_len);
    return w + name_len;
}

INLINE void end_line(struct key_text *k, char *w) {
    *w++ = '\n';
    k->len = (size_t)(w - k->buf);
}

/* extra, which has no limit of its own, and the longest URLs. */
static void add_long_text(struct key_text *k, const char *name, struct text t) {
    flush(k);
    sha256_add(&k->hash, name, strlen(name));
    sha256_add(&k->hash, t.p, t.len);
    end_line(k, k->buf);
}

INLINE void add_text(struct key_text *k, const char *name, struct text t) {
    if (!t.p)
        return;
    if (t.len > SHORT_TEXT) {
        add_long_text(k, name, t);
        return;
    }
    char *w = begin_line(k, name, t.len);
    memcpy(w, t.p, t.len);
    end_line(k, w + t.len);
}

enum { INTEGER_MAX = 20 };

/* Two digits a step: "00" to "99", one after the other. */
static const char PAIRS[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

static char *write_integer(char *w, int64_t v) {
    char s[INTEGER_MAX], *end = s + sizeof s, *p = end;
    uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
    for (; u >= 10; u /= 100)
        memcpy(p -= 2, PAIRS + 2 * (u % 100), 2);
    if (u > 0 || p == end)
        *--p = (char)('0' + u);
    if (v < 0)
        *w++ = '-';
    return mempcpy(w, p, (size_t)(end - p));
}

INLINE void add_integer(struct key_text *k, const char *name, int64_t v) {
    end_line(k, write_integer(begin_line(k, name, INTEGER_MAX), v));
}

INLINE void add_price(struct key_text *k, double price) {
    char *w = begin_line(k, "price=", EVENT_DOUBLE_MAX);
    end_line(k, w + event_format_double(price, w, EVENT_DOUBLE_MAX));
}

/* Four bytes as eight hex digits, all at once in one machine word. */
INLINE void write_hex4(char *w, const unsigned char *bytes) {
    uint32_t four;
    memcpy(&four, bytes, sizeof four);
    uint64_t v = le32toh(four);
    v = (v | v << 16) & UINT64_C(0x0000ffff0000ffff);
    v = (v | v << 8) & UINT64_C(0x00ff00ff00ff00ff); /* each in 16 bits of its own */
    const uint64_t ones = UINT64_C(0x0101010101010101);
    v = (v >> 4 & UINT64_C(0x000f000f000f000f)) | (v << 8 & UINT64_C(0x0f000f000f000f00));
    uint64_t letters = (v + 6 * ones) >> 4 & ones; /* 1 where a digit is above 9 */
    v = htole64(v + '0' * ones + letters * ('a' - '9' - 1));
    memcpy(w, &v, sizeof v);
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
    flush(&k);

    unsigned char digest[SHA256_LEN];
    sha256_end(&k.hash, digest);
    for (size_t i = 0; i < EVENT_KEY_HEX / 2; i += 4)
        write_hex4(ret_hex + 2 * i, digest + i);
}
