/* SPDX-License-Identifier: Apache-2.0 */
/* The broker in memory: stream_mem.c is the driver, stream_mem_group.c topics and groups. */
#ifndef CM_FAKE_STREAM_MEM_PRIVATE_H
#define CM_FAKE_STREAM_MEM_PRIVATE_H

#include <pthread.h>

#include "base/util.h"
#include "fake/stream_mem.h"

enum { MEM_PARTITIONS = 64 }; /* of one topic, at most */

struct mem_record {
    int64_t timestamp_us;
    char *key, *value; /* NULL: none */
    size_t key_len, value_len;
    bool hole;
};

struct mem_partition {
    struct mem_record *v; /* by offset, from 0 */
    size_t n, cap;
    int64_t begin;
};

struct mem_topic {
    struct mem_topic *next;
    char *name;
    char id[UUID_TEXT];
    struct mem_partition partitions[MEM_PARTITIONS];
    int32_t n;
};

struct mem_mark {
    struct mem_mark *next;
    char *app, *topic;
    int64_t offset[MEM_PARTITIONS]; /* +1; 0: none */
};

struct mem_cluster {
    pthread_mutex_t lock; /* guards all below, and the members */
    char id[UUID_TEXT];
    struct mem_topic *topics;
    struct mem_mark *marks;
    size_t fail_next, fail_polls, fail_confirms;
    int64_t time_us;
    struct retention retention;
    size_t peeks, read, losses;
    size_t bounds_left; /* then forget this; 0: nothing */
    struct bounds forget_then;
    enum mem_group how;
    unsigned turn;
    struct mem *members; /* that have subscribed */
};

struct mem_sent {
    struct ack ack;
    bool failed;
};

struct mem {
    struct stream s;
    struct mem_cluster *mc;
    struct stream_options o;
    char *app;
    /* consumer */
    struct mem *next; /* member */
    bool subscribed, has_thread, killed, offered;
    pthread_t thread;
    char topic_told[UUID_TEXT];   /* the topic whose partitions were given */
    bool want[MEM_PARTITIONS];    /* by the broker's plan */
    bool told[MEM_PARTITIONS];    /* given by POLL_ASSIGN, not taken by POLL_REVOKE */
    bool lost[MEM_PARTITIONS];    /* told, and lost: not said yet */
    bool leaving[MEM_PARTITIONS]; /* POLL_REVOKE was said; free with the next call */
    int32_t offer[MEM_PARTITIONS];
    struct position at[MEM_PARTITIONS], reached[MEM_PARTITIONS];
    size_t n_at, turn;
    int64_t rebalances;
    /* producer */
    int32_t sticky;
    struct mem_sent *queue; /* sent, not acknowledged */
    size_t n_queue, cap_queue;
};

/* All with the lock held. */
struct mem_topic *mem_find_topic(struct mem_cluster *mc, const char *name); /* NULL: none */
struct mem_topic *mem_make_topic(struct mem_cluster *mc, const char *name, int32_t partitions);
struct mem_record *mem_add_record(struct mem_partition *p);
void mem_join(struct mem *m);
void mem_leave(struct mem *m);
/* What was taken from the member is free now. */
void mem_let_go(struct mem *m);
/* The next assignment or revocation of the member, if there is one. */
bool mem_group_event(struct mem *m, struct poll_result *ret);
void mem_mark(struct mem *m, const struct position *p, size_t n);

#endif
