/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Malformed records, one recipe for each way in which a record can break the data contract
 * (DESIGN section 4): what `produce --bad` sends, so that rejects can be seen and counted.
 */
#ifndef CM_FLOW_SPOIL_H
#define CM_FLOW_SPOIL_H

#include "base/mem.h"
#include "event/event.h"
#include "flow/catalog.h"

/* How many recipes there are, and the reason why recipe i is rejected. */
size_t spoil_count(void);
enum reject spoil_reason(size_t recipe);

/* Writes recipe `recipe`, made of product p at event_ts ts, into b (emptied first). */
void spoil(size_t recipe, const struct product *p, int64_t ts, struct buf *b);
/* The recipe that makes a whole MiB: to be used sparingly. */
bool spoil_is_huge(size_t recipe);

#endif
