/* SPDX-License-Identifier: Apache-2.0 */
/* Catalogs: the built-in one, files, and web servers on good and bad days. */
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/limits.h"
#include "fake/http_server.h"
#include "flow/catalog.h"
#include <cmocka.h>

static void the_built_in_catalog_is_fakestores(void **state ATTR_UNUSED) {
    struct catalog c;
    struct err e;
    assert_int_equal(catalog_load(NULL, &c, &e), 0);
    assert_int_equal(c.n, 20);
    assert_string_equal(c.v[0].id, "1");
    assert_string_equal(c.v[0].category, "\"men's clothing\"");
    assert_string_equal(c.v[0].price, "109.95");
    assert_string_equal(c.v[0].path, "/products/1");
    assert_string_equal(c.v[4].category, "\"jewelery\"");
    assert_string_equal(c.v[4].price, "695");
    assert_string_equal(c.v[13].price, "999.99");
    assert_string_equal(c.v[19].id, "20");
    double sum = 0;
    for (size_t i = 0; i < c.n; i++)
        sum += strtod(c.v[i].price, NULL);
    assert_true(sum > 3240.91 && sum < 3240.93);
    catalog_release(&c);
}

static void a_catalog_is_read_as_it_is_spelled(void **state ATTR_UNUSED) {
    static const char text[] =
        "[{\"id\":1,\"title\":\"x\",\"price\":0,\"description\":\"d\",\"category\":\"a\\\"b\","
        "\"image\":\"i\",\"rating\":{\"rate\":3.9,\"count\":120}},"
        "{\"id\":\"sku/7\",\"price\":1000000000,\"category\":\"caf\xC3\xA9\"}]";
    struct catalog c;
    struct err e;
    assert_int_equal(catalog_parse("x", text, sizeof text - 1, &c, &e), 0);
    assert_int_equal(c.n, 2);
    assert_string_equal(c.v[0].category, "\"a\\\"b\"");
    assert_string_equal(c.v[1].id, "\"sku/7\"");
    assert_string_equal(c.v[1].path, "/products/item-2");
    catalog_release(&c);
}

static void faults_are_named(void **state ATTR_UNUSED) {
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "malformed JSON"},
        {"[{\"id\":1", "malformed JSON"},
        {"{}", "no JSON array"},
        {"\"x\"", "no JSON array"},
        {"[]", "empty"},
        {"[1]", "product 1 is no object"},
        {"[{\"category\":\"a\",\"price\":1}]", "product 1 has no id"},
        {"[{\"id\":1.5,\"category\":\"a\",\"price\":1}]", "product 1 has no id"},
        {"[{\"id\":\"  \",\"category\":\"a\",\"price\":1}]", "product 1 has no id"},
        {"[{\"id\":1,\"category\":\"a\",\"price\":1},{\"id\":2,\"price\":1}]",
         "product 2 has no category"},
        {"[{\"id\":1,\"category\":\"\",\"price\":1}]", "product 1 has no category"},
        {"[{\"id\":1,\"category\":\"a\"}]", "product 1 has no price"},
        {"[{\"id\":1,\"category\":\"a\",\"price\":-1}]", "product 1 has no price"},
        {"[{\"id\":1,\"category\":\"a\",\"price\":1e10}]", "product 1 has no price"},
        {"[{\"id\":1,\"category\":\"a\",\"price\":\"9\"}]", "product 1 has no price"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct catalog c;
        struct err e;
        assert_int_equal(catalog_parse("shop.json", cases[i].text, strlen(cases[i].text), &c, &e),
                         ERR_STREAM);
        assert_non_null(strstr(e.msg, cases[i].says));
        assert_non_null(strstr(e.msg, "shop.json"));
        assert_non_null(strstr(e.hint, "built-in"));
    }
}

static void a_file_that_cannot_be_read_is_an_error(void **state ATTR_UNUSED) {
    static const char *const paths[] = {"/nowhere/catalog.json", "/tmp", "/dev/zero"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct catalog c;
        struct err e;
        assert_int_equal(catalog_load(paths[i], &c, &e), ERR_STREAM);
        assert_non_null(strstr(e.msg, paths[i]));
        assert_non_null(strstr(e.hint, "built-in"));
    }
}

static int load_from(const struct http_script *script, struct catalog *c, struct err *e) {
    struct http_server *s = http_server_start(script);
    int r = catalog_load(http_server_url(s), c, e);
    http_server_free(s);
    return r;
}

#define JSON_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"

static void a_catalog_can_be_fetched(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = JSON_HEAD
                                 "[{\"id\":7,\"category\":\"books\",\"price\":12.50}]"};
    struct catalog c;
    struct err e;
    assert_int_equal(load_from(&script, &c, &e), 0);
    assert_int_equal(c.n, 1);
    assert_string_equal(c.v[0].id, "7");
    catalog_release(&c);
}

static void a_web_server_on_a_bad_day_is_a_clear_error(void **state ATTR_UNUSED) {
    static const struct {
        struct http_script script;
        const char *says;
        bool retry;
    } cases[] = {
        {{.answer = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html; charset=UTF-8\r\n\r\n"
                    "<!DOCTYPE html><title>Just a moment...</title>"},
         "the server answered 403 and a web page instead of JSON",
         false},
        {{.answer = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html></html>"},
         "answered 200 and a web page",
         false},
        {{.answer = JSON_HEAD "\n <html></html>"}, "a web page", false},
        {{.answer = "HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n"}, "answered 503", true},
        {{.answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"}, "answered 404", false},
        {{.answer = JSON_HEAD "[]"}, "empty", false},
        {{.answer = JSON_HEAD "oops"}, "malformed JSON", false},
        {{.answer = JSON_HEAD "[{\"id\":1,\"price\":2}]"}, "product 1 has no category", false},
        {{.answer = JSON_HEAD "[          ", .repeat = 2000000, .repeat_len = 10},
         "more than",
         false},
        {{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n["}, "cannot be fetched", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct catalog c;
        struct err e;
        assert_int_equal(load_from(&cases[i].script, &c, &e), ERR_STREAM);
        assert_non_null(strstr(e.msg, cases[i].says));
        assert_non_null(strstr(e.msg, "127.0.0.1"));
        assert_non_null(strstr(e.hint, "built-in"));
        assert_int_equal(e.retry, cases[i].retry);
    }
    struct catalog c;
    struct err e;
    assert_int_equal(catalog_load("http://127.0.0.1:1/products", &c, &e), ERR_STREAM);
    assert_non_null(strstr(e.hint, "built-in"));
}

int main(void) {
    setenv("NO_PROXY", "127.0.0.1", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_built_in_catalog_is_fakestores),
        cmocka_unit_test(a_catalog_is_read_as_it_is_spelled),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
        cmocka_unit_test(a_catalog_can_be_fetched),
        cmocka_unit_test(a_web_server_on_a_bad_day_is_a_clear_error),
    };
    return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
