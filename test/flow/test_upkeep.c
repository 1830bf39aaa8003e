/* SPDX-License-Identifier: Apache-2.0 */
/* The steps and upkeep take turns, in any order: nothing is read twice, nothing is missed. */
#include "flow/gold.h"
#include "flow/load.h"
#include "flow/silver.h"
#include "flow/upkeep.h"
#include "flow/world.h"

static const struct upkeep_options all_at_once = {
    .optimize_files = 2, .optimize_target_bytes = 64 * MIB, .checkpoint_interval = 1};

static void gold_and_load(struct world *w, struct storage *st) {
    struct gold_result gold;
    struct load_result load;
    struct err e;
    assert_ok(flow_gold(st, w->en, &(struct gold_options){0}, &gold, &e), &e);
    struct sink *sk = world_sink(w);
    assert_ok(flow_load(w->st, w->en, sk, &(struct load_options){0}, &load, &e), &e);
    sink_free(sk);
}

/* Deletes all that may be deleted, whatever its age. */
static int64_t vacuum(struct world *w) {
    struct lake l;
    struct err e;
    int64_t files = 0;
    assert_ok(lake_open(&l, w->st, NULL, NULL, &e), &e);
    for (size_t i = 0; i < lake_tables(&l); i++) {
        struct table_vacuum_result done;
        struct table_vacuum_options v = {.asked_ms = 0, .force = true};
        assert_ok(upkeep_vacuum(&l, lake_table(&l, i), &all_at_once, v, &done, &e), &e);
        files += done.files;
    }
    lake_close(&l);
    return files;
}

/* n commits of bronze, five events each. */
static void ingest(struct world *w, int n) {
    for (int i = 0; i < n; i++) {
        world_fill(w, i % 2, 5);
        run_once(w, "t", false, NULL);
    }
}

static void assert_all_agrees(struct world *w, int64_t rows) {
    struct reconcile_result rec = {0};
    struct err e;
    struct sink *sk = world_sink(w);
    assert_ok(flow_reconcile(w->st, w->en, sk, NULL, &rec, &e), &e);
    for (size_t i = 0; i < rec.n; i++)
        if (!rec.v[i].ok)
            fail_msg("%s: %s", rec.v[i].name, rec.v[i].detail);
    assert_int_equal(rec.pending_bronze, 0);
    assert_int_equal(world_count(w, "SELECT count(*) FROM bronze.events"), rows);
    reconcile_result_release(&rec);
    sink_free(sk);
}

/* Silver reads bronze by its commits: a rewritten file is nothing new, whatever it is made of. */
static void silver_takes_no_rewritten_file_for_new(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    ingest(&w, 4);
    assert_int_equal(world_silver(&w, 1000), 20);
    ingest(&w, 3);
    assert_true(world_upkeep(&w, NULL, &all_at_once).joined >=
                7); /* old rows and new ones are in one file now */
    assert_int_equal(world_silver(&w, 1000), 15);
    assert_int_equal(world_silver(&w, 1000), 0);
    world_upkeep(&w, NULL, &all_at_once);
    assert_int_equal(world_silver(&w, 1000), 0);
    gold_and_load(&w, w.st);
    assert_all_agrees(&w, 35);
    world_free(&w);
}

/* What it has still to read is not deleted, though its rows are in other files by now. */
static void silver_finds_what_it_has_not_read(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    ingest(&w, 2);
    assert_int_equal(world_silver(&w, 1000), 10);
    ingest(&w, 4);
    world_upkeep(&w, NULL, &all_at_once);
    assert_int_equal(vacuum(&w), 0);
    assert_int_equal(world_silver(&w, 5), 20);
    world_upkeep(&w, NULL, &all_at_once);
    assert_true(vacuum(&w) >= 6);
    gold_and_load(&w, w.st);
    assert_all_agrees(&w, 30);
    world_free(&w);
}

/* Made anew when the files its first commits came with are long deleted. */
static void silver_begins_anew_behind_all_of_it(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    ingest(&w, 6);
    world_upkeep(&w, NULL, &all_at_once);
    assert_int_equal(vacuum(&w), 6);
    assert_int_equal(world_silver(&w, 5), 30);
    ingest(&w, 1);
    assert_int_equal(world_silver(&w, 5), 5);
    gold_and_load(&w, w.st);
    assert_all_agrees(&w, 35);
    world_free(&w);
}

/* Gold's files get other names while it replaces them: once, as by optimize. */
struct renamer {
    struct world *w;
    int left;
};

static void rename_gold(void *arg, enum fault_call call, const char *path) {
    struct renamer *rn = arg;
    if (call != CALL_PUT_NEW || rn->left == 0 ||
        !strstr(path, "gold/clickstream_metrics/_delta_log"))
        return;
    rn->left--;
    struct table *tb;
    struct err e;
    assert_ok(table_open(rn->w->st, &gold_clickstream_metrics, &tb, &e), &e);
    struct table_files old = {0}, new = {0};
    struct buf b = BUF_INIT(MIB);
    table_file_copy(table_files_add(&old), &table_live(tb)->v[0]);
    table_file_copy(table_files_add(&new), &old.v[0]);
    free(new.v[0].path);
    new.v[0].path = table_new_file_path(&gold_clickstream_metrics, old.v[0].partition);
    _cleanup_(freep) char *from = xasprintf("gold/clickstream_metrics/%s", old.v[0].path);
    _cleanup_(freep) char *to = xasprintf("gold/clickstream_metrics/%s", new.v[0].path);
    assert_ok(storage_get(rn->w->st, from, &b, &e), &e);
    assert_ok(storage_put_new(rn->w->st, to, b.data, b.len, &e), &e);
    struct table_commit c = {.operation = "OPTIMIZE", .add = &new, .remove = &old};
    assert_ok(table_commit(tb, &c, NULL, &e), &e);
    buf_release(&b);
    table_files_release(&old);
    table_files_release(&new);
    table_close(tb);
}

static void gold_does_its_work_all_the_same(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    ingest(&w, 1);
    world_silver(&w, 1000);
    gold_and_load(&w, w.st);
    ingest(&w, 1);
    world_silver(&w, 1000);
    struct renamer rn = {&w, 2};
    struct storage *st = storage_fault_new(w.st, false);
    storage_fault_hook(st, rename_gold, &rn);
    gold_and_load(&w, st);
    assert_int_equal(rn.left, 0);
    assert_all_agrees(&w, 10);
    storage_free(st);
    world_free(&w);
}

/* Two apps read one topic: which rows are whose is known by file, and then not any more. */
static void what_several_sources_read_stays_proved(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    ingest(&w, 2);
    run_once(&w, "another", false, NULL);
    world_silver(&w, 1000);
    gold_and_load(&w, w.st);
    world_upkeep(&w, NULL, &all_at_once);
    world_silver(&w, 1000);
    gold_and_load(&w, w.st);
    world_upkeep(&w, NULL, &all_at_once);
    assert_all_agrees(&w, 20);
    world_free(&w);
}

static void repeating_it_changes_nothing(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    ingest(&w, 3);
    for (int i = 0; i < 3; i++) { /* what upkeep commits is read by the layers above, once each */
        world_silver(&w, 1000);
        gold_and_load(&w, w.st);
        world_upkeep(&w, NULL, &all_at_once);
    }
    struct upkeep_result done = world_upkeep(&w, NULL, &all_at_once);
    assert_int_equal(done.joined + done.checkpoints + done.log_files + done.files, 0);
    assert_all_agrees(&w, 15);
    world_free(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silver_takes_no_rewritten_file_for_new),
        cmocka_unit_test(silver_finds_what_it_has_not_read),
        cmocka_unit_test(silver_begins_anew_behind_all_of_it),
        cmocka_unit_test(gold_does_its_work_all_the_same),
        cmocka_unit_test(what_several_sources_read_stays_proved),
        cmocka_unit_test(repeating_it_changes_nothing),
    };
    return cmocka_run_group_tests_name("flow/upkeep", tests, NULL, NULL);
}
