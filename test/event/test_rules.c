/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of DESIGN section 4's table from event_ts on: each limit from both sides. */
#include "event/event_test.h"

#define TYPED ",\"event_type\":\"view\""

static void test_event_ts(void **state) {
    (void)state;
    CHECK_ROWS(
        "event_ts", "", {"1771286400", "1771286400 = 1771286400000000 us"},
        {"1771286400000", "1771286400000 = 1771286400000000 us"},
        {"1771286400000000", "1771286400000000 = 1771286400000000 us"},
        {"1771286400000000999", "1771286400000000999 = 1771286400000000 us"},
        {"1771286400.0", "1771286400 = 1771286400000000 us"},
        {"17712864e2", "1771286400 = 1771286400000000 us"},
        {"\"1771286400\"", "1771286400 = 1771286400000000 us"},
        {NULL, "missing_field: event_ts: missing"}, {"null", "missing_field: event_ts: null"},
        {"\" \\t\\r\\n\\u0020\"", "missing_field: event_ts: \" \\t\\r\\n\\u0020\""},
        {"1771286400.5", "wrong_type: event_ts: 1771286400.5"},
        {"\"now\"", "wrong_type: event_ts: \"now\""},
        {"\" 1771286400\"", "wrong_type: event_ts: \" 1771286400\""},
        {"true", "wrong_type: event_ts: true"},
        {"[1771286400]", "wrong_type: event_ts: [1771286400]"}, {"0", "out_of_range: event_ts: 0"},
        {"-1771286400", "out_of_range: event_ts: -1771286400"},
        {"9223372036854775808", "out_of_range: event_ts: 9223372036854775808"},
        {"-9223372036854775809", "out_of_range: event_ts: -9223372036854775809"},
        {"1e400", "out_of_range: event_ts: 1e400"},
        {"1e-400", "out_of_range: event_ts: 1e-400"} /* too small for a double: 0 */);
}

static void test_event_ts_units(void **state) {
    (void)state;
    CHECK_ROWS("event_ts", "", {"946684800", "946684800 = 946684800000000 us"},
               {"946684799", "out_of_range: event_ts: 946684799"},
               {"946684800000", "946684800000 = 946684800000000 us"},
               {"946684799999", "out_of_range: event_ts: 946684799999"},
               {"946684800000000", "946684800000000 = 946684800000000 us"},
               {"946684799999999", "out_of_range: event_ts: 946684799999999"},
               {"946684800000000000", "946684800000000000 = 946684800000000 us"},
               {"946684799999999999", "out_of_range: event_ts: 946684799999999999"},
               {"1771376400", "1771376400 = 1771376400000000 us"}, /* received + 24 h */
               {"1771376401", "out_of_range: event_ts: 1771376401"},
               {"1771376400000", "1771376400000 = 1771376400000000 us"},
               {"1771376400001", "out_of_range: event_ts: 1771376400001"},
               {"1771376400000000", "1771376400000000 = 1771376400000000 us"},
               {"1771376400000001", "out_of_range: event_ts: 1771376400000001"},
               {"1771376400000000999", "1771376400000000999 = 1771376400000000 us"}, /* floored */
               {"1771376400000001000", "out_of_range: event_ts: 1771376400000001000"});
    /* Where one unit ends and the next begins; the record's own time is far ahead. */
    static const char *const edges[][2] = {
        {"99999999999", "99999999999 = 99999999999000000 us"},
        {"100000000000", "out_of_range: event_ts: 100000000000"}, /* ms: 1973 */
        {"99999999999999", "99999999999999 = 99999999999999000 us"},
        {"100000000000000", "out_of_range: event_ts: 100000000000000"},
        {"99999999999999999", "99999999999999999 = 99999999999999999 us"},
        {"100000000000000000", "out_of_range: event_ts: 100000000000000000"},
        {"9223372036854775807", "9223372036854775807 = 9223372036854775 us"},
    };
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        char shown[SHOWN_MAX];
        _cleanup_(freep) char *rec = xasprintf(
            "{\"product_id\":1,\"category\":\"c\",\"price\":5,\"event_ts\":%s}", edges[i][0]);
        decode_and_show(rec, strlen(rec), INT64_MAX - 1, "event_ts", shown);
        assert_string_equal(shown, edges[i][1]);
    }
}

static void test_product_id(void **state) {
    (void)state;
    CHECK_ROWS(
        "product_id", "", {"1", "1"}, {"0", "0"}, {"-0", "0"}, {"\"-0\"", "0"}, {"1.0", "1"},
        {"10e-1", "1"}, {"1e6", "1000000"}, {"\"42\"", "42"}, {"\"42.0\"", "42"}, {"-7", "-7"},
        {"2147483647", "2147483647"}, {"2147483648", "sku 2147483648"},
        {"-2147483648", "-2147483648"}, {"-2147483649", "sku -2147483649"},
        {"\"4294967296\"", "sku 4294967296"}, {"99999999999999999999", "sku 99999999999999999999"},
        {"1e10", "sku 10000000000"}, {"1.5e25", "sku 15000000000000000000000000"},
        {"12345678901234567890.0", "sku 12345678901234567890"}, {"\"007\"", "sku 007"},
        {"\"+1\"", "sku +1"}, {"\" 5\"", "sku  5"}, {"\"NaN\"", "sku NaN"}, {"\"1.5\"", "sku 1.5"},
        {"\"SKU-1\"", "sku SKU-1"}, {"\"\\u0053\"", "sku S"}, {"1e-400", "0"},
        {"1.5", "wrong_type: product_id: 1.5"}, {"true", "wrong_type: product_id: true"},
        {"{}", "wrong_type: product_id: {}"}, {"1e400", "out_of_range: product_id: 1e400"},
        {"\"1e400\"", "out_of_range: product_id: \"1e400\""},
        {"\"a\\u0000\"", "out_of_range: product_id: \"a\\u0000\""},
        {"1e300", "too_large: product_id: 301 bytes, at most 256"},
        {NULL, "missing_field: product_id: missing"}, {"\"\"", "missing_field: product_id: \"\""});
    CHECK_ROWS("product_id", TYPED, {NULL, "NULL"}, {"null", "NULL"}, {"\" \"", "NULL"}, {"2", "2"},
               {"false", "wrong_type: product_id: false"});
    CHECK_ROWS("product_id", ",\"event_type\":\" \"", {NULL, "missing_field: product_id: missing"});
    CHECK_ROWS("product_id", ",\"event_type\":null", {NULL, "missing_field: product_id: missing"});
    /* A broken event_type is there all the same; its own row comes later. */
    CHECK_ROWS("product_id", ",\"event_type\":true", {NULL, "wrong_type: event_type: true"});
}

static void test_category(void **state) {
    (void)state;
    CHECK_ROWS("category", "", {"\"men's clothing\"", "men's clothing"},
               {"\" \\ta b\\r\\n\"", "a b"}, {"\"\\u0020a\\u0020\"", "a"},
               {"\"\\u00a0a\"", "\xc2\xa0"
                                "a"},
               {"42", "42"}, {"4.20", "4.20"}, {"1e400", "out_of_range: category: 1e400"},
               {"true", "wrong_type: category: true"}, {NULL, "missing_field: category: missing"},
               {"\" \"", "missing_field: category: \" \""},
               {"\"\\u0000\"", "out_of_range: category: \"\\u0000\""});
    CHECK_ROWS("category", TYPED, {NULL, "NULL"}, {"[]", "wrong_type: category: []"});
}

static void test_price(void **state) {
    (void)state;
    CHECK_ROWS("price", "", {"109.95", "109.95"}, {"0", "0"}, {"-0", "0"}, {"-0.0e5", "0"},
               {"\"12.5\"", "12.5"}, {"1e-400", "0"}, {"-1e-400", "0"}, {"1e9", "1000000000"},
               {"1000000000.0", "1000000000"},
               {"1000000000.0000002", "out_of_range: price: 1000000000.0000002"},
               {"1000000001", "out_of_range: price: 1000000001"}, {"-5", "out_of_range: price: -5"},
               {"-0.0001", "out_of_range: price: -0.0001"}, {"1e400", "out_of_range: price: 1e400"},
               {"-1e400", "out_of_range: price: -1e400"}, {"\"NaN\"", "wrong_type: price: \"NaN\""},
               {"\"007\"", "wrong_type: price: \"007\""}, {"\"5 \"", "wrong_type: price: \"5 \""},
               {"false", "wrong_type: price: false"}, {NULL, "missing_field: price: missing"},
               {"\"\"", "missing_field: price: \"\""});
    CHECK_ROWS("price", TYPED, {NULL, "NULL"}, {"-1", "out_of_range: price: -1"});
}

static void test_quantity(void **state) {
    (void)state;
    CHECK_ROWS("quantity", "", {NULL, "NULL"}, {"null", "NULL"}, {"0", "0"}, {"1", "1"},
               {"\"3\"", "3"}, {"2.0", "2"}, {"1000000", "1000000"}, {"1e6", "1000000"},
               {"1e-400", "0"}, {"1000001", "out_of_range: quantity: 1000001"},
               {"-1", "out_of_range: quantity: -1"}, {"1.5", "wrong_type: quantity: 1.5"},
               {"\"x\"", "wrong_type: quantity: \"x\""}, {"true", "wrong_type: quantity: true"},
               {"1e400", "out_of_range: quantity: 1e400"});
    CHECK_ROWS("price", ",\"quantity\":1000000", {"99999999.99", "99999999.989999995"},
               {"100000000", "out_of_range: quantity: 1000000 at a price of 100000000"});
    CHECK_ROWS("price", ",\"quantity\":100000",
               {"1e9", "out_of_range: quantity: 100000 at a price of 1000000000"});
    CHECK_ROWS("price", ",\"quantity\":99999", {"1e9", "1000000000"});
    CHECK_ROWS("price", TYPED ",\"quantity\":1000000", {NULL, "NULL"});
}

static void test_texts(void **state) {
    (void)state;
    static const char *const names[] = {"event_id",   "event_type", "user_id",
                                        "session_id", "currency",   "order_id",
                                        "page_url",   "referrer",   "user_agent"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *n = names[i];
        char wrong[64], range[64], nul[64];
        snprintf(wrong, sizeof wrong, "wrong_type: %s: true", n);
        snprintf(range, sizeof range, "out_of_range: %s: 1e999", n);
        snprintf(nul, sizeof nul, "out_of_range: %s: \"a\\u0000\"", n);
        CHECK_ROWS(n, "", {NULL, "NULL"}, {"null", "NULL"}, {"\"\"", "NULL"},
                   {"\" \\t\\u000a\\r\"", "NULL"}, {"\" a \"", " a "}, {"\"\\u0041\\n\"", "A\n"},
                   {"42", "42"}, {"4.20", "4.20"}, {"-0", "-0"}, {"1E5", "1E5"},
                   {"\"1e999\"", "1e999"}, {"1e-999", "1e-999"},
                   {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"}, {"1e999", range}, {"true", wrong},
                   {"\"a\\u0000\"", nul});
    }
}

/* Every size limit, with the last byte that fits and the first that does not. */
static void test_sizes(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t limit;
    } limits[] = {{"product_id", 256}, {"category", 256},   {"event_id", 256},
                  {"event_type", 256}, {"user_id", 256},    {"session_id", 256},
                  {"currency", 256},   {"order_id", 256},   {"page_url", 4096},
                  {"referrer", 4096},  {"user_agent", 4096}};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        size_t n = limits[i].limit;
        const char *name = limits[i].name;
        _cleanup_(freep) char *fits = around("\"", "x", n, "\""), *shown = around("", "x", n, "");
        _cleanup_(freep) char *fits_escaped = around("\"", "\\u0078", n, "\"");
        _cleanup_(freep) char *over = around("\"", "x", n + 1, "\""),
                              *with_nul = around("\"", "x", n, "\\u0000\"");
        _cleanup_(freep) char *wide =
            around("\"", "\xc3\xa9", n / 2, "x\""); /* bytes count, not characters */
        _cleanup_(freep) char *too_large =
            xasprintf("too_large: %s: %zu bytes, at most %zu", name, n + 1, n);
        _cleanup_(freep) char *sku =
            xasprintf("%s%s", strcmp(name, "product_id") == 0 ? "sku " : "", shown);
        CHECK_ROWS(name, "", {fits, sku}, {fits_escaped, sku}, {over, too_large},
                   {wide, too_large});
        _cleanup_(freep) char *nul_first =
            xasprintf("out_of_range: %s: %.*s", name, (int)(256 - strlen(name) - 2), with_nul);
        CHECK_ROWS(name, "", {with_nul, nul_first});
    }
    _cleanup_(freep) char *blanks = around("\"", " ", 300, "a\"");
    CHECK_ROWS("category", "", {blanks, "a"}); /* limits apply after trimming */
    CHECK_ROWS("user_id", "", {blanks, "too_large: user_id: 301 bytes, at most 256"});
    _cleanup_(freep) char *digits = repeat("7", 256), *more = repeat("7", 257),
                          *far = repeat("7", 310);
    _cleanup_(freep) char *sku = xasprintf("sku %s", digits);
    CHECK_ROWS("product_id", "", {digits, sku},
               {more, "too_large: product_id: 257 bytes, at most 256"});
    CHECK_ROWS("user_id", "", {digits, digits},
               {more, "too_large: user_id: 257 bytes, at most 256"});
    _cleanup_(freep) char *cut = xasprintf("out_of_range: product_id: %.*s", 256 - 12, far);
    CHECK_ROWS("product_id", "", {far, cut}); /* beyond double's range comes first */
}

/* The first row broken is the reason, whatever else is wrong. */
static void test_order(void **state) {
    (void)state;
    static const char *const broken[][2] = {
        {"\"event_ts\":1.5", "wrong_type: event_ts: 1.5"},
        {"\"product_id\":[]", "wrong_type: product_id: []"},
        {"\"category\":\"\\u0000\"", "out_of_range: category: \"\\u0000\""},
        {"\"price\":-1", "out_of_range: price: -1"},
        {"\"quantity\":\"x\"", "wrong_type: quantity: \"x\""},
        {"\"event_id\":true", "wrong_type: event_id: true"},
        {"\"event_type\":1e999", "out_of_range: event_type: 1e999"},
        {"\"user_id\":{}", "wrong_type: user_id: {}"},
        {"\"session_id\":\"\\u0000\"", "out_of_range: session_id: \"\\u0000\""},
        {"\"currency\":false", "wrong_type: currency: false"},
        {"\"order_id\":[]", "wrong_type: order_id: []"},
        {"\"page_url\":1e999", "out_of_range: page_url: 1e999"},
        {"\"referrer\":{}", "wrong_type: referrer: {}"},
        {"\"user_agent\":true", "wrong_type: user_agent: true"},
    };
    for (size_t first = 0; first < ARRAY_LEN(broken); first++) {
        struct buf rec = BUF_INIT(4096);
        buf_add_str(&rec, "{\"product_id\":1," PLAIN_REST);
        for (size_t i = ARRAY_LEN(broken); i-- > first;)
            buf_addf(&rec, ",%s", broken[i][0]);
        buf_add_str(&rec, "}");
        check_record(rec.data, rec.len, "price", broken[first][1]);
        buf_release(&rec);
    }
    const char *late_missing = "{\"event_ts\":1771286400,\"product_id\":true}";
    check_record(late_missing, strlen(late_missing), "price", "wrong_type: product_id: true");
    check_record("{}", 2, "price", "missing_field: event_ts: missing");
}

/* Of a repeated member the last counts; names are compared after their escapes are undone. */
static void test_repeated_and_escaped_names(void **state) {
    (void)state;
    CHECK_ROWS("price", ",\"price\":null", {"1", "missing_field: price: null"});
    CHECK_ROWS("price", ",\"price\":7", {"true", "7"});
    CHECK_ROWS("price", ",\"pri\\u0063e\":7", {"1", "7"});
    CHECK_ROWS("price", ",\"\\u0070\\u0072\\u0069\\u0063\\u0065\":7", {"1", "7"});
    CHECK_ROWS("price", ",\"Price\":7", {"1", "1"});
    CHECK_ROWS("user_id", ",\"user_id\":\"b\"", {"\"a\"", "b"});
    CHECK_ROWS("user_agent",
               ",\"\\u0075\\u0073\\u0065\\u0072\\u005f\\u0061\\u0067\\u0065\\u006e\\u0074\":\"b\"",
               {"\"a\"", "b"});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_ts),   cmocka_unit_test(test_event_ts_units),
        cmocka_unit_test(test_product_id), cmocka_unit_test(test_category),
        cmocka_unit_test(test_price),      cmocka_unit_test(test_quantity),
        cmocka_unit_test(test_texts),      cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_order),      cmocka_unit_test(test_repeated_and_escaped_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
