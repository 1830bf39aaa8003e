/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files nobody needs any more (PROTOCOL.md "Delta tables", Spark's VACUUM): not live, not
 * removed lately, and old. Removals stand in the newest checkpoint and in the entries behind it.
 */
#include "base/clock.h"
#include "base/util.h"
#include "table/checkpoint.h"
#include "table/retention.h"

enum { MAX_DEPTH = 16 }; /* folders below the table's */

struct vacuum {
    struct table *tb;
    const struct table_vacuum_options *o;
    int64_t retention_ms, cutoff_ms;
    struct strmap removed; /* paths that must stay though they are not live */
    struct strmap gone;    /* removed_too: those of other removals */
    struct arena texts;
    struct table_vacuum_result sum;
};

static int too_short(const struct vacuum *v, struct err *e) {
    err_set(e, ERR_USAGE,
            "%s/%s: %lld s are shorter than the table's retention of %lld s: a reader or a writer "
            "that is still at work could lose its files",
            v->tb->st->url, v->tb->def->name, (long long)v->o->asked_ms / 1000,
            (long long)v->retention_ms / 1000);
    return err_hint(e, "--force, if nobody reads or writes the table");
}

static int too_long(const struct vacuum *v, struct err *e) {
    err_set(e, ERR_USAGE, "%s/%s: removals are not known for %lld s back", v->tb->st->url,
            v->tb->def->name, (long long)v->o->asked_ms / 1000);
    return err_hint(e, "ALTER TABLE … SET TBLPROPERTIES ('" FILE_RETENTION
                       "' = 'interval 30 days'): it counts from then on");
}

static int choose_retention(struct vacuum *v, struct err *e) {
    int r = retention_of(v->tb, FILE_RETENTION, v->o->retention_ms, &v->retention_ms, e);
    if (r || v->o->asked_ms < 0)
        return r;
    if (v->o->asked_ms < v->retention_ms && !v->o->force)
        return too_short(v, e);
    if (v->o->asked_ms > MAX(v->retention_ms, CHECKPOINT_KEEPS_REMOVES_MS))
        return too_long(v, e);
    v->retention_ms = v->o->asked_ms;
    return 0;
}

/* --- what was removed lately --- */

static void add_path(struct vacuum *v, struct strmap *to, const char *path) {
    strmap_set(to, arena_strndup(&v->texts, path, strlen(path)), 0);
}

static int take_removed(void *arg, const char *const *values, size_t n ATTR_UNUSED, struct err *e) {
    _cleanup_(freep) char *path = values[0] ? log_path_decode(values[0]) : NULL;
    if (!path)
        return err_set(e, ERR_STORAGE, "remove of \"%s\": not a path inside the table",
                       values[0] ? values[0] : "");
    struct vacuum *v = arg;
    add_path(v, v->o->removed_too ? &v->gone : &v->removed, path);
    return 0;
}

static int read_checkpoint(struct vacuum *v, const struct log_listing *l, struct err *e) {
    struct parquet_session s;
    struct buf sql = BUF_INIT(LIMIT_SQL);
    int r = parquet_begin(&s, v->tb, e);
    if (r)
        return r;
    buf_add_str(&sql, "SELECT \"remove\".path FROM read_parquet(");
    r = checkpoint_add_files(&s, l, &sql, e);
    buf_addf(&sql, ") WHERE \"remove\".\"deletionTimestamp\" >= %lld",
             v->o->removed_too ? 0LL : (long long)v->cutoff_ms);
    if (r == 0)
        r = parquet_query(&s, buf_str(&sql), take_removed, v, e);
    buf_release(&sql);
    parquet_end(&s);
    return r;
}

static int read_entries(struct vacuum *v, int64_t from, struct err *e) {
    for (int64_t version = from; version <= v->tb->version; version++) {
        struct log_entry en;
        int r = snapshot_load(v->tb, version, &en, e);
        if (r)
            return r;
        for (size_t i = 0; i < en.remove.n; i++) {
            const struct table_file *f = &en.remove.v[i].file;
            if (version > v->o->needed_after)
                add_path(v, &v->removed, f->path);
            else if (v->o->removed_too)
                add_path(v, &v->gone, f->path);
            else if (f->mtime_ms == 0 || f->mtime_ms >= v->cutoff_ms)
                add_path(v, &v->removed, f->path);
        }
        log_entry_release(&en);
    }
    return 0;
}

static int find_removed(struct vacuum *v, struct err *e) {
    struct log_listing l;
    int r = log_list(v->tb, false, &l, e);
    if (r == 0 && l.checkpoint >= 0)
        r = read_checkpoint(v, &l, e);
    int64_t from = l.checkpoint + 1;
    if (v->o->needed_after < from)
        from = v->o->needed_after + 1;
    return r ? r : read_entries(v, MAX(from, l.first), e);
}

/* --- what there is --- */

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), k = strlen(end);
    return n > k && strcmp(s + n - k, end) == 0;
}

static int take_file(struct vacuum *v, const char *path, const struct storage_entry *f,
                     struct err *e) {
    if (table_has_file(v->tb, path))
        return 0;
    bool kept = strmap_get(&v->removed, path, NULL) ||
                (f->mtime_ms >= v->cutoff_ms && !strmap_get(&v->gone, path, NULL));
    if (kept) {
        v->sum.kept++;
        return 0;
    }
    _cleanup_(freep) char *full = xasprintf("%s/%s", v->tb->def->name, path);
    int r = v->o->on_file ? v->o->on_file(v->o->arg, path, f->size, f->mtime_ms) : 0;
    if (r == 0 && !v->o->dry_run) {
        r = storage_remove(v->tb->st, full, e);
        crash_point("vacuum.removed");
    }
    if (r)
        return r;
    v->sum.files++;
    v->sum.bytes += f->size;
    return 0;
}

/* dir: below the table's folder, "" for that itself. */
static int walk(struct vacuum *v, const char *dir, int depth, struct err *e) {
    const char *slash = *dir ? "/" : "";
    _cleanup_(freep) char *full = xasprintf("%s%s%s", v->tb->def->name, slash, dir);
    struct storage_entries l = {0};
    int r = storage_list(v->tb->st, full, NULL, &l, e);
    for (size_t i = 0; r == 0 && i < l.n; i++) {
        const struct storage_entry *f = &l.v[i];
        _cleanup_(freep) char *path = xasprintf("%s%s%s", dir, slash, f->name);
        if (f->name[0] == '_' || !storage_path_ok(path))
            continue; /* nothing of ours, or of any table we can read, has such a name */
        if (stop_requested())
            r = err_set(e, ERR_STOPPED, "vacuum stopped by a signal before its end");
        else if (!f->is_dir)
            r = ends_with(f->name, ".parquet") ? take_file(v, path, f, e) : 0;
        else if (depth < MAX_DEPTH)
            r = walk(v, path, depth + 1, e);
    }
    storage_entries_release(&l);
    return r;
}

static int vacuum(struct vacuum *v, struct err *e) {
    /* What is younger than this look at the clock, and committed after the look at the table, stays. */
    v->cutoff_ms = clock_now_us() / 1000;
    int r = table_refresh(v->tb, e);
    if (r == 0)
        r = table_check_writable(v->tb, e);
    if (r == 0)
        r = choose_retention(v, e);
    if (r)
        return r;
    v->cutoff_ms -= v->retention_ms;
    r = find_removed(v, e);
    return r ? r : walk(v, "", 0, e);
}

int table_vacuum(struct table *tb, const struct table_vacuum_options *o,
                 struct table_vacuum_result *ret, struct err *e) {
    struct vacuum v = {.tb = tb, .o = o};
    int r = tb->version < 0 ? 0 : vacuum(&v, e);
    strmap_release(&v.removed);
    strmap_release(&v.gone);
    arena_release(&v.texts);
    *ret = v.sum;
    return r && r != ERR_USAGE ? err_wrap(e, "vacuum of %s/%s", tb->st->url, tb->def->name) : r;
}
