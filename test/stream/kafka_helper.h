/* SPDX-License-Identifier: Apache-2.0 */
/* A real Kafka broker of the test program's own, and streams on it. */
#ifndef CM_TEST_STREAM_KAFKA_HELPER_H
#define CM_TEST_STREAM_KAFKA_HELPER_H

#include "stream/helper.h"

struct kafka_server {
    char *folder;
    char *plain, *sasl, *tls; /* host:port of its listeners */
    char *ca, *password;
};

/* test/services/kafka.sh; ends with the test program. Without a broker the program fails. */
void kafka_server_new(struct kafka_server *s);
/* The one at TEST_KAFKA (plain alone is known then), or a new one. */
void kafka_server_shared(struct kafka_server *s);
void kafka_server_free(struct kafka_server *s);
void kafka_server_do(const struct kafka_server *s,
                     const char *verb); /* stop, kill, start, restart */

/* A name nobody else has, such as "clicks-4711-3". The caller frees. */
char *kafka_unique(const char *prefix);

/* The contract's driver: clusters are topics and groups of their own on this broker. */
int kafka_conformance(const char *broker);

/*
 * A stream on the broker: topic, app and partitions from `o`. properties: "name=value" texts up to
 * a NULL, or NULL.
 */
struct stream *kafka_stream(const char *broker, const struct stream_options *o,
                            const char *const *properties);
int kafka_stream_try(const char *broker, const struct stream_options *o,
                     const char *const *properties, struct stream **ret, struct err *e);

/* What an administrator or another program does, by librdkafka itself. Each fails the test. */
void kafka_delete_topic(const char *broker, const char *topic);
void kafka_delete_records(const char *broker, const char *topic, int32_t partition, int64_t before);
void kafka_add_partitions(const char *broker, const char *topic, int32_t total);
/* n records into a partition in one transaction. */
void kafka_transaction(const char *broker, const char *topic, int32_t partition, int n,
                       bool commit);
/* Until partition 0 ends there: the broker writes a transaction's end a moment after it has answered. */
void kafka_wait_for_end(struct stream *s, int64_t end);
void kafka_send_at(const char *broker, const char *topic, int64_t timestamp_ms);
/* What the group has committed; -1001: nothing. */
int64_t kafka_committed(const char *broker, const char *group, const char *topic,
                        int32_t partition);

#endif
