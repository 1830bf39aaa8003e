/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The producer of the local stream. Records are queued in one lane per partition; a batch of all
 * lanes is written under the topic's lock, fdatasynced once per partition, and then acknowledged
 * (group commit). Linger is looked at by send alone, there is no thread: who pauses, flushes.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "stream/drivers.h"
#include "stream/local_private.h"

/* What is queued for one partition, and where that partition's log ends. */
struct lane {
    struct buf frames;
    void **opaque; /* one for each record in frames */
    size_t n, cap;
    int fd;           /* the last segment, -1: not open */
    struct point end; /* where it ends, if fd >= 0 and nobody else has appended since */
    /* How the batch went. */
    size_t n_written, written; /* whole frames, and their bytes */
    int64_t first_offset, timestamp_ms;
    struct err error; /* why the records from n_written on failed */
};

struct appender {
    int lock_fd;
    struct lane *lanes; /* one per partition */
    int32_t n_lanes;
    size_t records, bytes; /* queued in all lanes */
    int64_t oldest_ns;     /* when the first of them came */
    int32_t sticky;        /* the lane of records without key … */
    size_t sticky_bytes;   /* … and how much it got in its turn */
    struct err failed;     /* the first since the last flush; code 0: none */
};

void appender_free(struct appender *a) {
    if (!a)
        return;
    for (int32_t i = 0; i < a->n_lanes; i++) {
        buf_release(&a->lanes[i].frames);
        free(a->lanes[i].opaque);
        if (a->lanes[i].fd >= 0)
            close(a->lanes[i].fd);
    }
    free(a->lanes);
    if (a->lock_fd >= 0)
        close(a->lock_fd);
    free(a);
}

static int create_topic(struct local *l, struct err *e) {
    char path[LIMIT_PATH], text[64];
    snprintf(path, sizeof path, "%s/meta", l->dir);
    snprintf(text, sizeof text, "{\"format\":1,\"partitions\":%" PRId32 "}\n",
             l->create_partitions);
    int r = local_mkdir(l, l->dir, e);
    if (r == 0)
        r = local_put_if_absent(l, path, text, e);
    return r == 0 ? local_load_topic(l, e) : r;
}

static int open_appender(struct local *l, struct err *e) {
    int r = local_load_topic(l, e);
    if (r == 0 && l->partitions == 0)
        r = create_topic(l, e);
    if (r < 0)
        return r;
    char path[LIMIT_PATH];
    snprintf(path, sizeof path, "%s/lock", l->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return local_error(l, e, errno, "cannot open %s", path);
    struct appender *a = xcalloc(1, sizeof *a);
    a->lock_fd = fd;
    a->n_lanes = l->partitions;
    a->lanes = xcalloc((size_t)a->n_lanes, sizeof *a->lanes);
    for (int32_t i = 0; i < a->n_lanes; i++) {
        a->lanes[i].fd = -1;
        a->lanes[i].frames = BUF_INIT(BATCH_BYTES + FRAME_MAX + FRAME_HEAD);
    }
    l->appender = a;
    return 0;
}

static int take_lock(struct local *l, struct err *e) {
    int64_t until = clock_mono_ns() + LOCK_WAIT_MS * 1000000LL;
    while (flock(l->appender->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return local_error(l, e, errno, "cannot lock %s/lock", l->dir);
        if (clock_mono_ns() > until) {
            err_set(e, ERR_STREAM, "topic %s in %s stayed locked by another producer for %d s",
                    l->s.topic, l->root, LOCK_WAIT_MS / 1000);
            err_hint(e, "is a producer stopped or hanging? `fuser %s/lock` names it", l->dir);
            return err_retry(e);
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return 0;
}

/*
 * Frames behind the mark come from a producer that died or failed before its fdatasync was done.
 * They may be visible already, so they stay. They are written again, because after a failed
 * fdatasync the kernel counts pages as clean that never reached the disk.
 */
static int settle_tail(struct local *l, int32_t partition, const struct point *mark,
                       struct lane *lane, struct err *e) {
    char path[LIMIT_PATH];
    log_segment_path(l, partition, lane->end.base, path);
    int64_t at = mark->base == lane->end.base ? mark->pos : 0;
    _cleanup_(freep) char *b = xmalloc(READ_CHUNK);
    while (at < lane->end.pos) {
        ssize_t n = pread(lane->fd, b, (size_t)MIN(lane->end.pos - at, (int64_t)READ_CHUNK), at);
        if (n > 0)
            n = pwrite(lane->fd, b, (size_t)n, at);
        if (n <= 0)
            return local_error(l, e, n < 0 ? errno : EIO, "cannot write %s again", path);
        at += n;
    }
    if (ftruncate(lane->fd, lane->end.pos) < 0 || fdatasync(lane->fd) < 0)
        return local_error(l, e, errno, "cannot cut the torn tail of %s", path);
    return log_mark_write(l, partition, &lane->end, e);
}

/* Opens the segment that begins or goes on at lane->end. Its name is durable before its frames. */
static int open_segment(struct local *l, int32_t partition, struct lane *lane, struct err *e) {
    char path[LIMIT_PATH];
    if (lane->fd >= 0)
        close(lane->fd);
    log_segment_path(l, partition, lane->end.base, path);
    lane->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lane->fd < 0)
        return local_error(l, e, errno, "cannot open %s", path);
    if (lane->end.pos > 0)
        return 0;
    log_partition_path(l, partition, path);
    int r = local_sync_dir(l, path, e);
    if (r == 0 && lane->end.base == 0)
        r = local_sync_dir(l, l->dir, e);
    return r;
}

/* Nobody has appended, or replaced the files, since lane->end was true. */
static bool still_ours(const struct lane *lane, const struct point *mark, bool marked) {
    struct stat st;
    return lane->fd >= 0 && marked && mark->base == lane->end.base && mark->pos == lane->end.pos &&
           fstat(lane->fd, &st) == 0 && st.st_nlink > 0 && st.st_size == lane->end.pos;
}

/* Under the lock: brings lane->fd and lane->end to the end of the partition. */
static int locate_end(struct local *l, int32_t partition, struct lane *lane, struct err *e) {
    struct point mark = {0};
    bool marked = log_mark_read(l, partition, &mark);
    int r = 0;
    if (!still_ours(lane, &mark, marked)) {
        char path[LIMIT_PATH];
        int64_t begin;
        log_partition_path(l, partition, path);
        r = local_mkdir(l, path, e);
        if (r == 0)
            r = log_range(l, partition, &begin, &lane->end, e);
        if (r == 0)
            r = open_segment(l, partition, lane, e);
        struct stat st;
        if (r == 0 && (fstat(lane->fd, &st) < 0 || st.st_size != lane->end.pos || !marked ||
                       mark.base != lane->end.base || mark.pos != lane->end.pos))
            r = settle_tail(l, partition, &mark, lane, e);
    }
    if (r == 0 && lane->end.pos >= l->segment_bytes) {
        lane->end.base = lane->end.offset;
        lane->end.pos = 0;
        r = open_segment(l, partition, lane, e);
    }
    if (r < 0 && lane->fd >= 0) {
        close(lane->fd);
        lane->fd = -1;
    }
    return r;
}

static void seal_frames(struct lane *lane) {
    lane->timestamp_ms = MAX(clock_now_us() / 1000, lane->end.timestamp_ms);
    for (size_t at = 0; at < lane->frames.len; at += frame_size(lane->frames.data + at))
        frame_seal(lane->frames.data + at, lane->timestamp_ms);
}

/* Counts the whole frames in the first `bytes` bytes of the batch. */
static void count_written(struct lane *lane, size_t bytes) {
    lane->n_written = lane->written = 0;
    while (lane->n_written < lane->n) {
        size_t size = frame_size(lane->frames.data + lane->written);
        if (lane->written + size > bytes)
            break;
        lane->written += size;
        lane->n_written++;
    }
}

/* Under the lock. Not durable yet. Whole frames that were written stay even if the rest failed. */
static int write_lane(struct local *l, int32_t partition, struct lane *lane, struct err *e) {
    int r = locate_end(l, partition, lane, e);
    if (r < 0)
        return r;
    seal_frames(lane);
    lane->first_offset = lane->end.offset;
    size_t done = 0;
    while (done < lane->frames.len && r == 0) {
        ssize_t n = pwrite(lane->fd, lane->frames.data + done, lane->frames.len - done,
                           lane->end.pos + (int64_t)done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            r = local_error(l, e, n < 0 ? errno : ENOSPC, "cannot append to topic %s in %s",
                            l->s.topic, l->root);
    }
    crash_point("local_append_written");
    count_written(lane, done);
    /* Should this fail too, the next append finds the torn frame and cuts it. */
    if (lane->written < done && ftruncate(lane->fd, lane->end.pos + (int64_t)lane->written) < 0)
        lane->end.pos = -1;
    return r;
}

/* Under the lock: makes what write_lane wrote durable. On failure nothing counts as written. */
static int sync_lane(struct local *l, int32_t partition, struct lane *lane, struct err *e) {
    if (fdatasync(lane->fd) < 0) {
        local_error(l, e, errno, "cannot sync topic %s in %s", l->s.topic, l->root);
        lane->n_written = 0;
        close(lane->fd);
        lane->fd = -1;
        return e->code;
    }
    crash_point("local_append_synced");
    if (lane->end.pos < 0) {
        close(lane->fd);
        lane->fd = -1;
        return 0;
    }
    lane->end.pos += (int64_t)lane->written;
    lane->end.offset += (int64_t)lane->n_written;
    lane->end.timestamp_ms = lane->timestamp_ms;
    struct err ignored; /* an old mark is legal: readers and producers walk on from it */
    log_mark_write(l, partition, &lane->end, &ignored);
    return 0;
}

static void acknowledge(struct local *l, int32_t partition, struct lane *lane) {
    struct appender *a = l->appender;
    if (lane->n_written < lane->n && a->failed.code == 0)
        a->failed = lane->error;
    for (size_t i = 0; i < lane->n && l->s.on_ack; i++) {
        struct ack ack = {
            .partition = partition,
            .offset = i < lane->n_written ? lane->first_offset + (int64_t)i : -1,
            .timestamp_us = lane->timestamp_ms * 1000,
            .opaque = lane->opaque[i],
            .error = i < lane->n_written ? NULL : &lane->error,
        };
        l->s.on_ack(l->s.ack_arg, &ack);
    }
    lane->n = lane->n_written = lane->written = 0;
    buf_reset(&lane->frames);
}

static void write_batch(struct local *l) {
    struct appender *a = l->appender;
    struct err locked;
    int r = take_lock(l, &locked);
    for (int32_t i = 0; i < a->n_lanes; i++) {
        struct lane *lane = &a->lanes[i];
        lane->n_written = lane->written = 0;
        if (lane->n == 0)
            continue;
        if (r < 0)
            lane->error = locked;
        else
            write_lane(l, i, lane, &lane->error);
    }
    for (int32_t i = 0; i < a->n_lanes; i++)
        if (a->lanes[i].n_written > 0)
            sync_lane(l, i, &a->lanes[i], &a->lanes[i].error);
    if (r == 0)
        flock(a->lock_fd, LOCK_UN);
    a->records = a->bytes = 0;
    for (int32_t i = 0; i < a->n_lanes; i++)
        if (a->lanes[i].n > 0)
            acknowledge(l, i, &a->lanes[i]);
}

static int32_t pick_lane(struct appender *a, const void *key, size_t key_len, size_t size) {
    if (key)
        return stream_partition_of(key, key_len, a->n_lanes);
    if (a->sticky_bytes >= STICKY_BYTES) {
        a->sticky = (a->sticky + 1) % a->n_lanes;
        a->sticky_bytes = 0;
    }
    a->sticky_bytes += size;
    return a->sticky;
}

int append_send(struct stream *s, const void *key, size_t key_len, const void *value,
                size_t value_len, void *opaque, struct err *e) {
    struct local *l = (struct local *)s;
    size_t size = (key ? key_len : 0) + (value ? value_len : 0);
    if (size > FRAME_MAX || size < value_len)
        return err_set(e, ERR_STREAM,
                       "a record of %zu bytes is too large for topic %s in %s (at most %zu)", size,
                       s->topic, l->root, FRAME_MAX);
    int r = l->appender ? 0 : open_appender(l, e);
    if (r < 0)
        return r;
    struct appender *a = l->appender;
    struct lane *lane = &a->lanes[pick_lane(a, key, key_len, size)];
    if (lane->n == lane->cap) {
        lane->cap = lane->cap ? lane->cap * 2 : 256;
        lane->opaque = xrealloc(lane->opaque, lane->cap * sizeof *lane->opaque);
    }
    lane->opaque[lane->n++] = opaque;
    a->bytes += frame_add(&lane->frames, key, key_len, value, value_len);
    int64_t now = clock_mono_ns();
    if (a->records++ == 0)
        a->oldest_ns = now;
    if (a->bytes >= BATCH_BYTES || a->records >= BATCH_RECORDS ||
        now - a->oldest_ns >= BATCH_LINGER_MS * 1000000LL)
        write_batch(l);
    return 0;
}

int append_flush(struct stream *s, struct err *e) {
    struct local *l = (struct local *)s;
    struct appender *a = l->appender;
    if (!a)
        return 0;
    if (a->records > 0)
        write_batch(l);
    int r = a->failed.code;
    if (r < 0)
        *e = a->failed;
    a->failed.code = 0;
    return r;
}
