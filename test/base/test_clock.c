/* SPDX-License-Identifier: Apache-2.0 */
/* The calendar at its edges, and texts of instants before and after 1970. */
#include "base/clock.h"
#include "base/helper.h"

static const struct {
    const char *text;
    int32_t day;
} days[] = {{"0000-01-01", -719528}, {"0001-01-01", -719162}, {"1600-02-29", -135081},
            {"1900-02-28", -25509},  {"1900-03-01", -25508},  {"1968-02-29", -672},
            {"1969-12-31", -1},      {"1970-01-01", 0},       {"1972-02-29", 789},
            {"2000-02-29", 11016},   {"2000-03-01", 11017},   {"2001-03-01", 11382},
            {"2100-02-28", 47540},   {"2100-03-01", 47541},   {"2400-02-29", 157113},
            {"9999-12-31", 2932896}};

static void days_have_their_dates(void **state ATTR_UNUSED) {
    for (size_t i = 0; i < ARRAY_LEN(days); i++) {
        char text[DATE_TEXT];
        int32_t day = 12345;
        assert_true(day_parse(days[i].text, 10, &day));
        assert_int_equal(day, days[i].day);
        day_format(days[i].day, text);
        assert_string_equal(text, days[i].text);
    }
}

/* Counted by hand, day after day, from 1583 to 2500. */
static void no_day_is_left_out(void **state ATTR_UNUSED) {
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int32_t expected = day_from_civil(1583, 1, 1);
    for (int year = 1583; year <= 2500; year++)
        for (int month = 1; month <= 12; month++) {
            bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            for (int day = 1; day <= length[month - 1] + (month == 2 && leap); day++) {
                char text[DATE_TEXT], written[32];
                snprintf(written, sizeof written, "%04d-%02d-%02d", year, month, day);
                day_format(expected, text);
                assert_string_equal(text, written);
                assert_int_equal(day_from_civil(year, month, day), expected++);
            }
        }
}

static void what_is_no_date_is_refused(void **state ATTR_UNUSED) {
    static const char *const texts[] = {"",
                                        "2026-11-2",
                                        "2026-11-222",
                                        "2026-1-022",
                                        "26-11-22",
                                        "2026/11/22",
                                        "20261122",
                                        "2026-00-10",
                                        "2026-13-10",
                                        "2026-11-00",
                                        "2026-11-31",
                                        "2026-01-32",
                                        "2026-02-29",
                                        "2100-02-29",
                                        "1900-02-29",
                                        "2026-02-30",
                                        "-026-11-22",
                                        "+026-11-22",
                                        " 026-11-22",
                                        "2026-11- 2",
                                        "2026-11-2x",
                                        "20x6-11-22",
                                        "2026-11 22",
                                        "2026-11-22 ",
                                        "2026-11-22T00:00:00Z",
                                        "\xEF\xBC\22026-11-2"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int32_t day = 77;
        if (day_parse(texts[i], strlen(texts[i]), &day))
            fail_msg("'%s' was taken for a day", texts[i]);
        assert_int_equal(day, 77);
    }
    int32_t day;
    assert_true(day_parse("2026-11-22 and more", 10, &day)); /* the length ends it */
}

static void instants_fall_on_utc_days(void **state ATTR_UNUSED) {
    static const struct {
        int64_t us;
        int32_t day;
        const char *text, *ms;
    } cases[] = {
        {0, 0, "1970-01-01T00:00:00.000000Z", "1970-01-01T00:00:00.000Z"},
        {-1, -1, "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999Z"},
        {-999, -1, "1969-12-31T23:59:59.999001Z", "1969-12-31T23:59:59.999Z"},
        {-1001, -1, "1969-12-31T23:59:59.998999Z", "1969-12-31T23:59:59.998Z"},
        {US_PER_DAY - 1, 0, "1970-01-01T23:59:59.999999Z", "1970-01-01T23:59:59.999Z"},
        {US_PER_DAY, 1, "1970-01-02T00:00:00.000000Z", "1970-01-02T00:00:00.000Z"},
        {-US_PER_DAY, -1, "1969-12-31T00:00:00.000000Z", "1969-12-31T00:00:00.000Z"},
        {-US_PER_DAY - 1, -2, "1969-12-30T23:59:59.999999Z", "1969-12-30T23:59:59.999Z"},
        {951782400000000, 11016, "2000-02-29T00:00:00.000000Z", "2000-02-29T00:00:00.000Z"},
        {1771286400123456, 20501, "2026-02-17T00:00:00.123456Z", "2026-02-17T00:00:00.123Z"},
        {INT64_MAX, 106751991, "294247-01-10T04:00:54.775807Z", "294247-01-10T04:00:54.775Z"},
        {INT64_MIN, -106751992, "-290308-12-21T19:59:05.224192Z", "-290308-12-21T19:59:05.224Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[TIME_TEXT];
        assert_int_equal(day_of_us(cases[i].us), cases[i].day);
        time_format(cases[i].us, text);
        assert_string_equal(text, cases[i].text);
        time_format_ms(cases[i].us, text);
        assert_string_equal(text, cases[i].ms);
        int64_t us;
        if (strlen(cases[i].text) != strlen("1970-01-01T00:00:00.000000Z"))
            continue; /* a year of more than four digits has a text, but is not read */
        assert_true(time_parse(cases[i].text, &us));
        assert_int_equal(us, cases[i].us);
        assert_true(time_parse(text, &us));
        assert_int_equal(us, cases[i].us - (cases[i].us % 1000 + 1000) % 1000);
    }
}

static void what_is_no_time_is_refused(void **state ATTR_UNUSED) {
    static const char *const texts[] = {"",
                                        "2026-11-22",
                                        "2026-11-22T12:34:56",
                                        "2026-11-22T12:34:56+00:00",
                                        "2026-11-22 12:34:56Z",
                                        "2026-11-22T24:00:00Z",
                                        "2026-11-22T12:60:00Z",
                                        "2026-11-22T12:34:60Z",
                                        "2026-11-22T12:34:56.Z",
                                        "2026-11-22T12:34:56.1",
                                        "2026-11-22T12:34:56.1xZ",
                                        "2026-11-22T1:234:56Z",
                                        "2026-11-31T12:34:56Z",
                                        "2026-11-22T12:34:56ZZ"};
    int64_t us = 77;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (time_parse(texts[i], &us))
            fail_msg("'%s' was taken for a time", texts[i]);
    assert_int_equal(us, 77);
    assert_true(time_parse("1970-01-02T00:00:01Z", &us) && us == US_PER_DAY + US_PER_SECOND);
    assert_true(time_parse("1970-01-01T00:00:00.1234567Z", &us) && us == 123456);
}

static void any_day_of_32_bits_has_a_text(void **state ATTR_UNUSED) {
    char text[DATE_TEXT];
    day_format(INT32_MAX, text);
    assert_string_equal(text, "5881580-07-11");
    day_format(INT32_MIN, text);
    assert_string_equal(text, "-5877641-06-23");
    day_format(days[ARRAY_LEN(days) - 1].day + 1, text);
    assert_string_equal(text, "10000-01-01");
}

static void clocks_run(void **state ATTR_UNUSED) {
    int64_t now = clock_now_us(), before = (int64_t)time(NULL) * US_PER_SECOND;
    assert_true(now - before < 5 * US_PER_SECOND && before - now < 5 * US_PER_SECOND);
    int64_t mono = clock_mono_ns();
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    assert_true(clock_mono_ns() - mono >= 2000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_have_their_dates),
        cmocka_unit_test(no_day_is_left_out),
        cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(instants_fall_on_utc_days),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(any_day_of_32_bits_has_a_text),
        cmocka_unit_test(clocks_run),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
