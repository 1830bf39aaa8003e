/* SPDX-License-Identifier: Apache-2.0 */
/* The fast byte loops against the plain ones, at every offset and length. */
#include "event/bytes.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t next_random(void) {
    static uint64_t x = 88172645463325252;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

/* In a block of exactly n bytes, so that a sanitizer sees a read outside. */
static void compare(const char *bytes, size_t n) {
    char *p = xmalloc(n);
    memcpy(p, bytes, n);
    assert_ptr_equal(utf8_scan(p, p + n), utf8_scan_portable(p, p + n));
    assert_ptr_equal(string_scan(p, p + n), string_scan_portable(p, p + n));
    const char *step = string_scan_step(p, p + n);
    if (step)
        assert_ptr_equal(step, string_scan_portable(p, p + n));
    free(p);
}

static void test_one_byte(void **state) {
    (void)state;
    char bytes[150];
    for (size_t n = 0; n <= sizeof bytes; n++)
        for (size_t at = 0; at < n; at += 1 + n / 20)
            for (int c = 0; c < 256; c++) {
                memset(bytes, 'x', sizeof bytes);
                bytes[at] = (char)c;
                compare(bytes, n);
            }
}

static void test_mixed(void **state) {
    (void)state;
    static const char *const parts[] = {"a",
                                        "some plain text of more than a step",
                                        "\xc3\xa9",
                                        "\xe6\x97\xa5",
                                        "\xf0\x9f\x98\x80",
                                        "\"",
                                        "\\",
                                        "\x1f",
                                        "\x7f",
                                        "\xed\xa0\x80",
                                        "\xc0",
                                        "\xff",
                                        "\xf4\x90\x80\x80"};
    for (int round = 0; round < 20000; round++) {
        char bytes[400];
        size_t n = 0, kinds = 5 + (round % 4 == 0) * (ARRAY_LEN(parts) - 5);
        while (n < 300 && next_random() % 30 != 0) {
            const char *part = parts[next_random() % kinds];
            memcpy(bytes + n, part, strlen(part));
            n += strlen(part);
        }
        compare(bytes, n);
        if (n > 2)
            compare(bytes + 1, n - 2);
    }
}

static void test_put(void **state) {
    (void)state;
    static const uint32_t codes[] = {0,      0x41,   0x7f,   0x80,    0x7ff,   0x800,
                                     0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff};
    static const size_t lens[] = {1, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        char out[4];
        assert_int_equal(utf8_put(out, codes[i]) - out, lens[i]);
        assert_ptr_equal(utf8_scan_portable(out, out + lens[i]), out + lens[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_byte),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
