/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lake in S3, or in a store that speaks its protocol. An object appears whole or not at all, and
 * whoever reads next sees it; of several who put a new one with If-None-Match one wins. A store that
 * ignores that header is found out before the first write, and refused.
 */
#include <assert.h>

#include "base/clock.h"
#include "base/util.h"
#include "storage/s3_priv.h"

enum {
    LANES = 8, /* files on their way at a time */
    STALL_MS = 20000,
    STOP_GRACE_MS = 10000, /* for a request under way when a signal comes: a commit is finished */
};

char *s3_key_of(const struct s3 *s, const char *path) {
    assert(storage_path_ok(path));
    return xasprintf("%s%s", s->at.prefix, path);
}

void s3_etag(const struct http_answer *a, char ret[CACHE_ETAG]) {
    const char *etag = http_header(a, "etag");
    snprintf(ret, CACHE_ETAG, "%s", etag && strlen(etag) < CACHE_ETAG ? etag : "");
}

int64_t s3_length(const struct http_answer *a) {
    const char *text = http_header(a, "content-length");
    return text ? digits_parse(text) : -1;
}

/* Puts what was to be done in front of an error; answers keep their code and say which object. */
static int explain(struct storage *st, const char *what, const char *path, struct err *e) {
    if (e->code == ERR_STOPPED)
        return e->code;
    if (e->code == ERR_NOT_FOUND)
        return err_set(e, ERR_NOT_FOUND, "%s/%s: no such object", st->url, path);
    if (e->code == ERR_EXISTS)
        return err_set(e, ERR_EXISTS, "%s/%s exists", st->url, path);
    return err_wrap(e, "cannot %s %s/%s", what, st->url, path);
}

static int s3_get(struct storage *st, const char *path, struct buf *ret, struct err *e) {
    struct s3 *s = s3_of(st);
    _cleanup_(freep) char *key = s3_key_of(s, path);
    struct s3_call q = {
        .method = "GET", .key = key, .max_body = MAX(ret->max, (size_t)LIMIT_HTTP_ERROR)};
    struct http_answer a;
    int r = s3_call(s, &q, &a, e);
    if (r)
        return explain(st, "get", path, e);
    if (a.body.len > ret->max) {
        http_answer_release(&a);
        return err_set(e, ERR_STORAGE, "cannot read %s/%s: larger than %zu bytes", st->url, path,
                       ret->max);
    }
    buf_take(ret, &a.body);
    http_answer_release(&a);
    return 0;
}

/* Sends the bytes as one object; `only_new`: ERR_EXISTS where there is one. */
static int put_bytes(struct s3 *s, const char *key, const void *data, size_t len, bool only_new,
                     struct err *e) {
    struct s3_call q = {.method = "PUT",
                        .key = key,
                        .body = len ? data : NULL,
                        .body_len = len,
                        .headers = {{only_new ? S3_IF_ABSENT : NULL, "*"}}};
    struct http_answer a;
    int r = s3_call(s, &q, &a, e);
    if (r == 0)
        http_answer_release(&a);
    return r;
}

static int refuse(struct s3 *s, struct err *e) {
    err_set(
        e, ERR_STORAGE,
        "%s: this store ignores If-None-Match and overwrites what is there: two writers would lose "
        "commits",
        s->base.url);
    return err_hint(e, "use a store with conditional writes (AWS has them, so have MinIO and Ceph "
                       "in recent versions), or a lake in HDFS or on local disk");
}

/* Twice the same new object: the second time it must be refused. */
static int prove(struct s3 *s, struct err *e) {
    char uuid[UUID_TEXT];
    uuid_make(uuid);
    _cleanup_(freep) char *key = xasprintf("%s.probe-%s", s->at.prefix, uuid);
    int r = put_bytes(s, key, "1", 1, true, e);
    if (r == 0 || r == ERR_EXISTS) { /* there already: a try whose answer was lost */
        r = put_bytes(s, key, "2", 1, true, e);
        r = r == 0 ? refuse(s, e) : r == ERR_EXISTS ? 0 : r;
    }
    s3_call_once(s, &(struct s3_call){.method = "DELETE", .key = key});
    return r;
}

int s3_prove(struct s3 *s, struct err *e) {
    pthread_mutex_lock(&s->lock);
    int r = s->proven ? 0 : prove(s, e);
    s->proven |= r == 0;
    pthread_mutex_unlock(&s->lock);
    return r;
}

static int s3_put_new(struct storage *st, const char *path, const void *data, size_t len,
                      struct err *e) {
    struct s3 *s = s3_of(st);
    _cleanup_(freep) char *key = s3_key_of(s, path);
    int r = s3_prove(s, e);
    if (r == 0)
        r = put_bytes(s, key, data, len, true, e);
    return r ? explain(st, "put", path, e) : 0;
}

static int s3_put(struct storage *st, const char *path, const void *data, size_t len,
                  struct err *e) {
    struct s3 *s = s3_of(st);
    _cleanup_(freep) char *key = s3_key_of(s, path);
    int r = put_bytes(s, key, data, len, false, e);
    return r ? explain(st, "put", path, e) : 0;
}

int64_t s3_time_ms(const char *text) {
    struct tm tm = {0};
    const char *end = text ? strptime(text, "%a, %d %b %Y %H:%M:%S", &tm) : NULL;
    return end ? (int64_t)timegm(&tm) * 1000 : 0;
}

static int head(struct s3 *s, const char *path, struct http_answer *ret, struct err *e) {
    _cleanup_(freep) char *key = s3_key_of(s, path);
    struct s3_call q = {.method = "HEAD", .key = key};
    int r = s3_call(s, &q, ret, e);
    if (r)
        return explain(&s->base, "look at", path, e);
    if (s3_length(ret) >= 0)
        return 0;
    http_answer_release(ret);
    return err_set(e, ERR_STORAGE, "%s/%s: S3 does not tell its size", s->base.url, path);
}

static int s3_stat(struct storage *st, const char *path, struct storage_entry *ret, struct err *e) {
    struct http_answer a;
    int r = head(s3_of(st), path, &a, e);
    if (r)
        return r;
    *ret = (struct storage_entry){.size = s3_length(&a),
                                  .mtime_ms = s3_time_ms(http_header(&a, "last-modified"))};
    http_answer_release(&a);
    return 0;
}

static int s3_list(struct storage *st, const char *dir, const char *start_after,
                   struct storage_entries *ret, struct err *e) {
    assert(!*dir || storage_path_ok(dir));
    int r = s3_list_folder(s3_of(st), dir, start_after, ret, e);
    return r ? explain(st, "list", dir, e) : 0;
}

static int s3_remove(struct storage *st, const char *path, struct err *e) {
    struct s3 *s = s3_of(st);
    _cleanup_(freep) char *key = s3_key_of(s, path);
    struct http_answer a;
    int r = s3_call(s, &(struct s3_call){.method = "DELETE", .key = key}, &a, e);
    if (r == 0)
        http_answer_release(&a);
    return r && r != ERR_NOT_FOUND ? explain(st, "remove", path, e) : 0;
}

static int s3_stage(struct storage *st, char ret_dir[LIMIT_PATH], struct err *e) {
    return cache_stage(s3_of(st)->cache, ret_dir, e);
}

static void s3_unstage(struct storage *st, const char *dir) {
    cache_unstage(s3_of(st)->cache, dir);
}

/* Before this process's first file, and once a day. */
static void sweep_daily(struct s3 *s) {
    int64_t now = clock_mono_ns();
    pthread_mutex_lock(&s->lock);
    bool due = now >= s->sweep_ns;
    if (due)
        s->sweep_ns = now + S3_DAY_MS * 1000000LL;
    pthread_mutex_unlock(&s->lock);
    if (due)
        s3_sweep(s);
}

static int s3_publish(struct storage *st, const char *local, const char *path, struct err *e) {
    struct s3 *s = s3_of(st);
    struct cache_object made;
    int r = s3_prove(s, e);
    if (r == 0) {
        sweep_daily(s);
        r = s3_send(s, local, path, &made, e);
    }
    if (r)
        return explain(st, "put", path, e);
    cache_keep(s->cache, path, local, &made);
    return 0;
}

static int look(struct storage *st, const char *path, struct cache_object *ret, struct err *e) {
    struct http_answer a;
    int r = head(s3_of(st), path, &a, e);
    if (r)
        return r;
    *ret = (struct cache_object){.size = s3_length(&a)};
    s3_etag(&a, ret->etag);
    http_answer_release(&a);
    return 0;
}

static int fetch(struct storage *st, const char *path, int fd, struct cache_object *ret,
                 struct err *e) {
    return s3_fetch(s3_of(st), path, fd, ret, e) ? explain(st, "get", path, e) : 0;
}

static int s3_localize(struct storage *st, const char *path, int64_t size,
                       char ret_local[LIMIT_PATH], struct err *e) {
    return cache_localize(s3_of(st)->cache, path, size, ret_local, e);
}

static void s3_unlocalize(struct storage *st, const char *path) {
    cache_unlocalize(s3_of(st)->cache, path);
}

static void s3_free(struct storage *st) {
    struct s3 *s = s3_of(st);
    cache_free(s->cache);
    s3_keys_free(s->keys);
    http_client_free(s->http);
    s3_place_release(&s->at);
    pthread_mutex_destroy(&s->lock);
    free(st->url);
    free(s);
}

static const struct storage_ops s3_ops = {
    .get = s3_get,
    .put_new = s3_put_new,
    .put = s3_put,
    .stat = s3_stat,
    .list = s3_list,
    .remove = s3_remove,
    .stage = s3_stage,
    .unstage = s3_unstage,
    .publish = s3_publish,
    .localize = s3_localize,
    .unlocalize = s3_unlocalize,
    .free = s3_free,
};

int storage_s3_open(const char *url, const struct storage_options *o, struct storage **ret,
                    struct err *e) {
    struct s3_place at;
    int r = s3_place_of(url, o, &at, e);
    if (r)
        return r;
    struct s3 *s = xcalloc(1, sizeof *s);
    s->at = at;
    s->base = (struct storage){
        .ops = &s3_ops, .url = xstrdup(url), .lanes = LANES, .patience_ms = o->timeout_ms};
    while (s->base.url[strlen(s->base.url) - 1] == '/')
        s->base.url[strlen(s->base.url) - 1] = '\0';
    s->stall_ms = STALL_MS;
    s->keys = s3_keys_new(o->s3_profile);
    struct http_options ho = {
        .error_code = ERR_STORAGE, .stop_grace_ms = STOP_GRACE_MS, .ca_file = o->ca_file};
    s->http = http_client_new(&ho);
    pthread_mutex_init(&s->lock, NULL);
    /* One bucket's name may be used by many stores: entries are told apart by where they come from. */
    _cleanup_(freep) char *lake = xasprintf("%s%s%s", at.base, at.path, at.prefix);
    lake[strlen(lake) - 1] = '\0';
    struct cache_source source = {.st = &s->base, .look = look, .fetch = fetch};
    r = cache_open(o->cache_dir, o->cache_max_bytes, lake, &source, &s->cache, e);
    if (r)
        s3_free(&s->base);
    else
        *ret = &s->base;
    return r;
}
