/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The producer: idempotent, so that what librdkafka sends again is not written twice, and acks=all,
 * so that an acknowledged record is on every replica in sync. A record that is not acknowledged
 * within message.timeout.ms (stream.timeout) fails; whether it was written is then unknown.
 *
 * Memory is bounded by queue.buffering.max.*: when that is full, send waits.
 */
#include "base/clock.h"
#include "base/util.h"
#include "stream/drivers.h"
#include "stream/kafka_private.h"

enum { SERVE_EVERY = 64 }; /* sends between two looks at the acknowledgements */
#define STICKY_BYTES (64 * (size_t)1024)

struct kafka_producer {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    unsigned sends;
    struct err failed; /* the first since the last flush */
    int64_t acked_ns;  /* when the last acknowledgement came */
    /* Records without key: a partition gets STICKY_BYTES of them, then the next one. */
    int32_t sticky;
    size_t sticky_bytes;
    atomic_size_t sending; /* bytes of the record being sent; the partitioner is not told */
};

void kafka_producer_free(struct kafka *k) {
    if (!k->producer)
        return;
    rd_kafka_topic_destroy(k->producer->topic);
    free(k->producer);
    k->producer = NULL;
}

/* Called by librdkafka within send, or in its own thread, locked, once the partitions are known. */
int32_t produce_partition(const rd_kafka_topic_t *rkt, const void *key, size_t key_len,
                          int32_t partitions, void *rkt_opaque, void *msg_opaque ATTR_UNUSED) {
    struct kafka *k = rkt_opaque;
    if (key)
        return stream_partition_of(key, key_len, partitions);
    struct kafka_producer *p = k->producer;
    size_t bytes = atomic_load_explicit(&p->sending, memory_order_relaxed);
    p->sticky_bytes += bytes;
    if (p->sticky_bytes > STICKY_BYTES || p->sticky >= partitions) {
        p->sticky = (p->sticky + 1) % partitions;
        p->sticky_bytes = bytes;
    }
    for (int32_t i = 0; i < partitions; i++) {
        int32_t to = (p->sticky + i) % partitions;
        if (rd_kafka_topic_partition_available(rkt, to))
            return p->sticky = to;
    }
    return p->sticky;
}

void produce_delivered(rd_kafka_t *rk ATTR_UNUSED, const rd_kafka_message_t *m, void *opaque) {
    struct kafka *k = opaque;
    struct kafka_producer *p = k->producer;
    if (k->closing)
        return;
    struct err why;
    if (m->err) {
        kafka_failed(k, &why, m->err, NULL, "a record was not accepted");
        if (m->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            err_hint(&why, "the topic's max.message.bytes is smaller than the record");
        if (m->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT && k->reached)
            err_hint(&why, "are the brokers up, and are as many replicas in sync as the topic's "
                           "min.insync.replicas asks for?");
        if (p->failed.code == 0)
            p->failed = why;
    } else {
        kafka_went_well(k);
    }
    p->acked_ns = clock_mono_ns();
    if (!k->s.on_ack)
        return;
    rd_kafka_timestamp_type_t type;
    int64_t ms = rd_kafka_message_timestamp(m, &type);
    struct ack ack = {.partition = m->partition,
                      .offset = m->err ? -1 : m->offset,
                      .timestamp_us = ms > 0 ? ms * 1000 : 0,
                      .opaque = m->_private,
                      .error = m->err ? &why : NULL};
    k->s.on_ack(k->s.ack_arg, &ack);
}

static int open_producer(struct kafka *k, struct err *e) {
    rd_kafka_t *rk;
    int r = kafka_handle(k, KAFKA_PRODUCER, &rk, e);
    if (r == 0)
        r = kafka_create(k, e);
    if (r < 0)
        return r;
    struct kafka_producer *p = xcalloc(1, sizeof *p);
    p->rk = rk;
    p->acked_ns = clock_mono_ns();
    k->producer = p;
    p->topic = rd_kafka_topic_new(rk, k->s.topic, NULL);
    if (p->topic)
        return 0;
    free(p);
    k->producer = NULL;
    return kafka_failed(k, e, rd_kafka_last_error(), NULL, "cannot open the topic");
}

/* A producer that cannot go on (fenced, sequence lost) says so from now on. */
static int fatal(struct kafka *k, struct err *e) {
    char why[512] = "";
    rd_kafka_resp_err_t err = rd_kafka_fatal_error(k->producer->rk, why, sizeof why);
    return kafka_failed(k, e, err, why, "the producer cannot go on");
}

static int send_error(struct kafka *k, rd_kafka_resp_err_t err, size_t size, struct err *e) {
    if (err == RD_KAFKA_RESP_ERR__FATAL)
        return fatal(k, e);
    if (err != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return kafka_failed(k, e, err, NULL, "cannot send a record");
    kafka_error(k, e, "a record of %zu bytes is too large (at most %lld)", size,
                (long long)k->max_bytes);
    return err_hint(e, "kafka.message.max.bytes allows larger ones, if the topic's "
                       "max.message.bytes does");
}

/* Empties the queue a little; an error once nothing has been acknowledged for too long. */
static int wait_for_room(struct kafka *k, int64_t since_ns, const char *what, struct err *e) {
    struct kafka_producer *p = k->producer;
    rd_kafka_poll(p->rk, 50);
    int r = kafka_refused(k, e);
    if (r < 0)
        return r;
    if (rd_kafka_fatal_error(p->rk, NULL, 0))
        return fatal(k, e);
    if (clock_mono_ns() - MAX(since_ns, p->acked_ns) < k->timeout_ms * 1000000)
        return 0;
    return kafka_failed(k, e, RD_KAFKA_RESP_ERR__TIMED_OUT,
                        "nothing was acknowledged within stream.timeout", what);
}

int produce_send(struct stream *s, const void *key, size_t key_len, const void *value,
                 size_t value_len, void *opaque, struct err *e) {
    struct kafka *k = (struct kafka *)s;
    int r = k->producer ? 0 : open_producer(k, e);
    if (r < 0)
        return r;
    struct kafka_producer *p = k->producer;
    if (++p->sends % SERVE_EVERY == 0)
        rd_kafka_poll(p->rk, 0);
    atomic_store_explicit(&p->sending, key_len + value_len, memory_order_relaxed);
    int64_t since = 0;
    /* It takes the bytes as its own to change, and with F_COPY does not. */
    while (rd_kafka_produce(p->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                            (void *)(uintptr_t)value, value_len, key, key_len, opaque) < 0) {
        rd_kafka_resp_err_t err = rd_kafka_last_error();
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return send_error(k, err, key_len + value_len, e);
        since = since ? since : clock_mono_ns();
        r = wait_for_room(k, since, "the send queue is full", e);
        if (r < 0)
            return r;
        if (stop_requested() && clock_mono_ns() - since > 1000000000)
            return err_set(e, ERR_STOPPED, "stopped while the send queue was full");
    }
    return 0;
}

int produce_flush(struct stream *s, struct err *e) {
    struct kafka *k = (struct kafka *)s;
    struct kafka_producer *p = k->producer;
    if (!p)
        return 0;
    int64_t since = clock_mono_ns();
    while (rd_kafka_flush(p->rk, 100) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        int r = kafka_refused(k, e);
        /* Records fail by themselves after message.timeout.ms; only if that was set longer: */
        if (r == 0 && clock_mono_ns() - MAX(since, p->acked_ns) > (k->timeout_ms + 5000) * 1000000)
            r = kafka_failed(k, e, RD_KAFKA_RESP_ERR__TIMED_OUT,
                             "nothing was acknowledged within stream.timeout", "cannot flush");
        if (r < 0)
            return r;
    }
    int r = p->failed.code;
    if (r < 0)
        *e = p->failed;
    p->failed.code = 0;
    return r;
}
