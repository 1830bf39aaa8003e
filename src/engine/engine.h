/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engines turn files into files; only src/table decides what is in a table. An engine is given
 * lists of input files and models (each one SELECT) and writes new Parquet files under unique
 * names; it returns their names, sizes, row counts and statistics. It never writes to a log, so a
 * crashed engine leaves unreferenced files and nothing else.
 *
 * The same job can be done by DuckDB inside the program or by an engine in another process (Spark)
 * that reads and writes the lake by URL: nothing in a job is a pointer into this process but text
 * (and, for an engine inside it, engine_exchange).
 * Models are written in the SQL both understand (docs/decisions, facts of the dialects in sql/README.md).
 *
 * Errors: ERR_ENGINE (a statement failed: names the job, the model, the line where it is known, and
 * the engine's message),
 * ERR_STORAGE, ERR_STOPPED (stop_requested while it ran). A callback's error is passed on.
 */
#ifndef CM_ENGINE_ENGINE_H
#define CM_ENGINE_ENGINE_H

#include "base/err.h"
#include "base/mem.h"
#include "base/schema.h"
#include "storage/storage.h"

/* A view the SELECTs can name: some files of a table, with all the table's columns. No files: an empty view. */
struct engine_input {
    const char *view; /* "bronze_new" or "silver.events" (schema.name) */
    const struct table_def *def;
    const struct table_files *files;
};

/*
 * Rows that pass between a model and this process: columns of 64-bit integers, and instants in
 * microseconds. For engines inside the process only (engine_is_inside).
 */
struct engine_exchange {
    /* Gets the rows of the stage's SELECT, some at a time, from one thread; NULLs are 0. */
    int (*take)(void *arg, const uint64_t *const *columns, size_t rows, struct err *e);
    /* Or: gives the stage's rows, whose columns are those of its SELECT, which is not run: fills at
       most `max`; 0 rows: that was all. */
    int (*give)(void *arg, uint64_t *const *columns, size_t max, size_t *ret_rows, struct err *e);
    void *arg;
};

/* An intermediate result later SELECTs can name. */
struct engine_stage {
    const char *name;
    const char *sql;
    bool keep;        /* used more than once: compute it once */
    const char *file; /* that `sql` is the text of, for messages; may be NULL */
    const struct engine_exchange *exchange; /* NULL: the rows are the engine's own business */
    /*
     * A column of `sql` that says of each row whether it is the stage's (true, or NULL) or the output's:
     * then it is written as the job's `select` writes its rows. NULL: all are the stage's. One stage of
     * a job at most, with `keep`; it has a column more, rowid, another number in each row. DuckDB does it in
     * one pass; another engine may run `sql` twice.
     */
    const char *apart;
};

struct engine_job {
    const char *what;                  /* for messages: "silver" */
    const struct engine_input *inputs; /* the first one: whose rows seen_before is asked of */
    size_t n_inputs;
    const struct engine_stage
        *stages; /* in order; each may name the inputs and the stages before it */
    size_t n_stages;
    const char *select; /* the rows to write; columns by name as in output, in any order */
    const struct table_def *output; /* where they go; NULL: no rows are written */
    /*
     * A column of the inputs that holds what `twin_of` does, or NULL; may be NULL. Where it is never NULL, by
     * the files' statistics, only the other needs to be read.
     */
    const char *twin, *twin_of;
    /*
     * SELECT of one row of numbers (NULL = 0), named; may be NULL. One named `rows` is checked
     * against the rows written: ERR_ENGINE if they differ.
     */
    const char *counters;
    /* The stages are the user's own SQL and held to what engine_query says of it; the rest is ours. */
    bool untrusted;
};

struct engine_counter {
    char *name;
    int64_t value;
};

struct engine_result {
    struct table_files
        files; /* published in the output table's folder; empty files are not written */
    struct engine_counter *counters;
    size_t n_counters;
};
void engine_result_release(struct engine_result *r);
int64_t engine_counter(const struct engine_result *r, const char *name); /* 0 if absent */

/*
 * Query results row by row, as they come: nothing is collected. Values are texts (NULL pointer:
 * NULL): instants as 2026-11-22T12:34:56.123456Z, dates as 2026-11-22, decimals plain, doubles in
 * the shortest form that reads back, the rest as the engine writes it. types: the engine's names
 * ("VARCHAR", "DECIMAL(18,4)"). The texts live until the callback returns.
 */
struct engine_rows {
    /* Once, before the rows. */
    int (*header)(void *arg, const char *const *names, const char *const *types, size_t n,
                  struct err *e);
    int (*row)(void *arg, const char *const *values, size_t n, struct err *e);
    void *arg;
};

/* A SELECT whose rows are wanted. */
struct engine_question {
    const char *what; /* for messages: "query" */
    const char *file; /* the file that `sql` is the text of, for messages; may be NULL */
    const struct engine_input *inputs;
    size_t n_inputs;
    const struct engine_stage *stages;
    size_t n_stages;
    const char *sql;
    bool untrusted;
};

struct engine;

struct engine_ops {
    const char *scheme; /* "duckdb" */
    /* Names the function xxhash64 of the models: the same text gives the same hashes. NULL: not an
       engine inside this process. */
    const char *(*hash_name)(void);
    int (*run)(struct engine *en, struct storage *st, const struct engine_job *job,
               struct engine_result *ret, struct err *e);
    int (*ask)(struct engine *en, struct storage *st, const struct engine_question *q,
               const struct engine_rows *rows, struct err *e);
    void (*free)(struct engine *en);
};

struct engine {
    const struct engine_ops *ops;
};

struct engine_options {
    int threads;          /* >= 1 */
    int64_t memory_bytes; /* limit of the engine's own buffers */
    const char *temp_dir; /* spilled data; made if missing, inside the data folder */
};

/* DuckDB's own, "v1.5.6": what is linked, to be held against what was built for. */
const char *engine_library_version(void);

/* Opens by URL: duckdb. ERR_CONFIG for an engine there is not. An open engine may be used by several threads. */
int engine_open(const char *url, const struct engine_options *o, struct engine **ret,
                struct err *e);
/* Is there such an engine? ERR_CONFIG. */
int engine_check(const char *url, struct err *e);

static inline int engine_run(struct engine *en, struct storage *st, const struct engine_job *job,
                             struct engine_result *ret, struct err *e) {
    return en->ops->run(en, st, job, ret, e);
}
/* Does it run in this process? Then its stages may exchange rows with it. */
static inline bool engine_is_inside(const struct engine *en) {
    return en->ops->hash_name;
}
/*
 * rows->row NULL: only the header is wanted, and nothing is computed. st may be NULL where no input has
 * files.
 */
static inline int engine_ask(struct engine *en, struct storage *st, const struct engine_question *q,
                             const struct engine_rows *rows, struct err *e) {
    return en->ops->ask(en, st, q, rows, e);
}
/*
 * Runs one SELECT over the inputs. Only the files of those are localized whose name, and schema if
 * they have one, stand somewhere in the statement. untrusted: the user's own SQL; it must be a single SELECT,
 * WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN, and may read the views and nothing else
 * on this machine (no other files, no extensions, no settings).
 */
static inline int engine_query(struct engine *en, struct storage *st,
                               const struct engine_input *inputs, size_t n_inputs, const char *sql,
                               bool untrusted, const struct engine_rows *rows, struct err *e) {
    const struct engine_question q = {.what = "query",
                                      .inputs = inputs,
                                      .n_inputs = n_inputs,
                                      .sql = sql,
                                      .untrusted = untrusted};
    return engine_ask(en, st, &q, rows, e);
}
static inline void engine_free(struct engine *en) {
    if (en)
        en->ops->free(en);
}
static inline void engine_freep(struct engine **en) {
    engine_free(*en);
}

#endif
