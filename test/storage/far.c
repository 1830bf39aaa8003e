/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/far.h"

#include <assert.h>
#include <signal.h>
#include <sys/stat.h>

#include "storage/local_fs.h"

int64_t size_of(const char *path) {
    return strtoll(strrchr(path, '-') + 1, NULL, 10);
}

char *bytes_of(const char *path, int shift) {
    int64_t size = size_of(path);
    char *data = xmalloc((size_t)size + 1);
    for (int64_t i = 0; i < size; i++)
        data[i] = (char)(i * 7 + atoi(path + 2) + shift);
    return data;
}

static int far_look(struct storage *st, const char *path, struct cache_object *ret, struct err *e) {
    struct far *far = (struct far *)st;
    atomic_fetch_add(&far->looks, 1);
    if (strstr(path, "gone"))
        return err_set(e, ERR_NOT_FOUND, "%s: no such object", path);
    *ret = (struct cache_object){.size = size_of(path)};
    snprintf(ret->etag, sizeof ret->etag, "%s", far->etag);
    return 0;
}

static int far_fetch(struct storage *st, const char *path, int fd, struct cache_object *ret,
                     struct err *e) {
    struct far *far = (struct far *)st;
    atomic_fetch_add(&far->fetches, 1);
    usleep(far->delay_us);
    if (strstr(path, "gone"))
        return err_set(e, ERR_NOT_FOUND, "%s: no such object", path);
    int64_t size = size_of(path);
    _cleanup_(freep) char *data = bytes_of(path, far->shift);
    bool fails = far->kill_in_fetch || atomic_fetch_sub(&far->fail, 1) > 0;
    ssize_t len = (ssize_t)(fails ? size / 2 : size);
    assert(pwrite(fd, data, (size_t)len, 0) == len); /* this may be any thread */
    if (far->kill_in_fetch)
        raise(SIGKILL);
    if (fails) {
        err_set(e, ERR_STORAGE, "%s: the far lake fell silent", path);
        return err_retry(e);
    }
    *ret = (struct cache_object){.size = size};
    snprintf(ret->etag, sizeof ret->etag, "%s", far->etag);
    return 0;
}

static struct cache *open_both(struct bench *b, const char *dir, const char *lake) {
    struct cache *c;
    struct err e;
    struct cache_source src = {.st = &b->far.st, .look = far_look, .fetch = far_fetch};
    assert_ok(cache_open(dir, ROOM, lake, &src, &c, &e), &e);
    return c;
}

struct cache *open_cache(struct bench *b, const char *lake) {
    return open_both(b, b->dir, lake);
}

struct cache *open_cache_in(struct bench *b, const char *dir) {
    return open_both(b, dir, "far://lake");
}

struct bench *begin(void) {
    struct bench *b = xcalloc(1, sizeof *b);
    b->dir = lake_folder_new();
    b->far.etag = "\"one\"";
    b->c = open_cache(b, "far://lake");
    return b;
}

void end(struct bench *b) {
    cache_free(b->c);
    lake_folder_free(b->dir);
    free(b);
}

bool bytes_are(const char *local, const char *path, int shift) {
    _cleanup_(freep) char *want = bytes_of(path, shift);
    size_t size = (size_t)size_of(path);
    _cleanup_(freep) char *got = xmalloc(size + 1);
    FILE *f = fopen(local, "rbe");
    size_t n = f ? fread(got, 1, size + 1, f) : 0;
    if (f)
        fclose(f);
    return f && n == size && memcmp(got, want, size) == 0;
}

void assert_bytes(const char *local, const char *path, int shift) {
    assert_true(bytes_are(local, path, shift));
}

void hold(struct cache *c, const char *path) {
    char local[LIMIT_PATH];
    struct err e;
    assert_ok(cache_localize(c, path, size_of(path), local, &e), &e);
    assert_bytes(local, path, 0);
}

void use(struct cache *c, const char *path) {
    hold(c, path);
    cache_unlocalize(c, path);
}

void use_elsewhere(struct bench *b, const char *path) {
    struct cache *other = open_cache(b, "far://lake");
    use(other, path);
    cache_free(other);
}

int each_entry(struct bench *b, void (*fn)(const char *file, void *arg), void *arg) {
    _cleanup_(freep) char *objects = xasprintf("%s/objects", b->dir);
    if (access(objects, F_OK) != 0)
        return 0;
    char *files = files_below(objects), *save;
    int n = 0;
    for (char *f = strtok_r(files, " ", &save); f; f = strtok_r(NULL, " ", &save), n++) {
        _cleanup_(freep) char *file = xasprintf("%s/%s", objects, f);
        if (fn)
            fn(file, arg);
    }
    free(files);
    return n;
}

static void add_size(const char *file, void *arg) {
    struct stat sb;
    assert_int_equal(stat(file, &sb), 0);
    *(int64_t *)arg += sb.st_size;
}

int64_t kept_bytes(struct bench *b) {
    int64_t bytes = 0;
    each_entry(b, add_size, &bytes);
    return bytes;
}

void replace(const char *file, void *arg ATTR_UNUSED) {
    if (strchr(strrchr(file, '/'), '.')) /* another process is about to do the same */
        return;
    _cleanup_(freep) char *other = bytes_of("t/9-3000", 0);
    _cleanup_(freep) char *temp = xasprintf("%s.%d", file, getpid());
    struct err e;
    assert(fs_write_new(temp, other, 3000, &e) == 0); /* this may be a child process */
    assert(rename(temp, file) == 0);
}
