/* SPDX-License-Identifier: Apache-2.0 */
/* Why a log cannot be read: for who has found that it cannot, and is to say what is wrong with it. */
#include "table/checkpoint.h"

/* What the names alone show. NULL: nothing. */
static char *look_at_names(const struct log_listing *l) {
    if (l->first < 0 && l->checkpoint < 0)
        return NULL; /* no such table yet */
    if (l->last < l->checkpoint)
        return xasprintf("the entries from version %lld to %lld, of which there is a checkpoint, "
                         "are gone",
                         (long long)l->last + 1, (long long)l->checkpoint);
    if (l->first > 0 && l->checkpoint < l->first - 1)
        return xasprintf("the entries before version %lld are gone, and there is no checkpoint of "
                         "them",
                         (long long)l->first);
    return NULL;
}

/* An error that is the log's own, not the storage's, is what we are to tell. */
static int tell(char **ret, struct err *e) {
    if (e->retry || e->code == ERR_STOPPED)
        return e->code;
    *ret = xstrdup(e->msg);
    err_clear(e);
    return 0;
}

static int read_entries(const struct table *tb, const struct log_listing *l, char **ret,
                        struct err *e) {
    for (int64_t v = MAX(l->first, 0); v <= l->last && !*ret; v++) {
        struct log_entry en;
        int r = snapshot_load(tb, v, &en, e);
        if (r == 0)
            log_entry_release(&en);
        else if (r == ERR_NOT_FOUND)
            *ret = xasprintf("version %lld is missing, though the log goes on to %lld",
                             (long long)v, (long long)l->last);
        else if (tell(ret, e) < 0)
            return e->code;
    }
    return 0;
}

static int read_checkpoint(struct storage *st, const struct table_def *def,
                           const struct log_listing *l, char **ret, struct err *e) {
    if (*ret || l->checkpoint < 0)
        return 0;
    struct table *tb = snapshot_new(st, def);
    int r = checkpoint_load(tb, l, e);
    table_close(tb);
    return r < 0 ? tell(ret, e) : 0;
}

int table_log_damage(struct storage *st, const struct table_def *def, char **ret, struct err *e) {
    struct table *tb = snapshot_new(st, def);
    struct log_listing l;
    char *what = NULL;
    int r = log_list(tb, false, &l, e);
    if (r == 0)
        what = look_at_names(&l);
    if (r == 0 && !what)
        r = read_entries(tb, &l, &what, e);
    if (r == 0)
        r = read_checkpoint(st, def, &l, &what, e);
    table_close(tb);
    if (r == 0)
        *ret = what;
    else
        free(what);
    return r;
}
