/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the process work (live), and is what it does coming through (ready)? Each part of it, such as
 * "stream" or "run", says so for itself; the whole is as good as its worst part.
 *
 * Live: no part has ended by an error, and none owes a sign of life for longer than stuck_after.
 * Ready: live, and every part's last try worked. A part is not ready before its first success.
 * Any thread may call anything here; nothing waits.
 */
#ifndef CM_SERVE_HEALTH_H
#define CM_SERVE_HEALTH_H

#include "base/mem.h"

struct health;
struct health_part;

struct health *health_new(int64_t stuck_after_ms);
void health_free(struct health *h);

/* name: a literal. why: what is said until the part is ready. */
struct health_part *health_add(struct health *h, const char *name, const char *why);

void health_alive(struct health_part *p); /* works; the next sign of life is due in stuck_after */
void health_rest(struct health_part *p);  /* waits for something; no sign of life is due */
void health_ready(struct health_part *p);
void health_not_ready(struct health_part *p, const char *why);
void health_dead(struct health_part *p, const char *why); /* ended by an error; stays so */

/* True, or the reasons, one line a part. */
bool health_is_live(struct health *h, struct buf *why);
bool health_is_ready(struct health *h, struct buf *why);

#endif
