/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes -> one event, or the reason why not. Pure: no I/O, no clock, no global state; fuzzed.
 * The rules are the table of DESIGN section 4, applied in its order: the first one broken is the
 * reason. Flow: stream record -> event_decode -> src/parquet (bronze columns).
 *
 * Ownership: the texts of a decoded event point into the record or into the decoder's arena; they
 * hold until the next event_decoder_reset() or until the record's bytes go away.
 */
#ifndef CM_EVENT_EVENT_H
#define CM_EVENT_EVENT_H

#include "base/mem.h"

/* A piece of text, not NUL-terminated. p == NULL: absent (NULL in the table). */
struct text {
    const char *p;
    uint32_t len;
};

/* The closed list of DESIGN section 4. */
enum reject {
    REJECT_NONE = 0,
    REJECT_TOO_LARGE,
    REJECT_INVALID_UTF8,
    REJECT_INVALID_JSON,
    REJECT_NOT_AN_OBJECT,
    REJECT_MISSING_FIELD,
    REJECT_WRONG_TYPE,
    REJECT_OUT_OF_RANGE,
    REJECT_UNKNOWN_PROTOCOL,
};

/* "too_large", …; NULL for REJECT_NONE. */
const char *reject_name(enum reject r);

enum {
    EVENT_KEY_HEX = 32,
    EVENT_DOUBLE_MAX =
        400, /* what event_format_double() may write: 0. and 323 zeros and 17 digits, or 309 digits */
};

struct event {
    bool has_product_id, has_price, has_quantity;
    int32_t product_id; /* 32-bit; otherwise the id is in sku */
    int32_t quantity;   /* 0 … LIMIT_QUANTITY; not set if absent */
    double price;       /* 0 … LIMIT_PRICE, never -0 */
    int64_t event_ts;   /* as sent, in the sender's unit */
    int64_t event_us;   /* the same instant, microseconds since 1970 UTC */
    struct text category, event_key, event_id, event_type, user_id, session_id, sku, currency,
        order_id, page_url, referrer, user_agent, extra; /* event_key is never absent */
    /* REJECT_NONE, or why the record is no event; then only reject and detail are set. */
    enum reject reject;
    struct text
        detail; /* names the field and what was found; valid UTF-8, no NUL, <= LIMIT_REJECT_DETAIL */
};

struct event_decoder;
struct event_decoder *event_decoder_new(void);
void event_decoder_free(struct event_decoder *d);
/* Frees the texts of all events decoded since the last reset (keeps the memory for reuse). */
void event_decoder_reset(struct event_decoder *d);

/*
 * Decodes one record of the native protocol. received_us: the record's timestamp, microseconds
 * since 1970 UTC. Never fails: a record that is no event comes back with ev->reject set.
 */
void event_decode(struct event_decoder *d, const char *rec, size_t len, int64_t received_us,
                  struct event *ev);

/*
 * The event key of an event without event_id: the first 128 bits, in lower-case hex, of SHA-256
 * over the present fields as `name=value\n` (DESIGN section 4). Used by event_decode; public for tests.
 */
void event_key_of(const struct event *ev, char ret_hex[EVENT_KEY_HEX]);

/*
 * The fewest digits that give the double back, no exponent, no ".0". d: finite, >= 0; cap: at least
 * EVENT_DOUBLE_MAX. Returns the length; no NUL is added.
 */
size_t event_format_double(double d, char *out, size_t cap);

#endif
