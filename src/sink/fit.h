/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a table that is there already can take our rows. The driver describes what it found, this
 * file compares: every column of ours is there under its name, in a type that holds each of our
 * values without loss; whatever else the table has does without us; and a unique index over exactly
 * the key columns carries the upsert. The error lists all that differs at once, the HINT gives the
 * statements that mend it.
 */
#ifndef CM_SINK_FIT_H
#define CM_SINK_FIT_H

#include "sink/sink.h"

struct fit_column {
    const char *name;
    const char *type; /* as the database names it: "character varying(20)" */
    bool required;    /* NOT NULL, without a default */
    bool generated;   /* the database computes it: it cannot be written */
    bool loose;       /* a collation under which different texts are equal: keys would collide */
};

struct fit_table {
    const char *shown; /* qualified and quoted as in SQL */
    const struct fit_column *columns;
    size_t n;
    bool unique; /* there is an index as the upsert needs it */
    const char
        *deferrable; /* a constraint like it that can be deferred: the upsert cannot bear it */
};

struct fit_dialect {
    bool (*holds)(enum sink_type want, const char *type);
    int (*compare)(const char *a, const char *b); /* column names: strcmp or strcasecmp */
    bool alters;                                  /* it has ALTER TABLE ... ALTER COLUMN */
};
extern const struct fit_dialect fit_postgres, fit_sqlite;

int fit_check(const struct sink *sk, const struct sink_table *t, const struct fit_table *found,
              const struct fit_dialect *d, struct err *e);

/* The column of that name in what was found; NULL if there is none. */
const struct fit_column *fit_find(const struct fit_table *found, const struct fit_dialect *d,
                                  const char *name);

#endif
