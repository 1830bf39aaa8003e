/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is special about local disk: the order of syncs that durability hangs on, errors of the
 * disk, the stage of processes that died. The system calls of the driver end in this file, which
 * notes them, passes them on, or fails them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/helper.h"

/* The calls so far, one a line: "fsync <path>", "link <from> <to>", … */
static struct buf calls = BUF_INIT(MIB);

/* One call to fail: the `skip`+1-th that `name` holds the name of. */
static struct {
    const char *name;
    int errnum, skip;
    bool after;    /* done, and yet an error */
    bool for_good; /* every one from then on */
} spoil;
static size_t longest_write; /* 0: as asked */

static bool spoiled(const char *name) {
    if (!spoil.name || !strstr(spoil.name, name) || spoil.skip-- > 0)
        return false;
    spoil.skip = 0;
    if (!spoil.for_good)
        spoil.name = NULL;
    errno = spoil.errnum;
    return true;
}

static void fail_call(const char *name, int errnum, int skip) {
    spoil.name = name;
    spoil.errnum = errnum;
    spoil.skip = skip;
    spoil.after = spoil.for_good = false;
}

static void forget_calls(void) {
    buf_reset(&calls);
    spoil.name = NULL;
    longest_write = 0;
}

static const char *path_of(int fd, char out[LIMIT_PATH]) {
    char proc[40];
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(proc, out, LIMIT_PATH - 1);
    out[n < 0 ? 0 : n] = '\0';
    return out;
}

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wredundant-decls"

ssize_t write(int fd, const void *data, size_t len) {
    if (fd > 2 && spoiled("write"))
        return -1;
    if (fd > 2 && longest_write)
        len = MIN(len, longest_write);
    return syscall(SYS_write, fd, data, len);
}

int fsync(int fd) {
    char path[LIMIT_PATH];
    buf_addf(&calls, "fsync %s\n", path_of(fd, path));
    if (spoiled("fsync"))
        return -1;
    return (int)syscall(SYS_fsync, fd);
}

int link(const char *from, const char *to) {
    buf_addf(&calls, "link %s %s\n", from, to);
    bool fails = spoiled("link");
    int errnum = errno;
    if (fails && !spoil.after)
        return -1;
    int r = (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
    errno = fails ? errnum : errno;
    return fails ? -1 : r;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    buf_addf(&calls, "renameat2 %s %s\n", from, to);
    if (spoiled("renameat2"))
        return -1;
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int rename(const char *from, const char *to) {
    buf_addf(&calls, "rename %s %s\n", from, to);
    if (spoiled("rename"))
        return -1;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int mkdir(const char *path, mode_t mode) {
    buf_addf(&calls, "mkdir %s\n", path);
    if (spoiled("mkdir"))
        return -1;
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int unlink(const char *path) {
    buf_addf(&calls, "unlink %s\n", path);
    if (spoiled("unlink"))
        return -1;
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

struct bench {
    char *folder;
    struct storage *st;
};

static struct bench begin(void) {
    struct bench b = {.folder = lake_folder_new()};
    b.st = lake_open(b.folder);
    forget_calls();
    return b;
}

static void end(struct bench *b) {
    forget_calls();
    storage_free(b->st);
    lake_folder_free(b->folder);
}

/* The calls, in this order, with others in between allowed; @ in them is the lake's folder. */
static void assert_calls(const struct bench *b, const char *const *want, size_t n) {
    const char *at = buf_str(&calls);
    for (size_t i = 0; i < n; i++) {
        _cleanup_(freep) char *line = NULL;
        struct buf w = BUF_INIT(2 * LIMIT_PATH);
        for (const char *p = want[i]; *p; p++) {
            if (*p == '@')
                buf_add_str(&w, b->folder);
            else
                buf_add_char(&w, *p);
        }
        line = buf_detach(&w);
        const char *found = strstr(at, line);
        if (!found)
            fail_msg("missing after the ones before: %s\nin:\n%s", line, buf_str(&calls));
        at = found + strlen(line);
    }
}
#define assert_order(b, ...)                                                                       \
    assert_calls(b, (const char *const[]){__VA_ARGS__},                                            \
                 ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

/* Nothing is left in the lake but these files, and our own lock. */
static void assert_files(const struct bench *b, const char *want) {
    _cleanup_(freep) char *files = files_below(b->folder);
    struct buf seen = BUF_INIT(MIB);
    char *save, *part = strtok_r(files, " ", &save);
    for (; part; part = strtok_r(NULL, " ", &save)) {
        size_t n = strlen(part);
        if (strcmp(part, ".stage/.lock") == 0 || (n > 5 && strcmp(part + n - 5, "/lock") == 0))
            continue;
        buf_addf(&seen, "%s%s", seen.len ? " " : "", part);
    }
    assert_string_equal(buf_str(&seen), want);
    buf_release(&seen);
}

static void a_new_object_is_synced_before_and_after_it_has_its_name(void **state ATTR_UNUSED) {
    struct bench b = begin();
    put_text(b.st, "t/_delta_log/0.json", "{}");
    assert_order(&b, "fsync @/.stage/", "link @/.stage/", " @/t/_delta_log/0.json\n",
                 "fsync @/t/_delta_log\n");
    assert_order(&b, "mkdir @/t\n", "fsync @\n", "mkdir @/t/_delta_log\n", "fsync @/t\n", "link ");
    forget_calls();
    put_text(b.st, "t/_delta_log/1.json", "{}");
    assert_order(&b, "fsync @/.stage/", "link ", " @/t/_delta_log/1.json\n",
                 "fsync @/t/_delta_log\n");
    assert_null(strstr(buf_str(&calls), "mkdir")); /* known to be there, and durable */
    end(&b);
}

static void folders_others_made_are_synced_too(void **state ATTR_UNUSED) {
    struct bench b = begin();
    _cleanup_(freep) char *dir = xasprintf("%s/t", b.folder);
    assert_int_equal(mkdir(dir, 0777), 0);
    forget_calls();
    put_text(b.st, "t/0.json", "{}");
    assert_order(&b, "fsync @\n", "link ", "fsync @/t\n");
    end(&b);
}

/* A file "part" in a new staging folder. The caller frees its path. */
static char *staged_part(struct bench *b, char dir[LIMIT_PATH]) {
    struct err e;
    assert_ok(storage_stage(b->st, dir, &e), &e);
    char *local = xasprintf("%s/part", dir);
    make_file(local, "rows", 4);
    return local;
}

static void published_files_are_synced(void **state ATTR_UNUSED) {
    struct bench b = begin();
    char dir[LIMIT_PATH];
    struct err e;
    _cleanup_(freep) char *local = staged_part(&b, dir);
    forget_calls();
    assert_ok(storage_publish(b.st, local, "t/day=1/part", &e), &e);
    assert_order(&b, "fsync @/.stage/", "link @/.stage/", " @/t/day=1/part\n", "fsync @/t/day=1\n",
                 "unlink @/.stage/");
    storage_unstage(b.st, dir);
    assert_files(&b, "t/day=1/part");
    end(&b);
}

static void publish_can_be_repeated_after_each_failure(void **state ATTR_UNUSED) {
    static const struct {
        const char *call;
        int skip;
    } cases[] = {{"fsync", 0}, {"mkdir", 0}, {"fsync", 1}, {"link", 0}, {"fsync", 2}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b = begin();
        char dir[LIMIT_PATH];
        struct err e;
        _cleanup_(freep) char *local = staged_part(&b, dir);
        fail_call(cases[i].call, EIO, cases[i].skip);
        assert_int_equal(storage_publish(b.st, local, "t/part", &e), ERR_STORAGE);
        assert_null(spoil.name); /* it was met */
        assert_ok(storage_publish(b.st, local, "t/part", &e), &e);
        _cleanup_(freep) char *text = get_text(b.st, "t/part");
        assert_string_equal(text, "rows");
        assert_int_equal(access(local, F_OK), -1);
        /* Somebody else's file is still never replaced. */
        make_file(local, "other", 5);
        assert_int_equal(storage_publish(b.st, local, "t/part", &e), ERR_EXISTS);
        storage_unstage(b.st, dir);
        end(&b);
    }
}

static void put_and_remove_are_synced(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    assert_ok(storage_put(b.st, "t/last", "1", 1, &e), &e);
    forget_calls();
    assert_ok(storage_put(b.st, "t/last", "2", 1, &e), &e);
    assert_order(&b, "fsync @/.stage/", "rename ", " @/t/last\n", "fsync @/t\n");
    forget_calls();
    assert_ok(storage_remove(b.st, "t/last", &e), &e);
    assert_order(&b, "unlink @/t/last\n", "fsync @/t\n");
    end(&b);
}

static void short_writes_are_continued(void **state ATTR_UNUSED) {
    struct bench b = begin();
    longest_write = 7;
    fail_call("write", EINTR, 2);
    put_text(b.st, "t/object", "a text that takes a few writes of seven bytes");
    forget_calls();
    char *text = get_text(b.st, "t/object");
    assert_string_equal(text, "a text that takes a few writes of seven bytes");
    free(text);
    end(&b);
}

/* Every call that put_new makes, failing in every way a disk can: an error and nothing left. */
static void a_failing_disk_leaves_nothing_behind(void **state ATTR_UNUSED) {
    static const struct {
        const char *call;
        int errnum, skip;
        const char *message, *hint;
    } cases[] = {
        {"write", ENOSPC, 0, "disk full", "free some space"},
        {"write", ENOSPC, 3, "disk full", "nothing of this was committed"},
        {"write", EDQUOT, 1, "disk full", "free some space"},
        {"write", EIO, 0, "Input/output error", ""},
        {"fsync", EIO, 0, "Input/output error", ""},
        {"fsync", ENOSPC, 0, "disk full", "free some space"},
        {"mkdir", ENOSPC, 0, "disk full", "free some space"},
        {"mkdir", EROFS, 0, "Read-only", "remount"},
        {"mkdir", EACCES, 0, "Permission denied", "user id"},
        {"link", EACCES, 0, "Permission denied", "user id"},
        {"link", ENOSPC, 0, "disk full", "free some space"},
        {"link", EXDEV, 0, "cross-device", "one file system"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b = begin();
        struct err e;
        put_text(b.st, "old/object", "x"); /* so that the stage is there */
        longest_write = 7;
        fail_call(cases[i].call, cases[i].errnum, cases[i].skip);
        assert_int_equal(
            storage_put_new(b.st, "new/object", "a text of more than four writes", 31, &e),
            ERR_STORAGE);
        assert_null(spoil.name);
        if (!strcasestr(e.msg, cases[i].message) || !strstr(e.hint, cases[i].hint))
            fail_msg("%s: %s\nHINT: %s", cases[i].call, e.msg, e.hint);
        assert_files(&b, "old/object");
        forget_calls();
        put_text(b.st, "new/object", "and then it works");
        assert_files(&b, "new/object old/object");
        end(&b);
    }
}

static void a_failing_put_keeps_the_old_object(void **state ATTR_UNUSED) {
    static const struct {
        const char *call;
        int skip;
    } cases[] = {{"write", 0}, {"write", 2}, {"fsync", 0}, {"rename", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b = begin();
        struct err e;
        assert_ok(storage_put(b.st, "t/last", "old", 3, &e), &e);
        longest_write = 7;
        fail_call(cases[i].call, ENOSPC, cases[i].skip);
        assert_int_equal(storage_put(b.st, "t/last", "a new and longer text", 21, &e), ERR_STORAGE);
        assert_null(spoil.name);
        char *text = get_text(b.st, "t/last");
        assert_string_equal(text, "old");
        free(text);
        assert_files(&b, "t/last");
        end(&b);
    }
}

static void an_unsynced_folder_is_an_error_though_the_object_shows(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    put_text(b.st, "t/0", "x");
    fail_call("fsync", EIO, 1); /* the first is the file's */
    assert_int_equal(storage_put_new(b.st, "t/1", "y", 1, &e), ERR_STORAGE);
    assert_files(&b, "t/0 t/1");
    end(&b);
}

static void without_hard_links_a_rename_does_it(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    fail_call("link", EPERM, 0);
    spoil.for_good = true;
    put_text(b.st, "t/0", "first");
    assert_order(&b, "link ", "renameat2 ", "fsync @/t\n");
    assert_int_equal(storage_put_new(b.st, "t/0", "second", 6, &e), ERR_EXISTS);
    char *text = get_text(b.st, "t/0");
    assert_string_equal(text, "first");
    free(text);
    assert_files(&b, "t/0");
    end(&b);
}

static void a_disk_with_neither_is_refused(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    put_text(b.st, "t/0", "x");
    fail_call("link or renameat2", EOPNOTSUPP, 0);
    spoil.for_good = true;
    assert_int_equal(storage_put_new(b.st, "t/1", "y", 1, &e), ERR_STORAGE);
    assert_non_null(strstr(e.hint, "lake.url"));
    assert_files(&b, "t/0");
    end(&b);
}

static void a_link_whose_answer_was_lost_counts(void **state ATTR_UNUSED) {
    for (int i = 0; i < 2; i++) {
        struct bench b = begin();
        fail_call("link", i ? EEXIST : EIO, 0); /* EEXIST: the server did it twice */
        spoil.after = true;
        put_text(b.st, "t/0", "ours");
        assert_files(&b, "t/0");
        end(&b);
    }
}

static void modes_follow_the_umask(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct stat sb;
    mode_t old = umask(027);
    put_text(b.st, "t/0", "x");
    umask(old);
    _cleanup_(freep) char *dir = xasprintf("%s/t", b.folder), *file = xasprintf("%s/t/0", b.folder);
    assert_int_equal(stat(dir, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0750);
    assert_int_equal(stat(file, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0640);
    end(&b);
}

static void die_with_a_full_stage(void *folder) {
    struct storage *st = lake_open(folder);
    char dir[LIMIT_PATH];
    struct err e;
    assert_ok(storage_stage(st, dir, &e), &e);
    _cleanup_(freep) char *sub = xasprintf("%s/day=1", dir), *file = xasprintf("%s/part", sub);
    mkdir(sub, 0777);
    make_file(file, "half", 4);
    raise(SIGKILL);
}

static void the_stage_of_a_dead_process_is_removed_a_living_ones_kept(void **state ATTR_UNUSED) {
    struct bench b = begin();
    char dir[LIMIT_PATH];
    struct err e;
    assert_ok(storage_stage(b.st, dir, &e), &e);
    _cleanup_(freep) char *mine = xasprintf("%s/part", dir);
    make_file(mine, "x", 1);
    assert_true(dies_by(SIGKILL, die_with_a_full_stage, b.folder));
    _cleanup_(freep) char *before = files_below(b.folder);
    assert_non_null(strstr(before, "day=1/part"));

    struct storage *next = lake_open(b.folder); /* the second opening plays the next process */
    put_text(next, "t/0", "x");
    _cleanup_(freep) char *after = files_below(b.folder);
    assert_null(strstr(after, "day=1/part"));
    assert_int_equal(access(mine, F_OK), 0);
    storage_free(next);
    assert_int_equal(access(mine, F_OK), 0);
    storage_unstage(b.st, dir);
    assert_files(&b, "t/0");
    storage_free(b.st);
    _cleanup_(freep) char *at_the_end = files_below(b.folder);
    assert_string_equal(at_the_end, ".stage/.lock t/0");
    b.st = lake_open(b.folder);
    end(&b);
}

struct family {
    struct storage *st;
    char stage[LIMIT_PATH]; /* the parent's */
};

static void write_as_child(void *arg) {
    struct family *fam = arg;
    char dir[LIMIT_PATH];
    struct err e;
    put_text(fam->st, "child/0", "x");
    assert_ok(storage_stage(fam->st, dir, &e), &e);
    size_t session = (size_t)(strrchr(fam->stage, '/') - fam->stage);
    bool apart = strncmp(dir, fam->stage, session) != 0;
    storage_free(fam->st);
    raise(apart ? SIGKILL : SIGTERM);
}

static void a_forked_child_has_a_stage_of_its_own(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct family fam = {.st = b.st};
    struct err e;
    assert_ok(storage_stage(b.st, fam.stage, &e), &e);
    assert_true(dies_by(SIGKILL, write_as_child, &fam));
    assert_int_equal(access(fam.stage, F_OK), 0);
    put_text(b.st, "parent/0", "x");
    storage_unstage(b.st, fam.stage);
    assert_files(&b, "child/0 parent/0");
    end(&b);
}

static void hadoops_checksum_goes_with_what_it_was_of(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    put_text(b.st, "t/_delta_log/_last_checkpoint", "{}");
    put_text(b.st, "t/part", "x");
    _cleanup_(freep) char *one = xasprintf("%s/t/_delta_log/._last_checkpoint.crc", b.folder);
    _cleanup_(freep) char *two = xasprintf("%s/t/.part.crc", b.folder);
    make_file(one, "crc", 3);
    make_file(two, "crc", 3);
    forget_calls();
    assert_ok(storage_put(b.st, "t/_delta_log/_last_checkpoint", "{1}", 3, &e), &e);
    assert_order(&b, "unlink @/t/_delta_log/._last_checkpoint.crc\n", "rename ");
    assert_ok(storage_remove(b.st, "t/part", &e), &e);
    assert_files(&b, "t/_delta_log/_last_checkpoint");
    end(&b);
}

static void hidden_files_are_not_listed(void **state ATTR_UNUSED) {
    struct bench b = begin();
    put_text(b.st, "t/0", "x");
    _cleanup_(freep) char *crc = xasprintf("%s/t/.0.crc", b.folder);
    make_file(crc, "crc", 3);
    char *names = names_in(b.st, "t", NULL), *root = names_in(b.st, "", NULL);
    assert_string_equal(names, "0");
    assert_string_equal(root, "t/");
    free(names);
    free(root);
    end(&b);
}

static void a_folder_removed_behind_our_back_is_made_again(void **state ATTR_UNUSED) {
    struct bench b = begin();
    put_text(b.st, "t/day=1/0", "x");
    _cleanup_(freep) char *file = xasprintf("%s/t/day=1/0", b.folder),
                          *day = xasprintf("%s/t/day=1", b.folder);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(day), 0);
    put_text(b.st, "t/day=1/1", "y");
    assert_files(&b, "t/day=1/1");
    end(&b);
}

static void a_lake_stays_where_it_was_opened(void **state ATTR_UNUSED) {
    char *folder = lake_folder_new();
    _cleanup_(freep) char *before = getcwd(NULL, 0);
    struct storage *st;
    struct err e;
    assert_int_equal(chdir(folder), 0);
    assert_ok(storage_open("file:data/lake", NULL, &st, &e), &e);
    assert_string_equal(st->url, "file:data/lake");
    assert_int_equal(chdir("/"), 0);
    put_text(st, "t/0", "x");
    storage_free(st);
    assert_int_equal(chdir(before), 0);
    _cleanup_(freep) char *files = files_below(folder);
    assert_string_equal(files, "data/lake/.stage/.lock data/lake/t/0");
    lake_folder_free(folder);
}

static void read_only(void *folder) {
    struct storage *st;
    struct err e;
    _cleanup_(freep) char *url = xasprintf("file:%s", (char *)folder);
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return;
    if (storage_open(url, NULL, &st, &e) != 0)
        return;
    char *text = get_text(st, "t/0");
    bool right = text && strcmp(text, "x") == 0;
    right =
        right && storage_put_new(st, "t/1", "y", 1, &e) == ERR_STORAGE && strstr(e.hint, "user id");
    raise(right ? SIGKILL : SIGTERM);
}

static void a_lake_one_may_not_write_can_be_read(void **state ATTR_UNUSED) {
    struct bench b = begin();
    put_text(b.st, "t/0", "x");
    storage_free(b.st);
    _cleanup_(freep) char *stage = xasprintf("%s/.stage", b.folder),
                          *table = xasprintf("%s/t", b.folder);
    chmod(b.folder, 0555);
    chmod(stage, 0555);
    chmod(table, 0555);
    bool right = dies_by(SIGKILL, read_only, b.folder);
    chmod(b.folder, 0755);
    chmod(stage, 0755);
    chmod(table, 0755);
    assert_true(right);
    b.st = lake_open(b.folder);
    end(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_object_is_synced_before_and_after_it_has_its_name),
        cmocka_unit_test(folders_others_made_are_synced_too),
        cmocka_unit_test(published_files_are_synced),
        cmocka_unit_test(publish_can_be_repeated_after_each_failure),
        cmocka_unit_test(put_and_remove_are_synced),
        cmocka_unit_test(short_writes_are_continued),
        cmocka_unit_test(a_failing_disk_leaves_nothing_behind),
        cmocka_unit_test(a_failing_put_keeps_the_old_object),
        cmocka_unit_test(an_unsynced_folder_is_an_error_though_the_object_shows),
        cmocka_unit_test(without_hard_links_a_rename_does_it),
        cmocka_unit_test(a_disk_with_neither_is_refused),
        cmocka_unit_test(a_link_whose_answer_was_lost_counts),
        cmocka_unit_test(modes_follow_the_umask),
        cmocka_unit_test(the_stage_of_a_dead_process_is_removed_a_living_ones_kept),
        cmocka_unit_test(a_forked_child_has_a_stage_of_its_own),
        cmocka_unit_test(hadoops_checksum_goes_with_what_it_was_of),
        cmocka_unit_test(hidden_files_are_not_listed),
        cmocka_unit_test(a_folder_removed_behind_our_back_is_made_again),
        cmocka_unit_test(a_lake_stays_where_it_was_opened),
        cmocka_unit_test(a_lake_one_may_not_write_can_be_read),
    };
    int failed = cmocka_run_group_tests_name("storage/local on a disk", tests, NULL, NULL);
    buf_release(&calls);
    return failed;
}
