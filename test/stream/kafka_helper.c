/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/kafka_helper.h"

#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fake/service.h"
#include "stream/conformance.h"

void kafka_server_new(struct kafka_server *s) {
    s->folder = temp_folder();
    service_do("kafka", "start", s->folder, "");
    _cleanup_(freep) char *env = service_run("kafka", "env", s->folder);
    s->plain = service_value(env, "TEST_KAFKA");
    s->sasl = service_value(env, "TEST_KAFKA_SASL");
    s->tls = service_value(env, "TEST_KAFKA_TLS");
    s->ca = service_value(env, "TEST_KAFKA_CA");
    s->password = service_value(env, "TEST_KAFKA_PASSWORD");
}

void kafka_server_shared(struct kafka_server *s) {
    const char *given = getenv("TEST_KAFKA");
    if (given && *given)
        *s = (struct kafka_server){.plain = xstrdup(given)};
    else
        kafka_server_new(s);
}

void kafka_server_do(const struct kafka_server *s, const char *verb) {
    service_do("kafka", verb, s->folder, "");
}

void kafka_server_free(struct kafka_server *s) {
    if (s->folder) {
        kafka_server_do(s, "stop");
        remove_folder(s->folder);
    }
    free(s->plain);
    free(s->sasl);
    free(s->tls);
    free(s->ca);
    free(s->password);
    *s = (struct kafka_server){0};
}

char *kafka_unique(const char *prefix) {
    static int n;
    return xasprintf("%s-%d-%d", prefix, (int)getpid(), ++n);
}

int kafka_stream_try(const char *broker, const struct stream_options *o,
                     const char *const *properties, struct stream **ret, struct err *e) {
    struct stream_options with = *o;
    struct stream_property v[32];
    char *copies[32];
    size_t n = 0;
    for (; properties && properties[n]; n++) {
        copies[n] = xstrdup(properties[n]);
        char *eq = strchr(copies[n], '=');
        *eq = '\0';
        v[n] = (struct stream_property){copies[n], eq + 1};
    }
    with.properties = v;
    with.n_properties = n;
    _cleanup_(freep) char *url = xasprintf("kafka://%s", broker);
    int r = stream_open(url, &with, ret, e);
    while (n > 0)
        free(copies[--n]);
    return r;
}

struct stream *kafka_stream(const char *broker, const struct stream_options *o,
                            const char *const *properties) {
    struct stream *s;
    struct err e;
    assert_ok(kafka_stream_try(broker, o, properties, &s, &e), &e);
    return s;
}

/* --- the contract --- */

static const char *contract_broker;

static void *cluster_new(void) {
    return kafka_unique("");
}

static int cluster_open(void *cluster, const struct stream_options *o, struct stream **ret,
                        struct err *e) {
    static const char *const properties[] = {"message.max.bytes=8388608", NULL};
    _cleanup_(freep) char *topic = xasprintf("%s%s", o->topic, (char *)cluster);
    _cleanup_(freep) char *app = xasprintf("%s%s", o->app, (char *)cluster);
    struct stream_options mine = *o;
    mine.topic = topic;
    mine.app = app;
    return kafka_stream_try(contract_broker, &mine, properties, ret, e);
}

int kafka_conformance(const char *broker) {
    static const struct stream_driver kafka = {"kafka", cluster_new, cluster_open, free,
                                               .one_cluster = true};
    contract_broker = broker;
    return stream_conformance(&kafka);
}

/* --- an administrator --- */

static rd_kafka_t *raw(rd_kafka_type_t type, const char *broker, const char *name,
                       const char *value) {
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", broker, why, sizeof why);
    if (name && rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        fail_msg("%s", why);
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    assert_non_null(rk);
    return rk;
}

/* The answer to an admin question; `sent` has put it on its way. */
static void answered(rd_kafka_t *rk, rd_kafka_queue_t *q) {
    rd_kafka_event_t *ev = rd_kafka_queue_poll(q, 30000);
    assert_non_null(ev);
    if (rd_kafka_event_error(ev))
        fail_msg("%s", rd_kafka_event_error_string(ev));
    rd_kafka_event_destroy(ev);
    rd_kafka_queue_destroy(q);
    rd_kafka_destroy(rk);
}

void kafka_delete_topic(const char *broker, const char *topic) {
    rd_kafka_t *rk = raw(RD_KAFKA_PRODUCER, broker, NULL, NULL);
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_DeleteTopic_t *del = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_DeleteTopics(rk, &del, 1, NULL, q);
    rd_kafka_DeleteTopic_destroy(del);
    answered(rk, q);
}

void kafka_delete_records(const char *broker, const char *topic, int32_t partition,
                          int64_t before) {
    rd_kafka_t *rk = raw(RD_KAFKA_PRODUCER, broker, NULL, NULL);
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = before;
    rd_kafka_DeleteRecords_t *del = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(rk, &del, 1, NULL, q);
    rd_kafka_DeleteRecords_destroy(del);
    rd_kafka_topic_partition_list_destroy(list);
    answered(rk, q);
}

void kafka_add_partitions(const char *broker, const char *topic, int32_t total) {
    char why[512];
    rd_kafka_t *rk = raw(RD_KAFKA_PRODUCER, broker, NULL, NULL);
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_NewPartitions_t *more =
        rd_kafka_NewPartitions_new(topic, (size_t)total, why, sizeof why);
    rd_kafka_CreatePartitions(rk, &more, 1, NULL, q);
    rd_kafka_NewPartitions_destroy(more);
    answered(rk, q);
}

static void assert_no_error(rd_kafka_error_t *error) {
    if (error)
        fail_msg("%s", rd_kafka_error_string(error));
}

void kafka_transaction(const char *broker, const char *topic, int32_t partition, int n,
                       bool commit) {
    _cleanup_(freep) char *id = kafka_unique("txn");
    rd_kafka_t *rk = raw(RD_KAFKA_PRODUCER, broker, "transactional.id", id);
    assert_no_error(rd_kafka_init_transactions(rk, 30000));
    assert_no_error(rd_kafka_begin_transaction(rk));
    for (int i = 0; i < n; i++)
        assert_int_equal(
            rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                              RD_KAFKA_V_VALUE((void *)(uintptr_t) "txn", 3), RD_KAFKA_V_END),
            0);
    assert_int_equal(rd_kafka_flush(rk, 30000), 0);
    assert_no_error(commit ? rd_kafka_commit_transaction(rk, 30000)
                           : rd_kafka_abort_transaction(rk, 30000));
    rd_kafka_destroy(rk);
}

void kafka_wait_for_end(struct stream *s, int64_t end) {
    int64_t until = clock_mono_ns() + 30 * 1000000000LL;
    for (int64_t seen = -1; seen != end;) {
        struct bounds *b;
        size_t n;
        struct err e;
        assert_true(clock_mono_ns() < until);
        assert_ok(stream_bounds(s, &b, &n, &e), &e);
        seen = b[0].end;
        free(b);
    }
}

void kafka_send_at(const char *broker, const char *topic, int64_t timestamp_ms) {
    rd_kafka_t *rk = raw(RD_KAFKA_PRODUCER, broker, NULL, NULL);
    assert_int_equal(
        rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_TIMESTAMP(timestamp_ms),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t) "then", 4), RD_KAFKA_V_END),
        0);
    assert_int_equal(rd_kafka_flush(rk, 30000), 0);
    rd_kafka_destroy(rk);
}

int64_t kafka_committed(const char *broker, const char *group, const char *topic,
                        int32_t partition) {
    rd_kafka_t *rk = raw(RD_KAFKA_CONSUMER, broker, "group.id", group);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    assert_int_equal(rd_kafka_committed(rk, list, 30000), 0);
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return offset;
}
