/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many small files -> one, partition by partition. Planned anew after every commit that met
 * another: the snapshot is the only plan there is.
 */
#include <assert.h>

#include "base/log.h"
#include "base/util.h"
#include "table/parquet_session.h"
#include "table/support.h"

enum {
    BIN_FILES = 1000,   /* rewritten at once at most: DuckDB keeps the footers of all of them */
    MAX_CONFLICTS = 20, /* in a row */
};

/* A run of small files of one partition, from v[first] on. */
struct bin {
    size_t first, n;
    int64_t bytes;
};

struct plan {
    const struct table_optimize_options *o;
    const struct table_file **v; /* the small files, by partition, then youngest first */
    size_t n;
    struct bin *bins;
    size_t n_bins, cap_bins;
};

static void plan_release(struct plan *p) {
    free(p->v);
    free(p->bins);
}

/* --- which files --- */

static int by_partition_and_age(const void *a, const void *b) {
    const struct table_file *x = *(const struct table_file *const *)a,
                            *y = *(const struct table_file *const *)b;
    int c = strcmp(x->partition ? x->partition : "", y->partition ? y->partition : "");
    if (c == 0)
        c = (x->mtime_ms < y->mtime_ms) - (x->mtime_ms > y->mtime_ms);
    return c ? c : strcmp(y->path, x->path);
}

static bool same_partition(const struct table_file *a, const struct table_file *b) {
    return strcmp(a->partition ? a->partition : "", b->partition ? b->partition : "") == 0;
}

/* Does the file go with those before it in the bin? */
static bool fits(const struct plan *p, const struct bin *b, const struct table_file *f) {
    int64_t target = p->o->target_bytes;
    return b->n < BIN_FILES && b->bytes + f->size <= target &&
           (p->o->full || f->size <= MAX(2 * b->bytes, target / 16));
}

static void end_bin(struct plan *p, const struct bin *b) {
    if (b->n < 2)
        return;
    if (p->n_bins == p->cap_bins) {
        p->cap_bins = p->cap_bins ? 2 * p->cap_bins : 16;
        p->bins = xrealloc(p->bins, p->cap_bins * sizeof *p->bins);
    }
    p->bins[p->n_bins++] = *b;
}

/* The files first <= i < end are those of one partition. */
static void plan_partition(struct plan *p, size_t first, size_t end) {
    if ((int64_t)(end - first) < p->o->min_files)
        return;
    struct bin b = {.first = first};
    for (size_t i = first; i < end; i++) {
        if (b.n > 0 && !fits(p, &b, p->v[i])) {
            end_bin(p, &b);
            b = (struct bin){.first = i};
        }
        b.n++;
        b.bytes += p->v[i]->size;
    }
    end_bin(p, &b);
}

static void make_plan(struct plan *p, const struct table *tb,
                      const struct table_optimize_options *o) {
    const struct table_files *live = table_live(tb);
    *p = (struct plan){.o = o, .v = xcalloc(MAX(live->n, 1), sizeof *p->v)};
    for (size_t i = 0; i < live->n; i++)
        if (live->v[i].size >= 0 && live->v[i].size < o->target_bytes / 2)
            p->v[p->n++] = &live->v[i];
    if (p->n)
        qsort(p->v, p->n, sizeof *p->v, by_partition_and_age);
    for (size_t i = 0, end; i < p->n; i = end) {
        for (end = i + 1; end < p->n && same_partition(p->v[i], p->v[end]);)
            end++;
        plan_partition(p, i, end);
    }
}

/* The bin's files in the order in which they came, as copies: the snapshot moves on with a commit. */
static void bin_files(const struct plan *p, const struct bin *b, struct table_files *ret) {
    for (size_t i = b->n; i > 0; i--)
        table_file_copy(table_files_add(ret), p->v[b->first + i - 1]);
}

/* --- one bin --- */

static int64_t bytes_in(const struct table_files *files) {
    int64_t bytes = 0;
    for (size_t i = 0; i < files->n; i++)
        bytes += files->v[i].size;
    return bytes;
}

static int rewrite(struct parquet_session *s, const struct table_files *old,
                   struct engine_result *ret, struct err *e) {
    const struct engine_input input = {"files", s->tb->def, old};
    int r = engine_run(s->en, s->tb->st,
                       &(struct engine_job){.what = "optimize",
                                            .inputs = &input,
                                            .n_inputs = 1,
                                            .select = "SELECT * FROM files",
                                            .output = s->tb->def},
                       ret, e);
    if (r)
        return r;
    int64_t before = table_files_rows(old), after = table_files_rows(&ret->files);
    for (size_t i = 0; i < ret->files.n; i++)
        if (!same_partition(&ret->files.v[i], &old->v[0]))
            return err_set(e, ERR_BUG, "optimize: a file of another partition was made");
    if (ret->files.n > 1 || (before >= 0 && before != after))
        return err_set(e, ERR_BUG,
                       "optimize: %zu files of %lld rows became %zu of %lld; nothing was committed",
                       old->n, (long long)before, ret->files.n, (long long)after);
    /* As old as the youngest in it: the next optimize goes by age. */
    for (size_t i = 0; i < ret->files.n; i++)
        ret->files.v[i].mtime_ms = old->v[old->n - 1].mtime_ms;
    return 0;
}

static int commit(struct table *tb, const struct table_files *old, const struct table_files *new,
                  struct err *e) {
    const struct table_metric metrics[] = {{"numRemovedFiles", (int64_t)old->n},
                                           {"numAddedFiles", (int64_t) new->n},
                                           {"numRemovedBytes", bytes_in(old)},
                                           {"numAddedBytes", bytes_in(new)}};
    crash_point("optimize.after_data");
    return table_commit(tb,
                        &(struct table_commit){.operation = "OPTIMIZE",
                                               .add = new,
                                               .remove = old,
                                               .metrics = metrics,
                                               .n_metrics = ARRAY_LEN(metrics)},
                        NULL, e);
}

static int optimize_bin(struct table *tb, struct parquet_session *s, const struct table_files *old,
                        struct table_optimize_result *sum, struct err *e) {
    struct engine_result made = {0};
    int r = rewrite(s, old, &made, e);
    if (r == 0)
        r = commit(tb, old, &made.files, e);
    if (r == 0) {
        sum->commits++;
        sum->removed += (int64_t)old->n;
        sum->added += (int64_t)made.files.n;
        sum->bytes_before += bytes_in(old);
        sum->bytes_after += bytes_in(&made.files);
        sum->rows += table_files_rows(&made.files);
        log_debug("optimized", F_STR("table", tb->def->name), F_INT("version", table_version(tb)),
                  F_INT("files", (int64_t)old->n));
    } else {
        table_discard(tb, &made.files, r);
    }
    engine_result_release(&made);
    return r;
}

/* --- all of them --- */

/* Those of one plan; ERR_CONFLICT: the rest is to be planned anew. */
static int optimize_plan(struct table *tb, struct parquet_session *s, const struct plan *p,
                         struct table_optimize_result *sum, struct err *e) {
    struct table_files *bins = xcalloc(MAX(p->n_bins, 1), sizeof *bins);
    for (size_t i = 0; i < p->n_bins; i++)
        bin_files(p, &p->bins[i], &bins[i]);
    int r = 0;
    for (size_t i = 0; r == 0 && i < p->n_bins; i++) {
        r = stop_requested()
                ? err_set(e, ERR_STOPPED, "optimize stopped by a signal before its end")
                : optimize_bin(tb, s, &bins[i], sum, e);
    }
    for (size_t i = 0; i < p->n_bins; i++)
        table_files_release(&bins[i]);
    free(bins);
    return r;
}

static int optimize(struct table *tb, struct parquet_session *s,
                    const struct table_optimize_options *o, struct table_optimize_result *sum,
                    struct err *e) {
    for (int conflicts = 0;;) {
        struct plan p;
        int64_t before = sum->commits;
        int r = table_refresh(tb, e);
        if (r)
            return r;
        make_plan(&p, tb, o);
        bool done = p.n_bins == 0;
        r = optimize_plan(tb, s, &p, sum, e);
        plan_release(&p);
        conflicts = sum->commits > before ? 0 : conflicts;
        if (r == ERR_CONFLICT) {
            sum->conflicts++;
            if (++conflicts == MAX_CONFLICTS)
                return 0; /* whoever else is at work here: it is not left undone for want of us */
            continue;
        }
        if (r || done || !o->full)
            return r;
    }
}

int table_check_rewritable(const struct table *tb, struct err *e) {
    if (tb->version < 0)
        return 0;
    int r = table_check_writable(tb, e);
    if (r)
        return r;
    const json *meta = json_get(json_root(tb->meta), "metaData");
    _cleanup_(freep) char *column = support_foreign_column(tb->def, meta);
    if (!column)
        return 0;
    err_set(e, ERR_STORAGE,
            "%s/%s has the column %s, which clickmill does not know: rewriting its files would "
            "lose it",
            tb->st->url, tb->def->name, column);
    return err_hint(e, "let the program that added the column optimize the table");
}

int table_optimize(struct table *tb, const struct table_optimize_options *o,
                   struct table_optimize_result *ret, struct err *e) {
    struct table_optimize_result sum = {0};
    struct parquet_session s;
    assert(o->min_files >= 2 && o->target_bytes > 0);
    int r = table_check_rewritable(tb, e);
    if (r || tb->version < 0) {
        *ret = sum;
        return r;
    }
    r = parquet_begin(&s, tb, e);
    if (r == 0) {
        r = optimize(tb, &s, o, &sum, e);
        parquet_end(&s);
    }
    *ret = sum;
    return r && r != ERR_STOPPED ? err_wrap(e, "optimize of %s/%s", tb->st->url, tb->def->name) : r;
}
