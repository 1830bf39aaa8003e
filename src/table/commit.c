/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Optimistic commits. The entry is written under the next version's name by put-if-absent; whoever
 * comes second reads what the winners did, and either nothing of it matters and the next version
 * is tried, or the commit is refused. What matters is Delta's own list (docs "Concurrency control",
 * Spark's ConflictChecker), made stricter in that every txn is also a compare-and-swap.
 */
#include <assert.h>
#include <time.h>

#include "base/clock.h"
#include "base/util.h"
#include "table/snapshot.h"
#include "table/support.h"

enum {
    MAX_LOST = 200,   /* races lost before we give up */
    MAX_FAILURES = 5, /* errors that may pass */
    BACKOFF_MS = 100, /* the longest wait after an error */
    JITTER_US = 1000, /* the longest wait after a lost race */
};

/* The commit, fixed before the first attempt: the caller's files may be our own snapshot's. */
struct plan {
    const struct table_commit *c;
    char txn_id[UUID_TEXT]; /* tells our entry from others' */
    struct buf info, actions;
    struct buf rules; /* protocol and metaData: it makes the table, or changes its columns */
    struct arena texts;
    struct strmap apps, removed,
        replaced;     /* our appIds, paths taken out, partitions written anew */
    int64_t since_ns; /* when the commit began */
    bool creates;     /* the table was not there when the caller decided on this commit */
};

static void plan_release(struct plan *p) {
    buf_release(&p->info);
    buf_release(&p->rules);
    buf_release(&p->actions);
    strmap_release(&p->apps);
    strmap_release(&p->removed);
    strmap_release(&p->replaced);
    arena_release(&p->texts);
}

static const char *keep(struct plan *p, const char *s) {
    return arena_strndup(&p->texts, s, strlen(s));
}

/* "" is free to mean the partition NULL: a partition is never the empty text. */
static const char *partition_key(const struct table_file *f) {
    return f->partition ? f->partition : "";
}

static void plan_files(struct plan *p) {
    const struct table_commit *c = p->c;
    for (size_t i = 0; c->remove && i < c->remove->n; i++) {
        strmap_set(&p->removed, keep(p, c->remove->v[i].path), 0);
        strmap_set(&p->replaced, keep(p, partition_key(&c->remove->v[i])), 0);
    }
    /* A commit that takes rows out rewrites the partitions it adds to, those without files too. */
    for (size_t i = 0; p->removed.n && c->add && i < c->add->n; i++)
        strmap_set(&p->replaced, keep(p, partition_key(&c->add->v[i])), 0);
}

static int plan_init(struct plan *p, const struct table *tb, const struct table_commit *c,
                     struct err *e) {
    assert((c->add && c->add->n) || (c->remove && c->remove->n) || c->n_txn);
    *p = (struct plan){.c = c, .since_ns = clock_mono_ns(), .creates = tb->version < 0};
    p->info.max = p->rules.max = p->actions.max = LIMIT_LOG_ENTRY;
    uuid_make(p->txn_id);
    for (size_t i = 0; i < c->n_txn; i++) {
        assert(!strmap_get(&p->apps, c->txn[i].app_id, NULL));
        strmap_set(&p->apps, c->txn[i].app_id, i);
    }
    plan_files(p);
    int64_t now_ms = clock_now_us() / 1000;
    char id[UUID_TEXT];
    uuid_make(id);
    log_write_info(&p->info, tb->def, c, p->txn_id, now_ms);
    if (p->creates)
        log_write_create(&p->rules, c->define ? c->define : tb->def, id, now_ms);
    else if (c->define)
        log_write_define(&p->rules, c->define, tb->meta);
    else if (support_is_older(tb->def, tb->meta))
        log_write_widen(&p->rules, tb->def, tb->meta);
    log_write_actions(&p->actions, tb->def, c, now_ms);
    if (p->info.overflow || p->rules.overflow || p->actions.overflow ||
        p->info.len + p->rules.len + p->actions.len > LIMIT_LOG_ENTRY) {
        err_set(e, ERR_STORAGE, "%s/%s: a commit of more than %d MiB", tb->st->url, tb->def->name,
                LIMIT_LOG_ENTRY / MIB);
        plan_release(p);
        return e->code;
    }
    return 0;
}

/* What the commit relies on, against the snapshot as it stands. */
static int check_expectations(const struct plan *p, const struct table *tb, struct err *e) {
    const struct table_commit *c = p->c;
    for (size_t i = 0; i < c->n_txn; i++) {
        int64_t found = table_txn(tb, c->txn[i].app_id);
        if (found != c->txn[i].expected)
            return err_set(e, ERR_CONFLICT,
                           "%s/%s: the position of %s is %lld, not %lld: another process "
                           "has moved it",
                           tb->st->url, tb->def->name, c->txn[i].app_id, (long long)found,
                           (long long)c->txn[i].expected);
    }
    return 0;
}

/* Only before the first attempt: later the winners' entries are looked through one by one. */
static int check_files(const struct plan *p, const struct table *tb, struct err *e) {
    const struct table_commit *c = p->c;
    for (size_t i = 0; c->remove && i < c->remove->n; i++)
        if (!table_has_file(tb, c->remove->v[i].path))
            return err_set(e, ERR_CONFLICT, "%s/%s: %s is not in the table any more", tb->st->url,
                           tb->def->name, c->remove->v[i].path);
    assert(!c->define || tb->version < 0 || p->removed.n == tb->live.n);
    for (size_t i = 0; c->add && i < c->add->n; i++)
        if (table_has_file(tb, c->add->v[i].path))
            return err_set(e, ERR_CONFLICT, "%s/%s: %s is in the table already", tb->st->url,
                           tb->def->name, c->add->v[i].path);
    return 0;
}

int table_check_writable(const struct table *tb, struct err *e) {
    if (tb->no_write.code)
        *e = tb->no_write;
    return tb->no_write.code;
}

static int check_allowed(const struct plan *p, const struct table *tb, struct err *e) {
    int r = table_check_writable(tb, e);
    if (r)
        return r;
    if (tb->append_only && p->removed.n && p->c->data_change) {
        err_set(e, ERR_STORAGE,
                "%s/%s is append-only (delta.appendOnly=true): rows must not be taken out",
                tb->st->url, tb->def->name);
        return err_hint(e, "ALTER TABLE … UNSET TBLPROPERTIES ('delta.appendOnly')");
    }
    return 0;
}

/* ERR_CONFLICT if what a winner did matters to us. */
static int check_winner(const struct plan *p, const struct table *tb, const struct log_entry *en,
                        struct err *e) {
    const char *what = NULL, *which = "";
    if (en->meta &&
        !(p->creates && en->version == 0 && !p->c->define && !support_is_older(tb->def, en->meta)))
        what = "changed the table's definition";
    if (!what && p->c->define && en->add.n)
        what = "added rows with the columns from before";
    for (size_t i = 0; !what && i < en->n_txn; i++)
        if (strmap_get(&p->apps, en->txn[i].app_id, NULL)) {
            what = "moved the position of ";
            which = en->txn[i].app_id;
        }
    for (size_t i = 0; !what && i < en->remove.n; i++)
        if (strmap_get(&p->removed, en->remove.v[i].file.path, NULL)) {
            what = "removed ";
            which = en->remove.v[i].file.path;
        }
    for (size_t i = 0; !what && p->c->data_change && i < en->add.n; i++)
        if (en->add.v[i].data_change &&
            strmap_get(&p->replaced, partition_key(&en->add.v[i].file), NULL)) {
            what = "added rows to a partition this commit replaces: ";
            which = en->add.v[i].file.path;
        }
    if (!what)
        return 0;
    return err_set(e, ERR_CONFLICT, "%s/%s: version %lld, by another process, %s%s", tb->st->url,
                   tb->def->name, (long long)en->version, what, which);
}

/* Random, so that writers who met once do not meet again. */
static void pause_up_to(long longest_us) {
    struct timespec ts = {.tv_nsec = 1000L * random_below((uint32_t)longest_us)};
    nanosleep(&ts, NULL); /* not stop_wait: a commit under way is finished */
}

static void pause_after_error(int tried) {
    pause_up_to(1000 * MIN(2L << MIN(tried, 10), BACKOFF_MS));
}

static bool is_ours(const struct plan *p, const struct log_entry *en) {
    return en->txn_id && strcmp(en->txn_id, p->txn_id) == 0;
}

/* Writes the entry of the version after the snapshot's; `body` keeps its text. */
static int write_entry(const struct plan *p, const struct table *tb, struct buf *body,
                       struct err *e) {
    buf_reset(body);
    buf_add(body, p->info.data, p->info.len);
    if (tb->version < 0 || !p->creates)
        buf_add(body, buf_str(&p->rules), p->rules.len);
    buf_add(body, buf_str(&p->actions), p->actions.len);
    assert(!body->overflow);
    _cleanup_(freep) char *path = log_entry_path(tb->def, tb->version + 1);
    crash_point("commit.before_log");
    int r = storage_put_new(tb->st, path, body->data, body->len, e);
    if (r == 0)
        crash_point("commit.after_log");
    return r;
}

/* Takes our own entry in from memory: what is committed must not fail any more. */
static void adopt(struct table *tb, const struct buf *body) {
    struct err e = {0};
    struct log_entry en;
    int r = log_entry_parse(tb->def, tb->version + 1, body->data, body->len, &en, &e);
    assert(r == 0);
    r = snapshot_apply(tb, &en, &e);
    assert(r == 0);
    log_entry_release(&en);
}

/*
 * Moves the snapshot over what stands after it. 0: our entry is there; ERR_NOT_FOUND: nothing (more)
 * is there; else the commit has failed. ret_overtaken: another's entry stands where ours was to be.
 */
static int read_winners(const struct plan *p, struct table *tb, bool *ret_overtaken,
                        struct err *e) {
    for (;;) {
        struct log_entry en;
        int r = snapshot_load(tb, tb->version + 1, &en, e);
        if (r)
            return r;
        bool ours = is_ours(p, &en);
        if (!ours) {
            *ret_overtaken = true;
            r = check_winner(p, tb, &en, e);
        }
        if (r == 0)
            r = snapshot_apply(tb, &en, e);
        log_entry_release(&en);
        if (r || ours)
            return r;
    }
}

enum outcome { COMMITTED, OVERTAKEN, NOT_THERE, FAILED };

/* A storage that has been patient itself is not asked again and again. */
static bool patience_is_over(const struct plan *p, const struct table *tb) {
    int64_t patience_ms = tb->st->patience_ms;
    return patience_ms > 0 && clock_mono_ns() - p->since_ns >= patience_ms * 1000000;
}

/* What became of a put_new that failed with `why`; FAILED leaves there what to report. */
static enum outcome settle(const struct plan *p, struct table *tb, struct err *why) {
    struct err e = {0};
    bool overtaken = false;
    int r = read_winners(p, tb, &overtaken, &e);
    for (int tries = 0; r && e.retry && tries < MAX_FAILURES && !patience_is_over(p, tb); tries++) {
        pause_after_error(tries + 5);
        r = read_winners(p, tb, &overtaken, &e);
    }
    if (r == 0)
        return COMMITTED;
    if (r == ERR_NOT_FOUND)
        return overtaken ? OVERTAKEN : NOT_THERE;
    if (overtaken || why->code == ERR_EXISTS) {
        *why = e;
        return FAILED;
    }
    bool stopped = why->code == ERR_STOPPED || r == ERR_STOPPED;
    err_wrap(why, "it is not known whether version %lld of %s/%s was written",
             (long long)tb->version + 1, tb->st->url, tb->def->name);
    if (stopped)
        err_recode(why, ERR_STOPPED);
    why->retry = !stopped;
    return FAILED;
}

static int commit(const struct plan *p, struct table *tb, struct buf *body, struct err *e) {
    int lost = 0, failures = 0;
    for (;;) {
        int r = check_allowed(p, tb, e);
        if (r == 0)
            r = check_expectations(p, tb, e);
        if (r)
            return r;
        if (write_entry(p, tb, body, e) == 0) {
            adopt(tb, body);
            return 0;
        }
        switch (settle(p, tb, e)) {
        case COMMITTED:
            return 0;
        case OVERTAKEN:
            /* Who has lost often waits less: the winners, who come again, do not wait at all. */
            if (++lost < MAX_LOST) {
                pause_up_to(JITTER_US / lost);
                continue;
            }
            err_set(e, ERR_STORAGE, "%s/%s: %d commits in a row were overtaken by other writers",
                    tb->st->url, tb->def->name, lost);
            return err_retry(e);
        case NOT_THERE:
            if (e->code == ERR_STOPPED)
                return e->code;
            if ((!e->retry && e->code != ERR_EXISTS) || ++failures >= MAX_FAILURES ||
                patience_is_over(p, tb))
                return err_recode(e, ERR_STORAGE);
            pause_after_error(failures);
            continue;
        case FAILED:
            return e->code;
        }
    }
}

/* A log that was cleaned past us is read anew; what the commit was decided on may not hold any more. */
static int check_end(struct table *tb, struct err *e) {
    int r = snapshot_check_end(tb, e);
    if (r != ERR_NOT_FOUND)
        return r;
    int64_t before = tb->version;
    r = table_refresh(tb, e);
    return r ? r
             : err_set(e, ERR_CONFLICT,
                       "%s/%s: the log was cleaned past version %lld, which this "
                       "commit was decided on",
                       tb->st->url, tb->def->name, (long long)before);
}

int table_commit(struct table *tb, const struct table_commit *c, int64_t *ret_version,
                 struct err *e) {
    struct plan p;
    int r = plan_init(&p, tb, c, e);
    if (r)
        return r;
    r = check_files(&p, tb, e);
    if (r == 0)
        r = check_end(tb, e);
    struct buf body = BUF_INIT(LIMIT_LOG_ENTRY);
    if (r == 0)
        r = commit(&p, tb, &body, e);
    buf_release(&body);
    plan_release(&p);
    if (r == 0 && ret_version)
        *ret_version = tb->version;
    return r;
}

void table_discard(const struct table *tb, const struct table_files *files, int r) {
    if (r != ERR_CONFLICT && r != ERR_BUG)
        return;
    for (size_t i = 0; i < files->n; i++) {
        _cleanup_(freep) char *path = xasprintf("%s/%s", tb->def->name, files->v[i].path);
        struct err ignored;
        storage_remove(tb->st, path, &ignored); /* at worst vacuum finds it */
    }
}
