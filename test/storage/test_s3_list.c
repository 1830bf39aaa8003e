/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of a store, well-formed and otherwise. */
#include "base/log.h"
#include "base/util.h"
#include "storage/s3_play.h"
#include "storage/s3_priv.h"

#define LIST(inner)                                                                                \
    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" inner                   \
    "</ListBucketResult>"
#define OBJECT(key, size)                                                                          \
    "<Contents><Key>" key "</Key><LastModified>2026-11-22T12:34:56.789Z</LastModified>"            \
    "<ETag>&quot;e&quot;</ETag><Size>" size "</Size></Contents>"
#define FOLDER(prefix) "<CommonPrefixes><Prefix>" prefix "</Prefix></CommonPrefixes>"
#define MORE(token)                                                                                \
    "<IsTruncated>true</IsTruncated><NextContinuationToken>" token "</NextContinuationToken>"

static void check(const char *const *pages, size_t n, const char *start_after, const char *want) {
    struct s3_play *p = s3_play_new();
    for (size_t i = 0; i < n; i++)
        if (i == 0)
            http_play_answer(p->http, "GET", "list-type=2", 200, "", pages[i]);
        else
            http_play_then(p->http, 200, "", pages[i]);
    char *names = names_in(s3_play_lake(p), "t", start_after);
    assert_string_equal(names, want);
    free(names);
    assert_int_equal(http_play_count(p->http, "GET", "list-type=2"), (int)n);
    s3_play_free(p);
}

static void one_page(const char *page, const char *start_after, const char *want) {
    check(&page, 1, start_after, want);
}

static void names_are_those_right_below(void **state ATTR_UNUSED) {
    one_page(LIST(""), NULL, "");
    one_page(LIST(OBJECT("lake/t/b", "5") OBJECT("lake/t/a", "0") FOLDER("lake/t/sub/")), NULL,
             "a b sub/");
    /* The folder's own mark, what is hidden, what was not asked for. */
    one_page(LIST(OBJECT("lake/t/", "0") OBJECT("lake/t/.x", "1") FOLDER("lake/t/.y/")
                      OBJECT("other/t/z", "1") OBJECT("lake/t/u/v", "1") OBJECT("", "1") FOLDER("/")
                          FOLDER("") FOLDER("lake/")),
             NULL, "");
}

static void encoded_names_are_decoded(void **state ATTR_UNUSED) {
    one_page(LIST(OBJECT("lake/t/a%2520b+c%2Bd%C3%A9", "1") "<EncodingType>url</EncodingType>"),
             NULL, "a%20b c+d\303\251");
    one_page(LIST(OBJECT("lake/t/a%2520b+c", "1")), NULL,
             "a%2520b+c"); /* the store did not say so */
    one_page(LIST("<EncodingType>url</EncodingType>" OBJECT("lake/t/%", "1")
                      OBJECT("lake/t/%zz%00", "1") FOLDER("lake/t/d%3D1/")),
             NULL, "% %zz%00 d=1/");
}

static void names_after_another_are_asked_for(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    http_play_answer(p->http, "GET", "list-type=2", 200, "",
                     LIST(OBJECT("lake/t/b", "1") OBJECT("lake/t/c", "1") FOLDER("lake/t/b/")));
    char *names = names_in(s3_play_lake(p), "t", "b");
    assert_string_equal(names, "c");
    free(names);
    _cleanup_(freep) char *head = http_play_head(p->http, "GET", "list-type=2");
    static const char first[] =
        "GET /shop-lake/?delimiter=%2F&encoding-type=url&list-type=2&prefix="
        "lake%2Ft%2F&start-after=lake%2Ft%2Fb HTTP/1.1\r\n";
    assert_memory_equal(head, first, sizeof first - 1);
    s3_play_free(p);
}

static void pages_follow_each_other(void **state ATTR_UNUSED) {
    const char *pages[] = {LIST(OBJECT("lake/t/a", "1") MORE("one/two==")),
                           LIST(OBJECT("lake/t/b", "1") MORE("three")),
                           LIST(OBJECT("lake/t/c", "1"))};
    check(pages, ARRAY_LEN(pages), NULL, "a b c");
    struct s3_play *p = s3_play_new();
    http_play_answer(p->http, "GET", "list-type=2", 200, "", pages[0]);
    http_play_answer(p->http, "GET", "continuation-token=one%2Ftwo%3D%3D&delimiter", 200, "",
                     pages[2]);
    char *names = names_in(s3_play_lake(p), "t", NULL);
    assert_string_equal(names, "a c");
    free(names);
    s3_play_free(p);
}

static void size_and_age_are_read(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    struct storage_entries l = {0};
    struct err e;
    http_play_answer(p->http, "GET", "list-type=2", 200, "",
                     LIST(OBJECT("lake/t/a", "5368709121") FOLDER("lake/t/b/")));
    assert_ok(storage_list(s3_play_lake(p), "t", NULL, &l, &e), &e);
    assert_int_equal(l.n, 2);
    assert_int_equal(l.v[0].size, 5368709121LL);
    assert_int_equal(l.v[0].mtime_ms, 1795350896789LL);
    assert_false(l.v[0].is_dir);
    assert_true(l.v[1].is_dir);
    assert_int_equal(l.v[1].size, 0);
    storage_entries_release(&l);
    s3_play_free(p);
}

static void nonsense_is_an_error(void **state ATTR_UNUSED) {
    static const char *const bad[] = {
        "",
        "{}",
        "<html>",
        "<Other/>",
        "<ListBucketResult>",
        "<!DOCTYPE x [<!ENTITY a \"b\">]>" LIST(OBJECT("lake/t/&a;", "1")),
        LIST(OBJECT("lake/t/a", "")),
        LIST(OBJECT("lake/t/a", "-1")),
        LIST(OBJECT("lake/t/a", "1x")),
        LIST(OBJECT("lake/t/a", "99999999999999999999")),
        LIST("<Contents><Key>lake/t/a</Key><Size>1</Size><LastModified>yesterday</LastModified></"
             "Contents>"),
        LIST("<Contents><Size>1</Size></Contents>"),
        LIST("<IsTruncated>true</IsTruncated>"),
        LIST(MORE("")),
        LIST(OBJECT("lake/t/a", "1") MORE("same"))};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct s3_play *p = s3_play_new();
        struct storage_entries l = {0};
        struct err e;
        http_play_answer(p->http, "GET", "list-type=2", 200, "", bad[i]);
        if (storage_list(s3_play_lake(p), "t", NULL, &l, &e) != ERR_STORAGE)
            fail_msg("taken for a list: %s", bad[i]);
        assert_non_null(strstr(e.msg, "cannot list s3://shop-lake/lake/t: "));
        assert_int_equal(l.n, 0);
        s3_play_free(p);
    }
}

/* Half a token would be a question about something else. */
static void a_token_that_fits_no_url_ends_a_list(void **state ATTR_UNUSED) {
    _cleanup_(freep) char *token = xcalloc(1, 30001);
    memset(token, '+', 30000); /* three bytes each in a URL */
    _cleanup_(freep) char *page = xasprintf(LIST(MORE("%s")), token);
    struct s3_play *p = s3_play_new();
    struct storage_entries l = {0};
    struct err e;
    http_play_answer(p->http, "GET", "list-type=2", 200, "", page);
    assert_int_equal(storage_list(s3_play_lake(p), "t", NULL, &l, &e), ERR_STORAGE);
    assert_has(e.msg, "NextContinuationToken");
    assert_int_equal(http_play_count(p->http, "GET", "list-type=2"), 1);
    s3_play_free(p);
}

static void endless_lists_have_an_end(void **state ATTR_UNUSED) {
    static const char *const pages[] = {LIST(MORE("next")), LIST(OBJECT("lake/t/.x", "1"))};
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        struct storage_entries l = {0};
        struct buf xml = BUF_INIT(MIB);
        struct err e;
        char *token = NULL;
        int64_t seen = 0;
        buf_add_str(&xml, pages[i]);
        assert_ok(s3_list_page(&xml, "lake/t/", NULL, &seen, &l, &token, &e), &e);
        assert_true(seen > 0);
        free(TAKE_PTR(token));
        seen = LIMIT_LIST;
        assert_int_equal(s3_list_page(&xml, "lake/t/", NULL, &seen, &l, &token, &e), ERR_STORAGE);
        assert_non_null(strstr(e.msg, "has no end"));
        assert_null(token);
        buf_release(&xml);
    }
}

static void a_stop_ends_a_list(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    struct storage_entries l = {0};
    struct err e;
    http_play_answer(p->http, "GET", "list-type=2", 200, "", LIST(MORE("one")));
    http_play_then(p->http, 200, "", LIST(MORE("two")));
    http_play_then(p->http, 200, "", LIST(""));
    stop_request();
    assert_int_equal(storage_list(s3_play_lake(p), "t", NULL, &l, &e), ERR_STOPPED);
    stop_reset();
    assert_int_equal(http_play_count(p->http, "GET", "list-type=2"), 1);
    assert_ok(storage_list(s3_play_lake(p), "t", NULL, &l, &e), &e);
    s3_play_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_right_below),
        cmocka_unit_test(encoded_names_are_decoded),
        cmocka_unit_test(names_after_another_are_asked_for),
        cmocka_unit_test(pages_follow_each_other),
        cmocka_unit_test(size_and_age_are_read),
        cmocka_unit_test(nonsense_is_an_error),
        cmocka_unit_test(a_token_that_fits_no_url_ends_a_list),
        cmocka_unit_test(endless_lists_have_an_end),
        cmocka_unit_test(a_stop_ends_a_list),
    };
    setenv("NO_PROXY", "127.0.0.1", 1);
    log_setup(LOG_ERROR, false);
    return cmocka_run_group_tests_name("storage/s3 lists", tests, NULL, NULL);
}
