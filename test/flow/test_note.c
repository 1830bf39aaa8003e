/* SPDX-License-Identifier: Apache-2.0 */
/* Reading back what bronze commits note of the stream, and what others may have written there. */
#include "flow/note.h"
#include "stream/helper.h"

static void app_ids_are_taken_apart_from_the_end(void **state ATTR_UNUSED) {
    static const struct {
        const char *app_id, *app, *cluster, *topic;
        int32_t partition;
    } cases[] = {{"clickmill/c-1/clicks/0", "clickmill", "c-1", "clicks", 0},
                 {"a/b/c/t/2147483647", "a/b", "c", "t", INT32_MAX},
                 {"a//c/t/7", "a/", "c", "t", 7}};
    static const char *const others[] = {"silver/8c0e",      "gold/x/y", "a/c/t/",   "a/c/t/x",
                                         "a/c/t/-1",         "/c/t/1",   "a//t/1",   "a/c//1",
                                         "a/c/t/2147483648", "",         "a/c/t/1 ", "////0"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct source_parts s;
        assert_true(source_parse(cases[i].app_id, &s));
        assert_int_equal(s.app_len, strlen(cases[i].app));
        assert_memory_equal(s.app, cases[i].app, s.app_len);
        assert_int_equal(s.cluster_len, strlen(cases[i].cluster));
        assert_memory_equal(s.cluster, cases[i].cluster, s.cluster_len);
        assert_int_equal(s.topic_len, strlen(cases[i].topic));
        assert_memory_equal(s.topic, cases[i].topic, s.topic_len);
        assert_int_equal(s.partition, cases[i].partition);
        assert_int_equal(s.source_len, (size_t)(strrchr(cases[i].app_id, '/') - cases[i].app_id));
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct source_parts s;
        assert_false(source_parse(others[i], &s));
    }
}

static int read_note(const char *positions, const char *lost, struct note *ret, struct err *e) {
    struct table_txn txn[] = {{.app_id = "silver/x", .next = 3},
                              {.app_id = "a/c/t/0", .next = 10},
                              {.app_id = "a/c/t/4", .next = 7}};
    struct table_text texts[2];
    size_t n = 0;
    if (positions)
        texts[n++] =
            (struct table_text){(char *)(uintptr_t) "positions", (char *)(uintptr_t)positions};
    if (lost)
        texts[n++] = (struct table_text){(char *)(uintptr_t) "lost", (char *)(uintptr_t)lost};
    struct table_entry en = {
        .version = 5, .txn = txn, .n_txn = 3, .parameters = texts, .n_parameters = n};
    return note_read(&en, ret, e);
}

static void what_was_written_is_read_back(void **state ATTR_UNUSED) {
    const struct covered v[] = {{0, 2, 10, 5}, {4, 0, 7, 0}};
    const struct loss l[] = {{4, 0, 6}};
    char *positions = note_positions(v, 2), *lost = note_losses(l, 1);
    struct note n;
    struct err e;
    assert_ok(read_note(positions, lost, &n, &e), &e);
    assert_true(n.written && n.n == 2 && n.n_lost == 1 && !n.topic_id);
    assert_string_equal(n.source, "a/c/t");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(n.v[i].partition, v[i].partition);
        assert_int_equal(n.v[i].from, v[i].from);
        assert_int_equal(n.v[i].to, v[i].to);
        assert_int_equal(n.v[i].records, v[i].records);
    }
    assert_true(n.lost[0].partition == 4 && n.lost[0].from == 0 && n.lost[0].to == 6);
    note_release(&n);
    free(positions);
    free(lost);

    assert_ok(read_note(NULL, NULL, &n, &e), &e); /* from before there were notes */
    assert_true(!n.written && n.n == 2);
    assert_int_equal(n.v[1].to, 7);
    assert_int_equal(n.v[1].records, -1);
    note_release(&n);
}

#define ZERO "{\"partition\":0,\"from\":2,\"to\":10,\"records\":5}"
#define FOUR "{\"partition\":4,\"from\":0,\"to\":7,\"records\":0}"

static void a_note_that_does_not_fit_is_told(void **state ATTR_UNUSED) {
    static const char *const wrong[][2] = {
        {"", NULL},
        {"[", NULL},
        {"[]", NULL},
        {"{}", NULL},
        {"[" ZERO "]", NULL},
        {"[" FOUR "," ZERO "]", NULL},
        {"[" ZERO "," ZERO "]", NULL},
        {"[" ZERO "," FOUR "," FOUR "]", NULL},
        {"[" ZERO ",{\"partition\":4,\"from\":0,\"to\":8,\"records\":0}]", NULL},
        {"[" ZERO ",{\"partition\":4,\"from\":8,\"to\":7,\"records\":0}]", NULL},
        {"[" ZERO ",{\"partition\":4,\"from\":0,\"to\":7,\"records\":8}]", NULL},
        {"[" ZERO ",{\"partition\":4,\"from\":0,\"to\":7}]", NULL},
        {"[" ZERO ",3]", NULL},
        {"[" ZERO "," FOUR "]", "x"},
        {"[" ZERO "," FOUR "]", "[{\"partition\":0,\"from\":1,\"to\":4}]"},
        {"[" ZERO "," FOUR "]", "[{\"partition\":0,\"from\":4,\"to\":4}]"},
        {"[" ZERO "," FOUR "]", "[{\"partition\":1,\"from\":4,\"to\":5}]"},
        {"[" ZERO "," FOUR "]", "[{\"partition\":4,\"from\":4,\"to\":8}]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct note n;
        struct err e;
        assert_int_equal(read_note(wrong[i][0], wrong[i][1], &n, &e), ERR_CHECK);
        assert_non_null(strstr(e.msg, "version 5"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(app_ids_are_taken_apart_from_the_end),
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(a_note_that_does_not_fit_is_told),
    };
    return cmocka_run_group_tests_name("flow/note", tests, NULL, NULL);
}
