/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far bronze is behind the stream, by partition: in offsets, in seconds, and on the way to being
 * removed. The one definition of it, for status and /metrics alike.
 */
#ifndef CM_FLOW_LAG_H
#define CM_FLOW_LAG_H

#include "stream/stream.h"
#include "table/table.h"

struct lag {
    int32_t partition;
    int64_t begin, end; /* what the stream holds */
    int64_t
        position;    /* the next offset bronze will take; -1: the app has never read of the topic */
    int64_t offsets; /* in the stream and not in bronze */
    int64_t gone;    /* offsets the stream forgot before bronze had them */
    /* Age of the oldest record that is in the stream and not in bronze. 0: there is none; -1: unknown. */
    double seconds;
    /*
     * How near that record is to being removed, 0 to 1: its age as a share of the topic's retention by
     * time, or the bytes from it on as a share of retention by size, whichever is more. At 1 it may
     * go at any moment. 0: never; -1: unknown. The bytes are estimated from that record's size,
     * uncompressed: rather too many.
     */
    double retention_used;
};

/* What is remembered from one look to the next; all zero at first. */
struct lag_memory {
    struct retention retention;
    int64_t retention_ns; /* when it was asked; 0: never */
    struct peek *peeks;
    size_t n_peeks;
};
void lag_memory_release(struct lag_memory *m);

/* Refreshes the table. By partition number; the caller frees *ret. */
int lag_look(struct lag_memory *m, struct stream *s, const char *app, struct table *bronze,
             struct lag **ret, size_t *ret_n, struct err *e);

/* Over all partitions: the sum of the offsets, the largest of the rest, unknown if any is. */
struct lag lag_total(const struct lag *v, size_t n);

#endif
