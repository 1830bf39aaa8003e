/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/dict.h"

#include "base/mem.h"
#include "parquet/bytes.h"

enum { FIRST_SLOTS = 1024, FIRST_BYTES = 16 * KIB };

/* Folds the 128-bit product: every bit of both factors reaches every bit of the result. */
static inline uint64_t mix(uint64_t a, uint64_t b) {
    unsigned __int128 r = (unsigned __int128)a * b;
    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

static inline uint64_t hash_text(const char *p, uint32_t n) {
    const uint64_t k0 = 0x9e3779b97f4a7c15ULL, k1 = 0xd6e8feb86659fd93ULL;
    uint64_t a, b, h = n * k1;
    if (n >= 16) {
        for (uint32_t i = 0; i + 16 < n; i += 16)
            h = mix(load64(p + i) ^ k0, load64(p + i + 8) ^ h);
        a = load64(p + n - 16);
        b = load64(p + n - 8);
    } else if (n >= 8) {
        a = load64(p);
        b = load64(p + n - 8);
    } else if (n >= 4) {
        a = load32(p);
        b = load32(p + n - 4);
    } else {
        a = n ? (uint64_t)(uint8_t)p[0] << 16 | (uint64_t)(uint8_t)p[n / 2] << 8 | (uint8_t)p[n - 1] : 0;
        b = 0;
    }
    return mix(a ^ k0, b ^ h ^ k1);
}

static void put_slot(struct dict *d, uint64_t hash, uint16_t code) {
    uint32_t i = (uint32_t)hash & d->mask;
    while (d->slots[i].code)
        i = (i + 1) & d->mask;
    d->slots[i] = (struct dict_slot){(uint16_t)(hash >> 48), code};
}

/* Starts the tables, or doubles them. */
static void grow(struct dict *d) {
    uint32_t slots = d->slots ? 2 * (d->mask + 1) : FIRST_SLOTS;
    free(d->slots);
    d->slots = xcalloc(slots, sizeof *d->slots);
    d->mask = slots - 1;
    d->at = xrealloc(d->at, slots / 2 * sizeof *d->at);
    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t len;
        const char *p = dict_text(d, i, &len);
        put_slot(d, hash_text(p, len), (uint16_t)(i + 1));
    }
}

/* The table is at most half full; room for the text is there or made. */
static bool make_room(struct dict *d, uint32_t len) {
    if (d->n >= DICT_MAX || d->len + 4 + len > DICT_BYTES)
        return false;
    if (!d->slots || d->n >= (d->mask + 1) / 2)
        grow(d);
    if (d->len + 4 + len > d->cap) {
        d->cap = MAX(2 * d->cap, (size_t)FIRST_BYTES);
        while (d->cap < d->len + 4 + len)
            d->cap *= 2;
        d->bytes = xrealloc(d->bytes, d->cap);
    }
    return true;
}

static uint32_t add(struct dict *d, uint64_t hash, const char *p, uint32_t len) {
    if (!make_room(d, len))
        return DICT_MAX;
    d->at[d->n] = (uint32_t)d->len;
    store32(d->bytes + d->len, len);
    copy_text(d->bytes + d->len + 4, p, len);
    d->len += 4 + len;
    d->n++;
    put_slot(d, hash, (uint16_t)d->n);
    return d->n - 1;
}

uint32_t dict_code(struct dict *d, const char *p, uint32_t len) {
    uint64_t hash = hash_text(p, len);
    if (!d->slots)
        return add(d, hash, p, len);
    uint16_t tag = (uint16_t)(hash >> 48);
    uint32_t i = (uint32_t)hash & d->mask;
    for (int probes = 0; probes < DICT_PROBES; probes++, i = (i + 1) & d->mask) {
        struct dict_slot s = d->slots[i];
        if (!s.code)
            return add(d, hash, p, len);
        if (s.tag != tag)
            continue;
        const char *entry = d->bytes + d->at[s.code - 1];
        if (load32(entry) == len && same_text(entry + 4, p, len))
            return s.code - 1u;
    }
    return DICT_MAX;
}

const char *dict_text(const struct dict *d, uint32_t code, uint32_t *ret_len) {
    const char *entry = d->bytes + d->at[code];
    *ret_len = load32(entry);
    return entry + 4;
}

void dict_reset(struct dict *d) {
    if (d->slots)
        memset(d->slots, 0, (d->mask + 1) * sizeof *d->slots);
    d->n = 0;
    d->len = 0;
}

void dict_release(struct dict *d) {
    free(d->slots);
    free(d->at);
    free(d->bytes);
    *d = (struct dict){0};
}
