/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/storage.h"

#include "storage/drivers.h"

static bool path_char_ok(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._=%~/", c));
}

bool storage_path_ok(const char *path) {
    size_t n = strlen(path);
    if (n == 0 || n >= LIMIT_PATH || path[n - 1] == '/')
        return false;
    for (size_t i = 0; i < n; i++) {
        bool starts_part = i == 0 || path[i - 1] == '/';
        if (!path_char_ok(path[i]) || (starts_part && (path[i] == '.' || path[i] == '/')))
            return false;
    }
    return true;
}

int storage_check(const char *url, struct err *e) {
    if (strncmp(url, "file:", 5) != 0) {
        err_set(e, ERR_CONFIG, "lake %s: no storage of that kind", url);
        return err_hint(e, "a lake's URL begins with file:");
    }
    const char *folder = url + 5;
    /* file:///data is /data; in file://data the word would be a host, not a folder. */
    if (*folder && (folder[0] != '/' || folder[1] != '/' || folder[2] == '/'))
        return 0;
    err_set(e, ERR_CONFIG, "lake %s: no folder is named", url);
    return err_hint(e, "write file:PATH, as in file:data/lake or file:/var/lib/clickmill");
}

int storage_open(const char *url, struct storage **ret, struct err *e) {
    int r = storage_check(url, e);
    return r < 0 ? r : storage_local_open(url, url + 5, ret, e);
}

struct storage_entry *storage_entries_add(struct storage_entries *l) {
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->v = xrealloc(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n] = (struct storage_entry){0};
    return &l->v[l->n++];
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct storage_entry *)a)->name, ((const struct storage_entry *)b)->name);
}

void storage_entries_sort(struct storage_entries *l) {
    if (l->n)
        qsort(l->v, l->n, sizeof *l->v, by_name);
}

void storage_entries_release(struct storage_entries *l) {
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].name);
    free(l->v);
    *l = (struct storage_entries){0};
}
