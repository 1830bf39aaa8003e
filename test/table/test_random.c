/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four processes, one table, 10,000 commits of every kind at random: appends with a position,
 * a counter that all move on, compactions, days replaced. Whatever met whatever, the log read from
 * its beginning is a history in which each commit was right at its place: versions without a gap,
 * files removed that were there, rows kept by a compaction, no step of a counter lost.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "flow/prng.h"
#include "table/helper.h"
#include "table/log.h"
#include "table/strmap.h"

enum { PROCESSES = 4, COMMITS = 2500, DAYS = 5, SHARED = PROCESSES };

static void day_name(uint64_t day, char ret[DATE_TEXT]) {
    day_format(20000 + (int32_t)day, ret);
}

static void add_rows(struct change *ch, int who, int i, const char *day, int64_t rows) {
    _cleanup_(freep) char *path = xasprintf("part-%d-%04d-%zu", who, i, ch->add.n);
    change_add(ch, path, day);
    ch->add.v[ch->add.n - 1].rows = rows;
}

/* The files of a day as this process sees them, at most so many, leave the table; their rows. */
static int64_t take_out(struct change *ch, const struct table *tb, const char *day, size_t most) {
    const struct table_files *live = table_live(tb);
    int64_t rows = 0;
    for (size_t i = 0; i < live->n && ch->remove.n < most; i++) {
        if (strcmp(live->v[i].partition, day) != 0)
            continue;
        change_remove(ch, live->v[i].path, day);
        rows += live->v[i].rows;
    }
    return rows;
}

static struct change *decide(struct prng *rnd, const struct table *tb, int who, int i) {
    struct change *ch = change_new();
    char day[DATE_TEXT];
    uint64_t what = prng_below(rnd, 10);
    _cleanup_(freep) char *mine = xasprintf("own/%d", who);
    day_name(prng_below(rnd, DAYS), day);
    change_txn(ch, mine, table_txn(tb, mine), i);
    if (what < 2 && table_live(tb)->n > 0) {
        ch->c.operation = "OPTIMIZE";
        ch->c.data_change = false;
        int64_t rows = take_out(ch, tb, day, 8);
        if (ch->remove.n)
            add_rows(ch, who, i, day, rows);
        return ch;
    }
    if (what == 2)
        take_out(ch, tb, day, SIZE_MAX); /* the day is replaced */
    add_rows(ch, who, i, day, 1 + (int64_t)prng_below(rnd, 100));
    if (what > 7) {
        int64_t at = table_txn(tb, "shared");
        change_txn(ch, "shared", at, at + 1);
        change_metric(ch, "shared", 1);
    }
    return ch;
}

static void run_process(const char *folder, int who) {
    struct storage *st = lake_open(folder);
    struct table *tb = open_table(st);
    struct prng rnd;
    struct err e;
    prng_seed(&rnd, 20261126 + (uint64_t)who);
    for (int i = 0; i < COMMITS;) {
        struct change *ch = decide(&rnd, tb, who, i);
        int r = change_commit(ch, tb, &e);
        change_free(ch);
        if (r == 0)
            i++;
        else if (r != ERR_CONFLICT || table_refresh(tb, &e) != 0) {
            fprintf(stderr, "process %d: %s\n", who, e.msg);
            _exit(1);
        }
    }
    table_close(tb);
    storage_free(st);
    _exit(0);
}

/* The table as the log tells it, from its beginning. */
struct history {
    struct strmap live;        /* path -> rows; the paths are entries' */
    int64_t at[PROCESSES + 1]; /* each own counter, and the shared one */
    int64_t shared_steps;      /* as the commits' metrics say */
    int64_t compactions, replaced;
};

static void replay_txns(struct history *h, const struct log_entry *en) {
    for (size_t i = 0; i < en->n_txn; i++) {
        bool shared = strcmp(en->txn[i].app_id, "shared") == 0;
        int which = shared ? SHARED : en->txn[i].app_id[strlen("own/")] - '0';
        assert_int_equal(en->txn[i].version, ++h->at[which]);
    }
    for (size_t i = 0; i < en->n_metrics; i++)
        h->shared_steps += strcmp(en->metrics[i].name, "shared") == 0;
}

/* How many rows more there are. */
static int64_t replay_files(struct history *h, const struct log_entry *en) {
    int64_t more = 0;
    for (size_t i = 0; i < en->remove.n; i++) {
        size_t rows;
        assert_true(strmap_get(&h->live, en->remove.v[i].file.path, &rows));
        strmap_remove(&h->live, en->remove.v[i].file.path);
        more -= (int64_t)rows;
    }
    for (size_t i = 0; i < en->add.n; i++) {
        const struct table_file *f = &en->add.v[i].file;
        assert_false(strmap_get(&h->live, f->path, NULL));
        strmap_set(&h->live, f->path, (size_t)f->rows);
        more += f->rows;
    }
    return more;
}

static void replay(struct history *h, struct storage *st, int64_t version, struct log_entry *en) {
    struct err e;
    _cleanup_(freep) char *text = get_entry(st, version);
    assert_non_null(text);
    assert_ok(log_entry_parse(TEST_DEF, version, text, strlen(text), en, &e), &e);
    int64_t more = replay_files(h, en);
    bool rearranged = strcmp(en->operation, "OPTIMIZE") == 0;
    if (rearranged)
        assert_int_equal(more, 0);
    h->compactions += rearranged && en->remove.n > 1;
    h->replaced += !rearranged && en->remove.n > 0;
    replay_txns(h, en);
}

/* What an open table says is what its history says. */
static void check_live(const struct history *h, const struct table *tb) {
    const struct table_files *live = table_live(tb);
    assert_int_equal(live->n, h->live.n);
    for (size_t i = 0; i < live->n; i++) {
        size_t rows;
        assert_true(strmap_get(&h->live, live->v[i].path, &rows));
        assert_int_equal(live->v[i].rows, rows);
    }
}

static void each_commit_was_right_at_its_place(void **state ATTR_UNUSED) {
    enum { ALL = PROCESSES * COMMITS };
    char *folder = lake_folder_new();
    pid_t pid[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        if ((pid[i] = fork()) == 0)
            run_process(folder, i);
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    struct storage *st = lake_open(folder);
    struct table *tb = open_table(st);
    struct history h = {.at = {-1, -1, -1, -1, -1}};
    struct log_entry *entries = xcalloc(ALL, sizeof *entries);
    assert_int_equal(table_version(tb), ALL - 1);
    for (int i = 0; i < ALL; i++)
        replay(&h, st, i, &entries[i]);
    check_live(&h, tb);
    for (int i = 0; i < PROCESSES; i++)
        assert_int_equal(h.at[i], COMMITS - 1);
    assert_int_equal(h.at[SHARED], h.shared_steps - 1);
    assert_int_equal(table_txn(tb, "shared"), h.at[SHARED]);
    print_message("%lld compactions, %lld days replaced, %lld steps of the shared counter\n",
                  (long long)h.compactions, (long long)h.replaced, (long long)h.shared_steps);
    assert_true(h.compactions > 500 && h.replaced > 500 && h.shared_steps > 1000);
    for (int i = 0; i < ALL; i++)
        log_entry_release(&entries[i]);
    free(entries);
    strmap_release(&h.live);
    table_close(tb);
    storage_free(st);
    lake_folder_free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_commit_was_right_at_its_place)};
    return cmocka_run_group_tests_name("table/random", tests, NULL, NULL);
}
