/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/util.h"
#include "index/keys_priv.h"
#include "storage/local_fs.h"

static const char magic[8] = "CMKEYS1\n";

struct manifest_run {
    uint64_t number, keys;
    uint32_t crc, unused;
};

/* As it lies on disk: these, then a struct manifest_run each, then the CRC-32C of all that. */
struct manifest_head {
    char magic[sizeof magic];
    struct keys_mark owner, mark;
    int64_t version;
    uint64_t next, runs;
};

enum {
    MANIFEST_MAX =
        sizeof(struct manifest_head) + RUNS_MAX * sizeof(struct manifest_run) + sizeof(uint32_t)
};

static char *manifest_path(const struct keys *k, const char *end) {
    return xasprintf("%s/manifest%s", k->dir, end);
}

static int in_doubt(struct err *e, const char *why) {
    return err_set(e, ERR_CHECK, "its manifest %s", why);
}

/* The bytes and their number; more than MANIFEST_MAX are no manifest. */
static int read_bytes(const struct keys *k, unsigned char *to, size_t *ret_n, struct err *e) {
    _cleanup_(freep) char *path = manifest_path(k, "");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, "no manifest");
    if (fd < 0)
        return keys_error(e, errno, "cannot open", path);
    ssize_t n = read(fd, to, MANIFEST_MAX + 1);
    int failed = errno;
    close(fd);
    if (n < 0)
        return keys_error(e, failed, "cannot read", path);
    *ret_n = (size_t)n;
    return 0;
}

static int parse(struct keys *k, const unsigned char *p, size_t n, struct err *e) {
    struct manifest_head h;
    uint32_t crc;
    if (n < sizeof h + sizeof crc || n > MANIFEST_MAX)
        return in_doubt(e, "is short or long");
    n -= sizeof crc;
    memcpy(&h, p, sizeof h);
    memcpy(&crc, p + n, sizeof crc);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || crc != crc32c(0, p, n))
        return in_doubt(e, "does not have the bytes that were written");
    if (h.runs > RUNS_MAX || n != sizeof h + h.runs * sizeof(struct manifest_run))
        return in_doubt(e, "has another size");
    if (memcmp(&h.owner, &k->owner, sizeof h.owner) != 0)
        return in_doubt(e, "is of another table, or of another engine's hashes");
    k->mark = h.mark;
    k->version = h.version;
    k->next = h.next;
    for (p += sizeof h; k->n_runs < h.runs; p += sizeof(struct manifest_run)) {
        struct manifest_run r;
        memcpy(&r, p, sizeof r);
        k->runs[k->n_runs++] =
            (struct run){.number = r.number, .keys = r.keys, .crc = r.crc, .fd = -1};
    }
    return 0;
}

int manifest_read(struct keys *k, struct err *e) {
    unsigned char bytes[MANIFEST_MAX + 1];
    size_t n = 0;
    int r = read_bytes(k, bytes, &n, e);
    if (r == 0)
        r = parse(k, bytes, n, e);
    for (size_t i = 0; i < k->n_runs && r == 0; i++)
        r = run_open(k, &k->runs[i], e);
    return r;
}

int manifest_write(struct keys *k, struct err *e) {
    _cleanup_(buf_release) struct buf b = BUF_INIT(MANIFEST_MAX);
    struct manifest_head h = {.owner = k->owner,
                              .mark = k->mark,
                              .version = k->version,
                              .next = k->next,
                              .runs = k->n_runs};
    memcpy(h.magic, magic, sizeof magic);
    buf_add(&b, &h, sizeof h);
    for (size_t i = 0; i < k->n_runs; i++) {
        struct manifest_run r = {k->runs[i].number, k->runs[i].keys, k->runs[i].crc, 0};
        buf_add(&b, &r, sizeof r);
    }
    uint32_t crc = crc32c(0, b.data, b.len);
    buf_add(&b, &crc, sizeof crc);
    _cleanup_(freep) char *path = manifest_path(k, ""), *new = manifest_path(k, ".new");
    unlink(new); /* of a process that was killed */
    if (fs_sync(k->dir, e) < 0 || fs_write_new(new, b.data, b.len, e) < 0)
        return err_wrap(e, "key index");
    crash_point("keys.before_manifest");
    if (rename(new, path) != 0)
        return keys_error(e, errno, "cannot replace", path);
    crash_point("keys.after_manifest");
    return fs_sync(k->dir, e) < 0 ? err_wrap(e, "key index") : 0;
}

static bool is_named(const struct keys *k, const char *file) {
    for (size_t i = 0; i < k->n_runs; i++) {
        _cleanup_(freep) char *path = run_path(k, k->runs[i].number);
        if (strcmp(strrchr(path, '/') + 1, file) == 0)
            return true;
    }
    return false;
}

int folder_sweep(const struct keys *k, bool all, struct err *e) {
    _cleanup_(freep) char *manifest = manifest_path(k, "");
    if (all && unlink(manifest) != 0 && errno != ENOENT)
        return keys_error(e, errno, "cannot remove", manifest);
    DIR *dir = opendir(k->dir);
    if (!dir)
        return keys_error(e, errno, "cannot list", k->dir);
    int r = 0;
    for (struct dirent *en; r == 0 && (en = readdir(dir));) {
        size_t n = strlen(en->d_name);
        if (n < 5 || strcmp(en->d_name + n - 4, ".run") != 0 || (!all && is_named(k, en->d_name)))
            continue;
        _cleanup_(freep) char *path = xasprintf("%s/%s", k->dir, en->d_name);
        if (unlink(path) != 0)
            r = keys_error(e, errno, "cannot remove", path);
    }
    closedir(dir);
    return r;
}
