/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server against clients that behave, and clients that do not: raw sockets on 127.0.0.1. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "fake/sanitized.h"
#include "serve/server.h"
#include <cmocka.h>

static void say_hello(void *arg, struct server_answer *a) {
    atomic_fetch_add((atomic_int *)arg, 1);
    buf_add_str(&a->body, "hello\n");
}

static void say_much(void *arg ATTR_UNUSED, struct server_answer *a) {
    for (int i = 0; i < 4 * MIB / 16; i++)
        buf_add_str(&a->body, "0123456789abcde\n");
}

static void say_too_much(void *arg ATTR_UNUSED, struct server_answer *a) {
    for (int i = 0; i < 10 * MIB / 16; i++)
        buf_add_str(&a->body, "0123456789abcde\n");
}

static void say_no(void *arg ATTR_UNUSED, struct server_answer *a) {
    a->status = 503;
    buf_add_str(&a->body, "stream: down\n");
}

static const struct server_route routes[] = {
    {"/hello", say_hello}, {"/much", say_much}, {"/toomuch", say_too_much}, {"/no", say_no}, {0}};
static atomic_int hellos;

static struct server *start(const char *listen) {
    struct server *sv;
    struct err e;
    if (server_start(listen, routes, &hellos, &sv, &e) < 0)
        fail_msg("%s", e.msg);
    return sv;
}

static int connect_to(const struct server *sv) {
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port =
                                 htons((uint16_t)atoi(strrchr(server_address(sv), ':') + 1))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void send_all(int fd, const char *p, size_t n) {
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server has closed: the test looks at the answer */
        p += sent;
        n -= (size_t)sent;
    }
}

static void send_str(int fd, const char *text) {
    send_all(fd, text, strlen(text));
}

/* What comes until the server closes, or nothing came for ms. */
static struct buf receive(int fd, int ms) {
    struct buf b = BUF_INIT(32 * MIB);
    char chunk[65536];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, ms) > 0) {
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n <= 0)
            break;
        buf_add(&b, chunk, (size_t)n);
    }
    return b;
}

/* Sends a request that asks to close; the whole answer. The caller frees. */
static char *ask(const struct server *sv, const char *request) {
    int fd = connect_to(sv);
    send_str(fd, request);
    struct buf b = receive(fd, 5000);
    close(fd);
    return buf_detach(&b);
}

static void assert_answer(const struct server *sv, const char *request, const char *starts,
                          const char *ends) {
    char *a = ask(sv, request);
    if (strncmp(a, starts, strlen(starts)) != 0)
        fail_msg("%.200s: %.300s", request, a);
    size_t n = strlen(a), m = strlen(ends);
    assert_true(n >= m);
    assert_string_equal(a + n - m, ends);
    free(a);
}

#define CLOSE "Host: x\r\nConnection: close\r\n\r\n"

static void the_paths_it_knows_are_answered(void **state ATTR_UNUSED) {
    struct server *sv = start("127.0.0.1:0");
    assert_answer(sv, "GET /hello HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", "\r\n\r\nhello\n");
    assert_answer(sv, "GET /hello HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\nhello\n");
    assert_answer(sv, "GET /hello?x=%00&y HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 ", "hello\n");
    assert_answer(sv, "GET /no HTTP/1.1\r\n" CLOSE, "HTTP/1.1 503 ", "stream: down\n");
    assert_answer(sv, "GET /toomuch HTTP/1.1\r\n" CLOSE, "HTTP/1.1 500 ", "too large\n");
    static const char *const unknown[] = {"/",       "/hello/", "/Hello",        "/hell", "//hello",
                                          "/hello2", "*",       "/%2e%2e/hello", "/..",   "/\xff"};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        char *request = xasprintf("GET %s HTTP/1.1\r\n" CLOSE, unknown[i]);
        assert_answer(sv, request, "HTTP/1.1 404 ", "no such page\n");
        free(request);
    }
    server_free(sv);
}

static void head_is_get_without_the_body(void **state ATTR_UNUSED) {
    struct server *sv = start("127.0.0.1:0");
    char *a = ask(sv, "HEAD /hello HTTP/1.1\r\n" CLOSE);
    assert_non_null(strstr(a, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(a, "Content-Length: 6\r\n"));
    assert_string_equal(a + strlen(a) - 4, "\r\n\r\n");
    free(a);
    assert_answer(sv, "HEAD /nothing HTTP/1.1\r\n" CLOSE, "HTTP/1.1 404 ", "\r\n\r\n");
    server_free(sv);
}

static void other_methods_are_refused_with_the_list(void **state ATTR_UNUSED) {
    struct server *sv = start("127.0.0.1:0");
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "X", "get"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        char *request = xasprintf("%s /hello HTTP/1.1\r\n" CLOSE, methods[i]);
        char *a = ask(sv, request);
        assert_memory_equal(a, "HTTP/1.1 405 ", 13);
        assert_non_null(strstr(a, "Allow: GET, HEAD\r\n"));
        free(a);
        free(request);
    }
    server_free(sv);
}

static void bodies_are_not_read(void **state ATTR_UNUSED) {
    struct server *sv = start("127.0.0.1:0");
    assert_answer(sv, "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nabc",
                  "HTTP/1.1 405 ", "only GET and HEAD\n");
    assert_answer(sv, "GET /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                  "HTTP/1.1 200 ", "hello\n");
    /* What follows an announced body is not taken for a second request. */
    int before = atomic_load(&hellos);
    free(ask(sv, "GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
                 "GET /hello HTTP/1.1\r\n" CLOSE));
    assert_int_equal(atomic_load(&hellos), before + 1);
    server_free(sv);
}

/* Returns when the server still answers. */
static void assert_answers(struct server *sv) {
    assert_answer(sv, "GET /hello HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", "hello\n");
}

static void hostile_bytes_do_no_harm(void **state ATTR_UNUSED) {
    struct server *sv = start("127.0.0.1:0");
    char *huge = xmalloc(256 * 1024);
    memset(huge, 'a', 256 * 1024 - 1);
    huge[256 * 1024 - 1] = '\0';
    char *url = xasprintf("GET /%s HTTP/1.1\r\n" CLOSE, huge),
         *header = xasprintf("GET /hello HTTP/1.1\r\nX: %s\r\n" CLOSE, huge);
    char *a = ask(sv, url);
    assert_true(!*a || strncmp(a, "HTTP/1.1 414 ", 13) == 0 || strncmp(a, "HTTP/1.1 4", 10) == 0);
    free(a);
    a = ask(sv, header);
    assert_true(!*a || strncmp(a, "HTTP/1.1 431 ", 13) == 0 || strncmp(a, "HTTP/1.1 4", 10) == 0);
    free(a);
    struct buf many = BUF_INIT(1 << 20);
    buf_add_str(&many, "GET /hello HTTP/1.1\r\n");
    for (int i = 0; i < 3000; i++)
        buf_addf(&many, "H%d: v\r\n", i);
    buf_add_str(&many, CLOSE);
    a = ask(sv, buf_str(&many));
    assert_true(!*a || strncmp(a, "HTTP/1.1 4", 10) == 0);
    free(a);
    buf_release(&many);
    static const char *const rubbish[] = {"\r\n\r\n\r\n",
                                          "GET\r\n\r\n",
                                          "GET  \r\n\r\n",
                                          "\x16\x03\x01\x02\x01\x01\xfc\x03\x03",
                                          "GET /hello HTTP/9.9\r\n\r\n",
                                          "GET /hello HTTP/1.1\r\n: x\r\n\r\n",
                                          "GET http://[::1/hello HTTP/1.1\r\n" CLOSE,
                                          "GET /%zz%%% HTTP/1.1\r\n" CLOSE,
                                          "GET /hello HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                                          "GET /hello HTTP/1.1\r\nContent-Length: 1x\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(rubbish); i++) {
        int fd = connect_to(sv);
        send_str(fd, rubbish[i]);
        shutdown(fd, SHUT_WR);
        struct buf b = receive(fd, 300);
        buf_release(&b);
        close(fd);
        assert_answers(sv);
    }
    uint64_t seed = 88172645463325252ULL;
    for (int i = 0; i < 300; i++) { /* noise */
        char noise[200];
        for (size_t k = 0; k < sizeof noise; k++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            noise[k] = i % 2 ? (char)seed : "GET /HTP1.\r\n: \t%?"[seed % 18];
        }
        int fd = connect_to(sv);
        send_all(fd, noise, sizeof noise);
        close(fd);
    }
    assert_answers(sv);
    free(huge);
    free(url);
    free(header);
    server_free(sv);
}

static void one_connection_takes_many_requests(void **state ATTR_UNUSED) {
    struct server *sv = start("127.0.0.1:0");
    int fd = connect_to(sv);
    int before = atomic_load(&hellos);
    for (int i = 0; i < 1000; i++) {
        send_str(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
        char answer[1024] = "";
        size_t n = 0;
        while (!strstr(answer, "\r\n\r\nhello\n")) {
            ssize_t got = recv(fd, answer + n, sizeof answer - 1 - n, 0);
            assert_true(got > 0);
            n += (size_t)got;
            answer[n] = '\0';
        }
    }
    assert_int_equal(atomic_load(&hellos), before + 1000);
    close(fd);
    server_free(sv);
}

static void *ask_often(void *arg) {
    for (int i = 0; i < 2500; i++)
        assert_answers(arg);
    return NULL;
}

static long resident_pages(void) {
    FILE *f = fopen("/proc/self/statm", "re");
    long size = 0, resident = 0;
    assert_int_equal(fscanf(f, "%ld %ld", &size, &resident), 2);
    fclose(f);
    return resident;
}

static void ten_thousand_requests_leave_nothing_behind(void **state ATTR_UNUSED) {
    struct server *sv = start("127.0.0.1:0");
    int before = atomic_load(&hellos);
    assert_answers(sv);
    long pages = resident_pages();
    pthread_t t[4];
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        pthread_create(&t[i], NULL, ask_often, sv);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&hellos), before + 10001);
    assert_true(SANITIZED || resident_pages() < pages + 2048);
    server_free(sv);
}

/* Half requests, and readers that do not read, fill every place; who comes then waits, but not for ever. */
static void those_who_hold_places_lose_them(void **state ATTR_UNUSED) {
    struct server *sv = start("127.0.0.1:0");
    int held[SERVER_CONNECTIONS];
    for (size_t i = 0; i < ARRAY_LEN(held); i++) {
        held[i] = connect_to(sv);
        send_str(held[i], i % 4 == 0   ? ""
                          : i % 4 == 1 ? "GET /hel"
                          : i % 4 == 2 ? "GET /hello HTTP/1.1\r\nHost: x\r\n"
                                       : "GET /much HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    int64_t start_ns = clock_mono_ns(), until = start_ns + 60000000000LL;
    int fd = connect_to(sv);
    send_str(fd, "GET /hello HTTP/1.1\r\n" CLOSE);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    /* They drip: a byte a second resets the library's timeout of idleness. */
    while (poll(&p, 1, 1000) == 0 && clock_mono_ns() < until)
        for (size_t i = 0; i < ARRAY_LEN(held); i++)
            if (send(held[i], "x", i % 4 == 3 ? 0 : 1, MSG_NOSIGNAL) < 0) {
                /* this one is cut already */
            }
    struct buf b = receive(fd, 1000);
    assert_non_null(strstr(buf_str(&b), "hello\n"));
    buf_release(&b);
    double took = (double)(clock_mono_ns() - start_ns) / 1e9;
    assert_true(took < SERVER_DEADLINE_S + 5);
    close(fd);
    for (size_t i = 0; i < ARRAY_LEN(held); i++)
        close(held[i]);
    server_free(sv);
}

static void a_slow_reader_delays_nobody(void **state ATTR_UNUSED) {
    struct server *sv = start("127.0.0.1:0");
    int slow = connect_to(sv);
    send_str(slow, "GET /much HTTP/1.1\r\n" CLOSE);
    for (int i = 0; i < 50; i++)
        assert_answers(sv);
    struct buf b = receive(slow, 5000);
    assert_true(b.len > 4 * MIB);
    buf_release(&b);
    close(slow);
    server_free(sv);
}

static void more_clients_than_places_are_all_served(void **state ATTR_UNUSED) {
    struct server *sv = start("127.0.0.1:0");
    int fd[100];
    for (size_t i = 0; i < ARRAY_LEN(fd); i++)
        fd[i] = connect_to(sv);
    for (size_t i = 0; i < ARRAY_LEN(fd); i++)
        send_str(fd[i], "GET /hello HTTP/1.1\r\n" CLOSE);
    for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
        struct buf b = receive(fd[i], 10000);
        assert_non_null(strstr(buf_str(&b), "hello\n"));
        buf_release(&b);
        close(fd[i]);
    }
    server_free(sv);
}

static void a_taken_port_is_no_error(void **state ATTR_UNUSED) {
    struct server *a = start("127.0.0.1:0");
    assert_false(server_moved(a));
    struct server *b = start(server_address(a)), *c = start(server_address(a));
    assert_true(server_moved(b) && server_moved(c));
    assert_string_not_equal(server_address(b), server_address(a));
    assert_string_not_equal(server_address(b), server_address(c));
    assert_answers(a);
    assert_answers(b);
    assert_answers(c);
    char *address = xstrdup(server_address(a));
    server_free(a);
    a = start(address); /* right after: connections in TIME_WAIT do not hold it */
    assert_string_equal(server_address(a), address);
    free(address);
    server_free(a);
    server_free(b);
    server_free(c);
}

static void addresses_that_are_none_are_config_errors(void **state ATTR_UNUSED) {
    static const char *const bad[] = {"",
                                      "9464",
                                      ":9464",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:x",
                                      "127.0.0.1:70000",
                                      "::1:80",
                                      "[::1]",
                                      "a.example:80",
                                      "192.0.2.77:9464",
                                      "1.2.3:4:5",
                                      "127.0.0.1:-1",
                                      "[127.0.0.1]:80"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct server *sv;
        struct err e = {0};
        assert_int_equal(server_start(bad[i], routes, &hellos, &sv, &e), ERR_CONFIG);
        assert_true(strstr(e.msg, "serve.listen") && e.hint[0]);
    }
}

static void ending_waits_for_nobody(void **state ATTR_UNUSED) {
    struct server *sv = start("127.0.0.1:0");
    int fd[10];
    for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
        fd[i] = connect_to(sv);
        send_str(fd[i], i % 2 ? "GET /hel" : "GET /much HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    usleep(50000);
    int64_t start_ns = clock_mono_ns();
    server_free(sv);
    assert_true(clock_mono_ns() - start_ns < 2000000000LL);
    for (size_t i = 0; i < ARRAY_LEN(fd); i++)
        close(fd[i]);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_paths_it_knows_are_answered),
        cmocka_unit_test(head_is_get_without_the_body),
        cmocka_unit_test(other_methods_are_refused_with_the_list),
        cmocka_unit_test(bodies_are_not_read),
        cmocka_unit_test(hostile_bytes_do_no_harm),
        cmocka_unit_test(one_connection_takes_many_requests),
        cmocka_unit_test(ten_thousand_requests_leave_nothing_behind),
        cmocka_unit_test(those_who_hold_places_lose_them),
        cmocka_unit_test(a_slow_reader_delays_nobody),
        cmocka_unit_test(more_clients_than_places_are_all_served),
        cmocka_unit_test(a_taken_port_is_no_error),
        cmocka_unit_test(addresses_that_are_none_are_config_errors),
        cmocka_unit_test(ending_waits_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
