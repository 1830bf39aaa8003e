/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watched stream and storage keep the contract of what they wrap (the conformance suites), and
 * note what goes through them.
 */
#include <stdatomic.h>

#include "base/clock.h"
#include "fake/storage_fault.h"
#include "fake/stream_mem.h"
#include "serve/watch_storage.h"
#include "serve/watch_stream.h"
#include "storage/conformance.h"
#include "storage/helper.h"
#include "stream/conformance.h"
#include "stream/helper.h"

enum { OPENINGS = 256 };

/* Metrics and health, and whatever is watched under them. */
struct world {
    struct metrics *m;
    struct health *h;
    struct health_part *part;
    struct stream_watch *streams[OPENINGS];
    struct storage_watch *storages[OPENINGS];
    atomic_size_t n;
    struct mem_cluster *mc;
    char *folder;
};

static struct world *world_new(void) {
    struct world *w = xcalloc(1, sizeof *w);
    w->m = metrics_new(meters, M_N);
    w->h = health_new(60000);
    w->part = health_add(w->h, "part", "at first");
    return w;
}

static void world_free(struct world *w) {
    for (size_t i = 0; i < OPENINGS; i++) {
        stream_watch_free(w->streams[i]);
        storage_watch_free(w->storages[i]);
    }
    if (w->mc)
        mem_cluster_free(w->mc);
    if (w->folder)
        lake_folder_free(w->folder);
    metrics_free(w->m);
    health_free(w->h);
    free(w);
}

/* ---- the contracts ---- */

static void *watched_cluster_new(void) {
    struct world *w = world_new();
    w->mc = mem_cluster_new();
    return w;
}

static int watched_open(void *cluster, const struct stream_options *o, struct stream **ret,
                        struct err *e) {
    struct world *w = cluster;
    struct stream *inner;
    int r = stream_mem_open(w->mc, o, &inner, e);
    if (r < 0)
        return r;
    size_t i = w->n++;
    assert_true(i < OPENINGS);
    w->streams[i] = stream_watch_new(w->m, w->part, i % 2);
    *ret = stream_watch_wrap(w->streams[i], inner);
    return 0;
}

static void *watched_lake_new(void) {
    struct world *w = world_new();
    w->folder = lake_folder_new();
    return w;
}

static struct storage *watched_lake_open(void *lake) {
    struct world *w = lake;
    size_t i = w->n++;
    assert_true(i < OPENINGS);
    w->storages[i] = storage_watch_new(w->m, w->part, w->part);
    return storage_watch_wrap(w->storages[i], lake_open(w->folder));
}

static void free_world(void *w) {
    world_free(w);
}

/* ---- what is noted ---- */

static double value(struct world *w, enum meter id, const char *label) {
    return metric_value(metrics_get(w->m, id, label, NULL));
}

static bool ready(struct world *w) {
    struct buf why = BUF_INIT(4096);
    bool yes = health_is_ready(w->h, &why);
    buf_release(&why);
    return yes;
}

static const struct stream_options opts = {.topic = "t", .app = "a", .partitions = 1};

static struct stream *open_watched(struct world *w, bool consumer) {
    struct stream *inner;
    struct err e;
    assert_ok(stream_mem_open(w->mc, &opts, &inner, &e), &e);
    size_t i = w->n++;
    w->streams[i] = stream_watch_new(w->m, w->part, consumer);
    return stream_watch_wrap(w->streams[i], inner);
}

static void what_is_sent_is_counted_by_its_fate(void **state ATTR_UNUSED) {
    struct world *w = watched_cluster_new();
    struct stream *s = open_watched(w, false);
    struct ack_log acks = {0};
    stream_on_ack(s, ack_log_add, &acks);
    assert_true(ready(w));
    for (int i = 0; i < 5; i++)
        send_text(s, "k", "value");
    flush_all(s);
    mem_cluster_fail_next(w->mc, 1);
    send_text(s, NULL, "no");
    struct err e;
    assert_int_equal(stream_flush(s, &e), ERR_STREAM);
    assert_false(ready(w));
    assert_int_equal(value(w, M_PRODUCE_SENT, NULL), 6);
    assert_int_equal(value(w, M_PRODUCE_BYTES, NULL), 27);
    assert_int_equal(value(w, M_PRODUCE_ACKED, NULL), 5);
    assert_int_equal(value(w, M_PRODUCE_FAILED, NULL), 1);
    assert_int_equal(acks.n, 6);
    flush_all(s);
    assert_true(ready(w));
    ack_log_release(&acks);
    stream_free(s);
    world_free(w);
}

static void what_is_read_is_counted_and_assignments_are_shown(void **state ATTR_UNUSED) {
    struct world *w = watched_cluster_new();
    struct stream *out = open_watched(w, false), *in = open_watched(w, true);
    for (int i = 0; i < 100; i++)
        send_text(out, NULL, "x");
    flush_all(out);
    assert_int_equal(assign_all(in), 1);
    assert_true(ready(w));
    assert_int_equal(value(w, M_PARTITION_ASSIGNED, "0"), 1);
    struct span *sp = span_new(1 << 20);
    read_to_end(in, sp);
    assert_int_equal(value(w, M_STREAM_READ, NULL), 100);
    stream_watch_collect(w->streams[1]);
    assert_int_equal(value(w, M_STREAM_BROKERS, NULL), 1);
    span_free(sp);
    stream_free(in);
    stream_watch_collect(w->streams[1]); /* after the stream: what was known stays */
    assert_int_equal(value(w, M_STREAM_BROKERS, NULL), 1);
    stream_free(out);
    world_free(w);
}

static void failed_calls_of_the_storage_are_counted_and_end_readiness(void **state ATTR_UNUSED) {
    struct world *w = watched_lake_new();
    struct storage *spoiled = storage_fault_new(lake_open(w->folder), true);
    w->storages[0] = storage_watch_new(w->m, w->part, NULL);
    struct storage *st = storage_watch_wrap(w->storages[0], spoiled);
    struct err e;
    put_text(st, "a", "text");
    assert_int_equal(storage_put_new(st, "a", "x", 1, &e), ERR_EXISTS);
    struct storage_entry en;
    assert_int_equal(storage_stat(st, "b", &en, &e), ERR_NOT_FOUND);
    assert_int_equal(value(w, M_STORAGE_ERRORS, "put_new"), 0);
    assert_int_equal(value(w, M_STORAGE_SECONDS, "put_new"), 2);
    assert_true(ready(w));

    struct fault fault = {.effect = FAULT_FAIL, .at = 1};
    storage_fault_arm(spoiled, &fault);
    assert_int_equal(storage_put_new(st, "c", "x", 1, &e), ERR_STORAGE);
    assert_int_equal(value(w, M_STORAGE_ERRORS, "put_new"), 1);
    assert_false(ready(w));
    assert_int_equal(storage_stat(st, "a", &en, &e), 0);
    assert_false(ready(w)); /* that it can be read does not mean that it can be written */
    put_text(st, "c", "x");
    assert_true(ready(w));
    storage_fault_arm(spoiled, &fault);
    assert_int_equal(storage_remove(st, "a", &e), ERR_STORAGE);
    assert_false(ready(w));
    storage_watch_committed(w->storages[0]);
    assert_true(ready(w));
    storage_free(st);
    world_free(w);
}

/* A commit asks the storage how patient it has been, through whatever stands in front of it. */
static void a_watched_storage_is_as_patient_as_the_one_behind(void **state ATTR_UNUSED) {
    struct world *w = watched_lake_new();
    struct storage *lake = lake_open(w->folder);
    lake->patience_ms = 1234;
    lake->lanes = 3;
    struct storage *spoiled = storage_fault_new(lake, true);
    w->storages[0] = storage_watch_new(w->m, w->part, NULL);
    struct storage *st = storage_watch_wrap(w->storages[0], spoiled);
    assert_int_equal(st->patience_ms, 1234);
    assert_int_equal(st->lanes, 3);
    storage_free(st);
    world_free(w);
}

static void a_commit_lasts_from_its_first_file(void **state ATTR_UNUSED) {
    struct world *w = watched_lake_new();
    struct storage *spoiled = storage_fault_new(lake_open(w->folder), true);
    w->storages[0] = storage_watch_new(w->m, w->part, NULL);
    struct storage *st = storage_watch_wrap(w->storages[0], spoiled);
    char dir[LIMIT_PATH];
    struct err e;
    assert_ok(storage_stage(st, dir, &e), &e);
    for (int commit = 0; commit < 2; commit++) {
        struct fault slow = {
            .effect = FAULT_DELAY, .at = 1, .times = 2, .delay_ms = 60, .calls = CALL_PUBLISH};
        storage_fault_arm(spoiled, commit == 0 ? &slow : NULL);
        for (int i = 0; i < 2; i++) {
            char *local = xasprintf("%s/f%d", dir, i), *path = xasprintf("t/%d-%d", commit, i);
            make_file(local, "x", 1);
            assert_ok(storage_publish(st, local, path, &e), &e);
            free(local);
            free(path);
        }
        put_text(st, commit == 0 ? "t/0.json" : "t/1.json", "{}");
        double seconds = storage_watch_committed(w->storages[0]);
        assert_true(commit == 0 ? seconds >= 0.12 : seconds < 0.12);
    }
    storage_unstage(st, dir);
    storage_free(st);
    world_free(w);
}

int main(void) {
    static const struct stream_driver streams = {.name = "watched",
                                                 .cluster_new = watched_cluster_new,
                                                 .open = watched_open,
                                                 .cluster_free = free_world};
    static const struct storage_driver lakes = {.name = "watched",
                                                .lake_new = watched_lake_new,
                                                .open = watched_lake_open,
                                                .lake_free = free_world};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_is_counted_by_its_fate),
        cmocka_unit_test(what_is_read_is_counted_and_assignments_are_shown),
        cmocka_unit_test(failed_calls_of_the_storage_are_counted_and_end_readiness),
        cmocka_unit_test(a_watched_storage_is_as_patient_as_the_one_behind),
        cmocka_unit_test(a_commit_lasts_from_its_first_file),
    };
    int failed = stream_conformance(&streams) + storage_conformance(&lakes);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
