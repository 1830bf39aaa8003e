/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What processes left below the lake's prefix that were killed: parts of uploads that never ended,
 * which nobody sees and somebody pays for, and probes. They go once they are a day old by the store's
 * clock. A lake that is a whole bucket is left alone: uploads in it may be anybody's.
 */
#include "base/clock.h"
#include "storage/s3_priv.h"

/* One thing in a list, under construction, and what is done with it when it is whole. */
struct left {
    struct s3 *s;
    const char *prefix;
    int64_t now_ms;
    char *key, *upload; /* upload NULL: an object */
    int64_t since_ms;
};

static void set(char **to, char *text) {
    free(*to);
    *to = text;
}

static char *encoded(const char *text) {
    struct buf b = BUF_INIT(3 * strlen(text));
    buf_add_encoded(&b, text, "");
    return buf_detach(&b);
}

static void remove_if_old(struct left *l) {
    bool old = l->since_ms > 0 && l->now_ms - l->since_ms > S3_DAY_MS;
    if (!old || !l->key || strncmp(l->key, l->prefix, strlen(l->prefix)) != 0)
        return;
    _cleanup_(freep) char *query = l->upload ? xasprintf("uploadId=%s", l->upload) : NULL;
    s3_call_once(l->s, &(struct s3_call){.method = "DELETE", .key = l->key, .query = query});
}

static bool ends(const char *path, const char *with) {
    size_t n = strlen(path), m = strlen(with);
    return n >= m && strcmp(path + n - m, with) == 0;
}

static int take_element(void *arg, const char *path, const char *text, struct err *e ATTR_UNUSED) {
    struct left *l = arg;
    int64_t us;
    if (ends(path, "/Key")) {
        set(&l->key, xstrdup(text));
    } else if (ends(path, "/UploadId")) {
        set(&l->upload, encoded(text));
    } else if (ends(path, "/Initiated") || ends(path, "/LastModified")) {
        l->since_ms = time_parse(text, &us) ? us / 1000 : 0;
    } else if (strcmp(path, "ListMultipartUploadsResult/Upload") == 0 ||
               strcmp(path, "ListBucketResult/Contents") == 0) {
        remove_if_old(l);
        set(&l->key, NULL);
        set(&l->upload, NULL);
        l->since_ms = 0;
    }
    return 0;
}

/* The first page is enough: what it holds goes, and the next time sees to the next one. */
static void sweep(struct s3 *s, const char *prefix, const char *query) {
    struct s3_call q = {.method = "GET", .query = query, .max_body = LIMIT_S3_LIST};
    struct http_answer a;
    struct err ignored; /* it may be that we are not allowed to; then the bucket's own rule must */
    if (s3_try(s, &q, &a, &ignored) == 0) {
        struct left l = {.s = s, .prefix = prefix, .now_ms = s3_time_ms(http_header(&a, "date"))};
        s3_walk(&a, take_element, &l, &ignored);
        free(l.key);
        free(l.upload);
        http_answer_release(&a);
    }
}

void s3_sweep(struct s3 *s) {
    if (!*s->at.prefix)
        return;
    _cleanup_(freep) char *probes = xasprintf("%s.probe-", s->at.prefix);
    _cleanup_(freep) char *here = encoded(s->at.prefix), *there = encoded(probes);
    _cleanup_(freep) char *uploads = xasprintf("prefix=%s&uploads=", here);
    _cleanup_(freep) char *objects = xasprintf("list-type=2&prefix=%s", there);
    sweep(s, s->at.prefix, uploads);
    sweep(s, probes, objects);
}
