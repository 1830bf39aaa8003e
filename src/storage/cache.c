/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/cache.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <search.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/retry.h"
#include "storage/cache_store.h"
#include "storage/local_fs.h"
#include "storage/local_stage.h"

/* An object that is localized, or is about to be by the thread that made this. */
struct pin {
    char *path; /* first: the tree is in its order */
    int64_t size;
    int users;
    bool ready;
};

struct cache {
    char *root; /* absolute */
    char *lake;
    int64_t max_bytes;
    struct cache_source src;
    struct local_stage stage;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t settled;
    char use[LIMIT_PATH]; /* the folder of what is localized; "": none yet */
    void *pins;           /* tsearch(3) */
    int64_t pinned_bytes; /* of those that are on their way, too */
    int64_t room;         /* bytes that may be added before the entries are counted anew */
    int64_t coming;       /* bytes for which there is room, and which are not entries yet */
};

int cache_open(const char *dir, int64_t max_bytes, const char *lake, const struct cache_source *src,
               struct cache **ret, struct err *e) {
    char *root = fs_absolute(dir, e);
    if (!root)
        return e->code;
    struct cache *c = xcalloc(1, sizeof *c);
    c->root = root;
    c->lake = xstrdup(lake);
    c->max_bytes = max_bytes;
    c->src = *src;
    local_stage_init(&c->stage, c->root);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->settled, NULL);
    *ret = c;
    return 0;
}

void cache_free(struct cache *c) {
    if (!c)
        return;
    assert(!c->pins);
    local_stage_release(&c->stage);
    pthread_cond_destroy(&c->settled);
    pthread_mutex_destroy(&c->lock);
    free(c->root);
    free(c->lake);
    free(c);
}

/* Of an error on the local disk: which folder it is about. */
static int local_failed(struct err *e) {
    return err_hint(
        e, "this is cache.dir, not the lake: it wants free space, to be writable, and a file "
           "system with hard links; any other folder will do");
}

/* ---- staging ---- */

int cache_stage(struct cache *c, char ret_dir[LIMIT_PATH], struct err *e) {
    return local_stage_folder(&c->stage, ret_dir, e) ? local_failed(e) : 0;
}

void cache_unstage(struct cache *c, const char *dir) {
    assert(strncmp(dir, c->root, strlen(c->root)) == 0 && strstr(dir, "/.stage/"));
    fs_remove_tree(dir);
}

/* ---- what is localized ---- */

static int by_path(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct pin *find_pin(struct cache *c, const char *path) {
    struct pin **found = tfind(&path, &c->pins, by_path);
    return found ? *found : NULL;
}

static void drop_pin(struct cache *c, struct pin *p) {
    c->pinned_bytes -= p->size;
    tdelete(p, &c->pins, by_path);
    free(p->path);
    free(p);
}

/* A ready pin, of which the caller is one more user, or a new one, which he must settle. size: -1 if not known. */
static struct pin *take_pin(struct cache *c, const char *path, int64_t size) {
    pthread_mutex_lock(&c->lock);
    struct pin *p;
    while ((p = find_pin(c, path)) && !p->ready)
        pthread_cond_wait(&c->settled, &c->lock);
    if (!p) {
        p = xcalloc(1, sizeof *p);
        p->path = xstrdup(path);
        p->size = MAX(size, 0);
        c->pinned_bytes += p->size;
        if (!tsearch(p, &c->pins, by_path))
            abort();
    }
    p->users++;
    pthread_mutex_unlock(&c->lock);
    return p;
}

/* A new pin whose size is known by now. */
static void size_pin(struct cache *c, struct pin *p, int64_t size) {
    pthread_mutex_lock(&c->lock);
    c->pinned_bytes += size - p->size;
    p->size = size;
    pthread_mutex_unlock(&c->lock);
}

/* The object is there, or it could not be had: whoever waits goes on. */
static void settle_pin(struct cache *c, struct pin *p, bool there) {
    pthread_mutex_lock(&c->lock);
    p->ready = there;
    if (!there)
        drop_pin(c, p);
    pthread_cond_broadcast(&c->settled);
    pthread_mutex_unlock(&c->lock);
}

/* The path below the folder of what is localized. The caller frees. */
static int use_path(struct cache *c, const char *path, char **ret, struct err *e) {
    pthread_mutex_lock(&c->lock);
    int r = c->use[0] ? 0 : cache_stage(c, c->use, e);
    _cleanup_(freep) char *use = r ? NULL : xasprintf("%s/%s", c->use, path);
    pthread_mutex_unlock(&c->lock);
    if (r == 0 && strlen(use) >= LIMIT_PATH)
        r = fs_error(e, ENAMETOOLONG, "cannot make", use);
    if (r == 0)
        *ret = TAKE_PTR(use);
    return r;
}

void cache_unlocalize(struct cache *c, const char *path) {
    pthread_mutex_lock(&c->lock);
    struct pin *p = find_pin(c, path);
    assert(p && p->ready);
    if (--p->users == 0) {
        _cleanup_(freep) char *use = xasprintf("%s/%s", c->use, path);
        unlink(use);
        drop_pin(c, p);
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- filling ---- */

static int no_room(const struct cache *c, const char *path, int64_t size, int64_t bytes,
                   struct err *e) {
    err_set(e, ERR_STORAGE,
            "the cache has no room for %s/%s of %lld bytes: of the %lld of cache.max_bytes, %lld "
            "are in use",
            c->lake, path, (long long)size, (long long)c->max_bytes, (long long)bytes);
    e->retry = c->pinned_bytes <= c->max_bytes; /* not all of it is our own use, and others' ends */
    return err_hint(e, "raise cache.max_bytes: all files of one query must fit at a time");
}

/* Counts the entries anew, and removes some for one of this size. */
static int count_room(struct cache *c, const char *path, int64_t size, struct err *e) {
    int64_t more = c->coming + size;
    int64_t bytes = entries_make_room(c->root, c->max_bytes, more);
    if (bytes + more > c->max_bytes) { /* what dead processes have localized is in nobody's use */
        local_stage_sweep(&c->stage);
        bytes = entries_make_room(c->root, c->max_bytes, more);
    }
    c->room = MAX(MIN((c->max_bytes - bytes - more) / 2, c->max_bytes / 16), 0);
    return bytes + more > c->max_bytes ? no_room(c, path, size, bytes + c->coming, e) : 0;
}

/*
 * Room for a further entry, as the process knows it or, where that is used up, as it counts. Ends
 * with the entry, or with forgo_room.
 */
static int make_room(struct cache *c, const char *path, int64_t size, struct err *e) {
    pthread_mutex_lock(&c->lock);
    bool enough = c->room >= size;
    if (enough)
        c->room -= size;
    int r = enough ? 0 : count_room(c, path, size, e);
    if (r == 0)
        c->coming += size;
    pthread_mutex_unlock(&c->lock);
    return r;
}

static void forgo_room(struct cache *c, int64_t size) {
    pthread_mutex_lock(&c->lock);
    c->coming -= size;
    pthread_mutex_unlock(&c->lock);
}

/* The room that was made becomes an entry, in one for whoever counts in this process. */
static int add_entry(struct cache *c, const struct entry_id *id, const char *temp, struct err *e) {
    pthread_mutex_lock(&c->lock);
    int r = entry_add(c->root, id, temp, e);
    c->coming -= id->size;
    pthread_mutex_unlock(&c->lock);
    return r;
}

static int wrong_size(const struct cache *c, const char *path, int64_t is, int64_t wanted,
                      struct err *e) {
    return err_set(e, ERR_STORAGE, "%s/%s has %lld bytes, not the %lld it was written with",
                   c->lake, path, (long long)is, (long long)wanted);
}

/* The complete file `temp`, for which room was made, becomes an entry, and what is localized as `use`. */
static int place(struct cache *c, const char *path, const char *temp, const struct cache_object *is,
                 const char *use, struct err *e) {
    struct entry_id id = entry_id_of(c->lake, path, is->etag);
    int r = is->has_crc ? entry_size(temp, &id.size, e) : entry_sum(temp, &id.size, &id.crc, e);
    if (is->has_crc)
        id.crc = is->crc;
    if (r == 0 && id.size != is->size)
        r = err_set(e, ERR_STORAGE, "%s has %lld bytes where %lld were fetched", temp,
                    (long long)id.size, (long long)is->size);
    if (r)
        forgo_room(c, is->size);
    else
        r = add_entry(c, &id, temp, e);
    if (r || !use)
        return r;
    _cleanup_(freep) char *folder = fs_parent(use);
    r = fs_mkdirs(folder, e);
    if (r == 0 && rename(temp, use) != 0)
        r = fs_error(e, errno, "cannot make", use);
    return r;
}

static int local_error(int errnum, const char *what, const char *path, struct err *e) {
    fs_error(e, errnum, what, path);
    return local_failed(e);
}

/* Makes the file empty, with space for what comes: that it is missing is better told before. */
static int clear(int fd, const char *temp, int64_t size, struct err *e) {
    if (ftruncate(fd, 0) != 0)
        return local_error(errno, "cannot write", temp, e);
    if (size > 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size) != 0 && errno != EOPNOTSUPP &&
        errno != ENOSYS && errno != EINTR)
        return local_error(errno, "cannot write", temp, e);
    return 0;
}

/* Brings the object into the new file `temp`. */
static int fetch(struct cache *c, const char *path, int64_t size, const char *temp,
                 struct cache_object *ret, struct err *e) {
    int fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return local_error(errno, "cannot create", temp, e);
    struct retry again = retry_start(c->src.st->patience_ms);
    int r;
    do {
        r = clear(fd, temp, size, e);
        if (r == 0)
            r = c->src.fetch(c->src.st, path, fd, ret, e);
    } while (r < 0 && retry_pause(&again, &r, e));
    close(fd);
    return r;
}

static int fill(struct cache *c, const char *path, int64_t size, const char *use, struct err *e) {
    _cleanup_(freep) char *temp = NULL;
    int r = local_stage_path(&c->stage, &temp, e);
    if (r)
        return local_failed(e);
    r = make_room(c, path, size, e);
    if (r)
        return r;
    struct cache_object got = {.has_crc = false};
    r = fetch(c, path, size, temp, &got, e);
    if (r == 0 && got.size != size)
        r = wrong_size(c, path, got.size, size, e);
    if (r)
        forgo_room(c, size);
    else if (place(c, path, temp, &got, use, e))
        r = local_failed(e);
    if (r)
        unlink(temp);
    return r;
}

/* From the cache, or through it. size: -1 if it is not known. */
static int bring(struct cache *c, struct pin *p, const char *path, int64_t size, const char *use,
                 struct err *e) {
    struct cache_object now = {.size = size};
    int r = size < 0 ? c->src.look(c->src.st, path, &now, e) : 0;
    if (r)
        return r;
    size_pin(c, p, now.size);
    /* What has no etag cannot be told from what stood there before. */
    bool nameless = size < 0 && !now.etag[0];
    struct entry_id id = entry_id_of(c->lake, path, size < 0 ? now.etag : NULL);
    id.size = now.size;
    r = nameless ? ERR_NOT_FOUND : entry_take(c->root, &id, use, e);
    if (r == ERR_NOT_FOUND)
        return fill(c, path, now.size, use, e);
    return r ? local_failed(e) : 0;
}

int cache_localize(struct cache *c, const char *path, int64_t size, char ret_local[LIMIT_PATH],
                   struct err *e) {
    _cleanup_(freep) char *use = NULL;
    int r = use_path(c, path, &use, e);
    if (r)
        return r;
    struct pin *p = take_pin(c, path, size);
    if (!p->ready) {
        r = bring(c, p, path, size, use, e);
        settle_pin(c, p, r == 0);
    } else if (size >= 0 && p->size != size) {
        r = wrong_size(c, path, p->size, size, e);
        cache_unlocalize(c, path);
    }
    if (r == 0)
        memcpy(ret_local, use, strlen(use) + 1);
    return r;
}

void cache_keep(struct cache *c, const char *path, const char *local,
                const struct cache_object *object) {
    struct err e;
    if (make_room(c, path, object->size, &e) < 0 || place(c, path, local, object, NULL, &e) < 0)
        log_debug("cache: not kept", F_STR("object", path), F_STR("why", e.msg));
    unlink(local);
}
