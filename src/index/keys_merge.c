/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/mem.h"
#include "index/keys_priv.h"

enum { DIGIT = 11, DIGITS = 6 }; /* of a hash; 6 x 11 bits >= 64 */

/* By digits from the lowest on. An even number of passes: the keys end where they began. */
void keys_sort(struct key *v, struct key *scratch, size_t n) {
    uint32_t(*count)[1 << DIGIT] = xcalloc(DIGITS, sizeof *count);
    const uint64_t mask = (1 << DIGIT) - 1;
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < DIGITS; d++)
            count[d][v[i].hash >> d * DIGIT & mask]++;
    for (int d = 0; d < DIGITS; d++) {
        uint32_t sum = 0;
        for (size_t i = 0; i <= mask; i++) {
            uint32_t here = count[d][i];
            count[d][i] = sum;
            sum += here;
        }
        for (size_t i = 0; i < n; i++)
            scratch[count[d][v[i].hash >> d * DIGIT & mask]++] = v[i];
        struct key *t = v;
        v = scratch;
        scratch = t;
    }
    free(count);
}

/* A run read from its beginning to its end. */
struct source {
    struct run *run;
    uint64_t block; /* the next to read */
    size_t at, n;   /* in keys */
    struct key *keys;
};

/* Reads on; n = 0: it has ended. */
static int source_fill(const struct keys *k, struct source *s, struct err *e) {
    uint64_t left = run_blocks(s->run) - s->block;
    size_t blocks = (size_t)MIN(left, (uint64_t)WINDOW_BLOCKS);
    s->at = s->n = 0;
    if (blocks == 0)
        return 0;
    if (run_read(k, s->run, s->block, blocks, s->keys, e) < 0)
        return e->code;
    for (size_t i = 0; i < blocks; i++)
        s->n += block_keys(s->run, s->block + i);
    s->block += blocks;
    return 0;
}

/* A heap of the sources by their next hash: the smallest on top. */
static void heap_down(struct source **heap, size_t n, size_t at) {
    struct source *s = heap[at];
    uint64_t hash = s->keys[s->at].hash;
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && heap[child + 1]->keys[heap[child + 1]->at].hash <
                                 heap[child]->keys[heap[child]->at].hash)
            child++;
        if (heap[child]->keys[heap[child]->at].hash >= hash)
            break;
        heap[at] = heap[child];
    }
    heap[at] = s;
}

/* The top's keys up to the next smallest hash of another. */
static size_t stretch(struct source *const *heap, size_t n) {
    const struct source *top = heap[0];
    size_t at = top->at;
    uint64_t limit = UINT64_MAX;
    for (size_t child = 1; child < n && child <= 2; child++)
        limit = MIN(limit, heap[child]->keys[heap[child]->at].hash);
    do
        at++;
    while (at < top->n && top->keys[at].hash <= limit);
    return at - top->at;
}

static int merge_all(const struct keys *k, struct source **heap, size_t n, struct run_writer *w,
                     struct err *e) {
    for (size_t i = n / 2; i-- > 0;)
        heap_down(heap, n, i);
    while (n > 0) {
        struct source *top = heap[0];
        size_t take = stretch(heap, n);
        if (run_put(w, top->keys + top->at, take, e) < 0)
            return e->code;
        top->at += take;
        if (top->at == top->n && source_fill(k, top, e) < 0)
            return e->code;
        if (top->n == 0)
            heap[0] = heap[--n];
        if (n > 0)
            heap_down(heap, n, 0);
    }
    return 0;
}

static int merge_into(struct keys *k, size_t from, struct run *ret, struct err *e) {
    struct run_writer w;
    size_t n = k->n_runs - from, n_heap = 0;
    if (run_create(k, &w, e) < 0)
        return e->code;
    struct source *sources = xcalloc(n, sizeof *sources);
    struct source **heap = xcalloc(n, sizeof *heap);
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        struct source *s = &sources[i];
        s->run = &k->runs[from + i];
        s->keys = xmalloc(WINDOW_BLOCKS * BLOCK_KEYS * sizeof *s->keys);
        r = run_open(k, s->run, e);
        if (r == 0)
            r = source_fill(k, s, e);
        if (r == 0 && s->n > 0)
            heap[n_heap++] = s;
    }
    if (r == 0)
        r = merge_all(k, heap, n_heap, &w, e);
    if (r == 0)
        r = run_end(&w, ret, e);
    else
        run_abort(&w);
    for (size_t i = 0; i < n; i++)
        free(sources[i].keys);
    free(sources);
    free(heap);
    return r;
}

/* The oldest run that the newer ones together have outgrown. */
static size_t outgrown(const struct keys *k) {
    uint64_t newer = 0;
    for (size_t i = 0; i < k->n_runs; i++)
        newer += k->runs[i].keys;
    size_t i = 0;
    for (; i < k->n_runs; i++) {
        newer -= k->runs[i].keys;
        if (k->runs[i].keys <= newer)
            break;
    }
    return i;
}

int keys_merge(struct keys *k, struct err *e) {
    size_t from = outgrown(k);
    if (from == k->n_runs)
        return 0;
    struct run merged;
    if (merge_into(k, from, &merged, e) < 0)
        return e->code;
    k->dead = xrealloc(k->dead, (k->n_dead + k->n_runs - from) * sizeof *k->dead);
    for (size_t i = from; i < k->n_runs; i++) {
        k->dead[k->n_dead++] = k->runs[i].number;
        run_close(&k->runs[i]);
    }
    k->runs[from] = merged;
    k->n_runs = from + 1;
    return 0;
}
