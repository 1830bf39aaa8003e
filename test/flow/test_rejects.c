/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rejects of an older decoder, which today's accepts: replayed once, whatever happens on the way.
 */
#include "event/event.h"
#include "flow/note.h"
#include "flow/replay.h"
#include "flow/world.h"
#include "parquet/bronze.h"

enum { RECORDS = 90, DAYS = 3 };
static const int64_t NOON = 1771286400LL * US_PER_SECOND;

/* One day's file: of each record the bytes, all rejected, every third for good. */
static void add_day(struct world *w, int day, int64_t later_us, struct table_files *adds) {
    struct bronze_group *g = bronze_group_new(&(struct bronze_options){.zstd_level = 1});
    char text[120], date[DATE_TEXT], path[LIMIT_PATH], stage[LIMIT_PATH];
    int64_t at = NOON + day * US_PER_DAY + later_us;
    for (int i = day; i < RECORDS; i += DAYS) {
        int n =
            snprintf(text, sizeof text,
                     "{\"product_id\":%d,\"category\":\"c\",\"price\":%s,\"event_ts\":1771286400}",
                     i, i / DAYS % 3 ? "1" : "true");
        const struct event ev = {.reject = REJECT_OUT_OF_RANGE, .detail = {"price: 1", 8}};
        const struct bronze_source src = {.topic = TOPIC,
                                          .offset = i,
                                          .received_us = at,
                                          .protocol = "native",
                                          .raw = text,
                                          .raw_len = (size_t)n};
        bronze_group_add(g, &ev, &src);
    }
    struct table_file f = {0};
    struct parquet_file *file;
    struct err e;
    assert_ok(storage_stage(w->st, stage, &e), &e);
    snprintf(path, sizeof path, "%.4000s/f", stage);
    assert_ok(parquet_file_create(&bronze_events, path, &file, &e), &e);
    assert_ok(parquet_file_append(file, bronze_encode(g), &e), &e);
    assert_ok(parquet_file_finish(file, &f, &e), &e);
    parquet_file_free(file);
    day_format(day_of_us(at), date);
    f.partition = xstrdup(date);
    f.path = table_new_file_path(&bronze_events, date);
    _cleanup_(freep) char *to = xasprintf("%s/%s", bronze_events.name, f.path);
    assert_ok(storage_publish(w->st, path, to, &e), &e);
    storage_unstage(w->st, stage);
    *table_files_add(adds) = f;
    bronze_group_free(g);
}

/* The records as ingest would have committed them, from a topic of this cluster. */
static void commit_old(struct world *w, const char *cluster, int64_t later_us) {
    struct table_files adds = {0};
    for (int day = 0; day < DAYS; day++)
        add_day(w, day, later_us, &adds);
    char app_id[3][64];
    snprintf(app_id[0], sizeof app_id[0], "t/%s/" TOPIC "/0", cluster);
    snprintf(app_id[1], sizeof app_id[1], "t/%s/" TOPIC "/0#first", cluster);
    snprintf(app_id[2], sizeof app_id[2], "t/%s/" TOPIC "/0#rejected", cluster);
    const struct table_txn txn[] = {
        {app_id[0], -1, RECORDS}, {app_id[1], -1, 0}, {app_id[2], -1, RECORDS}};
    const struct table_metric metrics[] = {
        {"records", RECORDS}, {"events", RECORDS}, {"rejected", RECORDS}};
    struct table_text note = {(char *)(uintptr_t) "positions",
                              note_positions(&(struct covered){0, 0, RECORDS, RECORDS}, 1)};
    struct table *tb = world_table(w, &bronze_events);
    struct err e;
    assert_ok(table_commit(tb,
                           &(struct table_commit){.operation = "STREAMING UPDATE",
                                                  .add = &adds,
                                                  .txn = txn,
                                                  .n_txn = ARRAY_LEN(txn),
                                                  .metrics = metrics,
                                                  .n_metrics = ARRAY_LEN(metrics),
                                                  .parameters = &note,
                                                  .n_parameters = 1,
                                                  .data_change = true},
                           NULL, &e),
              &e);
    free(note.value);
    table_files_release(&adds);
    table_close(tb);
}

static struct world old_world(void) {
    struct world w = world_new(1);
    commit_old(&w, "c", 0);
    return w;
}

enum { GOOD = 60, BAD = RECORDS - GOOD };

static struct replay_options options(void) {
    return (struct replay_options){.filter = REJECTS_ALL, .zstd_level = 1, .batch_rows = 100};
}

/* One replay; what it says. */
static struct replay_result replay(struct world *w, const struct replay_options *o) {
    struct replay_result r;
    struct err e;
    assert_ok(flow_replay(w->st, w->en, o, &r, &e), &e);
    return r;
}

static void assert_result(struct replay_result r, int64_t replayed, int64_t still,
                          int64_t commits) {
    assert_int_equal(r.replayed, replayed);
    assert_int_equal(r.still, still);
    assert_int_equal(r.commits, commits);
    replay_result_release(&r);
}

#define REPLAYED "reject_reason IS NULL AND reject_detail = 'out_of_range'"

/* Each accepted once, at its own position and time, and reconcile says so. */
static void assert_replayed(struct world *w, int64_t n) {
    assert_int_equal(world_count(w, "SELECT count(*) FROM bronze.events"), RECORDS + n);
    assert_int_equal(world_count(w, "SELECT count(*) FROM bronze.events WHERE " REPLAYED), n);
    assert_int_equal(
        world_count(w, "SELECT count(DISTINCT source_offset) FROM bronze.events a WHERE " REPLAYED
                       " AND product_id = source_offset AND (source_topic, source_partition,"
                       " source_offset, source_index, received_at, ingest_date) IN (SELECT"
                       " (source_topic, source_partition, source_offset, source_index,"
                       " received_at, ingest_date) FROM bronze.events"
                       " WHERE reject_reason IS NOT NULL)"),
        n);
    assert_reconciled(w, "records 90, passed over 0");
}

static void test_once_and_no_more(void **state ATTR_UNUSED) {
    struct world w = old_world();
    struct replay_options o = options();
    o.dry_run = true;
    assert_result(replay(&w, &o), GOOD, BAD, 0);
    assert_replayed(&w, 0);
    o.dry_run = false;
    struct replay_result r = replay(&w, &o);
    assert_int_equal(r.n, 1);
    assert_string_equal(r.v[0].reason, "wrong_type");
    assert_string_equal(r.v[0].field, "price");
    assert_string_equal(r.v[0].detail, "price: true");
    assert_string_equal(r.v[0].first, TOPIC "/0/0/0");
    assert_result(r, GOOD, BAD, 1);
    assert_replayed(&w, GOOD);
    assert_result(replay(&w, &o), 0, BAD, 0);
    assert_replayed(&w, GOOD);
    world_free(&w);
}

static void test_days_reasons_and_commits(void **state ATTR_UNUSED) {
    struct world w = old_world();
    struct replay_options o = options();
    o.batch_rows = 7;
    o.keep_raw = true;
    o.checkpoint_interval = 2;
    o.filter.reason = "wrong_type";
    assert_result(replay(&w, &o), 0, 0, 0);
    o.filter.reason = "out_of_range";
    o.filter.from = o.filter.to = day_of_us(NOON) + 1;
    assert_result(replay(&w, &o), GOOD / DAYS, BAD / DAYS, 3);
    assert_replayed(&w, GOOD / DAYS);
    o.filter = REJECTS_ALL;
    assert_result(replay(&w, &o), GOOD - GOOD / DAYS, BAD, 6);
    assert_replayed(&w, GOOD);
    assert_int_equal(world_count(&w, "SELECT count(raw) FROM bronze.events WHERE " REPLAYED), GOOD);
    world_free(&w);
}

#define EACH "source_topic, source_partition, source_offset, source_index, raw AS value"

/* A topic and its copy in another cluster: the record is the same, and replayed once. */
static void test_a_copied_topic(void **state ATTR_UNUSED) {
    struct world w = old_world();
    commit_old(&w, "d", 0);
    struct replay_options o = options();
    assert_result(replay(&w, &o), GOOD, 2 * BAD, 1);
    assert_result(replay(&w, &o), 0, 2 * BAD, 0);
    assert_int_equal(world_count(&w, "SELECT count(*) FROM bronze.events WHERE " REPLAYED), GOOD);
    assert_reconciled(&w, "records 180, passed over 0");
    world_free(&w);
}

/* Two topics of one name: other records at the same positions, which a mapping cannot tell apart. */
static void test_two_topics_of_one_name(void **state ATTR_UNUSED) {
    struct world w = old_world();
    commit_old(&w, "d", US_PER_SECOND);
    struct rejects_mapping m = {"SELECT DISTINCT " EACH " FROM rejects", "m.sql"};
    struct replay_options o = options();
    struct replay_result r;
    struct err e;
    o.mapping = &m;
    assert_int_equal(flow_replay(w.st, w.en, &o, &r, &e), ERR_ENGINE);
    assert_non_null(strstr(e.msg, "m.sql: at 90 of its positions several records were rejected"));
    assert_non_null(strstr(e.msg, "first: " TOPIC "/0/0/0"));
    replay_result_release(&r);
    o.mapping = NULL;
    assert_result(replay(&w, &o), 2 * GOOD, 2 * BAD, 2);
    assert_reconciled(&w, "records 180, passed over 0");
    world_free(&w);
}

/* What is found at the second look need not be what was checked: still each at most once. */
static void test_a_mapping_that_changes_its_mind(void **state ATTR_UNUSED) {
    for (int i = 0; i < 4; i++) {
        struct world w = old_world();
        struct rejects_mapping m = {"SELECT " EACH " FROM rejects, range(3) WHERE random() < 0.3",
                                    "m.sql"};
        struct replay_options o = options();
        struct replay_result r;
        struct err e;
        o.mapping = &m;
        int code = flow_replay(w.st, w.en, &o, &r, &e);
        assert_true(code == 0 || code == ERR_ENGINE);
        int64_t replayed = r.replayed;
        replay_result_release(&r);
        assert_replayed(&w, replayed);
        world_free(&w);
    }
}

/* ---- others meanwhile ---- */

struct meanwhile {
    struct world *w;
    struct replay_options o; /* of the other one */
    int64_t at, replayed;
};

static void let_another_go(void *arg, int64_t done, int64_t total ATTR_UNUSED) {
    struct meanwhile *m = arg;
    if (done != m->at)
        return;
    m->at = -1;
    struct replay_result r = replay(m->w, &m->o);
    m->replayed = r.replayed;
    replay_result_release(&r);
}

/* Of the other's days nothing is left to do when the first one commits; of the others all. */
static void test_two_at_once(void **state ATTR_UNUSED) {
    for (int days = 1; days <= DAYS; days += 2)
        for (int64_t at = 1; at < RECORDS; at += 40) {
            struct world w = old_world();
            struct meanwhile m = {.w = &w, .o = options(), .at = at};
            struct replay_options o = options();
            m.o.filter.to = day_of_us(NOON) + days - 1;
            o.batch_rows = 9;
            o.on_progress = let_another_go;
            o.arg = &m;
            struct replay_result r = replay(&w, &o);
            assert_int_equal(r.replayed + m.replayed, GOOD);
            replay_result_release(&r);
            assert_replayed(&w, GOOD);
            world_free(&w);
        }
}

/* An ingest that commits in between refuses nothing. */
static void let_ingest_go(void *arg, int64_t done, int64_t total ATTR_UNUSED) {
    struct world *w = arg;
    if (done % 30 == 0) {
        world_fill(w, 0, 5);
        run_once(w, "other", false, NULL);
    }
}

static void test_while_ingest_runs(void **state ATTR_UNUSED) {
    struct world w = old_world();
    struct replay_options o = options();
    o.batch_rows = 20;
    o.on_progress = let_ingest_go;
    o.arg = &w;
    assert_result(replay(&w, &o), GOOD, BAD, 3);
    assert_int_equal(world_count(&w, "SELECT count(*) FROM bronze.events"), RECORDS + GOOD + 15);
    world_free(&w);
}

/* Every call of the storage fails once, or its answer is lost: done again, it is done once. */
static void test_faults(void **state ATTR_UNUSED) {
    static const enum fault_effect effects[] = {FAULT_FAIL, FAULT_LOST_ANSWER};
    struct replay_options o = options();
    o.batch_rows = 45;
    for (size_t k = 0; k < ARRAY_LEN(effects); k++)
        for (unsigned at = 1, hit = 1; hit; at++) {
            struct world w = old_world();
            struct storage *st = storage_fault_new(w.st, false);
            struct replay_result r;
            struct err e;
            storage_fault_arm(st,
                              &(struct fault){.effect = effects[k],
                                              .at = at,
                                              .calls = CALL_PUT_NEW | CALL_PUBLISH | CALL_STAGE});
            int code = flow_replay(st, w.en, &o, &r, &e);
            hit = storage_fault_calls(st) >= at;
            int64_t done = r.replayed;
            replay_result_release(&r);
            if (code == 0)
                assert_int_equal(done, GOOD);
            storage_fault_arm(st, NULL);
            r = replay(&w, &o);
            replay_result_release(&r);
            assert_replayed(&w, GOOD);
            storage_free(st);
            world_free(&w);
        }
}

/* ---- words ---- */

static void test_positions(void **state ATTR_UNUSED) {
    struct rejects_position p;
    assert_true(rejects_position_parse("a/b/1/22/3", &p));
    assert_int_equal(p.topic_len, 3);
    assert_int_equal(p.partition, 1);
    assert_int_equal(p.offset, 22);
    assert_int_equal(p.index, 3);
    assert_true(rejects_position_parse("o'k/0/123456789012345678", &p));
    assert_int_equal(p.offset, 123456789012345678);
    assert_int_equal(p.index, 0);
    _cleanup_(freep) char *sql = rejects_position_sql(&p);
    assert_string_equal(sql, " WHERE source_topic = 'o''k' AND source_partition = 0"
                             " AND source_offset = 123456789012345678 AND source_index = 0");
    static const char *const wrong[] = {"",
                                        "t",
                                        "t/1",
                                        "/1/2",
                                        "t/1/",
                                        "t//1",
                                        "t/-1/2",
                                        "t/x/1",
                                        "t/1/2 ",
                                        "1/2",
                                        "t/1/1234567890123456789",
                                        "t/4294967296/1",
                                        "t/0/1/4294967296"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_false(rejects_position_parse(wrong[i], &p));
}

static void test_reasons(void **state ATTR_UNUSED) {
    struct err e;
    for (enum reject r = REJECT_TOO_LARGE; r <= REJECT_UNKNOWN_PROTOCOL; r++)
        assert_ok(rejects_check_reason(reject_name(r), &e), &e);
    assert_int_equal(rejects_check_reason("' OR 1", &e), ERR_USAGE);
    assert_non_null(strstr(e.hint, "too_large invalid_utf8"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once_and_no_more),
        cmocka_unit_test(test_days_reasons_and_commits),
        cmocka_unit_test(test_a_copied_topic),
        cmocka_unit_test(test_two_topics_of_one_name),
        cmocka_unit_test(test_a_mapping_that_changes_its_mind),
        cmocka_unit_test(test_two_at_once),
        cmocka_unit_test(test_while_ingest_runs),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_reasons),
    };
    log_setup(LOG_ERROR, false);
    return cmocka_run_group_tests_name("flow/rejects", tests, NULL, NULL);
}
