/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file around the groups, and what happens when the disk does not take it. The write() of
 * the code under test ends here, which passes it on, cuts it short or fails it.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parquet/bronze.h"
#include <cmocka.h>

static int fail_after = -1; /* write() calls until one fails; -1: none does */
static int fail_with;
static size_t longest_write = SIZE_MAX;

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wredundant-decls"

ssize_t write(int fd, const void *p, size_t n) {
    if (fd > 2 && fail_after >= 0 && fail_after-- == 0) {
        fail_after = fail_with == EINTR ? -1 : 0; /* a full disk stays full */
        errno = fail_with;
        return -1;
    }
    return syscall(SYS_write, fd, p, fd > 2 ? MIN(n, longest_write) : n);
}

static char folder[] = "/tmp/clickmill-bronze-XXXXXX";

static int begin(void **state) {
    (void)state;
    memcpy(strrchr(folder, '-') + 1, "XXXXXX", 6);
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    fail_after = -1;
    longest_write = SIZE_MAX;
    chmod(folder, 0700);
    return rmdir(folder); /* fails if a test left a file behind */
}

static char *path_of(const char *name) {
    return xasprintf("%s/%s", folder, name);
}

/* A group of n plain events, offsets from `first` on. */
static struct encoded *encoded(uint32_t n, int64_t first) {
    struct bronze_group *g = bronze_group_new(&(struct bronze_options){.zstd_level = 1});
    for (uint32_t i = 0; i < n; i++) {
        char key[40];
        struct event ev = {.has_product_id = true,
                           .product_id = 5,
                           .has_price = true,
                           .price = 1.5,
                           .event_ts = 1771286400 + i,
                           .category = {"books", 5}};
        ev.event_key = (struct text){key, (uint32_t)snprintf(key, sizeof key, "key %u", i)};
        bronze_group_add(g, &ev,
                         &(struct bronze_source){.topic = "clicks",
                                                 .offset = first + i,
                                                 .protocol = "native",
                                                 .received_us = 1771286400000000 + i});
    }
    struct encoded *en = bronze_encode(g);
    bronze_group_free(g);
    return en;
}

static char *contents(const char *path, size_t *ret_n) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    struct stat st;
    assert_int_equal(fstat(fileno(f), &st), 0);
    char *p = xmalloc((size_t)st.st_size);
    assert_int_equal(fread(p, 1, (size_t)st.st_size, f), st.st_size);
    fclose(f);
    *ret_n = (size_t)st.st_size;
    return p;
}

/* Writes a file of so many groups; the caller frees done->stats. */
static int write_file(const char *path, int groups, struct table_file *done, struct err *e) {
    struct parquet_file *f = NULL;
    int r = parquet_file_create(&bronze_events, path, &f, e);
    for (int i = 0; r == 0 && i < groups; i++)
        r = parquet_file_append(f, encoded(100, 100 * i), e);
    if (r == 0)
        r = parquet_file_finish(f, done, e);
    parquet_file_free(f);
    return r;
}

static void check_frame(const char *path, const struct table_file *done) {
    size_t n;
    char *p = contents(path, &n);
    assert_int_equal(n, done->size);
    assert_memory_equal(p, "PAR1", 4);
    assert_memory_equal(p + n - 4, "PAR1", 4);
    uint32_t footer;
    memcpy(&footer, p + n - 8, 4);
    assert_in_range(footer, 100, n - 12);
    free(p);
}

static void groups_become_one_file(void **state) {
    (void)state;
    char *path = path_of("a.parquet");
    struct table_file done = {0};
    struct err e = {0};
    assert_int_equal(write_file(path, 3, &done, &e), 0);
    assert_int_equal(done.rows, 300);
    assert_string_equal(
        done.stats,
        "{\"numRecords\":300,\"minValues\":{\"product_id\":5,\"category\":\"books\",\"price\":1.5,"
        "\"event_ts\":1771286400,\"protocol\":\"native\",\"received_at\":\"2026-02-17T00:00:00."
        "000Z\","
        "\"source_topic\":\"clicks\",\"source_partition\":0,\"source_offset\":0,\"source_index\":0}"
        ","
        "\"maxValues\":{\"product_id\":5,\"category\":\"books\",\"price\":1.5,\"event_ts\":"
        "1771286499,"
        "\"protocol\":\"native\",\"received_at\":\"2026-02-17T00:00:00.000Z\",\"source_topic\":"
        "\"clicks\",\"source_partition\":0,\"source_offset\":299,\"source_index\":0},\"nullCount\":"
        "{"
        "\"product_id\":0,\"category\":0,\"price\":0,\"event_ts\":0,\"event_key\":0,\"event_id\":"
        "300,"
        "\"event_type\":300,\"user_id\":300,\"session_id\":300,\"sku\":300,\"quantity\":300,"
        "\"currency\":300,\"order_id\":300,\"page_url\":300,\"referrer\":300,\"user_agent\":300,"
        "\"extra\":300,\"protocol\":0,\"received_at\":0,\"source_topic\":0,\"source_partition\":0,"
        "\"source_offset\":0,\"source_index\":0,\"reject_reason\":300,\"reject_detail\":300,"
        "\"raw\":300}}");
    check_frame(path, &done);
    free(done.stats);
    unlink(path);
    free(path);
}

static void a_file_without_groups_is_a_file_without_rows(void **state) {
    (void)state;
    char *path = path_of("a.parquet");
    struct table_file done = {0};
    struct err e = {0};
    assert_int_equal(write_file(path, 0, &done, &e), 0);
    assert_int_equal(done.rows, 0);
    check_frame(path, &done);
    free(done.stats);
    unlink(path);
    free(path);
}

static void writes_cut_short_are_completed(void **state) {
    (void)state;
    char *whole = path_of("whole.parquet"), *pieces = path_of("pieces.parquet");
    struct table_file a = {0}, b = {0};
    struct err e = {0};
    assert_int_equal(write_file(whole, 2, &a, &e), 0);
    longest_write = 7;
    fail_with = EINTR;
    fail_after = 5;
    assert_int_equal(write_file(pieces, 2, &b, &e), 0);
    size_t n, m;
    char *p = contents(whole, &n), *q = contents(pieces, &m);
    assert_int_equal(n, m);
    assert_memory_equal(p, q, n);
    free(p);
    free(q);
    free(a.stats);
    free(b.stats);
    unlink(whole);
    unlink(pieces);
    free(whole);
    free(pieces);
}

/* Whatever write fails, the error says why, and no file is left. */
static void a_full_disk_leaves_nothing(void **state) {
    (void)state;
    char *path = path_of("a.parquet");
    for (int n = 0; n < 4; n++) { /* magic, two groups, footer */
        struct table_file done = {0};
        struct err e = {0};
        fail_with = ENOSPC;
        fail_after = n;
        assert_int_equal(write_file(path, 2, &done, &e), ERR_STORAGE);
        assert_non_null(strstr(e.msg, "cannot write"));
        assert_non_null(strstr(e.msg, path));
        assert_non_null(strstr(e.msg, "No space left"));
        assert_string_equal(e.hint, "free space; nothing was committed");
        assert_null(done.stats);
        assert_int_equal(access(path, F_OK), -1);
    }
    free(path);
}

static void a_broken_disk_has_no_hint(void **state) {
    (void)state;
    char *path = path_of("a.parquet");
    struct table_file done = {0};
    struct err e = {0};
    fail_with = EIO;
    fail_after = 1;
    assert_int_equal(write_file(path, 1, &done, &e), ERR_STORAGE);
    assert_string_equal(e.hint, "");
    free(path);
}

static void after_a_failure_everything_fails(void **state) {
    (void)state;
    char *path = path_of("a.parquet");
    struct parquet_file *f = NULL;
    struct table_file done = {0};
    struct err e = {0};
    assert_int_equal(parquet_file_create(&bronze_events, path, &f, &e), 0);
    fail_with = ENOSPC;
    fail_after = 0;
    assert_int_equal(parquet_file_append(f, encoded(10, 0), &e), ERR_STORAGE);
    fail_after = -1;
    assert_int_equal(parquet_file_append(f, encoded(10, 0), &e), ERR_STORAGE);
    assert_int_equal(parquet_file_finish(f, &done, &e), ERR_STORAGE);
    parquet_file_free(f);
    free(path);
}

static void a_file_that_exists_is_not_touched(void **state) {
    (void)state;
    char *path = path_of("a.parquet");
    FILE *there = fopen(path, "w");
    fputs("mine", there);
    fclose(there);
    struct parquet_file *f = NULL;
    struct err e = {0};
    assert_int_equal(parquet_file_create(&bronze_events, path, &f, &e), ERR_STORAGE);
    assert_null(f);
    assert_non_null(strstr(e.msg, "File exists"));
    size_t n;
    char *p = contents(path, &n);
    assert_int_equal(n, 4);
    free(p);
    unlink(path);
    free(path);
}

static void a_folder_that_cannot_be_written(void **state) {
    (void)state;
    struct parquet_file *f = NULL;
    struct err e = {0};
    char *missing = path_of("no/a.parquet");
    assert_int_equal(parquet_file_create(&bronze_events, missing, &f, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "cannot create"));
    free(missing);
    assert_int_equal(parquet_file_create(&bronze_events, "/proc/a.parquet", &f, &e), ERR_STORAGE);
    if (geteuid() != 0) { /* root may write anywhere */
        char *path = path_of("a.parquet");
        chmod(folder, 0500);
        assert_int_equal(parquet_file_create(&bronze_events, path, &f, &e), ERR_STORAGE);
        assert_non_null(strstr(e.msg, "Permission denied"));
        free(path);
    }
    assert_null(f);
}

static void an_unfinished_file_is_removed(void **state) {
    (void)state;
    char *path = path_of("a.parquet");
    struct parquet_file *f = NULL;
    struct err e = {0};
    assert_int_equal(parquet_file_create(&bronze_events, path, &f, &e), 0);
    assert_int_equal(parquet_file_append(f, encoded(10, 0), &e), 0);
    parquet_file_free(f);
    assert_int_equal(access(path, F_OK), -1);
    parquet_file_free(NULL);
    free(path);
}

int main(void) {
#define EACH(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(groups_become_one_file),
        EACH(a_file_without_groups_is_a_file_without_rows),
        EACH(writes_cut_short_are_completed),
        EACH(a_full_disk_leaves_nothing),
        EACH(a_broken_disk_has_no_hint),
        EACH(after_a_failure_everything_fails),
        EACH(a_file_that_exists_is_not_touched),
        EACH(a_folder_that_cannot_be_written),
        EACH(an_unfinished_file_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
