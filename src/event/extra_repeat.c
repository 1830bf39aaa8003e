/* SPDX-License-Identifier: Apache-2.0 */
#include "event/extra_repeat.h"

#include "base/limits.h"

#include <assert.h>

/* Up to here comparing each with each is cheaper than a table. */
enum { FEW_MEMBERS = 12 };

/* `"name":` ends two bytes before the value. */
static inline uint32_t name_len(const struct extra_member *m) {
    return m->value - 2 - m->name;
}

/* Names in `out` have one spelling, so equal names are equal bytes. */
static bool same_name(const struct extra *x, const struct extra_member *a,
                      const struct extra_member *b) {
    return name_len(a) == name_len(b) &&
           memcmp(x->out.data + a->name, x->out.data + b->name, name_len(a)) == 0;
}

static void mark(struct extra *x, uint32_t first, uint32_t repeat) {
    x->members[first].use = repeat;
    x->members[repeat].use = MEMBER_DROP;
    x->any_edit = true;
}

static void mark_among_few(struct extra *x, uint32_t first) {
    const struct extra_member *m = x->members;
    for (uint32_t j = m[first].after; j < x->n; j = m[j].after)
        for (uint32_t i = first; i < j; i = m[i].after)
            if (same_name(x, &m[i], &m[j])) { /* the first of that name: they come in order */
                mark(x, i, j);
                break;
            }
}

/* Keyed, so that nobody outside can choose names that all fall into one place. */
static uint64_t hash_name(const struct extra *x, const struct extra_member *m) {
    const char *p = x->out.data + m->name;
    uint32_t len = name_len(m);
    uint64_t h = x->seed ^ len;
    for (;;) {
        uint64_t word = 0;
        memcpy(&word, p, MIN(len, 8u));
        unsigned __int128 product = (unsigned __int128)(h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h = (uint64_t)product ^ (uint64_t)(product >> 64) ^ x->seed;
        if (len <= 8)
            return h;
        p += 8;
        len -= 8;
    }
}

static void mark_among_many(struct extra *x, uint32_t first, uint32_t count) {
    size_t size = 32;
    while (size < 2 * (size_t)count)
        size *= 2;
    if (size > x->table_cap) {
        free(x->table);
        x->table = xmalloc(size * sizeof *x->table);
        x->table_cap = size;
    }
    memset(x->table, 0xff, size * sizeof *x->table); /* MEMBER_KEEP: empty */
    for (uint32_t j = first; j < x->n; j = x->members[j].after) {
        size_t at = (size_t)hash_name(x, &x->members[j]) & (size - 1);
        while (x->table[at] != MEMBER_KEEP &&
               !same_name(x, &x->members[x->table[at]], &x->members[j]))
            at = (at + 1) & (size - 1);
        if (x->table[at] == MEMBER_KEEP)
            x->table[at] = j;
        else
            mark(x, x->table[at], j);
    }
}

void extra_mark_repeats(struct extra *x, uint32_t first) {
    uint32_t count = 0;
    for (uint32_t i = first; i < x->n; i = x->members[i].after)
        count++;
    if (count <= FEW_MEMBERS)
        mark_among_few(x, first);
    else
        mark_among_many(x, first, count);
}

/* A stretch of `out` being copied, and the members that begin in it. */
struct stretch {
    uint32_t pos, end, member, member_end;
};

void extra_apply_marks(struct extra *x) {
    /* A value taken from elsewhere may hold such members itself, a level deeper each. */
    struct stretch stack[LIMIT_DEPTH + 1];
    size_t depth = 1;
    stack[0] = (struct stretch){.end = (uint32_t)x->out.len, .member_end = x->n};
    buf_reset(&x->edited);
    while (depth > 0) {
        struct stretch *s = &stack[depth - 1];
        if (s->member == s->member_end) {
            buf_add(&x->edited, x->out.data + s->pos, s->end - s->pos);
            depth--;
            continue;
        }
        const struct extra_member *m = &x->members[s->member];
        if (m->use == MEMBER_KEEP) {
            s->member++; /* the next one is the first nested in it, if there is any */
            continue;
        }
        uint32_t until = m->use == MEMBER_DROP ? m->start : m->value;
        buf_add(&x->edited, x->out.data + s->pos, until - s->pos);
        s->pos = m->value_end;
        s->member = m->after;
        if (m->use == MEMBER_DROP)
            continue;
        assert(depth < ARRAY_LEN(stack));
        const struct extra_member *from = &x->members[m->use];
        stack[depth++] = (struct stretch){from->value, from->value_end, m->use + 1, from->after};
    }
}
