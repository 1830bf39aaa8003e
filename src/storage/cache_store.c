/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/cache_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "storage/local_fs.h"

enum { OBJECT_DIGITS = 40, TAG_DIGITS = 16, FOLDER_DIGITS = 3 };

/* Only the first digits of it. */
static void hex_digest(const char *text, int digits, char *ret) {
    unsigned char digest[SHA256_LEN];
    char hex[SHA256_HEX];
    sha256_of(text, strlen(text), digest);
    sha256_hex(digest, hex);
    snprintf(ret, (size_t)digits + 1, "%.*s", digits, hex);
}

struct entry_id entry_id_of(const char *lake, const char *path, const char *etag) {
    struct entry_id id = {0};
    _cleanup_(freep) char *name = xasprintf("%s\n%s", lake, path);
    hex_digest(name, OBJECT_DIGITS, id.object);
    if (etag)
        hex_digest(etag, TAG_DIGITS, id.tag);
    return id;
}

static char *entry_folder(const char *root, const char *object) {
    return xasprintf("%s/objects/%.*s", root, FOLDER_DIGITS, object);
}

static char *entry_path(const char *root, const struct entry_id *id) {
    return xasprintf("%s/objects/%.*s/%s-%" PRId64 "-%08" PRIx32 "-%s", root, FOLDER_DIGITS,
                     id->object, id->object, id->size, id->crc, id->tag);
}

static bool take_digits(const char **at, char *out, size_t n) {
    if (strspn(*at, "0123456789abcdef") != n)
        return false;
    memcpy(out, *at, n);
    out[n] = '\0';
    *at += n;
    return true;
}

static bool take_char(const char **at, char c) {
    return *(*at)++ == c;
}

static bool parse_name(const char *name, struct entry_id *ret) {
    char crc[9];
    char *end;
    if (!take_digits(&name, ret->object, OBJECT_DIGITS) || !take_char(&name, '-') || *name < '0' ||
        *name > '9')
        return false;
    errno = 0;
    ret->size = strtoll(name, &end, 10);
    name = end;
    if (errno || !take_char(&name, '-') || !take_digits(&name, crc, 8) || !take_char(&name, '-') ||
        !take_digits(&name, ret->tag, TAG_DIGITS))
        return false;
    ret->crc = (uint32_t)strtoul(crc, NULL, 16);
    return *name == '\0';
}

int entry_size(const char *file, int64_t *ret_size, struct err *e) {
    struct stat sb;
    if (stat(file, &sb) != 0)
        return fs_error(e, errno, "cannot look at", file);
    *ret_size = sb.st_size;
    return 0;
}

int entry_sum(const char *file, int64_t *ret_size, uint32_t *ret_crc, struct err *e) {
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fs_error(e, errno, "cannot open", file);
    struct stat sb;
    int failed = fstat(fd, &sb) == 0 ? fs_sum(fd, 0, sb.st_size, ret_crc, NULL) : errno;
    close(fd);
    if (failed)
        return fs_error(e, failed, "cannot read", file);
    *ret_size = sb.st_size;
    return 0;
}

/* Fills in what was open in `id` from the first entry that is one of it. */
static bool find(const char *root, struct entry_id *id) {
    _cleanup_(freep) char *folder = entry_folder(root, id->object);
    DIR *d = opendir(folder);
    bool found = false;
    for (struct dirent *de; d && !found && (de = readdir(d));) {
        struct entry_id here;
        found = parse_name(de->d_name, &here) && strcmp(here.object, id->object) == 0 &&
                (id->size < 0 || id->size == here.size) &&
                (!id->tag[0] || strcmp(id->tag, here.tag) == 0);
        if (found)
            *id = here;
    }
    if (d)
        closedir(d);
    return found;
}

/* As link(2), which see; makes the folders above `to` if they are missing. 0 or an errno. */
static int link_deep(const char *from, const char *to) {
    if (link(from, to) == 0)
        return 0;
    if (errno != ENOENT || access(from, F_OK) != 0)
        return errno;
    _cleanup_(freep) char *folder = fs_parent(to);
    struct err ignored;
    fs_mkdirs(folder, &ignored);
    return link(from, to) == 0 ? 0 : errno;
}

int entry_take(const char *root, struct entry_id *id, const char *use, struct err *e) {
    struct entry_id found = *id;
    if (!find(root, &found))
        return err_set(e, ERR_NOT_FOUND, "not in the cache");
    _cleanup_(freep) char *entry = entry_path(root, &found);
    int failed = link_deep(entry, use);
    if (failed == ENOENT) /* removed this moment */
        return err_set(e, ERR_NOT_FOUND, "not in the cache");
    if (failed)
        return fs_error(e, failed, "cannot make", use);
    int64_t size = -1;
    uint32_t crc = 0;
    if (entry_sum(use, &size, &crc, e) == 0 && size == found.size && crc == found.crc) {
        utimensat(AT_FDCWD, use, NULL, 0); /* it was used now */
        *id = found;
        return 0;
    }
    log_warn("cache: a damaged file, fetched anew", F_STR("file", entry), F_INT("bytes", size),
             F_INT("expected", found.size));
    unlink(use);
    unlink(entry);
    return err_set(e, ERR_NOT_FOUND, "damaged in the cache");
}

int entry_add(const char *root, const struct entry_id *id, const char *file, struct err *e) {
    _cleanup_(freep) char *entry = entry_path(root, id);
    int failed = link_deep(file, entry);
    /* EEXIST: another was as fast. The name vouches for the bytes. */
    return failed && failed != EEXIST ? fs_error(e, failed, "cannot make", entry) : 0;
}

/* ---- making room ---- */

struct found {
    char *path;
    int64_t size;
    struct timespec used;
    bool in_use;
};

struct finds {
    struct found *v;
    size_t n, cap;
    int64_t bytes, in_use;
};

static void add_found(struct finds *l, const char *folder, const char *name) {
    struct entry_id id;
    struct stat sb;
    if (!parse_name(name, &id))
        return;
    _cleanup_(freep) char *path = xasprintf("%s/%s", folder, name);
    if (lstat(path, &sb) != 0 || !S_ISREG(sb.st_mode))
        return;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 256;
        l->v = xrealloc(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n++] = (struct found){TAKE_PTR(path), sb.st_size, sb.st_mtim, sb.st_nlink > 1};
    l->bytes += sb.st_size;
    l->in_use += sb.st_nlink > 1 ? sb.st_size : 0;
}

static void find_all(const char *root, struct finds *l) {
    _cleanup_(freep) char *objects = xasprintf("%s/objects", root);
    DIR *top = opendir(objects);
    for (struct dirent *de; top && (de = readdir(top));) {
        if (de->d_name[0] == '.')
            continue;
        _cleanup_(freep) char *folder = xasprintf("%s/%s", objects, de->d_name);
        DIR *d = opendir(folder);
        for (struct dirent *en; d && (en = readdir(d));)
            add_found(l, folder, en->d_name);
        if (d)
            closedir(d);
    }
    if (top)
        closedir(top);
}

static int by_last_use(const void *a, const void *b) {
    const struct timespec *x = &((const struct found *)a)->used,
                          *y = &((const struct found *)b)->used;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

int64_t entries_make_room(const char *root, int64_t max_bytes, int64_t more) {
    struct finds l = {0};
    find_all(root, &l);
    if (l.n)
        qsort(l.v, l.n, sizeof *l.v, by_last_use);
    bool evict = l.bytes + more > max_bytes && l.in_use + more <= max_bytes;
    for (size_t i = 0; i < l.n && evict && l.bytes + more > max_bytes - max_bytes / 8; i++)
        if (!l.v[i].in_use && unlink(l.v[i].path) == 0)
            l.bytes -= l.v[i].size;
    for (size_t i = 0; i < l.n; i++)
        free(l.v[i].path);
    free(l.v);
    return l.bytes;
}

int64_t cache_empty(const char *dir) {
    struct finds l = {0};
    int64_t removed = 0;
    find_all(dir, &l);
    for (size_t i = 0; i < l.n; i++) {
        removed += unlink(l.v[i].path) == 0;
        free(l.v[i].path);
    }
    free(l.v);
    return removed;
}
