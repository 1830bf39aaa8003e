/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of this process: proc(5). What cannot be read is not written. */
#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/meters.h"

static void set(struct metrics *m, enum meter id, double value) {
    metric_set(metrics_get(m, id, NULL, NULL), value);
}

static void put_cpu(struct metrics *m) {
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) == 0)
        set(m, M_CPU,
            (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
}

static void put_memory(struct metrics *m) {
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return;
    long long size, resident;
    double page = (double)sysconf(_SC_PAGESIZE);
    if (fscanf(f, "%lld %lld", &size, &resident) == 2) {
        set(m, M_VIRTUAL, (double)size * page);
        set(m, M_RESIDENT, (double)resident * page);
    }
    fclose(f);
}

/* Field 22 of stat, in ticks since boot; the name in field 2 may hold blanks and brackets. */
static void put_start(struct metrics *m) {
    FILE *f = fopen("/proc/self/stat", "re");
    if (!f)
        return;
    char line[1024];
    const char *p = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
    fclose(f);
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    struct timespec boot;
    if (!p || clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
        return;
    double up = (double)boot.tv_sec + (double)boot.tv_nsec / 1e9;
    double after_boot = (double)strtoll(p + 1, NULL, 10) / (double)sysconf(_SC_CLK_TCK);
    double start = (double)clock_now_us() / 1e6 - (up - after_boot);
    set(m, M_START, (double)(long long)(start * 100) / 100);
}

static void put_files(struct metrics *m) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        set(m, M_MAX_FDS, (double)limit.rlim_cur);
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return;
    int n = -1; /* the folder's own */
    for (struct dirent *en; (en = readdir(d));)
        n += en->d_name[0] != '.';
    closedir(d);
    set(m, M_OPEN_FDS, n);
}

void meters_process(struct metrics *m) {
    put_cpu(m);
    put_memory(m);
    put_files(m);
    if (metric_value(metrics_get(m, M_START, NULL, NULL)) == 0)
        put_start(m); /* once: computed again, it would tremble */
}
