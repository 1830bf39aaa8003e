/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Silver over an engine whose memory holds so many new rows and no more: it takes fewer commits of bronze
 * at a time, and where one alone is too many it ends with the engine's error; it never tries for ever.
 */
#include "flow/silver.h"
#include "flow/upkeep.h"
#include "flow/world.h"

struct narrow {
    struct engine base;
    struct engine_ops ops;
    struct engine *en;
    int64_t most; /* rows */
    int runs;
};

static int narrow_run(struct engine *en, struct storage *st, const struct engine_job *job,
                      struct engine_result *ret, struct err *e) {
    struct narrow *n = (struct narrow *)en;
    int64_t rows = 0;
    for (size_t i = 0; i < job->inputs[0].files->n; i++)
        rows += job->inputs[0].files->v[i].rows;
    assert_true(++n->runs < 100);
    if (rows <= n->most)
        return engine_run(n->en, st, job, ret, e);
    err_set(e, ERR_ENGINE, "silver: %lld rows are too many", (long long)rows);
    e->too_much = true;
    return e->code;
}

/* A commit of bronze for each number of rows, 40 at most; 0: its small files are joined. */
static void commits(struct world *w, const int *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (rows[i] == 0) {
            world_upkeep(
                w, NULL,
                &(struct upkeep_options){.optimize_files = 2, .optimize_target_bytes = 100 * MIB});
            continue;
        }
        world_fill(w, 0, rows[i]);
        run_once(w, "t", false, NULL);
    }
}

static int narrow_silver(struct world *w, int64_t most, struct silver_result *res, struct err *e) {
    struct narrow n = {.ops = *w->en->ops, .en = w->en, .most = most};
    n.ops.run = narrow_run;
    n.base.ops = &n.ops;
    return flow_silver(w->st, &n.base, &(struct silver_options){.batch_rows = 1000}, res, e);
}

/* `before`: commits that silver has taken already. `done`: of the rows after them, those it takes. */
struct story {
    const char *name;
    int rows[8];
    size_t before, n;
    int64_t most, done;
    bool fails;
};

static void check(const struct story *s) {
    struct world w = world_new(1);
    commits(&w, s->rows, s->before);
    if (s->before)
        world_silver(&w, 1000);
    commits(&w, s->rows + s->before, s->n - s->before);
    struct silver_result res;
    struct err e;
    int r = narrow_silver(&w, s->most, &res, &e);
    if (s->fails != (r < 0) || res.events != s->done)
        fail_msg("%s: code %d, %lld events", s->name, r, (long long)res.events);
    if (s->fails)
        assert_non_null(strstr(e.msg, "rows are too many"));
    world_silver(&w, 1000); /* all of it, with an engine that holds it */
    assert_int_equal(world_count(&w, "SELECT count(*) FROM silver.events"),
                     world_count(&w, "SELECT count(*) FROM bronze.events"));
    world_free(&w);
}

static void less_at_a_time(void **state ATTR_UNUSED) {
    static const struct story stories[] = {
        {"all fits", {40, 40, 40}, 0, 3, 120, 120, false},
        {"equal ones", {20, 20, 20, 20, 20, 20}, 0, 6, 50, 120, false},
        {"one at a time", {20, 20, 20, 20}, 0, 4, 20, 80, false},
        {"a small one before a large one", {3, 40}, 0, 2, 40, 43, false},
        {"a large one before small ones", {40, 3, 3, 3}, 0, 4, 40, 49, false},
        {"a large one that is too large", {3, 40, 3}, 0, 3, 39, 3, true},
        {"one alone", {40}, 0, 1, 39, 0, true},
        {"one without rows before it", {20, 20, 0, 40}, 2, 4, 40, 40, false},
        {"one without rows before one that is too large", {20, 20, 0, 40}, 2, 4, 39, 0, true},
        {"what cannot be told apart by commit", {20, 20, 0}, 0, 3, 39, 0, true},
        {"the same, and it fits", {20, 20, 0}, 0, 3, 40, 40, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(stories); i++)
        check(&stories[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(less_at_a_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
