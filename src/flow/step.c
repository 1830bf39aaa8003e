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

void step_also(struct step_failures *f, const struct err *e) {
    enum { TAIL = 32 }; /* for "; and N more" */
    size_t len = strlen(f->all.msg);
    bool retry = f->all.retry || e->retry;
    bool stopped = f->all.code == ERR_STOPPED || e->code == ERR_STOPPED;
    if (f->n++ == 0)
        f->all = *e;
    else if (f->untold == 0 && len + strlen(e->msg) + TAIL < sizeof f->all.msg)
        snprintf(f->all.msg + len, sizeof f->all.msg - len, "; %s", e->msg);
    else
        f->untold++;
    f->all.retry = retry;
    if (stopped) {
        f->all.code = ERR_STOPPED;
        f->all.retry = false;
    }
}

bool step_failed_alone(struct step_failures *f, int r, const struct err *e) {
    if (r == 0 || r == ERR_STOPPED || e->retry)
        return false;
    step_also(f, e);
    return true;
}

int step_failures_end(const struct step_failures *f, int64_t *ret_n, struct err *e) {
    *ret_n = f->n;
    if (f->n == 0)
        return 0;
    *e = f->all;
    size_t len = strlen(e->msg);
    if (f->untold > 0)
        snprintf(e->msg + len, sizeof e->msg - len, "; and %lld more", (long long)f->untold);
    return e->code;
}

void step_checkpoint(struct table *tb, int64_t interval) {
    struct err e = {0};
    int64_t version = table_version(tb);
    if (interval <= 0 || version <= 0 || version % interval != 0)
        return;
    if (table_checkpoint(tb, &e) < 0 && e.code != ERR_STOPPED)
        log_err(LOG_WARN, "no checkpoint", &e);
}
