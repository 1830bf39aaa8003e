/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real HDFS, and what can go wrong on the way to it. A request is spoilt once: each of each call
 * where the answer is lost, each third where a fault is much like another; the call must do what it
 * promises all the same. Faults that last (there the others are told apart) are named. Then the
 * NameNode and the DataNode are killed while files are written.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "storage/hdfs_helper.h"

enum { LONG_MS = 90000, SHORT_MS = 300 };

static struct hdfs_server server;

struct bench {
    struct hdfs_lake *lake;
    struct hdfs_wire *wire;
    struct storage *st; /* through the wire */
};

static struct bench begin(int64_t timeout_ms) {
    struct bench b = {.lake = hdfs_lake_new(&server), .wire = hdfs_wire_new(&server)};
    struct err e;
    assert_ok(hdfs_lake_try(b.lake, hdfs_wire_host(b.wire), timeout_ms, &b.st, &e), &e);
    return b;
}

static void end(struct bench *b) {
    storage_free(b->st);
    hdfs_wire_free(b->wire);
    hdfs_lake_free(b->lake);
}

static void assert_object(struct storage *st, const char *path, const char *want) {
    _cleanup_(freep) char *got = get_text(st, path);
    assert_non_null(got);
    assert_string_equal(got, want);
}

/* ---- one fault, at each request of each call ---- */

static void write_and_read(struct storage *st, const char *dir) {
    struct err e;
    char local[LIMIT_PATH];
    _cleanup_(freep) char *entry = xasprintf("%s/log/0.json", dir);
    _cleanup_(freep) char *hint = xasprintf("%s/log/last", dir);
    _cleanup_(freep) char *part = xasprintf("%s/part", dir);
    _cleanup_(freep) char *log = xasprintf("%s/log", dir);
    assert_ok(storage_put_new(st, entry, "entry", 5, &e), &e);
    assert_int_equal(storage_put_new(st, entry, "other", 5, &e), ERR_EXISTS);
    assert_object(st, entry, "entry");
    assert_ok(storage_put(st, hint, "one", 3, &e), &e);
    assert_ok(storage_put(st, hint, "another", 7, &e), &e);
    assert_object(st, hint, "another");
    publish_text(st, part, "PAR1 rows PAR1");
    assert_ok(storage_localize(st, part, -1, local, &e), &e);
    storage_unlocalize(st, part);
    _cleanup_(freep) char *names = names_in(st, log, NULL);
    assert_string_equal(names, "0.json last");
    assert_ok(storage_remove(st, hint, &e), &e);
    _cleanup_(freep) char *left = names_in(st, log, NULL);
    assert_string_equal(left, "0.json");
}

/* Another opening of the lake in each round, so that its stage is made and removed under faults too. */
static void a_spoilt_request_changes_nothing(void **state ATTR_UNUSED) {
    struct bench b = begin(LONG_MS);
    /* Faults that come only once they last are in a_fault_that_lasts_is_named. */
    static const struct {
        enum wire_fault fault;
        int step; /* 3: each third request is enough where another fault is much the same */
    } faults[] = {{WIRE_LOST, 1}, {WIRE_STANDBY, 3},    {WIRE_RESET, 3},
                  {WIRE_CUT, 3},  {WIRE_SHORT_FILE, 1}, {WIRE_DEAD_DATANODE, 1}};
    int rounds = 0;
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        int at = 1 - faults[i].step;
        do {
            struct storage *st;
            struct err e;
            hdfs_wire_arm(b.wire, faults[i].fault, at += faults[i].step, 1);
            assert_ok(hdfs_lake_try(b.lake, hdfs_wire_host(b.wire), LONG_MS, &st, &e), &e);
            _cleanup_(freep) char *dir = xasprintf("f%zu/at%d", i, at);
            write_and_read(st, dir);
            storage_free(st);
            rounds++;
        } while (hdfs_wire_requests(b.wire) >= at);
    }
    print_message("%d rounds, each with a request spoilt\n", rounds);
    assert_true(rounds > 50);
    hdfs_wire_arm(b.wire, WIRE_NONE, 0, 0);
    end(&b);
}

/* ---- between us and the DataNode ---- */

static int localize(struct storage *st, const char *path, const char *want, struct err *e) {
    char local[LIMIT_PATH], got[16] = "";
    int r = storage_localize(st, path, (int64_t)strlen(want), local, e);
    if (r)
        return r;
    FILE *f = fopen(local, "re");
    assert_non_null(f);
    assert_int_equal(fread(got, 1, sizeof got - 1, f), strlen(want));
    assert_string_equal(got, want);
    fclose(f);
    storage_unlocalize(st, path);
    return 0;
}

static void bytes_that_do_not_come_whole_are_asked_for_again(void **state ATTR_UNUSED) {
    static const struct {
        enum wire_fault fault;
        const char *says;
    } cases[] = {{WIRE_CUT_BYTES, ""}, {WIRE_FEW_BYTES, "the DataNode sent 4 bytes of 5"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b = begin(LONG_MS), hasty = begin(SHORT_MS);
        struct err e;
        struct buf got = BUF_INIT(100);
        put_text(b.st, "t/0", "12345");
        put_text(hasty.st, "t/0", "12345");
        hdfs_wire_arm(b.wire, cases[i].fault, 1, 2);
        assert_ok(localize(b.st, "t/0", "12345", &e), &e);
        assert_int_equal(hdfs_wire_requests(b.wire), 3);
        hdfs_wire_arm(hasty.wire, cases[i].fault, 1, 1000000);
        assert_int_equal(localize(hasty.st, "t/0", "12345", &e), ERR_STORAGE);
        assert_true(e.retry);
        assert_non_null(strstr(e.msg, cases[i].says));
        hdfs_wire_arm(b.wire, WIRE_CUT_BYTES, 1, 2);
        assert_ok(storage_get(b.st, "t/0", &got, &e), &e);
        assert_string_equal(buf_str(&got), "12345");
        assert_int_equal(hdfs_wire_requests(b.wire), 3);
        buf_release(&got);
        end(&hasty);
        end(&b);
    }
}

/* Nobody knows what became of the file: it is made anew, under another name. */
static void an_upload_without_an_answer_is_made_anew(void **state ATTR_UNUSED) {
    struct bench b = begin(LONG_MS);
    struct err e;
    hdfs_wire_arm(b.wire, WIRE_UNANSWERED, 1, 2);
    assert_ok(storage_put_new(b.st, "t/0", "12345", 5, &e), &e);
    assert_int_equal(hdfs_wire_requests(b.wire), 3);
    hdfs_wire_arm(b.wire, WIRE_NONE, 0, 0);
    assert_object(b.st, "t/0", "12345");
    end(&b);
}

/* ---- faults that last ---- */

static void a_fault_that_lasts_is_named(void **state ATTR_UNUSED) {
    static const struct {
        enum wire_fault fault;
        const char *says, *hint;
    } cases[] = {
        {WIRE_503, "the server answered 503", ""},
        {WIRE_RESET, "cannot put", ""},
        {WIRE_STANDBY, "StandbyException", ""},
        {WIRE_RETRIABLE, "RetriableException: NameNode still not started", ""},
        {WIRE_SAFE_MODE, "SafeModeException: Name node is in safe mode.", "safe mode"},
        {WIRE_NO_DATANODE, "Failed to find datanode", "dfsadmin -report"},
        {WIRE_SHORT_FILE, "only 4 of 5 bytes arrived", ""},
        {WIRE_LOSES_FILE, "FileNotFoundException", ""},
        {WIRE_DEAD_DATANODE, "127.0.0.1", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b = begin(SHORT_MS);
        struct err e;
        hdfs_wire_arm(b.wire, cases[i].fault, 1, 1000000);
        int64_t start = clock_mono_ns();
        assert_int_equal(storage_put_new(b.st, "log/0.json", "12345", 5, &e), ERR_STORAGE);
        assert_true(clock_mono_ns() - start < 30000000000LL);
        assert_true(e.retry);
        if (!strstr(e.msg, cases[i].says) || !strstr(e.hint, cases[i].hint))
            fail_msg("'%s' HINT '%s' lacks '%s'", e.msg, e.hint, cases[i].says);
        assert_non_null(strstr(e.msg, "/log/0.json"));
        hdfs_wire_arm(b.wire, WIRE_NONE, 0, 0);
        assert_null(get_text(b.st, "log/0.json"));
        assert_ok(storage_put_new(b.st, "log/0.json", "12345", 5, &e), &e);
        end(&b);
    }
}

/* The answer to RENAME is lost, and then nobody is there to ask: the object may be there after an error. */
static void what_failed_may_be_done_all_the_same(void **state ATTR_UNUSED) {
    struct bench b = begin(SHORT_MS);
    struct err e;
    put_text(b.st, "log/0.json", "0");            /* makes the stage and the folder */
    hdfs_wire_arm(b.wire, WIRE_LOST, 3, 1000000); /* CREATE, GETFILESTATUS, RENAME, … */
    assert_int_equal(storage_put_new(b.st, "log/1.json", "ours", 4, &e), ERR_STORAGE);
    assert_true(e.retry);
    hdfs_wire_arm(b.wire, WIRE_NONE, 0, 0);
    assert_object(b.st, "log/1.json", "ours");
    end(&b);
}

/* ---- several NameNodes ---- */

static void the_namenode_that_is_active_is_found(void **state ATTR_UNUSED) {
    struct bench b = begin(LONG_MS);
    struct storage *st;
    struct err e;
    _cleanup_(freep) char *hosts =
        xasprintf("127.0.0.1:1,%s,%s", hdfs_wire_host(b.wire), server.namenode);
    hdfs_wire_arm(b.wire, WIRE_STANDBY, 1, 1000000);
    assert_ok(hdfs_lake_try(b.lake, hosts, LONG_MS, &st, &e), &e);
    write_and_read(st, "ha");
    /* It is found once, not at each call. */
    assert_in_range(hdfs_wire_requests(b.wire), 1, 2);
    storage_free(st);
    _cleanup_(freep) char *none = xasprintf("127.0.0.1:1,%s", hdfs_wire_host(b.wire));
    assert_ok(hdfs_lake_try(b.lake, none, SHORT_MS, &st, &e), &e);
    assert_int_equal(storage_put_new(st, "x", "1", 1, &e), ERR_STORAGE);
    assert_true(e.retry);
    storage_free(st);
    end(&b);
}

/* ---- kill -9 while files are written ---- */

struct writer {
    struct storage *st;
    atomic_int written;
    atomic_bool stop, failed;
    struct err e; /* of the one that failed */
};

static char *content_of(int i) {
    size_t len = i % 5 == 4 ? 3 * MIB : 1000;
    char *data = xmalloc(len + 1);
    for (size_t k = 0; k < len; k++)
        data[k] = (char)('a' + (k * 7 + (size_t)i) % 26);
    data[len] = '\0';
    return data;
}

static int write_file(struct storage *st, int i, struct err *e) {
    _cleanup_(freep) char *data = content_of(i);
    _cleanup_(freep) char *path = xasprintf("t/part-%03d", i);
    if (i % 2)
        return storage_put_new(st, path, data, strlen(data), e);
    return publish_bytes(st, path, data, strlen(data), e);
}

static void *write_files(void *arg) {
    struct writer *w = arg;
    while (!atomic_load(&w->stop) && !atomic_load(&w->failed))
        if (write_file(w->st, atomic_load(&w->written), &w->e) == 0)
            atomic_fetch_add(&w->written, 1);
        else
            atomic_store(&w->failed, true);
    return NULL;
}

static void wait_until_written(struct writer *w, int n) {
    int64_t until = clock_mono_ns() + LONG_MS * 1000000LL;
    while (atomic_load(&w->written) < n && !atomic_load(&w->failed) && clock_mono_ns() < until)
        usleep(1000);
    assert_ok(atomic_load(&w->failed) ? w->e.code : 0, &w->e);
    assert_true(atomic_load(&w->written) >= n);
}

static void kill_while_files_are_written(const char *part) {
    struct hdfs_lake *lake = hdfs_lake_new(&server);
    struct writer w = {.st = hdfs_lake_open(lake, LONG_MS, NULL)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_files, &w), 0);
    wait_until_written(&w, 4);
    hdfs_server_do(&server, "restart", part);
    wait_until_written(&w, atomic_load(&w.written) + 4);
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    assert_ok(atomic_load(&w.failed) ? w.e.code : 0, &w.e);
    struct storage_entries l = {0};
    assert_ok(storage_list(w.st, "t", NULL, &l, &w.e), &w.e);
    assert_int_equal(l.n, atomic_load(&w.written));
    for (size_t i = 0; i < l.n; i++) {
        _cleanup_(freep) char *path = xasprintf("t/part-%03zu", i);
        _cleanup_(freep) char *want = content_of((int)i);
        assert_object(w.st, path, want);
    }
    storage_entries_release(&l);
    storage_free(w.st);
    hdfs_lake_free(lake);
}

static void the_namenode_is_killed_while_files_are_written(void **state ATTR_UNUSED) {
    kill_while_files_are_written("nn");
}

static void the_datanode_is_killed_while_files_are_written(void **state ATTR_UNUSED) {
    kill_while_files_are_written("dn");
}

/* ---- safe mode ---- */

/* Once the call has been refused and has come again. */
static void *leave_safe_mode(void *arg) {
    while (hdfs_wire_requests(arg) < 2)
        usleep(1000);
    hdfs_server_do(&server, "safemode", "leave");
    return NULL;
}

static void safe_mode_is_waited_for(void **state ATTR_UNUSED) {
    struct bench b = begin(LONG_MS);
    struct storage *hasty = hdfs_lake_open(b.lake, SHORT_MS, NULL);
    struct err e;
    put_text(hasty, "t/part", "rows");
    hdfs_server_do(&server, "safemode", "enter");
    assert_int_equal(storage_put_new(hasty, "t/more", "x", 1, &e), ERR_STORAGE);
    assert_true(e.retry);
    assert_has(e.msg, "SafeModeException");
    assert_has(e.hint, "dfsadmin -safemode");
    assert_object(hasty, "t/part", "rows"); /* what is there can be read */
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, leave_safe_mode, b.wire), 0);
    assert_ok(storage_put_new(b.st, "t/more", "x", 1, &e), &e);
    pthread_join(thread, NULL);
    assert_object(b.st, "t/more", "x");
    storage_free(hasty);
    end(&b);
}

int main(void) {
    setenv("NO_PROXY", "127.0.0.1", 1);
    log_setup(LOG_ERROR, false);
    hdfs_server_new(&server);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spoilt_request_changes_nothing),
        cmocka_unit_test(bytes_that_do_not_come_whole_are_asked_for_again),
        cmocka_unit_test(an_upload_without_an_answer_is_made_anew),
        cmocka_unit_test(a_fault_that_lasts_is_named),
        cmocka_unit_test(what_failed_may_be_done_all_the_same),
        cmocka_unit_test(the_namenode_that_is_active_is_found),
        cmocka_unit_test(the_namenode_is_killed_while_files_are_written),
        cmocka_unit_test(the_datanode_is_killed_while_files_are_written),
        cmocka_unit_test(safe_mode_is_waited_for),
    };
    int failed = cmocka_run_group_tests_name("hdfs faults", tests, NULL, NULL);
    hdfs_server_free(&server);
    return failed;
}
