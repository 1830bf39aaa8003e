/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/sql.h"

void sql_ident(struct buf *b, const char *name) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
    if (*name && strspn(name, plain) == strlen(name) && !(*name >= '0' && *name <= '9')) {
        buf_add_str(b, name);
        return;
    }
    buf_add_char(b, '"');
    for (const char *s = name; *s; s++) {
        if (*s == '"')
            buf_add_char(b, '"');
        buf_add_char(b, *s);
    }
    buf_add_char(b, '"');
}

void sql_columns(struct buf *b, const struct sink_table *t, enum sql_which which,
                 const char *prefix) {
    const char *comma = "";
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct sink_column *c = &t->columns[i];
        if (which != SQL_ALL && c->key != (which == SQL_KEYS))
            continue;
        buf_add_str(b, comma);
        buf_add_str(b, prefix);
        sql_ident(b, c->name);
        comma = ", ";
    }
}

const char *sql_type(enum sink_type type) {
    switch (type) {
    case SINK_TEXT:
        return "TEXT";
    case SINK_INT:
        return "INT";
    case SINK_BIGINT:
        return "BIGINT";
    case SINK_DOUBLE:
        return "DOUBLE PRECISION";
    case SINK_MONEY:
        return "NUMERIC(18,4)";
    case SINK_DATE:
        return "DATE";
    case SINK_BOOLEAN:
        return "BOOLEAN";
    case SINK_TIMESTAMP:
        return "TIMESTAMPTZ";
    }
    abort();
}

void sql_create(struct buf *b, const char *name, const struct sink_table *t) {
    buf_addf(b, "CREATE TABLE %s (", name);
    for (size_t i = 0; i < t->n_columns; i++) {
        sql_ident(b, t->columns[i].name);
        buf_addf(b, " %s, ", sql_type(t->columns[i].type));
    }
    buf_add_str(b, "PRIMARY KEY (");
    sql_columns(b, t, SQL_KEYS, "");
    buf_add_str(b, "))");
}

static bool has_values(const struct sink_table *t) {
    for (size_t i = 0; i < t->n_columns; i++)
        if (!t->columns[i].key)
            return true;
    return false;
}

static void add_assignments(struct buf *b, const struct sink_table *t) {
    const char *comma = "";
    for (size_t i = 0; i < t->n_columns; i++) {
        if (t->columns[i].key)
            continue;
        buf_add_str(b, comma);
        sql_ident(b, t->columns[i].name);
        buf_add_str(b, " = excluded.");
        sql_ident(b, t->columns[i].name);
        comma = ", ";
    }
}

void sql_upsert(struct buf *b, const char *name, const char *rows, const struct sink_table *t) {
    buf_addf(b, "INSERT INTO %s AS t (", name);
    sql_columns(b, t, SQL_ALL, "");
    buf_add_str(b, ") SELECT ");
    sql_columns(b, t, SQL_ALL, "");
    /* SQLite would take ON for a join's without the WHERE. */
    buf_addf(b, " FROM %s WHERE true ON CONFLICT (", rows);
    sql_columns(b, t, SQL_KEYS, "");
    buf_add_str(b, ") DO ");
    if (!has_values(t)) {
        buf_add_str(b, "NOTHING");
        return;
    }
    buf_add_str(b, "UPDATE SET ");
    add_assignments(b, t);
    buf_add_str(b, " WHERE (");
    sql_columns(b, t, SQL_VALUES, "t.");
    buf_add_str(b, ") IS DISTINCT FROM (");
    sql_columns(b, t, SQL_VALUES, "excluded.");
    buf_add_str(b, ")");
}

void sql_delete(struct buf *b, const char *name, const char *rows, const struct sink_table *t,
                const char *dates) {
    buf_addf(b, "DELETE FROM %s AS t WHERE ", name);
    if (dates) {
        buf_add_str(b, "t.");
        sql_ident(b, t->date_column);
        buf_addf(b, " %s AND ", dates);
    }
    buf_addf(b, "NOT EXISTS (SELECT 1 FROM %s AS r WHERE ", rows);
    const char *and = "";
    for (size_t i = 0; i < t->n_columns; i++) {
        if (!t->columns[i].key)
            continue;
        buf_addf(b, "%sr.", and);
        sql_ident(b, t->columns[i].name);
        buf_add_str(b, " = t.");
        sql_ident(b, t->columns[i].name);
        and = " AND ";
    }
    buf_add_str(b, ")");
}

void sql_select(struct buf *b, const char *name, const struct sink_table *t, const char *collate) {
    buf_add_str(b, "SELECT ");
    sql_columns(b, t, SQL_ALL, "");
    buf_addf(b, " FROM %s ORDER BY ", name);
    const char *comma = "";
    for (size_t i = 0; i < t->n_columns; i++) {
        if (!t->columns[i].key)
            continue;
        buf_add_str(b, comma);
        sql_ident(b, t->columns[i].name);
        if (t->columns[i].type == SINK_TEXT)
            buf_addf(b, " COLLATE %s", collate);
        comma = ", ";
    }
}

void sql_watermark(struct buf *b, const char *loads, char mark, const char *now) {
    buf_addf(b,
             "INSERT INTO %s (table_name, gold_table_id, gold_version, loaded_at)"
             " VALUES (%c1, %c2, %c3, %s) ON CONFLICT (table_name) DO UPDATE SET"
             " gold_table_id = excluded.gold_table_id, gold_version = excluded.gold_version,"
             " loaded_at = excluded.loaded_at",
             loads, mark, mark, mark, now);
}

void sql_forget(struct buf *b, const char *loads, const struct sink_table *t) {
    buf_addf(b, "DELETE FROM %s WHERE table_name = '%s'", loads, t->name);
}

void sql_copy_value(struct buf *b, const char *value) {
    if (!value) {
        buf_add_str(b, "\\N");
        return;
    }
    for (;;) {
        size_t n = strcspn(value, "\\\t\n\r");
        buf_add(b, value, n);
        value += n;
        switch (*value++) {
        case '\0':
            return;
        case '\\':
            buf_add_str(b, "\\\\");
            break;
        case '\t':
            buf_add_str(b, "\\t");
            break;
        case '\n':
            buf_add_str(b, "\\n");
            break;
        case '\r':
            buf_add_str(b, "\\r");
            break;
        }
    }
}
