/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single records, looked at beside all that is read: librdkafka's simple consumer, which knows no group
 * and fetches one batch of each partition. For lag in seconds.
 */
#include "base/clock.h"
#include "stream/kafka_private.h"

enum { WAIT_MS = 3000, SLICE_MS = 50 };

void kafka_peeker_free(struct kafka *k) {
    if (k->peeked)
        rd_kafka_topic_destroy(k->peeked);
    k->peeked = NULL;
}

static int open_peeker(struct kafka *k, struct err *e) {
    rd_kafka_t *rk;
    int r = kafka_handle(k, KAFKA_PEEKER, &rk, e);
    if (r < 0 || k->peeked)
        return r;
    k->peeked = rd_kafka_topic_new(rk, k->s.topic, NULL);
    return k->peeked ? 0 : kafka_failed(k, e, rd_kafka_last_error(), NULL, "cannot open the topic");
}

struct looking {
    struct peek *v;
    size_t n, left;                            /* all, and those not answered yet */
    enum { NOT_ASKED, ASKED, ANSWERED } * how; /* by index in v */
};

static void take_record(struct peek *pk, const rd_kafka_message_t *m) {
    rd_kafka_timestamp_type_t type;
    int64_t ms = rd_kafka_message_timestamp(m, &type);
    pk->state = PEEK_FOUND;
    pk->timestamp_us = ms < 0 ? -1 : ms * 1000;
    pk->bytes = (int64_t)(m->len + m->key_len);
}

static void answer(struct kafka *k, struct looking *l, const rd_kafka_message_t *m) {
    size_t i = 0;
    while (i < l->n && (l->how[i] != ASKED || l->v[i].partition != m->partition))
        i++;
    if (i == l->n)
        return;
    if (!m->err)
        take_record(&l->v[i], m);
    else if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        l->v[i].state = PEEK_NONE;
    else if (kafka_is_forbidden(m->err))
        kafka_tell_forbidden(k, "lag in seconds", rd_kafka_message_errstr(m));
    l->how[i] = ANSWERED;
    l->left--;
}

static int await_all(struct kafka *k, rd_kafka_queue_t *q, struct looking *l, struct err *e) {
    int64_t until = clock_mono_ns() + MIN(k->timeout_ms, WAIT_MS) * 1000000LL;
    int r = 0;
    while (r == 0 && l->left > 0 && clock_mono_ns() < until) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(q, SLICE_MS);
        if (m) {
            answer(k, l, m);
            rd_kafka_message_destroy(m);
        }
        rd_kafka_poll(k->rk[KAFKA_PEEKER], 0); /* errors are told there */
        r = kafka_refused(k, e);
    }
    return r;
}

int kafka_peek(struct stream *s, struct peek *v, size_t n, struct err *e) {
    struct kafka *k = (struct kafka *)s;
    int r = n ? open_peeker(k, e) : 0;
    if (n == 0 || r < 0)
        return r;
    rd_kafka_queue_t *q = rd_kafka_queue_new(k->rk[KAFKA_PEEKER]);
    struct looking l = {.v = v, .n = n, .how = xcalloc(n, sizeof *l.how)};
    for (size_t i = 0; i < n; i++) {
        v[i].state = PEEK_UNKNOWN;
        bool good = v[i].partition >= 0 && v[i].offset >= 0;
        if (!good || rd_kafka_consume_start_queue(k->peeked, v[i].partition, v[i].offset, q) < 0)
            continue;
        l.how[i] = ASKED;
        l.left++;
    }
    r = await_all(k, q, &l, e);
    for (size_t i = 0; i < n; i++)
        if (l.how[i] != NOT_ASKED)
            rd_kafka_consume_stop(k->peeked, v[i].partition);
    rd_kafka_queue_destroy(q);
    free(l.how);
    return r;
}
