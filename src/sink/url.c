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
