/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the cluster: what is the topic, what do its partitions hold; and the topic's
 * creation. Answers come as events on a queue of the question's own.
 */
#include "base/clock.h"
#include "base/util.h"
#include "stream/kafka_private.h"

/* A question waits this long for its answer, and is asked again. */
enum { ASK_MS = 3000, REACH_MS = 200 };

static void queue_freep(rd_kafka_queue_t **q) {
    if (*q)
        rd_kafka_queue_destroy(*q);
}
static void event_freep(rd_kafka_event_t **ev) {
    if (*ev)
        rd_kafka_event_destroy(*ev);
}
#define _queue_ _cleanup_(queue_freep) rd_kafka_queue_t *
#define _event_ _cleanup_(event_freep) rd_kafka_event_t *

/* Whichever handle is open will do. */
static int asking_handle(struct kafka *k, rd_kafka_t **ret, struct err *e) {
    *ret = k->rk[KAFKA_CONSUMER] ? k->rk[KAFKA_CONSUMER] : k->rk[KAFKA_PRODUCER];
    return *ret ? 0 : kafka_handle(k, KAFKA_ADMIN, ret, e);
}

static rd_kafka_AdminOptions_t *options_new(rd_kafka_t *rk, rd_kafka_admin_op_t op,
                                            int64_t timeout_ms) {
    char why[256];
    rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(rk, op);
    /* At most an hour, says librdkafka. */
    rd_kafka_AdminOptions_set_request_timeout(o, (int)MIN(MAX(timeout_ms, 1), 3600000), why,
                                              sizeof why);
    return o;
}

/* Asked to stop, we still wait this long. */
static bool stop_now(int64_t since_ns) {
    return stop_requested() && clock_mono_ns() - since_ns > 2000000000;
}

/* While an answer is due: 0 to wait on, or why not. Times are of clock_mono_ns. */
static int go_on(struct kafka *k, rd_kafka_t *rk, int64_t start, int64_t until, const char *what,
                 struct err *e) {
    rd_kafka_poll(rk, 0); /* errors are told there */
    int r = kafka_refused(k, e);
    if (r < 0)
        return r;
    if (stop_now(start))
        return err_set(e, ERR_STOPPED, "stopped while waiting for %s", k->s.url);
    if (clock_mono_ns() > until)
        return kafka_failed(k, e, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, what);
    return 0;
}

/*
 * Waits until a broker answers. A question that is asked while none is there makes librdkafka
 * (2.15) connect again at once after each refusal, at a whole processor's expense; this waits at
 * the pace of reconnect.backoff.ms.
 */
static int reach(struct kafka *k, rd_kafka_t *rk, int64_t until_ns, const char *what,
                 struct err *e) {
    int64_t start = clock_mono_ns();
    for (;;) {
        const struct rd_kafka_metadata *md;
        rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, NULL, &md, REACH_MS);
        if (!err) {
            rd_kafka_metadata_destroy(md);
            return 0;
        }
        int r = go_on(k, rk, start, until_ns, what, e);
        if (r < 0)
            return r;
    }
}

/* The next answer; librdkafka's own time-out ends the wait, ours only if that fails. */
static int await(struct kafka *k, rd_kafka_t *rk, rd_kafka_queue_t *q, int64_t timeout_ms,
                 const char *what, rd_kafka_event_t **ret, struct err *e) {
    int64_t start = clock_mono_ns(), until = start + (timeout_ms + 2000) * 1000000;
    rd_kafka_event_t *ev;
    while (!(ev = rd_kafka_queue_poll(q, 20))) {
        int r = go_on(k, rk, start, until, what, e);
        if (r < 0)
            return r;
    }
    rd_kafka_resp_err_t err = rd_kafka_event_error(ev);
    if (err) {
        int r = kafka_failed(k, e, err, rd_kafka_event_error_string(ev), what);
        rd_kafka_event_destroy(ev);
        return r;
    }
    kafka_went_well(k);
    *ret = ev;
    return 0;
}

/* --- what the topic is --- */

void kafka_describe_send(struct kafka *k, rd_kafka_t *rk, int64_t timeout_ms, rd_kafka_queue_t *q) {
    const char *names[] = {k->s.topic};
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, 1);
    rd_kafka_AdminOptions_t *o = options_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout_ms);
    rd_kafka_DescribeTopics(rk, topics, o, q);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_TopicCollection_destroy(topics);
}

int kafka_describe_read(struct kafka *k, rd_kafka_event_t *ev, struct topic_info *ret,
                        struct err *e) {
    static const char what[] = "cannot describe the topic";
    size_t n;
    const rd_kafka_TopicDescription_t **v =
        rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(ev), &n);
    if (n != 1)
        return kafka_failed(k, e, RD_KAFKA_RESP_ERR__BAD_MSG, NULL, what);
    const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(v[0]);
    rd_kafka_resp_err_t err = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    struct topic_info t = {0};
    if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        *ret = t;
        return 0;
    }
    if (err)
        return kafka_failed(k, e, err, rd_kafka_error_string(error), what);
    const rd_kafka_TopicPartitionInfo_t **p = rd_kafka_TopicDescription_partitions(v[0], &n);
    t.partitions = (int32_t)n;
    for (size_t i = 0; i < n; i++)
        t.leaderless = t.leaderless || !rd_kafka_TopicPartitionInfo_leader(p[i]);
    const rd_kafka_Uuid_t *id = rd_kafka_TopicDescription_topic_id(v[0]);
    /* KIP-516; all zero from a cluster older than that. */
    if (id && (rd_kafka_Uuid_most_significant_bits(id) || rd_kafka_Uuid_least_significant_bits(id)))
        snprintf(t.id, sizeof t.id, "%s", rd_kafka_Uuid_base64str(id));
    *ret = t;
    return 0;
}

static int describe(struct kafka *k, rd_kafka_t *rk, int64_t until_ns, struct topic_info *ret,
                    struct err *e) {
    static const char what[] = "cannot describe the topic";
    int r = reach(k, rk, until_ns, what, e);
    if (r < 0)
        return r;
    _queue_ q = rd_kafka_queue_new(rk);
    _event_ ev = NULL;
    kafka_describe_send(k, rk, ASK_MS, q);
    r = await(k, rk, q, ASK_MS, what, &ev, e);
    return r < 0 ? r : kafka_describe_read(k, ev, ret, e);
}

int kafka_describe(struct kafka *k, int64_t timeout_ms, struct topic_info *ret, struct err *e) {
    int64_t until = clock_mono_ns() + timeout_ms * 1000000;
    rd_kafka_t *rk;
    int r = asking_handle(k, &rk, e);
    while (r == 0 && (r = describe(k, rk, until, ret, e)) < 0 && e->retry)
        r = clock_mono_ns() < until && !stop_wait(100) ? 0 : r;
    return r;
}

static void replace(char **p, const char *text) {
    free(*p);
    *p = text && *text ? xstrdup(text) : NULL;
}

/* librdkafka takes it from each answer about brokers and topics. */
static int identify_cluster(struct kafka *k, struct err *e) {
    rd_kafka_t *rk;
    int r = asking_handle(k, &rk, e);
    char *id = r == 0 ? rd_kafka_clusterid(rk, (int)MIN(k->timeout_ms, 60000)) : NULL;
    if (r < 0)
        return r;
    if (!id)
        return kafka_failed(k, e, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL,
                            "the cluster does not tell its id");
    if (k->s.cluster_id && strcmp(id, k->s.cluster_id) != 0 && kafka_is_reading(k)) {
        kafka_error(k, e, "another cluster answers (its id was %s and is %s)", k->s.cluster_id, id);
        r = err_hint(e, "started again, ingest reads this one from its beginning");
    } else if (!k->s.cluster_id || strcmp(id, k->s.cluster_id) != 0) {
        replace(&k->s.cluster_id, id);
    }
    rd_kafka_mem_free(rk, id);
    return r;
}

int kafka_identify(struct kafka *k, const struct topic_info *t, struct err *e) {
    int r = identify_cluster(k, e);
    if (r < 0)
        return r;
    if (t->partitions == 0 || (k->s.topic_id && strcmp(k->s.topic_id, t->id) == 0))
        return 0;
    if (k->s.topic_id && kafka_is_reading(k)) {
        kafka_error(k, e, "the topic was deleted and created again (its id was %s and is %s)",
                    k->s.topic_id, *t->id ? t->id : "none");
        return err_hint(e, "the offsets in bronze are those of the old topic: choose another "
                           "stream.app or stream.topic to begin anew");
    }
    replace(&k->s.topic_id, t->id);
    return 0;
}

/* --- creation --- */

static int create_answer(struct kafka *k, rd_kafka_event_t *ev, struct err *e) {
    size_t n;
    const rd_kafka_topic_result_t **v =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &n);
    rd_kafka_resp_err_t err = n ? rd_kafka_topic_result_error(v[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
    if (!err || err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return 0;
    int r = kafka_failed(k, e, err, n ? rd_kafka_topic_result_error_string(v[0]) : NULL,
                         "cannot create the topic");
    if (err == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR)
        err_hint(e, "stream.replication is at most the number of brokers");
    return r;
}

static int create_topic(struct kafka *k, struct err *e) {
    rd_kafka_t *rk;
    int r = asking_handle(k, &rk, e);
    if (r < 0)
        return r;
    char why[512], bytes[32];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(k->s.topic, k->partitions, k->replication, why, sizeof why);
    if (!topic)
        return kafka_error(k, e, "cannot create the topic: %s", why);
    snprintf(bytes, sizeof bytes, "%lld", (long long)k->max_bytes);
    rd_kafka_NewTopic_set_config(topic, "message.timestamp.type",
                                 k->create_time ? "CreateTime" : "LogAppendTime");
    rd_kafka_NewTopic_set_config(topic, "max.message.bytes", bytes);
    rd_kafka_AdminOptions_t *o = options_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS, k->timeout_ms);
    _queue_ q = rd_kafka_queue_new(rk);
    _event_ ev = NULL;
    rd_kafka_CreateTopics(rk, &topic, 1, o, q);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_NewTopic_destroy(topic);
    r = await(k, rk, q, k->timeout_ms, "cannot create the topic", &ev, e);
    return r < 0 ? r : create_answer(k, ev, e);
}

int kafka_create(struct kafka *k, struct err *e) {
    struct topic_info t;
    int64_t until = clock_mono_ns() + k->timeout_ms * 1000000;
    int r = kafka_describe(k, k->timeout_ms, &t, e);
    if (r == 0 && t.partitions == 0)
        r = create_topic(k, e);
    while (r == 0 && (r = kafka_describe(k, k->timeout_ms, &t, e)) == 0) {
        if (t.partitions > 0 && !t.leaderless)
            return kafka_identify(k, &t, e);
        if (clock_mono_ns() > until)
            return kafka_failed(k, e, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, NULL,
                                "waiting for the topic");
        stop_wait(20);
    }
    return r;
}

/* --- what the partitions hold --- */

enum edge { EARLIEST, LATEST };

static void ask_offsets(struct kafka *k, rd_kafka_t *rk, const struct bounds *v, size_t n,
                        enum edge edge, rd_kafka_queue_t *q) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, k->s.topic, v[i].partition)->offset =
            edge == EARLIEST ? (int64_t)RD_KAFKA_OFFSET_SPEC_EARLIEST
                             : (int64_t)RD_KAFKA_OFFSET_SPEC_LATEST;
    rd_kafka_AdminOptions_t *o = options_new(rk, RD_KAFKA_ADMIN_OP_LISTOFFSETS, ASK_MS);
    /* The latest is then the last stable offset: what lies behind it cannot be read yet. */
    rd_kafka_error_destroy(
        rd_kafka_AdminOptions_set_isolation_level(o, RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED));
    rd_kafka_AdminOptions_set_opaque(o, (void *)(uintptr_t)edge);
    rd_kafka_ListOffsets(rk, list, o, q);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_topic_partition_list_destroy(list);
}

static int read_offsets(struct kafka *k, rd_kafka_event_t *ev, struct bounds *v, size_t n,
                        struct err *e) {
    size_t got;
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(ev), &got);
    enum edge edge = (enum edge)(uintptr_t)rd_kafka_event_opaque(ev);
    for (size_t i = 0; i < got; i++) {
        const rd_kafka_topic_partition_t *p =
            rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        if (p->err) {
            char what[64];
            snprintf(what, sizeof what, "cannot read the bounds of partition %d", p->partition);
            kafka_failed(k, e, p->err, NULL, what);
            if (p->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
                err_retry(e); /* the cluster has described it: this broker is yet to hear of it */
            return e->code;
        }
        for (size_t at = 0; at < n; at++)
            if (v[at].partition == p->partition)
                *(edge == EARLIEST ? &v[at].begin : &v[at].end) = p->offset;
    }
    return 0;
}

static int try_offsets(struct kafka *k, rd_kafka_t *rk, int64_t until_ns, struct bounds *v,
                       size_t n, struct err *e) {
    static const char what[] = "cannot read the partitions' bounds";
    int r = reach(k, rk, until_ns, what, e);
    if (r < 0)
        return r;
    _queue_ q = rd_kafka_queue_new(rk);
    ask_offsets(k, rk, v, n, EARLIEST, q);
    ask_offsets(k, rk, v, n, LATEST, q);
    for (int i = 0; i < 2; i++) {
        _event_ ev = NULL;
        r = await(k, rk, q, ASK_MS, what, &ev, e);
        if (r == 0)
            r = read_offsets(k, ev, v, n, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int kafka_offsets(struct kafka *k, struct bounds *v, size_t n, struct err *e) {
    rd_kafka_t *rk;
    int r = n ? asking_handle(k, &rk, e) : 0;
    if (n == 0 || r < 0)
        return r;
    /* A leader that has just moved answers with an error that passes at once. */
    int64_t until = clock_mono_ns() + k->timeout_ms * 1000000;
    while ((r = try_offsets(k, rk, until, v, n, e)) < 0 && e->retry && clock_mono_ns() < until)
        if (stop_wait(100))
            break;
    return r;
}

int kafka_bounds(struct stream *s, struct bounds **ret, size_t *ret_n, struct err *e) {
    struct kafka *k = (struct kafka *)s;
    struct topic_info t;
    int r = kafka_describe(k, k->timeout_ms, &t, e);
    if (r == 0)
        r = kafka_identify(k, &t, e);
    if (r < 0)
        return r;
    size_t n = (size_t)t.partitions;
    struct bounds *v = xcalloc(MAX(n, 1), sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i].partition = (int32_t)i;
    r = kafka_offsets(k, v, n, e);
    if (r < 0) {
        free(v);
        return r;
    }
    *ret = v;
    *ret_n = n;
    return 0;
}

/* --- how long records stay --- */

static int64_t limit_of(const rd_kafka_ConfigResource_t *topic, const char *name) {
    size_t n;
    const rd_kafka_ConfigEntry_t **v = rd_kafka_ConfigResource_configs(topic, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(v[i]), name) == 0) {
            const char *value = rd_kafka_ConfigEntry_value(v[i]);
            return value ? strtoll(value, NULL, 10) : -1;
        }
    return -1;
}

/* A topic that is only compacted keeps the newest value of each key, for ever. */
static bool deletes(const rd_kafka_ConfigResource_t *topic) {
    size_t n;
    const rd_kafka_ConfigEntry_t **v = rd_kafka_ConfigResource_configs(topic, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(v[i]), "cleanup.policy") == 0) {
            const char *value = rd_kafka_ConfigEntry_value(v[i]);
            return !value || strstr(value, "delete");
        }
    return true;
}

static int read_retention(struct kafka *k, rd_kafka_event_t *ev, struct retention *ret,
                          struct err *e) {
    size_t n;
    const rd_kafka_ConfigResource_t **v =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(ev), &n);
    rd_kafka_resp_err_t err =
        n == 1 ? rd_kafka_ConfigResource_error(v[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
    const char *why = n == 1 ? rd_kafka_ConfigResource_error_string(v[0]) : NULL;
    *ret = (struct retention){.ms = -1, .bytes = -1};
    if (kafka_is_forbidden(err)) {
        kafka_tell_forbidden(k, "how long the topic keeps records", rd_kafka_err2str(err));
        return 0;
    }
    if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return 0;
    if (err)
        return kafka_failed(k, e, err, why, "cannot read the topic's retention");
    ret->known = true;
    if (deletes(v[0])) {
        ret->ms = limit_of(v[0], "retention.ms");
        ret->bytes = limit_of(v[0], "retention.bytes");
    }
    return 0;
}

int kafka_retention(struct stream *s, struct retention *ret, struct err *e) {
    static const char what[] = "cannot read the topic's retention";
    struct kafka *k = (struct kafka *)s;
    rd_kafka_t *rk;
    int r = asking_handle(k, &rk, e);
    if (r == 0)
        r = reach(k, rk, clock_mono_ns() + k->timeout_ms * 1000000, what, e);
    if (r < 0)
        return r;
    rd_kafka_ConfigResource_t *topic =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, s->topic);
    rd_kafka_AdminOptions_t *o = options_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, ASK_MS);
    _queue_ q = rd_kafka_queue_new(rk);
    _event_ ev = NULL;
    rd_kafka_DescribeConfigs(rk, &topic, 1, o, q);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_ConfigResource_destroy(topic);
    r = await(k, rk, q, ASK_MS, what, &ev, e);
    return r < 0 ? r : read_retention(k, ev, ret, e);
}
