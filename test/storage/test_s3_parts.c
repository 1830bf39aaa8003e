/* SPDX-License-Identifier: Apache-2.0 */
/* Large files, which go and come in parts: what happens when a part, or the end of it all, goes wrong. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "storage/s3_play.h"
#include "storage/s3_priv.h"

enum { PART = 16 * MIB, LARGE = 2 * PART + 5 };

#define BEGUN                                                                                      \
    "<InitiateMultipartUploadResult><UploadId>up/1=</UploadId></InitiateMultipartUploadResult>"
#define DONE "<CompleteMultipartUploadResult><ETag>\"all\"</ETag></CompleteMultipartUploadResult>"

struct bench {
    struct s3_play *p;
    char dir[LIMIT_PATH], *local;
};

/* A store that takes an upload in three parts, and the file for it: zeros, which need no disk. */
static struct bench begin(void) {
    struct bench b = {.p = s3_play_new()};
    struct err e;
    http_play_answer(b.p->http, "POST", "/lake/t/0?uploads=", 200, "", BEGUN);
    http_play_answer(b.p->http, "PUT", "?partNumber=", 200, "ETag: \"part\"\r\n", "");
    http_play_answer(b.p->http, "POST", "/lake/t/0?uploadId=", 200, "", DONE);
    http_play_answer(b.p->http, "DELETE", "?uploadId=", 204, "", "");
    assert_ok(storage_stage(s3_play_lake(b.p), b.dir, &e), &e);
    b.local = xasprintf("%s/large", b.dir);
    int fd = open(b.local, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    assert_true(fd >= 0 && ftruncate(fd, LARGE) == 0);
    close(fd);
    return b;
}

static void end(struct bench *b) {
    storage_unstage(s3_play_lake(b->p), b->dir);
    free(b->local);
    s3_play_free(b->p);
}

static int publish(struct bench *b, struct err *e) {
    return storage_publish(s3_play_lake(b->p), b->local, "t/0", e);
}

static int aborts(struct bench *b) {
    return http_play_count(b->p->http, "DELETE", "/lake/t/0?uploadId=up%2F1%3D");
}

static void a_large_file_is_sent_in_parts(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    assert_ok(publish(&b, &e), &e);
    assert_int_equal(http_play_count(b.p->http, "PUT", "?partNumber="), 3);
    for (int i = 1; i <= 3; i++) {
        _cleanup_(freep) char *target =
            xasprintf("/lake/t/0?partNumber=%d&uploadId=up%%2F1%%3D ", i);
        _cleanup_(freep) char *head = http_play_head(b.p->http, "PUT", target);
        assert_non_null(head);
        _cleanup_(freep) char *len = xasprintf("Content-Length: %d\r\n", i < 3 ? PART : 5);
        assert_has(head, len);
        assert_has(head, "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n");
        assert_has(head, "SignedHeaders=host;x-amz-checksum-crc32c;");
    }
    _cleanup_(freep) char *started = http_play_head(b.p->http, "POST", "?uploads=");
    assert_has(started, "x-amz-meta-clickmill-crc32c: ");
    assert_has(started, "x-amz-checksum-algorithm: CRC32C\r\n");
    _cleanup_(freep) char *ended = http_play_head(b.p->http, "POST", "?uploadId=");
    assert_has(ended, "if-none-match: *\r\n");
    assert_int_equal(aborts(&b), 0);
    end(&b);
}

static void a_part_that_fails_ends_the_upload(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    http_play_answer(b.p->http, "PUT", "?partNumber=2&", 403, "", S3_ERROR("AccessDenied", ""));
    assert_int_equal(publish(&b, &e), ERR_STORAGE);
    assert_has(e.msg, "cannot put s3://shop-lake/lake/t/0: S3 answers PUT with 403 AccessDenied");
    assert_int_equal(aborts(&b), 1);
    assert_int_equal(http_play_count(b.p->http, "POST", "?uploadId="), 0);
    assert_int_equal(access(b.local, F_OK), 0); /* it can be tried again */
    http_play_answer(b.p->http, "PUT", "?partNumber=2&", 200, "ETag: \"part\"\r\n", "");
    assert_ok(publish(&b, &e), &e);
    end(&b);
}

static void parts_are_sent_again_alone(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    http_play_answer(b.p->http, "PUT", "?partNumber=2&", 503, "", S3_ERROR("SlowDown", ""));
    http_play_then(b.p->http, 200, "ETag: \"part\"\r\n", "");
    http_play_reset(b.p->http, "PUT", "?partNumber=3&");
    http_play_then(b.p->http, 200, "ETag: \"part\"\r\n", "");
    assert_ok(publish(&b, &e), &e);
    assert_int_equal(http_play_count(b.p->http, "PUT", "?partNumber=1&"), 1);
    assert_int_equal(http_play_count(b.p->http, "PUT", "?partNumber=2&"), 2);
    assert_int_equal(aborts(&b), 0);
    end(&b);
}

static void answers_that_lack_what_is_needed_end_it(void **state ATTR_UNUSED) {
    static const char nameless[] = "<InitiateMultipartUploadResult><UploadId></UploadId>"
                                   "</InitiateMultipartUploadResult>";
    static const char *const begun[] = {"", "<InitiateMultipartUploadResult/>", "<x>", nameless};
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(begun); i++) {
        struct bench b = begin();
        s3_play_lake(b.p)->patience_ms = 400;
        http_play_answer(b.p->http, "POST", "?uploads=", 200, "", begun[i]);
        assert_int_equal(publish(&b, &e), ERR_STORAGE);
        assert_int_equal(http_play_count(b.p->http, "PUT", "?partNumber="), 0);
        end(&b);
    }
    static const char *const headers[] = {"", "ETag:\r\n", "ETag: \"<x>\"\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        struct bench b = begin();
        http_play_answer(b.p->http, "PUT", "?partNumber=1&", 200, headers[i], "");
        assert_int_equal(publish(&b, &e), ERR_STORAGE);
        assert_has(e.msg, "gave part 1 no ETag");
        assert_int_equal(aborts(&b), 1);
        end(&b);
    }
}

/* The name of an upload is the store's to choose, but it must fit into a URL. */
static void an_upload_whose_name_is_too_long_is_not_begun(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    _cleanup_(freep) char *name = xcalloc(1, 3001);
    memset(name, '+', 3000); /* three bytes each in a URL */
    _cleanup_(freep) char *begun = xasprintf("<InitiateMultipartUploadResult><UploadId>%s"
                                             "</UploadId></InitiateMultipartUploadResult>",
                                             name);
    http_play_answer(b.p->http, "POST", "?uploads=", 200, "", begun);
    assert_int_equal(publish(&b, &e), ERR_STORAGE);
    assert_has(e.msg, "a name of 3000 bytes");
    assert_int_equal(http_play_count(b.p->http, "PUT", "?partNumber="), 0);
    assert_int_equal(http_play_count(b.p->http, "DELETE", "?uploadId="), 0); /* not half a name */
    end(&b);
}

static void blanks_before_an_answer_are_no_part_of_it(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    http_play_answer(b.p->http, "POST", "?uploads=", 200, "", " \n<?xml version=\"1.0\"?>" BEGUN);
    assert_ok(publish(&b, &e), &e);
    end(&b);
}

/* The answer begins with 200 long before the store knows. */
static void an_end_that_fails_behind_its_200_is_seen(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    http_play_answer(b.p->http, "POST", "?uploadId=", 200, "", S3_ERROR("InternalError", ""));
    http_play_then(b.p->http, 200, "", DONE);
    assert_ok(publish(&b, &e), &e);
    assert_int_equal(http_play_count(b.p->http, "POST", "?uploadId="), 2);
    end(&b);
    b = begin();
    http_play_answer(b.p->http, "POST", "?uploadId=", 200, "", S3_ERROR("InvalidPart", ""));
    http_play_answer(b.p->http, "HEAD", "/lake/t/0", 404, "", "");
    assert_int_equal(publish(&b, &e), ERR_STORAGE);
    assert_has(e.msg, "InvalidPart");
    assert_int_equal(aborts(&b), 1);
    end(&b);
}

/* Whatever comes with 200 and is not the whole result: nobody knows, and it is asked again. */
static void an_end_that_says_nothing_is_none(void **state ATTR_UNUSED) {
    static const char spaced[] = "<Error xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                                 "<Code>InternalError</Code></Error>";
    static const char *const bodies[] = {"",
                                         "  \n  ",
                                         "<CompleteMultipartUploadResult><ETag>\"all\"</ETag>",
                                         spaced,
                                         "<ListBucketResult/>",
                                         "<x><CompleteMultipartUploadResult/></x>",
                                         "<html><body>welcome</body></html>"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct bench b = begin();
        struct err e;
        http_play_answer(b.p->http, "POST", "?uploadId=", 200, "", bodies[i]);
        http_play_then(b.p->http, 200, "", "\n <?xml version=\"1.0\"?>" DONE);
        assert_ok(publish(&b, &e), &e);
        assert_int_equal(http_play_count(b.p->http, "POST", "?uploadId="), 2);
        end(&b);
    }
    struct bench b = begin();
    struct err e;
    s3_play_lake(b.p)->patience_ms = 400;
    http_play_answer(b.p->http, "POST", "?uploadId=", 200, "", "");
    http_play_answer(b.p->http, "HEAD", "/lake/t/0", 404, "", "");
    assert_int_equal(publish(&b, &e), ERR_STORAGE);
    assert_true(e.retry && e.unsure);
    assert_int_equal(aborts(&b), 1);
    assert_int_equal(access(b.local, F_OK), 0);
    end(&b);
}

/* Blanks, and then the connection ends as if that were all. */
static void an_end_that_is_cut_off_is_none(void **state ATTR_UNUSED) {
    static const char *const bodies[] = {"   ", DONE};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct bench b = begin();
        struct err e;
        http_play_open_end(b.p->http, "POST", "?uploadId=", bodies[i], 0, 0);
        http_play_then(b.p->http, 200, "", DONE);
        assert_ok(publish(&b, &e), &e);
        assert_int_equal(http_play_count(b.p->http, "POST", "?uploadId="), 2);
        end(&b);
    }
}

/* The parts are put together while we wait. */
static void an_end_may_take_its_time(void **state ATTR_UNUSED) {
    struct bench b = begin();
    struct err e;
    s3_of(s3_play_lake(b.p))->stall_ms = 1000;
    http_play_answer(b.p->http, "POST", "?uploadId=", 200, "", DONE);
    http_play_delay(b.p->http, 2500);
    assert_ok(publish(&b, &e), &e);
    assert_int_equal(http_play_count(b.p->http, "POST", "?uploadId="), 1);
    end(&b);
}

static char *ours(void) {
    _cleanup_(freep) char *zeros = xcalloc(1, LARGE);
    return xasprintf("x-amz-meta-clickmill-crc32c: %08x\r\nETag: \"e\"\r\n",
                     crc32c(0, zeros, LARGE));
}

/* The upload is complete, its answer was lost: now the store knows no such upload. */
static void an_end_whose_answer_was_lost_is_found_out(void **state ATTR_UNUSED) {
    _cleanup_(freep) char *mine = ours();
    static const char *const ends[] = {S3_ERROR("NoSuchUpload", ""),
                                       S3_ERROR("PreconditionFailed", "")};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        for (int is_ours = 0; is_ours <= 1; is_ours++) {
            struct bench b = begin();
            struct err e;
            http_play_reset(b.p->http, "POST", "?uploadId=");
            http_play_then(b.p->http, i ? 412 : 404, "", ends[i]);
            http_play_answer_head(b.p->http, "/lake/t/0", is_ours ? mine : "", LARGE);
            int r = publish(&b, &e);
            assert_int_equal(r, is_ours ? 0 : i ? ERR_EXISTS : ERR_STORAGE);
            end(&b);
        }
}

/* ---- and back ---- */

static char *zeros_of(size_t n) {
    return xcalloc(1, n + 1);
}

static int localize(struct s3_play *p, int64_t size, struct err *e) {
    char local[LIMIT_PATH];
    int r = storage_localize(s3_play_lake(p), "t/0", size, local, e);
    if (r == 0) {
        struct stat sb;
        assert_int_equal(stat(local, &sb), 0);
        assert_int_equal(sb.st_size, size);
        storage_unlocalize(s3_play_lake(p), "t/0");
    }
    return r;
}

static void small_objects_come_in_one_request(void **state ATTR_UNUSED) {
    static const struct {
        int status;
        const char *headers, *body;
        int64_t size;
    } cases[] = {{206, "Content-Range: bytes 0-4/5\r\nETag: \"e\"\r\n", "bytes", 5},
                 {200, "ETag: \"e\"\r\n", "bytes", 5}, /* a store that knows no ranges */
                 {416, "Content-Range: bytes */0\r\n", S3_ERROR("InvalidRange", ""), 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct s3_play *p = s3_play_new();
        struct err e;
        http_play_answer(p->http, "GET", "/lake/t/0", cases[i].status, cases[i].headers,
                         cases[i].body);
        assert_ok(localize(p, cases[i].size, &e), &e);
        assert_int_equal(http_play_count(p->http, "GET", "/lake/t/0"), 1);
        _cleanup_(freep) char *head = http_play_head(p->http, "GET", "/lake/t/0");
        assert_has(head, "range: bytes=0-16777215\r\n");
        s3_play_free(p);
    }
}

static void ranges_that_lie_are_errors(void **state ATTR_UNUSED) {
    static const char *const headers[] = {"",
                                          "Content-Range: bytes 0-4/6\r\n",
                                          "Content-Range: bytes 0-4/*\r\n",
                                          "Content-Range: bytes 1-5/5\r\n",
                                          "Content-Range: bytes 0-3/5\r\n",
                                          "Content-Range: bytes 0-4/5x\r\n",
                                          "Content-Range: bytes /5\r\n",
                                          "Content-Range: bytes 0-4/4\r\n",
                                          "Content-Range: bytes 0-4/99999999999999999999\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        struct s3_play *p = s3_play_new();
        struct err e;
        http_play_answer(p->http, "GET", "/lake/t/0", 206, headers[i], "bytes");
        s3_play_lake(p)->patience_ms = 0;
        assert_int_equal(localize(p, 5, &e), ERR_STORAGE);
        assert_has(e.msg, "cannot get s3://shop-lake/lake/t/0");
        s3_play_free(p);
    }
}

/* The first part of a large object is played; what becomes of the other is the case. */
static void objects_replaced_meanwhile_are_fetched_anew(void **state ATTR_UNUSED) {
    static const char first[] = "Content-Range: bytes 0-16777215/16777221\r\nETag: \"one\"\r\n",
                      rest[] = "Content-Range: bytes 16777216-16777220/16777221\r\n";
    static const struct {
        int status;
        const char *headers, *body, *says;
    } cases[] = {
        {412, "", S3_ERROR("PreconditionFailed", ""), "replaced while it was read"},
        {404, "", S3_ERROR("NoSuchKey", ""), "replaced while it was read"},
        {206, rest, "shor", "sent 4 bytes where 5 were asked for"},
        {206, "", "01234", "other bytes than those from 16777216 on"},
        {206, "Content-Range: bytes 0-4/16777221\r\n", "01234", "other bytes than those"},
        {206, "Content-Range: bytes 16777216-16777220/16777222\r\n", "01234", "other bytes than"}};
    _cleanup_(freep) char *part = zeros_of(PART);
    memset(part, 'x', PART);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct s3_play *p = s3_play_new();
        struct err e;
        http_play_answer(p->http, "GET", "/lake/t/0", 206, first, part);
        http_play_then(p->http, cases[i].status, cases[i].headers, cases[i].body);
        http_play_then(p->http, 206, first, part);
        http_play_then(p->http, 206, rest, "01234");
        s3_play_lake(p)->patience_ms = 0;
        assert_int_equal(localize(p, PART + 5, &e), ERR_STORAGE);
        assert_has(e.msg, cases[i].says);
        assert_true(e.retry);
        _cleanup_(freep) char *head = http_play_head(p->http, "GET", "/lake/t/0");
        assert_has(head, "if-match: \"one\"\r\n");
        assert_has(head, "range: bytes=16777216-16777220\r\n");
        s3_play_free(p);
        if (i % 2)
            continue; /* half of them is enough */
        p = s3_play_new();
        http_play_answer(p->http, "GET", "/lake/t/0", 206, first, part);
        http_play_then(p->http, cases[i].status, cases[i].headers, cases[i].body);
        http_play_then(p->http, 206, first, part);
        http_play_then(p->http, 206, rest, "01234");
        s3_play_lake(p)->patience_ms = 5000;
        assert_ok(localize(p, PART + 5, &e), &e);
        assert_int_equal(http_play_count(p->http, "GET", "/lake/t/0"), 4);
        s3_play_free(p);
    }
}

static void no_etag_is_no_condition(void **state ATTR_UNUSED) {
    _cleanup_(freep) char *part = zeros_of(PART);
    memset(part, 'x', PART);
    struct s3_play *p = s3_play_new();
    struct err e;
    http_play_answer(p->http, "GET", "/lake/t/0", 206,
                     "Content-Range: bytes 0-16777215/16777221\r\n", part);
    http_play_then(p->http, 206, "Content-Range: bytes 16777216-16777220/16777221\r\n", "01234");
    assert_ok(localize(p, PART + 5, &e), &e);
    _cleanup_(freep) char *head = http_play_head(p->http, "GET", "/lake/t/0");
    assert_null(strstr(head, "if-match"));
    s3_play_free(p);
}

/* What we noted with the object when we sent it. */
static void what_came_is_what_was_sent(void **state ATTR_UNUSED) {
    _cleanup_(freep) char *noted = xasprintf(
        "Content-Range: bytes 0-4/5\r\nETag: \"e\"\r\nx-amz-meta-clickmill-crc32c: %08x\r\n",
        crc32c(0, "bytes", 5));
    struct s3_play *p = s3_play_new();
    struct err e;
    http_play_answer(p->http, "GET", "/lake/t/0", 206, noted, "spoil");
    http_play_then(p->http, 206, noted, "bytes");
    assert_ok(localize(p, 5, &e), &e);
    assert_int_equal(http_play_count(p->http, "GET", "/lake/t/0"), 2);
    s3_play_free(p);
    p = s3_play_new();
    s3_play_lake(p)->patience_ms = 0;
    http_play_answer(p->http, "GET", "/lake/t/0", 206, noted, "spoil");
    assert_int_equal(localize(p, 5, &e), ERR_STORAGE);
    assert_has(e.msg, "CRC");
    assert_true(e.retry);
    s3_play_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_file_is_sent_in_parts),
        cmocka_unit_test(a_part_that_fails_ends_the_upload),
        cmocka_unit_test(parts_are_sent_again_alone),
        cmocka_unit_test(answers_that_lack_what_is_needed_end_it),
        cmocka_unit_test(an_upload_whose_name_is_too_long_is_not_begun),
        cmocka_unit_test(blanks_before_an_answer_are_no_part_of_it),
        cmocka_unit_test(an_end_that_fails_behind_its_200_is_seen),
        cmocka_unit_test(an_end_that_says_nothing_is_none),
        cmocka_unit_test(an_end_that_is_cut_off_is_none),
        cmocka_unit_test(an_end_may_take_its_time),
        cmocka_unit_test(an_end_whose_answer_was_lost_is_found_out),
        cmocka_unit_test(small_objects_come_in_one_request),
        cmocka_unit_test(ranges_that_lie_are_errors),
        cmocka_unit_test(objects_replaced_meanwhile_are_fetched_anew),
        cmocka_unit_test(no_etag_is_no_condition),
        cmocka_unit_test(what_came_is_what_was_sent),
    };
    setenv("NO_PROXY", "127.0.0.1", 1);
    log_setup(LOG_ERROR, false);
    return cmocka_run_group_tests_name("storage/s3 in parts", tests, NULL, NULL);
}
