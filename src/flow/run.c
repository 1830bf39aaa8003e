/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/run.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/retry.h"
#include "base/util.h"
#include "flow/check_history.h"
#include "flow/history.h"
#include "flow/step.h"

struct run {
    struct storage *st;
    struct engine *en;
    const struct run_options *o;
    struct run_result *res;
};

static int try_load(struct run *run, const struct check_result *checked, struct load_result *ret,
                    struct err *e) {
    struct sink *sk;
    struct sink_options so = {.timeout_ms = (int)MIN(run->o->sink_timeout_ms, INT32_MAX)};
    int r = sink_open(run->o->sink_url, &so, &sk, e);
    if (r < 0)
        return r;
    const struct load_options lo = {run->o->models_dir, checked};
    r = flow_load(run->st, run->en, sk, &lo, ret, e);
    sink_free(sk);
    return r;
}

int flow_run_load(struct storage *st, struct engine *en, const struct run_options *o,
                  const struct check_result *checked, struct load_result *ret, struct err *e) {
    struct run run = {.st = st, .en = en, .o = o};
    struct retry again = retry_start(o->sink_timeout_ms);
    int r;
    do
        r = try_load(&run, checked, ret, e);
    while (r < 0 && retry_pause(&again, &r, e));
    return r;
}

/* ---- the check ------------------------------------------------------------------------------- */

static int open_to_look(const struct run_options *o, struct sink **ret, struct err *e) {
    struct sink_options so = {.timeout_ms = (int)MIN(o->sink_timeout_ms, INT32_MAX),
                              .read_only = true};
    struct retry again = retry_start(o->sink_timeout_ms);
    int r;
    do
        r = sink_open(o->sink_url, &so, ret, e);
    while (r < 0 && retry_pause(&again, &r, e));
    return r;
}

/* What cannot be read or kept is a warning: the check itself stands. */
static struct check_kept last_check(const char *path) {
    struct check_kept k;
    struct err e;
    if (check_history_read(path, &k, &e) < 0)
        log_err(LOG_WARN, "checks", &e);
    return k;
}

static void keep(const char *path, const struct check_kept *before, struct check_result *res) {
    struct err e;
    int64_t now = clock_now_us();
    check_history_compare(before, now, res);
    if (*path && check_history_append(path, now, res, &e) < 0)
        log_err(LOG_WARN, "checks", &e);
}

int flow_run_check(struct storage *st, struct engine *en, const struct run_options *o, bool lately,
                   struct check_result *ret, struct err *e) {
    const char *path = o->check_history ? o->check_history : "";
    struct sink *sk;
    *ret = (struct check_result){0};
    int r = open_to_look(o, &sk, e);
    if (r < 0)
        return r;
    _cleanup_(check_kept_release) struct check_kept before = last_check(path);
    struct check_options co = o->check;
    co.passed = lately ? check_kept_passed(&before, o->new_warnings_only, clock_now_us()) : NULL;
    r = flow_check(st, en, sk, &co, ret, e);
    sink_free(sk);
    if ((r == 0 || r == ERR_CHECK) && ret->n > 0 && !co.names)
        keep(path, &before, ret);
    return r;
}

void run_log_warnings(const struct check_result *r, bool new_ones) {
    for (size_t i = 0; i < r->n; i++) {
        const struct check_outcome *out = &r->v[i];
        if (out->severity != CHECK_WARN || (new_ones && !out->is_new))
            continue;
        if (out->state == CHECK_FAILED)
            log_warn("a data check failed", F_STR("rule", out->name), F_INT("rows", out->rows),
                     F_STR("first", buf_str(&out->first)));
        else if (out->state == CHECK_ERROR)
            log_err(LOG_WARN, "a data check cannot be run", &out->why);
    }
}

int flow_run_check_load(struct storage *st, struct engine *en, const struct run_options *o,
                        struct load_result *ret, struct err *e) {
    struct check_result res;
    int r = flow_run_check(st, en, o, true, &res, e);
    run_log_warnings(&res, false);
    if (r == 0)
        r = flow_run_load(st, en, o, &res, ret, e);
    check_result_release(&res);
    return r;
}

/* ---- the steps ------------------------------------------------------------------------------- */

static int step_silver(struct run *run, struct err *e) {
    return flow_silver(run->st, run->en, &run->o->silver, &run->res->silver, e);
}

static int step_gold(struct run *run, struct err *e) {
    const struct gold_options o = {run->o->models_dir, run->o->checkpoint_interval};
    return flow_gold(run->st, run->en, &o, &run->res->gold, e);
}

static int step_check(struct run *run, struct err *e) {
    check_result_release(&run->res->check); /* of an earlier try */
    int r = flow_run_check(run->st, run->en, run->o, true, &run->res->check, e);
    run_log_warnings(&run->res->check, run->o->new_warnings_only);
    return r;
}

static int step_load(struct run *run, struct err *e) {
    return flow_run_load(run->st, run->en, run->o, &run->res->check, &run->res->load, e);
}

static const struct {
    int (*run)(struct run *run, struct err *e);
    bool retries_itself;
} steps[RUN_STEPS] = {
    {step_silver, false}, {step_gold, false}, {step_check, false}, {step_load, true}};

const char *const run_step_names[RUN_STEPS] = {"silver", "gold", "check", "load"};

static int run_step(struct run *run, size_t i, struct err *e) {
    int64_t pause = run->o->retry_delay_ms;
    for (int64_t left = run->o->retries;; left--, pause = MIN(2 * pause, 3600000)) {
        int r = steps[i].run(run, e);
        bool was_tried_again = steps[i].retries_itself || r == ERR_SINK;
        if (r == 0 || was_tried_again || !e->retry || left <= 0 || stop_requested())
            return r;
        log_err(LOG_WARN, "step failed, trying again", e);
        run->res->tries++;
        stop_wait((int)MIN(pause, 3600000)); /* at most an hour */
    }
}

static void keep_up(struct run *run) {
    struct upkeep_result done;
    struct err e;
    int64_t start = clock_mono_ns();
    int r = flow_upkeep(run->st, run->o->upkeep, &done, &e);
    if (r < 0 && r != ERR_STOPPED)
        log_err(LOG_WARN, "upkeep of the tables failed", &e);
    if (run->o->on_step)
        run->o->on_step(run->o->arg, "upkeep", r, (double)(clock_mono_ns() - start) / 1e9);
}

/* The step has done what it could: the run goes on, or, where the load is blocked, ends well enough. */
static bool failed_alone(const struct run_result *res, size_t step) {
    return (step == RUN_GOLD && res->gold.failed > 0) ||
           (step == RUN_CHECK && res->codes[RUN_CHECK] == ERR_CHECK) ||
           (step == RUN_LOAD && res->load.failed > 0);
}

/* false: the run ends here. */
static bool take_step(struct run *run, size_t i, struct step_failures *failures) {
    static const char *const points[RUN_STEPS] = {"run.after_silver", "run.after_gold",
                                                  "run.after_check", "run.after_load"};
    struct err e = {0};
    int64_t start = clock_mono_ns();
    int r = run_step(run, i, &e);
    if (i == RUN_CHECK && r == ERR_SINK) /* it only asks what there is to load */
        i = RUN_LOAD;
    run->res->codes[i] = r;
    if (run->o->on_step)
        run->o->on_step(run->o->arg, run_step_names[i], r, (double)(clock_mono_ns() - start) / 1e9);
    if (r < 0)
        step_also(failures, &e);
    if (r < 0 && !failed_alone(run->res, i))
        return false;
    crash_point(points[i]);
    return true;
}

int flow_run(struct storage *st, struct engine *en, const struct run_options *o,
             struct run_result *ret, struct err *e) {
    struct run_result res = {
        .codes = {RUN_NOT_REACHED, RUN_NOT_REACHED, RUN_NOT_REACHED, RUN_NOT_REACHED},
        .silver = {.bronze_version = -1},
        .gold = {.silver_version = -1},
        .load = {.gold_version = -1}};
    struct run run = {st, en, o, &res};
    int64_t start = clock_mono_ns();
    struct step_failures failures = {0};
    int64_t failed;
    res.complete = true;
    bool blocked = false;
    for (size_t i = 0; res.complete && !blocked && i < ARRAY_LEN(steps); i++) {
        res.complete = take_step(&run, i, &failures);
        blocked = res.codes[RUN_CHECK] == ERR_CHECK;
    }
    res.seconds = (double)(clock_mono_ns() - start) / 1e9;
    if (res.complete && o->upkeep && !stop_requested())
        keep_up(&run);
    *ret = res;
    int r = step_failures_end(&failures, &failed, e);
    return blocked && r != ERR_STOPPED ? err_recode(e, ERR_CHECK) : r;
}

void run_result_release(struct run_result *r) {
    check_result_release(&r->check);
}

/* The first; NULL: none. */
static const char *failed_step(const struct run_result *r) {
    for (size_t i = 0; i < RUN_STEPS; i++)
        if (r->codes[i] < 0)
            return run_step_names[i];
    return NULL;
}

static void put_steps(struct json_out *o, const struct run_result *r) {
    json_obj(o, "silver");
    json_put_int(o, "events", r->silver.events);
    json_put_int(o, "rejected", r->silver.rejected);
    json_put_int(o, "duplicates", r->silver.duplicates);
    json_put_int(o, "conflicts", r->silver.conflicts);
    json_put_int(o, "rows", r->silver.rows);
    json_obj_end(o);
    json_obj(o, "gold");
    json_put_int(o, "dates", r->gold.dates);
    json_put_int(o, "rows", r->gold.rows);
    json_put_int(o, "failed", r->gold.failed);
    json_obj_end(o);
    json_obj(o, "check");
    json_put_int(o, "rules", (int64_t)r->check.n);
    json_put_int(o, "warned", r->check.warned);
    json_put_int(o, "blocking", r->check.blocking);
    json_obj_end(o);
    json_obj(o, "load");
    json_put_int(o, "dates", r->load.dates);
    json_put_int(o, "upserted", r->load.upserted);
    json_put_int(o, "deleted", r->load.deleted);
    json_put_int(o, "failed", r->load.failed);
    json_obj_end(o);
}

static void put_line(struct buf *line, int64_t started_us, const struct run_result *r, int code,
                     const struct err *why) {
    struct json_out o = {.b = line};
    char at[TIME_TEXT];
    time_format_ms(started_us, at);
    json_obj(&o, NULL);
    json_put(&o, "started_at", at);
    json_put_double(&o, "seconds", r->seconds);
    json_put_bool(&o, "ok", code == 0);
    if (code != 0) {
        json_put(&o, "failed_step", failed_step(r));
        json_put(&o, "error", why->msg);
    }
    json_put_int(&o, "tries_again", r->tries);
    put_steps(&o, r);
    json_obj_end(&o);
    buf_add_char(line, '\n');
}

int run_history_append(const char *path, int64_t started_us, const struct run_result *r, int code,
                       const struct err *why, struct err *e) {
    struct buf line = BUF_INIT(64 * 1024);
    put_line(&line, started_us, r, code, why);
    int rc = history_append(path, &line, 0, e);
    buf_release(&line);
    return rc;
}
