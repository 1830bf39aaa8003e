/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lake in HDFS, by WebHDFS. Names live at the NameNode, bytes at DataNodes; every call asks the
 * NameNode first. What can pass (no connection, safe mode, a standby that takes over) is tried
 * again for lake.timeout.
 */
#include <assert.h>

#include "base/retry.h"
#include "storage/hdfs_priv.h"

static struct hdfs *hdfs_of(struct storage *st) {
    return (struct hdfs *)st;
}

char *hdfs_full(const struct hdfs *h, const char *path) {
    assert(storage_path_ok(path));
    return xasprintf("%s/%s", h->root, path);
}

static int ask(struct hdfs *h, const struct webhdfs_call *q, struct webhdfs_answer *ret,
               struct err *e) {
    struct retry again = retry_start(h->timeout_ms);
    int r;
    do
        r = webhdfs_ask(h->w, q, ret, e);
    while (r < 0 && retry_pause(&again, e));
    return r;
}

static int bad_answer(const char *full, struct err *e) {
    return err_set(e, ERR_STORAGE, "%s: the NameNode's answer makes no sense", full);
}

/* false: it lacks what every status has. */
static bool read_status(const json *v, struct hdfs_status *ret) {
    const char *type = json_str(json_get(v, "type"));
    *ret = (struct hdfs_status){.size = json_int(json_get(v, "length"), -1),
                                .mtime_ms = json_int(json_get(v, "modificationTime"), -1),
                                .file_id = json_int(json_get(v, "fileId"), 0)};
    if (!type || ret->size < 0 || ret->mtime_ms < 0)
        return false;
    ret->is_dir = strcmp(type, "DIRECTORY") == 0;
    if (ret->is_dir)
        ret->size = 0;
    return true;
}

int hdfs_status(struct hdfs *h, const char *full, struct hdfs_status *ret, struct err *e) {
    struct webhdfs_call q = {.path = full, .query = "op=GETFILESTATUS"};
    struct webhdfs_answer a = {0};
    struct hdfs_status s;
    int r = ask(h, &q, &a, e);
    if (r == 0 && !read_status(json_get(json_root(a.doc), "FileStatus"), &s))
        r = bad_answer(full, e);
    webhdfs_answer_release(&a);
    if (r == 0)
        *ret = s;
    return r;
}

int hdfs_delete(struct hdfs *h, const char *full, bool recursive, bool once, struct err *e) {
    struct webhdfs_call q = {.method = "DELETE",
                             .path = full,
                             .query =
                                 recursive ? "op=DELETE&recursive=true" : "op=DELETE&recursive=false"};
    int r = once ? webhdfs_ask(h->w, &q, NULL, e) : ask(h, &q, NULL, e);
    return r == ERR_NOT_FOUND ? 0 : r;
}

/* ---- list ---- */

/* Takes one page in. ret_last: the name to go on after; it is in a.doc. */
static int take_page(const json *page, const char *full, struct storage_entries *l,
                     const char **ret_last, struct err *e) {
    const json *entries = json_get(json_get(json_get(page, "partialListing"), "FileStatuses"), "FileStatus");
    if (!json_is_array(entries))
        return bad_answer(full, e);
    for (struct json_iter it = json_iter(entries); json_next(&it);) {
        const char *name = json_str(json_get(it.value, "pathSuffix"));
        struct hdfs_status s;
        if (!name || !read_status(it.value, &s) || strchr(name, '/'))
            return bad_answer(full, e);
        if (!*name)
            return err_set(e, ERR_STORAGE, "%s is a file, not a folder", full);
        *ret_last = name;
        if (*name == '.')
            continue;
        struct storage_entry *en = storage_entries_add(l);
        *en = (struct storage_entry){.name = xstrdup(name),
                                     .is_dir = s.is_dir,
                                     .size = s.size,
                                     .mtime_ms = s.mtime_ms};
    }
    return 0;
}

/* One page after `after`; ret_after: where the next one begins, NULL: this was the last. */
static int list_page(struct hdfs *h, const char *full, const char *after,
                     struct storage_entries *l, char **ret_after, struct err *e) {
    struct buf query = BUF_INIT(4 * LIMIT_PATH);
    buf_add_str(&query, "op=LISTSTATUS_BATCH&startAfter=");
    hdfs_add_encoded(&query, after);
    struct webhdfs_call q = {.path = full, .query = buf_str(&query)};
    struct webhdfs_answer a = {0};
    const char *last = NULL;
    int r = ask(h, &q, &a, e);
    const json *page = json_get(r == 0 ? json_root(a.doc) : NULL, "DirectoryListing");
    if (r == 0)
        r = take_page(page, full, l, &last, e);
    int64_t left = json_int(json_get(page, "remainingEntries"), -1);
    if (r == 0 && (left < 0 || (left > 0 && (!last || strcmp(last, after) == 0)) || l->n > LIMIT_LIST))
        r = bad_answer(full, e);
    if (r == 0)
        *ret_after = left ? xstrdup(last) : NULL;
    webhdfs_answer_release(&a);
    buf_release(&query);
    return r;
}

int hdfs_list_folder(struct hdfs *h, const char *full, const char *start_after,
                     struct storage_entries *ret, struct err *e) {
    struct storage_entries l = {0};
    _cleanup_(freep) char *after = xstrdup(start_after ? start_after : "");
    int r = 0;
    while (after && r == 0) {
        char *next = NULL;
        r = list_page(h, full, after, &l, &next, e);
        free(after);
        after = next;
    }
    if (r == ERR_NOT_FOUND) {
        storage_entries_release(&l);
        r = 0;
    }
    if (r) {
        storage_entries_release(&l);
        return r;
    }
    storage_entries_sort(&l);
    storage_entries_release(ret);
    *ret = l;
    return 0;
}
