/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/hdfs_helper.h"

#include <unistd.h>

#include "net/http.h"
#include "storage/hdfs_url.h"

/* All the script prints. It runs in the source folder, or CM_SOURCE_ROOT. */
static char *script(const char *verb, const char *folder, const char *part) {
    const char *root = getenv("CM_SOURCE_ROOT");
    _cleanup_(freep) char *command =
        xasprintf("HDFS_OWNER=%d '%s/test/services/hdfs.sh' %s '%s' %s", (int)getpid(),
                  root ? root : ".", verb, folder, part);
    struct buf text = BUF_INIT(65536);
    char line[4096];
    FILE *f = popen(command, "r");
    while (f && fgets(line, sizeof line, f))
        buf_add_str(&text, line);
    if (!f || pclose(f) != 0) {
        /* Without HDFS these tests prove nothing, so they do not pass. */
        fprintf(stderr, "%s failed\n", command);
        exit(1);
    }
    return buf_detach(&text);
}

static char *value_of(const char *text, const char *name) {
    const char *line = strstr(text, name);
    assert_non_null(line);
    const char *v = strchr(line, '=') + 1;
    return xstrndup(v, strcspn(v, "\n"));
}

void hdfs_server_new(struct hdfs_server *s) {
    s->folder = lake_folder_new();
    free(script("start", s->folder, ""));
    _cleanup_(freep) char *env = script("env", s->folder, "");
    s->namenode = value_of(env, "TEST_HDFS=");
    s->datanode = value_of(env, "TEST_HDFS_DATANODE=");
    s->rpc = value_of(env, "TEST_HDFS_RPC=");
    s->tls = value_of(env, "TEST_HDFS_TLS=");
}

void hdfs_server_do(const struct hdfs_server *s, const char *verb, const char *part) {
    free(script(verb, s->folder, part));
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

static char *exchange(const char *method, const char *url, const char *body, char **ret_location) {
    struct http_options o = {.error_code = ERR_STORAGE};
    struct http_request q = {.method = method,
                             .url = url,
                             .body = body,
                             .body_len = body ? strlen(body) : 0,
                             .max_body = MIB};
    _cleanup_(http_client_freep) struct http_client *h = http_client_new(&o);
    struct http_answer a = {0};
    struct err e;
    assert_ok(http_fetch(h, &q, &a, &e), &e);
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
    hdfs_add_encoded(&url, path);
    buf_addf(&url, "?%s&user.name=%s", query, getenv("USER") ? getenv("USER") : "root");
    return buf_detach(&url);
}

char *hdfs_ask(const struct hdfs_server *s, const char *method, const char *path,
               const char *query) {
    _cleanup_(freep) char *url = url_of(s, path, query);
    return exchange(method, url, NULL, NULL);
}

void hdfs_put(const struct hdfs_server *s, const char *path, const char *text) {
    _cleanup_(freep) char *url = url_of(s, path, "op=CREATE&overwrite=true");
    char *location = NULL;
    free(exchange("PUT", url, NULL, &location));
    assert_non_null(location);
    free(exchange("PUT", location, text, NULL));
    free(location);
}
