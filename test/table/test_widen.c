/* SPDX-License-Identifier: Apache-2.0 */
/* A later clickmill knows a column more: tables made before get it, and both programs go on. */
#include "engine/engine.h"
#include "fake/storage_mem.h"
#include "stream/helper.h"
#include "table/helper.h"

/* TEST_DEF as a later version has it. */
static const struct column later_columns[] = {
    {"category", TYPE_STRING}, {"total_events", TYPE_INT}, {"total_revenue", TYPE_DOUBLE},
    {"margin", TYPE_DOUBLE},   {"best", TYPE_STRING},      {"event_date", TYPE_DATE},
};
static const char *const later_names[] = {"margin", "best", NULL};
static const struct table_def later_def = {.name = "gold/clickstream_metrics",
                                           .view = "gold.clickstream_metrics",
                                           .columns = later_columns,
                                           .n_columns = ARRAY_LEN(later_columns),
                                           .partition_by = "event_date",
                                           .later = later_names};

static struct table *open_later(struct storage *st) {
    struct table *tb;
    struct err e;
    assert_ok(table_open(st, &later_def, &tb, &e), &e);
    return tb;
}

static void it_is_added_by_the_next_commit(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *before = open_table(st), *tb;
    append_file(before, "a", NULL);
    tb = open_later(st);
    _cleanup_(freep) char *id = xstrdup(table_id(tb));
    assert_state(tb, "v0 a@NULL");
    append_file(tb, "b", NULL);
    append_file(tb, "c", NULL);
    _cleanup_(freep) char *first = get_entry(st, 0);
    _cleanup_(freep) char *entry = get_entry(st, 1);
    _cleanup_(freep) char *next = get_entry(st, 2);
    assert_non_null(strstr(entry,
                           "\\\"name\\\":\\\"event_date\\\",\\\"type\\\":\\\"date\\\","
                           "\\\"nullable\\\":true,\\\"metadata\\\":{}},{\\\"name\\\":"
                           "\\\"margin\\\",\\\"type\\\":\\\"double\\\",\\\"nullable\\\":true"));
    assert_non_null(strstr(entry, "\\\"name\\\":\\\"best\\\",\\\"type\\\":\\\"string\\\""));
    assert_null(strstr(entry, "\"protocol\""));
    assert_null(strstr(next, "metaData"));
    /* All else in it is as it was. */
    const char *was = strstr(first, "\"partitionColumns\":"),
               *is = strstr(entry, "\"partitionColumns\":");
    assert_memory_equal(is, was, (size_t)(strchr(was, '\n') - was));
    assert_string_equal(table_id(tb), id);
    /* The program from before reads on, and writes. */
    struct err e;
    assert_ok(table_refresh(before, &e), &e);
    append_file(before, "d", NULL);
    struct table *again = open_later(st);
    assert_state(again, "v3 a@NULL b@NULL c@NULL d@NULL");
    table_close(again);
    table_close(tb);
    table_close(before);
    storage_free(st);
}

static void columns_of_others_stay(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    put_entry(st, 0,
              PROTOCOL META_OF(SCHEMA(TEST_FIELDS "," FIELD("theirs", "long")), "[\"event_date\"]",
                               "\"delta.appendOnly\":\"false\""));
    struct table *tb = open_later(st);
    append_file(tb, "a", NULL);
    _cleanup_(freep) char *entry = get_entry(st, 1);
    assert_non_null(strstr(entry, "\\\"name\\\":\\\"theirs\\\",\\\"type\\\":\\\"long\\\""));
    assert_non_null(strstr(entry, "\\\"name\\\":\\\"margin\\\""));
    assert_non_null(strstr(entry, "\"configuration\":{\"delta.appendOnly\":\"false\"}"));
    table_close(tb);
    storage_free(st);
}

static void one_of_another_kind_is_refused(void **state ATTR_UNUSED) {
    static const struct {
        const char *fields, *says;
    } cases[] = {
        {TEST_FIELDS "," FIELD("margin", "long"),
         "column margin has the type \"long\", not \"double\""},
        {TEST_FIELDS "," FIELD("Margin", "double"),
         "no column margin (double), but one named Margin"},
        {CATEGORY "," REVENUE "," DATE,
         "no column total_events (integer)"}, /* it is no later one */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct storage *st = storage_mem_new();
        struct table *tb;
        struct err e;
        _cleanup_(freep) char *entry =
            xasprintf(PROTOCOL META_OF(SCHEMA("%s"), "[\"event_date\"]", ""), cases[i].fields);
        put_entry(st, 0, entry);
        assert_int_equal(table_open(st, &later_def, &tb, &e), ERR_STORAGE);
        if (!strstr(e.msg, cases[i].says))
            fail_msg("%s", e.msg);
        assert_non_null(strstr(e.hint, "somebody changed the table's columns"));
        storage_free(st);
    }
}

/* The commit was made for other columns than the table has now: refused, and right the next time. */
static void add_after_conflict(struct table *tb, const char *path) {
    _cleanup_(change_freep) struct change *ch = change_new();
    struct err e;
    change_add(ch, path, NULL);
    assert_int_equal(change_commit(ch, tb, &e), ERR_CONFLICT);
    assert_has(e.msg, "changed the table's definition");
    assert_ok(table_refresh(tb, &e), &e);
    assert_ok(change_commit(ch, tb, &e), &e);
}

/* Both make the table, and the one without the columns is first: the other must not lose its own. */
static void the_first_to_make_it_may_be_older(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *before = open_table(st), *tb = open_later(st);
    append_file(before, "a", NULL);
    add_after_conflict(tb, "b");
    assert_state(tb, "v1 a@NULL b@NULL");
    _cleanup_(freep) char *entry = get_entry(st, 1);
    assert_non_null(strstr(entry, "\\\"name\\\":\\\"margin\\\""));
    table_close(tb);
    table_close(before);
    storage_free(st);
}

static void the_first_to_make_it_may_be_as_new(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *one = open_later(st), *two = open_later(st);
    append_file(one, "a", NULL);
    append_file(two, "b", NULL);
    assert_state(two, "v1 a@NULL b@NULL");
    table_close(two);
    table_close(one);
    storage_free(st);
}

static int count_metadata(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    _cleanup_(freep) char *entry = get_entry(arg, en->version);
    return strstr(entry, "\"metaData\"") ? 1 : 0;
}

/* The one who folds the log need not know the columns. */
static void a_checkpoint_keeps_them(void **state ATTR_UNUSED) {
    char *folder = lake_folder_new();
    struct storage *st = lake_open(folder);
    struct table *before = open_table(st), *tb;
    struct err e;
    int64_t removed;
    append_file(before, "a", NULL);
    assert_ok(table_checkpoint(before, &e), &e); /* a later one begins with it */
    tb = open_later(st);
    append_file(tb, "b", NULL);
    assert_ok(table_refresh(before, &e), &e);
    assert_ok(table_checkpoint(before, &e), &e);
    append_file(before, "c", NULL);
    const struct table_clean_options all = {.needed_after = INT64_MAX};
    assert_ok(table_clean_log(before, &all, &removed, &e), &e);
    assert_true(removed >= 2);
    table_close(tb);
    tb = open_later(st);
    append_file(tb, "d", NULL);
    assert_state(tb, "v3 a@NULL b@NULL c@NULL d@NULL");
    assert_ok(table_each_entry(tb, 1, 3, count_metadata, st, &e), &e);
    table_close(tb);
    table_close(before);
    storage_free(st);
    lake_folder_free(folder);
}

/* One that is at work while the table is widened decides anew, once. */
static void whoever_is_at_work_goes_on(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *before = open_table(st);
    append_file(before, "a", NULL);
    struct table *one = open_later(st), *two = open_later(st);
    append_file(one, "b", NULL);
    add_after_conflict(two, "c");
    add_after_conflict(before, "d");
    assert_state(before, "v3 a@NULL b@NULL c@NULL d@NULL");
    _cleanup_(freep) char *third = get_entry(st, 2);
    assert_null(strstr(third, "metaData"));
    table_close(two);
    table_close(one);
    table_close(before);
    storage_free(st);
}

/* --- rows of both --- */

static void append_rows(struct engine *en, struct storage *st, const struct table_def *def,
                        const char *select) {
    struct table *tb;
    struct engine_result made = {0};
    struct err e;
    assert_ok(table_open(st, def, &tb, &e), &e);
    assert_ok(engine_run(en, st,
                         &(struct engine_job){.what = "test", .select = select, .output = def},
                         &made, &e),
              &e);
    struct table_commit c = {.operation = "WRITE", .add = &made.files, .data_change = true};
    assert_ok(table_commit(tb, &c, NULL, &e), &e);
    engine_result_release(&made);
    table_close(tb);
}

static int add_row(void *arg, const char *const *v, size_t n, struct err *e ATTR_UNUSED) {
    for (size_t i = 0; i < n; i++)
        buf_addf(arg, "%s%s", i ? "," : "", v[i] ? v[i] : "NULL");
    buf_add_char(arg, '\n');
    return 0;
}

static void assert_rows(struct engine *en, struct storage *st, const struct table_def *def,
                        const char *want) {
    struct table *tb;
    struct err e;
    struct buf b = BUF_INIT(MIB);
    assert_ok(table_open(st, def, &tb, &e), &e);
    const struct engine_input in = {"t", def, table_live(tb)};
    const struct engine_rows rows = {.row = add_row, .arg = &b};
    assert_ok(engine_query(en, st, &in, 1, "SELECT * EXCLUDE (event_date) FROM t ORDER BY ALL",
                           false, &rows, &e),
              &e);
    assert_string_equal(buf_str(&b), want);
    buf_release(&b);
    table_close(tb);
}

#define DAY ", DATE '2026-11-21' AS event_date"
#define OLD "SELECT 'a' AS category, CAST(1 AS INT) AS total_events, 1.5::DOUBLE AS total_revenue"
#define NEW                                                                                        \
    "SELECT 'b' AS category, CAST(2 AS INT) AS total_events, 2.5::DOUBLE AS total_revenue, "       \
    "0.5::DOUBLE AS margin, 'x' AS best"

static void old_files_read_as_null(void **state ATTR_UNUSED) {
    char *folder = lake_folder_new(), *temp = temp_folder();
    struct storage *st = lake_open(folder);
    struct engine *en;
    struct err e;
    struct engine_options o = {.threads = 1, .memory_bytes = 256 * MIB, .temp_dir = temp};
    assert_ok(engine_open("duckdb", &o, &en, &e), &e);
    append_rows(en, st, TEST_DEF, OLD DAY);
    append_rows(en, st, &later_def, NEW DAY);
    append_rows(en, st, TEST_DEF, OLD DAY); /* the program from before is still at work */
    assert_rows(en, st, &later_def, "a,1,1.5,NULL,NULL\na,1,1.5,NULL,NULL\nb,2,2.5,0.5,x\n");
    assert_rows(en, st, TEST_DEF, "a,1,1.5\na,1,1.5\nb,2,2.5\n");
    /* Rewritten by the later one; the earlier one would lose the column, and refuses. */
    struct table_optimize_options opt = {.target_bytes = MIB, .min_files = 2};
    struct table_optimize_result done;
    struct table *before = open_table(st), *tb = open_later(st);
    assert_int_equal(table_optimize(before, &opt, &done, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "the column margin"));
    assert_ok(table_optimize(tb, &opt, &done, &e), &e);
    assert_int_equal(done.removed, 3);
    assert_rows(en, st, &later_def, "a,1,1.5,NULL,NULL\na,1,1.5,NULL,NULL\nb,2,2.5,0.5,x\n");
    append_rows(en, st, TEST_DEF, OLD DAY);
    assert_ok(table_refresh(tb, &e), &e);
    assert_ok(table_verify(tb, true, must_be_right, NULL, &e), &e);
    assert_ok(table_refresh(before, &e), &e);
    assert_ok(table_verify(before, true, must_be_right, NULL, &e), &e);
    table_close(before);
    table_close(tb);
    engine_free(en);
    storage_free(st);
    remove_folder(temp);
    lake_folder_free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_added_by_the_next_commit),
        cmocka_unit_test(columns_of_others_stay),
        cmocka_unit_test(one_of_another_kind_is_refused),
        cmocka_unit_test(the_first_to_make_it_may_be_older),
        cmocka_unit_test(the_first_to_make_it_may_be_as_new),
        cmocka_unit_test(a_checkpoint_keeps_them),
        cmocka_unit_test(whoever_is_at_work_goes_on),
        cmocka_unit_test(old_files_read_as_null),
    };
    return cmocka_run_group_tests_name("table/widen", tests, NULL, NULL);
}
