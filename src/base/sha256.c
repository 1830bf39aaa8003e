/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#include <nettle/hmac.h>
#include <nettle/sha2.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(struct sha256),
               "struct sha256 holds the library's state");
_Static_assert(SHA256_LEN == SHA256_DIGEST_SIZE, "32 bytes");

static struct sha256_ctx *state(struct sha256 *h) {
    return (struct sha256_ctx *)(void *)h->opaque;
}

void sha256_begin(struct sha256 *h) {
    sha256_init(state(h));
}

void sha256_add(struct sha256 *h, const void *p, size_t n) {
    sha256_update(state(h), n, p);
}

void sha256_end(struct sha256 *h, unsigned char ret_digest[SHA256_LEN]) {
    sha256_digest(state(h), SHA256_LEN, ret_digest);
}

void sha256_of(const void *p, size_t n, unsigned char ret_digest[SHA256_LEN]) {
    struct sha256 h;
    sha256_begin(&h);
    sha256_add(&h, p, n);
    sha256_end(&h, ret_digest);
}

void hmac_sha256_of(const void *key, size_t key_len, const void *p, size_t n,
                    unsigned char ret_digest[SHA256_LEN]) {
    struct hmac_sha256_ctx c;
    hmac_sha256_set_key(&c, key_len, key);
    hmac_sha256_update(&c, n, p);
    hmac_sha256_digest(&c, SHA256_LEN, ret_digest);
}

void sha256_hex(const unsigned char digest[SHA256_LEN], char ret_hex[SHA256_HEX]) {
    for (size_t i = 0; i < SHA256_LEN; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
}
