/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/sql_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/util.h"

static const char suffix[] = ".sql";

/* Whatever a name holds, a message stays one line. */
char *sql_printable(const char *text) {
    struct buf b = BUF_INIT(4 * LIMIT_PATH);
    for (size_t left = strlen(text); left > 0;) {
        size_t n = utf8_len(text, left);
        if (n == 0 || utf8_is_control(text, n))
            buf_add_char(&b, '?');
        else
            buf_add(&b, text, n);
        text += MAX(n, 1);
        left -= MAX(n, 1);
    }
    return buf_detach(&b);
}

/* A text that any message may quote. */
static int check_text(const char *file, const struct buf *text, struct err *e) {
    const char *s = buf_str(text);
    int line = 1;
    for (size_t at = 0; at < text->len;) {
        size_t n = utf8_len(s + at, text->len - at);
        bool control = n > 0 && utf8_is_control(s + at, n) && !strchr("\t\n\r", s[at]);
        if (n == 0 || s[at] == '\0' || control)
            return err_set(e, ERR_ENGINE, "%s:%d: %s", file, line,
                           n == 0 ? "this is no UTF-8" : "there is a control character");
        line += s[at] == '\n';
        at += n;
    }
    return 0;
}

static int read_open(int fd, const char *file, struct buf *b, struct err *e) {
    struct stat st;
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
        return err_set(e, ERR_ENGINE, "%s is not a file", file);
    ssize_t n = 1;
    while (n > 0 && buf_reserve(b, 64 * KIB)) {
        n = read(fd, b->data + b->len, 64 * KIB);
        b->len += n > 0 ? (size_t)n : 0;
    }
    if (n < 0)
        return err_sys(e, ERR_ENGINE, errno, "cannot read %s", file);
    if (b->overflow)
        return err_set(e, ERR_ENGINE, "%s is larger than %d bytes", file, LIMIT_MODEL);
    if (b->data)
        b->data[b->len] = '\0';
    return check_text(file, b, e);
}

char *sql_file_read(const char *path, const char *file, struct err *e) {
    struct buf b = BUF_INIT(LIMIT_MODEL + 64 * KIB);
    char *text = NULL;
    /* Never wait for the other end of a pipe. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        err_sys(e, ERR_ENGINE, errno, "cannot open %s", file);
    else if (read_open(fd, file, &b, e) == 0)
        text = buf_detach(&b);
    buf_release(&b);
    if (fd >= 0)
        close(fd);
    return text;
}

static int is_sql(const struct dirent *d) {
    size_t n = strlen(d->d_name), end = strlen(suffix);
    return d->d_name[0] != '.' && n > end && strcmp(d->d_name + n - end, suffix) == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void take_file(const struct sql_folder *f, const char *base) {
    _cleanup_(freep) char *path = xasprintf("%s/%s", f->dir, base), *file = sql_printable(path);
    _cleanup_(freep) char *name = xstrndup(base, strlen(base) - strlen(suffix));
    f->take(f->arg, path, file, name);
}

int sql_folder_each(const struct sql_folder *f, struct err *e) {
    struct dirent **found;
    int n = scandir(f->dir, &found, is_sql, by_bytes);
    if (n < 0 && errno == ENOENT && strcmp(f->dir, f->usual) == 0)
        return 0;
    if (n < 0) {
        err_sys(e, ERR_CONFIG, errno, "%s: cannot read the folder '%s'", f->key, f->dir);
        return err_hint(e, "make it, or take %s out of the configuration", f->key);
    }
    for (int i = 0; i < n; i++) {
        take_file(f, found[i]->d_name);
        free(found[i]);
    }
    free(found);
    return 0;
}
