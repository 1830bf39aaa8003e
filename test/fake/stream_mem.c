/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/stream_mem.h"

#include <assert.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/util.h"
#include "fake/stream_mem_private.h"
#include "stream/drivers.h"

static void lock(struct mem *m) {
    pthread_mutex_lock(&m->mc->lock);
}

static void unlock(struct mem *m) {
    pthread_mutex_unlock(&m->mc->lock);
}

/* One thread makes all calls. */
static void same_thread(const struct mem *m) {
    assert(!m->has_thread || pthread_equal(m->thread, pthread_self()));
}

static void learn_topic(struct mem *m, const struct mem_topic *t) {
    if (!t || (m->s.topic_id && strcmp(m->s.topic_id, t->id) == 0))
        return;
    free(m->s.topic_id);
    m->s.topic_id = xstrdup(t->id);
}

static char *copy_bytes(const void *p, size_t n) {
    char *copy = p ? xmalloc(n) : NULL;
    if (copy && n)
        memcpy(copy, p, n);
    return copy;
}

static int64_t append(struct mem_cluster *mc, struct mem_partition *p, struct mem_record rec) {
    int64_t now = mc->time_us ? mc->time_us : clock_now_us();
    int64_t last = p->n ? p->v[p->n - 1].timestamp_us : 0;
    rec.timestamp_us = MAX(now / 1000 * 1000, last);
    *mem_add_record(p) = rec;
    return rec.timestamp_us;
}

void mem_topic_append(struct mem_cluster *mc, const char *topic, int32_t partition,
                      const char *value) {
    pthread_mutex_lock(&mc->lock);
    struct mem_topic *t = mem_find_topic(mc, topic);
    assert(t && partition < t->n);
    size_t n = value ? strlen(value) : 0;
    append(mc, &t->partitions[partition],
           (struct mem_record){.value = copy_bytes(value, n), .value_len = n});
    pthread_mutex_unlock(&mc->lock);
}

static int mem_send(struct stream *s, const void *key, size_t key_len, const void *value,
                    size_t value_len, void *opaque, struct err *e ATTR_UNUSED) {
    struct mem *m = (struct mem *)s;
    lock(m);
    struct mem_topic *t = mem_find_topic(m->mc, s->topic);
    if (!t)
        t = mem_make_topic(m->mc, s->topic, MAX(m->o.partitions, 1));
    int32_t at = key ? stream_partition_of(key, key_len, t->n) : m->sticky++ / 100 % t->n;
    if (m->n_queue == m->cap_queue) {
        m->cap_queue = m->cap_queue ? m->cap_queue * 2 : 64;
        m->queue = xrealloc(m->queue, m->cap_queue * sizeof *m->queue);
    }
    struct mem_sent *sent = &m->queue[m->n_queue++];
    *sent = (struct mem_sent){.ack = {.partition = at, .offset = -1, .opaque = opaque}};
    if (m->mc->fail_next > 0) {
        m->mc->fail_next--;
        sent->failed = true;
        unlock(m);
        return 0;
    }
    struct mem_partition *p = &t->partitions[at];
    sent->ack.offset = (int64_t)p->n;
    sent->ack.timestamp_us = append(m->mc, p,
                                    (struct mem_record){.key = copy_bytes(key, key_len),
                                                        .key_len = key_len,
                                                        .value = copy_bytes(value, value_len),
                                                        .value_len = value_len});
    unlock(m);
    return 0;
}

static int mem_flush(struct stream *s, struct err *e) {
    struct mem *m = (struct mem *)s;
    struct err why;
    err_set(&why, ERR_STREAM, "topic %s: the fake was told to fail", s->topic);
    int r = 0;
    for (size_t i = 0; i < m->n_queue; i++) {
        struct mem_sent *sent = &m->queue[i];
        sent->ack.error = sent->failed ? &why : NULL;
        if (sent->failed && r == 0) {
            *e = why;
            r = why.code;
        }
        if (s->on_ack)
            s->on_ack(s->ack_arg, &sent->ack);
    }
    m->n_queue = 0;
    return r;
}

static int mem_subscribe(struct stream *s, struct err *e ATTR_UNUSED) {
    struct mem *m = (struct mem *)s;
    lock(m);
    m->thread = pthread_self();
    m->has_thread = true;
    mem_join(m);
    unlock(m);
    return 0;
}

static int mem_bounds(struct stream *s, struct bounds **ret, size_t *ret_n,
                      struct err *e ATTR_UNUSED) {
    struct mem *m = (struct mem *)s;
    same_thread(m);
    lock(m);
    struct mem_topic *t = mem_find_topic(m->mc, s->topic);
    int32_t n = t ? t->n : 0;
    *ret = xcalloc((size_t)n, sizeof **ret);
    *ret_n = (size_t)n;
    for (int32_t i = 0; i < n; i++)
        (*ret)[i] = (struct bounds){i, t->partitions[i].begin, (int64_t)t->partitions[i].n};
    learn_topic(m, t);
    if (t && m->mc->bounds_left > 0 && --m->mc->bounds_left == 0)
        t->partitions[m->mc->forget_then.partition].begin = m->mc->forget_then.begin;
    unlock(m);
    return 0;
}

static struct peek look_at(const struct mem_topic *t, struct peek pk) {
    pk.state = PEEK_UNKNOWN;
    if (!t || pk.partition < 0 || pk.partition >= t->n ||
        pk.offset < t->partitions[pk.partition].begin)
        return pk;
    const struct mem_partition *p = &t->partitions[pk.partition];
    pk.state = PEEK_NONE;
    for (size_t i = (size_t)pk.offset; i < p->n && pk.state == PEEK_NONE; i++)
        if (!p->v[i].hole) {
            pk.state = PEEK_FOUND;
            pk.timestamp_us = p->v[i].timestamp_us;
            pk.bytes = (int64_t)(p->v[i].key_len + p->v[i].value_len);
        }
    return pk;
}

static int mem_peek(struct stream *s, struct peek *v, size_t n, struct err *e ATTR_UNUSED) {
    struct mem *m = (struct mem *)s;
    lock(m);
    m->mc->peeks += n;
    for (size_t i = 0; i < n; i++)
        v[i] = look_at(mem_find_topic(m->mc, s->topic), v[i]);
    unlock(m);
    return 0;
}

static int mem_retention(struct stream *s, struct retention *ret, struct err *e ATTR_UNUSED) {
    struct mem *m = (struct mem *)s;
    lock(m);
    *ret = m->mc->retention;
    unlock(m);
    return 0;
}

static int forgotten(const struct mem *m, int32_t partition, int64_t from, int64_t begin,
                     struct err *e) {
    err_set(e, ERR_STREAM,
            "offsets %" PRId64 " to %" PRId64 " of topic %s, partition %" PRId32
            " were removed before they were read",
            from, begin - 1, m->s.topic, partition);
    return err_hint(e, "ingest --accept-loss reads on behind them");
}

static int check_position(const struct mem *m, const struct mem_topic *t, const struct position *p,
                          struct err *e) {
    if (!t || p->partition < 0 || p->partition >= t->n)
        return err_set(e, ERR_STREAM, "topic %s has no partition %" PRId32, m->s.topic,
                       p->partition);
    assert(!m->subscribed || (m->told[p->partition] && !m->leaving[p->partition]));
    int64_t end = (int64_t)t->partitions[p->partition].n, begin = t->partitions[p->partition].begin;
    if (p->offset < -1 || p->offset > end) {
        err_set(e, ERR_STREAM,
                "position %" PRId64 " of topic %s, partition %" PRId32
                " is outside of what the stream holds: offsets %" PRId64 " to %" PRId64,
                p->offset, m->s.topic, p->partition, begin, end);
        return err_hint(e, "the stream was cut or replaced after it was read");
    }
    return p->offset >= 0 && p->offset < begin && !m->o.accept_loss
               ? forgotten(m, p->partition, p->offset, begin, e)
               : 0;
}

static void set_position(struct mem *m, const struct mem_topic *t, const struct position *p) {
    size_t i = 0;
    while (i < m->n_at && m->at[i].partition != p->partition)
        i++;
    m->n_at = MAX(m->n_at, i + 1);
    m->at[i] = (struct position){p->partition,
                                 p->offset < 0 ? t->partitions[p->partition].begin : p->offset};
}

static int mem_assign(struct stream *s, const struct position *p, size_t n, struct err *e) {
    struct mem *m = (struct mem *)s;
    same_thread(m);
    lock(m);
    mem_let_go(m);
    const struct mem_topic *t = mem_find_topic(m->mc, s->topic);
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = check_position(m, t, &p[i], e);
    if (r == 0 && !m->offered)
        m->n_at = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        set_position(m, t, &p[i]);
    m->offered = m->offered && r < 0;
    unlock(m);
    return r;
}

static const char *put_bytes(struct span *sp, const char *p, size_t n) {
    if (!p)
        return NULL;
    span_reserve(sp, n);
    char *to = sp->bytes.data + sp->bytes.len;
    buf_add(&sp->bytes, p, n);
    return to;
}

/* false: the span is full. */
static bool hand_out(struct span *sp, const struct mem_record *from, const struct position *at,
                     size_t max_bytes) {
    size_t size = from->key_len + from->value_len;
    if (sp->n > 0 && sp->bytes.len + size > max_bytes)
        return false;
    const char *key = put_bytes(sp, from->key, from->key_len);
    size_t key_at = key ? (size_t)(key - sp->bytes.data) : 0;
    const char *value = put_bytes(sp, from->value, from->value_len); /* may move the key */
    struct record rec = {
        .partition = at->partition,
        .offset = at->offset,
        .timestamp_us = from->timestamp_us,
        .key = key ? sp->bytes.data + key_at : NULL,
        .key_len = from->key_len,
        .value = value,
        .value_len = from->value_len,
    };
    *span_add(sp) = rec;
    return true;
}

/* Without records: a loss is told; 1: there is one. */
static int find_loss(struct mem *m, const struct mem_topic *t, struct poll_result *ret,
                     struct err *e) {
    for (size_t i = 0; i < m->n_at; i++) {
        struct position *at = &m->at[i];
        int64_t begin = t->partitions[at->partition].begin;
        if (at->offset >= begin)
            continue;
        if (!m->o.accept_loss)
            return forgotten(m, at->partition, at->offset, begin, e);
        *ret = (struct poll_result){.kind = POLL_LOSS, .loss = {at->partition, at->offset, begin}};
        at->offset = begin;
        return 1;
    }
    return 0;
}

/* true: it stands behind a hole, with no record after it. */
static bool read_partition(const struct mem_partition *p, struct position *at, struct span *sp,
                           size_t until, size_t max_bytes) {
    bool passed_over = false;
    for (; at->offset < (int64_t)p->n; at->offset++) {
        const struct mem_record *rec = &p->v[at->offset];
        if (!rec->hole && (sp->n >= until || !hand_out(sp, rec, at, max_bytes)))
            break;
        passed_over = rec->hole;
    }
    return passed_over;
}

static void read_all(struct mem *m, const struct mem_topic *t, struct span *sp, size_t max_records,
                     size_t max_bytes, struct poll_result *ret) {
    size_t before = sp->n, n = 0, until = before + MIN(max_records, SIZE_MAX / 2);
    m->turn++; /* each poll begins with another partition */
    for (size_t k = 0; k < m->n_at; k++) {
        struct position *at = &m->at[(m->turn + k) % m->n_at];
        if (read_partition(&t->partitions[at->partition], at, sp, until, max_bytes))
            m->reached[n++] = *at;
    }
    m->mc->read += sp->n - before;
    ret->kind = sp->n > before ? POLL_RECORDS : POLL_IDLE;
    ret->reached = m->reached;
    ret->n_reached = n;
}

static int poll_locked(struct mem *m, struct span *sp, size_t max_records, size_t max_bytes,
                       struct poll_result *ret, struct err *e) {
    const struct mem_topic *t = mem_find_topic(m->mc, m->s.topic);
    *ret = (struct poll_result){.kind = POLL_IDLE};
    mem_let_go(m);
    if (m->killed)
        return err_set(e, ERR_STREAM, "topic %s: the fake was told to kill this reader",
                       m->s.topic);
    if (m->mc->fail_polls > 0) {
        m->mc->fail_polls--;
        err_set(e, ERR_STREAM, "topic %s: the fake was told to fail", m->s.topic);
        return err_retry(e);
    }
    if (mem_group_event(m, ret)) {
        if (ret->kind == POLL_ASSIGN)
            learn_topic(m, t);
        return 0;
    }
    int r = t ? find_loss(m, t, ret, e) : 0;
    if (r == 0 && t)
        read_all(m, t, sp, max_records, max_bytes, ret);
    return MIN(r, 0);
}

static int mem_poll(struct stream *s, int timeout_ms, struct span *sp, size_t max_records,
                    size_t max_bytes, struct poll_result *ret, struct err *e) {
    struct mem *m = (struct mem *)s;
    same_thread(m);
    lock(m);
    int r = poll_locked(m, sp, max_records, max_bytes, ret, e);
    unlock(m);
    if (r == 0 && ret->kind == POLL_IDLE && ret->n_reached == 0 && timeout_ms > 0)
        stop_wait(MIN(timeout_ms, 2));
    return r;
}

static int mem_confirm(struct stream *s, struct err *e) {
    struct mem *m = (struct mem *)s;
    same_thread(m);
    lock(m);
    const struct mem_topic *t = mem_find_topic(m->mc, s->topic);
    int r = 0;
    if (m->mc->fail_confirms > 0) {
        m->mc->fail_confirms--;
        err_set(e, ERR_STREAM, "topic %s: the fake was told not to confirm", s->topic);
        r = err_retry(e);
    } else if (t && s->topic_id && strcmp(t->id, s->topic_id) != 0) {
        r = err_set(e, ERR_STREAM, "topic %s was deleted and made again", s->topic);
    }
    unlock(m);
    return r;
}

static void mem_committed(struct stream *s, const struct position *p, size_t n) {
    struct mem *m = (struct mem *)s;
    same_thread(m);
    lock(m);
    mem_mark(m, p, n);
    unlock(m);
}

static void mem_stats(struct stream *s, struct stream_stats *ret) {
    struct mem *m = (struct mem *)s;
    lock(m);
    *ret = (struct stream_stats){.rebalances = m->rebalances, .brokers_up = 1};
    unlock(m);
}

static void mem_free(struct stream *s) {
    struct mem *m = (struct mem *)s;
    lock(m);
    mem_leave(m);
    unlock(m);
    free(m->queue);
    free(m->app);
    free(s->url);
    free(s->topic);
    free(s->cluster_id);
    free(s->topic_id);
    free(m);
}

static const struct stream_ops mem_ops = {
    .scheme = "mem",
    .subscribe = mem_subscribe,
    .poll = mem_poll,
    .assign = mem_assign,
    .confirm = mem_confirm,
    .bounds = mem_bounds,
    .peek = mem_peek,
    .retention = mem_retention,
    .committed = mem_committed,
    .stats = mem_stats,
    .send = mem_send,
    .flush = mem_flush,
    .free = mem_free,
};

int stream_mem_open(struct mem_cluster *mc, const struct stream_options *o, struct stream **ret,
                    struct err *e ATTR_UNUSED) {
    struct mem *m = xcalloc(1, sizeof *m);
    m->s = (struct stream){.ops = &mem_ops,
                           .url = xstrdup("mem:"),
                           .topic = xstrdup(o->topic),
                           .cluster_id = xstrdup(mc->id),
                           .on_ack = o->on_ack,
                           .ack_arg = o->ack_arg};
    m->mc = mc;
    m->o = *o;
    m->app = xstrdup(o->app ? o->app : "");
    *ret = &m->s;
    return 0;
}
