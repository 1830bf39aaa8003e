/* SPDX-License-Identifier: Apache-2.0 */
/* hdfs:// URLs: what they mean, and what is refused. */
#include "storage/hdfs_url.h"
#include "storage/helper.h"

static char *parsed(const char *url) {
    struct hdfs_url u;
    struct err e;
    assert_ok(hdfs_url_parse(url, &u, &e), &e);
    struct buf b = BUF_INIT(MIB);
    for (size_t i = 0; i < u.n; i++)
        buf_addf(&b, "%s ", u.hosts[i]);
    buf_addf(&b, "%s%s", u.path, u.tls ? " tls" : "");
    hdfs_url_release(&u);
    return buf_detach(&b);
}

static void urls_are_read(void **state ATTR_UNUSED) {
    static const char *const cases[][2] = {
        {"hdfs://nn/lake", "nn:9870 /lake"},
        {"hdfs://nn:50070/lake/", "nn:50070 /lake"},
        {"HDFS://nn.shop.example:1/a/b//", "nn.shop.example:1 /a/b"},
        {"webhdfs://nn/lake", "nn:9870 /lake"},
        {"swebhdfs://nn/lake", "nn:9871 /lake tls"},
        {"swebhdfs://nn:9/lake", "nn:9 /lake tls"},
        {"hdfs://a,b:9,c-1_2/lake", "a:9870 b:9 c-1_2:9870 /lake"},
        {"hdfs://[::1]:9870,[fe80::1]/lake", "[::1]:9870 [fe80::1]:9870 /lake"},
        {"hdfs://nn", "nn:9870 "},
        {"hdfs://nn/", "nn:9870 "},
        {"hdfs://nn/a b/%20/\303\251?x#y", "nn:9870 /a b/%20/\303\251?x#y"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *got = parsed(cases[i][0]);
        assert_true(hdfs_is_url(cases[i][0]));
        assert_string_equal(got, cases[i][1]);
    }
}

static void what_cannot_be_meant_is_refused(void **state ATTR_UNUSED) {
    static const char *const urls[] = {
        "hdfs://",           "hdfs:///lake",     "hdfs://,nn/lake",      "hdfs://nn,/lake",
        "hdfs://nn:/lake",   "hdfs://nn:0/lake", "hdfs://nn:65536/lake", "hdfs://nn:9870x/lake",
        "hdfs://nn:-1/x",    "hdfs://n n/lake",  "hdfs://nn?x=1/lake",   "hdfs://me:pw@nn/lake",
        "hdfs://me@nn/l",    "hdfs://nn/a//b",   "hdfs://nn/a/../b",     "hdfs://nn/./b",
        "hdfs://nn/..",      "hdfs://nn/a:b",    "hdfs://nn/a\nb",       "hdfs://nn/a\177b",
        "hdfs://nn/\200",    "hdfs://nn/\303",   "hdfs://[::1/lake",     "hdfs://[]/lake",
        "hdfs://nn:123456/x"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct hdfs_url u;
        struct err e;
        if (hdfs_url_parse(urls[i], &u, &e) != ERR_CONFIG)
            fail_msg("%s was accepted", urls[i]);
        assert_non_null(strstr(e.hint, "hdfs://HOST:PORT/PATH"));
        assert_null(strstr(e.msg, "pw"));
    }
    _cleanup_(freep) char *part = xcalloc(1, 257);
    memset(part, 'a', 256);
    _cleanup_(freep) char *long_part = xasprintf("hdfs://nn/%s", part);
    struct buf deep = BUF_INIT(MIB);
    buf_add_str(&deep, "hdfs://nn");
    for (int i = 0; i < LIMIT_PATH; i++)
        buf_add_str(&deep, "/a");
    const char *too_long[] = {long_part, buf_str(&deep)};
    for (size_t i = 0; i < ARRAY_LEN(too_long); i++) {
        struct hdfs_url u;
        struct err e;
        assert_int_equal(hdfs_url_parse(too_long[i], &u, &e), ERR_CONFIG);
    }
    buf_release(&deep);
}

static void other_urls_are_others(void **state ATTR_UNUSED) {
    static const char *const urls[] = {"file:data", "hdfs:/a", "hdfs",
                                       "s3://b/p",  "",        "xhdfs://a/b"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++)
        assert_false(hdfs_is_url(urls[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_read),
        cmocka_unit_test(what_cannot_be_meant_is_refused),
        cmocka_unit_test(other_urls_are_others),
    };
    return cmocka_run_group_tests_name("hdfs url", tests, NULL, NULL);
}
