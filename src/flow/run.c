/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/run.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/util.h"
#include "flow/retry.h"

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
    r = flow_load(run->st, run->en, sk, ret, e);
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
    while (r < 0 && retry_pause(&again, e));
    return r;
}

static int step_silver(struct run *run, struct err *e) {
    return flow_silver(run->st, run->en, run->o->silver_batch_rows, run->o->checkpoint_interval,
                       &run->res->silver, e);
}

static int step_gold(struct run *run, struct err *e) {
    return flow_gold(run->st, run->en, run->o->checkpoint_interval, &run->res->gold, e);
}

static int step_load(struct run *run, struct err *e) {
    return flow_run_load(run->st, run->en, run->o, &run->res->load, e);
}

static const struct {
    const char *name;
    int (*run)(struct run *run, struct err *e);
    bool retries_itself;
} steps[] = {{"silver", step_silver, false}, {"gold", step_gold, false}, {"load", step_load, true}};

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

int flow_run(struct storage *st, struct engine *en, const struct run_options *o,
             struct run_result *ret, struct err *e) {
    struct run_result res = {0};
    struct run run = {st, en, o, &res};
    int64_t start = clock_mono_ns();
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(steps); i++) {
        int64_t step_ns = clock_mono_ns();
        r = run_step(&run, i, e);
        if (o->on_step)
            o->on_step(o->arg, steps[i].name, r, (double)(clock_mono_ns() - step_ns) / 1e9);
        if (r < 0)
            res.failed_step = steps[i].name;
        else
            crash_point(i == 0 ? "run.after_silver" : i == 1 ? "run.after_gold" : "run.after_load");
    }
    res.seconds = (double)(clock_mono_ns() - start) / 1e9;
    if (r == 0 && o->upkeep && !stop_requested())
        keep_up(&run);
    *ret = res;
    return r;
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
    json_obj_end(o);
    json_obj(o, "load");
    json_put_int(o, "dates", r->load.dates);
    json_put_int(o, "upserted", r->load.upserted);
    json_put_int(o, "deleted", r->load.deleted);
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
        json_put(&o, "failed_step", r->failed_step);
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
