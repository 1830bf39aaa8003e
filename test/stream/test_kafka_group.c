/* SPDX-License-Identifier: Apache-2.0 */
/* Groups at a real broker: members that share a topic, are late, leave, and what others see of them. */
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

/* --- reading again --- */

static void records_are_read_again_after_a_refusal(const char *strategy) {
    const char *const properties[] = {strategy, NULL};
    _stream_ out = open_with(2, NULL);
    _stream_ in = open_with(2, properties);
    struct err e;
    for (int i = 0; i < 20; i++) {
        send_text(out, "one key", "x");
        flush_all(out);
    }
    join_group(in, sp);
    while (sp->n < 10) { /* the rest is fetched already, and void with what follows */
        struct poll_result polled;
        assert_ok(stream_poll(in, 1000, sp, 10 - sp->n, MIB, &polled, &e), &e);
    }
    int32_t p = sp->v[0].partition;
    for (int i = 0; i < 3; i++) {
        span_reset(sp);
        struct position at[] = {{p, 5 + i}, {1 - p, 0}};
        assert_ok(stream_assign(in, at, 2, &e), &e);
        read_records(in, sp, (size_t)(15 - i));
        for (size_t k = 0; k < sp->n; k++)
            assert_int_equal(sp->v[k].offset, 5 + i + (int64_t)k);
    }
    send_text(out, "one key", "y"); /* … and it goes on */
    flush_all(out);
    read_records(in, sp, sp->n + 1);
}

static void a_cooperative_member_reads_again(void **state ATTR_UNUSED) {
    records_are_read_again_after_a_refusal("partition.assignment.strategy=cooperative-sticky");
}

static void an_eager_member_reads_again(void **state ATTR_UNUSED) {
    records_are_read_again_after_a_refusal("partition.assignment.strategy=range,roundrobin");
}

/* --- members that share --- */

/* A member as ingest is one: positions in a table, which two of them share. */
struct member {
    struct stream *s;
    bool mine[4];
    int assigned, revoked, records;
};

static void serve(struct member *m, int64_t table[4]) {
    struct poll_result polled;
    struct err e;
    span_reset(sp);
    assert_ok(stream_poll(m->s, 50, sp, 7, MIB, &polled, &e), &e);
    for (size_t i = 0; i < sp->n; i++) { /* each batch is committed at once */
        const struct record *rec = &sp->v[i];
        assert_true(m->mine[rec->partition]);
        assert_int_equal(rec->offset, table[rec->partition]);
        table[rec->partition]++;
        m->records++;
    }
    struct position p[4];
    for (size_t i = 0; i < polled.n_partitions; i++) {
        int32_t at = polled.partitions[i];
        m->mine[at] = polled.kind == POLL_ASSIGN;
        p[i] = (struct position){at, table[at]};
    }
    if (polled.kind == POLL_ASSIGN) {
        m->assigned += (int)polled.n_partitions;
        assert_ok(stream_assign(m->s, p, polled.n_partitions, &e), &e);
    } else if (polled.kind == POLL_REVOKE) {
        assert_false(polled.lost);
        m->revoked += (int)polled.n_partitions;
    }
}

static int owned(const struct member *m) {
    return m->mine[0] + m->mine[1] + m->mine[2] + m->mine[3];
}

static void two_members_share(const char *strategy, const char *more, int revoked) {
    const char *const properties[] = {strategy, more, NULL};
    _stream_ out = open_with(4, NULL);
    int64_t table[4] = {0}, until = clock_mono_ns() + 60 * 1000000000LL;
    struct member a = {.s = open_with(4, properties)}, b = {.s = open_with(4, properties)};
    struct err e;
    int sent = 0;
    assert_ok(stream_subscribe(a.s, &e), &e);
    for (; a.records < 20 && clock_mono_ns() < until; sent += 10) {
        send_many(out, sent, sent + 10);
        serve(&a, table);
    }
    assert_int_equal(owned(&a), 4);
    assert_ok(stream_subscribe(b.s, &e), &e);
    for (;
         (owned(&b) < 2 || owned(&a) + owned(&b) < 4 || b.assigned < 2) && clock_mono_ns() < until;
         sent += 10) {
        send_many(out, sent, sent + 10);
        serve(&a, table);
        serve(&b, table);
    }
    assert_int_equal(owned(&a), 2);
    assert_int_equal(a.revoked, revoked);
    while (a.records + b.records < sent && clock_mono_ns() < until) {
        serve(&a, table);
        serve(&b, table);
    }
    assert_int_equal(a.records + b.records, sent);
    stream_free(b.s); /* leaves: its partitions come back at once */
    while (owned(&a) < 4 && clock_mono_ns() < until)
        serve(&a, table);
    assert_int_equal(owned(&a), 4);
    struct stream_stats stats;
    stream_stats(a.s, &stats);
    assert_true(stats.rebalances >= 3);
    stream_free(a.s);
}

static void two_members_share_cooperatively(void **state ATTR_UNUSED) {
    two_members_share("partition.assignment.strategy=cooperative-sticky",
                      "heartbeat.interval.ms=300", 2);
}

static void two_members_share_eagerly(void **state ATTR_UNUSED) {
    two_members_share("partition.assignment.strategy=range", "heartbeat.interval.ms=300", 4);
}

static void two_members_share_as_the_brokers_say(void **state ATTR_UNUSED) {
    two_members_share("group.protocol=consumer", NULL, 2);
}

static void a_member_that_slept_too_long_has_lost_its_partitions(void **state ATTR_UNUSED) {
    static const char *const hasty[] = {"session.timeout.ms=1000", "max.poll.interval.ms=1000",
                                        "heartbeat.interval.ms=300", NULL};
    _stream_ out = open_with(2, NULL);
    _stream_ in = open_with(2, hasty);
    struct poll_result polled;
    send_many(out, 0, 3);
    join_group(in, sp);
    read_records(in, sp, 3);
    stop_wait(2500);
    poll_for(in, POLL_REVOKE, sp, &polled);
    assert_true(polled.lost);
    assert_int_equal(polled.n_partitions, 2);
    poll_for(in, POLL_ASSIGN, sp, &polled);
    assign_from(in, &polled, -1);
    read_records(in, sp, 6); /* once more, as the table says */
}

/* --- leaving --- */

static void a_member_may_leave_before_all_is_read(void **state ATTR_UNUSED) {
    _stream_ out = open_with(4, NULL);
    for (int i = 0; i < 20000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        send_text(out, key, "some words to be read by nobody");
    }
    flush_all(out);
    struct poll_result polled;
    struct err e;
    for (int i = 0; i < 3; i++) {
        struct stream *in = open_with(4, NULL);
        int64_t start = clock_mono_ns();
        span_reset(sp);
        join_group(in, sp);
        while (i && sp->n == 0)
            assert_ok(stream_poll(in, 1000, sp, 10, MIB, &polled, &e), &e);
        stop_wait(i * 100);
        stream_free(in); /* leaves the group: the next one need not wait for it */
        assert_true(clock_mono_ns() - start < 10 * 1000000000LL);
    }
}

static void a_revocation_waits_for_its_answer_or_for_the_member_to_leave(void **state ATTR_UNUSED) {
    static const char *const lively[] = {"heartbeat.interval.ms=300",
                                         "partition.assignment.strategy=range", NULL};
    _stream_ out = open_with(2, NULL);
    send_many(out, 0, 3);
    _stream_ b = NULL;
    struct stream *a = open_with(2, lively);
    struct poll_result polled = {0};
    struct err e;
    join_group(a, sp);
    read_records(a, sp, 3);
    b = open_with(2, lively);
    assert_ok(stream_subscribe(b, &e), &e);
    for (int i = 0; i < 600 && polled.kind != POLL_REVOKE; i++) {
        struct poll_result other;
        assert_ok(stream_poll(b, 10, sp, 10, MIB, &other, &e), &e);
        assert_ok(stream_poll(a, 20, sp, 10, MIB, &polled, &e), &e);
    }
    assert_int_equal(polled.kind, POLL_REVOKE);
    for (int i = 0; i < 20; i++) { /* a may be committing: what it holds is nobody else's yet */
        struct poll_result other;
        assert_ok(stream_poll(b, 100, sp, 10, MIB, &other, &e), &e);
        assert_int_equal(other.kind, POLL_IDLE);
    }
    stream_free(a);
    bool mine[2] = {false, false};
    for (int i = 0; i < 10 && !(mine[0] && mine[1]); i++) {
        poll_for(b, POLL_ASSIGN, sp, &polled);
        for (size_t k = 0; k < polled.n_partitions; k++)
            mine[polled.partitions[k]] = true;
        assign_from(b, &polled, -1);
    }
    assert_true(mine[0] && mine[1]);
}

/* It was given partitions, or heard that they are gone, and never says what it makes of it. */
static void a_member_may_leave_without_an_answer(void **state ATTR_UNUSED) {
    static const char *const protocols[] = {"partition.assignment.strategy=cooperative-sticky",
                                            "partition.assignment.strategy=range",
                                            "group.protocol=consumer"};
    _stream_ out = open_with(2, NULL);
    send_many(out, 0, 3);
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
        for (int lose = 0; lose < 2; lose++) {
            const char *const hasty[] = {protocols[i], lose ? "max.poll.interval.ms=1000" : NULL,
                                         lose && i < 2 ? "session.timeout.ms=1000" : NULL,
                                         lose && i < 2 ? "heartbeat.interval.ms=300" : NULL, NULL};
            struct stream *in = open_with(2, hasty);
            struct poll_result polled;
            struct err e;
            if (lose) {
                join_group(in, sp);
                stop_wait(1500);
                poll_for(in, POLL_REVOKE, sp, &polled);
                assert_true(polled.lost);
            } else {
                assert_ok(stream_subscribe(in, &e), &e);
                poll_for(in, POLL_ASSIGN, sp, &polled);
            }
            int64_t start = clock_mono_ns();
            stream_free(in);
            assert_true(clock_mono_ns() - start < 10 * 1000000000LL);
        }
}

/* --- looking on --- */

static void lag_tools_see_what_was_committed(void **state ATTR_UNUSED) {
    _stream_ out = open_with(1, NULL);
    _stream_ in = open_with(1, NULL);
    send_many(out, 0, 5);
    join_group(in, sp);
    read_records(in, sp, 5);
    stream_committed(in, &(struct position){0, 4}, 1);
    int64_t seen = -1;
    for (int i = 0; i < 100 && seen != 4; i++) {
        struct poll_result polled;
        struct err e;
        assert_ok(stream_poll(in, 50, sp, 10, MIB, &polled, &e), &e);
        seen = kafka_committed(server.plain, topic, topic, 0);
    }
    assert_int_equal(seen, 4);
    struct stream_stats stats = {0}; /* librdkafka tells every two seconds */
    for (int i = 0; i < 50 && stats.brokers_up == 0; i++) {
        struct poll_result polled;
        struct err e;
        assert_ok(stream_poll(in, 100, sp, 10, MIB, &polled, &e), &e);
        stream_stats(in, &stats);
    }
    assert_int_equal(stats.brokers_up, 1);
    assert_int_equal(stats.rebalances, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_cooperative_member_reads_again),
        TEST(an_eager_member_reads_again),
        TEST(two_members_share_cooperatively),
        TEST(two_members_share_eagerly),
        TEST(two_members_share_as_the_brokers_say),
        TEST(a_member_that_slept_too_long_has_lost_its_partitions),
        TEST(a_member_may_leave_before_all_is_read),
        TEST(a_revocation_waits_for_its_answer_or_for_the_member_to_leave),
        TEST(a_member_may_leave_without_an_answer),
        TEST(lag_tools_see_what_was_committed),
    };
    kafka_server_shared(&server);
    int failed = cmocka_run_group_tests_name("kafka_group", tests, NULL, NULL);
    kafka_server_free(&server);
    return failed;
}
