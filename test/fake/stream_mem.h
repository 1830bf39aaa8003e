/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream in memory: the smallest thing that keeps stream.h's contract. One struct mem_cluster
 * stands for the broker; any number of streams open on it see each other's records.
 */
#ifndef CM_FAKE_STREAM_MEM_H
#define CM_FAKE_STREAM_MEM_H

#include "stream/stream.h"

struct mem_cluster;
struct mem_cluster *mem_cluster_new(void);
void mem_cluster_free(struct mem_cluster *mc); /* after the streams on it */

int stream_mem_open(struct mem_cluster *mc, const struct stream_options *o, struct stream **ret,
                    struct err *e);

/* The next n records sent fail with ERR_STREAM in their acks. */
void mem_cluster_fail_next(struct mem_cluster *mc, size_t n);
/* The clock of append timestamps, microseconds; 0: the real one. Never goes backwards. */
void mem_cluster_set_time(struct mem_cluster *mc, int64_t us);

#endif
