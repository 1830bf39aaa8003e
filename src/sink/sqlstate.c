/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/sqlstate.h"

#include "base/mem.h"

bool sqlstate_passes(const char *code) {
    static const char *const passing[] = {
        "08",    /* connection exceptions */
        "40001", /* serialization failure */
        "40P01", /* deadlock */
        "55P03", /* lock not available: lock_timeout */
        "57014", /* query canceled: statement_timeout, or an administrator */
        "57P01", /* admin shutdown */
        "57P02", /* crash shutdown */
        "57P03", /* cannot connect now: starting up, shutting down */
        "57P05", /* idle session timeout */
        "25P03", /* idle in transaction timeout */
        "53200", /* out of memory */
        "53300", /* too many connections */
    };
    for (size_t i = 0; i < ARRAY_LEN(passing); i++)
        if (strncmp(code, passing[i], strlen(passing[i])) == 0)
            return true;
    return false;
}

void sqlstate_hint(struct err *e, const char *code, const char *user, const char *database) {
    if (strcmp(code, "42501") == 0)
        err_hint(
            e,
            "as the owner: GRANT TEMPORARY ON DATABASE %s TO %s; GRANT USAGE, CREATE ON SCHEMA "
            "... TO %s; GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE ... TO %s;",
            database, user, user, user);
    else if (strncmp(code, "28", 2) == 0)
        err_hint(e,
                 "check the user and the password: in sink.url, PGPASSWORD or ~/.pgpass, and the "
                 "server's pg_hba.conf");
    else if (strcmp(code, "3D000") == 0)
        err_hint(e, "make it: CREATE DATABASE %s;", database);
    else if (strcmp(code, "25006") == 0)
        err_hint(e,
                 "this server takes no writes: name the primary one in sink.url, or several with "
                 "target_session_attrs=read-write");
    else if (strcmp(code, "53100") == 0)
        err_hint(e, "make room on the database server's disk; the next load starts where the last "
                    "one ended");
    else if (strcmp(code, "3F000") == 0)
        err_hint(e,
                 "the user's search_path names no schema: ALTER ROLE %s SET search_path = public;",
                 user);
}

/* ":  28P01: " -> points at the colon, NULL if there is none. */
static const char *find_code(const char *s) {
    static const char set[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (s = strstr(s, ":  "); s; s = strstr(s + 1, ":  "))
        if (strspn(s + 3, set) == 5 && strncmp(s + 8, ": ", 2) == 0)
            return s;
    return NULL;
}

static void add_line(struct buf *b, const char *line, char ret_code[SQLSTATE_TEXT]) {
    buf_add_str(b, b->len ? "; " : "");
    const char *code = find_code(line);
    if (!code) {
        buf_add_str(b, line);
        return;
    }
    snprintf(ret_code, SQLSTATE_TEXT, "%.5s", code + 3);
    buf_add(b, line, (size_t)(code - line));
    buf_add_str(b, code + 8);
}

void sqlstate_of_connect(const char *libpq, char *ret_text, size_t size,
                         char ret_code[SQLSTATE_TEXT]) {
    struct buf b = BUF_INIT(16 * 1024);
    _cleanup_(freep) char *copy = xstrdup(libpq);
    char *rest = copy, *line;
    ret_code[0] = '\0';
    while ((line = strsep(&rest, "\n"))) {
        line += strspn(line, " \t");
        if (*line && strncmp(line, "LOCATION:", 9) != 0)
            add_line(&b, line, ret_code);
    }
    snprintf(ret_text, size, "%s", buf_str(&b));
    buf_release(&b);
}

bool connect_passes(const char *libpq) {
    static const char *const passing[] = {
        "Connection refused",
        "Connection timed out",
        "timeout expired",
        "No route to host",
        "Host is unreachable",
        "Network is unreachable",
        "Connection reset",
        "Broken pipe",
        "server closed the connection",
        "SSL SYSCALL error",
        "could not translate host name",
        "session is read-only",
        "server is in hot standby",
        "Too many open files",
    };
    for (size_t i = 0; i < ARRAY_LEN(passing); i++)
        if (strstr(libpq, passing[i]))
            return true;
    /* A server that has not made its socket yet; a key file that is missing says the same words. */
    return strstr(libpq, "connection to server on socket") && strstr(libpq, "No such file");
}
