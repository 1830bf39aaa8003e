/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client against servers that behave, and servers that do not. */
#include <setjmp.h>
#include <stdarg.h>

#include "base/clock.h"
#include "base/util.h"
#include "fake/http_server.h"
#include "net/http.h"
#include <cmocka.h>

static struct http_request request_to(const char *url) {
    return (struct http_request){.url = url,
                                 .connect_timeout_ms = 2000,
                                 .timeout_ms = 5000,
                                 .max_body = 1000,
                                 .error_code = ERR_STREAM};
}

/* One fetch from a server with this script. */
static int fetch_from(const struct http_script *script, struct http_request q,
                      struct http_answer *ret, struct err *e, char *ret_request) {
    struct http_server *s = http_server_start(script);
    q.url = http_server_url(s);
    int r = http_fetch(&q, ret, e);
    http_server_stop(s);
    if (ret_request)
        snprintf(ret_request, 4096, "%s", http_server_request(s));
    http_server_free(s);
    return r;
}

static void an_answer_comes_back_whole(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                           "Content-Length: 7\r\n\r\n[1,2,3]"};
    static const char *const headers[] = {"Accept: application/json", NULL};
    struct http_request q = request_to(NULL);
    struct http_answer a;
    struct err e;
    char request[4096];
    q.headers = headers;
    assert_int_equal(fetch_from(&script, q, &a, &e, request), 0);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.content_type, "application/json");
    assert_string_equal(buf_str(&a.body), "[1,2,3]");
    assert_memory_equal(request, "GET /products HTTP/1.1\r\n", 24);
    assert_non_null(strstr(request, "User-Agent: clickmill"));
    assert_non_null(strstr(request, "Accept: application/json\r\n"));
    http_answer_release(&a);
}

static void any_status_is_an_answer(void **state ATTR_UNUSED) {
    static const char *const answers[] = {
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 2\r\n\r\nno"};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct http_answer a;
        struct err e;
        struct http_script script = {.answer = answers[i]};
        assert_int_equal(fetch_from(&script, request_to(NULL), &a, &e, NULL), 0);
        assert_int_equal(a.status, atoi(answers[i] + 9));
        assert_string_equal(buf_str(&a.body), "no");
        assert_null(a.content_type);
        http_answer_release(&a);
    }
}

static void a_method_and_a_body_are_sent(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 204 No Content\r\n\r\n"};
    struct http_request q = request_to(NULL);
    q.method = "PUT";
    q.body = "a\0b";
    q.body_len = 3;
    struct http_answer a;
    struct err e;
    char request[4096];
    assert_int_equal(fetch_from(&script, q, &a, &e, request), 0);
    assert_int_equal(a.status, 204);
    assert_memory_equal(request, "PUT ", 4);
    assert_non_null(strstr(request, "Content-Length: 3\r\n"));
    http_answer_release(&a);
}

static void what_is_too_large_is_cut_off(void **state ATTR_UNUSED) {
    /* Announced, and without end. */
    struct http_script scripts[] = {
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n0123456789",
         .repeat = 199,
         .repeat_len = 10},
        {.answer = "HTTP/1.1 200 OK\r\n\r\n0123456789", .repeat = 1000000000, .repeat_len = 10}};
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        struct http_answer a;
        struct err e;
        assert_int_equal(fetch_from(&scripts[i], request_to(NULL), &a, &e, NULL), ERR_STREAM);
        assert_non_null(strstr(e.msg, "more than 1000 bytes"));
        assert_false(e.retry);
    }
}

static void a_slow_server_is_left_in_time(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 200 OK\r\n\r\nlate", .delay_ms = 20000};
    struct http_request q = request_to(NULL);
    q.timeout_ms = 200;
    struct http_answer a;
    struct err e;
    int64_t start = clock_mono_ns();
    assert_int_equal(fetch_from(&script, q, &a, &e, NULL), ERR_STREAM);
    assert_true(clock_mono_ns() - start < 5000000000LL);
    assert_true(e.retry);
    assert_non_null(strstr(e.msg, "timed out"));
}

static void broken_answers_are_errors_that_can_pass(void **state ATTR_UNUSED) {
    static const struct http_script scripts[] = {
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"},
        {.answer = "", .len = 0}};
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        struct http_answer a;
        struct err e;
        assert_int_equal(fetch_from(&scripts[i], request_to(NULL), &a, &e, NULL), ERR_STREAM);
        assert_true(e.retry);
        assert_non_null(strstr(e.msg, "http://127.0.0.1:"));
    }
}

static void nobody_there_is_an_error_that_can_pass(void **state ATTR_UNUSED) {
    struct http_request q = request_to("http://127.0.0.1:1/x");
    struct http_answer a;
    struct err e;
    assert_int_equal(http_fetch(&q, &a, &e), ERR_STREAM);
    assert_true(e.retry);
    q.error_code = ERR_STORAGE;
    assert_int_equal(http_fetch(&q, &a, &e), ERR_STORAGE);
}

static void redirects_end_somewhere(void **state ATTR_UNUSED) {
    struct http_script script = {
        .answer = "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"};
    struct http_server *s = http_server_start(&script);
    struct http_request q = request_to(http_server_url(s));
    q.max_redirects = 3;
    struct http_answer a;
    struct err e;
    assert_int_equal(http_fetch(&q, &a, &e), ERR_STREAM);
    http_server_stop(s);
    assert_int_equal(http_server_requests(s), 4);
    assert_non_null(strstr(e.msg, "redirects"));
    http_server_free(s);
}

static void other_protocols_are_refused(void **state ATTR_UNUSED) {
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/x", "", "httpx://a",
                                       "127.0.0.1"};
    struct http_answer a;
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct http_request q = request_to(urls[i]);
        assert_int_equal(http_fetch(&q, &a, &e), ERR_STREAM);
        assert_false(e.retry);
    }
    struct http_script script = {
        .answer =
            "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"};
    struct http_request q = request_to(NULL);
    q.max_redirects = 3;
    assert_int_equal(fetch_from(&script, q, &a, &e, NULL), ERR_STREAM);
}

static void passwords_are_masked(void **state ATTR_UNUSED) {
    struct http_request q = request_to("http://me:secret@127.0.0.1:1/x");
    struct http_answer a;
    struct err e;
    assert_int_equal(http_fetch(&q, &a, &e), ERR_STREAM);
    assert_null(strstr(e.msg, "secret"));
}

static void a_stop_ends_the_wait(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 200 OK\r\n\r\nlate", .delay_ms = 20000};
    struct http_answer a;
    struct err e;
    stop_request();
    int r = fetch_from(&script, request_to(NULL), &a, &e, NULL);
    stop_reset();
    assert_int_equal(r, ERR_STOPPED);
}

int main(void) {
    setenv("NO_PROXY", "127.0.0.1", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_back_whole),
        cmocka_unit_test(any_status_is_an_answer),
        cmocka_unit_test(a_method_and_a_body_are_sent),
        cmocka_unit_test(what_is_too_large_is_cut_off),
        cmocka_unit_test(a_slow_server_is_left_in_time),
        cmocka_unit_test(broken_answers_are_errors_that_can_pass),
        cmocka_unit_test(nobody_there_is_an_error_that_can_pass),
        cmocka_unit_test(redirects_end_somewhere),
        cmocka_unit_test(other_protocols_are_refused),
        cmocka_unit_test(passwords_are_masked),
        cmocka_unit_test(a_stop_ends_the_wait),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
