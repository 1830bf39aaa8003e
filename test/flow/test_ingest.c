/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ingest and what a broker can do to it: offsets without records, retention, topics that go
 * and come back, other clusters, errors that pass.
 */
#include <unistd.h>

#include "flow/silver.h"
#include "flow/world.h"

static struct status status_of(struct world *w) {
    struct stream_options so = {.topic = TOPIC, .app = "t"};
    struct stream *s;
    struct status st = {0};
    struct err e;
    assert_ok(stream_mem_open(w->mc, &so, &s, &e), &e);
    assert_ok(flow_status(s, w->st, NULL, &(struct status_options){.app = "t"}, &st, &e), &e);
    stream_free(s);
    return st;
}

static void assert_parameter(struct world *w, int64_t version, const char *name, const char *want) {
    char *value = world_parameter(w, version, name);
    if (want)
        assert_string_equal(value ? value : "(absent)", want);
    else
        assert_null(value);
    free(value);
}

static void holes_are_accounted_for(void **state ATTR_UNUSED) {
    struct world w = world_new(3);
    world_fill(&w, 0, 5);
    mem_topic_add_holes(w.mc, TOPIC, 0, 2);
    world_fill(&w, 0, 3);
    mem_topic_add_holes(w.mc, TOPIC, 0, 1); /* at the end */
    mem_topic_add_holes(w.mc, TOPIC, 1, 4); /* nothing else */
    run_once(&w, "t", false, NULL);
    assert_int_equal(world_position(&w, "t", 0), 11);
    assert_int_equal(world_position(&w, "t", 1), 4);
    assert_int_equal(world_position(&w, "t", 2), -1);
    assert_partition(&w, 0, 8);
    assert_parameter(&w, 0, "positions",
                     "[{\"partition\":0,\"from\":0,\"to\":11,\"records\":8},"
                     "{\"partition\":1,\"from\":0,\"to\":4,\"records\":0}]");
    assert_parameter(&w, 0, "lost", NULL);
    assert_reconciled(&w, "records 8, passed over 7, accepted as lost 0");
    struct status st = status_of(&w);
    assert_int_equal(st.lag.offsets, 0);
    status_release(&st);

    /* The next ranges begin where these ended, holes at the beginning and all. */
    mem_topic_add_holes(w.mc, TOPIC, 0, 3);
    world_fill(&w, 0, 1);
    run_once(&w, "t", false, NULL);
    assert_parameter(&w, 1, "positions", "[{\"partition\":0,\"from\":11,\"to\":15,\"records\":1}]");
    assert_reconciled(&w, "records 9, passed over 10");
    /* Nothing to do: nothing is committed. */
    run_once(&w, "t", false, NULL);
    assert_int_equal(world_position(&w, "t", 0), 15);
    assert_parameter(&w, 1, "lost", NULL);
    world_free(&w);
}

static void many_batches_tile(void **state ATTR_UNUSED) {
    struct world w = world_new(4);
    for (int i = 0; i < 40; i++) {
        world_fill(&w, i % 4, 1 + i * 7 % 23);
        mem_topic_add_holes(w.mc, TOPIC, i * 3 % 4, i % 3);
    }
    run_once(&w, "t", false, NULL);
    assert_reconciled(&w, "of 4 partitions without a gap");
    struct status st = status_of(&w);
    assert_int_equal(st.lag.offsets, 0);
    assert_true(st.layers[0].version > 5);
    status_release(&st);
    world_free(&w);
}

static void records_without_a_value_are_kept(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    world_fill(&w, 0, 2);
    mem_topic_append(w.mc, TOPIC, 0, NULL);
    mem_topic_append(w.mc, TOPIC, 0, "");
    world_fill(&w, 0, 1);
    run_once(&w, "t", false, NULL);
    assert_partition(&w, 0, 5);
    assert_int_equal(world_count(&w, "SELECT count(*) FROM bronze.events WHERE reject_reason = "
                                     "'invalid_json'"),
                     2);
    assert_reconciled(&w, NULL);
    world_free(&w);
}

/* More days than files are kept open, back and forth; one commit all the same. */
static void records_of_many_days_are_one_commit(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    struct reader rd;
    for (int day = 0; day < 150; day++) {
        mem_cluster_set_time(w.mc, (20000 + day) * US_PER_DAY);
        world_fill(&w, 0, 2);
    }
    for (int day = 0; day < 10; day++) {
        mem_cluster_set_time(w.mc, (20000 + day) * US_PER_DAY);
        world_fill(&w, 1, 2);
    }
    reader_init(&rd, &w);
    rd.o.batch_rows = 10000;
    rd.o.batch_age_ms = 10000;
    reader_start(&rd);
    assert_ok(reader_join(&rd), &rd.e);
    assert_int_equal(rd.result.commits, 1);
    assert_int_equal(rd.result.files, 150);
    reader_release(&rd);
    assert_partition(&w, 0, 300);
    assert_int_equal(world_count(&w, "SELECT count(DISTINCT ingest_date) FROM bronze.events"), 150);
    assert_int_equal(world_count(&w, "SELECT count(*) FROM bronze.events WHERE ingest_date <> "
                                     "CAST(received_at AT TIME ZONE 'UTC' AS DATE)"),
                     0);
    assert_reconciled(&w, "records 320");
    world_free(&w);
}

static void what_is_gone_is_an_error_that_names_it(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    world_fill(&w, 0, 10);
    world_fill(&w, 1, 5);
    run_once(&w, "t", false, NULL);
    world_fill(&w, 0, 20);
    mem_topic_forget(w.mc, TOPIC, 0, 17);
    struct status st = status_of(&w);
    assert_int_equal(st.partitions[0].gone, 7);
    assert_int_equal(st.partitions[0].offsets, 13);
    status_release(&st);
    struct err e;
    assert_int_equal(run_once(&w, "t", false, &e), ERR_STREAM);
    assert_non_null(strstr(e.msg, "offsets 10 to 16"));
    assert_non_null(strstr(e.hint, "--accept-loss"));
    assert_int_equal(world_position(&w, "t", 0), 10);

    run_once(&w, "t", true, NULL);
    assert_int_equal(world_position(&w, "t", 0), 30);
    assert_parameter(&w, 1, "positions",
                     "[{\"partition\":0,\"from\":10,\"to\":30,\"records\":13}]");
    assert_parameter(&w, 1, "lost", "[{\"partition\":0,\"from\":10,\"to\":17}]");
    assert_reconciled(&w, "records 28, passed over 0, accepted as lost 7");
    st = status_of(&w);
    assert_int_equal(st.lost, 7);
    assert_int_equal(st.lag.offsets, 0);
    status_release(&st);
    run_once(&w, "t", false, NULL); /* once accepted, it is no error any more */
    world_free(&w);
}

static void all_of_a_partition_can_be_lost(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    world_fill(&w, 0, 10);
    run_once(&w, "t", false, NULL);
    world_fill(&w, 0, 5);
    mem_topic_forget(w.mc, TOPIC, 0, 15);
    struct err e;
    assert_int_equal(run_once(&w, "t", false, &e), ERR_STREAM); /* nothing to read, and yet */
    run_once(&w, "t", true, NULL);
    assert_int_equal(world_position(&w, "t", 0), 15);
    assert_reconciled(&w, "records 10, passed over 0, accepted as lost 5");
    world_free(&w);
}

/* Others' records have these offsets now: nothing must be read, and it must not pass for read. */
static void a_stream_that_was_cut_is_an_error(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    world_fill(&w, 0, 10);
    world_fill(&w, 1, 10);
    run_once(&w, "t", false, NULL);
    mem_topic_cut(w.mc, TOPIC, 1, 7);
    struct err e;
    assert_int_equal(run_once(&w, "t", true, &e), ERR_STREAM);
    assert_says(&e, "position 10 of partition 1");
    assert_says(&e, "offsets 0 to 7");
    assert_non_null(strstr(e.hint, "cut"));
    run_once(&w, "u", false, NULL);
    assert_int_equal(world_position(&w, "u", 1), 7);
    world_free(&w);
}

/* Where it began is noted first, for all partitions. */
static void what_was_gone_before_the_first_read_is_not_lost(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    world_fill(&w, 0, 10);
    mem_topic_forget(w.mc, TOPIC, 0, 4);
    struct status st = status_of(&w);
    assert_true(st.partitions[0].gone == 0 && st.partitions[0].offsets == 6);
    status_release(&st);
    run_once(&w, "t", false, NULL);
    assert_parameter(&w, 0, "positions",
                     "[{\"partition\":0,\"from\":4,\"to\":4,\"records\":0},"
                     "{\"partition\":1,\"from\":0,\"to\":0,\"records\":0}]");
    assert_parameter(&w, 0, "lost", NULL);
    assert_parameter(&w, 1, "positions", "[{\"partition\":0,\"from\":4,\"to\":10,\"records\":6}]");
    assert_reconciled(&w, "records 6, passed over 0");
    char *id = world_parameter(&w, 0, "topicId"), *again = world_parameter(&w, 1, "topicId");
    assert_string_equal(id, again);
    free(id);
    free(again);
    world_free(&w);
}

/* It came, and there was nothing any more. What comes then and goes unread is a loss. */
static void an_empty_partition_has_a_beginning(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    world_fill(&w, 0, 10);
    mem_topic_forget(w.mc, TOPIC, 0, 10);
    run_once(&w, "t", false, NULL);
    assert_int_equal(world_position(&w, "t", 0), 10);
    world_fill(&w, 0, 10);
    mem_topic_forget(w.mc, TOPIC, 0, 13);
    struct err e;
    assert_int_equal(run_once(&w, "t", false, &e), ERR_STREAM);
    assert_non_null(strstr(e.msg, "offsets 10 to 12"));
    run_once(&w, "t", true, NULL);
    assert_reconciled(&w, "records 7, passed over 0, accepted as lost 3");
    world_free(&w);
}

/* All that was in a partition which was added later came after the app. */
static void what_is_gone_of_a_partition_added_later_is_lost(void **state ATTR_UNUSED) {
    for (int all = 0; all < 2; all++) {
        struct world w = world_new(1);
        world_fill(&w, 0, 5);
        run_once(&w, "t", false, NULL);
        mem_topic_add_partitions(w.mc, TOPIC, 1);
        world_fill(&w, 1, 10);
        mem_topic_forget(w.mc, TOPIC, 1, all ? 10 : 4);
        struct status st = status_of(&w);
        assert_int_equal(st.partitions[1].gone, all ? 10 : 4);
        status_release(&st);
        struct err e;
        assert_int_equal(run_once(&w, "t", false, &e), ERR_STREAM);
        assert_non_null(strstr(e.msg, all ? "offsets 0 to 9" : "offsets 0 to 3"));
        run_once(&w, "t", true, NULL);
        assert_parameter(&w, 1, "lost",
                         all ? "[{\"partition\":1,\"from\":0,\"to\":10}]"
                             : "[{\"partition\":1,\"from\":0,\"to\":4}]");
        assert_reconciled(&w, all ? "records 5, passed over 0, accepted as lost 10"
                                  : "records 11, passed over 0, accepted as lost 4");
        world_free(&w);
    }
}

/* Retention is at work between the look at the beginning and the first read; and the other way round. */
static void a_beginning_that_moves_is_lost(void **state ATTR_UNUSED) {
    for (int begin = 0; begin < 3; begin += 2) {
        struct world w = world_new(1);
        struct err e;
        world_fill(&w, 0, 10);
        if (begin)
            mem_topic_forget(w.mc, TOPIC, 0, begin);
        mem_cluster_forget_after_bounds(w.mc, 2, 0, 5); /* the first asks for the ends */
        assert_int_equal(run_once(&w, "t", false, &e), ERR_STREAM);
        assert_non_null(strstr(e.msg, begin ? "offsets 2 to 4" : "offsets 0 to 4"));
        assert_int_equal(world_position(&w, "t", 0), begin ? 2 : -1);
        world_free(&w);

        w = world_new(1);
        world_fill(&w, 0, 10);
        if (begin)
            mem_topic_forget(w.mc, TOPIC, 0, begin);
        mem_cluster_forget_after_bounds(w.mc, 2, 0, 5);
        run_once(&w, "t", true, NULL);
        assert_parameter(&w, begin ? 1 : 0, "lost",
                         begin ? "[{\"partition\":0,\"from\":2,\"to\":5}]"
                               : "[{\"partition\":0,\"from\":0,\"to\":5}]");
        assert_reconciled(&w, begin ? "records 5, passed over 0, accepted as lost 3"
                                    : "records 5, passed over 0, accepted as lost 5");
        world_free(&w);
    }
}

/* What a try that failed has seen of the beginning is not forgotten by the next one. */
static void a_beginning_is_looked_at_once(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    struct reader rd;
    world_fill(&w, 0, 10);
    mem_cluster_group(w.mc, MEM_EAGER);
    reader_init(&rd, &w);
    rd.o.once = false;
    rd.o.batch_age_ms = 3600000;
    rd.o.batch_rows = 1000000;
    reader_start(&rd);
    wait_until(mem_cluster_read(w.mc) == 10); /* it has begun at 0 and read all */
    mem_topic_forget(w.mc, TOPIC, 0, 5);
    assert_int_equal(world_position(&w, "t", 0), -1);
    mem_member_expire(w.mc, 0); /* so the open batch is dropped, and read again */
    assert_int_equal(reader_join(&rd), ERR_STREAM);
    assert_non_null(strstr(rd.e.msg, "offsets 0 to 4"));
    reader_release(&rd);
    world_free(&w);
}

static void a_topic_made_anew_is_not_read_on(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    world_fill(&w, 0, 10);
    run_once(&w, "t", false, NULL);
    char *before = world_parameter(&w, 0, "topicId");
    assert_non_null(before);
    mem_topic_delete(w.mc, TOPIC);
    struct err e;
    assert_int_equal(run_once(&w, "t", false, &e), ERR_STREAM);
    assert_non_null(strstr(e.msg, "no such topic"));

    /* As long as the old one, longer, shorter: never mixed up. */
    for (int n = 9; n <= 11; n++) {
        mem_topic_create(w.mc, TOPIC, 1);
        world_fill(&w, 0, n);
        assert_int_equal(run_once(&w, "t", false, &e), ERR_STREAM);
        assert_non_null(strstr(e.msg, "made again"));
        assert_non_null(strstr(e.msg, before));
        assert_non_null(strstr(e.hint, "stream.app"));
        assert_int_equal(world_position(&w, "t", 0), 10);
        mem_topic_delete(w.mc, TOPIC);
    }
    free(before);
    mem_topic_create(w.mc, TOPIC, 1);
    world_fill(&w, 0, 7);
    run_once(&w, "u", false, NULL);
    assert_int_equal(world_position(&w, "u", 0), 7);
    assert_reconciled(&w, "of 2 partitions without a gap: records 17");
    world_free(&w);
}

/* While it is being read: the running one ends, it does not read the new topic at old positions. */
static void a_topic_made_anew_under_way_ends_it(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    struct reader rd;
    reader_init(&rd, &w);
    rd.o.once = false;
    world_fill(&w, 0, 10);
    reader_start(&rd);
    wait_until(atomic_load(&rd.records) == 10);
    mem_topic_delete(w.mc, TOPIC);
    mem_topic_create(w.mc, TOPIC, 1);
    world_fill(&w, 0, 20);
    assert_int_equal(reader_join(&rd), ERR_STREAM);
    assert_non_null(strstr(rd.e.msg, "made again"));
    assert_int_equal(world_position(&w, "t", 0), 10);
    reader_release(&rd);
    world_free(&w);
}

/* The new one is longer than the old one's position, and is read on: it is noticed before the commit. */
static void records_of_a_topic_made_anew_are_not_committed(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    struct reader rd;
    world_fill(&w, 0, 30);
    reader_init(&rd, &w);
    rd.o.once = false;
    rd.o.batch_rows = 20; /* one batch is committed, one is open */
    rd.o.batch_age_ms = 1000000;
    reader_start(&rd);
    wait_until(atomic_load(&rd.commits) == 1 && mem_cluster_read(w.mc) == 30);
    mem_topic_delete(w.mc, TOPIC);
    mem_topic_create(w.mc, TOPIC, 1);
    world_fill(&w, 0, 60);
    assert_int_equal(reader_join(&rd), ERR_STREAM);
    assert_non_null(strstr(rd.e.msg, "made again"));
    reader_release(&rd);
    assert_int_equal(world_position(&w, "t", 0), 20);
    assert_int_equal(world_count(&w, "SELECT count(*) FROM bronze.events"), 20);
    world_free(&w);
}

/* Whether it is the topic we know cannot be told for a while: nothing is committed, and nothing lost. */
static void what_cannot_be_confirmed_is_not_committed(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    world_fill(&w, 0, 30);
    for (int once = 0; once < 2; once++) {
        struct reader rd;
        mem_cluster_fail_confirms(w.mc, 3); /* each is followed by a longer pause */
        reader_init(&rd, &w);
        rd.o.once = once;
        rd.o.batch_rows = 20;
        rd.o.batch_age_ms = 1000000;
        reader_start(&rd);
        if (!once) {
            wait_until(atomic_load(&rd.records) == 20);
            mem_cluster_fail_confirms(w.mc, 1000000);
            stop_request(); /* what is open cannot wait for the stream now: it is dropped */
        }
        assert_ok(reader_join(&rd), &rd.e);
        stop_reset();
        mem_cluster_fail_confirms(w.mc, 0);
        reader_release(&rd);
        assert_int_equal(world_position(&w, "t", 0), once ? 30 : 20);
    }
    assert_partition(&w, 0, 30);
    assert_reconciled(&w, "records 30, passed over 0");
    world_free(&w);
}

static void what_is_never_confirmed_ends_once(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    struct reader rd;
    world_fill(&w, 0, 10);
    mem_cluster_fail_confirms(w.mc, 1000000);
    reader_init(&rd, &w);
    rd.o.timeout_ms = 300;
    reader_start(&rd);
    assert_int_equal(reader_join(&rd), ERR_STREAM);
    assert_non_null(strstr(rd.e.msg, "not to confirm"));
    reader_release(&rd);
    assert_int_equal(world_position(&w, "t", 0), -1);
    world_free(&w);
}

static void no_topic_yet_is_nothing_to_do(void **state ATTR_UNUSED) {
    struct world w = world_new(0);
    run_once(&w, "t", false, NULL);
    assert_int_equal(world_count(&w, "SELECT count(*) FROM bronze.events"), 0);
    world_free(&w);
}

/* What is logged while fn runs. The caller frees. */
static char *logged(void (*fn)(struct world *w), struct world *w) {
    char path[] = "/tmp/clickmill-log-XXXXXX", *text = xcalloc(1, 65536);
    int fd = mkstemp(path), keep = dup(2);
    log_setup(LOG_WARN, false);
    dup2(fd, 2);
    fn(w);
    dup2(keep, 2);
    log_setup(LOG_ERROR, false);
    assert_true(pread(fd, text, 65535, 0) >= 0);
    close(fd);
    close(keep);
    unlink(path);
    return text;
}

static void read_all(struct world *w) {
    run_once(w, "t", false, NULL);
}

static void another_cluster_is_read_from_its_beginning(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    world_fill(&w, 0, 10);
    run_once(&w, "t", false, NULL);
    struct mem_cluster *first = w.mc;
    w.mc = mem_cluster_new(); /* a copy, and more */
    mem_topic_create(w.mc, TOPIC, 1);
    w.sent = 0;
    world_fill(&w, 0, 13);
    char *log = logged(read_all, &w);
    assert_non_null(strstr(log, "another cluster"));
    free(log);
    assert_int_equal(world_position(&w, "t", 0), 13);
    world_fill(&w, 0, 1);
    log = logged(read_all, &w);
    assert_null(strstr(log, "another cluster")); /* said once */
    free(log);
    assert_reconciled(&w, "of 2 partitions without a gap: records 24");
    struct silver_result res;
    struct err e;
    assert_ok(flow_silver(w.st, w.en, &(struct silver_options){.batch_rows = 1000}, &res, &e), &e);
    assert_int_equal(res.duplicates, 10);
    assert_int_equal(res.rows, 14);
    mem_cluster_free(first);
    world_free(&w);
}

static void two_apps_feed_one_table(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    world_fill(&w, 0, 50);
    world_fill(&w, 1, 30);
    run_once(&w, "t", false, NULL);
    run_once(&w, "a/b", false, NULL);
    world_fill(&w, 0, 5);
    run_once(&w, "t", false, NULL);
    assert_int_equal(world_position(&w, "a/b", 0), 50);
    assert_reconciled(&w, "of 4 partitions without a gap: records 165");
    world_free(&w);
}

static void partitions_that_come_later_are_read(void **state ATTR_UNUSED) {
    static const int64_t want[] = {11, -1, 10};
    for (int how = MEM_ALONE; how <= MEM_COOPERATIVE; how++) {
        struct world w = world_new(1);
        struct reader rd;
        mem_cluster_group(w.mc, (enum mem_group)how);
        reader_init(&rd, &w);
        rd.o.once = false;
        world_fill(&w, 0, 10);
        reader_start(&rd);
        wait_until(atomic_load(&rd.records) == 10);
        mem_topic_add_partitions(w.mc, TOPIC, 2);
        world_fill(&w, 0, 1);
        world_fill(&w, 2, 10);
        wait_until(atomic_load(&rd.records) == 21);
        assert_int_equal(rd.n_at, 3);
        for (int32_t i = 0; i < 3; i++) {
            assert_int_equal(rd.at[i].partition, i);
            assert_int_equal(rd.at[i].offset, want[i]);
        }
        /* The group is told, by the thread that reads. */
        wait_until(mem_topic_committed(w.mc, TOPIC, "t", 0) == 11 &&
                   mem_topic_committed(w.mc, TOPIC, "t", 2) == 10);
        stop_request();
        assert_ok(reader_join(&rd), &rd.e);
        stop_reset();
        assert_int_equal(rd.result.rebalances, how == MEM_EAGER ? 3 : 2);
        assert_int_equal(rd.result.drops, 0);
        assert_reconciled(&w, "records 21");
        reader_release(&rd);
        world_free(&w);
    }
}

static void the_last_commit_is_told_to_the_group(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    world_fill(&w, 0, 10);
    run_once(&w, "t", false, NULL);
    assert_int_equal(mem_topic_committed(w.mc, TOPIC, "t", 0), 10);
    world_free(&w);
}

static void what_passes_is_tried_again(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    world_fill(&w, 0, 10);
    mem_cluster_fail_polls(w.mc, 4);
    run_once(&w, "t", false, NULL);
    assert_partition(&w, 0, 10);

    struct reader rd; /* but not for ever */
    reader_init(&rd, &w);
    rd.o.timeout_ms = 300;
    world_fill(&w, 0, 10);
    mem_cluster_fail_polls(w.mc, 1000);
    reader_start(&rd);
    assert_int_equal(reader_join(&rd), ERR_STREAM);
    assert_non_null(strstr(rd.e.msg, "told to fail"));
    reader_release(&rd);
    world_free(&w);
}

static void status_knows_how_old_the_newest_is(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    struct status st = status_of(&w);
    assert_true(st.newest_ms == 0 && st.age_seconds == -1 && st.lag.seconds == 0);
    status_release(&st);
    int64_t then = clock_now_us() - 2 * US_PER_DAY;
    mem_cluster_set_time(w.mc, then - US_PER_DAY);
    world_fill(&w, 0, 3);
    mem_cluster_set_time(w.mc, then);
    world_fill(&w, 0, 1);
    run_once(&w, "t", false, NULL);
    st = status_of(&w);
    assert_int_equal(st.newest_ms, then / 1000);
    assert_true(st.age_seconds >= 172800 && st.age_seconds < 172900);
    assert_true(st.lag.seconds == 0);
    status_release(&st);
    world_fill(&w, 0, 12);
    mem_cluster_retention(w.mc, &(struct retention){true, 4 * 86400000, -1});
    st = status_of(&w);
    assert_true(st.lag.seconds >= 172800 && st.lag.seconds < 172900);
    assert_true(st.lag.retention_used >= 0.5 && st.lag.retention_used < 0.501);
    assert_true(st.lag.offsets == 12 && st.partitions[0].offsets == 12);
    status_release(&st);
    world_free(&w);
}

int main(void) {
    log_setup(LOG_ERROR, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_are_accounted_for),
        cmocka_unit_test(many_batches_tile),
        cmocka_unit_test(records_without_a_value_are_kept),
        cmocka_unit_test(records_of_many_days_are_one_commit),
        cmocka_unit_test(what_is_gone_is_an_error_that_names_it),
        cmocka_unit_test(all_of_a_partition_can_be_lost),
        cmocka_unit_test(a_stream_that_was_cut_is_an_error),
        cmocka_unit_test(what_was_gone_before_the_first_read_is_not_lost),
        cmocka_unit_test(an_empty_partition_has_a_beginning),
        cmocka_unit_test(what_is_gone_of_a_partition_added_later_is_lost),
        cmocka_unit_test(a_beginning_that_moves_is_lost),
        cmocka_unit_test(a_beginning_is_looked_at_once),
        cmocka_unit_test(a_topic_made_anew_is_not_read_on),
        cmocka_unit_test(a_topic_made_anew_under_way_ends_it),
        cmocka_unit_test(records_of_a_topic_made_anew_are_not_committed),
        cmocka_unit_test(what_cannot_be_confirmed_is_not_committed),
        cmocka_unit_test(what_is_never_confirmed_ends_once),
        cmocka_unit_test(no_topic_yet_is_nothing_to_do),
        cmocka_unit_test(another_cluster_is_read_from_its_beginning),
        cmocka_unit_test(two_apps_feed_one_table),
        cmocka_unit_test(partitions_that_come_later_are_read),
        cmocka_unit_test(the_last_commit_is_told_to_the_group),
        cmocka_unit_test(what_passes_is_tried_again),
        cmocka_unit_test(status_knows_how_old_the_newest_is),
    };
    return cmocka_run_group_tests_name("flow/ingest", tests, NULL, NULL);
}
