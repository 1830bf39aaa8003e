/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a difference begins: asked only once it is known that there is one. What a partition should
 * hold say the notes of the commits (note.h): their ranges tile, and where a range has as many
 * records as offsets, each offset that is not there is missing.
 */
#include "flow/accounts.h"
#include "flow/reconcile_priv.h"

void reconcile_place_release(struct reconcile_place *p) {
    free(p->at);
    free(p->what);
    *p = (struct reconcile_place){0};
}

static int take_place(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                      struct err *e ATTR_UNUSED) {
    struct reconcile_place *p = arg;
    if (!p->at && values[0] && values[1])
        *p = (struct reconcile_place){xstrdup(values[0]), xstrdup(values[1])};
    return 0;
}

int reconcile_first(struct reconcile *rc, const char *sql, struct reconcile_place *ret,
                    struct err *e) {
    return lake_query(&rc->lake, sql, false, &(struct engine_rows){.row = take_place, .arg = ret},
                      e);
}

/* ---- the ranges ------------------------------------------------------------------------------ */

struct walk {
    const char *source, *topic;
    int32_t partition;
    struct covered *v; /* the commits' ranges, in order */
    size_t n, at;
    int64_t expect, there; /* in v[at]: the next offset, those found so far */
    struct reconcile_place *ret;
};

static int take_ranges(void *arg, const struct table_entry *en, struct err *e) {
    struct walk *w = arg;
    struct note n;
    int r = note_read(en, &n, e);
    if (r < 0)
        return r;
    for (size_t i = 0; n.source && n.written && i < n.n; i++) {
        if (strcmp(n.source, w->source) != 0 || n.v[i].partition != w->partition)
            continue;
        w->v = xrealloc(w->v, (w->n + 1) * sizeof *w->v);
        w->v[w->n++] = n.v[i];
    }
    note_release(&n);
    return 0;
}

static int read_ranges(struct reconcile *rc, struct walk *w, struct err *e) {
    int64_t begin;
    int r = table_log_begin(rc->lake.bronze, &begin, e);
    if (r == 0 && begin >= 0)
        r = table_each_entry(rc->lake.bronze, begin - 1, table_version(rc->lake.bronze),
                             take_ranges, w, e);
    return r;
}

/* ---- the offsets ----------------------------------------------------------------------------- */

static void found(struct walk *w, int64_t offset, char *what) {
    if (w->ret->at) {
        free(what);
        return;
    }
    w->ret->at = xasprintf("%s/%d/%lld", w->topic, w->partition, (long long)offset);
    w->ret->what = xasprintf("%s %s", w->ret->at, what);
    free(what);
}

static bool is_full(const struct covered *c) {
    return c->records == c->to - c->from;
}

static void begin_range(struct walk *w) {
    w->there = 0;
    w->expect = w->at < w->n ? w->v[w->at].from : 0;
}

static void end_range(struct walk *w) {
    const struct covered *c = &w->v[w->at];
    if (is_full(c) && w->expect < c->to)
        found(w, w->expect, xstrdup("is not there"));
    else if (w->there != c->records)
        found(w, c->from,
              xasprintf("to %lld: %lld records were read, %lld are there", (long long)c->to - 1,
                        (long long)c->records, (long long)w->there));
    w->at++;
    begin_range(w);
}

static int take_offset(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                       struct err *e ATTR_UNUSED) {
    struct walk *w = arg;
    int64_t offset = strtoll(values[0], NULL, 10), copies = strtoll(values[1], NULL, 10);
    while (w->at < w->n && offset >= w->v[w->at].to)
        end_range(w);
    const struct covered *c = w->at < w->n ? &w->v[w->at] : NULL;
    if (w->n > 0 && !c)
        found(w, offset, xstrdup("was not read by any commit"));
    if (c && offset >= c->from) {
        if (is_full(c) && offset > w->expect)
            found(w, w->expect, xstrdup("is not there"));
        w->there++;
        w->expect = offset + 1;
    }
    if (copies > 1)
        found(w, offset, xasprintf("is there %lld times", (long long)copies));
    return 0;
}

static char *offsets_sql(const struct walk *w) {
    struct buf b = BUF_INIT(64 * KIB);
    buf_add_str(&b, "SELECT source_offset, max(copies) FROM (SELECT source_offset, source_index,"
                    " count(*) AS copies FROM bronze.events WHERE NOT " RECONCILE_IS_REPLAYED
                    " AND source_topic = ");
    buf_add_literal(&b, w->topic);
    buf_addf(&b, " AND source_partition = %d GROUP BY ALL) GROUP BY 1 ORDER BY 1", w->partition);
    return buf_detach(&b);
}

int reconcile_first_offset(struct reconcile *rc, const char *source, const char *topic,
                           int32_t partition, struct reconcile_place *ret, struct err *e) {
    struct walk w = {.source = source, .topic = topic, .partition = partition, .ret = ret};
    int r = read_ranges(rc, &w, e);
    _cleanup_(freep) char *sql = offsets_sql(&w);
    begin_range(&w);
    if (r == 0)
        r = lake_query(&rc->lake, sql, false, &(struct engine_rows){.row = take_offset, .arg = &w},
                       e);
    while (r == 0 && w.at < w.n)
        end_range(&w);
    free(w.v);
    return r;
}
