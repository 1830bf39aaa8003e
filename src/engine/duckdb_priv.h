/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DuckDB driver's own parts. One call of run or query is one session: a connection with an
 * in-memory database of its own (ATTACH), in which the inputs are views and the stages tables.
 * Sessions share the engine's buffers and threads and see nothing of each other.
 *
 *     duckdb.c        the engine, sessions, messages
 *     duckdb_view.c   a table's files -> a view with the table's columns
 *     duckdb_run.c    a job: stages, counters, publishing
 *     duckdb_outlet.c the rows of a job's SELECT, as DuckDB hands them over
 *     duckdb_write.c  these rows -> Parquet files
 *     duckdb_seen.c   the models' function seen_before
 *     duckdb_exchange.c  rows that pass between a stage and this process
 *     duckdb_query.c  rows as text
 *     duckdb_text.c   a value as text
 *     duckdb_guard.c  what the user's own SQL may do
 *     duckdb_temp.c   where data is spilled
 */
#ifndef CM_ENGINE_DUCKDB_PRIV_H
#define CM_ENGINE_DUCKDB_PRIV_H

#include <duckdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "engine/engine.h"

/* An engine's own folder below engine.temp_dir. */
struct duck_temp {
    char *dir, *lock; /* absolute */
    int lock_fd;
};
/* Removes what dead processes left below base, if it is there. */
void temp_sweep(const char *base);
int temp_open(struct duck_temp *t, const char *base, struct err *e);
void temp_close(struct duck_temp *t);               /* removes the folder */
int64_t temp_free_bytes(const struct duck_temp *t); /* how much may be spilled */

struct duck {
    struct engine base;
    duckdb_database db;        /* opened by the first session; NULL: not yet */
    pthread_mutex_t temp_lock; /* of temp, until it is open */
    char *temp_dir;
    pthread_mutex_t open_lock;
    struct engine_options o; /* temp_dir is not kept */
    struct duck_temp temp;
    atomic_ulong sessions, databases; /* opened so far: name their databases and folders */
    atomic_ulong jobs;
    pthread_mutex_t lock; /* of what follows */
    struct duck_outlet *outlets;
    struct seen *seen;
};

/* The driver's functions that engine.h describes. */
int duck_run(struct engine *en, struct storage *st, const struct engine_job *job,
             struct engine_result *ret, struct err *e);
int duck_ask(struct engine *en, struct storage *st, const struct engine_question *q,
             const struct engine_rows *rows, struct err *e);

/* Makes the program's own SQL functions known to a database. */
int duck_register(struct duck *du, duckdb_database db, struct err *e);
/* A database in memory with the engine's settings, which spills to its own folder. */
int duck_open_db(struct duck *du, duckdb_database *ret, struct err *e);

struct session {
    struct duck *du;
    const char *what; /* the job, for messages */
    const char *file; /* that the statement under way is the text of; NULL: none */
    duckdb_connection con;
    char db[32]; /* its database; empty: none attached */
    struct storage *st;
    char *links; /* folder of links to local files; NULL: none needed so far */
    struct seen *seen;
    struct duck_outlet *outlet; /* NULL: no rows are written */
    const char *twin, *twin_of; /* as in engine_job */
    char **pinned;              /* objects that were made local */
    size_t n_pinned, cap_pinned;
    /* The watcher interrupts the connection when the process is told to stop. */
    pthread_t watcher;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
};

/* db: NULL for the engine's own, or one opened for this session. Fill nothing before; close in any case after success. */
int session_open(struct session *s, struct duck *du, duckdb_database db, struct storage *st,
                 const char *what, struct err *e);
void session_close(struct session *s);

/* Runs one statement. part names it in messages ("stage ranked"); may be NULL. */
int session_exec(struct session *s, const char *part, const char *sql, struct err *e);
int session_execf(struct session *s, struct err *e, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* The caller destroys *ret after success. */
int session_result(struct session *s, const char *part, const char *sql, duckdb_result *ret,
                   struct err *e);
/* For messages: the job, then the part of it, or session.file and the line (0: unknown). The caller frees. */
char *session_place(const struct session *s, const char *part, int line);
/* Says why a statement failed, and in which line of session.file. */
int session_fail(struct session *s, const char *part, duckdb_error_type type, const char *msg,
                 struct err *e);

/* A name within SQL: "name". For a text: buf_add_literal. */
void sql_name(struct buf *b, const char *name);

/* Makes the view. paths (may be NULL) collects the local files as a SQL list without brackets. */
int session_view(struct session *s, const struct engine_input *in, struct buf *paths,
                 struct err *e);

/* The same without its files: whoever reads from it gets an error. */
int session_view_closed(struct session *s, const struct engine_input *in, struct err *e);

/* The stages, in order; untrusted: each must be a SELECT that only reads. */
int session_stages(struct session *s, const struct engine_stage *stages, size_t n, bool untrusted,
                   struct err *e);

/* A stage with an exchange. */
int exchange_stage(struct session *s, const struct engine_stage *sg, struct err *e);

/* How many rows the files hold; an unknown count is taken for 50 bytes a row. */
int64_t view_rows(const struct table_files *files);

/* A function of ours that SQL can call. It gets the struct duck as its extra info. */
struct sql_function {
    const char *name;
    duckdb_type parameters[2];
    bool more; /* any number of further ones, of any type */
    duckdb_type result;
    bool every_row; /* the same parameters may give another result */
    duckdb_scalar_function_t run;
};
int function_register(struct duck *du, duckdb_connection con, const struct sql_function *sf,
                      struct err *e);

/* Make the SQL functions cm_write, cm_lend and cm_seen known to the engine's database. */
int outlets_register(struct duck *du, duckdb_connection con, struct err *e);
int seen_register(struct duck *du, duckdb_connection con, struct err *e);
/* Gives the session's models the function seen_before, for about so many values; once. */
int seen_open(struct session *s, int64_t rows, struct err *e);
void seen_close(struct session *s);
/*
 * The outlet is where the rows of a session's job go: local files in dir, one for each date. Open it
 * once, close it in any case.
 */
void outlet_open(struct session *s, const struct table_def *def, const char *dir);
void outlet_close(struct session *s);
/* The SELECT of a stage with `apart`: its other rows go to the outlet. */
void outlet_add_stage(struct session *s, const struct engine_stage *sg, struct buf *sql);
/* Writes the rows of the SELECT, and ends the files. *ret: as they shall stand in the table; each lies in
   dir under the last part of its path. */
int outlet_pour(struct session *s, const char *select, struct table_files *ret, struct err *e);
/* After a statement that wrote failed with r: says why, if the outlet knows better. Returns the code. */
int outlet_fail(const struct session *s, int r, struct err *e);

/* Can text_value write this type? Others are cast to VARCHAR by DuckDB first. */
bool text_can(duckdb_logical_type type);
/* Appends the value and a NUL. */
void text_value(struct buf *b, duckdb_vector v, duckdb_logical_type type, idx_t row);
/* A VARCHAR's bytes; not NUL-terminated. */
const char *text_bytes(const duckdb_string_t *s, size_t *ret_len);

/*
 * Prepares the one statement of sql; untrusted: only one that reads. The caller destroys *ret.
 */
int guard_prepare(struct session *s, const char *sql, bool untrusted,
                  duckdb_prepared_statement *ret, struct err *e);
/* From here on this database reads the listed files and nothing else; for good. */
int guard_lock(struct session *s, const char *paths, struct err *e);

#endif
