/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only the local stream can show: kills in the middle of an append, torn tails, damaged
 * files, several producers, full disks. The contract itself is in conformance.c.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "stream/helper.h"
#include "stream/local_private.h"

static struct stream *open_at(const char *folder, int32_t partitions, struct ack_log *acks) {
    struct stream_options o = {.topic = "clicks",
                               .app = "test",
                               .partitions = partitions,
                               .on_ack = acks ? ack_log_add : NULL,
                               .ack_arg = acks};
    _cleanup_(freep) char *url = xasprintf("local:%s", folder);
    struct stream *s;
    struct err e;
    assert_ok(stream_open(url, &o, &s, &e), &e);
    return s;
}

static char *file_of(const char *folder, const char *name) {
    return xasprintf("%s/clicks/0/%s", folder, name);
}

#define SEGMENT_0 "00000000000000000000.log"

static size_t read_file(const char *path, char *out, size_t cap) {
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, out, cap);
    close(fd);
    assert_true(n >= 0);
    return (size_t)n;
}

static void write_file(const char *path, const char *data, size_t n) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0 && write(fd, data, n) == (ssize_t)n);
    close(fd);
}

/* --- torn tails --- */

struct torn {
    char *folder, *log, *mark;
    char data[4096], old_mark[64];
    size_t whole, cut; /* bytes with the last record, and without it */
    size_t old_mark_size;
};

/* Three records behind the mark, a fourth written but not marked. */
static struct torn make_torn(void) {
    struct torn t = {.folder = temp_folder()};
    t.log = file_of(t.folder, SEGMENT_0);
    t.mark = file_of(t.folder, "durable");
    struct stream *s = open_at(t.folder, 1, NULL);
    send_text(s, NULL, "one");
    send_text(s, "k", "two");
    send_text(s, NULL, "three");
    flush_all(s);
    t.cut = read_file(t.log, t.data, sizeof t.data);
    t.old_mark_size = read_file(t.mark, t.old_mark, sizeof t.old_mark);
    send_text(s, "key", "four, the torn one");
    flush_all(s);
    t.whole = read_file(t.log, t.data, sizeof t.data);
    stream_free(s);
    return t;
}

static void restore(const struct torn *t, size_t bytes, bool with_mark) {
    write_file(t->log, t->data, bytes);
    if (with_mark)
        write_file(t->mark, t->old_mark, t->old_mark_size);
    else
        unlink(t->mark);
}

static void free_torn(struct torn *t) {
    remove_folder(t->folder);
    free(t->log);
    free(t->mark);
}

/* Nothing of the torn record is left behind the last whole one. */
static void check_only_frames(const char *log) {
    char data[8192];
    size_t n = read_file(log, data, sizeof data), at = 0;
    struct frame f;
    for (; at < n; at += f.size)
        assert_int_equal(frame_parse(data + at, n - at, &f), FRAME_OK);
    assert_int_equal(at, n);
}

/* The reader stops before the torn record; the next producer cuts it and goes on there. */
static void check_torn(const struct torn *t, size_t records, struct span *sp) {
    struct stream *reader = open_at(t->folder, 1, NULL);
    read_topic(reader, sp);
    assert_int_equal(sp->n, records);
    struct ack_log acks = {0};
    struct stream *producer = open_at(t->folder, 1, &acks);
    send_text(producer, NULL, "after");
    flush_all(producer);
    assert_int_equal(acks.v[0].offset, records);
    span_reset(sp);
    read_to_end(reader, sp); /* the same reader, which had seen the torn bytes */
    assert_int_equal(sp->n, 1);
    assert_int_equal(sp->v[0].offset, records);
    assert_true(record_is(&sp->v[0], "after"));
    read_topic(reader, sp);
    assert_int_equal(sp->n, records + 1);
    assert_true(record_is(&sp->v[0], "one"));
    assert_true(record_is(&sp->v[records - 1], records == 4 ? "four, the torn one" : "three"));
    check_only_frames(t->log);
    ack_log_release(&acks);
    stream_free(producer);
    stream_free(reader);
}

static void a_torn_tail_of_any_length_is_cut(void **state ATTR_UNUSED) {
    struct torn t = make_torn();
    struct span *sp = span_new(MIB);
    for (size_t bytes = t.cut; bytes <= t.whole; bytes++) {
        for (int with_mark = 0; with_mark < 2; with_mark++) {
            restore(&t, bytes, with_mark);
            check_torn(&t, bytes == t.whole ? 4 : 3, sp);
        }
    }
    span_free(sp);
    free_torn(&t);
}

/* After a power cut the file may be longer than what reached the disk. */
static void a_tail_of_zeros_or_garbage_is_cut(void **state ATTR_UNUSED) {
    struct torn t = make_torn();
    struct span *sp = span_new(MIB);
    for (int fill = 0; fill < 256; fill += 51) {
        memset(t.data + t.cut, fill, 1000);
        restore(&t, t.cut + 1000, true);
        check_torn(&t, 3, sp);
    }
    span_free(sp);
    free_torn(&t);
}

/* --- damage --- */

static void assert_damaged(struct stream *s, const char *log, size_t frame_at, size_t records) {
    struct span *sp = span_new(MIB);
    struct poll_result polled;
    struct err e;
    assert_ok(stream_assign(s, &(struct position){0, 0}, 1, &e), &e);
    int r = stream_poll(s, 0, sp, 100, MIB, &polled, &e);
    assert_int_equal(sp->n, records); /* what stands before the damage is good */
    if (records > 0) {
        assert_int_equal(r, 0);
        r = stream_poll(s, 0, sp, 100, MIB, &polled, &e);
    }
    assert_int_equal(r, ERR_STREAM);
    assert_false(e.retry);
    assert_true(e.hint[0]);
    _cleanup_(freep) char *where = xasprintf("%s is damaged at byte %zu ", log, frame_at);
    assert_non_null(strstr(e.msg, where));
    span_free(sp);
}

static void a_flipped_byte_anywhere_is_an_error(void **state ATTR_UNUSED) {
    struct torn t = make_torn();
    struct stream *s = open_at(t.folder, 1, NULL);
    size_t starts[5] = {0}, n = 0;
    for (size_t at = 0; at < t.whole; at += frame_size(t.data + at))
        starts[n++] = at;
    assert_int_equal(n, 4);
    starts[n] = t.whole;
    for (size_t record = 0; record < n; record++) {
        for (size_t at = starts[record]; at < starts[record + 1]; at++) {
            t.data[at] = (char)(t.data[at] ^ (1 << at % 8));
            write_file(t.log, t.data, t.whole);
            assert_damaged(s, t.log, starts[record], record);
            t.data[at] = (char)(t.data[at] ^ (1 << at % 8));
        }
    }
    write_file(t.log, t.data, t.whole);
    struct span *sp = span_new(MIB);
    read_topic(s, sp);
    assert_int_equal(sp->n, 4);
    span_free(sp);
    stream_free(s);
    free_torn(&t);
}

static void a_missing_end_is_an_error_for_reader_and_producer(void **state ATTR_UNUSED) {
    struct torn t = make_torn();
    struct stream *s = open_at(t.folder, 1, NULL);
    for (size_t bytes = 0; bytes < t.whole; bytes += 7) {
        struct err e;
        write_file(t.log, t.data, bytes);
        assert_int_equal(stream_assign(s, &(struct position){0, 0}, 1, &e), ERR_STREAM);
        assert_non_null(strstr(e.msg, "the rest of the file is gone"));
        assert_non_null(strstr(e.msg, t.log));
        send_text(s, NULL, "x");
        assert_int_equal(stream_flush(s, &e), ERR_STREAM);
    }
    unlink(t.log);
    struct err e;
    assert_int_equal(stream_assign(s, &(struct position){0, 0}, 1, &e), ERR_STREAM);
    stream_free(s);
    free_torn(&t);
}

/* --- segments --- */

static void fill_segments(struct stream *s, int from, int to) {
    char value[32];
    ((struct local *)s)->segment_bytes = 200;
    for (int i = from; i < to; i++) {
        snprintf(value, sizeof value, "record number %d", i);
        send_text(s, NULL, value);
        if (i % 3 == 0)
            flush_all(s);
    }
    flush_all(s);
}

static void segments_follow_each_other(void **state ATTR_UNUSED) {
    char *folder = temp_folder();
    struct stream *out = open_at(folder, 1, NULL), *in = open_at(folder, 1, NULL);
    struct span *sp = span_new(MIB);
    fill_segments(out, 0, 1);
    read_topic(in, sp);
    fill_segments(out, 1, 100);
    read_to_end(in, sp); /* a reader follows over the seams … */
    assert_int_equal(sp->n, 100);
    for (int64_t from = 0; from <= 100; from++) { /* … and can begin anywhere */
        struct err e;
        assert_ok(stream_assign(in, &(struct position){0, from}, 1, &e), &e);
        span_reset(sp);
        read_to_end(in, sp);
        assert_int_equal(sp->n, 100 - from);
        for (size_t i = 0; i < sp->n; i++)
            assert_int_equal(sp->v[i].offset, from + (int64_t)i);
    }
    int64_t *bases;
    size_t n;
    struct err e;
    assert_ok(log_segments((struct local *)in, 0, &bases, &n, &e), &e);
    assert_true(n > 10);
    free(bases);
    span_free(sp);
    stream_free(in);
    stream_free(out);
    remove_folder(folder);
}

static void missing_segments_are_noticed(void **state ATTR_UNUSED) {
    char *folder = temp_folder();
    struct stream *s = open_at(folder, 1, NULL);
    struct span *sp = span_new(MIB);
    struct poll_result polled;
    struct err e;
    fill_segments(s, 0, 100);
    int64_t *bases;
    size_t n;
    assert_ok(log_segments((struct local *)s, 0, &bases, &n, &e), &e);
    char path[LIMIT_PATH];
    log_segment_path((struct local *)s, 0, bases[3], path);
    unlink(path);
    assert_ok(stream_assign(s, &(struct position){0, 0}, 1, &e), &e);
    assert_ok(stream_poll(s, 0, sp, 1000, MIB, &polled, &e), &e);
    assert_int_equal(sp->n, bases[3]);
    assert_int_equal(stream_poll(s, 0, sp, 1000, MIB, &polled, &e), ERR_STREAM);
    assert_int_equal(stream_assign(s, &(struct position){0, bases[3] + 1}, 1, &e), ERR_STREAM);
    /* Old ones may be removed: then reading from before is refused, from after goes on. */
    for (int i = 0; i < 3; i++) {
        log_segment_path((struct local *)s, 0, bases[i], path);
        unlink(path);
    }
    assert_int_equal(stream_assign(s, &(struct position){0, 0}, 1, &e), ERR_STREAM);
    assert_non_null(strstr(e.msg, "position 0"));
    assert_true(e.hint[0]);
    span_reset(sp);
    assert_ok(stream_assign(s, &(struct position){0, -1}, 1, &e), &e);
    read_to_end(s, sp);
    assert_int_equal(sp->n, 100 - bases[4]);
    free(bases);
    span_free(sp);
    stream_free(s);
    remove_folder(folder);
}

/* --- kills --- */

/* What a child reports through a pipe for each ack: written at once, so it survives the kill. */
struct told {
    int32_t partition;
    int64_t offset, number;
};

static void tell_ack(void *arg, const struct ack *a) {
    struct told told = {
        .partition = a->partition, .offset = a->offset, .number = (int64_t)(intptr_t)a->opaque};
    if (a->error || write(*(int *)arg, &told, sizeof told) != sizeof told)
        _exit(1);
}

/* The value of record `number` of a child: its name, then filler of a size that varies. */
static size_t make_value(char *out, int child, int64_t number) {
    size_t n = (size_t)snprintf(out, 64, "%d/%" PRId64 "/", child, number);
    size_t filler = (size_t)(number * 7919 % 3000);
    memset(out + n, 'a' + (int)(number % 26), filler);
    return n + filler;
}

static ATTR_NORETURN void produce_until_killed(const char *folder, int child, int pipe_fd,
                                               const char *crash) {
    struct stream_options o = {
        .topic = "clicks", .app = "test", .partitions = 2, .on_ack = tell_ack, .ack_arg = &pipe_fd};
    _cleanup_(freep) char *url = xasprintf("local:%s", folder);
    struct stream *s;
    struct err e;
    crash_at(crash, &e);
    if (stream_open(url, &o, &s, &e) < 0)
        _exit(2);
    ((struct local *)s)->segment_bytes = 300000;
    static char value[4096];
    for (int64_t i = 0;; i++) {
        size_t n = make_value(value, child, i);
        if (stream_send(s, i % 2 ? value : NULL, 5, value, n, (void *)(intptr_t)i, &e) < 0)
            _exit(3);
        if (i % 61 == 0 && stream_flush(s, &e) < 0)
            _exit(4);
    }
}

/* Everything that was ever seen: it must never change. */
struct seen {
    struct span *sp; /* in the order it was read */
    struct stream *in;
};

static void look(struct seen *seen, int timeout_ms) {
    struct poll_result polled;
    struct err e;
    assert_ok(stream_poll(seen->in, timeout_ms, seen->sp, 100000, SIZE_MAX / 4, &polled, &e), &e);
}

static pid_t start_child(const char *folder, int child, const char *crash, int *ret_pipe) {
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    fcntl(fds[0], F_SETPIPE_SZ, 1 << 20); /* nobody reads before the kill */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        produce_until_killed(folder, child, fds[1], crash);
    close(fds[1]);
    *ret_pipe = fds[0];
    return pid;
}

/* Every acknowledged record stands where its ack said, in order, once. */
static void check_acks(int fd, int child, const struct span *all) {
    struct told told;
    static char value[4096];
    int64_t last[2] = {-1, -1}, last_number[2] = {-1, -1};
    while (read(fd, &told, sizeof told) == sizeof told) {
        assert_true(told.offset > last[told.partition]);
        assert_true(told.number > last_number[told.partition]);
        last[told.partition] = told.offset;
        last_number[told.partition] = told.number;
        const struct record *rec = NULL;
        for (size_t i = 0; i < all->n && !rec; i++)
            if (all->v[i].partition == told.partition && all->v[i].offset == told.offset)
                rec = &all->v[i];
        size_t n = make_value(value, child, told.number);
        assert_true(rec && rec->value_len == n && memcmp(rec->value, value, n) == 0);
    }
    close(fd);
}

static void check_no_duplicates(const struct span *all) {
    for (size_t i = 0; i < all->n; i++)
        for (size_t k = i + 1; k < all->n; k++)
            assert_false(all->v[i].value_len == all->v[k].value_len &&
                         memcmp(all->v[i].value, all->v[k].value, all->v[i].value_len) == 0);
}

static void check_same(const struct seen *seen, const struct span *all) {
    assert_int_equal(seen->sp->n, all->n);
    for (size_t i = 0; i < seen->sp->n; i++) {
        const struct record *a = &seen->sp->v[i];
        const struct record *b = find_record(all, a->partition, a->offset);
        assert_true(b && a->timestamp_us == b->timestamp_us && a->value_len == b->value_len &&
                    memcmp(a->value, b->value, a->value_len) == 0);
    }
}

static struct seen start_seeing(const char *folder) {
    struct stream *s = open_at(folder, 2, NULL);
    send_text(s, NULL, "the first");
    flush_all(s);
    struct seen seen = {.sp = span_new(MIB), .in = s};
    assign_all(s);
    look(&seen, 1000);
    return seen;
}

static void check_round(const char *folder, struct seen *seen, int child, int fd) {
    read_to_end(seen->in, seen->sp);
    struct stream *s = open_at(folder, 2, NULL);
    struct span *all = span_new(MIB);
    read_topic(s, all);
    check_acks(fd, child, all);
    check_same(seen, all);
    stream_free(s);
    span_free(all);
}

static void kills_at_random_points_lose_nothing_acknowledged(void **state ATTR_UNUSED) {
    char *folder = temp_folder();
    struct seen seen = start_seeing(folder);
    /* 25 rounds; more where the machine is so busy that the children get nothing done. */
    for (int child = 0; child < 25 || (seen.sp->n <= 100 && child < 500); child++) {
        int fd, status;
        pid_t pid = start_child(folder, child, "", &fd);
        int64_t until = clock_mono_ns() + 1000000LL * (2 + child * 7919 % 40);
        while (clock_mono_ns() < until)
            look(&seen, 1);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        check_round(folder, &seen, child, fd);
    }
    check_no_duplicates(seen.sp);
    assert_true(seen.sp->n > 100);
    stream_free(seen.in);
    span_free(seen.sp);
    remove_folder(folder);
}

static void kills_at_named_points_lose_nothing_acknowledged(void **state ATTR_UNUSED) {
    static const char *points[] = {"local_append_written:1", "local_append_written:4",
                                   "local_append_synced:1", "local_append_synced:6"};
    char *folder = temp_folder();
    struct seen seen = start_seeing(folder);
    for (int child = 0; child < (int)ARRAY_LEN(points); child++) {
        int fd, status;
        pid_t pid = start_child(folder, child, points[child], &fd);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        check_round(folder, &seen, child, fd);
    }
    check_no_duplicates(seen.sp);
    stream_free(seen.in);
    span_free(seen.sp);
    remove_folder(folder);
}

static void two_producers_at_once_take_turns(void **state ATTR_UNUSED) {
    char *folder = temp_folder();
    struct seen seen = start_seeing(folder);
    int fd[2], status;
    pid_t pid[2];
    for (int child = 0; child < 2; child++)
        pid[child] = start_child(folder, child, "", &fd[child]);
    /* Neither starves: both get something in, in time. */
    size_t from[2] = {0}, looked = 1;
    for (int64_t until = clock_mono_ns() + 30000000000LL;
         (from[0] <= 50 || from[1] <= 50) && clock_mono_ns() < until;) {
        look(&seen, 1);
        for (; looked < seen.sp->n; looked++)
            from[seen.sp->v[looked].value[0] - '0']++;
    }
    for (int child = 0; child < 2; child++) {
        kill(pid[child], SIGKILL);
        assert_int_equal(waitpid(pid[child], &status, 0), pid[child]);
    }
    assert_true(from[0] > 50 && from[1] > 50);
    for (int child = 0; child < 2; child++)
        check_round(folder, &seen, child, fd[child]);
    int64_t last[2] = {0};
    for (size_t i = 0; i < seen.sp->n; i++) {
        const struct record *rec = &seen.sp->v[i];
        assert_true(rec->timestamp_us >= last[rec->partition]);
        last[rec->partition] = rec->timestamp_us;
    }
    stream_free(seen.in);
    span_free(seen.sp);
    remove_folder(folder);
}

/* --- what the file system refuses --- */

static void a_full_disk_fails_what_did_not_fit_and_no_more(void **state ATTR_UNUSED) {
    char *folder = temp_folder();
    struct ack_log acks = {0};
    struct stream *s = open_at(folder, 1, &acks);
    char value[101];
    memset(value, 'v', 100);
    value[100] = '\0';
    send_text(s, NULL, value);
    flush_all(s);
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 124 * 5 + 50; /* five frames and a piece of the sixth */
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; i < 9; i++)
        send_text(s, NULL, value);
    struct err e;
    int r = stream_flush(s, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(r, ERR_STREAM);
    assert_non_null(strstr(e.msg, "clicks"));
    assert_int_equal(acks.n, 10);
    assert_int_equal(acks.failed, 5);
    flush_all(s); /* reported once */
    struct span *sp = span_new(MIB);
    read_topic(s, sp);
    assert_int_equal(sp->n, 5);
    send_text(s, NULL, "room again");
    flush_all(s);
    assert_int_equal(acks.v[10].offset, 5);
    read_topic(s, sp);
    assert_int_equal(sp->n, 6);
    span_free(sp);
    stream_free(s);
    ack_log_release(&acks);
    remove_folder(folder);
}

static void a_place_that_is_no_folder_is_a_clear_error(void **state ATTR_UNUSED) {
    struct err e;
    struct stream *s;
    struct stream_options o = {.topic = "t", .partitions = 1};
    assert_int_equal(stream_open("local:/dev/null/x", &o, &s, &e), ERR_STREAM);
    assert_non_null(strstr(e.msg, "/dev/null"));
    assert_int_equal(stream_open("local:/proc/nowhere", &o, &s, &e), ERR_STREAM);
    assert_non_null(strstr(e.msg, "/proc/nowhere"));
}

static void a_foreign_meta_file_is_refused(void **state ATTR_UNUSED) {
    static const char *texts[] = {"",
                                  "{",
                                  "[]",
                                  "{\"format\":2,\"partitions\":3}",
                                  "{\"format\":1,\"partitions\":0}",
                                  "{\"format\":1,\"partitions\":4294967297}"};
    char *folder = temp_folder();
    struct stream *s = open_at(folder, 1, NULL);
    send_text(s, NULL, "x");
    flush_all(s);
    _cleanup_(freep) char *meta = xasprintf("%s/clicks/meta", folder);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct bounds *v;
        size_t n;
        struct err e;
        write_file(meta, texts[i], strlen(texts[i]));
        assert_int_equal(stream_bounds(s, &v, &n, &e), ERR_STREAM);
        assert_non_null(strstr(e.msg, meta));
    }
    stream_free(s);
    remove_folder(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_torn_tail_of_any_length_is_cut),
        cmocka_unit_test(a_tail_of_zeros_or_garbage_is_cut),
        cmocka_unit_test(a_flipped_byte_anywhere_is_an_error),
        cmocka_unit_test(a_missing_end_is_an_error_for_reader_and_producer),
        cmocka_unit_test(segments_follow_each_other),
        cmocka_unit_test(missing_segments_are_noticed),
        cmocka_unit_test(kills_at_random_points_lose_nothing_acknowledged),
        cmocka_unit_test(kills_at_named_points_lose_nothing_acknowledged),
        cmocka_unit_test(two_producers_at_once_take_turns),
        cmocka_unit_test(a_full_disk_fails_what_did_not_fit_and_no_more),
        cmocka_unit_test(a_place_that_is_no_folder_is_a_clear_error),
        cmocka_unit_test(a_foreign_meta_file_is_refused),
    };
    return cmocka_run_group_tests_name("local", tests, NULL, NULL);
}
