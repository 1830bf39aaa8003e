/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a text to a number: finds a file by path and a txn by appId. Keys are borrowed: they must
 * live, and stay where they are, as long as they are in the map.
 */
#ifndef CM_TABLE_STRMAP_H
#define CM_TABLE_STRMAP_H

struct strmap_slot {
    const char *key; /* NULL: free */
    uint64_t hash;
    size_t value;
};

/* {0} is an empty map. */
struct strmap {
    struct strmap_slot *slots;
    size_t n, cap; /* cap: a power of two, or 0 */
};

bool strmap_get(const struct strmap *m, const char *key, size_t *ret_value); /* ret may be NULL */
void strmap_set(struct strmap *m, const char *key, size_t value); /* replaces key and value */
void strmap_remove(struct strmap *m, const char *key);            /* absent: nothing */
void strmap_release(struct strmap *m);

#endif
