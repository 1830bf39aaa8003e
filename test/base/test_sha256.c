/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 against the vectors of FIPS 180-4's examples, in one piece and in many; HMAC against RFC 4231's. */
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

static void check_hmac(const void *key, size_t key_len, const char *text, const char *hex) {
    unsigned char digest[SHA256_LEN];
    char shown[SHA256_HEX];
    hmac_sha256_of(key, key_len, text, strlen(text), digest);
    sha256_hex(digest, shown);
    assert_string_equal(shown, hex);
}

/* Test cases 1, 2 and 6: a short key, a text for a key, a key longer than a block. */
static void test_hmac(void **state) {
    (void)state;
    unsigned char key[131];
    memset(key, 0x0b, 20);
    check_hmac(key, 20, "Hi There",
               "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    check_hmac("Jefe", 4, "what do ya want for nothing?",
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    check_hmac(key, sizeof key, "Test Using Larger Than Block-Size Key - Hash Key First",
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_hmac)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
