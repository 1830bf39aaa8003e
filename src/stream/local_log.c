/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of one partition of the local stream: frames, segments, the durable mark, and the
 * question every opening asks: where does it end? Knows nothing of producers and consumers.
 */
#include <assert.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "stream/local_private.h"

static uint32_t get32(const char *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return le32toh(v);
}

static int64_t get64(const char *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return (int64_t)le64toh(v);
}

static void put32(char *p, uint32_t v) {
    v = htole32(v);
    memcpy(p, &v, 4);
}

static void put64(char *p, int64_t v) {
    uint64_t w = htole64((uint64_t)v);
    memcpy(p, &w, 8);
}

bool frame_glance(const char *p, struct frame *ret) {
    uint32_t len = get32(p);
    int32_t key_len = (int32_t)get32(p + 16), value_len = (int32_t)get32(p + 20);
    if (len < 16 || len - 16 > FRAME_MAX || key_len < -1 || value_len < -1)
        return false;
    size_t key_size = key_len < 0 ? 0 : (size_t)key_len;
    size_t value_size = value_len < 0 ? 0 : (size_t)value_len;
    if (16 + key_size + value_size != len)
        return false;
    *ret = (struct frame){.size = 8 + (size_t)len,
                          .timestamp_ms = get64(p + 8),
                          .key = key_len < 0 ? NULL : p + FRAME_HEAD,
                          .value = value_len < 0 ? NULL : p + FRAME_HEAD + key_size,
                          .key_len = key_size,
                          .value_len = value_size};
    return true;
}

enum frame_state frame_parse(const char *p, size_t n, struct frame *ret) {
    ret->size = 0;
    if (n < FRAME_HEAD)
        return FRAME_SHORT;
    if (!frame_glance(p, ret))
        return FRAME_BAD;
    if (n < ret->size)
        return FRAME_SHORT;
    return crc32c(0, p + 8, ret->size - 8) == get32(p + 4) ? FRAME_OK : FRAME_BAD;
}

size_t frame_add(struct buf *b, const void *key, size_t key_len, const void *value,
                 size_t value_len) {
    size_t body = (key ? key_len : 0) + (value ? value_len : 0);
    bool room = buf_reserve(b, FRAME_HEAD + body);
    assert(room && body <= FRAME_MAX);
    char *p = b->data + b->len;
    put32(p, (uint32_t)(16 + body));
    put32(p + 16, key ? (uint32_t)key_len : UINT32_MAX);
    put32(p + 20, value ? (uint32_t)value_len : UINT32_MAX);
    p += FRAME_HEAD;
    if (key && key_len)
        memcpy(p, key, key_len);
    if (value && value_len)
        memcpy(p + (key ? key_len : 0), value, value_len);
    b->len += FRAME_HEAD + body;
    return FRAME_HEAD + body;
}

void frame_seal(char *frame, int64_t timestamp_ms) {
    put64(frame + 8, timestamp_ms);
    put32(frame + 4, crc32c(0, frame + 8, get32(frame)));
}

size_t frame_size(const char *frame) {
    return 8 + (size_t)get32(frame);
}

static void path_join(char out[LIMIT_PATH], const char *fmt, ...) ATTR_PRINTF(2, 3);
static void path_join(char out[LIMIT_PATH], const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(out, LIMIT_PATH, fmt, ap);
    va_end(ap);
    assert(n > 0 && n < LIMIT_PATH); /* local_open bounds the length of dir */
}

void log_partition_path(struct local *l, int32_t partition, char out[LIMIT_PATH]) {
    path_join(out, "%s/%" PRId32, l->dir, partition);
}

void log_segment_path(struct local *l, int32_t partition, int64_t base, char out[LIMIT_PATH]) {
    path_join(out, "%s/%" PRId32 "/%020" PRId64 ".log", l->dir, partition, base);
}

int log_damaged(struct local *l, int32_t partition, const struct point *at, const char *why,
                struct err *e) {
    char path[LIMIT_PATH];
    log_segment_path(l, partition, at->base, path);
    err_set(e, ERR_STREAM,
            "%s is damaged at byte %" PRId64 " (partition %" PRId32 ", offset %" PRId64 "): %s",
            path, at->pos, partition, at->offset, why);
    return err_hint(e, "records that were acknowledged cannot be read back; bring the file back "
                       "from a backup, and look for other signs of a failing disk");
}

/* --- the durable mark: four numbers and their CRC-32C --- */

enum { MARK_SIZE = 36 };

static void mark_path(struct local *l, int32_t partition, char out[LIMIT_PATH]) {
    path_join(out, "%s/%" PRId32 "/durable", l->dir, partition);
}

bool log_mark_read(struct local *l, int32_t partition, struct point *ret) {
    char path[LIMIT_PATH], b[MARK_SIZE];
    mark_path(l, partition, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = false;
    /* A producer may be writing it right now: then the sum is wrong, and right a moment later. */
    for (int try = 0; try < 100 && !ok; try++)
        ok = pread(fd, b, sizeof b, 0) == MARK_SIZE && crc32c(0, b, 32) == get32(b + 32);
    close(fd);
    if (ok)
        *ret = (struct point){get64(b), get64(b + 8), get64(b + 16), get64(b + 24)};
    return ok;
}

int log_mark_write(struct local *l, int32_t partition, const struct point *end, struct err *e) {
    char path[LIMIT_PATH], b[MARK_SIZE];
    put64(b, end->base);
    put64(b + 8, end->pos);
    put64(b + 16, end->offset);
    put64(b + 24, end->timestamp_ms);
    put32(b + 32, crc32c(0, b, 32));
    mark_path(l, partition, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return local_error(l, e, errno, "cannot write %s", path);
    ssize_t n = pwrite(fd, b, sizeof b, 0);
    int why = n < 0 ? errno : ENOSPC;
    close(fd);
    return n == MARK_SIZE ? 0 : local_error(l, e, why, "cannot write %s", path);
}

/* --- segments --- */

static bool segment_name(const char *name, int64_t *ret) {
    if (strlen(name) != 24 || strcmp(name + 20, ".log") != 0)
        return false;
    int64_t v = 0;
    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9' || v > (INT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (name[i] - '0');
    }
    *ret = v;
    return true;
}

static int by_base(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int log_segments(struct local *l, int32_t partition, int64_t **ret, size_t *ret_n, struct err *e) {
    char path[LIMIT_PATH];
    log_partition_path(l, partition, path);
    DIR *d = opendir(path);
    if (!d && errno != ENOENT)
        return local_error(l, e, errno, "cannot read the folder %s", path);
    int64_t *v = NULL, base;
    size_t n = 0, cap = 0;
    for (struct dirent *at; d && (at = readdir(d));) {
        if (!segment_name(at->d_name, &base))
            continue;
        if (n == cap) {
            cap = cap ? cap * 2 : 16;
            v = xrealloc(v, cap * sizeof *v);
        }
        v[n++] = base;
    }
    if (d)
        closedir(d);
    if (n)
        qsort(v, n, sizeof *v, by_base);
    *ret = v;
    *ret_n = n;
    return 0;
}

/* Moves `at` over the whole frames in b[0..n); *ret_need: what the next one asks for, 0: stop. */
static size_t walk_chunk(const char *b, size_t n, struct point *at, int64_t until,
                         size_t *ret_need) {
    size_t used = 0;
    struct frame f;
    *ret_need = 0;
    while (at->offset < until) {
        enum frame_state state = frame_parse(b + used, n - used, &f);
        if (state == FRAME_SHORT)
            *ret_need = f.size ? f.size : FRAME_HEAD;
        if (state != FRAME_OK)
            break;
        used += f.size;
        at->pos += (int64_t)f.size;
        at->offset++;
        at->timestamp_ms = f.timestamp_ms;
    }
    return used;
}

int log_walk(struct local *l, int32_t partition, int fd, struct point *at, int64_t until,
             struct err *e) {
    struct point here = *at;
    size_t cap = READ_CHUNK;
    _cleanup_(freep) char *b = xmalloc(cap);
    while (here.offset < until) {
        ssize_t n = pread(fd, b, cap, here.pos);
        if (n < 0) {
            int why = errno;
            char path[LIMIT_PATH];
            log_segment_path(l, partition, here.base, path);
            return local_error(l, e, why, "cannot read %s at byte %" PRId64, path, here.pos);
        }
        size_t need, used = walk_chunk(b, (size_t)n, &here, until, &need);
        if (need > cap) {
            free(b);
            b = NULL;
            cap = need;
            b = xmalloc(cap);
        } else if (used == 0) {
            break;
        }
    }
    *at = here;
    return 0;
}

/* Where to begin the walk to the end: the mark, or the beginning of a newer segment. */
static struct point walk_from(bool marked, const struct point *mark, int64_t last) {
    if (marked && mark->base == last)
        return *mark;
    return (struct point){
        .base = last, .offset = last, .timestamp_ms = marked ? mark->timestamp_ms : 0};
}

int log_range(struct local *l, int32_t partition, int64_t *ret_begin, struct point *ret_end,
              struct err *e) {
    struct point mark;
    bool marked = log_mark_read(l, partition, &mark); /* before the listing: the log only grows */
    _cleanup_(freep) int64_t *segments = NULL;
    size_t n;
    int r = log_segments(l, partition, &segments, &n, e);
    if (r < 0)
        return r;
    if (marked && (n == 0 || segments[n - 1] < mark.base))
        return log_damaged(l, partition, &mark, "the segment is gone", e);
    struct point end = {0};
    if (n > 0) {
        char path[LIMIT_PATH];
        end = walk_from(marked, &mark, segments[n - 1]);
        log_segment_path(l, partition, end.base, path);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0) {
            r = local_error(l, e, errno, "cannot open %s", path);
        } else if (st.st_size < end.pos) {
            end.pos = st.st_size;
            r = log_damaged(l, partition, &end, "the rest of the file is gone", e);
        } else {
            r = log_walk(l, partition, fd, &end, INT64_MAX, e);
        }
        if (fd >= 0)
            close(fd);
    }
    if (r < 0)
        return r;
    *ret_begin = n > 0 ? segments[0] : 0;
    *ret_end = end;
    return 0;
}
