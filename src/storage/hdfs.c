/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lake in HDFS, by WebHDFS. Names live at the NameNode, bytes at DataNodes; every call asks the
 * NameNode first. What can pass (no connection, safe mode, a standby that takes over) is tried
 * again for lake.timeout.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/retry.h"
#include "base/util.h"
#include "storage/hdfs_priv.h"
#include "storage/local_fs.h"

enum { LANES = 4 }; /* files on their way at a time: as many as keep a network busy */

static struct hdfs *hdfs_of(struct storage *st) {
    return (struct hdfs *)st;
}

char *hdfs_full(const struct hdfs *h, const char *path) {
    assert(storage_path_ok(path));
    return xasprintf("%s/%s", h->root, path);
}

static int ask(struct hdfs *h, const struct webhdfs_call *q, struct webhdfs_answer *ret,
               struct err *e) {
    struct retry again = retry_start(h->base.patience_ms);
    int r;
    do
        r = webhdfs_ask(h->w, q, ret, e);
    while (r < 0 && retry_pause(&again, &r, e));
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
    if (!ret->is_dir && ret->file_id <= 0) /* by it we know our own files */
        return false;
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

/* ---- list ---- */

/* Takes one page in. *seen: names so far, hidden ones too. ret_last: the name to go on after; in a.doc. */
static int take_page(const json *page, const char *full, int64_t *seen, struct storage_entries *l,
                     const char **ret_last, struct err *e) {
    const json *entries =
        json_get(json_get(json_get(page, "partialListing"), "FileStatuses"), "FileStatus");
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
        if (++*seen > LIMIT_LIST)
            return err_set(e, ERR_STORAGE, "%s: the list has no end: %d names came", full,
                           LIMIT_LIST);
        if (*name == '.')
            continue;
        struct storage_entry *en = storage_entries_add(l);
        *en = (struct storage_entry){
            .name = xstrdup(name), .is_dir = s.is_dir, .size = s.size, .mtime_ms = s.mtime_ms};
    }
    return 0;
}

/* One page after `after`; ret_after: where the next one begins, NULL: this was the last. */
static int list_page(struct hdfs *h, const char *full, const char *after, int64_t *seen,
                     struct storage_entries *l, char **ret_after, struct err *e) {
    struct buf query = BUF_INIT(4 * LIMIT_PATH);
    buf_add_str(&query, "op=LISTSTATUS_BATCH&startAfter=");
    buf_add_encoded(&query, after, "/");
    struct webhdfs_call q = {.path = full, .query = buf_str(&query)};
    struct webhdfs_answer a = {0};
    const char *last = NULL;
    int r = query.overflow ? bad_answer(full, e) : ask(h, &q, &a, e); /* no name is so long */
    const json *page = json_get(r == 0 ? json_root(a.doc) : NULL, "DirectoryListing");
    if (r == 0)
        r = take_page(page, full, seen, l, &last, e);
    int64_t left = json_int(json_get(page, "remainingEntries"), -1);
    if (r == 0 && (left < 0 || (left > 0 && (!last || strcmp(last, after) == 0))))
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
    int64_t seen = 0;
    int r = 0;
    while (after && r == 0) {
        char *next = NULL;
        r = list_page(h, full, after, &seen, &l, &next, e);
        if (next && stop_requested())
            r = err_set(e, ERR_STOPPED, "stopped in the middle of a list of %s", full);
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

/* ---- the driver's calls ---- */

/* What could not be done to which object, then why. */
static int explain(const struct hdfs *h, const char *what, const char *path, struct err *e) {
    if (e->code == ERR_STOPPED)
        return e->code;
    return err_wrap(e, "%s %s%s%s", what, h->base.url, *path ? "/" : "", path);
}

static int absent(const struct hdfs *h, const char *path, struct err *e) {
    return err_set(e, ERR_NOT_FOUND, "%s/%s: no such file", h->base.url, path);
}

/* The DataNode that has the file's bytes from the first on. */
static int open_at(struct hdfs *h, const char *full, const char *query, struct webhdfs_answer *ret,
                   struct err *e) {
    struct webhdfs_call q = {.path = full, .query = query, .to_datanode = true};
    return webhdfs_ask(h->w, &q, ret, e);
}

static int get_once(struct hdfs *h, const char *full, struct buf *ret, struct err *e) {
    /* One byte more than there is room for tells that it is too large. */
    _cleanup_(freep) char *query = xasprintf("op=OPEN&offset=0&length=%zu", ret->max + 1);
    struct webhdfs_answer a = {0};
    int r = open_at(h, full, query, &a, e);
    if (r == 0)
        r = webhdfs_read(h->w, a.location, ret, e);
    webhdfs_answer_release(&a);
    return r;
}

static int hdfs_get(struct storage *st, const char *path, struct buf *ret, struct err *e) {
    struct hdfs *h = hdfs_of(st);
    _cleanup_(freep) char *full = hdfs_full(h, path);
    struct retry again = retry_start(h->base.patience_ms);
    int r;
    do
        r = get_once(h, full, ret, e);
    while (r < 0 && retry_pause(&again, &r, e));
    if (r == ERR_NOT_FOUND)
        return absent(h, path, e);
    return r ? explain(h, "cannot read", path, e) : 0;
}

static int put(struct storage *st, const char *path, const void *data, size_t len,
               enum hdfs_over over, struct err *e) {
    struct hdfs *h = hdfs_of(st);
    _cleanup_(freep) char *full = hdfs_full(h, path);
    struct hdfs_source src = {.data = data, .len = (int64_t)len};
    struct hdfs_status made;
    int r = hdfs_make(h, full, &src, over, &made, e);
    return r ? explain(h, "cannot put", path, e) : 0;
}

static int hdfs_put_new(struct storage *st, const char *path, const void *data, size_t len,
                        struct err *e) {
    return put(st, path, data, len, HDFS_NEW, e);
}

static int hdfs_put(struct storage *st, const char *path, const void *data, size_t len,
                    struct err *e) {
    return put(st, path, data, len, HDFS_REPLACE, e);
}

static int hdfs_stat(struct storage *st, const char *path, struct storage_entry *ret,
                     struct err *e) {
    struct hdfs *h = hdfs_of(st);
    _cleanup_(freep) char *full = hdfs_full(h, path);
    struct hdfs_status s;
    int r = hdfs_status(h, full, &s, e);
    if (r == ERR_NOT_FOUND)
        return absent(h, path, e);
    if (r)
        return explain(h, "cannot look at", path, e);
    *ret = (struct storage_entry){.is_dir = s.is_dir, .size = s.size, .mtime_ms = s.mtime_ms};
    return 0;
}

static int hdfs_list(struct storage *st, const char *dir, const char *start_after,
                     struct storage_entries *ret, struct err *e) {
    struct hdfs *h = hdfs_of(st);
    _cleanup_(freep) char *full = *dir ? hdfs_full(h, dir) : xstrdup(h->root);
    int r = hdfs_list_folder(h, full, start_after, ret, e);
    return r ? explain(h, "cannot list", dir, e) : 0;
}

static int hdfs_remove(struct storage *st, const char *path, struct err *e) {
    struct hdfs *h = hdfs_of(st);
    _cleanup_(freep) char *full = hdfs_full(h, path);
    struct webhdfs_call q = {
        .method = "DELETE", .path = full, .query = "op=DELETE&recursive=false"};
    int r = ask(h, &q, NULL, e);
    return r && r != ERR_NOT_FOUND ? explain(h, "cannot remove", path, e) : 0;
}

/* ---- local files ---- */

static int hdfs_stage(struct storage *st, char ret_dir[LIMIT_PATH], struct err *e) {
    return cache_stage(hdfs_of(st)->cache, ret_dir, e);
}

static void hdfs_unstage(struct storage *st, const char *dir) {
    cache_unstage(hdfs_of(st)->cache, dir);
}

/* A file that was replaced has another id, one that was written to another age. */
static struct cache_object object_of(const struct hdfs_status *s) {
    struct cache_object o = {.size = s->size};
    snprintf(o.etag, sizeof o.etag, "%lld-%lld", (long long)s->file_id, (long long)s->mtime_ms);
    return o;
}

static int hdfs_publish(struct storage *st, const char *local, const char *path, struct err *e) {
    struct hdfs *h = hdfs_of(st);
    _cleanup_(freep) char *full = hdfs_full(h, path);
    int fd = open(local, O_RDONLY | O_CLOEXEC);
    struct stat sb;
    if (fd < 0 || fstat(fd, &sb) != 0) {
        int failed = errno;
        if (fd >= 0)
            close(fd);
        return fs_error(e, failed, "cannot read", local);
    }
    struct http_file file = {.fd = fd, .len = sb.st_size};
    struct hdfs_source src = {.file = &file, .len = sb.st_size};
    struct hdfs_status made;
    int r = hdfs_make(h, full, &src, HDFS_NEW, &made, e);
    close(fd);
    if (r)
        return explain(h, "cannot put", path, e);
    struct cache_object o = object_of(&made);
    cache_keep(h->cache, path, local, &o);
    return 0;
}

static int look(struct storage *st, const char *path, struct cache_object *ret, struct err *e) {
    struct hdfs *h = hdfs_of(st);
    _cleanup_(freep) char *full = hdfs_full(h, path);
    struct hdfs_status s;
    int r = hdfs_status(h, full, &s, e);
    if (r == ERR_NOT_FOUND || (r == 0 && s.is_dir))
        return absent(h, path, e);
    if (r)
        return explain(h, "cannot look at", path, e);
    *ret = object_of(&s);
    return 0;
}

static int read_file(struct hdfs *h, const char *full, int fd, int64_t size, struct err *e) {
    struct webhdfs_answer a = {0};
    struct http_file file = {.fd = fd, .len = size};
    int r = open_at(h, full, "op=OPEN", &a, e);
    if (r == 0)
        r = webhdfs_read_file(h->w, a.location, &file, e);
    webhdfs_answer_release(&a);
    return r;
}

static int fetch(struct storage *st, const char *path, int fd, struct cache_object *ret,
                 struct err *e) {
    struct hdfs *h = hdfs_of(st);
    _cleanup_(freep) char *full = hdfs_full(h, path);
    struct hdfs_status s;
    int r = hdfs_status(h, full, &s, e);
    if (r == 0)
        r = s.is_dir ? ERR_NOT_FOUND : read_file(h, full, fd, s.size, e);
    if (r == ERR_NOT_FOUND)
        return absent(h, path, e);
    if (r)
        return explain(h, "cannot read", path, e);
    *ret = object_of(&s);
    return 0;
}

static int hdfs_localize(struct storage *st, const char *path, int64_t size,
                         char ret_local[LIMIT_PATH], struct err *e) {
    return cache_localize(hdfs_of(st)->cache, path, size, ret_local, e);
}

static void hdfs_unlocalize(struct storage *st, const char *path) {
    cache_unlocalize(hdfs_of(st)->cache, path);
}

static void hdfs_free(struct storage *st) {
    struct hdfs *h = hdfs_of(st);
    cache_free(h->cache);
    hdfs_stage_remove(h);
    webhdfs_free(h->w);
    pthread_mutex_destroy(&h->lock);
    free(h->root);
    free(st->url);
    free(h);
}

static const struct storage_ops hdfs_ops = {
    .get = hdfs_get,
    .put_new = hdfs_put_new,
    .put = hdfs_put,
    .stat = hdfs_stat,
    .list = hdfs_list,
    .remove = hdfs_remove,
    .stage = hdfs_stage,
    .unstage = hdfs_unstage,
    .publish = hdfs_publish,
    .localize = hdfs_localize,
    .unlocalize = hdfs_unlocalize,
    .free = hdfs_free,
};

int storage_hdfs_open(const char *url, const struct storage_options *o, struct storage **ret,
                      struct err *e) {
    struct hdfs_url u;
    int r = hdfs_url_parse(url, &u, e);
    if (r)
        return r;
    struct webhdfs_options wo = {.user = o->hdfs_user,
                                 .token = o->hdfs_token,
                                 .kerberos = o->hdfs_kerberos,
                                 .ca_file = o->ca_file,
                                 .cert_file = o->hdfs_cert_file};
    struct hdfs *h = xcalloc(1, sizeof *h);
    h->base = (struct storage){
        .ops = &hdfs_ops, .url = xstrdup(url), .lanes = LANES, .patience_ms = o->timeout_ms};
    while (h->base.url[0] && h->base.url[strlen(h->base.url) - 1] == '/')
        h->base.url[strlen(h->base.url) - 1] = '\0';
    h->root = xstrdup(u.path);
    pthread_mutex_init(&h->lock, NULL);
    struct cache_source source = {.st = &h->base, .look = look, .fetch = fetch};
    r = webhdfs_new(&u, &wo, &h->w, e);
    if (r == 0)
        r = cache_open(o->cache_dir, o->cache_max_bytes, h->base.url, &source, &h->cache, e);
    if (r) {
        hdfs_url_release(&u);
        hdfs_free(&h->base);
        return r;
    }
    *ret = &h->base;
    return 0;
}
