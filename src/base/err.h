/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors. A function that can fail returns 0 or a negative enum err_code and fills a struct err
 * with a finished sentence: what failed, on which object, why. Context is put in front on the way
 * up (err_wrap); the optional hint says what to do and becomes the line `HINT: …`.
 *
 * `retry` is decided where the fact is known: true when the same call may work a moment later;
 * `unsure`: true when what was asked may have been done all the same (the request was sent, the answer lost);
 * `too_much`: true when memory was short: less at a time may work.
 * Outputs of a failed function are untouched.
 */
#ifndef CM_BASE_ERR_H
#define CM_BASE_ERR_H

/* The failures of a verb are the negated exit codes of DESIGN section 7. */
enum err_code {
    ERR_USAGE = -2,
    ERR_CONFIG = -3,
    ERR_STREAM = -4,
    ERR_STORAGE = -5, /* storage or table */
    ERR_ENGINE = -6,
    ERR_SINK = -7,
    ERR_CHECK = -8,   /* a data check failed */
    ERR_STOPPED = -9, /* a signal came before the end of the step */
    ERR_BUG = -70,
    /* Answers more than failures: callers branch on them. */
    ERR_EXISTS = -100,    /* put-if-absent: something stands there already */
    ERR_NOT_FOUND = -101, /* no such object */
    ERR_CONFLICT = -102,  /* somebody else committed what this commit depends on */
};

struct err {
    int code; /* enum err_code, 0 = none */
    bool retry;
    bool unsure;
    bool too_much;
    int wait_ms; /* before the next try, says who refused; 0: nothing */
    char msg[2048];
    char hint[512];
};

/* Each sets `e` anew and returns `code`. */
int err_set(struct err *e, int code, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* Appends ": <strerror(errnum)>". EAGAIN, EINTR, EMFILE, ENFILE, EBUSY and ETIMEDOUT are marked retry. */
int err_sys(struct err *e, int code, int errnum, const char *fmt, ...) ATTR_PRINTF(4, 5);

/* Puts "<fmt>: " in front of the message; returns e->code. */
int err_wrap(struct err *e, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* Sets the hint; returns e->code. */
int err_hint(struct err *e, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* Marks the error as one that can pass; returns e->code. */
int err_retry(struct err *e);
/* Changes the code, keeps the words; returns `code`. */
int err_recode(struct err *e, int code);

void err_clear(struct err *e);

/* The process exit code for a code of a failed verb. ERR_EXISTS and the like map to 5. */
int err_exit_code(int code);

#endif
