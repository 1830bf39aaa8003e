/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/conformance.h"

#include "base/clock.h"
#include "base/limits.h"
#include "stream/drivers.h"
#include "stream/helper.h"

/* One cluster, one producer with its acks. */
struct bench {
    const struct stream_driver *d;
    void *cluster;
    struct stream *out;
    struct ack_log acks;
};

static struct stream *open_on(struct bench *b, const char *topic, int32_t partitions) {
    struct stream_options o = {.topic = topic,
                               .app = "test",
                               .partitions = partitions,
                               .on_ack = ack_log_add,
                               .ack_arg = &b->acks};
    struct stream *s;
    struct err e;
    assert_ok(b->d->open(b->cluster, &o, &s, &e), &e);
    return s;
}

/* In place, because the producer keeps the address of b->acks. */
static void begin(struct bench *b, void **state, int32_t partitions) {
    *b = (struct bench){.d = *state};
    b->cluster = b->d->cluster_new();
    b->out = open_on(b, "clicks", partitions);
}

static void end(struct bench *b) {
    stream_free(b->out);
    b->d->cluster_free(b->cluster);
    ack_log_release(&b->acks);
}

#define BENCH(name, partitions)                                                                    \
    struct bench name;                                                                             \
    begin(&name, state, partitions)

static void a_missing_topic_reads_as_nothing_until_it_appears(void **state) {
    BENCH(b, 3);
    struct stream *in = open_on(&b, "clicks", 1);
    struct span *sp = span_new(MIB);
    struct poll_result polled;
    struct bounds *ends;
    size_t n;
    struct err e;
    assert_ok(stream_subscribe(in, &e), &e);
    for (int i = 0; i < 3; i++) {
        assert_ok(stream_poll(in, 1, sp, 10, MIB, &polled, &e), &e);
        assert_int_equal(polled.kind, POLL_IDLE);
    }
    assert_ok(stream_bounds(in, &ends, &n, &e), &e);
    assert_int_equal(n, 0);
    free(ends);

    send_text(b.out, NULL, "first");
    flush_all(b.out);
    assert_ok(stream_poll(in, 5000, sp, 10, MIB, &polled, &e), &e);
    assert_int_equal(polled.kind, POLL_ASSIGN);
    assert_int_equal(polled.n_partitions,
                     3); /* as the topic was created, not as this reader says */
    struct position at[3];
    for (int32_t i = 0; i < 3; i++) {
        assert_int_equal(polled.partitions[i], i);
        at[i] = (struct position){i, -1};
    }
    assert_ok(stream_poll(in, 1, sp, 10, MIB, &polled, &e), &e);
    assert_int_equal(polled.kind, POLL_IDLE); /* nothing before assign */
    assert_ok(stream_assign(in, at, 3, &e), &e);
    assert_ok(stream_poll(in, 5000, sp, 10, MIB, &polled, &e), &e);
    assert_int_equal(polled.kind, POLL_RECORDS);
    assert_int_equal(sp->n, 1);
    assert_true(record_is(&sp->v[0], "first"));
    span_free(sp);
    stream_free(in);
    end(&b);
}

static void bytes_come_back_as_they_were_sent(void **state) {
    BENCH(b, 1);
    char nul[] = "a\0b\nc\r";
    static const struct {
        const char *key, *value;
        size_t key_len, value_len;
    } cases[] = {{"k", "v", 1, 1}, {NULL, "v", 0, 1},  {"", "v", 0, 1}, {"k", NULL, 1, 0},
                 {"k", "", 1, 0},  {NULL, NULL, 0, 0}, {"", "", 0, 0},  {NULL, "", 0, 0}};
    struct err e;
    int64_t before = clock_now_us() / 1000 * 1000;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_ok(stream_send(b.out, cases[i].key, cases[i].key_len, cases[i].value,
                              cases[i].value_len, NULL, &e),
                  &e);
    assert_ok(stream_send(b.out, nul, sizeof nul, nul, sizeof nul, NULL, &e), &e);
    flush_all(b.out);
    struct span *sp = span_new(MIB);
    read_topic(b.out, sp);
    assert_int_equal(sp->n, ARRAY_LEN(cases) + 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct record *rec = &sp->v[i];
        assert_int_equal(rec->offset, i);
        assert_true(!rec->key == !cases[i].key && !rec->value == !cases[i].value);
        assert_int_equal(rec->key_len, cases[i].key_len);
        assert_int_equal(rec->value_len, cases[i].value_len);
        assert_true(!rec->key_len || rec->key[0] == 'k');
        assert_true(!rec->value_len || rec->value[0] == 'v');
        assert_true(rec->timestamp_us >= before && rec->timestamp_us <= clock_now_us());
        assert_int_equal(rec->timestamp_us % 1000, 0);
    }
    const struct record *last = &sp->v[ARRAY_LEN(cases)];
    assert_memory_equal(last->value, nul, sizeof nul);
    assert_memory_equal(last->key, nul, sizeof nul);
    span_free(sp);
    end(&b);
}

static void records_of_any_size_fit(void **state) {
    BENCH(b, 1);
    static const size_t sizes[] = {0,      1,      23,      24, 1000,    262119, 262144,
                                   300000, 600000, 2 * MIB, 17, 6 * MIB, 3};
    char *big = xmalloc(6 * MIB);
    for (size_t i = 0; i < 6 * MIB; i++)
        big[i] = (char)(i * 31 >> 3);
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        assert_ok(stream_send(b.out, NULL, 0, big + i, sizes[i] ? sizes[i] - MIN(i, sizes[i]) : 0,
                              NULL, &e),
                  &e);
    flush_all(b.out);
    struct span *sp = span_new(MIB);
    read_topic(b.out, sp);
    assert_int_equal(sp->n, ARRAY_LEN(sizes));
    for (size_t i = 0; i < sp->n; i++) {
        assert_int_equal(sp->v[i].value_len, sizes[i] ? sizes[i] - MIN(i, sizes[i]) : 0);
        assert_memory_equal(sp->v[i].value, big + i, sp->v[i].value_len);
    }
    free(big);
    span_free(sp);
    end(&b);
}

static void acks_name_where_each_record_stands(void **state) {
    BENCH(b, 4);
    enum { N = 5000 };
    static int tags[N];
    struct err e;
    for (int i = 0; i < N; i++) {
        char value[32], key[16];
        snprintf(value, sizeof value, "record %d", i);
        snprintf(key, sizeof key, "user-%d", i % 97);
        tags[i] = i;
        assert_ok(stream_send(b.out, key, strlen(key), value, strlen(value), &tags[i], &e), &e);
        if (i % 777 == 0)
            flush_all(b.out);
    }
    flush_all(b.out);
    assert_int_equal(b.acks.n, N);
    assert_int_equal(b.acks.failed, 0);
    struct span *sp = span_new(MIB);
    read_topic(b.out, sp);
    assert_int_equal(sp->n, N);
    int64_t next[4] = {0}, last_ts[4] = {0};
    for (size_t i = 0; i < N; i++) {
        const struct ack *a = &b.acks.v[i];
        assert_int_equal(a->offset, next[a->partition]++);
        assert_true(a->timestamp_us >= last_ts[a->partition]);
        last_ts[a->partition] = a->timestamp_us;
        const struct record *rec = find_record(sp, a->partition, a->offset);
        char value[32];
        snprintf(value, sizeof value, "record %d", *(int *)a->opaque);
        assert_true(record_is(rec, value));
        assert_int_equal(rec->timestamp_us, a->timestamp_us);
    }
    struct bounds *ends;
    size_t n;
    assert_ok(stream_bounds(b.out, &ends, &n, &e), &e);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ends[i].end, next[ends[i].partition]);
    free(ends);
    span_free(sp);
    end(&b);
}

/* org.apache.kafka.common.utils.UtilsTest.testMurmur2 */
static void keys_go_where_kafka_would_put_them(void **state) {
    static const struct {
        const char *key;
        int32_t hash;
    } known[] = {{"21", -973932308},
                 {"foobar", -790332482},
                 {"a-little-bit-long-string", -985981536},
                 {"a-little-bit-longer-string", -1486304829},
                 {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
                 {"abc", 479470107}};
    BENCH(b, 7);
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        assert_int_equal((int32_t)stream_murmur2(known[i].key, strlen(known[i].key)),
                         known[i].hash);
        send_text(b.out, known[i].key, known[i].key);
        flush_all(b.out);
        assert_int_equal(b.acks.v[i].partition, (known[i].hash & 0x7fffffff) % 7);
    }
    end(&b);
}

static void records_without_key_spread_over_the_partitions(void **state) {
    BENCH(b, 3);
    char value[1000];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    size_t got[3] = {0};
    /* Once more, if a partition had no leader yet. */
    for (int round = 0; round < 3 && MIN(got[0], MIN(got[1], got[2])) < 200; round++) {
        for (int i = 0; i < 1000; i++)
            send_text(b.out, NULL, value);
        flush_all(b.out);
        memset(got, 0, sizeof got);
        for (size_t i = 0; i < b.acks.n; i++)
            got[b.acks.v[i].partition]++;
    }
    for (int i = 0; i < 3; i++)
        assert_true(got[i] >= 200);
    end(&b);
}

static void reading_starts_at_the_assigned_offset(void **state) {
    BENCH(b, 2);
    char value[32];
    for (int i = 0; i < 200; i++) {
        snprintf(value, sizeof value, "%d", i);
        send_text(b.out, "one key", value);
    }
    flush_all(b.out);
    int32_t p = b.acks.v[0].partition;
    struct span *sp = span_new(MIB);
    struct err e;
    static const int64_t from[] = {0, 1, 199, 200, 57, -1};
    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        struct position at = {p, from[i]};
        assert_ok(stream_assign(b.out, &at, 1, &e), &e);
        span_reset(sp);
        int64_t first = from[i] < 0 ? 0 : from[i];
        read_records(b.out, sp, (size_t)(200 - first));
        for (size_t k = 0; k < sp->n; k++) {
            snprintf(value, sizeof value, "%d", (int)(first + (int64_t)k));
            assert_true(record_is(&sp->v[k], value));
        }
    }
    span_free(sp);
    end(&b);
}

static void positions_outside_of_the_stream_are_errors(void **state) {
    BENCH(b, 2);
    for (int i = 0; i < 5; i++)
        send_text(b.out, "one key", "x");
    flush_all(b.out);
    int32_t p = b.acks.v[0].partition;
    static const struct {
        int32_t partition;
        int64_t offset;
        const char *names;
    } cases[] = {{0, 6, "position 6"},
                 {0, INT64_MAX, "position 9223372036854775807"},
                 {0, -2, "position -2"},
                 {7, 0, "partition 7"},
                 {-1, 0, "partition -1"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e;
        struct position at = {cases[i].partition == 0 ? p : cases[i].partition, cases[i].offset};
        assert_int_equal(stream_assign(b.out, &at, 1, &e), ERR_STREAM);
        assert_false(e.retry);
        assert_non_null(strstr(e.msg, cases[i].names));
        assert_non_null(strstr(e.msg, "clicks"));
        if (cases[i].partition == 0) {
            assert_non_null(strstr(e.msg, "0 to 5"));
            assert_true(e.hint[0]);
        }
    }
    end(&b);
}

/* Polls until the span holds n records, or no more than it does. */
static void poll_until(struct stream *s, struct span *sp, size_t n, size_t max_bytes) {
    struct poll_result polled;
    struct err e;
    for (int i = 0; i < 50 && sp->n < n; i++)
        assert_ok(stream_poll(s, 200, sp, n - sp->n, max_bytes, &polled, &e), &e);
}

static void a_poll_keeps_to_its_limits(void **state) {
    BENCH(b, 1);
    char value[101];
    memset(value, 'x', 100);
    value[100] = '\0';
    for (int i = 0; i < 100; i++)
        send_text(b.out, NULL, value);
    flush_all(b.out);
    struct span *sp = span_new(1000);
    struct poll_result polled;
    struct err e;
    assign_all(b.out);
    assert_ok(stream_poll(b.out, 100, sp, 0, MIB, &polled, &e), &e);
    assert_int_equal(polled.kind, POLL_IDLE);
    assert_int_equal(sp->n, 0);
    poll_until(b.out, sp, 7, MIB);
    assert_int_equal(sp->n, 7);
    assert_ok(stream_confirm(b.out, &e), &e);
    poll_until(b.out, sp, 10, MIB);
    assert_int_equal(sp->n, 10); /* appended */
    assert_int_equal(sp->v[9].offset, 9);
    span_reset(sp);
    assert_ok(stream_poll(b.out, 5000, sp, 1000, 1000, &polled, &e), &e);
    assert_true(sp->n >= 5 && sp->n <= 10 && sp->bytes.len <= 1000);
    size_t full = sp->n;
    assert_ok(stream_poll(b.out, 0, sp, 1000, 1000, &polled, &e), &e);
    assert_int_equal(polled.kind, POLL_IDLE); /* full: nothing more fits */
    assert_int_equal(sp->n, full);
    span_reset(sp);
    assert_ok(stream_poll(b.out, 5000, sp, 1000, 1, &polled, &e), &e);
    assert_int_equal(sp->n, 1); /* one at least, however large */
    assert_int_equal(sp->v[0].offset, 10 + (int64_t)full);
    span_free(sp);
    end(&b);
}

static void a_span_keeps_its_records_when_it_grows(void **state) {
    BENCH(b, 1);
    char value[64], key[32];
    enum { N = 30000 };
    for (int i = 0; i < N; i++) {
        snprintf(value, sizeof value, "value %d padded to be a bit longer than that", i);
        snprintf(key, sizeof key, "%d", i);
        send_text(b.out, key, value);
    }
    flush_all(b.out);
    struct span *sp = span_new(1);
    struct poll_result polled;
    struct err e;
    assign_all(b.out);
    while (sp->n < N)
        assert_ok(stream_poll(b.out, 1000, sp, 100, 64 * MIB, &polled, &e), &e);
    for (int i = 0; i < N; i++) {
        snprintf(value, sizeof value, "value %d padded to be a bit longer than that", i);
        snprintf(key, sizeof key, "%d", i);
        assert_true(record_is(&sp->v[i], value));
        assert_memory_equal(sp->v[i].key, key, strlen(key));
    }
    span_free(sp);
    end(&b);
}

static void a_reader_follows_the_producer(void **state) {
    BENCH(b, 1);
    struct stream *in = open_on(&b, "clicks", 1);
    struct span *sp = span_new(MIB);
    struct poll_result polled;
    struct err e;
    char value[32];
    send_text(b.out, NULL, "0");
    flush_all(b.out);
    assign_all(in);
    for (int i = 0; i < 50; i++) {
        span_reset(sp);
        assert_ok(stream_poll(in, 5000, sp, 100, MIB, &polled, &e), &e);
        assert_int_equal(sp->n, 1);
        assert_int_equal(sp->v[0].offset, i);
        snprintf(value, sizeof value, "%d", i);
        assert_true(record_is(&sp->v[0], value));
        assert_ok(stream_poll(in, 0, sp, 100, MIB, &polled, &e), &e);
        assert_int_equal(polled.kind, POLL_IDLE);
        snprintf(value, sizeof value, "%d", i + 1);
        send_text(b.out, NULL, value);
        flush_all(b.out);
    }
    span_free(sp);
    stream_free(in);
    end(&b);
}

static struct peek look_at(struct stream *s, int32_t partition, int64_t offset) {
    struct peek pk = {.partition = partition, .offset = offset};
    struct err e;
    assert_ok(stream_peek(s, &pk, 1, &e), &e);
    return pk;
}

static void single_records_can_be_looked_at(void **state) {
    BENCH(b, 2);
    struct stream *in = open_on(&b, "clicks", 1);
    assert_int_equal(look_at(in, 0, 0).state, PEEK_UNKNOWN); /* no topic yet */
    char value[64];
    for (int i = 0; i < 300; i++) {
        snprintf(value, sizeof value, "%0*d", 1 + i % 50, 0);
        send_text(b.out, "key", value);
    }
    flush_all(b.out);
    int32_t p = b.acks.v[0].partition;
    struct span *sp = span_new(MIB);
    read_topic(b.out, sp);
    static const int64_t at[] = {0, 1, 2, 150, 299, 151, 7}; /* forwards, and back */
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        const struct record *rec = find_record(sp, p, at[i]);
        struct peek pk = look_at(in, p, at[i]);
        assert_int_equal(pk.state, PEEK_FOUND);
        assert_int_equal(pk.timestamp_us, rec->timestamp_us);
        assert_int_equal(pk.bytes, 3 + rec->value_len);
    }
    assert_int_equal(look_at(in, p, 300).state, PEEK_NONE);
    assert_int_equal(look_at(in, 1 - p, 0).state, PEEK_NONE);
    assert_int_equal(look_at(in, p, -1).state, PEEK_UNKNOWN);
    assert_int_equal(look_at(in, -1, 0).state, PEEK_UNKNOWN);
    struct peek many[] = {
        {.partition = 1 - p}, {.partition = p, .offset = 5}, {.partition = p, .offset = -7}};
    struct err e;
    assert_ok(stream_peek(in, many, ARRAY_LEN(many), &e), &e);
    assert_true(many[0].state == PEEK_NONE && many[1].state == PEEK_FOUND &&
                many[2].state == PEEK_UNKNOWN);
    assert_ok(stream_peek(in, NULL, 0, &e), &e);
    struct retention keep;
    assert_ok(stream_retention(in, &keep, &e), &e);
    assert_true(keep.known);
    span_free(sp);
    stream_free(in);
    end(&b);
}

static void topics_and_clusters_are_apart(void **state) {
    BENCH(b, 1);
    struct stream *other = open_on(&b, "other", 2);
    send_text(b.out, NULL, "clicks");
    send_text(other, NULL, "other");
    flush_all(b.out);
    flush_all(other);
    struct span *sp = span_new(MIB);
    read_topic(other, sp);
    assert_int_equal(sp->n, 1);
    assert_true(record_is(&sp->v[0], "other"));
    assert_string_equal(b.out->cluster_id, other->cluster_id);

    if (!b.d->one_cluster) {
        BENCH(second, 1);
        assert_string_not_equal(b.out->cluster_id, second.out->cluster_id);
        end(&second);
    }
    span_free(sp);
    stream_free(other);
    end(&b);
}

static void idle_calls_are_harmless(void **state) {
    BENCH(b, 1);
    flush_all(b.out);
    send_text(b.out, NULL, "x");
    flush_all(b.out);
    flush_all(b.out);
    assert_int_equal(b.acks.n, 1);
    stream_committed(b.out, &(struct position){0, 1}, 1);
    struct span *sp = span_new(MIB);
    struct poll_result polled;
    struct err e;
    int64_t start = clock_mono_ns();
    assert_ok(stream_poll(b.out, 1, sp, 10, MIB, &polled, &e), &e);
    assert_int_equal(polled.kind, POLL_IDLE); /* neither subscribed nor assigned */
    assert_true(clock_mono_ns() - start < 1000000000LL);
    span_free(sp);
    end(&b);
}

#define TEST(f) cmocka_unit_test_prestate(f, (void *)(uintptr_t)d)

int stream_conformance(const struct stream_driver *d) {
    const struct CMUnitTest tests[] = {
        TEST(a_missing_topic_reads_as_nothing_until_it_appears),
        TEST(bytes_come_back_as_they_were_sent),
        TEST(records_of_any_size_fit),
        TEST(acks_name_where_each_record_stands),
        TEST(keys_go_where_kafka_would_put_them),
        TEST(records_without_key_spread_over_the_partitions),
        TEST(reading_starts_at_the_assigned_offset),
        TEST(positions_outside_of_the_stream_are_errors),
        TEST(a_poll_keeps_to_its_limits),
        TEST(a_span_keeps_its_records_when_it_grows),
        TEST(a_reader_follows_the_producer),
        TEST(single_records_can_be_looked_at),
        TEST(topics_and_clusters_are_apart),
        TEST(idle_calls_are_harmless),
    };
    return cmocka_run_group_tests_name(d->name, tests, NULL, NULL);
}
