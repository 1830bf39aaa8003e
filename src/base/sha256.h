/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4), for the event key and wherever a digest is asked for, and the HMAC made of
 * it. A thin face over one library (docs/decisions/), so that no other file knows which: only
 * sha256.c includes it.
 */
#ifndef CM_BASE_SHA256_H
#define CM_BASE_SHA256_H

enum { SHA256_LEN = 32 };

/* Plain data, may live on the stack; nothing to release. */
struct sha256 {
    _Alignas(16) unsigned char opaque[128];
};

void sha256_begin(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *p, size_t n);
void sha256_end(struct sha256 *h, unsigned char ret_digest[SHA256_LEN]);

/* The digest of one piece of memory. */
void sha256_of(const void *p, size_t n, unsigned char ret_digest[SHA256_LEN]);

/* HMAC-SHA-256 (RFC 2104). */
void hmac_sha256_of(const void *key, size_t key_len, const void *p, size_t n,
                    unsigned char ret_digest[SHA256_LEN]);

enum { SHA256_HEX = 2 * SHA256_LEN + 1 };
void sha256_hex(const unsigned char digest[SHA256_LEN], char ret_hex[SHA256_HEX]); /* lower case */

#endif
