/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing, at most half full. */
#include "table/strmap.h"

#include "base/mem.h"

/* FNV-1a. The keys are our own paths and ids: nobody gains by making them collide. */
static uint64_t hash_of(const char *key) {
    uint64_t h = 0xcbf29ce484222325u;
    for (const unsigned char *p = (const unsigned char *)key; *p; p++)
        h = (h ^ *p) * 0x100000001b3u;
    return h;
}

/* The slot that holds the key, or the free one where it belongs. */
static struct strmap_slot *slot_of(const struct strmap *m, const char *key, uint64_t hash) {
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct strmap_slot *s = &m->slots[i];
        if (!s->key || (s->hash == hash && strcmp(s->key, key) == 0))
            return s;
    }
}

static void grow(struct strmap *m) {
    struct strmap bigger = {.cap = m->cap ? m->cap * 2 : 16, .n = m->n};
    bigger.slots = xcalloc(bigger.cap, sizeof *bigger.slots);
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].key)
            *slot_of(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
    free(m->slots);
    *m = bigger;
}

bool strmap_get(const struct strmap *m, const char *key, size_t *ret_value) {
    if (m->n == 0)
        return false;
    const struct strmap_slot *s = slot_of(m, key, hash_of(key));
    if (s->key && ret_value)
        *ret_value = s->value;
    return s->key != NULL;
}

void strmap_set(struct strmap *m, const char *key, size_t value) {
    if (m->n * 2 >= m->cap)
        grow(m);
    uint64_t hash = hash_of(key);
    struct strmap_slot *s = slot_of(m, key, hash);
    if (!s->key)
        m->n++;
    *s = (struct strmap_slot){.key = key, .hash = hash, .value = value};
}

void strmap_remove(struct strmap *m, const char *key) {
    if (m->n == 0)
        return;
    struct strmap_slot *s = slot_of(m, key, hash_of(key));
    if (!s->key)
        return;
    s->key = NULL;
    m->n--;
    /* What follows without a gap may have been pushed here past the freed slot: place it again. */
    size_t mask = m->cap - 1;
    for (size_t i = ((size_t)(s - m->slots) + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
        struct strmap_slot moved = m->slots[i];
        m->slots[i].key = NULL;
        *slot_of(m, moved.key, moved.hash) = moved;
    }
}

void strmap_release(struct strmap *m) {
    free(m->slots);
    *m = (struct strmap){0};
}
