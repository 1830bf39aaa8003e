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

static bool stopped(int *code, struct err *e) {
    *code = err_recode(e, ERR_STOPPED);
    e->retry = false;
    return false;
}

bool retry_pause(struct retry *r, int *code, struct err *e) {
    int64_t left_ms = (r->until_ns - clock_mono_ns()) / 1000000;
    if (!e->retry)
        return false;
    if (stop_requested())
        return stopped(code, e);
    if (left_ms <= 0)
        return false;
    if (!r->told)
        log_err(LOG_WARN, "trying again", e);
    r->told = true;
    int pause_ms = MAX(r->pause_ms - (int)random_below((uint32_t)r->pause_ms / 2), e->wait_ms);
    if (stop_wait((int)MIN(left_ms, pause_ms)))
        return stopped(code, e);
    r->pause_ms = MIN(2 * r->pause_ms, LONGEST_PAUSE_MS);
    return true;
}
