/* SPDX-License-Identifier: Apache-2.0 */
/* produce: lines as they are, shoppers with their ledger, on the fake and the local stream. */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/util.h"
#include "event/event.h"
#include "fake/stream_mem.h"
#include "flow/produce.h"
#include "stream/helper.h"

struct bench {
    char *folder, *input, *ledger;
    struct mem_cluster *mc;
    struct stream *s;
    struct span *sp;
    struct produce_options o;
    struct produce_result res;
    struct err e;
};

static struct bench begin(void) {
    struct bench b = {.folder = temp_folder(), .mc = mem_cluster_new(), .sp = span_new(MIB)};
    struct stream_options so = {.topic = "clicks", .app = "t", .partitions = 3};
    b.input = xasprintf("%s/in.ndjson", b.folder);
    b.ledger = xasprintf("%s/ledger", b.folder);
    assert_ok(stream_mem_open(b.mc, &so, &b.s, &b.e), &b.e);
    produce_defaults(&b.o);
    b.o.seed = 1;
    b.o.now_s = 1771286400;
    return b;
}

static void end(struct bench *b) {
    stream_free(b->s);
    span_free(b->sp);
    mem_cluster_free(b->mc);
    remove_folder(b->folder);
    free(b->input);
    free(b->ledger);
}

static void write_file(const char *path, const void *data, size_t n) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0 && write(fd, data, n) == (ssize_t)n);
    close(fd);
}

static char *read_file(const char *path, size_t *ret_n) {
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = xcalloc((size_t)size + 1, 1);
    assert_int_equal(pread(fd, text, (size_t)size, 0), size);
    close(fd);
    *ret_n = (size_t)size;
    return text;
}

/* --- lines --- */

static void lines_are_published_as_they_are(void **state ATTR_UNUSED) {
    static const struct {
        const char *text;
        size_t len;
        const char *lines[4];
        size_t lens[4];
    } cases[] = {
        {"", 0, {0}, {0}},
        {"\n\n\n", 3, {0}, {0}},
        {"a", 1, {"a"}, {1}},
        {"a\n", 2, {"a"}, {1}},
        {"a\nb", 3, {"a", "b"}, {1, 1}},
        {"\n\na\n\n\nb\n\n", 8, {"a", "b"}, {1, 1}},
        {"a\r\n\r\nb\r\n", 8, {"a\r", "\r", "b\r"}, {2, 1, 2}},
        {"a\0b\n\0\n \n", 8, {"a\0b", "\0", " "}, {3, 1, 1}},
        {"\xFF\xFE\n{\"x\":1}", 10, {"\xFF\xFE", "{\"x\":1}"}, {2, 7}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b = begin();
        write_file(b.input, cases[i].text, cases[i].len);
        b.o.from = b.input;
        assert_ok(flow_produce(&b.o, b.s, &b.res, &b.e), &b.e);
        read_topic(b.s, b.sp);
        size_t n = 0, bytes = 0;
        for (; n < 4 && cases[i].lines[n]; n++) {
            assert_null(b.sp->v[n].key);
            assert_int_equal(b.sp->v[n].value_len, cases[i].lens[n]);
            assert_memory_equal(b.sp->v[n].value, cases[i].lines[n], cases[i].lens[n]);
            bytes += cases[i].lens[n];
        }
        assert_int_equal(b.sp->n, n);
        assert_int_equal(b.res.sent, n);
        assert_int_equal(b.res.acked, n);
        assert_int_equal(b.res.bytes, bytes);
        end(&b);
    }
}

static void lines_of_any_length_come_through(void **state ATTR_UNUSED) {
    static const size_t lens[] = {1,       262143, 262144, 262145, LIMIT_RECORD, LIMIT_RECORD + 1,
                                  5 * MIB, 2};
    struct bench b = begin();
    struct buf text = BUF_INIT(64 * MIB);
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        for (size_t k = 0; k < lens[i]; k++)
            buf_add_char(&text, (char)('a' + (i + k) % 26));
        buf_add_char(&text, '\n');
    }
    write_file(b.input, text.data, text.len);
    b.o.from = b.input;
    assert_ok(flow_produce(&b.o, b.s, &b.res, &b.e), &b.e);
    read_topic(b.s, b.sp);
    assert_int_equal(b.sp->n, ARRAY_LEN(lens));
    const char *at = text.data;
    for (size_t i = 0; i < b.sp->n; i++) {
        assert_int_equal(b.sp->v[i].value_len, lens[i]);
        assert_memory_equal(b.sp->v[i].value, at, lens[i]);
        at += lens[i] + 1;
    }
    buf_release(&text);
    end(&b);
}

static void a_line_beyond_the_limit_is_an_error_that_names_it(void **state ATTR_UNUSED) {
    struct bench b = begin();
    size_t n = (size_t)LIMIT_LINE + 2 * MIB;
    char *text = xmalloc(n);
    memset(text, 'x', n);
    memcpy(text, "one\n\nthree\n", 11);
    write_file(b.input, text, n);
    free(text);
    b.o.from = b.input;
    assert_int_equal(flow_produce(&b.o, b.s, &b.res, &b.e), ERR_STREAM);
    assert_non_null(strstr(b.e.msg, "line 4 of"));
    assert_non_null(strstr(b.e.msg, b.input));
    assert_int_equal(b.res.acked, 2); /* what came before it is published */
    end(&b);
}

static void a_missing_input_is_a_stream_error(void **state ATTR_UNUSED) {
    static const char *const paths[] = {"/nowhere/in.ndjson", "/tmp"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct bench b = begin();
        b.o.from = paths[i];
        assert_int_equal(flow_produce(&b.o, b.s, &b.res, &b.e), ERR_STREAM);
        assert_non_null(strstr(b.e.msg, paths[i]));
        end(&b);
    }
}

struct feeder {
    int fd;
    struct bench *b;
};

/* Writes one line, and the next only once the first can be read from the stream. */
static void *feed(void *arg) {
    struct feeder *f = arg;
    char line[16];
    for (int i = 0; i < 5; i++) {
        int n = snprintf(line, sizeof line, "line %d\n", i);
        if (write(f->fd, line, 3) != 3 || usleep(20000) ||
            write(f->fd, line + 3, (size_t)n - 3) < 0)
            break;
        /* The count is read without a lock: a test's peek at a number that only grows. */
        for (int wait = 0; wait < 500 && __atomic_load_n(&f->b->res.acked, __ATOMIC_SEQ_CST) <= i;
             wait++)
            usleep(10000);
        if (__atomic_load_n(&f->b->res.acked, __ATOMIC_SEQ_CST) != i + 1)
            break;
    }
    close(f->fd);
    return NULL;
}

static void standard_input_streams(void **state ATTR_UNUSED) {
    struct bench b = begin();
    int fds[2], old = dup(STDIN_FILENO);
    assert_int_equal(pipe(fds), 0);
    dup2(fds[0], STDIN_FILENO);
    close(fds[0]);
    struct feeder f = {fds[1], &b};
    pthread_t thread;
    pthread_create(&thread, NULL, feed, &f);
    b.o.from = "-";
    int r = flow_produce(&b.o, b.s, &b.res, &b.e);
    pthread_join(thread, NULL);
    dup2(old, STDIN_FILENO);
    close(old);
    assert_ok(r, &b.e);
    assert_int_equal(b.res.acked, 5);
    end(&b);
}

static void options_that_contradict_are_refused(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct produce_options base = b.o, bad[6];
    base.from = "-";
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        bad[i] = base;
    bad[0].duplicates = 0.1;
    bad[1].late = 0.1;
    bad[2].bad = 0.1;
    bad[3].plain = true;
    bad[4].catalog = "x";
    bad[5].ts_unit = "hours";
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(flow_produce(&bad[i], b.s, &b.res, &b.e), ERR_USAGE);
    end(&b);
}

/* --- the ledger --- */

/* Every line names a record that is there, with its event_id. */
static size_t check_ledger(const struct bench *b, const char *text, size_t n) {
    struct event_decoder *d = event_decoder_new();
    size_t lines = 0;
    for (const char *at = text, *lf; at < text + n; at = lf + 1, lines++) {
        lf = memchr(at, '\n', (size_t)(text + n - at));
        assert_non_null(lf);
        struct err e;
        struct json_doc *doc = json_parse(at, (size_t)(lf - at), ERR_STREAM, &e);
        assert_non_null(doc);
        const json *o = json_root(doc);
        assert_string_equal(json_str(json_get(o, "topic")), "clicks");
        const struct record *rec =
            find_record(b->sp, (int32_t)json_int(json_get(o, "partition"), -1),
                        json_int(json_get(o, "offset"), -1));
        assert_non_null(rec);
        struct event ev;
        event_decode(d, rec->value, rec->value_len, rec->timestamp_us, &ev);
        const char *id = json_str(json_get(o, "event_id"));
        if (ev.reject || !ev.event_id.p) {
            assert_true(json_is_null(json_get(o, "event_id")));
        } else {
            assert_int_equal(strlen(id), ev.event_id.len);
            assert_memory_equal(id, ev.event_id.p, ev.event_id.len);
        }
        event_decoder_reset(d);
        json_free(doc);
    }
    event_decoder_free(d);
    return lines;
}

static void the_ledger_lists_each_acknowledged_record(void **state ATTR_UNUSED) {
    struct bench b = begin();
    b.o.events = 3000;
    b.o.duplicates = 0.05;
    b.o.late = 0.05;
    b.o.bad = 0.05;
    b.o.ledger = b.ledger;
    for (size_t run = 1; run <= 2; run++) { /* the second run appends */
        assert_ok(flow_produce(&b.o, b.s, &b.res, &b.e), &b.e);
        assert_int_equal(b.res.acked, b.res.sent);
        assert_int_equal(b.res.sent, 3000 + b.res.duplicates);
        assert_true(b.res.bad > 50 && b.res.late > 50 && b.res.duplicates > 50);
        assert_int_equal(b.res.seed, 1);
        read_topic(b.s, b.sp);
        assert_int_equal(b.sp->n, (size_t)b.res.sent * run);
        size_t n;
        char *text = read_file(b.ledger, &n);
        assert_int_equal(check_ledger(&b, text, n), b.sp->n);
        free(text);
    }
    end(&b);
}

static void the_ledger_has_null_where_there_is_no_id(void **state ATTR_UNUSED) {
    struct bench b = begin();
    static const char lines[] =
        "{\"event_id\":\"a\\\"b\",\"product_id\":1,\"category\":\"c\",\"price\":1,\"event_ts\":"
        "1771286400}\n"
        "{\"event_id\":42,\"product_id\":1,\"category\":\"c\",\"price\":1,\"event_ts\":1771286400}"
        "\n"
        "{\"product_id\":1,\"category\":\"c\",\"price\":1,\"event_ts\":1771286400}\n"
        "{\"event_id\":\"bad\",\"product_id\":1}\n"
        "nonsense\n";
    write_file(b.input, lines, sizeof lines - 1);
    b.o.from = b.input;
    b.o.ledger = b.ledger;
    assert_ok(flow_produce(&b.o, b.s, &b.res, &b.e), &b.e);
    size_t n;
    char *text = read_file(b.ledger, &n);
    assert_string_equal(
        text, "{\"topic\":\"clicks\",\"partition\":0,\"offset\":0,\"event_id\":\"a\\\"b\"}\n"
              "{\"topic\":\"clicks\",\"partition\":0,\"offset\":1,\"event_id\":\"42\"}\n"
              "{\"topic\":\"clicks\",\"partition\":0,\"offset\":2,\"event_id\":null}\n"
              "{\"topic\":\"clicks\",\"partition\":0,\"offset\":3,\"event_id\":null}\n"
              "{\"topic\":\"clicks\",\"partition\":0,\"offset\":4,\"event_id\":null}\n");
    free(text);
    end(&b);
}

static void half_a_ledger_line_is_cut_and_other_files_are_left_alone(void **state ATTR_UNUSED) {
    static const struct {
        const char *before, *after; /* NULL: refused */
    } cases[] = {{"", ""},
                 {"{\"topic\":\"x\"}\n", "{\"topic\":\"x\"}\n"},
                 {"{\"topic\":\"x\"}\n{\"top", "{\"topic\":\"x\"}\n"},
                 {"{\"topic\":\"x\",\"part", ""},
                 {"{", ""},
                 {"my diary", NULL},
                 {"{\"topic\":\"x\"}\nmy diary", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b = begin();
        write_file(b.ledger, cases[i].before, strlen(cases[i].before));
        write_file(b.input, "", 0);
        b.o.from = b.input;
        b.o.ledger = b.ledger;
        int r = flow_produce(&b.o, b.s, &b.res, &b.e);
        size_t n;
        char *text = read_file(b.ledger, &n);
        assert_int_equal(r, cases[i].after ? 0 : ERR_STREAM);
        assert_string_equal(text, cases[i].after ? cases[i].after : cases[i].before);
        free(text);
        end(&b);
    }
}

static void records_that_fail_are_counted_and_not_in_the_ledger(void **state ATTR_UNUSED) {
    struct bench b = begin();
    b.o.events = 500;
    b.o.ledger = b.ledger;
    mem_cluster_fail_next(b.mc, 3);
    assert_int_equal(flow_produce(&b.o, b.s, &b.res, &b.e), ERR_STREAM);
    assert_int_equal(b.res.failed, 3);
    assert_int_equal(b.res.acked, b.res.sent - 3);
    assert_non_null(strstr(b.e.msg, "3 of 500 records were not published"));
    read_topic(b.s, b.sp);
    size_t n;
    char *text = read_file(b.ledger, &n);
    assert_int_equal(check_ledger(&b, text, n), b.sp->n);
    free(text);
    end(&b);
}

/* --- pace and stop --- */

static void the_rate_is_kept(void **state ATTR_UNUSED) {
    struct bench b = begin();
    b.o.events = 100;
    b.o.rate = 200;
    assert_ok(flow_produce(&b.o, b.s, &b.res, &b.e), &b.e);
    assert_true(b.res.seconds > 0.49 && b.res.seconds < 2);
    read_topic(b.s, b.sp);
    assert_int_equal(b.sp->n, 100);
    int64_t first = INT64_MAX, last = 0;
    for (size_t i = 0; i < b.sp->n; i++) {
        first = MIN(first, b.sp->v[i].timestamp_us);
        last = MAX(last, b.sp->v[i].timestamp_us);
    }
    assert_true(last - first > 450000); /* smooth, not all at the end */
    end(&b);
}

static void *stop_soon(void *arg ATTR_UNUSED) {
    usleep(100000);
    stop_request();
    return NULL;
}

static void a_stop_ends_it_with_everything_acknowledged(void **state ATTR_UNUSED) {
    for (int endless = 0; endless < 2; endless++) {
        struct bench b = begin();
        pthread_t thread;
        b.o.events = endless ? 0 : 1000000000;
        b.o.rate = 1000;
        b.o.ledger = b.ledger;
        pthread_create(&thread, NULL, stop_soon, NULL);
        int r = flow_produce(&b.o, b.s, &b.res, &b.e);
        pthread_join(thread, NULL);
        stop_reset();
        assert_int_equal(r, endless ? 0 : ERR_STOPPED);
        assert_true(b.res.sent > 0 && b.res.sent < 1000);
        assert_int_equal(b.res.acked, b.res.sent);
        read_topic(b.s, b.sp);
        size_t n;
        char *text = read_file(b.ledger, &n);
        assert_int_equal(check_ledger(&b, text, n), b.sp->n);
        free(text);
        end(&b);
    }
}

/* --- the real stream, and kills --- */

static struct stream *open_local(const struct bench *b) {
    _cleanup_(freep) char *url = xasprintf("local:%s/stream", b->folder);
    struct stream_options so = {.topic = "clicks", .app = "t", .partitions = 2};
    struct stream *s;
    struct err e;
    assert_ok(stream_open(url, &so, &s, &e), &e);
    return s;
}

static void a_kill_never_leaves_an_invented_ledger_line(void **state ATTR_UNUSED) {
    struct bench b = begin();
    b.o.events = 0;
    b.o.ledger = b.ledger;
    b.o.bad = 0.02;
    size_t lines = 0;
    write_file(b.ledger, "", 0); /* the first kill may come before it is created */
    for (int round = 0; round < 8 || (lines == 0 && round < 100); round++) {
        b.o.seed = round;
        pid_t pid = fork();
        if (pid == 0) {
            struct stream *s = open_local(&b);
            flow_produce(&b.o, s, &b.res, &b.e);
            _exit(0);
        }
        usleep((useconds_t)(20000 + round * 17000));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        struct stream *s = open_local(&b);
        size_t n;
        char *text = read_file(b.ledger, &n);
        read_topic(s, b.sp);
        const char *last = memrchr(text, '\n', n); /* half a line may follow */
        lines = check_ledger(&b, text, last ? (size_t)(last + 1 - text) : 0);
        assert_true(lines <= b.sp->n);
        free(text);
        stream_free(s);
        if (lines > 0 && b.sp->n > 60000)
            break; /* the check is quadratic enough */
    }
    assert_true(lines > 0);
    end(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_published_as_they_are),
        cmocka_unit_test(lines_of_any_length_come_through),
        cmocka_unit_test(a_line_beyond_the_limit_is_an_error_that_names_it),
        cmocka_unit_test(a_missing_input_is_a_stream_error),
        cmocka_unit_test(standard_input_streams),
        cmocka_unit_test(options_that_contradict_are_refused),
        cmocka_unit_test(the_ledger_lists_each_acknowledged_record),
        cmocka_unit_test(the_ledger_has_null_where_there_is_no_id),
        cmocka_unit_test(half_a_ledger_line_is_cut_and_other_files_are_left_alone),
        cmocka_unit_test(records_that_fail_are_counted_and_not_in_the_ledger),
        cmocka_unit_test(the_rate_is_kept),
        cmocka_unit_test(a_stop_ends_it_with_everything_acknowledged),
        cmocka_unit_test(a_kill_never_leaves_an_invented_ledger_line),
    };
    return cmocka_run_group_tests_name("produce", tests, NULL, NULL);
}
