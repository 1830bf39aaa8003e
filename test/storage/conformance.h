/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of storage.h as tests, run against every driver. A driver gives an empty lake per
 * test, and as many openings of it as the test wants: each stands for a process of its own.
 */
#ifndef CM_TEST_STORAGE_CONFORMANCE_H
#define CM_TEST_STORAGE_CONFORMANCE_H

#include "storage/storage.h"

struct storage_driver {
    const char *name;
    void *(*lake_new)(void);
    struct storage *(*open)(void *lake); /* freed by storage_free, before the lake */
    void (*lake_free)(void *lake);
    int rounds;      /* of each race; 0: 20 */
    bool no_folders; /* stat does not find them */
};

/* The number of failed tests. */
int storage_conformance(const struct storage_driver *d);

#endif
