/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/util.h"
#include "base/value.h"

enum {
    IDLE_MAX = 40,              /* handles kept for later, each with its open connection */
    EXPECT_FROM = 1 * MIB,      /* a body this large waits a moment for "100 Continue" */
    TRANSFER_BUFFER = 512 * KIB /* for what goes from or to a file */
};

struct http_client {
    struct http_options o;
    pthread_mutex_t lock; /* guards the next two */
    CURL *idle[IDLE_MAX];
    size_t n_idle;
};

/* One request under way: what curl's callbacks share. */
struct exchange {
    const struct http_client *h;
    const struct http_request *q;
    CURL *c;
    struct curl_slist *headers;
    int64_t sent; /* of the body */
    struct http_answer a;
    bool head_whole;  /* its empty line has come: libcurl takes a head cut short for an answer */
    bool too_large;   /* the file of the answer has no more room */
    int failed;       /* errno of our own file, */
    const char *what; /* and what we did to it */
    int64_t stop_ns;  /* when a stop was first seen; 0: not yet */
    char why[CURL_ERROR_SIZE];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static char *copy_of(const char *s) {
    return s ? xstrdup(s) : NULL;
}

struct http_client *http_client_new(const struct http_options *o) {
    assert(o->error_code < 0);
    pthread_once(&once, init);
    struct http_client *h = xcalloc(1, sizeof *h);
    h->o = *o;
    h->o.ca_file = copy_of(o->ca_file);
    h->o.cert_file = copy_of(o->cert_file);
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

void http_client_free(struct http_client *h) {
    if (!h)
        return;
    for (size_t i = 0; i < h->n_idle; i++)
        curl_easy_cleanup(h->idle[i]);
    pthread_mutex_destroy(&h->lock);
    free((char *)(uintptr_t)h->o.ca_file);
    free((char *)(uintptr_t)h->o.cert_file);
    free(h);
}

/* The handle that was used last: its connection is the least likely to be dead. */
static CURL *take_handle(struct http_client *h) {
    pthread_mutex_lock(&h->lock);
    CURL *c = h->n_idle ? h->idle[--h->n_idle] : NULL;
    pthread_mutex_unlock(&h->lock);
    if (!c)
        c = curl_easy_init();
    assert(c);
    return c;
}

static void give_handle(struct http_client *h, CURL *c) {
    curl_easy_reset(c); /* forgets the request, keeps the connection */
    pthread_mutex_lock(&h->lock);
    if (h->n_idle < IDLE_MAX)
        h->idle[h->n_idle++] = TAKE_PTR(c);
    pthread_mutex_unlock(&h->lock);
    if (c)
        curl_easy_cleanup(c);
}

bool http_is_url(const char *text) {
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

bool http_has_negotiate(void) {
    pthread_once(&once, init);
    return curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_SPNEGO;
}

void http_answer_release(struct http_answer *a) {
    buf_release(&a->headers);
    buf_release(&a->body);
    *a = (struct http_answer){0};
}

const char *http_header(const struct http_answer *a, const char *name) {
    size_t n = strlen(name);
    for (size_t at = 0; at < a->headers.len;) { /* without headers there is no text at all */
        const char *line = a->headers.data + at;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':')
            return line + n + 1 + strspn(line + n + 1, " \t");
        at += strlen(line) + 1;
    }
    return NULL;
}

int http_wait_ms(const struct http_answer *a) {
    const char *text = http_header(a, "retry-after");
    int64_t seconds = text ? digits_parse(text) : -1;
    return seconds < 0 ? 0 : (int)MIN(seconds, 3600) * 1000;
}

/* One line of the answer's head, kept without its end. Taking less than was offered ends it all. */
static size_t on_header(char *p, size_t size, size_t n, void *arg) {
    struct exchange *x = arg;
    n *= size;
    if (n >= 5 && memcmp(p, "HTTP/", 5) == 0) {
        buf_reset(&x->a.headers); /* what came before belonged to a 100, a 401 or a redirect */
        x->head_whole = false;
    }
    size_t len = n;
    while (len > 0 && strchr("\r\n \t", p[len - 1]))
        len--;
    x->head_whole |= len == 0;
    for (size_t i = 0; i < len; i++)
        buf_add_char(&x->a.headers, p[i] ? p[i] : ' ');
    buf_add_char(&x->a.headers, '\0');
    return x->a.headers.overflow ? 0 : n;
}

static size_t to_file(struct exchange *x, const char *p, size_t n) {
    const struct http_file *f = x->q->download;
    if ((int64_t)n > f->len - x->a.downloaded) {
        x->too_large = true;
        return 0;
    }
    for (size_t done = 0; done < n;) {
        ssize_t wrote = pwrite(f->fd, p + done, n - done, f->offset + x->a.downloaded);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            x->failed = errno;
            x->what = "cannot write what it answered";
            return 0;
        }
        done += (size_t)wrote;
        x->a.downloaded += wrote;
    }
    return n;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg) {
    struct exchange *x = arg;
    long status = 0;
    curl_easy_getinfo(x->c, CURLINFO_RESPONSE_CODE, &status);
    if (x->q->download && status / 100 == 2)
        return to_file(x, p, size * n);
    buf_add(&x->a.body, p, size * n);
    return x->a.body.overflow ? 0 : size * n;
}

static int64_t body_len(const struct http_request *q) {
    return q->upload ? q->upload->len : (int64_t)q->body_len;
}

static size_t on_send(char *p, size_t size, size_t n, void *arg) {
    struct exchange *x = arg;
    const struct http_file *f = x->q->upload;
    n = (size_t)MIN((int64_t)(size * n), body_len(x->q) - x->sent);
    if (n == 0)
        return 0;
    if (!f) {
        memcpy(p, (const char *)x->q->body + x->sent, n);
        x->sent += (int64_t)n;
        return n;
    }
    ssize_t got;
    do
        got = pread(f->fd, p, n, f->offset + x->sent);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        x->failed = got < 0 ? errno : ENODATA; /* shorter than the caller said */
        x->what = "cannot read what it is to be sent";
        return CURL_READFUNC_ABORT;
    }
    x->sent += got;
    return (size_t)got;
}

/* The body has to be sent again from its beginning: another login step, a dead connection. */
static int on_seek(void *arg, curl_off_t offset, int origin) {
    struct exchange *x = arg;
    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    x->sent = offset;
    return CURL_SEEKFUNC_OK;
}

/* A stop asked for by a signal ends the wait, after the grace the client gives. */
static int on_progress(void *arg, curl_off_t a ATTR_UNUSED, curl_off_t b ATTR_UNUSED,
                       curl_off_t c ATTR_UNUSED, curl_off_t d ATTR_UNUSED) {
    struct exchange *x = arg;
    if (!stop_requested())
        return 0;
    int64_t now = clock_mono_ns();
    if (!x->stop_ns)
        x->stop_ns = now;
    return now - x->stop_ns >= x->h->o.stop_grace_ms * 1000000LL;
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
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_SSL_CONNECT_ERROR:
        return true;
    default:
        return false;
    }
}

static void add_header(struct exchange *x, const char *line) {
    struct curl_slist *more = curl_slist_append(x->headers, line);
    assert(more);
    x->headers = more;
}

static void set_up_body(struct exchange *x) {
    const struct http_request *q = x->q;
    CURL *c = x->c;
    const char *method = q->method ? q->method : "GET";
    bool sends = q->body || q->upload || strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0;
    if (sends) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)body_len(q));
        curl_easy_setopt(c, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(c, CURLOPT_READDATA, x);
        curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(c, CURLOPT_SEEKDATA, x);
        if (body_len(q) < EXPECT_FROM)
            add_header(x, "Expect:");
    }
    if (q->upload)
        curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, (long)TRANSFER_BUFFER);
    if (q->download)
        curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)TRANSFER_BUFFER);
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
}

static void set_up_times(const struct exchange *x) {
    const struct http_request *q = x->q;
    int connect_ms = x->h->o.connect_timeout_ms;
    curl_easy_setopt(x->c, CURLOPT_CONNECTTIMEOUT_MS, connect_ms ? (long)connect_ms : 10000L);
    long whole_ms = q->timeout_ms ? q->timeout_ms : q->stall_ms ? 0 : 60000;
    curl_easy_setopt(x->c, CURLOPT_TIMEOUT_MS, whole_ms);
    if (q->stall_ms) {
        curl_easy_setopt(x->c, CURLOPT_LOW_SPEED_LIMIT, (long)KIB);
        curl_easy_setopt(x->c, CURLOPT_LOW_SPEED_TIME, (long)MAX(q->stall_ms / 1000, 1));
    }
    curl_easy_setopt(x->c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(x->c, CURLOPT_XFERINFODATA, x);
    curl_easy_setopt(x->c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(x->c, CURLOPT_NOSIGNAL, 1L); /* no SIGALRM in a program with threads */
}

static void set_up(struct exchange *x) {
    const struct http_request *q = x->q;
    const struct http_options *o = &x->h->o;
    CURL *c = x->c;
    curl_easy_setopt(c, CURLOPT_URL, q->url);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, q->max_redirects > 0 ? 1L : 0L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)q->max_redirects);
    curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, q->once ? 1L : 0L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "clickmill");
    if (o->ca_file)
        curl_easy_setopt(c, CURLOPT_CAINFO, o->ca_file);
    if (o->direct)
        curl_easy_setopt(c, CURLOPT_PROXY, "");
    if (o->cert_file)
        curl_easy_setopt(c, CURLOPT_SSLCERT, o->cert_file);
    if (q->negotiate) {
        curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_NEGOTIATE);
        curl_easy_setopt(c, CURLOPT_USERPWD, ":"); /* whose ticket it is says the ticket */
    }
    set_up_body(x);
    set_up_times(x);
    for (const char *const *h = q->headers; h && *h; h++)
        add_header(x, *h);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, x->headers);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->why);
}

static int explain(const struct exchange *x, CURLcode code, struct err *e) {
    _cleanup_(freep) char *url = url_mask(x->q->url);
    int as = x->h->o.error_code;
    long sent = 0;
    curl_easy_getinfo(x->c, CURLINFO_REQUEST_SIZE, &sent);
    if (x->failed)
        err_sys(e, as, x->failed, "%s: %s", url, x->what);
    else if (code == CURLE_ABORTED_BY_CALLBACK)
        err_set(e, ERR_STOPPED, "stopped while waiting for %s", url);
    else if (x->a.headers.overflow)
        err_set(e, as, "%s answered with more than %d bytes of headers", url, LIMIT_HTTP_HEADERS);
    else if (x->a.body.overflow)
        err_set(e, as, "%s answered with more than %zu bytes", url, x->q->max_body);
    else if (x->too_large)
        err_set(e, as, "%s answered with more than %lld bytes", url,
                (long long)x->q->download->len);
    else {
        err_set(e, as, "%s: %s", url, x->why[0] ? x->why : curl_easy_strerror(code));
        e->retry = can_pass(code);
    }
    e->unsure = sent > 0;
    return e->code;
}

/* Would we have seen it if the connection had broken in the middle of the body? */
static bool tells_its_end(const struct exchange *x, int status) {
    const char *coding = http_header(&x->a, "transfer-encoding");
    bool has_body =
        status / 100 == 2 && status != 204 && !(x->q->method && strcmp(x->q->method, "HEAD") == 0);
    return !has_body || http_header(&x->a, "content-length") ||
           (coding && strcasecmp(coding, "chunked") == 0);
}

/* Sends it. CURLE_OK: x->a is the answer. */
static CURLcode perform(struct exchange *x) {
    CURLcode code = curl_easy_perform(x->c);
    long status = 0;
    curl_easy_getinfo(x->c, CURLINFO_RESPONSE_CODE, &status);
    x->a.status = (int)status;
    if (code == CURLE_OK && !x->head_whole)
        return CURLE_PARTIAL_FILE;
    if (code == CURLE_OK && x->q->told_end && !tells_its_end(x, x->a.status)) {
        snprintf(x->why, sizeof x->why, "the answer does not tell where it ends");
        return CURLE_PARTIAL_FILE;
    }
    return code;
}

int http_fetch(struct http_client *h, const struct http_request *q, struct http_answer *ret,
               struct err *e) {
    assert(q->max_body > 0);
    if (!http_is_url(q->url)) {
        _cleanup_(freep) char *url = url_mask(q->url);
        return err_set(e, h->o.error_code, "%s is no http or https URL", url);
    }
    struct exchange x = {
        .h = h,
        .q = q,
        .c = take_handle(h),
        .a = {.headers = BUF_INIT(LIMIT_HTTP_HEADERS), .body = BUF_INIT(q->max_body)}};
    set_up(&x);
    CURLcode code = perform(&x);
    int r = 0;
    if (code == CURLE_OK)
        *ret = x.a;
    else {
        r = explain(&x, code, e);
        http_answer_release(&x.a);
    }
    curl_slist_free_all(x.headers);
    give_handle(h, x.c);
    return r;
}
