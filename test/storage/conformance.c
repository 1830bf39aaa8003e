/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/conformance.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "storage/helper.h"

enum { RACERS = 8 };

struct bench {
    const struct storage_driver *d;
    void *lake;
    struct storage *st;
};

static struct bench begin(void **state) {
    struct bench b = {.d = *state};
    b.lake = b.d->lake_new();
    b.st = b.d->open(b.lake);
    return b;
}

static void end(struct bench *b) {
    storage_free(b->st);
    b->d->lake_free(b->lake);
}

#define assert_text(st, path, want)                                                                \
    do {                                                                                           \
        char *text_ = get_text(st, path);                                                          \
        assert_non_null(text_);                                                                    \
        assert_string_equal(text_, want);                                                          \
        free(text_);                                                                               \
    } while (0)

#define assert_names(st, dir, after, want)                                                         \
    do {                                                                                           \
        char *names_ = names_in(st, dir, after);                                                   \
        assert_string_equal(names_, want);                                                         \
        free(names_);                                                                              \
    } while (0)

static void bytes_come_back_as_they_were_put(void **state) {
    struct bench b = begin(state);
    struct err e;
    size_t sizes[] = {0, 1, 16384, 3 * MIB + 17};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char *data = xmalloc(sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            data[k] = (char)(k * 31 + i); /* zero bytes too */
        _cleanup_(freep) char *path = xasprintf("a/b=%%20c/object-%zu", i);
        assert_ok(storage_put_new(b.st, path, data, sizes[i], &e), &e);
        struct buf got = BUF_INIT(4 * MIB);
        buf_add_str(&got, "what stood there before");
        assert_ok(storage_get(b.st, path, &got, &e), &e);
        assert_int_equal(got.len, sizes[i]);
        assert_memory_equal(got.data, data, sizes[i]);
        buf_release(&got);
        free(data);
    }
    end(&b);
}

static void what_is_not_there_is_not_found(void **state) {
    struct bench b = begin(state);
    struct err e;
    struct buf got = BUF_INIT(100);
    buf_add_str(&got, "untouched");
    struct storage_entry en = {.size = 42};
    char local[LIMIT_PATH] = "untouched";
    put_text(b.st, "a/object", "x");
    const char *paths[] = {"nothing", "a/nothing", "b/c/nothing", "a/object/below"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_int_equal(storage_get(b.st, paths[i], &got, &e), ERR_NOT_FOUND);
        assert_int_equal(storage_stat(b.st, paths[i], &en, &e), ERR_NOT_FOUND);
        assert_int_equal(storage_localize(b.st, paths[i], -1, local, &e), ERR_NOT_FOUND);
        assert_ok(storage_remove(b.st, paths[i], &e), &e);
    }
    assert_string_equal(buf_str(&got), "untouched");
    assert_int_equal(en.size, 42);
    assert_string_equal(local, "untouched");
    buf_release(&got);
    end(&b);
}

static void get_is_bounded(void **state) {
    struct bench b = begin(state);
    struct err e;
    put_text(b.st, "ten", "0123456789");
    struct buf exact = BUF_INIT(10), less = BUF_INIT(9);
    assert_ok(storage_get(b.st, "ten", &exact, &e), &e);
    assert_string_equal(buf_str(&exact), "0123456789");
    assert_int_equal(storage_get(b.st, "ten", &less, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "larger than 9 bytes"));
    assert_false(e.retry);
    assert_int_equal(less.len, 0);
    buf_release(&exact);
    buf_release(&less);
    end(&b);
}

static void put_new_never_replaces(void **state) {
    struct bench b = begin(state);
    struct err e;
    put_text(b.st, "log/0.json", "first");
    assert_int_equal(storage_put_new(b.st, "log/0.json", "second", 6, &e), ERR_EXISTS);
    assert_text(b.st, "log/0.json", "first");
    struct storage *other = b.d->open(b.lake);
    assert_int_equal(storage_put_new(other, "log/0.json", "", 0, &e), ERR_EXISTS);
    assert_text(other, "log/0.json", "first");
    storage_free(other);
    end(&b);
}

static void put_replaces(void **state) {
    struct bench b = begin(state);
    struct err e;
    assert_ok(storage_put(b.st, "d/last", "a long first text", 17, &e), &e);
    assert_ok(storage_put(b.st, "d/last", "short", 5, &e), &e);
    assert_text(b.st, "d/last", "short");
    assert_names(b.st, "d", NULL, "last");
    end(&b);
}

static void stat_tells_size_age_and_kind(void **state) {
    struct bench b = begin(state);
    struct err e;
    struct storage_entry en;
    put_text(b.st, "d/object", "12345");
    assert_ok(storage_stat(b.st, "d/object", &en, &e), &e);
    assert_int_equal(en.size, 5);
    assert_false(en.is_dir);
    int64_t age_ms = clock_now_us() / 1000 - en.mtime_ms;
    assert_true(age_ms > -2000 && age_ms < 60000);
    int r = storage_stat(b.st, "d", &en, &e);
    if (b.d->no_folders) {
        assert_int_equal(r, ERR_NOT_FOUND);
    } else {
        assert_ok(r, &e);
        assert_true(en.is_dir);
        assert_int_equal(en.size, 0);
    }
    end(&b);
}

static void list_is_sorted_and_complete(void **state) {
    struct bench b = begin(state);
    const char *paths[] = {"t/b", "t/a",     "t/a.json", "t/sub/x", "t/sub/y",
                           "t/Z", "t/sub-1", "u",        "t/~",     "t/_log/0"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        put_text(b.st, paths[i], paths[i]);
    assert_names(b.st, "t", NULL, "Z _log/ a a.json b sub/ sub-1 ~");
    assert_names(b.st, "t", "", "Z _log/ a a.json b sub/ sub-1 ~");
    assert_names(b.st, "", NULL, "t/ u");
    assert_names(b.st, "t/sub", NULL, "x y");
    assert_names(b.st, "t/none", NULL, "");
    assert_names(b.st, "none/none", NULL, "");
    end(&b);
}

static void list_starts_after_a_name(void **state) {
    struct bench b = begin(state);
    for (int i = 0; i < 12; i++) {
        _cleanup_(freep) char *path = xasprintf("log/%020d.json", i);
        put_text(b.st, path, "{}");
    }
    assert_names(b.st, "log", "00000000000000000009.json",
                 "00000000000000000010.json 00000000000000000011.json");
    assert_names(b.st, "log", "00000000000000000011.json", "");
    assert_names(b.st, "log", "0000000000000000001",
                 "00000000000000000010.json 00000000000000000011.json");
    end(&b);
}

static void list_tells_size_and_age(void **state) {
    struct bench b = begin(state);
    struct err e;
    struct storage_entries l = {0};
    put_text(b.st, "d/object", "12345");
    assert_ok(storage_list(b.st, "d", NULL, &l, &e), &e);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.v[0].size, 5);
    assert_true(l.v[0].mtime_ms > clock_now_us() / 1000 - 60000);
    /* a second list replaces the first */
    assert_ok(storage_list(b.st, "none", NULL, &l, &e), &e);
    assert_int_equal(l.n, 0);
    storage_entries_release(&l);
    end(&b);
}

static void removed_is_gone(void **state) {
    struct bench b = begin(state);
    struct err e;
    put_text(b.st, "d/one", "1");
    put_text(b.st, "d/two", "2");
    assert_ok(storage_remove(b.st, "d/one", &e), &e);
    assert_null(get_text(b.st, "d/one"));
    assert_names(b.st, "d", NULL, "two");
    assert_ok(storage_remove(b.st, "d/one", &e), &e);
    put_text(b.st, "d/one", "again");
    assert_text(b.st, "d/one", "again");
    end(&b);
}

static void published_files_move_in_whole(void **state) {
    struct bench b = begin(state);
    struct err e;
    char dir[LIMIT_PATH];
    assert_ok(storage_stage(b.st, dir, &e), &e);
    assert_int_equal(dir[0], '/');
    _cleanup_(freep) char *local = xasprintf("%s/made.parquet", dir);
    make_file(local, "PAR1 rows PAR1", 14);
    assert_names(b.st, "", NULL, ""); /* what is staged is not in the lake */
    assert_ok(storage_publish(b.st, local, "t/day=1/part-1.parquet", &e), &e);
    assert_text(b.st, "t/day=1/part-1.parquet", "PAR1 rows PAR1");
    assert_int_equal(access(local, F_OK), -1);
    storage_unstage(b.st, dir);
    assert_int_equal(access(dir, F_OK), -1);
    assert_text(b.st, "t/day=1/part-1.parquet", "PAR1 rows PAR1");
    end(&b);
}

static void publish_never_replaces(void **state) {
    struct bench b = begin(state);
    struct err e;
    char dir[LIMIT_PATH];
    put_text(b.st, "t/part", "first");
    assert_ok(storage_stage(b.st, dir, &e), &e);
    _cleanup_(freep) char *local = xasprintf("%s/part", dir);
    make_file(local, "second", 6);
    assert_int_equal(storage_publish(b.st, local, "t/part", &e), ERR_EXISTS);
    assert_text(b.st, "t/part", "first");
    storage_unstage(b.st, dir);
    assert_int_equal(access(local, F_OK), -1);
    end(&b);
}

static void publishing_a_missing_file_fails(void **state) {
    struct bench b = begin(state);
    struct err e;
    char dir[LIMIT_PATH];
    assert_ok(storage_stage(b.st, dir, &e), &e);
    _cleanup_(freep) char *local = xasprintf("%s/part", dir);
    assert_int_equal(storage_publish(b.st, local, "t/part", &e), ERR_STORAGE);
    assert_names(b.st, "t", NULL, "");
    storage_unstage(b.st, dir);
    end(&b);
}

static void stages_are_apart_and_empty(void **state) {
    struct bench b = begin(state);
    struct err e;
    char one[LIMIT_PATH], two[LIMIT_PATH];
    assert_ok(storage_stage(b.st, one, &e), &e);
    assert_ok(storage_stage(b.st, two, &e), &e);
    assert_string_not_equal(one, two);
    assert_int_equal(rmdir(two), 0); /* so it was there, and empty */
    _cleanup_(freep) char *sub = xasprintf("%s/day=1", one);
    assert_int_equal(mkdir(sub, 0777), 0);
    _cleanup_(freep) char *local = xasprintf("%s/part", sub);
    make_file(local, "x", 1);
    assert_ok(storage_publish(b.st, local, "t/part", &e), &e);
    make_file(local, "left over", 9);
    storage_unstage(b.st, one);
    assert_int_equal(access(one, F_OK), -1);
    end(&b);
}

static void localized_files_hold_the_bytes(void **state) {
    struct bench b = begin(state);
    struct err e;
    char local[LIMIT_PATH] = "untouched";
    put_text(b.st, "t/part", "12345");
    assert_int_equal(storage_localize(b.st, "t/part", 6, local, &e), ERR_STORAGE);
    assert_string_equal(local, "untouched");
    for (int64_t size = -1; size <= 5; size += 6) {
        assert_ok(storage_localize(b.st, "t/part", size, local, &e), &e);
        char text[16] = "";
        FILE *f = fopen(local, "re");
        assert_non_null(f);
        assert_int_equal(fread(text, 1, sizeof text, f), 5);
        fclose(f);
        assert_string_equal(text, "12345");
        storage_unlocalize(b.st, "t/part");
    }
    assert_text(b.st, "t/part", "12345");
    end(&b);
}

struct hostile {
    struct storage *st;
    const char *path;
};

static void use_hostile(void *arg) {
    struct hostile *h = arg;
    struct err e;
    storage_put_new(h->st, h->path, "x", 1, &e);
}

static void read_hostile(void *arg) {
    struct hostile *h = arg;
    struct err e;
    struct buf b = BUF_INIT(10);
    storage_get(h->st, h->path, &b, &e);
}

static void hostile_names_are_bugs(void **state) {
    struct bench b = begin(state);
    const char *paths[] = {"",    "/",    "/etc/passwd", "..",   "../x", "a/../b", "a/..",
                           ".",   "./a",  "a/./b",       "a//b", "a/",   ".hid",   "a/.stage",
                           "a b", "a\nb", "a:b",         "a*",   "a\\b", "a\200b", "é",
                           "a?b", "a#b",  "a'b",         "a\"b", "a+b"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct hostile h = {.st = b.st, .path = paths[i]};
        assert_false(storage_path_ok(paths[i]));
        if (!dies_by(SIGABRT, use_hostile, &h) || !dies_by(SIGABRT, read_hostile, &h))
            fail_msg("the path \"%s\" was accepted", paths[i]);
    }
    char too_long[LIMIT_PATH + 1];
    memset(too_long, 'a', LIMIT_PATH);
    too_long[LIMIT_PATH] = '\0';
    assert_false(storage_path_ok(too_long));
    assert_true(storage_path_ok("a-_~=%.Z9/x..y/z."));
    end(&b);
}

/* Eight threads want the same thing; each opens the lake for itself if `own` says so. */
struct race {
    struct bench *b;
    pthread_barrier_t start;
    atomic_int next, won, lost, read, torn;
    atomic_bool done;
    bool own;
    int (*act)(struct storage *st, int who, struct err *e);
    const char *path;
};

enum { RACE_TEXT = 40000 };

/* A text of one letter, so that a mixture or a part of it can be told. */
static char *race_text(int who) {
    char *s = xmalloc(RACE_TEXT + 1);
    memset(s, 'a' + who, RACE_TEXT);
    s[RACE_TEXT] = '\0';
    return s;
}

static bool is_torn(const struct buf *b) {
    return b->len != RACE_TEXT || strspn(b->data, (char[]){b->data[0], '\0'}) != RACE_TEXT;
}

static void *run_racer(void *arg) {
    struct race *rc = arg;
    int who = atomic_fetch_add(&rc->next, 1);
    struct storage *st = rc->own ? rc->b->d->open(rc->b->lake) : rc->b->st;
    struct err e;
    pthread_barrier_wait(&rc->start);
    int r = rc->act(st, who, &e);
    if (r == 0)
        atomic_fetch_add(&rc->won, 1);
    if (r == ERR_EXISTS)
        atomic_fetch_add(&rc->lost, 1);
    if (rc->own)
        storage_free(st);
    return NULL;
}

static void *run_reader(void *arg) {
    struct race *rc = arg;
    struct buf b = BUF_INIT(MIB);
    struct err e;
    pthread_barrier_wait(&rc->start);
    while (!atomic_load(&rc->done))
        if (storage_get(rc->b->st, rc->path, &b, &e) == 0) {
            atomic_fetch_add(&rc->read, 1);
            atomic_fetch_add(&rc->torn, is_torn(&b));
        }
    buf_release(&b);
    return NULL;
}

static void run_race(struct race *rc) {
    pthread_t racer[RACERS], reader;
    pthread_barrier_init(&rc->start, NULL, RACERS + 1);
    pthread_create(&reader, NULL, run_reader, rc);
    for (int i = 0; i < RACERS; i++)
        pthread_create(&racer[i], NULL, run_racer, rc);
    for (int i = 0; i < RACERS; i++)
        pthread_join(racer[i], NULL);
    atomic_store(&rc->done, true);
    pthread_join(reader, NULL);
    pthread_barrier_destroy(&rc->start);
    assert_int_equal(atomic_load(&rc->torn), 0);
    struct buf b = BUF_INIT(MIB);
    struct err e;
    assert_ok(storage_get(rc->b->st, rc->path, &b, &e), &e);
    assert_false(is_torn(&b));
    buf_release(&b);
}

static const char *race_path;

static int race_put_new(struct storage *st, int who, struct err *e) {
    _cleanup_(freep) char *text = race_text(who);
    return storage_put_new(st, race_path, text, RACE_TEXT, e);
}

static int race_put(struct storage *st, int who, struct err *e) {
    _cleanup_(freep) char *text = race_text(who);
    return storage_put(st, race_path, text, RACE_TEXT, e);
}

static int race_publish(struct storage *st, int who, struct err *e) {
    _cleanup_(freep) char *text = race_text(who);
    return publish_bytes(st, race_path, text, RACE_TEXT, e);
}

static void race_of(struct bench *b, int (*act)(struct storage *, int, struct err *),
                    bool one_wins) {
    int reads = 0; /* while the race was on */
    for (int round = 0; round < (b->d->rounds ? b->d->rounds : 20); round++) {
        _cleanup_(freep) char *path = xasprintf("r%d/log/0.json", round);
        struct race rc = {.b = b, .act = act, .own = round % 2, .path = path};
        race_path = path;
        run_race(&rc);
        reads += atomic_load(&rc.read);
        assert_int_equal(atomic_load(&rc.won), one_wins ? 1 : RACERS);
        assert_int_equal(atomic_load(&rc.lost), one_wins ? RACERS - 1 : 0);
        _cleanup_(freep) char *dir = xasprintf("r%d/log", round);
        assert_names(b->st, dir, NULL, "0.json");
    }
    assert_true(reads > 0);
}

static void one_of_many_put_news_wins(void **state) {
    struct bench b = begin(state);
    race_of(&b, race_put_new, true);
    end(&b);
}

static void one_of_many_publishers_wins(void **state) {
    struct bench b = begin(state);
    race_of(&b, race_publish, true);
    end(&b);
}

static void puts_replace_each_other_whole(void **state) {
    struct bench b = begin(state);
    race_of(&b, race_put, false);
    end(&b);
}

int storage_conformance(const struct storage_driver *d) {
#define WITH(test) cmocka_unit_test_prestate(test, (void *)(uintptr_t)d)
    const struct CMUnitTest tests[] = {
        WITH(bytes_come_back_as_they_were_put),
        WITH(what_is_not_there_is_not_found),
        WITH(get_is_bounded),
        WITH(put_new_never_replaces),
        WITH(put_replaces),
        WITH(stat_tells_size_age_and_kind),
        WITH(list_is_sorted_and_complete),
        WITH(list_starts_after_a_name),
        WITH(list_tells_size_and_age),
        WITH(removed_is_gone),
        WITH(published_files_move_in_whole),
        WITH(publish_never_replaces),
        WITH(publishing_a_missing_file_fails),
        WITH(stages_are_apart_and_empty),
        WITH(localized_files_hold_the_bytes),
        WITH(hostile_names_are_bugs),
        WITH(one_of_many_put_news_wins),
        WITH(one_of_many_publishers_wins),
        WITH(puts_replace_each_other_whole),
    };
#undef WITH
    return cmocka_run_group_tests_name(d->name, tests, NULL, NULL);
}
