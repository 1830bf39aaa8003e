/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 against the vectors of FIPS 180-4's examples, in one piece and in many. */
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check(const char *text, const char *hex) {
    unsigned char whole[SHA256_LEN], pieces[SHA256_LEN];
    char shown[2 * SHA256_LEN + 1];
    sha256_of(text, strlen(text), whole);
    for (size_t i = 0; i < SHA256_LEN; i++)
        snprintf(shown + 2 * i, 3, "%02x", whole[i]);
    assert_string_equal(shown, hex);
    struct sha256 h;
    sha256_begin(&h);
    for (const char *p = text; *p; p++)
        sha256_add(&h, p, 1);
    sha256_end(&h, pieces);
    assert_memory_equal(pieces, whole, sizeof whole);
}

static void test_vectors(void **state) {
    (void)state;
    check("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
