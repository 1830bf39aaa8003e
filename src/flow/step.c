/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/step.h"

#include "base/log.h"
#include "base/util.h"

int step_stopped(const char *step, struct err *e) {
    return stop_requested()
               ? err_set(e, ERR_STOPPED, "%s: stopped by a signal before its end", step)
               : 0;
}

int step_settle(const char *step, int r, struct err *e) {
    if (r == ERR_CONFLICT) {
        log_info("another process was faster", F_STR("step", step), F_STR("why", e->msg));
        err_clear(e);
        return 0;
    }
    size_t n = strlen(step); /* an engine names its job, which is the step */
    bool named = strncmp(e->msg, step, n) == 0 && e->msg[n] == ':';
    return r < 0 && r != ERR_STOPPED && !named ? err_wrap(e, "%s", step) : r;
}

void step_checkpoint(struct table *tb, int64_t interval) {
    struct err e = {0};
    int64_t version = table_version(tb);
    if (interval <= 0 || version <= 0 || version % interval != 0)
        return;
    if (table_checkpoint(tb, &e) < 0 && e.code != ERR_STOPPED)
        log_err(LOG_WARN, "no checkpoint", &e);
}
