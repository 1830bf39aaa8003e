/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/helper.h"

#include <ftw.h>
#include <unistd.h>

#include "base/clock.h"

void ack_log_add(void *arg, const struct ack *a) {
    struct ack_log *log = arg;
    if (log->n == log->cap) {
        log->cap = log->cap ? log->cap * 2 : 64;
        log->v = xrealloc(log->v, log->cap * sizeof *log->v);
    }
    log->v[log->n++] = *a;
    if (a->error) {
        log->failed++;
        log->error = *a->error;
    }
}

void ack_log_release(struct ack_log *log) {
    free(log->v);
    *log = (struct ack_log){0};
}

void send_text(struct stream *s, const char *key, const char *value) {
    struct err e;
    int r = stream_send(s, key, key ? strlen(key) : 0, value, value ? strlen(value) : 0, NULL, &e);
    assert_ok(r, &e);
}

void flush_all(struct stream *s) {
    struct err e;
    assert_ok(stream_flush(s, &e), &e);
}

void send_many(struct stream *s, int from, int to) {
    char value[32];
    for (int i = from; i < to; i++) {
        snprintf(value, sizeof value, "%d", i);
        send_text(s, NULL, value);
    }
    flush_all(s);
}

size_t assign_all(struct stream *s) {
    struct err e;
    struct bounds *v;
    size_t n;
    assert_ok(stream_bounds(s, &v, &n, &e), &e);
    struct position *p = xcalloc(MAX(n, 1), sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = (struct position){v[i].partition, -1};
    free(v);
    int r = stream_assign(s, p, n, &e);
    free(p);
    assert_ok(r, &e);
    return n;
}

void read_to_end(struct stream *s, struct span *sp) {
    struct err e;
    struct poll_result polled;
    for (int idle = 0; idle < 2; idle += polled.kind != POLL_RECORDS)
        assert_ok(stream_poll(s, 0, sp, 100000, SIZE_MAX / 4, &polled, &e), &e);
}

void read_records(struct stream *s, struct span *sp, size_t n) {
    struct err e;
    struct poll_result polled;
    int64_t until = clock_mono_ns() + 30 * 1000000000LL;
    while (sp->n < n && clock_mono_ns() < until)
        assert_ok(stream_poll(s, 1000, sp, 100000, SIZE_MAX / 4, &polled, &e), &e);
    assert_ok(stream_poll(s, 0, sp, 1, SIZE_MAX / 4, &polled, &e), &e);
    assert_int_equal(sp->n, n);
}

void read_topic(struct stream *s, struct span *sp) {
    struct err e;
    struct bounds *v;
    size_t n, records = 0;
    assert_ok(stream_bounds(s, &v, &n, &e), &e);
    for (size_t i = 0; i < n; i++)
        records += (size_t)(v[i].end - v[i].begin);
    free(v);
    span_reset(sp);
    assign_all(s);
    read_records(s, sp, records);
}

void poll_for(struct stream *s, enum poll_kind kind, struct span *sp, struct poll_result *ret) {
    struct err e;
    int64_t until = clock_mono_ns() + 30 * 1000000000LL;
    do
        assert_ok(stream_poll(s, 200, sp, 100000, SIZE_MAX / 4, ret, &e), &e);
    while (ret->kind != kind && clock_mono_ns() < until);
    assert_int_equal(ret->kind, kind);
}

void assign_from(struct stream *s, const struct poll_result *polled, int64_t offset) {
    struct err e;
    struct position p[16];
    assert_true(polled->n_partitions <= ARRAY_LEN(p));
    for (size_t i = 0; i < polled->n_partitions; i++)
        p[i] = (struct position){polled->partitions[i], offset};
    assert_ok(stream_assign(s, p, polled->n_partitions, &e), &e);
}

void join_group(struct stream *s, struct span *sp) {
    struct err e;
    struct poll_result polled;
    assert_ok(stream_subscribe(s, &e), &e);
    poll_for(s, POLL_ASSIGN, sp, &polled);
    assert_non_null(s->cluster_id);
    assert_non_null(s->topic_id);
    assign_from(s, &polled, -1);
}

/* A topic read by read_topic has its records in runs: the guess is mostly right. */
const struct record *find_record(const struct span *sp, int32_t partition, int64_t offset) {
    static size_t guess;
    for (size_t i = 0; i < sp->n; i++, guess++) {
        const struct record *rec = &sp->v[guess % sp->n];
        if (rec->partition == partition && rec->offset == offset) {
            guess = (guess + 1) % sp->n;
            return rec;
        }
    }
    return NULL;
}

bool record_is(const struct record *rec, const char *value) {
    return rec && rec->value && rec->value_len == strlen(value) &&
           memcmp(rec->value, value, rec->value_len) == 0;
}

char *temp_folder(void) {
    const char *tmp = getenv("TMPDIR");
    char *path = xasprintf("%s/clickmill-test-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(path))
        fail_msg("cannot create %s", path);
    return path;
}

static int remove_one(const char *path, const struct stat *st ATTR_UNUSED, int type ATTR_UNUSED,
                      struct FTW *at ATTR_UNUSED) {
    return remove(path);
}

void remove_folder(char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}
