/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's temp folder. DuckDB names its spill files by number, so two processes must never
 * share one: each engine has a folder of its own below engine.temp_dir, and beside it a lock file
 * that is locked as long as the process lives. Whoever opens an engine removes the folders of the
 * dead, whose lock nobody holds.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/util.h"
#include "engine/duckdb_priv.h"
#include "storage/local_fs.h"

enum { ATTEMPTS = 200 };

static const char LOCK_END[] = ".lock";

/* A folder that cannot be used as the disk stands is the engine's trouble; else the setting is wrong. */
static int temp_error(struct err *e, int errnum, const char *what, const char *path) {
    bool full = errnum == ENOSPC || errnum == EDQUOT;
    bool refused = errnum == EROFS || errnum == EACCES || errnum == EPERM;
    err_sys(e, full || refused ? ERR_ENGINE : ERR_CONFIG, errnum, "engine.temp_dir: %s '%s'", what,
            path);
    return err_hint(e, "%s, or choose another engine.temp_dir",
                    full      ? "free some space there"
                    : refused ? "let this user write there"
                              : "it must be a folder, or a path where one can be made");
}

static int make_folders(const char *dir, struct err *e) {
    _cleanup_(freep) char *path = xstrdup(dir);
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char was = *at;
        *at = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return temp_error(e, errno, "cannot make", path);
        *at = was;
        if (!was)
            return 0;
    }
}

/* Opens and locks; -1 with errno if it is gone, or (EWOULDBLOCK) somebody else's. */
static int lock_file(const char *path, int flags) {
    struct stat st;
    int fd = open(path, flags | O_RDWR | O_CLOEXEC, 0666);
    if (fd < 0)
        return -1;
    /* A file that lost its name meanwhile was swept before we had the lock. */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &st) != 0 || st.st_nlink == 0) {
        close(fd);
        errno = EWOULDBLOCK;
        return -1;
    }
    return fd;
}

void temp_sweep(const char *base) {
    DIR *dir = opendir(base);
    for (struct dirent *en; dir && (en = readdir(dir));) {
        size_t n = strlen(en->d_name), end = sizeof LOCK_END - 1;
        if (strncmp(en->d_name, "engine-", 7) != 0 || n <= end ||
            strcmp(en->d_name + n - end, LOCK_END) != 0)
            continue;
        _cleanup_(freep) char *lock = xasprintf("%s/%s", base, en->d_name);
        int fd = lock_file(lock, 0);
        if (fd < 0)
            continue;
        _cleanup_(freep) char *folder = xstrndup(lock, strlen(lock) - end);
        fs_remove_tree(folder);
        unlink(lock);
        close(fd);
    }
    if (dir)
        closedir(dir);
}

int temp_open(struct duck_temp *t, const char *base, struct err *e) {
    if (make_folders(base, e) < 0)
        return e->code;
    temp_sweep(base);
    _cleanup_(freep) char *absolute = realpath(base, NULL);
    /* Others that sweep may take a lock for a dead one's before it is ours: in a crowd, many times. */
    for (int attempt = 0; absolute && attempt < ATTEMPTS; attempt++) {
        char id[UUID_TEXT];
        uuid_make(id);
        _cleanup_(freep) char *dir = xasprintf("%s/engine-%s", absolute, id);
        _cleanup_(freep) char *lock = xasprintf("%s%s", dir, LOCK_END);
        int fd = lock_file(lock, O_CREAT | O_EXCL);
        if (fd < 0 && errno != EEXIST && errno != EWOULDBLOCK)
            break;
        if (fd >= 0 && mkdir(dir, 0777) == 0) {
            *t = (struct duck_temp){TAKE_PTR(dir), TAKE_PTR(lock), fd};
            return 0;
        }
        if (fd >= 0)
            close(fd);
    }
    return temp_error(e, errno, "cannot make a folder in", base);
}

void temp_close(struct duck_temp *t) {
    if (!t->dir)
        return;
    fs_remove_tree(t->dir);
    unlink(t->lock);
    close(t->lock_fd);
    free(t->dir);
    free(t->lock);
}

/* Half of what is free: the lake, which mostly lies on the same disk, needs the rest. */
int64_t temp_free_bytes(const struct duck_temp *t) {
    struct statvfs vfs;
    if (statvfs(t->dir, &vfs) != 0)
        return 1LL << 34;
    return MAX((int64_t)vfs.f_bavail * (int64_t)vfs.f_frsize / 2, 1LL << 26);
}
