/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeated members of extra: found when their object closes, taken out in one pass at the end.
 * In between the text in `out` stays as it is, so nesting costs nothing twice.
 */
#ifndef CM_EVENT_EXTRA_REPEAT_H
#define CM_EVENT_EXTRA_REPEAT_H

#include "event/extra.h"

enum {
    MEMBER_KEEP = UINT32_MAX,
    MEMBER_DROP = UINT32_MAX - 1,
};

/*
 * Marks the repeated members of the object whose members are members[first] and its siblings up to
 * the last member there is: the first is to take the last one's value, the others go.
 */
void extra_mark_repeats(struct extra *x, uint32_t first);

/* Copies `out` to `edited` with all marks carried out. */
void extra_apply_marks(struct extra *x);

#endif
