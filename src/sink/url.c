/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/url.h"

#include "base/value.h"

/* scheme://authority/path?query */
static const char *authority_of(const char *url) {
    const char *s = strstr(url, "://");
    return s ? s + 3 : NULL;
}

bool url_is_clear(const char *url) {
    const char *authority = authority_of(url);
    if (!authority)
        return false;
    size_t n = strcspn(authority, "/?");
    const char *at = strchr(authority, '@'), *hosts = at ? at + 1 : authority;
    if (at && (at > authority + n || strchr(at + 1, '@')))
        return false;
    return url_has_ports_only(hosts);
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
