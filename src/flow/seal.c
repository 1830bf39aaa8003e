/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/seal.h"

#include "flow/accounts.h"
#include "flow/totals.h"

enum { MAX_CONFLICTS = 20 }; /* with others who move the positions meanwhile */

/* One commit; of bronze, the positions of one source. */
struct seal {
    struct txn_list txn; /* empty: nothing is left to do */
    char *positions;     /* the note (note.h); NULL: none */
    char *why;           /* it cannot be done; NULL: it can */
};

static void start_unless_zero(struct txn_list *l, const char *position, const char *name,
                              int64_t value) {
    if (value > 0)
        total_start(l, position, name, value);
}

static int add_topic(struct table *tb, const char *source, const char *position, struct txn_list *l,
                     struct err *e) {
    char *id = NULL;
    int r = note_last_topic_id(tb, source, &id, e);
    if (r == 0 && id) {
        _cleanup_(freep) char *name = xasprintf("topic=%s", id);
        total_start(l, position, name, 0);
    }
    free(id);
    return r;
}

static int seal_account(struct table *tb, const char *source, const struct account *acc,
                        struct txn_list *l, struct err *e) {
    char *position = xasprintf("%s/%d", source, acc->partition);
    txn_list_add(l, position, acc->to, acc->to);
    total_start(l, position, "first", acc->first);
    start_unless_zero(l, position, "skipped", acc->skipped);
    start_unless_zero(l, position, "lost", acc->lost);
    start_unless_zero(l, position, "rejected", acc->rejected);
    start_unless_zero(l, position, "more", acc->more);
    return add_topic(tb, source, position, l, e);
}

/* All positions of a source, from the first account that carries no totals on. */
static int seal_source(struct table *tb, const struct accounts *a, size_t first, struct seal *s,
                       struct err *e) {
    struct covered *v = xcalloc(a->n, sizeof *v);
    size_t n = 0;
    int r = 0;
    for (size_t i = first; r == 0 && i < a->n; i++) {
        const struct account *acc = &a->v[i];
        if (acc->carried || acc->source != a->v[first].source)
            continue;
        v[n++] = (struct covered){acc->partition, acc->to, acc->to, 0};
        r = seal_account(tb, a->sources[acc->source].name, acc, &s->txn, e);
    }
    s->positions = note_positions(v, n);
    free(v);
    return r;
}

static int seal_bronze(struct table *tb, struct seal *s, struct err *e) {
    struct accounts a = {0};
    int r = accounts_read(tb, &a, e);
    if (r < 0)
        return r;
    size_t first = 0;
    while (first < a.n && a.v[first].carried)
        first++;
    if (first < a.n && a.broken)
        s->why = TAKE_PTR(a.broken);
    else if (first < a.n)
        r = seal_source(tb, &a, first, s, e);
    accounts_release(&a);
    return r;
}

struct silver_positions {
    const struct table *tb;
    struct txn_list *l;
    struct silver_account left; /* what is not carried yet */
};

/* The first position without totals gets all that is left: they are only asked for together. */
static int seal_position(void *arg, const char *app_id, int64_t version) {
    struct silver_positions *p = arg;
    if (!silver_is_position(app_id) || total_of(p->tb, app_id, "events") >= 0)
        return 0;
    txn_list_add(p->l, xstrdup(app_id), version, version);
    total_start(p->l, app_id, "events", p->left.events);
    start_unless_zero(p->l, app_id, "rejected", p->left.rejected);
    start_unless_zero(p->l, app_id, "duplicates", p->left.duplicates);
    start_unless_zero(p->l, app_id, "conflicts", p->left.conflicts);
    p->left = (struct silver_account){0};
    return 0;
}

static int seal_silver(struct table *tb, struct seal *s, struct err *e) {
    struct silver_positions p = {.tb = tb, .l = &s->txn};
    int r = silver_account_read(tb, &p.left, e);
    if (r < 0)
        return r;
    s->why = TAKE_PTR(p.left.broken);
    if (s->why)
        return 0;
    struct silver_account carried;
    silver_account_carried(tb, &carried);
    p.left.events -= carried.events;
    p.left.rejected -= carried.rejected;
    p.left.duplicates -= carried.duplicates;
    p.left.conflicts -= carried.conflicts;
    table_txn_each(tb, "silver/", seal_position, &p);
    return 0;
}

static int try_once(struct table *tb, struct seal *s, struct err *e) {
    int r = table_definition(tb) == &bronze_events ? seal_bronze(tb, s, e) : seal_silver(tb, s, e);
    if (r < 0 || s->why || s->txn.n == 0)
        return r;
    struct table_text note = {(char *)(uintptr_t) "positions", s->positions};
    struct table_commit c = {.operation = "SET TOTALS",
                             .txn = s->txn.v,
                             .n_txn = s->txn.n,
                             .parameters = &note,
                             .n_parameters = s->positions != NULL};
    return table_commit(tb, &c, NULL, e);
}

int seal_totals(struct table *tb, bool *ret_sealed, char **ret_why, struct err *e) {
    *ret_sealed = true;
    *ret_why = NULL;
    if (table_definition(tb) != &bronze_events && table_definition(tb) != &silver_events)
        return 0;
    for (int conflicts = 0;;) {
        struct seal s = {0};
        int r = try_once(tb, &s, e);
        bool done = s.why || s.txn.n == 0;
        *ret_sealed = !s.why;
        *ret_why = s.why;
        txn_list_release(&s.txn);
        free(s.positions);
        if (r == ERR_CONFLICT && ++conflicts < MAX_CONFLICTS)
            r = table_refresh(tb, e);
        if (r < 0 || done)
            return r;
    }
}
