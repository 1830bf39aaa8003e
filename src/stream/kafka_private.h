/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the Kafka driver (kafka.c has the overview): the client's handles and what its callbacks
 * told (kafka.c), its properties (kafka_conf.c), questions to the cluster (kafka_admin.c), the
 * producer (kafka_produce.c), the consumer (kafka_consume.c, kafka_group.c), and what is looked at beside
 * them (kafka_peek.c).
 *
 * The one place that knows librdkafka's header.
 */
#ifndef CM_STREAM_KAFKA_PRIVATE_H
#define CM_STREAM_KAFKA_PRIVATE_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "stream/stream.h"

/* What a handle of librdkafka is for. Each has its own threads and connections. */
enum kafka_role {
    KAFKA_ADMIN, /* questions only, where neither of the others is open */
    KAFKA_PRODUCER,
    KAFKA_CONSUMER,
    KAFKA_PEEKER, /* looks at single records, without a group */
    KAFKA_ROLES
};

struct kafka {
    struct stream s;
    char *brokers, *group;
    struct stream_property *properties; /* the user's, in order */
    size_t n_properties;
    int32_t partitions, replication; /* of a topic we create */
    bool accept_loss, create_time;
    int64_t timeout_ms;
    int64_t max_bytes; /* message.max.bytes */
    char *mechanism;   /* "SCRAM-SHA-512"; NULL: no login */
    rd_kafka_t *rk[KAFKA_ROLES];
    struct kafka_producer *producer;
    struct kafka_consumer *consumer;
    rd_kafka_topic_t *peeked; /* the peeker's */
    bool forbidden_told;      /* warned once that not all can be known */
    bool closing;             /* callbacks that come now are of no interest */

    /* Told by callbacks, in the thread that calls us. */
    char trouble[512];     /* the last error librdkafka spoke of; empty: none since it went well */
    int64_t refused_ns;    /* since when the login or TLS fails; 0: it does not */
    char oversize[512];    /* an answer was larger than librdkafka takes; empty: none was */
    bool reached;          /* an answer has come, once */
    atomic_int x509_error; /* why we do not trust the broker's certificate; 0: we do */
    atomic_llong told_ns;  /* when a lost connection was last logged */
    atomic_int rebalances; /* the rest for kafka_stats, from any thread */
    atomic_int errors;
    atomic_int brokers_up;
    /*
     * No connection stands, bootstrap included, as statistics say. A question to the controller that
     * waits then makes librdkafka (2.15) connect again at once after each refusal, at a whole
     * processor's expense; it finds the cluster again by itself, at its own pace.
     */
    atomic_bool away;
    atomic_llong queued_bytes;
};

/* kafka.c */

/* Opens the handle if it is not open yet. */
int kafka_handle(struct kafka *k, enum kafka_role role, rd_kafka_t **ret, struct err *e);
/* Sets an ERR_STREAM "stream URL, topic 'T': …". */
int kafka_error(struct kafka *k, struct err *e, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* The same for an error of librdkafka, with retry and the hint that fits it; `why` NULL: its name. */
int kafka_failed(struct kafka *k, struct err *e, rd_kafka_resp_err_t err, const char *why,
                 const char *what);
bool kafka_is_forbidden(rd_kafka_resp_err_t err);
/* Warns, once, that an ACL keeps us from knowing `what`. */
void kafka_tell_forbidden(struct kafka *k, const char *what, const char *why);
/* A batch, or an answer, is larger than we take: that does not pass by waiting. */
int kafka_oversize(struct kafka *k, const char *why, struct err *e);
/* Of what repeats while the cluster is away, one line in a while goes to the log. From any thread. */
bool kafka_may_log(struct kafka *k);
/* Whatever came from the cluster proves that it is there and lets us in. */
void kafka_went_well(struct kafka *k);

/* kafka_login.c */

/* An error once the cluster refuses us, or we it; 0 as long as there is hope. */
int kafka_refused(struct kafka *k, struct err *e);
bool kafka_is_login(rd_kafka_resp_err_t err);
int kafka_login_hint(struct kafka *k, struct err *e);
/* What librdkafka tells of an error: is it a refusal? */
void kafka_note_refusal(struct kafka *k, rd_kafka_resp_err_t err, const char *reason);
/* From librdkafka's threads. Verifies nothing, but remembers what OpenSSL found. */
int kafka_verify_certificate(rd_kafka_t *rk, const char *broker, int32_t broker_id, int *x509_error,
                             int depth, const char *cert, size_t size, char *errstr,
                             size_t errstr_size, void *opaque);

/* kafka_conf.c */

/* librdkafka's configuration for a role; ERR_CONFIG names the property. */
int kafka_conf(struct kafka *k, enum kafka_role role, rd_kafka_conf_t **ret, struct err *e);
/* Do the user's properties say that tokens come from an OpenID provider? */
bool kafka_uses_oidc(const struct kafka *k);
/* Checks the properties and reads from them what we must know ourselves. */
int kafka_conf_check(struct kafka *k, struct err *e);

/* kafka_admin.c */

struct topic_info {
    int32_t partitions; /* 0: there is no such topic */
    bool leaderless;    /* a partition has no leader yet */
    char id[64];        /* empty: the cluster knows no topic ids */
};

/* Asks what the topic is now; *ret untouched on failure. */
int kafka_describe(struct kafka *k, int64_t timeout_ms, struct topic_info *ret, struct err *e);
/* The same in two halves, so that a poll need not wait. `q` gets the answer. */
void kafka_describe_send(struct kafka *k, rd_kafka_t *rk, int64_t timeout_ms, rd_kafka_queue_t *q);
int kafka_describe_read(struct kafka *k, rd_kafka_event_t *ev, struct topic_info *ret,
                        struct err *e);
/* Takes down cluster_id and topic_id. */
int kafka_identify(struct kafka *k, const struct topic_info *t, struct err *e);
/* Creates the topic unless it exists, and waits until every partition has a leader. */
int kafka_create(struct kafka *k, struct err *e);
/* First and next offset of each of these partitions (only .partition is read). */
int kafka_offsets(struct kafka *k, struct bounds *v, size_t n, struct err *e);
int kafka_bounds(struct stream *s, struct bounds **ret, size_t *ret_n, struct err *e);
int kafka_retention(struct stream *s, struct retention *ret, struct err *e);

/* kafka_peek.c */
int kafka_peek(struct stream *s, struct peek *v, size_t n, struct err *e);
void kafka_peeker_free(struct kafka *k);

/* kafka_produce.c */
int produce_send(struct stream *s, const void *key, size_t key_len, const void *value,
                 size_t value_len, void *opaque, struct err *e);
int produce_flush(struct stream *s, struct err *e);
void produce_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque);
int32_t produce_partition(const rd_kafka_topic_t *rkt, const void *key, size_t key_len,
                          int32_t partitions, void *rkt_opaque, void *msg_opaque);
void kafka_producer_free(struct kafka *k);

/* kafka_consume.c, kafka_group.c: see kafka_consume.h */
int consume_subscribe(struct stream *s, struct err *e);
int consume_poll(struct stream *s, int timeout_ms, struct span *sp, size_t max_records,
                 size_t max_bytes, struct poll_result *ret, struct err *e);
int consume_assign(struct stream *s, const struct position *p, size_t n, struct err *e);
int consume_confirm(struct stream *s, struct err *e);
void consume_committed(struct stream *s, const struct position *p, size_t n);
void consume_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                       rd_kafka_topic_partition_list_t *list, void *opaque);
void kafka_consumer_free(struct kafka *k);
/* Is something read at this moment? Then a new topic under the old name is an error. */
bool kafka_is_reading(const struct kafka *k);

#endif
