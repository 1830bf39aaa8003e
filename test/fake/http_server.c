/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/http_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TEXT_MAX = 16384 };

struct request {
    char text[TEXT_MAX];
    size_t len, body_len;
};

struct http_server {
    const struct http_script *list;
    size_t n_list;
    struct http_script one;
    const struct http_script *(*choose)(void *arg, const char *request);
    void *arg;
    int fd, port;
    char url[64];
    pthread_t thread, *connection;
    int n_connections;
    bool running;
    atomic_bool stop;
    pthread_mutex_t lock; /* guards the rest, and choose */
    struct request **requests;
    int n_requests;
};

struct connection {
    struct http_server *s;
    int fd;
};

static bool readable(const struct http_server *s, int fd, int ms) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (int waited = 0; waited < ms && !atomic_load(&s->stop); waited += 10)
        if (poll(&p, 1, 10) > 0)
            return true;
    return false;
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

/* Chunked bodies are not asked for their end: what comes within a moment is the body. */
static size_t announced(const char *head) {
    const char *at = strcasestr(head, "\r\nContent-Length:");
    return at                                           ? strtoul(at + 17, NULL, 10)
           : strcasestr(head, "\r\nTransfer-Encoding:") ? SIZE_MAX
                                                        : 0;
}

static const struct http_script *script_for(struct http_server *s, struct request *q) {
    pthread_mutex_lock(&s->lock);
    int i = s->n_requests++;
    s->requests = xrealloc(s->requests, (size_t)s->n_requests * sizeof(struct request *));
    s->requests[i] = q;
    const struct http_script *how =
        s->choose ? s->choose(s->arg, q->text) : &s->list[MIN((size_t)i, s->n_list - 1)];
    pthread_mutex_unlock(&s->lock);
    return how;
}

/* false: nobody spoke. */
static bool read_head(const struct http_server *s, int fd, struct request *q) {
    while (q->len < TEXT_MAX - 1 && readable(s, fd, 30000)) {
        ssize_t got = recv(fd, q->text + q->len, TEXT_MAX - 1 - q->len, 0);
        if (got <= 0)
            break;
        q->len += (size_t)got;
        const char *end = strstr(q->text, "\r\n\r\n");
        if (end) {
            q->body_len = q->len - (size_t)(end + 4 - q->text);
            return true;
        }
    }
    return q->len > 0;
}

static void read_body(const struct http_server *s, int fd, struct request *q, size_t until) {
    char drop[65536];
    while (q->body_len < until && readable(s, fd, until == SIZE_MAX ? 50 : 5000)) {
        size_t room = TEXT_MAX - 1 - q->len;
        ssize_t got = recv(fd, room ? q->text + q->len : drop, room ? room : sizeof drop, 0);
        if (got <= 0)
            return;
        q->body_len += (size_t)got;
        q->len += room ? (size_t)got : 0;
    }
}

static void answer(const struct http_server *s, int fd, const struct http_script *how) {
    for (int ms = 0; ms < how->delay_ms && !atomic_load(&s->stop); ms += 10)
        usleep(10000);
    size_t len = how->len ? how->len : strlen(how->answer);
    bool ok = send_whole(fd, how->answer, len);
    for (int i = 0; i < how->repeat && ok && !atomic_load(&s->stop); i++)
        ok = send_whole(fd, how->answer + len - how->repeat_len, how->repeat_len);
}

/* false: the connection ends. */
static bool serve_one(struct http_server *s, int fd) {
    struct request *q = xcalloc(1, sizeof *q);
    if (!read_head(s, fd, q)) {
        free(q);
        return false;
    }
    const struct http_script *how = script_for(s, q);
    if (strcasestr(q->text, "\r\nExpect: 100-continue"))
        send_whole(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    read_body(s, fd, q, how->cut ? how->cut : announced(q->text));
    if (!how->cut)
        answer(s, fd, how);
    if (how->cut || how->reset) {
        struct linger now = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        return false;
    }
    if (!how->keep)
        shutdown(fd, SHUT_WR);
    return how->keep;
}

static void *serve(void *arg) {
    struct connection *c = arg;
    while (serve_one(c->s, c->fd))
        ;
    close(c->fd);
    free(c);
    return NULL;
}

static void *accept_all(void *arg) {
    struct http_server *s = arg;
    while (!atomic_load(&s->stop)) {
        if (!readable(s, s->fd, 10))
            continue;
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0)
            continue;
        struct connection *c = xcalloc(1, sizeof *c);
        *c = (struct connection){s, fd};
        s->connection =
            xrealloc(s->connection, (size_t)(s->n_connections + 1) * sizeof *s->connection);
        int r = pthread_create(&s->connection[s->n_connections++], NULL, serve, c);
        assert(r == 0);
    }
    for (int i = 0; i < s->n_connections; i++)
        pthread_join(s->connection[i], NULL);
    return NULL;
}

static struct http_server *start(struct http_server *s) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    pthread_mutex_init(&s->lock, NULL);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = bind(s->fd, (struct sockaddr *)&at, sizeof at);
    r |= listen(s->fd, 64);
    r |= getsockname(s->fd, (struct sockaddr *)&at, &len);
    s->port = ntohs(at.sin_port);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/products", s->port);
    s->running = true;
    r |= pthread_create(&s->thread, NULL, accept_all, s);
    assert(s->fd >= 0 && r == 0);
    return s;
}

struct http_server *http_server_start_list(const struct http_script *scripts, size_t n) {
    struct http_server *s = xcalloc(1, sizeof *s);
    s->list = scripts;
    s->n_list = n;
    return start(s);
}

struct http_server *http_server_start(const struct http_script *script) {
    struct http_server *s = xcalloc(1, sizeof *s);
    s->one = *script;
    s->list = &s->one;
    s->n_list = 1;
    return start(s);
}

struct http_server *
http_server_start_choice(const struct http_script *(*choose)(void *arg, const char *request),
                         void *arg) {
    struct http_server *s = xcalloc(1, sizeof *s);
    s->choose = choose;
    s->arg = arg;
    return start(s);
}

const char *http_server_url(const struct http_server *s) {
    return s->url;
}

int http_server_port(const struct http_server *s) {
    return s->port;
}

const char *http_server_request_at(const struct http_server *s, int i) {
    assert(!s->running && i < s->n_requests);
    return s->requests[i]->text;
}

const char *http_server_request(const struct http_server *s) {
    return http_server_request_at(s, s->n_requests - 1);
}

size_t http_server_request_body_len(const struct http_server *s, int i) {
    assert(!s->running && i < s->n_requests);
    return s->requests[i]->body_len;
}

int http_server_requests(const struct http_server *s) {
    assert(!s->running);
    return s->n_requests;
}

int http_server_connections(const struct http_server *s) {
    assert(!s->running);
    return s->n_connections;
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
    for (int i = 0; i < s->n_requests; i++)
        free(s->requests[i]);
    free(s->requests);
    free(s->connection);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
