/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small things every layer needs: unique ids, the checksum of the local stream, the stop flag and
 * the named points at which a drill kills the program.
 */
#ifndef CM_BASE_UTIL_H
#define CM_BASE_UTIL_H

#include "base/err.h"

enum { UUID_TEXT = 37 };
uint32_t random_below(uint32_t n);   /* 0: 0 */
void uuid_make(char out[UUID_TEXT]); /* random, version 4, lower case */

/* CRC-32C (Castagnoli, RFC 3720 B.4), hardware where there is some. crc: 0, or the value so far. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);
uint32_t crc32c_soft(uint32_t crc, const void *p, size_t n); /* the same without it; for tests */

/* Length of the well-formed UTF-8 sequence at s (n > 0 bytes), 0 if there is none. */
size_t utf8_len(const char *s, size_t n);
/* Is that sequence a control character: U+0000 to U+001F, DEL, U+0080 to U+009F? */
bool utf8_is_control(const char *s, size_t len);

/* The text without outer blanks, which are cut off in place. */
char *text_trim(char *s);
/* The number that 1 to 18 digits, and nothing else, are; -1: this is something else. */
int64_t digits_parse(const char *s);

/*
 * SIGINT and SIGTERM set a flag that long loops ask for between units of work.
 * stop_wait sleeps up to ms and returns early, true, once a stop was asked for.
 */
void stop_on_signals(void);
bool stop_requested(void);
void stop_request(void);
bool stop_wait(int ms);
void stop_reset(void); /* tests */

/*
 * kill -9 of ourselves at a named point, if debug.crash_at names it ("name" or "name:3", the third
 * time it is passed). For drills and tests: what was acknowledged before must be there after.
 */
/* "": at none. ERR_CONFIG if the program has no such point. */
int crash_at(const char *spec, struct err *e);
void crash_point(const char *name);

#endif
