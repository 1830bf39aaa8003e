/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract against a real broker, and what only Kafka does with a broker that is well:
 * groups, transactions, retention, topics that change. test_kafka_faults.c has the broker ill.
 */
#include "base/clock.h"
#include "base/limits.h"
#include "base/util.h"
#include "stream/kafka_helper.h"

static struct kafka_server server;
static char *topic; /* of its own for each test, and the group's name */
static struct span *sp;

static int start_server(void **state ATTR_UNUSED) {
    const char *given = getenv("TEST_KAFKA");
    if (given && *given)
        server.plain = xstrdup(given);
    else
        kafka_server_new(&server);
    return 0;
}

static int stop_server(void **state ATTR_UNUSED) {
    if (server.folder)
        kafka_server_free(&server);
    else
        free(server.plain);
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

#define _stream_ _cleanup_(stream_freep) struct stream *

static struct stream *open_with(int32_t partitions, const char *const *properties) {
    struct stream_options o = {.topic = topic, .app = topic, .partitions = partitions};
    return kafka_stream(server.plain, &o, properties);
}

static void send_many(struct stream *s, int from, int to) {
    char value[32];
    for (int i = from; i < to; i++) {
        snprintf(value, sizeof value, "%d", i);
        send_text(s, NULL, value);
    }
    flush_all(s);
}

/* Polls for something of this kind; what is read goes to sp. */
static void poll_for(struct stream *s, enum poll_kind kind, struct poll_result *ret) {
    struct err e;
    int64_t until = clock_mono_ns() + 30 * 1000000000LL;
    do
        assert_ok(stream_poll(s, 200, sp, 100000, SIZE_MAX / 4, ret, &e), &e);
    while (ret->kind != kind && clock_mono_ns() < until);
    assert_int_equal(ret->kind, kind);
}

/* Answers a POLL_ASSIGN: every partition from `offset`. */
static void assign_from(struct stream *s, const struct poll_result *polled, int64_t offset) {
    struct err e;
    struct position p[16];
    for (size_t i = 0; i < polled->n_partitions; i++)
        p[i] = (struct position){polled->partitions[i], offset};
    assert_ok(stream_assign(s, p, polled->n_partitions, &e), &e);
}

static void join(struct stream *s) {
    struct err e;
    struct poll_result polled;
    assert_ok(stream_subscribe(s, &e), &e);
    poll_for(s, POLL_ASSIGN, &polled);
    assert_non_null(s->cluster_id);
    assert_non_null(s->topic_id);
    assign_from(s, &polled, -1);
}

static void assert_says(const struct err *e, const char *words) {
    if (!strstr(e->msg, words) && !strstr(e->hint, words))
        fail_msg("\"%s\" is not in: %s\nHINT: %s", words, e->msg, e->hint);
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
    poll_for(s, POLL_LOSS, &polled);
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
    poll_for(s, POLL_LOSS, &polled);
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
    join(in);
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
    join(in);
    read_records(in, sp, 5);
    kafka_add_partitions(server.plain, topic, 3);
    struct poll_result polled;
    poll_for(in, POLL_ASSIGN, &polled);
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

/* --- groups --- */

static void records_are_read_again_after_a_refusal(const char *strategy) {
    const char *const properties[] = {strategy, NULL};
    _stream_ out = open_with(2, NULL);
    _stream_ in = open_with(2, properties);
    struct err e;
    for (int i = 0; i < 20; i++) {
        send_text(out, "one key", "x");
        flush_all(out);
    }
    join(in);
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
    join(in);
    read_records(in, sp, 3);
    stop_wait(2500);
    poll_for(in, POLL_REVOKE, &polled);
    assert_true(polled.lost);
    assert_int_equal(polled.n_partitions, 2);
    poll_for(in, POLL_ASSIGN, &polled);
    assign_from(in, &polled, -1);
    read_records(in, sp, 6); /* once more, as the table says */
}

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
        join(in);
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
    join(a);
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
        poll_for(b, POLL_ASSIGN, &polled);
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
                join(in);
                stop_wait(1500);
                poll_for(in, POLL_REVOKE, &polled);
                assert_true(polled.lost);
            } else {
                assert_ok(stream_subscribe(in, &e), &e);
                poll_for(in, POLL_ASSIGN, &polled);
            }
            int64_t start = clock_mono_ns();
            stream_free(in);
            assert_true(clock_mono_ns() - start < 10 * 1000000000LL);
        }
}

static void lag_tools_see_what_was_committed(void **state ATTR_UNUSED) {
    _stream_ out = open_with(1, NULL);
    _stream_ in = open_with(1, NULL);
    send_many(out, 0, 5);
    join(in);
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
        TEST(large_records_pass_and_larger_ones_are_refused),
        TEST(records_keep_the_time_of_their_topic),
        TEST(properties_are_checked_when_the_stream_is_opened),
        TEST(urls_are_checked),
    };
    start_server(NULL);
    int failed = kafka_conformance(server.plain);
    failed += cmocka_run_group_tests_name("kafka", tests, NULL, NULL);
    stop_server(NULL);
    return failed;
}
