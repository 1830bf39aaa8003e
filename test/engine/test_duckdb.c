/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every engine promises, over a lake on local disk: files in, files out, with true statistics,
 * all of them or none. The models themselves are tested in test/e2e/test_models_oracle.py.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/util.h"
#include "engine/helper.h"
#include "fake/storage_fault.h"
#include "fake/storage_mem.h"

static const struct column every_type[] = {
    {"s", TYPE_STRING},  {"i", TYPE_INT},    {"l", TYPE_LONG},      {"d", TYPE_DOUBLE},
    {"b", TYPE_BOOLEAN}, {"x", TYPE_BINARY}, {"t", TYPE_TIMESTAMP}, {"m", TYPE_MONEY},
    {"day", TYPE_DATE},  {"p", TYPE_DATE},
};
static const struct table_def every = {"silver/every", "silver.every", every_type,
                                       ARRAY_LEN(every_type), "p"};
static const struct column two_columns[] = {{"a", TYPE_INT}, {"p", TYPE_DATE}};
static const struct table_def two = {"silver/every", "silver.every", two_columns, 2, "p"};

/* A SELECT of every's columns by name, NULL where not given: "1 AS i, …". */
#define EVERY(columns)                                                                             \
    "SELECT * REPLACE (" columns ") FROM (SELECT NULL AS s, NULL AS i, NULL AS l, NULL AS d, "     \
    "NULL AS b, NULL AS x, NULL AS t, NULL AS m, NULL AS day, DATE '2026-01-01' AS p) CROSS JOIN " \
    "range(2) r(n)"

static int by_partition(const void *a, const void *b) {
    const struct table_file *x = a, *y = b;
    return strcmp(x->partition ? x->partition : "", y->partition ? y->partition : "");
}

static void an_unknown_engine_is_refused(void **state) {
    struct bench *b = *state;
    const struct engine_options o = {.threads = 1, .memory_bytes = 64 * MIB, .temp_dir = b->folder};
    struct engine *en = NULL;
    struct err e;
    assert_int_equal(engine_open("flink://x", &o, &en, &e), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "flink://x"));
    assert_non_null(strstr(e.hint, "duckdb"));
    assert_null(en);
}

static void each_partition_becomes_a_file(void **state) {
    struct bench *b = *state;
    struct table_files f =
        written(b, &two,
                "SELECT CASE WHEN i % 3 > 0 THEN DATE '2026-01-01' + (i % 3)::INT END AS p, i AS a "
                "FROM range(3000) t(i)");
    assert_int_equal(f.n, 3);
    qsort(f.v, f.n, sizeof f.v[0], by_partition);
    static const char *const folders[] = {"p=__HIVE_DEFAULT_PARTITION__/", "p=2026-01-02/",
                                          "p=2026-01-03/"};
    for (size_t i = 0; i < f.n; i++) {
        struct storage_entry entry;
        struct err e;
        _cleanup_(freep) char *path = xasprintf("silver/every/%s", f.v[i].path);
        assert_memory_equal(f.v[i].path, folders[i], strlen(folders[i]));
        const char *name = strchr(f.v[i].path, '/') + 1;
        assert_int_equal(strlen(name), strlen("part-") + 36 + strlen(".zstd.parquet"));
        assert_ok(storage_stat(b->st, path, &entry, &e), &e);
        assert_int_equal(entry.size, f.v[i].size);
        assert_int_equal(f.v[i].rows, 1000);
        assert_true(f.v[i].mtime_ms > 1000000000000);
    }
    assert_null(f.v[0].partition);
    assert_string_equal(f.v[1].partition, "2026-01-02");
    const struct engine_input in = {"silver.every", &two, &f};
    check_rows(b, &in, "SELECT p, count(*), sum(a) FROM silver.every GROUP BY p ORDER BY p",
               "2026-01-02|1000|1499500 / 2026-01-03|1000|1500500 / -|1000|1498500");
    table_files_release(&f);
}

static void no_rows_no_files(void **state) {
    struct bench *b = *state;
    struct table_files f = written(b, &two, "SELECT 1 AS a, NULL AS p WHERE false");
    assert_int_equal(f.n, 0);
    _cleanup_(freep) char *lake = xasprintf("%s/lake", b->folder);
    _cleanup_(freep) char *left = files_below(lake);
    assert_null(strstr(left, "parquet"));
}

/* ---- statistics ------------------------------------------------------------------------------ */

/* The statistics of one file of `columns` over EVERY's rows. */
static void check_stats(struct bench *b, const char *select, const char *expected) {
    struct table_files f = written(b, &every, select);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.v[0].stats, expected);
    struct err e;
    struct json_doc *doc = json_parse(f.v[0].stats, strlen(f.v[0].stats), ERR_BUG, &e);
    assert_non_null(doc);
    json_free(doc);
    table_files_release(&f);
}

#define NULLS "{\"s\":2,\"i\":2,\"l\":2,\"d\":2,\"b\":2,\"x\":2,\"t\":2,\"m\":2,\"day\":2}}"

static void statistics_of_nothing_but_nulls(void **state) {
    check_stats(*state, "SELECT * EXCLUDE n FROM (" EVERY("NULL AS s") ")",
                "{\"numRecords\":2,\"minValues\":{},\"maxValues\":{},\"nullCount\":" NULLS);
}

static void statistics_of_every_type(void **state) {
    check_stats(
        *state,
        EVERY("CASE n WHEN 0 THEN 'b\"' ELSE 'ż' END AS s, n - 5 AS i, n * 5000000000 AS l, "
              "n - 0.5::DOUBLE AS d, n = 1 AS b, 'x'::BLOB AS x, "
              "TIMESTAMPTZ '1969-12-31 23:59:59.999999Z' + INTERVAL 1 MICROSECOND * (n * 2) AS t, "
              "n * -12345678901234.5678 AS m, DATE '2026-01-31' + n::INT AS day"),
        "{\"numRecords\":2,\"minValues\":{\"s\":\"b\\\"\",\"i\":-5,\"l\":0,\"d\":-0.5,"
        "\"t\":\"1969-12-31T23:59:59.999Z\",\"m\":-12345678901234.5678,\"day\":\"2026-01-31\"},"
        "\"maxValues\":{\"s\":\"ż\",\"i\":-4,\"l\":5000000000,\"d\":0.5,"
        "\"t\":\"1970-01-01T00:00:00.000Z\",\"m\":0.0000,\"day\":\"2026-02-01\"},"
        "\"nullCount\":{\"s\":0,\"i\":0,\"l\":0,\"d\":0,\"b\":0,\"x\":0,\"t\":0,\"m\":0,\"day\":0}"
        "}");
}

#define TEN "żżżżżżżżżż"

/* A bound is left out where no true one can be said, and is never narrower than the values. */
static void uncertain_bounds_are_left_out(void **state) {
    struct bench *b = *state;
    check_stats(
        b,
        EVERY("CASE n WHEN 0 THEN 1.0::DOUBLE ELSE 'nan'::DOUBLE END AS d, repeat('ż', 33) AS s"),
        "{\"numRecords\":2,\"minValues\":{\"s\":\"" TEN TEN TEN "żż\"},"
        "\"maxValues\":{\"s\":\"" TEN TEN TEN "żŽ\"},\"nullCount\":{\"s\":0,\"i\":2,\"l\":2,"
        "\"d\":0,\"b\":2,\"x\":2,\"t\":2,\"m\":2,\"day\":2}}");
    check_stats(b, EVERY("'inf'::DOUBLE AS d, CASE WHEN n = 0 THEN '-0.0' END AS s"),
                "{\"numRecords\":2,\"minValues\":{\"s\":\"-0.0\"},\"maxValues\":{\"s\":\"-0.0\"},"
                "\"nullCount\":{\"s\":1,\"i\":2,\"l\":2,\"d\":0,\"b\":2,\"x\":2,\"t\":2,\"m\":2,"
                "\"day\":2}}");
    check_stats(
        b, EVERY("TIMESTAMPTZ '20000-01-01 00:00:00Z' AS t, DATE '20000-01-01' AS day"),
        "{\"numRecords\":2,\"minValues\":{},\"maxValues\":{},\"nullCount\":{\"s\":2,\"i\":2,"
        "\"l\":2,\"d\":2,\"b\":2,\"x\":2,\"t\":0,\"m\":2,\"day\":0}}");
}

/* ---- inputs ---------------------------------------------------------------------------------- */

static void a_view_without_files_has_the_columns(void **state) {
    const struct table_files none = {0};
    const struct engine_input in = {"silver.every", &every, &none};
    check_rows(*state, &in, "SELECT count(*) FROM silver.every", "0");
    check_rows(*state, &in, "SELECT column_name, column_type FROM (DESCRIBE silver.every)",
               "s|VARCHAR / i|INTEGER / l|BIGINT / d|DOUBLE / b|BOOLEAN / x|BLOB / "
               "t|TIMESTAMP WITH TIME ZONE / m|DECIMAL(18,4) / day|DATE / p|DATE");
}

static void a_column_that_a_file_lacks_is_null(void **state) {
    struct bench *b = *state;
    struct table_files f = written(b, &two, "SELECT 7 AS a, DATE '2026-01-01' AS p");
    static const struct column more[] = {
        {"a", TYPE_LONG}, {"later", TYPE_MONEY}, {"when", TYPE_TIMESTAMP}, {"p", TYPE_DATE}};
    static const struct table_def wider = {"silver/every", "silver.every", more, 4, "p"};
    struct table_files g =
        written(b, &wider, "SELECT 8 AS a, 1.5 AS later, DATE '2026-01-02' AS p, NULL AS \"when\"");
    table_file_copy(table_files_add(&f), &g.v[0]);
    const struct engine_input in = {"v", &wider, &f};
    check_rows(b, &in, "SELECT a, later, \"when\", p FROM v ORDER BY a",
               "7|-|-|2026-01-01 / 8|1.5000|-|2026-01-02");
    check_rows(b, &in, "SELECT column_type FROM (DESCRIBE v)",
               "BIGINT / DECIMAL(18,4) / TIMESTAMP WITH TIME ZONE / DATE");
    table_files_release(&f);
    table_files_release(&g);
}

static void the_folder_must_say_what_the_log_says(void **state) {
    struct bench *b = *state;
    struct table_files f = written(b, &two, "SELECT 7 AS a, DATE '2026-01-01' AS p");
    const struct engine_input in = {"v", &two, &f};
    f.v[0].partition[9] = '2';
    _cleanup_(freep) char *rows = rows_of(b, &in, 1, false, "SELECT * FROM v");
    assert_non_null(strstr(rows, "its folder does not say p=2026-01-02, as the table's log does"));
    free(f.v[0].partition);
    f.v[0].partition = NULL;
    _cleanup_(freep) char *null = rows_of(b, &in, 1, false, "SELECT * FROM v");
    assert_non_null(strstr(null, "p=__HIVE_DEFAULT_PARTITION__"));
    table_files_release(&f);
}

static void a_file_that_is_gone_is_an_error_that_names_it(void **state) {
    struct bench *b = *state;
    struct table_files f = {0};
    *table_files_add(&f) = (struct table_file){.path = xstrdup("p=2026-01-01/gone.parquet"),
                                               .partition = xstrdup("2026-01-01"),
                                               .size = 9};
    const struct engine_input in = {"v", &two, &f};
    _cleanup_(freep) char *rows = rows_of(b, &in, 1, false, "SELECT * FROM v");
    assert_non_null(strstr(rows, "ERROR: query: "));
    assert_non_null(strstr(rows, "gone.parquet"));
    table_files_release(&f);
}

/* A cache may call its files what it likes, and a lake may lie in a folder called [x]. */
static void local_names_do_not_matter(void **state) {
    struct bench *b = *state;
    struct storage *real = b->st;
    _cleanup_(freep) char *odd = xasprintf("%s/[odd]*", b->folder);
    struct storage *stores[] = {storage_mem_new(), lake_open(odd)};
    for (size_t i = 0; i < ARRAY_LEN(stores); i++) {
        b->st = stores[i];
        struct table_files f = written(
            b, &two, "SELECT i AS a, DATE '2026-01-01' + (i % 2)::INT AS p FROM range(4) t(i)");
        const struct engine_input in = {"v", &two, &f};
        check_rows(b, &in, "SELECT a, p FROM v ORDER BY a",
                   "0|2026-01-01 / 1|2026-01-02 / 2|2026-01-01 / 3|2026-01-02");
        _cleanup_(freep) char *rows = rows_of(b, &in, 1, true, "SELECT count(*) FROM v");
        assert_string_equal(rows, "4");
        table_files_release(&f);
        storage_free(b->st);
    }
    b->st = real;
    _cleanup_(freep) char *temp = xasprintf("%s/tmp", b->folder);
    _cleanup_(freep) char *left = files_below(temp);
    assert_null(strstr(left, "links"));
}

/* A storage in which every file is there: each is a link to one. */
struct any {
    struct storage base;
    const char *folder, *one;
};

static int any_localize(struct storage *st, const char *path, int64_t size ATTR_UNUSED,
                        char ret_local[LIMIT_PATH], struct err *e ATTR_UNUSED) {
    struct any *any = (struct any *)st;
    snprintf(ret_local, LIMIT_PATH, "%s/lake/%s", any->folder, path);
    return symlink(any->one, ret_local) == 0 || errno == EEXIST ? 0 : -1;
}

static void no_unlocalize(struct storage *st ATTR_UNUSED, const char *path ATTR_UNUSED) {
}

static void a_hundred_thousand_files_are_no_trouble(void **state) {
    struct bench *b = *state;
    static const struct storage_ops ops = {.localize = any_localize, .unlocalize = no_unlocalize};
    struct storage *real = b->st;
    struct table_files f = written(b, &two, "SELECT 5 AS a, DATE '2026-01-01' AS p");
    _cleanup_(freep) char *one = xasprintf("%s/lake/silver/every/%s", b->folder, f.v[0].path);
    struct any any = {{.ops = &ops}, b->folder, one};
    for (int i = 1; i < 100000; i++)
        *table_files_add(&f) = (struct table_file){
            .path = xasprintf("p=2026-01-01/part-%08d-aaaa-bbbb-cccc-dddddddddddd.zstd.parquet", i),
            .partition = xstrdup("2026-01-01"),
            .rows = 1};
    const struct engine_input in = {"silver.every", &two, &f};
    b->st = &any.base;
    int64_t began = clock_mono_ns();
    check_rows(b, &in, "SELECT a FROM silver.every LIMIT 0", "");
    print_message("100,000 files: %lld ms\n", (long long)(clock_mono_ns() - began) / 1000000);
    b->st = real;
    table_files_release(&f);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static void stages_and_counters(void **state) {
    struct bench *b = *state;
    struct table_files f =
        written(b, &two, "SELECT i AS a, DATE '2026-01-01' AS p FROM range(10) t(i)");
    const struct engine_input in = {"silver.every", &two, &f};
    const struct engine_stage stages[] = {
        {"even", "SELECT * FROM silver.every WHERE a % 2 = 0", false, NULL},
        {"picked", "SELECT random() AS r, a, p FROM even -- the same twice: it is kept", true,
         NULL},
    };
    struct engine_result r = {0};
    struct err e;
    assert_ok(
        engine_run(b->en, b->st,
                   &(struct engine_job){
                       .what = "job",
                       .inputs = &in,
                       .n_inputs = 1,
                       .stages = stages,
                       .n_stages = 2,
                       .select = "SELECT x.p, x.a FROM picked x JOIN picked y USING (r)",
                       .output = &two,
                       .counters = "SELECT count(*) AS rows, sum(a) AS sum_of_a, NULL AS none "
                                   "FROM picked"},
                   &r, &e),
        &e);
    assert_int_equal(engine_counter(&r, "rows"), 5);
    assert_int_equal(engine_counter(&r, "sum_of_a"), 20);
    assert_int_equal(r.n_counters, 3);
    assert_int_equal(engine_counter(&r, "none"), 0);
    assert_int_equal(r.files.n, 1);
    assert_int_equal(r.files.v[0].rows, 5);
    engine_result_release(&r);
    table_files_release(&f);
}

/* Runs a job that must fail; nothing of it may be left. */
static void fails(struct bench *b, const struct engine_job *job, int code, struct err *e) {
    struct engine_result r = {0};
    _cleanup_(freep) char *lake = xasprintf("%s/lake", b->folder);
    _cleanup_(freep) char *before = files_below(lake);
    assert_int_equal(engine_run(b->en, b->st, job, &r, e), code);
    assert_int_equal(r.files.n + r.n_counters, 0);
    _cleanup_(freep) char *after = files_below(lake);
    if (!strstr(before, "lock")) /* made with the first stage */
        before[0] = '\0';
    if (before[0])
        assert_string_equal(before, after);
    assert_null(strstr(after, "part-"));
}

static void a_failed_stage_is_named(void **state) {
    struct err e;
    const struct engine_stage stage = {"broken", "SELECT\n  nothing\nFROM range(3)", true, NULL};
    fails(*state, &(struct engine_job){.what = "silver", .stages = &stage, .n_stages = 1},
          ERR_ENGINE, &e);
    assert_non_null(strstr(e.msg, "silver: broken: Binder Error: "));
    assert_null(strchr(e.msg, '\n'));
}

static void counters_that_do_not_add_up_stop_the_job(void **state) {
    struct err e;
    fails(*state,
          &(struct engine_job){.what = "silver",
                               .select = "SELECT 1 AS a, DATE '2026-01-01' AS p",
                               .output = &two,
                               .counters = "SELECT 2 AS rows"},
          ERR_ENGINE, &e);
    assert_string_equal(e.msg,
                        "silver: the counters say 2 rows, but 1 were written to silver/every");
}

static void a_number_that_outgrows_its_column_says_how_to_widen_it(void **state) {
    struct err e;
    fails(*state,
          &(struct engine_job){.what = "gold",
                               .select = "SELECT 3000000000 AS a, DATE '2026-01-01' AS p",
                               .output = &two},
          ERR_ENGINE, &e);
    assert_non_null(strstr(e.msg, "gold: silver/every: Conversion Error"));
    assert_non_null(strstr(e.hint, "BIGINT"));
}

static void too_little_memory_says_so(void **state) {
    struct bench *b = *state;
    struct err e;
    bench_memory(b, 64LL * MIB);
    fails(b,
          &(struct engine_job){.what = "silver",
                               .select = "SELECT len(list(hash(i))) AS a, DATE '2026-01-01' AS p "
                                         "FROM range(50000000) t(i)",
                               .output = &two},
          ERR_ENGINE, &e);
    assert_non_null(strstr(e.msg, "Out of Memory"));
    assert_non_null(strstr(e.hint, "raise engine.memory (now 64 MiB)"));
    check_rows(b, NULL, "SELECT 'usable'", "usable");
}

static void data_larger_than_memory_is_spilled(void **state) {
    struct bench *b = *state;
    bench_memory(b, 64LL * MIB);
    check_rows(b, NULL,
               "SELECT count(*) FROM (SELECT hash(i) AS h, repeat('x', 90) || i AS s FROM "
               "range(2000000) t(i) ORDER BY h) WHERE s <> ''",
               "2000000");
    _cleanup_(freep) char *temp = xasprintf("%s/tmp", b->folder);
    _cleanup_(freep) char *left = files_below(temp);
    assert_null(strstr(left, "duckdb_temp"));
}

static void all_files_are_published_or_none(void **state) {
    struct bench *b = *state;
    struct storage *faulty = storage_fault_new(b->st, false), *real = b->st;
    b->st = faulty;
    for (unsigned at = 1; at <= 4; at++) {
        const struct fault f = {
            .effect = FAULT_FAIL, .at = at, .calls = CALL_PUBLISH, .retry = true};
        struct engine_result r = {0};
        struct err e;
        storage_fault_arm(faulty, &f);
        int rc =
            engine_run(b->en, faulty,
                       &(struct engine_job){.what = "silver",
                                            .select = "SELECT i AS a, DATE '2026-01-01' + i::INT "
                                                      "AS p FROM range(3) t(i)",
                                            .output = &two},
                       &r, &e);
        _cleanup_(freep) char *lake = xasprintf("%s/lake", b->folder);
        _cleanup_(freep) char *left = files_below(lake);
        if (at <= 3) {
            assert_int_equal(rc, ERR_STORAGE);
            assert_true(e.retry);
            assert_null(strstr(left, "part-"));
        } else {
            assert_ok(rc, &e);
            assert_int_equal(r.files.n, 3);
        }
        engine_result_release(&r);
    }
    storage_free(faulty);
    b->st = real;
}

static void *ask_to_stop(void *arg ATTR_UNUSED) {
    usleep(200 * 1000);
    stop_request();
    return NULL;
}

static void a_stop_ends_a_long_job(void **state) {
    struct err e;
    pthread_t thread;
    pthread_create(&thread, NULL, ask_to_stop, NULL);
    const struct engine_stage stage = {
        "long",
        "SELECT count(*) FROM range(10000000) a(i), range(10000000) b(i) WHERE hash(a.i) = b.i",
        true, NULL};
    fails(*state, &(struct engine_job){.what = "silver", .stages = &stage, .n_stages = 1},
          ERR_STOPPED, &e);
    pthread_join(thread, NULL);
    assert_string_equal(e.msg, "silver: stopped");
    stop_reset();
    check_rows(*state, NULL, "SELECT 'usable'", "usable");
}

static void many_partitions_with_little_memory(void **state) {
    struct bench *b = *state;
    bench_memory(b, 64LL * MIB);
    struct table_files f = written(b, &two,
                                   "SELECT i AS a, CASE WHEN i % 100 > 0 THEN DATE '2026-01-01' + "
                                   "(hash(i) % 99)::INT END AS p "
                                   "FROM range(20000) t(i)");
    qsort(f.v, f.n, sizeof f.v[0], by_partition);
    assert_int_equal(f.n, 100);
    for (size_t i = 1; i < f.n; i++)
        assert_int_not_equal(by_partition(&f.v[i - 1], &f.v[i]), 0);
    const struct engine_input in = {"v", &two, &f};
    check_rows(b, &in, "SELECT count(*), count(DISTINCT a), count(p) FROM v", "20000|20000|19800");
    table_files_release(&f);
}

/* ---- the house ------------------------------------------------------------------------------- */

static void *run_the_same(void *arg) {
    struct bench *b = arg;
    struct err e;
    intptr_t bad = 0;
    for (int i = 0; i < 10 && !bad; i++) {
        const struct engine_stage stage = {"stage", "SELECT i AS a FROM range(1000) t(i)", true,
                                           NULL};
        struct engine_result r = {0};
        bad = engine_run(b->en, b->st,
                         &(struct engine_job){.what = "job",
                                              .stages = &stage,
                                              .n_stages = 1,
                                              .counters = "SELECT count(*) AS n FROM stage"},
                         &r, &e) < 0 ||
              engine_counter(&r, "n") != 1000;
        engine_result_release(&r);
    }
    return (void *)bad;
}

static void jobs_in_several_threads_do_not_meet(void **state) {
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_create(&threads[i], NULL, run_the_same, *state);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *bad;
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    check_rows(*state, NULL, "SELECT count(*) FROM duckdb_databases() WHERE NOT internal", "2");
}

/* An engine has its folder once it has computed something. */
static void compute_something(struct bench *b, struct engine *en) {
    struct engine *was = b->en;
    b->en = en;
    check_rows(b, NULL, "SELECT 1", "1");
    b->en = was;
}

static void the_dead_leave_no_spilled_data(void **state) {
    struct bench *b = *state;
    struct engine *other;
    struct err e;
    _cleanup_(freep) char *base = xasprintf("%s/tmp/engine", b->folder);
    _cleanup_(freep) char *dead = xasprintf("%s/engine-1", base);
    _cleanup_(freep) char *litter = xasprintf("%s/duckdb_temp_storage_DEFAULT-0.tmp", dead);
    _cleanup_(freep) char *lock = xasprintf("%s.lock", dead);
    compute_something(b, b->en);
    assert_int_equal(mkdir(dead, 0777), 0);
    make_file(litter, "x", 1);
    make_file(lock, "", 0);
    const struct engine_options o = {.threads = 1, .memory_bytes = 64 * MIB, .temp_dir = base};
    assert_ok(engine_open("duckdb", &o, &other, &e), &e);
    assert_int_not_equal(access(dead, F_OK), 0);
    assert_int_not_equal(access(lock, F_OK), 0);
    compute_something(b, other);
    _cleanup_(freep) char *two_live = files_below(base);
    assert_non_null(strchr(two_live, ' '));
    engine_free(other);
    _cleanup_(freep) char *one = files_below(base);
    assert_null(strchr(one, ' '));
}

static void settings_are_the_engines(void **state) {
    check_rows(*state, NULL,
               "SELECT current_setting('TimeZone'), current_setting('threads'), "
               "current_setting('preserve_insertion_order'), "
               "current_setting('autoinstall_known_extensions'), "
               "current_setting('autoload_known_extensions')",
               "UTC|2|false|false|false");
    check_rows(*state, NULL, "SELECT current_setting('memory_limit')", "256.0 MiB");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_new, bench_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_unknown_engine_is_refused),
        TEST(each_partition_becomes_a_file),
        TEST(no_rows_no_files),
        TEST(statistics_of_nothing_but_nulls),
        TEST(statistics_of_every_type),
        TEST(uncertain_bounds_are_left_out),
        TEST(a_view_without_files_has_the_columns),
        TEST(a_column_that_a_file_lacks_is_null),
        TEST(the_folder_must_say_what_the_log_says),
        TEST(a_file_that_is_gone_is_an_error_that_names_it),
        TEST(local_names_do_not_matter),
        TEST(a_hundred_thousand_files_are_no_trouble),
        TEST(stages_and_counters),
        TEST(a_failed_stage_is_named),
        TEST(counters_that_do_not_add_up_stop_the_job),
        TEST(a_number_that_outgrows_its_column_says_how_to_widen_it),
        TEST(too_little_memory_says_so),
        TEST(data_larger_than_memory_is_spilled),
        TEST(all_files_are_published_or_none),
        TEST(a_stop_ends_a_long_job),
        TEST(many_partitions_with_little_memory),
        TEST(jobs_in_several_threads_do_not_meet),
        TEST(the_dead_leave_no_spilled_data),
        TEST(settings_are_the_engines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
