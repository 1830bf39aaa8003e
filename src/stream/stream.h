/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where records come from and go to: the local stream today; Kafka is a further driver of the same
 * contract. Words as in Kafka: topic, partition, offset, record.
 *
 * Consuming. The table is the truth for positions: after POLL_ASSIGN the caller looks up where
 * each partition stands and calls stream_assign; there is no seek. After POLL_REVOKE the caller
 * has committed or dropped what it holds of those partitions. Records come in offset order per
 * partition. A record that was handed out is durable in the stream: it is there after a crash.
 *
 * Producing. stream_send queues; the ack function is called from within send and flush, once for
 * each record, in order of offset per partition, after the record is durable. It must not call the
 * stream. A record that could not be written is acknowledged with an error; a send that itself
 * returns an error has queued nothing and no ack will come. Nothing runs between calls: who pauses
 * between sends, flushes. stream_free drops what was not flushed, without acks.
 *
 * One thread makes all calls on one struct stream. Errors: ERR_STREAM, e->retry where it can pass.
 */
#ifndef CM_STREAM_STREAM_H
#define CM_STREAM_STREAM_H

#include "base/err.h"
#include "base/mem.h"

struct record {
    int32_t partition;
    int64_t offset;
    int64_t timestamp_us; /* when it was appended (local: whole ms); microseconds since 1970 UTC */
    const char *key;      /* NULL: no key */
    size_t key_len;
    const char *value; /* NULL: no value */
    size_t value_len;
};

/* A run of records that owns their bytes: the unit in which ingest hands records on. */
struct span {
    struct record *v;
    size_t n, cap;
    struct buf bytes; /* keys and values lie here */
};
struct span *span_new(size_t max_bytes);
void span_free(struct span *sp);
void span_reset(struct span *sp);

struct position {
    int32_t partition;
    int64_t offset; /* the next one to read; -1: from the beginning */
};

enum poll_kind {
    POLL_IDLE,    /* nothing came within the timeout */
    POLL_RECORDS, /* records were appended to the span */
    POLL_ASSIGN,  /* these partitions are ours now: stream_assign them */
    POLL_REVOKE,  /* these partitions are no longer ours */
};

struct poll_result {
    enum poll_kind kind;
    const int32_t *partitions; /* POLL_ASSIGN, POLL_REVOKE; valid until the next call */
    size_t n_partitions;
    bool lost; /* POLL_REVOKE: they are gone already, commit nothing */
};

/* What the ack function gets: where the record went, and the caller's own pointer. */
struct ack {
    int32_t partition;
    int64_t offset;
    int64_t timestamp_us;
    void *opaque;
    const struct err *error; /* NULL: durable; otherwise the record was not accepted */
};

struct stream;

struct stream_options {
    const char *topic;
    const char *app;                                /* consumer group */
    int32_t partitions;                             /* when the topic is created; >= 1 */
    void (*on_ack)(void *arg, const struct ack *a); /* or later, by stream_on_ack */
    void *ack_arg;
};

struct stream_ops {
    const char *scheme; /* "local" */
    /* Consumer */
    int (*subscribe)(struct stream *s, struct err *e);
    int (*poll)(struct stream *s, int timeout_ms, struct span *sp, size_t max_records,
                size_t max_bytes, struct poll_result *ret, struct err *e);
    int (*assign)(struct stream *s, const struct position *p, size_t n, struct err *e);
    int (*ends)(struct stream *s, struct position **ret, size_t *ret_n, struct err *e);
    void (*committed)(struct stream *s, const struct position *p, size_t n);
    /* Producer */
    int (*send)(struct stream *s, const void *key, size_t key_len, const void *value,
                size_t value_len, void *opaque, struct err *e);
    int (*flush)(struct stream *s, struct err *e);
    void (*free)(struct stream *s);
};

/* Drivers embed this first. */
struct stream {
    const struct stream_ops *ops;
    char *url; /* for messages, secrets masked */
    char *topic;
    char *cluster_id; /* part of the txn appId: another cluster's offsets are other offsets */
    void (*on_ack)(void *arg, const struct ack *a); /* NULL: nobody listens */
    void *ack_arg;
};

/*
 * Opens by URL: local:PATH. A topic that does not exist is created by the first send; reading it
 * finds nothing.
 */
int stream_open(const char *url, const struct stream_options *o, struct stream **ret,
                struct err *e);

/* Starts consuming: the next polls give POLL_ASSIGN, then records. */
static inline int stream_subscribe(struct stream *s, struct err *e) {
    return s->ops->subscribe(s, e);
}
/*
 * Appends at most max_records records, and records only while sp's bytes stay within max_bytes (at
 * least one record, however large, if sp was empty), waiting at most timeout_ms for the first. What
 * is there already is handed out at once, however little.
 */
static inline int stream_poll(struct stream *s, int timeout_ms, struct span *sp, size_t max_records,
                              size_t max_bytes, struct poll_result *ret, struct err *e) {
    return s->ops->poll(s, timeout_ms, sp, max_records, max_bytes, ret, e);
}
/*
 * Reads these partitions, and no others, from these offsets. An offset beyond the stream's end or
 * before its beginning is an error that names the partition, the offset and the range.
 */
static inline int stream_assign(struct stream *s, const struct position *p, size_t n,
                                struct err *e) {
    return s->ops->assign(s, p, n, e);
}
/* For each partition of the topic the offset the next record will get. The caller frees *ret. */
static inline int stream_ends(struct stream *s, struct position **ret, size_t *ret_n,
                              struct err *e) {
    return s->ops->ends(s, ret, ret_n, e);
}
/* Tells the stream what stands in the table now; advisory, never fails. */
static inline void stream_committed(struct stream *s, const struct position *p, size_t n) {
    s->ops->committed(s, p, n);
}
/* Who is told of the records sent from now on. Only while nothing is in flight. */
static inline void stream_on_ack(struct stream *s, void (*on_ack)(void *arg, const struct ack *a),
                                 void *arg) {
    s->on_ack = on_ack;
    s->ack_arg = arg;
}
/* The bytes are copied. Blocks while too much is in flight. key NULL: no key. */
static inline int stream_send(struct stream *s, const void *key, size_t key_len, const void *value,
                              size_t value_len, void *opaque, struct err *e) {
    return s->ops->send(s, key, key_len, value, value_len, opaque, e);
}
/*
 * Returns when every record sent is acknowledged or failed; the error is that of the first record
 * that failed since the last flush.
 */
static inline int stream_flush(struct stream *s, struct err *e) {
    return s->ops->flush(s, e);
}
static inline void stream_free(struct stream *s) {
    if (s)
        s->ops->free(s);
}
static inline void stream_freep(struct stream **s) {
    stream_free(*s);
}

#endif
