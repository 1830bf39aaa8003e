/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commits that meet: Delta's conflict rules under every interleaving of two writers' storage calls,
 * and against what other programs write.
 */
#include <pthread.h>

#include "fake/storage_fault.h"
#include "fake/storage_mem.h"
#include "table/helper.h"

/* What a writer may want of the table that begin_table makes. */
enum kind {
    APPEND,       /* to d1 */
    APPEND_TXN,   /* to d1, with the position X */
    APPEND_OTHER, /* to d1, with the position Y */
    REPLACE_1,    /* d1: f1 out, a new file in */
    REPLACE_2,    /* d2: f2 out, a new file in */
    REFILL,       /* f2 out, a file into d1, which it so replaces as well */
    REMOVE_1,     /* f1 out */
    COMPACT_1,    /* f1 rearranged */
    TXN,          /* the position X alone */
    N_KINDS,
};

static struct table *begin_table(struct storage *st) {
    struct table *tb = open_table(st);
    struct err e;
    struct change *ch = change_new();
    change_add(ch, "f1", "2026-11-21");
    change_add(ch, "f2", "2026-11-22");
    change_txn(ch, "X", -1, 5);
    assert_ok(change_commit(ch, tb, &e), &e);
    change_free(ch);
    return tb;
}

static struct change *change_of(enum kind k, const char *new_file) {
    struct change *ch = change_new();
    if (k == REPLACE_1 || k == REMOVE_1 || k == COMPACT_1)
        change_remove(ch, "f1", "2026-11-21");
    if (k == REPLACE_2 || k == REFILL)
        change_remove(ch, "f2", "2026-11-22");
    if (k != REMOVE_1 && k != TXN)
        change_add(ch, new_file, k == REPLACE_2 ? "2026-11-22" : "2026-11-21");
    if (k == APPEND_TXN || k == TXN)
        change_txn(ch, "X", 5, 6);
    if (k == APPEND_OTHER)
        change_txn(ch, "Y", -1, 1);
    ch->c.data_change = k != COMPACT_1;
    return ch;
}

static bool in(enum kind k, unsigned set) {
    return set >> k & 1;
}
#define KIND(k) (1u << (k))

/* The rules once more, by hand: does `first`'s commit forbid `second`, decided at the same version? */
static bool conflicts(enum kind first, enum kind second) {
    const unsigned takes_f1 = KIND(REPLACE_1) | KIND(REMOVE_1) | KIND(COMPACT_1);
    const unsigned takes_f2 = KIND(REPLACE_2) | KIND(REFILL);
    const unsigned moves_x = KIND(APPEND_TXN) | KIND(TXN), moves_y = KIND(APPEND_OTHER);
    const unsigned adds_rows_1 =
        KIND(APPEND) | KIND(APPEND_TXN) | KIND(APPEND_OTHER) | KIND(REPLACE_1) | KIND(REFILL);
    const unsigned replaces_1 = KIND(REPLACE_1) | KIND(REMOVE_1) | KIND(REFILL);
    return (in(first, takes_f1) && in(second, takes_f1)) ||
           (in(first, takes_f2) && in(second, takes_f2)) ||
           (in(first, moves_x) && in(second, moves_x)) ||
           (in(first, moves_y) && in(second, moves_y)) ||
           (in(first, adds_rows_1) && in(second, replaces_1));
}

/*
 * Two threads, of which one moves at a time: before each storage call a writer waits for its turn.
 * The schedule says whose turn it is wherever both wait.
 */
struct stage {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int turn; /* who may make the next call; -1: nobody */
    bool waits[2], finished[2];
};

struct writer {
    struct stage *stage;
    int who;
    struct table *tb;
    struct change *ch;
    int result;
    struct err e;
};

static void wait_for_turn(void *arg, enum fault_call call ATTR_UNUSED,
                          const char *path ATTR_UNUSED) {
    struct writer *w = arg;
    struct stage *sg = w->stage;
    pthread_mutex_lock(&sg->lock);
    sg->waits[w->who] = true;
    pthread_cond_broadcast(&sg->moved);
    while (sg->turn != w->who)
        pthread_cond_wait(&sg->moved, &sg->lock);
    sg->turn = -1;
    sg->waits[w->who] = false;
    pthread_mutex_unlock(&sg->lock);
}

static void *run_writer(void *arg) {
    struct writer *w = arg;
    w->result = change_commit(w->ch, w->tb, &w->e);
    pthread_mutex_lock(&w->stage->lock);
    w->stage->finished[w->who] = true;
    pthread_cond_broadcast(&w->stage->moved);
    pthread_mutex_unlock(&w->stage->lock);
    return NULL;
}

/* A path through all choices; next_schedule turns the last one that can still be turned. */
struct schedule {
    int choice[64];
    size_t n, at;
};

static int choose(struct schedule *s) {
    if (s->at == s->n) {
        assert_true(s->n < ARRAY_LEN(s->choice));
        s->choice[s->n++] = 0;
    }
    return s->choice[s->at++];
}

static bool next_schedule(struct schedule *s) {
    while (s->n > 0 && s->choice[s->n - 1] == 1)
        s->n--;
    if (s->n == 0)
        return false;
    s->choice[s->n - 1] = 1;
    s->at = 0;
    return true;
}

static void direct(struct stage *sg, struct schedule *s) {
    pthread_mutex_lock(&sg->lock);
    while (!sg->finished[0] || !sg->finished[1]) {
        bool settled =
            sg->turn < 0 && (sg->waits[0] || sg->finished[0]) && (sg->waits[1] || sg->finished[1]);
        if (!settled) {
            pthread_cond_wait(&sg->moved, &sg->lock);
            continue;
        }
        sg->turn = sg->waits[0] && sg->waits[1] ? choose(s) : sg->waits[0] ? 0 : 1;
        pthread_cond_broadcast(&sg->moved);
    }
    pthread_mutex_unlock(&sg->lock);
}

/* Both commits, each through its own view of the table, in the order the schedule gives. */
static void run_both(struct storage *mem, struct change *const ch[2], struct schedule *s,
                     struct writer w[2]) {
    struct stage sg = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER, .turn = -1};
    struct storage *st[2];
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) {
        st[i] = storage_fault_new(mem, false);
        w[i] = (struct writer){.stage = &sg, .who = i, .tb = open_table(st[i]), .ch = ch[i]};
    }
    for (int i = 0; i < 2; i++) {
        storage_fault_hook(st[i], wait_for_turn, &w[i]);
        pthread_create(&thread[i], NULL, run_writer, &w[i]);
    }
    direct(&sg, s);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < 2; i++) {
        storage_fault_hook(st[i], NULL, NULL);
        if (w[i].result == 0) { /* it knows the table as it is */
            struct table *fresh = open_table(mem);
            struct err e;
            assert_ok(table_refresh(w[i].tb, &e), &e);
            char *mine = state_of(w[i].tb), *true_state = state_of(fresh);
            assert_string_equal(mine, true_state);
            free(mine);
            free(true_state);
            table_close(fresh);
        }
        table_close(w[i].tb);
        storage_free(st[i]);
    }
}

/* The table after both, worked out by hand: who is in, in whatever order, must all be in it. */
static void check_outcome(struct storage *mem, const enum kind k[2], const struct writer w[2]) {
    bool f1 = true, f2 = true, y = false;
    int x = 5, committed = 0;
    struct buf want = BUF_INIT(1024);
    for (int i = 0; i < 2; i++) {
        if (w[i].result)
            continue;
        committed++;
        f1 = f1 && !in(k[i], KIND(REPLACE_1) | KIND(REMOVE_1) | KIND(COMPACT_1));
        f2 = f2 && !in(k[i], KIND(REPLACE_2) | KIND(REFILL));
        x = in(k[i], KIND(APPEND_TXN) | KIND(TXN)) ? 6 : x;
        y = y || k[i] == APPEND_OTHER;
    }
    buf_addf(&want, "v%d%s%s", committed, f1 ? " f1@2026-11-21" : "", f2 ? " f2@2026-11-22" : "");
    for (int i = 0; i < 2; i++)
        if (w[i].result == 0 && k[i] != REMOVE_1 && k[i] != TXN)
            buf_addf(&want, " new%d@2026-11-2%d", i, k[i] == REPLACE_2 ? 2 : 1);
    buf_addf(&want, " | X=%d%s", x, y ? " Y=1" : "");
    struct table *tb = open_table(mem);
    assert_state(tb, buf_str(&want));
    table_close(tb);
    buf_release(&want);
}

/* Which of the two got version 1? */
static int winner_of(struct storage *mem) {
    char *entry = get_entry(mem, 1);
    int who = strstr(entry, "\"operation\":\"W1\"") ? 1 : 0;
    free(entry);
    return who;
}

static size_t try_all_schedules(enum kind one, enum kind two) {
    struct schedule s = {0};
    size_t runs = 0;
    do {
        struct storage *mem = storage_mem_new();
        table_close(begin_table(mem));
        const enum kind k[2] = {one, two};
        struct change *ch[2] = {change_of(one, "new0"), change_of(two, "new1")};
        ch[0]->c.operation = "W0";
        ch[1]->c.operation = "W1";
        struct writer w[2];
        run_both(mem, ch, &s, w);
        int first = winner_of(mem);
        bool refused = conflicts(k[first], k[1 - first]);
        assert_int_equal(w[first].result, 0);
        if ((w[1 - first].result == ERR_CONFLICT) != refused)
            fail_msg("kind %d behind %d: %d %s", k[1 - first], k[first], w[1 - first].result,
                     w[1 - first].e.msg);
        check_outcome(mem, k, w);
        change_free(ch[0]);
        change_free(ch[1]);
        storage_free(mem);
        runs++;
    } while (next_schedule(&s));
    return runs;
}

static void two_writers_never_spoil_the_table(void **state ATTR_UNUSED) {
    size_t runs = 0;
    for (enum kind one = 0; one < N_KINDS; one++)
        for (enum kind two = 0; two < N_KINDS; two++)
            runs += try_all_schedules(one, two);
    assert_true(runs >= N_KINDS * N_KINDS * 6); /* both orders of every pair of calls */
    print_message("%zu interleavings\n", runs);
}

static void two_may_make_the_table_at_once(void **state ATTR_UNUSED) {
    struct schedule s = {0};
    do {
        struct storage *mem = storage_mem_new();
        struct change *ch[2] = {change_new(), change_new()};
        struct writer w[2];
        change_add(ch[0], "a", NULL);
        change_txn(ch[0], "p/0", -1, 1);
        change_add(ch[1], "b", NULL);
        change_txn(ch[1], "p/1", -1, 1);
        run_both(mem, ch, &s, w);
        assert_int_equal(w[0].result, 0);
        assert_int_equal(w[1].result, 0);
        struct table *tb = open_table(mem);
        assert_state(tb, "v1 a@NULL b@NULL | p/0=1 p/1=1");
        char *second = get_entry(mem, 1);
        assert_null(strstr(second, "metaData"));
        free(second);
        table_close(tb);
        change_free(ch[0]);
        change_free(ch[1]);
        storage_free(mem);
    } while (next_schedule(&s));
}

static void foreign_winners_follow_the_rules(void **state ATTR_UNUSED) {
#define ADD(path, date, change)                                                                    \
    "{\"add\":{\"path\":\"" path "\",\"partitionValues\":{\"event_date\":" date "},\"size\":1,"    \
    "\"modificationTime\":1,\"dataChange\":" change "}}\n"
    static const struct {
        const char *winner;
        enum kind ours;
        bool refused;
    } cases[] = {
        {"{\"commitInfo\":{\"operation\":\"VACUUM START\"}}\n", REPLACE_1, false},
        {ADD("s", "\"2026-11-21\"", "true"), REPLACE_1, true},
        {ADD("s", "\"2026-11-21\"", "false"), REPLACE_1, false}, /* compaction of others' files */
        {ADD("s", "\"2026-11-22\"", "true"), REPLACE_1, false},
        {ADD("s", "null", "true"), REPLACE_1, false},
        {ADD("s", "\"2026-11-21\"", "true"), COMPACT_1, false},
        {"{\"remove\":{\"path\":\"f1\",\"dataChange\":false}}\n", REPLACE_1, true},
        {"{\"remove\":{\"path\":\"f1\",\"dataChange\":true}}\n", COMPACT_1, true},
        {"{\"remove\":{\"path\":\"f2\",\"dataChange\":true}}\n", COMPACT_1, false},
        {"{\"remove\":{\"path\":\"f1\",\"dataChange\":true}}\n", APPEND, false},
        {"{\"txn\":{\"appId\":\"spark\",\"version\":1}}\n", APPEND_TXN, false},
        {"{\"txn\":{\"appId\":\"X\",\"version\":5}}\n", APPEND_TXN, true},
        {META, APPEND, true},
        {PROTOCOL, APPEND, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct storage *st = storage_mem_new();
        struct table *tb = begin_table(st);
        struct err e;
        put_entry(st, 1, cases[i].winner);
        struct change *ch = change_of(cases[i].ours, "new0");
        int r = change_commit(ch, tb, &e);
        if (r != (cases[i].refused ? ERR_CONFLICT : 0))
            fail_msg("%d behind %s", r, cases[i].winner);
        char *entry = get_entry(st, 2);
        assert_int_equal(entry != NULL, !cases[i].refused);
        free(entry);
        change_free(ch);
        table_close(tb);
        storage_free(st);
    }
}

/* "" in another's entry is the partition NULL. */
static void null_partitions_conflict_as_others_do(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    struct err e;
    append_file(tb, "f", NULL);
    put_entry(st, 1, ADD("s", "\"\"", "true"));
    struct change *ch = change_new();
    change_remove(ch, "f", NULL);
    assert_int_equal(change_commit(ch, tb, &e), ERR_CONFLICT);
    change_free(ch);
    table_close(tb);
    storage_free(st);
}

/* The commit's files are those of the snapshot, which changes under it: the names must hold. */
static void what_is_removed_is_remembered_over_other_commits(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = begin_table(st);
    struct err e;
    put_entry(st, 1, ADD("f1", "\"2026-11-21\"", "false") ADD("f2", "\"2026-11-22\"", "false"));
    put_entry(st, 2, "{\"commitInfo\":{}}\n");
    put_entry(st, 3, "{\"remove\":{\"path\":\"f2\",\"dataChange\":true}}\n");
    struct table_commit c = {.operation = "DELETE", .remove = table_live(tb), .data_change = true};
    assert_int_equal(table_commit(tb, &c, NULL, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.msg, "version 3, by another process, removed f2"));
    table_close(tb);
    storage_free(st);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_writers_never_spoil_the_table),
        cmocka_unit_test(two_may_make_the_table_at_once),
        cmocka_unit_test(foreign_winners_follow_the_rules),
        cmocka_unit_test(null_partitions_conflict_as_others_do),
        cmocka_unit_test(what_is_removed_is_remembered_over_other_commits),
    };
    return cmocka_run_group_tests_name("table/conflict", tests, NULL, NULL);
}
