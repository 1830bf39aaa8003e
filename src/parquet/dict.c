/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/dict.h"

#include "base/mem.h"
#include "parquet/bytes.h"

enum { FIRST_SLOTS = 64, FIRST_BYTES = 512 };

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
        a = n ? (uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 : 0;
        b = n ? (uint8_t)p[n - 1] : 0;
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

void dict_guess(const struct dict *d, const struct text_value *v, size_t n, uint64_t *ret_hash,
                uint16_t *ret_guess) {
    for (size_t i = 0; i < n; i++) {
        ret_hash[i] = hash_text(v[i].p, v[i].len);
        if (d->slots)
            __builtin_prefetch(&d->slots[ret_hash[i] & d->mask]);
    }
    for (size_t i = 0; i < n; i++) {
        ret_guess[i] = 0;
        if (!d->slots)
            continue;
        uint16_t tag = (uint16_t)(ret_hash[i] >> 48);
        uint32_t at = (uint32_t)ret_hash[i] & d->mask;
        for (int probes = 1; probes < DICT_PROBES && d->slots[at].code && d->slots[at].tag != tag;
             probes++)
            at = (at + 1) & d->mask;
        ret_guess[i] = d->slots[at].code;
        if (ret_guess[i])
            __builtin_prefetch(d->bytes + d->at[ret_guess[i] - 1]);
    }
}

bool dict_is(const struct dict *d, uint32_t code, const struct text_value *v) {
    const char *entry = d->bytes + d->at[code];
    return load32(entry) == v->len && same_text(entry + 4, v->p, v->len);
}

uint32_t dict_code(struct dict *d, const struct text_value *v, uint64_t hash) {
    if (!d->slots)
        return add(d, hash, v->p, v->len);
    uint16_t tag = (uint16_t)(hash >> 48);
    uint32_t i = (uint32_t)hash & d->mask;
    for (int probes = 0; probes < DICT_PROBES; probes++, i = (i + 1) & d->mask) {
        struct dict_slot s = d->slots[i];
        if (!s.code)
            return add(d, hash, v->p, v->len);
        if (s.tag == tag && dict_is(d, s.code - 1u, v))
            return s.code - 1u;
    }
    return DICT_MAX;
}

const char *dict_text(const struct dict *d, uint32_t code, uint32_t *ret_len) {
    const char *entry = d->bytes + d->at[code];
    *ret_len = load32(entry);
    return entry + 4;
}

void dict_copy(struct dict *to, const struct dict *from) {
    dict_reset(to);
    for (uint32_t i = 0; i < from->n; i++) {
        uint32_t len;
        const char *p = dict_text(from, i, &len);
        add(to, hash_text(p, len), p, len);
    }
}

size_t dict_memory(const struct dict *d) {
    size_t slots = d->slots ? d->mask + 1 : 0;
    return slots * sizeof *d->slots + slots / 2 * sizeof *d->at + d->cap;
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
