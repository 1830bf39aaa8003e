/* SPDX-License-Identifier: Apache-2.0 */
/* What the S3 driver sends, and what it makes of each answer a store gives on a bad day. */
#include <assert.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "storage/s3_play.h"
#include "storage/s3_priv.h"

#define OK "", ""

static struct storage *lake(struct s3_play *p) {
    return s3_play_lake(p);
}

/* ---- what is sent ---- */

static void requests_are_signed(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    setenv("AWS_SESSION_TOKEN", "played-token", 1);
    http_play_answer(p->http, "GET", "/lake/", 200, "", "bytes");
    char *text = get_text(lake(p), "day=1/a%20b");
    assert_string_equal(text, "bytes");
    free(text);
    _cleanup_(freep) char *head = http_play_head(p->http, "GET", "/lake/");
    assert_has(head, "GET /shop-lake/lake/day%3D1/a%2520b HTTP/1.1\r\n");
    assert_has(head, "x-amz-date: 20");
    assert_has(head, "x-amz-content-sha256: "
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n");
    assert_has(head, "x-amz-security-token: played-token\r\n");
    assert_has(head, "authorization: AWS4-HMAC-SHA256 Credential=AKPLAYED/20");
    assert_has(head,
               "/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date;"
               "x-amz-security-token,Signature=");
    assert_null(strstr(head, "played-secret"));
    s3_play_free(p);
}

static void new_objects_are_put_on_one_condition(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    struct err e;
    http_play_answer(p->http, "PUT", "/lake/t/", 200, OK);
    assert_ok(storage_put_new(lake(p), "t/0", "abc", 3, &e), &e);
    _cleanup_(freep) char *head = http_play_head(p->http, "PUT", "/lake/t/0");
    assert_has(head, "if-none-match: *\r\n");
    assert_has(head, "SignedHeaders=host;if-none-match;");
    assert_has(head, "x-amz-content-sha256: "
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\r\n");
    assert_ok(storage_put(lake(p), "t/last", "abc", 3, &e), &e);
    _cleanup_(freep) char *other = http_play_head(p->http, "PUT", "/lake/t/last");
    assert_null(strstr(other, "if-none-match"));
    s3_play_free(p);
}

static void a_store_is_proven_once(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    struct err e;
    http_play_answer(p->http, "PUT", "/lake/t/", 200, OK);
    http_play_answer(p->http, "GET", "/lake/t/", 200, "", "bytes");
    free(get_text(lake(p), "t/0")); /* who only reads asks nothing */
    assert_int_equal(http_play_count(p->http, "PUT", "/.probe-"), 0);
    for (int i = 0; i < 3; i++)
        assert_ok(storage_put_new(lake(p), "t/0", "x", 1, &e), &e);
    assert_int_equal(http_play_count(p->http, "PUT", "/.probe-"), 2);
    assert_int_equal(http_play_count(p->http, "DELETE", "/.probe-"), 1);
    s3_play_free(p);
}

/* ---- stores that are not fit ---- */

static char *staged(struct storage *st, char dir[LIMIT_PATH]) {
    struct err e;
    assert_ok(storage_stage(st, dir, &e), &e);
    char *local = xasprintf("%s/part", dir);
    make_file(local, "rows", 4);
    return local;
}

static void who_ignores_the_condition_is_refused(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    struct err e;
    char dir[LIMIT_PATH];
    http_play_answer(p->http, "PUT", "/.probe-", 200, OK);
    http_play_answer(p->http, "PUT", "/lake/t/", 200, OK);
    _cleanup_(freep) char *local = staged(lake(p), dir);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(storage_put_new(lake(p), "t/0", "x", 1, &e), ERR_STORAGE);
        assert_has(e.msg, "ignores If-None-Match");
        assert_has(e.hint, "conditional writes");
        assert_false(e.retry);
        assert_int_equal(storage_publish(lake(p), local, "t/1", &e), ERR_STORAGE);
        assert_has(e.msg, "ignores If-None-Match");
    }
    assert_int_equal(http_play_count(p->http, "PUT", "/lake/t/"), 0);
    assert_int_equal(http_play_count(p->http, "DELETE", "/.probe-"), 4);
    storage_unstage(lake(p), dir);
    s3_play_free(p);
}

static void who_does_not_know_the_condition_is_refused(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    struct err e;
    http_play_answer(p->http, "PUT", "/.probe-", 501, "", S3_ERROR("NotImplemented", ""));
    assert_int_equal(storage_put_new(lake(p), "t/0", "x", 1, &e), ERR_STORAGE);
    assert_has(e.msg, "501 NotImplemented: played NotImplemented");
    assert_has(e.hint, "If-None-Match");
    s3_play_free(p);
}

/* ---- what can pass ---- */

static void what_can_pass_is_tried_again(void **state ATTR_UNUSED) {
    static const struct {
        int status;
        const char *body;
    } answers[] = {{503, S3_ERROR("SlowDown", "")},
                   {503, ""},
                   {500, S3_ERROR("InternalError", "")},
                   {502, "<html>"},
                   {504, ""},
                   {429, ""},
                   {408, ""},
                   {400, S3_ERROR("RequestTimeout", "")},
                   {409, S3_ERROR("ConditionalRequestConflict", "")},
                   {409, S3_ERROR("OperationAborted", "")},
                   {409, S3_ERROR("AnotherWord", "")},
                   {409, ""},
                   {307, S3_ERROR("TemporaryRedirect", "")},
                   {400, S3_ERROR("IncompleteBody", "")},
                   {400, S3_ERROR("BadDigest", "")},
                   {400, S3_ERROR("XAmzContentChecksumMismatch", "")},
                   {400, S3_ERROR("XAmzContentSHA256Mismatch", "")}};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct s3_play *p = s3_play_new();
        struct err e;
        http_play_answer(p->http, "PUT", "/lake/t/", answers[i].status, "", answers[i].body);
        http_play_then(p->http, answers[i].status, "", answers[i].body);
        http_play_then(p->http, 200, OK);
        assert_ok(storage_put_new(lake(p), "t/0", "x", 1, &e), &e);
        assert_int_equal(http_play_count(p->http, "PUT", "/lake/t/0"), 3);
        s3_play_free(p);
    }
}

static void cut_bodies_are_fetched_again(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    http_play_cut(p->http, "GET", "/lake/t/0", "0123456789");
    http_play_then(p->http, 200, "", "0123456789");
    char *text = get_text(lake(p), "t/0");
    assert_string_equal(text, "0123456789");
    free(text);
    http_play_cut(p->http, "GET", "/lake/t/1", "0123456789");
    http_play_then(p->http, 206, "Content-Range: bytes 0-9/10\r\nETag: \"e\"\r\n", "0123456789");
    char local[LIMIT_PATH];
    struct err e;
    assert_ok(storage_localize(lake(p), "t/1", 10, local, &e), &e);
    storage_unlocalize(lake(p), "t/1");
    assert_int_equal(http_play_count(p->http, "GET", "/lake/t/1"), 2);
    s3_play_free(p);
}

/* A body that ends with its connection may be a part of it. */
static void bodies_that_do_not_tell_their_end_are_not_taken(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    struct err e;
    http_play_open_end(p->http, "GET", "/lake/t/0", "{\"add\":1}\n", 0, 0);
    http_play_then(p->http, 200, "", "{\"add\":1}\n{\"add\":2}\n");
    char *text = get_text(lake(p), "t/0");
    assert_string_equal(text, "{\"add\":1}\n{\"add\":2}\n");
    free(text);
    lake(p)->patience_ms = 400;
    http_play_open_end(p->http, "GET", "/lake/t/1", "bytes", 0, 0);
    struct buf b = BUF_INIT(100);
    assert_int_equal(storage_get(lake(p), "t/1", &b, &e), ERR_STORAGE);
    assert_has(e.msg, "does not tell where it ends");
    assert_true(e.retry);
    struct storage_entries l = {0};
    http_play_open_end(p->http, "GET", "list-type=2", "<ListBucketResult/>", 0, 0);
    assert_int_equal(storage_list(lake(p), "t", NULL, &l, &e), ERR_STORAGE);
    assert_true(e.retry);
    s3_play_free(p);
}

static void patience_has_an_end(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    struct err e;
    struct buf b = BUF_INIT(100);
    http_play_answer(p->http, "GET", "/lake/", 503, "", S3_ERROR("SlowDown", ""));
    lake(p)->patience_ms = 1000;
    int64_t start = clock_mono_ns();
    assert_int_equal(storage_get(lake(p), "t/0", &b, &e), ERR_STORAGE);
    assert_true(clock_mono_ns() - start < 30000000000LL);
    assert_true(http_play_count(p->http, "GET", "/lake/t/0") > 2);
    assert_has(e.msg,
               "cannot get s3://shop-lake/lake/t/0: S3 answers GET with 503 SlowDown: played");
    assert_true(e.retry);
    s3_play_free(p);
}

/* Also called by the server's thread, where cmocka's asserts cannot be. */
static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "we");
    assert(f);
    fputs(text, f);
    fclose(f);
}

#define KEYS(id, token)                                                                            \
    "[default]\naws_access_key_id=" id "\naws_secret_access_key=s\naws_session_token=" token "\n"

static void renew_keys(void *arg) {
    write_file(arg, KEYS("AKNEW", "new-token"));
}

static void who_asks_for_time_gets_it(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    struct err e;
    struct storage *st = lake(p);
    st->patience_ms = 10000;
    http_play_answer(p->http, "PUT", "/lake/t/", 503, "Retry-After: 1\r\n",
                     S3_ERROR("SlowDown", ""));
    http_play_then(p->http, 200, OK);
    int64_t start = clock_mono_ns();
    assert_ok(storage_put_new(st, "t/0", "x", 1, &e), &e);
    assert_true(clock_mono_ns() - start > 990000000LL);
    s3_play_free(p);
}

static void keys_that_ended_are_replaced(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    char *dir = lake_folder_new();
    _cleanup_(freep) char *file = xasprintf("%s/credentials", dir);
    s3_test_keys(NULL, NULL, NULL);
    setenv("AWS_SHARED_CREDENTIALS_FILE", file, 1);
    write_file(file, KEYS("AKOLD", "old-token"));
    http_play_answer(p->http, "GET", "/lake/t/0", 400, "", S3_ERROR("ExpiredToken", ""));
    http_play_then(p->http, 200, "", "bytes");
    http_play_hook(p->http, renew_keys, file);
    char *text = get_text(lake(p), "t/0");
    assert_string_equal(text, "bytes");
    free(text);
    _cleanup_(freep) char *head = http_play_head(p->http, "GET", "/lake/t/0");
    assert_has(head, "Credential=AKNEW/");
    assert_has(head, "x-amz-security-token: new-token\r\n");
    /* Where there are no others, that is the end. */
    http_play_answer(p->http, "GET", "/lake/t/1", 400, "", S3_ERROR("ExpiredToken", ""));
    struct buf b = BUF_INIT(100);
    struct err e;
    assert_int_equal(storage_get(lake(p), "t/1", &b, &e), ERR_STORAGE);
    assert_has(e.hint, "get new ones");
    assert_int_equal(http_play_count(p->http, "GET", "/lake/t/1"), 1);
    lake_folder_free(dir);
    s3_play_free(p);
}

/* ---- what cannot ---- */

static void what_is_wrong_is_told_with_what_to_do(void **state ATTR_UNUSED) {
    static const struct {
        int status;
        const char *headers, *body, *says, *hint;
    } cases[] = {
        {301, "x-amz-bucket-region: eu-west-3\r\n", S3_ERROR("PermanentRedirect", ""),
         "PermanentRedirect", "set s3.region = eu-west-3 (now us-east-1)"},
        {400, "", S3_ERROR("AuthorizationHeaderMalformed", "<Region>eu-north-1</Region>"),
         "AuthorizationHeaderMalformed", "set s3.region = eu-north-1"},
        {307, "Location: http://elsewhere.example/\r\n", "", "307", "set s3.region"},
        {403, "", S3_ERROR("AccessDenied", ""), "403 AccessDenied", "s3:ListBucket"},
        {403, "", "", "403", "s3:PutObject"},
        {403, "", S3_ERROR("InvalidAccessKeyId", ""), "InvalidAccessKeyId",
         "not those of this store"},
        {403, "Date: Fri, 24 May 2013 00:00:00 GMT\r\n", S3_ERROR("RequestTimeTooSkewed", ""),
         "RequestTimeTooSkewed", "the store says Fri, 24 May 2013 00:00:00 GMT"},
        {404, "", S3_ERROR("NoSuchBucket", ""), "NoSuchBucket",
         "make the bucket 'shop-lake' first"},
        {400, "", S3_ERROR("KMS.DisabledException", ""), "KMS.DisabledException", ""},
        {400, "", "{\"no\":\"xml\"}", "with 400", ""},
        {418, "", "<Error><Code>a\x1b[31m</Code></Error>", "with 418", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct s3_play *p = s3_play_new();
        struct err e;
        http_play_answer(p->http, "PUT", "/lake/t/0", cases[i].status, cases[i].headers,
                         cases[i].body);
        assert_int_equal(storage_put_new(lake(p), "t/0", "x", 1, &e), ERR_STORAGE);
        assert_has(e.msg, "cannot put s3://shop-lake/lake/t/0: S3 answers PUT with ");
        assert_has(e.msg, cases[i].says);
        assert_has(e.hint, cases[i].hint);
        assert_null(strchr(e.msg, '\x1b'));
        assert_null(strstr(e.msg, "played-secret"));
        assert_false(e.retry || e.unsure);
        assert_int_equal(http_play_count(p->http, "PUT", "/lake/t/0"), 1);
        s3_play_free(p);
    }
}

/* HEAD is answered without a body: a list says what is wrong. */
static void a_refused_look_is_explained(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    struct storage_entry en;
    struct err e;
    http_play_answer(p->http, "HEAD", "/lake/t/0", 400, OK);
    http_play_answer(p->http, "GET", "list-type=2", 400, "",
                     S3_ERROR("AuthorizationHeaderMalformed", "<Region>eu-north-1</Region>"));
    assert_int_equal(storage_stat(lake(p), "t/0", &en, &e), ERR_STORAGE);
    assert_has(e.hint, "set s3.region = eu-north-1");
    http_play_answer(p->http, "GET", "list-type=2", 200, "", "<ListBucketResult/>");
    assert_int_equal(storage_stat(lake(p), "t/0", &en, &e), ERR_STORAGE);
    assert_has(e.msg, "S3 answers HEAD with 400");
    http_play_answer(p->http, "HEAD", "/lake/t/0", 404, OK);
    assert_int_equal(storage_stat(lake(p), "t/0", &en, &e), ERR_NOT_FOUND);
    s3_play_free(p);
}

/* ---- an answer got lost ---- */

static void an_entry_may_stand_there_after_a_lost_answer(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    struct err e;
    http_play_reset(p->http, "PUT", "/lake/t/0");
    http_play_then(p->http, 412, "", S3_ERROR("PreconditionFailed", ""));
    assert_int_equal(storage_put_new(lake(p), "t/0", "x", 1, &e), ERR_EXISTS);
    /* When no answer comes at all, nobody knows. */
    http_play_reset(p->http, "PUT", "/lake/t/1");
    lake(p)->patience_ms = 400;
    assert_int_equal(storage_put_new(lake(p), "t/1", "x", 1, &e), ERR_STORAGE);
    assert_true(e.unsure && e.retry);
    s3_play_free(p);
}

static void a_published_file_is_known_again(void **state ATTR_UNUSED) {
    const struct {
        uint32_t crc;
        const char *bytes;
        int want;
    } cases[] = {{crc32c(0, "rows", 4), "rows", 0},
                 {crc32c(0, "rows", 4), "more rows", ERR_EXISTS},
                 {crc32c(0, "none", 4), "rows", ERR_EXISTS}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct s3_play *p = s3_play_new();
        struct err e;
        char dir[LIMIT_PATH];
        _cleanup_(freep) char *local = staged(lake(p), dir);
        _cleanup_(freep) char *headers =
            xasprintf("x-amz-meta-clickmill-crc32c: %08x\r\nETag: \"e\"\r\n", cases[i].crc);
        http_play_reset(p->http, "PUT", "/lake/t/0");
        http_play_then(p->http, 412, "", S3_ERROR("PreconditionFailed", ""));
        http_play_answer(p->http, "HEAD", "/lake/t/0", 200, headers, cases[i].bytes);
        int r = storage_publish(lake(p), local, "t/0", &e);
        assert_int_equal(r, cases[i].want);
        assert_int_equal(access(local, F_OK), r ? 0 : -1);
        storage_unstage(lake(p), dir);
        s3_play_free(p);
    }
}

/* Whether it is ours cannot be told: that is no final answer. */
static void
a_published_file_that_cannot_be_looked_at_is_an_open_question(void **state ATTR_UNUSED) {
    struct s3_play *p = s3_play_new();
    struct err e;
    char dir[LIMIT_PATH];
    _cleanup_(freep) char *local = staged(lake(p), dir);
    http_play_reset(p->http, "PUT", "/lake/t/0");
    http_play_then(p->http, 412, "", S3_ERROR("PreconditionFailed", ""));
    http_play_answer(p->http, "HEAD", "/lake/t/0", 403, OK);
    http_play_answer(p->http, "GET", "list-type=2", 403, "", S3_ERROR("AccessDenied", ""));
    assert_int_equal(storage_publish(lake(p), local, "t/0", &e), ERR_STORAGE);
    assert_true(e.unsure && e.retry);
    assert_has(e.msg, "cannot put s3://shop-lake/lake/t/0");
    assert_int_equal(access(local, F_OK), 0);
    storage_unstage(lake(p), dir);
    s3_play_free(p);
}

#define UPLOAD(key, id, since)                                                                     \
    "<Upload><Key>" key "</Key><UploadId>" id "</UploadId><Initiated>" since "</Initiated></"      \
    "Upload>"
#define PROBE(key, since)                                                                          \
    "<Contents><Key>" key "</Key><LastModified>" since "</LastModified></Contents>"

static void what_killed_processes_left_goes_after_a_day(void **state ATTR_UNUSED) {
    static const char date[] = "Date: Tue, 24 Nov 2026 12:00:00 GMT\r\n";
    static const char uploads[] =
        "<ListMultipartUploadsResult>" UPLOAD("lake/t/old", "a/1", "2026-11-23T11:59:00.000Z")
            UPLOAD("lake/t/new", "b", "2026-11-23T12:01:00.000Z")
                UPLOAD("other/old", "c", "2020-01-01T00:00:00.000Z")
                    UPLOAD("lake/t/odd", "d", "yesterday") "</ListMultipartUploadsResult>";
    static const char probes[] =
        "<ListBucketResult>" PROBE("lake/.probe-1", "2026-11-01T00:00:00.000Z")
            PROBE("lake/.probe-2", "2026-11-24T11:00:00.000Z")
                PROBE("lake/t/0", "2020-01-01T00:00:00.000Z") "</ListBucketResult>";
    struct s3_play *p = s3_play_new();
    struct err e;
    char dir[LIMIT_PATH];
    http_play_answer(p->http, "PUT", "/lake/t/", 200, OK);
    http_play_answer(p->http, "GET", "/?prefix=lake%2F&uploads=", 200, date, uploads);
    http_play_answer(p->http, "GET", "/?list-type=2&prefix=lake%2F.probe-", 200, date, probes);
    http_play_answer(p->http, "DELETE", "/lake/", 204, OK);
    for (int i = 0; i < 2; i++) {
        _cleanup_(freep) char *local = staged(lake(p), dir);
        assert_ok(storage_publish(lake(p), local, "t/0", &e), &e);
        storage_unstage(lake(p), dir);
    }
    assert_int_equal(http_play_count(p->http, "GET", "uploads="), 1);
    assert_int_equal(http_play_count(p->http, "DELETE", "/lake/t/old?uploadId=a%2F1"), 1);
    assert_int_equal(http_play_count(p->http, "DELETE", "uploadId="), 1);
    assert_int_equal(http_play_count(p->http, "DELETE", "/lake/.probe-1 "), 1);
    assert_int_equal(http_play_count(p->http, "DELETE", ""), 3); /* and the probe of our own */
    s3_play_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_signed),
        cmocka_unit_test(new_objects_are_put_on_one_condition),
        cmocka_unit_test(a_store_is_proven_once),
        cmocka_unit_test(who_ignores_the_condition_is_refused),
        cmocka_unit_test(who_does_not_know_the_condition_is_refused),
        cmocka_unit_test(what_can_pass_is_tried_again),
        cmocka_unit_test(cut_bodies_are_fetched_again),
        cmocka_unit_test(bodies_that_do_not_tell_their_end_are_not_taken),
        cmocka_unit_test(patience_has_an_end),
        cmocka_unit_test(who_asks_for_time_gets_it),
        cmocka_unit_test(keys_that_ended_are_replaced),
        cmocka_unit_test(what_is_wrong_is_told_with_what_to_do),
        cmocka_unit_test(a_refused_look_is_explained),
        cmocka_unit_test(an_entry_may_stand_there_after_a_lost_answer),
        cmocka_unit_test(a_published_file_is_known_again),
        cmocka_unit_test(what_killed_processes_left_goes_after_a_day),
        cmocka_unit_test(a_published_file_that_cannot_be_looked_at_is_an_open_question),
    };
    setenv("NO_PROXY", "127.0.0.1", 1);
    log_setup(LOG_ERROR, false); /* tries are logged */
    return cmocka_run_group_tests_name("storage/s3 on the wire", tests, NULL, NULL);
}
