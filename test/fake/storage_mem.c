/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/storage_mem.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "storage/drivers.h"
#include "storage/local_fs.h"

struct object {
    char *path;
    char *data;
    size_t len;
    int64_t mtime_ms;
};

struct mem {
    struct storage base;
    pthread_mutex_t lock; /* guards all below */
    struct object *v;     /* in byte order of the paths */
    size_t n, cap;
    char *dir; /* temporary, on disk; NULL: not made yet */
    unsigned count;
};

static struct mem *mem_of(struct storage *st) {
    return (struct mem *)st;
}

/* The first object not before `path`. */
static size_t place_of(const struct mem *m, const char *path) {
    size_t i = 0;
    while (i < m->n && strcmp(m->v[i].path, path) < 0)
        i++;
    return i;
}

static struct object *find(const struct mem *m, const char *path) {
    size_t i = place_of(m, path);
    return i < m->n && strcmp(m->v[i].path, path) == 0 ? &m->v[i] : NULL;
}

static void set_bytes(struct object *o, const void *data, size_t len) {
    free(o->data);
    o->data = xmalloc(len);
    if (len)
        memcpy(o->data, data, len);
    o->len = len;
    o->mtime_ms = clock_now_us() / 1000;
}

static void insert(struct mem *m, const char *path, const void *data, size_t len) {
    if (m->n == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 16;
        m->v = xrealloc(m->v, m->cap * sizeof *m->v);
    }
    size_t i = place_of(m, path);
    memmove(m->v + i + 1, m->v + i, (m->n - i) * sizeof *m->v);
    m->v[i] = (struct object){.path = xstrdup(path)};
    set_bytes(&m->v[i], data, len);
    m->n++;
}

static int mem_get(struct storage *st, const char *path, struct buf *ret, struct err *e) {
    assert(storage_path_ok(path));
    struct mem *m = mem_of(st);
    int r = 0;
    pthread_mutex_lock(&m->lock);
    struct object *o = find(m, path);
    if (!o) {
        r = err_set(e, ERR_NOT_FOUND, "%s: no such file", path);
    } else if (o->len > ret->max) {
        r = err_set(e, ERR_STORAGE, "cannot read %s: larger than %zu bytes", path, ret->max);
    } else {
        buf_reset(ret);
        buf_add(ret, o->data, o->len);
    }
    pthread_mutex_unlock(&m->lock);
    return r;
}

static int mem_put_new(struct storage *st, const char *path, const void *data, size_t len,
                       struct err *e) {
    assert(storage_path_ok(path));
    struct mem *m = mem_of(st);
    int r = 0;
    pthread_mutex_lock(&m->lock);
    if (find(m, path))
        r = err_set(e, ERR_EXISTS, "%s exists", path);
    else
        insert(m, path, data, len);
    pthread_mutex_unlock(&m->lock);
    return r;
}

static int mem_put(struct storage *st, const char *path, const void *data, size_t len,
                   struct err *e ATTR_UNUSED) {
    assert(storage_path_ok(path));
    struct mem *m = mem_of(st);
    pthread_mutex_lock(&m->lock);
    struct object *o = find(m, path);
    if (o)
        set_bytes(o, data, len);
    else
        insert(m, path, data, len);
    pthread_mutex_unlock(&m->lock);
    return 0;
}

/* A folder is there as long as something is in it. */
static bool is_folder(const struct mem *m, const char *path) {
    _cleanup_(freep) char *prefix = xasprintf("%s/", path);
    size_t i = place_of(m, prefix);
    return i < m->n && strncmp(m->v[i].path, prefix, strlen(prefix)) == 0;
}

static int mem_stat(struct storage *st, const char *path, struct storage_entry *ret,
                    struct err *e) {
    assert(storage_path_ok(path));
    struct mem *m = mem_of(st);
    int r = 0;
    pthread_mutex_lock(&m->lock);
    struct object *o = find(m, path);
    if (o)
        *ret = (struct storage_entry){.size = (int64_t)o->len, .mtime_ms = o->mtime_ms};
    else if (is_folder(m, path))
        *ret = (struct storage_entry){.is_dir = true};
    else
        r = err_set(e, ERR_NOT_FOUND, "%s: no such file", path);
    pthread_mutex_unlock(&m->lock);
    return r;
}

static void list_object(struct storage_entries *l, const struct object *o, const char *rest,
                        const char *start_after) {
    size_t n = strcspn(rest, "/");
    _cleanup_(freep) char *name = xstrndup(rest, n);
    if (start_after && strcmp(name, start_after) <= 0)
        return;
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i].name, name) == 0)
            return; /* a folder, seen with an earlier object */
    struct storage_entry *en = storage_entries_add(l);
    en->name = TAKE_PTR(name);
    en->is_dir = rest[n] == '/';
    en->size = en->is_dir ? 0 : (int64_t)o->len;
    en->mtime_ms = o->mtime_ms;
}

static int mem_list(struct storage *st, const char *dir, const char *start_after,
                    struct storage_entries *ret, struct err *e ATTR_UNUSED) {
    assert(!*dir || storage_path_ok(dir));
    struct mem *m = mem_of(st);
    struct storage_entries l = {0};
    _cleanup_(freep) char *prefix = xasprintf("%s%s", dir, *dir ? "/" : "");
    pthread_mutex_lock(&m->lock);
    for (size_t i = place_of(m, prefix); i < m->n; i++) {
        if (strncmp(m->v[i].path, prefix, strlen(prefix)) != 0)
            break;
        list_object(&l, &m->v[i], m->v[i].path + strlen(prefix), start_after);
    }
    pthread_mutex_unlock(&m->lock);
    storage_entries_sort(&l);
    storage_entries_release(ret);
    *ret = l;
    return 0;
}

static int mem_remove(struct storage *st, const char *path, struct err *e ATTR_UNUSED) {
    assert(storage_path_ok(path));
    struct mem *m = mem_of(st);
    pthread_mutex_lock(&m->lock);
    struct object *o = find(m, path);
    if (o) {
        free(o->path);
        free(o->data);
        memmove(o, o + 1, (size_t)(m->v + m->n - o - 1) * sizeof *o);
        m->n--;
    }
    pthread_mutex_unlock(&m->lock);
    return 0;
}

/* A path in the temporary folder, which is made when first needed, that nobody has used. */
static char *temp_path(struct mem *m, const char *what) {
    pthread_mutex_lock(&m->lock);
    if (!m->dir) {
        const char *tmp = getenv("TMPDIR");
        m->dir = xasprintf("%s/clickmill-mem-XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(m->dir))
            abort();
    }
    char *path = xasprintf("%s/%s-%u", m->dir, what, ++m->count);
    pthread_mutex_unlock(&m->lock);
    return path;
}

static int mem_stage(struct storage *st, char ret_dir[LIMIT_PATH], struct err *e) {
    struct mem *m = mem_of(st);
    _cleanup_(freep) char *dir = temp_path(m, "stage");
    int r = fs_mkdir(dir, e);
    if (r == 0)
        memcpy(ret_dir, dir, strlen(dir) + 1);
    return r;
}

static void mem_unstage(struct storage *st ATTR_UNUSED, const char *dir) {
    fs_remove_tree(dir);
}

static int read_local(const char *local, struct buf *b, struct err *e) {
    FILE *f = fopen(local, "rbe");
    if (!f)
        return fs_error(e, errno, "cannot open", local);
    char chunk[4096];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        buf_add(b, chunk, n);
    fclose(f);
    return 0;
}

static int mem_publish(struct storage *st, const char *local, const char *path, struct err *e) {
    struct buf b = BUF_INIT(1024 * MIB);
    int r = read_local(local, &b, e);
    /* Before, when the answer was lost: the local file is gone, and what is there says so. */
    struct storage_entry there;
    struct err ignored;
    if (r < 0 && mem_stat(st, path, &there, &ignored) == 0)
        r = err_set(e, ERR_EXISTS, "%s exists already", path);
    if (r == 0)
        r = mem_put_new(st, path, buf_str(&b), b.len, e);
    if (r == 0)
        unlink(local);
    buf_release(&b);
    return r;
}

static int mem_localize(struct storage *st, const char *path, int64_t size,
                        char ret_local[LIMIT_PATH], struct err *e) {
    struct mem *m = mem_of(st);
    struct buf b = BUF_INIT(1024 * MIB);
    int r = mem_get(st, path, &b, e);
    if (r == 0 && size >= 0 && (size_t)size != b.len)
        r = err_set(e, ERR_STORAGE, "%s has %zu bytes, not the %lld it was written with", path,
                    b.len, (long long)size);
    _cleanup_(freep) char *local = temp_path(m, "local");
    if (r == 0)
        r = fs_write_new(local, buf_str(&b), b.len, e);
    if (r == 0)
        memcpy(ret_local, local, strlen(local) + 1);
    buf_release(&b);
    return r;
}

/* Copies are kept until the end: nobody stages much in a test. */
static void mem_unlocalize(struct storage *st ATTR_UNUSED, const char *path ATTR_UNUSED) {
}

static void mem_free(struct storage *st) {
    struct mem *m = mem_of(st);
    for (size_t i = 0; i < m->n; i++) {
        free(m->v[i].path);
        free(m->v[i].data);
    }
    free(m->v);
    if (m->dir)
        fs_remove_tree(m->dir);
    free(m->dir);
    pthread_mutex_destroy(&m->lock);
    free(st->url);
    free(m);
}

static const struct storage_ops mem_ops = {
    .get = mem_get,
    .put_new = mem_put_new,
    .put = mem_put,
    .stat = mem_stat,
    .list = mem_list,
    .remove = mem_remove,
    .stage = mem_stage,
    .unstage = mem_unstage,
    .publish = mem_publish,
    .localize = mem_localize,
    .unlocalize = mem_unlocalize,
    .free = mem_free,
};

struct storage *storage_mem_new(void) {
    struct mem *m = xcalloc(1, sizeof *m);
    m->base = (struct storage){.ops = &mem_ops, .url = xstrdup("mem:")};
    pthread_mutex_init(&m->lock, NULL);
    return &m->base;
}

void storage_mem_age(struct storage *st, const char *prefix, int64_t ms) {
    struct mem *m = mem_of(st);
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->n; i++)
        if (strncmp(m->v[i].path, prefix, strlen(prefix)) == 0)
            m->v[i].mtime_ms -= ms;
    pthread_mutex_unlock(&m->lock);
}
