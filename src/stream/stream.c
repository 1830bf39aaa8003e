/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/stream.h"

#include <assert.h>

#include "base/limits.h"
#include "stream/drivers.h"

static const struct {
    const char *scheme;
    int (*open)(const char *rest, const struct stream_options *o, struct stream **ret,
                struct err *e);
} drivers[] = {
    {"local", local_open},
    {"kafka", kafka_open},
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

int stream_open(const char *url, const struct stream_options *o, struct stream **ret,
                struct err *e) {
    int r = check_topic(o->topic, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
        size_t n = strlen(drivers[i].scheme);
        if (strncmp(url, drivers[i].scheme, n) == 0 && url[n] == ':')
            return drivers[i].open(url + n + 1, o, ret, e);
    }
    err_set(e, ERR_CONFIG, "no stream driver for the URL \"%s\"", url);
    return err_hint(e, "stream.url is local:PATH or kafka://HOST:PORT[,HOST:PORT…]");
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
