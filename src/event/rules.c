/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of DESIGN section 4's table from `event_ts` on, in their order: each function is one row.
 * Within a row: is it there, is it of the right type, is it within its limits.
 */
#include "base/limits.h"
#include "event/field.h"
#include "event/number.h"

#define US_PER_S INT64_C(1000000)

/* 2000-01-01T00:00:00Z. */
static const int64_t EARLIEST_US = INT64_C(946684800) * US_PER_S;

static enum reject reject_found(struct slots *s, enum reject why, enum field_id id) {
    s->detail = detail_found(s->arena, id, field_is_seen(s, id) ? &s->fields[id].raw : NULL);
    return why;
}

static enum reject reject_size(struct slots *s, enum field_id id, size_t len, size_t limit) {
    s->detail = detail_format(s->arena, "%s: %zu bytes, at most %zu", field_name(id), len, limit);
    return REJECT_TOO_LARGE;
}

/* An event without a type is one of the plain contract: product, category and price are a must there. */
static enum reject absent_in_plain(struct slots *s, enum field_id id) {
    if (field_look(s, FIELD_EVENT_TYPE) != FIELD_ABSENT)
        return REJECT_NONE;
    return reject_found(s, REJECT_MISSING_FIELD, id);
}

/* A JSON number, or a text that is exactly one. */
static bool parse_number(struct slots *s, enum field_id id, struct number *ret) {
    const struct field *f = &s->fields[id];
    if (f->kind == FIELD_OTHER)
        return false;
    if (f->kind == FIELD_TEXT && number_span(f->text.p, f->text.p + f->text.len) != f->text.len)
        return false;
    number_parse(f->text.p, f->text.len, ret);
    return true;
}

/* NUL and size. Only an escape brings a NUL into a text that has passed the scanner. */
static enum reject check_text(struct slots *s, enum field_id id, struct text t, size_t limit) {
    if (s->fields[id].raw.escaped && memchr(t.p, '\0', t.len))
        return reject_found(s, REJECT_OUT_OF_RANGE, id);
    if (t.len > limit)
        return reject_size(s, id, t.len, limit);
    return REJECT_NONE;
}

/*
 * A member whose column is a text: a text as it is, a number by its JSON text, if a double can hold
 * it. Sets ret to what was sent or leaves it absent.
 */
static enum reject text_of(struct slots *s, enum field_id id, struct text *ret) {
    struct field *f = &s->fields[id];
    switch (field_look(s, id)) {
    case FIELD_TEXT:
        break;
    case FIELD_NUMBER: {
        struct number n;
        number_parse(f->text.p, f->text.len, &n);
        if (!number_is_finite(&n))
            return reject_found(s, REJECT_OUT_OF_RANGE, id);
        break;
    }
    case FIELD_OTHER:
        return reject_found(s, REJECT_WRONG_TYPE, id);
    default:
        return REJECT_NONE;
    }
    *ret = f->text;
    return REJECT_NONE;
}

/* The unit shows in the size of the value: seconds up to 5138, the finer ones from 1973 on. */
static int64_t to_us(int64_t ts) {
    if (ts < 0)
        return INT64_MIN; /* before 2000 in any unit */
    if (ts < INT64_C(100000000000))
        return ts * US_PER_S;
    if (ts < INT64_C(100000000000000))
        return ts * 1000;
    return ts < INT64_C(100000000000000000) ? ts : ts / 1000;
}

static enum reject rule_event_ts(struct slots *s, struct event *ev) {
    struct number n;
    if (field_look(s, FIELD_EVENT_TS) == FIELD_ABSENT)
        return reject_found(s, REJECT_MISSING_FIELD, FIELD_EVENT_TS);
    if (!parse_number(s, FIELD_EVENT_TS, &n))
        return reject_found(s, REJECT_WRONG_TYPE, FIELD_EVENT_TS);
    enum number_kind kind = number_integer(&n, &ev->event_ts);
    if (kind == NUMBER_FRACTION)
        return reject_found(s, REJECT_WRONG_TYPE, FIELD_EVENT_TS);
    if (kind == NUMBER_BIG_INTEGER)
        return reject_found(s, REJECT_OUT_OF_RANGE, FIELD_EVENT_TS);
    int64_t latest;
    if (__builtin_add_overflow(s->received_us, (int64_t)LIMIT_FUTURE_US, &latest))
        latest = INT64_MAX;
    ev->event_us = to_us(ev->event_ts);
    if (ev->event_us < EARLIEST_US || ev->event_us > latest)
        return reject_found(s, REJECT_OUT_OF_RANGE, FIELD_EVENT_TS);
    return REJECT_NONE;
}

/* An integer that is no 32-bit one: its plain digits are the id. */
static enum reject sku_of_integer(struct slots *s, const struct number *n, struct event *ev) {
    char *p = arena_alloc(s->arena, LIMIT_ID);
    size_t len = number_plain_integer(n, p, LIMIT_ID);
    if (len > LIMIT_ID)
        return reject_size(s, FIELD_PRODUCT_ID, len, LIMIT_ID);
    ev->sku = (struct text){p, (uint32_t)len};
    return REJECT_NONE;
}

/*
 * A text that is no number, or one with a fraction, is an id as it stands. A text that is an integer
 * is treated like the integer, so "42", 42 and 42.0 are one product.
 */
static enum reject rule_product_id(struct slots *s, struct event *ev) {
    struct field *f = &s->fields[FIELD_PRODUCT_ID];
    enum field_kind kind = field_look(s, FIELD_PRODUCT_ID);
    if (kind == FIELD_ABSENT)
        return absent_in_plain(s, FIELD_PRODUCT_ID);
    if (kind == FIELD_OTHER)
        return reject_found(s, REJECT_WRONG_TYPE, FIELD_PRODUCT_ID);
    struct number n;
    int64_t v = 0;
    bool is_number = parse_number(s, FIELD_PRODUCT_ID, &n);
    enum number_kind integer = is_number ? number_integer(&n, &v) : NUMBER_FRACTION;
    if (integer == NUMBER_FRACTION && kind == FIELD_NUMBER)
        return reject_found(s, REJECT_WRONG_TYPE, FIELD_PRODUCT_ID);
    if (integer == NUMBER_FRACTION) {
        ev->sku = f->text;
        return check_text(s, FIELD_PRODUCT_ID, f->text, LIMIT_ID);
    }
    if (!number_is_finite(&n))
        return reject_found(s, REJECT_OUT_OF_RANGE, FIELD_PRODUCT_ID);
    if (integer == NUMBER_BIG_INTEGER || v < INT32_MIN || v > INT32_MAX)
        return sku_of_integer(s, &n, ev);
    ev->has_product_id = true;
    ev->product_id = (int32_t)v;
    return REJECT_NONE;
}

static struct text trim_blanks(struct text t) {
    while (t.len > 0 && json_is_blank(t.p[0])) {
        t.p++;
        t.len--;
    }
    while (t.len > 0 && json_is_blank(t.p[t.len - 1]))
        t.len--;
    return t;
}

static enum reject rule_category(struct slots *s, struct event *ev) {
    enum reject why = text_of(s, FIELD_CATEGORY, &ev->category);
    if (why != REJECT_NONE)
        return why;
    if (!ev->category.p)
        return absent_in_plain(s, FIELD_CATEGORY);
    ev->category = trim_blanks(ev->category);
    return check_text(s, FIELD_CATEGORY, ev->category, LIMIT_ID);
}

static enum reject rule_price(struct slots *s, struct event *ev) {
    struct number n;
    if (field_look(s, FIELD_PRICE) == FIELD_ABSENT)
        return absent_in_plain(s, FIELD_PRICE);
    if (!parse_number(s, FIELD_PRICE, &n))
        return reject_found(s, REJECT_WRONG_TYPE, FIELD_PRICE);
    double price = number_double(&n);
    if (!(price >= 0 && price <= LIMIT_PRICE))
        return reject_found(s, REJECT_OUT_OF_RANGE, FIELD_PRICE);
    ev->has_price = true;
    ev->price = price == 0 ? 0 : price; /* never -0 */
    return REJECT_NONE;
}

static enum reject rule_quantity(struct slots *s, struct event *ev) {
    struct number n;
    int64_t v = 0;
    if (field_look(s, FIELD_QUANTITY) == FIELD_ABSENT)
        return REJECT_NONE;
    if (!parse_number(s, FIELD_QUANTITY, &n))
        return reject_found(s, REJECT_WRONG_TYPE, FIELD_QUANTITY);
    enum number_kind kind = number_integer(&n, &v);
    if (kind == NUMBER_FRACTION)
        return reject_found(s, REJECT_WRONG_TYPE, FIELD_QUANTITY);
    if (kind == NUMBER_BIG_INTEGER || v < 0 || v > LIMIT_QUANTITY)
        return reject_found(s, REJECT_OUT_OF_RANGE, FIELD_QUANTITY);
    if (ev->has_price && ev->price * (double)v >= LIMIT_AMOUNT) {
        s->detail =
            detail_format(s->arena, "quantity: %lld at a price of %.17g", (long long)v, ev->price);
        return REJECT_OUT_OF_RANGE;
    }
    ev->has_quantity = true;
    ev->quantity = (int32_t)v;
    return REJECT_NONE;
}

/* In the order of the columns. */
static const struct {
    enum field_id id;
    uint32_t limit;
    size_t at; /* the struct text in struct event */
} TEXTS[] = {
    {FIELD_EVENT_ID, LIMIT_ID, offsetof(struct event, event_id)},
    {FIELD_EVENT_TYPE, LIMIT_ID, offsetof(struct event, event_type)},
    {FIELD_USER_ID, LIMIT_ID, offsetof(struct event, user_id)},
    {FIELD_SESSION_ID, LIMIT_ID, offsetof(struct event, session_id)},
    {FIELD_CURRENCY, LIMIT_ID, offsetof(struct event, currency)},
    {FIELD_ORDER_ID, LIMIT_ID, offsetof(struct event, order_id)},
    {FIELD_PAGE_URL, LIMIT_TEXT, offsetof(struct event, page_url)},
    {FIELD_REFERRER, LIMIT_TEXT, offsetof(struct event, referrer)},
    {FIELD_USER_AGENT, LIMIT_TEXT, offsetof(struct event, user_agent)},
};

/* Most texts can be taken as they are at a glance; whatever else there is to say is said by text_of(). */
static inline bool is_simple(const struct json_value *raw, size_t limit) {
    return raw->type == JSON_STRING && !raw->escaped && raw->len > 0 && raw->len <= limit &&
           !json_is_blank(*raw->p);
}

static enum reject rule_texts(struct slots *s, struct event *ev) {
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
        if (!field_is_seen(s, TEXTS[i].id))
            continue;
        struct text *t = (struct text *)(void *)((char *)ev + TEXTS[i].at);
        const struct json_value *raw = &s->fields[TEXTS[i].id].raw;
        if (is_simple(raw, TEXTS[i].limit)) {
            *t = (struct text){raw->p, raw->len};
            continue;
        }
        enum reject why = text_of(s, TEXTS[i].id, t);
        if (why == REJECT_NONE && t->p)
            why = check_text(s, TEXTS[i].id, *t, TEXTS[i].limit);
        if (why != REJECT_NONE)
            return why;
    }
    return REJECT_NONE;
}

enum reject rules_apply(struct slots *s, struct event *ev) {
    static enum reject (*const rules[])(struct slots *, struct event *) = {
        rule_event_ts, rule_product_id, rule_category, rule_price, rule_quantity, rule_texts,
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        enum reject why = rules[i](s, ev);
        if (why != REJECT_NONE)
            return why;
    }
    return REJECT_NONE;
}
