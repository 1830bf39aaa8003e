/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/hdfs_url.h"

#include <ctype.h>
#include <strings.h>

#include "base/limits.h"
#include "base/util.h"

/* HDFS refuses longer parts of a path by default: dfs.namenode.fs-limits.max-component-length. */
enum { PART_MAX = 255 };

static const struct {
    const char *front;
    bool tls;
} schemes[] = {{"hdfs://", false}, {"webhdfs://", false}, {"swebhdfs://", true}};

static const char *after_scheme(const char *url, bool *ret_tls) {
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t n = strlen(schemes[i].front);
        if (strncasecmp(url, schemes[i].front, n) == 0) {
            *ret_tls = schemes[i].tls;
            return url + n;
        }
    }
    return NULL;
}

bool hdfs_is_url(const char *url) {
    bool tls;
    return after_scheme(url, &tls) != NULL;
}

/* Length of the host at the beginning of s, "[::1]" or a name; 0: none. */
static size_t host_len(const char *s, size_t n) {
    size_t len = 0;
    if (n && *s == '[') {
        while (len < n && s[len] != ']')
            len++;
        return len < n && len > 1 ? len + 1 : 0;
    }
    while (len < n && (isalnum((unsigned char)s[len]) || (s[len] && strchr(".-_", s[len]))))
        len++;
    return len;
}

static bool port_ok(const char *s, size_t n) {
    long port = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9' || i == 5)
            return false;
        port = port * 10 + s[i] - '0';
    }
    return port > 0 && port < 65536;
}

static bool add_host(struct hdfs_url *u, const char *s, size_t n) {
    size_t len = host_len(s, n);
    if (len == 0 || (len < n && (s[len] != ':' || !port_ok(s + len + 1, n - len - 1))))
        return false;
    u->hosts = xrealloc(u->hosts, (u->n + 1) * sizeof *u->hosts);
    u->hosts[u->n++] =
        len < n ? xstrndup(s, n) : xasprintf("%.*s:%d", (int)n, s, u->tls ? 9871 : 9870);
    return true;
}

static bool add_hosts(struct hdfs_url *u, const char *s, size_t n) {
    for (size_t at = 0; at <= n;) {
        size_t len = 0;
        while (at + len < n && s[at + len] != ',')
            len++;
        if (!add_host(u, s + at, len))
            return false;
        at += len + 1;
    }
    return true;
}

/* Why HDFS would not have this path, or would read another one; NULL: it is good. */
static const char *path_fault(const char *path) {
    if (strlen(path) >= LIMIT_PATH)
        return "it is too long";
    for (const char *p = path; *p;) {
        const char *part = p + 1; /* p is at a slash */
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return "it has a part that is empty, '.' or '..'";
        if (n > PART_MAX)
            return "it has a part of more than 255 bytes";
        for (size_t i = 0; i < n;) {
            size_t len = utf8_len(part + i, n - i);
            if (len == 0)
                return "it is not UTF-8";
            if (utf8_is_control(part + i, len))
                return "it has a control character";
            if (part[i] == ':')
                return "HDFS has no ':' in names";
            i += len;
        }
        p = part + n;
    }
    return NULL;
}

int hdfs_url_parse(const char *url, struct hdfs_url *ret, struct err *e) {
    struct hdfs_url u = {0};
    const char *at = after_scheme(url, &u.tls);
    size_t n = strcspn(at, "/");
    const char *fault = NULL;
    if (memchr(at, '@', n))
        fault = "it has a user; say who with hdfs.user";
    else if (!add_hosts(&u, at, n))
        fault = "it has no NameNode of the form HOST:PORT";
    size_t len = strlen(at + n);
    while (len > 0 && at[n + len - 1] == '/')
        len--;
    u.path = xstrndup(at + n, len);
    if (!fault)
        fault = path_fault(u.path);
    if (!fault) {
        *ret = u;
        return 0;
    }
    hdfs_url_release(&u);
    err_set(e, ERR_CONFIG, "the lake's URL cannot be used: %s", fault);
    return err_hint(e,
                    "write hdfs://HOST:PORT/PATH with the port of the NameNode's web page (9870), "
                    "several NameNodes as hdfs://HOST1:PORT,HOST2:PORT/PATH, "
                    "and swebhdfs:// for TLS (9871)");
}

void hdfs_url_release(struct hdfs_url *u) {
    for (size_t i = 0; i < u->n; i++)
        free(u->hosts[i]);
    free(u->hosts);
    free(u->path);
    *u = (struct hdfs_url){0};
}
