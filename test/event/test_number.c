/* SPDX-License-Identifier: Apache-2.0 */
/* Grammar, exact integers, nearest doubles, and the shortest text of a double. */
#include "event/event.h"
#include "event/number.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_span(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t span;
    } rows[] = {
        {"0", 1},          {"-0", 2},
        {"10", 2},         {"007", 1},
        {"1.5", 3},        {"1.", 0},
        {".5", 0},         {"1e5", 3},
        {"1E+5", 4},       {"1e-05", 5},
        {"1e", 0},         {"1e+", 0},
        {"-", 0},          {"+1", 0},
        {"", 0},           {" 1", 0},
        {"1 ", 1},         {"1.5.5", 3},
        {"0x10", 1},       {"NaN", 0},
        {"1.e5", 0},       {"12345678901234567890", 20},
        {"-1.25E-10x", 9},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(number_span(rows[i].text, rows[i].text + strlen(rows[i].text)),
                         rows[i].span);
    assert_int_equal(number_span("123", "123"), 0);
}

static struct number parsed(const char *text) {
    struct number n;
    assert_int_equal(number_span(text, text + strlen(text)), strlen(text));
    number_parse(text, strlen(text), &n);
    return n;
}

static void test_integer(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum number_kind kind;
        int64_t value;
    } rows[] = {
        {"0", NUMBER_INTEGER, 0},
        {"-0", NUMBER_INTEGER, 0},
        {"0e999999999999", NUMBER_INTEGER, 0},
        {"0.000e5", NUMBER_INTEGER, 0},
        {"1.0", NUMBER_INTEGER, 1},
        {"1.5", NUMBER_FRACTION, 0},
        {"1.5e1", NUMBER_INTEGER, 15},
        {"10e-1", NUMBER_INTEGER, 1},
        {"10e-2", NUMBER_FRACTION, 0},
        {"1e6", NUMBER_INTEGER, 1000000},
        {"1e18", NUMBER_INTEGER, 1000000000000000000},
        {"1e19", NUMBER_BIG_INTEGER, 0},
        {"9223372036854775807", NUMBER_INTEGER, INT64_MAX},
        {"9223372036854775808", NUMBER_BIG_INTEGER, 0},
        {"-9223372036854775808", NUMBER_INTEGER, INT64_MIN},
        {"-9223372036854775809", NUMBER_BIG_INTEGER, 0},
        {"18446744073709551616", NUMBER_BIG_INTEGER, 0},
        {"9007199254740993.0", NUMBER_INTEGER, 9007199254740993},
        {"1.00000000000000000000000000", NUMBER_INTEGER, 1},
        {"1.00000000000000000000000001", NUMBER_FRACTION, 0},
        {"100000000000000000000000000e-26", NUMBER_INTEGER, 1},
        {"123456789012345678901234567890.5", NUMBER_FRACTION, 0},
        {"12345678901234567890123e-2", NUMBER_FRACTION, 0},
        {"1e-400", NUMBER_INTEGER, 0}, /* too small for a double */
        {"-1e-400", NUMBER_INTEGER, 0},
        {"2.4e-324", NUMBER_INTEGER, 0},
        {"2.5e-324", NUMBER_FRACTION, 0},
        {"1e400", NUMBER_BIG_INTEGER, 0},
        {"1e99999999999999999999", NUMBER_BIG_INTEGER, 0},
        {"1e-99999999999999999999", NUMBER_INTEGER, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct number n = parsed(rows[i].text);
        int64_t v = 0;
        if (number_integer(&n, &v) != rows[i].kind ||
            (rows[i].kind == NUMBER_INTEGER && v != rows[i].value))
            fail_msg("%s: kind %d, value %lld", rows[i].text, number_integer(&n, &v), (long long)v);
    }
}

static void test_plain_integer(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"1", "1"},
        {"-12", "-12"},
        {"1e10", "10000000000"},
        {"1.5e3", "1500"},
        {"120.00", "120"},
        {"-1.20e1", "-12"},
        {"0.0012e5", "120"},
        {"99999999999999999999999", "99999999999999999999999"},
        {"1234567890.12345678901234567890e20", "123456789012345678901234567890"},
        {"12345678901234567890000.000", "12345678901234567890000"},
        {"0.00000000000000000000012345678901234567890123e44", "12345678901234567890123"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct number n = parsed(rows[i][0]);
        char out[64];
        size_t len = number_plain_integer(&n, out, sizeof out);
        assert_int_equal(len, strlen(rows[i][1]));
        assert_memory_equal(out, rows[i][1], len);
        char small[2] = "#"; /* too little room: nothing is written */
        if (len > 1) {
            assert_int_equal(number_plain_integer(&n, small, 1), len);
            assert_int_equal(small[0], '#');
        }
    }
}

/* Compares with the C library, which rounds correctly. In a block of exactly its size, for the sanitizer. */
static void check_double(const char *text) {
    _cleanup_(freep) char *exact = malloc(strlen(text));
    memcpy(exact, text, strlen(text));
    struct number n;
    number_parse(exact, strlen(text), &n);
    double got = number_double(&n), expected = strtod(text, NULL);
    if (memcmp(&got, &expected, sizeof got) != 0)
        fail_msg("%s: %a, expected %a", text, got, expected);
    assert_int_equal(number_is_finite(&n), isfinite(expected) != 0);
}

static uint64_t next_random(void) {
    static uint64_t x = 88172645463325252;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static void test_double(void **state) {
    (void)state;
    static const char *const rows[] = {
        "0",
        "-0",
        "0.1",
        "109.95",
        "9007199254740993",
        "9007199254740992.99999999999999999999",
        "1e22",
        "1e23",
        "8.5e22",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.797693134862315807e308",
        "1.7976931348623159e308",
        "1e309",
        "-1e400",
        "5e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.2250738585072011e-308",
        "1e-400",
        "1e999999999999999999999",
        "123456789012345678901234567890",
        "0.00000000000000000000000000000000000000000000001",
        /* halfway between two doubles, and a hair beyond */
        "9007199254740993.000000000000000000000000000000000000000000000000000000000000000000000001",
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124",
        "1.00000000000000011102230246251565404236316680908203126",
        "4.4501477170144027661804643064e-308",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_double(rows[i]);
    for (int i = 0; i < 300000; i++) {
        char s[64];
        int exp10 = (int)(next_random() % 60) - 30;
        snprintf(s, sizeof s, "%llue%d", (unsigned long long)(next_random() >> next_random() % 60),
                 i % 3 ? exp10 : exp10 * 11);
        check_double(s);
    }
}

/* Halfway numbers of 700 and more digits, whose last digit decides. */
static void test_long_double(void **state) {
    (void)state;
    char s[2000];
    snprintf(s, sizeof s, "%.1100f", 0x1p-1074 * 1.5); /* binary fractions print exactly */
    check_double(s);
    size_t len = strlen(s);
    s[len - 1] = '1';
    check_double(s);
    snprintf(s, sizeof s, "%.1080f", ldexp(0x1.fffffffffffffp0, -1022));
    check_double(s);
    memset(s, '0', sizeof s);
    memcpy(s, "1.", 2);
    s[1998] = '1';
    s[1999] = '\0';
    check_double(s);
    memcpy(s, "9007199254740993.", 17); /* a tie, but for the last digit */
    check_double(s);
}

static void check_format(double d, const char *expect) {
    char s[EVENT_DOUBLE_MAX];
    size_t len = event_format_double(d, s, sizeof s);
    if (len != strlen(expect) || memcmp(s, expect, len) != 0)
        fail_msg("%a: %.*s, expected %s", d, (int)len, s, expect);
}

static void test_format(void **state) {
    (void)state;
    static const struct {
        double d;
        const char *text;
    } rows[] = {
        {0, "0"},
        {1, "1"},
        {100, "100"},
        {1e9, "1000000000"},
        {109.95, "109.95"},
        {0.1, "0.1"},
        {0.0001, "0.0001"},
        {1e-7, "0.0000001"},
        {1.5e-7, "0.00000015"},
        {0.1 + 0.2, "0.30000000000000004"},
        {999999999.9999999, "999999999.9999999"},
        {5e-324, "0."
                 "000000000000000000000000000000000000000000000000000000000000000000000000000000000"
                 "000000000000000000000000"
                 "000000000000000000000000000000000000000000000000000000000000000000000000000000000"
                 "00000000000000000000000"
                 "000000000000000000000000000000000000000000000000000000000000000000000000000000000"
                 "00000000000000000000000"
                 "00000000005"},
        {0x1p-44,
         "0.00000000000005684341886080802"}, /* not …801, which is nearer but rounds to the double below */
        {0x1p-24, "0.00000005960464477539063"},
        {9007199254740992.0, "9007199254740992"},
        {1e21, "1000000000000000000000"},
        {1e22, "10000000000000000000000"},
        {1e23, "100000000000000000000000"},
        {123456789012345680.0, "123456789012345680"},
        {2.5, "2.5"},
        {1e15, "1000000000000000"},
        {999999999999999.9, "999999999999999.9"},
        {19.999999999999996, "19.999999999999996"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_format(rows[i].d, rows[i].text);
    char s[EVENT_DOUBLE_MAX];
    assert_int_equal(event_format_double(DBL_MAX, s, sizeof s), 309);
    assert_true(event_format_double(DBL_MIN, s, sizeof s) < sizeof s);
}

/* Gives the double back, and no shorter one of up to 17 digits does. */
static void test_format_random(void **state) {
    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = next_random() % (UINT64_C(1052) << 52);
        if (i % 4 == 0)
            bits = (bits >> 52 << 52) + (uint64_t)(i % 3) - (bits >> 52 != 0);
        double d;
        memcpy(&d, &bits, sizeof d);
        char s[EVENT_DOUBLE_MAX + 1], shorter[64];
        size_t len = event_format_double(d, s, sizeof s);
        s[len] = '\0';
        assert_true(strtod(s, NULL) == d);
        int digits = 0;
        for (const char *p = s + strspn(s, "0."); *p; p++)
            digits += *p != '.';
        if (strchr(s, '.') && digits > 1) {
            snprintf(shorter, sizeof shorter, "%.*e", digits - 2, d);
            assert_false(strtod(shorter, NULL) == d);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_span),          cmocka_unit_test(test_integer),
        cmocka_unit_test(test_plain_integer), cmocka_unit_test(test_double),
        cmocka_unit_test(test_long_double),   cmocka_unit_test(test_format),
        cmocka_unit_test(test_format_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
