/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress of long work on stderr: one line that is rewritten on a terminal, a log line every ten
 * seconds elsewhere. Shows count, share, rate and the time left.
 */
#ifndef CM_BASE_PROGRESS_H
#define CM_BASE_PROGRESS_H

struct progress {
    const char *what; /* "produce" */
    const char *unit; /* "events" */
    int64_t total;    /* 0: unknown */
    int64_t start_ns, shown_ns;
    bool terminal, quiet, shown;
};

void progress_start(struct progress *p, const char *what, const char *unit, int64_t total);
/* Call as often as you like; prints a few times a second at most. */
void progress_update(struct progress *p, int64_t done);
/* Clears the terminal line. */
void progress_end(struct progress *p);

#endif
