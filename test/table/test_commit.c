/* SPDX-License-Identifier: Apache-2.0 */
/* Commits: compare-and-swap, storage that fails at every single call, and kill -9. */
#include <signal.h>

#include "base/util.h"
#include "fake/storage_fault.h"
#include "fake/storage_mem.h"
#include "table/helper.h"

/* ---- compare-and-swap ---- */

static void a_txn_that_moved_refuses_the_commit(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st), *late = open_table(st);
    struct err e;
    struct change *ch = change_new();
    change_add(ch, "a", NULL);
    change_txn(ch, "app/0", -1, 100);
    assert_ok(change_commit(ch, tb, &e), &e);
    /* the same batch by a process that slept: the table was empty when it looked */
    struct change *again = change_new();
    change_add(again, "b", NULL);
    change_txn(again, "app/0", -1, 90);
    assert_int_equal(change_commit(again, late, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.msg, "app/0"));
    assert_null(get_entry(st, 1));
    /* and by one that knows the table, but not its own position */
    assert_int_equal(change_commit(again, tb, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.msg, "is 100, not -1"));
    again->txn[0].expected = 101; /* ahead of the table is as wrong as behind it */
    assert_int_equal(change_commit(again, tb, &e), ERR_CONFLICT);
    again->txn[0].expected = 100;
    assert_ok(table_refresh(late, &e), &e);
    assert_ok(change_commit(again, late, &e), &e);
    assert_state(late, "v1 a@NULL b@NULL | app/0=90"); /* going back is the caller's business */
    change_free(again);
    change_free(ch);
    table_close(late);
    table_close(tb);
    storage_free(st);
}

static void every_txn_of_a_commit_is_checked(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    struct err e;
    struct change *ch = change_new();
    change_txn(ch, "p/0", -1, 10);
    change_txn(ch, "p/1", -1, 20);
    assert_ok(change_commit(ch, tb, &e), &e);
    change_free(ch);
    ch = change_new();
    change_txn(ch, "p/0", 10, 11);
    change_txn(ch, "p/1", 19, 21);
    change_txn(ch, "p/2", -1, 1);
    assert_int_equal(change_commit(ch, tb, &e), ERR_CONFLICT);
    assert_state(tb, "v0 | p/0=10 p/1=20");
    change_free(ch);
    table_close(tb);
    storage_free(st);
}

static void a_position_that_moved_and_came_back_is_a_conflict(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st), *late = open_table(st);
    struct err e;
    int64_t path[] = {-1, 5, 7, 5};
    for (int i = 0; i < 3; i++) {
        struct change *ch = change_new();
        change_txn(ch, "app", path[i], path[i + 1]);
        assert_ok(change_commit(ch, tb, &e), &e);
        if (i == 0)
            assert_ok(table_refresh(late, &e), &e);
        change_free(ch);
    }
    struct change *ch = change_new();
    change_txn(ch, "app", 5, 6);
    assert_int_equal(change_commit(ch, late, &e), ERR_CONFLICT);
    change_free(ch);
    table_close(late);
    table_close(tb);
    storage_free(st);
}

static void files_that_are_not_as_the_commit_says_refuse_it(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    struct err e;
    append_file(tb, "a", NULL);
    struct change *ch = change_new();
    change_remove(ch, "b", NULL);
    assert_int_equal(change_commit(ch, tb, &e), ERR_CONFLICT);
    change_free(ch);
    ch = change_new();
    change_add(ch, "a", NULL);
    assert_int_equal(change_commit(ch, tb, &e), ERR_CONFLICT);
    change_free(ch);
    assert_null(get_entry(st, 1));
    table_close(tb);
    storage_free(st);
}

static void commit_nothing(void *arg) {
    struct table *tb = arg;
    struct err e;
    struct table_commit c = {.operation = "WRITE", .data_change = true};
    table_commit(tb, &c, NULL, &e);
}

static void commit_twice_the_same_app(void *arg) {
    struct change *ch = change_new();
    struct err e;
    change_txn(ch, "app", -1, 1);
    change_txn(ch, "app", -1, 2);
    change_commit(ch, arg, &e);
}

static void commits_that_make_no_sense_are_bugs(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    assert_true(dies_by(SIGABRT, commit_nothing, tb));
    assert_true(dies_by(SIGABRT, commit_twice_the_same_app, tb));
    table_close(tb);
    storage_free(st);
}

/* ---- storage that fails ---- */

/*
 * What a step does: commit, and on any error look again and decide by its position. True once it
 * is in; the caller may run it again after false, as a retry or a restart would.
 */
static bool step_once(struct storage *st, int64_t from) {
    struct table *tb;
    struct err e;
    if (table_open(st, TEST_DEF, &tb, &e) != 0)
        return false;
    bool done = table_txn(tb, "app") > from;
    if (!done) {
        struct change *ch = change_new();
        change_txn(ch, "app", from, from + 1);
        /* as a step would, it makes its file anew each time */
        char path[80], *fresh = table_new_file_path(TEST_DEF, "2026-11-22");
        snprintf(path, sizeof path, "%s", fresh);
        free(fresh);
        change_add(ch, path, "2026-11-22");
        int r = change_commit(ch, tb, &e);
        assert_true(r == 0 || r == ERR_STORAGE || r == ERR_CONFLICT);
        done = r == 0;
        assert_true(!done || table_txn(tb, "app") == from + 1);
        change_free(ch);
    }
    table_close(tb);
    return done;
}

static size_t live_files(struct storage *st) {
    struct table *tb = open_table(st);
    size_t n = table_live(tb)->n;
    table_close(tb);
    return n;
}

/* Another writer gets its commit in just before our put_new. */
static void overtake(void *arg, enum fault_call call, const char *path ATTR_UNUSED) {
    struct storage *mem = ((void **)arg)[0];
    if (call != CALL_PUT_NEW || !((void **)arg)[1])
        return;
    ((void **)arg)[1] = NULL;
    struct table *tb = open_table(mem);
    append_file(tb, "other", "2026-11-21");
    table_close(tb);
}

static void spoil_every_call(enum fault_effect effect, unsigned times, bool retry, bool contended) {
    for (unsigned at = 1;; at++) {
        struct storage *mem = storage_mem_new(), *st = storage_fault_new(mem, false);
        for (int64_t i = -1; i < 2; i++)
            assert_true(step_once(mem, i));
        void *other[] = {mem, contended ? mem : NULL};
        storage_fault_hook(st, overtake, other);
        storage_fault_arm(
            st, &(struct fault){.effect = effect, .at = at, .times = times, .retry = retry});
        bool done = step_once(st, 2);
        bool reached = storage_fault_calls(st) >= at;
        storage_fault_hook(st, NULL, NULL);
        storage_fault_arm(st, NULL);
        size_t others = contended && !other[1];
        /* readable, and what was reported as done is done once */
        assert_true(live_files(mem) == 3 + others || live_files(mem) == 4 + others);
        if (done)
            assert_int_equal(live_files(mem), 4 + others);
        for (int tries = 0; !done && tries < 3; tries++)
            done = step_once(st, 2);
        assert_true(done);
        assert_int_equal(live_files(mem), 4 + others);
        storage_free(st);
        storage_free(mem);
        if (!reached)
            return;
    }
}

static void no_single_failure_loses_or_doubles(void **state ATTR_UNUSED) {
    static const enum fault_effect effects[] = {FAULT_FAIL, FAULT_CUT, FAULT_LOST_ANSWER};
    for (size_t i = 0; i < ARRAY_LEN(effects); i++)
        for (int flags = 0; flags < 4; flags++)
            for (unsigned times = 1; times <= 3; times += 2)
                spoil_every_call(effects[i], times, flags & 1, flags & 2);
}

static struct storage *with_fault(struct storage *mem, enum fault_effect effect, unsigned at,
                                  unsigned times, unsigned calls, bool retry) {
    struct storage *st = storage_fault_new(mem, false);
    storage_fault_arm(
        st, &(struct fault){
                .effect = effect, .at = at, .times = times, .calls = calls, .retry = retry});
    return st;
}

/* One commit through a storage that fails as told; the result and what is left of the error. */
static int commit_through(struct storage *mem, struct storage *st, struct err *e) {
    struct table *tb;
    struct err ignored;
    storage_fault_hook(st, NULL, NULL);
    assert_ok(table_open(mem, TEST_DEF, &tb, &ignored), &ignored);
    table_close(tb);
    int r = table_open(st, TEST_DEF, &tb, e);
    if (r)
        return r;
    struct change *ch = change_new();
    change_add(ch, "a", NULL);
    change_txn(ch, "app", -1, 1);
    r = change_commit(ch, tb, e);
    change_free(ch);
    table_close(tb);
    return r;
}

static void an_answer_that_was_lost_is_looked_up(void **state ATTR_UNUSED) {
    for (int retry = 0; retry < 2; retry++) {
        struct storage *mem = storage_mem_new();
        struct storage *st = with_fault(mem, FAULT_LOST_ANSWER, 1, 1, CALL_PUT_NEW, retry);
        struct err e;
        assert_ok(commit_through(mem, st, &e), &e);
        struct table *tb = open_table(mem);
        assert_state(tb, "v0 a@NULL | app=1");
        table_close(tb);
        storage_free(st);
        storage_free(mem);
    }
}

static void errors_that_pass_are_tried_again_others_are_not(void **state ATTR_UNUSED) {
    static const struct {
        unsigned times;
        bool retry;
        int want;
        unsigned calls;
    } cases[] = {
        {1, true, 0, 2}, {4, true, 0, 5}, {99, true, ERR_STORAGE, 5}, {1, false, ERR_STORAGE, 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct storage *mem = storage_mem_new();
        struct storage *st =
            with_fault(mem, FAULT_FAIL, 1, cases[i].times, CALL_PUT_NEW, cases[i].retry);
        struct err e;
        assert_int_equal(commit_through(mem, st, &e), cases[i].want);
        assert_int_equal(storage_fault_calls(st), cases[i].calls);
        if (cases[i].want)
            assert_non_null(strstr(e.msg, "injected fault"));
        struct table *tb = open_table(mem);
        assert_int_equal(table_version(tb), cases[i].want ? -1 : 0);
        table_close(tb);
        storage_free(st);
        storage_free(mem);
    }
}

/* Longer than the storage's patience. */
static void dawdle(void *arg ATTR_UNUSED, enum fault_call call ATTR_UNUSED,
                   const char *path ATTR_UNUSED) {
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* A storage that tries for itself has waited already: its patience is not multiplied. */
static void a_patient_storage_is_not_asked_again_and_again(void **state ATTR_UNUSED) {
    for (int reads = 0; reads < 2; reads++) {
        struct storage *mem = storage_mem_new(), *st = storage_fault_new(mem, false);
        struct table *tb = open_table(st);
        struct err e;
        struct change *ch = change_new();
        change_add(ch, "a", NULL);
        st->patience_ms = 1;
        storage_fault_arm(st, &(struct fault){.effect = FAULT_FAIL,
                                              .at = 1,
                                              .times = 100,
                                              .calls = reads ? 0 : CALL_PUT_NEW,
                                              .retry = true});
        storage_fault_hook(st, dawdle, NULL);
        assert_int_equal(change_commit(ch, tb, &e), ERR_STORAGE);
        assert_true(e.retry);
        assert_int_equal(storage_fault_calls(st), reads ? 2 : 1);
        change_free(ch);
        table_close(tb);
        storage_free(st);
        storage_free(mem);
    }
}

/* The driver was stopped while it tried: that is not the storage's fault, nor to be tried again. */
static void a_stop_in_a_commit_is_told_as_one(void **state ATTR_UNUSED) {
    for (int reads = 0; reads < 2; reads++) {
        struct storage *mem = storage_mem_new(), *st = storage_fault_new(mem, false);
        struct table *tb = open_table(st);
        struct err e;
        struct change *ch = change_new();
        change_add(ch, "a", NULL);
        storage_fault_arm(st, &(struct fault){.effect = FAULT_FAIL,
                                              .at = 1,
                                              .times = 100,
                                              .calls = reads ? 0 : CALL_PUT_NEW,
                                              .code = ERR_STOPPED});
        assert_int_equal(change_commit(ch, tb, &e), ERR_STOPPED);
        assert_int_equal(e.code, ERR_STOPPED);
        assert_false(e.retry);
        change_free(ch);
        table_close(tb);
        storage_free(st);
        storage_free(mem);
    }
}

/* The write's answer is lost and the storage cannot be read: we do not know, and say so. */
static void an_unknown_outcome_is_called_unknown(void **state ATTR_UNUSED) {
    struct storage *mem = storage_mem_new(), *st = storage_fault_new(mem, false);
    struct table *tb = open_table(st);
    struct err e;
    struct change *ch = change_new();
    change_add(ch, "a", NULL);
    /* the first call is the put_new, all after it are reads */
    storage_fault_arm(st, &(struct fault){.effect = FAULT_LOST_ANSWER, .at = 1, .times = 100});
    assert_int_equal(change_commit(ch, tb, &e), ERR_STORAGE);
    assert_true(e.retry);
    assert_non_null(strstr(e.msg, "not known whether version 0"));
    storage_fault_arm(st, NULL);
    assert_ok(table_refresh(tb, &e), &e);
    assert_state(tb, "v0 a@NULL");
    /* who tries again all the same is told */
    assert_int_equal(change_commit(ch, tb, &e), ERR_CONFLICT);
    change_free(ch);
    table_close(tb);
    storage_free(st);
    storage_free(mem);
}

static void keep_overtaking(void *arg, enum fault_call call, const char *path ATTR_UNUSED) {
    struct table *tb = arg;
    static int n;
    if (call != CALL_PUT_NEW)
        return;
    struct err e;
    assert_ok(table_refresh(tb, &e), &e);
    _cleanup_(freep) char *file = xasprintf("other-%d", n++);
    append_file(tb, file, "2026-11-21");
}

static void a_writer_that_is_always_overtaken_gives_up(void **state ATTR_UNUSED) {
    struct storage *mem = storage_mem_new(), *st = storage_fault_new(mem, false);
    struct table *other = open_table(mem), *tb = open_table(st);
    struct err e;
    storage_fault_hook(st, keep_overtaking, other);
    struct change *ch = change_new();
    change_add(ch, "a", NULL);
    assert_int_equal(change_commit(ch, tb, &e), ERR_STORAGE);
    assert_true(e.retry);
    assert_non_null(strstr(e.msg, "overtaken"));
    assert_true(table_version(other) > 20);
    storage_fault_hook(st, NULL, NULL);
    assert_ok(change_commit(ch, tb, &e), &e);
    change_free(ch);
    table_close(tb);
    table_close(other);
    storage_free(st);
    storage_free(mem);
}

/* ---- death ---- */

struct death {
    char *folder;
    struct fault fault;
    const char *crash;
};

static void step_and_die(void *arg) {
    struct death *d = arg;
    struct storage *local = lake_open(d->folder), *st = storage_fault_new(local, true);
    struct err e;
    crash_at(d->crash ? d->crash : "", &e);
    storage_fault_arm(st, &d->fault);
    step_once(st, 0);
    storage_free(st);
}

static void check_after_death(const struct death *d, int want_in) {
    struct storage *local = lake_open(d->folder);
    size_t before = live_files(local);
    assert_true(want_in < 0 ? before == 1 || before == 2 : before == (size_t)want_in + 1);
    assert_true(step_once(local, 0));
    assert_int_equal(live_files(local), 2);
    assert_true(step_once(local, 1)); /* who writes next clears away what the dead one left */
    storage_free(local);
    char *files = files_below(d->folder);
    assert_string_equal(files, ".stage/.lock " TEST_LOG "/00000000000000000000.json " TEST_LOG
                               "/00000000000000000001.json " TEST_LOG "/00000000000000000002.json");
    free(files);
}

static void kill_9_anywhere_is_survived(void **state ATTR_UNUSED) {
    for (int effect = FAULT_KILL; effect <= FAULT_KILL_AFTER; effect++) {
        bool died = true;
        for (unsigned at = 1; died; at++) {
            struct death d = {.folder = lake_folder_new(),
                              .fault = {.effect = (enum fault_effect)effect, .at = at}};
            struct storage *local = lake_open(d.folder);
            assert_true(step_once(local, -1));
            storage_free(local);
            died = dies_by(SIGKILL, step_and_die, &d);
            check_after_death(&d, -1);
            lake_folder_free(d.folder);
            assert_true(died || at > 4);
        }
    }
    static const char *const points[] = {"commit.before_log", "commit.after_log"};
    for (int i = 0; i < 2; i++) {
        struct death d = {.folder = lake_folder_new(), .crash = points[i]};
        struct storage *local = lake_open(d.folder);
        assert_true(step_once(local, -1));
        storage_free(local);
        assert_true(dies_by(SIGKILL, step_and_die, &d));
        check_after_death(&d, i);
        lake_folder_free(d.folder);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_txn_that_moved_refuses_the_commit),
        cmocka_unit_test(every_txn_of_a_commit_is_checked),
        cmocka_unit_test(a_position_that_moved_and_came_back_is_a_conflict),
        cmocka_unit_test(files_that_are_not_as_the_commit_says_refuse_it),
        cmocka_unit_test(commits_that_make_no_sense_are_bugs),
        cmocka_unit_test(no_single_failure_loses_or_doubles),
        cmocka_unit_test(an_answer_that_was_lost_is_looked_up),
        cmocka_unit_test(errors_that_pass_are_tried_again_others_are_not),
        cmocka_unit_test(a_patient_storage_is_not_asked_again_and_again),
        cmocka_unit_test(a_stop_in_a_commit_is_told_as_one),
        cmocka_unit_test(an_unknown_outcome_is_called_unknown),
        cmocka_unit_test(a_writer_that_is_always_overtaken_gives_up),
        cmocka_unit_test(kill_9_anywhere_is_survived),
    };
    return cmocka_run_group_tests_name("table/commit", tests, NULL, NULL);
}
