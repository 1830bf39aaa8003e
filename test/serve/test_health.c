/* SPDX-License-Identifier: Apache-2.0 */
/* Live and ready, part by part. */
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include "serve/health.h"
#include <cmocka.h>

static void assert_says(bool (*ask)(struct health *h, struct buf *why), struct health *h,
                        const char *why) {
    struct buf b = BUF_INIT(4096);
    assert_int_equal(ask(h, &b), !*why);
    assert_string_equal(buf_str(&b), why);
    buf_release(&b);
}

static void a_part_is_ready_after_its_first_success(void **state ATTR_UNUSED) {
    struct health *h = health_new(1000);
    assert_says(health_is_ready, h, "");
    struct health_part *a = health_add(h, "stream", "not assigned"),
                       *b = health_add(h, "run", "none yet");
    assert_says(health_is_ready, h, "stream: not assigned\nrun: none yet\n");
    assert_says(health_is_live, h, "");
    health_ready(a);
    assert_says(health_is_ready, h, "run: none yet\n");
    health_ready(b);
    assert_says(health_is_ready, h, "");
    health_not_ready(a, "broker down");
    assert_says(health_is_ready, h, "stream: broker down\n");
    assert_says(health_is_live, h, "");
    health_ready(a);
    assert_says(health_is_ready, h, "");
    health_free(h);
}

static void who_owes_a_sign_of_life_is_stuck(void **state ATTR_UNUSED) {
    struct health *h = health_new(30);
    struct health_part *a = health_add(h, "run", "");
    health_ready(a);
    health_alive(a);
    assert_says(health_is_live, h, "");
    usleep(60000);
    assert_says(health_is_live, h, "run: stuck, no sign of life for 0 s\n");
    assert_says(health_is_ready, h, "run: stuck, no sign of life for 0 s\n");
    health_alive(a);
    assert_says(health_is_live, h, "");
    health_rest(a);
    usleep(60000);
    assert_says(health_is_live, h, "");
    health_free(h);
}

static void who_has_ended_by_an_error_stays_dead(void **state ATTR_UNUSED) {
    struct health *h = health_new(1000);
    struct health_part *a = health_add(h, "stream", "");
    health_ready(a);
    health_dead(a, "the topic is gone");
    health_not_ready(a, "something else");
    health_ready(a);
    health_alive(a);
    assert_says(health_is_live, h, "stream: the topic is gone\n");
    assert_says(health_is_ready, h, "stream: the topic is gone\n");
    health_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_is_ready_after_its_first_success),
        cmocka_unit_test(who_owes_a_sign_of_life_is_stuck),
        cmocka_unit_test(who_has_ended_by_an_error_stays_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
