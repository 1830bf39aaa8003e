/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink's tables in PostgreSQL's catalog: found by search_path, made where they are missing,
 * else compared with what a load needs. The catalog names types, keys and collations; fit.c judges.
 */
#include "base/limits.h"
#include "sink/driver.h"
#include "sink/fit.h"
#include "sink/postgres.h"
#include "sink/rules.h"
#include "sink/sql.h"

void pg_table_release(struct pg_table *tb) {
    free(tb->name);
    free(tb->schema);
    *tb = (struct pg_table){0};
}

int pg_table_find(struct pg_sink *pg, const char *name, struct pg_table *ret, struct err *e) {
    pg_table_release(ret);
    _pg_result_ r = pg_query(pg, "look for the table",
                             "SELECT c.oid, quote_ident(n.nspname), "
                             "quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind, "
                             "c.relpersistence = 'p' FROM pg_catalog.pg_class AS c"
                             " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
                             " WHERE c.oid = pg_catalog.to_regclass($1)",
                             1, (const char *[]){name}, e);
    if (!r)
        return e->code;
    if (pg_rows(r) == 0)
        return 0;
    snprintf(ret->oid, sizeof ret->oid, "%s", pg_text(r, 0, 0));
    ret->schema = xstrdup(pg_text(r, 0, 1));
    ret->name = xstrdup(pg_text(r, 0, 2));
    ret->kind = *pg_text(r, 0, 3);
    ret->durable = *pg_text(r, 0, 4) == 't';
    return 0;
}

int pg_tables_find(struct pg_sink *pg, const struct sink_table *t, struct pg_tables *ret,
                   struct err *e) {
    pg_tables_release(ret);
    int rc = pg_table_find(pg, t->name, &ret->table, e);
    if (rc || !ret->table.name)
        return rc;
    _cleanup_(freep) char *loads = xasprintf("%s." SINK_LOADS_NAME, ret->table.schema);
    return pg_table_find(pg, loads, &ret->loads, e);
}

void pg_tables_release(struct pg_tables *have) {
    pg_table_release(&have->table);
    pg_table_release(&have->loads);
}

/*
 * Makes what is missing. CREATE TABLE IF NOT EXISTS fails when two do it at once, so one after
 * the other: the lock is held to the end of the transaction, then the second finds the tables.
 */
static int make_missing(struct pg_sink *pg, const struct sink_table *t, struct pg_tables *ret,
                        struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    buf_addf(&sql, "SELECT pg_advisory_xact_lock(%d, 0)", PG_LOCK_CLASS);
    int rc = pg_run(pg, "lock the schema", buf_str(&sql), e);
    if (rc == 0)
        rc = pg_tables_find(pg, t, ret, e);
    bool made = rc == 0 && !ret->table.name;
    if (made) {
        buf_reset(&sql);
        sql_create(&sql, t->name, t);
        rc = pg_run(pg, "make the table", buf_str(&sql), e);
        if (rc == 0)
            rc = pg_tables_find(pg, t, ret, e);
    }
    if (rc == 0 && !ret->loads.name) {
        buf_reset(&sql);
        buf_addf(&sql, "CREATE TABLE %s." SINK_LOADS_NAME " " SINK_LOADS_COLUMNS,
                 ret->table.schema);
        rc = pg_run(pg, "make the table", buf_str(&sql), e);
        if (rc == 0)
            rc = pg_tables_find(pg, t, ret, e);
    }
    if (rc == 0 && made) {
        buf_reset(&sql);
        sql_forget(&sql, ret->loads.name, t);
        rc = pg_run(pg, "forget what was loaded before", buf_str(&sql), e);
    }
    buf_release(&sql);
    return rc;
}

static int check_kind(struct pg_sink *pg, const struct pg_table *tb, struct err *e) {
    const char *what = tb->kind == 'v'   ? "a view"
                       : tb->kind == 'm' ? "a materialized view"
                       : tb->kind == 'f' ? "a foreign table"
                                         : "no table";
    if (tb->kind != 'r' && tb->kind != 'p') {
        err_set(e, ERR_SINK, "%s: %s is %s, not a table we could load", pg->base.url, tb->name,
                what);
        return err_hint(e, "give it another name, clickmill makes the table itself; or put another "
                           "schema first in search_path");
    }
    if (!tb->durable) {
        /* The watermark would outlive its rows. */
        err_set(e, ERR_SINK, "%s: the table %s loses its rows in a crash (it is unlogged)",
                pg->base.url, tb->name);
        return err_hint(e, "ALTER TABLE %s SET LOGGED;", tb->name);
    }
    return 0;
}

static struct pg_result *find_columns(struct pg_sink *pg, const struct pg_table *tb,
                                      struct err *e) {
    return pg_query(pg, "read the table's columns",
                    "SELECT a.attname, format_type(a.atttypid, a.atttypmod),"
                    " a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',"
                    " a.attgenerated <> '' OR a.attidentity = 'a',"
                    " coalesce(NOT l.collisdeterministic, false)"
                    " FROM pg_catalog.pg_attribute AS a"
                    " LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation"
                    " WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped"
                    " ORDER BY a.attnum",
                    1, (const char *[]){tb->oid}, e);
}

/* The unique indexes over exactly the key columns: ON CONFLICT needs one, and none it refuses. */
static struct pg_result *find_keys(struct pg_sink *pg, const struct sink_table *t,
                                   const struct pg_table *tb, struct err *e) {
    struct buf keys = BUF_INIT(LIMIT_SQL);
    buf_add_char(&keys, '{');
    sql_columns(&keys, t, SQL_KEYS, "");
    buf_add_char(&keys, '}');
    struct pg_result *r =
        pg_query(pg, "read the table's keys",
                 "SELECT quote_ident(c.relname), i.indimmediate FROM pg_catalog.pg_index AS i"
                 " JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid"
                 " WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisvalid"
                 " AND i.indpred IS NULL AND i.indexprs IS NULL"
                 " AND i.indnkeyatts = cardinality($2::text[])"
                 " AND NOT EXISTS (SELECT 1 FROM unnest(i.indkey::int2[])"
                 "  WITH ORDINALITY AS k (attnum, place)"
                 "  JOIN pg_catalog.pg_attribute AS a"
                 "  ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
                 "  WHERE k.place <= i.indnkeyatts AND a.attname::text <> ALL ($2::text[]))"
                 " AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_collation AS l"
                 "  WHERE l.oid = ANY (i.indcollation::oid[]) AND NOT l.collisdeterministic)",
                 2, (const char *[]){tb->oid, buf_str(&keys)}, e);
    buf_release(&keys);
    return r;
}

static int check_fit(struct pg_sink *pg, const struct sink_table *t, const struct pg_table *tb,
                     uint32_t *ret_narrow, struct err *e) {
    struct fit_table found = {.shown = tb->name};
    int rc = check_kind(pg, tb, e);
    if (rc)
        return rc;
    _pg_result_ keys = find_keys(pg, t, tb, e);
    _pg_result_ r = keys ? find_columns(pg, tb, e) : NULL;
    if (!r)
        return e->code;
    for (int i = 0; i < pg_rows(keys); i++) {
        if (*pg_text(keys, i, 1) == 't')
            found.unique = true;
        else
            found.deferrable = pg_text(keys, i, 0);
    }
    found.n = (size_t)pg_rows(r);
    struct fit_column *columns = xcalloc(found.n + 1, sizeof *columns);
    for (int i = 0; i < pg_rows(r); i++)
        columns[i] = (struct fit_column){
            .name = pg_text(r, i, 0),
            .type = pg_text(r, i, 1),
            .required = *pg_text(r, i, 2) == 't',
            .generated = *pg_text(r, i, 3) == 't',
            .loose = *pg_text(r, i, 4) == 't',
        };
    found.columns = columns;
    rc = fit_check(&pg->base, t, &found, &fit_postgres, e);
    *ret_narrow = 0;
    for (size_t i = 0; rc == 0 && i < t->n_columns; i++)
        if (strcmp(fit_find(&found, &fit_postgres, t->columns[i].name)->type, "integer") == 0)
            *ret_narrow |= SINK_NARROW(i);
    free(columns);
    return rc;
}

int pg_tables_prepare(struct pg_sink *pg, const struct sink_table *t, struct pg_tables *ret,
                      struct err *e) {
    uint32_t unused;
    int rc = pg_tables_find(pg, t, ret, e);
    if (rc == 0 && !ret->loads.name)
        rc = make_missing(pg, t, ret, e);
    if (rc == 0)
        rc = check_fit(pg, t, &ret->table, &ret->narrow, e);
    if (rc == 0)
        rc = check_fit(pg, &sink_loads, &ret->loads, &unused, e);
    return rc;
}
