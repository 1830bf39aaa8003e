/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers that are the same for the same seed on every machine: xoshiro256** 1.0, seeded by
 * splitmix64 (Blackman and Vigna, prng.di.unimi.it). Not for secrets.
 */
#ifndef CM_FLOW_PRNG_H
#define CM_FLOW_PRNG_H

struct prng {
    uint64_t s[4];
};

static inline void prng_seed(struct prng *p, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        p->s[i] = z ^ (z >> 31);
    }
}

static inline uint64_t prng_rotl(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

static inline uint64_t prng_next(struct prng *p) {
    uint64_t result = prng_rotl(p->s[1] * 5, 7) * 9, t = p->s[1] << 17;
    p->s[2] ^= p->s[0];
    p->s[3] ^= p->s[1];
    p->s[1] ^= p->s[2];
    p->s[0] ^= p->s[3];
    p->s[2] ^= t;
    p->s[3] = prng_rotl(p->s[3], 45);
    return result;
}

/* 0 … n-1; n > 0. Lemire's multiplication; the bias of n / 2^64 does not matter here. */
static inline uint64_t prng_below(struct prng *p, uint64_t n) {
    return (uint64_t)(((unsigned __int128)prng_next(p) * n) >> 64);
}

/* 0 <= x < 1 */
static inline double prng_double(struct prng *p) {
    return (double)(prng_next(p) >> 11) * 0x1.0p-53;
}

static inline bool prng_chance(struct prng *p, double probability) {
    return probability > 0 && prng_double(p) < probability;
}

#endif
