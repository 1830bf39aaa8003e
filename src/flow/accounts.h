/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commits of bronze say, added up per source ("<app>/<cluster id>/<topic>") and partition:
 * for reconcile, which holds it against the rows, and for status.
 */
#ifndef CM_FLOW_ACCOUNTS_H
#define CM_FLOW_ACCOUNTS_H

#include "flow/note.h"

struct account {
    size_t source; /* index in accounts.sources */
    int32_t partition;
    int64_t first, to; /* offsets covered: first <= o < to; to is the position in the table */
    int64_t records, lost;
    bool seen; /* for whoever goes through them */
};

struct source {
    char *name;               /* "<app>/<cluster id>/<topic>" */
    const char *topic;        /* the end of name */
    struct table_files files; /* that its commits added: path alone is set */
};

struct accounts {
    struct account *v;
    size_t n, cap;
    struct source *sources;
    size_t n_sources;
    int64_t events, rejected, records, lost; /* the counters of all commits; accepted losses */
    char *broken; /* where the notes contradict themselves or each other first; NULL: nowhere */
};

/* Reads the whole log. A note that does not fit is no error, but ret->broken. */
int accounts_read(struct table *bronze, bool files, struct accounts *ret, struct err *e);
void accounts_release(struct accounts *a);

#endif
