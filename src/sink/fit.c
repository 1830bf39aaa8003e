/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/fit.h"

#include <strings.h>

#include "base/limits.h"
#include "sink/sql.h"

/* A text of n characters holds n bytes or more. */
static bool varchar_is_long(const char *type) {
    int n;
    return sscanf(type, "character varying(%d)", &n) == 1 && n >= LIMIT_TEXT;
}

static bool numeric_holds_money(const char *type) {
    int precision, scale = 0;
    if (sscanf(type, "numeric(%d,%d)", &precision, &scale) < 1)
        return false;
    return scale >= 4 && precision - scale >= 14;
}

/* Types as format_type() names them. A domain has a name of its own: refused, it may check more. */
static bool postgres_holds(enum sink_type want, const char *type) {
    bool numeric = strcmp(type, "numeric") == 0; /* without limits: exact for all numbers */
    switch (want) {
    case SINK_TEXT:
        return strcmp(type, "text") == 0 || strcmp(type, "character varying") == 0 ||
               varchar_is_long(type);
    case SINK_INT:
        return numeric || strcmp(type, "integer") == 0 || strcmp(type, "bigint") == 0;
    case SINK_BIGINT:
        return numeric || strcmp(type, "bigint") == 0;
    case SINK_DOUBLE:
        return numeric || strcmp(type, "double precision") == 0;
    case SINK_MONEY:
        return numeric || numeric_holds_money(type);
    case SINK_DATE:
        return strcmp(type, "date") == 0;
    case SINK_BOOLEAN:
        return strcmp(type, "boolean") == 0;
    case SINK_TIMESTAMP:
        return strcmp(type, "timestamp with time zone") == 0 ||
               strcmp(type, "timestamp(6) with time zone") == 0;
    }
    abort();
}

const struct fit_dialect fit_postgres = {postgres_holds, strcmp, true};

static bool begins(const char *type, const char *word) {
    return strncasecmp(type, word, strlen(word)) == 0;
}

/* https://www.sqlite.org/datatype3.html 3.1: the declared type's words give the affinity. */
static bool sqlite_holds(enum sink_type want, const char *type) {
    if (!*type)
        return true; /* no affinity: values stay as they are bound */
    bool integer = strcasestr(type, "INT");
    bool text = !integer &&
                (strcasestr(type, "CHAR") || strcasestr(type, "CLOB") || strcasestr(type, "TEXT"));
    bool real = !integer && !text &&
                (strcasestr(type, "REAL") || strcasestr(type, "FLOA") || strcasestr(type, "DOUB"));
    bool numeric = begins(type, "NUMERIC") || begins(type, "DECIMAL");
    switch (want) {
    case SINK_TEXT:
        return text;
    case SINK_INT:
    case SINK_BIGINT:
        return integer || numeric;
    case SINK_DOUBLE:
        return real || numeric;
    case SINK_MONEY:
        return numeric;
    case SINK_DATE:
        return text || strcasecmp(type, "DATE") == 0; /* text that is no number stays text */
    case SINK_BOOLEAN:
        return integer || begins(type, "BOOL");
    case SINK_TIMESTAMP:
        return text || begins(type, "TIMESTAMP") || begins(type, "DATETIME");
    }
    abort();
}

const struct fit_dialect fit_sqlite = {sqlite_holds, strcasecmp, false};

const struct fit_column *fit_find(const struct fit_table *found, const struct fit_dialect *d,
                                  const char *name) {
    for (size_t i = 0; i < found->n; i++)
        if (d->compare(found->columns[i].name, name) == 0)
            return &found->columns[i];
    return NULL;
}

/* The two texts under way. `rebuild`: something only a new table can mend. */
struct report {
    struct buf wrong, mend;
    bool rebuild;
};

static void differs(struct report *r, const char *fmt, ...) ATTR_PRINTF(2, 3);
static void differs(struct report *r, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    buf_add_str(&r->wrong, r->wrong.len ? "; " : "");
    buf_vaddf(&r->wrong, fmt, ap);
    va_end(ap);
}

static void mend(struct report *r, const char *table, const char *fmt, ...) ATTR_PRINTF(3, 4);
static void mend(struct report *r, const char *table, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    buf_addf(&r->mend, "%sALTER TABLE %s ", r->mend.len ? " " : "", table);
    buf_vaddf(&r->mend, fmt, ap);
    buf_add_char(&r->mend, ';');
    va_end(ap);
}

static void check_column(struct report *r, const struct sink_column *want,
                         const struct fit_table *found, const struct fit_dialect *d) {
    const struct fit_column *is = fit_find(found, d, want->name);
    const char *type = sql_type(want->type);
    if (!is) {
        differs(r, "column %s %s is missing", want->name, type);
        mend(r, found->shown, "ADD COLUMN %s %s", want->name, type);
        r->rebuild |= want->key; /* the rows that are there would have no key */
    } else if (is->generated) {
        differs(r, "column %s is computed by the database", want->name);
        r->rebuild = true;
    } else if (!d->holds(want->type, is->type)) {
        differs(r, "column %s is %s, not %s", want->name, is->type, type);
        mend(r, found->shown, "ALTER COLUMN %s TYPE %s USING %s::%s", want->name, type, want->name,
             type);
        r->rebuild |= !d->alters;
    } else if (is->loose && want->key) {
        differs(r, "column %s has a collation that takes different texts for equal", want->name);
        mend(r, found->shown, "ALTER COLUMN %s TYPE %s COLLATE \"C\"", want->name, type);
        r->rebuild |= !d->alters;
    }
}

static void check_others(struct report *r, const struct sink_table *t,
                         const struct fit_table *found, const struct fit_dialect *d) {
    for (size_t i = 0; i < found->n; i++) {
        const struct fit_column *c = &found->columns[i];
        bool ours = false;
        for (size_t k = 0; k < t->n_columns && !ours; k++)
            ours = d->compare(t->columns[k].name, c->name) == 0;
        if (ours || !c->required)
            continue;
        struct buf name = BUF_INIT(KIB);
        sql_ident(&name, c->name);
        differs(r, "column %s must have a value, but we have none for it", buf_str(&name));
        mend(r, found->shown, "ALTER COLUMN %s DROP NOT NULL", buf_str(&name));
        r->rebuild |= !d->alters;
        buf_release(&name);
    }
}

int fit_check(const struct sink *sk, const struct sink_table *t, const struct fit_table *found,
              const struct fit_dialect *d, struct err *e) {
    struct report r = {.wrong = BUF_INIT(sizeof e->msg), .mend = BUF_INIT(sizeof e->hint)};
    for (size_t i = 0; i < t->n_columns; i++)
        check_column(&r, &t->columns[i], found, d);
    check_others(&r, t, found, d);
    if (found->deferrable) {
        differs(&r, "the key %s is deferrable", found->deferrable);
        mend(&r, found->shown, "DROP CONSTRAINT %s", found->deferrable);
    }
    if (!found->unique) {
        struct buf keys = BUF_INIT(KIB);
        sql_columns(&keys, t, SQL_KEYS, "");
        differs(&r, "no PRIMARY KEY or unique index over exactly (%s)", buf_str(&keys));
        buf_addf(&r.mend, "%sCREATE UNIQUE INDEX ON %s (%s);", r.mend.len ? " " : "", found->shown,
                 buf_str(&keys));
        buf_release(&keys);
    }
    int rc = 0;
    if (r.wrong.len) {
        rc = err_set(e, ERR_SINK, "%s: the table %s cannot take %s: %s", sk->url, found->shown,
                     t->name, buf_str(&r.wrong));
        if (r.rebuild || !d->alters)
            err_hint(
                e, "put the table aside, clickmill makes its own: ALTER TABLE %s RENAME TO %s_old;",
                found->shown, t->name);
        else
            err_hint(e, "%s", buf_str(&r.mend));
    }
    buf_release(&r.wrong);
    buf_release(&r.mend);
    return rc;
}
