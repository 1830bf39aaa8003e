/* SPDX-License-Identifier: Apache-2.0 */
#include "base/retry.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"

enum { FIRST_PAUSE_MS = 50, LONGEST_PAUSE_MS = 5000 };

struct retry retry_start(int64_t timeout_ms) {
    return (struct retry){.until_ns = clock_mono_ns() + timeout_ms * 1000000,
                          .pause_ms = FIRST_PAUSE_MS};
}

bool retry_pause(struct retry *r, const struct err *e) {
    int64_t left_ms = (r->until_ns - clock_mono_ns()) / 1000000;
    if (!e->retry || left_ms <= 0 || stop_requested())
        return false;
    if (!r->told)
        log_err(LOG_WARN, "trying again", e);
    r->told = true;
    if (stop_wait((int)MIN(left_ms, r->pause_ms)))
        return false;
    r->pause_ms = MIN(2 * r->pause_ms, LONGEST_PAUSE_MS);
    return true;
}
