/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/sql_header.h"

#include <strings.h>

#include "base/limits.h"

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

/* Behind the two dashes, without outer blanks. */
static void trim(const char **s, size_t *n) {
    while (*n > 0 && is_blank(**s)) {
        ++*s;
        --*n;
    }
    while (*n > 0 && is_blank((*s)[*n - 1]))
        --*n;
}

/* "Grain: a, b" -> that key and "a, b"; n_keys: none of ours. */
static size_t key_of(const struct sql_header *h, const char **s, size_t *n) {
    for (size_t k = 0; k < h->n_keys; k++) {
        const char *name = h->keys[k].name;
        size_t len = strlen(name);
        if (*n > len && strncasecmp(*s, name, len) == 0 && (*s)[len] == ':') {
            *s += len + 1;
            *n -= len + 1;
            trim(s, n);
            return k;
        }
    }
    return h->n_keys;
}

static int take_key(struct sql_header *h, size_t k, const char *s, size_t n, int line,
                    struct err *e) {
    if (h->lines[k])
        return err_set(e, ERR_ENGINE, "%s:%d: %s stands in line %d already", h->file, line,
                       h->keys[k].name, h->lines[k]);
    h->lines[k] = line;
    buf_add(&h->values[k], s, n);
    return 0;
}

/* A line that goes on with the value before it: it is indented. */
static void take_more(struct sql_header *h, size_t k, size_t indent, const char *s, size_t n) {
    if (h->values[k].len == 0)
        h->indent = indent;
    else
        buf_add_char(&h->values[k], h->keys[k].lines && indent <= h->indent ? '\n' : ' ');
    buf_add(&h->values[k], s, n);
}

/* Reads the comment lines; *ret_body: the first line that is something else. */
static int read_lines(struct sql_header *h, const char *text, const char **ret_body,
                      struct err *e) {
    size_t last = h->n_keys;
    int r = 0;
    for (int line = 1; r == 0; line++) {
        size_t n = strcspn(text, "\n");
        const char *s = text, *next = text + n + (text[n] == '\n');
        trim(&s, &n);
        bool comment = n >= 2 && s[0] == '-' && s[1] == '-';
        if ((n > 0 && !comment) || next == text)
            break;
        text = next;
        if (!comment)
            continue;
        const char *dashes = s;
        s += 2;
        n -= 2;
        trim(&s, &n);
        size_t indent = (size_t)(s - dashes);
        bool indented = n > 0 && indent >= 4;
        size_t k = key_of(h, &s, &n);
        if (k < h->n_keys)
            r = take_key(h, k, s, n, line, e);
        else if (indented && last < h->n_keys)
            take_more(h, last, indent, s, n);
        if (k < h->n_keys || !indented)
            last = k;
    }
    *ret_body = text;
    return r;
}

static int check_whole(const struct sql_header *h, struct err *e) {
    for (size_t k = 0; k < h->n_keys; k++) {
        if (h->values[k].len > 0 || h->keys[k].optional)
            continue;
        err_set(e, ERR_ENGINE, "%s:%d: the header does not say its %s", h->file,
                MAX(h->lines[k], 1), h->keys[k].name);
        return err_hint(e, "%s", h->example);
    }
    return 0;
}

int sql_header_read(struct sql_header *h, const char *text, const char **ret_body, struct err *e) {
    for (size_t k = 0; k < h->n_keys; k++)
        h->values[k] = BUF_INIT(LIMIT_MODEL);
    int r = read_lines(h, text, ret_body, e);
    return r ? r : check_whole(h, e);
}

void sql_header_release(struct sql_header *h) {
    for (size_t k = 0; k < h->n_keys; k++)
        buf_release(&h->values[k]);
}

const char *sql_header_value(const struct sql_header *h, size_t key) {
    return buf_str(&h->values[key]);
}
