/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream that is looked at: wraps any stream, passes every call on, and notes what a scrape wants
 * to know of it. So the flow that uses the stream needs to know nothing of metrics.
 *
 * A struct stream_watch outlives the streams it wraps; it watches one at a time. The wrapped stream
 * is used by its one thread, the watch may be asked from any.
 */
#ifndef CM_SERVE_WATCH_STREAM_H
#define CM_SERVE_WATCH_STREAM_H

#include "serve/health.h"
#include "serve/meters.h"
#include "stream/stream.h"

struct stream_watch;

/*
 * consumer: ready once partitions are assigned and the last poll did not fail; a sign of life is
 * due all the time between subscribe and free. Else a producer: ready from the start until a record
 * is refused; a sign of life is due only while a call runs.
 */
struct stream_watch *stream_watch_new(struct metrics *m, struct health_part *health, bool consumer);
void stream_watch_free(struct stream_watch *w);

/* Takes the stream over; freeing the result frees it. */
struct stream *stream_watch_wrap(struct stream_watch *w, struct stream *inner);

/* Brings metrics and readiness up to now; before they are read. */
void stream_watch_collect(struct stream_watch *w);

#endif
