/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"

enum { CHUNK = 256 * KIB };

struct lines {
    char *name;
    int fd;
    char *b;
    size_t cap, from, to; /* b[from..to) is read and not handed out */
    size_t searched;      /* no LF before this */
    int64_t number;       /* of the line that begins at from */
    bool eof;
};

int lines_open(const char *path, struct lines **ret, struct err *e) {
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_sys(e, ERR_STREAM, errno, "cannot open the input file %s", path);
        return err_hint(e, "--from takes a file of JSON lines, or - for standard input");
    }
    struct lines *in = xcalloc(1, sizeof *in);
    in->name = xstrdup(is_stdin ? "standard input" : path);
    in->fd = fd;
    in->number = 1;
    *ret = in;
    return 0;
}

void lines_close(struct lines *in) {
    if (!in)
        return;
    if (in->fd != STDIN_FILENO)
        close(in->fd);
    free(in->name);
    free(in->b);
    free(in);
}

void lines_wait(struct lines *in, int ms) {
    struct pollfd p = {.fd = in->fd, .events = POLLIN};
    poll(&p, 1, ms);
}

static void make_room(struct lines *in) {
    if (in->from > 0) {
        memmove(in->b, in->b + in->from, in->to - in->from);
        in->to -= in->from;
        in->searched -= in->from;
        in->from = 0;
    }
    if (in->cap - in->to < CHUNK) {
        in->cap = MAX(in->cap * 2, 2 * (size_t)CHUNK);
        in->b = xrealloc(in->b, in->cap);
    }
}

/* 1: read something, or the end; 0: nothing there right now. */
static int read_more(struct lines *in, struct err *e) {
    struct pollfd p = {.fd = in->fd, .events = POLLIN};
    if (in->to - in->from > LIMIT_LINE) {
        err_set(e, ERR_STREAM, "line %" PRId64 " of %s is longer than %d MiB", in->number, in->name,
                LIMIT_LINE / MIB);
        return err_hint(e, "is it a file of JSON lines, one record a line?");
    }
    if (poll(&p, 1, 0) == 0)
        return 0;
    make_room(in);
    ssize_t n = read(in->fd, in->b + in->to, CHUNK);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n < 0)
        return err_sys(e, ERR_STREAM, errno, "cannot read %s", in->name);
    in->to += (size_t)n;
    in->eof = n == 0;
    return 1;
}

int lines_next(struct lines *in, const char **ret, size_t *ret_n, struct err *e) {
    for (;;) {
        char *lf = in->searched < in->to ? memchr(in->b + in->searched, '\n', in->to - in->searched)
                                         : NULL;
        if (!lf && !in->eof) {
            in->searched = in->to;
            int r = read_more(in, e);
            if (r <= 0)
                return r < 0 ? r : LINES_WAIT;
            continue;
        }
        size_t end = lf ? (size_t)(lf - in->b) : in->to, from = in->from;
        if (!lf && from == end)
            return LINES_END;
        in->from = in->searched = lf ? end + 1 : end;
        in->number++;
        if (end == from)
            continue;
        *ret = in->b + from;
        *ret_n = end - from;
        return LINES_ONE;
    }
}
