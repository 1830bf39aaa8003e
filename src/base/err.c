/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>

int err_set(struct err *e, int code, const char *fmt, ...) {
    char msg[sizeof e->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap); /* may read the old e->msg */
    va_end(ap);
    e->code = code;
    e->retry = false;
    e->unsure = false;
    e->too_much = false;
    e->wait_ms = 0;
    e->hint[0] = '\0';
    memcpy(e->msg, msg, sizeof msg);
    return code;
}

static bool errno_passes(int errnum) {
    switch (errnum) {
    case EAGAIN:
    case EINTR:
    case EMFILE:
    case ENFILE:
    case EBUSY:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

int err_sys(struct err *e, int code, int errnum, const char *fmt, ...) {
    char msg[sizeof e->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    char why[128];
    /* A message that is too long is cut, the reason is not. */
    err_set(e, code, "%.*s: %s", (int)(sizeof msg - sizeof why - 2), msg,
            strerror_r(errnum, why, sizeof why));
    e->retry = errno_passes(errnum);
    return code;
}

int err_wrap(struct err *e, const char *fmt, ...) {
    char front[512], whole[sizeof e->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(front, sizeof front, fmt, ap);
    va_end(ap);
    if (snprintf(whole, sizeof whole, "%s: %s", front, e->msg) >= (int)sizeof whole)
        whole[sizeof whole - 1] = '\0';
    memcpy(e->msg, whole, sizeof whole);
    return e->code;
}

int err_hint(struct err *e, const char *fmt, ...) {
    char hint[sizeof e->hint];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(hint, sizeof hint, fmt, ap); /* may read the old e->hint */
    va_end(ap);
    memcpy(e->hint, hint, sizeof hint);
    return e->code;
}

int err_retry(struct err *e) {
    e->retry = true;
    return e->code;
}

int err_recode(struct err *e, int code) {
    e->code = code;
    return code;
}

void err_clear(struct err *e) {
    *e = (struct err){.code = 0};
}

int err_exit_code(int code) {
    if (code == 0)
        return 0;
    if (code <= ERR_EXISTS)
        return -ERR_STORAGE;
    return -code;
}
