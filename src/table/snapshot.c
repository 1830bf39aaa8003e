/* SPDX-License-Identifier: Apache-2.0 */
#include "table/snapshot.h"

#include <assert.h>

#include "base/log.h"
#include "table/checkpoint.h"
#include "table/support.h"

enum { MAX_TRIES = 10 }; /* to read a log that is cleaned meanwhile */

int snapshot_load(const struct table *tb, int64_t version, struct log_entry *ret, struct err *e) {
    _cleanup_(freep) char *path = log_entry_path(tb->def, version);
    struct buf b = BUF_INIT(LIMIT_LOG_ENTRY);
    int r = storage_get(tb->st, path, &b, e);
    if (r == 0) {
        r = log_entry_parse(tb->def, version, buf_str(&b), b.len, ret, e);
        if (r)
            err_wrap(e, "%s/%s", tb->st->url, path);
    }
    buf_release(&b);
    return r;
}

static const json *action_of(const struct json_doc *line, const char *name) {
    return line ? json_get(json_root(line), name) : NULL;
}

/* The table's rules after the entry; nothing is changed if we cannot live with them. */
static int apply_rules(struct table *tb, struct log_entry *en, struct err *e) {
    if (tb->version >= 0 && !en->protocol && !en->meta)
        return 0;
    const json *protocol = action_of(en->protocol ? en->protocol : tb->protocol, "protocol");
    const json *meta = action_of(en->meta ? en->meta : tb->meta, "metaData");
    if (!protocol || !meta)
        return err_set(e, ERR_STORAGE, "the first version has no %s action",
                       protocol ? "metaData" : "protocol");
    struct table_def *declared = NULL;
    const char *id = json_str(json_get(meta, "id"));
    int r = support_read(tb->given, protocol, meta, e);
    if (r == 0 && !id)
        r = err_set(e, ERR_STORAGE, "the metaData action has no id");
    if (r == 0 && tb->given->n_columns == 0)
        r = support_declared(tb->given, meta, &declared, e);
    if (r)
        return r;
    support_declared_free(tb->declared);
    tb->declared = declared;
    tb->def = declared ? declared : tb->given;
    err_clear(&tb->no_write);
    if (support_write(protocol, meta, &tb->no_write) != 0)
        err_wrap(&tb->no_write, "%s/%s cannot be written to", tb->st->url, tb->def->name);
    tb->append_only = support_append_only(meta);
    free(tb->id);
    tb->id = xstrdup(id);
    if (en->protocol) {
        json_free(tb->protocol);
        tb->protocol = TAKE_PTR(en->protocol);
    }
    if (en->meta) {
        json_free(tb->meta);
        tb->meta = TAKE_PTR(en->meta);
    }
    return 0;
}

static void drop_file(struct table *tb, const char *path) {
    size_t at;
    if (!strmap_get(&tb->by_path, path, &at))
        return; /* a remove of what is gone already is no error */
    struct table_file *f = &tb->live.v[at];
    strmap_remove(&tb->by_path, path);
    table_file_release(f);
    tb->live.n--;
    if (at < tb->live.n) {
        *f = tb->live.v[tb->live.n];
        strmap_set(&tb->by_path, f->path, at);
        tb->sorted = false;
    }
}

static void take_file(struct table *tb, struct log_file *lf) {
    drop_file(tb, lf->file.path); /* an add of a known path replaces what was said of it */
    struct table_file *f = table_files_add(&tb->live);
    *f = lf->file;
    lf->file = (struct table_file){0};
    if (!tb->keeps_stats) /* nobody asks, and a million files make a gigabyte of them */
        free(TAKE_PTR(f->stats));
    strmap_set(&tb->by_path, f->path, tb->live.n - 1);
    tb->sorted = false;
}

static void take_txn(struct table *tb, struct log_txn *txn) {
    size_t at;
    if (strmap_get(&tb->by_app, txn->app_id, &at)) {
        tb->txn[at].version = txn->version;
        return;
    }
    tb->txn = xrealloc(tb->txn, (tb->n_txn + 1) * sizeof *tb->txn);
    tb->txn[tb->n_txn] = (struct log_txn){.app_id = TAKE_PTR(txn->app_id), .version = txn->version};
    strmap_set(&tb->by_app, tb->txn[tb->n_txn].app_id, tb->n_txn);
    tb->n_txn++;
}

static void take_actions(struct table *tb, struct log_entry *en) {
    for (size_t i = 0; i < en->remove.n; i++)
        drop_file(tb, en->remove.v[i].file.path);
    for (size_t i = 0; i < en->add.n; i++)
        take_file(tb, &en->add.v[i]);
    for (size_t i = 0; i < en->n_txn; i++)
        take_txn(tb, &en->txn[i]);
    tb->version = en->version;
}

int snapshot_apply(struct table *tb, struct log_entry *en, struct err *e) {
    assert(en->version == tb->version + 1);
    if (apply_rules(tb, en, e) != 0) {
        _cleanup_(freep) char *path = log_entry_path(tb->def, en->version);
        return err_wrap(e, "%s/%s", tb->st->url, path);
    }
    take_actions(tb, en);
    return 0;
}

int snapshot_start(struct table *tb, struct log_entry *en, struct err *e) {
    assert(tb->version < 0 && tb->live.n == 0);
    int r = apply_rules(tb, en, e);
    if (r == 0)
        take_actions(tb, en);
    return r;
}

bool table_has_file(const struct table *tb, const char *path) {
    return strmap_get(&tb->by_path, path, NULL);
}

/* Reads entries up to the newest. `last` is known to exist (-1: unknown): a hole before it is an error. */
static int read_on(struct table *tb, int64_t last, struct err *e) {
    for (;;) {
        struct log_entry en;
        int r = snapshot_load(tb, tb->version + 1, &en, e);
        if (r == ERR_NOT_FOUND && tb->version >= last)
            return 0;
        if (r == ERR_NOT_FOUND) {
            err_set(e, ERR_STORAGE,
                    "%s/%s: version %lld is missing from the log, which goes on to %lld",
                    tb->st->url, tb->def->name, (long long)tb->version + 1, (long long)last);
            return err_hint(e, "bring the entry back from a copy; or " TABLE_ANEW);
        }
        if (r)
            return r;
        r = snapshot_apply(tb, &en, e);
        log_entry_release(&en);
        if (r)
            return r;
    }
}

static int no_beginning(const struct table *tb, const struct log_listing *l, struct err *e) {
    err_set(e, ERR_STORAGE, "%s/%s: the log's entries before version %lld are gone%s", tb->st->url,
            tb->def->name, (long long)MAX(l->first, 0),
            l->foreign_checkpoint
                ? ", folded into a checkpoint of a kind clickmill does not read (V2)"
                : ", and there is no checkpoint of them");
    return err_hint(e,
                    "bring the entries back from a copy, or let Spark write a classic checkpoint "
                    "(delta.checkpointPolicy=classic); or " TABLE_ANEW);
}

/* From the newest checkpoint; 1: there is none, or it cannot be used and all entries are there. */
static int read_checkpoint(struct table *tb, struct log_listing *l, struct err *e) {
    if (l->checkpoint < 0)
        return 1;
    int r = checkpoint_load(tb, l, e);
    if (r == 0 || r == ERR_STOPPED || e->retry)
        return r;
    struct err why = *e;
    struct log_listing all;
    r = log_list(tb, false, &all, e);
    if (r)
        return r;
    if (all.first != 0) {
        *e = why;
        return e->code;
    }
    *l = all;
    log_err(LOG_WARN, "checkpoint left aside: reading the log from its beginning", &why);
    return 1;
}

static int read_listed(struct table *tb, struct log_listing *l, struct err *e) {
    int r = log_list(tb, true, l, e);
    if (r == 0)
        r = read_checkpoint(tb, l, e);
    if (r < 0)
        return r;
    if (r > 0 && (l->first > 0 || (l->first < 0 && l->foreign_checkpoint)))
        return no_beginning(tb, l, e);
    return read_on(tb, l->last, e);
}

static struct table blank(struct storage *st, const struct table_def *given) {
    return (struct table){.st = st, .given = given, .def = given, .version = -1, .sorted = true};
}

struct table *snapshot_new(struct storage *st, const struct table_def *given) {
    struct table *tb = xcalloc(1, sizeof *tb);
    *tb = blank(st, given);
    return tb;
}

/* What is known of the table; not which it is. */
static void forget(struct table *tb) {
    table_files_release(&tb->live);
    strmap_release(&tb->by_path);
    for (size_t i = 0; i < tb->n_txn; i++)
        free(tb->txn[i].app_id);
    free(tb->txn);
    strmap_release(&tb->by_app);
    json_free(tb->protocol);
    json_free(tb->meta);
    free(tb->id);
    support_declared_free(tb->declared);
    bool keeps_stats = tb->keeps_stats;
    *tb = blank(tb->st, tb->given);
    tb->keeps_stats = keeps_stats;
}

/* Was the log cleaned while we read what is gone by now? */
static bool was_cleaned(const struct table *tb, const struct log_listing *before) {
    struct log_listing now;
    struct err ignored;
    return log_list(tb, false, &now, &ignored) == 0 &&
           (now.first > before->first || now.checkpoint > before->checkpoint);
}

/*
 * The first read of a table: the newest checkpoint, or else the first entry, then what follows. Once
 * more from the then newest checkpoint if the log was cleaned meanwhile.
 */
static int read_all(struct table *tb, struct err *e) {
    for (int tries = 1;; tries++) {
        struct log_listing l = {.first = -1, .last = -1, .checkpoint = -1};
        int r = read_listed(tb, &l, e);
        if (r == 0)
            return 0;
        forget(tb);
        if (e->retry || tries == MAX_TRIES || !was_cleaned(tb, &l))
            return r;
    }
}

int table_open(struct storage *st, const struct table_def *def, struct table **ret, struct err *e) {
    struct table *tb = snapshot_new(st, def);
    int r = read_all(tb, e);
    if (r) {
        table_close(tb);
        return r;
    }
    *ret = tb;
    return 0;
}

void table_close(struct table *tb) {
    if (tb)
        forget(tb);
    free(tb);
}

/* The entry we stand at was cleaned away: from the newest checkpoint, if it is the same table. */
static int start_again(struct table *tb, struct err *e) {
    struct table *fresh;
    int r = table_open(tb->st, tb->given, &fresh, e);
    if (r)
        return r;
    if (fresh->version > tb->version && strcmp(fresh->id, tb->id) == 0) {
        struct table old = *tb;
        *tb = *fresh;
        *fresh = old;
    } else {
        _cleanup_(freep) char *path = log_entry_path(tb->def, tb->version);
        err_set(e, ERR_STORAGE, "%s/%s, read a while ago, is gone", tb->st->url, path);
        r = err_hint(e, "the table was removed, or is another one by now: start again");
    }
    table_close(fresh);
    return r;
}

int table_refresh(struct table *tb, struct err *e) {
    int64_t before = tb->version;
    if (before < 0)
        return read_all(tb, e);
    int r = read_on(tb, -1, e);
    if (r == 0 && tb->version == before)
        r = snapshot_check_end(tb, e);
    return r == ERR_NOT_FOUND ? start_again(tb, e) : r;
}

int snapshot_check_end(const struct table *tb, struct err *e) {
    if (tb->version < 0)
        return 0;
    _cleanup_(freep) char *path = log_entry_path(tb->def, tb->version);
    struct storage_entry en;
    return storage_stat(tb->st, path, &en, e);
}

const struct table_def *table_definition(const struct table *tb) {
    return tb->def;
}

int64_t table_version(const struct table *tb) {
    return tb->version;
}

const char *table_id(const struct table *tb) {
    return tb->id;
}

int64_t table_created_ms(const struct table *tb) {
    return json_int(json_get(action_of(tb->meta, "metaData"), "createdTime"), 0);
}

int64_t table_txn(const struct table *tb, const char *app_id) {
    size_t at;
    return strmap_get(&tb->by_app, app_id, &at) ? tb->txn[at].version : -1;
}

int table_txn_each(const struct table *tb, const char *prefix,
                   int (*fn)(void *arg, const char *app_id, int64_t version), void *arg) {
    size_t n = strlen(prefix);
    for (size_t i = 0; i < tb->n_txn; i++) {
        int r = strncmp(tb->txn[i].app_id, prefix, n) == 0
                    ? fn(arg, tb->txn[i].app_id, tb->txn[i].version)
                    : 0;
        if (r)
            return r;
    }
    return 0;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct table_file *)a)->path, ((const struct table_file *)b)->path);
}

const struct table_files *table_live(const struct table *tb) {
    if (!tb->sorted) { /* put off until somebody asks: ingest never does */
        struct table *own = (struct table *)(uintptr_t)tb;
        qsort(own->live.v, own->live.n, sizeof *own->live.v, by_path);
        for (size_t i = 0; i < own->live.n; i++)
            strmap_set(&own->by_path, own->live.v[i].path, i);
        own->sorted = true;
    }
    return &tb->live;
}
