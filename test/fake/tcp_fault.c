/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/tcp_fault.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { CONNECTIONS = 1000, CHUNK = 65536 };

struct tcp_fault {
    int fd, port, to_port;
    pthread_t thread, connection[CONNECTIONS];
    int n_connections;
    atomic_bool stop;
    pthread_mutex_t lock; /* guards the rest */
    enum tcp_effect effect;
    int at, requests;
};

struct link {
    struct tcp_fault *f;
    int client, server;
};

static struct sockaddr_in local(int port) {
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void break_off(int fd) {
    struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static bool pass_on(int fd, const char *p, ssize_t n) {
    while (n > 0) {
        ssize_t sent = send(fd, p, (size_t)n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        p += sent;
        n -= sent;
    }
    return true;
}

/* What is to become of the request that begins now. */
static enum tcp_effect begin_request(struct tcp_fault *f) {
    pthread_mutex_lock(&f->lock);
    enum tcp_effect effect = ++f->requests == f->at ? f->effect : TCP_NONE;
    pthread_mutex_unlock(&f->lock);
    return effect;
}

/* From the client: a request begins where the server spoke last. false: the link ends. */
static bool forward(struct link *l, const char *chunk, ssize_t n, bool *asking,
                    enum tcp_effect *effect) {
    if (!*asking)
        *effect = begin_request(l->f);
    *asking = true;
    return *effect != TCP_RESET && pass_on(l->server, chunk, n);
}

static bool answer(struct link *l, const char *chunk, ssize_t n, bool *asking,
                   enum tcp_effect effect) {
    *asking = false;
    if (effect == TCP_CUT_ANSWER)
        pass_on(l->client, chunk, n / 2);
    return effect == TCP_NONE && pass_on(l->client, chunk, n);
}

static void *serve_link(void *arg) {
    struct link *l = arg;
    char *chunk = xmalloc(CHUNK);
    bool asking = false, goes_on = true;
    enum tcp_effect effect = TCP_NONE;
    while (goes_on && !atomic_load(&l->f->stop)) {
        struct pollfd p[] = {{.fd = l->client, .events = POLLIN},
                             {.fd = l->server, .events = POLLIN}};
        if (poll(p, 2, 20) <= 0)
            continue;
        int i = p[1].revents ? 1 : 0;
        ssize_t n = recv(p[i].fd, chunk, CHUNK, 0);
        goes_on = n > 0 && (i == 0 ? forward(l, chunk, n, &asking, &effect)
                                   : answer(l, chunk, n, &asking, effect));
    }
    if (effect != TCP_NONE)
        break_off(l->client);
    close(l->client);
    close(l->server);
    free(chunk);
    free(l);
    return NULL;
}

static void *listen_on(void *arg) {
    struct tcp_fault *f = arg;
    while (!atomic_load(&f->stop)) {
        struct pollfd p = {.fd = f->fd, .events = POLLIN};
        if (poll(&p, 1, 20) <= 0)
            continue;
        struct link *l = xcalloc(1, sizeof *l);
        struct sockaddr_in to = local(f->to_port);
        *l = (struct link){.f = f, .client = accept(f->fd, NULL, NULL)};
        l->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int r = connect(l->server, (struct sockaddr *)&to, sizeof to);
        assert(r == 0 && f->n_connections < CONNECTIONS);
        r = pthread_create(&f->connection[f->n_connections++], NULL, serve_link, l);
        assert(r == 0);
    }
    return NULL;
}

struct tcp_fault *tcp_fault_new(int to_port) {
    struct tcp_fault *f = xcalloc(1, sizeof *f);
    struct sockaddr_in at = local(0);
    socklen_t len = sizeof at;
    f->to_port = to_port;
    pthread_mutex_init(&f->lock, NULL);
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = bind(f->fd, (struct sockaddr *)&at, sizeof at);
    r |= listen(f->fd, 64);
    r |= getsockname(f->fd, (struct sockaddr *)&at, &len);
    r |= pthread_create(&f->thread, NULL, listen_on, f);
    assert(f->fd >= 0 && r == 0);
    f->port = ntohs(at.sin_port);
    return f;
}

int tcp_fault_port(const struct tcp_fault *f) {
    return f->port;
}

void tcp_fault_arm(struct tcp_fault *f, enum tcp_effect effect, int at) {
    pthread_mutex_lock(&f->lock);
    f->effect = effect;
    f->at = at;
    f->requests = 0;
    pthread_mutex_unlock(&f->lock);
}

int tcp_fault_requests(struct tcp_fault *f) {
    pthread_mutex_lock(&f->lock);
    int n = f->requests;
    pthread_mutex_unlock(&f->lock);
    return n;
}

void tcp_fault_free(struct tcp_fault *f) {
    atomic_store(&f->stop, true);
    pthread_join(f->thread, NULL);
    for (int i = 0; i < f->n_connections; i++)
        pthread_join(f->connection[i], NULL);
    close(f->fd);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
