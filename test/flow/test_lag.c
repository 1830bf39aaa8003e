/* SPDX-License-Identifier: Apache-2.0 */
/* How far bronze is behind: offsets, seconds, and how near the oldest is to being removed. */
#include "flow/lag.h"

#include "flow/world.h"

/* One record that many seconds ago, of 71 bytes or so. */
static void fill_at(struct world *w, int32_t partition, int64_t now, int seconds_ago) {
    mem_cluster_set_time(w->mc, now - seconds_ago * US_PER_SECOND);
    world_fill(w, partition, 1);
}

struct look {
    struct lag v[8], total;
    size_t n;
};

static struct look look(struct world *w, struct lag_memory *m) {
    struct stream_options so = {.topic = TOPIC, .app = "t"};
    struct stream *s;
    struct table *tb;
    struct err e;
    struct lag *v;
    struct look ret = {0};
    assert_ok(stream_mem_open(w->mc, &so, &s, &e), &e);
    assert_ok(table_open(w->st, &bronze_events, &tb, &e), &e);
    assert_ok(lag_look(m, s, "t", tb, &v, &ret.n, &e), &e);
    assert_true(ret.n <= ARRAY_LEN(ret.v));
    if (ret.n)
        memcpy(ret.v, v, ret.n * sizeof *v);
    ret.total = lag_total(v, ret.n);
    free(v);
    table_close(tb);
    stream_free(s);
    return ret;
}

static struct look look_once(struct world *w) {
    struct lag_memory m = {0};
    struct look l = look(w, &m);
    lag_memory_release(&m);
    return l;
}

/* Within a minute, which is what a slow machine may take. */
#define assert_seconds(v, from) assert_true((v) >= (from) && (v) < (from) + 60)
#define assert_share(v, from) assert_true((v) >= (from) && (v) < (from) + 0.07)

static void the_oldest_record_not_in_bronze_counts(void **state ATTR_UNUSED) {
    struct world w = world_new(3);
    struct look l = look_once(&w);
    assert_int_equal(l.n, 3);
    assert_true(l.total.offsets == 0 && l.total.seconds == 0 && l.total.retention_used == 0);
    int64_t now = clock_now_us();
    for (int s = 5000; s > 1000; s -= 1000) /* 5000, 4000, 3000, 2000 s ago */
        fill_at(&w, 0, now, s);
    fill_at(&w, 2, now, 1000);
    l = look_once(&w);
    assert_int_equal(l.v[0].offsets, 4);
    assert_int_equal(l.v[0].position, -1);
    assert_seconds(l.v[0].seconds, 5000);
    assert_true(l.v[1].offsets == 0 && l.v[1].seconds == 0);
    assert_seconds(l.v[2].seconds, 1000);
    assert_int_equal(l.total.offsets, 5);
    assert_seconds(l.total.seconds, 5000);

    run_once(&w, "t", false, NULL);
    l = look_once(&w);
    assert_true(l.total.offsets == 0 && l.total.seconds == 0);
    assert_int_equal(l.v[0].position, 4);
    fill_at(&w, 0, now, 500);
    fill_at(&w, 0, now, 400);
    l = look_once(&w);
    assert_int_equal(l.v[0].offsets, 2);
    assert_seconds(l.v[0].seconds, 500);
    mem_topic_forget(w.mc, TOPIC, 0, 5); /* the older of the two: it is no longer in the stream */
    l = look_once(&w);
    assert_true(l.v[0].offsets == 1 && l.v[0].gone == 1);
    assert_seconds(l.v[0].seconds, 400);
    world_free(&w);
}

static void offsets_without_a_record_have_no_age(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    int64_t now = clock_now_us();
    mem_topic_add_holes(w.mc, TOPIC, 0, 3);
    struct look l = look_once(&w);
    assert_true(l.v[0].offsets == 3 && l.v[0].seconds == 0 && l.v[0].retention_used == 0);
    fill_at(&w, 0, now, 700);
    l = look_once(&w);
    assert_int_equal(l.v[0].offsets, 4);
    assert_seconds(l.v[0].seconds, 700);
    world_free(&w);
}

static double used(struct world *w, bool known, int64_t ms, int64_t bytes) {
    mem_cluster_retention(w->mc, &(struct retention){known, ms, bytes});
    struct look l = look_once(w);
    assert_true(l.total.retention_used == l.v[0].retention_used);
    return l.v[0].retention_used;
}

static void retention_counts_by_time_and_by_size(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    mem_cluster_retention(w.mc, &(struct retention){true, 1, 1});
    assert_true(look_once(&w).v[0].retention_used == 0); /* nothing is there to be removed */
    int64_t now = clock_now_us();
    fill_at(&w, 0, now, 1000);
    for (int i = 0; i < 9; i++)
        fill_at(&w, 0, now, 10);
    int64_t size = 10 * (int64_t)strlen("{\"product_id\":0,\"category\":\"c\",\"price\":1,"
                                        "\"event_ts\":1771286400}");
    assert_share(used(&w, true, 4000000, -1), 0.25);
    assert_share(used(&w, true, 1000000, -1), 1);
    assert_true(used(&w, true, 10, -1) == 1);
    assert_true(used(&w, true, 0, -1) == 1);
    assert_true(used(&w, true, -1, 4 * size) == 0.25);
    assert_true(used(&w, true, -1, size / 2) == 1);
    assert_true(used(&w, true, -1, -1) == 0);
    assert_share(used(&w, true, 2000000, 4 * size), 0.5); /* the nearer of the two */
    assert_true(used(&w, true, 100000000, 2 * size) == 0.5);
    assert_true(used(&w, false, -1, -1) == -1);
    world_free(&w);
}

static void what_is_not_known_is_not_guessed(void **state ATTR_UNUSED) {
    struct lag v[] = {{.offsets = 3, .seconds = 5, .retention_used = 0.5},
                      {.offsets = 4, .seconds = -1, .retention_used = -1},
                      {.offsets = 0, .seconds = 0, .retention_used = 0}};
    struct lag sum = lag_total(v, 3);
    assert_true(sum.offsets == 7 && sum.seconds == -1 && sum.retention_used == -1);
    sum = lag_total(v, 1);
    assert_true(sum.offsets == 3 && sum.seconds == 5 && sum.retention_used == 0.5);
    sum = lag_total(v, 0);
    assert_true(sum.offsets == 0 && sum.seconds == 0 && sum.retention_used == 0);
}

/* What has not moved is not asked for again; retention is, after a while. */
static void looks_are_remembered(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    struct lag_memory m = {0};
    int64_t now = clock_now_us();
    fill_at(&w, 0, now, 1000);
    fill_at(&w, 1, now, 500);
    mem_cluster_retention(w.mc, &(struct retention){true, 4000000, -1});
    struct look l = look(&w, &m);
    assert_share(l.v[0].retention_used, 0.25);
    assert_int_equal(mem_cluster_peeks(w.mc), 2);
    mem_cluster_retention(w.mc, &(struct retention){true, 2000000, -1});
    fill_at(&w, 1, now, 400);
    l = look(&w, &m);
    assert_int_equal(mem_cluster_peeks(w.mc), 2);
    assert_share(l.v[0].retention_used, 0.25);
    assert_seconds(l.v[1].seconds, 500);
    m.retention_ns -= 61 * 1000000000LL;
    assert_share(look(&w, &m).v[0].retention_used, 0.5);
    mem_topic_forget(w.mc, TOPIC, 1, 1);
    l = look(&w, &m);
    assert_int_equal(mem_cluster_peeks(w.mc), 3);
    assert_seconds(l.v[0].seconds, 1000);
    assert_seconds(l.v[1].seconds, 400);
    lag_memory_release(&m);
    world_free(&w);
}

int main(void) {
    log_setup(LOG_ERROR, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_record_not_in_bronze_counts),
        cmocka_unit_test(offsets_without_a_record_have_no_age),
        cmocka_unit_test(retention_counts_by_time_and_by_size),
        cmocka_unit_test(what_is_not_known_is_not_guessed),
        cmocka_unit_test(looks_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
