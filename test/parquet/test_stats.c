/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds in the footer and the table log: as narrow as may be, never narrower. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include "parquet/stats.h"
#include <cmocka.h>

#define LAST "\xf4\x8f\xbf\xbf" /* U+10FFFF */

static void assert_text(const struct bound *b, const char *want) {
    assert_true(b->known);
    assert_int_equal(b->len, strlen(want));
    assert_memory_equal(b->text, want, b->len);
}

static void repeat(char *out, const char *s, size_t times) {
    for (size_t i = 0; i < times; i++)
        memcpy(out + i * strlen(s), s, strlen(s));
    out[times * strlen(s)] = '\0';
}

static void short_texts_are_their_own_bounds(void **state) {
    (void)state;
    char s[65];
    repeat(s, "x", 64);
    struct bound lo = bound_text_min(s, 64), hi = bound_text_max(s, 64);
    assert_text(&lo, s);
    assert_text(&hi, s);
    assert_true(lo.exact && hi.exact);
    lo = bound_text_min("", 0);
    hi = bound_text_max("", 0);
    assert_text(&lo, "");
    assert_text(&hi, "");
}

static void long_texts_are_cut_at_a_character_and_raised(void **state) {
    (void)state;
    char s[400], want[400];
    repeat(s, "x", 65);
    struct bound lo = bound_text_min(s, 65), hi = bound_text_max(s, 65);
    repeat(want, "x", 64);
    assert_text(&lo, want);
    want[63] = 'y';
    assert_text(&hi, want);
    assert_false(lo.exact || hi.exact);

    repeat(s, "\xe2\x82\xac", 30); /* 3 bytes each: 21 of them fit */
    lo = bound_text_min(s, 90);
    hi = bound_text_max(s, 90);
    repeat(want, "\xe2\x82\xac", 21);
    assert_text(&lo, want);
    want[62] = '\xad';
    assert_text(&hi, want);
}

/* The last character of the cut text, and what is one higher. */
static void check_raise(const char *last, const char *higher) {
    char s[100], want[100];
    repeat(s, "a", 64 - strlen(last));
    memcpy(s + 64 - strlen(last), last, strlen(last));
    memcpy(s + 64, "more", 5);
    repeat(want, "a", 64 - strlen(last));
    memcpy(want + 64 - strlen(last), higher, strlen(higher) + 1);
    struct bound hi = bound_text_max(s, 68);
    assert_text(&hi, want);
}

static void raising_keeps_utf8(void **state) {
    (void)state;
    check_raise("\x7f", "\xc2\x80"); /* one byte becomes two */
    check_raise("\xc3\xbf", "\xc4\x80");
    check_raise("\xdf\xbf", "\xe0\xa0\x80");         /* two become three */
    check_raise("\xed\x9f\xbf", "\xee\x80\x80");     /* over the surrogates */
    check_raise("\xef\xbf\xbf", "\xf0\x90\x80\x80"); /* three become four */
    check_raise("\xf0\x9f\x9b\x92", "\xf0\x9f\x9b\x93");
}

static void the_last_character_cannot_be_raised(void **state) {
    (void)state;
    char s[400], want[100];
    repeat(s, LAST, 20);
    assert_false(bound_text_max(s, 80).known);
    assert_true(bound_text_min(s, 80).known);
    memcpy(s, "abcd", 4); /* the one before it can */
    struct bound hi = bound_text_max(s, 80);
    repeat(want, "abce", 1);
    assert_text(&hi, want);
}

static struct column_stats ints(int64_t nulls, int64_t min, int64_t max) {
    return (struct column_stats){nulls, bound_int(min), bound_int(max)};
}

static void statistics_of_parts_add_up(void **state) {
    (void)state;
    struct column_stats all = {0};
    const struct column_stats none = {.nulls = 10}, a = ints(2, -5, 7), b = ints(0, -9, 3);
    stats_merge(&all, 0, &none, 10, PARQUET_INT64);
    assert_int_equal(all.nulls, 10);
    assert_false(all.min.known || all.max.known);
    stats_merge(&all, 10, &a, 20, PARQUET_INT64);
    stats_merge(&all, 30, &none, 10, PARQUET_INT64);
    stats_merge(&all, 40, &b, 5, PARQUET_INT64);
    assert_int_equal(all.nulls, 22);
    assert_int_equal(all.min.i, -9);
    assert_int_equal(all.max.i, 7);
}

/* A part whose bound is not known makes the whole's unknown, whatever comes before or after. */
static void an_unknown_bound_stays_unknown(void **state) {
    (void)state;
    struct column_stats unknown = {.min = bound_text_min("b", 1)};
    const struct column_stats known = {.min = bound_text_min("a", 1),
                                       .max = bound_text_max("z", 1)};
    for (int order = 0; order < 2; order++) {
        struct column_stats all = {0};
        stats_merge(&all, 0, order ? &unknown : &known, 1, PARQUET_BYTES);
        stats_merge(&all, 1, order ? &known : &unknown, 1, PARQUET_BYTES);
        stats_merge(&all, 2, &known, 1, PARQUET_BYTES);
        assert_text(&all.min, "a");
        assert_false(all.max.known);
    }
}

static void texts_are_ordered_by_their_bytes(void **state) {
    (void)state;
    struct column_stats all = {0};
    static const char *const texts[] = {"b", "\xc3\xa9", "ba", "a\x7f", "ab"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        uint32_t len = (uint32_t)strlen(texts[i]);
        struct column_stats one = {0, bound_text_min(texts[i], len), bound_text_max(texts[i], len)};
        stats_merge(&all, (int64_t)i, &one, 1, PARQUET_BYTES);
    }
    assert_text(&all.min, "ab");
    assert_text(&all.max, "\xc3\xa9");
}

/* minValues and maxValues of one column. */
static void check_log(struct bound b, enum column_type kind, const char *min, const char *max) {
    struct buf out = BUF_INIT(1000);
    struct json_out o = {.b = &out};
    json_obj(&o, NULL);
    stats_log_min(&o, "min", &b, kind);
    stats_log_max(&o, "max", &b, kind);
    json_obj_end(&o);
    char *want =
        max ? xasprintf("{\"min\":%s,\"max\":%s}", min, max) : xasprintf("{\"min\":%s}", min);
    assert_string_equal(buf_str(&out), want);
    free(want);
    buf_release(&out);
}

static void bounds_in_the_table_log(void **state) {
    (void)state;
    check_log(bound_int(-7), TYPE_INT, "-7", "-7");
    check_log(bound_int(INT64_MIN), TYPE_LONG, "-9223372036854775808", "-9223372036854775808");
    check_log(bound_double(109.95), TYPE_DOUBLE, "109.95", "109.95");
    check_log(bound_int(1771286400123999), TYPE_TIMESTAMP, "\"2026-02-17T00:00:00.123Z\"",
              "\"2026-02-17T00:00:00.123Z\"");
    check_log(bound_int(-1), TYPE_TIMESTAMP, /* down, also before 1970 */
              "\"1969-12-31T23:59:59.999Z\"", "\"1969-12-31T23:59:59.999Z\"");
    check_log(bound_int(-5), TYPE_MONEY, "-0.0005", "-0.0005");
    check_log(bound_int(999999999999999999), TYPE_MONEY, "99999999999999.9999",
              "99999999999999.9999");
    check_log(bound_int(INT64_MIN), TYPE_MONEY, "-922337203685477.5808", "-922337203685477.5808");
    check_log(bound_int(-1), TYPE_DATE, "\"1969-12-31\"", "\"1969-12-31\"");
    check_log(bound_text_min("a\"b", 3), TYPE_STRING, "\"a\\\"b\"", "\"a\\\"b\"");
}

static void texts_in_the_table_log_have_32_characters(void **state) {
    (void)state;
    char s[200], min[300], max[300];
    repeat(s, "\xc3\xa9", 32);
    snprintf(min, sizeof min, "\"%s\"", s);
    check_log(bound_text_min(s, 64), TYPE_STRING, min, min);
    repeat(s, "x", 32);
    snprintf(min, sizeof min, "\"%s\"", s);
    snprintf(max, sizeof max, "\"%s" LAST "\"", s);
    repeat(s, "x", 40);
    check_log(bound_text_min(s, 40), TYPE_STRING, min, max);
    memcpy(s + 32, LAST "abcd", 9); /* no character is higher than what was cut off */
    check_log(bound_text_min(s, 40), TYPE_STRING, min, NULL);
    memcpy(s + 32, LAST, 5); /* but this is the bound itself */
    check_log(bound_text_min(s, 36), TYPE_STRING, min, max);
}

static void what_is_not_known_is_left_out(void **state) {
    (void)state;
    struct buf out = BUF_INIT(1000);
    struct json_out o = {.b = &out};
    const struct bound none = {0}, some = bound_int(1);
    json_obj(&o, NULL);
    stats_log_min(&o, "a", &none, TYPE_INT);
    stats_log_max(&o, "a", &none, TYPE_STRING);
    stats_log_min(&o, "b", &some, TYPE_BOOLEAN);
    stats_log_max(&o, "b", &some, TYPE_BOOLEAN);
    const struct bound infinite = bound_double(INFINITY), far = bound_int(INT64_MAX);
    stats_log_max(&o, "c", &infinite, TYPE_DOUBLE);
    stats_log_max(&o, "d", &far, TYPE_TIMESTAMP);
    const struct bound day = bound_int(INT32_MAX);
    stats_log_min(&o, "e", &day, TYPE_DATE);
    json_obj_end(&o);
    assert_string_equal(buf_str(&out), "{}");
    buf_release(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_texts_are_their_own_bounds),
        cmocka_unit_test(long_texts_are_cut_at_a_character_and_raised),
        cmocka_unit_test(raising_keeps_utf8),
        cmocka_unit_test(the_last_character_cannot_be_raised),
        cmocka_unit_test(statistics_of_parts_add_up),
        cmocka_unit_test(an_unknown_bound_stays_unknown),
        cmocka_unit_test(texts_are_ordered_by_their_bytes),
        cmocka_unit_test(bounds_in_the_table_log),
        cmocka_unit_test(texts_in_the_table_log_have_32_characters),
        cmocka_unit_test(what_is_not_known_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
