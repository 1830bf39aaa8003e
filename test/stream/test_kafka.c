/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract against a real broker, and what only Kafka does with a broker that is well:
 * transactions, retention, topics that change. test_kafka_group.c has the groups,
 * test_kafka_faults.c the broker ill.
 */
#include "base/clock.h"
#include "base/limits.h"
#include "base/util.h"
#include "stream/kafka_helper.h"

static struct kafka_server server;
static char *topic; /* of its own for each test, and the group's name */
static struct span *sp;

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

static struct stream *open_with(int32_t partitions, const char *const *properties) {
    struct stream_options o = {.topic = topic, .app = topic, .partitions = partitions};
    return kafka_stream(server.plain, &o, properties);
}

static void poll_fails(struct stream *s, struct err *e) {
    struct poll_result polled;
    int64_t until = clock_mono_ns() + 30 * 1000000000LL;
    while (stream_poll(s, 200, sp, 100000, SIZE_MAX / 4, &polled, e) == 0)
        assert_true(clock_mono_ns() < until);
    assert_int_equal(e->code, ERR_STREAM);
}

/* --- holes --- */

static void aborted_records_are_passed_over(void **state ATTR_UNUSED) {
    _stream_ s = open_with(1, NULL);
    send_many(s, 0, 1);
    kafka_transaction(server.plain, topic, 0, 5, false);
    kafka_wait_for_end(s, 1 + 6); /* the end takes an offset, too */
    kafka_transaction(server.plain, topic, 0, 3, true);
    kafka_wait_for_end(s, 1 + 6 + 4);
    kafka_transaction(server.plain, topic, 0, 4, false);
    kafka_wait_for_end(s, 1 + 6 + 4 + 5);
    struct err e;
    struct poll_result polled;
    assign_all(s);
    int64_t reached = 0;
    for (int i = 0; i < 100 && reached < 16; i++) {
        assert_ok(stream_poll(s, 200, sp, 100000, MIB, &polled, &e), &e);
        for (size_t k = 0; k < polled.n_reached; k++)
            reached = polled.reached[k].offset;
    }
    assert_int_equal(reached, 16);
    assert_int_equal(sp->n, 4);
    assert_int_equal(sp->v[1].offset, 7);
    assert_true(record_is(&sp->v[3], "txn"));
}

static void records_of_an_open_transaction_wait(void **state ATTR_UNUSED) {
    _stream_ s = open_with(1, NULL);
    send_many(s, 0, 3);
    read_topic(s, sp);
    struct poll_result polled;
    struct err e;
    assert_ok(stream_poll(s, 50, sp, 10, MIB, &polled, &e), &e);
    assert_int_equal(polled.n_reached, 0); /* nothing beyond the last record */
}

/* --- retention --- */

static void offsets_gone_are_an_error_that_names_them(void **state ATTR_UNUSED) {
    _stream_ s = open_with(1, NULL);
    send_many(s, 0, 10);
    kafka_delete_records(server.plain, topic, 0, 4);
    struct err e;
    struct position at = {0, 2};
    assert_int_equal(stream_assign(s, &at, 1, &e), ERR_STREAM);
    assert_false(e.retry);
    assert_says(&e, "offsets 2 to 3 of partition 0");
    assert_says(&e, "offsets 4 to 10");
    assert_says(&e, "--accept-loss");
    at.offset = -1;
    assert_ok(stream_assign(s, &at, 1, &e), &e);
    read_records(s, sp, 6);
    assert_int_equal(sp->v[0].offset, 4);
}

static void offsets_gone_are_a_loss_where_that_is_accepted(void **state ATTR_UNUSED) {
    struct stream_options o = {.topic = topic, .app = topic, .accept_loss = true};
    _stream_ s = kafka_stream(server.plain, &o, NULL);
    send_many(s, 0, 10);
    kafka_delete_records(server.plain, topic, 0, 4);
    struct err e;
    struct poll_result polled;
    assert_ok(stream_assign(s, &(struct position){0, 2}, 1, &e), &e);
    poll_for(s, POLL_LOSS, sp, &polled);
    assert_int_equal(sp->n, 0);
    assert_true(polled.loss.partition == 0 && polled.loss.from == 2 && polled.loss.to == 4);
    read_records(s, sp, 6);
}

/* The consumer fetches a little ahead; what it has not fetched yet goes away under it. */
static const char *const short_sighted[] = {"queued.min.messages=1", "queued.max.messages.kbytes=1",
                                            "fetch.message.max.bytes=10000",
                                            "fetch.max.bytes=2097152", NULL};

static void read_one_and_lose_the_rest(struct stream *s) {
    struct poll_result polled;
    struct err e;
    char value[5001] = "";
    for (int i = 0; i < 5000; i++)
        value[i] = (char)('!' + (unsigned)i * 2654435761u / 7919 % 90); /* does not compress */
    for (int i = 0; i < 100; i++) {
        send_text(s, NULL, value);
        flush_all(s); /* a batch each */
    }
    assign_all(s);
    while (sp->n == 0)
        assert_ok(stream_poll(s, 1000, sp, 1, SIZE_MAX / 4, &polled, &e), &e);
    kafka_delete_records(server.plain, topic, 0, 90);
}

static void offsets_that_go_while_reading_are_an_error(void **state ATTR_UNUSED) {
    _stream_ s = open_with(1, short_sighted);
    read_one_and_lose_the_rest(s);
    struct err e;
    poll_fails(s, &e);
    _cleanup_(freep) char *gone = xasprintf("offsets %zu to 89 of partition 0", sp->n);
    assert_says(&e, gone);
    assert_true(sp->n < 90);
}

static void offsets_that_go_while_reading_are_a_loss_where_accepted(void **state ATTR_UNUSED) {
    struct stream_options o = {.topic = topic, .app = topic, .accept_loss = true};
    _stream_ s = kafka_stream(server.plain, &o, short_sighted);
    read_one_and_lose_the_rest(s);
    struct poll_result polled;
    poll_for(s, POLL_LOSS, sp, &polled);
    assert_int_equal(polled.loss.from, sp->n);
    assert_int_equal(polled.loss.to, 90);
    read_records(s, sp, sp->n + 10);
    assert_int_equal(sp->v[sp->n - 1].offset, 99);
}

/* --- topics that change --- */

static void a_topic_made_again_is_an_error(void **state ATTR_UNUSED) {
    _stream_ out = open_with(1, NULL);
    _stream_ in = open_with(1, NULL);
    send_many(out, 0, 5);
    join_group(in, sp);
    read_records(in, sp, 5);
    kafka_delete_topic(server.plain, topic);
    _stream_ again = open_with(1, NULL);
    send_many(again, 0, 50); /* longer than the old one: the position is within its range */
    struct err e;
    poll_fails(in, &e);
    assert_false(e.retry);
    assert_says(&e, "deleted and created again");
    struct bounds *b;
    size_t n;
    assert_ok(stream_bounds(again, &b, &n, &e), &e);
    assert_string_not_equal(in->topic_id, again->topic_id);
    free(b);
}

static void partitions_added_are_picked_up(void **state ATTR_UNUSED) {
    static const char *const quick[] = {"topic.metadata.refresh.interval.ms=300", NULL};
    _stream_ out = open_with(1, NULL);
    _stream_ in = open_with(1, quick);
    send_many(out, 0, 5);
    join_group(in, sp);
    read_records(in, sp, 5);
    kafka_add_partitions(server.plain, topic, 3);
    struct poll_result polled;
    poll_for(in, POLL_ASSIGN, sp, &polled);
    assert_int_equal(polled.n_partitions, 2);
    assert_int_equal(polled.partitions[0], 1);
    assign_from(in, &polled, -1);
    _stream_ after = open_with(1, NULL);
    for (int i = 0; i < 30; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        send_text(after, key, key);
    }
    flush_all(after);
    read_records(in, sp, 35);
}

/* --- records --- */

static void large_records_pass_and_larger_ones_are_refused(void **state ATTR_UNUSED) {
    _stream_ s = open_with(1, NULL);
    size_t n = 2 * MIB - 1000;
    char *value = xmalloc(4 * MIB);
    for (size_t i = 0; i < 4 * MIB; i++)
        value[i] = (char)(i * 2654435761u >> 13); /* does not compress */
    struct err e;
    assert_ok(stream_send(s, NULL, 0, value, n, NULL, &e), &e);
    assert_int_equal(stream_send(s, NULL, 0, value, 4 * MIB, NULL, &e), ERR_STREAM);
    assert_says(&e, "too large");
    assert_says(&e, "kafka.message.max.bytes");
    flush_all(s);
    read_topic(s, sp);
    assert_int_equal(sp->v[0].value_len, n);
    assert_memory_equal(sp->v[0].value, value, n);
    free(value);
}

static void records_keep_the_time_of_their_topic(void **state ATTR_UNUSED) {
    int64_t before = clock_now_us() / 1000 * 1000, then = 1700000000123;
    struct stream_options o = {.topic = topic, .app = topic, .create_time = true};
    _stream_ s = kafka_stream(server.plain, &o, NULL);
    send_many(s, 0, 1);
    kafka_send_at(server.plain, topic, then);
    read_topic(s, sp);
    assert_true(sp->v[0].timestamp_us >= before);
    assert_int_equal(sp->v[1].timestamp_us, then * 1000);
    _stream_ other = open_with(1, NULL); /* warns, and takes it as well */
    read_topic(other, sp);
    assert_int_equal(sp->v[1].timestamp_us, then * 1000);
}

/* --- properties --- */

static void properties_are_checked_when_the_stream_is_opened(void **state ATTR_UNUSED) {
    static const struct {
        const char *property, *says;
    } cases[] = {
        {"sasl.pasword=hunter2", "unknown key 'kafka.sasl.pasword'; the nearest is "
                                 "'kafka.sasl.password'"},
        {"linger.mss=5", "the nearest is 'kafka.linger.ms'"},
        {"enable.auto.commit=true", "kafka.enable.auto.commit cannot be set"},
        {"bootstrap.servers=x:1", "stream.url names the brokers"},
        {"fetch.wait.max.ms=soon", "kafka.fetch.wait.max.ms"},
        {"compression.type=rar", "kafka.compression.type"},
    };
    struct stream_options o = {.topic = topic, .app = topic};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const properties[] = {cases[i].property, NULL};
        struct stream *s;
        struct err e;
        assert_int_equal(kafka_stream_try("127.0.0.1:9", &o, properties, &s, &e), ERR_CONFIG);
        assert_says(&e, cases[i].says);
        assert_null(strstr(e.msg, "hunter2"));
    }
}

static void urls_are_checked(void **state ATTR_UNUSED) {
    static const char *const wrong[] = {"kafka:",
                                        "kafka://",
                                        "kafka:host:9092",
                                        "kafka:///x",
                                        "kafka://user:hunter2@host:9092",
                                        "kafka://h:9092/topic",
                                        "kafka://h:9092?x=y"};
    struct stream_options o = {.topic = topic, .app = topic};
    struct stream *s;
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(stream_open(wrong[i], &o, &s, &e), ERR_CONFIG);
        assert_true(e.hint[0]);
        assert_null(strstr(e.msg, "hunter2"));
    }
    assert_ok(stream_open("kafka://h:9092,h2:9092/", &o, &s, &e), &e);
    stream_free(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(aborted_records_are_passed_over),
        TEST(records_of_an_open_transaction_wait),
        TEST(offsets_gone_are_an_error_that_names_them),
        TEST(offsets_gone_are_a_loss_where_that_is_accepted),
        TEST(offsets_that_go_while_reading_are_an_error),
        TEST(offsets_that_go_while_reading_are_a_loss_where_accepted),
        TEST(a_topic_made_again_is_an_error),
        TEST(partitions_added_are_picked_up),
        TEST(large_records_pass_and_larger_ones_are_refused),
        TEST(records_keep_the_time_of_their_topic),
        TEST(properties_are_checked_when_the_stream_is_opened),
        TEST(urls_are_checked),
    };
    kafka_server_shared(&server);
    int failed = kafka_conformance(server.plain);
    failed += cmocka_run_group_tests_name("kafka", tests, NULL, NULL);
    kafka_server_free(&server);
    return failed;
}
