/* SPDX-License-Identifier: Apache-2.0 */
/*
 * librdkafka's properties: ours as defaults, the user's on top (kafka.NAME in the configuration),
 * and those on which our guarantees stand, which nobody may change.
 */
#include <strings.h>

#include "base/limits.h"
#include "base/value.h"
#include "stream/drivers.h"
#include "stream/kafka_private.h"

struct preset {
    const char *name, *value;
};

/*
 * Memory: a fetch may answer with fetch.max.bytes for each broker, still compressed, and the queue
 * overshoots by that much. fetch.queue.backoff.ms is how long a fetcher sleeps when the queue is
 * full: the default of a second would starve a consumer with a small queue.
 */
static const struct preset common[] = {
    {"client.id", "clickmill"},
    {"allow.auto.create.topics", "false"},
    {"message.max.bytes", "2097152"},
    {"socket.keepalive.enable", "true"},
    {"socket.nagle.disable", "true"},
    {"reconnect.backoff.max.ms", "2000"},
    {"topic.metadata.refresh.interval.ms", "10000"},
    {"statistics.interval.ms", "2000"},
    {0},
};
static const struct preset consumer[] = {
    {"queued.min.messages", "1000000"},
    {"queued.max.messages.kbytes", "32768"},
    {"fetch.message.max.bytes", "1048576"},
    {"fetch.wait.max.ms", "100"}, /* a new position waits for the fetch that is under way */
    {"fetch.queue.backoff.ms", "5"},
    {"fetch.error.backoff.ms", "200"},
    {0},
};
static const struct preset producer[] = {
    {"enable.idempotence", "true"},
    {"compression.type", "lz4"},
    {"linger.ms", "20"},
    {"batch.num.messages", "50000"},
    {"queue.buffering.max.messages", "200000"},
    {"queue.buffering.max.kbytes", "65536"},
    {"sticky.partitioning.linger.ms", "0"}, /* produce_partition does it better */
    {0},
};

static const struct {
    const char *name, *why;
} reserved[] = {
    {"bootstrap.servers", "stream.url names the brokers"},
    {"metadata.broker.list", "stream.url names the brokers"},
    {"group.id", "stream.app names the group"},
    {"enable.auto.commit", "progress stands in the table"},
    {"auto.commit.enable", "progress stands in the table"},
    {"enable.auto.offset.store", "progress stands in the table"},
    {"auto.offset.reset", "positions come from the table"},
    {"enable.partition.eof", "ingest needs to know where a partition ends"},
    {"isolation.level", "only committed records are read"},
    {"check.crcs", "bytes that were damaged on the way must not be taken for records"},
    {"enable.idempotence", "a record that is sent again must not be there twice"},
    {"acks", "an acknowledged record is on all replicas in sync"},
    {"request.required.acks", "an acknowledged record is on all replicas in sync"},
    {"transactional.id", "produce is idempotent, not transactional"},
};

/* librdkafka lists its properties as a table for people only: NAME | … on each line. */
static void nearest_property(const char *name, char *out, size_t cap) {
    char *text = NULL, *line;
    size_t len, best = SIZE_MAX;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return;
    rd_kafka_conf_properties_show(f);
    fclose(f);
    for (char *rest = text; (line = strsep(&rest, "\n"));) {
        size_t n = strcspn(line, " ");
        if (line[n + strspn(line + n, " ")] != '|')
            continue;
        line[n] = '\0';
        size_t far = edit_distance(name, line);
        if (far < best) {
            best = far;
            snprintf(out, cap, "%s", line);
        }
    }
    free(text);
}

/* Our own words on librdkafka's "No such configuration property". */
static int unknown_property(const char *name, struct err *e) {
    char nearest[64] = "";
    nearest_property(name, nearest, sizeof nearest);
    err_set(e, ERR_CONFIG, "unknown key 'kafka.%s'; the nearest is 'kafka.%s'", name, nearest);
    return err_hint(e, "kafka.* takes the properties of librdkafka %s, as in its CONFIGURATION.md",
                    rd_kafka_version_str());
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *e) {
    char why[512];
    switch (rd_kafka_conf_set(conf, name, value, why, sizeof why)) {
    case RD_KAFKA_CONF_OK:
        return 0;
    case RD_KAFKA_CONF_UNKNOWN:
        return unknown_property(name, e);
    default:
        if (is_secret_name(name)) /* librdkafka quotes the value */
            snprintf(why, sizeof why, "this value is not accepted");
        return err_set(e, ERR_CONFIG, "kafka.%s: %s", name, why);
    }
}

static int set_all(rd_kafka_conf_t *conf, const struct preset *p, struct err *e) {
    int r = 0;
    for (; p->name && r == 0; p++)
        r = set(conf, p->name, p->value, e);
    return r;
}

/* What the user says of it; NULL: nothing. */
static const char *given(const struct kafka *k, const char *name) {
    const char *value = NULL;
    for (size_t i = 0; i < k->n_properties; i++)
        if (strcmp(k->properties[i].name, name) == 0)
            value = k->properties[i].value;
    return value;
}

/* KIP-848, group.protocol=consumer: the brokers assign, and take no strategy from us. */
static bool brokers_assign(const struct kafka *k) {
    const char *protocol = given(k, "group.protocol");
    return protocol && strcasecmp(protocol, "consumer") == 0;
}

bool kafka_uses_oidc(const struct kafka *k) {
    const char *method = given(k, "sasl.oauthbearer.method");
    return method && strcasecmp(method, "oidc") == 0;
}

static int set_users_one(rd_kafka_conf_t *conf, const char *name, const char *value,
                         struct err *e) {
    for (size_t n = 0; n < ARRAY_LEN(reserved); n++)
        if (strcmp(name, reserved[n].name) == 0)
            return err_set(e, ERR_CONFIG, "kafka.%s cannot be set: %s", name, reserved[n].why);
    return set(conf, name, value, e);
}

static int set_users(struct kafka *k, rd_kafka_conf_t *conf, struct err *e) {
    int r = 0;
    for (size_t i = 0; i < k->n_properties && r == 0; i++)
        r = set_users_one(conf, k->properties[i].name, k->properties[i].value, e);
    return r;
}

/* "" where it is not set; the buffer holds what is longer cut. */
static void get(rd_kafka_conf_t *conf, const char *name, char *out, size_t cap) {
    size_t n = cap;
    if (rd_kafka_conf_get(conf, name, out, &n) != RD_KAFKA_CONF_OK)
        out[0] = '\0';
    out[cap - 1] = '\0';
}

static int set_number(rd_kafka_conf_t *conf, const char *name, int64_t v, struct err *e) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)v);
    return set(conf, name, text, e);
}

/*
 * A member that dies keeps its partitions until its session expires, and a new one waits for that.
 * The default of 45 s is meant for consumers to whom an eviction does harm; the table sees to it
 * that it does us none.
 */
static int set_classic_group(struct kafka *k, rd_kafka_conf_t *conf, struct err *e) {
    int r = 0;
    if (!given(k, "partition.assignment.strategy"))
        r = set(conf, "partition.assignment.strategy", "cooperative-sticky", e);
    if (r == 0 && !given(k, "session.timeout.ms"))
        r = set(conf, "session.timeout.ms", "15000", e);
    return r;
}

/* The same for all that read. */
static int finish_reader(rd_kafka_conf_t *conf, struct err *e) {
    static const struct preset fixed[] = {
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"enable.partition.eof", "true"},
        {"isolation.level", "read_committed"},
        {"check.crcs", "true"},
        {0},
    };
    return set_all(conf, fixed, e);
}

/* It wants one record of each partition, and takes the rest of a batch as it comes. */
static int finish_peeker(rd_kafka_conf_t *conf, struct err *e) {
    static const struct preset small[] = {
        {"queued.min.messages", "1"},
        {"queued.max.messages.kbytes", "1"},
        {"fetch.queue.backoff.ms", "5"},
        {"fetch.wait.max.ms", "100"},
        {"fetch.message.max.bytes", "131072"},
        {"statistics.interval.ms", "0"},
        {0},
    };
    int r = finish_reader(conf, e);
    return r < 0 ? r : set_all(conf, small, e);
}

static int finish_consumer(struct kafka *k, rd_kafka_conf_t *conf, struct err *e) {
    int r = finish_reader(conf, e);
    if (r == 0)
        r = set(conf, "group.id", k->group, e);
    if (r == 0 && !brokers_assign(k))
        r = set_classic_group(k, conf, e);
    if (r == 0 && !given(k, "fetch.max.bytes"))
        r = set_number(conf, "fetch.max.bytes", MAX(8 * (int64_t)MIB, k->max_bytes), e);
    return r;
}

static int finish_producer(struct kafka *k, rd_kafka_conf_t *conf, struct err *e) {
    int r = set(conf, "acks", "all", e);
    /* 0 would be for ever; what is given up must be longer than what is waited for on purpose. */
    if (r == 0 && !given(k, "message.timeout.ms") && !given(k, "delivery.timeout.ms"))
        r = set_number(conf, "message.timeout.ms", MAX(k->timeout_ms, 1000), e);
    if (r == 0 && !given(k, "partitioner")) {
        rd_kafka_topic_conf_t *topic = rd_kafka_conf_get_default_topic_conf(conf);
        rd_kafka_topic_conf_set_partitioner_cb(topic, produce_partition);
        rd_kafka_topic_conf_set_opaque(topic, k);
    }
    return r;
}

int kafka_conf(struct kafka *k, enum kafka_role role, rd_kafka_conf_t **ret, struct err *e) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int r = set_all(conf, common, e);
    if (r == 0 && role == KAFKA_CONSUMER)
        r = set_all(conf, consumer, e);
    if (r == 0 && role == KAFKA_PRODUCER)
        r = set_all(conf, producer, e);
    if (r == 0)
        r = set_users(k, conf, e);
    if (r == 0)
        r = set(conf, "bootstrap.servers", k->brokers, e);
    if (r == 0 && role == KAFKA_CONSUMER)
        r = finish_consumer(k, conf, e);
    if (r == 0 && role == KAFKA_PEEKER)
        r = finish_peeker(conf, e);
    if (r == 0 && role == KAFKA_PRODUCER)
        r = finish_producer(k, conf, e);
    if (r == 0 && role == KAFKA_ADMIN) /* it asks; a producer id it needs not */
        r = set(conf, "enable.idempotence", "false", e);
    if (r < 0)
        rd_kafka_conf_destroy(conf);
    else
        *ret = conf;
    return r;
}

int kafka_conf_check(struct kafka *k, struct err *e) {
    rd_kafka_conf_t *conf;
    int r = kafka_conf(k, KAFKA_ADMIN, &conf, e);
    if (r < 0)
        return r;
    char text[64];
    get(conf, "message.max.bytes", text, sizeof text);
    k->max_bytes = strtoll(text, NULL, 10);
    get(conf, "security.protocol", text, sizeof text);
    if (strncasecmp(text, "sasl", 4) == 0) {
        get(conf, "sasl.mechanisms", text, sizeof text);
        k->mechanism = xstrdup(text);
    }
    rd_kafka_conf_destroy(conf);
    for (int role = KAFKA_PRODUCER; role < KAFKA_ROLES && r == 0; role++) {
        r = kafka_conf(k, (enum kafka_role)role, &conf, e);
        if (r == 0)
            rd_kafka_conf_destroy(conf);
    }
    return r;
}

int kafka_check_property(const char *name, const char *value, struct err *e) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int r = set_users_one(conf, name, value, e);
    rd_kafka_conf_destroy(conf);
    return r;
}
