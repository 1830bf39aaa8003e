/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consumer of the local stream: one reader per assigned partition, without locks. A chunk of
 * the segment is read straight into the span and its frames are handed out where they lie.
 *
 * What is not behind the durable mark yet is synced by the reader itself before it is handed out:
 * fdatasync works on the file, whoever wrote it. A bad or torn frame is the end of the stream if
 * it lies behind the mark, where a producer may be at work or have died, and damage before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "stream/drivers.h"
#include "stream/local_private.h"

struct reader {
    int32_t partition;
    int fd;            /* the segment, -1: at->base does not exist yet */
    struct point at;   /* the next frame */
    int64_t durable;   /* bytes of the segment known to be on the disk */
    int64_t lost_from; /* the position given, when its segment was removed before; -1: told */
    bool suspicious; /* the last frame was bad although the mark promises it: looked at once more */
};

struct consumer {
    bool subscribed;     /* and the partitions not offered yet */
    int32_t *partitions; /* POLL_ASSIGN points here */
    struct reader *v;
    size_t n, turn;
};

static void close_readers(struct consumer *c) {
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].fd >= 0)
            close(c->v[i].fd);
    free(c->v);
    c->v = NULL;
    c->n = c->turn = 0;
}

void consumer_free(struct consumer *c) {
    if (!c)
        return;
    close_readers(c);
    free(c->partitions);
    free(c);
}

static struct consumer *consumer_of(struct local *l) {
    if (!l->consumer)
        l->consumer = xcalloc(1, sizeof *l->consumer);
    return l->consumer;
}

int read_subscribe(struct stream *s, struct err *e ATTR_UNUSED) {
    struct consumer *c = consumer_of((struct local *)s);
    close_readers(c);
    c->subscribed = true;
    return 0;
}

int read_bounds(struct stream *s, struct bounds **ret, size_t *ret_n, struct err *e) {
    struct local *l = (struct local *)s;
    int r = local_load_topic(l, e);
    if (r < 0)
        return r;
    struct bounds *v = xcalloc((size_t)l->partitions, sizeof *v);
    for (int32_t i = 0; i < l->partitions && r == 0; i++) {
        struct point end = {0};
        int64_t begin = 0;
        r = log_range(l, i, &begin, &end, e);
        v[i] = (struct bounds){i, begin, end.offset};
    }
    if (r < 0) {
        free(v);
        return r;
    }
    *ret = v;
    *ret_n = (size_t)l->partitions;
    return 0;
}

/* --- assign --- */

static int open_at(struct local *l, struct reader *rd, int64_t base, struct err *e) {
    char path[LIMIT_PATH];
    log_segment_path(l, rd->partition, base, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return local_error(l, e, errno, "cannot open %s", path);
    if (rd->fd >= 0)
        close(rd->fd);
    rd->fd = fd;
    rd->at.base = base;
    rd->at.offset = base;
    rd->at.pos = 0;
    rd->durable = 0;
    rd->suspicious = false;
    return 1;
}

/* Opens the last segment that begins at or before the offset and walks to it. */
static int seek_reader(struct local *l, struct reader *rd, int64_t offset, struct err *e) {
    _cleanup_(freep) int64_t *segments = NULL;
    size_t n;
    int r = log_segments(l, rd->partition, &segments, &n, e);
    if (r < 0)
        return r;
    size_t i = n;
    while (i > 0 && segments[i - 1] > offset)
        i--;
    if (i > 0 && rd->fd >= 0 && rd->at.base == segments[i - 1] && rd->at.offset <= offset)
        return log_walk(l, rd->partition, rd->fd, &rd->at, offset, e);
    rd->at = (struct point){.base = offset, .offset = offset};
    if (i == 0)
        return 0; /* no segment yet: it will have this name */
    r = open_at(l, rd, segments[i - 1], e);
    if (r > 0)
        r = log_walk(l, rd->partition, rd->fd, &rd->at, offset, e);
    if (r == 0 && rd->at.offset < offset)
        r = log_damaged(l, rd->partition, &rd->at, "a later offset exists, this one is unreadable",
                        e);
    return r;
}

static int assign_one(struct local *l, struct reader *rd, const struct position *p, struct err *e) {
    struct point end;
    int64_t begin;
    if (p->partition < 0 || p->partition >= l->partitions) {
        err_set(e, ERR_STREAM, "topic %s in %s has no partition %" PRId32 ", only 0 to %" PRId32,
                l->s.topic, l->root, p->partition, l->partitions - 1);
        return err_hint(e, "was the stream replaced by another one with fewer partitions?");
    }
    int r = log_range(l, p->partition, &begin, &end, e);
    if (r < 0)
        return r;
    int64_t offset = p->offset == -1 ? begin : p->offset;
    if (offset >= 0 && offset < begin && l->accept_loss) {
        rd->lost_from = offset;
        offset = begin;
    }
    if (offset < begin || offset > end.offset) {
        err_set(e, ERR_STREAM,
                "position %" PRId64 " of topic %s, partition %" PRId32
                " in %s is outside of what the stream holds: offsets %" PRId64 " to %" PRId64,
                offset, l->s.topic, p->partition, l->root, begin, end.offset);
        return err_hint(e, offset < begin ? "older segments were removed before they were read: "
                                            "`clickmill ingest --accept-loss` notes the gap and "
                                            "goes on behind it"
                                          : "the stream was cut or replaced after it was read");
    }
    rd->partition = p->partition;
    return seek_reader(l, rd, offset, e);
}

int read_assign(struct stream *s, const struct position *p, size_t n, struct err *e) {
    struct local *l = (struct local *)s;
    struct consumer *c = consumer_of(l);
    int r = local_load_topic(l, e);
    if (r < 0)
        return r;
    close_readers(c);
    c->v = xcalloc(n, sizeof *c->v);
    for (size_t i = 0; i < n; i++)
        c->v[i].fd = c->v[i].lost_from = -1;
    c->n = n;
    for (size_t i = 0; i < n && r == 0; i++)
        r = assign_one(l, &c->v[i], &p[i], e);
    if (r < 0)
        close_readers(c);
    return r;
}

/* --- peek --- */

void peekers_free(struct local *l) {
    for (int32_t i = 0; i < l->n_peekers; i++)
        if (l->peekers[i].fd >= 0)
            close(l->peekers[i].fd);
    free(l->peekers);
}

/* From where it looked last, if that is before the offset: positions go forward. */
static struct reader *peeker_of(struct local *l, int32_t partition) {
    if (partition >= l->n_peekers) {
        l->peekers = xrealloc(l->peekers, ((size_t)partition + 1) * sizeof *l->peekers);
        for (; l->n_peekers <= partition; l->n_peekers++)
            l->peekers[l->n_peekers] = (struct reader){.partition = l->n_peekers, .fd = -1};
    }
    return &l->peekers[partition];
}

static int peek_one(struct local *l, struct peek *pk, struct err *e) {
    struct reader *rd = peeker_of(l, pk->partition);
    int64_t begin;
    struct point end;
    int r = log_range(l, pk->partition, &begin, &end, e);
    if (r < 0 || pk->offset < begin)
        return r;
    pk->state = PEEK_NONE;
    if (pk->offset >= end.offset)
        return 0;
    r = seek_reader(l, rd, pk->offset, e);
    char head[FRAME_HEAD];
    struct frame f;
    if (r < 0 || rd->fd < 0 || pread(rd->fd, head, FRAME_HEAD, rd->at.pos) != FRAME_HEAD ||
        !frame_glance(head, &f)) {
        pk->state = PEEK_UNKNOWN;
        return r;
    }
    pk->state = PEEK_FOUND;
    pk->timestamp_us = f.timestamp_ms * 1000;
    pk->bytes = (int64_t)(f.key_len + f.value_len);
    return 0;
}

int read_peek(struct stream *s, struct peek *v, size_t n, struct err *e) {
    struct local *l = (struct local *)s;
    int r = local_load_topic(l, e);
    for (size_t i = 0; i < n && r == 0; i++) {
        v[i].state = PEEK_UNKNOWN;
        if (v[i].partition >= 0 && v[i].partition < l->partitions && v[i].offset >= 0)
            r = peek_one(l, &v[i], e);
    }
    return r;
}

/* --- poll --- */

struct room {
    size_t records, bytes; /* what the span may hold in all */
};

/* Makes sure that the segment is on the disk up to `pos`, or says why not. */
static int make_durable(struct local *l, struct reader *rd, int64_t pos, struct err *e) {
    struct point mark;
    if (pos <= rd->durable)
        return 0;
    if (log_mark_read(l, rd->partition, &mark) && mark.base >= rd->at.base)
        rd->durable = mark.base > rd->at.base ? INT64_MAX : mark.pos;
    if (pos <= rd->durable)
        return 0;
    /* EROFS, EINVAL: nothing can be waiting to be written there. */
    if (fdatasync(rd->fd) < 0 && errno != EROFS && errno != EINVAL) {
        int why = errno;
        char path[LIMIT_PATH];
        log_segment_path(l, rd->partition, rd->at.base, path);
        return local_error(l, e, why, "cannot sync %s", path);
    }
    rd->durable = pos;
    return 0;
}

/* Parses what was read behind the span's bytes; the records are ours, but not handed out yet. */
static size_t parse_chunk(struct reader *rd, struct span *sp, size_t n, size_t max_records,
                          struct point *ret_at, size_t *ret_need) {
    const char *p = sp->bytes.data + sp->bytes.len;
    size_t used = 0;
    struct point at = rd->at;
    struct frame f;
    *ret_need = 0;
    while (sp->n < max_records) {
        enum frame_state state = frame_parse(p + used, n - used, &f);
        if (state == FRAME_SHORT)
            *ret_need = f.size;
        if (state != FRAME_OK)
            break;
        *span_add(sp) = (struct record){
            .partition = rd->partition,
            .offset = at.offset++,
            .timestamp_us = f.timestamp_ms * 1000,
            .key = f.key,
            .key_len = f.key_len,
            .value = f.value,
            .value_len = f.value_len,
        };
        used += f.size;
        at.timestamp_ms = f.timestamp_ms;
    }
    at.pos += (int64_t)used;
    *ret_at = at;
    return used;
}

/* 1: records were added; 0: none, with *ret_need > 0 if the next frame asks for a larger chunk. */
static int read_chunk(struct local *l, struct reader *rd, struct span *sp, size_t chunk,
                      size_t max_records, size_t *ret_need, struct err *e) {
    size_t records = sp->n;
    span_reserve(sp, chunk);
    ssize_t n = pread(rd->fd, sp->bytes.data + sp->bytes.len, chunk, rd->at.pos);
    if (n < 0) {
        int why = errno;
        char path[LIMIT_PATH];
        log_segment_path(l, rd->partition, rd->at.base, path);
        return local_error(l, e, why, "cannot read %s at byte %" PRId64, path, rd->at.pos);
    }
    struct point at;
    size_t used = parse_chunk(rd, sp, (size_t)n, max_records, &at, ret_need);
    if (used > 0 || (size_t)n < chunk)
        *ret_need = 0; /* the file, not the chunk, ends here */
    int r = used > 0 ? make_durable(l, rd, at.pos, e) : 0;
    if (r < 0) {
        sp->n = records;
        return r;
    }
    sp->bytes.len += used;
    sp->bytes.data[sp->bytes.len] = '\0';
    rd->at = at;
    if (used > 0)
        rd->suspicious = false;
    return used > 0;
}

/*
 * No whole frame lies at rd->at. 1: look again (the next segment, or a frame that was completed
 * meanwhile); 0: this is the end for now.
 */
static int at_the_end(struct local *l, struct reader *rd, struct err *e) {
    if (rd->at.offset > rd->at.base) {
        int r = open_at(l, rd, rd->at.offset, e);
        if (r != 0)
            return r;
    }
    struct point mark;
    if (!log_mark_read(l, rd->partition, &mark) || mark.base < rd->at.base ||
        (mark.base == rd->at.base && mark.pos <= rd->at.pos))
        return 0;
    /* The mark may have moved after our read: only the second time is it damage. */
    if (!rd->suspicious) {
        rd->suspicious = true;
        return 1;
    }
    return log_damaged(l, rd->partition, &rd->at,
                       mark.base > rd->at.base ? "no whole record here, though later segments exist"
                                               : "the checksum is wrong or the end is missing",
                       e);
}

/* Reads one partition until the span is full (1) or there is no more for now (0). */
static int read_partition(struct local *l, struct reader *rd, struct span *sp,
                          const struct room *room, struct err *e) {
    size_t need = 0;
    for (;;) {
        if (sp->n >= room->records || (sp->n > 0 && sp->bytes.len + FRAME_HEAD >= room->bytes))
            return 1;
        if (rd->fd < 0) {
            int r = open_at(l, rd, rd->at.offset, e);
            if (r <= 0)
                return r;
        }
        size_t left = room->bytes > sp->bytes.len ? room->bytes - sp->bytes.len : 0;
        size_t chunk = MIN(MAX(READ_CHUNK, need), MAX(left, FRAME_HEAD));
        if (sp->n == 0)
            chunk = MAX(chunk, need); /* one record at least, however large */
        int r = read_chunk(l, rd, sp, chunk, room->records, &need, e);
        if (r < 0)
            return r;
        if (need > left && sp->n > 0)
            return 1;
        if (r == 0 && need == 0 && (r = at_the_end(l, rd, e)) <= 0)
            return r;
    }
}

/* One round over the partitions, each poll beginning with another one. */
static int read_round(struct local *l, struct consumer *c, struct span *sp, const struct room *room,
                      struct err *e) {
    size_t first = c->turn, before = sp->n;
    for (size_t i = 0; i < c->n; i++) {
        size_t at = (first + i) % c->n, records = sp->n;
        int r = read_partition(l, &c->v[at], sp, room, e);
        if (r < 0) {
            c->turn = at; /* what came before it is good; it fails again, first, next time */
            return sp->n > before ? 0 : r;
        }
        if (sp->n > records)
            c->turn = (at + 1) % c->n;
        if (r > 0)
            break;
    }
    return 0;
}

static int offer_partitions(struct local *l, struct consumer *c, struct poll_result *ret,
                            struct err *e) {
    int r = local_load_topic(l, e);
    if (r < 0 || l->partitions == 0)
        return r;
    c->partitions = xrealloc(c->partitions, (size_t)l->partitions * sizeof *c->partitions);
    for (int32_t i = 0; i < l->partitions; i++)
        c->partitions[i] = i;
    c->subscribed = false; /* offered once */
    *ret = (struct poll_result){
        .kind = POLL_ASSIGN, .partitions = c->partitions, .n_partitions = (size_t)l->partitions};
    return 0;
}

/* What read_assign found missing. */
static bool tell_loss(struct consumer *c, struct poll_result *ret) {
    for (size_t i = 0; i < c->n; i++) {
        struct reader *rd = &c->v[i];
        if (rd->lost_from < 0)
            continue;
        *ret = (struct poll_result){.kind = POLL_LOSS,
                                    .loss = {rd->partition, rd->lost_from, rd->at.offset}};
        rd->lost_from = -1;
        return true;
    }
    return false;
}

int read_poll(struct stream *s, int timeout_ms, struct span *sp, size_t max_records,
              size_t max_bytes, struct poll_result *ret, struct err *e) {
    struct local *l = (struct local *)s;
    struct consumer *c = consumer_of(l);
    struct room room = {.records = sp->n + MIN(max_records, SIZE_MAX / 2), .bytes = max_bytes};
    size_t before = sp->n;
    int64_t until = clock_mono_ns() + timeout_ms * 1000000LL;
    if (tell_loss(c, ret))
        return 0;
    for (int64_t pause = 1;; pause = MIN(pause * 2, 16)) {
        *ret = (struct poll_result){.kind = POLL_IDLE};
        int r = c->subscribed ? offer_partitions(l, c, ret, e) : read_round(l, c, sp, &room, e);
        if (r < 0)
            return r;
        if (sp->n > before)
            ret->kind = POLL_RECORDS;
        int64_t left = (until - clock_mono_ns()) / 1000000;
        if (ret->kind != POLL_IDLE || left <= 0 || sp->n >= room.records)
            return 0;
        if (stop_wait((int)MIN(pause, left)))
            return 0;
    }
}
