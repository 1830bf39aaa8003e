/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database people look at: PostgreSQL, or SQLite where nothing is installed. A load is one
 * transaction: the rows of the dates that changed, and the watermark (gold table id, version) that
 * says which gold version the sink now shows. A crash leaves both or neither.
 *
 *     sink_open -> sink_prepare -> sink_begin -> sink_row ... -> sink_commit   (sink_rollback)
 *
 * One thread at a time. Errors: ERR_SINK, with e->retry where it can pass (connection refused,
 * deadlock, database is starting); messages name host, database and table, never the password.
 * After an error with retry the load starts again at sink_prepare, on the same sink: a connection
 * that was lost is made anew there. That also settles a commit whose answer was lost, because the
 * watermark tells whether it went through.
 */
#ifndef CM_SINK_SINK_H
#define CM_SINK_SINK_H

#include "base/err.h"
#include "base/mem.h"
#include "base/schema.h"

enum sink_type {
    SINK_TEXT,
    SINK_INT,    /* 32 bit */
    SINK_BIGINT, /* 64 bit */
    SINK_DOUBLE,
    SINK_MONEY, /* decimal(18,4); SQLite keeps 15 digits of it */
    SINK_DATE,  /* YYYY-MM-DD */
    SINK_BOOLEAN,
    SINK_TIMESTAMP, /* an instant: 2026-02-16T12:00:00Z */
};

/* Names are lower-case words that no SQL reserves: CREATE TABLE shows them unquoted. */
struct sink_column {
    const char *name;
    enum sink_type type;
    bool key; /* part of the primary key, never NULL */
};

enum { SINK_MAX_COLUMNS = 32 };

/*
 * A table of the sink. The contract's table is exactly
 * CREATE TABLE clickstream_metrics (category TEXT, total_events INT,
 *   total_revenue DOUBLE PRECISION, event_date DATE, PRIMARY KEY (category, event_date));
 */
struct sink_table {
    const char *name;
    const struct sink_column *columns;
    size_t n_columns;
    const char *date_column; /* the gold partition; part of the key */
};
extern const struct sink_table sink_clickstream_metrics;

/* Where the sink's table stands. version -1: never loaded. */
struct sink_watermark {
    char table_id[64];
    int64_t version;
};

struct sink_load_begin {
    /* What the sink must still hold. Another loader was faster: ERR_CONFLICT. */
    const struct sink_watermark *expected;
    const char *gold_table_id;
    int64_t gold_version;
    /* Rows of these days (YYYY-MM-DD) that are not sent are deleted. */
    const char *const *dates;
    size_t n_dates;
    /* Rows of every other date are deleted too: gold is another table than before, or its log does
       not tell any more what changed. */
    bool replace_all;
};

struct sink_load_result {
    int64_t upserted; /* rows inserted or changed */
    int64_t unchanged;
    int64_t deleted;
};

struct sink;

struct sink_ops {
    const char *scheme; /* "sqlite", "postgresql" */
    int money_digits;   /* how many digits of SINK_MONEY it keeps; 0: all */
    int (*prepare)(struct sink *sk, const struct sink_table *t, struct sink_watermark *ret,
                   struct err *e);
    int (*peek)(struct sink *sk, const struct sink_table *t, struct sink_watermark *ret,
                struct err *e);
    int (*begin)(struct sink *sk, const struct sink_table *t, const struct sink_load_begin *b,
                 struct err *e);
    int (*row)(struct sink *sk, const char *const *values, struct err *e);
    int (*commit)(struct sink *sk, struct sink_load_result *ret, struct err *e);
    void (*rollback)(struct sink *sk);
    int (*read)(struct sink *sk, const struct sink_table *t,
                int (*fn)(void *arg, const char *const *values, struct err *e), void *arg,
                struct err *e);
    void (*free)(struct sink *sk);
};

/* Drivers embed this first. */
struct sink {
    const struct sink_ops *ops;
    char *url; /* for messages, secrets masked */
};

struct sink_options {
    int timeout_ms; /* to connect, and for a lock of another loader or reader; 0: 10 s */
    /* For peek and read: nothing is made or changed, a missing file is an empty sink. */
    bool read_only;
};

/*
 * Opens by URL and connects: sqlite:PATH, postgresql://... or postgres://... with all of libpq's
 * parameters. ERR_CONFIG for a URL no driver can read.
 */
int sink_open(const char *url, const struct sink_options *o, struct sink **ret, struct err *e);
/* Can the URL be read, as far as itself tells? ERR_CONFIG. */
int sink_check(const char *url, struct err *e);

/*
 * Makes the table and clickmill_loads if they are missing; a table that is there is used if it
 * fits (names, types that hold our values, a unique key over the key columns), else a clear error
 * says what differs and how to mend it. Gives the watermark. Once before each load.
 */
static inline int sink_prepare(struct sink *sk, const struct sink_table *t,
                               struct sink_watermark *ret, struct err *e) {
    return sk->ops->prepare(sk, t, ret, e);
}
/* The watermark alone, of a table that may not exist (version -1). Makes and checks nothing. */
static inline int sink_peek(struct sink *sk, const struct sink_table *t, struct sink_watermark *ret,
                            struct err *e) {
    return sk->ops->peek(sk, t, ret, e);
}
/*
 * Starts the transaction. One loader at a time: the others wait timeout_ms for it, then fail with
 * retry. After an error, and instead of commit, call rollback.
 */
static inline int sink_begin(struct sink *sk, const struct sink_table *t,
                             const struct sink_load_begin *b, struct err *e) {
    return sk->ops->begin(sk, t, b, e);
}
/*
 * One gold row; values as text in the order of the columns, doubles in their shortest form, NULL
 * pointer: NULL. No row may come twice in a load. NaN and the infinities are refused.
 */
static inline int sink_row(struct sink *sk, const char *const *values, struct err *e) {
    return sk->ops->row(sk, values, e);
}
/* A connection lost at the very commit: it may have gone through; the next prepare tells. */
static inline int sink_commit(struct sink *sk, struct sink_load_result *ret, struct err *e) {
    return sk->ops->commit(sk, ret, e);
}
/* Harmless where no load is open. */
static inline void sink_rollback(struct sink *sk) {
    sk->ops->rollback(sk);
}
/*
 * All rows, ordered by the key columns (text in byte order), values as sink_row takes them;
 * compare doubles as numbers. Needs no prepare; a table that does not exist has no rows. Stops at
 * and returns fn's first non-zero. fn must not use the sink.
 */
static inline int sink_read(struct sink *sk, const struct sink_table *t,
                            int (*fn)(void *arg, const char *const *values, struct err *e),
                            void *arg, struct err *e) {
    return sk->ops->read(sk, t, fn, arg, e);
}
static inline void sink_free(struct sink *sk) {
    if (sk)
        sk->ops->free(sk);
}
static inline void sink_freep(struct sink **sk) {
    sink_free(*sk);
}

#endif
