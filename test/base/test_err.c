/* SPDX-License-Identifier: Apache-2.0 */
/* Errors keep their words, their code and their fate on the way up. */
#include <errno.h>

#include "base/helper.h"

static void a_new_error_forgets_the_old_one(void **state ATTR_UNUSED) {
    struct err e;
    err_set(&e, ERR_SINK, "old");
    err_hint(&e, "do this");
    err_retry(&e);
    assert_int_equal(err_set(&e, ERR_STREAM, "topic '%s'", "t"), ERR_STREAM);
    assert_int_equal(e.code, ERR_STREAM);
    assert_string_equal(e.msg, "topic 't'");
    assert_string_equal(e.hint, "");
    assert_false(e.retry);
}

static void an_error_may_quote_itself(void **state ATTR_UNUSED) {
    struct err e;
    err_set(&e, ERR_STREAM, "inner");
    err_set(&e, ERR_SINK, "outer (%s)", e.msg);
    assert_string_equal(e.msg, "outer (inner)");
    err_wrap(&e, "again %s", e.msg);
    assert_string_equal(e.msg, "again outer (inner): outer (inner)");
    err_hint(&e, "one");
    err_hint(&e, "%s and two", e.hint);
    assert_string_equal(e.hint, "one and two");
}

static void errno_says_why_and_whether_to_try_again(void **state ATTR_UNUSED) {
    static const struct {
        int errnum;
        bool retry;
    } cases[] = {{EAGAIN, true}, {EINTR, true},     {EMFILE, true},  {ENFILE, true},
                 {EBUSY, true},  {ETIMEDOUT, true}, {ENOENT, false}, {ENOSPC, false},
                 {EIO, false},   {EACCES, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e;
        _cleanup_(freep) char *expected = xasprintf("file 'x': %s", strerror(cases[i].errnum));
        assert_int_equal(err_sys(&e, ERR_STORAGE, cases[i].errnum, "file '%s'", "x"), ERR_STORAGE);
        assert_string_equal(e.msg, expected);
        assert_int_equal(e.retry, cases[i].retry);
    }
}

static void too_long_is_cut(void **state ATTR_UNUSED) {
    struct err e;
    char text[5000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    err_set(&e, ERR_BUG, "%s", text);
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    err_wrap(&e, "%s", text);
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    err_hint(&e, "%s", text);
    assert_int_equal(strlen(e.hint), sizeof e.hint - 1);
    err_sys(&e, ERR_STORAGE, ENOSPC, "%s", text);
    assert_non_null(strstr(e.msg, ": No space left on device"));
}

static void context_comes_in_front_and_changes_nothing_else(void **state ATTR_UNUSED) {
    struct err e;
    err_set(&e, ERR_SINK, "no answer");
    err_hint(&e, "start it");
    assert_int_equal(err_retry(&e), ERR_SINK);
    assert_int_equal(err_wrap(&e, "table '%s'", "t"), ERR_SINK);
    assert_string_equal(e.msg, "table 't': no answer");
    assert_string_equal(e.hint, "start it");
    assert_true(e.retry);
    assert_int_equal(err_recode(&e, ERR_USAGE), ERR_USAGE);
    assert_int_equal(e.code, ERR_USAGE);
    assert_string_equal(e.msg, "table 't': no answer");
    e.unsure = true;
    e.wait_ms = 5;
    err_clear(&e);
    assert_int_equal(e.code, 0);
    assert_true(!e.retry && !e.unsure && !e.wait_ms && !e.msg[0] && !e.hint[0]);
}

static void codes_are_exit_codes(void **state ATTR_UNUSED) {
    static const int cases[][2] = {
        {0, 0},          {ERR_USAGE, 2},     {ERR_CONFIG, 3},  {ERR_STREAM, 4},  {ERR_STORAGE, 5},
        {ERR_ENGINE, 6}, {ERR_SINK, 7},      {ERR_CHECK, 8},   {ERR_STOPPED, 9}, {ERR_BUG, 70},
        {ERR_EXISTS, 5}, {ERR_NOT_FOUND, 5}, {ERR_CONFLICT, 5}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(err_exit_code(cases[i][0]), cases[i][1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_error_forgets_the_old_one),
        cmocka_unit_test(an_error_may_quote_itself),
        cmocka_unit_test(errno_says_why_and_whether_to_try_again),
        cmocka_unit_test(too_long_is_cut),
        cmocka_unit_test(context_comes_in_front_and_changes_nothing_else),
        cmocka_unit_test(codes_are_exit_codes),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
