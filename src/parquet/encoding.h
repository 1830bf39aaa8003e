/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers -> bytes, by parquet-format's Encodings.md:
 *   hybrid_*  "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)": definition levels (width 1) and
 *             indices of a dictionary. Runs of equal values take a few bytes whatever their length.
 *   delta_*   "Delta Encoding (DELTA_BINARY_PACKED = 5)": offsets and times, which grow by about
 *             the same step, take a few bits or none.
 * Each writes to `out` and returns the bytes written. The _BOUND of a function says how much room
 * it needs; some write (meaningless) bytes behind the returned length but within the bound.
 */
#ifndef CM_PARQUET_ENCODING_H
#define CM_PARQUET_ENCODING_H

/* Bits that hold 0 … v. */
int bit_width(uint64_t v);

size_t put_varint(uint8_t *out, uint64_t v); /* ULEB128 of Encodings.md, at most 10 bytes */

/* n times the same value, 0 … 2^16-1, 0 <= width <= 16. */
#define HYBRID_RUN_BOUND 16
size_t hybrid_run(uint8_t *out, uint32_t value, int width, uint32_t n);

/* The first n bits (lowest of each byte first) as values of width 1. Reads whole bytes only. */
#define HYBRID_BITS_BOUND(n) ((n) / 8 + 48)
size_t hybrid_bits(uint8_t *out, const uint8_t *bits, uint32_t n);

/* n values below 2^width, 1 <= width <= 16. */
#define HYBRID_BOUND(n, width) ((size_t)(n) * (size_t)(width) / 8 + 64)
size_t hybrid_u16(uint8_t *out, const uint16_t *v, uint32_t n, int width);

/*
 * n >= 1 values whose range (largest - smallest) is below 2^31 (delta_i32) or 2^63 (delta_i64), so
 * that no difference overflows: readers do not agree on what happens then.
 */
#define DELTA_BOUND(n, size) (((size_t)(n) + 128) * (size) + ((size_t)(n) / 128 + 2) * 16 + 64)
size_t delta_i32(uint8_t *out, const int32_t *v, uint32_t n);
size_t delta_i64(uint8_t *out, const int64_t *v, uint32_t n);

#endif
