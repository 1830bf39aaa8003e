/* SPDX-License-Identifier: Apache-2.0 */
/* The first part of reconcile: a file that a log names and that is gone is a loss, and named. */
#include "flow/reconcile_priv.h"

/* The folder of a path within the table, "" for its own; the length with the slash. */
static size_t folder_len(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

static int compare_name(const void *key, const void *entry) {
    return strcmp(key, ((const struct storage_entry *)entry)->name);
}

struct missing {
    int64_t n;
    char *first, *why;
};

static void look_for(const struct table *tb, const struct table_file *f,
                     const struct storage_entries *l, struct missing *m) {
    const char *name = f->path + folder_len(f->path);
    const struct storage_entry *found =
        l->n ? bsearch(name, l->v, l->n, sizeof *l->v, compare_name) : NULL;
    if (found && (f->size < 0 || found->size == f->size))
        return;
    if (m->n++ > 0)
        return;
    m->first = xasprintf("%s/%s", table_definition(tb)->name, f->path);
    m->why = found
                 ? xasprintf("has %lld bytes, not %lld", (long long)found->size, (long long)f->size)
                 : xstrdup("is gone");
}

/* The live files are sorted by path, so those of one folder stand together. */
static int look_through(struct reconcile *rc, struct table *tb, struct missing *m, struct err *e) {
    const struct table_files *live = table_live(tb);
    for (size_t i = 0, end; i < live->n; i = end) {
        size_t len = folder_len(live->v[i].path);
        for (end = i + 1; end < live->n && folder_len(live->v[end].path) == len &&
                          strncmp(live->v[end].path, live->v[i].path, len) == 0;)
            end++;
        _cleanup_(freep) char *dir =
            xasprintf("%s%s%.*s", table_definition(tb)->name, len ? "/" : "",
                      (int)(len ? len - 1 : 0), live->v[i].path);
        struct storage_entries l = {0};
        int r = storage_list(rc->lake.st, dir, NULL, &l, e);
        if (r < 0)
            return r;
        for (size_t k = i; k < end; k++)
            look_for(tb, &live->v[k], &l, m);
        storage_entries_release(&l);
    }
    return 0;
}

static void report(struct reconcile *rc, const char *name, struct missing *m, int64_t n) {
    if (m->n == 0)
        reconcile_check(rc, name, true, xasprintf("%lld files are there", (long long)n));
    else
        reconcile_differs(rc, name, m->first,
                          xasprintf("%lld of %lld files are not as the log says, first: %s %s",
                                    (long long)m->n, (long long)n, m->first, m->why));
    free(m->why);
}

static int check_table(struct reconcile *rc, struct table *tb, const char *name, bool *ret_not,
                       struct err *e) {
    struct missing m = {0};
    int r = look_through(rc, tb, &m, e);
    *ret_not = m.n > 0;
    if (r < 0) {
        free(m.first);
        free(m.why);
        return r;
    }
    report(rc, name, &m, (int64_t)table_live(tb)->n);
    return r;
}

/* All gold tables in one check. */
static int check_gold(struct reconcile *rc, struct err *e) {
    struct missing m = {0};
    int64_t n = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < rc->lake.n_gold; i++) {
        struct lake_gold *g = &rc->lake.gold[i];
        int64_t before = m.n;
        r = look_through(rc, g->tb, &m, e);
        g->missing = m.n > before;
        n += (int64_t)table_live(g->tb)->n;
    }
    if (r < 0) {
        free(m.first);
        free(m.why);
        return r;
    }
    report(rc, "gold.files", &m, n);
    return 0;
}

int reconcile_files(struct reconcile *rc, struct err *e) {
    int r = check_table(rc, rc->lake.bronze, "bronze.files", &rc->lake.no_bronze, e);
    if (r == 0)
        r = check_table(rc, rc->lake.silver, "silver.files", &rc->lake.no_silver, e);
    if (r == 0)
        r = check_gold(rc, e);
    return r;
}
