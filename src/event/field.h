/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members of a record that have a column of their own, as found by the scanner: one slot a
 * member, which the last occurrence fills. rules.c turns the slots into an event.
 */
#ifndef CM_EVENT_FIELD_H
#define CM_EVENT_FIELD_H

#include "event/event.h"
#include "event/json_scan.h"

/* In the order of the rules (DESIGN section 4): the table's rows, then the texts by column. */
enum field_id {
    FIELD_EVENT_TS,
    FIELD_PRODUCT_ID,
    FIELD_CATEGORY,
    FIELD_PRICE,
    FIELD_QUANTITY,
    FIELD_EVENT_ID,
    FIELD_EVENT_TYPE,
    FIELD_USER_ID,
    FIELD_SESSION_ID,
    FIELD_CURRENCY,
    FIELD_ORDER_ID,
    FIELD_PAGE_URL,
    FIELD_REFERRER,
    FIELD_USER_AGENT,
    FIELD_COUNT,
};

/* The member's name in the stream value. */
const char *field_name(enum field_id id);

/* The field a member belongs to, FIELD_COUNT if it has none. name: escapes undone. */
enum field_id field_by_name(const char *name, size_t len);

/* What a slot holds once looked at. */
enum field_kind {
    FIELD_UNSEEN = 0, /* not looked at yet */
    FIELD_ABSENT,     /* no member, null, or a text without anything but blanks */
    FIELD_TEXT,
    FIELD_NUMBER,
    FIELD_OTHER, /* true, false, array, object */
};

struct field {
    struct json_value raw; /* as sent */
    uint8_t kind;          /* enum field_kind */
    struct text text;      /* FIELD_TEXT: escapes undone; FIELD_NUMBER: as sent */
};

/* One record on its way through the rules: all its fields, and what they are judged by. */
struct slots {
    struct field fields[FIELD_COUNT]; /* those in `seen` are set */
    uint32_t seen;                    /* a bit for each enum field_id */
    int64_t received_us;
    struct arena *arena;
    struct text detail; /* set with a reject */
};

/* Puts a member into its slot, in place of an earlier one of that name. */
static inline void field_set(struct slots *s, enum field_id id, const struct json_value *raw) {
    s->fields[id].raw = *raw;
    s->fields[id].kind = FIELD_UNSEEN;
    s->seen |= UINT32_C(1) << id;
}

static inline bool field_is_seen(const struct slots *s, enum field_id id) {
    return s->seen >> id & 1;
}

/* Looks at a slot (once); the text of an escaped string goes to the arena. */
enum field_kind field_look(struct slots *s, enum field_id id);

/*
 * Applies the rules of the fields and fills `ev`, apart from event_key and extra. Returns the first
 * rule broken, with s->detail set; `ev` is then of no use.
 */
enum reject rules_apply(struct slots *s, struct event *ev);

/*
 * Makes a reject's detail: the formatted text with control characters and invalid bytes written as
 * \xNN, cut to LIMIT_REJECT_DETAIL bytes between two characters.
 */
struct text detail_format(struct arena *a, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* "<field>: " and the member as it was sent; "missing" where raw is NULL. */
struct text detail_found(struct arena *a, enum field_id id, const struct json_value *raw);

#endif
