/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/accounts.h"

struct reading {
    struct accounts a;
    bool files;
    /* commits without a note: their counters against what their positions moved */
    int64_t old_records, old_moved;
};

static size_t source_of(struct accounts *a, const char *name) {
    for (size_t i = 0; i < a->n_sources; i++)
        if (strcmp(a->sources[i].name, name) == 0)
            return i;
    a->sources = xrealloc(a->sources, (a->n_sources + 1) * sizeof *a->sources);
    struct source *s = &a->sources[a->n_sources];
    *s = (struct source){.name = xstrdup(name)};
    s->topic = strrchr(s->name, '/') + 1;
    return a->n_sources++;
}

/* NULL: the first commit of the partition. */
static struct account *account_of(struct accounts *a, size_t source, int32_t partition) {
    for (size_t i = 0; i < a->n; i++)
        if (a->v[i].source == source && a->v[i].partition == partition)
            return &a->v[i];
    return NULL;
}

static struct account *account_open(struct accounts *a, size_t source, int32_t partition,
                                    int64_t first) {
    if (a->n == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 16;
        a->v = xrealloc(a->v, a->cap * sizeof *a->v);
    }
    a->v[a->n] =
        (struct account){.source = source, .partition = partition, .first = first, .to = first};
    return &a->v[a->n++];
}

static void broken(struct accounts *a, char *why) {
    if (a->broken)
        free(why);
    else
        a->broken = why;
}

/* The range must begin where the one before ended. */
static void add_range(struct reading *rd, const struct table_entry *en, const struct note *n,
                      size_t source, struct covered c) {
    struct accounts *a = &rd->a;
    struct account *acc = account_of(a, source, c.partition);
    if (!n->written) { /* as it was: from 0, without holes */
        c.from = acc ? acc->to : 0;
        c.records = c.to - c.from;
        rd->old_moved += c.records;
    }
    if (!acc)
        acc = account_open(a, source, c.partition, c.from);
    if (c.from != acc->to || c.to < c.from)
        broken(a, xasprintf("version %lld covers %s/%d from %lld to %lld, though the commit before "
                            "ended at %lld",
                            (long long)en->version, n->source, c.partition, (long long)c.from,
                            (long long)c.to, (long long)acc->to));
    acc->to = c.to;
    acc->records += c.records;
}

static void add_losses(struct accounts *a, const struct note *n, size_t source) {
    for (size_t i = 0; i < n->n_lost; i++) {
        struct account *acc = account_of(a, source, n->lost[i].partition);
        acc->lost += n->lost[i].to - n->lost[i].from;
        a->lost += n->lost[i].to - n->lost[i].from;
    }
}

static void add_files(struct source *s, const struct table_entry *en) {
    for (size_t i = 0; i < en->add.n; i++)
        table_files_add(&s->files)->path = xstrdup(en->add.v[i].path);
}

static void add_note(struct reading *rd, const struct table_entry *en, const struct note *n) {
    struct accounts *a = &rd->a;
    int64_t counted = table_entry_metric(en, "records"), noted = 0;
    size_t source = source_of(a, n->source);
    for (size_t i = 0; i < n->n; i++) {
        add_range(rd, en, n, source, n->v[i]);
        noted += n->v[i].records;
    }
    add_losses(a, n, source);
    if (!n->written)
        rd->old_records += counted;
    else if (noted != counted)
        broken(a, xasprintf("version %lld counts %lld records, and notes %lld",
                            (long long)en->version, (long long)counted, (long long)noted));
    if (rd->files)
        add_files(&a->sources[source], en);
}

static int add_entry(void *arg, const struct table_entry *en, struct err *e) {
    struct reading *rd = arg;
    rd->a.records += table_entry_metric(en, "records");
    rd->a.events += table_entry_metric(en, "events");
    rd->a.rejected += table_entry_metric(en, "rejected");
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
    note_release(&n);
    return 0;
}

int accounts_read(struct table *bronze, bool files, struct accounts *ret, struct err *e) {
    struct reading rd = {.files = files};
    int r = table_each_entry(bronze, -1, table_version(bronze), add_entry, &rd, e);
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
