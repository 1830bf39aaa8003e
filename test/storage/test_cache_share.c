/* SPDX-License-Identifier: Apache-2.0 */
/* The local cache has an end, and is shared: by threads, by processes, by those that died. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/log.h"
#include "storage/far.h"

/* ---- room ---- */

static void what_was_used_longest_ago_goes_first(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    for (int i = 0; i < 9; i++) {
        _cleanup_(freep) char *path = xasprintf("t/%d-%d", i, 10 * KB);
        use(b->c, path);
        usleep(10000); /* file times are coarse */
    }
    use(b->c, "t/0-10000"); /* now 1 is the oldest */
    usleep(10000);
    use_elsewhere(b, "t/9-20000");
    assert_int_equal(b->far.fetches, 10);
    assert_true(kept_bytes(b) <= ROOM);
    use_elsewhere(b, "t/0-10000");
    use_elsewhere(b, "t/8-10000");
    use_elsewhere(b, "t/9-20000");
    assert_int_equal(b->far.fetches, 10);
    use_elsewhere(b, "t/1-10000");
    assert_int_equal(b->far.fetches, 11);
    end(b);
}

static void what_is_in_use_is_never_removed(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    struct cache *other = open_cache(b, "far://lake");
    char mine[LIMIT_PATH], theirs[LIMIT_PATH];
    struct err e;
    assert_ok(cache_localize(b->c, "t/1-30000", 30000, mine, &e), &e);
    assert_ok(cache_localize(other, "t/2-30000", 30000, theirs, &e), &e);
    usleep(10000);
    for (int i = 10; i < 60; i++) {
        _cleanup_(freep) char *path = xasprintf("t/%d-%d", i, 9 * KB);
        use(i % 2 ? b->c : other, path);
        assert_true(kept_bytes(b) <= ROOM + 2 * ROOM / 16);
    }
    assert_bytes(mine, "t/1-30000", 0);
    assert_bytes(theirs, "t/2-30000", 0);
    int fetched = b->far.fetches;
    use_elsewhere(b, "t/1-30000");
    use_elsewhere(b, "t/2-30000");
    assert_int_equal(b->far.fetches, fetched);
    cache_unlocalize(b->c, "t/1-30000");
    cache_unlocalize(other, "t/2-30000");
    cache_free(other);
    end(b);
}

static void without_room_there_is_an_error(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    struct cache *other = open_cache(b, "far://lake");
    char local[LIMIT_PATH];
    struct err e;
    use(b->c, "t/7-10000");
    assert_int_equal(cache_localize(b->c, "t/1-100001", 100001, local, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "no room for far://lake/t/1-100001"));
    assert_non_null(strstr(e.hint, "raise cache.max_bytes"));
    assert_false(e.retry);
    hold(b->c, "t/2-60000");
    assert_int_equal(cache_localize(b->c, "t/3-60000", 60000, local, &e), ERR_STORAGE);
    assert_false(e.retry); /* our own use: waiting for it would be waiting for ever */
    assert_int_equal(cache_localize(other, "t/3-60000", 60000, local, &e), ERR_STORAGE);
    assert_true(e.retry);
    assert_int_equal(b->far.fetches, 2);
    cache_unlocalize(b->c, "t/2-60000");
    use(other, "t/3-60000");
    cache_free(other);
    end(b);
}

static void hold_and_die(void *arg) {
    struct bench *b = arg;
    struct cache *c = open_cache(b, "far://lake");
    hold(c, "t/1-60000");
    raise(SIGKILL);
}

static void what_the_dead_used_is_free(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    use(b->c, "t/7-10"); /* our stage is made before the other process comes */
    assert_true(dies_by(SIGKILL, hold_and_die, b));
    use(b->c, "t/2-60000");
    assert_true(kept_bytes(b) <= ROOM);
    end(b);
}

/* ---- threads and processes ---- */

struct crowd {
    struct bench *b;
    pthread_barrier_t start;
    atomic_int ok, failed, turn;
};

static void *want_one(void *arg) {
    struct crowd *cr = arg;
    char local[LIMIT_PATH];
    struct err e;
    pthread_barrier_wait(&cr->start);
    if (cache_localize(cr->b->c, "t/1-3000", 3000, local, &e) == 0)
        atomic_fetch_add(&cr->ok, 1);
    else
        atomic_fetch_add(&cr->failed, 1);
    return NULL;
}

static void threads_that_want_one_object_fetch_it_once(void **state ATTR_UNUSED) {
    for (int failures = 0; failures <= 1; failures++) {
        struct bench *b = begin();
        struct crowd cr = {.b = b};
        pthread_t t[8];
        b->far.fail = failures;
        b->far.delay_us = 20000;
        pthread_barrier_init(&cr.start, NULL, ARRAY_LEN(t));
        for (size_t i = 0; i < ARRAY_LEN(t); i++)
            pthread_create(&t[i], NULL, want_one, &cr);
        for (size_t i = 0; i < ARRAY_LEN(t); i++)
            pthread_join(t[i], NULL);
        pthread_barrier_destroy(&cr.start);
        /* Who waited for one that failed tries for himself. */
        assert_int_equal(cr.failed, failures);
        assert_int_equal(cr.ok, (int)ARRAY_LEN(t) - failures);
        assert_int_equal(b->far.fetches, 1 + failures);
        for (int i = 0; i < cr.ok; i++)
            cache_unlocalize(b->c, "t/1-3000");
        end(b);
    }
}

static void *use_its_own(void *arg) {
    struct crowd *cr = arg;
    char path[40], local[LIMIT_PATH];
    struct err e;
    snprintf(path, sizeof path, "t/%d-30000", atomic_fetch_add(&cr->turn, 1));
    pthread_barrier_wait(&cr->start);
    if (cache_localize(cr->b->c, path, 30000, local, &e) == 0) {
        atomic_fetch_add(&cr->ok, 1);
        cache_unlocalize(cr->b->c, path);
    } else if (e.code == ERR_STORAGE) {
        atomic_fetch_add(&cr->failed, 1);
    }
    return NULL;
}

static void what_is_on_its_way_has_its_room_too(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    struct crowd cr = {.b = b};
    pthread_t t[8];
    use(b->c, "t/100-90000"); /* goes for the first of them */
    b->far.delay_us = 300000;
    pthread_barrier_init(&cr.start, NULL, ARRAY_LEN(t));
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        pthread_create(&t[i], NULL, use_its_own, &cr);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        pthread_join(t[i], NULL);
    pthread_barrier_destroy(&cr.start);
    assert_true(cr.ok >= 3); /* more of them where a thread comes late */
    assert_int_equal(cr.ok + cr.failed, ARRAY_LEN(t));
    assert_true(kept_bytes(b) <= ROOM);
    b->far.fail = 1; /* a failed one gives its room back */
    char local[LIMIT_PATH];
    struct err e;
    assert_int_not_equal(cache_localize(b->c, "t/101-99000", 99000, local, &e), 0);
    use(b->c, "t/102-99000");
    assert_true(kept_bytes(b) <= ROOM);
    end(b);
}

static void die_while_filling(void *arg) {
    struct bench *b = arg;
    b->far.kill_in_fetch = true;
    struct cache *c = open_cache(b, "far://lake");
    char local[LIMIT_PATH];
    struct err e;
    cache_localize(c, "t/1-3000", 3000, local, &e);
}

static void a_crash_while_filling_leaves_nothing_wrong(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    assert_true(dies_by(SIGKILL, die_while_filling, b));
    assert_int_equal(each_entry(b, NULL, NULL), 0);
    use(b->c, "t/1-3000");
    cache_free(b->c);
    _cleanup_(freep) char *stage = xasprintf("%s/.stage", b->dir);
    _cleanup_(freep) char *left = files_below(stage); /* also of the dead one */
    assert_string_equal(left, ".lock");
    b->c = open_cache(b, "far://lake");
    end(b);
}

/* A process that uses objects at random, several at a time, and looks at every byte. 0: all well. */
static int rummage(struct bench *b, unsigned seed) {
    struct cache *c = open_cache(b, "far://lake");
    char local[LIMIT_PATH];
    struct err e = {0};
    for (int i = 0; i < 150; i++) {
        char paths[3][40];
        size_t held = 0;
        for (; held < ARRAY_LEN(paths); held++) {
            unsigned n = (unsigned)rand_r(&seed) % 60;
            snprintf(paths[held], sizeof paths[held], "t/%u-%u", n, 500 + n * 75);
            if (cache_localize(c, paths[held], size_of(paths[held]), local, &e) != 0)
                return 1;
            if (!bytes_are(local, paths[held], 0))
                return 2;
        }
        while (held > 0)
            cache_unlocalize(c, paths[--held]);
        if (i % 10 == 0)
            each_entry(b, replace, NULL);
    }
    cache_free(c);
    return 0;
}

static void processes_share_one_cache(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    pid_t pid[5];
    for (unsigned i = 0; i < ARRAY_LEN(pid); i++)
        if ((pid[i] = fork()) == 0)
            _exit(rummage(b, i + 1));
    usleep(50000);
    kill(pid[4], SIGKILL);
    for (size_t i = 0; i < ARRAY_LEN(pid); i++) {
        int status;
        waitpid(pid[i], &status, 0);
        bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        assert_true((WIFEXITED(status) && WEXITSTATUS(status) == 0) || (i == 4 && killed));
    }
    assert_int_equal(rummage(b, 9), 0);
    end(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_used_longest_ago_goes_first),
        cmocka_unit_test(what_is_in_use_is_never_removed),
        cmocka_unit_test(without_room_there_is_an_error),
        cmocka_unit_test(what_the_dead_used_is_free),
        cmocka_unit_test(threads_that_want_one_object_fetch_it_once),
        cmocka_unit_test(what_is_on_its_way_has_its_room_too),
        cmocka_unit_test(a_crash_while_filling_leaves_nothing_wrong),
        cmocka_unit_test(processes_share_one_cache),
    };
    log_setup(LOG_ERROR, false); /* damage is logged */
    return cmocka_run_group_tests_name("storage/cache shared", tests, NULL, NULL);
}
