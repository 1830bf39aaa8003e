/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sink's tests share: loads written as text, tables read as text, and a real PostgreSQL
 * server. A row is "category|events|revenue|date"; an empty field is NULL; rows end in \n.
 */
#ifndef CM_TEST_SINK_HELPER_H
#define CM_TEST_SINK_HELPER_H

#include "sink/sink.h"
#include "storage/helper.h"

#define GOLD_ID "0b7a5f6e-33cd-4c52-8f0d-a4a1f2e60001"

struct load {
    const char *id; /* gold table id; NULL: GOLD_ID */
    int64_t version;
    const char *dates; /* "2026-02-16 2026-02-17" */
    bool replace_all;
    const char *rows;
};

/* prepare, begin with what prepare gave, rows, commit; rollback where one of them failed. */
int try_load(struct sink *sk, const struct load *l, struct sink_load_result *ret, struct err *e);
/* The parts of it: begin (with another expectation if not NULL) and rows, no commit. */
int begin_load(struct sink *sk, const struct load *l, const struct sink_watermark *expected,
               struct err *e);
int send_rows_of(struct sink *sk, const char *rows, struct err *e);
/* try_load that must succeed with these counts. */
void load_ok(struct sink *sk, const struct load *l, int64_t upserted, int64_t unchanged,
             int64_t deleted);

/* The whole table as rows. The caller frees. */
char *table_text(struct sink *sk);
void assert_table(struct sink *sk, const char *rows);
void assert_watermark(struct sink *sk, const char *id, int64_t version);

struct sink *sink_open_ok(const char *url);

/* ---- PostgreSQL ---- */

/* One server for the whole program: TEST_PG_URL, or started now and stopped at exit. */
const char *pg_shared(void);

/* A server of one's own, to be stopped and killed: test/services/postgres.sh on a folder. */
struct pg_server {
    char *folder;
    char *url;
};
void pg_server_new(struct pg_server *s);
void pg_server_free(struct pg_server *s);
/* "start", "stop", "crash". */
void pg_server_do(const struct pg_server *s, const char *verb);
/* The URL of the administrator, by the socket. The caller frees. */
char *pg_server_admin(const struct pg_server *s);

/* Runs statements; the test fails with the server's words. */
void pg_do(const char *url, const char *sql);
/* The first value of the answer, "" for NULL or no row. The caller frees. */
char *pg_value(const char *url, const char *sql);
/* `url` with a fresh schema first in its search_path. The caller frees; the schema stays. */
char *pg_schema_url(const char *url, char ret_schema[32]);

/* The same for SQLite. */
void sqlite_do(const char *path, const char *sql);
char *sqlite_value(const char *path, const char *sql);

#endif
