/* SPDX-License-Identifier: Apache-2.0 */
/* Which files vacuum deletes, and which it never does. */
#include "base/clock.h"
#include "fake/storage_fault.h"
#include "fake/storage_mem.h"
#include "table/checkpoint.h"
#include "table/helper.h"

#define DAY 86400000LL
#define WEEK (7 * DAY)
#define FOLDER "gold/clickstream_metrics/"
#define D1 "event_date=2026-11-21/"
#define PART(name) D1 name ".parquet"

static void put_file(struct storage *st, const char *path) {
    _cleanup_(freep) char *full = xasprintf(FOLDER "%s", path);
    put_text(st, full, "PAR1");
}

/* Live: a, b. Removed: gone. Never committed: orphan. All as old as given. */
static struct table *some_files(struct storage *st, int64_t age_ms) {
    struct table *tb = open_table(st);
    put_file(st, PART("a"));
    put_file(st, PART("b"));
    put_file(st, PART("gone"));
    put_file(st, PART("orphan"));
    append_file(tb, PART("a"), "2026-11-21");
    append_file(tb, PART("gone"), "2026-11-21");
    _cleanup_(change_freep) struct change *ch = change_new();
    change_remove(ch, PART("gone"), "2026-11-21");
    change_add(ch, PART("b"), "2026-11-21");
    struct err e;
    assert_ok(change_commit(ch, tb, &e), &e);
    storage_mem_age(st, FOLDER D1, age_ms);
    return tb;
}

/* The removal of version 2, made older in the log, too. */
static void age_removal(struct storage *st, int64_t ms) {
    _cleanup_(freep) char *text = get_entry(st, 2);
    char *at = strstr(text, "\"deletionTimestamp\":") + strlen("\"deletionTimestamp\":"), *end;
    long long when = strtoll(at, &end, 10);
    _cleanup_(freep) char *aged =
        xasprintf("%.*s%lld%s", (int)(at - text), text, when - (long long)ms, end);
    struct err e;
    assert_ok(storage_put(st, TEST_LOG "/00000000000000000002.json", aged, strlen(aged), &e), &e);
    storage_mem_age(st, TEST_LOG "/00000000000000000002.json", ms);
}

static struct table_vacuum_options usual(void) {
    return (struct table_vacuum_options){
        .retention_ms = WEEK, .asked_ms = -1, .needed_after = INT64_MAX};
}

static void vacuum(struct table *tb, const struct table_vacuum_options *o, int64_t files,
                   int64_t kept) {
    struct table_vacuum_result done;
    struct err e;
    assert_ok(table_vacuum(tb, o, &done, &e), &e);
    assert_int_equal(done.files, files);
    assert_int_equal(done.bytes, 4 * files);
    assert_int_equal(done.kept, kept);
}

static void assert_files(struct storage *st, const char *want) {
    char *names = names_in(st, "gold/clickstream_metrics/event_date=2026-11-21", NULL);
    assert_string_equal(names, want);
    free(names);
}

static void what_nobody_needs_goes(void **state ATTR_UNUSED) {
    static const struct {
        int64_t age_ms, removed_ms;
        const char *left;
    } cases[] = {
        {0, 0, "a.parquet b.parquet gone.parquet orphan.parquet"}, /* a writer is at work */
        {6 * DAY, 6 * DAY, "a.parquet b.parquet gone.parquet orphan.parquet"},
        {8 * DAY, 0, "a.parquet b.parquet gone.parquet"}, /* a reader may be */
        {8 * DAY, 6 * DAY, "a.parquet b.parquet gone.parquet"},
        {8 * DAY, 8 * DAY, "a.parquet b.parquet"},
        {0, 8 * DAY, "a.parquet b.parquet gone.parquet orphan.parquet"}, /* clocks that disagree */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int folded = 0; folded < 2; folded++) {
            struct storage *st = storage_mem_new();
            struct table *tb = some_files(st, cases[i].age_ms);
            struct table_vacuum_options o = usual();
            struct err e;
            age_removal(st, cases[i].removed_ms);
            if (folded)
                assert_ok(table_checkpoint(tb, &e), &e);
            int64_t left = 1;
            for (const char *p = cases[i].left; (p = strchr(p, ' ')); p++)
                left++;
            o.dry_run = true;
            vacuum(tb, &o, 4 - left, left - 2);
            assert_files(st, "a.parquet b.parquet gone.parquet orphan.parquet");
            o.dry_run = false;
            vacuum(tb, &o, 4 - left, left - 2);
            assert_files(st, cases[i].left);
            vacuum(tb, &o, 0, left - 2);
            table_close(tb);
            storage_free(st);
        }
}

/* What was removed this moment goes, but not what is still to be read; what is in no commit may be a writer's. */
static void what_was_removed_goes_at_once(void **state ATTR_UNUSED) {
    for (int folded = 0; folded < 2; folded++) {
        struct storage *st = storage_mem_new();
        struct table *tb = some_files(st, 2 * 3600000);
        struct table_vacuum_options o = usual();
        struct err e;
        o.removed_too = true;
        o.needed_after = 1;
        if (folded)
            assert_ok(table_checkpoint(tb, &e), &e);
        vacuum(tb, &o, 0, 2);
        o.needed_after = 2;
        vacuum(tb, &o, 1, 1);
        assert_files(st, "a.parquet b.parquet orphan.parquet");
        o.asked_ms = 3600000;
        o.force = true;
        vacuum(tb, &o, 1, 0);
        assert_files(st, "a.parquet b.parquet");
        table_close(tb);
        storage_free(st);
    }
}

/* Only Parquet files that are no secret of somebody: a reader's notes, its checkpoints, its log. */
static void the_files_of_others_stay(void **state ATTR_UNUSED) {
    static const char *const stay[] = {"_change_data/x.parquet", "_delta_log/_sidecars/x.parquet",
                                       "README.md", "event_date=2026-11-21/_SUCCESS",
                                       "event_date=2026-11-21/_x.parquet"};
    struct storage *st = storage_mem_new();
    struct table *tb = some_files(st, 0);
    struct table_vacuum_options o = usual();
    for (size_t i = 0; i < ARRAY_LEN(stay); i++)
        put_file(st, stay[i]);
    put_file(st, "x.parquet");
    put_file(st, "a/b/c/d/x.parquet");
    storage_mem_age(st, FOLDER, 40 * DAY);
    struct err e;
    assert_ok(table_checkpoint(tb, &e), &e);
    vacuum(tb, &o, 3, 1); /* x, a/b/c/d/x and the orphan; gone was removed just now */
    for (size_t i = 0; i < ARRAY_LEN(stay); i++) {
        _cleanup_(freep) char *full = xasprintf(FOLDER "%s", stay[i]);
        _cleanup_(freep) char *text = get_text(st, full);
        assert_non_null(text);
    }
    table_close(tb);
    storage_free(st);
}

static void a_shorter_retention_is_forced_or_refused(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = some_files(st, 2 * DAY);
    struct table_vacuum_options o = usual();
    struct table_vacuum_result done;
    struct err e;
    o.asked_ms = DAY;
    assert_int_equal(table_vacuum(tb, &o, &done, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "86400 s are shorter than the table's retention of 604800 s"));
    assert_non_null(strstr(e.hint, "--force"));
    assert_files(st, "a.parquet b.parquet gone.parquet orphan.parquet");
    o.retention_ms = DAY;
    o.asked_ms = 3 * DAY; /* longer is nobody's harm */
    vacuum(tb, &o, 0, 2);
    o = usual();
    o.asked_ms = DAY;
    o.force = true;
    vacuum(tb, &o, 1, 1);
    table_close(tb);
    storage_free(st);
}

static void the_table_s_own_retention_counts(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    put_entry(st, 0,
              PROTOCOL META_WITH("\"delta.deletedFileRetentionDuration\":\"interval 30 days\""));
    struct table *tb = open_table(st);
    struct table_vacuum_options o = usual();
    append_file(tb, PART("a"), "2026-11-21");
    put_file(st, PART("a"));
    put_file(st, PART("orphan"));
    storage_mem_age(st, FOLDER D1, 29 * DAY);
    vacuum(tb, &o, 0, 1);
    storage_mem_age(st, FOLDER D1, 2 * DAY);
    vacuum(tb, &o, 1, 0);
    table_close(tb);
    storage_free(st);
}

/* Who asks for longer than removals stand in the checkpoints would be told a lie. */
static void a_longer_retention_is_the_table_s(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = some_files(st, 40 * DAY);
    struct table_vacuum_options o = usual();
    struct table_vacuum_result done;
    struct err e;
    o.asked_ms = 30 * DAY;
    assert_int_equal(table_vacuum(tb, &o, &done, &e), ERR_USAGE);
    assert_non_null(strstr(e.hint, "delta.deletedFileRetentionDuration"));
    assert_files(st, "a.parquet b.parquet gone.parquet orphan.parquet");
    /* With the property the checkpoint remembers them. */
    put_entry(st, 3, META_WITH("\"delta.deletedFileRetentionDuration\":\"interval 30 days\""));
    age_removal(st, 29 * DAY);
    assert_ok(table_refresh(tb, &e), &e);
    assert_ok(table_checkpoint(tb, &e), &e);
    vacuum(tb, &o, 1, 1);
    assert_files(st, "a.parquet b.parquet gone.parquet");
    table_close(tb);
    storage_free(st);
}

/* Silver has not read version 1 yet, whose file version 2 took away. */
static void what_somebody_has_still_to_read_stays(void **state ATTR_UNUSED) {
    for (int64_t read = 0; read <= 2; read++) {
        struct storage *st = storage_mem_new();
        struct table *tb = some_files(st, 40 * DAY);
        struct table_vacuum_options o = usual();
        struct err e;
        age_removal(st, 39 * DAY);
        assert_ok(table_checkpoint(tb, &e), &e);
        o.needed_after = read;
        vacuum(tb, &o, read < 2 ? 1 : 2, read < 2 ? 1 : 0);
        table_close(tb);
        storage_free(st);
    }
}

/* What another process has added since our last look is in the table. */
static void a_stale_view_deletes_nothing_new(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = some_files(st, 0), *other = open_table(st);
    struct table_vacuum_options o = usual();
    put_file(st, PART("late"));
    append_file(other, PART("late"), "2026-11-21");
    storage_mem_age(st, FOLDER D1, 40 * DAY);
    vacuum(tb, &o, 1, 1);
    assert_files(st, "a.parquet b.parquet gone.parquet late.parquet");
    table_close(other);
    table_close(tb);
    storage_free(st);
}

static void a_failure_at_any_call_harms_nothing(void **state ATTR_UNUSED) {
    unsigned at = 1;
    for (bool met = true; met; at++) {
        struct storage *mem = storage_mem_new(), *st = storage_fault_new(mem, false);
        table_close(some_files(mem, 40 * DAY));
        age_removal(mem, 39 * DAY);
        struct table *tb = open_table(st);
        struct table_vacuum_options o = usual();
        struct table_vacuum_result done;
        struct err e;
        assert_ok(table_checkpoint(tb, &e), &e);
        storage_fault_arm(st, &(struct fault){.effect = FAULT_FAIL, .at = at});
        int r = table_vacuum(tb, &o, &done, &e);
        met = storage_fault_calls(st) >= at;
        assert_true(met == (r < 0));
        storage_fault_arm(st, NULL);
        vacuum(tb, &o, 2 - done.files, 0);
        assert_files(mem, "a.parquet b.parquet");
        table_close(tb);
        storage_free(st);
        storage_free(mem);
    }
    assert_true(at > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_needs_goes),
        cmocka_unit_test(what_was_removed_goes_at_once),
        cmocka_unit_test(the_files_of_others_stay),
        cmocka_unit_test(a_shorter_retention_is_forced_or_refused),
        cmocka_unit_test(the_table_s_own_retention_counts),
        cmocka_unit_test(a_longer_retention_is_the_table_s),
        cmocka_unit_test(what_somebody_has_still_to_read_stays),
        cmocka_unit_test(a_stale_view_deletes_nothing_new),
        cmocka_unit_test(a_failure_at_any_call_harms_nothing),
    };
    return cmocka_run_group_tests_name("table/vacuum", tests, NULL, NULL);
}
