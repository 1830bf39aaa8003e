/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <pthread.h>

#include "fake/http_server.h"
#include "net/http.h"
#include "storage/hdfs_helper.h"
#include "storage/hdfs_url.h"

/* It answers in a thread of its own, where cmocka's asserts cannot be. */
struct hdfs_wire {
    const struct hdfs_server *s;
    struct http_server *front;
    struct http_client *http;
    char host[64];
    pthread_mutex_t lock; /* guards the next four */
    enum wire_fault fault;
    int at, times, requests;
    struct http_script *scripts[100000]; /* they live until the end */
    size_t n_scripts;
};

static const struct http_script *script_of(struct hdfs_wire *w, struct http_script like) {
    struct http_script *s = xcalloc(1, sizeof *s);
    *s = like;
    assert(w->n_scripts < ARRAY_LEN(w->scripts));
    w->scripts[w->n_scripts++] = s;
    return s;
}

static const struct http_script *text(struct hdfs_wire *w, int status, const char *headers,
                                      const char *body, size_t len) {
    struct buf b = BUF_INIT(64 * MIB);
    buf_addf(&b, "HTTP/1.1 %d Played\r\n%sContent-Length: %zu\r\n\r\n", status, headers, len);
    buf_add(&b, body, len);
    size_t whole = b.len;
    return script_of(w, (struct http_script){.answer = buf_detach(&b), .len = whole, .keep = true});
}

static const struct http_script *exception(struct hdfs_wire *w, int status, const char *name,
                                           const char *message) {
    _cleanup_(freep) char *body =
        xasprintf("{\"RemoteException\":{\"exception\":\"%s\",\"javaClassName\":\"x.%s\","
                  "\"message\":\"%s\"}}",
                  name, name, message);
    return text(w, status, "Content-Type: application/json\r\n", body, strlen(body));
}

/* Asks the NameNode what we were asked. */
static struct http_answer ask(struct hdfs_wire *w, const char *method, const char *target) {
    _cleanup_(freep) char *url = xasprintf("http://%s%s", w->s->namenode, target);
    struct http_request q = {.method = method, .url = url, .max_body = 64 * MIB};
    struct http_answer a = {0};
    struct err e = {0};
    if (http_fetch(w->http, &q, &a, &e) != 0)
        a.status = 503;
    return a;
}

static const struct http_script *hand_on(struct hdfs_wire *w, const char *method,
                                         const char *target, bool lose, bool cut) {
    struct http_answer a = ask(w, method, target);
    const char *location = http_header(&a, "Location");
    _cleanup_(freep) char *headers =
        location ? xasprintf("Location: %s\r\n", location) : xstrdup("");
    const struct http_script *s = text(w, a.status, headers, buf_str(&a.body), a.body.len);
    struct http_script *spoilt = w->scripts[w->n_scripts - 1];
    if (lose) {
        free((char *)(uintptr_t)spoilt->answer);
        spoilt->answer = "";
        spoilt->len = 0;
    }
    if (cut) /* in the body, or before the empty line */
        spoilt->len -= 2;
    spoilt->keep = !lose && !cut;
    spoilt->reset = lose;
    http_answer_release(&a);
    return s;
}

/* The bytes of a file, less than they are. */
static const struct http_script *spoil_bytes(struct hdfs_wire *w, const char *target) {
    _cleanup_(freep) char *asked = xstrndup(target, (size_t)(strstr(target, "&played=") - target));
    struct http_answer a = ask(w, "GET", asked), bytes = {0};
    struct http_request q = {.url = http_header(&a, "Location"), .max_body = 64 * MIB};
    struct err e;
    assert(http_fetch(w->http, &q, &bytes, &e) == 0);
    bool cut = strstr(target, "&played=cut");
    const struct http_script *s =
        text(w, 200, "", buf_str(&bytes.body), bytes.body.len - (cut ? 0 : 1));
    if (cut) {
        w->scripts[w->n_scripts - 1]->len--;
        w->scripts[w->n_scripts - 1]->keep = false;
    }
    http_answer_release(&bytes);
    http_answer_release(&a);
    return s;
}

/* The DataNode's side of it, at our own address: /webhdfs/v1/… with what is played. */
static const struct http_script *play_datanode(struct hdfs_wire *w, const char *target) {
    if (strstr(target, "&played=unanswered"))
        return script_of(w, (struct http_script){.answer = "", .reset = true});
    if (strstr(target, "&played=cut") || strstr(target, "&played=few"))
        return spoil_bytes(w, target);
    if (strstr(target, "&played=short")) {
        _cleanup_(freep) char *url =
            xasprintf("%.*s?op=CREATE&overwrite=true&user.name=%s", (int)strcspn(target, "?"),
                      target, getenv("USER") ? getenv("USER") : "root");
        struct http_answer a = ask(w, "PUT", url);
        struct http_request q = {.method = "PUT",
                                 .url = http_header(&a, "Location"),
                                 .body = "part",
                                 .body_len = 4,
                                 .max_body = MIB};
        struct http_answer made = {0};
        struct err e;
        assert(http_fetch(w->http, &q, &made, &e) == 0);
        http_answer_release(&made);
        http_answer_release(&a);
    }
    return text(w, 201, "", "", 0);
}

static const struct http_script *datanode_at(struct hdfs_wire *w, const char *target,
                                             const char *host, const char *more) {
    _cleanup_(freep) char *headers = xasprintf("Location: http://%s%s%s\r\n", host, target, more);
    return text(w, 307, headers, "", 0);
}

static bool concerns(enum wire_fault fault, const char *target) {
    bool create = strstr(target, "op=CREATE"), opens = strstr(target, "op=OPEN");
    switch (fault) {
    case WIRE_SHORT_FILE:
    case WIRE_LOSES_FILE:
    case WIRE_NO_DATANODE:
    case WIRE_UNANSWERED:
        return create;
    case WIRE_CUT_BYTES:
        return opens;
    case WIRE_FEW_BYTES:
        return opens && !strstr(target, "length=");
    case WIRE_DEAD_DATANODE:
        return create || opens;
    default:
        return true;
    }
}

static const struct http_script *spoil(struct hdfs_wire *w, enum wire_fault fault,
                                       const char *method, const char *target) {
    switch (fault) {
    case WIRE_LOST:
    case WIRE_CUT:
        return hand_on(w, method, target, fault == WIRE_LOST, fault == WIRE_CUT);
    case WIRE_RESET:
        return script_of(w, (struct http_script){.answer = "", .reset = true});
    case WIRE_503:
        return text(w, 503, "Retry-After: 1\r\n", "<html>busy</html>", 17);
    case WIRE_STANDBY:
        return exception(w, 403, "StandbyException",
                         "Operation category WRITE is not supported in state standby");
    case WIRE_RETRIABLE:
        return exception(w, 403, "RetriableException", "NameNode still not started");
    case WIRE_SAFE_MODE:
        return exception(w, 403, "SafeModeException",
                         "Name node is in safe mode.\\nThe reported blocks");
    case WIRE_NO_DATANODE:
        return exception(w, 403, "IOException",
                         "Failed to find datanode, suggest to check cluster health.");
    case WIRE_SHORT_FILE:
    case WIRE_LOSES_FILE:
        return datanode_at(w, target, w->host,
                           fault == WIRE_SHORT_FILE ? "&played=short" : "&played=lost");
    case WIRE_DEAD_DATANODE:
        return datanode_at(w, target, "127.0.0.1:1", "");
    case WIRE_UNANSWERED:
        return datanode_at(w, target, w->host, "&played=unanswered");
    case WIRE_CUT_BYTES:
        return datanode_at(w, target, w->host, "&played=cut");
    case WIRE_FEW_BYTES:
        return datanode_at(w, target, w->host, "&played=few");
    default:
        return hand_on(w, method, target, false, false);
    }
}

static const struct http_script *choose(void *arg, const char *request) {
    struct hdfs_wire *w = arg;
    size_t method_len = strcspn(request, " ");
    _cleanup_(freep) char *method = xstrndup(request, method_len);
    const char *at = request + method_len + 1;
    _cleanup_(freep) char *target = xstrndup(at, strcspn(at, " "));
    if (strstr(target, "&played="))
        return play_datanode(w, target);
    pthread_mutex_lock(&w->lock);
    int i = concerns(w->fault, target) ? ++w->requests : 0;
    bool hit = w->at && i >= w->at && i < w->at + w->times;
    enum wire_fault fault = hit ? w->fault : WIRE_NONE;
    pthread_mutex_unlock(&w->lock);
    return spoil(w, fault, method, target);
}

struct hdfs_wire *hdfs_wire_new(const struct hdfs_server *s) {
    struct hdfs_wire *w = xcalloc(1, sizeof *w);
    w->s = s;
    pthread_mutex_init(&w->lock, NULL);
    w->http = http_client_new(&(struct http_options){.error_code = ERR_STORAGE});
    w->front = http_server_start_choice(choose, w);
    snprintf(w->host, sizeof w->host, "127.0.0.1:%d", http_server_port(w->front));
    return w;
}

const char *hdfs_wire_host(const struct hdfs_wire *w) {
    return w->host;
}

void hdfs_wire_arm(struct hdfs_wire *w, enum wire_fault fault, int at, int times) {
    pthread_mutex_lock(&w->lock);
    w->fault = fault;
    w->at = at;
    w->times = times;
    w->requests = 0;
    pthread_mutex_unlock(&w->lock);
}

int hdfs_wire_requests(struct hdfs_wire *w) {
    pthread_mutex_lock(&w->lock);
    int n = w->requests;
    pthread_mutex_unlock(&w->lock);
    return n;
}

void hdfs_wire_free(struct hdfs_wire *w) {
    http_server_free(w->front);
    http_client_free(w->http);
    for (size_t i = 0; i < w->n_scripts; i++) {
        if (w->scripts[i]->answer[0])
            free((char *)(uintptr_t)w->scripts[i]->answer);
        free(w->scripts[i]);
    }
    pthread_mutex_destroy(&w->lock);
    free(w);
}
