/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client against servers that behave, and servers that do not. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/util.h"
#include "fake/http_server.h"
#include "net/http.h"
#include <cmocka.h>

static struct http_request request_to(const char *url) {
    return (struct http_request){.url = url, .timeout_ms = 5000, .max_body = 1000};
}

static struct http_client *client_new(void) {
    return http_client_new(
        &(struct http_options){.error_code = ERR_STREAM, .connect_timeout_ms = 2000});
}

/* One fetch by a client of its own. */
static int fetch(const struct http_request *q, struct http_answer *ret, struct err *e) {
    _cleanup_(http_client_freep) struct http_client *h = client_new();
    return http_fetch(h, q, ret, e);
}

/* One fetch from a server with this script. */
static int fetch_from(const struct http_script *script, struct http_request q,
                      struct http_answer *ret, struct err *e, char *ret_request) {
    struct http_server *s = http_server_start(script);
    q.url = http_server_url(s);
    int r = fetch(&q, ret, e);
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
    assert_string_equal(http_header(&a, "content-type"), "application/json");
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
        assert_null(http_header(&a, "Content-Type"));
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
    struct http_script script = {.answer = "HTTP/1.1 200 OK\r\n\r\nlate", .delay_ms = 60000};
    struct http_request q = request_to(NULL);
    q.timeout_ms = 200;
    struct http_answer a;
    struct err e;
    assert_int_equal(fetch_from(&script, q, &a, &e, NULL), ERR_STREAM); /* else: the late answer */
    assert_true(e.retry);
    assert_non_null(strstr(e.msg, "timed out"));
}

static void broken_answers_are_errors_that_can_pass(void **state ATTR_UNUSED) {
    static const struct http_script scripts[] = {
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"},
        {.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nshort"},
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", .reset = true},
        {.answer = "HTTP/1.1 200 OK\r\nContent-Le"},
        {.answer = "", .reset = true},
        {.answer = ""}};
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        struct http_answer a;
        struct err e;
        assert_int_equal(fetch_from(&scripts[i], request_to(NULL), &a, &e, NULL), ERR_STREAM);
        assert_true(e.retry && e.unsure);
        assert_non_null(strstr(e.msg, "http://127.0.0.1:"));
    }
}

static void nobody_there_is_an_error_that_can_pass(void **state ATTR_UNUSED) {
    struct http_request q = request_to("http://127.0.0.1:1/x");
    struct http_answer a;
    struct err e;
    assert_int_equal(fetch(&q, &a, &e), ERR_STREAM);
    assert_true(e.retry);
    assert_false(e.unsure);
    struct http_options o = {.error_code = ERR_STORAGE};
    _cleanup_(http_client_freep) struct http_client *h = http_client_new(&o);
    assert_int_equal(http_fetch(h, &q, &a, &e), ERR_STORAGE);
}

static void redirects_end_somewhere(void **state ATTR_UNUSED) {
    struct http_script script = {
        .answer = "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"};
    struct http_server *s = http_server_start(&script);
    struct http_request q = request_to(http_server_url(s));
    q.max_redirects = 3;
    struct http_answer a;
    struct err e;
    assert_int_equal(fetch(&q, &a, &e), ERR_STREAM);
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
        assert_int_equal(fetch(&q, &a, &e), ERR_STREAM);
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
    assert_int_equal(fetch(&q, &a, &e), ERR_STREAM);
    assert_null(strstr(e.msg, "secret"));
}

static void a_stop_ends_the_wait(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 200 OK\r\n\r\nlate", .delay_ms = 60000};
    struct http_answer a;
    struct err e;
    stop_request();
    int r = fetch_from(&script, request_to(NULL), &a, &e, NULL);
    stop_reset();
    assert_int_equal(r, ERR_STOPPED);
}

static void headers_are_those_of_the_last_answer(void **state ATTR_UNUSED) {
    struct http_script script = {
        .answer = "HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n"
                  "HTTP/1.1 307 Temporary Redirect\r\nLOCATION:   http://other/\303\274 \t\r\n"
                  "ETag: \"a\"\r\nETag: \"b\"\r\nEmpty:\r\nContent-Length: 0\r\n\r\n"};
    struct http_answer a;
    struct err e;
    assert_int_equal(fetch_from(&script, request_to(NULL), &a, &e, NULL), 0);
    assert_int_equal(a.status, 307);
    assert_string_equal(http_header(&a, "Location"), "http://other/\303\274");
    assert_string_equal(http_header(&a, "etag"), "\"a\"");
    assert_string_equal(http_header(&a, "Empty"), "");
    assert_null(http_header(&a, "X-Early"));
    assert_null(http_header(&a, "Loc"));
    assert_null(http_header(&a, "HTTP/1.1 307 Temporary Redirect"));
    http_answer_release(&a);
}

static void headers_without_end_are_cut_off(void **state ATTR_UNUSED) {
    struct http_script scripts[] = {{.answer = "HTTP/1.1 200 OK\r\nX-More: 0123456789\r\n",
                                     .repeat = 1000000000,
                                     .repeat_len = 20},
                                    {.answer = "HTTP/1.1 200 OK\r\nX-Long: 0123456789",
                                     .repeat = 1000000000,
                                     .repeat_len = 10}};
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        struct http_answer a;
        struct err e;
        assert_int_equal(fetch_from(&scripts[i], request_to(NULL), &a, &e, NULL), ERR_STREAM);
        assert_false(e.retry);
    }
}

static void a_head_has_no_body(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"};
    struct http_request q = request_to(NULL);
    struct http_answer a;
    struct err e;
    char request[4096];
    q.method = "HEAD";
    assert_int_equal(fetch_from(&script, q, &a, &e, request), 0);
    assert_memory_equal(request, "HEAD ", 5);
    assert_string_equal(http_header(&a, "Content-Length"), "12345");
    assert_int_equal(a.body.len, 0);
    http_answer_release(&a);
}

static void puts_and_posts_have_a_length(void **state ATTR_UNUSED) {
    static const char *const methods[] = {"PUT", "POST", "DELETE"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct http_script script = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
        struct http_request q = request_to(NULL);
        struct http_answer a;
        struct err e;
        char request[4096];
        q.method = methods[i];
        assert_int_equal(fetch_from(&script, q, &a, &e, request), 0);
        assert_memory_equal(request, methods[i], strlen(methods[i]));
        assert_true(!!strstr(request, "Content-Length: 0\r\n") == (i < 2));
        assert_null(strstr(request, "Content-Type"));
        assert_null(strstr(request, "Expect"));
        http_answer_release(&a);
    }
}

/* A file without a name, of so many bytes. */
static int file_of(size_t len) {
    int fd = memfd_create("part", MFD_CLOEXEC);
    _cleanup_(freep) char *data = xmalloc(len);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)('a' + i % 26);
    assert_int_equal(pwrite(fd, data, len, 0), len);
    return fd;
}

static void a_part_of_a_file_is_sent(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"};
    struct http_file parts[] = {{.offset = 1, .len = 5}, {.offset = 27, .len = 3 * MIB}};
    int fd = file_of(3 * MIB + 100);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        parts[i].fd = fd;
        struct http_server *s = http_server_start(&script);
        struct http_request q = request_to(http_server_url(s));
        q.method = "PUT";
        q.upload = &parts[i];
        struct http_answer a;
        struct err e;
        assert_int_equal(fetch(&q, &a, &e), 0);
        http_answer_release(&a);
        http_server_stop(s);
        assert_int_equal(http_server_request_body_len(s, 0), parts[i].len);
        assert_non_null(strstr(http_server_request(s), "\r\n\r\nbcdef"));
        http_server_free(s);
    }
    close(fd);
}

static void a_file_that_shrinks_is_an_error(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"};
    struct http_file part = {.fd = file_of(100), .len = 101};
    struct http_request q = request_to(NULL);
    q.method = "PUT";
    q.upload = &part;
    struct http_answer a;
    struct err e;
    assert_int_equal(fetch_from(&script, q, &a, &e, NULL), ERR_STREAM);
    assert_non_null(strstr(e.msg, "cannot read what it is to be sent"));
    assert_false(e.retry);
    close(part.fd);
}

static void an_answer_goes_to_a_file(void **state ATTR_UNUSED) {
    struct http_script script = {.answer =
                                     "HTTP/1.1 206 Partial\r\nContent-Length: 5\r\n\r\nhello"};
    struct http_file file = {.fd = file_of(10), .offset = 2, .len = 5};
    struct http_request q = request_to(NULL);
    q.download = &file;
    struct http_answer a;
    struct err e;
    assert_int_equal(fetch_from(&script, q, &a, &e, NULL), 0);
    assert_int_equal(a.downloaded, 5);
    assert_int_equal(a.body.len, 0);
    char got[11] = "";
    assert_int_equal(pread(file.fd, got, 10, 0), 10);
    assert_string_equal(got, "abhellohij");
    http_answer_release(&a);
    close(file.fd);
}

static void what_is_no_success_does_not_go_to_the_file(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 404 No\r\nContent-Length: 7\r\n\r\nnothing"};
    struct http_file file = {.fd = file_of(1), .len = 100};
    struct http_request q = request_to(NULL);
    q.download = &file;
    struct http_answer a;
    struct err e;
    assert_int_equal(fetch_from(&script, q, &a, &e, NULL), 0);
    assert_int_equal(a.status, 404);
    assert_string_equal(buf_str(&a.body), "nothing");
    assert_int_equal(a.downloaded, 0);
    assert_int_equal(lseek(file.fd, 0, SEEK_END), 1);
    http_answer_release(&a);
    close(file.fd);
}

static void a_file_takes_what_was_said_and_no_more(void **state ATTR_UNUSED) {
    struct http_script script = {
        .answer = "HTTP/1.1 200 OK\r\n\r\n0123456789", .repeat = 1000000000, .repeat_len = 10};
    struct http_file file = {.fd = file_of(1), .len = 4096};
    struct http_request q = request_to(NULL);
    q.download = &file;
    struct http_answer a;
    struct err e;
    assert_int_equal(fetch_from(&script, q, &a, &e, NULL), ERR_STREAM);
    assert_non_null(strstr(e.msg, "more than 4096 bytes"));
    assert_true(lseek(file.fd, 0, SEEK_END) <= 4096);
    close(file.fd);
    file.len = INT64_MAX;
    file.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(fetch_from(&script, q, &a, &e, NULL), ERR_STREAM);
    assert_non_null(strstr(e.msg, "No space left"));
    close(file.fd);
}

static void connections_are_used_again(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                                 .keep = true};
    struct http_server *s = http_server_start(&script);
    struct http_client *h = client_new();
    struct http_request q = request_to(http_server_url(s));
    for (int i = 0; i < 7; i++) {
        struct http_answer a;
        struct err e;
        q.once = i >= 5;
        assert_int_equal(http_fetch(h, &q, &a, &e), 0);
        http_answer_release(&a);
    }
    http_client_free(h);
    http_server_stop(s);
    assert_int_equal(http_server_requests(s), 7);
    assert_int_equal(http_server_connections(s), 3); /* what is sent once has a new one */
    http_server_free(s);
}

/* The server takes the request over the open connection and dies: was it done or not? */
static void what_is_sent_once_is_not_repeated(void **state ATTR_UNUSED) {
    static const struct http_script scripts[] = {
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", .keep = true},
        {.answer = "", .reset = true},
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}};
    for (int once = 0; once < 2; once++) {
        struct http_server *s = http_server_start_list(scripts, ARRAY_LEN(scripts));
        struct http_client *h = client_new();
        struct http_request q = request_to(http_server_url(s));
        struct http_answer a;
        struct err e;
        assert_int_equal(http_fetch(h, &q, &a, &e), 0);
        http_answer_release(&a);
        q.method = "PUT";
        q.once = once;
        int r = http_fetch(h, &q, &a, &e);
        assert_int_equal(r, once ? ERR_STREAM : 0);
        if (r == 0)
            http_answer_release(&a);
        else
            assert_true(e.retry && e.unsure);
        http_client_free(h);
        http_server_stop(s);
        assert_int_equal(http_server_requests(s), once ? 2 : 3);
        http_server_free(s);
    }
}

struct fetches {
    struct http_client *h;
    const char *url;
    atomic_int good;
};

static void *fetch_many(void *arg) {
    struct fetches *f = arg;
    struct http_request q = request_to(f->url);
    for (int i = 0; i < 25; i++) {
        struct http_answer a;
        struct err e;
        if (http_fetch(f->h, &q, &a, &e) == 0) {
            f->good += strcmp(buf_str(&a.body), "ok") == 0;
            http_answer_release(&a);
        }
    }
    return NULL;
}

static void threads_share_a_client(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                                 .keep = true};
    struct http_server *s = http_server_start(&script);
    struct fetches f = {.h = client_new(), .url = http_server_url(s)};
    pthread_t threads[20];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fetch_many, &f), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    http_client_free(f.h);
    http_server_stop(s);
    assert_int_equal(f.good, 500);
    assert_true(http_server_connections(s) < 100);
    http_server_free(s);
}

static void a_stall_is_left_however_long_the_transfer(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 200 OK\r\n\r\nlate", .delay_ms = 60000};
    struct http_request q = request_to(NULL);
    q.timeout_ms = 0;
    q.stall_ms = 1000;
    struct http_answer a;
    struct err e;
    assert_int_equal(fetch_from(&script, q, &a, &e, NULL), ERR_STREAM); /* else: the late answer */
    assert_true(e.retry && e.unsure);
    assert_non_null(strstr(e.msg, "too slow"));
}

static void an_upload_cut_off_can_pass(void **state ATTR_UNUSED) {
    struct http_script script = {.cut = 100000};
    struct http_file part = {.fd = file_of(8 * MIB), .len = 8 * MIB};
    struct http_request q = request_to(NULL);
    q.method = "PUT";
    q.upload = &part;
    struct http_answer a;
    struct err e;
    assert_int_equal(fetch_from(&script, q, &a, &e, NULL), ERR_STREAM);
    assert_true(e.retry && e.unsure);
    close(part.fd);
}

/* As a server does that knows from the head alone. */
static void a_refusal_before_the_body_is_read_is_an_answer(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"};
    struct http_file part = {.fd = file_of(100), .len = 100};
    struct http_request q = request_to(NULL);
    q.method = "PUT";
    q.upload = &part;
    struct http_answer a;
    struct err e;
    assert_int_equal(fetch_from(&script, q, &a, &e, NULL), 0);
    assert_int_equal(a.status, 403);
    http_answer_release(&a);
    close(part.fd);
}

static void who_signs_is_checked(void **state ATTR_UNUSED) {
    struct http_options o = {.error_code = ERR_STREAM, .ca_file = "/nothing.pem"};
    _cleanup_(http_client_freep) struct http_client *h = http_client_new(&o);
    struct http_script script = {.answer = ""};
    struct http_server *s = http_server_start(&script);
    _cleanup_(freep) char *url = xasprintf("https://127.0.0.1:%d/", http_server_port(s));
    struct http_request q = request_to(url);
    struct http_answer a;
    struct err e;
    assert_int_equal(http_fetch(h, &q, &a, &e), ERR_STREAM);
    assert_non_null(strstr(e.msg, "/nothing.pem"));
    assert_false(e.retry);
    http_server_free(s);
}

static void a_stop_leaves_a_grace(void **state ATTR_UNUSED) {
    struct http_script script = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate",
                                 .delay_ms = 300};
    for (int i = 0; i < 2; i++) {
        struct http_options o = {.error_code = ERR_STREAM, .stop_grace_ms = 4000};
        _cleanup_(http_client_freep) struct http_client *h = http_client_new(&o);
        script.delay_ms = i ? 20000 : 300;
        struct http_server *s = http_server_start(&script);
        struct http_request q = request_to(http_server_url(s));
        q.timeout_ms = 15000;
        struct http_answer a;
        struct err e;
        stop_request();
        int r = http_fetch(h, &q, &a, &e);
        stop_reset();
        assert_int_equal(r, i ? ERR_STOPPED : 0);
        if (r == 0)
            http_answer_release(&a);
        http_server_free(s);
    }
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
        cmocka_unit_test(headers_are_those_of_the_last_answer),
        cmocka_unit_test(headers_without_end_are_cut_off),
        cmocka_unit_test(a_head_has_no_body),
        cmocka_unit_test(puts_and_posts_have_a_length),
        cmocka_unit_test(a_part_of_a_file_is_sent),
        cmocka_unit_test(a_file_that_shrinks_is_an_error),
        cmocka_unit_test(an_answer_goes_to_a_file),
        cmocka_unit_test(what_is_no_success_does_not_go_to_the_file),
        cmocka_unit_test(a_file_takes_what_was_said_and_no_more),
        cmocka_unit_test(connections_are_used_again),
        cmocka_unit_test(what_is_sent_once_is_not_repeated),
        cmocka_unit_test(threads_share_a_client),
        cmocka_unit_test(a_stall_is_left_however_long_the_transfer),
        cmocka_unit_test(an_upload_cut_off_can_pass),
        cmocka_unit_test(a_refusal_before_the_body_is_read_is_an_answer),
        cmocka_unit_test(who_signs_is_checked),
        cmocka_unit_test(a_stop_leaves_a_grace),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
