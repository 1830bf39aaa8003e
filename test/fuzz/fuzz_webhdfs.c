/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a NameNode or DataNode says when it refuses, and as the URL of a lake in HDFS: there
 * is an error with words, or the URL has hosts and a path that can be asked for.
 */
#include <assert.h>

#include "storage/hdfs_url.h"
#include "storage/webhdfs_error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void refuse(const uint8_t *data, size_t n) {
    static const int statuses[] = {200, 302, 401, 403, 404, 429, 500, 503};
    struct http_answer a = {.status = statuses[n % ARRAY_LEN(statuses)], .body = BUF_INIT(1 << 20)};
    struct err e = {0};
    bool elsewhere = false;
    buf_add(&a.body, data, n);
    int r = webhdfs_refusal(&a, &elsewhere, &e);
    assert((r == ERR_STORAGE || r == ERR_NOT_FOUND || r == ERR_EXISTS) && e.msg[0]);
    assert(!strchr(e.msg, '\n') && r == e.code);
    r = webhdfs_datanode_refusal(&a, &e);
    assert(r == e.code && e.msg[0]);
    buf_release(&a.body);
}

static void parse(const uint8_t *data, size_t n) {
    _cleanup_(freep) char *rest = xstrndup((const char *)data, n);
    _cleanup_(freep) char *url = xasprintf("hdfs://%s", rest);
    struct hdfs_url u;
    struct err e = {0};
    if (hdfs_url_parse(url, &u, &e) < 0) {
        assert(e.code == ERR_CONFIG && e.msg[0] && e.hint[0]);
        return;
    }
    assert(u.n > 0 && (u.path[0] == '\0' || u.path[0] == '/'));
    struct buf b = BUF_INIT(1 << 20);
    buf_add_encoded(&b, u.path, "/");
    assert(!b.overflow &&
           b.len == strspn(buf_str(&b), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789-._~/%"));
    buf_release(&b);
    hdfs_url_release(&u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    refuse(data, n);
    parse(data, n);
    return 0;
}
