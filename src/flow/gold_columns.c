/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/gold_columns.h"

/* ---- what the engine says -------------------------------------------------------------------- */

/* The engine's types and what becomes of them. A number that outgrows its column is an error. */
static const struct {
    const char *engine;
    enum column_type type;
} types[] = {
    {"VARCHAR", TYPE_STRING},
    {"BOOLEAN", TYPE_BOOLEAN},
    {"TINYINT", TYPE_INT},
    {"SMALLINT", TYPE_INT},
    {"INTEGER", TYPE_INT},
    {"UTINYINT", TYPE_INT},
    {"USMALLINT", TYPE_INT},
    {"UINTEGER", TYPE_LONG},
    {"BIGINT", TYPE_LONG},
    {"UBIGINT", TYPE_LONG},
    {"HUGEINT", TYPE_LONG}, /* a sum of whole numbers */
    {"FLOAT", TYPE_DOUBLE},
    {"DOUBLE", TYPE_DOUBLE},
    {"DATE", TYPE_DATE},
    {"TIMESTAMP", TYPE_TIMESTAMP},
    {"TIMESTAMP WITH TIME ZONE", TYPE_TIMESTAMP},
};

static bool find_type(const char *engine, enum column_type *ret) {
    int width, scale;
    if (sscanf(engine, "DECIMAL(%d,%d)", &width, &scale) == 2 && scale <= 4) {
        *ret = TYPE_MONEY;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(types[i].engine, engine) == 0) {
            *ret = types[i].type;
            return true;
        }
    return false;
}

struct finding {
    const struct model *m;
    struct gold_columns *c;
};

/* In front of the partition, which stays last. */
static int take_column(struct finding *f, const char *name, const char *type, struct err *e) {
    const char *file = f->m->file, *why = model_name_problem(name);
    struct table_def *def = &f->c->def;
    struct column c = {0};
    if (why) {
        err_set(e, ERR_ENGINE, "gold: %s: no column can be called '%.100s': %s", file, name, why);
        return err_hint(e, "name it: ... AS total_events");
    }
    if (table_def_column(def, name))
        return err_set(e, ERR_ENGINE, "gold: %s: the SELECT gives two columns %s", file, name);
    if (def->n_columns == SINK_MAX_COLUMNS)
        return err_set(e, ERR_ENGINE, "gold: %s: the SELECT gives more than %d columns", file,
                       SINK_MAX_COLUMNS);
    if (!find_type(type, &c.type)) {
        err_set(e, ERR_ENGINE, "gold: %s: column %s has the type %s, which no table here has", file,
                name, type);
        return err_hint(e,
                        "CAST it AS STRING, INT, BIGINT, DOUBLE, DECIMAL(18,4), BOOLEAN, DATE or "
                        "TIMESTAMPTZ");
    }
    c.name = xstrdup(name);
    f->c->v[def->n_columns++] = c;
    return 0;
}

static int take_header(void *arg, const char *const *names, const char *const *engine_types,
                       size_t n, struct err *e) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = take_column(arg, names[i], engine_types[i], e);
    return r;
}

static int partition_last(struct finding *f, struct err *e) {
    struct table_def *def = &f->c->def;
    const struct column *by = table_def_column(def, def->partition_by);
    if (!by || by->type != TYPE_DATE)
        return err_set(e, ERR_ENGINE, "gold: %s: the SELECT must give a DATE called %s", f->m->file,
                       def->partition_by);
    struct column *at = &f->c->v[by - def->columns], last = *at;
    memmove(at, at + 1, (size_t)(&f->c->v[def->n_columns - 1] - at) * sizeof *at);
    f->c->v[def->n_columns - 1] = last;
    return 0;
}

/* Equal must mean the same to every database, and their orders must agree. */
static bool can_be_key(enum column_type t) {
    return t == TYPE_STRING || t == TYPE_INT || t == TYPE_LONG || t == TYPE_DATE ||
           t == TYPE_BOOLEAN;
}

static int check_grain(const struct model *m, const struct table_def *def, struct err *e) {
    for (size_t i = 0; i < m->n_grain; i++) {
        const struct column *c = table_def_column(def, m->grain[i]);
        if (!c)
            return err_set(e, ERR_ENGINE, "gold: %s: the grain names %s, which is no column",
                           m->file, m->grain[i]);
        if (!can_be_key(c->type)) {
            err_set(e, ERR_ENGINE, "gold: %s: %s cannot be part of the grain: it is of type %s",
                    m->file, c->name, column_type_sql(c->type));
            return err_hint(e, "only STRING, INT, BIGINT, BOOLEAN and DATE can");
        }
    }
    return 0;
}

int gold_columns_find(struct engine *en, const struct model *m, struct gold_columns **ret,
                      struct err *e) {
    static const struct table_files none = {0};
    const struct engine_input input = {"silver_events", &silver_events, &none};
    struct engine_stage stages[MODEL_STAGES];
    struct gold_columns *c = xcalloc(1, sizeof *c);
    struct finding f = {m, c};
    const struct engine_question q = {.what = "gold",
                                      .file = m->file,
                                      .inputs = &input,
                                      .n_inputs = 1,
                                      .stages = stages,
                                      .n_stages = model_inputs(m, stages),
                                      .sql = m->text,
                                      .untrusted = !m->built_in};
    c->def = m->def;
    c->def.columns = c->v;
    c->def.n_columns = 0;
    int r = engine_ask(en, NULL, &q, &(struct engine_rows){.header = take_header, .arg = &f}, e);
    if (r == 0)
        r = partition_last(&f, e);
    if (r == 0)
        r = check_grain(m, &c->def, e);
    if (r == ERR_ENGINE && !e->hint[0] && strstr(e->msg, "Catalog Error"))
        err_hint(e, "a model reads what its Inputs name (silver_events, people, bots) and no other "
                    "table");
    if (r == 0)
        *ret = c;
    else
        gold_columns_free(c);
    return r;
}

static int check_count(const struct table_def *def, struct err *e) {
    return def->n_columns <= SINK_MAX_COLUMNS
               ? 0
               : err_set(e, ERR_ENGINE, "%s: the table has more than %d columns", def->view,
                         SINK_MAX_COLUMNS);
}

int gold_columns_copy(const struct table_def *def, struct gold_columns **ret, struct err *e) {
    int r = check_count(def, e);
    if (r < 0)
        return r;
    struct gold_columns *c = xcalloc(1, sizeof *c);
    c->def = *def;
    c->def.columns = c->v;
    for (size_t i = 0; i < def->n_columns; i++)
        c->v[i] = (struct column){xstrdup(def->columns[i].name), def->columns[i].type};
    *ret = c;
    return 0;
}

void gold_columns_free(struct gold_columns *c) {
    for (size_t i = 0; c && i < c->def.n_columns; i++)
        free((char *)(uintptr_t)c->v[i].name);
    free(c);
}

bool gold_columns_same(const struct table_def *a, const struct table_def *b) {
    if (a->n_columns != b->n_columns)
        return false;
    for (size_t i = 0; i < a->n_columns; i++)
        if (strcmp(a->columns[i].name, b->columns[i].name) != 0 ||
            a->columns[i].type != b->columns[i].type)
            return false;
    return true;
}

/* ---- what the sink gets ---------------------------------------------------------------------- */

static enum sink_type sink_type_of(enum column_type t) {
    switch (t) {
    case TYPE_STRING:
    case TYPE_BINARY: /* no model gives one */
        return SINK_TEXT;
    case TYPE_INT:
        return SINK_INT;
    case TYPE_LONG:
        return SINK_BIGINT;
    case TYPE_DOUBLE:
        return SINK_DOUBLE;
    case TYPE_BOOLEAN:
        return SINK_BOOLEAN;
    case TYPE_DATE:
        return SINK_DATE;
    case TYPE_TIMESTAMP:
        return SINK_TIMESTAMP;
    case TYPE_MONEY:
        return SINK_MONEY;
    }
    abort();
}

int gold_sink_make(const struct model *m, const struct table_def *def, struct gold_sink *ret,
                   struct err *e) {
    int r = check_grain(m, def, e);
    if (r == 0)
        r = check_count(def, e);
    for (size_t i = 0; r == 0 && i < def->n_columns; i++)
        if (model_name_problem(def->columns[i].name))
            r = err_set(e, ERR_ENGINE, "%s: the column '%.100s' is none that a model gives",
                        def->view, def->columns[i].name);
    if (r < 0)
        return r;
    for (size_t i = 0; i < def->n_columns; i++)
        ret->v[i] = (struct sink_column){def->columns[i].name, sink_type_of(def->columns[i].type),
                                         model_has_key(m, def->columns[i].name)};
    ret->table = (struct sink_table){.name = m->name,
                                     .columns = ret->v,
                                     .n_columns = def->n_columns,
                                     .date_column = def->partition_by};
    return 0;
}

static void add_names(struct buf *b, const struct sink_table *t) {
    for (size_t i = 0; i < t->n_columns; i++)
        buf_addf(b, "%s%s", i ? ", " : "", t->columns[i].name);
}

static void add_order(struct buf *b, const struct sink_table *t) {
    const char *comma = "";
    for (size_t i = 0; i < t->n_columns; i++) {
        if (!t->columns[i].key)
            continue;
        buf_addf(b, "%s%s NULLS FIRST", comma, t->columns[i].name);
        comma = ", ";
    }
}

char *gold_select(const struct sink_table *t, const char *view) {
    struct buf b = BUF_INIT(64 * KIB);
    buf_add_str(&b, "SELECT ");
    add_names(&b, t);
    buf_addf(&b, " FROM %s ORDER BY ", view);
    add_order(&b, t);
    return buf_detach(&b);
}
