/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/upkeep.h"

#include "base/clock.h"
#include "base/log.h"
#include "flow/seal.h"
#include "flow/step.h"

static int64_t position(const struct table *above, const char *step, const struct table *tb) {
    _cleanup_(freep) char *app_id = xasprintf("%s/%s", step, table_id(tb));
    int64_t at = table_txn(above, app_id);
    return at >= 0 ? at : INT64_MAX;
}

/*
 * The version up to which the layer above has read the table; INT64_MAX: nobody reads on in its log.
 * A gold table that nobody makes any more, or cannot make, holds nothing back: it would begin anew.
 */
static int64_t read_up_to(const struct lake *l, const struct table *tb) {
    int64_t at = INT64_MAX;
    if (!table_id(tb))
        return at;
    if (tb == l->bronze)
        return position(l->silver, "silver", tb);
    for (size_t i = 0; tb == l->silver && i < l->n_gold; i++)
        if (l->gold[i].model && l->gold[i].model->wrong.code == 0)
            at = MIN(at, position(l->gold[i].tb, "gold", tb));
    return at;
}

static int checkpoint(struct table *tb, const struct upkeep_options *o, bool now,
                      struct upkeep_result *sum, struct err *e) {
    int64_t last;
    int r = table_checkpointed(tb, &last, e);
    if (r < 0 || table_version(tb) < 0 || last == table_version(tb))
        return r;
    bool due = o->checkpoint_interval > 0 && table_version(tb) - last >= o->checkpoint_interval;
    if (!now && !due)
        return 0;
    r = table_checkpoint(tb, e);
    sum->checkpoints += r == 0;
    return r;
}

int upkeep_log(struct lake *l, struct table *tb, const struct upkeep_options *o, bool now,
               struct upkeep_result *sum, struct err *e) {
    bool sealed;
    char *why;
    int r = seal_totals(tb, &sealed, &why, e);
    if (r == 0 && !sealed)
        log_warn("the log is not cleaned: its totals cannot be taken from it",
                 F_STR("table", table_definition(tb)->view), F_STR("why", why));
    free(why);
    if (r == 0)
        r = checkpoint(tb, o, now, sum, e);
    int64_t removed = 0;
    struct table_clean_options clean = {.retention_ms = o->log_retention_ms,
                                        .max_entries = o->log_entries,
                                        .needed_after = read_up_to(l, tb)};
    if (r == 0 && sealed)
        r = table_clean_log(tb, &clean, &removed, e);
    sum->log_files += removed;
    return r;
}

/* The position under which a vacuum is noted; its version: when, in seconds since 1970. */
#define VACUUMED "upkeep/vacuum"

static int note_vacuum(struct table *tb, const struct table_vacuum_result *done, struct err *e) {
    struct table_txn txn = {VACUUMED, table_txn(tb, VACUUMED), clock_now_us() / 1000000};
    const struct table_metric metrics[] = {{"files", done->files}, {"bytes", done->bytes}};
    txn.next = MAX(txn.next, txn.expected);
    int r = table_commit(tb,
                         &(struct table_commit){.operation = "VACUUM",
                                                .txn = &txn,
                                                .n_txn = 1,
                                                .metrics = metrics,
                                                .n_metrics = ARRAY_LEN(metrics)},
                         NULL, e);
    return r == ERR_CONFLICT ? 0 : r; /* another process has just done the same */
}

int upkeep_vacuum(struct lake *l, struct table *tb, const struct upkeep_options *o,
                  struct table_vacuum_options v, struct table_vacuum_result *ret, struct err *e) {
    v.retention_ms = o->file_retention_ms;
    v.needed_after = read_up_to(l, tb);
    int r = table_vacuum(tb, &v, ret, e);
    return r || v.dry_run || table_version(tb) < 0 ? r : note_vacuum(tb, ret, e);
}

/* Now and then: who looks through all of a table's folders should not do it all the time. */
static int vacuum_if_due(struct lake *l, struct table *tb, const struct upkeep_options *o,
                         struct upkeep_result *sum, struct err *e) {
    int64_t last = table_txn(tb, VACUUMED), now_s = clock_now_us() / 1000000;
    if (table_version(tb) < 0 || o->vacuum_every_ms == 0)
        return 0;
    if (now_s - (last >= 0 ? last : table_created_ms(tb) / 1000) < o->vacuum_every_ms / 1000)
        return 0;
    struct table_vacuum_result done = {0};
    struct table_vacuum_options v = {.asked_ms = -1};
    int r = upkeep_vacuum(l, tb, o, v, &done, e);
    sum->files += done.files;
    return r;
}

static int optimize_if_due(struct table *tb, const struct upkeep_options *o,
                           struct upkeep_result *sum, struct err *e) {
    struct err why;
    if (o->optimize_files == 0)
        return 0;
    if (table_check_rewritable(tb, &why) < 0) {
        log_err(LOG_DEBUG, "not optimized", &why);
        return 0;
    }
    struct table_optimize_result done;
    int r =
        table_optimize(tb,
                       &(struct table_optimize_options){.target_bytes = o->optimize_target_bytes,
                                                        .min_files = o->optimize_files},
                       &done, e);
    sum->joined += done.removed;
    sum->made += done.added;
    return r;
}

static int keep_up(struct lake *l, struct table *tb, const struct upkeep_options *o,
                   struct upkeep_result *sum, struct err *e) {
    int r = optimize_if_due(tb, o, sum, e);
    if (r == 0)
        r = upkeep_log(l, tb, o, false, sum, e);
    return r ? r : vacuum_if_due(l, tb, o, sum, e);
}

int flow_upkeep(struct storage *st, const struct upkeep_options *o, struct upkeep_result *ret,
                struct err *e) {
    struct upkeep_result sum = {0};
    struct lake l;
    int r = lake_open(&l, st, NULL, o->models_dir, e);
    for (size_t i = 0; r == 0 && i < lake_tables(&l); i++)
        if (!(r = step_stopped("upkeep", e)))
            r = keep_up(&l, lake_table(&l, i), o, &sum, e);
    lake_close(&l);
    if (sum.joined || sum.checkpoints || sum.log_files || sum.files)
        log_info("upkeep", F_INT("files_joined", sum.joined), F_INT("into", sum.made),
                 F_INT("checkpoints", sum.checkpoints), F_INT("log_files_removed", sum.log_files),
                 F_INT("files_deleted", sum.files));
    *ret = sum;
    return r;
}
