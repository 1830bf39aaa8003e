/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers by JSON's grammar (RFC 8259, section 6): where one ends, its exact value as an integer,
 * the nearest double, and the shortest text of a double. Everything is decided on the decimal
 * digits as sent, so 9007199254740993 stays what it is and 1.0000000000000000000000001 is no
 * integer. A text may be as long as a record (1 MiB).
 *
 * Independent of the locale: what goes into strtod() and what is read from snprintf() has no
 * decimal point.
 */
#ifndef CM_EVENT_NUMBER_H
#define CM_EVENT_NUMBER_H

/* ± mant × 10^exp10. Where more than 19 digits count, only the text has them all. */
struct number {
    const char *text; /* as sent; not owned */
    size_t len;
    bool negative;   /* has a minus sign, also for -0 */
    bool is_long;    /* more than 19 significant digits: mant is not set */
    uint64_t mant;   /* 0 for zero, whatever its exponent */
    int64_t exp10;   /* the power of ten of the last digit counted */
    uint64_t digits; /* how many digits count, from the first that is not 0; 0 for zero */
};

/* The length of the number at `p`, 0 if there is none. Looks no further than `end`. */
size_t number_span(const char *p, const char *end);

/* Takes a number apart. text: exactly one number by number_span(). */
void number_parse(const char *text, size_t len, struct number *ret);

/* The nearest double (ties to even); an infinity beyond double's range, a zero where too small. */
double number_double(const struct number *n);

/* False: beyond double's range. */
bool number_is_finite(const struct number *n);

enum number_kind {
    NUMBER_FRACTION, /* not an integer */
    NUMBER_INTEGER,
    NUMBER_BIG_INTEGER, /* an integer that int64_t does not hold */
};
/*
 * Is it an integer by value (1.0, 1e6, 10e-1 are)? ret is set for NUMBER_INTEGER only. What is too
 * small for a double is 0 and so an integer (DESIGN section 4).
 */
enum number_kind number_integer(const struct number *n, int64_t *ret);

/*
 * An integer written out: a minus sign if negative, then digits only. n: not NUMBER_FRACTION, not
 * zero. Returns the length; writes only if that is at most cap.
 */
size_t number_plain_integer(const struct number *n, char *out, size_t cap);

#endif
