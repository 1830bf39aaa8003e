/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consumer, in two files. kafka_group.c says what is read: subscription, rebalances, positions,
 * losses. kafka_consume.c reads it: librdkafka's queue → held → the caller's span.
 *
 * librdkafka waits for our answer to a rebalance (rdkafka.h, rd_kafka_conf_set_rebalance_cb), and
 * its callback may come in the middle of a batch. So the callback only notes a `change`; polls hand
 * changes out one by one, and the answer follows when the caller has spoken: to an assignment by
 * stream_assign, to a revocation by the next call, whichever it is.
 */
#ifndef CM_STREAM_KAFKA_CONSUME_H
#define CM_STREAM_KAFKA_CONSUME_H

#include "stream/kafka_private.h"

/* A rebalance or a loss that waits to be handed out. */
struct change {
    enum poll_kind kind; /* POLL_ASSIGN, POLL_REVOKE, POLL_LOSS */
    rd_kafka_topic_partition_list_t *list;
    bool lost;
    struct loss loss;
    struct change *next;
};

struct part {
    bool assigned;
    int64_t next; /* the offset to be handed out next, or beyond; -1: the first there is */
};

struct kafka_consumer {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;  /* librdkafka → us: records, ends of partitions, rebalances */
    rd_kafka_queue_t *checks; /* librdkafka → us: what the topic is */
    bool asked;               /* an answer to a check is on its way */
    int64_t ask_again_ns;     /* when the next check is due */
    bool subscribing;         /* the caller wants a group; from the moment the topic exists: */
    atomic_bool subscribed;
    bool missing_told, time_told; /* warned once */
    struct part *parts;           /* by number */
    int32_t n_parts;
    struct change *changes, **changes_end;
    struct change *offered; /* POLL_ASSIGN handed out, not answered yet */
    struct change *revoked; /* POLL_REVOKE handed out, not answered yet */
    int32_t *partitions;    /* poll_result's */
    struct position *reached;
    size_t n_reached, cap_reached;
    rd_kafka_message_t **held; /* taken from the queue, not handed out: [at, n) */
    size_t held_at, held_n;
    struct err failed; /* reading cannot go on; until something is assigned anew */
};

/* kafka_group.c */

/* Looks after everything but records; an error if reading cannot go on. */
int group_serve(struct kafka *k, struct err *e);
/* The next change, if there is one: fills *ret and returns true. */
bool group_change(struct kafka_consumer *c, struct poll_result *ret);
/* The record at `offset` is out of range. 0: reading goes on behind the loss. */
int group_out_of_range(struct kafka *k, int32_t partition, const char *why, struct err *e);
struct part *part_of(struct kafka_consumer *c, int32_t partition); /* NULL: not assigned */

/* kafka_consume.c */

/* What is held of partitions that are not assigned, or all of it, is forgotten. */
void held_drop(struct kafka_consumer *c, bool all);

#endif
