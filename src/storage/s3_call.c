/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "base/clock.h"
#include "base/retry.h"
#include "storage/s3_priv.h"

enum {
    SLOW_MS = 10 * 60 * 1000, /* of a call that may be slow, as a whole */
    SIGNED_MAX = 4 + S3_HEADERS,
};

/* ---- what is signed ---- */

/* Of a file only the CRC is signed, which the caller puts into a header: see decision 0012. */
static void hash_payload(const struct s3_call *q, char ret[SHA256_HEX]) {
    unsigned char digest[SHA256_LEN];
    sha256_of(q->body ? q->body : "", q->body_len, digest);
    if (q->upload)
        snprintf(ret, SHA256_HEX, "UNSIGNED-PAYLOAD");
    else
        sha256_hex(digest, ret);
}

/* The headers of one request: what is signed, and the lines that are sent. */
struct head {
    struct sigv4_header v[SIGNED_MAX];
    size_t n;
    char *lines[SIGNED_MAX + 2];
    size_t n_lines;
};

static void head_add(struct head *h, const char *name, const char *value) {
    assert(h->n < SIGNED_MAX);
    h->v[h->n++] = (struct sigv4_header){name, value};
    if (strcmp(name, "host") != 0) /* libcurl sends that one */
        h->lines[h->n_lines++] = xasprintf("%s: %s", name, value);
}

static void head_release(struct head *h) {
    for (size_t i = 0; i < h->n_lines; i++) {
        explicit_bzero(h->lines[i], strlen(h->lines[i])); /* among them a session's token */
        free(h->lines[i]);
    }
}

static void head_fill(struct head *h, const struct s3 *s, const struct s3_call *q,
                      const struct s3_key *key, const char *hash, const char *path) {
    char now[SIGV4_TIME];
    sigv4_time(clock_now_us(), now);
    head_add(h, "host", s->at.host);
    head_add(h, "x-amz-content-sha256", hash);
    head_add(h, "x-amz-date", now);
    if (key->token)
        head_add(h, "x-amz-security-token", key->token);
    for (size_t i = 0; i < S3_HEADERS; i++)
        if (q->headers[i].name)
            head_add(h, q->headers[i].name, q->headers[i].value);
    struct sigv4_request r = {.method = q->method,
                              .path = path,
                              .query = q->query ? q->query : "",
                              .headers = h->v,
                              .n_headers = h->n,
                              .payload_hash = hash};
    struct sigv4_scope scope = {.key_id = key->id,
                                .secret = key->secret,
                                .region = s->at.region,
                                .service = "s3",
                                .time = now};
    _cleanup_(freep) char *authorization = sigv4_authorization(&scope, &r);
    h->lines[h->n_lines++] = xasprintf("authorization: %s", authorization);
}

static char *encoded_path(const struct s3 *s, const struct s3_call *q) {
    struct buf b = BUF_INIT(8 * LIMIT_PATH);
    buf_add_encoded(&b, s->at.path, "/");
    buf_add_encoded(&b, q->key ? q->key : "", "/");
    assert(!b.overflow);
    return buf_detach(&b);
}

/* ---- one try ---- */

static int send(struct s3 *s, const struct s3_call *q, const struct s3_key *key, const char *hash,
                struct http_answer *ret, struct err *e) {
    _cleanup_(freep) char *path = encoded_path(s, q);
    _cleanup_(freep) char *url =
        xasprintf("%s%s%s%s", s->at.base, path, q->query ? "?" : "", q->query ? q->query : "");
    struct head h = {0};
    head_fill(&h, s, q, key, hash, path);
    struct http_request r = {.method = q->method,
                             .url = url,
                             .headers = (const char *const *)h.lines,
                             .body = q->body,
                             .body_len = q->body_len,
                             .upload = q->upload,
                             .download = q->download,
                             .max_body = q->max_body ? q->max_body : LIMIT_HTTP_ERROR,
                             .timeout_ms = q->slow ? SLOW_MS : 0,
                             .stall_ms = q->slow ? 0 : s->stall_ms,
                             .told_end = true};
    int code = http_fetch(s->http, &r, ret, e);
    head_release(&h);
    return code;
}

/* Some calls answer 200 before they know, and say in the body how it went. */
static bool is_good(const struct s3_call *q, const struct http_answer *a) {
    if (q->ranged && a->status == 416)
        return true;
    return a->status / 100 == 2 && (!q->root || s3_has_root(a, q->root));
}

static int try_with(struct s3 *s, const struct s3_call *q, const struct s3_key *key,
                    const char *hash, bool *ret_new_keys, struct http_answer *ret, struct err *e) {
    struct http_answer a;
    *ret_new_keys = false;
    int r = send(s, q, key, hash, &a, e);
    if (r)
        return r;
    if (is_good(q, &a)) {
        *ret = a;
        return 0;
    }
    r = s3_judge(s, q, &a, ret_new_keys, e);
    http_answer_release(&a);
    return r;
}

static int try_once(struct s3 *s, const struct s3_call *q, const char *hash,
                    struct http_answer *ret, struct err *e) {
    for (bool renewed = false;; renewed = true) {
        struct s3_key key;
        bool new_keys;
        int r = s3_keys_get(s->keys, &key, e);
        if (r)
            return r;
        r = try_with(s, q, &key, hash, &new_keys, ret, e);
        bool again = new_keys && !renewed && s3_keys_renew(s->keys, &key);
        s3_key_release(&key);
        if (!again)
            return r;
    }
}

/* An answer to HEAD has no body, so it does not say what is wrong: another question may. */
static int explain_head(struct s3 *s, const struct s3_call *q, const char *hash, struct err *e) {
    struct s3_call list = {.method = "GET", .query = "list-type=2&max-keys=1"};
    struct http_answer a;
    struct err other;
    if (strcmp(q->method, "HEAD") != 0 || e->code != ERR_STORAGE || e->retry || e->unsure)
        return e->code;
    if (try_once(s, &list, hash, &a, &other) == 0)
        http_answer_release(&a);
    else
        *e = other;
    return e->code;
}

int s3_call(struct s3 *s, const struct s3_call *q, struct http_answer *ret, struct err *e) {
    char hash[SHA256_HEX];
    hash_payload(q, hash);
    struct retry again = retry_start(s->base.patience_ms);
    bool unsure = false;
    int r;
    do {
        r = try_once(s, q, hash, ret, e);
        if (r == 0)
            return 0;
        unsure |= e->unsure;
    } while (retry_pause(&again, &r, e));
    r = explain_head(s, q, hash, e);
    e->unsure = unsure;
    return r;
}

int s3_try(struct s3 *s, const struct s3_call *q, struct http_answer *ret, struct err *e) {
    char hash[SHA256_HEX];
    hash_payload(q, hash);
    return try_once(s, q, hash, ret, e);
}

void s3_call_once(struct s3 *s, const struct s3_call *q) {
    struct http_answer a;
    struct err ignored;
    if (s3_try(s, q, &a, &ignored) == 0)
        http_answer_release(&a);
}
