/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shortest text of a double, for the event key: of all decimals that round to it, those with the
 * fewest digits, and of these the nearest. Written without exponent and without ".0", so that 100,
 * 100.0 and 1e2 give one key. The same digits as Python's repr() and ECMAScript's Number::toString.
 */
#include "event/event.h"
#include "event/number.h"

#include <assert.h>
#include <float.h>
#include <math.h>

/* digits × 10^exp10, digits without zeros at either end. */
struct decimal {
    char digits[24];
    int len, exp10;
};

static void decimal_trim(struct decimal *x) {
    while (x->len > 1 && x->digits[x->len - 1] == '0') {
        x->len--;
        x->exp10++;
    }
}

/*
 * Prices have few decimals: d = m / 10^k for a small k, with m < 10^15. The division is exact
 * rounding, and two decimals of at most 15 digits never round to the same double (DBL_DIG), so no
 * shorter one exists.
 */
static bool shortest_of_few_decimals(double d, struct decimal *ret) {
    static const double POW10[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    for (size_t k = 0; k < ARRAY_LEN(POW10); k++) {
        double scaled = d * POW10[k];
        if (!(scaled < 1e15 - 1))
            return false;
        int64_t m = (int64_t)(scaled + 0.5);
        if (m == 0 || (double)m / POW10[k] != d)
            continue;
        char *end = ret->digits + sizeof ret->digits, *p = end;
        for (; m > 0; m /= 10)
            *--p = (char)('0' + m % 10);
        ret->len = (int)(end - p);
        ret->exp10 = -(int)k;
        memmove(ret->digits, p, (size_t)ret->len);
        return true;
    }
    return false;
}

/* d in n digits, correctly rounded. */
static void decimal_of(double d, int n, struct decimal *ret) {
    char s[40];
    snprintf(s, sizeof s, "%.*e", n - 1, d);
    const char *p = s;
    ret->len = 0;
    for (; *p != 'e'; p++)
        if (*p >= '0' &&
            *p <= '9') /* passes over the decimal point, whatever the locale calls it */
            ret->digits[ret->len++] = *p;
    ret->exp10 = (int)strtol(p + 1, NULL, 10) - (n - 1);
    ret->digits[ret->len] = '\0';
}

static bool gives_back(const struct decimal *x, double d) {
    char s[48];
    int len = snprintf(s, sizeof s, "%.*se%d", x->len, x->digits, x->exp10);
    struct number n;
    number_parse(s, (size_t)len, &n);
    return number_double(&n) == d;
}

/* The next decimal of as many digits. */
static void decimal_step_up(struct decimal *x) {
    int i = x->len - 1;
    while (i >= 0 && x->digits[i] == '9')
        x->digits[i--] = '0';
    if (i >= 0) {
        x->digits[i]++;
        return;
    }
    x->digits[0] = '1'; /* 99…9 became 100…0 */
    x->exp10++;
}

/*
 * Below a power of two doubles lie twice as dense, so the nearest decimal may fall below it and round
 * elsewhere while the next one up, though farther, still gives it back.
 */
static bool shortest_of_length(double d, int n, struct decimal *ret) {
    decimal_of(d, n, ret);
    if (gives_back(ret, d))
        return true;
    int exponent;
    if (frexp(d, &exponent) != 0.5)
        return false;
    decimal_step_up(ret);
    return gives_back(ret, d);
}

static void shortest(double d, struct decimal *ret) {
    if (shortest_of_few_decimals(d, ret))
        return;
    /* 15 digits find every shorter one too (their last digits come out as 0), except below the normal range. */
    int n = d < DBL_MIN ? 1 : DBL_DIG;
    while (n < DBL_DECIMAL_DIG && !shortest_of_length(d, n, ret))
        n++;
    if (n == DBL_DECIMAL_DIG)
        decimal_of(d, n, ret);
}

/* Where the decimal point goes: 12.5, 1200, 0.0012. */
static size_t decimal_write(const struct decimal *x, char *out) {
    char *p = out;
    int whole = x->len + x->exp10; /* digits before the point */
    if (whole <= 0) {
        *p++ = '0';
        *p++ = '.';
        for (int i = whole; i < 0; i++)
            *p++ = '0';
        memcpy(p, x->digits, (size_t)x->len);
        return (size_t)(p + x->len - out);
    }
    for (int i = 0; i < MAX(whole, x->len); i++) {
        if (i == whole)
            *p++ = '.';
        *p++ = i < x->len ? x->digits[i] : '0';
    }
    return (size_t)(p - out);
}

size_t event_format_double(double d, char *out, size_t cap) {
    assert(isfinite(d) && d >= 0 && cap >= EVENT_DOUBLE_MAX);
    if (d == 0) {
        *out = '0';
        return 1;
    }
    struct decimal x;
    shortest(d, &x);
    decimal_trim(&x);
    return decimal_write(&x, out);
}
