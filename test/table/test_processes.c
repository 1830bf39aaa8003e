/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four processes, one table on local disk. All moving one counter on by compare-and-swap and
 * adding a file each time: no version is missing, no update lost. Each moving a counter of its own:
 * none is refused, and none is starved by the others.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "table/helper.h"

enum { PROCESSES = 4, COMMITS = 250 };

/* One step as flow does it: look, decide, commit; refused, look again. */
static void count_on(struct table *tb, int who, int i) {
    struct err e;
    for (;;) {
        int64_t at = table_txn(tb, "counter");
        struct change *ch = change_new();
        _cleanup_(freep) char *path = xasprintf("part-%d-%03d", who, i);
        change_add(ch, path, NULL);
        change_txn(ch, "counter", at, at + 1);
        int r = change_commit(ch, tb, &e);
        change_free(ch);
        if (r == 0)
            return;
        if (r != ERR_CONFLICT || table_refresh(tb, &e) != 0) {
            fprintf(stderr, "process %d: %s\n", who, e.msg);
            _exit(1);
        }
    }
}

/* As ingest processes do that share the partitions: nobody is in anybody's way. */
static void count_alone(struct table *tb, int who, int i) {
    struct err e;
    _cleanup_(freep) char *app = xasprintf("counter/%d", who);
    _cleanup_(freep) char *path = xasprintf("part-%d-%03d", who, i);
    struct change *ch = change_new();
    change_add(ch, path, NULL);
    change_txn(ch, app, i == 0 ? -1 : i, i + 1);
    int r = change_commit(ch, tb, &e);
    change_free(ch);
    if (r != 0) {
        fprintf(stderr, "process %d: %s\n", who, e.msg);
        _exit(1);
    }
}

static void run_process(const char *folder, int who, void (*count)(struct table *, int, int)) {
    struct storage *st = lake_open(folder);
    struct table *tb = open_table(st);
    for (int i = 0; i < COMMITS; i++)
        count(tb, who, i);
    table_close(tb);
    storage_free(st);
    _exit(0);
}

struct tally {
    int64_t version, counter;
    size_t files;
};

static int tally_entry(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    struct tally *t = arg;
    assert_int_equal(en->version, ++t->version);
    assert_int_equal(en->n_txn, 1);
    assert_int_equal(en->txn[0].next, ++t->counter);
    t->files += en->add.n;
    return 0;
}

static void run_all(const char *folder, void (*count)(struct table *, int, int)) {
    pid_t pid[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        pid[i] = fork();
        if (pid[i] == 0)
            run_process(folder, i, count);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* Whose commit each version was: how many of others came between two of one process. */
struct turns {
    int64_t last[PROCESSES], longest;
};

static int take_turn(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    struct turns *t = arg;
    int who = en->txn[0].app_id[strlen("counter/")] - '0';
    if (en->txn[0].next > 1)
        t->longest = MAX(t->longest, en->version - t->last[who]);
    t->last[who] = en->version;
    return 0;
}

static void nobody_is_refused_or_starved(void **state ATTR_UNUSED) {
    char *folder = lake_folder_new();
    run_all(folder, count_alone);
    struct storage *st = lake_open(folder);
    struct table *tb = open_table(st);
    struct err e;
    struct turns t = {0};
    assert_int_equal(table_version(tb), PROCESSES * COMMITS - 1);
    for (int i = 0; i < PROCESSES; i++) {
        _cleanup_(freep) char *app = xasprintf("counter/%d", i);
        assert_int_equal(table_txn(tb, app), COMMITS);
    }
    assert_ok(table_each_entry(tb, -1, table_version(tb), take_turn, &t, &e), &e);
    print_message("longest wait for a turn: %d commits of others\n", (int)t.longest);
    assert_true(t.longest < PROCESSES * COMMITS / 2);
    table_close(tb);
    storage_free(st);
    lake_folder_free(folder);
}

static void no_update_is_lost(void **state ATTR_UNUSED) {
    char *folder = lake_folder_new();
    run_all(folder, count_on);
    struct storage *st = lake_open(folder);
    struct table *tb = open_table(st);
    struct err e;
    struct tally t = {.version = -1, .counter = -1};
    assert_int_equal(table_version(tb), PROCESSES * COMMITS - 1);
    assert_int_equal(table_txn(tb, "counter"), PROCESSES * COMMITS - 1);
    assert_int_equal(table_live(tb)->n, PROCESSES * COMMITS);
    assert_ok(table_each_entry(tb, -1, table_version(tb), tally_entry, &t, &e), &e);
    assert_int_equal(t.version, PROCESSES * COMMITS - 1);
    assert_int_equal(t.files, PROCESSES * COMMITS);
    table_close(tb);
    storage_free(st);
    lake_folder_free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_update_is_lost),
                                       cmocka_unit_test(nobody_is_refused_or_starved)};
    return cmocka_run_group_tests_name("table/processes", tests, NULL, NULL);
}
