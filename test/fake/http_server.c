/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/http_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_server {
    struct http_script script;
    int fd;
    char url[64];
    pthread_t thread;
    bool running;
    atomic_bool stop;
    char request[16384];
    int requests;
};

static bool readable(int fd, int ms) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) > 0;
}

/* Headers, and what comes of the body within the moment after. */
static void read_request(struct http_server *s, int fd) {
    size_t n = 0;
    while (n < sizeof s->request - 1 &&
           readable(fd, n && strstr(s->request, "\r\n\r\n") ? 20 : 2000)) {
        ssize_t got = recv(fd, s->request + n, sizeof s->request - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        s->request[n] = '\0';
    }
    s->requests += n > 0;
}

static bool send_whole(int fd, const char *p, size_t n) {
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static void answer(struct http_server *s, int fd) {
    const struct http_script *how = &s->script;
    for (int ms = 0; ms < how->delay_ms && !atomic_load(&s->stop); ms += 10)
        usleep(10000);
    bool ok = send_whole(fd, how->answer, how->len);
    for (int i = 0; i < how->repeat && ok && !atomic_load(&s->stop); i++)
        ok = send_whole(fd, how->answer + how->len - how->repeat_len, how->repeat_len);
}

static void *serve(void *arg) {
    struct http_server *s = arg;
    while (!atomic_load(&s->stop)) {
        if (!readable(s->fd, 10))
            continue;
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0)
            continue;
        read_request(s, fd);
        answer(s, fd);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    return NULL;
}

struct http_server *http_server_start(const struct http_script *script) {
    struct http_server *s = xcalloc(1, sizeof *s);
    s->script = *script;
    if (s->script.len == 0)
        s->script.len = strlen(script->answer);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = bind(s->fd, (struct sockaddr *)&at, sizeof at);
    r |= listen(s->fd, 8);
    r |= getsockname(s->fd, (struct sockaddr *)&at, &len);
    r |= pthread_create(&s->thread, NULL, serve, s);
    assert(s->fd >= 0 && r == 0);
    s->running = true;
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/products", ntohs(at.sin_port));
    return s;
}

const char *http_server_url(const struct http_server *s) {
    return s->url;
}

const char *http_server_request(const struct http_server *s) {
    assert(!s->running);
    return s->request;
}

int http_server_requests(const struct http_server *s) {
    assert(!s->running);
    return s->requests;
}

void http_server_stop(struct http_server *s) {
    if (!s->running)
        return;
    atomic_store(&s->stop, true);
    pthread_join(s->thread, NULL);
    close(s->fd);
    s->running = false;
}

void http_server_free(struct http_server *s) {
    http_server_stop(s);
    free(s);
}
