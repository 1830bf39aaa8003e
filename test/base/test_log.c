/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a value holds, a log line stays one line, readable by a parser and harmless to a terminal. */
#include "base/log.h"

#include <math.h>
#include <unistd.h>

#include "base/helper.h"
#include "base/json.h"
#include "base/limits.h"

static void write_value(const void *value) {
    log_info("hello there", F_STR("value", value), F_STR("last", "end"));
}

static void write_numbers(const void *arg ATTR_UNUSED) {
    log_warn("n", F_INT("i", INT64_MIN), F_NUM("d", 1.5), F_NUM("nan", NAN));
}

static void write_all_levels(const void *arg ATTR_UNUSED) {
    log_debug("debug");
    log_info("info");
    log_warn("warn");
    log_error("error");
}

static void write_error(const void *error) {
    log_err(LOG_ERROR, "load failed", error);
}

/* The line without its time stamp; there is exactly one. */
static char *line_of(void (*fn)(const void *), const void *arg) {
    _cleanup_(freep) char *text = printed_on(STDERR_FILENO, fn, arg);
    char *end = strchr(text, '\n');
    assert_non_null(end);
    assert_string_equal(end, "\n");
    *end = '\0';
    assert_memory_equal(text, "ts=20", 5);
    char *blank = strchr(text, ' ');
    assert_int_equal(blank - text, 27); /* ts=2026-11-22T12:34:56.123Z */
    return xstrdup(blank + 1);
}

static void hostile_values_are_quoted(void **state ATTR_UNUSED) {
    static const char *const cases[][2] = {
        {"plain-1/2:3,[4]", "plain-1/2:3,[4]"},
        {"", "\"\""},
        {NULL, "\"\""},
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"x\nlevel=error msg=forged", "\"x\\u000alevel=error msg=forged\""},
        {"x\r\v\f\ty", "\"x\\u000d\\u000b\\u000c\\u0009y\""},
        {"\x1b[2J", "\"\\u001b[2J\""},
        {"\x7f", "\"\\u007f\""},
        {"\xc2\x9b"
         "2J",
         "\"\\u009b2J\""},
        {"\xff", "\"\xEF\xBF\xBD\""},
        {"\xc3\xa4", "\"\xc3\xa4\""},
        {"%s%n", "%s%n"},
    };
    log_setup(LOG_INFO, false);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *line = line_of(write_value, cases[i][0]);
        _cleanup_(freep) char *expected =
            xasprintf("level=info msg=\"hello there\" value=%s last=end", cases[i][1]);
        assert_string_equal(line, expected);
    }
}

static void numbers_are_bare(void **state ATTR_UNUSED) {
    log_setup(LOG_INFO, false);
    _cleanup_(freep) char *line = line_of(write_numbers, NULL);
    assert_string_equal(line, "level=warn msg=n i=-9223372036854775808 d=1.5 nan=nan");
    log_setup(LOG_INFO, true);
    _cleanup_(freep) char *text = printed_on(STDERR_FILENO, write_numbers, NULL);
    assert_non_null(strstr(
        text,
        ",\"level\":\"warn\",\"msg\":\"n\",\"i\":-9223372036854775808,\"d\":1.5,\"nan\":null}\n"));
}

/* The line of write_value as JSON, parsed. */
static struct json_doc *json_line(const char *value) {
    _cleanup_(freep) char *text = printed_on(STDERR_FILENO, write_value, value);
    size_t n = strlen(text);
    assert_true(n > 0 && strchr(text, '\n') == text + n - 1);
    struct err e;
    struct json_doc *d = json_parse(text, n - 1, ERR_BUG, &e);
    if (!d)
        fail_msg("%s", e.msg);
    return d;
}

static void json_lines_parse(void **state ATTR_UNUSED) {
    static const char *const values[] = {"plain",        "",   "a\nb",    "\"}",
                                         "\x1b\x7f\x01", "\\", "\xc3\xa4"};
    log_setup(LOG_INFO, true);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct json_doc *d = json_line(values[i]);
        const json *line = json_root(d);
        assert_string_equal(json_str(json_get(line, "level")), "info");
        assert_string_equal(json_str(json_get(line, "msg")), "hello there");
        assert_string_equal(json_str(json_get(line, "value")), values[i]);
        assert_int_equal(strlen(json_str(json_get(line, "ts"))), 24);
        json_free(d);
    }
}

/* A value of n bytes, repeating `unit`. */
static char *long_value(size_t n, const char *unit) {
    char *s = xmalloc(n + 1);
    for (size_t i = 0; i < n; i++)
        s[i] = unit[i % strlen(unit)];
    s[n] = '\0';
    return s;
}

static void long_values_are_cut_and_the_line_goes_on(void **state ATTR_UNUSED) {
    static const struct {
        const char *unit;
        size_t in, kept;
    } cases[] = {{"x", LIMIT_LOG_TEXT - 1, LIMIT_LOG_TEXT - 1},
                 {"x", LIMIT_LOG_TEXT, LIMIT_LOG_TEXT},
                 {"x", LIMIT_LOG_TEXT + 1, LIMIT_LOG_TEXT},
                 {"\x01", 3 * MIB, LIMIT_LOG_TEXT},
                 {"\xe2\x82\xac", 3 * MIB, LIMIT_LOG_TEXT - LIMIT_LOG_TEXT % 3}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *value = long_value(cases[i].in, cases[i].unit);
        log_setup(LOG_INFO, true);
        struct json_doc *d = json_line(value);
        assert_int_equal(strlen(json_str(json_get(json_root(d), "value"))), cases[i].kept);
        assert_string_equal(json_str(json_get(json_root(d), "last")), "end");
        json_free(d);
        log_setup(LOG_INFO, false);
        _cleanup_(freep) char *line = line_of(write_value, value);
        assert_string_equal(line + strlen(line) - 9, " last=end");
    }
}

static void lower_levels_are_silent(void **state ATTR_UNUSED) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (size_t from = 0; from < ARRAY_LEN(names); from++) {
        log_setup((enum log_level)from, false);
        _cleanup_(freep) char *text = printed_on(STDERR_FILENO, write_all_levels, NULL);
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            _cleanup_(freep) char *expected = xasprintf(" level=%s msg=%s\n", names[i], names[i]);
            assert_int_equal(strstr(text, expected) != NULL, i >= from);
        }
    }
}

static void errors_bring_their_hint(void **state ATTR_UNUSED) {
    struct err e;
    log_setup(LOG_INFO, false);
    err_set(&e, ERR_SINK, "no answer\nfrom 'db'");
    _cleanup_(freep) char *bare = line_of(write_error, &e);
    assert_string_equal(bare,
                        "level=error msg=\"load failed\" error=\"no answer\\u000afrom 'db'\"");
    err_hint(&e, "start it");
    _cleanup_(freep) char *hinted = line_of(write_error, &e);
    assert_string_equal(
        hinted,
        "level=error msg=\"load failed\" error=\"no answer\\u000afrom 'db'\" hint=\"start it\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_values_are_quoted),
        cmocka_unit_test(numbers_are_bare),
        cmocka_unit_test(json_lines_parse),
        cmocka_unit_test(long_values_are_cut_and_the_line_goes_on),
        cmocka_unit_test(lower_levels_are_silent),
        cmocka_unit_test(errors_bring_their_hint),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
