/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <strings.h>

#include "base/util.h"
#include "base/value.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

bool http_is_url(const char *text) {
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

void http_answer_release(struct http_answer *a) {
    free(a->content_type);
    buf_release(&a->body);
    *a = (struct http_answer){0};
}

/* Too much: taking less than was offered ends the transfer. */
static size_t on_body(char *p, size_t size, size_t n, void *arg) {
    struct buf *b = arg;
    buf_add(b, p, size * n);
    return b->overflow ? 0 : size * n;
}

/* A stop asked for by a signal ends the wait. */
static int on_progress(void *arg ATTR_UNUSED, curl_off_t a ATTR_UNUSED, curl_off_t b ATTR_UNUSED,
                       curl_off_t c ATTR_UNUSED, curl_off_t d ATTR_UNUSED) {
    return stop_requested();
}

static bool can_pass(CURLcode c) {
    switch (c) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
        return true;
    default:
        return false;
    }
}

static struct curl_slist *header_list(const struct http_request *q) {
    struct curl_slist *list = NULL;
    for (const char *const *h = q->headers; h && *h; h++) {
        struct curl_slist *more = curl_slist_append(list, *h);
        assert(more);
        list = more;
    }
    return list;
}

static void set_up(CURL *c, const struct http_request *q, struct curl_slist *headers,
                   struct buf *body, char *why) {
    curl_easy_setopt(c, CURLOPT_URL, q->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, q->max_redirects > 0 ? 1L : 0L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)q->max_redirects);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
                     q->connect_timeout_ms ? (long)q->connect_timeout_ms : 10000L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, q->timeout_ms ? (long)q->timeout_ms : 60000L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "clickmill");
    curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L); /* no SIGALRM in a program with threads */
    if (q->body) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body);
    }
    if (q->method)
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    if (q->method && strcmp(q->method, "HEAD") == 0)
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
}

static int explain(const struct http_request *q, CURLcode code, const char *why, bool too_large,
                   struct err *e) {
    _cleanup_(freep) char *url = url_mask(q->url);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return err_set(e, ERR_STOPPED, "stopped while waiting for %s", url);
    if (too_large)
        return err_set(e, q->error_code, "%s answered with more than %zu bytes", url, q->max_body);
    err_set(e, q->error_code, "%s: %s", url, why[0] ? why : curl_easy_strerror(code));
    e->retry = can_pass(code);
    return e->code;
}

int http_fetch(const struct http_request *q, struct http_answer *ret, struct err *e) {
    assert(q->max_body > 0 && q->error_code < 0);
    if (!http_is_url(q->url)) {
        _cleanup_(freep) char *url = url_mask(q->url);
        return err_set(e, q->error_code, "%s is no http or https URL", url);
    }
    pthread_once(&once, init);
    struct buf body = BUF_INIT(q->max_body);
    char why[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = header_list(q);
    CURL *c = curl_easy_init();
    assert(c);
    set_up(c, q, headers, &body, why);
    CURLcode code = curl_easy_perform(c);
    int r = 0;
    if (code != CURLE_OK) {
        r = explain(q, code, why, body.overflow, e);
        buf_release(&body);
    } else {
        long status = 0;
        char *type = NULL;
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type);
        *ret = (struct http_answer){
            .status = (int)status, .content_type = type ? xstrdup(type) : NULL, .body = body};
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
    return r;
}
