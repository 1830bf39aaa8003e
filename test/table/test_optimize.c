/* SPDX-License-Identifier: Apache-2.0 */
/* Small files become large ones: the same rows, in their order, whoever else is at work. */
#include "engine/engine.h"
#include "fake/storage_fault.h"
#include "fake/storage_mem.h"
#include "stream/helper.h"
#include "table/helper.h"

#define D1 "2026-11-21"
#define D2 "2026-11-22"

struct lake {
    struct storage *st;
    struct engine *en;
    char *folder;
    struct table *tb;
    int made; /* numbers rows, so that their order can be seen */
};

static struct lake lake_new(void) {
    struct lake l = {.st = storage_mem_new(), .folder = temp_folder()};
    struct err e;
    struct engine_options o = {.threads = 1, .memory_bytes = 256 * MIB, .temp_dir = l.folder};
    assert_ok(engine_open("duckdb", &o, &l.en, &e), &e);
    l.tb = open_table(l.st);
    return l;
}

static void lake_free(struct lake *l) {
    table_close(l->tb);
    engine_free(l->en);
    storage_free(l->st);
    remove_folder(l->folder);
}

/* n rows of a date (NULL: of none) as a published file that is in no table yet. */
static void make_parquet(struct lake *l, const char *date, int n, struct engine_result *ret) {
    _cleanup_(freep) char *select =
        xasprintf("SELECT CASE WHEN i %% 7 = 3 THEN NULL ELSE 'ż ' || i END AS category, "
                  "CAST(i AS INTEGER) AS total_events, CASE WHEN i %% 5 = 0 THEN 'NaN'::DOUBLE "
                  "ELSE i / 3 END "
                  "AS total_revenue, CAST(%s%s%s AS DATE) AS event_date FROM range(%d, %d) t(i)",
                  date ? "'" : "", date ? date : "NULL", date ? "'" : "", l->made, l->made + n);
    struct err e;
    l->made += n;
    assert_ok(engine_run(l->en, l->st,
                         &(struct engine_job){.what = "test", .select = select, .output = TEST_DEF},
                         ret, &e),
              &e);
    ret->files.v[0].mtime_ms = 1700000000000 + l->made; /* so that their age is known */
}

static void append(struct lake *l, struct table *tb, const char *date, int n) {
    struct engine_result made = {0};
    struct err e;
    make_parquet(l, date, n, &made);
    struct table_commit c = {.operation = "WRITE", .add = &made.files, .data_change = true};
    assert_ok(table_commit(tb, &c, NULL, &e), &e);
    engine_result_release(&made);
}

static int add_row(void *arg, const char *const *v, size_t n, struct err *e ATTR_UNUSED) {
    for (size_t i = 0; i < n; i++)
        buf_addf(arg, "%s%s", i ? "," : "", v[i] ? v[i] : "NULL");
    buf_add_char(arg, '\n');
    return 0;
}

static char *query(struct lake *l, const char *sql) {
    struct table *tb = open_table(l->st);
    struct buf b = BUF_INIT(16 * MIB);
    const struct engine_input in = {"t", TEST_DEF, table_live(tb)};
    const struct engine_rows rows = {.row = add_row, .arg = &b};
    struct err e;
    assert_ok(engine_query(l->en, l->st, &in, 1, sql, false, &rows, &e), &e);
    table_close(tb);
    return buf_detach(&b);
}

static char *rows_of(struct lake *l) {
    return query(l, "SELECT * FROM t ORDER BY total_events");
}

static const struct table_optimize_options joined = {.target_bytes = MIB, .min_files = 2};

static struct table_optimize_result optimize(struct table *tb,
                                             const struct table_optimize_options *o) {
    struct table_optimize_result done;
    struct err e;
    assert_ok(table_optimize(tb, o, &done, &e), &e);
    return done;
}

static size_t n_objects(struct storage *st, const char *dir) {
    struct storage_entries l = {0};
    struct err e;
    assert_ok(storage_list(st, dir, NULL, &l, &e), &e);
    size_t n = l.n;
    storage_entries_release(&l);
    return n;
}

static void some_files(struct lake *l) {
    for (int i = 0; i < 5; i++)
        append(l, l->tb, D1, 10);
    append(l, l->tb, D2, 10);
    for (int i = 0; i < 3; i++)
        append(l, l->tb, NULL, 4);
}

static void rows_stay_as_they_are(void **state ATTR_UNUSED) {
    struct lake l = lake_new();
    some_files(&l);
    _cleanup_(freep) char *before = rows_of(&l);
    struct table_optimize_result done = optimize(l.tb, &joined);
    assert_true(done.commits == 2 && done.removed == 8 && done.added == 2 && done.rows == 62);
    assert_int_equal(table_version(l.tb), 10);
    assert_int_equal(table_live(l.tb)->n, 3);
    _cleanup_(freep) char *after = rows_of(&l);
    assert_string_equal(after, before);
    /* In the order in which they came; only rearranged; nobody's position. */
    _cleanup_(freep) char *order =
        query(&l, "SELECT total_events FROM t WHERE event_date = DATE '" D1 "'");
    assert_memory_equal(order, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n", 26);
    _cleanup_(freep) char *entry = get_entry(l.st, 9);
    assert_non_null(strstr(entry, "\"operation\":\"OPTIMIZE\""));
    assert_non_null(strstr(entry, "\"isBlindAppend\":false"));
    assert_null(strstr(entry, "\"dataChange\":true"));
    assert_non_null(strstr(entry, "\\\"nullCount\\\":{"));
    done = optimize(l.tb, &joined);
    assert_int_equal(done.commits, 0);
    assert_int_equal(table_version(l.tb), 10);
    lake_free(&l);
}

static void nothing_to_do_is_no_commit(void **state ATTR_UNUSED) {
    struct lake l = lake_new();
    optimize(l.tb, &joined); /* no table yet */
    append(&l, l.tb, D1, 10);
    append(&l, l.tb, D2, 10);
    struct table_optimize_options o = joined;
    assert_int_equal(optimize(l.tb, &o).commits, 0);
    append(&l, l.tb, D1, 10);
    o.min_files = 3;
    assert_int_equal(optimize(l.tb, &o).commits, 0);
    o.min_files = 2;
    assert_int_equal(optimize(l.tb, &o).commits, 1);
    lake_free(&l);
}

/* A large file is rewritten when as much has come behind it, or when all are asked for. */
static void large_files_wait(void **state ATTR_UNUSED) {
    struct lake l = lake_new();
    append(&l, l.tb, D1, 20000);
    for (int i = 0; i < 3; i++)
        append(&l, l.tb, D1, 10);
    int64_t large = 0;
    for (size_t i = 0; i < 4; i++)
        large = MAX(large, table_live(l.tb)->v[i].size);
    struct table_optimize_options o = {.target_bytes = 4 * large, .min_files = 2};
    struct table_optimize_result done = optimize(l.tb, &o);
    assert_true(done.removed == 3 && done.added == 1);
    o.full = true;
    done = optimize(l.tb, &o);
    assert_true(done.removed == 2 && done.added == 1);
    /* Half of the target is large enough for good. */
    append(&l, l.tb, D1, 10);
    o.target_bytes = large;
    assert_int_equal(optimize(l.tb, &o).commits, 0);
    lake_free(&l);
}

/* The result of one bin is no larger than the target. */
static void a_day_may_take_several_files(void **state ATTR_UNUSED) {
    struct lake l = lake_new();
    l.made = 100000; /* numbers of one length: files of about one size */
    for (int i = 0; i < 6; i++)
        append(&l, l.tb, D1, 1000);
    int64_t size = table_live(l.tb)->v[0].size;
    struct table_optimize_options o = {.target_bytes = size * 5 / 2, .min_files = 2};
    _cleanup_(freep) char *before = rows_of(&l);
    struct table_optimize_result done = optimize(l.tb, &o);
    assert_true(done.commits == 3 && done.removed == 6 && done.added == 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(table_live(l.tb)->v[i].size <= o.target_bytes);
    _cleanup_(freep) char *after = rows_of(&l);
    assert_string_equal(after, before);
    lake_free(&l);
}

/* --- others at work --- */

struct other {
    struct lake *l;
    void (*act)(struct other *o, struct table *tb);
    int left;               /* acts before this many puts of an entry */
    struct table_files was; /* what it saw first */
};

static void before_the_entry(void *arg, enum fault_call call, const char *path ATTR_UNUSED) {
    struct other *o = arg;
    if (call != CALL_PUT_NEW || o->left == 0)
        return;
    o->left--;
    struct table *tb = open_table(o->l->st);
    o->act(o, tb);
    table_close(tb);
}

static void other_appends(struct other *o, struct table *tb) {
    append(o->l, tb, D1, 10);
}

/* The date is written anew, as gold does it: other rows for those that were there. */
static void other_replaces(struct other *o, struct table *tb) {
    struct engine_result made = {0};
    struct table_files old = {0};
    struct err e;
    make_parquet(o->l, D1, 3, &made);
    for (size_t i = 0; i < table_live(tb)->n; i++)
        if (table_live(tb)->v[i].partition && strcmp(table_live(tb)->v[i].partition, D1) == 0)
            table_file_copy(table_files_add(&old), &table_live(tb)->v[i]);
    struct table_commit c = {
        .operation = "WRITE", .add = &made.files, .remove = &old, .data_change = true};
    assert_ok(table_commit(tb, &c, NULL, &e), &e);
    table_files_release(&old);
    engine_result_release(&made);
}

static void other_optimizes(struct other *o ATTR_UNUSED, struct table *tb) {
    optimize(tb, &joined);
}

static void whoever_else_is_at_work_loses_nothing(void **state ATTR_UNUSED) {
    static const struct {
        void (*act)(struct other *o, struct table *tb);
        int times, conflicts, rows;
    } cases[] = {
        {other_appends, 1, 0, 82},
        {other_appends, 3, 0, 102},
        {other_replaces, 1, 1, 25},
        {other_optimizes, 1, 1, 72},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct lake l = lake_new();
        some_files(&l);
        struct other o = {.l = &l, .act = cases[i].act, .left = cases[i].times};
        struct storage *st = storage_fault_new(l.st, false);
        struct table *tb = open_table(st);
        storage_fault_hook(st, before_the_entry, &o);
        struct table_optimize_result done = optimize(tb, &joined);
        assert_int_equal(o.left, 0);
        assert_int_equal(done.conflicts, cases[i].conflicts);
        _cleanup_(freep) char *n =
            query(&l, "SELECT count(*), count(DISTINCT total_events) FROM t");
        _cleanup_(freep) char *want = xasprintf("%d,%d\n", cases[i].rows, cases[i].rows);
        assert_string_equal(n, want);
        table_close(tb);
        storage_free(st);
        lake_free(&l);
    }
}

/* Whatever fails: the rows are the same, and another optimize ends the work. */
static bool spoil(enum fault_effect effect, unsigned at) {
    struct lake l = lake_new();
    for (int i = 0; i < 3; i++)
        append(&l, l.tb, D1, 5);
    _cleanup_(freep) char *before = rows_of(&l);
    struct storage *st = storage_fault_new(l.st, false);
    struct table *tb = open_table(st);
    struct table_optimize_result done;
    struct err e;
    storage_fault_arm(st, &(struct fault){.effect = effect, .at = at});
    table_optimize(tb, &joined, &done, &e);
    bool met = storage_fault_calls(st) >= at;
    storage_fault_arm(st, NULL);
    _cleanup_(freep) char *between = rows_of(&l);
    assert_string_equal(between, before);
    optimize(tb, &joined);
    _cleanup_(freep) char *after = rows_of(&l);
    assert_string_equal(after, before);
    assert_int_equal(table_live(tb)->n, 1);
    table_close(tb);
    storage_free(st);
    lake_free(&l);
    return met;
}

static void a_failure_at_any_call_harms_nothing(void **state ATTR_UNUSED) {
    static const enum fault_effect effects[] = {FAULT_FAIL, FAULT_CUT, FAULT_LOST_ANSWER};
    for (size_t i = 0; i < ARRAY_LEN(effects); i++) {
        unsigned at = 1;
        while (spoil(effects[i], at))
            at++;
        assert_true(at > 8);
    }
}

/* What was rewritten for nothing is not left behind. */
static void a_refused_rewrite_leaves_no_file(void **state ATTR_UNUSED) {
    struct lake l = lake_new();
    for (int i = 0; i < 3; i++)
        append(&l, l.tb, D1, 5);
    struct other o = {.l = &l, .act = other_replaces, .left = 1};
    struct storage *st = storage_fault_new(l.st, false);
    struct table *tb = open_table(st);
    storage_fault_hook(st, before_the_entry, &o);
    assert_int_equal(optimize(tb, &joined).commits, 0);
    assert_int_equal(n_objects(l.st, "gold/clickstream_metrics/event_date=" D1), 4);
    table_close(tb);
    storage_free(st);
    lake_free(&l);
}

static void columns_we_do_not_know_are_not_lost(void **state ATTR_UNUSED) {
    struct lake l = lake_new();
    put_entry(l.st, 0,
              PROTOCOL META_OF(SCHEMA(TEST_FIELDS "," FIELD("margin", "double")),
                               "[\"event_date\"]", ""));
    struct err e;
    assert_ok(table_refresh(l.tb, &e), &e);
    for (int i = 0; i < 3; i++)
        append(&l, l.tb, D1, 5);
    struct table_optimize_result done;
    assert_int_equal(table_optimize(l.tb, &joined, &done, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "the column margin"));
    assert_int_equal(table_version(l.tb), 3);
    lake_free(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_stay_as_they_are),
        cmocka_unit_test(nothing_to_do_is_no_commit),
        cmocka_unit_test(large_files_wait),
        cmocka_unit_test(a_day_may_take_several_files),
        cmocka_unit_test(whoever_else_is_at_work_loses_nothing),
        cmocka_unit_test(a_refused_rewrite_leaves_no_file),
        cmocka_unit_test(a_failure_at_any_call_harms_nothing),
        cmocka_unit_test(columns_we_do_not_know_are_not_lost),
    };
    return cmocka_run_group_tests_name("table/optimize", tests, NULL, NULL);
}
