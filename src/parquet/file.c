/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file: magic, row groups, footer, its length, magic (parquet-format, "File format").
 * The file is written from front to back; of each group only its part of the footer is kept.
 */
#include "parquet/file.h"

#include "parquet/encoded.h"
#include "parquet/footer.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { WRITE_EARLY = MIB };

struct parquet_file {
    char *path;
    int fd;    /* -1: at rest, or done with */
    bool done; /* finished, or removed after a failure */
    struct columns *columns;
    struct footer footer;
};

static int write_failed(const struct parquet_file *f, int errnum, struct err *e) {
    err_sys(e, ERR_STORAGE, errnum, "cannot write %s", f->path);
    if (errnum == ENOSPC || errnum == EDQUOT)
        err_hint(e, "free space; nothing was committed");
    return e->code;
}

/* Closes and removes the file: half of one is of no use. */
static void discard(struct parquet_file *f) {
    if (f->done)
        return;
    if (f->fd >= 0)
        close(f->fd);
    unlink(f->path);
    f->fd = -1;
    f->done = true;
}

static int write_all(struct parquet_file *f, const void *p, size_t n, struct err *e) {
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

/*
 * To the disk already, while the next group is made: whoever syncs the file in the end finds little left
 * to wait for. A hint; nothing relies on it.
 */
static void start_writing(const struct parquet_file *f, size_t n) {
    if (n >= WRITE_EARLY)
        (void)sync_file_range(f->fd, f->footer.size - (off_t)n, (off_t)n, SYNC_FILE_RANGE_WRITE);
}

/* After a failure the file is gone; what comes later says so instead of making another. */
static int check_open(struct parquet_file *f, struct err *e) {
    if (f->done)
        return err_set(e, ERR_STORAGE, "cannot write %s: it was given up after an error", f->path);
    if (f->fd < 0)
        f->fd = open(f->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (f->fd >= 0)
        return 0;
    write_failed(f, errno, e);
    discard(f);
    return e->code;
}

void parquet_file_rest(struct parquet_file *f) {
    if (f->fd >= 0 && close(f->fd) < 0 && errno != EINTR) {
        f->fd = -1;
        discard(f);
    }
    f->fd = -1;
}

int parquet_file_create(const struct table_def *def, const char *local_path,
                        struct parquet_file **ret, struct err *e) {
    int fd = open(local_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_sys(e, ERR_STORAGE, errno, "cannot create %s", local_path);
    struct parquet_file *f = xcalloc(1, sizeof *f);
    f->fd = fd;
    f->path = xstrdup(local_path);
    f->columns = columns_new(def);
    footer_init(&f->footer, f->columns);
    int r = write_all(f, PARQUET_MAGIC, 4, e);
    if (r < 0) {
        parquet_file_free(f);
        return r;
    }
    *ret = f;
    return 0;
}

int parquet_file_append(struct parquet_file *f, struct encoded *en, struct err *e) {
    int r = check_open(f, e);
    if (r == 0) {
        footer_add(&f->footer, en);
        r = write_all(f, en->bytes.data, en->bytes.len, e);
        if (r == 0)
            start_writing(f, en->bytes.len);
    }
    encoded_free(en);
    return r;
}

int parquet_file_finish(struct parquet_file *f, struct table_file *ret, struct err *e) {
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
    f->done = true;
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

void parquet_file_free(struct parquet_file *f) {
    if (!f)
        return;
    discard(f);
    footer_release(&f->footer);
    free(f->columns);
    free(f->path);
    free(f);
}
