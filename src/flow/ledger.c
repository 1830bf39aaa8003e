/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "event/event.h"

struct ledger {
    char *path;
    int fd;
    struct buf front; /* {"topic":"clicks" */
    struct buf lines; /* not written yet */
    struct event_decoder *decoder;
    int64_t synced_ns;
};

void ledger_close(struct ledger *l) {
    if (!l)
        return;
    if (l->fd >= 0)
        close(l->fd);
    buf_release(&l->front);
    buf_release(&l->lines);
    event_decoder_free(l->decoder);
    free(l->path);
    free(l);
}

/* Cuts the last line if it has no end. Lines are short: topic and event_id are bounded. */
static int cut_half_line(struct ledger *l, struct err *e) {
    struct stat st;
    char tail[4096];
    if (fstat(l->fd, &st) < 0)
        return err_sys(e, ERR_STREAM, errno, "cannot read the ledger %s", l->path);
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return 0;
    off_t from = MAX(st.st_size - (off_t)sizeof tail, 0);
    ssize_t n = pread(l->fd, tail, sizeof tail, from);
    if (n <= 0)
        return err_sys(e, ERR_STREAM, n < 0 ? errno : EIO, "cannot read the ledger %s", l->path);
    if (tail[n - 1] == '\n')
        return 0;
    const char *lf = memrchr(tail, '\n', (size_t)n);
    const char *half = lf ? lf + 1 : tail;
    static const char begin[] = "{\"topic\":";
    size_t len = (size_t)(tail + n - half);
    if ((!lf && from > 0) || memcmp(half, begin, MIN(len, sizeof begin - 1)) != 0) {
        err_set(e, ERR_STREAM, "%s is no ledger: its last line is something else", l->path);
        return err_hint(e, "give --ledger a new file");
    }
    if (ftruncate(l->fd, from + (half - tail)) < 0)
        return err_sys(e, ERR_STREAM, errno, "cannot cut the half line off the ledger %s", l->path);
    return 0;
}

int ledger_open(const char *path, const char *topic, struct ledger **ret, struct err *e) {
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_sys(e, ERR_STREAM, errno, "cannot open the ledger %s", path);
    struct ledger *l = xcalloc(1, sizeof *l);
    l->fd = fd;
    l->path = xstrdup(path);
    l->front = BUF_INIT(4 * KIB);
    l->lines = BUF_INIT(SIZE_MAX / 4); /* as many lines as records may be in flight */
    l->decoder = event_decoder_new();
    buf_add_str(&l->front, "{\"topic\":");
    json_put_str(&l->front, topic, strlen(topic));
    int r = cut_half_line(l, e);
    if (r < 0) {
        ledger_close(l);
        return r;
    }
    *ret = l;
    return 0;
}

void ledger_add(struct ledger *l, const struct ack *a, const char *value, size_t len) {
    struct event ev;
    event_decode(l->decoder, value, len, a->timestamp_us, &ev);
    buf_add(&l->lines, l->front.data, l->front.len);
    buf_addf(&l->lines,
             ",\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"event_id\":", a->partition,
             a->offset);
    if (ev.reject == REJECT_NONE && ev.event_id.p)
        json_put_str(&l->lines, ev.event_id.p, ev.event_id.len);
    else
        buf_add_str(&l->lines, "null");
    buf_add_str(&l->lines, "}\n");
    event_decoder_reset(l->decoder);
}

int ledger_write(struct ledger *l, bool last, struct err *e) {
    for (size_t done = 0; done < l->lines.len;) {
        ssize_t n = write(l->fd, l->lines.data + done, l->lines.len - done);
        if (n < 0 && errno != EINTR) {
            int why = errno; /* what is written is not written again */
            memmove(l->lines.data, l->lines.data + done, l->lines.len - done);
            l->lines.len -= done;
            return err_sys(e, ERR_STREAM, why, "cannot write the ledger %s", l->path);
        }
        done += n > 0 ? (size_t)n : 0;
    }
    buf_reset(&l->lines);
    int64_t now = clock_mono_ns();
    if (!last && now - l->synced_ns < 1000000000LL)
        return 0;
    l->synced_ns = now;
    /* A pipe or a terminal has nothing to sync. */
    if (fdatasync(l->fd) < 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
        return err_sys(e, ERR_STREAM, errno, "cannot sync the ledger %s", l->path);
    return 0;
}
