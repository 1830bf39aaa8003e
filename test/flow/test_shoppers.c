/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated shoppers: every event decodes, the same seed gives the same bytes. */
#include <setjmp.h>
#include <stdarg.h>

#include "base/clock.h"
#include "base/limits.h"
#include "event/event.h"
#include "flow/shoppers.h"
#include "flow/spoil.h"
#include "flow/timeline.h"
#include <cmocka.h>

#define FIRST_PLAIN                                                                                \
    "u2 {\"product_id\":17,\"category\":\"women's clothing\",\"price\":39.99,"                     \
    "\"event_ts\":1770682371}"

static const int64_t now_us = 1771286400 * US_PER_SECOND;

static struct catalog catalog;

static int load(void **state ATTR_UNUSED) {
    struct err e;
    return catalog_load(NULL, &catalog, &e);
}

static int unload(void **state ATTR_UNUSED) {
    catalog_release(&catalog);
    return 0;
}

static struct shoppers_options week_of(int64_t events) {
    return (struct shoppers_options){
        .events = events, .seed = 42, .now_us = now_us, .period_us = 7 * US_PER_DAY};
}

/* Everything, one record a line. */
static char *all_of(const struct shoppers_options *o, size_t *ret_n) {
    struct shoppers *sh = shoppers_new(o, &catalog);
    struct buf b = BUF_INIT(512 * (size_t)MIB);
    struct made m;
    *ret_n = 0;
    while (shoppers_next(sh, &m)) {
        buf_add(&b, m.key, m.key_len);
        buf_add_char(&b, ' ');
        buf_add(&b, m.value, m.len);
        buf_add_char(&b, '\n');
        ++*ret_n;
    }
    shoppers_free(sh);
    return buf_detach(&b);
}

static void a_seed_gives_the_same_bytes(void **state ATTR_UNUSED) {
    struct shoppers_options o = week_of(5000);
    o.duplicates = 0.05;
    o.late = 0.05;
    o.bad = 0.05;
    size_t n1, n2;
    _cleanup_(freep) char *one = all_of(&o, &n1), *two = all_of(&o, &n2);
    assert_string_equal(one, two);
    o.seed = 43;
    _cleanup_(freep) char *other = all_of(&o, &n2);
    assert_string_not_equal(one, other);
}

/* Pinned: a change of the bytes must be meant, runs of older versions become incomparable. */
static void the_first_event_of_a_seed_stays(void **state ATTR_UNUSED) {
    struct shoppers_options o = week_of(1000);
    o.plain = true;
    size_t n;
    _cleanup_(freep) char *all = all_of(&o, &n);
    all[strcspn(all, "\n")] = '\0';
    assert_string_equal(all, FIRST_PLAIN);
}

static bool text_is(struct text t, const char *s) {
    return t.p && t.len == strlen(s) && memcmp(t.p, s, t.len) == 0;
}

struct seen {
    size_t types[9], bots, users_missing, ids_missing, products[21], hours[24];
    int64_t last_us;
};

static const char *const types[] = {"view",     "add_to_cart", "remove_from_cart", "checkout",
                                    "purchase", "refund",      "page_view",        "search"};

static void look_at(struct seen *seen, const struct made *m, const struct event *ev) {
    size_t type = 0;
    while (type < ARRAY_LEN(types) && !text_is(ev->event_type, types[type]))
        type++;
    seen->types[type]++;
    assert_true(ev->event_id.p && ev->event_id.len == 36);
    assert_true(ev->session_id.p && ev->page_url.p && ev->user_agent.p && !ev->extra.p);
    assert_int_equal(m->key_len, ev->user_id.len);
    assert_memory_equal(m->key_len ? m->key : "", m->key_len ? ev->user_id.p : "", m->key_len);
    seen->users_missing += !ev->user_id.p;
    bool sells = type == 1 || type == 2 || type == 4 || type == 5;
    assert_true(!sells ||
                (ev->has_product_id && ev->has_price && ev->has_quantity && ev->quantity > 0));
    assert_true(type != 4 || ev->order_id.p);
    assert_true(ev->event_us >= seen->last_us && ev->event_us <= now_us);
    assert_true(ev->event_us >= now_us - 7 * US_PER_DAY - US_PER_SECOND);
    seen->last_us = ev->event_us;
    seen->products[ev->has_product_id ? ev->product_id : 0]++;
    seen->hours[ev->event_us / US_PER_SECOND / 3600 % 24]++;
}

static void every_event_keeps_the_contract(void **state ATTR_UNUSED) {
    enum { N = 100000 };
    struct shoppers_options o = week_of(N);
    struct shoppers *sh = shoppers_new(&o, &catalog);
    struct event_decoder *d = event_decoder_new();
    struct seen seen = {0};
    struct made m;
    struct event ev;
    size_t n = 0;
    for (; shoppers_next(sh, &m); n++) {
        event_decode(d, m.value, m.len, now_us, &ev);
        if (ev.reject)
            fail_msg("%.*s: %.*s", (int)ev.detail.len, ev.detail.p, (int)m.len, m.value);
        look_at(&seen, &m, &ev);
        event_decoder_reset(d);
    }
    assert_int_equal(n, N);
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        assert_true(seen.types[i] > N / 2000);
    assert_int_equal(seen.types[8], 0);
    assert_true(seen.types[4] < seen.types[1] && seen.types[1] < seen.types[0]);
    assert_true(seen.types[5] * 5 < seen.types[4]);
    assert_true(seen.users_missing > N / 200 && seen.users_missing < N / 3);
    size_t most = 0, least = N;
    for (int i = 1; i <= 20; i++) {
        most = MAX(most, seen.products[i]);
        least = MIN(least, seen.products[i]);
    }
    assert_true(least > 0 && most > 5 * least);
    assert_true(seen.hours[20] > 5 * seen.hours[3]);
    event_decoder_free(d);
    shoppers_free(sh);
}

static void plain_events_have_four_members(void **state ATTR_UNUSED) {
    struct shoppers_options o = week_of(2000);
    o.plain = true;
    o.ts_unit_us = 1000;
    struct shoppers *sh = shoppers_new(&o, &catalog);
    struct event_decoder *d = event_decoder_new();
    struct made m;
    struct event ev;
    while (shoppers_next(sh, &m)) {
        event_decode(d, m.value, m.len, now_us, &ev);
        assert_int_equal(ev.reject, REJECT_NONE);
        assert_true(ev.has_product_id && ev.has_price && ev.category.p &&
                    ev.event_ts > 1000000000000);
        assert_true(!ev.event_id.p && !ev.event_type.p && !ev.user_id.p && !ev.extra.p);
        event_decoder_reset(d);
    }
    event_decoder_free(d);
    shoppers_free(sh);
}

static void duplicates_come_on_top_and_later(void **state ATTR_UNUSED) {
    struct shoppers_options o = week_of(20000);
    o.duplicates = 0.1;
    o.late = 0.1;
    struct shoppers *sh = shoppers_new(&o, &catalog);
    struct buf before = BUF_INIT(64 * (size_t)MIB);
    struct made m;
    size_t events = 0, duplicates = 0, late = 0;
    while (shoppers_next(sh, &m)) {
        if (m.duplicate) {
            duplicates++;
            assert_non_null(memmem(before.data, before.len, m.value, m.len));
        } else {
            events++;
            late += m.late;
            buf_add(&before, m.value, m.len);
        }
    }
    assert_int_equal(events, 20000);
    assert_true(duplicates > 1700 && duplicates < 2300);
    assert_true(late > 1700 && late < 2300);
    buf_release(&before);
    shoppers_free(sh);
}

static void everything_twice_is_possible(void **state ATTR_UNUSED) {
    struct shoppers_options o = week_of(5000);
    o.duplicates = 1;
    struct shoppers *sh = shoppers_new(&o, &catalog);
    struct made m;
    size_t n = 0, duplicates = 0;
    for (; shoppers_next(sh, &m); n++)
        duplicates += m.duplicate;
    assert_int_equal(duplicates, 5000);
    assert_int_equal(n, 10000);
    shoppers_free(sh);
}

static void bad_records_break_each_rule(void **state ATTR_UNUSED) {
    struct event_decoder *d = event_decoder_new();
    struct buf b = BUF_INIT(2 * (size_t)LIMIT_RECORD);
    struct event ev;
    bool seen[REJECT_UNKNOWN_PROTOCOL + 1] = {0};
    for (size_t i = 0; i < spoil_count(); i++) {
        for (size_t p = 0; p < catalog.n; p++) {
            spoil(i, &catalog.v[p], now_us / US_PER_SECOND, &b);
            event_decode(d, b.data, b.len, now_us, &ev);
            if (ev.reject != spoil_reason(i))
                fail_msg("recipe %zu: %s (%.*s) instead of %s", i, reject_name(ev.reject),
                         (int)ev.detail.len, ev.detail.p, reject_name(spoil_reason(i)));
            event_decoder_reset(d);
        }
        seen[spoil_reason(i)] = true;
        assert_int_equal(spoil_is_huge(i), b.len > LIMIT_RECORD);
    }
    for (int r = REJECT_TOO_LARGE; r < REJECT_UNKNOWN_PROTOCOL; r++)
        assert_true(seen[r]);
    buf_release(&b);
    event_decoder_free(d);
}

static void bad_records_are_as_many_as_asked_for(void **state ATTR_UNUSED) {
    struct shoppers_options o = week_of(20000);
    o.bad = 0.05;
    struct shoppers *sh = shoppers_new(&o, &catalog);
    struct event_decoder *d = event_decoder_new();
    struct made m;
    struct event ev;
    size_t bad = 0;
    while (shoppers_next(sh, &m)) {
        event_decode(d, m.value, m.len, now_us, &ev);
        assert_int_equal(m.bad, ev.reject != REJECT_NONE);
        bad += m.bad;
        event_decoder_reset(d);
    }
    assert_true(bad > 850 && bad < 1150);
    event_decoder_free(d);
    shoppers_free(sh);
}

/* `up --demo`: somebody buys in the first seconds. */
static void a_shop_that_is_looked_at_now_was_open_before(void **state ATTR_UNUSED) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct shoppers_options o = {.events = 1000, .rate = 200, .seed = seed, .now_us = now_us};
        size_t n, bought = 0;
        _cleanup_(freep) char *all = all_of(&o, &n);
        for (const char *at = all; (at = strstr(at, "\"event_type\":\"purchase\"")); at++)
            bought++;
        assert_in_range(bought, 10, 200);
    }
}

static void a_timeline_goes_forward_over_the_whole_period(void **state ATTR_UNUSED) {
    static const int64_t counts[] = {1, 2, 3, 100, 100000};
    static const int64_t periods[] = {1, US_PER_SECOND, 3600 * US_PER_SECOND, US_PER_DAY,
                                      10 * US_PER_DAY + 12345};
    for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
        for (size_t p = 0; p < ARRAY_LEN(periods); p++) {
            struct timeline t;
            timeline_init(&t, now_us + 1234567, periods[p], counts[c]);
            int64_t last = t.end_us - periods[p], first = last;
            for (int64_t i = 0; i < counts[c]; i++) {
                int64_t at = timeline_at(&t, i);
                assert_true(at >= last && at <= t.end_us);
                last = at;
            }
            if (counts[c] > 1000)
                assert_true(last - first >= periods[p] - periods[p] / 50 - 1);
        }
    }
    struct timeline t;
    timeline_init(&t, now_us, 0, 10);
    assert_int_equal(timeline_at(&t, 3), now_us);
    timeline_init(&t, 0, US_PER_DAY, 0);
    assert_true(llabs(timeline_at(&t, 3) - clock_now_us()) < US_PER_DAY / 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_the_same_bytes),
        cmocka_unit_test(the_first_event_of_a_seed_stays),
        cmocka_unit_test(every_event_keeps_the_contract),
        cmocka_unit_test(plain_events_have_four_members),
        cmocka_unit_test(duplicates_come_on_top_and_later),
        cmocka_unit_test(everything_twice_is_possible),
        cmocka_unit_test(bad_records_break_each_rule),
        cmocka_unit_test(bad_records_are_as_many_as_asked_for),
        cmocka_unit_test(a_shop_that_is_looked_at_now_was_open_before),
        cmocka_unit_test(a_timeline_goes_forward_over_the_whole_period),
    };
    return cmocka_run_group_tests_name("shoppers", tests, load, unload);
}
