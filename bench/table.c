/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_table FOLDER COMMITS FILES INTERVAL: a table of so many commits of so many files each (entries
 * only, no data files), a checkpoint every INTERVAL commits; then how long a commit, a checkpoint and
 * opening the table take, and what it holds in memory.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "table/table.h"

static _Noreturn void die(const struct err *e) {
    fprintf(stderr, "bench_table: %s\n", e->msg);
    exit(1);
}

static long peak_kib(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static double ms_since(int64_t start) {
    return (double)(clock_mono_ns() - start) / 1e6;
}

static void add_files(struct table_files *files, int64_t commit, int n) {
    for (int i = 0; i < n; i++) {
        char day[DATE_TEXT];
        day_format((int32_t)(20000 + commit % 30), day);
        *table_files_add(files) = (struct table_file){
            .path = table_new_file_path(&bronze_events, day),
            .partition = xstrdup(day),
            .size = 123456,
            .rows = 1000,
            .mtime_ms = 1700000000000,
            .stats =
                xasprintf("{\"numRecords\":1000,\"minValues\":{\"product_id\":1,\"event_ts\":%lld,"
                          "\"source_offset\":%lld},\"maxValues\":{\"product_id\":20,\"event_ts\":"
                          "%lld,\"source_offset\":%lld},\"nullCount\":{\"product_id\":0,\"extra\":"
                          "1000,\"event_ts\":0}}",
                          (long long)(1700000000 + commit), (long long)commit * 1000,
                          (long long)(1700001000 + commit), (long long)commit * 1000 + 999)};
    }
}

static void commit_one(struct table *tb, int64_t commit, int files) {
    struct table_files add = {0};
    add_files(&add, commit, files);
    struct table_txn txn = {"app/c/t/0", commit ? commit * 1000 : -1, (commit + 1) * 1000};
    struct table_commit c = {
        .operation = "STREAMING UPDATE", .add = &add, .txn = &txn, .n_txn = 1, .data_change = true};
    struct err e;
    if (table_commit(tb, &c, NULL, &e) < 0)
        die(&e);
    table_files_release(&add);
}

static void fill(struct storage *st, int64_t commits, int files, int64_t interval) {
    struct table *tb;
    struct err e;
    if (table_open(st, &bronze_events, &tb, &e) < 0)
        die(&e);
    double folds = 0, longest = 0, last = 0;
    int64_t start = clock_mono_ns(), n_folds = 0, tail = clock_mono_ns();
    for (int64_t i = table_version(tb) + 1; i < commits; i++) {
        if (i == commits - 100)
            tail = clock_mono_ns(), last = folds;
        commit_one(tb, i, files);
        if (i == 0 || i % interval)
            continue;
        int64_t began = clock_mono_ns();
        if (table_checkpoint(tb, &e) < 0)
            die(&e);
        double took = ms_since(began);
        folds += took;
        longest = took > longest ? took : longest;
        n_folds++;
    }
    double all = ms_since(start), end = ms_since(tail) - (folds - last);
    printf("%lld commits of %d files: %.2f ms each, the last 100 %.2f ms; %lld checkpoints: %.1f "
           "ms each, "
           "longest %.1f ms; peak %ld KiB\n",
           (long long)commits, files, (all - folds) / (double)commits, end / 100,
           (long long)n_folds, n_folds ? folds / (double)n_folds : 0, longest, peak_kib());
    table_close(tb);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: bench_table FOLDER COMMITS FILES INTERVAL | FOLDER open N\n");
        return 2;
    }
    struct err e;
    struct storage *st;
    _cleanup_(freep) char *url = xasprintf("file:%s", argv[1]);
    if (storage_open(url, NULL, &st, &e) < 0)
        die(&e);
    if (argc == 5) {
        fill(st, atoll(argv[2]), atoi(argv[3]), atoll(argv[4]));
    } else {
        for (int i = 0; i < atoi(argv[3]); i++) {
            struct table *tb;
            int64_t start = clock_mono_ns();
            if (table_open(st, &bronze_events, &tb, &e) < 0)
                die(&e);
            printf("open at version %lld, %zu files: %.1f ms, peak %ld KiB\n",
                   (long long)table_version(tb), table_live(tb)->n, ms_since(start), peak_kib());
            table_close(tb);
        }
    }
    storage_free(st);
    return 0;
}
