/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The logs themselves: as long as the layer above has read them, and, where something could not be
 * read at all, what is damaged.
 */
#include "flow/reconcile_priv.h"

/* ---- how long they are ----------------------------------------------------------------------- */

struct reader {
    const char *name; /* of who reads */
    int64_t at;       /* the version it has read up to; -1: none */
};

static void farthest(struct reader *rd, const char *name, int64_t at) {
    if (at > rd->at)
        *rd = (struct reader){name, at};
}

static void check_length(struct reconcile *rc, const char *name, struct table *tb,
                         const struct reader *rd) {
    long long version = table_version(tb), at = rd->at;
    const char *view = table_definition(tb)->view;
    if (at > version)
        reconcile_differs(rc, name, xasprintf("%s version %lld", view, version + 1),
                          xasprintf("%s ends at version %lld, though %s has read it up to %lld: "
                                    "the last entries of its log are gone",
                                    view, version, rd->name, at));
    else if (at < 0)
        reconcile_check(rc, name, true, xasprintf("version %lld", version));
    else
        reconcile_check(rc, name, true,
                        xasprintf("version %lld, %s has read up to %lld", version, rd->name, at));
}

static int64_t position(const struct table *above, const char *step, const struct table *tb) {
    _cleanup_(freep) char *app_id = xasprintf("%s/%s", step, table_id(tb) ? table_id(tb) : "");
    return table_txn(above, app_id);
}

/* All gold tables in one check: the first that is wrong, or the contract's. */
static void check_gold(struct reconcile *rc) {
    struct lake *l = &rc->lake;
    struct reader none = {"the sink", -1};
    size_t which = 0;
    for (size_t i = l->n_gold; i-- > 0;)
        if (sink_picture_version(rc->sink, l, i) > table_version(l->gold[i].tb))
            which = i;
    if (l->n_gold == 0)
        return;
    farthest(&none, "the sink", sink_picture_version(rc->sink, l, which));
    check_length(rc, "gold.log", l->gold[which].tb, &none);
}

void reconcile_logs(struct reconcile *rc) {
    struct lake *l = &rc->lake;
    struct reader silver = {"silver", -1}, gold = {"gold", -1};
    farthest(&silver, "silver", position(l->silver, "silver", l->bronze));
    for (size_t i = 0; i < l->n_gold; i++)
        farthest(&gold, table_definition(l->gold[i].tb)->view,
                 position(l->gold[i].tb, "gold", l->silver));
    check_length(rc, "bronze.log", l->bronze, &silver);
    check_length(rc, "silver.log", l->silver, &gold);
    check_gold(rc);
}

/* ---- what is damaged ------------------------------------------------------------------------- */

static const char *layer_of(const struct table_def *def) {
    return def == &bronze_events ? "bronze" : def == &silver_events ? "silver" : "gold";
}

static int look_at_logs(struct reconcile *rc, struct storage *st, const struct lake_defs *defs,
                        bool *ret, struct err *e) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < defs->n; i++) {
        char *what = NULL;
        r = table_log_damage(st, defs->v[i], &what, e);
        if (r < 0 || !what)
            continue;
        _cleanup_(freep) char *name = xasprintf("%s.log", layer_of(defs->v[i]));
        reconcile_differs(
            rc, name, xstrdup(defs->v[i]->view),
            xasprintf("%s: %s; what depends on it could not be compared", defs->v[i]->view, what));
        free(what);
        *ret = true;
    }
    return r;
}

struct looking {
    struct reconcile *rc;
    const struct table_def *def;
    bool told; /* one of its checks has: what follows from that is no news */
};

static int take_check(void *arg, const char *name ATTR_UNUSED, bool ok, const char *detail,
                      struct err *e ATTR_UNUSED) {
    struct looking *l = arg;
    if (ok || l->told)
        return 0;
    _cleanup_(freep) char *check = xasprintf("%s.files", layer_of(l->def));
    reconcile_differs(
        l->rc, check, xstrdup(l->def->view),
        xasprintf("%s: %s; what depends on it could not be compared", l->def->view, detail));
    l->told = true;
    return 0;
}

/* Every file from end to end. */
static int look_at_files(struct reconcile *rc, struct storage *st, const struct lake_defs *defs,
                         bool *ret, struct err *e) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < defs->n; i++) {
        struct looking l = {rc, defs->v[i], false};
        struct table *tb = NULL;
        r = table_open(st, defs->v[i], &tb, e);
        if (r == 0)
            r = table_verify(tb, true, take_check, &l, e);
        table_close(tb);
        *ret = *ret || l.told;
    }
    return r;
}

int reconcile_damage(struct reconcile *rc, struct storage *st, const char *models_dir, bool *ret,
                     struct err *e) {
    struct lake_defs defs = {0};
    *ret = false;
    int r = lake_defs_find(st, models_dir, &defs, e);
    if (r == 0)
        r = look_at_logs(rc, st, &defs, ret, e);
    if (r == 0 && !*ret)
        r = look_at_files(rc, st, &defs, ret, e);
    lake_defs_release(&defs);
    return r;
}
