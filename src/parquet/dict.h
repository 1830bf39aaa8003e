/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The distinct texts of a column, numbered in the order of their first appearance. `bytes` is the
 * content of the dictionary page as it is (Encodings.md, "Dictionary Encoding": PLAIN, a length of
 * 4 bytes before each text). Found by a hash table with linear probing; a text that meets a long
 * chain is refused, so that texts made to collide cost a larger file instead of time.
 */
#ifndef CM_PARQUET_DICT_H
#define CM_PARQUET_DICT_H

#include "parquet/format.h"

enum {
    DICT_BATCH = 64,      /* texts looked up at a time */
    DICT_MAX = 32768,     /* entries: their slots, twice as many, stay in the second-level cache */
    DICT_BYTES = 1 << 20, /* of texts */
    DICT_PROBES = 64,
};

struct dict_slot {
    uint16_t tag;  /* upper bits of the hash */
    uint16_t code; /* entry + 1; 0: free */
};

struct dict {
    struct dict_slot *slots;
    uint32_t *at; /* offset of each entry's length in `bytes` */
    char *bytes;
    uint32_t n, mask;
    size_t len, cap;
};

/* A value on its way into a column. */
struct text_value {
    const char *p;
    uint32_t len;
    uint32_t row;
};

/*
 * Looking texts up is waiting for memory: three loads, each of which tells where the next one goes.
 * For many texts at once the waits overlap. Sets each text's hash, and as guess the number + 1 of
 * the entry it likely is (0: none known); the entry's text is on its way into the cache.
 */
void dict_guess(const struct dict *d, const struct text_value *v, size_t n, uint64_t *ret_hash,
                uint16_t *ret_guess);

/* Whether the text is the entry. */
bool dict_is(const struct dict *d, uint32_t code, const struct text_value *v);

/* The number of the text, which is added if it is new; DICT_MAX if that is impossible. */
uint32_t dict_code(struct dict *d, const struct text_value *v, uint64_t hash);

/* An entry's text and length. */
const char *dict_text(const struct dict *d, uint32_t code, uint32_t *ret_len);

/* Makes `to` a copy. */
void dict_copy(struct dict *to, const struct dict *from);
size_t dict_memory(const struct dict *d); /* bytes */
void dict_reset(struct dict *d);
void dict_release(struct dict *d);

#endif
