/* SPDX-License-Identifier: Apache-2.0 */
/* What all tests share: words of an error, files that hold given bytes, and what a function printed. */
#ifndef CM_TEST_BASE_HELPER_H
#define CM_TEST_BASE_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include <cmocka.h>

/* Fails the test with the error's words. */
#define assert_ok(r, e)                                                                            \
    do {                                                                                           \
        if ((r) < 0)                                                                               \
            fail_msg("%s", (e)->msg);                                                              \
    } while (0)

/* The text holds the words. */
#define assert_has(text, words)                                                                    \
    do {                                                                                           \
        if (!strstr(text, words))                                                                  \
            fail_msg("'%s' is not in: %s", words, text);                                           \
    } while (0)

/* The error's message or hint holds the words. */
#define assert_says(e, words)                                                                      \
    do {                                                                                           \
        if (!strstr((e)->msg, words) && !strstr((e)->hint, words))                                 \
            fail_msg("'%s' is not in: %s\nHINT: %s", words, (e)->msg, (e)->hint);                  \
    } while (0)

/* A new file below TMPDIR with these bytes; its end. */
char *file_with(const void *data, size_t n);
void file_drop(char *path);

/* What fn printed on a descriptor (1, 2). The caller frees. */
char *printed_on(int fd, void (*fn)(const void *arg), const void *arg);

/* A fast generator for test data: xorshift64, the state not 0. */
uint64_t random_next(uint64_t *state);

#endif
