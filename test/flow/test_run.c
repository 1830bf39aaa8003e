/* SPDX-License-Identifier: Apache-2.0 */
/* A run as a whole: what it says of steps that it did not reach, failures of one table, and a stop. */
#include "flow/run.h"

#include "base/util.h"
#include "flow/step.h"
#include "flow/world.h"
#include "storage/helper.h"

#define WRONG_MODEL                                                                                \
    "-- Name: mine\n-- Description: Mine.\n-- Inputs: silver_events\n-- Partition: event_date\n"   \
    "-- Grain: event_date\nSELECT no_such FROM silver_events\n"

struct running {
    struct world w;
    struct run_options o;
    struct run_result res;
    struct err e;
    char *sink_url, *models;
    const char *stop_after; /* a step */
};

static void on_step(void *arg, const char *step, int code ATTR_UNUSED, double seconds ATTR_UNUSED) {
    const struct running *r = arg;
    if (r->stop_after && strcmp(step, r->stop_after) == 0)
        stop_request();
}

static void running_init(struct running *r) {
    *r = (struct running){.w = world_new(1)};
    r->sink_url = xasprintf("sqlite:%s/sink.db", r->w.folder);
    r->models = xasprintf("%s/mine.sql", r->w.folder);
    r->o = (struct run_options){.silver = {.batch_rows = 1000},
                                .sink_url = r->sink_url,
                                .sink_timeout_ms = 1000,
                                .on_step = on_step,
                                .arg = r};
    world_fill(&r->w, 0, 3);
    run_once(&r->w, "t", false, NULL);
}

/* A model that fails alone, in the world's folder. */
static void put_wrong_model(struct running *r) {
    FILE *f = fopen(r->models, "w");
    assert_non_null(f);
    fputs(WRONG_MODEL, f);
    fclose(f);
    r->o.models_dir = r->w.folder;
}

static int go(struct running *r) {
    run_result_release(&r->res);
    memset(&r->res, 0, sizeof r->res);
    return flow_run(r->w.st, r->w.en, &r->o, &r->res, &r->e);
}

static void running_release(struct running *r) {
    stop_reset();
    run_result_release(&r->res);
    free(r->sink_url);
    free(r->models);
    world_free(&r->w);
}

static void a_step_not_reached_has_no_versions(void **state ATTR_UNUSED) {
    struct running r;
    running_init(&r);
    assert_ok(go(&r), &r.e);
    assert_int_equal(r.res.load.gold_version, 0);
    struct storage *sound = r.w.st;
    r.w.st = storage_fault_new(sound, false);
    storage_fault_arm(r.w.st, &(struct fault){.effect = FAULT_FAIL, .at = 1, .times = 1000});
    assert_int_equal(go(&r), ERR_STORAGE);
    storage_free(r.w.st);
    r.w.st = sound;
    assert_int_equal(r.res.codes[RUN_SILVER], ERR_STORAGE);
    assert_int_equal(r.res.codes[RUN_GOLD], RUN_NOT_REACHED);
    assert_int_equal(r.res.codes[RUN_LOAD], RUN_NOT_REACHED);
    assert_int_equal(r.res.gold.silver_version, -1);
    assert_int_equal(r.res.load.gold_version, -1);
    running_release(&r);
}

static void a_version_that_is_not_loaded_is_not_told(void **state ATTR_UNUSED) {
    struct running r;
    running_init(&r);
    r.o.sink_url = "sqlite:/dev/null/sink.db";
    assert_true(go(&r) < 0);
    assert_true(r.res.codes[RUN_GOLD] == 0 && r.res.codes[RUN_LOAD] < 0);
    assert_int_equal(r.res.load.gold_version, -1);
    struct sink *sk = world_sink(&r.w);
    struct load_result l;
    mem_db_fail(r.w.db, 2, true);
    assert_true(flow_load(r.w.st, r.w.en, sk, &(struct load_options){0}, &l, &r.e) < 0);
    assert_int_equal(l.gold_version, -1);
    assert_ok(flow_load(r.w.st, r.w.en, sk, &(struct load_options){0}, &l, &r.e), &r.e);
    assert_int_equal(l.gold_version, 0);
    sink_free(sk);
    running_release(&r);
}

static void what_was_not_checked_is_not_loaded(void **state ATTR_UNUSED) {
    struct running r;
    struct check_seen seen = {(char *)(uintptr_t) "gold.clickstream_metrics", 0};
    const struct check_result checked = {.seen = &seen, .n_seen = 1};
    const struct load_options o = {.checked = &checked};
    struct load_result l;
    running_init(&r);
    r.o.sink_url = "sqlite:/dev/null/sink.db";
    assert_true(go(&r) < 0);
    struct sink *sk = world_sink(&r.w);
    seen.version = 1; /* it was another table then */
    assert_ok(flow_load(r.w.st, r.w.en, sk, &o, &l, &r.e), &r.e);
    assert_int_equal(l.loads, 0);
    assert_int_equal(l.gold_version, -1);
    seen.version = 0;
    assert_ok(flow_load(r.w.st, r.w.en, sk, &o, &l, &r.e), &r.e);
    assert_int_equal(l.loads, 1);
    assert_int_equal(l.gold_version, 0);
    sink_free(sk);
    running_release(&r);
}

static const struct check_outcome *outcome(const struct running *r, const char *name) {
    for (size_t i = 0; i < r->res.check.n; i++)
        if (strcmp(r->res.check.v[i].name, name) == 0)
            return &r->res.check.v[i];
    return NULL;
}

static void put_rule(struct running *r, const char *select) {
    _cleanup_(freep) char *text =
        xasprintf("-- Name: mine\n-- Description: Mine.\n-- Severity: block\n%s\n", select);
    FILE *f = fopen(r->models, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    r->o.check.settings.dir = r->w.folder;
}

static void a_block_keeps_load_from_being_reached(void **state ATTR_UNUSED) {
    struct running r;
    running_init(&r);
    put_rule(&r, "SELECT event_key FROM silver.events ORDER BY 1");
    assert_int_equal(go(&r), ERR_CHECK);
    assert_true(r.res.complete && !r.e.retry);
    assert_int_equal(r.res.codes[RUN_CHECK], ERR_CHECK);
    assert_int_equal(r.res.codes[RUN_LOAD], RUN_NOT_REACHED);
    assert_int_equal(r.res.check.blocking, 1);
    assert_int_equal(outcome(&r, "mine")->rows, 3);
    assert_int_equal(outcome(&r, "freshness")->state, CHECK_PASSED);
    put_rule(&r, "SELECT 1 WHERE false");
    assert_ok(go(&r), &r.e);
    assert_int_equal(r.res.load.gold_version, 0);
    assert_int_equal(outcome(&r, "mine")->state, CHECK_PASSED);
    running_release(&r);
}

static void a_block_counts_more_than_a_wrong_model(void **state ATTR_UNUSED) {
    struct running r;
    running_init(&r);
    put_rule(&r, "SELECT 1 AS one"); /* as a model the file is wrong */
    r.o.models_dir = r.w.folder;
    assert_int_equal(go(&r), ERR_CHECK);
    assert_int_equal(r.e.code, ERR_CHECK);
    assert_int_equal(r.res.codes[RUN_GOLD], ERR_ENGINE);
    assert_non_null(strstr(r.e.msg, "the header does not say its Inputs"));
    assert_non_null(strstr(r.e.msg, "the rule 'mine' blocks the load: it finds 1 rows: one 1"));
    running_release(&r);
}

static void a_stop_is_one_whatever_failed_alone_before(void **state ATTR_UNUSED) {
    struct running r;
    running_init(&r);
    put_wrong_model(&r);
    assert_int_equal(go(&r), ERR_ENGINE);
    assert_true(r.res.complete);
    r.stop_after = "gold";
    assert_int_equal(go(&r), ERR_STOPPED);
    assert_int_equal(r.e.code, ERR_STOPPED);
    assert_false(r.e.retry || r.res.complete);
    assert_int_equal(r.res.codes[RUN_GOLD], ERR_ENGINE);
    assert_int_equal(r.res.codes[RUN_CHECK], ERR_STOPPED);
    assert_int_equal(r.res.codes[RUN_LOAD], RUN_NOT_REACHED);
    assert_non_null(strstr(r.e.msg, "mine.sql"));
    assert_non_null(strstr(r.e.msg, "; check: stopped by a signal"));
    stop_reset();
    r.stop_after = "check";
    assert_int_equal(go(&r), ERR_STOPPED);
    assert_int_equal(r.res.codes[RUN_CHECK], 0);
    assert_int_equal(r.res.codes[RUN_LOAD], ERR_STOPPED);
    running_release(&r);
}

static void a_stop_among_failures_is_not_tried_again(void **state ATTR_UNUSED) {
    struct step_failures f = {0};
    struct err e = {0}, stop = {0}, passing = {0};
    int64_t n;
    err_set(&passing, ERR_SINK, "load: refused");
    err_retry(&passing);
    err_set(&stop, ERR_STOPPED, "load: stopped");
    step_also(&f, &passing);
    step_also(&f, &stop);
    assert_int_equal(step_failures_end(&f, &n, &e), ERR_STOPPED);
    assert_false(e.retry);
    assert_int_equal(n, 2);
    assert_string_equal(e.msg, "load: refused; load: stopped");
    step_also(&f, &passing);
    assert_int_equal(step_failures_end(&f, &n, &e), ERR_STOPPED);
    assert_false(e.retry);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_not_reached_has_no_versions),
        cmocka_unit_test(a_version_that_is_not_loaded_is_not_told),
        cmocka_unit_test(what_was_not_checked_is_not_loaded),
        cmocka_unit_test(a_block_keeps_load_from_being_reached),
        cmocka_unit_test(a_block_counts_more_than_a_wrong_model),
        cmocka_unit_test(a_stop_is_one_whatever_failed_alone_before),
        cmocka_unit_test(a_stop_among_failures_is_not_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
