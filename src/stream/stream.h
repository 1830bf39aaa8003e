/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where records come from and go to: a local stream or Kafka, behind one contract. Words as in
 * Kafka: topic, partition, offset, record.
 *
 * Consuming. The table is the truth for positions: after POLL_ASSIGN the caller looks up where
 * each partition stands and calls stream_assign; there is no seek. At the next call after
 * POLL_REVOKE the caller has committed or dropped what it holds of those partitions, and another
 * member of the group may begin with them. Records come in offset order per partition. A record
 * that was handed out is durable in the stream: it is there after a crash.
 *
 * Producing. stream_send queues; the ack function is called from within send and flush, once for
 * each record, in order of offset per partition, after the record is durable. It must not call the
 * stream. A record that could not be written is acknowledged with an error; a send that itself
 * returns an error has queued nothing and no ack will come. Nothing runs between calls: who pauses
 * between sends, flushes. stream_free drops what was not flushed, without acks.
 *
 * One thread makes all calls on one struct stream, but for stream_stats. Errors: ERR_STREAM,
 * e->retry where it can pass.
 */
#ifndef CM_STREAM_STREAM_H
#define CM_STREAM_STREAM_H

#include "base/err.h"
#include "base/mem.h"

struct record {
    int32_t partition;
    int64_t offset;
    int64_t timestamp_us; /* when it was appended, or (Kafka, CreateTime) what its producer said;
                           * whole ms as microseconds since 1970 UTC */
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

/* What a partition holds: offsets begin <= o < end. begin rises as the stream forgets (retention). */
struct bounds {
    int32_t partition;
    int64_t begin, end;
};

/*
 * How long records stay: a partition's oldest ones may go once they are older than ms, or once those behind
 * them fill bytes.
 */
struct retention {
    bool known;        /* false: we may not ask */
    int64_t ms, bytes; /* -1: without limit */
};

/* The first record at or behind an offset. */
struct peek {
    int32_t partition;
    int64_t offset; /* where to look; what follows is the answer */
    enum peek_state {
        PEEK_UNKNOWN, /* it was not read in time, we may not read, or the offset is gone */
        PEEK_NONE,    /* the partition ends there */
        PEEK_FOUND,
    } state;
    int64_t timestamp_us; /* as in struct record; -1: it has none */
    int64_t bytes;        /* key and value */
};

/* Offsets from <= o < to of a partition that the stream held once and holds no more. */
struct loss {
    int32_t partition;
    int64_t from, to;
};

/* A driver's own setting, passed on as it is: "sasl.mechanisms" of kafka.sasl.mechanisms. */
struct stream_property {
    const char *name, *value;
};

enum poll_kind {
    POLL_IDLE,    /* nothing came within the timeout */
    POLL_RECORDS, /* records were appended to the span */
    POLL_ASSIGN,  /* these partitions are ours now, besides those we have: stream_assign them */
    POLL_REVOKE,  /* these partitions are no longer ours */
    POLL_LOSS,    /* `loss` is gone; reading goes on behind it. Only with accept_loss */
};

struct poll_result {
    enum poll_kind kind;
    const int32_t *partitions; /* POLL_ASSIGN, POLL_REVOKE; valid until the next call */
    size_t n_partitions;
    bool lost; /* POLL_REVOKE: they are gone already, commit nothing */
    bool full; /* the next record is there and does not fit into the span's bytes */
    struct loss loss;
    /*
     * With POLL_IDLE and POLL_RECORDS: partitions read beyond their last record, up to these
     * offsets. What lies between holds nothing that will ever be handed out (a transaction's
     * markers, aborted or compacted records). Valid until the next call.
     */
    const struct position *reached;
    size_t n_reached;
};

/* Since the stream was opened. */
struct stream_stats {
    int64_t rebalances;   /* assignments and revocations */
    int64_t errors;       /* that passed, or may pass: broker down, request timed out */
    int64_t queued_bytes; /* fetched, not handed out yet */
    int32_t brokers_up;
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
    const char *app;     /* consumer group */
    int32_t partitions;  /* when the topic is created; >= 1 */
    int32_t replication; /* the same; >= 1 */
    bool
        accept_loss; /* what the stream forgot before it was read is told by POLL_LOSS, not an error */
    bool create_time;   /* a topic we create keeps the producer's time, not that of the appending */
    int64_t timeout_ms; /* how long one call may wait for a stream that does not answer */
    const struct stream_property *properties;
    size_t n_properties;
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
    int (*confirm)(struct stream *s, struct err *e);
    int (*bounds)(struct stream *s, struct bounds **ret, size_t *ret_n, struct err *e);
    int (*peek)(struct stream *s, struct peek *v, size_t n, struct err *e);
    int (*retention)(struct stream *s, struct retention *ret, struct err *e);
    void (*committed)(struct stream *s, const struct position *p, size_t n);
    void (*stats)(struct stream *s, struct stream_stats *ret);
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
    /*
     * Known after the first POLL_ASSIGN and after stream_bounds. cluster_id is part of the txn
     * appId: another cluster's offsets are other offsets. topic_id changes when a topic is deleted
     * and made again; NULL where the stream has none.
     */
    char *cluster_id, *topic_id;
    void (*on_ack)(void *arg, const struct ack *a); /* NULL: nobody listens */
    void *ack_arg;
};

/*
 * Opens by URL: local:PATH or kafka://HOST:PORT[,HOST:PORT…]. A topic that does not exist is created by
 * the first send; reading it finds nothing.
 */
int stream_open(const char *url, const struct stream_options *o, struct stream **ret,
                struct err *e);

/*
 * Would it open, by URL, topic and properties? Nothing is made and nobody is asked. ERR_CONFIG.
 */
int stream_check(const char *url, const struct stream_options *o, struct err *e);
/* Is there such a property (kafka.NAME), may it be set, does it take this value? For any URL. */
int stream_check_property(const struct stream_property *p, struct err *e);

/* librdkafka's own version, "2.15.0". */
const char *stream_library_version(void);

/* Starts consuming: the next polls give POLL_ASSIGN, then records. */
static inline int stream_subscribe(struct stream *s, struct err *e) {
    return s->ops->subscribe(s, e);
}
/*
 * Appends at most max_records records (0: it only looks after the rest), and records only while sp's bytes stay within max_bytes (at
 * least one record, however large, if sp was empty), waiting at most timeout_ms for the first. What
 * is there already is handed out at once, however little.
 */
static inline int stream_poll(struct stream *s, int timeout_ms, struct span *sp, size_t max_records,
                              size_t max_bytes, struct poll_result *ret, struct err *e) {
    return s->ops->poll(s, timeout_ms, sp, max_records, max_bytes, ret, e);
}
/*
 * In answer to POLL_ASSIGN: reads its partitions, besides what is assigned already, from these
 * offsets. At any other time: reads these partitions, and no others. An offset beyond the stream's end or
 * before its beginning is an error that names the partition, the offset and the range.
 */
static inline int stream_assign(struct stream *s, const struct position *p, size_t n,
                                struct err *e) {
    return s->ops->assign(s, p, n, e);
}
/*
 * Asked before what was handed out is committed: are these records of the topic whose positions were
 * assigned, and not of one that was made under its name since? Waits a few seconds for the answer. With
 * e->retry nobody can tell just now.
 */
static inline int stream_confirm(struct stream *s, struct err *e) {
    return s->ops->confirm(s, e);
}
/* What each partition of the topic holds, by number; none: there is no topic yet. The caller frees *ret. */
static inline int stream_bounds(struct stream *s, struct bounds **ret, size_t *ret_n,
                                struct err *e) {
    return s->ops->bounds(s, ret, ret_n, e);
}
/* Looks at these offsets of the topic, besides all that is read; takes no part in the group. */
static inline int stream_peek(struct stream *s, struct peek *v, size_t n, struct err *e) {
    return s->ops->peek(s, v, n, e);
}
static inline int stream_retention(struct stream *s, struct retention *ret, struct err *e) {
    return s->ops->retention(s, ret, e);
}
/* May be called from any thread while the stream is open. */
static inline void stream_stats(struct stream *s, struct stream_stats *ret) {
    s->ops->stats(s, ret);
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
