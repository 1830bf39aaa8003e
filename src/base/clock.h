/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time. Instants are microseconds since 1970-01-01 UTC, days are counted from the same day; the
 * calendar is the proleptic Gregorian one and every day is a UTC day. No time zones, no leap seconds.
 */
#ifndef CM_BASE_CLOCK_H
#define CM_BASE_CLOCK_H

#define US_PER_SECOND 1000000LL
#define US_PER_DAY (86400LL * US_PER_SECOND)

enum { DATE_TEXT = 16, TIME_TEXT = 40 };

int64_t clock_now_us(void);  /* wall clock */
int64_t clock_mono_ns(void); /* monotonic, for durations */

int32_t day_of_us(int64_t us); /* floored: also right before 1970 */
int32_t day_from_civil(int year, int month, int day);
void day_format(int32_t day, char out[DATE_TEXT]);     /* "2026-11-22" */
bool day_parse(const char *s, size_t n, int32_t *ret); /* exactly YYYY-MM-DD, a day that exists */
void time_format(int64_t us, char out[TIME_TEXT]);     /* "2026-11-22T12:34:56.123456Z" */
void time_format_ms(int64_t us,
                    char out[TIME_TEXT]); /* "2026-11-22T12:34:56.123Z", truncated down */
/* What these two write, with any number of decimals; more than six are cut. false: anything else. */
bool time_parse(const char *s, int64_t *ret_us);

#endif
