/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four processes, one table on local disk, all moving one counter on by compare-and-swap and
 * adding a file each time: no version is missing, no update lost.
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

static void run_process(const char *folder, int who) {
    struct storage *st = lake_open(folder);
    struct table *tb = open_table(st);
    for (int i = 0; i < COMMITS; i++)
        count_on(tb, who, i);
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

static void no_update_is_lost(void **state ATTR_UNUSED) {
    char *folder = lake_folder_new();
    pid_t pid[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        pid[i] = fork();
        if (pid[i] == 0)
            run_process(folder, i);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_update_is_lost)};
    return cmocka_run_group_tests_name("table/processes", tests, NULL, NULL);
}
