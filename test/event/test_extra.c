/* SPDX-License-Identifier: Apache-2.0 */
/* The column `extra`: one spelling, repeated members settled, nulls dropped, in linear time. */
#include "event/event_test.h"

#include <time.h>

/* members: what stands beside a plain event's own. */
static void check(const char *members, const char *expect) {
    _cleanup_(freep) char *rec = xasprintf("{\"product_id\":1,%s," PLAIN_REST "}", members);
    check_record(rec, strlen(rec), "extra", expect);
}

static void test_spelling(void **state) {
    (void)state;
    check_record(PLAIN, strlen(PLAIN), "extra", "NULL");
    check("\"b\":1,\"a\":2", "{\"b\":1,\"a\":2}"); /* members as sent */
    check("\"a\" : [ 1 , 2.50 , 1E5 , -0 ]", "{\"a\":[1,2.50,1E5,-0]}");
    check("\"a\":\t{ \"b\" :\n[ ] , \"c\" : { } }\r", "{\"a\":{\"b\":[],\"c\":{}}}");
    check("\"a\":[true,false,null]", "{\"a\":[true,false,null]}");
    check("\"a\":\"\\u0041\\/\\u00e9\\ud83d\\ude00\\u007f\"",
          "{\"a\":\"A/\xc3\xa9\xf0\x9f\x98\x80\x7f\"}");
    check("\"a\":\"\\b\\f\\n\\r\\t\\\\\\\"\"", "{\"a\":\"\\b\\f\\n\\r\\t\\\\\\\"\"}");
    check("\"a\":\"\\u0008\\u000C\\u000a\\u000d\\u0009\\u005c\\u0022\"",
          "{\"a\":\"\\b\\f\\n\\r\\t\\\\\\\"\"}");
    check("\"a\":\"\\u0000\\u000B\\u001F\"", "{\"a\":\"\\u0000\\u000b\\u001f\"}");
    check("\"\\u0061\\n\":{\"\\u0062\\/\":1}", "{\"a\\n\":{\"b/\":1}}");
    check("\"a\":[\" , : [ ] { } \"]", "{\"a\":[\" , : [ ] { } \"]}");
    check("\"a\":\"\",\"\":\" \"", "{\"a\":\"\",\"\":\" \"}"); /* blank texts kept */
    check("\"a\":1e999", "{\"a\":1e999}");
    check("\"sku\":\"s\",\"event_key\":1,\"received_at\":2,\"revenue\":3,\"Price\":4",
          "{\"sku\":\"s\",\"event_key\":1,\"received_at\":2,\"revenue\":3,\"Price\":4}");
}

static void test_nulls(void **state) {
    (void)state;
    check("\"a\":null", "NULL");
    check("\"a\":null,\"b\":1", "{\"b\":1}");
    check("\"b\":1,\"a\":null", "{\"b\":1}");
    check("\"a\":\"null\"", "{\"a\":\"null\"}");
    check("\"a\":[null],\"b\":{\"c\":null}",
          "{\"a\":[null],\"b\":{\"c\":null}}"); /* only at the top */
}

static void test_repeats(void **state) {
    (void)state;
    check("\"a\":1,\"b\":2,\"a\":3", "{\"a\":3,\"b\":2}");
    check("\"a\":1,\"\\u0061\":2", "{\"a\":2}");
    check("\"a\":1,\"a\":2,\"a\":3,\"b\":4,\"a\":5", "{\"a\":5,\"b\":4}");
    check("\"a\":1,\"a\":null", "NULL");
    check("\"a\":null,\"b\":2,\"a\":1", "{\"a\":1,\"b\":2}");
    check("\"a\":1,\"b\":0,\"a\":null", "{\"b\":0}");
    check("\"a\":{\"x\":1,\"y\":2,\"x\":3}", "{\"a\":{\"x\":3,\"y\":2}}");
    check("\"a\":{\"x\":1,\"x\":null}", "{\"a\":{\"x\":null}}");
    check("\"a\":[{\"x\":1},{\"x\":2,\"x\":3}]",
          "{\"a\":[{\"x\":1},{\"x\":3}]}"); /* each object by itself */
    check("\"a\":{\"a\":{\"a\":1}}", "{\"a\":{\"a\":{\"a\":1}}}");
    check("\"a\":{\"x\":[1,2],\"x\":{\"y\":1,\"z\":0,\"y\":2}},\"b\":1,\"a\":{\"p\":{\"q\":1,\"q\":"
          "{\"r\":1,\"r\":2}},\"p\":3,\"s\":{\"t\":4,\"t\":5}}",
          "{\"a\":{\"p\":3,\"s\":{\"t\":5}},\"b\":1}");
    check("\"a\":[{\"x\":{\"y\":1,\"y\":2},\"x\":{\"y\":3,\"y\":[{\"k\":1,\"k\":2}]}}]",
          "{\"a\":[{\"x\":{\"y\":[{\"k\":2}]}}]}");
}

/* More members than are compared one by one, where the table comes in. */
static void test_many(void **state) {
    (void)state;
    for (int n = 10; n < 70; n += 3)
        for (int times = 1; times < 4; times++) {
            struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
            for (int i = 0; i < n * times; i++)
                buf_addf(&in, "%s\"name-%d\":%d", i ? "," : "", i % n, i);
            for (int i = 0; i < n; i++)
                buf_addf(&out, "%s\"name-%d\":%d", i ? "," : "", i, i + n * (times - 1));
            _cleanup_(freep) char *top = xasprintf("{%s}", out.data),
                                  *nested = xasprintf("{\"o\":[0,{%s}]}", out.data);
            _cleanup_(freep) char *nested_in = xasprintf("\"o\":[0,{%s}]", in.data);
            check(in.data, top);
            check(nested_in, nested);
            buf_release(&in);
            buf_release(&out);
        }
}

static double seconds_to_decode(const char *members, size_t expect_len) {
    _cleanup_(freep) char *rec = xasprintf("{%s," PLAIN_REST ",\"product_id\":1}", members);
    struct event_decoder *d = event_decoder_new();
    struct event ev;
    struct timespec a, b;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    event_decode(d, rec, strlen(rec), RECEIVED_US, &ev);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    assert_int_equal(ev.reject, REJECT_NONE);
    if (expect_len)
        assert_int_equal(ev.extra.len, expect_len);
    event_decoder_reset(d);
    event_decoder_free(d);
    return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9;
}

/* 1 MiB of members takes milliseconds, whatever they are; each with each would take minutes. */
static void test_time(void **state) {
    (void)state;
    _cleanup_(freep) char *same = repeat("\"a\":1,", 170000),
                          *objects = repeat("\"a\":{\"b\":1,\"b\":2},", 50000);
    struct buf many = BUF_INIT(1 << 20);
    for (int i = 0; many.len < 1000000; i++)
        buf_addf(&many, "\"%x\":0,", i);
    _cleanup_(freep) char *deep = repeat("\"a\":0,\"a\":{", 100), *closing = repeat("}", 100),
                          *big = repeat("[\"x\"],", 150000);
    _cleanup_(freep) char *nested = xasprintf("%s\"b\":[%s0]%s", deep, big, closing);
    same[strlen(same) - 1] = objects[strlen(objects) - 1] = many.data[many.len - 1] = '\0';
    double limit = 2.0; /* under a sanitizer, on a slow machine */
    assert_true(seconds_to_decode(same, strlen("{\"a\":1}")) < limit);
    assert_true(seconds_to_decode(objects, strlen("{\"a\":{\"b\":2}}")) < limit);
    assert_true(seconds_to_decode(many.data, strlen(many.data) + 2) < limit);
    size_t nested_len = strlen("{}") + 100 * strlen("\"a\":{}") + strlen("\"b\":[0]") + strlen(big);
    assert_true(seconds_to_decode(nested, nested_len) < limit);
    buf_release(&many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spelling), cmocka_unit_test(test_nulls),
        cmocka_unit_test(test_repeats),  cmocka_unit_test(test_many),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
