/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user's own SQL may do. Two walls, one behind the other. guard_lock takes files,
 * extensions and settings away from the database: read_csv() and its like find nothing they may
 * open but the tables' own files. guard_statement lets only statements pass that read; EXPLAIN
 * ANALYZE runs what it explains, so that is looked at, too.
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

/* Prepares the one statement of a text; *ret is to be destroyed after success. */
static int prepare_one(struct session *s, const char *sql, duckdb_prepared_statement *ret,
                       struct err *e) {
    duckdb_extracted_statements all;
    idx_t n = duckdb_extract_statements(s->con, sql, &all);
    const char *why = n ? NULL : duckdb_extract_statements_error(all);
    int rc = 0;
    if (n == 0 && why && *why)
        rc = session_fail(s, NULL, DUCKDB_ERROR_PARSER, why, e);
    else if (n != 1)
        rc = err_set(e, ERR_ENGINE, "%s: %llu statements: one is wanted", s->what,
                     (unsigned long long)n);
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
    return strncasecmp(p, word, n) == 0 && !isalnum((unsigned char)p[n]) && p[n] != '_' ? p + n : NULL;
}

static bool is_select(struct session *s, const char *sql) {
    duckdb_prepared_statement ps;
    struct err ignored;
    if (prepare_one(s, sql, &ps, &ignored) < 0)
        return false;
    bool ok = duckdb_prepared_statement_type(ps) == DUCKDB_STATEMENT_TYPE_SELECT;
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
    if (is_select(s, rest))
        return true;
    const char *end = *rest == '(' ? strchr(rest, ')') : NULL;
    return end && is_select(s, end + 1);
}

int guard_prepare(struct session *s, const char *sql, bool untrusted,
                  duckdb_prepared_statement *ret, struct err *e) {
    if (prepare_one(s, sql, ret, e) < 0)
        return e->code;
    duckdb_statement_type type = duckdb_prepared_statement_type(*ret);
    if (!untrusted || type == DUCKDB_STATEMENT_TYPE_SELECT ||
        (type == DUCKDB_STATEMENT_TYPE_EXPLAIN && explains_select(s, sql)))
        return 0;
    duckdb_destroy_prepare(ret);
    err_set(e, ERR_ENGINE, "%s: this statement does more than read", s->what);
    return err_hint(e, "SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN of these "
                       "are allowed");
}
