/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commits of bronze and silver say, added up: for status, and for reconcile, which holds
 * it against the rows. It stands in the tables' state (totals.h); the log is read only where a
 * position carries no totals, and by who wants the totals proved.
 */
#ifndef CM_FLOW_ACCOUNTS_H
#define CM_FLOW_ACCOUNTS_H

#include "flow/note.h"

/* One partition of one source ("<app>/<cluster id>/<topic>"). */
struct account {
    size_t source; /* index in accounts.sources */
    int32_t partition;
    bool carried;      /* its totals stand in the table's state */
    int64_t first, to; /* offsets covered: first <= o < to; to is the position in the table */
    int64_t skipped, lost, rejected, more; /* as in totals.h */
    bool seen;                             /* for whoever goes through them */
};
int64_t account_records(const struct account *acc);

struct source {
    char *name;               /* "<app>/<cluster id>/<topic>" */
    const char *topic;        /* the end of name */
    struct table_files files; /* that the commits in the log added: path alone is set */
};

struct accounts {
    struct account *v;
    size_t n, cap;
    struct source *sources;
    size_t n_sources;
    int64_t events, rejected, records,
        lost;         /* all of them together, events with what was replayed */
    int64_t replayed; /* rejected records of which a replay has made events (replay.h) */
    char *broken;     /* where what the commits say does not fit together first; NULL: nowhere */
};

/* Cheap where all positions carry totals. */
int accounts_read(struct table *bronze, struct accounts *ret, struct err *e);
/*
 * Reads the entries that are there, too: that they follow each other, and that the totals are what
 * they add up to where none is missing. What does not fit is no error, but ret->broken.
 */
int accounts_audit(struct table *bronze, struct accounts *ret, struct err *e);
void accounts_release(struct accounts *a);

/* The same of silver; rows = events - rejected - duplicates - conflicts. */
struct silver_account {
    int64_t events, rejected, duplicates, conflicts, rows;
    char *broken;
};
/* What the table's state carries; false: not every position of silver has totals. */
bool silver_account_carried(const struct table *silver, struct silver_account *ret);
/* An appId of a position of silver, not of a total beside it. */
bool silver_is_position(const char *app_id);
int silver_account_read(struct table *silver, struct silver_account *ret, struct err *e);
int silver_account_audit(struct table *silver, struct silver_account *ret, struct err *e);

#endif
