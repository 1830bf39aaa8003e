/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log cleanup, by Delta's rule: what is kept begins at a checkpoint, so that every version within
 * the retention can still be read.
 */
#include <strings.h>

#include "base/clock.h"
#include "base/util.h"
#include "table/checkpoint.h"
#include "table/retention.h"

int table_checkpointed(const struct table *tb, int64_t *ret, struct err *e) {
    struct log_listing l;
    int r = log_list(tb, true, &l, e);
    if (r == 0)
        *ret = l.checkpoint;
    return r;
}

/* The first version whose entry must stay: by age, number, since somebody needs it, or we stand at it. */
static int64_t first_kept(const struct table *tb, const struct storage_entries *names,
                          int64_t cutoff_ms, const struct table_clean_options *o) {
    int64_t kept = 0;
    for (size_t i = 0; i < names->n; i++) {
        int64_t v = log_entry_version(names->v[i].name);
        if (v < 0)
            continue;
        if (names->v[i].mtime_ms >= cutoff_ms)
            break; /* entries behind it are kept, too, whatever their clocks say */
        kept = v + 1;
    }
    if (o->max_entries > 0 && !table_property(tb, LOG_RETENTION))
        kept = MAX(kept, tb->version - o->max_entries);
    if (o->needed_after < kept)
        kept = o->needed_after + 1;
    return MIN(kept, tb->version);
}

/* A checkpoint that cannot be read stands for nothing. */
static int check_readable(const struct table *tb, const struct log_listing *l, struct err *e) {
    struct table *scratch = snapshot_new(tb->st, tb->given);
    int r = checkpoint_load(scratch, l, e);
    table_close(scratch);
    return r;
}

static int remove_before(struct table *tb, const char *dir, const struct storage_entries *names,
                         int64_t version, int64_t *removed, struct err *e) {
    for (size_t i = 0; i < names->n; i++) {
        int64_t v = log_name_version(names->v[i].name);
        if (v < 0 || v >= version || names->v[i].is_dir)
            continue;
        if (stop_requested())
            return err_set(e, ERR_STOPPED, "log cleanup stopped by a signal before its end");
        _cleanup_(freep) char *path = xasprintf("%s/%s", dir, names->v[i].name);
        int r = storage_remove(tb->st, path, e);
        if (r)
            return r;
        ++*removed;
        crash_point("clean.removed");
    }
    return 0;
}

static int clean(struct table *tb, const struct table_clean_options *o, int64_t retention_ms,
                 int64_t *removed, struct err *e) {
    _cleanup_(freep) char *dir = log_dir(tb->def);
    struct storage_entries names = {0};
    struct log_listing l;
    int r = storage_list(tb->st, dir, NULL, &names, e);
    if (r)
        return r;
    int64_t cutoff = clock_now_us() / 1000 - retention_ms;
    int64_t kept = first_kept(tb, &names, cutoff, o);
    r = log_list_up_to(tb, kept, &l, e);
    if (r == 0 && l.checkpoint > 0 && l.first < l.checkpoint) {
        r = check_readable(tb, &l, e);
        if (r == 0)
            r = remove_before(tb, dir, &names, l.checkpoint, removed, e);
    }
    storage_entries_release(&names);
    return r;
}

int table_clean_log(struct table *tb, const struct table_clean_options *o, int64_t *ret_removed,
                    struct err *e) {
    int64_t retention_ms, removed = 0;
    int r = tb->version < 0 ? 0 : table_check_writable(tb, e);
    if (r == 0 && tb->version >= 0)
        r = retention_of(tb, LOG_RETENTION, o->retention_ms, &retention_ms, e);
    const char *enabled = table_property(tb, "delta.enableExpiredLogCleanup");
    if (r == 0 && tb->version >= 0 && !(enabled && strcasecmp(enabled, "false") == 0))
        r = clean(tb, o, retention_ms, &removed, e);
    *ret_removed = removed;
    return r ? err_wrap(e, "log cleanup of %s/%s", tb->st->url, tb->def->name) : 0;
}
