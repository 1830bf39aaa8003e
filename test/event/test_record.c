/* SPDX-License-Identifier: Apache-2.0 */
/* The first row of the table: the record as a whole. */
#include "event/event_test.h"

#include "base/limits.h"

static void check(const char *rec, const char *expect) {
    check_record(rec, strlen(rec), "price", expect);
}

/* A JSON value is taken or refused the same way at the top, in a field and in extra. */
static void check_json(const char *value, bool valid) {
    char shown[SHOWN_MAX];
    static const char *const frames[] = {
        "%s", " %s\r\n", "[%s]", "{\"a\":%s}", "{\"a\":{\"b\":[0,%s]}}", "{\"price\":%s}"};
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        char rec[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(rec, sizeof rec, frames[i], value);
#pragma GCC diagnostic pop
        decode_and_show(rec, strlen(rec), RECEIVED_US, "price", shown);
        if ((strncmp(shown, "invalid_json", 12) != 0) != valid)
            fail_msg("%s should%s be JSON: %s", rec, valid ? "" : " not", shown);
    }
}

static const char *const valid[] = {
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-12.50e+07",
    "1E5",
    "1e-5",
    "0.0",
    "\"\"",
    "\"a\"",
    "[]",
    "{}",
    "[ ]",
    "{ }",
    "[1 , 2]",
    "{\"a\":1,\"a\":2}",
    "[\t\n\r 1]",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0000\\uFFFF\\uabCD\"",
    "\"\\ud83d\\ude00\"",
    "\"\\uDBFF\\uDFFF\"",
    "\"\x7f\"",
    "\"\xc2\x80\xef\xbf\xbf\"",
    "1e99999999999999999999",
    "[[[[]]]]",
    "[{\"a\":[{}]},null]",
};
static const char *const invalid[] = {
    "nul",
    "nulll",
    "True",
    "NaN",
    "Infinity",
    "-Infinity",
    "-",
    "+1",
    "01",
    "-01",
    "1.",
    ".5",
    "1e",
    "1e+",
    "1.e5",
    "0x1",
    "1_0",
    "'a'",
    "\"",
    "\"a",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u\"",
    "\"\\u12\"",
    "\"\\u123",
    "\"\\ud83d\\u",
    "\"\\ud83d\\ude0",
    "\"\\u12g4\"",
    "\"\\U0041\"",
    "\"\\'\"",
    "\"\\ud800\"",
    "\"\\ud800x\"",
    "\"\\ud800\\n\"",
    "\"\\ud800\\u0041\"",
    "\"\\ud800\\ud800\"",
    "\"\\udc00\"",
    "\"\\udc00\\ud800\"",
    "\"a\tb\"",
    "\"a\nb\"",
    "\"\x1f\"",
    "\"\x01\"",
    "[",
    "]",
    "[1",
    "[1,",
    "[,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "{",
    "}",
    "{,}",
    "{\"a\"",
    "{\"a\"}",
    "{\"a\":",
    "{\"a\":}",
    "{\"a\":1,}",
    "{\"a\":1]",
    "{a:1}",
    "{1:2}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "/**/1",
    "1//",
    "\xef\xbb\xbf"
    "1",
    "\xc2\xa0"
    "1",
    "\f1",
    "\v1",
    "1\f",
};
static void test_json_values(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(valid); i++)
        check_json(valid[i], true);
    for (size_t i = 0; i < ARRAY_LEN(invalid); i++)
        check_json(invalid[i], false);
}

static void test_whole(void **state) {
    (void)state;
    check(PLAIN, "5");
    check(" \t\r\n" PLAIN " \t\r\n", "5");
    check("", "invalid_json: record: not JSON, ends early at byte 0");
    check(" \n", "invalid_json: record: not JSON, ends early at byte 2");
    check(PLAIN ",", "invalid_json: record: not JSON at byte 63: ,");
    check(PLAIN PLAIN, "invalid_json: record: not JSON at byte 63: "
                       "{\"product_id\":1,\"category\":\"c\",\"price\":5");
    check("\xef\xbb\xbf" PLAIN, "invalid_json: record: not JSON at byte 0: "
                                "\\xef\\xbb\\xbf{\"product_id\":1,\"category\":\"c\",\"price");
    check_record(PLAIN "\0", strlen(PLAIN) + 1, "price",
                 "invalid_json: record: not JSON at byte 63: ");
    check("[" PLAIN "]", "not_an_object: record: an array");
    check("\"a\"", "not_an_object: record: a text");
    check(" 12 ", "not_an_object: record: a number");
    check("null", "not_an_object: record: null");
    check("true", "not_an_object: record: true");
    for (size_t n = 0; n < strlen(PLAIN); n++) { /* cut anywhere */
        char shown[SHOWN_MAX];
        decode_and_show(PLAIN, n, RECEIVED_US, "price", shown);
        assert_memory_equal(shown, "invalid_json", 12);
    }
    struct event_decoder *d = event_decoder_new();
    struct event ev;
    event_decode(d, NULL, 0, RECEIVED_US, &ev); /* a record without a value */
    assert_int_equal(ev.reject, REJECT_INVALID_JSON);
    event_decoder_free(d);
}

static void test_size(void **state) {
    (void)state;
    size_t fill = LIMIT_RECORD - strlen(PLAIN);
    _cleanup_(freep) char *fits = around(PLAIN, " ", fill, ""),
                          *over = around(PLAIN, " ", fill + 1, "");
    assert_int_equal(strlen(fits), 1048576);
    check_record(fits, strlen(fits), "price", "5");
    check_record(over, strlen(over), "price", "too_large: record: 1048577 bytes, at most 1048576");
    memset(over, 0xff, strlen(over)); /* before any other rule */
    check_record(over, LIMIT_RECORD + 1, "price",
                 "too_large: record: 1048577 bytes, at most 1048576");
    check_record(over, LIMIT_RECORD, "price", "invalid_utf8: record: not UTF-8 at byte 0: \\xff");
    /* A member as long as a record may be. */
    const char *before =
        "{\"product_id\":1,\"category\":\"c\",\"event_ts\":1771286400,\"price\":0.";
    _cleanup_(freep) char *digits = around(before, "3", LIMIT_RECORD - strlen(before) - 1, "}");
    check_record(digits, strlen(digits), "price", "0.33333333333333331");
}

static void test_utf8(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        bool valid;
    } rows[] = {
        {"\x7f", true},
        {"\x80", false},
        {"\xbf", false},
        {"\xc0\x80", false},
        {"\xc1\xbf", false},
        {"\xc2\x80", true},
        {"\xc2\x7f", false},
        {"\xdf\xbf", true},
        {"\xdf\xc0", false},
        {"\xe0\x9f\xbf", false},
        {"\xe0\xa0\x80", true},
        {"\xed\x9f\xbf", true},
        {"\xed\xa0\x80", false},
        {"\xed\xbf\xbf", false},
        {"\xee\x80\x80", true},
        {"\xef\xbf\xbf", true},
        {"\xef\xbf", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xf0\x90\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\xff", false},
        {"\xfe", false},
        {"\xf0\x9f\x98", false},
        {"\xe2\x82", false},
        {"\xe2\x82\x41", false},
        {"\xf0\x9f\x98\x41", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t pad = 0; pad < 70; pad += 7) {
            _cleanup_(freep) char *rec = around("{\"category\":\"", "x", pad, rows[i].bytes);
            char shown[SHOWN_MAX];
            decode_and_show(rec, strlen(rec), RECEIVED_US, "price", shown);
            /* The record is not finished, so valid bytes make it invalid JSON. */
            assert_memory_equal(shown, rows[i].valid ? "invalid_json" : "invalid_utf8", 12);
        }
    check("{\"a\":x \xff", "invalid_utf8: record: not UTF-8 at byte 7: \\xff"); /* before JSON */
    check("\xff", "invalid_utf8: record: not UTF-8 at byte 0: \\xff");
}

static void check_nesting(const char *opening, size_t n, const char *closing, size_t n_closing,
                          const char *expect) {
    _cleanup_(freep) char *a = repeat(opening, n), *b = repeat(closing, n_closing);
    _cleanup_(freep) char *rec = xasprintf("{\"x\":%s1%s}", a, b);
    char shown[SHOWN_MAX];
    decode_and_show(rec, strlen(rec), RECEIVED_US, "price", shown);
    if (strncmp(shown, expect, strlen(expect)) != 0)
        fail_msg("%zu times %s: %s, expected %s", n, opening, shown, expect);
}

static void test_nesting(void **state) {
    (void)state;
    /* Inside the record's own object, level 1. */
    check_nesting("[", 127, "]", 127, "missing_field");
    check_nesting("[", 128, "]", 128, "too_large: record: more than 128 levels at byte 132");
    check_nesting("{\"a\":", 127, "}", 127, "missing_field");
    check_nesting("{\"a\":", 128, "}", 128, "too_large");
    check_nesting("[{\"a\":", 63, "}]", 63, "missing_field");
    check_nesting("[{\"a\":", 64, "}]", 64, "too_large");
    check_nesting("[", 128, "garbage", 1, "too_large"); /* as soon as the level opens */
    check_nesting("[", 127, "garbage", 1, "invalid_json");
    check_nesting("[", 5000, "", 0, "too_large");
    _cleanup_(freep) char *top = around("", "[", 128, "]"), *deep = around("", "[", 129, "");
    memset(top + 128, ']', 1);
    _cleanup_(freep) char *closed = around(top, "]", 127, "");
    check_record(closed, strlen(closed), "price", "not_an_object: record: an array");
    check_record(deep, strlen(deep), "price",
                 "too_large: record: more than 128 levels at byte 128");
    _cleanup_(freep) char *garbage_first = around("x", "[", 200, "");
    check_record(
        garbage_first, strlen(garbage_first), "price",
        "invalid_json: record: not JSON at byte 0: x[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
}

/* What is shown is cut between characters and free of control characters. */
static void test_detail(void **state) {
    (void)state;
    CHECK_ROWS("price", "", {"[1,\t\n2]", "wrong_type: price: [1,\\x09\\x0a2]"},
               {"\"\x7f\"", "wrong_type: price: \"\\x7f\""},
               {"\"\xc2\x85\"", "wrong_type: price: \"\\xc2\\x85\""},
               {"\"\xe2\x80\xa8\"", "wrong_type: price: \"\\xe2\\x80\\xa8\""},
               {"\"\xc3\xa9\"", "wrong_type: price: \"\xc3\xa9\""});
    for (size_t pad = 0; pad < 8; pad++) {
        _cleanup_(freep) char *lead = repeat("x", 240 + pad),
                              *value = xasprintf("\"%s\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"", lead);
        size_t left = 256 - strlen("price: \"") - 240 - pad;
        _cleanup_(freep) char *expect =
            xasprintf("wrong_type: price: \"%s%s%s", lead, left >= 4 ? "\xf0\x9f\x98\x80" : "",
                      left >= 8 ? "\xf0\x9f\x98\x80" : "");
        CHECK_ROWS("price", "", {value, expect});
    }
}

/* One decoder, many records: nothing of one shows in the next; texts last until the reset. */
static void test_reuse(void **state) {
    (void)state;
    static const char first[] =
        "{\"event_ts\":1771286400,\"event_type\":\"a\\nb\",\"user_id\":\"u\",\"x\":1}";
    static const char second[] = "{\"event_ts\":1771286400,\"event_type\":\"c\"}";
    struct event_decoder *d = event_decoder_new();
    struct event a, b, c;
    for (int round = 0; round < 3; round++) {
        event_decode(d, first, strlen(first), RECEIVED_US, &a);
        event_decode(d, "{\"x\":", 5, RECEIVED_US, &c);
        event_decode(d, second, strlen(second), RECEIVED_US, &b);
        assert_int_equal(c.reject, REJECT_INVALID_JSON);
        assert_int_equal(b.reject, REJECT_NONE);
        assert_null(b.user_id.p);
        assert_null(b.extra.p);
        assert_null(b.detail.p);
        assert_memory_equal(a.event_type.p, "a\nb", 3);
        assert_memory_equal(a.extra.p, "{\"x\":1}", 7);
        assert_ptr_equal(a.user_id.p, strstr(first, "\"u\"") + 1); /* not copied */
        event_decoder_reset(d);
    }
    event_decoder_free(d);
    event_decoder_free(NULL);
}

static void test_reject_names(void **state) {
    (void)state;
    assert_null(reject_name(REJECT_NONE));
    assert_string_equal(reject_name(REJECT_TOO_LARGE), "too_large");
    assert_string_equal(reject_name(REJECT_UNKNOWN_PROTOCOL), "unknown_protocol");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_values), cmocka_unit_test(test_whole),
        cmocka_unit_test(test_size),        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_nesting),     cmocka_unit_test(test_detail),
        cmocka_unit_test(test_reuse),       cmocka_unit_test(test_reject_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
