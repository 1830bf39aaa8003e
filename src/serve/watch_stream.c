/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/watch_stream.h"

#include <pthread.h>

struct stream_watch {
    struct metrics *m;
    struct health_part *health;
    bool consumer;
    pthread_mutex_t lock; /* guards what follows */
    struct stream *inner; /* NULL: closed */
    bool assigned, had_brokers;
    bool failing;
    struct metric *read;                          /* of a consumer, */
    struct metric *sent, *bytes, *acked, *failed; /* of a producer; NULL: not counted */
};

struct watched {
    struct stream s; /* first */
    struct stream *inner;
    struct stream_watch *w;
};

struct stream_watch *stream_watch_new(struct metrics *m, struct health_part *health,
                                      bool consumer) {
    struct stream_watch *w = xcalloc(1, sizeof *w);
    w->m = m;
    w->health = health;
    w->consumer = consumer;
    pthread_mutex_init(&w->lock, NULL);
    if (consumer) {
        w->read = metrics_get(m, M_STREAM_READ, NULL, NULL);
    } else {
        w->sent = metrics_get(m, M_PRODUCE_SENT, NULL, NULL);
        w->bytes = metrics_get(m, M_PRODUCE_BYTES, NULL, NULL);
        w->acked = metrics_get(m, M_PRODUCE_ACKED, NULL, NULL);
        w->failed = metrics_get(m, M_PRODUCE_FAILED, NULL, NULL);
    }
    return w;
}

void stream_watch_free(struct stream_watch *w) {
    if (!w)
        return;
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static void count(struct metric *s, double by) {
    if (s)
        metric_add(s, by);
}

/* ---- what is noted; under the lock ---- */

static void set_assigned(struct stream_watch *w, int32_t partition, bool yes) {
    char text[METRIC_NUMBER];
    metric_number(partition, text);
    if (yes)
        metric_set(metrics_get(w->m, M_PARTITION_ASSIGNED, text, NULL), 1);
    else
        metrics_drop(w->m, M_PARTITION_ASSIGNED, text, NULL);
}

static void note_result(struct stream_watch *w, int r, const struct err *e) {
    if (r < 0) {
        health_not_ready(w->health, e->msg);
        w->failing = true;
    } else if (w->failing) {
        w->failing = false;
        if (w->assigned || !w->consumer)
            health_ready(w->health);
        else
            health_not_ready(w->health, "no partition is assigned yet");
    }
}

/* ---- the calls ---- */

/* Known to the driver after some calls only. Another thread may read them: written when they change. */
static void mirror(struct watched *s) {
    if (s->s.cluster_id != s->inner->cluster_id)
        s->s.cluster_id = s->inner->cluster_id;
    if (s->s.topic_id != s->inner->topic_id)
        s->s.topic_id = s->inner->topic_id;
}

static int watched_subscribe(struct stream *base, struct err *e) {
    struct watched *s = (struct watched *)base;
    health_alive(s->w->health);
    int r = stream_subscribe(s->inner, e);
    mirror(s);
    pthread_mutex_lock(&s->w->lock);
    note_result(s->w, r, e);
    pthread_mutex_unlock(&s->w->lock);
    return r;
}

static int watched_poll(struct stream *base, int timeout_ms, struct span *sp, size_t max_records,
                        size_t max_bytes, struct poll_result *ret, struct err *e) {
    struct watched *s = (struct watched *)base;
    struct stream_watch *w = s->w;
    size_t from = sp->n;
    health_alive(w->health);
    int r = stream_poll(s->inner, timeout_ms, sp, max_records, max_bytes, ret, e);
    health_alive(w->health);
    mirror(s);
    pthread_mutex_lock(&w->lock);
    note_result(w, r, e);
    if (r == 0 && sp->n > from)
        count(w->read, (double)(sp->n - from));
    if (r == 0 && ret->kind == POLL_LOSS)
        metric_add(metrics_get(w->m, M_STREAM_LOST, NULL, NULL),
                   (double)(ret->loss.to - ret->loss.from));
    for (size_t i = 0; r == 0 && ret->kind == POLL_REVOKE && i < ret->n_partitions; i++)
        set_assigned(w, ret->partitions[i], false);
    pthread_mutex_unlock(&w->lock);
    return r;
}

static int watched_assign(struct stream *base, const struct position *p, size_t n, struct err *e) {
    struct watched *s = (struct watched *)base;
    struct stream_watch *w = s->w;
    int r = stream_assign(s->inner, p, n, e);
    pthread_mutex_lock(&w->lock);
    note_result(w, r, e);
    for (size_t i = 0; r == 0 && i < n; i++)
        set_assigned(w, p[i].partition, true);
    if (r == 0) {
        w->assigned = true;
        health_ready(w->health);
    }
    pthread_mutex_unlock(&w->lock);
    return r;
}

static int watched_confirm(struct stream *base, struct err *e) {
    struct watched *s = (struct watched *)base;
    health_alive(s->w->health);
    int r = stream_confirm(s->inner, e);
    health_alive(s->w->health);
    pthread_mutex_lock(&s->w->lock);
    note_result(s->w, r, e);
    pthread_mutex_unlock(&s->w->lock);
    return r;
}

static int watched_bounds(struct stream *base, struct bounds **ret, size_t *ret_n, struct err *e) {
    struct watched *s = (struct watched *)base;
    int r = stream_bounds(s->inner, ret, ret_n, e);
    mirror(s);
    return r;
}

static int watched_peek(struct stream *base, struct peek *v, size_t n, struct err *e) {
    return stream_peek(((struct watched *)base)->inner, v, n, e);
}

static int watched_retention(struct stream *base, struct retention *ret, struct err *e) {
    return stream_retention(((struct watched *)base)->inner, ret, e);
}

static void watched_committed(struct stream *base, const struct position *p, size_t n) {
    stream_committed(((struct watched *)base)->inner, p, n);
}

static void watched_stats(struct stream *base, struct stream_stats *ret) {
    stream_stats(((struct watched *)base)->inner, ret);
}

static int watched_send(struct stream *base, const void *key, size_t key_len, const void *value,
                        size_t value_len, void *opaque, struct err *e) {
    struct watched *s = (struct watched *)base;
    health_alive(s->w->health);
    int r = stream_send(s->inner, key, key_len, value, value_len, opaque, e);
    health_rest(s->w->health);
    if (r < 0) {
        health_not_ready(s->w->health, e->msg);
        return r;
    }
    count(s->w->sent, 1);
    count(s->w->bytes, (double)value_len);
    return r;
}

static int watched_flush(struct stream *base, struct err *e) {
    struct watched *s = (struct watched *)base;
    health_alive(s->w->health);
    int r = stream_flush(s->inner, e);
    health_rest(s->w->health);
    mirror(s);
    pthread_mutex_lock(&s->w->lock);
    note_result(s->w, r, e);
    pthread_mutex_unlock(&s->w->lock);
    return r;
}

/* The driver's acks come here and go on to whoever listens to the wrapper. */
static void on_ack(void *arg, const struct ack *a) {
    struct watched *s = arg;
    count(a->error ? s->w->failed : s->w->acked, 1);
    if (s->s.on_ack)
        s->s.on_ack(s->s.ack_arg, a);
}

static void watched_free(struct stream *base) {
    struct watched *s = (struct watched *)base;
    pthread_mutex_lock(&s->w->lock);
    s->w->inner = NULL;
    pthread_mutex_unlock(&s->w->lock);
    health_rest(s->w->health);
    stream_free(s->inner);
    free(s);
}

static const struct stream_ops watched_ops = {
    .scheme = "watched",
    .subscribe = watched_subscribe,
    .poll = watched_poll,
    .assign = watched_assign,
    .confirm = watched_confirm,
    .bounds = watched_bounds,
    .peek = watched_peek,
    .retention = watched_retention,
    .committed = watched_committed,
    .stats = watched_stats,
    .send = watched_send,
    .flush = watched_flush,
    .free = watched_free,
};

struct stream *stream_watch_wrap(struct stream_watch *w, struct stream *inner) {
    struct watched *s = xcalloc(1, sizeof *s);
    *s = (struct watched){.s = {.ops = &watched_ops,
                                .url = inner->url,
                                .topic = inner->topic,
                                .on_ack = inner->on_ack,
                                .ack_arg = inner->ack_arg},
                          .inner = inner,
                          .w = w};
    mirror(s);
    stream_on_ack(inner, on_ack, s);
    if (!w->consumer)
        health_ready(w->health);
    pthread_mutex_lock(&w->lock);
    w->inner = inner;
    pthread_mutex_unlock(&w->lock);
    return &s->s;
}

/* ---- what is asked ---- */

static void collect_stats(struct stream_watch *w) {
    struct stream_stats st;
    stream_stats(w->inner, &st);
    metric_set(metrics_get(w->m, M_STREAM_REBALANCES, NULL, NULL), (double)st.rebalances);
    metric_set(metrics_get(w->m, M_STREAM_ERRORS, NULL, NULL), (double)st.errors);
    metric_set(metrics_get(w->m, M_STREAM_BROKERS, NULL, NULL), (double)st.brokers_up);
    metric_set(metrics_get(w->m, M_STREAM_QUEUED, NULL, NULL), (double)st.queued_bytes);
    /* A client that waits for its brokers to come back reports nothing on poll. */
    if (st.brokers_up > 0) {
        if (w->had_brokers && w->assigned && !w->failing)
            health_ready(w->health);
        w->had_brokers = true;
    } else if (w->had_brokers && !w->failing) {
        health_not_ready(w->health, "no broker is up");
    }
}

void stream_watch_collect(struct stream_watch *w) {
    if (!w->consumer)
        return;
    pthread_mutex_lock(&w->lock);
    if (w->inner)
        collect_stats(w);
    pthread_mutex_unlock(&w->lock);
}
