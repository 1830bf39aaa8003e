/* SPDX-License-Identifier: Apache-2.0 */
/* Lakes in a real S3 server, which checks every signature. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/helper.h"
#include "base/util.h"
#include "storage/local_fs.h"
#include "storage/s3_helper.h"

enum { PATIENCE_MS = 10000, LARGE = 40 * MIB + 17 };

static struct s3_server server;

static void *lake_new(void) {
    return s3_lake_new(server.url, server.bucket);
}

static struct storage *open_lake(void *lake) {
    return s3_lake_open(lake, PATIENCE_MS);
}

static void lake_free(void *lake) {
    s3_lake_free(lake);
}

struct bench {
    struct s3_lake *l;
    struct storage *st;
};

static struct bench begin(void) {
    struct bench b = {.l = lake_new()};
    b.st = open_lake(b.l);
    return b;
}

static void end(struct bench *b) {
    storage_free(b->st);
    lake_free(b->l);
}

/* A file of LARGE bytes, no two parts of it alike, in a new stage. */
static char *stage_large(struct storage *st, char dir[LIMIT_PATH], unsigned seed) {
    struct err e;
    assert_ok(storage_stage(st, dir, &e), &e);
    unsigned *data = xmalloc(LARGE + 4);
    for (size_t i = 0; i < LARGE / 4 + 1; i++)
        data[i] = seed = seed * 1664525 + 1013904223;
    char *local = xasprintf("%s/large", dir);
    make_file(local, data, LARGE);
    free(data);
    return local;
}

static void assert_same_file(const char *a, const char *b) {
    _cleanup_(freep) char *command = xasprintf("cmp -s '%s' '%s'", a, b);
    assert_int_equal(system(command), 0);
}

/* Where the server keeps this lake's objects: a file for each. */
static char *folder_of(const struct bench *b) {
    return xasprintf("%s/data/%s", server.folder, b->l->url + strlen("s3://"));
}

static void large_files_go_and_come_in_parts(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    char dir[LIMIT_PATH], got[LIMIT_PATH];
    _cleanup_(freep) char *local = stage_large(b.st, dir, 1);
    _cleanup_(freep) char *copy = xasprintf("%s/copy", dir);
    assert_int_equal(link(local, copy), 0);
    assert_ok(storage_publish(b.st, local, "t/large", &e), &e);
    struct storage_entry en;
    assert_ok(storage_stat(b.st, "t/large", &en, &e), &e);
    assert_int_equal(en.size, LARGE);
    /* Twice: known to the cache, and with an empty one. */
    for (int i = 0; i < 2; i++) {
        assert_ok(storage_localize(b.st, "t/large", LARGE, got, &e), &e);
        assert_same_file(got, copy);
        storage_unlocalize(b.st, "t/large");
        _cleanup_(freep) char *objects = xasprintf("%s/objects", b.l->cache);
        fs_remove_tree(objects);
    }
    storage_unstage(b.st, dir);
    end(&b);
}

/* The most memory this process had since the last call, in bytes. */
static int64_t peak(void) {
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    int64_t kib = -1;
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoll(line + 6, NULL, 10);
    assert_non_null(f);
    fclose(f);
    assert_true(kib > 0);
    f = fopen("/proc/self/clear_refs", "we");
    assert_non_null(f);
    fputs("5", f);
    fclose(f);
    return kib * KIB;
}

/* All lanes at once: what is in memory is buffers, not files. */
static void many_large_files_need_little_memory(void **state ATTR_UNUSED) {
    enum { FILES = 8, BOUND = 96 * MIB };
    struct bench b = begin();
    struct err e;
    struct storage_file v[FILES] = {0};
    char dir[LIMIT_PATH];
    assert_ok(storage_stage(b.st, dir, &e), &e);
    for (int i = 0; i < FILES; i++) {
        v[i] = (struct storage_file){
            .path = xasprintf("t/%d", i), .local = xasprintf("%s/%d", dir, i), .size = LARGE};
        int fd = open(v[i].local, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        assert_true(fd >= 0 && ftruncate(fd, LARGE) == 0); /* zeros, which need no disk */
        close(fd);
    }
    peak();
    int64_t before = peak();
    assert_ok(storage_publish_all(b.st, v, FILES, &e), &e);
    int64_t sent = peak() - before;
    _cleanup_(freep) char *objects = xasprintf("%s/objects", b.l->cache);
    fs_remove_tree(objects);
    for (int i = 0; i < FILES; i++)
        free(TAKE_PTR(v[i].local));
    peak();
    before = peak();
    assert_ok(storage_localize_all(b.st, v, FILES, &e), &e);
    int64_t came = peak() - before;
    print_message("%d MiB sent with %lld MiB of memory, fetched with %lld\n", FILES * LARGE / MIB,
                  (long long)(sent / MIB), (long long)(came / MIB));
    assert_true(sent < BOUND && came < BOUND);
    for (int i = 0; i < FILES; i++) {
        storage_unlocalize(b.st, v[i].path);
        free(v[i].local);
        free(v[i].path);
    }
    storage_unstage(b.st, dir);
    end(&b);
}

static void large_files_never_replace(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    char dir[LIMIT_PATH], got[LIMIT_PATH];
    _cleanup_(freep) char *first = stage_large(b.st, dir, 1);
    _cleanup_(freep) char *copy = xasprintf("%s/copy", dir);
    assert_int_equal(link(first, copy), 0);
    assert_ok(storage_publish(b.st, first, "t/large", &e), &e);
    _cleanup_(freep) char *second = stage_large(b.st, dir, 2);
    assert_int_equal(storage_publish(b.st, second, "t/large", &e), ERR_EXISTS);
    assert_ok(storage_localize(b.st, "t/large", LARGE, got, &e), &e);
    assert_same_file(got, copy);
    storage_unlocalize(b.st, "t/large");
    /* The very same file once more is no other: its answer may have been lost. */
    _cleanup_(freep) char *again = stage_large(b.st, dir, 1);
    assert_ok(storage_publish(b.st, again, "t/large", &e), &e);
    /* What was sent in vain is not kept. */
    _cleanup_(freep) char *uploads =
        xasprintf("find '%s/data' -path '*multipart*' -type f | grep -q .", server.folder);
    assert_int_not_equal(system(uploads), 0);
    end(&b);
}

/* kill -9 around the request that puts the parts together. */
static void a_killed_upload_is_all_or_nothing(void **state ATTR_UNUSED) {
    static const char *const points[] = {"s3.before_file", "s3.after_file"};
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        struct bench b = begin();
        char dir[LIMIT_PATH];
        struct storage_entry en;
        struct err e;
        _cleanup_(freep) char *local = stage_large(b.st, dir, 1);
        pid_t child = fork();
        if (child == 0) {
            struct storage *st = open_lake(b.l);
            crash_at(points[i], &e);
            storage_publish(st, local, "t/large", &e);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(storage_stat(b.st, "t/large", &en, &e), i ? 0 : ERR_NOT_FOUND);
        assert_ok(storage_publish(b.st, local, "t/large", &e), &e); /* ours, or not there */
        assert_ok(storage_stat(b.st, "t/large", &en, &e), &e);
        assert_int_equal(en.size, LARGE);
        storage_unstage(b.st, dir);
        end(&b);
    }
}

static void long_lists_come_in_pages(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    put_text(b.st, "t/0", "x");
    _cleanup_(freep) char *folder = folder_of(&b);
    for (int i = 1; i < 2300; i++) {
        _cleanup_(freep) char *file = xasprintf("%s/t/%d", folder, i);
        int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        assert_true(fd >= 0);
        close(fd);
    }
    struct storage_entries l = {0};
    assert_ok(storage_list(b.st, "t", NULL, &l, &e), &e);
    assert_int_equal(l.n, 2300);
    for (size_t i = 1; i < l.n; i++)
        assert_true(strcmp(l.v[i - 1].name, l.v[i].name) < 0);
    assert_ok(storage_list(b.st, "t", "5", &l, &e), &e);
    assert_int_equal(l.n, 5 * 111 - 1);
    storage_entries_release(&l);
    end(&b);
}

static void what_others_put_there_is_seen(void **state ATTR_UNUSED) {
    struct bench b = begin();
    put_text(b.st, "t/0", "x");
    _cleanup_(freep) char *folder = folder_of(&b);
    const char *names[] = {"a b", "a+b", "a%20b", "\303\251", ".hidden", "z&<>"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_(freep) char *file = xasprintf("%s/t/%s", folder, names[i]);
        make_file(file, "y", 1);
    }
    char *seen = names_in(b.st, "t", NULL);
    assert_string_equal(seen, "0 a b a%20b a+b z&<> \303\251");
    free(seen);
    end(&b);
}

/* ---- what is wrong is said ---- */

static void assert_refused(const struct s3_lake *l, const char *says, const char *hint) {
    struct storage *st = s3_lake_open(l, 1000);
    struct storage_entries list = {0};
    struct storage_entry en;
    struct buf b = BUF_INIT(100);
    struct err e[4];
    const char *secret = getenv("AWS_SECRET_ACCESS_KEY");
    assert_int_equal(storage_put_new(st, "t/0", "x", 1, &e[0]), ERR_STORAGE);
    assert_int_equal(storage_list(st, "t", NULL, &list, &e[1]), ERR_STORAGE);
    assert_int_equal(storage_get(st, "t/0", &b, &e[2]), ERR_STORAGE);
    int r = storage_stat(st, "t/0", &en, &e[3]);
    size_t n = r == ERR_NOT_FOUND ? 3 : 4; /* HEAD does not tell a missing bucket */
    for (size_t i = 0; i < n; i++) {
        if (!strstr(e[i].msg, says) || !strstr(e[i].hint, hint))
            fail_msg("%zu: %s HINT: %s", i, e[i].msg, e[i].hint);
        assert_false(e[i].retry);
        assert_null(strstr(e[i].msg, secret));
        assert_null(strstr(e[i].hint, secret));
    }
    storage_free(st);
}

static void wrong_keys_are_told(void **state ATTR_UNUSED) {
    struct s3_lake *l = lake_new();
    _cleanup_(freep) char *id = xstrdup(getenv("AWS_ACCESS_KEY_ID")),
                          *secret = xstrdup(getenv("AWS_SECRET_ACCESS_KEY"));
    s3_test_keys(id, "quite-another-secret", NULL);
    assert_refused(l, "SignatureDoesNotMatch", "not those of this store");
    s3_test_keys("nobody", "quite-another-secret", NULL);
    assert_refused(l, "XAdminUserNotFound", "not those of this store");
    s3_test_keys(id, secret, NULL);
    lake_free(l);
}

static void a_wrong_region_is_told(void **state ATTR_UNUSED) {
    struct s3_lake *l = lake_new();
    setenv("AWS_REGION", "eu-central-1", 1);
    assert_refused(l, "400", "us-east-1");
    unsetenv("AWS_REGION");
    lake_free(l);
}

static void a_missing_bucket_is_told(void **state ATTR_UNUSED) {
    struct s3_lake *l = s3_lake_new(server.url, "no-such-bucket");
    assert_refused(l, "NoSuchBucket", "make the bucket 'no-such-bucket' first");
    lake_free(l);
}

/* ---- the server goes, and comes back ---- */

static atomic_bool restarted;

static void *restart(void *arg ATTR_UNUSED) {
    for (int i = 0; i < 3; i++) {
        usleep(150000);
        s3_server_do(&server, "restart");
    }
    atomic_store(&restarted, true);
    return NULL;
}

/* Until the restarts are over; says what was tried again. */
static void put_and_get(const void *arg) {
    const struct bench *b = arg;
    struct err e;
    int n = 0;
    for (; !atomic_load(&restarted) || n <= 3; n++) {
        _cleanup_(freep) char *path = xasprintf("t/%d", n), *data = xmalloc(MIB);
        memset(data, 'a' + n % 26, MIB);
        int r = storage_put_new(b->st, path, data, MIB, &e);
        assert_true(r == 0 || r == ERR_EXISTS); /* an answer got lost */
        struct buf got = BUF_INIT(MIB);
        assert_ok(storage_get(b->st, path, &got, &e), &e);
        assert_int_equal(got.len, MIB);
        assert_memory_equal(got.data, data, MIB);
        buf_release(&got);
    }
}

static void a_server_that_is_killed_costs_patience_only(void **state ATTR_UNUSED) {
    struct bench b = begin();
    pthread_t t;
    put_text(b.st, "t/first", "x");
    pthread_create(&t, NULL, restart, NULL);
    char *said = printed_on(STDERR_FILENO, put_and_get, &b);
    pthread_join(t, NULL);
    if (!strstr(said, "trying again")) /* else no restart met a request */
        fail_msg("nothing was tried again: %s", said);
    free(said);
    end(&b);
}

static void a_server_that_is_away_is_an_error_that_can_pass(void **state ATTR_UNUSED) {
    struct s3_lake *l = s3_lake_new("http://127.0.0.1:1", server.bucket);
    struct storage *st = s3_lake_open(l, 300);
    struct err e;
    int64_t start = clock_mono_ns();
    assert_int_equal(storage_put_new(st, "t/0", "x", 1, &e), ERR_STORAGE);
    assert_true(e.retry);
    assert_false(e.unsure);
    assert_true(clock_mono_ns() - start >= 250000000LL);
    storage_free(st);
    lake_free(l);
}

int main(void) {
    static const struct storage_driver driver = {.name = "storage/s3",
                                                 .lake_new = lake_new,
                                                 .open = open_lake,
                                                 .lake_free = lake_free,
                                                 .no_folders = true};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_files_go_and_come_in_parts),
        cmocka_unit_test(many_large_files_need_little_memory),
        cmocka_unit_test(large_files_never_replace),
        cmocka_unit_test(a_killed_upload_is_all_or_nothing),
        cmocka_unit_test(long_lists_come_in_pages),
        cmocka_unit_test(what_others_put_there_is_seen),
        cmocka_unit_test(wrong_keys_are_told),
        cmocka_unit_test(a_wrong_region_is_told),
        cmocka_unit_test(a_missing_bucket_is_told),
        cmocka_unit_test(a_server_that_is_killed_costs_patience_only),
        cmocka_unit_test(a_server_that_is_away_is_an_error_that_can_pass),
    };
    setenv("NO_PROXY", "127.0.0.1", 1);
    s3_server_new(&server);
    int failed = storage_conformance(&driver);
    failed += cmocka_run_group_tests_name("storage/s3 and its server", tests, NULL, NULL);
    s3_server_free(&server);
    return failed;
}
