/* SPDX-License-Identifier: Apache-2.0 */
#include "event/number.h"

#include <assert.h>
#include <float.h>
#include <math.h>

/* What fits in 64 bits whatever the digits are. */
enum { MANT_DIGITS = 19 };

/*
 * Digits that decide the nearest double: halfway between two doubles needs at most 767; beyond that
 * only "is there anything more" counts.
 */
enum { DECIDING_DIGITS = 770 };

/* No record holds enough digits to bring an exponent of this size back into range. */
static const int64_t EXP_MAX = 1000000000000;

static inline bool is_digit(char c) {
    return (unsigned char)(c - '0') <= 9;
}

static inline const char *skip_digits(const char *p, const char *end) {
    while (p < end && is_digit(*p))
        p++;
    return p;
}

/* Are the 8 bytes at p digits, and what number are they? All at once, in one machine word. */
static inline bool eight_digits(const char *p, uint64_t *ret) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t v;
    memcpy(&v, p, sizeof v);
    /* A byte is a digit if its high half is 3, and is still 3 when 6 is added. */
    if (((v & 0xf0 * ones) | ((v + 6 * ones) & 0xf0 * ones) >> 4) != 0x33 * ones)
        return false;
    v -= '0' * ones;
    v = v * 10 + (v >> 8); /* pairs, in every other byte */
    const uint64_t pairs = UINT64_C(0x000000ff000000ff);
    v = (v & pairs) * (100 + (UINT64_C(1000000) << 32)) +
        (v >> 16 & pairs) * (1 + (UINT64_C(10000) << 32));
    *ret = v >> 32;
    return true;
#else
    (void)p, (void)ret;
    return false;
#endif
}

/* Reads on in the decimal number `mant`, which wraps if it gets too long; returns the byte after the digits. */
static inline const char *read_digits(const char *p, const char *end, uint64_t *mant) {
    uint64_t m = *mant, eight;
    for (; end - p >= 8 && eight_digits(p, &eight); p += 8)
        m = m * 100000000 + eight;
    for (; p < end && is_digit(*p); p++)
        m = m * 10 + (unsigned)(*p - '0');
    *mant = m;
    return p;
}

size_t number_span(const char *p, const char *end) {
    const char *start = p;
    if (p < end && *p == '-')
        p++;
    if (p == end || !is_digit(*p))
        return 0;
    p = *p == '0' ? p + 1 : skip_digits(p, end);
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        p = skip_digits(p, end);
        if (p == fraction)
            return 0;
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        const char *exponent = p;
        p = skip_digits(p, end);
        if (p == exponent)
            return 0;
    }
    return (size_t)(p - start);
}

/* The exponent after its 'e', held within ±EXP_MAX. */
static int64_t parse_exponent(const char *p, const char *end) {
    bool negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    int64_t e = 0;
    for (; p < end && e < EXP_MAX; p++)
        e = e * 10 + (*p - '0');
    return negative ? -e : e;
}

/* Drops the zeros at the end, after which 19 digits may be enough. p: the first digit that counts. */
static void trim_long(struct number *n, const char *p) {
    uint64_t seen = 0, counted = 0;
    for (const char *q = p; seen < n->digits; q++)
        if (is_digit(*q)) {
            seen++;
            if (*q != '0')
                counted = seen;
        }
    n->exp10 += (int64_t)(n->digits - counted);
    n->digits = counted;
    n->is_long = counted > MANT_DIGITS;
    n->mant = 0;
    if (n->is_long)
        return;
    for (seen = 0; seen < counted; p++)
        if (is_digit(*p)) {
            n->mant = n->mant * 10 + (unsigned)(*p - '0');
            seen++;
        }
}

static const char *first_counting_digit(const struct number *n) {
    const char *p = n->text;
    while (*p == '-' || *p == '0' || *p == '.')
        p++;
    return p;
}

void number_parse(const char *text, size_t len, struct number *ret) {
    const char *p = text, *end = text + len, *digits, *fraction;
    *ret = (struct number){.text = text, .len = len, .negative = *p == '-'};
    p += ret->negative;
    p += *p == '0';
    digits = p;
    p = read_digits(p, end, &ret->mant);
    ret->digits = (uint64_t)(p - digits);
    if (p < end && *p == '.') {
        fraction = ++p;
        if (ret->digits == 0)
            while (p < end && *p == '0')
                p++;
        digits = p;
        p = read_digits(p, end, &ret->mant);
        ret->digits += (uint64_t)(p - digits);
        ret->exp10 = fraction - p;
    }
    if (ret->digits == 0) {
        ret->exp10 = 0;
        return;
    }
    if (p < end)
        ret->exp10 += parse_exponent(p + 1, end);
    if (ret->digits > MANT_DIGITS)
        trim_long(ret, first_counting_digit(ret));
}

static const double POW10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                               1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                               1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#if LDBL_MANT_DIG == 64
/*
 * One operation in 64-bit precision, then rounded to 53 bits. The second rounding can only go wrong
 * when the 11 bits it drops are exactly one half; then the answer is left to strtod (false).
 */
static bool double_by_extended(uint64_t mant, int64_t exp10, double *ret) {
    static const long double POW10L[] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,
                                         1e7L,  1e8L,  1e9L,  1e10L, 1e11L, 1e12L, 1e13L,
                                         1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L, 1e20L,
                                         1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};
    const int64_t top = (int64_t)ARRAY_LEN(POW10L) - 1;
    if (exp10 < -top || exp10 > top)
        return false;
    long double v =
        exp10 < 0 ? (long double)mant / POW10L[-exp10] : (long double)mant * POW10L[exp10];
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits); /* x87: the 64 bits of the significand come first */
    if ((bits & 0x7ff) == 0x400)
        return false;
    *ret = (double)v;
    return true;
}
#else
static bool double_by_extended(uint64_t mant, int64_t exp10, double *ret) {
    (void)mant, (void)exp10, (void)ret;
    return false;
}
#endif

/* By strtod, on at most DECIDING_DIGITS digits and one more that stands for all the rest. */
static double double_by_strtod(const struct number *n) {
    char s[DECIDING_DIGITS + 32];
    size_t len = 0;
    const char *p = first_counting_digit(n);
    uint64_t left = n->digits;
    for (; left > 0 && len < DECIDING_DIGITS; p++)
        if (is_digit(*p)) {
            s[len++] = *p;
            left--;
        }
    int64_t exp10 = n->exp10 + (int64_t)left;
    if (left > 0) { /* the last digit that counts is not 0: trim_long() */
        s[len++] = '1';
        exp10--;
    }
    snprintf(s + len, sizeof s - len, "e%lld", (long long)exp10);
    return strtod(s, NULL);
}

double number_double(const struct number *n) {
    const int64_t top = (int64_t)ARRAY_LEN(POW10) - 1;
    /* The value is at least 10^(magnitude - 1) and less than 10^magnitude. */
    int64_t magnitude = (int64_t)n->digits + n->exp10;
    double d;
    if (n->digits == 0)
        d = 0;
    else if (!n->is_long && n->mant <= UINT64_C(1) << 53 && n->exp10 >= -top && n->exp10 <= top)
        d = n->exp10 < 0 ? (double)n->mant / POW10[-n->exp10] : (double)n->mant * POW10[n->exp10];
    else if (magnitude > 310)
        d = HUGE_VAL;
    else if (magnitude < -330)
        d = 0;
    else if (n->is_long || !double_by_extended(n->mant, n->exp10, &d))
        d = double_by_strtod(n);
    return n->negative ? -d : d;
}

bool number_is_finite(const struct number *n) {
    return (int64_t)n->digits + n->exp10 <= DBL_MAX_10_EXP || isfinite(number_double(n));
}

enum number_kind number_integer(const struct number *n, int64_t *ret) {
    uint64_t mant = n->mant;
    int64_t exp10 = n->exp10;
    if (!n->is_long)
        while (exp10 < 0 && mant != 0 && mant % 10 == 0) {
            mant /= 10;
            exp10++;
        }
    if (n->digits == 0 || (exp10 < 0 && number_double(n) == 0)) {
        *ret = 0;
        return NUMBER_INTEGER;
    }
    if (exp10 < 0)
        return NUMBER_FRACTION;
    if (n->is_long)
        return NUMBER_BIG_INTEGER;
    for (; exp10 > 0; exp10--)
        if (__builtin_mul_overflow(mant, (uint64_t)10, &mant))
            return NUMBER_BIG_INTEGER;
    if (mant > (uint64_t)INT64_MAX + n->negative)
        return NUMBER_BIG_INTEGER;
    *ret = (int64_t)(n->negative ? -mant : mant);
    return NUMBER_INTEGER;
}

size_t number_plain_integer(const struct number *n, char *out, size_t cap) {
    assert(n->digits > 0 && (int64_t)n->digits + n->exp10 > 0);
    uint64_t whole = (uint64_t)((int64_t)n->digits + n->exp10);
    uint64_t len = n->negative + whole;
    if (len > cap)
        return len;
    if (n->negative)
        *out++ = '-';
    const char *p = first_counting_digit(n);
    for (uint64_t i = 0; i < whole;) {
        if (i >= n->digits)
            out[i++] = '0';
        else if (is_digit(*p++))
            out[i++] = p[-1];
    }
    return len;
}
