/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one simulated shopper does next, and the JSON of it. Inside shoppers.c.
 */
#ifndef CM_FLOW_SESSION_H
#define CM_FLOW_SESSION_H

#include "flow/catalog.h"
#include "flow/prng.h"

enum {
    SESSION_RECORD_MAX = 16 * 1024, /* id, category and price of a catalog are bounded far below */
    CART_MAX = 4,
    SOLD_MAX = 256,
    ORDER_LEN = 13,
    USER_MAX = 24,
};

struct line_item {
    uint32_t product;
    int32_t quantity;
    char order[ORDER_LEN];
    char user[USER_MAX];
    size_t user_len;
};

/* What all shoppers share. */
struct shop {
    const struct catalog *catalog;
    struct prng random;
    double *popular; /* cumulated, by product */
    uint64_t users;
    struct line_item sold[SOLD_MAX]; /* the last ones: what may be brought back */
    size_t n_sold;
    bool plain;
};

struct session {
    char user[USER_MAX]; /* user_len 0: a bot */
    size_t user_len;
    char id[16];
    const char *agent, *referrer;
    int phase, steps_left;
    int64_t last_product; /* -1: none seen yet */
    struct line_item cart[CART_MAX];
    size_t n_cart;
    char order[ORDER_LEN];
    const char *page_before; /* NULL: came from outside */
};

/* One event, before it is written. */
struct act {
    const char *type, *page, *query; /* the page's path, and the rest of its URL */
    const char *referrer;            /* NULL: none; a path if it begins with '/' */
    int64_t product;                 /* -1: none */
    int32_t quantity;                /* 0: none */
    const char *order;               /* NULL: none; ORDER_LEN bytes */
};

void shop_init(struct shop *shop, const struct catalog *c, uint64_t seed, int64_t events);
void shop_release(struct shop *shop);
/* A session that is all zero, or over, begins anew. */
void session_step(struct shop *shop, struct session *s, struct act *ret);
/* The event's JSON; returns its length. */
size_t session_write(struct shop *shop, const struct session *s, const struct act *act, int64_t ts,
                     char out[SESSION_RECORD_MAX]);

#endif
