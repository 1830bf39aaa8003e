/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_lake put FILE PATH | get PATH: publishes a file to the lake that the environment configures, or brings
 * it here, and prints the seconds that took. A file in cache.dir is not brought again: name another folder.
 */
#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "storage/storage.h"

static _Noreturn void die(const struct err *e) {
    fprintf(stderr, "bench_lake: %s\n", e->msg);
    exit(1);
}

static void copy(const char *from, const char *to) {
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t n = 1;
    while (in >= 0 && out >= 0 && n > 0)
        n = sendfile(out, in, NULL, 64 * MIB);
    if (in < 0 || out < 0 || n < 0) {
        fprintf(stderr, "bench_lake: cannot copy %s to %s\n", from, to);
        exit(1);
    }
    close(in);
    close(out);
}

static double seconds_since(int64_t start) {
    return (double)(clock_mono_ns() - start) / 1e9;
}

static double put(struct storage *st, const char *file, const char *path) {
    char dir[LIMIT_PATH];
    struct err e;
    if (storage_stage(st, dir, &e) < 0)
        die(&e);
    _cleanup_(freep) char *local = xasprintf("%s/file", dir);
    copy(file, local);
    int64_t start = clock_mono_ns();
    if (storage_publish(st, local, path, &e) < 0)
        die(&e);
    double seconds = seconds_since(start);
    storage_unstage(st, dir);
    return seconds;
}

static double get(struct storage *st, const char *path) {
    char local[LIMIT_PATH];
    struct err e;
    int64_t start = clock_mono_ns();
    if (storage_localize(st, path, -1, local, &e) < 0)
        die(&e);
    double seconds = seconds_since(start);
    storage_unlocalize(st, path);
    return seconds;
}

int main(int argc, char **argv) {
    struct err e;
    struct config_source src = {.environ = environ};
    _cleanup_(config_freep) struct config *cfg = NULL;
    _cleanup_(storage_freep) struct storage *st = NULL;
    bool puts = argc == 4 && strcmp(argv[1], "put") == 0;
    if (!puts && (argc != 3 || strcmp(argv[1], "get") != 0)) {
        fprintf(stderr, "usage: bench_lake put FILE PATH | get PATH\n");
        return 2;
    }
    if (config_load(&src, &cfg, &e) < 0 || storage_open_configured(cfg, &st, &e) < 0)
        die(&e);
    printf("%.4f\n", puts ? put(st, argv[2], argv[3]) : get(st, argv[2]));
    return 0;
}
