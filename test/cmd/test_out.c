/* SPDX-License-Identifier: Apache-2.0 */
/* Tables keep their columns and harm no terminal; their JSON is JSON, whatever the cells hold. */
#include "cmd/out.h"

#include <unistd.h>

#include "base/helper.h"
#include "base/json.h"

static void print_text(const void *table) {
    out_print(table, false);
}

static void print_json(const void *table) {
    out_print(table, true);
}

static struct out_table table_of(const char *const (*rows)[3], size_t n) {
    static const char *const names[] = {"name", "rows", "note"};
    static const bool number[] = {false, true, false};
    struct out_table t = {0};
    out_columns(&t, names, number, 3);
    for (size_t i = 0; i < n; i++)
        out_row(&t, rows[i]);
    return t;
}

/* Prints the rows and compares. */
static void assert_prints(const char *const (*rows)[3], size_t n, const char *text,
                          const char *as_json) {
    struct out_table t = table_of(rows, n);
    _cleanup_(freep) char *got = printed_on(STDOUT_FILENO, print_text, &t);
    _cleanup_(freep) char *got_json = printed_on(STDOUT_FILENO, print_json, &t);
    assert_string_equal(got, text);
    assert_string_equal(got_json, as_json);
    struct err e;
    struct json_doc *d = json_parse(got_json, strlen(got_json), ERR_BUG, &e);
    if (!d)
        fail_msg("%s", e.msg);
    assert_int_equal(json_len(json_root(d)), n);
    json_free(d);
    out_release(&t);
}

static void columns_are_aligned(void **state ATTR_UNUSED) {
    static const char *const rows[][3] = {
        {"bronze", "5", "x"}, {"s", "12345", NULL}, {NULL, NULL, "last one"}};
    assert_prints(rows, 3,
                  "name     rows  note\n"
                  "bronze      5  x\n"
                  "s       12345  \n"
                  "               last one\n",
                  "[\n{\"name\":\"bronze\",\"rows\":5,\"note\":\"x\"},"
                  "\n{\"name\":\"s\",\"rows\":12345,\"note\":null},"
                  "\n{\"name\":null,\"rows\":null,\"note\":\"last one\"}\n]\n");
}

static void the_engines_types_say_what_is_a_number(void **state ATTR_UNUSED) {
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    static const char *const types[] = {"BIGINT", "DECIMAL(18,4)", "VARCHAR", "INTEGER[]", "DATE"};
    static const bool number[] = {true, true, false, false, false};
    struct out_table t = {0};
    out_columns_typed(&t, names, types, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(t.number[i] == number[i] && strcmp(t.names[i], names[i]) == 0);
    out_release(&t);
}

static void characters_are_counted_not_bytes(void **state ATTR_UNUSED) {
    static const char *const rows[][3] = {{"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f!", "1", ""},
                                          {"\xe2\x82\xac", "2", ""},
                                          {"\xf0\x9f\x98\x80", "3", ""}};
    assert_prints(rows, 3,
                  "name   rows  note\n"
                  "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f!     1  \n"
                  "\xe2\x82\xac         2  \n"
                  "\xf0\x9f\x98\x80         3  \n",
                  "[\n{\"name\":\"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f!\",\"rows\":1,\"note\":\"\"},"
                  "\n{\"name\":\"\xe2\x82\xac\",\"rows\":2,\"note\":\"\"},"
                  "\n{\"name\":\"\xf0\x9f\x98\x80\",\"rows\":3,\"note\":\"\"}\n]\n");
}

static void terminals_are_safe(void **state ATTR_UNUSED) {
    static const char *const rows[][3] = {{"\x1b[2J", "1", "a\nb\rc\td\x07"},
                                          {"\x7f\xc2\x9b", "2",
                                           "\xff\x9b"
                                           "2J"},
                                          {"\xc3", "3", "\xed\xa0\x80 \xe2\x82"}};
    assert_prints(
        rows, 3,
        "name  rows  note\n"
        "?[2J     1  a?b?c?d?\n"
        "??       2  ??2J\n"
        "?        3  ??? ??\n",
        "[\n{\"name\":\"\\u001b[2J\",\"rows\":1,\"note\":\"a\\u000ab\\u000dc\\u0009d\\u0007\"},"
        "\n{\"name\":\"\\u007f\\u009b\",\"rows\":2,\"note\":\"\xEF\xBF\xBD\xEF\xBF\xBD"
        "2J\"},"
        "\n{\"name\":\"\xEF\xBF\xBD\",\"rows\":3,\"note\":\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD "
        "\xEF\xBF\xBD\xEF\xBF\xBD\"}\n]\n");
}

/* A database has numbers JSON has not; booleans come in such columns, too. */
static void only_json_literals_are_bare(void **state ATTR_UNUSED) {
    static const char *const cases[][2] = {
        {"0", "0"},
        {"-1.50", "-1.50"},
        {"1e+300", "1e+300"},
        {"true", "true"},
        {"false", "false"},
        {"truth", "\"truth\""},
        {"NaN", "\"NaN\""},
        {"inf", "\"inf\""},
        {"-Infinity", "\"-Infinity\""},
        {"", "\"\""},
        {"-", "\"-\""},
        {"007", "\"007\""},
        {".5", "\".5\""},
        {"5.", "\"5.\""},
        {"+5", "\"+5\""},
        {"1,000", "\"1,000\""},
        {"1}", "\"1}\""},
        {"0x10", "\"0x10\""},
        {"12345678901234567890123456789.0001", "12345678901234567890123456789.0001"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const rows[][3] = {{"a", cases[i][0], "b"}};
        struct out_table t = table_of(rows, 1);
        _cleanup_(freep) char *got = printed_on(STDOUT_FILENO, print_json, &t);
        _cleanup_(freep) char *expected =
            xasprintf("[\n{\"name\":\"a\",\"rows\":%s,\"note\":\"b\"}\n]\n", cases[i][1]);
        assert_string_equal(got, expected);
        out_release(&t);
    }
}

static void no_rows_is_an_empty_list(void **state ATTR_UNUSED) {
    assert_prints(NULL, 0, "name  rows  note\n", "[\n]\n");
    struct out_table t = {0};
    _cleanup_(freep) char *nothing = printed_on(STDOUT_FILENO, print_text, &t);
    assert_string_equal(nothing, "");
    _cleanup_(freep) char *list = printed_on(STDOUT_FILENO, print_json, &t);
    assert_string_equal(list, "[\n]\n");
    out_release(&t);
}

static void many_rows_are_all_there(void **state ATTR_UNUSED) {
    enum { ROWS = 1000 };
    struct out_table t = table_of(NULL, 0);
    for (int i = 0; i < ROWS; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        const char *row[] = {"r", number, NULL};
        out_row(&t, row);
    }
    _cleanup_(freep) char *text = printed_on(STDOUT_FILENO, print_json, &t);
    struct err e;
    struct json_doc *d = json_parse(text, strlen(text), ERR_BUG, &e);
    int64_t expected = 0;
    for (struct json_iter it = json_iter(json_root(d)); json_next(&it); expected++)
        assert_int_equal(json_int(json_get(it.value, "rows"), -1), expected);
    assert_int_equal(expected, ROWS);
    json_free(d);
    out_release(&t);
}

static void thousands_are_set_apart(void **state ATTR_UNUSED) {
    static const struct {
        int64_t v;
        const char *text;
    } cases[] = {{0, "0"},
                 {7, "7"},
                 {999, "999"},
                 {1000, "1,000"},
                 {-1000, "-1,000"},
                 {-999, "-999"},
                 {123456, "123,456"},
                 {1234567, "1,234,567"},
                 {INT64_MAX, "9,223,372,036,854,775,807"},
                 {INT64_MIN, "-9,223,372,036,854,775,808"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[32];
        out_thousands(cases[i].v, text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_aligned),
        cmocka_unit_test(the_engines_types_say_what_is_a_number),
        cmocka_unit_test(characters_are_counted_not_bytes),
        cmocka_unit_test(terminals_are_safe),
        cmocka_unit_test(only_json_literals_are_bare),
        cmocka_unit_test(no_rows_is_an_empty_list),
        cmocka_unit_test(many_rows_are_all_there),
        cmocka_unit_test(thousands_are_set_apart),
    };
    return cmocka_run_group_tests_name("out", tests, NULL, NULL);
}
