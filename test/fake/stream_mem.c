/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/stream_mem.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/util.h"
#include "stream/drivers.h"

struct mem_record {
    int64_t timestamp_us;
    char *key, *value; /* NULL: none */
    size_t key_len, value_len;
};

struct mem_partition {
    struct mem_record *v;
    size_t n, cap;
};

struct mem_topic {
    struct mem_topic *next;
    char *name;
    struct mem_partition *partitions;
    int32_t n;
};

struct mem_cluster {
    char id[UUID_TEXT];
    struct mem_topic *topics;
    size_t fail_next;
    int64_t time_us;
};

struct mem_sent {
    struct ack ack;
    bool failed;
};

struct mem {
    struct stream s;
    struct mem_cluster *mc;
    struct stream_options o;
    bool subscribed;
    int32_t *offered;
    struct position *at;
    size_t n_at;
    int32_t sticky;
    struct mem_sent *queue; /* sent, not acknowledged */
    size_t n_queue, cap_queue;
};

struct mem_cluster *mem_cluster_new(void) {
    struct mem_cluster *mc = xcalloc(1, sizeof *mc);
    uuid_make(mc->id);
    return mc;
}

void mem_cluster_free(struct mem_cluster *mc) {
    for (struct mem_topic *t = mc->topics, *next; t; t = next) {
        next = t->next;
        for (int32_t p = 0; p < t->n; p++) {
            for (size_t i = 0; i < t->partitions[p].n; i++) {
                free(t->partitions[p].v[i].key);
                free(t->partitions[p].v[i].value);
            }
            free(t->partitions[p].v);
        }
        free(t->partitions);
        free(t->name);
        free(t);
    }
    free(mc);
}

void mem_cluster_fail_next(struct mem_cluster *mc, size_t n) {
    mc->fail_next = n;
}

void mem_cluster_set_time(struct mem_cluster *mc, int64_t us) {
    mc->time_us = us;
}

static struct mem_topic *find_topic(struct mem *m) {
    struct mem_topic *t = m->mc->topics;
    while (t && strcmp(t->name, m->s.topic) != 0)
        t = t->next;
    return t;
}

static struct mem_topic *create_topic(struct mem *m) {
    struct mem_topic *t = xcalloc(1, sizeof *t);
    t->name = xstrdup(m->s.topic);
    t->n = MAX(m->o.partitions, 1);
    t->partitions = xcalloc((size_t)t->n, sizeof *t->partitions);
    t->next = m->mc->topics;
    m->mc->topics = t;
    return t;
}

static char *copy_bytes(const void *p, size_t n) {
    char *copy = p ? xmalloc(n) : NULL;
    if (copy && n)
        memcpy(copy, p, n);
    return copy;
}

static int64_t append(struct mem *m, struct mem_partition *p, struct mem_record rec) {
    int64_t now = m->mc->time_us ? m->mc->time_us : clock_now_us();
    int64_t last = p->n ? p->v[p->n - 1].timestamp_us : 0;
    rec.timestamp_us = MAX(now / 1000 * 1000, last);
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->v = xrealloc(p->v, p->cap * sizeof *p->v);
    }
    p->v[p->n++] = rec;
    return rec.timestamp_us;
}

static int mem_send(struct stream *s, const void *key, size_t key_len, const void *value,
                    size_t value_len, void *opaque, struct err *e ATTR_UNUSED) {
    struct mem *m = (struct mem *)s;
    struct mem_topic *t = find_topic(m);
    if (!t)
        t = create_topic(m);
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
        return 0;
    }
    struct mem_partition *p = &t->partitions[at];
    sent->ack.offset = (int64_t)p->n;
    sent->ack.timestamp_us = append(m, p,
                                    (struct mem_record){.key = copy_bytes(key, key_len),
                                                        .key_len = key_len,
                                                        .value = copy_bytes(value, value_len),
                                                        .value_len = value_len});
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
    m->subscribed = true;
    m->n_at = 0;
    return 0;
}

static int mem_bounds(struct stream *s, struct bounds **ret, size_t *ret_n,
                      struct err *e ATTR_UNUSED) {
    struct mem_topic *t = find_topic((struct mem *)s);
    int32_t n = t ? t->n : 0;
    *ret = xcalloc((size_t)n, sizeof **ret);
    *ret_n = (size_t)n;
    for (int32_t i = 0; i < n; i++)
        (*ret)[i] = (struct bounds){i, 0, (int64_t)t->partitions[i].n};
    return 0;
}

static int mem_assign(struct stream *s, const struct position *p, size_t n, struct err *e) {
    struct mem *m = (struct mem *)s;
    struct mem_topic *t = find_topic(m);
    for (size_t i = 0; i < n; i++) {
        if (!t || p[i].partition < 0 || p[i].partition >= t->n)
            return err_set(e, ERR_STREAM, "topic %s has no partition %" PRId32, s->topic,
                           p[i].partition);
        int64_t end = (int64_t)t->partitions[p[i].partition].n;
        if (p[i].offset < -1 || p[i].offset > end) {
            err_set(e, ERR_STREAM,
                    "position %" PRId64 " of topic %s, partition %" PRId32
                    " is outside of what the stream holds: offsets 0 to %" PRId64,
                    p[i].offset, s->topic, p[i].partition, end);
            return err_hint(e, "the stream was cut or replaced after it was read");
        }
    }
    m->at = xrealloc(m->at, n * sizeof *m->at);
    m->n_at = n;
    for (size_t i = 0; i < n; i++)
        m->at[i] = (struct position){p[i].partition, MAX(p[i].offset, 0)};
    return 0;
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

static int mem_poll(struct stream *s, int timeout_ms, struct span *sp, size_t max_records,
                    size_t max_bytes, struct poll_result *ret, struct err *e ATTR_UNUSED) {
    struct mem *m = (struct mem *)s;
    struct mem_topic *t = find_topic(m);
    *ret = (struct poll_result){.kind = POLL_IDLE};
    if (m->subscribed && t) {
        m->subscribed = false;
        m->offered = xrealloc(m->offered, (size_t)t->n * sizeof *m->offered);
        for (int32_t i = 0; i < t->n; i++)
            m->offered[i] = i;
        *ret = (struct poll_result){
            .kind = POLL_ASSIGN, .partitions = m->offered, .n_partitions = (size_t)t->n};
        return 0;
    }
    size_t before = sp->n;
    for (size_t i = 0; i < m->n_at; i++) {
        struct mem_partition *p = &t->partitions[m->at[i].partition];
        while (sp->n - before < max_records && m->at[i].offset < (int64_t)p->n &&
               hand_out(sp, &p->v[m->at[i].offset], &m->at[i], max_bytes))
            m->at[i].offset++;
    }
    if (sp->n > before)
        ret->kind = POLL_RECORDS;
    else if (timeout_ms > 0)
        stop_wait(MIN(timeout_ms, 5)); /* nothing can come while its only thread waits here */
    return 0;
}

static void mem_committed(struct stream *s ATTR_UNUSED, const struct position *p ATTR_UNUSED,
                          size_t n ATTR_UNUSED) {
}

static void mem_stats(struct stream *s ATTR_UNUSED, struct stream_stats *ret) {
    *ret = (struct stream_stats){0};
}

static void mem_free(struct stream *s) {
    struct mem *m = (struct mem *)s;
    free(m->offered);
    free(m->at);
    free(m->queue);
    free(s->url);
    free(s->topic);
    free(s->cluster_id);
    free(m);
}

static const struct stream_ops mem_ops = {
    .scheme = "mem",
    .subscribe = mem_subscribe,
    .poll = mem_poll,
    .assign = mem_assign,
    .bounds = mem_bounds,
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
    *ret = &m->s;
    return 0;
}
