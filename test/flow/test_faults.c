/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole flow over a storage that spoils its Nth call, for every N: fails, is cut short, loses
 * the answer, is late, or kills the program. Whatever happens, the error is a sentence, and the same
 * steps run again with a sound storage lose nothing and double nothing.
 */
#include <limits.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine/engine.h"
#include "fake/sanitized.h"
#include "fake/sink_mem.h"
#include "fake/storage_fault.h"
#include "fake/stream_mem.h"
#include "flow/gold.h"
#include "flow/ingest.h"
#include "flow/load.h"
#include "flow/reconcile.h"
#include "flow/silver.h"
#include "flow/status.h"
#include "stream/helper.h"

enum { EVENTS = 60, REPEATS = 10, BAD = 5 };

struct world {
    char *folder, *temp;
    struct mem_cluster *mc;
    struct stream *s;   /* writes; each ingest opens its own */
    struct storage *st; /* the local driver, spoiled as armed */
    struct mem_db *db;
    unsigned calls_before[2]; /* of the storage, before gold and before load */
    struct err e;
};

static const struct stream_options stream_opts = {.topic = "clicks", .app = "t", .partitions = 2};

static void send(struct world *w, const char *text) {
    assert_ok(stream_send(w->s, NULL, 0, text, strlen(text), NULL, &w->e), &w->e);
}

/* Two days of arrival, two days of events, repeats and rejects; and some that were gone before we came. */
static void fill_stream(struct world *w) {
    const int64_t noon = 1771286400LL * US_PER_SECOND;
    mem_cluster_set_time(w->mc, noon);
    for (int i = 0; i < 3; i++)
        send(w, "gone");
    assert_ok(stream_flush(w->s, &w->e), &w->e);
    mem_topic_forget(w->mc, "clicks", 0, 3);
    for (int day = 0; day < 2; day++) {
        mem_cluster_set_time(w->mc, noon + day * US_PER_DAY);
        for (int i = 0; i < EVENTS / 2 + REPEATS / 2; i++) {
            char text[200];
            int id = day * EVENTS / 2 + i % (EVENTS / 2);
            snprintf(text, sizeof text,
                     "{\"event_id\":\"e%d\",\"product_id\":%d,\"category\":\"c%d\",\"price\":1.25,"
                     "\"event_ts\":%lld}",
                     id, id, id % 3, (long long)(1771286400LL - id % 2 * 86400));
            send(w, text);
        }
        for (int i = 0; i < BAD; i++)
            send(w, "{\"product_id\":true}");
        assert_ok(stream_flush(w->s, &w->e), &w->e);
    }
}

static struct world world_new(void) {
    struct world w = {.folder = temp_folder(), .mc = mem_cluster_new(), .db = mem_db_new()};
    w.temp = xasprintf("%s/tmp", w.folder);
    char *url = xasprintf("file:%s/lake", w.folder);
    struct storage *local;
    assert_ok(storage_open(url, NULL, &local, &w.e), &w.e);
    w.st = storage_fault_new(local, true);
    assert_ok(stream_mem_open(w.mc, &stream_opts, &w.s, &w.e), &w.e);
    fill_stream(&w);
    free(url);
    return w;
}

static void world_free(struct world *w) {
    storage_free(w->st);
    stream_free(w->s);
    mem_cluster_free(w->mc);
    mem_db_free(w->db);
    remove_folder(w->folder);
    free(w->temp);
}

static int run_ingest(struct world *w, struct err *e) {
    struct ingest_options o = {.app = "t",
                               .threads = 2,
                               .batch_rows = 40,
                               .batch_bytes = MIB,
                               .batch_age_ms = 1000,
                               .zstd_level = 1,
                               .once = true,
                               .timeout_ms = 2000};
    struct stream *s;
    int r = stream_mem_open(w->mc, &stream_opts, &s, e);
    struct ingest_result res;
    if (r == 0)
        r = flow_ingest(s, w->st, &o, &res, e);
    stream_free(s);
    return r;
}

static int run_steps(struct world *w, struct engine *en, struct err *e) {
    struct silver_result silver;
    struct gold_result gold;
    struct load_result load;
    struct sink *sk;
    int r = run_ingest(w, e);
    if (r == 0)
        r = flow_silver(w->st, en, &(struct silver_options){.batch_rows = 50}, &silver, e);
    w->calls_before[0] = storage_fault_calls(w->st);
    if (r == 0)
        r = flow_gold(w->st, en, &(struct gold_options){0}, &gold, e);
    if (r < 0)
        return r;
    w->calls_before[1] = storage_fault_calls(w->st);
    assert_ok(sink_mem_open(w->db, &(struct sink_options){.timeout_ms = 1000}, &sk, e), e);
    r = flow_load(w->st, en, sk, &(struct load_options){0}, &load, e);
    sink_free(sk);
    return r;
}

static struct engine *engine_new(const struct world *w) {
    struct engine *en;
    struct err e = {0};
    struct engine_options o = {.threads = 1, .memory_bytes = 256 * MIB, .temp_dir = w->temp};
    assert_ok(engine_open("duckdb", &o, &en, &e), &e);
    return en;
}

/* Everything there is, once: the rows of each layer, and the sink shows the newest. */
static void assert_rows(struct world *w) {
    struct status status = {0};
    struct sink *sk;
    const struct status_options o = {.app = "t"};
    assert_ok(sink_mem_open(w->db, &(struct sink_options){.timeout_ms = 1000}, &sk, &w->e), &w->e);
    assert_ok(flow_status(w->s, w->st, sk, &o, &status, &w->e), &w->e);
    assert_int_equal(status.lag.offsets, 0);
    assert_int_equal(status.layers[0].rows, EVENTS + REPEATS + 2 * BAD);
    assert_int_equal(status.layers[1].rows, EVENTS);
    static const int64_t gold[] = {6, 6, 3, EVENTS, 2};
    assert_int_equal(status.n_layers, 2 + ARRAY_LEN(gold));
    for (size_t i = 0; i < ARRAY_LEN(gold); i++) {
        assert_int_equal(status.layers[2 + i].rows, gold[i]);
        assert_int_equal(status.layers[2 + i].behind, 0);
    }
    assert_true(status.sink_is_current);
    status_release(&status);
    sink_free(sk);
}

/* And every row is the right one, all the way to the sink. */
static void assert_whole(struct world *w, struct engine *en) {
    struct reconcile_result rec = {0};
    struct sink *sk;
    assert_rows(w);
    assert_ok(sink_mem_open(w->db, &(struct sink_options){.timeout_ms = 1000}, &sk, &w->e), &w->e);
    assert_ok(flow_reconcile(w->st, en, sk, NULL, &rec, &w->e), &w->e);
    for (size_t i = 0; i < rec.n; i++)
        if (!rec.v[i].ok)
            print_error("%s: %s\n", rec.v[i].name, rec.v[i].detail);
    assert_true(rec.ok);
    assert_int_equal(rec.pending_bronze + rec.pending_dates, 0);
    reconcile_result_release(&rec);
    sink_free(sk);
}

/* The storage calls of an undisturbed run, in their order. */
struct calls {
    unsigned gold, load, n; /* how many come before gold's first table, before load, at all */
};

/* What gold does before its tables. */
static unsigned calls_to_open_silver(struct world *w) {
    struct table *tb;
    storage_fault_arm(w->st, &(struct fault){.effect = FAULT_NONE});
    assert_ok(table_open(w->st, &silver_events, &tb, &w->e), &w->e);
    table_close(tb);
    return storage_fault_calls(w->st);
}

static struct calls count_calls(void) {
    struct world w = world_new();
    struct engine *en = engine_new(&w);
    storage_fault_arm(w.st, &(struct fault){.effect = FAULT_NONE});
    assert_ok(run_steps(&w, en, &w.e), &w.e);
    struct calls c = {w.calls_before[0], w.calls_before[1], storage_fault_calls(w.st)};
    c.gold += calls_to_open_silver(&w);
    assert_whole(&w, en);
    engine_free(en);
    world_free(&w);
    assert_true(c.gold > 20 && c.load > c.gold + 20 && c.n > c.load + 5);
    assert_int_equal((c.load - c.gold) % 5, 0); /* the same for each table */
    assert_int_equal((c.n - c.load) % 5, 0);
    return c;
}

/*
 * The next call to spoil. Gold and load do the same for each of five tables, one after the other:
 * the contract's (0), or one that takes its columns from the model (1), stands for all. The sanitized
 * program takes every fifth call: it is ten times as slow, and the other has taken them all.
 */
static unsigned next_call(const struct calls *c, unsigned at, unsigned table) {
    unsigned gold = (c->load - c->gold) / 5, load = (c->n - c->load) / 5;
    at += SANITIZED ? 5 : 1;
    if (at > c->gold && at <= c->gold + table * gold)
        return c->gold + table * gold + 1;
    if (at > c->gold + (table + 1) * gold && at <= c->load + table * load)
        return c->load + table * load + 1;
    return at > c->load + (table + 1) * load ? UINT_MAX : at;
}

static void spoil_every_call(enum fault_effect effect, bool retry, unsigned table) {
    struct calls calls = count_calls();
    unsigned n = 0, failed = 0;
    struct world first = world_new();
    struct engine *en = engine_new(&first);
    for (unsigned at = 1; at < UINT_MAX; at = next_call(&calls, at, table), n++) {
        struct world w = world_new();
        struct err e = {0};
        storage_fault_arm(
            w.st, &(struct fault){.effect = effect, .at = at, .retry = retry, .delay_ms = 5});
        int r = run_steps(&w, en, &e);
        storage_fault_arm(w.st, NULL);
        if (r < 0) {
            failed++;
            assert_int_equal(r, ERR_STORAGE);
            assert_true(strlen(e.msg) > 10);
        }
        assert_ok(run_steps(&w, en, &w.e), &w.e);
        if ((effect == FAULT_FAIL && !retry) || n % 3 == 0) /* it takes as long as the rest */
            assert_whole(&w, en);
        assert_rows(&w);
        world_free(&w);
    }
    if (effect == FAULT_DELAY)
        assert_int_equal(failed, 0);
    if (effect == FAULT_FAIL && !retry)
        assert_true(failed > n / 2);
    engine_free(en);
    world_free(&first);
}

static void a_failing_call_loses_nothing(void **state ATTR_UNUSED) {
    spoil_every_call(FAULT_FAIL, false, 0);
}

static void a_call_that_fails_once_is_tried_again_or_loses_nothing(void **state ATTR_UNUSED) {
    spoil_every_call(FAULT_FAIL, true, 1);
}

static void a_call_cut_short_loses_nothing(void **state ATTR_UNUSED) {
    spoil_every_call(FAULT_CUT, false, 1);
}

static void a_lost_answer_doubles_nothing(void **state ATTR_UNUSED) {
    spoil_every_call(FAULT_LOST_ANSWER, false, 1);
}

static void a_late_call_changes_nothing(void **state ATTR_UNUSED) {
    spoil_every_call(FAULT_DELAY, false, 0);
}

/* Killed before call N + 1 is killed after call N. */
static void killed_at_any_call_loses_and_doubles_nothing(void **state ATTR_UNUSED) {
    struct calls calls = count_calls();
    unsigned n = 0, killed = 0;
    for (unsigned at = 1; at < UINT_MAX; at = next_call(&calls, at, 1), n++) {
        struct world w = world_new();
        pid_t pid = fork();
        if (pid == 0) {
            struct engine *en = engine_new(&w);
            storage_fault_arm(w.st, &(struct fault){.effect = FAULT_KILL, .at = at});
            _exit(run_steps(&w, en, &w.e) == 0 ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        struct engine *en = engine_new(&w);
        assert_ok(run_steps(&w, en, &w.e), &w.e);
        if (n % 2 == 0)
            assert_whole(&w, en);
        assert_rows(&w);
        engine_free(en);
        world_free(&w);
    }
    assert_true(killed >= n - 2); /* the last calls may not come, depending on the threads */
}

int main(void) {
    log_setup(LOG_ERROR, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failing_call_loses_nothing),
        cmocka_unit_test(a_call_that_fails_once_is_tried_again_or_loses_nothing),
        cmocka_unit_test(a_call_cut_short_loses_nothing),
        cmocka_unit_test(a_lost_answer_doubles_nothing),
        cmocka_unit_test(a_late_call_changes_nothing),
        cmocka_unit_test(killed_at_any_call_loses_and_doubles_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
