/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/encoding.h"

#include "parquet/bytes.h"

int bit_width(uint64_t v) {
    return v ? 64 - __builtin_clzll(v) : 0;
}

size_t put_varint(uint8_t *out, uint64_t v) {
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

static uint64_t zigzag(int64_t v) {
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

size_t hybrid_run(uint8_t *out, uint32_t value, int width, uint32_t n) {
    size_t at = put_varint(out, (uint64_t)n << 1);
    for (int i = 0; i < (width + 7) / 8; i++)
        out[at++] = (uint8_t)(value >> (8 * i));
    return at;
}

/* The header of a bit-packed run: groups of eight values. */
static size_t put_packed_header(uint8_t *out, uint32_t n) {
    return put_varint(out, (uint64_t)((n + 7) / 8) << 1 | 1);
}

/* Bits [from, from + n), from a multiple of 64, as one bit-packed run; none if n is 0. */
static size_t put_packed_bits(uint8_t *out, const uint8_t *bits, uint32_t from, uint32_t n) {
    if (n == 0)
        return 0;
    size_t at = put_packed_header(out, n), bytes = (n + 7) / 8;
    memcpy(out + at, bits + from / 8, bytes);
    if (n % 8) /* what is behind the last value is defined, so that equal pages are equal bytes */
        out[at + bytes - 1] &= (uint8_t)((1u << n % 8) - 1);
    return at + bytes;
}

/*
 * Whole words of 64 equal bits become runs, everything between them is packed: a run then never
 * takes more room than the bits it stands for.
 */
size_t hybrid_bits(uint8_t *out, const uint8_t *bits, uint32_t n) {
    size_t at = 0;
    uint32_t pending = 0, i = 0; /* [pending, i) is still to be packed */
    while (i + 64 <= n) {
        uint64_t word = load64(bits + i / 8);
        if (word != 0 && word != UINT64_MAX) {
            i += 64;
            continue;
        }
        uint32_t end = i + 64;
        while (end + 64 <= n && load64(bits + end / 8) == word)
            end += 64;
        at += put_packed_bits(out + at, bits, pending, i - pending);
        at += hybrid_run(out + at, (uint32_t)(word & 1), 1, end - i);
        pending = i = end;
    }
    return at + put_packed_bits(out + at, bits, pending, n - pending);
}

/*
 * Four 16-bit lanes of a word, each below 2^w, moved together to the word's low 4w bits: first
 * neighbours within the 32-bit halves, then the halves.
 */
static uint64_t squeeze(uint64_t x, int w) {
    const uint64_t even = 0x0000ffff0000ffffULL;
    uint64_t pairs = (x & even) | ((x >> 16) & even) << w;
    return (pairs & 0xffffffff) | (pairs >> 32) << (2 * w);
}

/* n, a multiple of 8, values of width w <= 16, lowest bit first. Writes up to 16 bytes too many. */
static size_t pack_u16(uint8_t *out, const uint16_t *v, uint32_t n, int w) {
    const uint8_t *from = (const uint8_t *)v;
    for (uint32_t i = 0; i < n; i += 8, from += 16, out += w) {
        unsigned __int128 low = squeeze(load64(from), w);
        unsigned __int128 high = squeeze(load64(from + 8), w);
        low |= high << (4 * w);
        memcpy(out, &low, 16);
    }
    return (size_t)n / 8 * (size_t)w;
}

static size_t put_packed_u16(uint8_t *out, const uint16_t *v, uint32_t n, int width) {
    if (n == 0)
        return 0;
    size_t at = put_packed_header(out, n);
    uint32_t whole = n & ~7u;
    at += pack_u16(out + at, v, whole, width);
    if (n > whole) {
        uint16_t last[8] = {0};
        memcpy(last, v + whole, (n - whole) * sizeof *v);
        at += pack_u16(out + at, last, 8, width);
    }
    return at;
}

/* Whether the 64 values all equal the first. */
static bool all_equal(const uint16_t *v) {
    const uint8_t *p = (const uint8_t *)v;
    uint64_t first = v[0] * 0x0001000100010001ULL;
    if (load64(p) != first)
        return false;
    uint64_t differ = 0;
    for (int i = 8; i < 128; i += 8)
        differ |= load64(p + i) ^ first;
    return differ == 0;
}

size_t hybrid_u16(uint8_t *out, const uint16_t *v, uint32_t n, int width) {
    size_t at = 0;
    uint32_t pending = 0, i = 0;
    while (i + 64 <= n) {
        if (!all_equal(v + i)) {
            i += 64;
            continue;
        }
        uint32_t end = i + 64;
        while (end < n && v[end] == v[i])
            end++;
        at += put_packed_u16(out + at, v + pending, i - pending, width);
        at += hybrid_run(out + at, v[i], width, end - i);
        pending = i = end;
    }
    return at + put_packed_u16(out + at, v + pending, n - pending, width);
}

/* Blocks of 128 deltas in 4 miniblocks, what every other writer has too. */
enum { BLOCK = 128, MINI = 32, MINIS = BLOCK / MINI };

/* 32 values of width w. */
static size_t pack_mini(uint8_t *out, const uint64_t *v, int w) {
    if (w == 0)
        return 0;
    if (w <= 16) {
        uint16_t narrow[MINI];
        for (int i = 0; i < MINI; i++)
            narrow[i] = (uint16_t)v[i];
        return pack_u16(out, narrow, MINI, w);
    }
    unsigned __int128 acc = 0;
    int bits = 0;
    size_t at = 0;
    for (int i = 0; i < MINI; i++) {
        acc |= (unsigned __int128)v[i] << bits;
        bits += w;
        if (bits >= 64) {
            store64(out + at, (uint64_t)acc);
            at += 8;
            acc >>= 64;
            bits -= 64;
        }
    }
    memcpy(out + at, &acc, 8); /* 32 values end on a multiple of 4 bytes */
    return at + (size_t)bits / 8;
}

/* One block: 1 … 128 deltas, the array filled up to 128 with anything. */
static size_t put_block(uint8_t *out, int64_t *delta, uint32_t n) {
    int64_t least = delta[0];
    for (uint32_t i = 1; i < n; i++)
        least = MIN(least, delta[i]);
    size_t at = put_varint(out, zigzag(least));
    uint8_t *widths = out + at;
    at += MINIS;
    for (uint32_t m = 0; m < MINIS; m++) {
        uint64_t above[MINI], all = 0;
        for (uint32_t i = 0; i < MINI; i++) {
            bool there = m * MINI + i < n;
            above[i] = there ? (uint64_t)delta[m * MINI + i] - (uint64_t)least : 0;
            all |= above[i];
        }
        widths[m] = (uint8_t)bit_width(all);
        at += pack_mini(out + at, above, widths[m]);
    }
    return at;
}

static size_t put_delta_header(uint8_t *out, uint32_t n, int64_t first) {
    size_t at = put_varint(out, BLOCK);
    at += put_varint(out + at, MINIS);
    at += put_varint(out + at, n);
    return at + put_varint(out + at, zigzag(first));
}

size_t delta_i32(uint8_t *out, const int32_t *v, uint32_t n) {
    size_t at = put_delta_header(out, n, v[0]);
    for (uint32_t i = 1; i < n; i += BLOCK) {
        int64_t delta[BLOCK];
        uint32_t count = MIN(n - i, (uint32_t)BLOCK);
        for (uint32_t k = 0; k < count; k++)
            delta[k] = (int64_t)v[i + k] - v[i + k - 1];
        at += put_block(out + at, delta, count);
    }
    return at;
}

size_t delta_i64(uint8_t *out, const int64_t *v, uint32_t n) {
    size_t at = put_delta_header(out, n, v[0]);
    for (uint32_t i = 1; i < n; i += BLOCK) {
        int64_t delta[BLOCK];
        uint32_t count = MIN(n - i, (uint32_t)BLOCK);
        for (uint32_t k = 0; k < count; k++)
            delta[k] = v[i + k] - v[i + k - 1];
        at += put_block(out + at, delta, count);
    }
    return at;
}
