/* SPDX-License-Identifier: Apache-2.0 */
#include "base/helper.h"

#include <unistd.h>

#include "base/limits.h"

static char *new_file(int *ret_fd) {
    const char *tmp = getenv("TMPDIR");
    char *path = xasprintf("%s/clickmill-base-XXXXXX", tmp ? tmp : "/tmp");
    *ret_fd = mkstemp(path);
    if (*ret_fd < 0)
        fail_msg("cannot make %s", path);
    return path;
}

char *file_with(const void *data, size_t n) {
    int fd;
    char *path = new_file(&fd);
    if (write(fd, data, n) != (ssize_t)n)
        fail_msg("cannot write %s", path);
    close(fd);
    return path;
}

void file_drop(char *path) {
    unlink(path);
    free(path);
}

static char *content_of(int fd) {
    struct buf b = BUF_INIT(16 * MIB);
    char part[4096];
    lseek(fd, 0, SEEK_SET);
    for (ssize_t n; (n = read(fd, part, sizeof part)) > 0;)
        buf_add(&b, part, (size_t)n);
    assert_false(b.overflow);
    return buf_detach(&b);
}

char *printed_on(int fd, void (*fn)(const void *arg), const void *arg) {
    int file;
    char *path = new_file(&file);
    fflush(NULL);
    int saved = dup(fd);
    dup2(file, fd);
    fn(arg);
    fflush(NULL);
    dup2(saved, fd);
    close(saved);
    char *text = content_of(file);
    close(file);
    file_drop(path);
    return text;
}

uint64_t random_next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
