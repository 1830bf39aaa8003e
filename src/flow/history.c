/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/history.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

static int cannot(const char *what, const char *path, struct err *e) {
    return err_sys(e, ERR_STORAGE, errno, "cannot %s the history '%s'", what, path);
}

static int read_end(int fd, const char *path, size_t most, struct buf *ret, struct err *e) {
    struct stat st;
    *ret = BUF_INIT(most + 64 * KIB);
    if (fstat(fd, &st) != 0)
        return cannot("read", path, e);
    ssize_t n = 1;
    for (off_t at = MAX(0, st.st_size - (off_t)most); n > 0 && buf_reserve(ret, 64 * KIB);
         at += n) {
        n = pread(fd, ret->data + ret->len, MIN(64 * KIB, most - ret->len), at);
        ret->len += n > 0 ? (size_t)n : 0;
    }
    return n < 0 ? cannot("read", path, e) : 0;
}

int history_end(const char *path, size_t most, struct buf *ret, struct err *e) {
    int fd = *path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    *ret = BUF_INIT(0);
    if (fd < 0)
        return !*path || errno == ENOENT ? 0 : cannot("read", path, e);
    int r = read_end(fd, path, most, ret, e);
    close(fd);
    return r;
}

static int write_new(const char *path, const char *text, size_t n, struct err *e) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return cannot("make", path, e);
    int r = write(fd, text, n) == (ssize_t)n ? 0 : cannot("write", path, e);
    close(fd);
    return r;
}

/* Of two that do so at once, the later one's file stays: a line may be lost, none is half. */
static int drop_older_half(const char *path, size_t largest, struct err *e) {
    struct buf text;
    int r = history_end(path, largest / 2, &text, e);
    const char *lf = r == 0 && text.len ? memchr(text.data, '\n', text.len) : NULL;
    if (lf) {
        _cleanup_(freep) char *fresh = xasprintf("%s.%ld", path, (long)getpid());
        r = write_new(fresh, lf + 1, (size_t)(text.data + text.len - lf - 1), e);
        if (r == 0 && rename(fresh, path) != 0)
            r = cannot("write", path, e);
    }
    buf_release(&text);
    return r;
}

static void make_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    _cleanup_(freep) char *dir = slash ? xstrndup(path, (size_t)(slash - path)) : NULL;
    if (dir)
        mkdir(dir, 0777); /* a failure shows at open */
}

int history_append(const char *path, const struct buf *line, size_t largest, struct err *e) {
    struct stat st;
    make_folder(path);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return cannot("open", path, e);
    int r = write(fd, line->data, line->len) == (ssize_t)line->len ? 0 : cannot("write", path, e);
    bool is_large = largest && fstat(fd, &st) == 0 && (size_t)st.st_size > largest;
    close(fd);
    return r == 0 && is_large ? drop_older_half(path, largest, e) : r;
}
