/* SPDX-License-Identifier: Apache-2.0 */
/* The values people write: what each spelling means, what is none, and passwords that do not show. */
#include "base/value.h"

#include "base/helper.h"

static void spellings_have_their_values(void **state ATTR_UNUSED) {
    static const struct {
        enum value_type type;
        const char *text;
        int64_t v;
    } cases[] = {
        {VALUE_INT, "0", 0},
        {VALUE_INT, "007", 7},
        {VALUE_INT, "-5", -5},
        {VALUE_INT, "9223372036854775807", INT64_MAX},
        {VALUE_INT, "-9223372036854775808", INT64_MIN},
        {VALUE_SIZE, "0", 0},
        {VALUE_SIZE, "17", 17},
        {VALUE_SIZE, "17B", 17},
        {VALUE_SIZE, "64KiB", 65536},
        {VALUE_SIZE, "64kib", 65536},
        {VALUE_SIZE, "64K", 65536},
        {VALUE_SIZE, "3MiB", 3145728},
        {VALUE_SIZE, "3m", 3145728},
        {VALUE_SIZE, "2GiB", 2147483648},
        {VALUE_SIZE, "2G", 2147483648},
        {VALUE_SIZE, "8589934591GiB", 9223372035781033984},
        {VALUE_DURATION, "0", 0},
        {VALUE_DURATION, "0s", 0},
        {VALUE_DURATION, "500ms", 500},
        {VALUE_DURATION, "10s", 10000},
        {VALUE_DURATION, "5m", 300000},
        {VALUE_DURATION, "1h", 3600000},
        {VALUE_DURATION, "7d", 604800000},
        {VALUE_DURATION, "9223372036854775s", 9223372036854775000},
        {VALUE_BOOL, "true", 1},
        {VALUE_BOOL, "Yes", 1},
        {VALUE_BOOL, "ON", 1},
        {VALUE_BOOL, "1", 1},
        {VALUE_BOOL, "false", 0},
        {VALUE_BOOL, "no", 0},
        {VALUE_BOOL, "off", 0},
        {VALUE_BOOL, "0", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t v = 77;
        struct err e;
        assert_ok(value_parse(cases[i].type, "x", cases[i].text, 0, 0, &v, &e), &e);
        assert_int_equal(v, cases[i].v);
    }
}

static void what_is_no_value_is_refused(void **state ATTR_UNUSED) {
    static const char *const texts[] = {"",
                                        " ",
                                        " 5",
                                        "\t5",
                                        "\n5",
                                        "5 ",
                                        "5\n",
                                        "+5",
                                        "--5",
                                        "-",
                                        "- 5",
                                        "5x",
                                        "5 KiB",
                                        "KiB",
                                        "0x10",
                                        "1.5",
                                        "1e3",
                                        "1,000",
                                        "five",
                                        "5KiBs",
                                        "5KKiB",
                                        "5\xc2\xa0",
                                        "nan",
                                        "maybe",
                                        "yess",
                                        "2",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "99999999999999999999999",
                                        "9223372036854775807KiB",
                                        "8589934592GiB",
                                        "9223372036854775807ms0",
                                        "106751991168d",
                                        "9223372036854776",
                                        "-5KiB",
                                        "-5ms",
                                        "-1h"};
    static const enum value_type types[] = {VALUE_INT, VALUE_SIZE, VALUE_DURATION, VALUE_BOOL};
    static const struct {
        enum value_type type;
        const char *text;
    } good[] = {{VALUE_INT, "2"},
                {VALUE_SIZE, "2"},
                {VALUE_INT, "9223372036854776"},
                {VALUE_SIZE, "9223372036854776"}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        for (size_t t = 0; t < ARRAY_LEN(types); t++) {
            bool expected = false;
            for (size_t g = 0; g < ARRAY_LEN(good); g++)
                expected |= good[g].type == types[t] && strcmp(good[g].text, texts[i]) == 0;
            int64_t v = 77;
            struct err e = {0};
            int r = value_parse(types[t], "the.key", texts[i], 0, 0, &v, &e);
            if ((r == 0) != expected)
                fail_msg("'%s' as %s: %d", texts[i], value_type_name(types[t]), r);
            if (r < 0) {
                assert_int_equal(r, ERR_CONFIG);
                assert_int_equal(v, 77);
                assert_memory_equal(e.msg, "the.key: '", 10);
                assert_non_null(strstr(e.msg, value_type_name(types[t])));
            }
        }
}

static void a_duration_has_a_unit(void **state ATTR_UNUSED) {
    int64_t v = 77;
    struct err e;
    assert_int_equal(value_parse(VALUE_DURATION, "--every", "5", 0, 0, &v, &e), ERR_CONFIG);
    assert_string_equal(
        e.msg, "--every: '5' is no duration such as 500ms, 10s, 5m, 1h or 7d: it has no unit");
    assert_int_equal(v, 77);
}

static void negative_sizes_and_durations_are_none(void **state ATTR_UNUSED) {
    int64_t v;
    struct err e;
    assert_int_equal(value_parse(VALUE_SIZE, "x", "-1", 0, 0, &v, &e), ERR_CONFIG);
    assert_int_equal(value_parse(VALUE_DURATION, "x", "-1", 0, 0, &v, &e), ERR_CONFIG);
}

static void limits_are_included(void **state ATTR_UNUSED) {
    static const struct {
        enum value_type type;
        const char *text;
        int64_t min, max;
        const char *words; /* NULL: good */
    } cases[] = {{VALUE_INT, "1", 1, 10, NULL},
                 {VALUE_INT, "10", 1, 10, NULL},
                 {VALUE_INT, "0", 1, 10, "k: '0' is out of range: 1 to 10"},
                 {VALUE_INT, "11", 1, 10, "k: '11' is out of range: 1 to 10"},
                 {VALUE_INT, "-1", 0, 10, "k: '-1' is out of range: 0 to 10"},
                 {VALUE_SIZE, "2KiB", 1, 2047, "k: '2KiB' is out of range: 1 to 2047 bytes"},
                 {VALUE_DURATION, "1s", 1, 999, "k: '1s' is out of range: 1 to 999 milliseconds"},
                 {VALUE_INT, "-7", -9, -5, NULL}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t v;
        struct err e = {0};
        int r = value_parse(cases[i].type, "k", cases[i].text, cases[i].min, cases[i].max, &v, &e);
        assert_int_equal(r, cases[i].words ? ERR_CONFIG : 0);
        assert_string_equal(e.msg, cases[i].words ? cases[i].words : "");
    }
}

static void ratios_go_from_0_to_1(void **state ATTR_UNUSED) {
    static const struct {
        const char *text;
        double v; /* -1: none */
    } cases[] = {{"0", 0},     {"1", 1},     {"0.25", 0.25}, {".5", 0.5},  {"1e-3", 0.001},
                 {"1.0", 1},   {"", -1},     {" 0.5", -1},   {"0.5 ", -1}, {"0.5x", -1},
                 {"+0.5", -1}, {"-0", -1},   {"-0.1", -1},   {"1.01", -1}, {"50%", -1},
                 {"nan", -1},  {"inf", -1},  {"0x1p-1", -1}, {"0,5", -1},  {"1e", -1},
                 {".", -1},    {"1e999", -1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double v = -1;
        struct err e;
        int r = value_parse_ratio("k", cases[i].text, &v, &e);
        assert_int_equal(r, cases[i].v < 0 ? ERR_CONFIG : 0);
        assert_true(v == cases[i].v);
    }
}

static void passwords_are_masked(void **state ATTR_UNUSED) {
    static const char *const cases[][2] = {
        {"postgresql://u:pw@h:5432/db", "postgresql://u:****@h:5432/db"},
        {"postgresql://u:p@w@h/db", "postgresql://u:****@h/db"},
        {"postgresql://u:p/w@h/db", "postgresql://u:****@h/db"},
        {"postgresql://u:p?w@h/db", "postgresql://u:****@h/db"},
        {"postgresql://u:p@a/b?c@h/db", "postgresql://u:****@h/db"},
        {"postgresql://u:p#:w@h/db", "postgresql://u:****@h/db"},
        {"postgresql://u:@h/db", "postgresql://u:****@h/db"},
        {"postgresql://:pw@h/db", "postgresql://:****@h/db"},
        {"postgresql://u@h/db", "postgresql://u@h/db"},
        {"postgresql://h:5432/db", "postgresql://h:5432/db"},
        {"postgresql://h/db?password=a", "postgresql://h/db?password=****"},
        {"postgresql://h/db?PassWord=a;b&port=1", "postgresql://h/db?PassWord=****&port=1"},
        {"postgresql://h/db?sslpassword=a&password=b",
         "postgresql://h/db?sslpassword=****&password=****"},
        {"postgresql://h/db?password=a&password=b",
         "postgresql://h/db?password=****&password=****"},
        {"postgresql://h/db?p%61ssword=a&user=b", "postgresql://h/db?p%61ssword=****&user=b"},
        {"postgresql://h/db?user=1&password=a=b", "postgresql://h/db?user=1&password=****"},
        {"postgresql://h/db?pasword=a&Host=b&sslpassword=&passfile=/p",
         "postgresql://h/db?pasword=****&Host=****&sslpassword=****&passfile=/p"},
        {"postgresql://u:secret/db", "postgresql://****"},
        {"postgresql://u:secret", "postgresql://****"},
        {"postgresql://[::1]:5432,h:1/db", "postgresql://[::1]:5432,h:1/db"},
        {"postgresql://u:secret@[::1]:5432,h/db", "postgresql://u:****@[::1]:5432,h/db"},
        {"postgresql://h/db?what", "postgresql://h/db?****"},
        {"postgresql://h/db?&&", "postgresql://h/db?&&"},
        {"postgresql://u:pw@h/db?password=b", "postgresql://u:****@h/db?password=****"},
        {"http://h/x?token=a&api_key=b&X-Amz-Signature=c&region=d",
         "http://h/x?token=****&api_key=****&X-Amz-Signature=****&region=d"},
        {"host=h password='a b' user=u", "host=h password=****"},
        {"password=a", "password=****"},
        {"kafka://h1:9092,h2:9092", "kafka://h1:9092,h2:9092"},
        {"sqlite:data/a.db", "sqlite:data/a.db"},
        {"file:///data/lake", "file:///data/lake"},
        {"duckdb", "duckdb"},
        {"://", "://"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *masked = url_mask(cases[i][0]);
        assert_string_equal(masked, cases[i][1]);
    }
}

/* No password gets out, whatever stands around it and whatever it holds. */
static void a_secret_never_shows(void **state ATTR_UNUSED) {
    static const char *const around[][2] = {{"postgresql://u:", "@h/db"},
                                            {"postgresql://u:", "@h/db?x=1"},
                                            {"postgresql://:", "@h"},
                                            {"http://u:", "@h:80/a@b?c=d@e"},
                                            {"postgresql://h/db?password=", ""},
                                            {"postgresql://u@h/db?a=b&sslpassword=", "&c=d"},
                                            {"host=h password=", " dbname=d"}};
    static const char alphabet[] = "@/?:#=;%[] ";
    uint64_t seed = 1234567;
    for (int round = 0; round < 5000; round++) {
        char noise[3] = {0};
        for (size_t i = 0; i < 2; i++)
            noise[i] = alphabet[random_next(&seed) % (sizeof alphabet - 1)];
        const char *const *a = around[random_next(&seed) % ARRAY_LEN(around)];
        _cleanup_(freep) char *url = xasprintf("%s%cSECRET%s%s", a[0], noise[0], noise + 1, a[1]);
        _cleanup_(freep) char *masked = url_mask(url);
        if (strstr(masked, "SECRET"))
            fail_msg("%s shows as %s", url, masked);
    }
}

static void names_of_secrets_are_known(void **state ATTR_UNUSED) {
    static const char *const secret[] = {"sasl.password",
                                         "ssl.key.password",
                                         "ssl.keystore.password",
                                         "ssl.key.pem",
                                         "sasl.oauthbearer.config",
                                         "sasl.oauthbearer.client.secret",
                                         "sasl.oauthbearer.assertion.private.key.passphrase",
                                         "hdfs.token"};
    static const char *const open[] = {"sasl.username", "ssl.key.location", "linger.ms",
                                       "sasl.oauthbearer.token.endpoint.url"};
    for (size_t i = 0; i < ARRAY_LEN(secret); i++)
        assert_true(is_secret_name(secret[i]));
    for (size_t i = 0; i < ARRAY_LEN(open); i++)
        assert_false(is_secret_name(open[i]));
}

static void distances_are_counted(void **state ATTR_UNUSED) {
    char long_name[100];
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    const struct {
        const char *a, *b;
        size_t n;
    } cases[] = {{"", "", 0},
                 {"", "abc", 3},
                 {"abc", "abc", 0},
                 {"abc", "abd", 1},
                 {"abc", "ac", 1},
                 {"abc", "xabc", 1},
                 {"kitten", "sitting", 3},
                 {"stream.ulr", "stream.url", 2},
                 {long_name, "x", 64},
                 {long_name + 35, "", 64}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(edit_distance(cases[i].a, cases[i].b), cases[i].n);
        assert_int_equal(edit_distance(cases[i].b, cases[i].a), cases[i].n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings_have_their_values),
        cmocka_unit_test(what_is_no_value_is_refused),
        cmocka_unit_test(a_duration_has_a_unit),
        cmocka_unit_test(negative_sizes_and_durations_are_none),
        cmocka_unit_test(limits_are_included),
        cmocka_unit_test(ratios_go_from_0_to_1),
        cmocka_unit_test(passwords_are_masked),
        cmocka_unit_test(a_secret_never_shows),
        cmocka_unit_test(names_of_secrets_are_known),
        cmocka_unit_test(distances_are_counted),
    };
    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
