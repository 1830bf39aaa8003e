/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/totals.h"

#include "base/mem.h"

void txn_list_add(struct txn_list *l, char *app_id, int64_t expected, int64_t next) {
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 8;
        l->v = xrealloc(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n++] = (struct table_txn){app_id, expected, next};
}

void txn_list_release(struct txn_list *l) {
    for (size_t i = 0; i < l->n; i++)
        free((char *)(uintptr_t)l->v[i].app_id);
    free(l->v);
    *l = (struct txn_list){0};
}

char *replay_position(const struct table *bronze) {
    const char *id = table_id(bronze);
    return xasprintf("replay/%s", id ? id : "");
}

int64_t replay_total(const struct table *bronze) {
    _cleanup_(freep) char *position = replay_position(bronze);
    return MAX(table_txn(bronze, position), 0);
}

static char *total_id(const char *position, const char *name) {
    return xasprintf("%s#%s", position, name);
}

int64_t total_of(const struct table *tb, const char *position, const char *name) {
    _cleanup_(freep) char *id = total_id(position, name);
    return table_txn(tb, id);
}

void total_start(struct txn_list *l, const char *position, const char *name, int64_t value) {
    txn_list_add(l, total_id(position, name), -1, value);
}

void total_set(struct txn_list *l, const struct table *tb, const char *position, const char *name,
               int64_t value) {
    int64_t before = total_of(tb, position, name);
    if (value != before)
        txn_list_add(l, total_id(position, name), before, value);
}

void total_grow(struct txn_list *l, const struct table *tb, const char *position, const char *name,
                int64_t more) {
    if (more == 0)
        return;
    int64_t before = total_of(tb, position, name);
    txn_list_add(l, total_id(position, name), before, MAX(before, 0) + more);
}
