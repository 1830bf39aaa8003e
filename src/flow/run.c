/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/run.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/retry.h"
#include "base/util.h"
#include "flow/step.h"

struct run {
    struct storage *st;
    struct engine *en;
    const struct run_options *o;
    struct run_result *res;
};

static int try_load(struct run *run, struct load_result *ret, struct err *e) {
    struct sink *sk;
    struct sink_options so = {.timeout_ms = (int)MIN(run->o->sink_timeout_ms, INT32_MAX)};
    int r = sink_open(run->o->sink_url, &so, &sk, e);
    if (r < 0)
        return r;
    r = flow_load(run->st, run->en, sk, run->o->models_dir, ret, e);
    sink_free(sk);
    return r;
}

int flow_run_load(struct storage *st, struct engine *en, const struct run_options *o,
                  struct load_result *ret, struct err *e) {
    struct run run = {.st = st, .en = en, .o = o};
    struct retry again = retry_start(o->sink_timeout_ms);
    int r;
    do
        r = try_load(&run, ret, e);
    while (r < 0 && retry_pause(&again, &r, e));
    return r;
}

static int step_silver(struct run *run, struct err *e) {
    return flow_silver(run->st, run->en, &run->o->silver, &run->res->silver, e);
}

static int step_gold(struct run *run, struct err *e) {
    const struct gold_options o = {run->o->models_dir, run->o->checkpoint_interval};
    return flow_gold(run->st, run->en, &o, &run->res->gold, e);
}

static int step_load(struct run *run, struct err *e) {
    return flow_run_load(run->st, run->en, run->o, &run->res->load, e);
}

static const struct {
    int (*run)(struct run *run, struct err *e);
    bool retries_itself;
} steps[RUN_STEPS] = {{step_silver, false}, {step_gold, false}, {step_load, true}};

const char *const run_step_names[RUN_STEPS] = {"silver", "gold", "load"};

static int run_step(struct run *run, size_t i, struct err *e) {
    int64_t pause = run->o->retry_delay_ms;
    for (int64_t left = run->o->retries;; left--, pause = MIN(2 * pause, 3600000)) {
        int r = steps[i].run(run, e);
        if (r == 0 || steps[i].retries_itself || !e->retry || left <= 0 || stop_requested())
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

/* Others of the step's tables are done: the next step has something to do. */
static bool failed_alone(const struct run_result *res, size_t step) {
    return (step == RUN_GOLD && res->gold.failed > 0) || (step == RUN_LOAD && res->load.failed > 0);
}

/* false: the run ends here. */
static bool take_step(struct run *run, size_t i, struct step_failures *failures) {
    static const char *const points[RUN_STEPS] = {"run.after_silver", "run.after_gold",
                                                  "run.after_load"};
    struct err e = {0};
    int64_t start = clock_mono_ns();
    int r = run->res->codes[i] = run_step(run, i, &e);
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
    struct run_result res = {.codes = {RUN_NOT_REACHED, RUN_NOT_REACHED, RUN_NOT_REACHED},
                             .silver = {.bronze_version = -1},
                             .gold = {.silver_version = -1},
                             .load = {.gold_version = -1}};
    struct run run = {st, en, o, &res};
    int64_t start = clock_mono_ns();
    struct step_failures failures = {0};
    int64_t failed;
    res.complete = true;
    for (size_t i = 0; res.complete && i < ARRAY_LEN(steps); i++)
        res.complete = take_step(&run, i, &failures);
    res.seconds = (double)(clock_mono_ns() - start) / 1e9;
    if (res.complete && o->upkeep && !stop_requested())
        keep_up(&run);
    *ret = res;
    return step_failures_end(&failures, &failed, e);
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
    const char *slash = strrchr(path, '/');
    if (slash) {
        char *dir = xstrndup(path, (size_t)(slash - path));
        mkdir(dir, 0777); /* a failure shows at open */
        free(dir);
    }
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_sys(e, ERR_STORAGE, errno, "cannot open the history '%s'", path);
    struct buf line = BUF_INIT(64 * 1024);
    put_line(&line, started_us, r, code, why);
    int bad = write(fd, line.data, line.len) == (ssize_t)line.len
                  ? 0
                  : err_sys(e, ERR_STORAGE, errno, "cannot write the history '%s'", path);
    buf_release(&line);
    close(fd);
    return bad;
}
