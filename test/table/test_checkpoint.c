/* SPDX-License-Identifier: Apache-2.0 */
/* A log folded into a checkpoint says what its entries said, and is a help, never a second truth. */
#include "base/log.h"
#include "base/util.h"
#include "fake/sanitized.h"
#include "fake/storage_fault.h"
#include "fake/storage_mem.h"
#include "table/checkpoint.h"
#include "table/helper.h"

#define ENTRY(v) TEST_LOG "/0000000000000000000" #v ".json"
#define CHECKPOINT(v) TEST_LOG "/0000000000000000000" #v ".checkpoint.parquet"

/* Appends, a replaced file, positions that move, a partition that is NULL: versions 0 to 4. */
static struct table *some_table(struct storage *st) {
    struct table *tb = open_table(st);
    struct err e;
    for (int i = 0; i < 5; i++) {
        _cleanup_(change_freep) struct change *ch = change_new();
        char path[32];
        snprintf(path, sizeof path, "event_date=2026-11-2%d/f", i);
        change_add(
            ch, path,
            i == 3 ? NULL
                   : (char[]){'2', '0', '2', '6', '-', '1', '1', '-', '2', (char)('0' + i), '\0'});
        change_txn(ch, "app/x/0", i ? 10 * i : -1, 10 * (i + 1));
        if (i == 2)
            change_txn(ch, "app/it's/1", -1, 7);
        if (i == 4)
            change_remove(ch, "event_date=2026-11-20/f", "2026-11-20");
        assert_ok(change_commit(ch, tb, &e), &e);
    }
    return tb;
}

static const char after_four[] =
    "v4 event_date=2026-11-21/f@2026-11-21 event_date=2026-11-22/f@2026-11-22 "
    "event_date=2026-11-23/f@NULL event_date=2026-11-24/f@2026-11-24 | app/it's/1=7 app/x/0=50";

static void remove_entries(struct storage *st, int64_t from, int64_t to) {
    struct err e;
    for (int64_t v = from; v <= to; v++) {
        _cleanup_(freep) char *path = log_entry_path(TEST_DEF, v);
        assert_ok(storage_remove(st, path, &e), &e);
    }
}

static void make_checkpoint(struct table *tb) {
    struct err e;
    assert_ok(table_checkpoint(tb, &e), &e);
}

static void it_stands_for_the_entries_before_it(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = some_table(st);
    _cleanup_(freep) char *id = xstrdup(table_id(tb));
    make_checkpoint(tb);
    remove_entries(st, 0, 3);
    struct table *again = open_table(st);
    assert_state(again, after_four);
    assert_string_equal(table_id(again), id);
    assert_int_equal(table_live(again)->v[0].rows, table_live(tb)->v[0].rows);
    assert_int_equal(table_live(again)->v[0].size, table_live(tb)->v[0].size);
    assert_int_equal(table_live(again)->v[0].mtime_ms, table_live(tb)->v[0].mtime_ms);
    /* Both go on. */
    append_file(again, "event_date=2026-11-25/f", "2026-11-25");
    struct err e;
    assert_ok(table_refresh(tb, &e), &e);
    assert_int_equal(table_version(tb), 5);
    table_close(again);
    table_close(tb);
    storage_free(st);
}

static void one_is_made_from_the_one_before(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = some_table(st);
    make_checkpoint(tb);
    remove_entries(st, 0, 3);
    struct err e;
    _cleanup_(change_freep) struct change *ch = change_new();
    change_remove(ch, "event_date=2026-11-21/f", "2026-11-21"); /* stands in the checkpoint */
    change_add(ch, "event_date=2026-11-21/g", "2026-11-21");
    change_txn(ch, "app/x/0", 50, 60);
    assert_ok(change_commit(ch, tb, &e), &e);
    make_checkpoint(tb);
    remove_entries(st, 4, 4);
    assert_ok(storage_remove(st, CHECKPOINT(4), &e), &e);
    struct table *again = open_table(st);
    assert_state(again,
                 "v5 event_date=2026-11-21/g@2026-11-21 event_date=2026-11-22/f@2026-11-22 "
                 "event_date=2026-11-23/f@NULL event_date=2026-11-24/f@2026-11-24 | app/it's/1=7 "
                 "app/x/0=60");
    table_close(again);
    table_close(tb);
    storage_free(st);
}

/* A version of many files: 10 MB. */
static void put_long_entry(struct storage *st, int64_t version) {
    enum { FILES = 5000, LONG = 2000 };
    struct buf b = BUF_INIT(LIMIT_LOG_ENTRY);
    char *filler = xcalloc(LONG + 1, 1);
    memset(filler, 'x', LONG);
    for (int i = 0; i < FILES; i++)
        buf_addf(&b,
                 "{\"add\":{\"path\":\"f%lld-%d\",\"partitionValues\":{\"event_date\":null},"
                 "\"size\":1,\"modificationTime\":1,\"dataChange\":true,\"stats\":"
                 "\"{\\\"numRecords\\\":1,\\\"minValues\\\":{\\\"category\\\":\\\"%s\\\"}}\"}}\n",
                 (long long)version, i, filler);
    put_entry(st, version, buf_str(&b));
    buf_release(&b);
    free(filler);
}

/* The entries stream past the fold, whose memory is 256 MiB: of 300 MB only the paths are kept. */
static void what_it_folds_may_be_larger_than_its_memory(void **state ATTR_UNUSED) {
    enum { ENTRIES = SANITIZED ? 3 : 30, FILES = 5000 };
    char *folder = lake_folder_new();
    struct storage *st = lake_open(folder);
    struct table *tb = open_table(st), *again;
    struct err e;
    append_file(tb, "first", NULL);
    for (int v = 1; v <= ENTRIES; v++)
        put_long_entry(st, v);
    assert_ok(table_refresh(tb, &e), &e);
    make_checkpoint(tb);
    remove_entries(st, 0, ENTRIES - 1);
    again = open_table(st);
    assert_int_equal(table_live(again)->n, 1 + FILES * ENTRIES);
    table_close(again);
    table_close(tb);
    storage_free(st);
    lake_folder_free(folder);
}

/* Whoever is stopped while he reads it does not say that it is damaged, nor read all entries instead. */
static void a_stop_is_not_its_fault(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = some_table(st), *stopped;
    struct err e;
    make_checkpoint(tb);
    stop_request();
    assert_int_equal(table_open(st, TEST_DEF, &stopped, &e), ERR_STOPPED);
    assert_string_equal(e.hint, "");
    remove_entries(st, 0, 3);
    assert_int_equal(table_verify(tb, false, must_be_right, NULL, &e), ERR_STOPPED);
    stop_reset();
    table_close(tb);
    storage_free(st);
}

static void there_is_nothing_to_do_twice(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *none = open_table(st);
    make_checkpoint(none); /* no table, no checkpoint */
    char *names = names_in(st, "", NULL);
    assert_string_equal(names, "");
    free(names);
    struct table *tb = some_table(st);
    make_checkpoint(tb);
    char *before = get_text(st, TEST_LOG "/_last_checkpoint");
    make_checkpoint(tb);
    struct table *other = open_table(st);
    make_checkpoint(other);
    char *after = get_text(st, TEST_LOG "/_last_checkpoint");
    assert_string_equal(before, after);
    assert_non_null(strstr(after, "\"version\":4"));
    assert_non_null(strstr(after, "\"numOfAddFiles\":4"));
    free(before);
    free(after);
    table_close(other);
    table_close(tb);
    table_close(none);
    storage_free(st);
}

/* The hint may name a checkpoint that is gone, be garbage, be gone or be behind. */
static void the_hint_is_only_a_hint(void **state ATTR_UNUSED) {
    static const char *const hints[] = {"{\"version\":9}",
                                        "{\"version\":2}",
                                        "{\"version\":-7}",
                                        "{",
                                        "",
                                        "[]",
                                        "{\"version\":\"4\"}",
                                        NULL};
    struct storage *st = storage_mem_new();
    struct table *tb = some_table(st);
    make_checkpoint(tb);
    remove_entries(st, 0, 3);
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
        const char *hint = TEST_LOG "/_last_checkpoint";
        assert_ok(hints[i] ? storage_put(st, hint, hints[i], strlen(hints[i]), &e)
                           : storage_remove(st, hint, &e),
                  &e);
        struct table *again = open_table(st);
        assert_state(again, after_four);
        table_close(again);
    }
    table_close(tb);
    storage_free(st);
}

static void a_damaged_one_is_left_aside_while_the_entries_are_there(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = some_table(st), *again;
    make_checkpoint(tb);
    struct err e;
    assert_ok(storage_put(st, CHECKPOINT(4), "PAR1", 4, &e), &e);
    log_setup(LOG_ERROR, false);
    again = open_table(st);
    assert_state(again, after_four);
    table_close(again);
    log_setup(LOG_INFO, false);
    remove_entries(st, 0, 0);
    assert_int_equal(table_open(st, TEST_DEF, &again, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "00000000000000000004.checkpoint.parquet"));
    table_close(tb);
    storage_free(st);
}

static void names_of_checkpoints_are_told_apart(void **state ATTR_UNUSED) {
#define V9 "00000000000000000009.checkpoint."
    static const struct {
        const char *names[4];
        int64_t version, parts;
        bool foreign;
    } cases[] = {
        {{V9 "parquet"}, 9, 1, false},
        {{V9 "0000000001.0000000002.parquet", V9 "0000000002.0000000002.parquet"}, 9, 2, false},
        {{V9 "0000000001.0000000002.parquet"}, -1, 0, false},
        {{V9 "0000000002.0000000002.parquet"}, -1, 0, false},
        {{V9 "0000000001.0000000003.parquet", V9 "0000000003.0000000003.parquet"}, -1, 0, false},
        {{V9 "80a083e8-7026-4e79-81be-64bd76c43a11.parquet"}, -1, 0, true},
        {{V9 "80a083e8-7026-4e79-81be-64bd76c43a11.json"}, -1, 0, true},
        {{V9 "parquet.tmp"}, -1, 0, false},
        {{"00000000000000000008.checkpoint.parquet", V9 "0000000001.0000000002.parquet"},
         8,
         1,
         false},
        {{"9.checkpoint.parquet"}, -1, 0, false},
        {{"99999999999999999999.checkpoint.parquet"}, -1, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct storage *st = storage_mem_new();
        struct table tb = {.st = st, .def = TEST_DEF};
        for (size_t k = 0; k < 4 && cases[i].names[k]; k++) {
            _cleanup_(freep) char *path = xasprintf(TEST_LOG "/%s", cases[i].names[k]);
            put_text(st, path, "PAR1");
        }
        struct log_listing l;
        struct err e;
        assert_ok(log_list(&tb, true, &l, &e), &e);
        assert_int_equal(l.checkpoint, cases[i].version);
        assert_int_equal(l.parts, cases[i].parts);
        assert_int_equal(l.foreign_checkpoint, cases[i].foreign);
        storage_free(st);
    }
}

/* A version 2 checkpoint matters only where the entries are gone; the message says what it is. */
static void a_kind_we_cannot_read_is_named(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = some_table(st), *again;
    struct err e;
    put_text(st,
             TEST_LOG
             "/00000000000000000004.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet",
             "PAR1");
    again = open_table(st);
    assert_state(again, after_four);
    table_close(again);
    remove_entries(st, 0, 3);
    assert_int_equal(table_open(st, TEST_DEF, &again, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "V2"));
    table_close(tb);
    storage_free(st);
}

/* One that would say something else than the table is not written. */
static void it_must_agree_with_the_table(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = some_table(st);
    struct err e;
    _cleanup_(freep) char *text = get_text(st, ENTRY(1));
    remove_entries(st, 1, 1);
    char *size = strstr(text, "\"size\":");
    size[7] = size[7] == '9' ? '8' : '9';
    put_text(st, ENTRY(1), text);
    assert_int_equal(table_checkpoint(tb, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "not written"));
    assert_null(get_text(st, TEST_LOG "/_last_checkpoint"));
    table_close(tb);
    storage_free(st);
}

/* false: the checkpoint needs fewer calls than that. */
static bool spoil(enum fault_effect effect, unsigned at) {
    struct storage *mem = storage_mem_new(), *st = storage_fault_new(mem, false);
    struct table *tb = some_table(st), *again;
    struct err e;
    storage_fault_arm(st, &(struct fault){.effect = effect, .at = at});
    int r = table_checkpoint(tb, &e);
    bool met = storage_fault_calls(st) >= at;
    storage_fault_arm(st, NULL);
    again = open_table(mem);
    assert_state(again, after_four);
    table_close(again);
    char *there = get_text(mem, CHECKPOINT(4));
    assert_true(there || r < 0); /* what is called done is there */
    if (there)
        remove_entries(mem, 0, 3);
    free(there);
    make_checkpoint(tb);
    again = open_table(mem);
    assert_state(again, after_four);
    table_close(again);
    table_close(tb);
    storage_free(st);
    storage_free(mem);
    return met;
}

static void a_failure_at_any_call_harms_nothing(void **state ATTR_UNUSED) {
    static const enum fault_effect effects[] = {FAULT_FAIL, FAULT_CUT, FAULT_LOST_ANSWER};
    for (size_t i = 0; i < ARRAY_LEN(effects); i++) {
        unsigned at = 1;
        while (spoil(effects[i], at))
            at++;
        assert_true(at > 10); /* 5 entries, the listing, the publication, the hint */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_stands_for_the_entries_before_it),
        cmocka_unit_test(one_is_made_from_the_one_before),
        cmocka_unit_test(what_it_folds_may_be_larger_than_its_memory),
        cmocka_unit_test(a_stop_is_not_its_fault),
        cmocka_unit_test(there_is_nothing_to_do_twice),
        cmocka_unit_test(the_hint_is_only_a_hint),
        cmocka_unit_test(a_damaged_one_is_left_aside_while_the_entries_are_there),
        cmocka_unit_test(names_of_checkpoints_are_told_apart),
        cmocka_unit_test(a_kind_we_cannot_read_is_named),
        cmocka_unit_test(it_must_agree_with_the_table),
        cmocka_unit_test(a_failure_at_any_call_harms_nothing),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
