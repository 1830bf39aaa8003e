/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of stream.h as tests, run against every driver. A driver gives a fresh cluster per
 * test and opens streams on it.
 */
#ifndef CM_TEST_STREAM_CONFORMANCE_H
#define CM_TEST_STREAM_CONFORMANCE_H

#include "stream/stream.h"

struct stream_driver {
    const char *name;
    void *(*cluster_new)(void);
    int (*open)(void *cluster, const struct stream_options *o, struct stream **ret, struct err *e);
    void (*cluster_free)(void *cluster);
    bool one_cluster; /* they are all the same one, with topics and groups of their own */
};

/* The number of failed tests. */
int stream_conformance(const struct stream_driver *d);

#endif
