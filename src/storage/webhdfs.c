/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/webhdfs.h"

#include <assert.h>
#include <pwd.h>
#include <stdatomic.h>
#include <strings.h>
#include <unistd.h>

#include "base/limits.h"
#include "storage/webhdfs_error.h"

enum {
    CONNECT_MS = 5000,
    ASK_MS = 30000,       /* a NameNode's answer */
    STALL_MS = 60000,     /* a DataNode that moves no bytes */
    STOP_GRACE_MS = 5000, /* to finish what is under way once we are to stop */
    WHO_MAX = 16 * KIB,   /* a token is some hundred bytes, more with many properties */
};

struct webhdfs {
    struct hdfs_url u;
    struct http_client *http;
    char *who; /* "&user.name=me", "&delegation=…", "" for Kerberos */
    bool kerberos;
    atomic_size_t active; /* the NameNode that answered last */
};

/* Any value will do: where the NameNode guards against cross-site requests it wants the header. */
static const char *const xsrf_header[] = {"X-XSRF-HEADER: clickmill", NULL};

static char *process_user(void) {
    struct passwd entry, *found = NULL;
    char text[4096];
    if (getpwuid_r(geteuid(), &entry, text, sizeof text, &found) == 0 && found)
        return xstrdup(found->pw_name);
    return xasprintf("%ld", (long)geteuid());
}

static int who_parameter(const struct webhdfs_options *o, char **ret, struct err *e) {
    struct buf b = BUF_INIT(WHO_MAX);
    if (o->token) {
        buf_add_str(&b, "&delegation=");
        buf_add_encoded(&b, o->token, "/");
    } else if (!o->kerberos) {
        _cleanup_(freep) char *user = o->user ? xstrdup(o->user) : process_user();
        buf_add_str(&b, "&user.name=");
        buf_add_encoded(&b, user, "/");
    }
    if (b.overflow) {
        buf_release(&b);
        return err_set(e, ERR_CONFIG, "%s is too long: more than %d bytes as part of a URL",
                       o->token ? "hdfs.token" : "hdfs.user", WHO_MAX);
    }
    *ret = buf_detach(&b);
    return 0;
}

int webhdfs_new(struct hdfs_url *u, const struct webhdfs_options *o, struct webhdfs **ret,
                struct err *e) {
    if (o->kerberos && !http_has_negotiate())
        return err_set(e, ERR_CONFIG, "this program's libcurl has no Kerberos (SPNEGO)");
    char *who = NULL;
    int r = who_parameter(o, &who, e);
    if (r)
        return r;
    struct http_options ho = {.error_code = ERR_STORAGE,
                              .connect_timeout_ms = CONNECT_MS,
                              .stop_grace_ms = STOP_GRACE_MS,
                              .ca_file = o->ca_file,
                              .cert_file = o->cert_file};
    struct webhdfs *w = xcalloc(1, sizeof *w);
    w->u = *u;
    *u = (struct hdfs_url){0};
    w->kerberos = o->kerberos && !o->token;
    w->who = who;
    w->http = http_client_new(&ho);
    *ret = w;
    return 0;
}

void webhdfs_free(struct webhdfs *w) {
    if (!w)
        return;
    http_client_free(w->http);
    hdfs_url_release(&w->u);
    free(w->who);
    free(w);
}

void webhdfs_answer_release(struct webhdfs_answer *a) {
    json_free(a->doc);
    free(a->location);
    *a = (struct webhdfs_answer){0};
}

/* The scheme and host of a URL, "" if there is none: the rest may hold a token. */
static char *host_of(const char *url) {
    size_t n = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (strncmp(url + n, "://", 3) != 0)
        return xstrdup("");
    const char *host = url + n + 3;
    size_t len = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789.-_:[]");
    return xstrndup(url, n + 3 + (host[len] == '@' ? 0 : len));
}

/* The DataNode's URL, checked: never another protocol than the lake's, nor anything but WebHDFS. */
static int take_location(const struct webhdfs *w, const char *from, char **ret, struct err *e) {
    const char *scheme = w->u.tls ? "https://" : "http://";
    size_t n = strlen(scheme), host = 0;
    bool good = from && strncasecmp(from, scheme, n) == 0;
    if (good)
        host = strcspn(from + n, "/?#@\\");
    good = good && host > 0 && strncmp(from + n + host, "/webhdfs/v1", 11) == 0;
    for (const char *p = from; good && *p; p++)
        good = *p > ' ' && *p < 0x7F; /* it is encoded */
    if (!good) {
        _cleanup_(freep) char *place = host_of(from ? from : "");
        return err_set(e, ERR_STORAGE,
                       "the NameNode names no DataNode of %s…/webhdfs/v1 but something at '%s'",
                       scheme, place);
    }
    *ret = xstrdup(from);
    return 0;
}

/* What a NameNode's good answer says. */
static int read_answer(const struct webhdfs *w, const struct webhdfs_call *q,
                       const struct http_answer *a, struct webhdfs_answer *ret, struct err *e) {
    struct webhdfs_answer got = {0};
    if (q->to_datanode) {
        int r = take_location(w, http_header(a, "Location"), &got.location, e);
        if (r)
            return r;
    } else if (a->body.len) {
        got.doc = json_parse(a->body.data, a->body.len, ERR_STORAGE, e);
        if (!got.doc || !json_is_object(json_root(got.doc))) {
            webhdfs_answer_release(&got);
            return webhdfs_strange(a, e);
        }
    }
    if (ret)
        *ret = got;
    else
        webhdfs_answer_release(&got);
    return 0;
}

static int ask_one(struct webhdfs *w, size_t i, const struct webhdfs_call *q,
                   struct webhdfs_answer *ret, bool *ret_elsewhere, struct err *e) {
    struct buf url = BUF_INIT(16 * LIMIT_PATH);
    buf_addf(&url, "%s://%s/webhdfs/v1", w->u.tls ? "https" : "http", w->u.hosts[i]);
    buf_add_encoded(&url, *q->path ? q->path : "/", "/");
    buf_addf(&url, "?%s%s", q->query, w->who);
    assert(!url.overflow);
    struct http_request hq = {.method = q->method,
                              .url = buf_str(&url),
                              .headers = xsrf_header,
                              .max_body = LIMIT_WEBHDFS_ANSWER,
                              .timeout_ms = ASK_MS,
                              .negotiate = w->kerberos,
                              .told_end = true,
                              .once = q->once};
    struct http_answer a = {0};
    int r = http_fetch(w->http, &hq, &a, e);
    if (r < 0)
        *ret_elsewhere = e->retry;
    else if (a.status == (q->to_datanode ? 307 : 200))
        r = read_answer(w, q, &a, ret, e);
    else if (a.status == 200)
        r = webhdfs_strange(&a, e);
    else
        r = webhdfs_refusal(&a, ret_elsewhere, e);
    http_answer_release(&a);
    buf_release(&url);
    return r;
}

int webhdfs_ask(struct webhdfs *w, const struct webhdfs_call *q, struct webhdfs_answer *ret,
                struct err *e) {
    size_t first = atomic_load(&w->active);
    int r = 0;
    for (size_t i = 0; i < w->u.n; i++) {
        size_t at = (first + i) % w->u.n;
        bool elsewhere = false;
        r = ask_one(w, at, q, ret, &elsewhere, e);
        if (!elsewhere) {
            atomic_store(&w->active, at);
            break;
        }
    }
    return r;
}

int webhdfs_create(struct webhdfs *w, const char *location, const void *data, size_t len,
                   const struct http_file *file, struct err *e) {
    static const char *const headers[] = {"Content-Type: application/octet-stream", NULL};
    struct http_request q = {.method = "PUT",
                             .url = location,
                             .headers = headers,
                             .body = data,
                             .body_len = len,
                             .upload = file,
                             .max_body = LIMIT_HTTP_ERROR,
                             .stall_ms = STALL_MS,
                             .once = true};
    struct http_answer a = {0};
    int r = http_fetch(w->http, &q, &a, e);
    if (r == 0 && a.status != 201)
        r = webhdfs_datanode_refusal(&a, e);
    http_answer_release(&a);
    return r;
}

static int fetch(struct webhdfs *w, const struct http_request *q, struct http_answer *a,
                 struct err *e) {
    int r = http_fetch(w->http, q, a, e);
    if (r == 0 && a->status != 200) {
        r = webhdfs_datanode_refusal(a, e);
        http_answer_release(a);
    }
    return r;
}

int webhdfs_read(struct webhdfs *w, const char *location, struct buf *ret, struct err *e) {
    struct http_request q = {.url = location,
                             .max_body = MAX(ret->max + 1, (size_t)LIMIT_HTTP_ERROR),
                             .stall_ms = STALL_MS,
                             .told_end = true};
    struct http_answer a = {0};
    int r = fetch(w, &q, &a, e);
    if (r)
        return r;
    if (a.body.len > ret->max)
        r = err_set(e, ERR_STORAGE, "larger than %zu bytes", ret->max);
    else
        buf_take(ret, &a.body);
    http_answer_release(&a);
    return r;
}

int webhdfs_read_file(struct webhdfs *w, const char *location, const struct http_file *file,
                      struct err *e) {
    struct http_request q = {.url = location,
                             .download = file,
                             .max_body = LIMIT_HTTP_ERROR,
                             .stall_ms = STALL_MS,
                             .told_end = true};
    struct http_answer a = {0};
    int r = fetch(w, &q, &a, e);
    if (r)
        return r;
    if (a.downloaded != file->len) {
        err_set(e, ERR_STORAGE, "the DataNode sent %lld bytes of %lld", (long long)a.downloaded,
                (long long)file->len);
        r = err_retry(e);
    }
    http_answer_release(&a);
    return r;
}
