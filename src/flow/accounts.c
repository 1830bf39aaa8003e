/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/accounts.h"

#include "flow/totals.h"

int64_t account_records(const struct account *acc) {
    return acc->to - acc->first - acc->skipped - acc->lost;
}

static size_t source_of(struct accounts *a, const char *name, size_t len) {
    for (size_t i = 0; i < a->n_sources; i++)
        if (strlen(a->sources[i].name) == len && memcmp(a->sources[i].name, name, len) == 0)
            return i;
    a->sources = xrealloc(a->sources, (a->n_sources + 1) * sizeof *a->sources);
    struct source *s = &a->sources[a->n_sources];
    *s = (struct source){.name = xstrndup(name, len)};
    s->topic = strrchr(s->name, '/') + 1;
    return a->n_sources++;
}

/* NULL: not met yet. */
static struct account *account_of(struct accounts *a, size_t source, int32_t partition) {
    for (size_t i = 0; i < a->n; i++)
        if (a->v[i].source == source && a->v[i].partition == partition)
            return &a->v[i];
    return NULL;
}

static struct account *account_open(struct accounts *a, const struct account *acc) {
    if (a->n == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 16;
        a->v = xrealloc(a->v, a->cap * sizeof *a->v);
    }
    a->v[a->n] = *acc;
    return &a->v[a->n++];
}

static void broken(struct accounts *a, char *why) {
    if (a->broken)
        free(why);
    else
        a->broken = why;
}

void accounts_release(struct accounts *a) {
    for (size_t i = 0; i < a->n_sources; i++) {
        free(a->sources[i].name);
        table_files_release(&a->sources[i].files);
    }
    free(a->sources);
    free(a->v);
    free(a->broken);
    *a = (struct accounts){0};
}

/* --- from the table's state --- */

struct carried {
    const struct table *tb;
    struct accounts a;
    bool all; /* every position carries totals */
};

static int take_position(void *arg, const char *app_id, int64_t version) {
    struct carried *c = arg;
    struct source_parts s;
    if (!source_parse(app_id, &s))
        return 0;
    struct account acc = {.source = source_of(&c->a, app_id, s.source_len),
                          .partition = s.partition,
                          .first = total_of(c->tb, app_id, "first"),
                          .to = version};
    acc.carried = acc.first >= 0;
    c->all = c->all && acc.carried;
    if (acc.carried) {
        acc.skipped = MAX(total_of(c->tb, app_id, "skipped"), 0);
        acc.lost = MAX(total_of(c->tb, app_id, "lost"), 0);
        acc.rejected = MAX(total_of(c->tb, app_id, "rejected"), 0);
        acc.more = MAX(total_of(c->tb, app_id, "more"), 0);
    } else {
        acc.first = acc.to; /* what is not known is not counted */
    }
    account_open(&c->a, &acc);
    return 0;
}

static struct carried take_carried(const struct table *bronze) {
    struct carried c = {.tb = bronze, .all = true};
    table_txn_each(bronze, "", take_position, &c);
    c.a.replayed = replay_total(bronze);
    return c;
}

static void add_up(struct accounts *a) {
    a->events += a->replayed;
    for (size_t i = 0; i < a->n; i++) {
        const struct account *acc = &a->v[i];
        a->records += account_records(acc);
        a->events += account_records(acc) + acc->more;
        a->rejected += acc->rejected;
        a->lost += acc->lost;
    }
}

/* --- from the log --- */

struct reading {
    struct accounts a;
    /* commits without a note: their counters against what their positions moved */
    int64_t old_records, old_moved;
};

/* The range must begin where the one before ended. */
static struct account *add_range(struct reading *rd, const struct table_entry *en,
                                 const struct note *n, size_t source, struct covered c) {
    struct accounts *a = &rd->a;
    struct account *acc = account_of(a, source, c.partition);
    if (!n->written) { /* as it was: from 0, without holes */
        c.from = acc ? acc->to : 0;
        c.records = c.to - c.from;
        rd->old_moved += c.records;
    }
    if (!acc)
        acc = account_open(
            a, &(struct account){
                   .source = source, .partition = c.partition, .first = c.from, .to = c.from});
    if (c.from != acc->to || c.to < c.from)
        broken(a, xasprintf("version %lld covers %s/%d from %lld to %lld, though the commit before "
                            "ended at %lld",
                            (long long)en->version, n->source, c.partition, (long long)c.from,
                            (long long)c.to, (long long)acc->to));
    acc->skipped += c.to - acc->to - c.records;
    acc->to = c.to;
    return acc;
}

static void add_losses(struct accounts *a, const struct note *n, size_t source) {
    for (size_t i = 0; i < n->n_lost; i++) {
        struct account *acc = account_of(a, source, n->lost[i].partition);
        acc->lost += n->lost[i].to - n->lost[i].from;
        acc->skipped -= n->lost[i].to - n->lost[i].from;
    }
}

static void add_files(struct source *s, const struct table_entry *en) {
    for (size_t i = 0; i < en->add.n; i++)
        table_files_add(&s->files)->path = xstrdup(en->add.v[i].path);
}

static void add_note(struct reading *rd, const struct table_entry *en, const struct note *n) {
    struct accounts *a = &rd->a;
    int64_t counted = table_entry_metric(en, "records"), noted = 0;
    size_t source = source_of(a, n->source, strlen(n->source));
    for (size_t i = 0; i < n->n; i++) {
        struct account *acc = add_range(rd, en, n, source, n->v[i]);
        noted += n->v[i].records;
        if (i > 0)
            continue;
        acc->rejected += table_entry_metric(en, "rejected");
        acc->more += table_entry_metric(en, "events") - counted;
    }
    add_losses(a, n, source);
    if (!n->written)
        rd->old_records += counted;
    else if (noted != counted)
        broken(a, xasprintf("version %lld counts %lld records, and notes %lld",
                            (long long)en->version, (long long)counted, (long long)noted));
    add_files(&a->sources[source], en);
}

static int add_entry(void *arg, const struct table_entry *en, struct err *e) {
    struct reading *rd = arg;
    struct note n;
    int r = note_read(en, &n, e);
    if (r == ERR_CHECK) {
        broken(&rd->a, xstrdup(e->msg));
        err_clear(e);
        return 0;
    }
    if (r < 0)
        return r;
    if (n.source)
        add_note(rd, en, &n);
    rd->a.replayed += table_entry_metric(en, "replayed");
    note_release(&n);
    return 0;
}

static int read_log(struct table *bronze, int64_t begin, struct accounts *ret, struct err *e) {
    struct reading rd = {0};
    int r = table_each_entry(bronze, begin - 1, table_version(bronze), add_entry, &rd, e);
    if (r < 0) {
        accounts_release(&rd.a);
        return r;
    }
    if (rd.old_records != rd.old_moved)
        broken(&rd.a, xasprintf("commits without a note count %lld records, and move the positions "
                                "by %lld",
                                (long long)rd.old_records, (long long)rd.old_moved));
    *ret = rd.a;
    return 0;
}

/* --- both --- */

/* What a whole log adds up to against what is carried. */
static void compare(struct accounts *log, const struct accounts *carried) {
    for (size_t i = 0; i < carried->n; i++) {
        const struct account *c = &carried->v[i];
        const char *name = carried->sources[c->source].name;
        struct account *l = account_of(log, source_of(log, name, strlen(name)), c->partition);
        if (l && c->carried)
            l->carried = true;
        if (!l || l->to != c->to)
            broken(log, xasprintf("%s/%d stands at %lld, and its commits end at %lld", name,
                                  c->partition, (long long)c->to, (long long)(l ? l->to : 0)));
        else if (c->carried &&
                 (l->first != c->first || l->skipped != c->skipped || l->lost != c->lost ||
                  l->rejected != c->rejected || l->more != c->more))
            broken(log, xasprintf("%s/%d: its commits add up to other totals than they carry: "
                                  "records %lld and %lld, rejected %lld and %lld",
                                  name, c->partition, (long long)account_records(l),
                                  (long long)account_records(c), (long long)l->rejected,
                                  (long long)c->rejected));
    }
    if (log->replayed != carried->replayed)
        broken(log, xasprintf("the commits have replayed %lld records, and carry %lld",
                              (long long)log->replayed, (long long)carried->replayed));
}

/* A log that begins later: what is in it must fit together, and end where the table stands. */
static void take_rest(struct accounts *carried, struct accounts *log, int64_t begin) {
    for (size_t i = 0; i < log->n_sources; i++) {
        const char *name = log->sources[i].name;
        struct source *s = &carried->sources[source_of(carried, name, strlen(name))];
        s->files = log->sources[i].files;
        log->sources[i].files = (struct table_files){0};
    }
    for (size_t i = 0; i < carried->n; i++) {
        const struct account *c = &carried->v[i];
        const char *name = carried->sources[c->source].name;
        const struct account *l = account_of(log, source_of(log, name, strlen(name)), c->partition);
        if (!c->carried)
            broken(log, xasprintf("%s/%d carries no totals, and the log begins at version %lld",
                                  name, c->partition, (long long)begin));
        else if (l && l->to != c->to)
            broken(log, xasprintf("%s/%d stands at %lld, and its commits end at %lld", name,
                                  c->partition, (long long)c->to, (long long)l->to));
    }
    carried->broken = TAKE_PTR(log->broken);
}

int accounts_audit(struct table *bronze, struct accounts *ret, struct err *e) {
    struct carried c = take_carried(bronze);
    struct accounts log = {0};
    int64_t begin;
    int r = table_log_begin(bronze, &begin, e);
    if (r == 0 && begin >= 0)
        r = read_log(bronze, begin, &log, e);
    if (r < 0) {
        accounts_release(&c.a);
        return r;
    }
    if (begin <= 0) {
        compare(&log, &c.a);
        *ret = log;
        accounts_release(&c.a);
    } else {
        take_rest(&c.a, &log, begin);
        *ret = c.a;
        accounts_release(&log);
    }
    add_up(ret);
    return 0;
}

int accounts_read(struct table *bronze, struct accounts *ret, struct err *e) {
    struct carried c = take_carried(bronze);
    if (!c.all) {
        accounts_release(&c.a);
        return accounts_audit(bronze, ret, e);
    }
    add_up(&c.a);
    *ret = c.a;
    return 0;
}
