/* SPDX-License-Identifier: Apache-2.0 */
/* Levels, indices and deltas: what is written must read back, in the room that was promised. */
#include <setjmp.h>
#include <stdarg.h>

#include "base/mem.h"
#include "parquet/decode.h"
#include "parquet/encoding.h"
#include <cmocka.h>

static const uint32_t sizes[] = {1,  2,   7,   8,   9,   31,  32,  33,   63,   64,    65,
                                 66, 127, 128, 129, 130, 191, 192, 1000, 4097, 131072};

static uint64_t random_state;

static uint64_t draw(void) { /* splitmix64 */
    uint64_t z = (random_state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/* Ways to fill a column, by the number of the value. */
enum pattern {
    SAME,
    ALTERNATING,
    ONE_DIFFERS,
    LAST_DIFFERS,
    LONG_RUNS,
    ANY,
    RUNS_OF_ANY,
    PATTERNS
};

static uint32_t value_of(enum pattern p, uint32_t i, uint32_t n, uint32_t most) {
    switch (p) {
    case SAME:
        return most;
    case ALTERNATING:
        return i % 2 ? most : 0;
    case ONE_DIFFERS:
        return i == n / 2 ? most : 0;
    case LAST_DIFFERS:
        return i == n - 1 ? 0 : most;
    case LONG_RUNS:
        return i / 100 % 2 ? most : most / 2;
    case ANY:
        return (uint32_t)draw() & most;
    default:
        return (i / 70 % 2 ? i / 70 * 77 : (uint32_t)draw()) & most;
    }
}

static void check_bits(enum pattern p, uint32_t n) {
    uint8_t *bits = xcalloc(n / 8 + 1, 1);
    uint32_t *want = xcalloc(n, sizeof *want), *found = xcalloc(n, sizeof *found);
    for (uint32_t i = 0; i < n; i++) {
        want[i] = value_of(p, i, n, 1);
        bits[i / 8] |= (uint8_t)(want[i] << i % 8);
    }
    if (n % 8) /* what stands behind the last value must not matter */
        bits[n / 8] |= (uint8_t)(0xff << n % 8);
    uint8_t *whole = xmalloc((n + 7) / 8); /* not a byte more may be read */
    memcpy(whole, bits, (n + 7) / 8);
    uint8_t *out = xmalloc(HYBRID_BITS_BOUND(n));
    size_t len = hybrid_bits(out, whole, n);
    struct reader r = {out, out + len};
    read_hybrid(&r, 1, n, found);
    assert_ptr_equal(r.p, r.end);
    assert_memory_equal(found, want, n * sizeof *want);
    free(bits);
    free(whole);
    free(out);
    free(want);
    free(found);
}

static void definition_levels_read_back(void **state) {
    (void)state;
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
        for (int p = 0; p < PATTERNS; p++)
            check_bits((enum pattern)p, sizes[s]);
    for (uint32_t n = 1; n < 300; n++)
        check_bits(RUNS_OF_ANY, n);
}

static size_t check_codes(enum pattern p, uint32_t n, int width) {
    uint16_t *v = xmalloc(n * sizeof *v);
    uint32_t *want = xcalloc(n, sizeof *want), *found = xcalloc(n, sizeof *found);
    for (uint32_t i = 0; i < n; i++)
        v[i] = (uint16_t)(want[i] = value_of(p, i, n, (1u << width) - 1));
    uint8_t *out = xmalloc(HYBRID_BOUND(n, width));
    size_t len = hybrid_u16(out, v, n, width);
    struct reader r = {out, out + len};
    read_hybrid(&r, width, n, found);
    assert_ptr_equal(r.p, r.end);
    assert_memory_equal(found, want, n * sizeof *want);
    free(v);
    free(out);
    free(want);
    free(found);
    return len;
}

static void indices_read_back_at_every_width(void **state) {
    (void)state;
    for (int width = 1; width <= 16; width++)
        for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
            for (int p = 0; p < PATTERNS; p++)
                check_codes((enum pattern)p, sizes[s], width);
}

static void runs_take_a_few_bytes(void **state) {
    (void)state;
    assert_in_range(check_codes(SAME, 131072, 15), 1, 8);
    uint8_t out[HYBRID_RUN_BOUND], bits[1024];
    memset(bits, 0xff, sizeof bits);
    uint8_t packed[HYBRID_BITS_BOUND(8192)];
    assert_in_range(hybrid_bits(packed, bits, 8192), 1, 4);
    for (int width = 0; width <= 16; width++) {
        uint32_t found[1000], value = (1u << width) - 1;
        size_t len = hybrid_run(out, value, width, 1000);
        struct reader r = {out, out + len};
        read_hybrid(&r, width, 1000, found);
        assert_ptr_equal(r.p, r.end);
        assert_int_equal(found[0], value);
        assert_int_equal(found[999], value);
    }
}

/* Series whose range stays within the contract; `wide`: up to its end. */
static int64_t series(int kind, uint32_t i, int bits) {
    int64_t most = bits == 32 ? INT32_MAX : INT64_MAX;
    switch (kind) {
    case 0:
        return 42;
    case 1:
        return (int64_t)i;
    case 2:
        return most - (int64_t)i * 3;
    case 3:
        return i % 2 ? most : 0;
    case 4:
        return i % 2 ? -1 : most - 1; /* the widest range there is */
    case 5:
        return i % 2 ? -(most / 2) - 1 : most / 2;
    case 6:
        return (int64_t)(draw() & (uint64_t)most);
    case 7:
        return (int64_t)(draw() % 100);
    case 8:
        return (int64_t)i * 1000 + (int64_t)(draw() % (1u << i / 128 % 20));
    default:
        return i == 500 ? most : 0;
    }
}

static size_t check_delta(int kind, uint32_t n, int bits) {
    int64_t *want = xmalloc(n * sizeof *want), *found = xmalloc(n * sizeof *found);
    int32_t *narrow = xmalloc(n * sizeof *narrow);
    for (uint32_t i = 0; i < n; i++)
        narrow[i] = (int32_t)(want[i] = series(kind, i, bits));
    uint8_t *out = xmalloc(DELTA_BOUND(n, (size_t)bits / 8));
    size_t len = bits == 32 ? delta_i32(out, narrow, n) : delta_i64(out, want, n);
    struct reader r = {out, out + len};
    read_delta(&r, bits, n, found);
    assert_ptr_equal(r.p, r.end);
    assert_memory_equal(found, want, n * sizeof *want);
    free(want);
    free(found);
    free(narrow);
    free(out);
    return len;
}

static void deltas_read_back(void **state) {
    (void)state;
    for (int kind = 0; kind < 10; kind++) {
        for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
            check_delta(kind, sizes[s], 32);
            check_delta(kind, sizes[s], 64);
        }
    }
    assert_in_range(check_delta(1, 131072, 64), 1, 131072 / 128 * 5 + 20);
}

static void random_deltas_of_every_width_read_back(void **state) {
    (void)state;
    for (int width = 0; width < 64; width++) {
        enum { N = 300 };
        int64_t want[N], found[N];
        uint8_t out[DELTA_BOUND(N, 8)];
        for (int i = 0; i < N; i++)
            want[i] = (int64_t)(width ? draw() >> (64 - width) : 0);
        struct reader r = {out, out + delta_i64(out, want, N)};
        read_delta(&r, 64, N, found);
        assert_ptr_equal(r.p, r.end);
        assert_memory_equal(found, want, sizeof want);
    }
}

static void widths(void **state) {
    (void)state;
    assert_int_equal(bit_width(0), 0);
    assert_int_equal(bit_width(1), 1);
    assert_int_equal(bit_width(255), 8);
    assert_int_equal(bit_width(256), 9);
    assert_int_equal(bit_width(UINT64_MAX), 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(definition_levels_read_back),
        cmocka_unit_test(indices_read_back_at_every_width),
        cmocka_unit_test(runs_take_a_few_bytes),
        cmocka_unit_test(deltas_read_back),
        cmocka_unit_test(random_deltas_of_every_width_read_back),
        cmocka_unit_test(widths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
