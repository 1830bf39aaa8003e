/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server: GET and HEAD of a few fixed paths, answered by functions. One thread, which
 * runs libmicrohttpd and the functions; so they must not wait for anything.
 *
 * It stands towards whoever can reach the address: at most SERVER_CONNECTIONS connections, each with
 * a fixed amount of memory, and SERVER_DEADLINE_S seconds for one request with its answer, however
 * slowly the bytes drip. Bodies are not read; what announces one is answered and closed.
 * Other paths are 404, other methods 405.
 */
#ifndef CM_SERVE_SERVER_H
#define CM_SERVE_SERVER_H

#include "base/err.h"
#include "base/mem.h"

enum {
    SERVER_CONNECTIONS = 32,
    SERVER_REQUEST_BYTES = 16 * 1024, /* request line and headers */
    SERVER_IDLE_S = 10,
    SERVER_DEADLINE_S = 20,
    SERVER_NEXT_PORTS = 32, /* tried when the port is taken */
};

struct server_answer {
    int status;       /* 200 at first */
    const char *type; /* Content-Type; text/plain at first */
    struct buf body;  /* empty at first */
};

/* A path, and what answers it; path NULL ends the table. */
struct server_route {
    const char *path;
    void (*answer)(void *arg, struct server_answer *ret);
};

struct server;

/*
 * listen: "127.0.0.1:9464", "[::1]:9464", "0.0.0.0:9464"; port 0: any. If the port is taken, the next
 * free one; any, after SERVER_NEXT_PORTS: several processes of one machine share a configuration.
 * ERR_CONFIG: no such address, or not ours. routes and arg must outlive the server.
 */
int server_start(const char *listen, const struct server_route *routes, void *arg,
                 struct server **ret, struct err *e);
/* Is it an address to listen at, or "off"? ERR_CONFIG. */
int server_check(const char *listen, struct err *e);
const char *server_address(const struct server *sv); /* "127.0.0.1:9464", as it is */
bool server_moved(const struct server *sv);          /* another port than the one asked for */
void server_free(struct server *sv);                 /* open requests are cut; returns at once */

#endif
