/* SPDX-License-Identifier: Apache-2.0 */
#include "event/field.h"

static const char *const NAMES[FIELD_COUNT] = {
    [FIELD_EVENT_TS] = "event_ts",     [FIELD_PRODUCT_ID] = "product_id",
    [FIELD_CATEGORY] = "category",     [FIELD_PRICE] = "price",
    [FIELD_QUANTITY] = "quantity",     [FIELD_EVENT_ID] = "event_id",
    [FIELD_EVENT_TYPE] = "event_type", [FIELD_USER_ID] = "user_id",
    [FIELD_SESSION_ID] = "session_id", [FIELD_CURRENCY] = "currency",
    [FIELD_ORDER_ID] = "order_id",     [FIELD_PAGE_URL] = "page_url",
    [FIELD_REFERRER] = "referrer",     [FIELD_USER_AGENT] = "user_agent",
};

const char *field_name(enum field_id id) {
    return NAMES[id];
}

/* The one field a name of 8 bytes can be. */
static enum field_id candidate_of_8(const char *name) {
    switch (name[2]) {
    case 'e':
        return name[7] == 's' ? FIELD_EVENT_TS : FIELD_EVENT_ID;
    case 't':
        return FIELD_CATEGORY;
    case 'a':
        return FIELD_QUANTITY;
    case 'r':
        return FIELD_CURRENCY;
    case 'd':
        return FIELD_ORDER_ID;
    case 'g':
        return FIELD_PAGE_URL;
    case 'f':
        return FIELD_REFERRER;
    default:
        return FIELD_COUNT;
    }
}

static enum field_id candidate_of_10(const char *name) {
    switch (name[0]) {
    case 'p':
        return FIELD_PRODUCT_ID;
    case 'e':
        return FIELD_EVENT_TYPE;
    case 's':
        return FIELD_SESSION_ID;
    case 'u':
        return FIELD_USER_AGENT;
    default:
        return FIELD_COUNT;
    }
}

static inline enum field_id if_same(enum field_id id, const char *name, size_t len) {
    return id != FIELD_COUNT && memcmp(name, NAMES[id], len) == 0 ? id : FIELD_COUNT;
}

/* With the length a constant each time, memcmp() is a machine instruction or two. */
enum field_id field_by_name(const char *name, size_t len) {
    switch (len) {
    case 5:
        return if_same(FIELD_PRICE, name, 5);
    case 7:
        return if_same(FIELD_USER_ID, name, 7);
    case 8:
        return if_same(candidate_of_8(name), name, 8);
    case 10:
        return if_same(candidate_of_10(name), name, 10);
    default:
        return FIELD_COUNT;
    }
}

static bool is_blank(struct text t) {
    for (uint32_t i = 0; i < t.len; i++)
        if (!json_is_blank(t.p[i]))
            return false;
    return true;
}

enum field_kind field_look(struct slots *s, enum field_id id) {
    struct field *f = &s->fields[id];
    if (!field_is_seen(s, id))
        return FIELD_ABSENT;
    if (f->kind != FIELD_UNSEEN)
        return (enum field_kind)f->kind;
    f->text = (struct text){f->raw.p, f->raw.len};
    switch (f->raw.type) {
    case JSON_NULL:
        f->kind = FIELD_ABSENT;
        break;
    case JSON_STRING:
        if (f->raw.escaped) {
            char *p = arena_alloc(s->arena, f->raw.len);
            f->text = (struct text){p, (uint32_t)json_unescape(f->raw.p, f->raw.len, p)};
        }
        f->kind = is_blank(f->text) ? FIELD_ABSENT : FIELD_TEXT;
        break;
    case JSON_NUMBER:
        f->kind = FIELD_NUMBER;
        break;
    default:
        f->kind = FIELD_OTHER;
        break;
    }
    return (enum field_kind)f->kind;
}
