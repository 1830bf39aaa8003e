/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local stream, `local:PATH`: topics as files, for one machine, with a broker's promises.
 *
 *     PATH/cluster_id                          a uuid, made once
 *     PATH/<topic>/meta                        {"format":1,"partitions":3}, made once
 *     PATH/<topic>/lock                        flock'ed by a producer during one append
 *     PATH/<topic>/<partition>/<20 digits>.log segment, named by its first offset (local_private.h)
 *     PATH/<topic>/<partition>/durable         up to where fdatasync has come
 *
 * Producers: any number of processes. Each append takes the lock, finds the end, cuts a torn tail,
 * writes a batch, fdatasyncs it, moves the mark and acknowledges. Timestamps never go backwards
 * within a partition.
 * Consumers take no lock. They hand out a record only once it is on the disk (by the mark, else by
 * an fdatasync of their own), and whole frames are never cut: what a reader saw at an offset stays.
 * A kill at any instant leaves whole frames and perhaps a torn one behind the mark, which is no
 * error; a bad frame before the mark is ERR_STREAM.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/util.h"
#include "stream/drivers.h"
#include "stream/local_private.h"

int local_error(struct local *l, struct err *e, int errnum, const char *fmt, ...) {
    char msg[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    err_sys(e, ERR_STREAM, errnum, "%s", msg);
    if (errnum == ENOSPC || errnum == EDQUOT)
        return err_hint(e, "free some space below %s; nothing that was acknowledged is lost",
                        l->root);
    if (errnum == EACCES || errnum == EPERM)
        return err_hint(e, "check who owns %s and its permissions", l->root);
    if (errnum == EROFS)
        return err_hint(e, "%s lies on a read-only file system", l->root);
    return e->code;
}

int local_sync_dir(struct local *l, const char *path, struct err *e) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return local_error(l, e, errno, "cannot open the folder %s", path);
    int r = fsync(fd) == 0 ? 0 : local_error(l, e, errno, "cannot sync the folder %s", path);
    close(fd);
    return r;
}

static int sync_parent(struct local *l, const char *path, struct err *e) {
    char dir[LIMIT_PATH];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)MAX(slash - path, 1) : 1, slash ? path : ".");
    return local_sync_dir(l, dir, e);
}

int local_mkdir(struct local *l, const char *path, struct err *e) {
    if (mkdir(path, 0777) == 0)
        return sync_parent(l, path, e);
    int why = errno;
    struct stat st;
    if (why == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return local_error(l, e, why == EEXIST ? ENOTDIR : why, "cannot create the folder %s", path);
}

static int mkdir_all(struct local *l, const char *path, struct err *e) {
    char at[LIMIT_PATH];
    snprintf(at, sizeof at, "%s", path);
    for (char *slash = at; (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        int r = local_mkdir(l, at, e);
        *slash = '/';
        if (r < 0)
            return r;
    }
    return local_mkdir(l, at, e);
}

static int write_whole(int fd, const char *text) {
    size_t n = strlen(text);
    ssize_t w = write(fd, text, n);
    if (w != (ssize_t)n)
        return w < 0 ? errno : ENOSPC;
    return fsync(fd) < 0 ? errno : 0;
}

int local_put_if_absent(struct local *l, const char *path, const char *text, struct err *e) {
    char temp[LIMIT_PATH], unique[UUID_TEXT];
    uuid_make(unique);
    snprintf(temp, sizeof temp, "%s.%s", path, unique);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return local_error(l, e, errno, "cannot create %s", temp);
    int why = write_whole(fd, text);
    close(fd);
    /* link() refuses an existing name, so the first of several wins and is seen whole. */
    if (why == 0 && link(temp, path) < 0 && errno != EEXIST)
        why = errno;
    unlink(temp);
    return why ? local_error(l, e, why, "cannot create %s", path) : sync_parent(l, path, e);
}

/* 1: read; 0: does not exist. Small files only. */
static int read_small(struct local *l, const char *path, char *out, size_t cap, struct err *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : local_error(l, e, errno, "cannot open %s", path);
    ssize_t n = read(fd, out, cap - 1);
    int why = errno;
    close(fd);
    if (n < 0)
        return local_error(l, e, why, "cannot read %s", path);
    out[n] = '\0';
    return 1;
}

static int load_cluster_id(struct local *l, struct err *e) {
    char path[LIMIT_PATH], text[64];
    snprintf(path, sizeof path, "%s/cluster_id", l->root);
    int r = read_small(l, path, text, sizeof text, e);
    if (r == 0) {
        uuid_make(text);
        text[UUID_TEXT - 1] = '\n';
        text[UUID_TEXT] = '\0';
        r = mkdir_all(l, l->root, e);
        if (r == 0)
            r = local_put_if_absent(l, path, text, e);
        if (r == 0)
            r = read_small(l, path, text, sizeof text, e);
    }
    if (r < 0)
        return r;
    text[strcspn(text, "\n")] = '\0';
    if (strlen(text) != UUID_TEXT - 1) {
        err_set(e, ERR_STREAM, "%s does not hold a cluster id", path);
        return err_hint(e, "is %s the folder of a local stream?", l->root);
    }
    l->s.cluster_id = xstrdup(text);
    return 0;
}

int local_load_topic(struct local *l, struct err *e) {
    char path[LIMIT_PATH], text[256];
    snprintf(path, sizeof path, "%s/meta", l->dir);
    int r = read_small(l, path, text, sizeof text, e);
    if (r <= 0) {
        l->partitions = 0;
        return r;
    }
    struct err why;
    _cleanup_(json_freep) struct json_doc *doc = json_parse(text, strlen(text), ERR_STREAM, &why);
    const json *root = doc ? json_root(doc) : NULL;
    int64_t format = json_int(json_get(root, "format"), 0);
    int64_t n = json_int(json_get(root, "partitions"), 0);
    if (format != 1 || n < 1 || n > INT32_MAX) {
        err_set(e, ERR_STREAM, "%s is not the description of a topic that this program knows",
                path);
        return err_hint(e, "it may come from a newer clickmill; otherwise it is damaged");
    }
    l->partitions = (int32_t)n;
    return 0;
}

static int local_confirm(struct stream *s ATTR_UNUSED, struct err *e ATTR_UNUSED) {
    return 0; /* a local topic has no id: its folder is the topic */
}

static void local_committed(struct stream *s ATTR_UNUSED, const struct position *p ATTR_UNUSED,
                            size_t n ATTR_UNUSED) {
    /* The table is the truth and there is no lag tool to feed. */
}

static void local_stats(struct stream *s ATTR_UNUSED, struct stream_stats *ret) {
    *ret = (struct stream_stats){0}; /* no broker, no group, nothing fetched ahead */
}

/* Nothing goes by itself. */
static int local_retention(struct stream *s ATTR_UNUSED, struct retention *ret,
                           struct err *e ATTR_UNUSED) {
    *ret = (struct retention){.known = true, .ms = -1, .bytes = -1};
    return 0;
}

static void local_free(struct stream *s) {
    struct local *l = (struct local *)s;
    peekers_free(l);
    appender_free(l->appender);
    consumer_free(l->consumer);
    free(l->root);
    free(l->dir);
    free(s->url);
    free(s->topic);
    free(s->cluster_id);
    free(l);
}

static const struct stream_ops local_ops = {
    .scheme = "local",
    .subscribe = read_subscribe,
    .poll = read_poll,
    .assign = read_assign,
    .confirm = local_confirm,
    .bounds = read_bounds,
    .peek = read_peek,
    .retention = local_retention,
    .committed = local_committed,
    .stats = local_stats,
    .send = append_send,
    .flush = append_flush,
    .free = local_free,
};

/* Without slashes at its end. */
static size_t path_len(const char *rest) {
    size_t n = strlen(rest);
    while (n > 1 && rest[n - 1] == '/')
        n--;
    return n;
}

int local_check(const char *rest, const struct stream_options *o ATTR_UNUSED, struct err *e) {
    size_t n = path_len(rest);
    /* What is joined to it: topic, partition, segment, a uuid. */
    if (n > 0 && n <= LIMIT_PATH - 512)
        return 0;
    err_set(e, ERR_CONFIG, "the stream URL \"local:%.200s\" has %s", rest,
            n ? "too long a path" : "no path");
    return err_hint(e, "for example local:data/stream");
}

int local_open(const char *rest, const struct stream_options *o, struct stream **ret,
               struct err *e) {
    int r = local_check(rest, o, e);
    if (r < 0)
        return r;
    struct local *l = xcalloc(1, sizeof *l);
    l->s.ops = &local_ops;
    l->s.url = xasprintf("local:%s", rest);
    l->s.topic = xstrdup(o->topic);
    l->root = xstrndup(rest, path_len(rest));
    l->dir = xasprintf("%s/%s", l->root, o->topic);
    l->create_partitions = MAX(o->partitions, 1);
    l->accept_loss = o->accept_loss;
    l->segment_bytes = SEGMENT_BYTES;
    l->s.on_ack = o->on_ack;
    l->s.ack_arg = o->ack_arg;
    r = load_cluster_id(l, e);
    if (r < 0) {
        local_free(&l->s);
        return r;
    }
    *ret = &l->s;
    return 0;
}
