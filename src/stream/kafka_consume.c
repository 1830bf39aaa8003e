/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading: takes batches of messages from librdkafka's queue, copies them into the span and lets go
 * of them at once, since each one pins the whole answer it came in.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "stream/drivers.h"
#include "stream/kafka_consume.h"

enum {
    HELD_MAX = 4096, /* messages taken at once */
    SLICE_MS = 20,   /* the longest wait without a look at rebalances */
};

void held_drop(struct kafka_consumer *c, bool all) {
    size_t kept = 0;
    for (size_t i = c->held_at; i < c->held_n; i++) {
        rd_kafka_message_t *m = c->held[i];
        if (all || !part_of(c, m->partition))
            rd_kafka_message_destroy(m);
        else
            c->held[kept++] = m;
    }
    c->held_at = 0;
    c->held_n = kept;
}

/* Waits at most wait_ms for something, then takes what is there. */
static void fetch(struct kafka_consumer *c, int wait_ms) {
    if (!c->held)
        c->held = xcalloc(HELD_MAX, sizeof(rd_kafka_message_t *));
    c->held_at = 0;
    ssize_t n = rd_kafka_consume_batch_queue(c->queue, 0, c->held, HELD_MAX);
    c->held_n = n > 0 ? (size_t)n : 0;
    if (c->held_n || wait_ms <= 0 || c->changes)
        return;
    /* A batch would wait for its last message; this waits for the first. */
    rd_kafka_message_t *first = rd_kafka_consumer_poll(c->rk, wait_ms);
    if (!first)
        return;
    c->held[0] = first;
    n = rd_kafka_consume_batch_queue(c->queue, 0, c->held + 1, HELD_MAX - 1);
    c->held_n = 1 + (n > 0 ? (size_t)n : 0);
}

static void note_end(struct kafka_consumer *c, int32_t partition, struct part *p, int64_t offset) {
    if (offset <= p->next)
        return;
    p->next = offset;
    if (c->n_reached == c->cap_reached) {
        c->cap_reached = c->cap_reached ? c->cap_reached * 2 : 16;
        c->reached = xrealloc(c->reached, c->cap_reached * sizeof *c->reached);
    }
    c->reached[c->n_reached++] = (struct position){partition, offset};
}

/* A message that is none: the end of a partition, or something went wrong. */
static int serve_error(struct kafka *k, const rd_kafka_message_t *m, struct err *e) {
    struct kafka_consumer *c = k->consumer;
    struct part *p = part_of(c, m->partition);
    const char *why = rd_kafka_message_errstr(m);
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (p)
            note_end(c, m->partition, p, m->offset);
        return 0;
    }
    atomic_fetch_add(&k->errors, 1);
    switch (m->err) {
    case RD_KAFKA_RESP_ERR__FATAL:
        return 0; /* group_serve knows which */
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        return p ? group_out_of_range(k, m->partition, why, e) : 0;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        return kafka_failed(k, e, m->err, why, "cannot read");
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return kafka_oversize(k, why, e);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        c->ask_again_ns = 0;
        break;
    default:
        break;
    }
    if (kafka_may_log(k))
        log_warn("the stream has trouble", F_STR("stream", k->s.url), F_STR("why", why));
    return 0;
}

/* 9999-12-31T23:59:59.999Z. Later days are no dates to readers of the table; a producer may claim any. */
static const int64_t LATEST_MS = 253402300799999;

static int64_t time_of(struct kafka *k, const rd_kafka_message_t *m) {
    rd_kafka_timestamp_type_t type;
    int64_t ms = rd_kafka_message_timestamp(m, &type);
    if (type == RD_KAFKA_TIMESTAMP_CREATE_TIME && !k->create_time && !k->consumer->time_told) {
        k->consumer->time_told = true;
        log_warn("the topic's records carry the time of their producers, which may be anything; "
                 "it is taken as the time they were received (stream.timestamp=create says that "
                 "this is meant)",
                 F_STR("topic", k->s.topic));
    }
    return ms < 0 ? clock_now_us() : MIN(ms, LATEST_MS) * 1000;
}

static void copy_record(struct kafka *k, const rd_kafka_message_t *m, struct span *sp) {
    size_t key = m->key ? m->key_len : 0, value = m->payload ? m->len : 0;
    span_reserve(sp, key + value);
    char *to = sp->bytes.data + sp->bytes.len;
    if (key)
        memcpy(to, m->key, key);
    if (value)
        memcpy(to + key, m->payload, value);
    sp->bytes.len += key + value;
    sp->bytes.data[sp->bytes.len] = '\0';
    *span_add(sp) = (struct record){
        .partition = m->partition,
        .offset = m->offset,
        .timestamp_us = time_of(k, m),
        .key = m->key ? to : NULL,
        .key_len = key,
        .value = m->payload ? to + key : NULL,
        .value_len = value,
    };
}

struct room {
    size_t records, bytes; /* what the span may hold in all */
};

static bool fits(const struct span *sp, const rd_kafka_message_t *m, const struct room *room) {
    size_t size = (m->key ? m->key_len : 0) + (m->payload ? m->len : 0);
    return sp->n < room->records &&
           (sp->n == 0 || (size <= room->bytes && sp->bytes.len <= room->bytes - size));
}

/* Hands out what is held, until the span is full (1), nothing is left (0) or reading fails. */
static int hand_out(struct kafka *k, struct span *sp, const struct room *room, struct err *e) {
    struct kafka_consumer *c = k->consumer;
    int r = 0;
    while (r == 0 && c->held_at < c->held_n) {
        rd_kafka_message_t *m = c->held[c->held_at];
        struct part *p = part_of(c, m->partition);
        if (!m->err && p && m->offset >= p->next) {
            if (!fits(sp, m, room))
                return 1;
            copy_record(k, m, sp);
            p->next = m->offset + 1;
        }
        c->held_at++;
        /* It may assign anew, which drops what is held: m is ours alone by now. */
        if (m->err)
            r = serve_error(k, m, e);
        if (r < 0 && e->retry) { /* the next poll tries it again */
            c->held_at--;
            return r;
        }
        rd_kafka_message_destroy(m);
    }
    return r;
}

static int poll_once(struct kafka *k, int wait_ms, struct span *sp, const struct room *room,
                     struct err *e) {
    struct kafka_consumer *c = k->consumer;
    if (c->held_at == c->held_n)
        fetch(c, wait_ms);
    size_t before = sp->n;
    int r = hand_out(k, sp, room, e);
    if (sp->n > before)
        kafka_went_well(k);
    return r;
}

int consume_poll(struct stream *s, int timeout_ms, struct span *sp, size_t max_records,
                 size_t max_bytes, struct poll_result *ret, struct err *e) {
    struct kafka *k = (struct kafka *)s;
    struct kafka_consumer *c = k->consumer;
    struct room room = {.records = sp->n + MIN(max_records, SIZE_MAX / 2), .bytes = max_bytes};
    size_t before = sp->n;
    int64_t until = clock_mono_ns() + timeout_ms * 1000000LL;
    *ret = (struct poll_result){.kind = POLL_IDLE};
    if (!c) {
        stop_wait(timeout_ms);
        return 0;
    }
    c->n_reached = 0;
    for (int wait = 0;;) {
        int r = group_serve(k, e);
        if (r < 0)
            return r;
        if (group_change(c, ret))
            return 0;
        r = poll_once(k, wait, sp, &room, e);
        if (r < 0) { /* what came before it is good; the error is told next time */
            if (!e->retry)
                c->failed = *e;
            if (sp->n == before && !c->n_reached)
                return r;
        }
        ret->full = r > 0 && sp->n < room.records;
        if (sp->n > before || c->n_reached || r > 0)
            break;
        int64_t left = (until - clock_mono_ns()) / 1000000;
        if (left <= 0 || stop_requested())
            break;
        wait = (int)MIN(left, SLICE_MS);
    }
    ret->kind = sp->n > before ? POLL_RECORDS : POLL_IDLE;
    ret->reached = c->reached;
    ret->n_reached = c->n_reached;
    return 0;
}
