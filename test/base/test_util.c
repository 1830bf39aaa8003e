/* SPDX-License-Identifier: Apache-2.0 */
/* Ids, checksums, UTF-8, the stop flag and the points at which a drill kills the program. */
#include "base/util.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/helper.h"

static void uuids_are_version_4(void **state ATTR_UNUSED) {
    char seen[200][UUID_TEXT];
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        uuid_make(seen[i]);
        assert_int_equal(strlen(seen[i]), 36);
        for (size_t k = 0; k < 36; k++)
            if (k == 8 || k == 13 || k == 18 || k == 23)
                assert_int_equal(seen[i][k], '-');
            else
                assert_non_null(strchr("0123456789abcdef", seen[i][k]));
        assert_int_equal(seen[i][14], '4');
        assert_non_null(strchr("89ab", seen[i][19]));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(seen[i], seen[k]);
    }
}

/* RFC 3720, B.4; and the check value of the catalogue of CRCs. */
static void crc32c_gives_the_published_values(void **state ATTR_UNUSED) {
    unsigned char zeros[32], ones[32], up[32], down[32];
    static const unsigned char read_pdu[48] = {
        0x01, 0xC0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, 0x28, [40] = 0x02};
    for (size_t i = 0; i < 32; i++) {
        zeros[i] = 0;
        ones[i] = 0xFF;
        up[i] = (unsigned char)i;
        down[i] = (unsigned char)(31 - i);
    }
    const struct {
        const void *p;
        size_t n;
        uint32_t crc;
    } cases[] = {{zeros, 32, 0x8A9136AA},
                 {ones, 32, 0x62A8AB43},
                 {up, 32, 0x46DD794E},
                 {down, 32, 0x113FDB5C},
                 {read_pdu, 48, 0xD9963A56},
                 {"123456789", 9, 0xE3069283},
                 {"", 0, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(crc32c(0, cases[i].p, cases[i].n), cases[i].crc);
        assert_int_equal(crc32c_soft(0, cases[i].p, cases[i].n), cases[i].crc);
    }
}

/* Any length, any alignment, in one piece or two: hardware and table say the same. */
static void crc32c_is_one_function(void **state ATTR_UNUSED) {
    unsigned char data[1100];
    uint64_t seed = 4101842887655102017u;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)random_next(&seed);
    for (int round = 0; round < 20000; round++) {
        size_t at = random_next(&seed) % 64, n = random_next(&seed) % 1000,
               cut = n ? random_next(&seed) % n : 0;
        uint32_t whole = crc32c(0, data + at, n);
        assert_int_equal(crc32c_soft(0, data + at, n), whole);
        assert_int_equal(crc32c(crc32c(0, data + at, cut), data + at + cut, n - cut), whole);
        assert_int_equal(crc32c_soft(crc32c(0, data + at, cut), data + at + cut, n - cut), whole);
    }
}

static void utf8_is_told_from_bytes(void **state ATTR_UNUSED) {
    static const struct {
        const char *s;
        size_t n, len;
        bool control;
    } cases[] = {{"\0", 1, 1, true},
                 {"\x1f", 1, 1, true},
                 {" ", 1, 1, false},
                 {"~", 1, 1, false},
                 {"\x7f", 1, 1, true},
                 {"\x80", 1, 0, false},
                 {"\xc1\xbf", 2, 0, false},
                 {"\xc2\x80", 2, 2, true},
                 {"\xc2\x9f", 2, 2, true},
                 {"\xc2\xa0", 2, 2, false},
                 {"\xc3\x80", 2, 2, false},
                 {"\xc2\x80", 1, 0, false},
                 {"\xe0\xa0\x80", 3, 3, false},
                 {"\xe0\x9f\xbf", 3, 0, false},
                 {"\xed\x9f\xbf", 3, 3, false},
                 {"\xed\xa0\x80", 3, 0, false},
                 {"\xef\xbf\xbf", 3, 3, false},
                 {"\xe2\x82", 2, 0, false},
                 {"\xe2\x82x", 3, 0, false},
                 {"\xf0\x90\x80\x80", 4, 4, false},
                 {"\xf0\x8f\xbf\xbf", 4, 0, false},
                 {"\xf4\x8f\xbf\xbf", 4, 4, false},
                 {"\xf4\x90\x80\x80", 4, 0, false},
                 {"\xf5\x80\x80\x80", 4, 0, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t len = utf8_len(cases[i].s, cases[i].n);
        assert_int_equal(len, cases[i].len);
        if (len)
            assert_int_equal(utf8_is_control(cases[i].s, len), cases[i].control);
    }
}

enum { LONG_MS = 20000, SOON_NS = 5000000 };

static void *stop_soon(void *arg) {
    nanosleep(&(struct timespec){.tv_nsec = SOON_NS}, NULL);
    if (arg)
        kill(getpid(), *(const int *)arg); /* any thread may get it, not only the one that waits */
    else
        stop_request();
    return NULL;
}

static void a_stop_ends_the_wait(void **state ATTR_UNUSED) {
    static int signals[] = {SIGTERM, SIGINT};
    void *how[] = {NULL, &signals[0], &signals[1]};
    stop_on_signals();
    for (size_t i = 0; i < ARRAY_LEN(how); i++) {
        pthread_t t;
        assert_false(stop_requested());
        int64_t start = clock_mono_ns();
        pthread_create(&t, NULL, stop_soon, how[i]);
        assert_true(stop_wait(LONG_MS));
        assert_true(clock_mono_ns() - start < LONG_MS * 1000000LL / 4);
        assert_true(stop_requested());
        assert_true(stop_wait(LONG_MS)); /* at once from now on */
        pthread_join(t, NULL);
        stop_reset();
    }
}

static void a_wait_lasts_as_long_as_asked(void **state ATTR_UNUSED) {
    static const int waits[] = {-5, 0, 1, 30};
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        int64_t start = clock_mono_ns();
        assert_false(stop_wait(waits[i]));
        assert_true(clock_mono_ns() - start >= waits[i] * 1000000LL);
    }
}

static void a_drill_names_a_point_there_is(void **state ATTR_UNUSED) {
    static const char *const good[] = {"",
                                       "run.after_gold",
                                       "silver.after_data:2",
                                       "commit.before_log:2147483647",
                                       "hdfs.before_rename",
                                       "s3.after_file",
                                       "vacuum.removed",
                                       "clean.removed"};
    static const char *const bad[][2] = {
        {"run.after_gol", "no point 'run.after_gol'"},
        {"run.after_golds", "no point 'run.after_golds'"},
        {"nonsense:3", "no point 'nonsense'"},
        {":1", "no point ''"},
        {"run.after_gold:0", "'0' is out of range: 1 to 2147483647"},
        {"run.after_gold:-1", "'-1' is out of range"},
        {"run.after_gold:", "'' is no whole number"},
        {"run.after_gold:1:2", "'1:2' is no whole number"},
        {"run.after_gold:4294967297", "is out of range"},
    };
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_ok(crash_at(good[i], &e), &e);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(crash_at(bad[i][0], &e), ERR_CONFIG);
        assert_non_null(strstr(e.msg, "debug.crash_at"));
        if (!strstr(e.msg, bad[i][1]))
            fail_msg("%s: %s", bad[i][0], e.msg);
    }
    assert_int_equal(crash_at("x", &e), ERR_CONFIG);
    assert_non_null(strstr(e.hint, " commit.before_log "));
    assert_ok(crash_at("", &e), &e);
}

/* How many times a child passes the point gold.after_data before it is killed; 10: it was not. */
static int passes(const char *spec) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct err e;
        if (crash_at(spec, &e) != 0)
            _exit(1);
        for (int i = 0; i < 10; i++) {
            crash_point("silver.after_data");
            crash_point("gold.after_data");
            if (write(ends[1], "x", 1) != 1)
                _exit(1);
        }
        _exit(0);
    }
    close(ends[1]);
    int n = 0, status = 0;
    for (char c; read(ends[0], &c, 1) == 1;)
        n++;
    close(ends[0]);
    waitpid(pid, &status, 0);
    assert_int_equal(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, n < 10);
    return n;
}

static void a_drill_kills_at_the_right_count(void **state ATTR_UNUSED) {
    static const struct {
        const char *spec;
        int passes;
    } cases[] = {{"gold.after_data", 0},     {"gold.after_data:1", 0},
                 {"gold.after_data:3", 2},   {"gold.after_data:10", 9},
                 {"gold.after_data:11", 10}, {"ingest.after_data", 10},
                 {"silver.after_data:4", 3}, {"", 10}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(passes(cases[i].spec), cases[i].passes);
}

static void outer_blanks_are_cut_off(void **state ATTR_UNUSED) {
    static const char *const cases[][2] = {
        {" \t a b\r\n", "a b"}, {"a", "a"}, {"", ""}, {" \t\n", ""}, {"\303\251 ", "\303\251"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *text = xstrdup(cases[i][0]);
        assert_string_equal(text_trim(text), cases[i][1]);
    }
}

static void digits_are_a_number_and_nothing_else_is(void **state ATTR_UNUSED) {
    static const struct {
        const char *text;
        int64_t is;
    } cases[] = {{"0", 0},
                 {"007", 7},
                 {"999999999999999999", 999999999999999999LL},
                 {"1000000000000000000", -1},
                 {"", -1},
                 {"-1", -1},
                 {"+1", -1},
                 {" 1", -1},
                 {"1 ", -1},
                 {"0x1", -1},
                 {"1.0", -1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(digits_parse(cases[i].text), cases[i].is);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outer_blanks_are_cut_off),
        cmocka_unit_test(digits_are_a_number_and_nothing_else_is),
        cmocka_unit_test(uuids_are_version_4),
        cmocka_unit_test(crc32c_gives_the_published_values),
        cmocka_unit_test(crc32c_is_one_function),
        cmocka_unit_test(utf8_is_told_from_bytes),
        cmocka_unit_test(a_stop_ends_the_wait),
        cmocka_unit_test(a_wait_lasts_as_long_as_asked),
        cmocka_unit_test(a_drill_names_a_point_there_is),
        cmocka_unit_test(a_drill_kills_at_the_right_count),
    };
    return cmocka_run_group_tests_name("util", tests, NULL, NULL);
}
