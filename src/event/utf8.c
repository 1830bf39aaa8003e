/* SPDX-License-Identifier: Apache-2.0 */
#include "event/bytes.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

static inline bool is_continuation(char c) {
    return ((unsigned char)c & 0xc0) == 0x80;
}

/*
 * The length of the valid sequence at p, 0 if there is none. Table 3-7 of the Unicode Standard: only
 * the second byte has a range of its own, which keeps out overlongs (E0, F0), surrogates (ED) and
 * what lies above U+10FFFF (F4).
 */
static inline size_t sequence_len(const char *p, const char *end) {
    unsigned char c = (unsigned char)*p;
    if (c < 0x80)
        return 1;
    size_t len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (c < 0xc2 || c > 0xf4 || (size_t)(end - p) < len || !is_continuation(p[1]))
        return 0;
    unsigned char second = (unsigned char)p[1];
    if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
        (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
        return 0;
    for (size_t i = 2; i < len; i++)
        if (!is_continuation(p[i]))
            return 0;
    return len;
}

const char *utf8_scan_portable(const char *p, const char *end) {
    while (p < end) {
        size_t len = sequence_len(p, end);
        if (len == 0)
            return p;
        p += len;
    }
    return p;
}

#ifdef __SSE2__
/* Each returns the first byte that is not ASCII, or a place before it with less than a step to go. */
static inline const char *ascii_scan_sse2(const char *p, const char *end) {
    for (; end - p >= 16; p += 16) {
        unsigned mask =
            (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)p));
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
    return p;
}

__attribute__((target("avx2"))) static const char *ascii_scan_avx2(const char *p, const char *end) {
    for (; end - p >= 64; p += 64) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p);
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
        if (_mm256_movemask_epi8(_mm256_or_si256(a, b)) != 0)
            break;
    }
    return p;
}

const char *utf8_scan(const char *p, const char *end) {
    bool avx2 = __builtin_cpu_supports("avx2");
    while (p < end) {
        if (avx2 && end - p >= 64)
            p = ascii_scan_avx2(p, end);
        p = ascii_scan_sse2(p, end);
        /* Text that is not ASCII comes in runs: stay with single characters for one word's length. */
        for (const char *run = p + MIN(end - p, 16); p < run;) {
            size_t len = sequence_len(p, end);
            if (len == 0)
                return p;
            p += len;
        }
    }
    return p;
}
#else
const char *utf8_scan(const char *p, const char *end) {
    return utf8_scan_portable(p, end);
}
#endif

char *utf8_put(char *out, uint32_t code) {
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}
