/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentence that goes into reject_detail: what was found, as it was sent, but fit to be printed
 * and stored as text whatever the record's bytes were.
 */
#include "base/limits.h"
#include "event/bytes.h"
#include "event/field.h"

#include <stdarg.h>

/* How much of what was found is shown at most; the rest would be cut anyway. */
enum { SHOWN_MAX = LIMIT_REJECT_DETAIL };

static char *write_byte(char *w, char c) {
    static const char hex[] = "0123456789abcdef";
    *w++ = '\\';
    *w++ = 'x';
    *w++ = hex[(unsigned char)c >> 4];
    *w++ = hex[(unsigned char)c & 15];
    return w;
}

/* C1 controls, and what is invisible but moves the text around it: U+200B…, U+2028…, U+2060…, U+FEFF. */
static bool is_invisible(const char *p, size_t len) {
    if (len == 2)
        return (unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0;
    if (len != 3)
        return false;
    unsigned last = (unsigned char)p[2];
    if (memcmp(p, "\xe2\x80", 2) == 0)
        return (last >= 0x8b && last <= 0x8f) || (last >= 0xa8 && last <= 0xae);
    return (memcmp(p, "\xe2\x81", 2) == 0 && last >= 0xa0 && last <= 0xaf) ||
           memcmp(p, "\xef\xbb\xbf", 3) == 0;
}

/* The bytes of the character at p if it can be shown as it is; 0 for a control and for no UTF-8. */
static size_t printable_len(const char *p, const char *end) {
    unsigned char c = (unsigned char)*p;
    if (c < 0x80)
        return c >= 0x20 && c != 0x7f;
    size_t len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if ((size_t)(end - p) < len || utf8_scan_portable(p, p + len) != p + len)
        return 0;
    return is_invisible(p, len) ? 0 : len;
}

/* A copy in the arena that is printable and at most LIMIT_REJECT_DETAIL bytes long. */
static struct text printable(struct arena *a, const char *s, size_t n) {
    char *out = arena_alloc(a, LIMIT_REJECT_DETAIL), *w = out;
    const char *end = s + n;
    while (s < end) {
        size_t len = printable_len(s, end);
        if ((size_t)(w - out) + (len ? len : 4) > LIMIT_REJECT_DETAIL)
            break;
        if (len == 0) {
            w = write_byte(w, *s++);
        } else {
            memcpy(w, s, len);
            w += len;
            s += len;
        }
    }
    return (struct text){out, (uint32_t)(w - out)};
}

struct text detail_format(struct arena *a, const char *fmt, ...) {
    char s[2 * LIMIT_REJECT_DETAIL];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(s, sizeof s, fmt, ap);
    va_end(ap);
    return printable(a, s, MIN((size_t)n, sizeof s - 1));
}

struct text detail_found(struct arena *a, enum field_id id, const struct json_value *raw) {
    if (!raw)
        return detail_format(a, "%s: missing", field_name(id));
    bool quoted = raw->type == JSON_STRING;
    char s[2 * LIMIT_REJECT_DETAIL];
    int n = snprintf(s, sizeof s, "%s: ", field_name(id));
    size_t len = MIN((size_t)raw->len + 2 * quoted, SHOWN_MAX);
    memcpy(s + n, raw->p - quoted, len);
    return printable(a, s, (size_t)n + len);
}
