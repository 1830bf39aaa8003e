/* SPDX-License-Identifier: Apache-2.0 */
/* The stream contract on every driver, and opening by URL. */
#include "base/limits.h"
#include "fake/stream_mem.h"
#include "stream/conformance.h"
#include "stream/helper.h"

static void *mem_new(void) {
    return mem_cluster_new();
}

static int mem_open(void *cluster, const struct stream_options *o, struct stream **ret,
                    struct err *e) {
    return stream_mem_open(cluster, o, ret, e);
}

static void mem_free(void *cluster) {
    mem_cluster_free(cluster);
}

static void *local_new(void) {
    return temp_folder();
}

static int local_open_in(void *cluster, const struct stream_options *o, struct stream **ret,
                         struct err *e) {
    _cleanup_(freep) char *url = xasprintf("local:%s/deep/stream", (char *)cluster);
    return stream_open(url, o, ret, e);
}

static void local_free(void *cluster) {
    remove_folder(cluster);
}

static void wrong_urls_and_topics_are_config_errors(void **state ATTR_UNUSED) {
    static const struct {
        const char *url, *topic;
    } cases[] = {{"nothing:x", "t"}, {"", "t"},       {"local", "t"},    {"local:", "t"},
                 {"/tmp/x", "t"},    {"local:x", ""}, {"local:x", ".."}, {"local:x", "a/b"},
                 {"local:x", "."},   {"local:x", "ä"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stream_options o = {.topic = cases[i].topic};
        struct stream *s;
        struct err e;
        assert_int_equal(stream_open(cases[i].url, &o, &s, &e), ERR_CONFIG);
        assert_true(e.msg[0] && e.hint[0]);
    }
}

static void a_fake_that_is_told_to_fail_fails(void **state ATTR_UNUSED) {
    struct mem_cluster *mc = mem_cluster_new();
    struct ack_log acks = {0};
    struct stream_options o = {
        .topic = "t", .partitions = 1, .on_ack = ack_log_add, .ack_arg = &acks};
    struct stream *s;
    struct err e;
    assert_ok(stream_mem_open(mc, &o, &s, &e), &e);
    mem_cluster_fail_next(mc, 1);
    send_text(s, NULL, "lost");
    send_text(s, NULL, "kept");
    assert_int_equal(stream_flush(s, &e), ERR_STREAM);
    flush_all(s);
    assert_int_equal(acks.n, 2);
    assert_int_equal(acks.failed, 1);
    struct span *sp = span_new(MIB);
    read_topic(s, sp);
    assert_int_equal(sp->n, 1);
    assert_true(record_is(&sp->v[0], "kept"));
    span_free(sp);
    stream_free(s);
    mem_cluster_free(mc);
    ack_log_release(&acks);
}

int main(void) {
    static const struct stream_driver mem = {"mem", mem_new, mem_open, mem_free, false};
    static const struct stream_driver local = {"local", local_new, local_open_in, local_free,
                                               false};
    const struct CMUnitTest own[] = {
        cmocka_unit_test(wrong_urls_and_topics_are_config_errors),
        cmocka_unit_test(a_fake_that_is_told_to_fail_fails),
    };
    int failed = stream_conformance(&mem);
    failed += stream_conformance(&local);
    failed += cmocka_run_group_tests_name("stream", own, NULL, NULL);
    return failed;
}
