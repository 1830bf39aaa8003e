/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lake in a folder on local disk. New objects are written to the stage, synced, and get their
 * name by link(2), which never replaces: of several writers one wins, and readers see all bytes or
 * none. Then the folder is synced, and before the first use of a folder every folder above it.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/drivers.h"
#include "storage/local_fs.h"
#include "storage/local_stage.h"

struct local {
    struct storage base;
    char *root; /* absolute */
    struct local_stage stage;
    pthread_mutex_t lock; /* guards the next two */
    char **durable;       /* folders whose own entries are known to be synced, absolute */
    size_t n_durable;
};

static struct local *local_of(struct storage *st) {
    return (struct local *)st;
}

static char *full_path(struct local *lo, const char *path) {
    assert(storage_path_ok(path));
    return xasprintf("%s/%s", lo->root, path);
}

static bool is_durable(struct local *lo, const char *dir) {
    bool found = false;
    pthread_mutex_lock(&lo->lock);
    for (size_t i = 0; i < lo->n_durable && !found; i++)
        found = strcmp(lo->durable[i], dir) == 0;
    pthread_mutex_unlock(&lo->lock);
    return found;
}

static void note_durable(struct local *lo, const char *dir) {
    pthread_mutex_lock(&lo->lock);
    lo->durable = xrealloc(lo->durable, (lo->n_durable + 1) * sizeof *lo->durable);
    lo->durable[lo->n_durable++] = xstrdup(dir);
    pthread_mutex_unlock(&lo->lock);
}

static void forget_durable(struct local *lo) {
    pthread_mutex_lock(&lo->lock);
    for (size_t i = 0; i < lo->n_durable; i++)
        free(lo->durable[i]);
    lo->n_durable = 0;
    pthread_mutex_unlock(&lo->lock);
}

/* Makes the folder below the root and syncs its entry and those above it, once per process. */
static int ensure_dir(struct local *lo, const char *dir, struct err *e) {
    if (strcmp(dir, lo->root) == 0 || is_durable(lo, dir))
        return 0;
    _cleanup_(freep) char *parent = fs_parent(dir);
    int r = ensure_dir(lo, parent, e);
    if (r == 0)
        r = fs_mkdir(dir, e);
    if (r == 0)
        note_durable(lo, dir);
    return r;
}

/* Gives the finished file `from` its place in the lake, durably. */
static int place_new(struct local *lo, const char *from, const char *to, struct err *e) {
    _cleanup_(freep) char *dir = fs_parent(to);
    int r = ensure_dir(lo, dir, e);
    if (r)
        return r;
    r = fs_name_new(from, to, e);
    if (r == ERR_NOT_FOUND) { /* somebody removed the folder, or the file to place */
        forget_durable(lo);
        r = ensure_dir(lo, dir, e);
        if (r == 0)
            r = fs_name_new(from, to, e);
        if (r == ERR_NOT_FOUND)
            err_recode(e, r = ERR_STORAGE);
    }
    if (r == 0)
        r = fs_sync(dir, e);
    if (r == 0)
        unlink(from); /* not before: until then a repeat needs it */
    return r;
}

/* Hadoop's checksum of a file that changes or goes would make Spark reject what comes after it. */
static void drop_hadoop_crc(const char *full) {
    const char *name = strrchr(full, '/') + 1;
    _cleanup_(freep) char *crc = xasprintf("%.*s.%s.crc", (int)(name - full), full, name);
    unlink(crc);
}

/* 0 or an errno; ret gets the bytes. EFBIG: more than ret->max. */
static int read_all(int fd, struct buf *ret) {
    struct stat sb;
    if (fstat(fd, &sb) != 0)
        return errno;
    if (S_ISDIR(sb.st_mode))
        return EISDIR;
    if (!buf_reserve(ret, (size_t)sb.st_size))
        return EFBIG;
    char chunk[16384];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0)
            buf_add(ret, chunk, (size_t)n);
        if (ret->overflow)
            return EFBIG;
    }
    return 0;
}

static int local_get(struct storage *st, const char *path, struct buf *ret, struct err *e) {
    _cleanup_(freep) char *full = full_path(local_of(st), path);
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(e, ERR_NOT_FOUND, "%s: no such file", full);
    if (fd < 0)
        return fs_error(e, errno, "cannot open", full);
    struct buf b = BUF_INIT(ret->max);
    int failed = read_all(fd, &b);
    close(fd);
    if (failed) {
        buf_release(&b);
        if (failed == EFBIG)
            return err_set(e, ERR_STORAGE, "cannot read %s: larger than %zu bytes", full, ret->max);
        return fs_error(e, failed, "cannot read", full);
    }
    buf_take(ret, &b);
    return 0;
}

/* Writes the bytes to a new file in the stage; an error names what they were meant for. */
static int write_staged(struct local *lo, const char *path, const void *data, size_t len,
                        char **ret_temp, struct err *e) {
    _cleanup_(freep) char *temp = NULL;
    int r = local_stage_path(&lo->stage, &temp, e);
    if (r == 0)
        r = fs_write_new(temp, data, len, e);
    if (r)
        return err_wrap(e, "cannot put %s into %s", path, lo->base.url);
    *ret_temp = TAKE_PTR(temp);
    return 0;
}

static int local_put_new(struct storage *st, const char *path, const void *data, size_t len,
                         struct err *e) {
    struct local *lo = local_of(st);
    _cleanup_(freep) char *full = full_path(lo, path);
    _cleanup_(freep) char *temp = NULL;
    int r = write_staged(lo, path, data, len, &temp, e);
    if (r)
        return r;
    r = place_new(lo, temp, full, e);
    if (r)
        unlink(temp);
    return r;
}

static int local_put(struct storage *st, const char *path, const void *data, size_t len,
                     struct err *e) {
    struct local *lo = local_of(st);
    _cleanup_(freep) char *full = full_path(lo, path);
    _cleanup_(freep) char *dir = fs_parent(full);
    _cleanup_(freep) char *temp = NULL;
    int r = ensure_dir(lo, dir, e);
    if (r == 0)
        r = write_staged(lo, path, data, len, &temp, e);
    if (r)
        return r;
    drop_hadoop_crc(full); /* first: a checksum of the old bytes must not meet the new ones */
    if (rename(temp, full) != 0) {
        int failed = errno;
        unlink(temp);
        forget_durable(lo);
        return fs_error(e, failed, "cannot create", full);
    }
    return fs_sync(dir, e);
}

static void fill_entry(struct storage_entry *en, const struct stat *sb) {
    en->is_dir = S_ISDIR(sb->st_mode);
    en->size = en->is_dir ? 0 : sb->st_size;
    en->mtime_ms = (int64_t)sb->st_mtim.tv_sec * 1000 + sb->st_mtim.tv_nsec / 1000000;
}

static int local_stat(struct storage *st, const char *path, struct storage_entry *ret,
                      struct err *e) {
    _cleanup_(freep) char *full = full_path(local_of(st), path);
    struct stat sb;
    if (stat(full, &sb) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return err_set(e, ERR_NOT_FOUND, "%s: no such file", full);
        return fs_error(e, errno, "cannot look at", full);
    }
    *ret = (struct storage_entry){0};
    fill_entry(ret, &sb);
    return 0;
}

/* 0 or an errno. */
static int list_into(DIR *d, const char *start_after, struct storage_entries *l) {
    for (;;) {
        errno = 0;
        struct dirent *de = readdir(d);
        if (!de)
            return errno;
        if (de->d_name[0] == '.' || (start_after && strcmp(de->d_name, start_after) <= 0))
            continue;
        struct stat sb;
        if (fstatat(dirfd(d), de->d_name, &sb, 0) != 0) {
            if (errno == ENOENT) /* removed meanwhile, or a dangling link */
                continue;
            return errno;
        }
        struct storage_entry *en = storage_entries_add(l);
        en->name = xstrdup(de->d_name);
        fill_entry(en, &sb);
    }
}

static int local_list(struct storage *st, const char *dir, const char *start_after,
                      struct storage_entries *ret, struct err *e) {
    struct local *lo = local_of(st);
    _cleanup_(freep) char *full = *dir ? full_path(lo, dir) : xstrdup(lo->root);
    struct storage_entries l = {0};
    int failed = 0;
    DIR *d = opendir(full);
    if (d) {
        failed = list_into(d, start_after, &l);
        closedir(d);
    } else if (errno != ENOENT) {
        failed = errno;
    }
    if (failed) {
        storage_entries_release(&l);
        return fs_error(e, failed, "cannot list", full);
    }
    storage_entries_sort(&l);
    storage_entries_release(ret);
    *ret = l;
    return 0;
}

static int local_remove(struct storage *st, const char *path, struct err *e) {
    _cleanup_(freep) char *full = full_path(local_of(st), path);
    if (unlink(full) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return 0;
        return fs_error(e, errno, "cannot remove", full);
    }
    drop_hadoop_crc(full);
    _cleanup_(freep) char *dir = fs_parent(full);
    return fs_sync(dir, e);
}

static int local_stage(struct storage *st, char ret_dir[LIMIT_PATH], struct err *e) {
    return local_stage_folder(&local_of(st)->stage, ret_dir, e);
}

static void local_unstage(struct storage *st ATTR_UNUSED, const char *dir) {
    assert(strstr(dir, "/.stage/"));
    fs_remove_tree(dir);
}

static int local_publish(struct storage *st, const char *local, const char *path, struct err *e) {
    struct local *lo = local_of(st);
    _cleanup_(freep) char *full = full_path(lo, path);
    int r = fs_sync(local, e);
    return r ? r : place_new(lo, local, full, e);
}

static int local_localize(struct storage *st, const char *path, int64_t size,
                          char ret_local[LIMIT_PATH], struct err *e) {
    struct storage_entry en;
    int r = local_stat(st, path, &en, e);
    if (r)
        return r;
    _cleanup_(freep) char *full = full_path(local_of(st), path);
    if (size >= 0 && en.size != size)
        return err_set(e, ERR_STORAGE, "%s has %lld bytes, not the %lld it was written with", full,
                       (long long)en.size, (long long)size);
    if (strlen(full) >= LIMIT_PATH)
        return fs_error(e, ENAMETOOLONG, "cannot open", full);
    memcpy(ret_local, full, strlen(full) + 1);
    return 0;
}

static void local_unlocalize(struct storage *st ATTR_UNUSED, const char *path ATTR_UNUSED) {
}

static void local_free(struct storage *st) {
    struct local *lo = local_of(st);
    local_stage_release(&lo->stage);
    forget_durable(lo);
    free(lo->durable);
    pthread_mutex_destroy(&lo->lock);
    free(lo->root);
    free(st->url);
    free(lo);
}

static const struct storage_ops local_ops = {
    .get = local_get,
    .put_new = local_put_new,
    .put = local_put,
    .stat = local_stat,
    .list = local_list,
    .remove = local_remove,
    .stage = local_stage,
    .unstage = local_unstage,
    .publish = local_publish,
    .localize = local_localize,
    .unlocalize = local_unlocalize,
    .free = local_free,
};

int storage_local_open(const char *url, const char *folder, struct storage **ret, struct err *e) {
    _cleanup_(freep) char *named = fs_absolute(folder, e);
    if (!named)
        return e->code;
    for (size_t n = strlen(named); n > 1 && named[n - 1] == '/'; n--)
        named[n - 1] = '\0';
    int r = fs_mkdirs(named, e);
    if (r)
        return err_wrap(e, "lake %s", url);
    char *root =
        realpath(named, NULL); /* holds if the program changes its folder or a link turns */
    if (!root) {
        fs_error(e, errno, "cannot open", named);
        return err_wrap(e, "lake %s", url);
    }
    struct local *lo = xcalloc(1, sizeof *lo);
    lo->base = (struct storage){.ops = &local_ops, .url = xstrdup(url)};
    lo->root = root;
    pthread_mutex_init(&lo->lock, NULL);
    local_stage_init(&lo->stage, root);
    *ret = &lo->base;
    return 0;
}
