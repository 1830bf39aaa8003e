/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of a file or of standard input, as a stream: memory for one line and a chunk. A line is
 * its bytes without the LF (a CR stays); empty ones are skipped; the last needs no LF.
 */
#ifndef CM_FLOW_LINES_H
#define CM_FLOW_LINES_H

#include "base/err.h"

struct lines;

/* path "-": standard input. ERR_STREAM also for what follows. */
int lines_open(const char *path, struct lines **ret, struct err *e);
void lines_close(struct lines *in);

enum lines_state {
    LINES_END = 0,
    LINES_ONE,  /* the bytes are valid until the next call */
    LINES_WAIT, /* nothing to read right now: lines_wait, then try again */
};
/* enum lines_state, or an error; never blocks on a pipe or a terminal. */
int lines_next(struct lines *in, const char **ret, size_t *ret_n, struct err *e);
/* Waits at most ms for something to read. */
void lines_wait(struct lines *in, int ms);

#endif
