/* SPDX-License-Identifier: Apache-2.0 */
/* The one file that knows libmicrohttpd. Reading order: listening, one request, the thread. */
#include "serve/server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

/* A connection there is, and since when it owes us a whole request, or we it the answer. */
struct connection {
    int fd; /* -1: the slot is free */
    int64_t since_ns;
    bool answering; /* the request is here as a whole */
};

struct server {
    const struct server_route *routes;
    void *arg;
    struct MHD_Daemon *daemon;
    int wake_fd;
    atomic_bool stop;
    pthread_t thread;
    bool moved;
    char address[INET6_ADDRSTRLEN + 16];
    struct connection connections[SERVER_CONNECTIONS]; /* the thread's */
};

/* ---- listening ---- */

static int bad_address(const char *listen, const char *why, struct err *e) {
    err_set(e, ERR_CONFIG, "serve.listen: '%s': %s", listen, why);
    return err_hint(e, "write ADDRESS:PORT, as in 127.0.0.1:9464 or [::1]:9464, or off");
}

static int parse_address(const char *listen, struct sockaddr_storage *ret, socklen_t *ret_len,
                         struct err *e) {
    const char *colon = strrchr(listen, ':');
    if (!colon || colon == listen || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")] ||
        strlen(colon + 1) > 5 || atoi(colon + 1) > 65535)
        return bad_address(listen, "no ADDRESS:PORT", e);
    char *host = xstrndup(listen, (size_t)(colon - listen));
    size_t n = strlen(host);
    bool bracketed = n > 2 && host[0] == '[' && host[n - 1] == ']';
    if (bracketed)
        host[n - 1] = '\0';
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_family = bracketed ? AF_INET6 : AF_INET,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int r = getaddrinfo(host + bracketed, colon + 1, &hints, &found);
    free(host);
    if (r != 0)
        return bad_address(listen, "no numeric IP address", e);
    memcpy(ret, found->ai_addr, found->ai_addrlen);
    *ret_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

int server_check(const char *listen, struct err *e) {
    struct sockaddr_storage at;
    socklen_t len;
    return strcmp(listen, "off") == 0 ? 0 : parse_address(listen, &at, &len, e);
}

/* The port field lies at the same place in both. */
static in_port_t *port_of(struct sockaddr_storage *at) {
    return at->ss_family == AF_INET6 ? &((struct sockaddr_in6 *)at)->sin6_port
                                     : &((struct sockaddr_in *)at)->sin_port;
}

static void write_address(struct server *sv, int fd) {
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof at;
    getsockname(fd, (struct sockaddr *)&at, &len);
    char host[INET6_ADDRSTRLEN] = "?";
    const void *ip = at.ss_family == AF_INET6
                         ? (const void *)&((struct sockaddr_in6 *)&at)->sin6_addr
                         : (const void *)&((struct sockaddr_in *)&at)->sin_addr;
    inet_ntop(at.ss_family, ip, host, sizeof host);
    snprintf(sv->address, sizeof sv->address, at.ss_family == AF_INET6 ? "[%s]:%d" : "%s:%d", host,
             ntohs(*port_of(&at)));
}

/* -1 with errno. */
static int listen_at(const struct sockaddr_storage *at, socklen_t len) {
    int fd = socket(at->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* So that a restart finds its port free; of two that listen the second is refused all the same. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (const struct sockaddr *)at, len) == 0 && listen(fd, 128) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int open_socket(struct server *sv, const char *listen, int *ret_fd, struct err *e) {
    struct sockaddr_storage at = {0};
    socklen_t len = 0;
    int r = parse_address(listen, &at, &len, e);
    if (r < 0)
        return r;
    int port = ntohs(*port_of(&at));
    int fd = listen_at(&at, len);
    for (int i = 1; fd < 0 && errno == EADDRINUSE && i <= SERVER_NEXT_PORTS; i++) {
        *port_of(&at) =
            htons((uint16_t)(i < SERVER_NEXT_PORTS && port + i <= 65535 ? port + i : 0));
        fd = listen_at(&at, len);
        sv->moved = true;
    }
    if (fd < 0)
        return bad_address(listen, strerror(errno), e);
    write_address(sv, fd);
    *ret_fd = fd;
    return 0;
}

/* ---- one request ---- */

static const struct server_route *find_route(const struct server *sv, const char *path) {
    for (const struct server_route *r = sv->routes; r->path; r++)
        if (strcmp(r->path, path) == 0)
            return r;
    return NULL;
}

static void say(struct server_answer *a, int status, const char *text) {
    a->status = status;
    buf_add_str(&a->body, text);
}

static void make_answer(struct server *sv, const char *method, const char *path,
                        struct server_answer *a) {
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        say(a, 405, "only GET and HEAD\n");
        return;
    }
    const struct server_route *route = find_route(sv, path);
    if (!route) {
        say(a, 404, "no such page\n");
        return;
    }
    route->answer(sv->arg, a);
    if (a->body.overflow) {
        buf_reset(&a->body);
        say(a, 500, "the answer is too large\n");
    }
}

static enum MHD_Result queue_answer(struct MHD_Connection *c, struct server_answer *a) {
    size_t len = a->body.len;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, buf_detach(&a->body), MHD_RESPMEM_MUST_FREE);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", a->type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (a->status == 405)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result r = MHD_queue_response(c, (unsigned)a->status, response);
    MHD_destroy_response(response);
    return r;
}

static struct connection *slot_of(struct MHD_Connection *c) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/*
 * Called with the headers read, and again at the end of the request. What announces a body is answered
 * at the first call: libmicrohttpd then closes the connection instead of reading on.
 */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version ATTR_UNUSED,
                                  const char *upload ATTR_UNUSED, size_t *upload_size ATTR_UNUSED,
                                  void **state) {
    bool has_body = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Length") ||
                    MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Transfer-Encoding");
    if (!*state && !has_body) {
        *state = cls; /* anything but NULL */
        return MHD_YES;
    }
    struct connection *slot = slot_of(c);
    if (slot)
        slot->answering = true;
    struct server_answer a = {
        .status = 200, .type = "text/plain; charset=utf-8", .body = BUF_INIT(LIMIT_HTTP_ANSWER)};
    make_answer(cls, method, url, &a);
    return queue_answer(c, &a);
}

static void on_connection(void *cls, struct MHD_Connection *c, void **ctx,
                          enum MHD_ConnectionNotificationCode what) {
    struct server *sv = cls;
    struct connection *slot = *ctx;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (slot)
            slot->fd = -1;
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(sv->connections) && !slot; i++)
        if (sv->connections[i].fd < 0)
            slot = &sv->connections[i];
    if (!slot)
        return; /* there are never more than slots */
    slot->fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    slot->since_ns = clock_mono_ns();
    slot->answering = false;
    *ctx = slot;
}

static void on_completed(void *cls ATTR_UNUSED, struct MHD_Connection *c, void **state ATTR_UNUSED,
                         enum MHD_RequestTerminationCode how ATTR_UNUSED) {
    struct connection *slot = slot_of(c);
    if (slot) {
        slot->since_ns = clock_mono_ns();
        slot->answering = false;
    }
}

/* ---- the thread ---- */

static bool peer_has_closed(int fd) {
    char c;
    return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/*
 * libmicrohttpd's own timeout is one of idleness: a byte now and then would hold a place for ever.
 * And where half a request and the end of the connection are there before it looks, it takes the
 * half and does not see the end, its events being those of changes (EPOLLET).
 */
static void cut_the_slow(struct server *sv) {
    int64_t before = clock_mono_ns() - SERVER_DEADLINE_S * 1000000000LL;
    for (size_t i = 0; i < ARRAY_LEN(sv->connections); i++) {
        struct connection *c = &sv->connections[i];
        if (c->fd >= 0 && (c->since_ns < before || (!c->answering && peer_has_closed(c->fd))))
            shutdown(c->fd, SHUT_RDWR);
    }
}

/*
 * With all places taken libmicrohttpd takes the listening socket out of its epoll set, and puts it
 * back at the beginning of a run: so a second run follows each, and a full house is looked at often.
 */
static int longest_wait_ms(struct server *sv) {
    MHD_UNSIGNED_LONG_LONG ms;
    bool full =
        MHD_get_daemon_info(sv->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections >=
        SERVER_CONNECTIONS;
    int longest = full ? 20 : 1000;
    return MHD_get_timeout(sv->daemon, &ms) == MHD_YES && ms < (unsigned)longest ? (int)ms
                                                                                 : longest;
}

static void *run(void *arg) {
    struct server *sv = arg;
    int epoll_fd = MHD_get_daemon_info(sv->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    while (!atomic_load(&sv->stop)) {
        struct pollfd p[] = {{.fd = epoll_fd, .events = POLLIN},
                             {.fd = sv->wake_fd, .events = POLLIN}};
        poll(p, ARRAY_LEN(p), longest_wait_ms(sv));
        cut_the_slow(sv);
        MHD_run(sv->daemon);
        MHD_run(sv->daemon);
    }
    return NULL;
}

static void log_of_library(void *cls ATTR_UNUSED, const char *fmt, va_list ap) {
    struct buf text = BUF_INIT(1024);
    buf_vaddf(&text, fmt, ap);
    while (text.len && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0';
    log_debug("http server", F_STR("says", buf_str(&text)));
    buf_release(&text);
}

static struct MHD_Daemon *start_daemon(struct server *sv, int fd) {
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, sv,
                            MHD_OPTION_EXTERNAL_LOGGER, log_of_library, NULL,
                            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)SERVER_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)SERVER_REQUEST_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)SERVER_IDLE_S, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
                            sv, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
}

int server_start(const char *listen, const struct server_route *routes, void *arg,
                 struct server **ret, struct err *e) {
    struct server *sv = xcalloc(1, sizeof *sv);
    sv->routes = routes;
    sv->arg = arg;
    for (size_t i = 0; i < ARRAY_LEN(sv->connections); i++)
        sv->connections[i].fd = -1;
    int fd = -1;
    int r = open_socket(sv, listen, &fd, e);
    if (r < 0) {
        free(sv);
        return r;
    }
    sv->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sv->daemon = start_daemon(sv, fd);
    if (!sv->daemon || sv->wake_fd < 0 || pthread_create(&sv->thread, NULL, run, sv) != 0) {
        r = err_set(e, ERR_CONFIG, "serve.listen: '%s': the HTTP server does not start", listen);
        if (sv->daemon)
            MHD_stop_daemon(sv->daemon); /* closes fd */
        else
            close(fd);
        if (sv->wake_fd >= 0)
            close(sv->wake_fd);
        free(sv);
        return r;
    }
    *ret = sv;
    return 0;
}

const char *server_address(const struct server *sv) {
    return sv->address;
}

bool server_moved(const struct server *sv) {
    return sv->moved;
}

void server_free(struct server *sv) {
    if (!sv)
        return;
    atomic_store(&sv->stop, true);
    uint64_t one = 1;
    ssize_t n = write(sv->wake_fd, &one, sizeof one);
    assert(n == sizeof one);
    pthread_join(sv->thread, NULL);
    MHD_stop_daemon(sv->daemon);
    close(sv->wake_fd);
    free(sv);
}
