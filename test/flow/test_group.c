/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several ingests that share a topic: partitions change hands, are lost, readers freeze and wake up
 * or die. The table's compare-and-swap is the last word; nothing is lost, nothing is there twice.
 */
#include "flow/world.h"

enum { BIG = 1000000 };

/* One that never ends a batch by itself: what is open is seen to be committed or dropped. */
static void reader_patient(struct reader *rd, struct world *w) {
    reader_init(rd, w);
    rd->o.once = false;
    rd->o.batch_rows = BIG;
    rd->o.batch_age_ms = BIG;
}

static void stop_all(struct reader *rd, size_t n) {
    stop_request();
    for (size_t i = 0; i < n; i++)
        assert_ok(reader_join(&rd[i]), &rd[i].e);
    stop_reset();
    for (size_t i = 0; i < n; i++)
        reader_release(&rd[i]);
}

/* So many records have been read by somebody, and perhaps not committed; one read again counts again. */
static void let_it_read(struct world *w, size_t n) {
    wait_until(mem_cluster_read(w->mc) >= n);
    assert_int_equal(mem_cluster_read(w->mc), n);
}

static void what_is_open_is_committed_on_revoke(void **state ATTR_UNUSED) {
    for (int how = MEM_EAGER; how <= MEM_COOPERATIVE; how++) {
        struct world w = world_new(4);
        struct reader rd[2];
        mem_cluster_group(w.mc, (enum mem_group)how);
        for (int i = 0; i < 4; i++)
            world_fill(&w, i, 10);
        reader_patient(&rd[0], &w);
        reader_start(&rd[0]);
        wait_until(mem_cluster_members(w.mc) == 1);
        let_it_read(&w, 40);
        assert_int_equal(world_position(&w, "t", 0), -1);
        reader_patient(&rd[1], &w);
        reader_start(&rd[1]);
        wait_until(world_position(&w, "t", 0) == 10 && world_position(&w, "t", 3) == 10);
        wait_until(atomic_load(&rd[0].commits) == 1);
        wait_until(mem_topic_committed(w.mc, TOPIC, "t", 3) == 10);
        for (int i = 0; i < 4; i++)
            world_fill(&w, i, 5);
        let_it_read(&w, 60);
        stop_all(rd, 2);
        assert_int_equal(rd[0].result.records, 50); /* its own, and two of the four after it */
        assert_int_equal(rd[1].result.records, 10);
        assert_int_equal(rd[0].result.drops + rd[1].result.drops, 0);
        assert_reconciled(&w, "of 4 partitions without a gap: records 60, passed over 0");
        world_free(&w);
    }
}

static void what_is_open_is_dropped_when_it_is_lost(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    struct reader rd;
    mem_cluster_group(w.mc, MEM_COOPERATIVE);
    world_fill(&w, 0, 10);
    world_fill(&w, 1, 10);
    reader_patient(&rd, &w);
    reader_start(&rd);
    wait_until(mem_cluster_members(w.mc) == 1);
    let_it_read(&w, 20);
    mem_member_expire(w.mc, 0);
    let_it_read(&w, 40); /* it has learnt of it, and has joined again */
    assert_int_equal(world_position(&w, "t", 0), -1);
    stop_all(&rd, 1);
    assert_int_equal(rd.result.commits, 1);
    assert_int_equal(rd.result.records, 20);
    assert_reconciled(&w, "records 20, passed over 0");
    world_free(&w);
}

/* The group changes while the stream cannot confirm what is open: the group does not wait for it. */
static void what_cannot_be_confirmed_is_dropped_on_revoke(void **state ATTR_UNUSED) {
    for (int how = MEM_EAGER; how <= MEM_COOPERATIVE; how++) {
        struct world w = world_new(4);
        struct reader rd[2];
        mem_cluster_group(w.mc, (enum mem_group)how);
        for (int i = 0; i < 4; i++)
            world_fill(&w, i, 10);
        reader_patient(&rd[0], &w);
        reader_start(&rd[0]);
        wait_until(mem_cluster_members(w.mc) == 1);
        let_it_read(&w, 40);
        mem_cluster_fail_confirms(w.mc, 1);
        reader_patient(&rd[1], &w);
        reader_start(&rd[1]);
        wait_until(mem_cluster_members(w.mc) == 2);
        let_it_read(&w, 80);
        for (int i = 0; i < 4; i++)
            assert_int_equal(world_position(&w, "t", i), -1);
        stop_all(rd, 2);
        assert_int_equal(rd[0].result.records, 20);
        assert_int_equal(rd[1].result.records, 20);
        assert_int_equal(rd[0].result.drops, 1);
        assert_reconciled(&w, "of 4 partitions without a gap: records 40, passed over 0");
        world_free(&w);
    }
}

/* One of two partitions is lost: the other stays, and its records in the dropped batch come again. */
static void partitions_that_stay_are_read_again(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    struct reader rd;
    mem_cluster_group(w.mc, MEM_COOPERATIVE);
    world_fill(&w, 0, 10);
    world_fill(&w, 1, 10);
    reader_patient(&rd, &w);
    rd.o.batch_rows = 15; /* one batch is in the table, 5 records are open */
    reader_start(&rd);
    wait_until(atomic_load(&rd.commits) == 1);
    let_it_read(&w, 20);
    mem_member_lose(w.mc, 0, 1);
    let_it_read(&w, 25);
    assert_int_equal(world_count(&w, "SELECT count(*) FROM bronze.events"), 15);
    stop_all(&rd, 1);
    assert_int_equal(rd.result.records, 20);
    assert_partition(&w, 0, 10);
    assert_partition(&w, 1, 10);
    assert_reconciled(&w, "records 20, passed over 0");
    world_free(&w);
}

/* --- frozen while it publishes --- */

struct gate {
    atomic_bool shut, waiting;
};

static void wait_at_gate(void *arg, enum fault_call call, const char *path ATTR_UNUSED) {
    struct gate *g = arg;
    if (call != CALL_PUBLISH)
        return;
    while (atomic_load(&g->shut)) {
        atomic_store(&g->waiting, true);
        pause_ms(1);
    }
}

/* SIGSTOP for longer than its session lasts: others have read its records when it wakes up. */
static void a_zombie_is_refused(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    struct reader rd[2];
    struct gate g = {.shut = true};
    mem_cluster_group(w.mc, MEM_EAGER);
    world_fill(&w, 0, 40);
    reader_init(&rd[0], &w);
    rd[0].o.once = false;
    storage_fault_hook(rd[0].st, wait_at_gate, &g);
    reader_start(&rd[0]);
    wait_until(atomic_load(&g.waiting));

    reader_init(&rd[1], &w);
    rd[1].o.once = false;
    reader_start(&rd[1]);
    wait_until(mem_cluster_members(w.mc) == 2);
    mem_member_expire(w.mc, 1); /* the first: new members stand in front */
    wait_until(atomic_load(&rd[1].records) == 40);
    assert_int_equal(world_position(&w, "t", 0), 40);
    atomic_store(&g.shut, false);
    wait_until(atomic_load(&rd[0].drops) >= 1);
    world_fill(&w, 0, 7);
    world_fill(&w, 1, 7);
    wait_until(world_position(&w, "t", 0) == 47 && world_position(&w, "t", 1) == 7);
    stop_all(rd, 2);
    assert_int_equal(rd[0].result.records + rd[1].result.records, 54);
    assert_partition(&w, 0, 47);
    assert_reconciled(&w, "records 54, passed over 0");
    world_free(&w);
}

/* Told of the loss while its files are published: it does not even try, though nobody was faster. */
static void nothing_is_committed_after_the_assignment_is_lost(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    struct reader rd;
    struct gate g = {.shut = true};
    mem_cluster_group(w.mc, MEM_EAGER);
    world_fill(&w, 0, 40);
    reader_init(&rd, &w);
    rd.o.once = false;
    storage_fault_hook(rd.st, wait_at_gate, &g);
    reader_start(&rd);
    wait_until(atomic_load(&g.waiting));
    mem_member_expire(w.mc, 0);
    wait_until(mem_cluster_losses(w.mc) == 1);
    pause_ms(100); /* its poll thread has passed it on */
    atomic_store(&g.shut, false);
    wait_until(atomic_load(&rd.drops) == 1);
    wait_until(atomic_load(&rd.records) == 40);
    stop_all(&rd, 1);
    assert_int_equal(rd.result.drops, 1);
    assert_int_equal(rd.result.conflicts, 0);
    assert_int_equal(rd.result.commits, 1);
    assert_reconciled(&w, "records 40, passed over 0");
    world_free(&w);
}

/* A lake that does not answer for a while: no more is read than the units hold. */
static void a_slow_lake_stops_the_reading(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    struct reader rd;
    struct gate g = {.shut = true};
    mem_cluster_group(w.mc, MEM_EAGER);
    world_fill(&w, 0, 2000);
    reader_init(&rd, &w);
    storage_fault_hook(rd.st, wait_at_gate, &g);
    reader_start(&rd);
    wait_until(atomic_load(&g.waiting));
    pause_ms(100);                         /* it would have read all by now, if nothing held it */
    mem_topic_forget(w.mc, TOPIC, 0, 500); /* what it has read it need not read again */
    atomic_store(&g.shut, false);
    assert_int_equal(reader_join(&rd), ERR_STREAM);
    assert_non_null(strstr(rd.e.msg, "were removed before they were read"));
    int64_t at = world_position(&w, "t", 0);
    assert_true(at >= 40 && at < 500);
    assert_partition(&w, 0, at);
    reader_release(&rd);
    world_free(&w);
}

/* --- once --- */

static void several_do_the_work_once(void **state ATTR_UNUSED) {
    for (int how = MEM_ALONE; how <= MEM_COOPERATIVE; how++) {
        struct world w = world_new(6);
        struct reader rd[3];
        int64_t records = 0;
        mem_cluster_group(w.mc, (enum mem_group)how);
        for (int i = 0; i < 5; i++) {
            world_fill(&w, i, 100 * (i + 1));
            mem_topic_add_holes(w.mc, TOPIC, i, i); /* the end is no record */
        }
        for (int i = 0; i < 3; i++) {
            reader_init(&rd[i], &w);
            if (how == MEM_COOPERATIVE) /* what is open ends only where the others are waited for */
                rd[i].o.batch_age_ms = 1000000;
            reader_start(&rd[i]);
        }
        for (int i = 0; i < 3; i++) {
            assert_ok(reader_join(&rd[i]), &rd[i].e);
            records += rd[i].result.records;
            reader_release(&rd[i]);
        }
        assert_int_equal(records, 1500);
        for (int i = 0; i < 5; i++)
            assert_int_equal(world_position(&w, "t", i), 100 * (i + 1) + i);
        assert_reconciled(&w, "of 5 partitions without a gap: records 1500, passed over 10");
        world_free(&w);
    }
}

static void once_waits_for_what_others_have_read(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    struct reader rd[2];
    struct gate g = {.shut = true};
    mem_cluster_group(w.mc, MEM_COOPERATIVE);
    reader_init(&rd[0], &w);
    rd[0].o.once = false;
    storage_fault_hook(rd[0].st, wait_at_gate, &g);
    reader_start(&rd[0]);
    reader_init(&rd[1], &w);
    rd[1].o.once = false;
    reader_start(&rd[1]);
    wait_until(mem_cluster_members(w.mc) == 2);
    wait_until(mem_cluster_settled(w.mc)); /* each has one partition */
    world_fill(&w, 0, 40);
    world_fill(&w, 1, 40);
    wait_until(atomic_load(&g.waiting) && atomic_load(&rd[1].records) == 40);

    struct reader last; /* gets one of the partitions, or none; has to wait in any case */
    reader_init(&last, &w);
    reader_start(&last);
    pause_ms(600);
    assert_false(atomic_load(&last.ended));
    atomic_store(&g.shut, false);
    assert_ok(reader_join(&last), &last.e);
    assert_int_equal(world_position(&w, "t", 0) + world_position(&w, "t", 1), 80);
    reader_release(&last);
    stop_all(rd, 2);
    assert_reconciled(&w, "records 80, passed over 0");
    world_free(&w);
}

static void once_takes_over_what_a_dead_one_leaves(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    struct reader rd[2];
    struct gate g = {.shut = true};
    mem_cluster_group(w.mc, MEM_COOPERATIVE);
    world_fill(&w, 0, 40);
    world_fill(&w, 1, 40);
    for (int i = 0; i < 2; i++) {
        reader_init(&rd[i], &w);
        if (i == 0) {
            rd[i].o.timeout_ms = 100; /* it need not try for long when it is dead */
            storage_fault_hook(rd[i].st, wait_at_gate, &g);
        }
        reader_start(&rd[i]);
        if (i == 0)
            wait_until(atomic_load(&g.waiting));
    }
    wait_until(mem_cluster_members(w.mc) == 2);
    mem_member_kill(w.mc, 1);
    storage_fault_arm(rd[0].st, &(struct fault){.effect = FAULT_FAIL, .at = 1, .times = BIG});
    mem_member_expire(w.mc, 1);
    assert_ok(reader_join(&rd[1]), &rd[1].e);
    assert_int_equal(rd[1].result.records, 80);
    atomic_store(&g.shut, false);
    assert_true(reader_join(&rd[0]) < 0);
    reader_release(&rd[0]);
    reader_release(&rd[1]);
    assert_reconciled(&w, "records 80, passed over 0");
    world_free(&w);
}

static void nothing_left_to_do_needs_no_group(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    mem_cluster_group(w.mc, MEM_EAGER);
    world_fill(&w, 0, 40);
    mem_topic_add_holes(w.mc, TOPIC, 1, 2);
    run_once(&w, "t", false, NULL);
    struct reader rd;
    reader_init(&rd, &w);
    reader_start(&rd);
    assert_ok(reader_join(&rd), &rd.e);
    assert_int_equal(rd.result.rebalances, 0);
    reader_release(&rd);
    world_free(&w);
}

/* The lake is away, and then a signal comes: the batch is dropped, and read again the next time. */
static void a_stop_while_the_lake_is_away_drops_the_batch(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    world_fill(&w, 0, 10);
    static const unsigned calls[] = {CALL_PUT_NEW, CALL_PUBLISH};
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        for (int once = 0; once < 2; once++) {
            struct reader rd;
            reader_init(&rd, &w);
            rd.o.once = once;
            storage_fault_arm(rd.st, &(struct fault){.effect = FAULT_FAIL,
                                                     .at = 1,
                                                     .times = 1000000,
                                                     .calls = calls[i],
                                                     .retry = true});
            reader_start(&rd);
            wait_until(storage_fault_calls(rd.st) > 1 || atomic_load(&rd.ended));
            stop_request();
            int r = reader_join(&rd);
            stop_reset();
            assert_int_equal(r, once ? ERR_STOPPED : 0);
            reader_release(&rd);
            assert_int_equal(world_position(&w, "t", 0), -1);
        }
    run_once(&w, "t", false, NULL);
    assert_partition(&w, 0, 10);
    world_free(&w);
}

int main(void) {
    log_setup(LOG_ERROR, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_open_is_committed_on_revoke),
        cmocka_unit_test(what_is_open_is_dropped_when_it_is_lost),
        cmocka_unit_test(what_cannot_be_confirmed_is_dropped_on_revoke),
        cmocka_unit_test(partitions_that_stay_are_read_again),
        cmocka_unit_test(a_zombie_is_refused),
        cmocka_unit_test(nothing_is_committed_after_the_assignment_is_lost),
        cmocka_unit_test(a_slow_lake_stops_the_reading),
        cmocka_unit_test(several_do_the_work_once),
        cmocka_unit_test(once_waits_for_what_others_have_read),
        cmocka_unit_test(once_takes_over_what_a_dead_one_leaves),
        cmocka_unit_test(nothing_left_to_do_needs_no_group),
        cmocka_unit_test(a_stop_while_the_lake_is_away_drops_the_batch),
    };
    return cmocka_run_group_tests_name("flow/group", tests, NULL, NULL);
}
