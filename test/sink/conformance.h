/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of sink.h as tests, run against every driver. A driver gives a fresh, empty
 * database per test and opens sinks on it.
 */
#ifndef CM_TEST_SINK_CONFORMANCE_H
#define CM_TEST_SINK_CONFORMANCE_H

#include "sink/sink.h"

struct sink_driver {
    const char *name;
    void *(*db_new)(void);
    int (*open)(void *db, const struct sink_options *o, struct sink **ret, struct err *e);
    void (*db_free)(void *db);
    bool shared; /* other processes see the database: it outlives a kill -9 */
    bool wide;   /* its INT holds 64 bits */
};

/* The number of failed tests. */
int sink_conformance(const struct sink_driver *d);

#endif
