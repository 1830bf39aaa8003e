/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen_before(x), x a hash: whether the same x may have come before in this session. Never false
 * where it has; true by chance for about one in a thousand of as many values as the session's
 * inputs have rows. To find what repeats among millions of keys this takes a tenth of the time of a
 * GROUP BY, and three bytes a key.
 *
 * It is a Bloom filter of 64-bit words (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient
 * Bloom Filters, 2009): a value's bits all lie in one word, so that one atomic "or" both asks
 * and tells. Of two threads with the same value one is the second.
 */
#include "engine/duckdb_priv.h"

enum {
    BITS = 3,            /* of a word, for each value */
    WORD_VALUES_LOG = 1, /* words are at least the rows / 2^this */
    WORDS_MIN = 1 << 10,
    WORDS_MAX = 1 << 24, /* 128 MiB */
    AHEAD = 16,          /* values whose words are fetched from memory beforehand */
};

struct seen {
    struct seen *next;
    uint64_t id;
    uint64_t mask; /* number of words - 1 */
    _Atomic uint64_t *words;
};

static inline uint64_t bits_of(uint64_t x) {
    uint64_t bits = 0;
    for (int i = 0; i < BITS; i++)
        bits |= 1ULL << (x >> 6 * i & 63);
    return bits;
}

/* The low bits choose bits within the word, the high ones the word. */
static inline uint64_t word_of(const struct seen *s, uint64_t x) {
    return x >> 24 & s->mask;
}

static void ask(struct seen *s, const uint64_t *x, bool *ret, idx_t n) {
    for (idx_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            __builtin_prefetch((const void *)&s->words[word_of(s, x[i + AHEAD])], 1);
        uint64_t bits = bits_of(x[i]);
        uint64_t before =
            atomic_fetch_or_explicit(&s->words[word_of(s, x[i])], bits, memory_order_relaxed);
        ret[i] = (before & bits) == bits;
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
    ask(s, duckdb_vector_get_data(duckdb_data_chunk_get_vector(in, 1)), duckdb_vector_get_data(out),
        n);
}

int seen_register(struct duck *du, duckdb_connection con, struct err *e) {
    duckdb_scalar_function f = duckdb_create_scalar_function();
    duckdb_logical_type number = duckdb_create_logical_type(DUCKDB_TYPE_UBIGINT);
    duckdb_logical_type truth = duckdb_create_logical_type(DUCKDB_TYPE_BOOLEAN);
    duckdb_scalar_function_set_name(f, "cm_seen");
    duckdb_scalar_function_add_parameter(f, number);
    duckdb_scalar_function_add_parameter(f, number);
    duckdb_scalar_function_set_return_type(f, truth);
    duckdb_scalar_function_set_special_handling(f);
    duckdb_scalar_function_set_volatile(f);
    duckdb_scalar_function_set_extra_info(f, du, NULL);
    duckdb_scalar_function_set_function(f, seen_function);
    bool done = duckdb_register_scalar_function(con, f) == DuckDBSuccess;
    duckdb_destroy_logical_type(&number);
    duckdb_destroy_logical_type(&truth);
    duckdb_destroy_scalar_function(&f);
    return done ? 0 : err_set(e, ERR_ENGINE, "DuckDB does not take the function cm_seen");
}

int seen_open(struct session *s, int64_t rows, struct err *e) {
    struct seen *seen = xcalloc(1, sizeof *seen);
    uint64_t words = WORDS_MIN;
    while (words < (uint64_t)rows >> WORD_VALUES_LOG && words < WORDS_MAX)
        words *= 2;
    seen->mask = words - 1;
    seen->words = xcalloc(words, sizeof *seen->words);
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
    free((void *)s->seen->words);
    free(s->seen);
}
