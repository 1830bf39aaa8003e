/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "storage/s3_priv.h"

enum { MESSAGE_MAX = 300 };

/* What an error says of itself. */
struct fault {
    char code[64], message[MESSAGE_MAX + 1], region[64];
};

/* A server's text, without what a terminal would obey; cut. */
static void take(char *to, size_t size, const char *text) {
    size_t n = 0;
    for (; text[n] && n + 1 < size; n++)
        to[n] = (unsigned char)text[n] < ' ' || text[n] == 0x7F ? ' ' : text[n];
    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) /* not in the middle of a letter */
        n--;
    to[n] = '\0';
}

static int take_element(void *arg, const char *path, const char *text, struct err *e ATTR_UNUSED) {
    struct fault *f = arg;
    if (strcmp(path, "Error/Code") == 0)
        take(f->code, sizeof f->code, text);
    else if (strcmp(path, "Error/Message") == 0)
        take(f->message, sizeof f->message, text);
    else if (strcmp(path, "Error/Region") == 0)
        take(f->region, sizeof f->region, text);
    return 0;
}

int s3_walk(const struct http_answer *a, xml_element *fn, void *arg, struct err *e) {
    const char *text = buf_str(&a->body);
    size_t blanks = strspn(text, " \t\r\n");
    return xml_walk(text + blanks, a->body.len - blanks, fn, arg, ERR_STORAGE, e);
}

static int take_root(void *arg, const char *path, const char *text ATTR_UNUSED,
                     struct err *e ATTR_UNUSED) {
    snprintf(arg, XML_PATH, "%s", path);
    return 0;
}

bool s3_has_root(const struct http_answer *a, const char *root) {
    char last[XML_PATH] = ""; /* the root's end comes last */
    struct err ignored;
    return s3_walk(a, take_root, last, &ignored) == 0 && strcmp(last, root) == 0;
}

static struct fault read_fault(const struct http_answer *a) {
    struct fault f = {.code = ""};
    struct err ignored;
    s3_walk(a, take_element, &f, &ignored);
    const char *region = http_header(a, "x-amz-bucket-region");
    if (region)
        take(f.region, sizeof f.region, region);
    return f;
}

static bool is_one_of(const char *code, const char *const *codes) {
    for (; *codes; codes++)
        if (strcmp(code, *codes) == 0)
            return true;
    return false;
}

static void hint_region(const struct s3 *s, const struct fault *f, struct err *e) {
    if (f->region[0] && strcmp(f->region, s->at.region) != 0)
        err_hint(e, "the bucket is in region %s: set s3.region = %s (now %s)", f->region, f->region,
                 s->at.region);
    else
        err_hint(e,
                 "set s3.region, and s3.endpoint if it is not AWS, to where the bucket is (now %s)",
                 s->at.region);
}

static void hint_clock(const struct http_answer *a, struct err *e) {
    char now[TIME_TEXT];
    time_format_ms(clock_now_us(), now);
    const char *date = http_header(a, "date");
    err_hint(e, "set this machine's clock: it says %s, the store says %.40s", now,
             date ? date : "another time");
}

static void add_hint(const struct s3 *s, const struct fault *f, const struct http_answer *a,
                     struct err *e) {
    static const char *const keys[] = {"InvalidAccessKeyId", "SignatureDoesNotMatch",
                                       "InvalidToken", "XAdminUserNotFound", NULL},
                             *const regions[] = {"PermanentRedirect",
                                                 "AuthorizationHeaderMalformed",
                                                 "IllegalLocationConstraintException", NULL};
    if (strcmp(f->code, "NoSuchBucket") == 0)
        err_hint(e, "make the bucket '%s' first, or correct lake.url", s->at.bucket);
    else if (strcmp(f->code, "RequestTimeTooSkewed") == 0)
        hint_clock(a, e);
    else if (is_one_of(f->code, regions) || a->status / 100 == 3)
        hint_region(s, f, e);
    else if (is_one_of(f->code, keys))
        err_hint(e, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile, are not those of "
                    "this store");
    else if (strcmp(f->code, "ExpiredToken") == 0)
        err_hint(e, "the session these keys belong to is over: get new ones");
    else if (a->status == 403)
        err_hint(e,
                 "the keys need s3:GetObject, s3:PutObject, s3:DeleteObject and "
                 "s3:AbortMultipartUpload on %s/*, and s3:ListBucket on its bucket",
                 s->base.url);
    else if (a->status == 501)
        err_hint(e, "this store lacks what a lake needs: If-None-Match, ListObjectsV2, multipart "
                    "uploads");
}

static bool is_conditional(const struct s3_call *q) {
    for (size_t i = 0; i < S3_HEADERS; i++)
        if (q->headers[i].name && strcmp(q->headers[i].name, S3_IF_ABSENT) == 0)
            return true;
    return false;
}

static bool can_pass(const struct s3_call *q, const struct fault *f, int status) {
    static const char *const passing[] = {"SlowDown",
                                          "InternalError",
                                          "ServiceUnavailable",
                                          "RequestTimeout",
                                          "Throttling",
                                          "ThrottlingException",
                                          "RequestLimitExceeded",
                                          "OperationAborted",
                                          "ConditionalRequestConflict",
                                          "TemporaryRedirect", /* of a bucket that is new */
                                          "IncompleteBody",    /* spoilt on the way: */
                                          "BadDigest",
                                          "XAmzContentChecksumMismatch",
                                          "XAmzContentSHA256Mismatch",
                                          NULL};
    if (status / 100 == 2 && !f->code[0]) /* neither what was asked for nor an error */
        return true;
    return (status >= 500 && status != 501 && status != 505) || status == 429 || status == 408 ||
           (status == 409 && is_conditional(q)) || /* another writer is at it */
           is_one_of(f->code, passing);
}

int s3_judge(const struct s3 *s, const struct s3_call *q, const struct http_answer *a,
             bool *ret_new_keys, struct err *e) {
    static const char *const absent[] = {"", "NoSuchKey", "NoSuchUpload", "NotFound", NULL},
                             *const tokens[] = {"ExpiredToken", "ExpiredTokenException",
                                                "TokenRefreshRequired", "RequestExpired", NULL};
    struct fault f = read_fault(a);
    int code = ERR_STORAGE;
    if (a->status == 404 && is_one_of(f.code, absent)) /* HEAD gives no code */
        code = ERR_NOT_FOUND;
    else if (a->status == 412)
        code = ERR_EXISTS;
    err_set(e, code, "S3 answers %s with %d%s%s%s%s", q->method, a->status, f.code[0] ? " " : "",
            f.code, f.message[0] ? ": " : "", f.message);
    *ret_new_keys = code == ERR_STORAGE && is_one_of(f.code, tokens);
    if (code != ERR_STORAGE)
        return code;
    add_hint(s, &f, a, e);
    e->retry = !*ret_new_keys && can_pass(q, &f, a->status);
    e->wait_ms = http_wait_ms(a);
    e->unsure = a->status >= 500 || a->status / 100 == 2;
    return code;
}
