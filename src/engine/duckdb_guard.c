/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user's own SQL may do. Two walls, one behind the other. guard_lock takes files,
 * extensions and settings away from the database: read_csv() and its like find nothing they may
 * open but the tables' own files. guard_prepare lets only statements pass that read: they begin
 * with one of a few words, and DuckDB itself takes them for a SELECT. EXPLAIN ANALYZE runs what it
 * explains, so that is looked at, too. And some functions do more than read, or run a text as SQL,
 * or end the process when files are forbidden: their names may not occur (test_query.c knows all
 * table functions of this DuckDB, so that a new one is not overlooked).
 */
#include <ctype.h>
#include <strings.h>

#include "engine/duckdb_priv.h"

int guard_lock(struct session *s, const char *paths, struct err *e) {
    if (session_execf(s, e, "SET allowed_paths = [%s]", paths) < 0 ||
        session_execf(s, e, "SET enable_external_access = false") < 0)
        return e->code;
    return session_execf(s, e, "SET lock_configuration = true");
}

/* In front of a refusal: whose SQL it is. */
static int at_its_place(const struct session *s, struct err *e) {
    _cleanup_(freep) char *place = session_place(s, NULL, 0);
    return err_wrap(e, "%s", place);
}

/* Prepares the one statement of a text; *ret is to be destroyed after success. */
static int prepare_one(struct session *s, const char *sql, duckdb_prepared_statement *ret,
                       struct err *e) {
    duckdb_extracted_statements all;
    idx_t n = duckdb_extract_statements(s->con, sql, &all);
    const char *why = n ? NULL : duckdb_extract_statements_error(all);
    int rc = 0;
    if (n == 0 && why && *why) {
        rc = session_fail(s, NULL, DUCKDB_ERROR_PARSER, why, e);
    } else if (n != 1) {
        err_set(e, ERR_ENGINE, "%llu statements: one is wanted", (unsigned long long)n);
        rc = at_its_place(s, e);
    }
    if (rc == 0 && duckdb_prepare_extracted_statement(s->con, all, 0, ret) != DuckDBSuccess) {
        session_fail(s, NULL, DUCKDB_ERROR_INVALID, duckdb_prepare_error(*ret), e);
        duckdb_destroy_prepare(ret);
        rc = e->code;
    }
    duckdb_destroy_extracted(&all);
    return rc;
}

static const char *skip_blanks(const char *p) {
    for (;;) {
        if (isspace((unsigned char)*p)) {
            p++;
        } else if (p[0] == '-' && p[1] == '-') {
            p += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = strstr(p + 2, "*/");
            p = end ? end + 2 : p + strlen(p);
        } else {
            return p;
        }
    }
}

/* Skips the word, in any case; NULL if it does not stand there. */
static const char *skip_word(const char *p, const char *word) {
    size_t n = strlen(word);
    p = skip_blanks(p);
    return strncasecmp(p, word, n) == 0 && !isalnum((unsigned char)p[n]) && p[n] != '_' ? p + n
                                                                                        : NULL;
}

/* Does it begin like a query? Some PRAGMAs are SELECTs to DuckDB. */
static bool begins_like_select(const char *sql) {
    static const char *const words[] = {"select",   "with", "from",      "values", "table",
                                        "describe", "desc", "summarize", "show"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (skip_word(sql, words[i]))
            return true;
    return *skip_blanks(sql) == '(';
}

static bool is_select(duckdb_prepared_statement ps, const char *sql) {
    return duckdb_prepared_statement_type(ps) == DUCKDB_STATEMENT_TYPE_SELECT &&
           begins_like_select(sql);
}

/* The same of a text that need not even parse. */
static bool text_is_select(struct session *s, const char *sql) {
    duckdb_prepared_statement ps;
    struct err ignored;
    if (prepare_one(s, sql, &ps, &ignored) < 0)
        return false;
    bool ok = is_select(ps, sql);
    duckdb_destroy_prepare(&ps);
    return ok;
}

/* EXPLAIN [ANALYZE] or EXPLAIN (options), then what is explained: it must be a SELECT by itself. */
static bool explains_select(struct session *s, const char *sql) {
    const char *rest = skip_word(sql, "explain");
    if (!rest)
        return false;
    const char *analyze = skip_word(rest, "analyze");
    if (analyze)
        rest = analyze;
    rest = skip_blanks(rest);
    if (text_is_select(s, rest))
        return true;
    const char *end = *rest == '(' ? strchr(rest, ')') : NULL;
    return end && text_is_select(s, end + 1);
}

static const char *const forbidden_words[] = {
    "enable_logging",
    "disable_logging",
    "truncate_duckdb_logs",
    "write_log",
    "enable_profiling",
    "disable_profiling",
    "arrow_scan",
    "checkpoint",
    "seq_scan",
    "peg_parser",
    "json_execute_serialized_sql",
    "cm_write", /* our own */
    "cm_seen",
    "cm_lend",
};

/* query('…'), however it is spelled; a column of that name is none. */
static bool calls_query(const char *sql) {
    for (const char *p = sql; (p = strcasestr(p, "query")); p++) {
        const char *end = p + strlen("query");
        if (*end == '"')
            end++;
        if (*skip_blanks(end) == '(' &&
            (p == sql || (!isalnum((unsigned char)p[-1]) && p[-1] != '_')))
            return true;
    }
    return false;
}

static int check_words(struct session *s, const char *sql, struct err *e) {
    const char *word = calls_query(sql) ? "query()" : NULL;
    for (size_t i = 0; i < ARRAY_LEN(forbidden_words) && !word; i++)
        if (strcasestr(sql, forbidden_words[i]))
            word = forbidden_words[i];
    if (!word)
        return 0;
    err_set(e, ERR_ENGINE, "'%s' is not allowed here", word);
    return at_its_place(s, e);
}

int guard_prepare(struct session *s, const char *sql, bool untrusted,
                  duckdb_prepared_statement *ret, struct err *e) {
    if (untrusted && check_words(s, sql, e) < 0)
        return e->code;
    if (prepare_one(s, sql, ret, e) < 0)
        return e->code;
    duckdb_statement_type type = duckdb_prepared_statement_type(*ret);
    if (!untrusted || is_select(*ret, sql) ||
        (type == DUCKDB_STATEMENT_TYPE_EXPLAIN && explains_select(s, sql)))
        return 0;
    duckdb_destroy_prepare(ret);
    err_set(e, ERR_ENGINE, "this statement does more than read");
    at_its_place(s, e);
    return err_hint(e, "SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN of these "
                       "are allowed");
}
