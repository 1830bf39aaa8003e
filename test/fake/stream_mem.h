/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream in memory: the smallest thing that keeps stream.h's contract. One struct mem_cluster
 * stands for the broker; any number of streams open on it see each other's records.
 *
 * With mem_cluster_group it deals like Kafka: the streams of one app that read one topic are a
 * group and share its partitions. It is strict: it asserts that all consumer calls on a stream come
 * from one thread, and that only what POLL_ASSIGN gave and POLL_REVOKE did not take is assigned.
 *
 * All functions on a cluster may be called from any thread.
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
/* The next n polls fail, with an error that can pass. */
void mem_cluster_fail_polls(struct mem_cluster *mc, size_t n);
/* The next n confirms fail, with an error that can pass. */
void mem_cluster_fail_confirms(struct mem_cluster *mc, size_t n);
/* The clock of append timestamps, microseconds; 0: the real one. Never goes backwards. */
void mem_cluster_set_time(struct mem_cluster *mc, int64_t us);

/* --- topics --- */

void mem_topic_create(struct mem_cluster *mc, const char *topic, int32_t partitions);
void mem_topic_delete(struct mem_cluster *mc, const char *topic);
void mem_topic_add_partitions(struct mem_cluster *mc, const char *topic, int32_t n);
/* Appends a record without key; value NULL: without value. */
void mem_topic_append(struct mem_cluster *mc, const char *topic, int32_t partition,
                      const char *value);
/* Appends n offsets that hold nothing: a transaction's marker, aborted or compacted records. */
void mem_topic_add_holes(struct mem_cluster *mc, const char *topic, int32_t partition, int64_t n);
/* Retention: offsets below `begin` are gone. */
void mem_topic_forget(struct mem_cluster *mc, const char *topic, int32_t partition, int64_t begin);
/* The stream lost its last records: offsets from `end` on are gone, and will be given to others. */
void mem_topic_cut(struct mem_cluster *mc, const char *topic, int32_t partition, int64_t end);
/* The nth stream_bounds from now on is answered, and then offsets below `begin` are gone. */
void mem_cluster_forget_after_bounds(struct mem_cluster *mc, size_t n, int32_t partition,
                                     int64_t begin);
/* What stream_retention says; unlimited at first. */
void mem_cluster_retention(struct mem_cluster *mc, const struct retention *how);
/* How many records stream_poll has handed out to all that read; one read again counts again. */
size_t mem_cluster_read(struct mem_cluster *mc);
/* How many records stream_peek was asked for. */
size_t mem_cluster_peeks(struct mem_cluster *mc);
/* What stream_committed said last of a group; -1: nothing. */
int64_t mem_topic_committed(struct mem_cluster *mc, const char *topic, const char *app,
                            int32_t partition);

/* --- the group --- */

enum mem_group {
    MEM_ALONE,       /* every stream reads all partitions (as at first) */
    MEM_EAGER,       /* a rebalance takes all partitions, then gives new ones */
    MEM_COOPERATIVE, /* it takes and gives only what changes hands */
};
void mem_cluster_group(struct mem_cluster *mc, enum mem_group how);
/* Shares the partitions out anew; another `turn`, other partitions. */
void mem_cluster_rebalance(struct mem_cluster *mc, unsigned turn);
/* Streams that have subscribed; below: by number, those that are not there are passed over. */
size_t mem_cluster_members(struct mem_cluster *mc);
/* Each member has been told which partitions are his. */
bool mem_cluster_settled(struct mem_cluster *mc);
/* How often a member has been told that partitions of his are lost. */
size_t mem_cluster_losses(struct mem_cluster *mc);
/* Its session has expired: others get its partitions now, it learns at its next poll that they are lost. */
void mem_member_expire(struct mem_cluster *mc, size_t member);
/* The same for one partition alone. */
void mem_member_lose(struct mem_cluster *mc, size_t member, int32_t partition);
/* Its next poll fails for good. */
void mem_member_kill(struct mem_cluster *mc, size_t member);

#endif
