/* SPDX-License-Identifier: Apache-2.0 */
/* Trying again: how long is waited, and what ends it. */
#include "base/retry.h"

#include "base/clock.h"
#include "base/helper.h"
#include "base/log.h"
#include "base/util.h"

static struct err can_pass(int wait_ms) {
    struct err e;
    err_set(&e, ERR_STORAGE, "busy");
    err_retry(&e);
    e.wait_ms = wait_ms;
    return e;
}

/* The length of one pause in ms; what it gave in *ret. */
static int64_t pause_of(struct retry *again, struct err *e, bool *ret) {
    int r = e->code;
    int64_t start = clock_mono_ns();
    *ret = retry_pause(again, &r, e);
    assert_int_equal(r, e->code);
    return (clock_mono_ns() - start) / 1000000;
}

static void pauses_are_random_and_at_least_half(void **state ATTR_UNUSED) {
    bool shorter = false;
    for (int i = 0; i < 100 && !(shorter && i > 5); i++) {
        struct retry again = retry_start(10000);
        struct err e = can_pass(0);
        bool more;
        int64_t first = pause_of(&again, &e, &more), second = pause_of(&again, &e, &more);
        assert_true(more && first >= 24 && second >= 49);
        shorter |= second < 98; /* without chance it would never be less than 100 */
    }
    assert_true(shorter);
}

static void numbers_are_spread_over_their_range(void **state ATTR_UNUSED) {
    int seen[8] = {0};
    for (int i = 0; i < 1000; i++)
        seen[random_below(ARRAY_LEN(seen))]++;
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        assert_in_range(seen[i], 50, 250);
    assert_int_equal(random_below(0), 0);
    assert_int_equal(random_below(1), 0);
}

static void who_asks_for_time_gets_it(void **state ATTR_UNUSED) {
    struct retry again = retry_start(10000);
    struct err e = can_pass(200);
    bool more;
    assert_true(pause_of(&again, &e, &more) >= 199);
    assert_true(more);
    /* up to the time that is left, and then it is asked once more */
    again = retry_start(100);
    e = can_pass(3600000);
    assert_in_range(pause_of(&again, &e, &more), 90, 60000);
    assert_true(more);
    pause_of(&again, &e, &more);
    assert_false(more);
    assert_int_equal(e.code, ERR_STORAGE);
}

static void a_stop_ends_it_and_is_told_as_one(void **state ATTR_UNUSED) {
    struct retry again = retry_start(10000);
    struct err e = can_pass(0);
    bool more;
    e.unsure = true;
    stop_request();
    pause_of(&again, &e, &more);
    assert_false(more);
    assert_int_equal(e.code, ERR_STOPPED);
    assert_string_equal(e.msg, "busy");
    assert_true(e.unsure);
    assert_false(e.retry);
    /* what could not have passed failed without it */
    err_set(&e, ERR_STORAGE, "denied");
    pause_of(&again, &e, &more);
    assert_false(more);
    assert_int_equal(e.code, ERR_STORAGE);
    stop_reset();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_are_random_and_at_least_half),
        cmocka_unit_test(numbers_are_spread_over_their_range),
        cmocka_unit_test(who_asks_for_time_gets_it),
        cmocka_unit_test(a_stop_ends_it_and_is_told_as_one),
    };
    log_setup(LOG_ERROR, false);
    return cmocka_run_group_tests_name("base/retry", tests, NULL, NULL);
}
