/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words at any address, and copies and comparisons of short texts without a call. Parquet is
 * little-endian, and so are the machines we build for.
 */
#ifndef CM_PARQUET_BYTES_H
#define CM_PARQUET_BYTES_H

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "src/parquet writes numbers as they lie in memory: little-endian machines only"
#endif

static inline uint64_t load64(const void *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint32_t load32(const void *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static inline void store64(void *p, uint64_t v) {
    memcpy(p, &v, 8);
}

static inline void store32(void *p, uint32_t v) {
    memcpy(p, &v, 4);
}

/* The first 8 bytes, zeros behind a shorter text, so that numbers order as the texts do. */
static inline uint64_t text_prefix(const char *p, size_t n) {
    if (n >= 8)
        return __builtin_bswap64(load64(p));
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)(uint8_t)p[i] << (56 - 8 * i);
    return v;
}

/* memcpy, but 16 bytes at a time in line: texts are short and a call costs more than the copy. */
static inline void copy_text(char *to, const char *from, size_t n) {
    if (n > 256) {
        memcpy(to, from, n);
    } else if (n >= 16) {
        for (size_t i = 0; i + 16 < n; i += 16)
            memcpy(to + i, from + i, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        uint64_t a = load64(from), b = load64(from + n - 8);
        store64(to, a);
        store64(to + n - 8, b);
    } else if (n >= 4) {
        uint32_t a = load32(from), b = load32(from + n - 4);
        store32(to, a);
        store32(to + n - 4, b);
    } else {
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
    }
}

static inline bool same_text(const char *a, const char *b, size_t n) {
    if (n > 40)
        return memcmp(a, b, n) == 0;
    if (n >= 8) {
        uint64_t differ = load64(a + n - 8) ^ load64(b + n - 8);
        for (size_t i = 0; i + 8 < n; i += 8)
            differ |= load64(a + i) ^ load64(b + i);
        return differ == 0;
    }
    if (n >= 4)
        return load32(a) == load32(b) && load32(a + n - 4) == load32(b + n - 4);
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

#endif
