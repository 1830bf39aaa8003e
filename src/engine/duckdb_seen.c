/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen_before(x), x a hash: whether the same x came before in this session. Never false where it
 * did; of two threads that ask for the same x at a time, one is the second. True without need for
 * hardly any x, or for many if there is not room enough for all.
 *
 * To find the few that repeat among millions of keys it takes a tenth of the time of a GROUP BY, and
 * six bytes a key: a hash table of 32 bits of each x, filled without locks, from which nothing is
 * ever removed. Where a slot's number stands for the lower bits of x, 23 for 5 M rows, two different
 * x are taken for one in 1 of 2^55 pairs.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "engine/duckdb_priv.h"

enum {
    SLOTS_MIN = 1 << 12,
    HUGE_PAGE = 2 * MIB,
    PROBES = 1000, /* slots looked at before x is taken for seen: the table is full */
    AHEAD = 16,    /* values whose slots are fetched from memory beforehand */
};

struct seen {
    struct seen *next;
    uint64_t id;
    uint64_t mask; /* number of slots - 1 */
    _Atomic uint32_t *slots;
};

static inline bool put(struct seen *s, uint64_t x) {
    uint32_t part = (uint32_t)(x >> 32);
    part += part == 0; /* 0 is a free slot */
    for (uint64_t i = 0; i < PROBES; i++) {
        _Atomic uint32_t *slot = &s->slots[(x + i) & s->mask];
        uint32_t there = atomic_load_explicit(slot, memory_order_relaxed);
        if (there == 0 && atomic_compare_exchange_strong_explicit(
                              slot, &there, part, memory_order_relaxed, memory_order_relaxed))
            return false;
        if (there == part)
            return true;
    }
    return true;
}

static void put_all(struct seen *s, const uint64_t *x, bool *ret, idx_t n) {
    for (idx_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            __builtin_prefetch((const void *)&s->slots[x[i + AHEAD] & s->mask], 1);
        ret[i] = put(s, x[i]);
    }
}

static struct seen *find(struct duck *du, uint64_t id) {
    pthread_mutex_lock(&du->lock);
    struct seen *s = du->seen;
    while (s && s->id != id)
        s = s->next;
    pthread_mutex_unlock(&du->lock);
    return s;
}

/* cm_seen(session, x). NULL for x is a value like any other. */
static void seen_function(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    idx_t n = duckdb_data_chunk_get_size(in);
    if (n == 0)
        return;
    const uint64_t *id = duckdb_vector_get_data(duckdb_data_chunk_get_vector(in, 0));
    struct seen *s = find(duckdb_scalar_function_get_extra_info(info), *id);
    if (!s) {
        duckdb_scalar_function_set_error(info, "seen_before: no such session");
        return;
    }
    put_all(s, duckdb_vector_get_data(duckdb_data_chunk_get_vector(in, 1)),
            duckdb_vector_get_data(out), n);
}

int seen_register(struct duck *du, duckdb_connection con, struct err *e) {
    static const struct sql_function seen = {"cm_seen",
                                             {DUCKDB_TYPE_UBIGINT, DUCKDB_TYPE_UBIGINT},
                                             .result = DUCKDB_TYPE_BOOLEAN,
                                             .every_row = true,
                                             .run = seen_function};
    return function_register(du, con, &seen, e);
}

/*
 * Zeros, written: a page that is looked at first, and written then, costs two faults, and the second
 * one stops the other threads. Huge pages spare most of the look-ups of addresses as well.
 */
static void *zero_slots(size_t bytes) {
    void *slots = NULL;
    if (posix_memalign(&slots, MIN((size_t)HUGE_PAGE, bytes), bytes) != 0)
        abort(); /* as xmalloc */
    madvise(slots, bytes, MADV_HUGEPAGE);
    return memset(slots, 0, bytes);
}

int seen_open(struct session *s, int64_t rows, struct err *e) {
    struct seen *seen = xcalloc(1, sizeof *seen);
    uint64_t slots = SLOTS_MIN, most = (uint64_t)s->du->o.memory_bytes / 4 / sizeof *seen->slots;
    while (slots < (uint64_t)rows + (uint64_t)rows / 2 && slots * 2 <= most)
        slots *= 2;
    seen->mask = slots - 1;
    seen->slots = zero_slots(slots * sizeof *seen->slots);
    seen->id = atomic_fetch_add(&s->du->jobs, 1);
    pthread_mutex_lock(&s->du->lock);
    seen->next = s->du->seen;
    s->du->seen = seen;
    pthread_mutex_unlock(&s->du->lock);
    s->seen = seen;
    return session_execf(s, e, "CREATE TEMP MACRO seen_before(x) AS cm_seen(%llu::UBIGINT, x)",
                         (unsigned long long)seen->id);
}

void seen_close(struct session *s) {
    if (!s->seen)
        return;
    pthread_mutex_lock(&s->du->lock);
    struct seen **at = &s->du->seen;
    while (*at != s->seen)
        at = &(*at)->next;
    *at = s->seen->next;
    pthread_mutex_unlock(&s->du->lock);
    free((void *)s->seen->slots);
    free(s->seen);
}
