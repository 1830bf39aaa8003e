/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where what is not finished lies: `.stage/<pid>-<uuid>/` under the root of a local lake, or under
 * cache.dir; one per process and storage, made at the first write. Its `lock` file is held by flock as long
 * as the process lives, so that the next process to write knows a dead one's folder and removes it,
 * whatever process ids have been used again meanwhile.
 */
#ifndef CM_STORAGE_LOCAL_STAGE_H
#define CM_STORAGE_LOCAL_STAGE_H

#include <pthread.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/limits.h"

struct local_stage {
    char *root; /* absolute */
    pthread_mutex_t lock;
    char *dir;   /* this process's folder; NULL: not made yet */
    int lock_fd; /* holds dir's lock */
    pid_t owner; /* who made dir: a forked child makes its own */
    unsigned long count;
};

void local_stage_init(struct local_stage *sg, const char *root);
void local_stage_release(struct local_stage *sg); /* removes the folder */

/* A path in the stage nobody has used: nothing is made there. The caller frees. */
int local_stage_path(struct local_stage *sg, char **ret, struct err *e);

/* A new, empty folder in the stage. */
int local_stage_folder(struct local_stage *sg, char ret_dir[LIMIT_PATH], struct err *e);

/* Removes the folders of dead processes, as the first local_stage_path does. */
void local_stage_sweep(struct local_stage *sg);

#endif
