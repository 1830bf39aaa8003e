/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dedup FOLDER fill FROM TO: rows FROM to TO - 1 of silver in FOLDER/data/lake, made by the engine out of
 * their numbers: as wide as real ones, 10,000 rows a second of received_at, keys md5(number).
 * dedup FOLDER keys N NEW: the key index alone, of N random hashes: made, asked for NEW others of which
 * one in a hundred is known, then those added. Prints what each takes.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "index/keys.h"
#include "table/table.h"

enum { COMMIT_ROWS = 5000000, PART = 4096 };

static _Noreturn void die(const struct err *e) {
    fprintf(stderr, "dedup: %s\n", e->msg);
    exit(1);
}

struct point {
    int64_t ns;
    double cpu;
};

static struct point now(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (struct point){clock_mono_ns(),
                          (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                              (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6};
}

static void say(const char *what, struct point began) {
    struct rusage u;
    struct point p = now();
    getrusage(RUSAGE_SELF, &u);
    printf("%s: %.3f s, CPU %.3f s, peak %ld MiB\n", what, (double)(p.ns - began.ns) / 1e9,
           p.cpu - began.cpu, u.ru_maxrss / 1024);
    fflush(stdout);
}

static void fill_commit(struct storage *st, struct engine *en, struct table *silver, int64_t from,
                        int64_t to) {
    _cleanup_(freep) char *select = xasprintf(
        "SELECT md5(CAST(i AS VARCHAR)) AS event_key, md5(CAST(i AS VARCHAR)) AS event_id, "
        "'purchase' AS event_type, make_timestamptz(1771286400000000 + i * 100) AS event_time, "
        "CAST(make_timestamp(1771286400000000 + i * 100) AS DATE) AS event_date, "
        "CAST(i %% 20000 AS VARCHAR) AS product_id, 'electronics' AS category, "
        "CAST(i %% 1000 AS DECIMAL(18,4)) AS price, 1 AS quantity, NULL AS currency, "
        "CAST(i %% 1000 AS DECIMAL(18,4)) AS revenue, 'u' || i * 7919 %% 1000003 AS user_id, "
        "'s' || i * 104729 %% 10000019 AS session_id, NULL AS order_id, "
        "'/products/' || i %% 20000 AS page_url, NULL AS referrer, false AS is_bot, "
        "make_timestamptz(1771286400000000 + i * 100) AS received_at, 'clickstream' AS source_topic, "
        "0 AS source_partition, i AS source_offset, 0 AS source_index "
        "FROM range(%lld, %lld) t(i)",
        (long long)from, (long long)to);
    const struct engine_job job = {.what = "fill", .select = select, .output = &silver_events};
    struct engine_result made = {0};
    struct err e;
    int64_t version;
    if (engine_run(en, st, &job, &made, &e) < 0 ||
        table_commit(
            silver,
            &(struct table_commit){.operation = "WRITE", .add = &made.files, .data_change = true},
            &version, &e) < 0)
        die(&e);
    engine_result_release(&made);
}

static void fill(const char *folder, int64_t from, int64_t to) {
    _cleanup_(freep) char *url = xasprintf("file:%s/data/lake", folder),
                          *temp = xasprintf("%s/data/tmp", folder);
    const struct engine_options o = {.threads = 2, .memory_bytes = 512LL << 20, .temp_dir = temp};
    struct storage *st;
    struct engine *en;
    struct table *silver;
    struct err e;
    if (storage_open(url, &(struct storage_options){0}, &st, &e) < 0 ||
        engine_open("duckdb", &o, &en, &e) < 0 || table_open(st, &silver_events, &silver, &e) < 0)
        die(&e);
    for (int64_t at = from; at < to; at += COMMIT_ROWS)
        fill_commit(st, en, silver, at, MIN(to, at + COMMIT_ROWS));
    table_close(silver);
    engine_free(en);
    storage_free(st);
}

/* splitmix64: a hash of its number. */
static uint64_t hash_of(uint64_t i) {
    uint64_t z = (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static void add(struct keys *k, int64_t from, int64_t to, int64_t version) {
    struct key part[PART];
    const struct keys_mark mark = {{0}};
    struct err e;
    for (int64_t at = from; at < to;) {
        size_t n = 0;
        for (; n < PART && at < to; n++, at++)
            part[n] = (struct key){hash_of((uint64_t)at), at};
        if (keys_add(k, part, n, &e) < 0)
            die(&e);
    }
    if (keys_commit(k, version, &mark, &e) < 0)
        die(&e);
}

static void keys_alone(const char *folder, int64_t n, int64_t new) {
    const struct keys_mark owner = {{1}};
    struct keys *k;
    struct err e;
    if (keys_open(folder, &owner, &k, &e) < 0)
        die(&e);
    struct point began = now();
    if (keys_rows(k) == 0) {
        add(k, 0, n, 0);
        say("made", began);
    }
    n = keys_rows(k);
    struct key *asked = xmalloc((size_t)new * sizeof *asked);
    for (int64_t i = 0; i < new; i++)
        asked[i].hash = hash_of((uint64_t)(i % 100 ? n + i : i * 7919 % n));
    struct key_list found = {0};
    for (int i = 0; i < 3; i++) {
        found.n = 0;
        began = now();
        if (keys_ask(k, asked, (size_t)new, &found, &e) < 0 || keys_answer(k, &found, &e) < 0)
            die(&e);
        say("asked", began);
    }
    printf("%lld keys, %zu found of %lld\n", (long long)n, found.n, (long long)new);
    began = now();
    add(k, n, n + new, keys_version(k) + 1);
    say("added", began);
    key_list_release(&found);
    free(asked);
    keys_close(k);
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: dedup FOLDER fill FROM TO | dedup FOLDER keys N NEW\n");
        return 2;
    }
    int64_t a = strtoll(argv[3], NULL, 10), b = strtoll(argv[4], NULL, 10);
    if (strcmp(argv[2], "fill") == 0)
        fill(argv[1], a, b);
    else
        keys_alone(argv[1], a, b);
    return 0;
}
