/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable steps on a POSIX file system, for the local driver and the cache. All paths are absolute. A
 * file is durable once both its bytes and the entry in its folder are synced; each function says which
 * of the two it does. Modes follow the umask.
 */
#ifndef CM_STORAGE_LOCAL_FS_H
#define CM_STORAGE_LOCAL_FS_H

#include "base/err.h"

/* ERR_STORAGE with the reason and, for a full disk or missing rights, a hint. */
int fs_error(struct err *e, int errnum, const char *what, const char *path);

/* The absolute path of `path`, seen from the working folder. The caller frees; NULL: an error. */
char *fs_absolute(const char *path, struct err *e);
/* The folder an absolute path is in: "/a" of "/a/b", "/" of "/a". The caller frees. */
char *fs_parent(const char *path);

/* Makes a new file with synced bytes; its folder is not synced. Leaves nothing behind on failure. */
int fs_write_new(const char *path, const void *data, size_t len, struct err *e);
/* Syncs a file's bytes or a folder's entries. */
int fs_sync(const char *path, struct err *e);
/* Makes one folder (there already is success) and syncs the folder it is in. */
int fs_mkdir(const char *path, struct err *e);
/* Makes a folder and every missing one above it, all durable. */
int fs_mkdirs(const char *path, struct err *e);
/*
 * Gives `from` the name `to` without ever replacing anything: ERR_EXISTS. `from` may stay as a second
 * name, so that a repeat after a later failure finds its own file and succeeds; the caller unlinks it.
 * ERR_NOT_FOUND: the folder of `to` is missing. Folders are not synced.
 */
int fs_name_new(const char *from, const char *to, struct err *e);
/*
 * The CRC-32C of `len` bytes of an open file, all of which must be there: ENODATA. *whole (may be
 * NULL), the CRC of what comes before them, is taken on over them. 0 or an errno.
 */
int fs_sum(int fd, int64_t offset, int64_t len, uint32_t *ret, uint32_t *whole);
/* Removes a folder and all in it; what cannot be removed stays. Does not follow links. */
void fs_remove_tree(const char *path);

#endif
