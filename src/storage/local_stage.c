/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/local_stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/util.h"
#include "storage/local_fs.h"

void local_stage_init(struct local_stage *sg, const char *root) {
    *sg = (struct local_stage){.root = xstrdup(root), .lock_fd = -1};
    pthread_mutex_init(&sg->lock, NULL);
}

void local_stage_release(struct local_stage *sg) {
    if (sg->dir && sg->owner == getpid())
        fs_remove_tree(sg->dir);
    if (sg->lock_fd >= 0)
        close(sg->lock_fd);
    free(sg->dir);
    free(sg->root);
    pthread_mutex_destroy(&sg->lock);
}

/* An open file with its lock held, or a negative errno. */
static int lock_file(const char *path, int how) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    while (flock(fd, how) != 0) {
        if (errno != EINTR) {
            int failed = errno;
            close(fd);
            return -failed;
        }
    }
    return fd;
}

/* Removes the folder `dir` if its process is gone. The caller holds the lock of all stages. */
static void remove_if_dead(const char *dir) {
    _cleanup_(freep) char *lock = xasprintf("%s/lock", dir);
    int fd = lock_file(lock, LOCK_EX | LOCK_NB);
    if (fd < 0)
        return; /* alive, or locks do not work here: then nothing is removed */
    fs_remove_tree(dir);
    close(fd);
}

static void remove_dead(const char *stages) {
    DIR *d = opendir(stages);
    if (!d)
        return;
    for (struct dirent *de; (de = readdir(d));) {
        if (de->d_name[0] < '0' || de->d_name[0] > '9')
            continue;
        _cleanup_(freep) char *dir = xasprintf("%s/%s", stages, de->d_name);
        remove_if_dead(dir);
    }
    closedir(d);
}

/* Makes the folder and takes its lock. Between the two it looks dead: the caller holds all stages. */
static int make_locked(struct local_stage *sg, const char *dir, struct err *e) {
    if (mkdir(dir, 0777) != 0)
        return fs_error(e, errno, "cannot make folder", dir);
    _cleanup_(freep) char *lock = xasprintf("%s/lock", dir);
    int fd = lock_file(lock, LOCK_EX);
    if (fd < 0) {
        fs_remove_tree(dir);
        return fs_error(e, -fd, "cannot lock", lock);
    }
    if (sg->lock_fd >= 0)
        close(sg->lock_fd);
    free(sg->dir);
    sg->lock_fd = fd;
    sg->dir = xstrdup(dir);
    sg->owner = getpid();
    sg->count = 0;
    return 0;
}

static int make(struct local_stage *sg, struct err *e) {
    _cleanup_(freep) char *stages = xasprintf("%s/.stage", sg->root);
    int r = fs_mkdirs(stages, e);
    if (r)
        return r;
    _cleanup_(freep) char *all = xasprintf("%s/.lock", stages);
    int fd = lock_file(all, LOCK_EX);
    if (fd < 0)
        return fs_error(e, -fd, "cannot lock", all);
    remove_dead(stages);
    char id[UUID_TEXT];
    uuid_make(id);
    _cleanup_(freep) char *dir = xasprintf("%s/%ld-%s", stages, (long)getpid(), id);
    r = make_locked(sg, dir, e);
    close(fd);
    return r;
}

void local_stage_sweep(struct local_stage *sg) {
    _cleanup_(freep) char *stages = xasprintf("%s/.stage", sg->root);
    _cleanup_(freep) char *all = xasprintf("%s/.lock", stages);
    int fd = lock_file(all, LOCK_EX);
    if (fd < 0)
        return;
    remove_dead(stages);
    close(fd);
}

int local_stage_path(struct local_stage *sg, char **ret, struct err *e) {
    pthread_mutex_lock(&sg->lock);
    int r = 0;
    if (!sg->dir || sg->owner != getpid())
        r = make(sg, e);
    if (r == 0)
        *ret = xasprintf("%s/%lu", sg->dir, ++sg->count);
    pthread_mutex_unlock(&sg->lock);
    return r;
}

int local_stage_folder(struct local_stage *sg, char ret_dir[LIMIT_PATH], struct err *e) {
    _cleanup_(freep) char *dir = NULL;
    int r = local_stage_path(sg, &dir, e);
    if (r)
        return r;
    if (strlen(dir) >= LIMIT_PATH)
        return fs_error(e, ENAMETOOLONG, "cannot make folder", dir);
    if (mkdir(dir, 0777) != 0)
        return fs_error(e, errno, "cannot make folder", dir);
    memcpy(ret_dir, dir, strlen(dir) + 1);
    return 0;
}
