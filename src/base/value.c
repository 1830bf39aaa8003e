/* SPDX-License-Identifier: Apache-2.0 */
#include "base/value.h"

#include <errno.h>
#include <strings.h>

#include "base/limits.h"
#include "base/mem.h"

const char *value_type_name(enum value_type t) {
    switch (t) {
    case VALUE_TEXT:
        return "text";
    case VALUE_URL:
        return "URL";
    case VALUE_INT:
        return "whole number";
    case VALUE_SIZE:
        return "size such as 64KiB, 256MiB or 1GiB";
    case VALUE_DURATION:
        return "duration such as 500ms, 10s, 5m, 1h or 7d";
    case VALUE_RATIO:
        return "number from 0 to 1";
    case VALUE_BOOL:
        return "true or false";
    }
    return "value";
}

struct unit {
    const char *name;
    int64_t factor;
};
static const struct unit size_units[] = {
    {"", 1},    {"B", 1},   {"KiB", KIB},        {"MiB", MIB}, {"GiB", 1024LL * MIB},
    {"K", KIB}, {"M", MIB}, {"G", 1024LL * MIB}, {0}};
static const struct unit duration_units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                             {"h", 3600000}, {"d", 86400000}, {0}};
static const struct unit int_units[] = {{"", 1}, {0}};

static bool parse_bool(const char *s, int64_t *ret) {
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcasecmp(s, words[i]) == 0) {
            *ret = (int64_t)(i & 1);
            return true;
        }
    return false;
}

static bool parse_number(const struct unit *units, const char *s, int64_t *ret) {
    char *end;
    errno = 0;
    long long n = strtoll(s, &end, 10);
    bool negative = s[0] == '-' && units == int_units;
    if (end == s || errno || !(negative || (s[0] >= '0' && s[0] <= '9')))
        return false;
    if (n == 0 && !*end) { /* nothing is nothing in any unit */
        *ret = 0;
        return true;
    }
    for (; units->name; units++)
        if (strcasecmp(end, units->name) == 0)
            return !__builtin_mul_overflow(n, units->factor, ret);
    return false;
}

int value_parse(enum value_type t, const char *what, const char *text, int64_t min, int64_t max,
                int64_t *ret, struct err *e) {
    int64_t v = 0;
    bool ok = t == VALUE_BOOL       ? parse_bool(text, &v)
              : t == VALUE_SIZE     ? parse_number(size_units, text, &v)
              : t == VALUE_DURATION ? parse_number(duration_units, text, &v)
                                    : parse_number(int_units, text, &v);
    if (!ok)
        return err_set(e, ERR_CONFIG, "%s: '%s' is no %s%s", what, text, value_type_name(t),
                       t == VALUE_DURATION && parse_number(int_units, text, &v) ? ": it has no unit"
                                                                                : "");
    if ((min || max) && (v < min || v > max))
        return err_set(e, ERR_CONFIG, "%s: '%s' is out of range: %lld to %lld%s", what, text,
                       (long long)min, (long long)max,
                       t == VALUE_DURATION ? " milliseconds"
                       : t == VALUE_SIZE   ? " bytes"
                                           : "");
    *ret = v;
    return 0;
}

int value_parse_ratio(const char *what, const char *text, double *ret, struct err *e) {
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || text[strspn(text, "0123456789.eE+-")] || strchr("+-", *text) ||
        !(v >= 0 && v <= 1))
        return err_set(e, ERR_CONFIG, "%s: '%s' is no %s", what, text,
                       value_type_name(VALUE_RATIO));
    *ret = v;
    return 0;
}

/*
 * Parameters whose values are shown. All others are hidden: a misspelled "pasword" holds a password,
 * too.
 */
static bool is_harmless(const char *name, size_t n) {
    static const char *const names[] = {"application_name",
                                        "client_encoding",
                                        "connect_timeout",
                                        "dbname",
                                        "endpoint",
                                        "host",
                                        "hostaddr",
                                        "port",
                                        "op",
                                        "passfile",
                                        "region",
                                        "service",
                                        "sslcert",
                                        "sslkey",
                                        "sslmode",
                                        "sslrootcert",
                                        "target_session_attrs",
                                        "user"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strlen(names[i]) == n && strncmp(name, names[i], n) == 0)
            return true;
    return false;
}

bool is_secret_name(const char *name) {
    static const char *const words[] = {"pass", "secret", "private", "pem", "oauthbearer.config"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcasestr(name, words[i]))
            return true;
    size_t n = strlen(name);
    return n >= 5 && strcasecmp(name + n - 5, "token") == 0; /* sasl.….token.endpoint.url is none */
}

/* name=value&…, masked but for what is harmless; also what has no name. */
static void add_masked_query(struct buf *b, const char *query) {
    for (;;) {
        size_t n = strcspn(query, "&"), name = strcspn(query, "=&");
        if (n == 0 || (name < n && is_harmless(query, name))) {
            buf_add(b, query, n);
        } else {
            buf_add(b, query, name < n ? name + 1 : 0);
            buf_add_str(b, "****");
        }
        if (!query[n])
            break;
        buf_add_char(b, '&');
        query += n + 1;
    }
}

bool url_has_ports_only(const char *hosts) {
    bool port = false, bracket = false;
    for (const char *s = hosts; *s && !strchr("/?", *s); s++) {
        if (*s == '[' || *s == ']')
            bracket = *s == '[';
        else if (*s == ',' || (*s == ':' && !bracket))
            port = *s == ':';
        else if (port && !(*s >= '0' && *s <= '9'))
            return false;
    }
    return true;
}

/*
 * What stands before the query. A password that should have been percent-encoded may hold @, / and
 * ?, so it ends at the last @ there is: rather too much is masked. Returns where the rest begins.
 */
static const char *add_masked_front(struct buf *b, const char *url) {
    const char *scheme = url + strcspn(url, ":= ");
    const char *pass = strcasestr(url, "pass"), *eq = pass ? strchr(pass, '=') : NULL;
    if (strncmp(scheme, "://", 3) == 0) {
        const char *host = scheme + 3, *at = strrchr(host, '@');
        const char *colon = host + strcspn(host, ":/?@");
        if (at && *colon == ':') {
            buf_add(b, url, (size_t)(colon - url));
            buf_add_str(b, ":****");
            return at;
        }
        if (!at && !url_has_ports_only(host)) { /* user:password and then no @ */
            buf_add(b, url, (size_t)(host - url));
            buf_add_str(b, "****");
            return "";
        }
    } else if (eq) { /* libpq's "host=… password='…'": where the value ends is hard to tell */
        buf_add(b, url, (size_t)(eq + 1 - url));
        buf_add_str(b, "****");
        return "";
    }
    return url;
}

char *url_mask(const char *url) {
    struct buf b = BUF_INIT(5 * strlen(url) + 16);
    const char *rest = add_masked_front(&b, url);
    size_t n = strcspn(rest, "?");
    buf_add(&b, rest, n);
    if (rest[n]) {
        buf_add_char(&b, '?');
        add_masked_query(&b, rest + n + 1);
    }
    return buf_detach(&b);
}

size_t edit_distance(const char *a, const char *b) {
    size_t la = strlen(a), lb = strlen(b);
    enum { LONGEST = 64 };
    if (la > LONGEST || lb > LONGEST)
        return LONGEST;
    size_t row[LONGEST + 1];
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t up = row[j];
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = MIN(change, MIN(up, row[j - 1]) + 1);
            diagonal = up;
        }
    }
    return row[lb];
}
