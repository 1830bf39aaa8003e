/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/hdfs_helper.h"

#include "fake/service.h"
#include "net/http.h"
#include "storage/hdfs_url.h"

void hdfs_server_new(struct hdfs_server *s) {
    s->folder = lake_folder_new();
    service_do("hdfs", "start", s->folder, "");
    _cleanup_(freep) char *env = service_run("hdfs", "env", s->folder);
    s->namenode = service_value(env, "TEST_HDFS");
    s->datanode = service_value(env, "TEST_HDFS_DATANODE");
    s->rpc = service_value(env, "TEST_HDFS_RPC");
    s->tls = service_value(env, "TEST_HDFS_TLS");
}

void hdfs_server_do(const struct hdfs_server *s, const char *verb, const char *part) {
    service_do("hdfs", verb, s->folder, part);
}

void hdfs_server_free(struct hdfs_server *s) {
    hdfs_server_do(s, "kill", "");
    lake_folder_free(s->folder);
    free(s->namenode);
    free(s->datanode);
    free(s->rpc);
    free(s->tls);
    *s = (struct hdfs_server){0};
}

struct hdfs_lake *hdfs_lake_new(const struct hdfs_server *s) {
    static int n;
    struct hdfs_lake *l = xcalloc(1, sizeof *l);
    *l = (struct hdfs_lake){.s = s,
                            .path = xasprintf("/donn\303\251es 100%%25 &+?#;='\"/"
                                              "\346\227\245\346\234\254 \360\237\233\222/lake-%d",
                                              ++n),
                            .cache = lake_folder_new()};
    return l;
}

void hdfs_lake_free(struct hdfs_lake *l) {
    lake_folder_free(l->cache);
    free(l->path);
    free(l);
}

static int open_at(const struct hdfs_lake *l, const char *hosts, int64_t timeout_ms,
                   const char *user, struct storage **ret, struct err *e) {
    _cleanup_(freep) char *url = xasprintf("hdfs://%s%s", hosts, l->path);
    struct storage_options o = {.cache_dir = l->cache,
                                .cache_max_bytes = 1LL << 30,
                                .timeout_ms = timeout_ms,
                                .hdfs_user = user};
    return storage_open(url, &o, ret, e);
}

struct storage *hdfs_lake_open(const struct hdfs_lake *l, int64_t timeout_ms, const char *user) {
    struct storage *st;
    struct err e;
    assert_ok(open_at(l, l->s->namenode, timeout_ms, user, &st, &e), &e);
    return st;
}

int hdfs_lake_try(const struct hdfs_lake *l, const char *hosts, int64_t timeout_ms,
                  struct storage **ret, struct err *e) {
    return open_at(l, hosts, timeout_ms, NULL, ret, e);
}

char *hdfs_exchange(const struct http_request *q, char **ret_location) {
    struct http_options o = {.error_code = ERR_STORAGE};
    struct http_request r = *q;
    r.max_body = MIB;
    _cleanup_(http_client_freep) struct http_client *h = http_client_new(&o);
    struct http_answer a = {0};
    struct err e;
    assert_ok(http_fetch(h, &r, &a, &e), &e);
    const char *location = http_header(&a, "Location");
    if (ret_location)
        *ret_location = location ? xstrdup(location) : NULL;
    char *text = buf_detach(&a.body);
    http_answer_release(&a);
    return text;
}

static char *url_of(const struct hdfs_server *s, const char *path, const char *query) {
    struct buf url = BUF_INIT(65536);
    buf_addf(&url, "http://%s/webhdfs/v1", s->namenode);
    buf_add_encoded(&url, path, "/");
    buf_addf(&url, "?%s&user.name=%s", query, getenv("USER") ? getenv("USER") : "root");
    return buf_detach(&url);
}

char *hdfs_ask(const struct hdfs_server *s, const char *method, const char *path,
               const char *query) {
    _cleanup_(freep) char *url = url_of(s, path, query);
    return hdfs_exchange(&(struct http_request){.method = method, .url = url}, NULL);
}

void hdfs_put(const struct hdfs_server *s, const char *path, const char *text) {
    _cleanup_(freep) char *url = url_of(s, path, "op=CREATE&overwrite=true");
    char *location = NULL;
    free(hdfs_exchange(&(struct http_request){.method = "PUT", .url = url}, &location));
    assert_non_null(location);
    struct http_request q = {
        .method = "PUT", .url = location, .body = text, .body_len = strlen(text)};
    free(hdfs_exchange(&q, NULL));
    free(location);
}
