/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log a second time, from its oldest beginning and entry by entry, against the table as it was
 * opened, from its newest checkpoint.
 */
#include "table/verify.h"

#include "table/checkpoint.h"

int verify_check(const struct verify *v, const char *name, char *wrong, char *right,
                 struct err *e) {
    int r = v->fn(v->arg, name, !wrong, wrong ? wrong : right, e);
    free(wrong);
    free(right);
    return r;
}

/* --- reading it again --- */

struct replay {
    struct table *tb;
    int64_t begin;      /* the first entry read, or the checkpoint begun with */
    char *wrong, *back; /* what is wrong with the log, and with its positions; NULL: nothing */
};

static void note_back(struct replay *rp, const struct log_entry *en) {
    for (size_t i = 0; i < en->n_txn && !rp->back; i++) {
        int64_t before = table_txn(rp->tb, en->txn[i].app_id);
        if (en->txn[i].version < before)
            rp->back =
                xasprintf("version %lld moves %s back from %lld to %lld", (long long)en->version,
                          en->txn[i].app_id, (long long)before, (long long)en->txn[i].version);
    }
}

/* An error of the storage itself is one, and so is a stop; what the log holds is what we are here to tell. */
static int tell(struct replay *rp, struct err *e) {
    if (e->retry || e->code == ERR_STOPPED)
        return e->code;
    rp->wrong = xstrdup(e->msg);
    err_clear(e);
    return 0;
}

static int replay_entries(struct replay *rp, int64_t to, struct err *e) {
    int r = 0;
    for (int64_t v = rp->tb->version + 1; r == 0 && v <= to; v++) {
        struct log_entry en;
        r = snapshot_load(rp->tb, v, &en, e);
        if (r)
            break;
        note_back(rp, &en);
        r = snapshot_apply(rp->tb, &en, e);
        log_entry_release(&en);
    }
    return r ? tell(rp, e) : 0;
}

/* From the newest checkpoint that is not behind the oldest entry, or from version 0. */
static int replay(struct replay *rp, int64_t to, struct err *e) {
    struct log_listing l;
    int r = log_list(rp->tb, false, &l, e);
    rp->begin = MAX(l.first, 0);
    if (r == 0 && l.first > 0) {
        r = log_list_up_to(rp->tb, l.first, &l, e);
        rp->begin = l.checkpoint;
        if (r == 0 && l.checkpoint < 0)
            rp->wrong =
                xasprintf("there is no checkpoint that the oldest entry, %lld, goes on from",
                          (long long)l.first);
        else if (r == 0 && checkpoint_load(rp->tb, &l, e) != 0)
            r = tell(rp, e);
    }
    return r || rp->wrong ? r : replay_entries(rp, to, e);
}

/* --- are both the same? --- */

static bool same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static char *compare_files(const struct table *tb, const struct table *again) {
    const struct table_files *a = table_live(tb), *b = table_live(again);
    for (size_t i = 0; i < a->n || i < b->n; i++) {
        const struct table_file *x = i < a->n ? &a->v[i] : NULL, *y = i < b->n ? &b->v[i] : NULL;
        int order = !x ? 1 : !y ? -1 : strcmp(x->path, y->path);
        if (order < 0)
            return xasprintf("the checkpoint has %s, the entries have not", x->path);
        if (order > 0)
            return xasprintf("the entries have %s, the checkpoint has not", y->path);
        if (x->size != y->size || x->rows != y->rows || !same_text(x->partition, y->partition))
            return xasprintf("%s: %lld bytes and %lld rows in the checkpoint, %lld and %lld in the "
                             "entries",
                             x->path, (long long)x->size, (long long)x->rows, (long long)y->size,
                             (long long)y->rows);
    }
    return NULL;
}

struct txn_compare {
    const struct table *other;
    char *differs;
};

static int compare_txn(void *arg, const char *app_id, int64_t version) {
    struct txn_compare *c = arg;
    int64_t other = table_txn(c->other, app_id);
    if (other != version)
        c->differs = xasprintf("%s stands at %lld in the checkpoint, at %lld in the entries",
                               app_id, (long long)version, (long long)other);
    return other != version;
}

static char *compare(const struct table *tb, const struct table *again) {
    char *differs = compare_files(tb, again);
    if (differs)
        return differs;
    struct txn_compare c = {.other = again};
    table_txn_each(tb, "", compare_txn, &c);
    if (!c.differs && tb->n_txn != again->n_txn)
        c.differs = xasprintf("%zu positions in the checkpoint, %zu in the entries", tb->n_txn,
                              again->n_txn);
    return c.differs;
}

/* --- all of it --- */

static int check_log(const struct verify *v, struct replay *rp, struct err *e) {
    int64_t newest, to = v->tb->version;
    bool whole = !rp->wrong;
    int r =
        verify_check(v, "log", TAKE_PTR(rp->wrong),
                     xasprintf("versions %lld to %lld", (long long)rp->begin, (long long)to), e);
    if (r || !whole)
        return r;
    r = table_checkpointed(v->tb, &newest, e);
    if (r == 0)
        r = verify_check(v, "checkpoint", compare(v->tb, rp->tb),
                         newest < 0 ? xstrdup("there is none")
                                    : xasprintf("the one at version %lld says what the entries do",
                                                (long long)newest),
                         e);
    if (r == 0)
        r = verify_check(v, "positions", TAKE_PTR(rp->back),
                         xasprintf("%zu, none goes back", v->tb->n_txn), e);
    return r;
}

int table_verify(struct table *tb, bool deep, table_check_fn *fn, void *arg, struct err *e) {
    struct verify v = {.tb = tb, .deep = deep, .fn = fn, .arg = arg};
    if (tb->version < 0)
        return verify_check(&v, "log", NULL, xstrdup("no such table yet"), e);
    struct table *again = snapshot_new(tb->st, tb->given);
    again->keeps_stats = deep;
    struct replay rp = {.tb = again};
    int r = replay(&rp, tb->version, e);
    bool whole = !rp.wrong;
    if (r == 0)
        r = check_log(&v, &rp, e);
    if (r == 0)
        r = verify_files(&v, table_live(whole ? again : tb), e);
    free(rp.wrong);
    free(rp.back);
    table_close(again);
    return r ? err_wrap(e, "verify of %s/%s", tb->st->url, tb->def->name) : 0;
}
