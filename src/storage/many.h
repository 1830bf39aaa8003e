/* SPDX-License-Identifier: Apache-2.0 */
/* Work that takes more of waiting than of computing, on a few threads. */
#ifndef CM_STORAGE_MANY_H
#define CM_STORAGE_MANY_H

#include "base/err.h"

/*
 * Calls one(arg, i, …) for each i from `first` to n - 1, on up to `lanes` threads at a time, of which
 * the caller's is one. After a failure no further call is begun; the error is that of the first.
 */
int side_by_side(int lanes, size_t first, size_t n, int (*one)(void *arg, size_t i, struct err *e),
                 void *arg, struct err *e);

#endif
