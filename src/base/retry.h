/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can pass is tried again with growing pauses:
 *
 *     struct retry again = retry_start(timeout_ms);
 *     do
 *         r = call(…, e);
 *     while (r < 0 && retry_pause(&again, e));
 */
#ifndef CM_BASE_RETRY_H
#define CM_BASE_RETRY_H

#include "base/err.h"

struct retry {
    int64_t until_ns;
    int pause_ms;
    bool told;
};

struct retry retry_start(int64_t timeout_ms);
/* Waits and gives true when e->retry is set, time is left and no stop was asked for. */
bool retry_pause(struct retry *r, const struct err *e);

#endif
