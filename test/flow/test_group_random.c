/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of one topic, and everything that can happen to them, at random: partitions change hands
 * and are lost, readers are refused, killed and started again, the lake fails and loses answers,
 * offsets hold nothing, partitions are added, retention is too fast. Whatever the order, bronze in
 * the end holds each record once (or notes its loss), and what the commits cover tiles.
 *
 * The seeds fix what is done, not how the threads meet it.
 */
#include "flow/prng.h"
#include "flow/world.h"

enum { READERS = 3, PARTITIONS = 5, LATER = 2, STEPS = 1200 };

struct game {
    struct world w;
    struct prng rng;
    struct reader rd[READERS];
    bool retention;
    int32_t partitions;
    int64_t records[PARTITIONS + LATER], ends[PARTITIONS + LATER], begins[PARTITIONS + LATER];
    int deaths, drops, conflicts;
};

static int roll(struct game *g, int n) {
    return (int)prng_below(&g->rng, (uint64_t)n);
}

static void start(struct game *g, struct reader *rd) {
    reader_init(rd, &g->w);
    rd->o.once = false;
    rd->o.batch_rows = 5 + roll(g, 200);
    rd->o.batch_age_ms = 1 + roll(g, 60);
    rd->o.timeout_ms = 20;
    rd->accept_loss = g->retention;
    reader_start(rd);
}

/* Only by what was done to it may a reader have ended. */
static void bury(struct game *g, struct reader *rd) {
    int r = reader_join(rd);
    if (r < 0 && !strstr(rd->e.msg, "told to kill") && !strstr(rd->e.msg, "injected fault") &&
        !strstr(rd->e.msg, "told to fail"))
        fail_msg("a reader ended with %d: %s", r, rd->e.msg);
    g->deaths += r < 0;
    g->drops += (int)rd->result.drops;
    g->conflicts += (int)rd->result.conflicts;
    reader_release(rd);
}

static void produce(struct game *g) {
    int32_t p = roll(g, g->partitions);
    int n = 1 + roll(g, 30);
    world_fill(&g->w, p, n);
    g->records[p] += n;
    g->ends[p] += n;
    if (roll(g, 2))
        return;
    n = 1 + roll(g, 3);
    mem_topic_add_holes(g->w.mc, TOPIC, p, n);
    g->ends[p] += n;
}

static void spoil_lake(struct game *g) {
    static const enum fault_effect effects[] = {FAULT_FAIL, FAULT_LOST_ANSWER, FAULT_DELAY};
    struct fault f = {.effect = effects[roll(g, 3)],
                      .at = 1 + (unsigned)roll(g, 6),
                      .times = roll(g, 3) ? 1 : 1000000, /* for ever: as if it had died there */
                      .retry = roll(g, 2),
                      .delay_ms = 1 + roll(g, 8)};
    f.times = f.effect == FAULT_DELAY ? 1 : f.times;
    storage_fault_arm(g->rd[roll(g, READERS)].st, &f);
}

static void retain(struct game *g) {
    int32_t p = roll(g, g->partitions);
    if (!g->retention || g->ends[p] == g->begins[p])
        return;
    g->begins[p] += 1 + roll(g, (int)MIN(g->ends[p] - g->begins[p], 40));
    mem_topic_forget(g->w.mc, TOPIC, p, g->begins[p]);
}

static void do_something(struct game *g) {
    struct mem_cluster *mc = g->w.mc;
    size_t who = (size_t)roll(g, READERS);
    int what = roll(g, 100);
    if (what < 40)
        produce(g);
    else if (what < 48)
        mem_cluster_rebalance(mc, (unsigned)roll(g, 100));
    else if (what < 54)
        mem_member_expire(mc, who);
    else if (what < 60)
        mem_member_lose(mc, who, roll(g, g->partitions));
    else if (what < 62)
        mem_member_kill(mc, who);
    else if (what < 68)
        spoil_lake(g);
    else if (what < 70)
        mem_cluster_fail_polls(mc, (size_t)roll(g, 3));
    else if (what < 74)
        retain(g);
    else if (what < 75 && g->partitions < PARTITIONS + LATER)
        mem_topic_add_partitions(mc, TOPIC, 1), g->partitions++;
    else
        pause_ms(roll(g, 3));
}

static void play(struct game *g) {
    for (int i = 0; i < READERS; i++)
        start(g, &g->rd[i]);
    for (int step = 0; step < STEPS; step++) {
        do_something(g);
        for (int i = 0; i < READERS; i++)
            if (atomic_load(&g->rd[i].ended)) {
                bury(g, &g->rd[i]);
                start(g, &g->rd[i]);
            }
    }
    stop_request();
    for (int i = 0; i < READERS; i++)
        bury(g, &g->rd[i]);
    stop_reset();
    mem_cluster_fail_polls(g->w.mc, 0);
    run_once(&g->w, "t", g->retention, NULL);
}

static void look_at_it(struct game *g) {
    int64_t records = 0, there = 0;
    for (int32_t p = 0; p < g->partitions; p++) {
        assert_int_equal(MAX(world_position(&g->w, "t", p), 0), g->ends[p]);
        records += g->records[p];
        if (!g->retention)
            assert_partition(&g->w, p, g->records[p]);
    }
    there = world_count(&g->w, "SELECT count(*) FROM bronze.events");
    assert_int_equal(world_count(&g->w, "SELECT count(DISTINCT product_id) FROM bronze.events"),
                     there);
    assert_true(g->retention ? there <= records : there == records);
    char says[100];
    snprintf(says, sizeof says, "records %lld, passed over", (long long)there);
    assert_reconciled(&g->w, says);
    printf("records %lld of %lld, readers that died %d, batches dropped %d, refused %d\n",
           (long long)there, (long long)records, g->deaths, g->drops, g->conflicts);
}

static int one_game(uint64_t seed, enum mem_group how, bool retention) {
    struct game g = {.w = world_new(PARTITIONS), .retention = retention, .partitions = PARTITIONS};
    prng_seed(&g.rng, seed);
    mem_cluster_group(g.w.mc, how);
    play(&g);
    look_at_it(&g);
    assert_true(g.deaths > 0);
    world_free(&g.w);
    return g.drops;
}

static void cooperative(void **state ATTR_UNUSED) {
    assert_true(one_game(1, MEM_COOPERATIVE, false) + one_game(2, MEM_COOPERATIVE, false) > 0);
}

static void eager(void **state ATTR_UNUSED) {
    one_game(3, MEM_EAGER, false);
}

static void all_read_everything(void **state ATTR_UNUSED) {
    one_game(4, MEM_ALONE, false);
}

static void with_retention(void **state ATTR_UNUSED) {
    one_game(5, MEM_COOPERATIVE, true);
}

int main(void) {
    log_setup(LOG_ERROR, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cooperative),
        cmocka_unit_test(eager),
        cmocka_unit_test(all_read_everything),
        cmocka_unit_test(with_retention),
    };
    return cmocka_run_group_tests_name("flow/group_random", tests, NULL, NULL);
}
