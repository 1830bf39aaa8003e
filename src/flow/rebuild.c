/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/rebuild.h"

#include "base/log.h"
#include "base/util.h"
#include "flow/step.h"

static int make_gold(struct storage *st, struct engine *en, const struct rebuild_options *o,
                     struct gold_result *ret, struct err *e) {
    const struct gold_options g = {o->run->models_dir, o->run->checkpoint_interval,
                                   o->silver ? NULL : &o->range};
    int r = flow_gold(st, en, &g, ret, e);
    if (r == 0 || ret->failed > 0)
        log_info("gold", F_INT("dates", ret->dates), F_INT("rows_before", ret->rows_before),
                 F_INT("rows", ret->rows), F_INT("failed", ret->failed));
    return r;
}

int flow_rebuild(struct storage *st, struct engine *en, const struct rebuild_options *o,
                 struct rebuild_result *ret, struct err *e) {
    struct rebuild_result res = {.gold = {.silver_version = -1}, .load = {.gold_version = -1}};
    struct step_failures failures = {0};
    int64_t failed;
    int r = o->silver ? rebuild_silver(st, en, o, &res, e) : 0;
    if (r == 0) {
        crash_point("rebuild.after_silver");
        r = make_gold(st, en, o, &res.gold, e);
        if (r < 0 && res.gold.failed > 0) { /* the others are done: the sink follows those */
            step_also(&failures, e);
            r = 0;
        }
    }
    if (r == 0) {
        crash_point("rebuild.after_gold");
        r = flow_run_check_load(st, en, o->run, &res.load, e);
    }
    *ret = res;
    if (r == 0 || failures.n == 0)
        return r == 0 ? step_failures_end(&failures, &failed, e) : r;
    step_also(&failures, e);
    return step_failures_end(&failures, &failed, e);
}
