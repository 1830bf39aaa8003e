/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/sink_mem.h"

#include <assert.h>

#include "sink/rules.h"

struct row {
    char *values[SINK_MAX_COLUMNS];
};

struct rows {
    struct row *v;
    size_t n;
};

struct mem_table {
    char name[64];
    struct rows rows;
    struct sink_watermark watermark;
    const struct sink *loader; /* who holds the table's lock */
};

struct mem_db {
    struct mem_table tables[16];
    size_t n_tables;
    int calls, fail_at;
    bool fail_retry, lose_answer;
};

struct mem_sink {
    struct sink base;
    struct mem_db *db;
    bool read_only;
    const struct sink_table *t; /* of the open load */
    struct mem_table *into;
    struct sink_watermark next;
    struct rows sent;
    char **dates;
    size_t n_dates;
    bool replace_all;
};

static struct mem_sink *mem_of(struct sink *sk) {
    return (struct mem_sink *)sk;
}

static void row_release(struct row *r) {
    for (size_t i = 0; i < SINK_MAX_COLUMNS; i++)
        free(r->values[i]);
}

static void rows_release(struct rows *rs) {
    for (size_t i = 0; i < rs->n; i++)
        row_release(&rs->v[i]);
    free(rs->v);
    *rs = (struct rows){0};
}

static void rows_add(struct rows *rs, struct row r) {
    rs->v = xrealloc(rs->v, (rs->n + 1) * sizeof *rs->v);
    rs->v[rs->n++] = r;
}

struct mem_db *mem_db_new(void) {
    return xcalloc(1, sizeof(struct mem_db));
}

void mem_db_free(struct mem_db *db) {
    for (size_t i = 0; i < db->n_tables; i++)
        rows_release(&db->tables[i].rows);
    free(db);
}

/* NULL: not made yet. */
static struct mem_table *find_table(struct mem_db *db, const char *name) {
    for (size_t i = 0; i < db->n_tables; i++)
        if (strcmp(db->tables[i].name, name) == 0)
            return &db->tables[i];
    return NULL;
}

static struct mem_table *make_table(struct mem_db *db, const char *name) {
    struct mem_table *tb = find_table(db, name);
    if (tb)
        return tb;
    assert(db->n_tables < ARRAY_LEN(db->tables));
    tb = &db->tables[db->n_tables++];
    *tb = (struct mem_table){.watermark.version = -1};
    snprintf(tb->name, sizeof tb->name, "%s", name);
    return tb;
}

void mem_db_fail(struct mem_db *db, int nth, bool retry) {
    db->fail_at = db->calls + nth;
    db->fail_retry = retry;
}

void mem_db_lose_answer(struct mem_db *db) {
    db->lose_answer = true;
}

int mem_db_calls(const struct mem_db *db) {
    return db->calls;
}

static int call(struct mem_sink *m, const char *what, struct err *e) {
    if (++m->db->calls != m->db->fail_at)
        return 0;
    err_set(e, ERR_SINK, "%s: cannot %s: told to fail", m->base.url, what);
    e->retry = m->db->fail_retry;
    return e->code;
}

/* Negative, 0 or positive, by the key columns in their order. */
static int compare_keys(const struct sink_table *t, const struct row *a, const struct row *b) {
    for (size_t i = 0; i < t->n_columns; i++) {
        int c = t->columns[i].key ? strcmp(a->values[i], b->values[i]) : 0;
        if (c)
            return c;
    }
    return 0;
}

static int compare_rows(const void *a, const void *b, void *t) {
    return compare_keys(t, a, b);
}

static bool same_values(const struct sink_table *t, const struct row *a, const struct row *b) {
    for (size_t i = 0; i < t->n_columns; i++) {
        const char *x = a->values[i], *y = b->values[i];
        if (!x != !y || (x && strcmp(x, y) != 0))
            return false;
    }
    return true;
}

static int mem_prepare(struct sink *sk, const struct sink_table *t, struct sink_watermark *ret,
                       struct err *e) {
    struct mem_sink *m = mem_of(sk);
    assert(!m->t);
    if (call(m, "make the table", e))
        return e->code;
    if (m->read_only && !find_table(m->db, t->name))
        return err_set(e, ERR_SINK, "%s: cannot make the table: read-only", sk->url);
    *ret = make_table(m->db, t->name)->watermark;
    return 0;
}

static int mem_peek(struct sink *sk, const struct sink_table *t, struct sink_watermark *ret,
                    struct err *e) {
    if (call(mem_of(sk), "read the watermark", e))
        return e->code;
    const struct mem_table *tb = find_table(mem_of(sk)->db, t->name);
    *ret = tb ? tb->watermark : (struct sink_watermark){.version = -1};
    return 0;
}

static int mem_begin(struct sink *sk, const struct sink_table *t, const struct sink_load_begin *b,
                     struct err *e) {
    struct mem_sink *m = mem_of(sk);
    struct mem_table *tb = find_table(m->db, t->name);
    assert(!m->t && tb);
    int rc = call(m, "begin", e);
    if (rc == 0)
        rc = rules_begin(sk, t, b, e);
    if (rc)
        return rc;
    if (tb->loader) {
        err_set(e, ERR_SINK, "%s: cannot begin: another load of %s is open", sk->url, t->name);
        return err_retry(e);
    }
    tb->loader = sk;
    m->t = t;
    m->into = tb;
    m->next.version = b->gold_version;
    snprintf(m->next.table_id, sizeof m->next.table_id, "%s", b->gold_table_id);
    m->replace_all = b->replace_all;
    m->n_dates = b->n_dates;
    m->dates = xcalloc(b->n_dates + 1, sizeof *m->dates);
    for (size_t i = 0; i < b->n_dates; i++)
        m->dates[i] = xstrdup(b->dates[i]);
    return rules_expect(sk, t, b->expected, &tb->watermark, e);
}

static int mem_row(struct sink *sk, const char *const *values, struct err *e) {
    struct mem_sink *m = mem_of(sk);
    assert(m->t);
    uint32_t narrow = 0;
    for (size_t i = 0; i < m->t->n_columns; i++)
        if (m->t->columns[i].type == SINK_INT)
            narrow |= SINK_NARROW(i);
    int rc = call(m, "load rows", e);
    if (rc == 0)
        rc = rules_row(sk, m->t, values, narrow, m->t->name, e);
    if (rc)
        return rc;
    struct row r = {0};
    char out[RULES_VALUE];
    for (size_t i = 0; i < m->t->n_columns; i++)
        if (values[i])
            r.values[i] = xstrdup(rules_value(m->t->columns[i].type, values[i], out));
    rows_add(&m->sent, r);
    return 0;
}

static bool is_loaded(const struct mem_sink *m, const struct row *r) {
    for (size_t i = 0; i < m->t->n_columns; i++)
        if (strcmp(m->t->columns[i].name, m->t->date_column) == 0)
            for (size_t k = 0; k < m->n_dates; k++)
                if (strcmp(m->dates[k], r->values[i]) == 0)
                    return true;
    return m->replace_all;
}

/* Both sorted: what is sent replaces, what is not and belongs to the load goes, the rest stays. */
static struct sink_load_result merge(struct mem_sink *m) {
    struct rows *old = &m->into->rows, all = {0};
    struct sink_load_result done = {0};
    for (size_t i = 0, k = 0; i < old->n || k < m->sent.n;) {
        int c = i == old->n      ? 1
                : k == m->sent.n ? -1
                                 : compare_keys(m->t, &old->v[i], &m->sent.v[k]);
        if (c < 0 && is_loaded(m, &old->v[i])) {
            row_release(&old->v[i++]);
            done.deleted++;
        } else if (c < 0) {
            rows_add(&all, old->v[i++]);
        } else {
            bool same = c == 0 && same_values(m->t, &old->v[i], &m->sent.v[k]);
            done.unchanged += same;
            done.upserted += !same;
            if (c == 0)
                row_release(&old->v[i++]);
            rows_add(&all, m->sent.v[k++]);
        }
    }
    free(old->v);
    *old = all;
    m->sent.n = 0; /* they have moved */
    return done;
}

static void mem_rollback(struct sink *sk) {
    struct mem_sink *m = mem_of(sk);
    if (m->into && m->into->loader == sk)
        m->into->loader = NULL;
    rows_release(&m->sent);
    for (size_t i = 0; i < m->n_dates; i++)
        free(m->dates[i]);
    free(TAKE_PTR(m->dates));
    m->n_dates = 0;
    m->t = NULL;
    m->into = NULL;
}

static int mem_commit(struct sink *sk, struct sink_load_result *ret, struct err *e) {
    struct mem_sink *m = mem_of(sk);
    assert(m->t);
    if (call(m, "commit", e))
        return e->code;
    if (m->sent.n)
        qsort_r(m->sent.v, m->sent.n, sizeof *m->sent.v, compare_rows, (void *)m->t);
    for (size_t i = 1; i < m->sent.n; i++)
        if (compare_keys(m->t, &m->sent.v[i - 1], &m->sent.v[i]) == 0)
            return err_set(e, ERR_SINK, "%s: cannot load rows: one was sent twice", sk->url);
    struct sink_load_result done = merge(m);
    m->into->watermark = m->next;
    mem_rollback(sk);
    if (m->db->lose_answer) {
        m->db->lose_answer = false;
        err_set(e, ERR_SINK, "%s: cannot commit: connection lost", sk->url);
        return err_retry(e);
    }
    *ret = done;
    return 0;
}

static int mem_read(struct sink *sk, const struct sink_table *t,
                    int (*fn)(void *arg, const char *const *values, struct err *e), void *arg,
                    struct err *e) {
    const struct mem_table *tb = find_table(mem_of(sk)->db, t->name);
    int rc = call(mem_of(sk), "read rows", e);
    for (size_t i = 0; rc == 0 && tb && i < tb->rows.n; i++)
        rc = fn(arg, (const char *const *)tb->rows.v[i].values, e);
    return rc;
}

static void mem_free(struct sink *sk) {
    mem_rollback(sk);
    free(sk->url);
    free(sk);
}

static const struct sink_ops mem_ops = {
    .scheme = "mem",
    .prepare = mem_prepare,
    .peek = mem_peek,
    .begin = mem_begin,
    .row = mem_row,
    .commit = mem_commit,
    .rollback = mem_rollback,
    .read = mem_read,
    .free = mem_free,
};

int sink_mem_open(struct mem_db *db, const struct sink_options *o, struct sink **ret,
                  struct err *e ATTR_UNUSED) {
    struct mem_sink *m = xcalloc(1, sizeof *m);
    m->base.ops = &mem_ops;
    m->base.url = xstrdup("mem:");
    m->db = db;
    m->read_only = o->read_only;
    *ret = &m->base;
    return 0;
}
