/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A storage that is looked at: wraps any storage, passes every call on, times it and counts what
 * fails. "Not there" and "there already" are answers, no failures.
 *
 * A struct storage_watch outlives the storage it wraps.
 */
#ifndef CM_SERVE_WATCH_STORAGE_H
#define CM_SERVE_WATCH_STORAGE_H

#include "serve/health.h"
#include "serve/meters.h"
#include "storage/storage.h"

struct storage_watch;

/*
 * health: ready from the start, not ready while a kind of call fails. working: gets a sign of life
 * before and after each call, so that long work is told from stuck work; may be NULL.
 */
struct storage_watch *storage_watch_new(struct metrics *m, struct health_part *health,
                                        struct health_part *working);
void storage_watch_free(struct storage_watch *w);

/* Takes the storage over; freeing the result frees it. */
struct storage *storage_watch_wrap(struct storage_watch *w, struct storage *inner);

/* A commit was made with this storage: since the first file published for it, in seconds; what failed before it is past. */
double storage_watch_committed(struct storage_watch *w);

#endif
