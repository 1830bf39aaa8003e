/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/url.h"

#include <strings.h>

#include "base/limits.h"
#include "base/mem.h"
#include "sink/sink.h"

/* scheme://authority/path?query */
static const char *authority_of(const char *url) {
    const char *s = strstr(url, "://");
    return s ? s + 3 : NULL;
}

/* "host:5432,[::1]:5432,other": what stands after a colon are digits. */
static bool ports_are_numbers(const char *s, size_t n) {
    bool port = false, bracket = false;
    for (; n > 0; s++, n--) {
        if (*s == '[' || *s == ']')
            bracket = *s == '[';
        else if (*s == ',' || (*s == ':' && !bracket))
            port = *s == ':';
        else if (port && !(*s >= '0' && *s <= '9'))
            return false;
    }
    return true;
}

bool url_is_clear(const char *url) {
    const char *authority = authority_of(url);
    if (!authority)
        return false;
    size_t n = strcspn(authority, "/?");
    const char *at = strchr(authority, '@'), *hosts = at ? at + 1 : authority;
    if (at && (at > authority + n || strchr(at + 1, '@')))
        return false;
    return ports_are_numbers(hosts, (size_t)(authority + n - hosts));
}

/* The value of a parameter whose name speaks of a password; also if the name is percent-encoded. */
static bool is_secret(const char *name, size_t n) {
    if (n == strlen("passfile") && strncasecmp(name, "passfile", n) == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (name[i] == '%' || strncasecmp(name + i, "pass", 4) == 0 ||
            strncasecmp(name + i, "secret", 6) == 0)
            return true;
    return false;
}

static void add_query(struct buf *b, const char *query) {
    while (*query) {
        size_t n = strcspn(query, "&"), name = strcspn(query, "=&");
        if (name == n) {
            buf_add_str(b, "****"); /* no name=value: who knows what it is */
        } else {
            buf_add(b, query, name + 1);
            if (is_secret(query, name))
                buf_add_str(b, "****");
            else
                buf_add(b, query + name + 1, n - name - 1);
        }
        query += n;
        if (*query)
            buf_add_char(b, *query++);
    }
}

char *sink_url_masked(const char *url) {
    const char *authority = authority_of(url);
    if (!authority)
        return xstrdup(strncmp(url, "sqlite:", 7) == 0 ? url : "****");
    struct buf b = BUF_INIT(MIB);
    buf_add(&b, url, (size_t)(authority - url));
    if (!url_is_clear(url)) {
        buf_add_str(&b, "****");
        return buf_detach(&b);
    }
    size_t n = strcspn(authority, "?"), plain = strcspn(authority, ":@/?");
    const char *at = memchr(authority, '@', n);
    if (at && authority[plain] == ':') {
        buf_add(&b, authority, plain);
        buf_add_str(&b, ":****");
        buf_add(&b, at, n - (size_t)(at - authority));
    } else {
        buf_add(&b, authority, n);
    }
    if (authority[n]) {
        buf_add_char(&b, '?');
        add_query(&b, authority + n + 1);
    }
    return buf_detach(&b);
}

void url_complaint(const char *libpq, char *out, size_t size) {
    /* `...: "piece of the URL"`; a parameter's name alone is no secret and worth showing. */
    const char *quote = strstr(libpq, ": \"");
    if (strncmp(libpq, "invalid URI query parameter", 27) == 0)
        quote = NULL;
    size_t n = quote ? (size_t)(quote - libpq) : strlen(libpq);
    while (n > 0 && (libpq[n - 1] == '\n' || libpq[n - 1] == ' '))
        n--;
    snprintf(out, size, "%.*s", (int)n, libpq);
}
