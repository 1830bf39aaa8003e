/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/local_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/util.h"

enum { CHUNK = 256 * KIB };

int fs_error(struct err *e, int errnum, const char *what, const char *path) {
    bool full = errnum == ENOSPC || errnum == EDQUOT;
    err_sys(e, ERR_STORAGE, errnum, "%s %s%s", what, path, full ? ": disk full" : "");
    if (full)
        return err_hint(e, "free some space and start again: what was committed before is safe, "
                           "nothing of this was committed");
    if (errnum == EROFS)
        return err_hint(e, "the disk is mounted read-only: remount it, or choose another lake.url");
    if (errnum == EACCES || errnum == EPERM)
        return err_hint(e, "user id %u must own the lake's folder or be allowed to write in it",
                        (unsigned)geteuid());
    if (errnum == EXDEV)
        return err_hint(e, "a lake must lie on one file system, without mounts or links inside");
    return e->code;
}

char *fs_absolute(const char *path, struct err *e) {
    if (*path == '/')
        return xstrdup(path);
    _cleanup_(freep) char *cwd = getcwd(NULL, 0);
    if (cwd)
        return xasprintf("%s/%s", cwd, path);
    fs_error(e, errno, "cannot find", "the working folder");
    return NULL;
}

char *fs_parent(const char *path) {
    size_t n = (size_t)(strrchr(path, '/') - path);
    return xstrndup(path, MAX(n, 1));
}

int fs_sum(int fd, int64_t offset, int64_t len, uint32_t *ret, uint32_t *whole) {
    _cleanup_(freep) char *chunk = xmalloc(CHUNK);
    uint32_t crc = 0;
    for (int64_t done = 0; done < len;) {
        ssize_t n = pread(fd, chunk, (size_t)MIN(CHUNK, len - done), offset + done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : ENODATA;
        crc = crc32c(crc, chunk, (size_t)n);
        if (whole)
            *whole = crc32c(*whole, chunk, (size_t)n);
        done += n;
    }
    *ret = crc;
    return 0;
}

/* 0 or an errno. A short write is continued; the next call then tells why it was short. */
static int write_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

int fs_write_new(const char *path, const void *data, size_t len, struct err *e) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return fs_error(e, errno, "cannot create", path);
    int failed = write_all(fd, data, len);
    if (!failed && fsync(fd) != 0)
        failed = errno;
    if (close(fd) != 0 && !failed)
        failed = errno;
    if (failed) {
        unlink(path);
        return fs_error(e, failed, "cannot write", path);
    }
    return 0;
}

int fs_sync(const char *path, struct err *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fs_error(e, errno, "cannot open", path);
    int failed = fsync(fd) != 0 ? errno : 0;
    close(fd);
    /* EINVAL: a file system whose folders cannot be synced, and need not be */
    return failed && failed != EINVAL ? fs_error(e, failed, "cannot sync", path) : 0;
}

static int sync_parent(const char *path, struct err *e) {
    _cleanup_(freep) char *parent = fs_parent(path);
    return fs_sync(parent, e);
}

int fs_mkdir(const char *path, struct err *e) {
    /* Synced even if it was there: the process that made it may not have come so far. */
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return fs_error(e, errno, "cannot make folder", path);
    return sync_parent(path, e);
}

int fs_mkdirs(const char *path, struct err *e) {
    struct stat sb;
    if (stat(path, &sb) == 0) {
        if (!S_ISDIR(sb.st_mode))
            return fs_error(e, ENOTDIR, "cannot use", path);
        return 0;
    }
    _cleanup_(freep) char *parent = fs_parent(path);
    int r = fs_mkdirs(parent, e);
    return r ? r : fs_mkdir(path, e);
}

/* For file systems without hard links (FAT, some network shares). 0 or an errno. */
static int rename_new(const char *from, const char *to) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    return errno;
}

/* True if a link was made although the call failed: network file systems lose answers. */
static bool linked_after_all(const char *from, const char *to) {
    struct stat a, b;
    return stat(from, &a) == 0 && stat(to, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

int fs_name_new(const char *from, const char *to, struct err *e) {
    int failed = link(from, to) == 0 ? 0 : errno;
    if (!failed || linked_after_all(from, to))
        return 0;
    if (failed == EPERM || failed == EOPNOTSUPP || failed == ENOSYS || failed == EMLINK)
        failed = rename_new(from, to);
    switch (failed) {
    case 0:
        return 0;
    case EEXIST:
        return err_set(e, ERR_EXISTS, "%s exists", to);
    case ENOENT:
        return err_set(e, ERR_NOT_FOUND, "cannot create %s: no such folder", to);
    case EINVAL:
    case ENOSYS:
    case EOPNOTSUPP:
        fs_error(e, failed, "cannot create", to);
        return err_hint(e, "this file system has neither hard links nor a rename that never "
                           "overwrites: choose another lake.url");
    default:
        return fs_error(e, failed, "cannot create", to);
    }
}

static int remove_one(const char *path, const struct stat *sb ATTR_UNUSED, int type ATTR_UNUSED,
                      struct FTW *ftw ATTR_UNUSED) {
    remove(path);
    return 0;
}

void fs_remove_tree(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
