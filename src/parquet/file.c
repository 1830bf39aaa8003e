/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bronze file: magic, row groups, footer, its length, magic (parquet-format, "File format").
 * The file is written from front to back; of each group only its part of the footer is kept.
 */
#include "parquet/bronze.h"
#include "parquet/encoded.h"
#include "parquet/footer.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct bronze_file {
    char *path;
    int fd; /* -1: finished, or removed after a failure */
    struct footer footer;
};

static int write_failed(const struct bronze_file *f, int errnum, struct err *e) {
    err_sys(e, ERR_STORAGE, errnum, "cannot write %s", f->path);
    if (errnum == ENOSPC || errnum == EDQUOT)
        err_hint(e, "free space; nothing was committed");
    return e->code;
}

/* Closes and removes the file: half of one is of no use. */
static void discard(struct bronze_file *f) {
    if (f->fd < 0)
        return;
    close(f->fd);
    unlink(f->path);
    f->fd = -1;
}

static int write_all(struct bronze_file *f, const void *p, size_t n, struct err *e) {
    const char *at = p;
    while (n > 0) {
        ssize_t done = write(f->fd, at, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            write_failed(f, done < 0 ? errno : EIO, e);
            discard(f);
            return e->code;
        }
        at += done;
        n -= (size_t)done;
        f->footer.size += done;
    }
    return 0;
}

/* After a failure the file is gone; what comes later says so instead of making another. */
static int check_open(const struct bronze_file *f, struct err *e) {
    if (f->fd >= 0)
        return 0;
    return err_set(e, ERR_STORAGE, "cannot write %s: it was given up after an error", f->path);
}

int bronze_file_create(const char *local_path, struct bronze_file **ret, struct err *e) {
    int fd = open(local_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_sys(e, ERR_STORAGE, errno, "cannot create %s", local_path);
    struct bronze_file *f = xcalloc(1, sizeof *f);
    f->fd = fd;
    f->path = xstrdup(local_path);
    footer_init(&f->footer);
    int r = write_all(f, PARQUET_MAGIC, 4, e);
    if (r < 0) {
        bronze_file_free(f);
        return r;
    }
    *ret = f;
    return 0;
}

int bronze_file_append(struct bronze_file *f, struct bronze_encoded *en, struct err *e) {
    int r = check_open(f, e);
    if (r == 0) {
        footer_add(&f->footer, en);
        r = write_all(f, en->bytes.data, en->bytes.len, e);
    }
    bronze_encoded_free(en);
    return r;
}

int bronze_file_finish(struct bronze_file *f, struct table_file *ret, struct err *e) {
    int r = check_open(f, e);
    if (r < 0)
        return r;
    struct buf tail = BUF_INIT(INT32_MAX);
    footer_put(&f->footer, &tail);
    r = write_all(f, tail.data, tail.len, e);
    buf_release(&tail);
    if (r < 0)
        return r;
    int fd = f->fd;
    f->fd = -1;
    if (close(fd) < 0 && errno != EINTR) {
        write_failed(f, errno, e);
        unlink(f->path);
        return e->code;
    }
    ret->size = f->footer.size;
    ret->rows = f->footer.rows;
    ret->stats = footer_log_stats(&f->footer);
    return 0;
}

void bronze_file_free(struct bronze_file *f) {
    if (!f)
        return;
    discard(f);
    footer_release(&f->footer);
    free(f->path);
    free(f);
}
