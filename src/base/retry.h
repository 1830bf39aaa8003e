/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can pass is tried again with growing pauses, which are random, so that those who failed
 * together do not come back together:
 *
 *     struct retry again = retry_start(timeout_ms);
 *     do
 *         r = call(…, e);
 *     while (r < 0 && retry_pause(&again, &r, e));
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
/*
 * Waits and gives true when e->retry is set and time is left: for e->wait_ms at least, but never beyond
 * the time. Where it was a stop that ended the tries, *code and the error are ERR_STOPPED from then
 * on, with the words they had.
 */
bool retry_pause(struct retry *r, int *code, struct err *e);

#endif
