/* SPDX-License-Identifier: Apache-2.0 */
/* What was committed is found, or the index says that it is not whole: there is nothing between. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/helper.h"
#include "base/limits.h"
#include "base/util.h"
#include "index/keys.h"
#include "storage/local_fs.h"

static const struct keys_mark owner = {{7}}, mark = {{9}};

static char *new_folder(void) {
    const char *tmp = getenv("TMPDIR");
    char *dir = xasprintf("%s/clickmill-keys-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static void drop_folder(char *dir) {
    fs_remove_tree(dir);
    free(dir);
}

static struct keys *open_keys(const char *dir) {
    struct keys *k = NULL;
    struct err e;
    assert_ok(keys_open(dir, &owner, &k, &e), &e);
    return k;
}

static struct keys *open_whole(const char *dir, int64_t version, int64_t rows) {
    struct keys *k = open_keys(dir);
    assert_null(keys_doubt(k));
    assert_int_equal(keys_version(k), version);
    assert_int_equal(keys_rows(k), rows);
    return k;
}

static void add(struct keys *k, const struct key *v, size_t n) {
    struct err e;
    assert_ok(keys_add(k, v, n, &e), &e);
}

static void commit(struct keys *k, int64_t version) {
    struct err e;
    assert_ok(keys_commit(k, version, &mark, &e), &e);
}

static int find(struct keys *k, const struct key *v, size_t n, struct key_list *ret,
                struct err *e) {
    *ret = (struct key_list){0};
    int r = keys_ask(k, v, n, ret, e);
    return r == 0 ? keys_answer(k, ret, e) : r;
}

static int by_hash(const void *a, const void *b) {
    const struct key *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* What is asked for is found as often as it was added, and nothing else. */
static void assert_found(struct keys *k, const struct key *asked, size_t n,
                         const struct key *expected, size_t n_expected) {
    struct key_list found;
    struct err e;
    assert_ok(find(k, asked, n, &found, &e), &e);
    assert_int_equal(found.n, n_expected);
    if (found.n)
        qsort(found.v, found.n, sizeof *found.v, by_hash);
    for (size_t i = 0; i < n_expected; i++) {
        assert_true(found.v[i].hash == expected[i].hash);
        assert_int_equal(found.v[i].at, expected[i].at);
    }
    key_list_release(&found);
}

static size_t count_files(const char *dir) {
    size_t n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *en; (en = readdir(d));)
        n += en->d_name[0] != '.';
    closedir(d);
    return n;
}

static struct key *random_keys(size_t n, uint64_t seed) {
    struct key *v = xmalloc(n * sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = (struct key){random_next(&seed), (int64_t)i};
    return v;
}

/* Commits of all sizes; each hash is there once, and both ends of what a hash can be. */
static void every_key_is_found_once(void **state ATTR_UNUSED) {
    enum { N = 60000 };
    char *dir = new_folder();
    struct key *v = random_keys(N, 1), *absent = random_keys(N, 77);
    v[0].hash = 0;
    v[1].hash = UINT64_MAX;
    struct keys *k = open_keys(dir);
    size_t done = 0;
    for (int64_t version = 0; done < N; version++) {
        size_t n = MIN((size_t)(version * version % 1711 + 1), N - done);
        add(k, v + done, n);
        commit(k, version);
        done += n;
        if (version % 40 == 0) {
            int64_t rows = keys_rows(k);
            keys_close(k);
            k = open_whole(dir, version, rows);
        }
        assert_true(count_files(dir) < 24); /* lock, manifest, runs */
    }
    assert_memory_equal(keys_at(k), &mark, sizeof mark);
    qsort(v, N, sizeof *v, by_hash);
    assert_found(k, v, N, v, N);
    assert_found(k, absent, N, NULL, 0);
    for (size_t i = 0; i < N; i += 97) /* one at a time: single blocks are read */
        assert_found(k, &v[i], 1, &v[i], 1);
    assert_found(k, &v[N - 1], 1, &v[N - 1], 1);
    keys_close(k);
    free(v);
    free(absent);
    drop_folder(dir);
}

/* Hashes that stand many times, over the borders of blocks and in several runs. */
static void equal_hashes_are_all_found(void **state ATTR_UNUSED) {
    enum { EACH = 700, HASHES = 5, N = EACH * HASHES };
    static const uint64_t hashes[HASHES] = {0, 1, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX};
    char *dir = new_folder();
    struct key *v = xmalloc(N * sizeof *v);
    for (int i = 0; i < N; i++)
        v[i] = (struct key){hashes[i % HASHES], i};
    struct keys *k = open_keys(dir);
    add(k, v, 2500);
    commit(k, 1);
    add(k, v + 2500, N - 2500);
    commit(k, 2);
    qsort(v, N, sizeof *v, by_hash);
    struct key asked[] = {{UINT64_MAX, 0}, {0, 0},         {2, 0},        {0, 5},
                          {1, 0},          {hashes[2], 0}, {hashes[3], 0}};
    assert_found(k, asked, ARRAY_LEN(asked), v, N);
    assert_found(k, &(struct key){1ULL << 63, 0}, 1, v + 2 * EACH, EACH);
    keys_close(k);
    free(v);
    drop_folder(dir);
}

/* More than fits in memory at once: many runs at one commit, many look-ups. */
static void more_than_the_buffer_holds(void **state ATTR_UNUSED) {
    enum { N = 4500000, ASKED = 2200000 };
    char *dir = new_folder();
    struct key *v = random_keys(N, 5);
    struct keys *k = open_keys(dir);
    add(k, v, 10);
    commit(k, 1);
    add(k, v + 10, N - 10);
    commit(k, 2);
    keys_close(k);
    k = open_whole(dir, 2, N);
    struct key_list found;
    struct err e;
    assert_ok(find(k, v, ASKED, &found, &e), &e);
    assert_int_equal(found.n, ASKED);
    key_list_release(&found);
    keys_close(k);
    free(v);
    drop_folder(dir);
}

static void what_was_not_committed_is_gone(void **state ATTR_UNUSED) {
    char *dir = new_folder();
    struct key *v = random_keys(5000, 3);
    struct keys *k = open_keys(dir);
    assert_null(keys_doubt(k));
    assert_int_equal(keys_version(k), -1);
    add(k, v, 1000);
    commit(k, 4);
    add(k, v + 1000, 1000);
    keys_close(k);
    k = open_whole(dir, 4, 1000);
    struct err e;
    assert_ok(keys_clear(k, &e), &e);
    assert_int_equal(keys_rows(k), 0);
    keys_close(k);
    k = open_whole(dir, -1, 0);
    assert_found(k, v, 5000, NULL, 0);
    assert_int_equal(count_files(dir), 1); /* the lock */
    keys_close(k);
    free(v);
    drop_folder(dir);
}

static void one_process_has_it(void **state ATTR_UNUSED) {
    char *dir = new_folder();
    struct keys *k = open_keys(dir), *second = NULL;
    struct err e;
    assert_int_equal(keys_open(dir, &owner, &second, &e), ERR_CONFLICT);
    assert_says(&e, dir);
    keys_close(k);
    keys_close(open_whole(dir, -1, 0));
    drop_folder(dir);
}

static void another_table_is_doubt(void **state ATTR_UNUSED) {
    static const struct keys_mark other = {{8}};
    char *dir = new_folder();
    struct keys *k = open_keys(dir);
    add(k, &(struct key){1, 1}, 1);
    commit(k, 0);
    keys_close(k);
    struct err e;
    assert_ok(keys_open(dir, &other, &k, &e), &e);
    assert_has(keys_doubt(k), "another table");
    assert_int_equal(keys_version(k), -1);
    keys_close(k);
    drop_folder(dir);
}

/* Killed at each point of a commit that merges: the old or the new, whole, and nothing lies about. */
static void killed_at_each_step(void **state ATTR_UNUSED) {
    static const struct {
        const char *point;
        int64_t version, rows;
    } at[] = {{"keys.merged", 1, 1000},
              {"keys.before_manifest", 1, 1000},
              {"keys.after_manifest", 2, 2500}};
    struct key *v = random_keys(2500, 11);
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        char *dir = new_folder();
        struct keys *k = open_keys(dir);
        add(k, v, 1000);
        commit(k, 1);
        keys_close(k);
        pid_t child = fork();
        if (child == 0) {
            struct err e;
            if (crash_at(at[i].point, &e) == 0 && keys_open(dir, &owner, &k, &e) == 0 &&
                keys_add(k, v + 1000, 1500, &e) == 0)
                keys_commit(k, 2, &mark, &e);
            _exit(1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        k = open_whole(dir, at[i].version, at[i].rows);
        assert_true(count_files(dir) <= 4); /* lock, manifest, a run; perhaps manifest.new */
        add(k, v + at[i].rows, (size_t)(2500 - at[i].rows));
        commit(k, 3);
        struct key sorted[2500];
        memcpy(sorted, v, sizeof sorted);
        qsort(sorted, 2500, sizeof *sorted, by_hash);
        assert_found(k, v, 2500, sorted, 2500);
        keys_close(k);
        drop_folder(dir);
    }
    free(v);
}

static struct buf read_whole(const char *path) {
    struct buf b = BUF_INIT(MIB);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    char part[4096];
    for (ssize_t n; (n = read(fd, part, sizeof part)) > 0;)
        buf_add(&b, part, (size_t)n);
    close(fd);
    return b;
}

static void write_whole(const char *path, const char *data, size_t n) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), n);
    close(fd);
}

enum { FIRST = 2000, SECOND = 1100, SMALL = FIRST + SECOND };

/* Two runs. The keys, sorted. */
static struct key *small_index(const char *dir) {
    struct key *v = random_keys(SMALL, 21);
    struct keys *k = open_keys(dir);
    add(k, v, FIRST);
    commit(k, 1);
    add(k, v + FIRST, SECOND);
    commit(k, 2);
    keys_close(k);
    qsort(v, SMALL, sizeof *v, by_hash);
    return v;
}

/* All are asked for at once, for which blocks are read; then a few, one by one, by their short hashes. */
static bool ask_all(struct keys *k, const struct key *v, struct err *e) {
    enum { STEP = 90 }; /* so each block is looked into */
    for (size_t i = 0, n = SMALL; i < SMALL; i += n == 1 ? STEP : 0, n = 1) {
        struct key_list found;
        int r = find(k, v + i, n, &found, e);
        size_t n_found = found.n;
        key_list_release(&found);
        if (r < 0)
            return false;
        assert_int_equal(n_found, n);
    }
    return true;
}

/* It says that it is damaged, or finds everything all the same. */
static void assert_no_lie(const char *dir, const struct key *v, bool *ret_told) {
    struct keys *k = open_keys(dir);
    struct err e;
    *ret_told = keys_doubt(k);
    if (*ret_told) {
        assert_int_equal(keys_rows(k), 0);
        assert_int_equal(keys_version(k), -1);
    } else if (!ask_all(k, v, &e)) {
        assert_int_equal(e.code, ERR_CHECK);
        *ret_told = true;
    }
    keys_close(k);
}

/* Each file in turn is spoiled in every way; then all files are put back. */
static void each_spoiled_byte_is_told(void **state ATTR_UNUSED) {
    static const char *const names[] = {"manifest", "1.run", "2.run"};
    char *dir = new_folder(), *paths[3];
    struct key *v = small_index(dir);
    struct buf files[3];
    for (int i = 0; i < 3; i++) {
        paths[i] = xasprintf("%s/%s", dir, names[i]);
        files[i] = read_whole(paths[i]);
    }
    bool told;
    for (int i = 0; i < 3; i++)
        for (size_t at = 0; at < files[i].len; at += i == 0 ? 1 : 61)
            for (int cut = 0; cut < 2; cut++) {
                for (int j = 0; j < 3; j++)
                    write_whole(paths[j], files[j].data, files[j].len);
                struct buf *b = &files[i];
                b->data[at] ^= 0x10;
                write_whole(paths[i], b->data, cut ? at : b->len);
                b->data[at] ^= 0x10;
                assert_no_lie(dir, v, &told);
                assert_true(told);
            }
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            write_whole(paths[j], files[j].data, files[j].len);
        assert_int_equal(unlink(paths[i]), 0);
        assert_int_equal(0, rename(paths[i == 2 ? 1 : 2], paths[i == 0 ? 1 : i])); /* another's */
        struct keys *k = open_keys(dir);
        assert_int_equal(keys_rows(k), 0);
        keys_close(k);
    }
    for (int i = 0; i < 3; i++) {
        free(paths[i]);
        buf_release(&files[i]);
    }
    free(v);
    drop_folder(dir);
}

/* A disk that is full in the middle of a run: an error, and what was there before is there. */
static void a_full_disk_is_an_error(void **state ATTR_UNUSED) {
    char *dir = new_folder();
    struct key *v = random_keys(20000, 31);
    struct keys *k = open_keys(dir);
    add(k, v, 1000);
    commit(k, 1);
    struct rlimit was, small;
    getrlimit(RLIMIT_FSIZE, &was);
    small = (struct rlimit){100 * KIB, was.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    struct err e;
    add(k, v + 1000, 19000);
    int r = keys_commit(k, 2, &mark, &e);
    setrlimit(RLIMIT_FSIZE, &was);
    assert_int_equal(r, ERR_STORAGE);
    assert_says(&e, dir);
    keys_close(k);
    k = open_whole(dir, 1, 1000);
    assert_int_equal(count_files(dir), 3);
    keys_close(k);
    free(v);
    drop_folder(dir);
}

static void a_path_that_is_no_folder(void **state ATTR_UNUSED) {
    char *file = file_with("x", 1);
    _cleanup_(freep) char *below = xasprintf("%s/index", file);
    struct keys *k = NULL;
    struct err e;
    assert_int_equal(keys_open(file, &owner, &k, &e), ERR_STORAGE);
    assert_int_equal(keys_open(below, &owner, &k, &e), ERR_STORAGE);
    assert_says(&e, file);
    file_drop(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_found_once),
        cmocka_unit_test(equal_hashes_are_all_found),
        cmocka_unit_test(more_than_the_buffer_holds),
        cmocka_unit_test(what_was_not_committed_is_gone),
        cmocka_unit_test(one_process_has_it),
        cmocka_unit_test(another_table_is_doubt),
        cmocka_unit_test(killed_at_each_step),
        cmocka_unit_test(each_spoiled_byte_is_told),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(a_path_that_is_no_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
