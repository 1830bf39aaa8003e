/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

int64_t clock_now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * US_PER_SECOND + t.tv_nsec / 1000;
}

int64_t clock_mono_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

int32_t day_of_us(int64_t us) {
    return (int32_t)floor_div(us, US_PER_DAY);
}

/* Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": days_from_civil. */
int32_t day_from_civil(int year, int month, int day) {
    int y = year - (month <= 2);
    int era = (y >= 0 ? y : y - 399) / 400;
    int yoe = y - era * 400;
    int doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

/* civil_from_days, same source. */
static void civil_from_day(int32_t days, int *ret_y, int *ret_m, int *ret_d) {
    int64_t z = (int64_t)days + 719468;
    int era = (int)((z >= 0 ? z : z - 146096) / 146097);
    int doe = (int)(z - era * 146097LL);
    int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int mp = (5 * doy + 2) / 153;
    *ret_d = doy - (153 * mp + 2) / 5 + 1;
    *ret_m = mp < 10 ? mp + 3 : mp - 9;
    *ret_y = yoe + era * 400 + (*ret_m <= 2);
}

void day_format(int32_t day, char out[DATE_TEXT]) {
    int y, m, d;
    civil_from_day(day, &y, &m, &d);
    snprintf(out, DATE_TEXT, "%04d-%02d-%02d", y, m, d);
}

bool day_parse(const char *s, size_t n, int32_t *ret) {
    if (n != 10 || s[4] != '-' || s[7] != '-')
        return false;
    int part[3] = {0}, at = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 4 || i == 7)
            at++;
        else if (s[i] < '0' || s[i] > '9')
            return false;
        else
            part[at] = part[at] * 10 + (s[i] - '0');
    }
    if (part[1] < 1 || part[1] > 12 || part[2] < 1 || part[2] > 31)
        return false;
    int32_t day = day_from_civil(part[0], part[1], part[2]);
    int y, m, d;
    civil_from_day(day, &y, &m, &d);
    if (y != part[0] || m != part[1] || d != part[2])
        return false;
    *ret = day;
    return true;
}

static void format(int64_t us, int fraction_digits, char out[TIME_TEXT]) {
    char date[DATE_TEXT];
    day_format(day_of_us(us), date);
    int64_t in_day = us % US_PER_DAY + (us % US_PER_DAY < 0 ? US_PER_DAY : 0);
    int64_t seconds = in_day / US_PER_SECOND, fraction = in_day % US_PER_SECOND;
    if (fraction_digits == 3)
        fraction /= 1000;
    snprintf(out, TIME_TEXT, "%sT%02d:%02d:%02d.%0*dZ", date, (int)(seconds / 3600),
             (int)(seconds / 60 % 60), (int)(seconds % 60), fraction_digits, (int)fraction);
}

void time_format(int64_t us, char out[TIME_TEXT]) {
    format(us, 6, out);
}

void time_format_ms(int64_t us, char out[TIME_TEXT]) {
    format(us, 3, out);
}

/* Two digits, below `limit`; -1: something else. */
static int two_digits(const char *s, int limit) {
    if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
        return -1;
    int v = (s[0] - '0') * 10 + (s[1] - '0');
    return v < limit ? v : -1;
}

bool time_parse(const char *s, int64_t *ret_us) {
    int32_t day;
    if (strlen(s) < sizeof "2026-11-22T12:34:56Z" - 1 || !day_parse(s, 10, &day) || s[10] != 'T' ||
        s[13] != ':' || s[16] != ':')
        return false;
    int h = two_digits(s + 11, 24), m = two_digits(s + 14, 60), sec = two_digits(s + 17, 60);
    if (h < 0 || m < 0 || sec < 0)
        return false;
    int64_t fraction = 0, unit = US_PER_SECOND;
    const char *p = s + 19;
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++) {
            unit /= 10;
            fraction += (*p - '0') * unit;
        }
    if (strcmp(p, "Z") != 0 || p[-1] == '.')
        return false;
    *ret_us = day * US_PER_DAY + (h * 3600LL + m * 60 + sec) * US_PER_SECOND + fraction;
    return true;
}
