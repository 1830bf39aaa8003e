/* SPDX-License-Identifier: Apache-2.0 */
/* What may go of a log, what stays, and that whoever reads meanwhile gets over it. */
#include "fake/storage_fault.h"
#include "fake/storage_mem.h"
#include "table/checkpoint.h"
#include "table/helper.h"
#include "table/retention.h"

#define DAY 86400000LL
#define NOBODY INT64_MAX

static void checkpoint(struct table *tb) {
    struct err e;
    assert_ok(table_checkpoint(tb, &e), &e);
}

/* Versions 0 to 9, a file each; checkpoints at 3 and 7; those up to `old` are 40 days old. */
static struct table *ten_versions(struct storage *st, int old) {
    struct table *tb = open_table(st);
    for (int i = 0; i < 10; i++) {
        append_file(tb, (char[]){(char)('a' + i), '\0'}, NULL);
        if (i == 3 || i == 7)
            checkpoint(tb);
        if (i == old)
            storage_mem_age(st, TEST_LOG "/000", 40 * DAY);
    }
    return tb;
}

static const char all_ten[] =
    "v9 a@NULL b@NULL c@NULL d@NULL e@NULL f@NULL g@NULL h@NULL i@NULL j@NULL";

static int64_t clean(struct table *tb, int64_t retention_ms, int64_t needed_after) {
    struct err e;
    int64_t removed = -7;
    struct table_clean_options o = {.retention_ms = retention_ms, .needed_after = needed_after};
    assert_ok(table_clean_log(tb, &o, &removed, &e), &e);
    return removed;
}

/* The log begins at this version, with this newest checkpoint, and is read as ever. */
static void assert_log(struct storage *st, int64_t begin, int64_t newest, const char *state) {
    struct table *tb = open_table(st);
    int64_t first, checkpoint_version;
    struct err e;
    assert_ok(table_log_begin(tb, &first, &e), &e);
    assert_ok(table_checkpointed(tb, &checkpoint_version, &e), &e);
    assert_int_equal(first, begin);
    assert_int_equal(checkpoint_version, newest);
    assert_state(tb, state);
    table_close(tb);
}

static void what_is_kept_begins_at_a_checkpoint(void **state ATTR_UNUSED) {
    static const struct {
        int old;
        int64_t needed_after, begin, removed;
    } cases[] = {
        {-1, NOBODY, 0, 0}, /* nothing is old */
        {1, NOBODY, 0, 0},  /* version 2 could not be read from a later checkpoint */
        {2, NOBODY, 3, 3},  /* up to 2 */
        {5, NOBODY, 3, 3},  /* 4 and 5 are old, too, but 6 is read through them */
        {6, NOBODY, 7, 8},  /* entries 0 to 6, and the checkpoint at 3 */
        {9, NOBODY, 7, 8},  /* all are old: the newest checkpoint and what follows it stay */
        {9, 9, 7, 8},       {9, 5, 3, 3}, /* somebody has read up to 5 */
        {9, 1, 0, 0},       {9, -1, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct storage *st = storage_mem_new();
        struct table *tb = ten_versions(st, cases[i].old);
        assert_int_equal(clean(tb, 30 * DAY, cases[i].needed_after), cases[i].removed);
        assert_log(st, cases[i].begin, 7, all_ten);
        assert_int_equal(clean(tb, 30 * DAY, cases[i].needed_after), 0);
        append_file(tb, "k", NULL);
        table_close(tb);
        storage_free(st);
    }
}

/* However young they are, if there are too many: each opening has to list them. */
static void their_number_is_bounded(void **state ATTR_UNUSED) {
    static const struct {
        int64_t max_entries, needed_after, begin;
    } cases[] = {{0, NOBODY, 0}, {9, NOBODY, 0}, {6, NOBODY, 3}, {3, NOBODY, 3},
                 {2, NOBODY, 7}, {1, NOBODY, 7}, {1, 4, 3}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct storage *st = storage_mem_new();
        struct table *tb = ten_versions(st, -1);
        struct table_clean_options o = {.retention_ms = 30 * DAY,
                                        .max_entries = cases[i].max_entries,
                                        .needed_after = cases[i].needed_after};
        struct err e;
        int64_t removed;
        assert_ok(table_clean_log(tb, &o, &removed, &e), &e);
        assert_log(st, cases[i].begin, 7, all_ten);
        table_close(tb);
        storage_free(st);
    }
}

static void without_a_checkpoint_nothing_goes(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    assert_int_equal(clean(tb, 0, NOBODY), 0); /* no table either */
    for (int i = 0; i < 5; i++)
        append_file(tb, (char[]){(char)('a' + i), '\0'}, NULL);
    storage_mem_age(st, TEST_LOG, 40 * DAY);
    assert_int_equal(clean(tb, 0, NOBODY), 0);
    put_text(st, TEST_LOG "/00000000000000000004.checkpoint.parquet", "PAR1");
    struct err e;
    int64_t removed;
    struct table_clean_options o = {.needed_after = NOBODY};
    assert_int_equal(table_clean_log(tb, &o, &removed, &e), ERR_STORAGE); /* one that is damaged */
    assert_non_null(strstr(e.msg, "00000000000000000004.checkpoint.parquet"));
    assert_int_equal(removed, 0);
    _cleanup_(freep) char *first = get_entry(st, 0);
    assert_non_null(first);
    table_close(tb);
    storage_free(st);
}

static void the_table_s_own_properties_count(void **state ATTR_UNUSED) {
    static const struct {
        const char *entry;
        int64_t removed; /* -1: refused */
    } cases[] = {
        {PROTOCOL META_WITH(""), 3},
        {PROTOCOL META_WITH("\"delta.logRetentionDuration\":\"interval 41 days\""), 0},
        {PROTOCOL META_WITH("\"delta.logRetentionDuration\":\"interval 1 week\""), 3},
        {PROTOCOL META_WITH("\"delta.logRetentionDuration\":\"interval 1 month\""), -1},
        {PROTOCOL META_WITH("\"delta.enableExpiredLogCleanup\":\"false\""), 0},
        {PROTOCOL META_WITH("\"delta.enableExpiredLogCleanup\":\"True\""), 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct storage *st = storage_mem_new();
        put_entry(st, 0, cases[i].entry);
        struct table *tb = open_table(st);
        for (int k = 1; k <= 3; k++)
            append_file(tb, (char[]){(char)('a' + k), '\0'}, NULL);
        checkpoint(tb);
        storage_mem_age(st, TEST_LOG, 40 * DAY);
        struct err e;
        int64_t removed = -7;
        struct table_clean_options o = {
            .retention_ms = 30 * DAY, .max_entries = 1, .needed_after = NOBODY};
        int r = table_clean_log(tb, &o, &removed, &e);
        if (cases[i].removed < 0) {
            assert_int_equal(r, ERR_STORAGE);
            assert_non_null(strstr(e.msg, "delta.logRetentionDuration is \"interval 1 month\""));
        } else {
            assert_ok(r, &e);
            assert_int_equal(removed, cases[i].removed);
        }
        table_close(tb);
        storage_free(st);
    }
}

static void intervals_are_read_as_spark_writes_them(void **state ATTR_UNUSED) {
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        {"interval 30 days", 30 * DAY},
        {"INTERVAL 1 DAY", DAY},
        {"2 weeks", 14 * DAY},
        {"interval 1 week 2 days 3 hours 4 minutes 5 seconds 6 milliseconds 7000 microseconds",
         9 * DAY + 3 * 3600000 + 4 * 60000 + 5000 + 6 + 7},
        {"  interval   0 seconds  ", 0},
        {"interval 1500 microseconds", 1},
        {"", -1},
        {"interval", -1},
        {"30", -1},
        {"days 30", -1},
        {"interval 1 month", -1},
        {"interval -1 days", -1},
        {"interval 1.5 days", -1},
        {"interval 1 days 2", -1},
        {"interval 1 dayss", -1},
        {"interval 99999999999999 weeks", -1},
        {"interval 999999999999999999999 days", -1},
        {"interval 1 s", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = -1;
        bool ok = interval_parse(cases[i].text, &ms);
        if (ok != (cases[i].ms >= 0) || ms != cases[i].ms)
            fail_msg("'%s' gives %lld", cases[i].text, (long long)ms);
    }
}

/* What Spark leaves in the folder goes with the versions it is of; nothing else is touched. */
static void the_files_of_others_go_along(void **state ATTR_UNUSED) {
    static const char *const go[] = {
        "00000000000000000002.crc", "00000000000000000001.checkpoint.0000000001.0000000002.parquet",
        "00000000000000000001.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet",
        "00000000000000000000.00000000000000000002.compacted.json"};
    static const char *const stay[] = {"00000000000000000003.crc",
                                       "_commits/00000000000000000001.json", "README", "1.json",
                                       "_sidecars/80a083e8-7026-4e79-81be-64bd76c43a11.parquet"};
    struct storage *st = storage_mem_new();
    struct table *tb = ten_versions(st, 5);
    for (size_t i = 0; i < ARRAY_LEN(go); i++) {
        _cleanup_(freep) char *path = xasprintf(TEST_LOG "/%s", go[i]);
        put_text(st, path, "x");
    }
    for (size_t i = 0; i < ARRAY_LEN(stay); i++) {
        _cleanup_(freep) char *path = xasprintf(TEST_LOG "/%s", stay[i]);
        put_text(st, path, "x");
    }
    assert_int_equal(clean(tb, 30 * DAY, NOBODY), 3 + (int)ARRAY_LEN(go));
    for (size_t i = 0; i < ARRAY_LEN(stay); i++) {
        _cleanup_(freep) char *path = xasprintf(TEST_LOG "/%s", stay[i]);
        _cleanup_(freep) char *text = get_text(st, path);
        assert_non_null(text);
    }
    assert_log(st, 3, 7, all_ten);
    table_close(tb);
    storage_free(st);
}

static void a_failure_at_any_call_harms_nothing(void **state ATTR_UNUSED) {
    unsigned at = 1;
    for (bool met = true; met; at++) {
        struct storage *mem = storage_mem_new(), *st = storage_fault_new(mem, false);
        struct table *tb = ten_versions(mem, 9), *again;
        table_close(tb);
        tb = open_table(st);
        storage_fault_arm(st, &(struct fault){.effect = FAULT_FAIL, .at = at});
        struct err e;
        int64_t removed;
        struct table_clean_options o = {.needed_after = NOBODY};
        int r = table_clean_log(tb, &o, &removed, &e);
        met = storage_fault_calls(st) >= at;
        assert_true(met == (r < 0));
        storage_fault_arm(st, NULL);
        again = open_table(mem);
        assert_state(again, all_ten);
        table_close(again);
        clean(tb, 0, NOBODY);
        assert_log(mem, 7, 7, all_ten);
        table_close(tb);
        storage_free(st);
        storage_free(mem);
    }
    assert_true(at > 12);
}

/* A cleaner that comes before the reader's Nth call. */
struct cleaner {
    struct table *tb;
    int left;
};

static void clean_before(void *arg, enum fault_call call ATTR_UNUSED,
                         const char *path ATTR_UNUSED) {
    struct cleaner *c = arg;
    if (c->left > 0 && --c->left == 0) {
        checkpoint(c->tb);
        clean(c->tb, 0, NOBODY);
    }
}

static void readers_get_over_it(void **state ATTR_UNUSED) {
    bool met = true;
    for (int at = 1; met; at++) {
        struct storage *mem = storage_mem_new(), *st = storage_fault_new(mem, false);
        struct cleaner c = {.tb = ten_versions(mem, 9), .left = at};
        storage_fault_hook(st, clean_before, &c);
        struct table *tb = open_table(st);
        assert_state(tb, all_ten);
        met = c.left == 0;
        assert_true(at < 100);
        table_close(tb);
        table_close(c.tb);
        storage_free(st);
        storage_free(mem);
    }
}

/* One that has the table open since long ago. */
static void those_who_slept_start_again(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = ten_versions(st, -1), *asleep = open_table(st), *writer = open_table(st);
    append_file(tb, "k", NULL);
    append_file(tb, "l", NULL);
    checkpoint(tb);
    clean(tb, 0, NOBODY);
    struct err e;
    assert_ok(table_refresh(asleep, &e), &e);
    assert_string_equal(table_id(asleep), table_id(tb));
    assert_int_equal(table_version(asleep), 11);
    assert_int_equal(table_live(asleep)->n, 12);
    /* A commit is decided anew: what it was decided on may not hold. */
    _cleanup_(change_freep) struct change *ch = change_new();
    change_add(ch, "m", NULL);
    assert_int_equal(change_commit(ch, writer, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.msg, "cleaned past version 9"));
    assert_ok(change_commit(ch, writer, &e), &e);
    assert_int_equal(table_version(writer), 12);
    table_close(writer);
    table_close(asleep);
    table_close(tb);
    storage_free(st);
}

/* Another table in its place is not taken for the same. */
static void another_table_is_not_taken_for_it(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = ten_versions(st, -1), *other;
    struct err e;
    for (int64_t v = 0; v <= 9; v++) {
        _cleanup_(freep) char *path = log_entry_path(TEST_DEF, v);
        assert_ok(storage_remove(st, path, &e), &e);
    }
    assert_ok(storage_remove(st, TEST_LOG "/00000000000000000003.checkpoint.parquet", &e), &e);
    assert_ok(storage_remove(st, TEST_LOG "/00000000000000000007.checkpoint.parquet", &e), &e);
    other = open_table(st);
    append_file(other, "z", NULL);
    assert_int_equal(table_refresh(tb, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "is gone"));
    assert_int_equal(table_version(tb), 9);
    table_close(other);
    table_close(tb);
    storage_free(st);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_begins_at_a_checkpoint),
        cmocka_unit_test(their_number_is_bounded),
        cmocka_unit_test(without_a_checkpoint_nothing_goes),
        cmocka_unit_test(the_table_s_own_properties_count),
        cmocka_unit_test(intervals_are_read_as_spark_writes_them),
        cmocka_unit_test(the_files_of_others_go_along),
        cmocka_unit_test(a_failure_at_any_call_harms_nothing),
        cmocka_unit_test(readers_get_over_it),
        cmocka_unit_test(those_who_slept_start_again),
        cmocka_unit_test(another_table_is_not_taken_for_it),
    };
    return cmocka_run_group_tests_name("table/clean", tests, NULL, NULL);
}
