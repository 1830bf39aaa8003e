/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wraps any storage and spoils chosen calls. Without an armed fault it is the storage it wraps.
 * A loop over `at` with one effect proves that no single failure loses or doubles anything.
 */
#ifndef CM_TEST_STORAGE_FAULT_H
#define CM_TEST_STORAGE_FAULT_H

#include "storage/storage.h"

enum fault_effect {
    FAULT_NONE,
    FAULT_FAIL, /* an error, nothing is done */
    FAULT_CUT,  /* a write half done as a client leaves it that crashed: litter in the stage, the
                          object is not there; then an error. Other calls: as FAIL */
    FAULT_LOST_ANSWER, /* all is done, and an error reported */
    FAULT_DELAY,       /* done, later */
    FAULT_KILL,        /* SIGKILL before it is done */
    FAULT_KILL_AFTER,  /* SIGKILL after it is done */
};

/* For struct fault's `calls`. */
enum fault_call {
    CALL_GET = 1,
    CALL_PUT_NEW = 2,
    CALL_PUT = 4,
    CALL_STAT = 8,
    CALL_LIST = 16,
    CALL_REMOVE = 32,
    CALL_STAGE = 64,
    CALL_PUBLISH = 128,
    CALL_LOCALIZE = 256,
};

struct fault {
    enum fault_effect effect;
    unsigned at;    /* the first call to spoil, from 1, counted since it was armed; 0: none */
    unsigned times; /* so many in a row; 0: one */
    unsigned calls; /* which calls count: enum fault_call; 0: all */
    bool retry;     /* e->retry of the errors */
    int code;       /* of the errors; 0: ERR_STORAGE */
    int delay_ms;
};

/* frees_inner: the wrapped storage is freed with this one. */
struct storage *storage_fault_new(struct storage *inner, bool frees_inner);
void storage_fault_arm(struct storage *st, const struct fault *f); /* NULL: none */
unsigned storage_fault_calls(struct storage *st);                  /* counted since it was armed */
/* fn runs before each call that counts: a test looks on, or lets something happen in between. */
void storage_fault_hook(struct storage *st,
                        void (*fn)(void *arg, enum fault_call call, const char *path), void *arg);

#endif
