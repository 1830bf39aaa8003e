/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Kafka stream, `kafka://HOST:PORT,HOST:PORT`, by librdkafka: docs/kafka.md for users, decision
 * 0007 for the why.
 *
 * librdkafka works in threads of its own and talks to us by queues that we empty: everything it
 * tells (acknowledgements, rebalances, errors) arrives inside a call of ours, in our caller's
 * thread. Only its log lines come from elsewhere. Up to three handles are opened when they are
 * first needed: producer, consumer, and one for questions where neither is open.
 *
 * A cluster that is away is no error by itself: librdkafka tries again for ever. It becomes one
 * where a single call has waited for stream.timeout, or where the cluster is there and refuses us.
 */
#include <pthread.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/value.h"
#include "stream/drivers.h"
#include "stream/kafka_private.h"

enum { TOLD_MS = 10000 };

int kafka_error(struct kafka *k, struct err *e, const char *fmt, ...) {
    char msg[1500];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    return err_set(e, ERR_STREAM, "stream %s, topic '%s': %s", k->s.url, k->s.topic, msg);
}

bool kafka_is_forbidden(rd_kafka_resp_err_t err) {
    return err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           err == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

static bool can_pass(rd_kafka_resp_err_t err) {
    switch (err) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__NOENT: /* ListOffsets: a partition has no leader just now */
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH: /* we, or the broker, have yet to hear of a new leader */
    case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
        return true;
    default:
        return false;
    }
}

int kafka_failed(struct kafka *k, struct err *e, rd_kafka_resp_err_t err, const char *why,
                 const char *what) {
    bool pass = can_pass(err);
    kafka_error(k, e, "%s: %s%s%s%s", what, why && *why ? why : rd_kafka_err2str(err),
                pass && *k->trouble ? " (" : "", pass ? k->trouble : "",
                pass && *k->trouble ? ")" : "");
    if (pass) {
        err_retry(e);
        return err_hint(e, k->reached
                               ? "is the broker up, and is stream.url its address?"
                               : "is the broker up, is stream.url its address, and does that "
                                 "port speak kafka.security.protocol (plaintext if not set)?");
    }
    if (err == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ||
        err == RD_KAFKA_RESP_ERR_UNRELEASED_INSTANCE_ID)
        return err_hint(e,
                        "another process has joined with this kafka.group.instance.id: each needs "
                        "one of its own");
    if (kafka_is_login(err))
        return kafka_login_hint(k, e);
    if (kafka_is_forbidden(err))
        return err_hint(e, "the cluster's ACLs must allow it: docs/kafka.md lists what is needed");
    return e->code;
}

int kafka_oversize(struct kafka *k, const char *why, struct err *e) {
    kafka_error(k, e, "cannot read: %s", why);
    return err_hint(e,
                    "kafka.receive.message.max.bytes must be larger than the largest batch that "
                    "was written to the topic; absurd sizes come from a port that is not Kafka's");
}

void kafka_tell_forbidden(struct kafka *k, const char *what, const char *why) {
    if (!k->forbidden_told)
        log_warn(
            "not all of the topic can be looked at: docs/kafka.md lists what the ACLs must allow",
            F_STR("topic", k->s.topic), F_STR("unknown", what), F_STR("why", why));
    k->forbidden_told = true;
}

void kafka_went_well(struct kafka *k) {
    k->reached = true;
    k->refused_ns = 0;
    k->trouble[0] = '\0';
    if (atomic_load(&k->x509_error))
        atomic_store(&k->x509_error, 0);
}

/* --- callbacks --- */

bool kafka_may_log(struct kafka *k) {
    int64_t now = clock_mono_ns(), last = atomic_load(&k->told_ns);
    if (last && now - last < TOLD_MS * 1000000LL)
        return false;
    atomic_store(&k->told_ns, now);
    return true;
}

/* From librdkafka's own threads. What it calls an error it will try again: a warning to us. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text) {
    /* Producer and consumer are given the same properties; each speaks of the other's. */
    if (strcmp(facility, "CONFWARN") == 0 &&
        (strstr(text, "will be ignored by this") || strstr(text, "No `bootstrap.servers`")))
        return;
    bool trouble = level <= 4 && !strstr(text, "retrying");
    enum log_level to = trouble ? LOG_WARN : level <= 6 ? LOG_INFO : LOG_DEBUG;
    bool repeats = strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0 ||
                   strcmp(facility, "SSLCERTVRFY") == 0;
    struct kafka *k = rd_kafka_opaque(rk);
    if (to != LOG_DEBUG && repeats && k && !kafka_may_log(k))
        to = LOG_DEBUG;
    log_write(to, text, LOG_FIELDS(F_STR("kafka", facility)));
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque) {
    struct kafka *k = opaque;
    rd_kafka_resp_err_t err = (rd_kafka_resp_err_t)code;
    atomic_fetch_add(&k->errors, 1);
    kafka_note_refusal(k, err, reason);
    /* rdkafka_transport.c. The connection is closed, the same is asked again: nothing would ever come. */
    if (rk == k->rk[KAFKA_CONSUMER] && strstr(reason, "increase receive.message.max.bytes"))
        snprintf(k->oversize, sizeof k->oversize, "%s", reason);
    if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) /* that says less than why */
        snprintf(k->trouble, sizeof k->trouble, "%s", reason);
}

/* librdkafka's STATISTICS.md */
static int on_stats(rd_kafka_t *rk ATTR_UNUSED, char *text, size_t len, void *opaque) {
    struct kafka *k = opaque;
    struct err ignored;
    _cleanup_(json_freep) struct json_doc *doc = json_parse(text, len, ERR_STREAM, &ignored);
    if (!doc)
        return 0;
    int up = 0, any = 0;
    int64_t queued = 0;
    for (struct json_iter b = json_iter(json_get(json_root(doc), "brokers")); json_next(&b);) {
        const char *state = json_str(json_get(b.value, "state"));
        bool is_up = state && strcmp(state, "UP") == 0;
        any += is_up;
        up += is_up && json_int(json_get(b.value, "nodeid"), -1) >= 0;
    }
    const json *topic = json_get(json_get(json_root(doc), "topics"), k->s.topic);
    for (struct json_iter p = json_iter(json_get(topic, "partitions")); json_next(&p);)
        queued += json_int(json_get(p.value, "fetchq_size"), 0);
    atomic_store(&k->brokers_up, up);
    atomic_store(&k->away, any == 0);
    atomic_store(&k->queued_bytes, queued);
    return 0; /* librdkafka frees the text */
}

static void add_callbacks(struct kafka *k, enum kafka_role role, rd_kafka_conf_t *conf) {
    rd_kafka_conf_set_opaque(conf, k);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_stats_cb(conf, on_stats);
    char verify[8];
    size_t n = sizeof verify;
    if (rd_kafka_conf_get(conf, "enable.ssl.certificate.verification", verify, &n) ==
            RD_KAFKA_CONF_OK &&
        strcmp(verify, "true") == 0) /* OpenSSL asks it also where nobody is to be verified */
        rd_kafka_conf_set_ssl_cert_verify_cb(conf, kafka_verify_certificate);
    if (role == KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, produce_delivered);
    if (role == KAFKA_CONSUMER)
        rd_kafka_conf_set_rebalance_cb(conf, consume_rebalance);
}

int kafka_handle(struct kafka *k, enum kafka_role role, rd_kafka_t **ret, struct err *e) {
    if (!k->rk[role]) {
        rd_kafka_conf_t *conf;
        int r = kafka_conf(k, role, &conf, e);
        if (r < 0)
            return r;
        add_callbacks(k, role, conf);
        char why[512];
        bool reads = role == KAFKA_CONSUMER || role == KAFKA_PEEKER;
        k->rk[role] =
            rd_kafka_new(reads ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, why, sizeof why);
        if (!k->rk[role]) {
            rd_kafka_conf_destroy(conf);
            err_set(e, ERR_CONFIG, "stream %s: the kafka.* properties do not fit together: %s",
                    k->s.url, why);
            return err_hint(e, "docs/kafka.md has examples");
        }
    }
    *ret = k->rk[role];
    return 0;
}

const char *stream_library_version(void) {
    return rd_kafka_version_str();
}

static void kafka_stats(struct stream *s, struct stream_stats *ret) {
    struct kafka *k = (struct kafka *)s;
    *ret = (struct stream_stats){.rebalances = atomic_load(&k->rebalances),
                                 .errors = atomic_load(&k->errors),
                                 .queued_bytes = atomic_load(&k->queued_bytes),
                                 .brokers_up = atomic_load(&k->brokers_up)};
}

static void kafka_free(struct stream *s) {
    struct kafka *k = (struct kafka *)s;
    k->closing = true;
    kafka_consumer_free(k);
    kafka_producer_free(k);
    kafka_peeker_free(k);
    for (int i = 0; i < KAFKA_ROLES; i++)
        if (k->rk[i])
            rd_kafka_destroy_flags(k->rk[i], RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    for (size_t i = 0; i < k->n_properties; i++) {
        free((char *)(uintptr_t)k->properties[i].name);
        free((char *)(uintptr_t)k->properties[i].value);
    }
    free(k->properties);
    free(k->brokers);
    free(k->group);
    free(k->mechanism);
    free(s->url);
    free(s->topic);
    free(s->cluster_id);
    free(s->topic_id);
    free(k);
}

static const struct stream_ops kafka_ops = {
    .scheme = "kafka",
    .subscribe = consume_subscribe,
    .poll = consume_poll,
    .assign = consume_assign,
    .confirm = consume_confirm,
    .bounds = kafka_bounds,
    .peek = kafka_peek,
    .retention = kafka_retention,
    .committed = consume_committed,
    .stats = kafka_stats,
    .send = produce_send,
    .flush = produce_flush,
    .free = kafka_free,
};

/* `rest` is "//HOST:PORT,HOST:PORT", perhaps with a slash behind. */
static int check_brokers(const char *rest, struct err *e) {
    size_t n = strlen(rest);
    bool slashes = strncmp(rest, "//", 2) == 0;
    const char *hosts = slashes ? rest + 2 : rest;
    size_t list = strcspn(hosts, "/?#@ ");
    if (slashes && list > 0 && (list == n - 2 || (list == n - 3 && hosts[list] == '/')))
        return 0;
    _cleanup_(freep) char *url = xasprintf("kafka:%s", rest);
    _cleanup_(freep) char *masked = url_mask(url);
    err_set(e, ERR_CONFIG, "the stream URL \"%s\" is not kafka://HOST:PORT[,HOST:PORT…]", masked);
    return err_hint(e, strchr(hosts, '@') ? "user and password are kafka.sasl.username and "
                                            "kafka.sasl.password, not part of the URL"
                                          : "for example kafka://localhost:9092");
}

/*
 * librdkafka checks how properties fit together, and the files they name, where a handle is made; one
 * with OpenID Connect would fetch a token at once.
 */
int kafka_check(const char *rest, const struct stream_options *o, struct err *e) {
    struct stream *s;
    int r = kafka_open(rest, o, &s, e);
    if (r < 0)
        return r;
    struct kafka *k = (struct kafka *)s;
    k->brokers[0] = '\0'; /* nobody to connect to */
    rd_kafka_t *rk;
    for (int role = KAFKA_PRODUCER; role < KAFKA_ROLES && r == 0 && !kafka_uses_oidc(k); role++)
        r = kafka_handle(k, (enum kafka_role)role, &rk, e);
    stream_free(s);
    return r;
}

int kafka_open(const char *rest, const struct stream_options *o, struct stream **ret,
               struct err *e) {
    int r = check_brokers(rest, e);
    if (r < 0)
        return r;
    struct kafka *k = xcalloc(1, sizeof *k);
    k->s.ops = &kafka_ops;
    k->s.url = xasprintf("kafka:%s", rest);
    k->s.topic = xstrdup(o->topic);
    k->s.on_ack = o->on_ack;
    k->s.ack_arg = o->ack_arg;
    k->brokers = xstrndup(rest + 2, strcspn(rest + 2, "/"));
    k->group = xstrdup(o->app ? o->app : "clickmill");
    k->partitions = MAX(o->partitions, 1);
    k->replication = MAX(o->replication, 1);
    k->accept_loss = o->accept_loss;
    k->create_time = o->create_time;
    k->timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : 60000;
    k->n_properties = o->n_properties;
    k->properties = xcalloc(MAX(o->n_properties, 1), sizeof *k->properties);
    for (size_t i = 0; i < o->n_properties; i++)
        k->properties[i] = (struct stream_property){xstrdup(o->properties[i].name),
                                                    xstrdup(o->properties[i].value)};
    r = kafka_conf_check(k, e);
    if (r < 0) {
        kafka_free(&k->s);
        return r;
    }
    *ret = &k->s;
    return 0;
}
