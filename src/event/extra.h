/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The column `extra`: the members no other column holds, as one JSON object in one spelling (DESIGN
 * section 4): no blanks between tokens, texts escaped only where JSON requires it, members and
 * numbers as sent, a repeated member (at any level) in its first place with its last value,
 * top-level nulls dropped. The input has passed the scanner; time is linear in it.
 */
#ifndef CM_EVENT_EXTRA_H
#define CM_EVENT_EXTRA_H

#include "event/event.h"
#include "event/json_scan.h"

/* One member, of the extra object itself or nested. In the order of their first bytes in `out`. */
struct extra_member {
    uint32_t start;       /* the comma before it */
    uint32_t name, value; /* where they begin; the name without its quote */
    uint32_t value_end;
    uint32_t after; /* the index behind the members nested in this one */
    uint32_t use;   /* whose value stands here: MEMBER_KEEP, MEMBER_DROP or an index */
};

struct extra {
    struct buf out; /* `,"a":1,"b":[2]`; the first comma becomes the brace */
    struct buf edited;
    struct extra_member *members;
    uint32_t n, cap;
    bool any_edit;
    uint32_t *table; /* for objects with many members: finds equal names */
    size_t table_cap;
    uint64_t
        seed; /* makes the table's order unguessable from outside; results do not depend on it */
};

void extra_init(struct extra *x);
void extra_release(struct extra *x);

/* Per record: begin, add each member in order, end. */
static inline void extra_begin(struct extra *x) {
    x->out.len = 0;
    x->n = 0;
    x->any_edit = false;
}
void extra_add(struct extra *x, const struct json_value *name, const struct json_value *value);
/* The finished object in the arena; absent if no member is left. */
struct text extra_end(struct extra *x, struct arena *a);

/* Gives back what an unusually large record made it keep. */
void extra_trim(struct extra *x);

#endif
