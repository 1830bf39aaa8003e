/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files with one line of JSON for each thing that was done: runs (run.h) and checks
 * (check_history.h). They are for people; nothing else depends on them.
 */
#ifndef CM_FLOW_HISTORY_H
#define CM_FLOW_HISTORY_H

#include "base/err.h"
#include "base/mem.h"

/*
 * Appends a line, which ends in LF; makes the file and its folder if they are missing. Where it is larger
 * than `largest` bytes then, its older half is dropped; 0: never. ERR_STORAGE.
 */
int history_append(const char *path, const struct buf *line, size_t largest, struct err *e);

/* The end of the file, at most `most` bytes. A file that is not there, or path "", is empty. ERR_STORAGE. */
int history_end(const char *path, size_t most, struct buf *ret, struct err *e);

#endif
