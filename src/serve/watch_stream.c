/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/watch_stream.h"

#include <pthread.h>

#include "base/clock.h"

enum {
    MARKS = 64,            /* of a partition; then every second one goes */
    MARK_EVERY_US = 50000, /* of record time */
};

/* The record at this offset arrived at this time. */
struct mark {
    int64_t offset, at_us;
};

/*
 * One partition of the topic. The marks stand for the records read and not committed; the first is
 * the youngest one known that is not behind the position, so its time is that of the oldest
 * record not in bronze, or a little before.
 */
struct partition {
    int32_t partition;
    bool assigned;
    int64_t committed, read; /* next offsets; -1: unknown */
    int64_t end;             /* as sampled; -1: unknown */
    int64_t last_us;         /* time of the newest record read; 0: none */
    struct mark marks[MARKS];
    size_t n_marks;
};

struct stream_watch {
    struct metrics *m;
    struct health_part *health;
    bool consumer;
    pthread_mutex_t lock;     /* guards what follows */
    struct stream *inner;     /* NULL: closed */
    struct partition **parts; /* by number */
    size_t n_parts;
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
    for (size_t i = 0; i < w->n_parts; i++)
        free(w->parts[i]);
    free(w->parts);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static void count(struct metric *s, double by) {
    if (s)
        metric_add(s, by);
}

/* ---- what is noted; under the lock ---- */

static struct partition *part_of(struct stream_watch *w, int32_t number) {
    size_t low = 0, high = w->n_parts;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (w->parts[mid]->partition < number)
            low = mid + 1;
        else
            high = mid;
    }
    if (low < w->n_parts && w->parts[low]->partition == number)
        return w->parts[low];
    w->parts = xrealloc(w->parts, (w->n_parts + 1) * sizeof *w->parts);
    memmove(w->parts + low + 1, w->parts + low, (w->n_parts - low) * sizeof *w->parts);
    w->n_parts++;
    struct partition *p = w->parts[low] = xcalloc(1, sizeof *p);
    p->partition = number;
    p->committed = p->read = p->end = -1;
    return p;
}

static void note_position(struct partition *p, int64_t committed) {
    p->committed = committed;
    size_t gone = 0;
    while (gone + 1 < p->n_marks && p->marks[gone + 1].offset <= committed)
        gone++;
    p->n_marks -= gone;
    memmove(p->marks, p->marks + gone, p->n_marks * sizeof *p->marks);
}

static void note_record(struct partition *p, const struct record *rec) {
    p->read = rec->offset + 1;
    p->last_us = rec->timestamp_us;
    const struct mark *last = p->n_marks ? &p->marks[p->n_marks - 1] : NULL;
    if (last && rec->timestamp_us - last->at_us < MARK_EVERY_US && last->offset >= p->committed)
        return;
    if (p->n_marks == MARKS) {
        for (size_t i = 1; i < MARKS / 2; i++)
            p->marks[i] = p->marks[2 * i];
        p->n_marks = MARKS / 2;
    }
    p->marks[p->n_marks++] = (struct mark){rec->offset, rec->timestamp_us};
}

static void note_records(struct stream_watch *w, const struct span *sp, size_t from) {
    struct partition *p = NULL;
    for (size_t i = from; i < sp->n; i++) {
        if (!p || p->partition != sp->v[i].partition)
            p = part_of(w, sp->v[i].partition);
        note_record(p, &sp->v[i]);
    }
    count(w->read, (double)(sp->n - from));
}

static void set_assigned(struct stream_watch *w, struct partition *p, bool yes) {
    char text[METRIC_NUMBER];
    metric_number(p->partition, text);
    p->assigned = yes;
    if (yes) {
        metric_set(metrics_get(w->m, M_PARTITION_ASSIGNED, text, NULL), 1);
    } else {
        metrics_drop(w->m, M_PARTITION_ASSIGNED, text, NULL);
        metrics_drop(w->m, M_PARTITION_LAG_SECONDS, text, NULL);
    }
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
        note_records(w, sp, from);
    if (r == 0 && ret->kind == POLL_LOSS)
        metric_add(metrics_get(w->m, M_STREAM_LOST, NULL, NULL),
                   (double)(ret->loss.to - ret->loss.from));
    for (size_t i = 0; r == 0 && ret->kind == POLL_REVOKE && i < ret->n_partitions; i++)
        set_assigned(w, part_of(w, ret->partitions[i]), false);
    pthread_mutex_unlock(&w->lock);
    return r;
}

static int watched_assign(struct stream *base, const struct position *p, size_t n, struct err *e) {
    struct watched *s = (struct watched *)base;
    struct stream_watch *w = s->w;
    int r = stream_assign(s->inner, p, n, e);
    pthread_mutex_lock(&w->lock);
    note_result(w, r, e);
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct partition *part = part_of(w, p[i].partition);
        part->n_marks = 0;
        part->committed = part->read = p[i].offset;
        set_assigned(w, part, true);
    }
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

static void watched_committed(struct stream *base, const struct position *p, size_t n) {
    struct watched *s = (struct watched *)base;
    pthread_mutex_lock(&s->w->lock);
    for (size_t i = 0; i < n; i++)
        note_position(part_of(s->w, p[i].partition), p[i].offset);
    pthread_mutex_unlock(&s->w->lock);
    stream_committed(s->inner, p, n);
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

void stream_watch_note(struct stream_watch *w, const struct bounds *b, int64_t committed) {
    pthread_mutex_lock(&w->lock);
    struct partition *p = part_of(w, b->partition);
    p->end = b->end;
    int64_t from = MAX(b->begin, 0);
    if (committed > p->committed || (p->committed < 0 && b->end <= from))
        note_position(p, MAX(committed, from)); /* another process may have been faster */
    pthread_mutex_unlock(&w->lock);
}

/* Seconds; -1: unknown. */
static double lag_of(const struct partition *p, int64_t now_us) {
    int64_t end = MAX(p->end, p->read), oldest_us = 0;
    if (p->committed >= end && end >= 0)
        return 0;
    if (p->read > p->committed && p->n_marks)
        oldest_us = p->marks[0].at_us;
    else if (p->last_us)
        oldest_us = p->last_us; /* what follows is not read yet, and not older */
    return oldest_us ? (double)MAX(now_us - oldest_us, 0) / 1e6 : -1;
}

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
    int64_t now_us = clock_now_us();
    pthread_mutex_lock(&w->lock);
    if (w->inner)
        collect_stats(w);
    for (size_t i = 0; i < w->n_parts; i++) {
        const struct partition *p = w->parts[i];
        char text[METRIC_NUMBER];
        double lag = lag_of(p, now_us);
        if (p->assigned && lag >= 0)
            metric_set(
                metrics_get(w->m, M_PARTITION_LAG_SECONDS, metric_number(p->partition, text), NULL),
                lag);
    }
    pthread_mutex_unlock(&w->lock);
}
