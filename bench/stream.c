/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast a stream takes and gives records: bench_stream URL [RECORDS [BYTES [PARTITIONS]]].
 * Appends records of 340 bytes (with a key of 8), then reads them back twice: the second time all
 * of it comes from the page cache. One line of JSON a measurement, on stdout.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/limits.h"
#include "stream/stream.h"

static int64_t acked;

static void on_ack(void *arg ATTR_UNUSED, const struct ack *a) {
    acked += a->error == NULL;
}

static void die(const struct err *e) {
    fprintf(stderr, "bench_stream: %s\n", e->msg);
    exit(-e->code);
}

static void report(const char *what, int64_t records, int64_t bytes, int64_t ns) {
    double s = (double)ns / 1e9;
    printf("{\"bench\":\"stream_%s\",\"records\":%" PRId64
           ",\"seconds\":%.3f,\"records_per_s\":%.0f,"
           "\"mb_per_s\":%.0f}\n",
           what, records, s, (double)records / s, (double)bytes / s / 1e6);
}

static void append(struct stream *s, int64_t n, size_t size) {
    struct err e;
    char *value = xmalloc(size), key[9];
    for (size_t i = 0; i < size; i++)
        value[i] = (char)('a' + i * 7 % 26);
    int64_t start = clock_mono_ns();
    for (int64_t i = 0; i < n; i++) {
        snprintf(key, sizeof key, "u%07" PRId64, i % 100000);
        if (stream_send(s, key, 8, value, size, NULL, &e) < 0)
            die(&e);
    }
    if (stream_flush(s, &e) < 0)
        die(&e);
    report("append", acked, acked * (int64_t)size, clock_mono_ns() - start);
    free(value);
}

static void read_all(struct stream *s, const char *what) {
    struct err e;
    struct bounds *v;
    size_t n;
    struct poll_result polled = {0};
    if (stream_bounds(s, &v, &n, &e) < 0)
        die(&e);
    struct position *p = xcalloc(MAX(n, 1), sizeof *p);
    int64_t all = 0;
    for (size_t i = 0; i < n; i++) {
        p[i] = (struct position){v[i].partition, -1};
        all += v[i].end - v[i].begin;
    }
    free(v);
    if (stream_assign(s, p, n, &e) < 0)
        die(&e);
    struct span *sp = span_new(8 * MIB);
    int64_t records = 0, bytes = 0, start = clock_mono_ns();
    while (records < all) {
        span_reset(sp);
        if (stream_poll(s, 1000, sp, 100000, 8 * MIB, &polled, &e) < 0)
            die(&e);
        records += (int64_t)sp->n;
        bytes += (int64_t)sp->bytes.len;
    }
    report(what, records, bytes, clock_mono_ns() - start);
    span_free(sp);
    free(p);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fputs("bench_stream URL [RECORDS [BYTES [PARTITIONS]]]\n", stderr);
        return 2;
    }
    int64_t n = argc > 2 ? atoll(argv[2]) : 2000000;
    size_t size = argc > 3 ? (size_t)atoll(argv[3]) : 340;
    struct stream_options o = {.topic = "bench",
                               .app = "bench",
                               .partitions = argc > 4 ? atoi(argv[4]) : 3,
                               .on_ack = on_ack};
    struct stream *s;
    struct err e;
    if (stream_open(argv[1], &o, &s, &e) < 0)
        die(&e);
    append(s, n, size);
    read_all(s, "poll");
    read_all(s, "poll_again");
    stream_free(s);
    return 0;
}
