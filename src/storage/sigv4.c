/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/sigv4.h"

#include <assert.h>

#include "base/limits.h"

enum { CANONICAL_MAX = MIB, DATE_DIGITS = 8 };

void sigv4_time(int64_t us, char ret[SIGV4_TIME]) {
    time_t t = (time_t)(us / 1000000);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(ret, SIGV4_TIME, "%Y%m%dT%H%M%SZ", &tm);
}

static void hash_hex(const struct buf *b, char ret[SHA256_HEX]) {
    unsigned char digest[SHA256_LEN];
    sha256_of(buf_str(b), b->len, digest);
    sha256_hex(digest, ret);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct sigv4_header *)a)->name, ((const struct sigv4_header *)b)->name);
}

/* Without outer blanks, inner ones as one. */
static void add_value(struct buf *b, const char *value) {
    value += strspn(value, " \t");
    for (; *value; value++) {
        size_t blanks = strspn(value, " \t");
        if (blanks && !value[blanks])
            return;
        if (blanks) {
            buf_add_char(b, ' ');
            value += blanks;
        }
        buf_add_char(b, *value);
    }
}

/* The canonical request; `names` gets "host;x-amz-date;…". */
static void add_canonical(struct buf *b, const struct sigv4_request *q, struct buf *names) {
    struct sigv4_header *sorted = xcalloc(q->n_headers, sizeof *sorted);
    memcpy(sorted, q->headers, q->n_headers * sizeof *sorted);
    qsort(sorted, q->n_headers, sizeof *sorted, by_name);
    buf_addf(b, "%s\n%s\n%s\n", q->method, q->path, q->query);
    for (size_t i = 0; i < q->n_headers; i++) {
        buf_addf(b, "%s:", sorted[i].name);
        add_value(b, sorted[i].value);
        buf_add_char(b, '\n');
        buf_addf(names, "%s%s", i ? ";" : "", sorted[i].name);
    }
    buf_addf(b, "\n%s\n%s", buf_str(names), q->payload_hash);
    free(sorted);
}

static void chain(unsigned char key[SHA256_LEN], const char *text) {
    hmac_sha256_of(key, SHA256_LEN, text, strlen(text), key);
}

static void signing_key(const struct sigv4_scope *s, unsigned char ret[SHA256_LEN]) {
    _cleanup_(freep) char *secret = xasprintf("AWS4%s", s->secret);
    hmac_sha256_of(secret, strlen(secret), s->time, DATE_DIGITS, ret);
    chain(ret, s->region);
    chain(ret, s->service);
    chain(ret, "aws4_request");
    explicit_bzero(secret, strlen(secret));
}

char *sigv4_authorization(const struct sigv4_scope *s, const struct sigv4_request *q) {
    struct buf canonical = BUF_INIT(CANONICAL_MAX), names = BUF_INIT(CANONICAL_MAX);
    char hash[SHA256_HEX], signature[SHA256_HEX];
    unsigned char key[SHA256_LEN];
    add_canonical(&canonical, q, &names);
    assert(!canonical.overflow && q->n_headers > 0 && strlen(s->time) == SIGV4_TIME - 1);
    hash_hex(&canonical, hash);
    _cleanup_(freep) char *scope =
        xasprintf("%.*s/%s/%s/aws4_request", DATE_DIGITS, s->time, s->region, s->service);
    _cleanup_(freep) char *to_sign =
        xasprintf("AWS4-HMAC-SHA256\n%s\n%s\n%s", s->time, scope, hash);
    signing_key(s, key);
    chain(key, to_sign);
    sha256_hex(key, signature);
    char *authorization =
        xasprintf("AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s", s->key_id,
                  scope, buf_str(&names), signature);
    buf_release(&canonical);
    buf_release(&names);
    return authorization;
}
