/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of many dates from several threads -> a file a date, in bounded memory, or nothing. What is in
 * the files is checked by their footers' counts here, by other readers in test/engine and test/e2e.
 */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake/sanitized.h"
#include "parquet/parts.h"
#include <cmocka.h>

static const struct column columns[] = {{"a", TYPE_LONG}, {"s", TYPE_STRING}, {"p", TYPE_DATE}};
static const struct table_def dated = {"silver/dated", "silver.dated", columns, 3, "p"};
static const struct table_def undated = {"silver/undated", "silver.undated", columns, 2, NULL};

static char folder[] = "/tmp/clickmill-parts-XXXXXX";

static int begin(void **state) {
    (void)state;
    memcpy(strrchr(folder, '-') + 1, "XXXXXX", 6);
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    return rmdir(folder); /* fails if a test left a file behind */
}

static int files_left(bool remove_them) {
    DIR *d = opendir(folder);
    int n = 0;
    for (struct dirent *f; (f = readdir(d));) {
        if (f->d_name[0] == '.')
            continue;
        n++;
        _cleanup_(freep) char *path = xasprintf("%s/%s", folder, f->d_name);
        if (remove_them)
            unlink(path);
    }
    closedir(d);
    return n;
}

struct job {
    struct parts *parts;
    uint32_t seed, chunks, dates;
    bool in_order; /* date after date; else at random */
    struct err err;
};

/* A row of a number and a text that does not repeat. */
static void add_row(struct row_group *g, uint32_t n) {
    char text[100];
    int len = snprintf(text, sizeof text, "%080u", n);
    struct gathered t = {.column = 1, .n = 1};
    t.v[0] = (struct text_value){text, (uint32_t)len, g->rows};
    row_group_begin(g, 1);
    number_add_i64(&g->col[0].number, g->rows, n);
    row_group_texts(g, &t, 1);
    row_group_end(g, 1);
}

static void *work(void *arg) {
    struct job *j = arg;
    uint32_t x = j->seed;
    for (uint32_t c = 0; c < j->chunks && j->err.code == 0; c++) {
        struct lane *l = parts_take(j->parts);
        for (uint32_t i = 0; i < 100 && j->err.code == 0; i++) {
            struct row_group *g;
            x = x * 1664525 + 1013904223;
            uint32_t date =
                j->in_order ? (c * 100 + i) * j->dates / (j->chunks * 100) : (x >> 8) % j->dates;
            int32_t day = date == 0 ? NO_DAY : (int32_t)date * 10 - 1000;
            if (lane_group(l, lane_slot(l, day), 1, &g, &j->err) == 0)
                add_row(g, x);
        }
        if (j->err.code == 0)
            lane_settle(l, &j->err);
        parts_give_back(j->parts, l);
    }
    return NULL;
}

static void run(struct job *jobs, size_t n) {
    pthread_t threads[8];
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

static struct parts *open_parts(const struct table_def *def, size_t memory) {
    return parts_new(def, folder,
                     &(struct parts_options){.zstd_level = 1, .lanes = 2, .memory = memory});
}

/* The numbers of rows the footers tell are those of the log; every file is where its path says. */
static int64_t check_files(const struct table_files *f, bool with_folder) {
    int64_t rows = 0;
    for (size_t i = 0; i < f->n; i++) {
        const struct table_file *t = &f->v[i];
        const char *slash = strrchr(t->path, '/');
        struct stat st;
        assert_int_equal(slash != NULL, with_folder);
        _cleanup_(freep) char *local = xasprintf("%s/%s", folder, slash ? slash + 1 : t->path);
        assert_int_equal(stat(local, &st), 0);
        assert_int_equal(st.st_size, t->size);
        _cleanup_(freep) char *told = xasprintf("{\"numRecords\":%lld,", (long long)t->rows);
        assert_memory_equal(t->stats, told, strlen(told));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(f->v[k].partition ? f->v[k].partition : "",
                                    t->partition ? t->partition : "");
        rows += t->rows;
    }
    return rows;
}

static void check_dates(uint32_t dates, bool in_order, size_t memory, uint32_t chunks) {
    struct parts *p = open_parts(&dated, memory);
    struct job jobs[3] = {{p, 1, chunks, dates, in_order, {0}},
                          {p, 2, chunks, dates, in_order, {0}},
                          {p, 3, chunks, dates, in_order, {0}}};
    struct table_files f = {0};
    struct err e = {0};
    run(jobs, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(jobs[i].err.code, 0);
    assert_int_equal(parts_finish(p, &f, &e), 0);
    parts_free(p);
    assert_int_equal(f.n, dates);
    assert_int_equal(check_files(&f, true), 3 * 100 * chunks);
    assert_null(f.v[0].partition);
    assert_memory_equal(f.v[0].path, "p=__HIVE_DEFAULT_PARTITION__/part-", 34);
    if (dates > 1) {
        assert_string_equal(f.v[1].partition, "1967-04-17");
        assert_memory_equal(f.v[1].path, "p=1967-04-17/part-", 18);
    }
    table_files_release(&f);
    assert_int_equal(files_left(true), dates);
}

static void dates_in_any_order_become_one_file_each(void **state) {
    (void)state;
    for (int in_order = 0; in_order < 2; in_order++) {
        check_dates(1, in_order, 64 << 20, 200);
        check_dates(7, in_order, 64 << 20, 200);
        check_dates(7, in_order, 1 << 20, 200);
        check_dates(150, in_order, 1 << 20, 200);
        check_dates(300, in_order, 1 << 16, 200); /* more than files are kept open */
    }
}

static void a_table_without_partitions_is_one_file(void **state) {
    (void)state;
    struct parts *p = open_parts(&undated, 1 << 20);
    struct job job = {p, 1, 100, 1, false, {0}};
    struct table_files f = {0};
    struct err e = {0};
    work(&job);
    assert_int_equal(parts_finish(p, &f, &e), 0);
    parts_free(p);
    assert_int_equal(f.n, 1);
    assert_int_equal(check_files(&f, false), 10000);
    assert_null(f.v[0].partition);
    table_files_release(&f);
    files_left(true);
}

static void no_rows_no_files(void **state) {
    (void)state;
    struct parts *p = open_parts(&dated, 1 << 20);
    struct table_files f = {0};
    struct err e = {0};
    parts_give_back(p, parts_take(p));
    assert_int_equal(parts_finish(p, &f, &e), 0);
    assert_int_equal(f.n, 0);
    parts_free(p);
    assert_int_equal(files_left(false), 0);
}

/* 600,000 rows, 60 MB of texts, with 4 MiB for 2 lanes (3 are out): whatever the order of dates. */
static void memory_stays_bounded(void **state) {
    (void)state;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    check_dates(100, false, 4 << 20, 2000);
    check_dates(20, true, 4 << 20, 2000);
    getrusage(RUSAGE_SELF, &after);
    long grown = (after.ru_maxrss - before.ru_maxrss) / 1024;
    print_message("%ld MiB\n", grown);
    if (!SANITIZED)
        assert_in_range(grown, 0, 48);
}

/* Files may not grow beyond so many bytes: the write that would fails, as on a full disk. */
static void limit_files(rlim_t bytes) {
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_leaves_nothing(void **state) {
    (void)state;
    static const rlim_t limits[] = {0, 100, 20000};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct parts *p = open_parts(&dated, 1 << 18);
        struct job job = {p, 1, 100, 3, false, {0}};
        struct table_files f = {0};
        struct err e = {0};
        limit_files(limits[i]);
        work(&job);
        int r = job.err.code ? job.err.code : parts_finish(p, &f, &e);
        limit_files(RLIM_INFINITY);
        assert_int_equal(r, ERR_STORAGE);
        assert_int_equal(f.n, 0);
        parts_free(p);
        table_files_release(&f);
    }
    /* Files finished before the failure are the caller's, with the folder. */
    files_left(true);
}

/* Each lane finds that the date has no file yet, and that none can be made. */
static void lanes_fail_at_the_same_file(void **state) {
    (void)state;
    _cleanup_(freep) char *gone = xasprintf("%s/gone", folder);
    struct parts_options o = {.zstd_level = 1, .lanes = 2, .memory = 1 << 20};
    struct parts *p = parts_new(&dated, gone, &o);
    struct lane *lanes[2] = {parts_take(p), parts_take(p)};
    struct table_files f = {0};
    struct err e = {0};
    for (size_t i = 0; i < 2; i++) {
        struct row_group *g;
        assert_int_equal(lane_group(lanes[i], lane_slot(lanes[i], 7), 1, &g, &e), 0);
        add_row(g, 1);
    }
    for (size_t i = 0; i < 2; i++)
        parts_give_back(p, lanes[i]);
    assert_int_equal(parts_finish(p, &f, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "/gone/part-"));
    assert_int_equal(f.n, 0);
    parts_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_stays_bounded, begin, end),
        cmocka_unit_test_setup_teardown(dates_in_any_order_become_one_file_each, begin, end),
        cmocka_unit_test_setup_teardown(a_table_without_partitions_is_one_file, begin, end),
        cmocka_unit_test_setup_teardown(no_rows_no_files, begin, end),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_nothing, begin, end),
        cmocka_unit_test_setup_teardown(lanes_fail_at_the_same_file, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
