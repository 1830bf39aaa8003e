/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table in a real S3 store, behind a wire that spoils one request. Whatever is asked is done once:
 * no commit is lost, none is there twice, whether its own answer got lost or a look at the log broke off.
 */
#include "base/log.h"
#include "fake/tcp_fault.h"
#include "storage/s3_helper.h"
#include "table/helper.h"

enum { COMMITS = 3, PATIENCE_MS = 5000 };

static struct s3_server server;
static struct tcp_fault *wire;

/* Files and the commits that name them, as ingest does it: each moves the position by one. */
static void work(struct storage *st) {
    struct table *tb = open_table(st);
    struct err e;
    for (int i = 0; i < COMMITS; i++) {
        _cleanup_(freep) char *file = xasprintf("part-%d", i);
        _cleanup_(freep) char *path = xasprintf("gold/clickstream_metrics/%s", file);
        publish_text(st, path, file);
        struct change *ch = change_new();
        change_add(ch, file, NULL);
        change_txn(ch, "app", i ? i : -1, i + 1);
        assert_ok(change_commit(ch, tb, &e), &e);
        change_free(ch);
    }
    assert_state(tb, "v2 part-0@NULL part-1@NULL part-2@NULL | app=3");
    table_close(tb);
}

/* As somebody else sees it, straight from the server. */
static void assert_done_once(const struct s3_lake *l) {
    struct s3_lake direct = *l;
    direct.endpoint = server.url;
    struct storage *st = s3_lake_open(&direct, PATIENCE_MS);
    struct table *tb = open_table(st);
    assert_state(tb, "v2 part-0@NULL part-1@NULL part-2@NULL | app=3");
    table_close(tb);
    char *names = names_in(st, TEST_LOG, NULL);
    assert_string_equal(names, "00000000000000000000.json 00000000000000000001.json "
                               "00000000000000000002.json");
    free(names);
    for (int i = 0; i < COMMITS; i++) {
        _cleanup_(freep) char *file = xasprintf("part-%d", i);
        _cleanup_(freep) char *path = xasprintf("gold/clickstream_metrics/%s", file);
        char *text = get_text(st, path);
        assert_string_equal(text, file);
        free(text);
    }
    storage_free(st);
}

/* One run with the at-th request spoilt; returns how many requests there were. */
static int run_with(enum tcp_effect effect, int at) {
    _cleanup_(freep) char *endpoint = xasprintf("http://127.0.0.1:%d", tcp_fault_port(wire));
    struct s3_lake *l = s3_lake_new(endpoint, server.bucket);
    struct storage *st = s3_lake_open(l, PATIENCE_MS);
    tcp_fault_arm(wire, effect, at);
    work(st);
    int requests = tcp_fault_requests(wire);
    tcp_fault_arm(wire, TCP_NONE, 0);
    storage_free(st);
    assert_done_once(l);
    s3_lake_free(l);
    return requests;
}

static void each_request_spoilt(enum tcp_effect effect) {
    int requests = run_with(TCP_NONE, 0);
    assert_true(requests > 3 * COMMITS);
    for (int at = 1; at <= requests; at++)
        assert_true(run_with(effect, at) >= at); /* it was spoilt, so it came */
}

static void a_request_that_never_arrives_is_sent_again(void **state ATTR_UNUSED) {
    each_request_spoilt(TCP_RESET);
}

static void a_lost_answer_is_found_out(void **state ATTR_UNUSED) {
    each_request_spoilt(TCP_LOST_ANSWER);
}

static void an_answer_cut_short_is_no_answer(void **state ATTR_UNUSED) {
    each_request_spoilt(TCP_CUT_ANSWER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_never_arrives_is_sent_again),
        cmocka_unit_test(a_lost_answer_is_found_out),
        cmocka_unit_test(an_answer_cut_short_is_no_answer),
    };
    setenv("NO_PROXY", "127.0.0.1", 1);
    log_setup(LOG_ERROR, false); /* tries are logged */
    s3_server_new(&server);
    wire = tcp_fault_new(atoi(strrchr(server.url, ':') + 1));
    int failed = cmocka_run_group_tests_name("table/s3", tests, NULL, NULL);
    tcp_fault_free(wire);
    s3_server_free(&server);
    return failed;
}
