/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two loops over every byte of a record: is it UTF-8, and where does a JSON string stop being
 * plain. With SSE2, which every amd64 has, 16 bytes a step, and with AVX2, where the processor has
 * it, 32 for the first; elsewhere byte by byte. The _portable ones are public for the tests, which
 * hold each pair against each other. None reads outside [p, end).
 */
#ifndef CM_EVENT_BYTES_H
#define CM_EVENT_BYTES_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/*
 * The first byte that does not continue valid UTF-8, or `end`. By RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF, nothing cut off.
 */
const char *utf8_scan(const char *p, const char *end);
const char *utf8_scan_portable(const char *p, const char *end);

/* Writes a code point as UTF-8; returns the byte after it. Needs room for 4 bytes. */
char *utf8_put(char *out, uint32_t code);

static inline const char *string_scan_portable(const char *p, const char *end) {
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
        p++;
    return p;
}

#ifdef __SSE2__
/* A bit for each of the 16 bytes at p: set where string_scan() stops. */
static inline unsigned string_stops(const char *p) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control));
}
#endif

/* string_scan() for what ends soon: NULL if nothing stops it in the next 16 bytes, or fewer are there. */
static inline const char *string_scan_step(const char *p, const char *end) {
#ifdef __SSE2__
    unsigned stops = end - p >= 16 ? string_stops(p) : 0;
    return stops ? p + __builtin_ctz(stops) : NULL;
#else
    (void)p, (void)end;
    return NULL;
#endif
}

/* The first quote, backslash or control character (below 0x20), or `end`. */
static inline const char *string_scan(const char *p, const char *end) {
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        unsigned stops = string_stops(p);
        if (stops)
            return p + __builtin_ctz(stops);
    }
#endif
    return string_scan_portable(p, end);
}

#endif
