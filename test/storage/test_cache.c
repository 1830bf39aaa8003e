/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local cache of lakes that are far away: what it gives is what the lake holds, whatever happened
 * to the cache's files.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "storage/far.h"
#include "storage/local_fs.h"

static int link_fails;      /* errno of every link(2); 0: it works */
static int fallocate_fails; /* likewise */

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wredundant-decls"
int link(const char *from, const char *to) {
    errno = link_fails;
    return link_fails ? -1 : (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int fallocate(int fd, int mode, off_t offset, off_t len) {
    errno = fallocate_fails;
    return fallocate_fails ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

static void an_object_is_fetched_once(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    const char *path = "t/1-3000";
    use(b->c, path);
    use(b->c, path);
    use_elsewhere(b, path);
    assert_int_equal(b->far.fetches, 1);
    assert_int_equal(b->far.looks, 0);
    /* Another lake that shares the folder has other objects. */
    struct cache *other = open_cache(b, "far://lake2");
    use(other, path);
    assert_int_equal(b->far.fetches, 2);
    cache_free(other);
    end(b);
}

static void what_is_not_there_is_not_found(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    char local[LIMIT_PATH] = "untouched";
    struct err e;
    assert_int_equal(cache_localize(b->c, "t/gone-5", 5, local, &e), ERR_NOT_FOUND);
    assert_int_equal(cache_localize(b->c, "t/gone-5", -1, local, &e), ERR_NOT_FOUND);
    assert_string_equal(local, "untouched");
    end(b);
}

static void the_local_name_ends_like_the_objects(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    char local[LIMIT_PATH];
    struct err e;
    const char *path = "t/2/day=2024-01-01/part-30";
    assert_ok(cache_localize(b->c, path, 30, local, &e), &e);
    assert_string_equal(local + strlen(local) - strlen(path), path);
    cache_unlocalize(b->c, path);
    assert_int_equal(access(local, F_OK), -1);
    end(b);
}

static void a_localized_object_has_as_many_users_as_asked(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    char local[LIMIT_PATH];
    struct err e;
    const char *path = "t/1-3000";
    hold(b->c, path);
    assert_ok(cache_localize(b->c, path, -1, local, &e), &e);
    assert_int_equal(cache_localize(b->c, path, 2999, local, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "3000 bytes, not the 2999 it was written with"));
    cache_unlocalize(b->c, path);
    assert_bytes(local, path, 0);
    cache_unlocalize(b->c, path);
    assert_int_equal(access(local, F_OK), -1);
    assert_int_equal(b->far.fetches, 1);
    end(b);
}

static void an_object_of_another_size_is_an_error(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    char local[LIMIT_PATH];
    struct err e;
    assert_int_equal(cache_localize(b->c, "t/1-3000", 2999, local, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "far://lake/t/1-3000 has 3000 bytes, not the 2999"));
    assert_int_equal(each_entry(b, NULL, NULL), 0);
    end(b);
}

/* What may have happened to an entry's file. */
static void cut(const char *file, void *arg ATTR_UNUSED) {
    assert_int_equal(truncate(file, 2999), 0);
}

static void lengthen(const char *file, void *arg ATTR_UNUSED) {
    assert_int_equal(truncate(file, 3001), 0);
}

static void empty(const char *file, void *arg ATTR_UNUSED) {
    assert_int_equal(truncate(file, 0), 0);
}

static void flip_a_bit(const char *file, void *arg ATTR_UNUSED) {
    int fd = open(file, O_RDWR | O_CLOEXEC);
    char c;
    assert_int_equal(pread(fd, &c, 1, 1500), 1);
    c ^= 1;
    assert_int_equal(pwrite(fd, &c, 1, 1500), 1);
    close(fd);
}

static void make_a_folder_of_it(const char *file, void *arg ATTR_UNUSED) {
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkdir(file, 0777), 0);
}

static void damaged_entries_are_fetched_anew(void **state ATTR_UNUSED) {
    void (*const damages[])(const char *, void *) = {cut, lengthen, empty, flip_a_bit, replace};
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        struct bench *b = begin();
        use(b->c, "t/1-3000");
        assert_int_equal(each_entry(b, damages[i], NULL), 1);
        use(b->c, "t/1-3000");
        assert_int_equal(b->far.fetches, 2);
        use_elsewhere(b, "t/1-3000"); /* it is mended */
        assert_int_equal(b->far.fetches, 2);
        assert_int_equal(each_entry(b, NULL, NULL), 1);
        end(b);
    }
}

static void what_cannot_be_mended_is_an_error(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    char local[LIMIT_PATH];
    struct err e;
    use(b->c, "t/1-3000");
    each_entry(b, make_a_folder_of_it, NULL);
    assert_int_equal(cache_localize(b->c, "t/1-3000", 3000, local, &e), ERR_STORAGE);
    assert_non_null(strstr(e.hint, "cache.dir"));
    end(b);
}

static void files_that_are_not_ours_are_left_alone(void **state ATTR_UNUSED) {
    static const char *const names[] = {
        "notes.txt",
        "0123456789012345678901234567890123456789-5-00000000-0123456789abcde",
        "0123456789012345678901234567890123456789-5-00000000-0123456789abcdef0",
        "0123456789012345678901234567890123456789--5-00000000-0123456789abcdef",
        "0123456789012345678901234567890123456789-99999999999999999999-00000000-0123456789abcdef",
        "012345678901234567890123456789012345678X-5-00000000-0123456789abcdef",
        "-",
        "5"};
    struct bench *b = begin();
    _cleanup_(freep) char *folder = xasprintf("%s/objects/012", b->dir);
    struct err e;
    assert_ok(fs_mkdirs(folder, &e), &e);
    _cleanup_(freep) char *big = bytes_of("t/1-200000", 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_(freep) char *file = xasprintf("%s/%s", folder, names[i]);
        make_file(file, big, 2 * ROOM);
    }
    for (int i = 0; i < 20; i++) { /* twice the room: something has to go */
        _cleanup_(freep) char *path = xasprintf("t/%d-%d", i, 10 * KB);
        use(b->c, path);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_(freep) char *file = xasprintf("%s/%s", folder, names[i]);
        assert_int_equal(access(file, F_OK), 0);
    }
    end(b);
}

static void an_object_made_anew_is_told_by_its_etag(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    char local[LIMIT_PATH];
    struct err e;
    const char *path = "t/1-3000";
    for (int i = 0; i < 2; i++) {
        assert_ok(cache_localize(b->c, path, -1, local, &e), &e);
        assert_bytes(local, path, 0);
        cache_unlocalize(b->c, path);
    }
    assert_int_equal(b->far.fetches, 1);
    assert_int_equal(b->far.looks, 2);
    b->far.etag = "\"two\"";
    b->far.shift = 1;
    assert_ok(cache_localize(b->c, path, -1, local, &e), &e);
    assert_bytes(local, path, 1);
    cache_unlocalize(b->c, path);
    assert_int_equal(b->far.fetches, 2);
    end(b);
}

static void an_object_without_an_etag_is_fetched_each_time(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    char local[LIMIT_PATH];
    struct err e;
    const char *path = "t/1-3000";
    b->far.etag = "";
    for (int i = 0; i < 2; i++) {
        b->far.shift = i;
        assert_ok(cache_localize(b->c, path, -1, local, &e), &e);
        assert_bytes(local, path, i);
        cache_unlocalize(b->c, path);
    }
    assert_int_equal(b->far.fetches, 2);
    end(b);
}

static void a_failed_fetch_leaves_nothing(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    char local[LIMIT_PATH] = "untouched";
    struct err e;
    b->far.fail = 1;
    assert_int_equal(cache_localize(b->c, "t/1-3000", 3000, local, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "fell silent"));
    assert_string_equal(local, "untouched");
    assert_int_equal(each_entry(b, NULL, NULL), 0);
    use(b->c, "t/1-3000");
    cache_free(b->c);
    _cleanup_(freep) char *stage = xasprintf("%s/.stage", b->dir);
    _cleanup_(freep) char *left = files_below(stage);
    assert_string_equal(left, ".lock");
    b->c = open_cache(b, "far://lake");
    end(b);
}

static void what_can_pass_is_tried_again(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    b->far.st.patience_ms = 60000;
    b->far.fail = 2;
    use(b->c, "t/1-3000");
    assert_int_equal(b->far.fetches, 3);
    end(b);
}

static void assert_full(struct bench *b, int *fails) {
    char local[LIMIT_PATH] = "untouched";
    struct err e;
    *fails = ENOSPC;
    int r = cache_localize(b->c, "t/1-3000", 3000, local, &e);
    *fails = 0;
    assert_int_equal(r, ERR_STORAGE);
    assert_has(e.msg, "disk full");
    assert_has(e.hint, "cache.dir");
    assert_string_equal(local, "untouched");
}

static void a_full_disk_is_told(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    assert_full(b, &fallocate_fails);
    assert_int_equal(b->far.fetches, 0); /* not a byte is asked for in vain */
    assert_full(b, &link_fails);
    use(b->c, "t/1-3000");
    end(b);
}

static void a_file_system_that_keeps_no_room_will_do(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    fallocate_fails = EOPNOTSUPP;
    use(b->c, "t/1-3000");
    fallocate_fails = 0;
    end(b);
}

static void a_folder_that_cannot_be_made_is_told(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    cache_free(b->c);
    _cleanup_(freep) char *file = xasprintf("%s/file", b->dir);
    make_file(file, "x", 1);
    b->c = open_cache_in(b, file);
    char local[LIMIT_PATH];
    struct err e;
    assert_int_equal(cache_localize(b->c, "t/1-3000", 3000, local, &e), ERR_STORAGE);
    assert_non_null(strstr(e.hint, "cache.dir"));
    assert_int_equal(cache_stage(b->c, local, &e), ERR_STORAGE);
    assert_non_null(strstr(e.hint, "cache.dir"));
    end(b);
}

/* ---- what was made here ---- */

static void a_published_file_is_kept(void **state ATTR_UNUSED) {
    struct bench *b = begin();
    char dir[LIMIT_PATH];
    struct err e;
    assert_ok(cache_stage(b->c, dir, &e), &e);
    _cleanup_(freep) char *local = xasprintf("%s/made", dir);
    _cleanup_(freep) char *data = bytes_of("t/1-3000", 0);
    make_file(local, data, 3000);
    struct cache_object object = {.size = 3000, .etag = "\"one\""};
    cache_keep(b->c, "t/1-3000", local, &object);
    assert_int_equal(access(local, F_OK), -1);
    cache_unstage(b->c, dir);
    assert_int_equal(access(dir, F_OK), -1);
    use(b->c, "t/1-3000");
    assert_int_equal(b->far.fetches, 0);
    /* One that has another size than was said was not what was published. */
    _cleanup_(freep) char *other = xasprintf("%s/other", b->dir);
    make_file(other, data, 2000);
    cache_keep(b->c, "t/2-3000", other, &object);
    assert_int_equal(access(other, F_OK), -1);
    assert_int_equal(each_entry(b, NULL, NULL), 1);
    end(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_fetched_once),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(the_local_name_ends_like_the_objects),
        cmocka_unit_test(a_localized_object_has_as_many_users_as_asked),
        cmocka_unit_test(an_object_of_another_size_is_an_error),
        cmocka_unit_test(damaged_entries_are_fetched_anew),
        cmocka_unit_test(what_cannot_be_mended_is_an_error),
        cmocka_unit_test(files_that_are_not_ours_are_left_alone),
        cmocka_unit_test(an_object_made_anew_is_told_by_its_etag),
        cmocka_unit_test(an_object_without_an_etag_is_fetched_each_time),
        cmocka_unit_test(a_failed_fetch_leaves_nothing),
        cmocka_unit_test(what_can_pass_is_tried_again),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(a_file_system_that_keeps_no_room_will_do),
        cmocka_unit_test(a_folder_that_cannot_be_made_is_told),
        cmocka_unit_test(a_published_file_is_kept),
    };
    log_setup(LOG_ERROR, false); /* damage is logged */
    return cmocka_run_group_tests_name("storage/cache", tests, NULL, NULL);
}
