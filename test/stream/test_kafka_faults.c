/* SPDX-License-Identifier: Apache-2.0 */
/* A broker that is away, dies, comes back or refuses us. */
#include <pthread.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/util.h"
#include "stream/kafka_helper.h"

static struct kafka_server server; /* ours alone: it is killed */
static char *topic;
static struct span *sp;

static int start_server(void **state ATTR_UNUSED) {
    kafka_server_new(&server);
    return 0;
}

static int stop_server(void **state ATTR_UNUSED) {
    kafka_server_free(&server);
    return 0;
}

static int setup(void **state ATTR_UNUSED) {
    topic = kafka_unique("clicks");
    sp = span_new(MIB);
    return 0;
}

static int teardown(void **state ATTR_UNUSED) {
    free(topic);
    span_free(sp);
    return 0;
}

static double seconds_since(int64_t start_ns) {
    return (double)(clock_mono_ns() - start_ns) / 1e9;
}

static struct stream *open_at(const char *broker, int64_t timeout_ms,
                              const char *const *properties) {
    struct stream_options o = {.topic = topic, .app = topic, .timeout_ms = timeout_ms};
    return kafka_stream(broker, &o, properties);
}

/* Starts the server again, later and elsewhere; join it. */
static void *start_later(void *arg) {
    stop_wait(*(int *)arg);
    kafka_server_do(&server, "start");
    return NULL;
}

/* --- away --- */

static void a_broker_that_is_away_is_an_error_in_time(void **state ATTR_UNUSED) {
    _stream_ s = open_at("127.0.0.1:9", 1500, NULL);
    struct bounds *b;
    size_t n;
    struct err e;
    int64_t start = clock_mono_ns();
    assert_int_equal(stream_bounds(s, &b, &n, &e), ERR_STREAM);
    assert_true(e.retry && e.hint[0]);
    assert_says(&e, "127.0.0.1:9");
    assert_says(&e, "refused"); /* the broker's, or rather the kernel's, own words */
    assert_int_equal(stream_send(s, NULL, 0, "x", 1, NULL, &e), ERR_STREAM);
    assert_true(e.retry);
    assert_true(seconds_since(start) < 10);
}

static void a_consumer_waits_for_a_broker_that_is_away(void **state ATTR_UNUSED) {
    _stream_ s = open_at("127.0.0.1:9", 1000, NULL);
    struct poll_result polled;
    struct err e;
    assert_ok(stream_subscribe(s, &e), &e);
    int64_t start = clock_mono_ns();
    for (int i = 0; i < 30; i++) {
        assert_ok(stream_poll(s, 100, sp, 10, MIB, &polled, &e), &e);
        assert_int_equal(polled.kind, POLL_IDLE);
    }
    assert_true(seconds_since(start) > 2.5);
    struct stream_stats stats;
    stream_stats(s, &stats);
    assert_true(stats.errors > 0);
    assert_int_equal(stats.brokers_up, 0);
}

/* --- dies --- */

static void nothing_acknowledged_is_lost_or_doubled(void **state ATTR_UNUSED) {
    enum { N = 40000 };
    struct ack_log acks = {0};
    struct stream_options o = {
        .topic = topic, .app = topic, .partitions = 3, .on_ack = ack_log_add, .ack_arg = &acks};
    struct stream *s = kafka_stream(server.plain, &o, NULL);
    struct err e;
    char value[16];
    int pause = 500;
    pthread_t again;
    for (int i = 0; i < N; i++) {
        snprintf(value, sizeof value, "%d", i);
        assert_ok(stream_send(s, NULL, 0, value, strlen(value), (void *)(uintptr_t)i, &e), &e);
        if (i == N / 2) {
            kafka_server_do(&server, "kill");
            assert_int_equal(pthread_create(&again, NULL, start_later, &pause), 0);
        }
    }
    flush_all(s);
    pthread_join(again, NULL);
    assert_int_equal(acks.n, N);
    assert_int_equal(acks.failed, 0);
    read_topic(s, sp);
    assert_int_equal(sp->n, N);
    bool *seen = xcalloc(N, sizeof *seen);
    for (size_t i = 0; i < sp->n; i++) {
        snprintf(value, sizeof value, "%.*s", (int)sp->v[i].value_len, sp->v[i].value);
        int at = atoi(value);
        assert_true(at >= 0 && at < N && !seen[at]);
        seen[at] = true;
    }
    for (size_t i = 0; i < acks.n; i += 97) {
        snprintf(value, sizeof value, "%d", (int)(uintptr_t)acks.v[i].opaque);
        assert_memory_equal(find_record(sp, acks.v[i].partition, acks.v[i].offset)->value, value,
                            strlen(value));
    }
    free(seen);
    stream_free(s);
    ack_log_release(&acks);
}

static void a_consumer_goes_on_when_the_broker_is_back(void **state ATTR_UNUSED) {
    _stream_ out = open_at(server.plain, 30000, NULL);
    _stream_ in = open_at(server.plain, 30000, NULL);
    struct poll_result polled;
    struct err e;
    send_text(out, NULL, "before");
    flush_all(out);
    assert_ok(stream_subscribe(in, &e), &e);
    do
        assert_ok(stream_poll(in, 1000, sp, 10, MIB, &polled, &e), &e);
    while (polled.kind != POLL_ASSIGN);
    assert_ok(stream_assign(in, &(struct position){0, -1}, 1, &e), &e);
    read_records(in, sp, 1);
    kafka_server_do(&server, "kill");
    for (int i = 0; i < 20; i++)
        assert_ok(stream_poll(in, 100, sp, 10, MIB, &polled, &e), &e);
    kafka_server_do(&server, "start");
    send_text(out, NULL, "after");
    flush_all(out);
    int64_t until = clock_mono_ns() + 60 * 1000000000LL;
    while (sp->n < 2 && clock_mono_ns() < until) {
        assert_ok(stream_poll(in, 200, sp, 10, MIB, &polled, &e), &e);
        if (polled.kind == POLL_ASSIGN) /* the group may have been formed anew */
            assert_ok(stream_assign(in, &(struct position){0, 1}, 1, &e), &e);
    }
    assert_int_equal(sp->n, 2);
    assert_true(record_is(&sp->v[1], "after"));
}

static void a_full_queue_waits_and_then_says_so(void **state ATTR_UNUSED) {
    static const char *const small[] = {"queue.buffering.max.messages=100",
                                        "message.timeout.ms=60000", NULL};
    struct ack_log acks = {0};
    struct stream_options o = {
        .topic = topic, .app = topic, .timeout_ms = 1500, .on_ack = ack_log_add, .ack_arg = &acks};
    struct stream *s = kafka_stream(server.plain, &o, small);
    struct err e;
    send_text(s, NULL, "x");
    flush_all(s);
    kafka_server_do(&server, "kill");
    int64_t start = clock_mono_ns();
    int sent = 0;
    while (stream_send(s, NULL, 0, "x", 1, NULL, &e) == 0 && sent < 1000)
        sent++;
    assert_int_equal(sent, 100);
    assert_int_equal(e.code, ERR_STREAM);
    assert_true(e.retry);
    assert_says(&e, "queue is full");
    assert_true(seconds_since(start) > 1 && seconds_since(start) < 8);
    assert_int_equal(acks.n, 1);
    kafka_server_do(&server, "start");
    flush_all(s); /* what was queued is still good */
    assert_int_equal(acks.n, 101);
    assert_int_equal(acks.failed, 0);
    stream_free(s);
    ack_log_release(&acks);
}

static void records_that_are_not_accepted_in_time_fail(void **state ATTR_UNUSED) {
    struct ack_log acks = {0};
    struct stream_options o = {
        .topic = topic, .app = topic, .timeout_ms = 1500, .on_ack = ack_log_add, .ack_arg = &acks};
    struct stream *s = kafka_stream(server.plain, &o, NULL);
    struct err e;
    send_text(s, NULL, "x");
    flush_all(s);
    kafka_server_do(&server, "kill");
    send_text(s, NULL, "y");
    send_text(s, NULL, "z");
    assert_int_equal(stream_flush(s, &e), ERR_STREAM);
    assert_true(e.retry);
    assert_int_equal(acks.n, 3);
    assert_int_equal(acks.failed, 2);
    assert_int_equal(acks.error.code, ERR_STREAM);
    send_text(s, NULL, "dropped");
    int64_t start = clock_mono_ns();
    stream_free(s); /* neither waits nor acknowledges */
    assert_true(seconds_since(start) < 5);
    assert_int_equal(acks.n, 3);
    kafka_server_do(&server, "start");
    ack_log_release(&acks);
}

static void a_consumer_is_closed_in_time_without_a_broker(void **state ATTR_UNUSED) {
    _stream_ out = open_at(server.plain, 30000, NULL);
    struct stream *in = open_at(server.plain, 30000, NULL);
    struct poll_result polled;
    struct err e;
    send_text(out, NULL, "x");
    flush_all(out);
    assert_ok(stream_subscribe(in, &e), &e);
    do
        assert_ok(stream_poll(in, 1000, sp, 10, MIB, &polled, &e), &e);
    while (polled.kind != POLL_ASSIGN);
    assert_ok(stream_assign(in, &(struct position){0, -1}, 1, &e), &e);
    kafka_server_do(&server, "kill");
    int64_t start = clock_mono_ns();
    stream_free(in);
    assert_true(seconds_since(start) < 8);
    kafka_server_do(&server, "start");
}

/* --- refuses --- */

/* NULL-terminated properties for a login with this password. */
struct login {
    char *texts[6];
};

static void login_begin(struct login *l, const char *protocol, const char *mechanism,
                        const char *password) {
    *l = (struct login){
        {xasprintf("security.protocol=%s", protocol), xasprintf("sasl.mechanisms=%s", mechanism),
         xstrdup("sasl.username=clickmill"), xasprintf("sasl.password=%s", password),
         xasprintf("ssl.ca.location=%s", server.ca), NULL}};
}

static void login_end(struct login *l) {
    for (size_t i = 0; l->texts[i]; i++)
        free(l->texts[i]);
}

static struct stream *log_in(const char *broker, struct login *l) {
    struct stream_options o = {.topic = topic, .app = topic, .timeout_ms = 20000};
    return kafka_stream(broker, &o, (const char *const *)l->texts);
}

static void good_logins_work(void **state ATTR_UNUSED) {
    static const struct {
        const char *protocol, *mechanism;
    } cases[] = {{"SASL_PLAINTEXT", "PLAIN"},
                 {"SASL_PLAINTEXT", "SCRAM-SHA-512"},
                 {"SASL_SSL", "SCRAM-SHA-512"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct login l;
        login_begin(&l, cases[i].protocol, cases[i].mechanism, server.password);
        _stream_ s = log_in(i == 2 ? server.tls : server.sasl, &l);
        send_text(s, NULL, "x");
        flush_all(s);
        read_topic(s, sp);
        assert_int_equal(sp->n, i + 1);
        login_end(&l);
    }
}

static void a_wrong_password_is_an_error_at_once(void **state ATTR_UNUSED) {
    static const char *const mechanisms[] = {"PLAIN", "SCRAM-SHA-512"};
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++) {
        struct login l;
        struct err e;
        struct poll_result polled;
        login_begin(&l, "SASL_PLAINTEXT", mechanisms[i], "hunter2");
        int64_t start = clock_mono_ns();
        _stream_ out = log_in(server.sasl, &l);
        assert_int_equal(stream_send(out, NULL, 0, "x", 1, NULL, &e), ERR_STREAM);
        assert_false(e.retry);
        assert_says(&e, mechanisms[i]);
        assert_says(&e, server.sasl);
        assert_says(&e, "kafka.sasl.password");
        assert_null(strstr(e.msg, "hunter2"));
        _stream_ in = log_in(server.sasl, &l);
        assert_ok(stream_subscribe(in, &e), &e);
        while (stream_poll(in, 200, sp, 10, MIB, &polled, &e) == 0)
            assert_true(seconds_since(start) < 15);
        assert_says(&e, mechanisms[i]);
        assert_true(seconds_since(start) < 15);
        login_end(&l);
    }
}

static void a_certificate_nobody_vouches_for_is_an_error(void **state ATTR_UNUSED) {
    static const char *const properties[] = {"security.protocol=SSL", NULL};
    _stream_ s = open_at(server.tls, 20000, properties);
    struct bounds *b;
    size_t n;
    struct err e;
    assert_int_equal(stream_bounds(s, &b, &n, &e), ERR_STREAM);
    assert_false(e.retry);
    assert_says(&e, "certificate");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_broker_that_is_away_is_an_error_in_time),
        TEST(a_consumer_waits_for_a_broker_that_is_away),
        TEST(nothing_acknowledged_is_lost_or_doubled),
        TEST(a_consumer_goes_on_when_the_broker_is_back),
        TEST(a_full_queue_waits_and_then_says_so),
        TEST(records_that_are_not_accepted_in_time_fail),
        TEST(a_consumer_is_closed_in_time_without_a_broker),
        TEST(good_logins_work),
        TEST(a_wrong_password_is_an_error_at_once),
        TEST(a_certificate_nobody_vouches_for_is_an_error),
    };
    return cmocka_run_group_tests_name("kafka_faults", tests, start_server, stop_server);
}
