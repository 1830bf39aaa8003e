/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_table FOLDER COMMITS FILES INTERVAL [real [EVERY]]: a table of so many commits of so many files
 * each, a checkpoint every INTERVAL commits: how long a commit and a checkpoint take. Entries only; with
 * `real` also the data files, of ten rows; with EVERY an optimize by run's rules every so many commits.
 * bench_table FOLDER open N: how long opening it takes, and what that holds in memory.
 * bench_table FOLDER upkeep: all of upkeep at once (data files needed): how long each part takes.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "engine/engine.h"
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

static double cpu_ms(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static void add_files(struct table_files *files, int64_t commit, int n) {
    for (int i = 0; i < n; i++) {
        char day[DATE_TEXT];
        day_format((int32_t)(20000 + commit / 1700), day);
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

/* The bytes of a file of ten rows. */
static void make_template(struct storage *st, struct buf *ret) {
    struct engine *en;
    struct engine_result made = {0};
    struct err e;
    struct engine_options o = {.threads = 1, .memory_bytes = 256 * MIB, .temp_dir = "/tmp"};
    struct buf select = BUF_INIT(64 * KIB);
    buf_add_str(&select, "SELECT ");
    for (size_t i = 0; i < bronze_events.n_columns; i++) {
        const struct column *c = &bronze_events.columns[i];
        buf_addf(&select, "%s%s AS %s", i ? ", " : "",
                 strcmp(c->name, "category") == 0        ? "'men''s clothing'"
                 : strcmp(c->name, "event_key") == 0     ? "md5(CAST(i AS VARCHAR))"
                 : strcmp(c->name, "source_offset") == 0 ? "i"
                 : strcmp(c->name, "received_at") == 0   ? "make_timestamptz(1771286400000000 + i)"
                                                         : "NULL",
                 c->name);
    }
    buf_add_str(&select, " FROM range(10) t(i)");
    if (engine_open("duckdb", &o, &en, &e) < 0 ||
        engine_run(en, st,
                   &(struct engine_job){
                       .what = "bench", .select = buf_str(&select), .output = &bronze_events},
                   &made, &e) < 0)
        die(&e);
    _cleanup_(freep) char *path = xasprintf("%s/%s", bronze_events.name, made.files.v[0].path);
    if (storage_get(st, path, ret, &e) < 0 || storage_remove(st, path, &e) < 0)
        die(&e);
    buf_release(&select);
    engine_result_release(&made);
    engine_free(en);
}

static void put_files(struct storage *st, struct table_files *files, const struct buf *bytes) {
    struct err e;
    for (size_t i = 0; i < files->n; i++) {
        _cleanup_(freep) char *path = xasprintf("%s/%s", bronze_events.name, files->v[i].path);
        if (storage_put_new(st, path, bytes->data, bytes->len, &e) < 0)
            die(&e);
        files->v[i].size = (int64_t)bytes->len;
        files->v[i].rows = 10;
        free(files->v[i].stats);
        files->v[i].stats = NULL;
    }
}

static void commit_one(struct storage *st, struct table *tb, int64_t commit, int files,
                       const struct buf *bytes) {
    struct table_files add = {0};
    add_files(&add, commit, files);
    if (bytes)
        put_files(st, &add, bytes);
    struct table_txn txn = {"app/c/t/0", commit ? commit * 1000 : -1, (commit + 1) * 1000};
    struct table_commit c = {
        .operation = "STREAMING UPDATE", .add = &add, .txn = &txn, .n_txn = 1, .data_change = true};
    struct err e;
    if (table_commit(tb, &c, NULL, &e) < 0)
        die(&e);
    table_files_release(&add);
}

/* What optimize took and did, all of its times together. */
struct rewriting {
    double ms;
    int64_t times, most_live, bytes, bytes_made;
};

static void optimize(struct table *tb, struct rewriting *rw) {
    struct table_optimize_result done;
    struct err e;
    int64_t start = clock_mono_ns(), live = (int64_t)table_live(tb)->n;
    rw->most_live = live > rw->most_live ? live : rw->most_live;
    if (table_optimize(
            tb, &(struct table_optimize_options){.target_bytes = 128LL * MIB, .min_files = 20},
            &done, &e) < 0)
        die(&e);
    rw->ms += ms_since(start);
    rw->times++;
    rw->bytes += done.bytes_before;
    rw->bytes_made += done.bytes_after;
}

static void fill(struct storage *st, int64_t commits, int files, int64_t interval, bool real,
                 int64_t every) {
    struct rewriting rw = {0};
    struct table *tb;
    struct err e;
    struct buf bytes = BUF_INIT(MIB);
    if (real)
        make_template(st, &bytes);
    if (table_open(st, &bronze_events, &tb, &e) < 0)
        die(&e);
    double folds = 0, longest = 0, last = 0;
    int64_t start = clock_mono_ns(), n_folds = 0, tail = clock_mono_ns();
    for (int64_t i = MAX(table_txn(tb, "app/c/t/0"), 0) / 1000; i < commits; i++) {
        if (i == commits - 100)
            tail = clock_mono_ns(), last = folds;
        commit_one(st, tb, i, files, real ? &bytes : NULL);
        if (every && i % every == every - 1)
            optimize(tb, &rw);
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
    double all = ms_since(start) - rw.ms, end = ms_since(tail) - (folds - last);
    if (every)
        printf("optimize %lld times: %.1f ms each, at most %lld files live, %lld bytes read, %lld "
               "written\n",
               (long long)rw.times, rw.ms / (double)rw.times, (long long)rw.most_live,
               (long long)rw.bytes, (long long)rw.bytes_made);
    printf("%lld commits of %d files: %.2f ms each, the last 100 %.2f ms; %lld checkpoints: %.1f "
           "ms each, "
           "longest %.1f ms; peak %ld KiB\n",
           (long long)commits, files, (all - folds) / (double)commits, end / 100,
           (long long)n_folds, n_folds ? folds / (double)n_folds : 0, longest, peak_kib());
    buf_release(&bytes);
    table_close(tb);
}

static void told(const char *what, int64_t *start, int64_t n) {
    printf("%s: %lld files, %.1f s, peak %ld KiB\n", what, (long long)n, ms_since(*start) / 1000,
           peak_kib());
    *start = clock_mono_ns();
}

/* As run and up do it, with retentions that are over. */
static void keep_up(struct storage *st) {
    struct table *tb;
    struct err e;
    struct table_optimize_result opt;
    struct table_vacuum_result vac;
    int64_t removed, start = clock_mono_ns();
    if (table_open(st, &bronze_events, &tb, &e) < 0)
        die(&e);
    told("open", &start, (int64_t)table_live(tb)->n);
    if (table_optimize(
            tb, &(struct table_optimize_options){.target_bytes = 128LL * MIB, .min_files = 20},
            &opt, &e) < 0)
        die(&e);
    told("optimize", &start, opt.removed);
    if (table_checkpoint(tb, &e) < 0)
        die(&e);
    told("checkpoint", &start, (int64_t)table_live(tb)->n);
    if (table_clean_log(tb, &(struct table_clean_options){.needed_after = INT64_MAX}, &removed,
                        &e) < 0)
        die(&e);
    told("log cleanup", &start, removed);
    if (table_vacuum(tb,
                     &(struct table_vacuum_options){
                         .force = true, .retention_ms = 1, .needed_after = INT64_MAX},
                     &vac, &e) < 0)
        die(&e);
    told("vacuum", &start, vac.files);
    table_close(tb);
}

int main(int argc, char **argv) {
    bool upkeep = argc == 3 && strcmp(argv[2], "upkeep") == 0;
    if (argc < 4 && !upkeep) {
        fprintf(stderr,
                "usage: bench_table FOLDER COMMITS FILES INTERVAL [real [EVERY]] | FOLDER open N | "
                "FOLDER upkeep\n");
        return 2;
    }
    struct err e;
    struct storage *st;
    _cleanup_(freep) char *url = xasprintf("file:%s", argv[1]);
    if (storage_open(url, NULL, &st, &e) < 0)
        die(&e);
    if (upkeep) {
        keep_up(st);
    } else if (argc >= 5) {
        fill(st, atoll(argv[2]), atoi(argv[3]), atoll(argv[4]), argc >= 6,
             argc == 7 ? atoll(argv[6]) : 0);
    } else {
        for (int i = 0; i < atoi(argv[3]); i++) {
            struct table *tb;
            double cpu = cpu_ms();
            int64_t start = clock_mono_ns();
            if (table_open(st, &bronze_events, &tb, &e) < 0)
                die(&e);
            printf("open at version %lld, %zu files: %.1f ms (CPU %.1f ms), peak %ld KiB\n",
                   (long long)table_version(tb), table_live(tb)->n, ms_since(start), cpu_ms() - cpu,
                   peak_kib());
            table_close(tb);
        }
    }
    storage_free(st);
    return 0;
}
