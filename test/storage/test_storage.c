/* SPDX-License-Identifier: Apache-2.0 */
/* The storage contract on every driver and fake, opening by URL, and the faults themselves. */
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "fake/storage_fault.h"
#include "fake/storage_mem.h"
#include "storage/conformance.h"
#include "storage/helper.h"
#include "storage/many.h"

static void *folder_new(void) {
    return lake_folder_new();
}

static struct storage *local_open(void *lake) {
    return lake_open(lake);
}

static void folder_free(void *lake) {
    lake_folder_free(lake);
}

static struct storage *fault_open(void *lake) {
    return storage_fault_new(lake_open(lake), true);
}

static void *mem_new(void) {
    return storage_mem_new();
}

static struct storage *mem_open(void *lake) {
    return storage_fault_new(lake, false); /* one lake, opened many times */
}

static void mem_free(void *lake) {
    storage_free(lake);
}

static void urls_that_name_no_storage_are_refused(void **state ATTR_UNUSED) {
    const char *urls[] = {"", "data/lake", "s4://x", "file", "file:", "file://host/x", "FILE:x"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct storage *st;
        struct err e;
        assert_int_equal(storage_open(urls[i], NULL, &st, &e), ERR_CONFIG);
        assert_true(e.msg[0] && e.hint[0]);
    }
}

/* Of people who take keys into a URL, and mistype the rest. */
static void what_is_refused_is_told_without_its_secrets(void **state ATTR_UNUSED) {
    const char *urls[] = {"s4://key:secret@bucket/x", "key:secret@bucket",
                          "s4://bucket/x?secret_key=secret", "file://key:secret@host/x",
                          "s3a://key:sec/secret@bucket"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct storage *st;
        struct err e;
        assert_int_equal(storage_open(urls[i], NULL, &st, &e), ERR_CONFIG);
        assert_null(strstr(e.msg, "secret@"));
        assert_null(strstr(e.msg, "=secret"));
    }
}

static void a_lake_is_made_where_there_is_none(void **state ATTR_UNUSED) {
    char *folder = lake_folder_new();
    struct err e;
    struct storage *st;
    _cleanup_(freep) char *url = xasprintf("file://%s/new/deep/lake/", folder);
    assert_ok(storage_open(url, NULL, &st, &e), &e);
    put_text(st, "object", "x");
    storage_free(st);
    _cleanup_(freep) char *path = xasprintf("%s/new/deep/lake/object", folder);
    assert_int_equal(access(path, F_OK), 0);
    _cleanup_(freep) char *on_a_file = xasprintf("file:%s", path);
    assert_int_equal(storage_open(on_a_file, NULL, &st, &e), ERR_STORAGE);
    _cleanup_(freep) char *below_a_file = xasprintf("file:%s/x", path);
    assert_int_equal(storage_open(below_a_file, NULL, &st, &e), ERR_STORAGE);
    lake_folder_free(folder);
}

/* What each effect does to a put_new: is it an error, is the object there? */
static void faults_do_what_they_say(void **state ATTR_UNUSED) {
    static const struct {
        enum fault_effect effect;
        bool fails, there;
    } cases[] = {{FAULT_NONE, false, true},
                 {FAULT_FAIL, true, false},
                 {FAULT_CUT, true, false},
                 {FAULT_LOST_ANSWER, true, true},
                 {FAULT_DELAY, false, true}};
    struct storage *mem = storage_mem_new(), *st = storage_fault_new(mem, false);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fault f = {.effect = cases[i].effect, .at = 2, .retry = true, .delay_ms = 5};
        struct err e;
        _cleanup_(freep) char *first = xasprintf("%zu/first", i),
                              *second = xasprintf("%zu/second", i),
                              *third = xasprintf("%zu/third", i);
        storage_fault_arm(st, &f);
        put_text(st, first, "x");
        int r = storage_put_new(st, second, "y", 1, &e);
        assert_int_equal(r, cases[i].fails ? ERR_STORAGE : 0);
        assert_true(r == 0 || e.retry);
        put_text(st, third, "z");
        assert_int_equal(storage_fault_calls(st), 3);
        char *text = get_text(mem, second);
        assert_int_equal(text != NULL, cases[i].there);
        free(text);
    }
    storage_free(st);
    storage_free(mem);
}

static void put_as_armed(void *arg) {
    struct err e;
    storage_put_new(arg, "object", "x", 1, &e);
}

static void kills_are_kills(void **state ATTR_UNUSED) {
    char *folder = lake_folder_new();
    struct storage *local = lake_open(folder), *st = storage_fault_new(local, false);
    storage_fault_arm(st, &(struct fault){.effect = FAULT_KILL, .at = 1});
    assert_true(dies_by(SIGKILL, put_as_armed, st));
    assert_null(get_text(local, "object"));
    storage_fault_arm(st, &(struct fault){.effect = FAULT_KILL_AFTER, .at = 1});
    assert_true(dies_by(SIGKILL, put_as_armed, st));
    char *text = get_text(local, "object");
    assert_string_equal(text, "x");
    free(text);
    storage_free(st);
    storage_free(local);
    lake_folder_free(folder);
}

static void only_chosen_calls_are_spoiled(void **state ATTR_UNUSED) {
    struct storage *st = storage_fault_new(storage_mem_new(), true);
    struct fault f = {.effect = FAULT_FAIL, .at = 1, .times = 2, .calls = CALL_LIST | CALL_STAT};
    struct storage_entries l = {0};
    struct storage_entry en;
    struct err e;
    storage_fault_arm(st, &f);
    put_text(st, "object", "x");
    assert_int_equal(storage_list(st, "", NULL, &l, &e), ERR_STORAGE);
    assert_int_equal(storage_stat(st, "object", &en, &e), ERR_STORAGE);
    assert_ok(storage_stat(st, "object", &en, &e), &e);
    assert_int_equal(storage_fault_calls(st), 3);
    storage_free(st);
}

/* ---- many files at a time ---- */

enum { MANY = 50, LANES = 4 };

struct lanes {
    struct storage *mem, *st;
    char stage[LIMIT_PATH];
    struct storage_file v[MANY];
    atomic_int now, most; /* calls at a time */
};

static void note_call(void *arg, enum fault_call call, const char *path ATTR_UNUSED) {
    struct lanes *ln = arg;
    if (!(call & (CALL_PUBLISH | CALL_LOCALIZE)))
        return;
    int now = atomic_fetch_add(&ln->now, 1) + 1;
    int most = atomic_load(&ln->most);
    while (now > most && !atomic_compare_exchange_weak(&ln->most, &most, now))
        ;
    usleep(1000);
    atomic_fetch_sub(&ln->now, 1);
}

static struct lanes *lanes_begin(void) {
    struct lanes *ln = xcalloc(1, sizeof *ln);
    struct err e;
    ln->mem = storage_mem_new();
    ln->mem->lanes = LANES;
    ln->st = storage_fault_new(ln->mem, true);
    storage_fault_hook(ln->st, note_call, ln);
    assert_ok(storage_stage(ln->st, ln->stage, &e), &e);
    for (int i = 0; i < MANY; i++) {
        ln->v[i] = (struct storage_file){.path = xasprintf("t/%d", i), .size = i};
        ln->v[i].local = xasprintf("%s/%d", ln->stage, i);
        make_file(ln->v[i].local, "0123456789012345678901234567890123456789012345678", (size_t)i);
    }
    return ln;
}

static void forget_locals(struct lanes *ln) {
    for (int i = 0; i < MANY; i++)
        free(TAKE_PTR(ln->v[i].local));
}

static void lanes_end(struct lanes *ln) {
    forget_locals(ln);
    for (int i = 0; i < MANY; i++)
        free(ln->v[i].path);
    storage_unstage(ln->st, ln->stage);
    storage_free(ln->st);
    free(ln);
}

static void many_files_go_and_come_side_by_side(void **state ATTR_UNUSED) {
    struct lanes *ln = lanes_begin();
    struct err e;
    assert_ok(storage_publish_all(ln->st, ln->v, MANY, &e), &e);
    assert_in_range(ln->most, 2, LANES);
    forget_locals(ln);
    ln->most = 0;
    assert_ok(storage_localize_all(ln->st, ln->v, MANY, &e), &e);
    assert_in_range(ln->most, 2, LANES);
    for (int i = 0; i < MANY; i++) {
        struct stat sb;
        assert_true(ln->v[i].done);
        assert_int_equal(stat(ln->v[i].local, &sb), 0);
        assert_int_equal(sb.st_size, i);
        storage_unlocalize(ln->st, ln->v[i].path);
    }
    assert_ok(storage_localize_all(ln->st, ln->v, 0, &e), &e);
    lanes_end(ln);
}

static void one_failure_fails_them_all(void **state ATTR_UNUSED) {
    for (unsigned at = 1; at <= MANY; at += 7) {
        struct lanes *ln = lanes_begin();
        struct fault f = {.effect = FAULT_FAIL, .at = at, .calls = CALL_PUBLISH};
        struct err e;
        storage_fault_arm(ln->st, &f);
        assert_int_equal(storage_publish_all(ln->st, ln->v, MANY, &e), ERR_STORAGE);
        assert_non_null(strstr(e.msg, "injected fault"));
        int done = 0;
        for (int i = 0; i < MANY; i++) {
            char *there = get_text(ln->mem, ln->v[i].path);
            assert_int_equal(there != NULL, ln->v[i].done);
            done += ln->v[i].done;
            free(there);
        }
        assert_in_range(done, at - 1, MANY - 1);
        storage_fault_arm(ln->st, NULL);
        assert_int_equal(storage_publish_all(ln->st, ln->v, MANY, &e), done ? ERR_EXISTS : 0);
        f.calls = CALL_LOCALIZE;
        storage_fault_arm(ln->st, &f);
        forget_locals(ln);
        int r = storage_localize_all(ln->st, ln->v, MANY, &e);
        assert_true(r == ERR_STORAGE || r == ERR_NOT_FOUND);
        for (int i = 0; i < MANY; i++)
            assert_true(!ln->v[i].done && !ln->v[i].local);
        lanes_end(ln);
    }
}

/* ---- what carries them ---- */

struct calls {
    size_t fails_at;
    atomic_int called[MANY]; /* how often */
};

static int call_one(void *arg, size_t i, struct err *e) {
    struct calls *c = arg;
    atomic_fetch_add(&c->called[i], 1);
    return i == c->fails_at ? err_set(e, ERR_STORAGE, "number %zu", i) : 0;
}

/* On one lane it can be told which calls those are that were begun. */
static void after_a_failure_no_further_is_begun(void **state ATTR_UNUSED) {
    for (size_t first = 0; first < 3; first++) {
        struct calls c = {.fails_at = 7};
        struct err e;
        assert_int_equal(side_by_side(1, first, MANY, call_one, &c, &e), ERR_STORAGE);
        assert_string_equal(e.msg, "number 7");
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(c.called[i], i >= first && i <= 7);
    }
}

static void each_call_is_made_once_on_however_many_lanes(void **state ATTR_UNUSED) {
    for (int lanes = 0; lanes < 2 * MANY; lanes += 9)
        for (size_t n = 0; n <= MANY; n += 25) {
            struct calls c = {.fails_at = MANY};
            struct err e;
            assert_ok(side_by_side(lanes, 5, n, call_one, &c, &e), &e);
            for (size_t i = 0; i < MANY; i++)
                assert_int_equal(c.called[i], i >= 5 && i < n);
        }
}

int main(void) {
    static const struct storage_driver drivers[] = {
        {.name = "storage/local",
         .lake_new = folder_new,
         .open = local_open,
         .lake_free = folder_free},
        {.name = "storage/mem", .lake_new = mem_new, .open = mem_open, .lake_free = mem_free},
        {.name = "storage/fault",
         .lake_new = folder_new,
         .open = fault_open,
         .lake_free = folder_free},
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_that_name_no_storage_are_refused),
        cmocka_unit_test(what_is_refused_is_told_without_its_secrets),
        cmocka_unit_test(a_lake_is_made_where_there_is_none),
        cmocka_unit_test(faults_do_what_they_say),
        cmocka_unit_test(kills_are_kills),
        cmocka_unit_test(only_chosen_calls_are_spoiled),
        cmocka_unit_test(many_files_go_and_come_side_by_side),
        cmocka_unit_test(one_failure_fails_them_all),
        cmocka_unit_test(after_a_failure_no_further_is_begun),
        cmocka_unit_test(each_call_is_made_once_on_however_many_lanes),
    };
    int failed = cmocka_run_group_tests_name("storage", tests, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
        failed += storage_conformance(&drivers[i]);
    return failed;
}
