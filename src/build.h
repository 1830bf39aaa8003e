/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included first in every file (by the compiler's -include): attributes and banned functions.
 */
#ifndef CM_BUILD_H
#define CM_BUILD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef NDEBUG
#error "assert() stays on in release builds: it guards against our own bugs"
#endif

#define ATTR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ATTR_UNUSED __attribute__((unused))
#define ATTR_NORETURN __attribute__((noreturn))
#define ATTR_WARN_UNUSED __attribute__((warn_unused_result))

/* Runs `f` on the variable's address when it goes out of scope. */
#define _cleanup_(f) __attribute__((cleanup(f)))

/* Hands over ownership: gives the pointer's value and leaves NULL behind. */
#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) *take_p_ = &(p);                                                             \
        __typeof__(p) take_v_ = *take_p_;                                                          \
        *take_p_ = NULL;                                                                           \
        take_v_;                                                                                   \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* For _cleanup_(freep): frees what the variable points to. */
static inline void freep(void *p) {
    free(*(void **)p);
}

/*
 * Unbounded copies and hidden static state have no place here; a locale would spell numbers anew.
 * Not with clang, whose poison also strikes where libc's fortified headers name them.
 */
#ifndef __clang__
#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok localtime gmtime ctime asctime tmpnam
#pragma GCC poison setlocale
#endif

#endif
