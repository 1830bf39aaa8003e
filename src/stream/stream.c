/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/stream.h"

#include <assert.h>

#include "base/limits.h"
#include "base/value.h"
#include "stream/drivers.h"

static const struct {
    const char *scheme;
    int (*open)(const char *rest, const struct stream_options *o, struct stream **ret,
                struct err *e);
    int (*check)(const char *rest, const struct stream_options *o, struct err *e);
} drivers[] = {
    {"local", local_open, local_check},
    {"kafka", kafka_open, kafka_check},
};

/* Kafka's rule (org.apache.kafka.common.internals.Topic): a topic can move between drivers. */
static int check_topic(const char *topic, struct err *e) {
    size_t n = topic ? strlen(topic) : 0;
    bool ok = n > 0 && n <= 249 && strcmp(topic, ".") != 0 && strcmp(topic, "..") != 0;
    for (size_t i = 0; ok && i < n; i++) {
        char c = topic[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '.' || c == '_' || c == '-';
    }
    if (ok)
        return 0;
    err_set(e, ERR_CONFIG, "\"%s\" is no topic name", topic ? topic : "");
    return err_hint(e, "stream.topic takes 1 to 249 letters, digits, '.', '_' and '-'");
}

/* Which driver: its number, and where the URL goes on behind its scheme. */
static int find_driver(const char *url, const char *topic, const char **ret_rest, struct err *e) {
    int r = check_topic(topic, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
        size_t n = strlen(drivers[i].scheme);
        if (strncmp(url, drivers[i].scheme, n) == 0 && url[n] == ':') {
            *ret_rest = url + n + 1;
            return (int)i;
        }
    }
    _cleanup_(freep) char *masked = url_mask(url);
    err_set(e, ERR_CONFIG, "no stream driver for the URL \"%s\"", masked);
    return err_hint(e, "stream.url is local:PATH or kafka://HOST:PORT[,HOST:PORT…]");
}

int stream_open(const char *url, const struct stream_options *o, struct stream **ret,
                struct err *e) {
    const char *rest;
    int i = find_driver(url, o->topic, &rest, e);
    return i < 0 ? i : drivers[i].open(rest, o, ret, e);
}

int stream_check(const char *url, const struct stream_options *o, struct err *e) {
    const char *rest;
    int i = find_driver(url, o->topic, &rest, e);
    return i < 0 ? i : drivers[i].check(rest, o, e);
}

int stream_check_property(const struct stream_property *p, struct err *e) {
    return kafka_check_property(p->name, p->value, e);
}

struct span *span_new(size_t max_bytes) {
    struct span *sp = xcalloc(1, sizeof *sp);
    /* One record may be larger than a poll's max_bytes. */
    sp->bytes = BUF_INIT(MAX(max_bytes, (size_t)LIMIT_LINE) + 2 * (size_t)LIMIT_RECORD);
    return sp;
}

void span_free(struct span *sp) {
    if (!sp)
        return;
    free(sp->v);
    buf_release(&sp->bytes);
    free(sp);
}

void span_reset(struct span *sp) {
    sp->n = 0;
    buf_reset(&sp->bytes);
}

void span_reserve(struct span *sp, size_t more) {
    uintptr_t before = (uintptr_t)sp->bytes.data;
    if (sp->bytes.max < sp->bytes.len + more)
        sp->bytes.max = sp->bytes.len + more; /* the driver has checked the poll's limit */
    bool room = buf_reserve(&sp->bytes, more);
    assert(room);
    uintptr_t after = (uintptr_t)sp->bytes.data;
    if (before == after)
        return;
    for (size_t i = 0; i < sp->n; i++) {
        struct record *rec = &sp->v[i];
        if (rec->key)
            rec->key = (const char *)((uintptr_t)rec->key - before + after);
        if (rec->value)
            rec->value = (const char *)((uintptr_t)rec->value - before + after);
    }
}

struct record *span_add(struct span *sp) {
    if (sp->n == sp->cap) {
        sp->cap = sp->cap ? sp->cap * 2 : 1024;
        sp->v = xrealloc(sp->v, sp->cap * sizeof *sp->v);
    }
    return &sp->v[sp->n++];
}

uint32_t stream_murmur2(const void *key, size_t n) {
    const uint32_t m = 0x5bd1e995;
    const unsigned char *p = key;
    uint32_t h = 0x9747b28cu ^ (uint32_t)n;
    for (; n >= 4; n -= 4, p += 4) {
        uint32_t k = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        k *= m;
        k ^= k >> 24;
        h = (h * m) ^ (k * m);
    }
    if (n >= 3)
        h ^= (uint32_t)p[2] << 16;
    if (n >= 2)
        h ^= (uint32_t)p[1] << 8;
    if (n >= 1)
        h = (h ^ p[0]) * m;
    h = (h ^ (h >> 13)) * m;
    return h ^ (h >> 15);
}

int32_t stream_partition_of(const void *key, size_t n, int32_t partitions) {
    return (int32_t)((stream_murmur2(key, n) & 0x7fffffff) % (uint32_t)partitions);
}
