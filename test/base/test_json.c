/* SPDX-License-Identifier: Apache-2.0 */
/* The reader takes "absent" everywhere and never guesses a number; the writer's text is always JSON. */
#include <math.h>

#include "base/helper.h"
#include "base/json.h"
#include "base/limits.h"

static struct json_doc *parse(const char *text) {
    struct err e;
    struct json_doc *d = json_parse(text, strlen(text), ERR_STORAGE, &e);
    if (!d)
        fail_msg("%s: %s", text, e.msg);
    return d;
}

/* Compact text of what the writer made, parsed: it must be JSON. */
static void assert_json(struct buf *b, const char *expected) {
    assert_false(b->overflow);
    assert_string_equal(buf_str(b), expected);
    json_free(parse(b->data));
    buf_release(b);
}

static void absent_is_legal_everywhere(void **state ATTR_UNUSED) {
    struct buf b = BUF_INIT(100);
    assert_null(json_get(NULL, "x"));
    assert_null(json_str(NULL));
    assert_int_equal(json_int(NULL, 7), 7);
    assert_true(json_num(NULL, 1.5) == 1.5);
    assert_true(json_bool(NULL, true));
    assert_false(json_is_object(NULL) || json_is_array(NULL) || json_is_null(NULL));
    assert_int_equal(json_len(NULL), 0);
    struct json_iter it = json_iter(NULL);
    assert_false(json_next(&it));
    json_text(NULL, &b);
    assert_string_equal(buf_str(&b), "");
    json_free(NULL);
    buf_release(&b);
}

static void a_value_of_another_type_is_absent(void **state ATTR_UNUSED) {
    static const char *const texts[] = {"null", "true", "1", "1.5", "\"1\"", "[1]", "{\"a\":1}"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct json_doc *d = parse(texts[i]);
        const json *v = json_root(d);
        assert_int_equal(json_is_null(v), i == 0);
        assert_int_equal(json_bool(v, false), i == 1);
        assert_int_equal(json_int(v, -1), i == 2 ? 1 : -1);
        assert_true(json_num(v, -1) == (i == 2 ? 1 : i == 3 ? 1.5 : -1));
        assert_int_equal(json_str(v) != NULL, i == 4);
        assert_int_equal(json_is_array(v), i == 5);
        assert_int_equal(json_len(v), i == 5);
        assert_int_equal(json_is_object(v), i == 6);
        assert_int_equal(json_get(v, "a") != NULL, i == 6);
        json_free(d);
    }
}

static void integers_are_exact_or_absent(void **state ATTR_UNUSED) {
    static const struct {
        const char *text;
        int64_t expected;
    } cases[] = {{"0", 0},
                 {"-1", -1},
                 {"9007199254740993", 9007199254740993},
                 {"9223372036854775807", INT64_MAX},
                 {"-9223372036854775808", INT64_MIN},
                 {"9223372036854775808", 42},
                 {"18446744073709551615", 42},
                 {"18446744073709551616", 42},
                 {"-9223372036854775809", 42},
                 {"123456789012345678901234567890", 42},
                 {"1.0", 42},
                 {"1e3", 42}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_doc *d = parse(cases[i].text);
        assert_int_equal(json_int(json_root(d), 42), cases[i].expected);
        json_free(d);
    }
}

static void a_text_with_a_nul_is_no_c_string(void **state ATTR_UNUSED) {
    struct json_doc *d = parse("[\"good\",\"a\\u0000b\",\"\\u0000\",\"\"]");
    static const char *const expected[] = {"good", NULL, NULL, ""};
    struct json_iter it = json_iter(json_root(d));
    for (size_t i = 0; json_next(&it); i++) {
        assert_int_equal(json_str(it.value) != NULL, expected[i] != NULL);
        if (expected[i])
            assert_string_equal(json_str(it.value), expected[i]);
    }
    json_free(d);
}

static void malformed_text_is_refused_with_its_place(void **state ATTR_UNUSED) {
    static const char *const texts[] = {"",
                                        " ",
                                        "{",
                                        "[1,]",
                                        "{\"a\":1,}",
                                        "nul",
                                        "01",
                                        "+1",
                                        "NaN",
                                        "'a'",
                                        "\"a",
                                        "\"\x01\"",
                                        "\"\\x\"",
                                        "\"\\uD800\"",
                                        "1 2",
                                        "\"\xFF\"",
                                        "// c\n1",
                                        "{a:1}",
                                        "\xEF\xBB\xBF[1]",
                                        "\"\xC0\x80\"",
                                        "\"\xED\xA0\x80\"",
                                        "Infinity"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct err e = {0};
        if (json_parse(texts[i], strlen(texts[i]), ERR_SINK, &e))
            fail_msg("'%s' was taken for JSON", texts[i]);
        assert_int_equal(e.code, ERR_SINK);
        assert_non_null(strstr(e.msg, "at byte"));
    }
}

static void depth_does_not_reach_the_stack(void **state ATTR_UNUSED) {
    enum { DEEP = 1000000 };
    struct err e;
    _cleanup_(freep) char *text = xmalloc(2 * DEEP);
    memset(text, '[', DEEP);
    memset(text + DEEP, ']', DEEP);
    struct json_doc *d = json_parse(text, 2 * DEEP, ERR_STORAGE, &e);
    assert_non_null(d);
    struct buf b = BUF_INIT(4 * DEEP);
    json_text(json_root(d), &b);
    assert_int_equal(b.len, 2 * DEEP);
    buf_release(&b);
    json_free(d);
    assert_null(json_parse(text, DEEP, ERR_STORAGE, &e));
}

/* Walks a container: "name=value " of each. */
static char *walk(const char *text) {
    struct json_doc *d = parse(text);
    struct buf b = BUF_INIT(1000);
    struct json_iter it = json_iter(json_root(d));
    while (json_next(&it)) {
        buf_addf(&b, "%s=", it.name ? it.name : "");
        json_text(it.value, &b);
        buf_add_char(&b, ' ');
    }
    assert_false(json_next(&it));
    json_free(d);
    return buf_detach(&b);
}

static void iterators_visit_each_member_once(void **state ATTR_UNUSED) {
    static const char *const cases[][2] = {
        {"[]", ""},
        {"{}", ""},
        {"1", ""},
        {"\"text\"", ""},
        {"[1,[2,3],{\"a\":4},null]", "=1 =[2,3] ={\"a\":4} =null "},
        {"{\"a\":{\"b\":[1]},\"c\":[],\"d\":\"e\"}", "a={\"b\":[1]} c=[] d=\"e\" "},
        {"{\"a\":1,\"a\":2}", "a=1 a=2 "},
        {"[123456789012345678901234567890]", "=123456789012345678901234567890 "}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *got = walk(cases[i][0]);
        assert_string_equal(got, cases[i][1]);
    }
}

static void commas_stand_where_they_must(void **state ATTR_UNUSED) {
    struct buf b = BUF_INIT(1000);
    struct json_out o = {.b = &b};
    json_obj(&o, NULL);
    json_obj(&o, "empty");
    json_obj_end(&o);
    json_arr(&o, "list");
    json_put(&o, NULL, "a");
    json_arr(&o, NULL);
    json_arr_end(&o);
    json_obj(&o, NULL);
    json_put_int(&o, "min", INT64_MIN);
    json_obj_end(&o);
    json_arr_end(&o);
    json_put(&o, "none", NULL);
    json_put_n(&o, "cut", "abc", 2);
    json_put_bool(&o, "yes", true);
    json_put_raw(&o, "raw", "[0]");
    json_put_double(&o, "nan", NAN);
    json_put_double(&o, "inf", -INFINITY);
    json_put(&o, "na\"me\n", "");
    json_obj_end(&o);
    assert_json(&b,
                "{\"empty\":{},\"list\":[\"a\",[],{\"min\":-9223372036854775808}],\"none\":null,"
                "\"cut\":\"ab\",\"yes\":true,\"raw\":[0],\"nan\":null,\"inf\":null,"
                "\"na\\\"me\\u000a\":\"\"}");
}

#define FFFD "\xEF\xBF\xBD"

static void texts_are_escaped_and_made_valid(void **state ATTR_UNUSED) {
    static const struct {
        const char *in;
        size_t n;
        const char *out;
    } cases[] = {
        {"", 0, "\"\""},
        {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
        {"\0\n\t\x1b\x1f ", 6, "\"\\u0000\\u000a\\u0009\\u001b\\u001f \""},
        {"\x7f\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", 9, "\"\\u007f\\u0080\\u009b\\u009f\xc2\xa0\""},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\xf4\x8f\xbf\xbf", 4, "\"\xf4\x8f\xbf\xbf\""},
        {"\x80", 1, "\"" FFFD "\""},
        {"a\xff"
         "b",
         3, "\"a" FFFD "b\""},
        {"\xc3", 1, "\"" FFFD "\""},
        {"\xc3\"", 2, "\"" FFFD "\\\"\""},
        {"\xc3\xa4", 1, "\"" FFFD "\""}, /* the length ends it */
        {"\xe2\x82", 2, "\"" FFFD FFFD "\""},
        {"\xc0\xaf", 2, "\"" FFFD FFFD "\""},                   /* overlong */
        {"\xe0\x80\xaf", 3, "\"" FFFD FFFD FFFD "\""},          /* overlong */
        {"\xf0\x80\x80\xaf", 4, "\"" FFFD FFFD FFFD FFFD "\""}, /* overlong */
        {"\xed\xa0\x80", 3, "\"" FFFD FFFD FFFD "\""},          /* surrogate */
        {"\xf4\x90\x80\x80", 4, "\"" FFFD FFFD FFFD FFFD "\""}, /* beyond U+10FFFF */
        {"\xf8\x88\x80\x80", 4, "\"" FFFD FFFD FFFD FFFD "\""}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = BUF_INIT(100);
        json_put_str(&b, cases[i].in, cases[i].n);
        assert_json(&b, cases[i].out);
    }
}

static void any_bytes_become_json(void **state ATTR_UNUSED) {
    uint64_t seed = 0x9E3779B97F4A7C15u;
    for (int round = 0; round < 5000; round++) {
        char bytes[32];
        size_t n = random_next(&seed) % sizeof bytes;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)(random_next(&seed) >> (random_next(&seed) % 40));
        struct buf b = BUF_INIT(1000);
        json_put_str(&b, bytes, n);
        json_free(parse(buf_str(&b)));
        buf_release(&b);
    }
}

static void doubles_are_short(void **state ATTR_UNUSED) {
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "-0"},
                 {0.1, "0.1"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {109.95, "109.95"},
                 {1e15, "1e+15"},
                 {123456789012345680.0, "1.2345678901234568e+17"},
                 {1e300, "1e+300"},
                 {5e-324, "4.94065645841247e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = BUF_INIT(100);
        json_put_double(&(struct json_out){.b = &b}, NULL, cases[i].v);
        assert_json(&b, cases[i].text);
    }
}

static void doubles_read_back(void **state ATTR_UNUSED) {
    uint64_t seed = 88172645463325252u;
    for (int round = 0; round < 20000; round++) {
        double v;
        uint64_t bits = random_next(&seed);
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        struct buf b = BUF_INIT(100);
        json_put_double(&(struct json_out){.b = &b}, NULL, v);
        struct json_doc *d = parse(b.data);
        assert_true(json_num(json_root(d), 0) == v);
        json_free(d);
        buf_release(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_is_legal_everywhere),
        cmocka_unit_test(a_value_of_another_type_is_absent),
        cmocka_unit_test(integers_are_exact_or_absent),
        cmocka_unit_test(a_text_with_a_nul_is_no_c_string),
        cmocka_unit_test(malformed_text_is_refused_with_its_place),
        cmocka_unit_test(depth_does_not_reach_the_stack),
        cmocka_unit_test(iterators_visit_each_member_once),
        cmocka_unit_test(commas_stand_where_they_must),
        cmocka_unit_test(texts_are_escaped_and_made_valid),
        cmocka_unit_test(any_bytes_become_json),
        cmocka_unit_test(doubles_are_short),
        cmocka_unit_test(doubles_read_back),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
