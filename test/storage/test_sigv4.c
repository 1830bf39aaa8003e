/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures against AWS's own: the examples of the S3 documentation and of the SigV4 test suite. */
#include "storage/helper.h"
#include "storage/sigv4.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4_scope s3 = {.key_id = "AKIAIOSFODNN7EXAMPLE",
                                      .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                      .region = "us-east-1",
                                      .service = "s3",
                                      .time = "20130524T000000Z"};
static const struct sigv4_scope suite = {.key_id = "AKIDEXAMPLE",
                                         .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                         .region = "us-east-1",
                                         .service = "service",
                                         .time = "20150830T123600Z"};

#define HOST                                                                                       \
    { "host", "examplebucket.s3.amazonaws.com" }
#define DATE                                                                                       \
    { "x-amz-date", "20130524T000000Z" }
#define HASH(h)                                                                                    \
    { "x-amz-content-sha256", h }
#define HEADERS(...)                                                                               \
    (const struct sigv4_header[]) {                                                                \
        __VA_ARGS__                                                                                \
    }
#define PUT_HASH "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
#define SUITE                                                                                      \
    {"host", "example.amazonaws.com"}, {                                                           \
        "x-amz-date", "20150830T123600Z"                                                           \
    }

static const struct {
    const struct sigv4_scope *scope;
    struct sigv4_request q;
    const char *names, *signature;
} cases[] = {
    /* "Authenticating Requests: Using the Authorization Header" of the S3 documentation */
    {&s3,
     {"GET", "/test.txt", "", HEADERS(HOST, {"range", "bytes=0-9"}, HASH(EMPTY), DATE), 4, EMPTY},
     "host;range;x-amz-content-sha256;x-amz-date",
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {&s3,
     {"PUT", "/test%24file.text", "",
      HEADERS({"date", "Fri, 24 May 2013 00:00:00 GMT"}, HOST, DATE,
              {"x-amz-storage-class", "REDUCED_REDUNDANCY"}, HASH(PUT_HASH)),
      5, PUT_HASH},
     "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {&s3,
     {"GET", "/", "lifecycle=", HEADERS(HOST, DATE, HASH(EMPTY)), 3, EMPTY},
     "host;x-amz-content-sha256;x-amz-date",
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {&s3,
     {"GET", "/", "max-keys=2&prefix=J", HEADERS(DATE, HOST, HASH(EMPTY)), 3, EMPTY},
     "host;x-amz-content-sha256;x-amz-date",
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    /* get-vanilla, get-vanilla-query-order-key-case, post-vanilla, get-header-value-trim */
    {&suite,
     {"GET", "/", "", HEADERS(SUITE), 2, EMPTY},
     "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {&suite,
     {"GET", "/", "Param1=value1&Param2=value2", HEADERS(SUITE), 2, EMPTY},
     "host;x-amz-date",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {&suite,
     {"POST", "/", "", HEADERS(SUITE), 2, EMPTY},
     "host;x-amz-date",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {&suite,
     {"GET", "/", "", HEADERS(SUITE, {"my-header1", " value1"}, {"my-header2", " \"a   b   c\" "}),
      4, EMPTY},
     "host;my-header1;my-header2;x-amz-date",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
};

static void signatures_are_those_of_aws(void **state ATTR_UNUSED) {
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct sigv4_scope *s = cases[i].scope;
        _cleanup_(freep) char *got = sigv4_authorization(s, &cases[i].q);
        _cleanup_(freep) char *want = xasprintf(
            "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request,SignedHeaders=%s,Signature=%s",
            s->key_id, s->time, s->region, s->service, cases[i].names, cases[i].signature);
        assert_string_equal(got, want);
    }
}

static void every_part_of_a_request_is_signed(void **state ATTR_UNUSED) {
    struct sigv4_header headers[] = {{"host", "h"}, {"x-amz-date", "20130524T000000Z"}};
    struct sigv4_request q = {"GET", "/a", "b=", headers, 2, EMPTY};
    char *seen[8];
    size_t n = 0;
    seen[n++] = sigv4_authorization(&s3, &q);
    q.method = "PUT";
    seen[n++] = sigv4_authorization(&s3, &q);
    q.path = "/A";
    seen[n++] = sigv4_authorization(&s3, &q);
    q.query = "b=1";
    seen[n++] = sigv4_authorization(&s3, &q);
    q.payload_hash = PUT_HASH;
    seen[n++] = sigv4_authorization(&s3, &q);
    headers[0].value = "g";
    seen[n++] = sigv4_authorization(&s3, &q);
    struct sigv4_scope other = s3;
    other.secret = "other";
    seen[n++] = sigv4_authorization(&other, &q);
    for (size_t i = 0; i < n; i++) {
        assert_null(strstr(seen[i], "wJalr"));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(seen[i], seen[k]);
    }
    for (size_t i = 0; i < n; i++)
        free(seen[i]);
}

static void times_are_of_utc(void **state ATTR_UNUSED) {
    char text[SIGV4_TIME];
    setenv("TZ", "America/New_York", 1);
    sigv4_time(1369353600000000LL, text);
    assert_string_equal(text, "20130524T000000Z");
    sigv4_time(1440938160999999LL, text);
    assert_string_equal(text, "20150830T123600Z");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_those_of_aws),
        cmocka_unit_test(every_part_of_a_request_is_signed),
        cmocka_unit_test(times_are_of_utc),
    };
    return cmocka_run_group_tests_name("storage/sigv4", tests, NULL, NULL);
}
