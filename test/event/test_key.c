/* SPDX-License-Identifier: Apache-2.0 */
/* The event key: what goes into it, letter by letter, and that spelling does not. */
#include "event/event_test.h"

#include "base/sha256.h"

/* The key of the given lines by the contract's own words. */
static void key_of_lines(const char *lines, char out[EVENT_KEY_HEX + 1]) {
    unsigned char digest[SHA256_LEN];
    sha256_of(lines, strlen(lines), digest);
    for (size_t i = 0; i < EVENT_KEY_HEX / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void check(const char *rec, const char *lines) {
    char key[EVENT_KEY_HEX + 1];
    key_of_lines(lines, key);
    check_record(rec, strlen(rec), "event_key", key);
}

/* Worked out with another program: sha256sum. */
static void test_known(void **state) {
    (void)state;
    const char *rec = "{\"product_id\":1,\"category\":\"men's "
                      "clothing\",\"price\":109.95,\"event_ts\":1771286400}";
    check_record(rec, strlen(rec), "event_key", "c7cc3465aec05a2b0bdcef709739300f");
}

static void test_lines(void **state) {
    (void)state;
    check("{\"product_id\":-7,\"category\":\" a b \",\"price\":1e2,\"event_ts\":1771286400123}",
          "product_id=-7\ncategory=a b\nprice=100\nevent_ts=1771286400123000\n");
    check("{\"extra2\":[1, "
          "2],\"user_agent\":\"ua\",\"referrer\":\"r\",\"page_url\":\"p\",\"order_id\":\"o\","
          "\"currency\":\"c\","
          "\"quantity\":2,\"session_id\":\"s\",\"user_id\":\" u "
          "\",\"event_type\":\"view\",\"event_ts\":1771286400,\"price\":0.0001,"
          "\"category\":\"k\",\"product_id\":\"sku-1\"}",
          "sku=sku-1\ncategory=k\nprice=0.0001\nevent_ts=1771286400000000\nevent_type=view\nuser_"
          "id= u \nsession_id=s\n"
          "quantity=2\ncurrency=c\norder_id=o\npage_url=p\nreferrer=r\nuser_agent=ua\nextra={"
          "\"extra2\":[1,2]}\n");
    check("{\"event_type\":\"view\",\"event_ts\":1771286400}",
          "event_ts=1771286400000000\nevent_type=view\n");
    check("{\"event_type\":\"view\",\"event_ts\":1771286400,\"quantity\":1}",
          "event_ts=1771286400000000\nevent_type=view\n");
    check("{\"event_type\":\"view\",\"event_ts\":1771286400,\"quantity\":0}",
          "event_ts=1771286400000000\nevent_type=view\nquantity=0\n");
    check("{\"event_type\":\"view\",\"event_ts\":1771286400,\"price\":-0}",
          "price=0\nevent_ts=1771286400000000\nevent_type=view\n");
    check("{\"event_type\":\"view\",\"event_ts\":1771286400,\"product_id\":4294967296}",
          "sku=4294967296\nevent_ts=1771286400000000\nevent_type=view\n");
}

/* Texts of any length: those that fit the buffer, fill it, and go past it. */
static void test_long(void **state) {
    (void)state;
    for (size_t n = 470; n < 530; n++) {
        _cleanup_(freep) char *url = repeat("u", n), *agent = repeat("a", 4096);
        _cleanup_(freep) char *rec = xasprintf(
            "{\"event_type\":\"v\",\"event_ts\":1771286400,\"page_url\":\"%s\",\"referrer\":\"%s\","
            "\"user_agent\":\"%s\",\"x\":\"%s\"}",
            url, url, agent, agent);
        _cleanup_(freep) char *lines = xasprintf(
            "event_ts=1771286400000000\nevent_type=v\npage_url=%s\nreferrer=%s\nuser_agent=%s\n"
            "extra={\"x\":\"%s\"}\n",
            url, url, agent, agent);
        check(rec, lines);
    }
}

static void test_event_id(void **state) {
    (void)state;
    CHECK_ROWS("event_id", "", {"\"e-1\"", "e-1"});
    const char *rec = "{\"event_id\":\" e\\u002d1 \"," PLAIN_REST ",\"product_id\":1}";
    check_record(rec, strlen(rec), "event_key", " e-1 ");
    const char *blank = "{\"event_id\":\" \"," PLAIN_REST ",\"product_id\":1}";
    char same[SHOWN_MAX];
    decode_and_show(PLAIN, strlen(PLAIN), RECEIVED_US, "event_key", same);
    check_record(blank, strlen(blank), "event_key", same);
}

/* Equal events, spelled differently, have one key; an event that differs in anything has another. */
static void test_spelling(void **state) {
    (void)state;
    static const char *const equal[] = {
        "{\"product_id\":1,\"category\":\"a/b\",\"price\":100,\"event_ts\":1771286400,\"x\":\"y\"}",
        " { \"x\" : \"\\u0079\", \"event_ts\" : \"1771286400000\", \"price\" : 1.0e2, \"category\" "
        ": \" a\\/b\", \"product_id\" : \"1.0\" } ",
        "{\"product_id\":2,\"product_id\":1,\"category\":\"a/"
        "b\",\"price\":\"100.000\",\"event_ts\":1771286400000000123e-0,\"x\":\"y\",\"z\":null,"
        "\"quantity\":1,\"user_id\":\" \"}",
    };
    char first[SHOWN_MAX];
    decode_and_show(equal[0], strlen(equal[0]), RECEIVED_US, "event_key", first);
    for (size_t i = 1; i < ARRAY_LEN(equal); i++)
        check_record(equal[i], strlen(equal[i]), "event_key", first);
    static const char *const other[] = {
        "{\"product_id\":1,\"category\":\"a/b\",\"price\":100,\"event_ts\":1771286400,\"x\":\"Y\"}",
        "{\"product_id\":1,\"category\":\"a/"
        "b\",\"price\":100.00000000000001,\"event_ts\":1771286400,\"x\":\"y\"}",
        "{\"product_id\":1,\"category\":\"a/"
        "b\",\"price\":100,\"event_ts\":1771286400001,\"x\":\"y\"}",
        "{\"product_id\":1,\"category\":\"a/"
        "b\",\"price\":100,\"event_ts\":1771286400,\"x\":\"y\",\"quantity\":2}",
    };
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        char key[SHOWN_MAX];
        decode_and_show(other[i], strlen(other[i]), RECEIVED_US, "event_key", key);
        assert_int_equal(strlen(key), EVENT_KEY_HEX);
        assert_string_not_equal(key, first);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),    cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long),     cmocka_unit_test(test_event_id),
        cmocka_unit_test(test_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
