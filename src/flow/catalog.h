/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The products that the simulated shoppers look at: the FakeStore catalog that is built in, or one
 * of the same shape from a file or a URL such as https://fakestoreapi.com/products (a JSON array of
 * objects with id, category and price; other members are ignored).
 */
#ifndef CM_FLOW_CATALOG_H
#define CM_FLOW_CATALOG_H

#include "base/err.h"

/* JSON texts, ready to be put into an event. */
struct product {
    char *id;       /* 1, or "sku-1" with its quotes */
    char *category; /* with its quotes */
    char *price;    /* 109.95, as the catalog spells it */
    char *path;     /* of its page: /products/1 */
};

struct catalog {
    struct product *v;
    size_t n;
};

/* from: a file, a URL, or NULL for the built-in one. Never empty. Errors: ERR_STREAM. */
int catalog_load(const char *from, struct catalog *ret, struct err *e);
/* The text of a catalog; `name` is for messages. */
int catalog_parse(const char *name, const char *text, size_t n, struct catalog *ret, struct err *e);
void catalog_release(struct catalog *c);

#endif
