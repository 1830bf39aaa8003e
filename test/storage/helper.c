/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/helper.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/local_fs.h"

char *lake_folder_new(void) {
    const char *tmp = getenv("TMPDIR");
    char *folder = xasprintf("%s/clickmill-lake-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        fail_msg("cannot make %s", folder);
    return folder;
}

void lake_folder_free(char *folder) {
    fs_remove_tree(folder);
    free(folder);
}

struct storage *lake_folder_open(const char *folder) {
    _cleanup_(freep) char *url = xasprintf("file:%s", folder);
    struct storage *st;
    struct err e;
    assert_ok(storage_open(url, NULL, &st, &e), &e);
    return st;
}

void put_text(struct storage *st, const char *path, const char *text) {
    struct err e;
    assert_ok(storage_put_new(st, path, text, strlen(text), &e), &e);
}

int publish_bytes(struct storage *st, const char *path, const void *data, size_t len,
                  struct err *e) {
    char dir[LIMIT_PATH];
    int r = storage_stage(st, dir, e);
    if (r)
        return r;
    _cleanup_(freep) char *local = xasprintf("%s/part", dir);
    r = fs_write_new(local, data, len, e);
    if (r == 0)
        r = storage_publish(st, local, path, e);
    storage_unstage(st, dir);
    return r;
}

void publish_text(struct storage *st, const char *path, const char *text) {
    struct err e;
    assert_ok(publish_bytes(st, path, text, strlen(text), &e), &e);
}

char *get_text(struct storage *st, const char *path) {
    struct buf b = BUF_INIT(64 * MIB);
    struct err e;
    int r = storage_get(st, path, &b, &e);
    if (r == ERR_NOT_FOUND)
        return NULL;
    assert_ok(r, &e);
    return buf_detach(&b);
}

void make_file(const char *path, const void *data, size_t len) {
    struct err e;
    assert_ok(fs_write_new(path, data, len, &e), &e);
}

char *names_in(struct storage *st, const char *dir, const char *start_after) {
    struct storage_entries l = {0};
    struct err e;
    assert_ok(storage_list(st, dir, start_after, &l, &e), &e);
    struct buf b = BUF_INIT(MIB);
    for (size_t i = 0; i < l.n; i++)
        buf_addf(&b, "%s%s%s", i ? " " : "", l.v[i].name, l.v[i].is_dir ? "/" : "");
    storage_entries_release(&l);
    return buf_detach(&b);
}

static int by_fts_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

char *files_below(const char *folder) {
    struct buf b = BUF_INIT(MIB);
    FTS *fts = fts_open((char *[]){(char *)(uintptr_t)folder, NULL}, FTS_PHYSICAL | FTS_NOCHDIR,
                        by_fts_name);
    for (FTSENT *en; (en = fts_read(fts));)
        if (en->fts_info != FTS_D && en->fts_info != FTS_DP)
            buf_addf(&b, "%s%s", b.len ? " " : "", en->fts_path + strlen(folder) + 1);
    fts_close(fts);
    return buf_detach(&b);
}

bool dies_by(int signal, void (*fn)(void *arg), void *arg) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0};
        setrlimit(RLIMIT_CORE, &none);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDERR_FILENO);
        fn(arg);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}
