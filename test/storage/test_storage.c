/* SPDX-License-Identifier: Apache-2.0 */
/* The storage contract on every driver and fake, opening by URL, and the faults themselves. */
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "fake/storage_fault.h"
#include "fake/storage_mem.h"
#include "storage/conformance.h"
#include "storage/helper.h"

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
        assert_int_equal(storage_open(urls[i], &st, &e), ERR_CONFIG);
        assert_true(e.msg[0] && e.hint[0]);
    }
}

static void a_lake_is_made_where_there_is_none(void **state ATTR_UNUSED) {
    char *folder = lake_folder_new();
    struct err e;
    struct storage *st;
    _cleanup_(freep) char *url = xasprintf("file://%s/new/deep/lake/", folder);
    assert_ok(storage_open(url, &st, &e), &e);
    put_text(st, "object", "x");
    storage_free(st);
    _cleanup_(freep) char *path = xasprintf("%s/new/deep/lake/object", folder);
    assert_int_equal(access(path, F_OK), 0);
    _cleanup_(freep) char *on_a_file = xasprintf("file:%s", path);
    assert_int_equal(storage_open(on_a_file, &st, &e), ERR_STORAGE);
    _cleanup_(freep) char *below_a_file = xasprintf("file:%s/x", path);
    assert_int_equal(storage_open(below_a_file, &st, &e), ERR_STORAGE);
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

int main(void) {
    static const struct storage_driver drivers[] = {
        {"storage/local", folder_new, local_open, folder_free},
        {"storage/mem", mem_new, mem_open, mem_free},
        {"storage/fault", folder_new, fault_open, folder_free},
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_that_name_no_storage_are_refused),
        cmocka_unit_test(a_lake_is_made_where_there_is_none),
        cmocka_unit_test(faults_do_what_they_say),
        cmocka_unit_test(kills_are_kills),
        cmocka_unit_test(only_chosen_calls_are_spoiled),
    };
    int failed = cmocka_run_group_tests_name("storage", tests, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
        failed += storage_conformance(&drivers[i]);
    return failed;
}
