/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/upkeep.h"

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
                                        .needed_after = read_up_to(l, tb)};
    if (r == 0 && sealed)
        r = table_clean_log(tb, &clean, &removed, e);
    sum->log_files += removed;
    return r;
}

int flow_upkeep(struct storage *st, const struct upkeep_options *o, struct upkeep_result *ret,
                struct err *e) {
    struct upkeep_result sum = {0};
    struct lake l;
    int r = lake_open(&l, st, NULL, o->models_dir, e);
    for (size_t i = 0; r == 0 && i < lake_tables(&l); i++)
        if (!(r = step_stopped("upkeep", e)))
            r = upkeep_log(&l, lake_table(&l, i), o, false, &sum, e);
    lake_close(&l);
    *ret = sum;
    return r;
}
