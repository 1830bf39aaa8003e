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

/* The first quote, backslash or control character (below 0x20), or `end`. */
static inline const char *string_scan(const char *p, const char *end) {
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'),
                  control = _mm_set1_epi8(0x1f);
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)),
                         _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
#endif
    return string_scan_portable(p, end);
}

#endif
