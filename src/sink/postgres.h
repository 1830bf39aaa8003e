/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the two files of the PostgreSQL driver: postgres.c, the only one that knows libpq
 * (connection, transaction, load), and postgres_tables.c (what the tables are like).
 */
#ifndef CM_SINK_POSTGRES_H
#define CM_SINK_POSTGRES_H

#include "sink/sink.h"

struct pg_conn;   /* libpq's PGconn */
struct pg_result; /* libpq's PGresult */

enum {
    PG_LOCK_CLASS = 0x636C6B6D
}; /* "clkm": first key of our advisory locks; the second: table, or 0 */

/* A table as the server knows it. Names are qualified and quoted. */
struct pg_table {
    char *name; /* NULL: there is none */
    char *schema;
    char oid[16];
    char kind;    /* pg_class.relkind */
    bool durable; /* neither temporary nor unlogged */
};

/* A sink's table and the clickmill_loads in the same schema. */
struct pg_tables {
    struct pg_table table, loads;
    uint32_t narrow; /* see rules_row */
};

struct pg_sink {
    struct sink base;
    struct pg_conn *conn;
    struct sink_options options;
    bool hung;             /* no answer came: what this connection says next cannot be trusted */
    struct pg_tables have; /* what the last prepare found */
    /* The load that is open; t NULL: none. */
    const struct sink_table *t;
    bool copying;
    struct buf out;
    int64_t sent;
    char *gold_table_id;
    char gold_version[24];
    char *dates; /* array literal; NULL: all dates */
};

/*
 * Sends one statement with n parameters ($1 ...) or, where n is -1, several without. NULL: `e` is
 * set. `what` completes "cannot ...".
 */
struct pg_result *pg_query(struct pg_sink *pg, const char *what, const char *sql, int n,
                           const char *const *params, struct err *e);
int pg_run(struct pg_sink *pg, const char *what, const char *sql, struct err *e);
int pg_rows(const struct pg_result *r);
char *pg_text(const struct pg_result *r, int row, int column);
void pg_result_freep(struct pg_result **r);
#define _pg_result_ _cleanup_(pg_result_freep) struct pg_result *

/* Finds a table by its name, qualified or as search_path has it; ret->name NULL: there is none. */
int pg_table_find(struct pg_sink *pg, const char *name, struct pg_table *ret, struct err *e);
void pg_table_release(struct pg_table *tb);

/* Finds both tables. */
int pg_tables_find(struct pg_sink *pg, const struct sink_table *t, struct pg_tables *ret,
                   struct err *e);
/* Makes those that are missing; those that are there must fit. */
int pg_tables_prepare(struct pg_sink *pg, const struct sink_table *t, struct pg_tables *ret,
                      struct err *e);
void pg_tables_release(struct pg_tables *have);

#endif
