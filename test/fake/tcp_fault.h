/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wire between an HTTP client and a real server on 127.0.0.1 that spoils one request: what is before
 * and after it goes through unchanged, signatures and all. Connections are served side by side.
 */
#ifndef CM_FAKE_TCP_FAULT_H
#define CM_FAKE_TCP_FAULT_H

enum tcp_effect {
    TCP_NONE,
    TCP_RESET,       /* the connection breaks as the request comes; the server sees nothing of it */
    TCP_LOST_ANSWER, /* the server has done it; the connection breaks instead of its answer */
    TCP_CUT_ANSWER,  /* half of what the server sends first, then the connection breaks */
};

struct tcp_fault;

struct tcp_fault *tcp_fault_new(int to_port);
int tcp_fault_port(const struct tcp_fault *f);
/* Spoils the at-th request from now on, from 1; 0: none. */
void tcp_fault_arm(struct tcp_fault *f, enum tcp_effect effect, int at);
int tcp_fault_requests(struct tcp_fault *f); /* since it was armed */
void tcp_fault_free(struct tcp_fault *f);    /* after its clients are gone */

#endif
