/* SPDX-License-Identifier: Apache-2.0 */
#include "event/json_scan.h"

#include "base/limits.h"
#include "event/bytes.h"
#include "event/number.h"

/* Called on each member of each record: these few functions make up most of the time. */
#define HOT static inline __attribute__((always_inline))

HOT const char *skip_blanks(const char *p, const char *end) {
    while (p < end && (unsigned char)*p <= ' ' && json_is_blank(*p))
        p++;
    return p;
}

/* Stops the scan; `at` is what the reject's detail points to. */
static const char *fail(struct json_scan *s, enum json_fault fault, const char *at) {
    s->fault = fault;
    s->p = at;
    return NULL;
}

static inline int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The four hex digits at p as a number, -1 if they are not there. */
static int32_t hex4(const char *p, const char *end) {
    if (end - p < 4)
        return -1;
    int32_t code = 0;
    for (int i = 0; i < 4; i++) {
        int v = hex_value(p[i]);
        if (v < 0)
            return -1;
        code = code << 4 | v;
    }
    return code;
}

/* Checks the escape at p, the byte after the backslash; returns the byte after it or NULL. */
static const char *check_escape(const char *p, const char *end) {
    if (p == end)
        return NULL;
    if (*p != 'u')
        return *p != '\0' && strchr("\"\\/bfnrt", *p) ? p + 1 : NULL;
    int32_t code = hex4(p + 1, end);
    if (code < 0 || (code & 0xfc00) == 0xdc00)
        return NULL;
    p += 5;
    if ((code & 0xfc00) != 0xd800)
        return p;
    /* A high surrogate stands only before a low one. */
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return NULL;
    code = hex4(p + 2, end);
    return code >= 0 && (code & 0xfc00) == 0xdc00 ? p + 6 : NULL;
}

/* Goes on with a string from `p`, somewhere inside it; returns the byte after its end or NULL. */
static const char *finish_string(struct json_scan *s, const char *p, struct json_value *ret) {
    for (;;) {
        p = string_scan(p, s->end);
        if (p < s->end && *p == '"') {
            ret->len = (uint32_t)(p - ret->p);
            return p + 1;
        }
        if (p == s->end || *p != '\\')
            return fail(s, JSON_INVALID, p);
        ret->escaped = true;
        const char *after = check_escape(p + 1, s->end);
        if (!after)
            return fail(s, JSON_INVALID, p);
        p = after;
    }
}

/* Reads a string, p at its opening quote; returns the byte after the closing one or NULL. */
HOT const char *read_string(struct json_scan *s, const char *p, struct json_value *ret) {
    *ret = (struct json_value){.p = ++p, .type = JSON_STRING};
    const char *q = string_scan_step(p, s->end);
    if (q && *q == '"') { /* short and plain, as nearly all are */
        ret->len = (uint32_t)(q - p);
        return q + 1;
    }
    return finish_string(s, p, ret);
}

static const char *read_word(struct json_scan *s, const char *p, enum json_type type,
                             struct json_value *ret) {
    static const char *const words[] = {
        [JSON_NULL] = "null", [JSON_FALSE] = "false", [JSON_TRUE] = "true"};
    size_t len = strlen(words[type]);
    if ((size_t)(s->end - p) < len || memcmp(p, words[type], len) != 0)
        return fail(s, JSON_INVALID, p);
    *ret = (struct json_value){.p = p, .len = (uint32_t)len, .type = (uint8_t)type};
    return p + len;
}

/* Reads what has no inside, p at its first byte; returns the byte after it or NULL. */
HOT const char *read_scalar(struct json_scan *s, const char *p, struct json_value *ret) {
    switch (*p) {
    case '"':
        return read_string(s, p, ret);
    case 'n':
        return read_word(s, p, JSON_NULL, ret);
    case 'f':
        return read_word(s, p, JSON_FALSE, ret);
    case 't':
        return read_word(s, p, JSON_TRUE, ret);
    default:
        break;
    }
    size_t len = number_span(p, s->end);
    if (len == 0)
        return fail(s, JSON_INVALID, p);
    *ret = (struct json_value){.p = p, .len = (uint32_t)len, .type = JSON_NUMBER};
    return p + len;
}

/* A name and its colon, p at the name; returns where the value begins or NULL. */
HOT const char *read_name(struct json_scan *s, const char *p, struct json_value *ret) {
    if (p == s->end || *p != '"')
        return fail(s, JSON_INVALID, p);
    p = read_string(s, p, ret);
    if (!p)
        return NULL;
    p = skip_blanks(p, s->end);
    if (p == s->end || *p != ':')
        return fail(s, JSON_INVALID, p);
    p = skip_blanks(p + 1, s->end);
    return p < s->end ? p : fail(s, JSON_INVALID, p);
}

/* Which of the open levels are objects: a bit each, so 128 levels need no recursion. */
struct levels {
    uint64_t is_object[(LIMIT_DEPTH + 64) / 64];
    unsigned depth; /* levels open now */
};

static const char *open_level(struct json_scan *s, struct levels *l, const char *p) {
    if (l->depth == LIMIT_DEPTH)
        return fail(s, JSON_TOO_DEEP, p);
    uint64_t bit = UINT64_C(1) << l->depth % 64, *word = &l->is_object[l->depth / 64];
    *word = *p == '{' ? *word | bit : *word & ~bit;
    l->depth++;
    return skip_blanks(p + 1, s->end);
}

static bool in_object(const struct levels *l) {
    unsigned top = l->depth - 1;
    return l->is_object[top / 64] >> top % 64 & 1;
}

/*
 * After a value inside level `outside` + 1 or deeper: closes what closes here. Returns where the next
 * value begins, or, with l->depth == outside, the byte after the last bracket.
 */
static const char *next_in_level(struct json_scan *s, struct levels *l, unsigned outside,
                                 const char *p) {
    struct json_value name;
    while (l->depth > outside) {
        p = skip_blanks(p, s->end);
        if (p == s->end)
            return fail(s, JSON_INVALID, p);
        bool object = in_object(l);
        if (*p == ',') {
            p = skip_blanks(p + 1, s->end);
            return object ? read_name(s, p, &name) : p;
        }
        if (*p != (object ? '}' : ']'))
            return fail(s, JSON_INVALID, p);
        p++;
        l->depth--;
    }
    return p;
}

/* Reads an object or array with all that is in it; `outside`: the levels open around it. */
static const char *read_nested(struct json_scan *s, const char *p, unsigned outside,
                               struct json_value *ret) {
    struct levels l = {.depth = outside};
    struct json_value v;
    *ret = (struct json_value){.p = p, .type = *p == '{' ? JSON_OBJECT : JSON_ARRAY};
    do {
        if (p == s->end)
            return fail(s, JSON_INVALID, p);
        if (*p != '{' && *p != '[') {
            p = read_scalar(s, p, &v);
        } else {
            char closing = *p == '{' ? '}' : ']';
            p = open_level(s, &l, p);
            if (p && p < s->end && *p == closing) {
                p++;
                l.depth--;
            } else if (p) {
                if (closing == '}')
                    p = read_name(s, p, &v);
                continue; /* at the level's first value */
            }
        }
        if (p)
            p = next_in_level(s, &l, outside, p);
    } while (p && l.depth > outside);
    if (p)
        ret->len = (uint32_t)(p - ret->p);
    return p;
}

enum json_type json_scan_begin(struct json_scan *s, const char *text, size_t len) {
    *s = (struct json_scan){.p = text, .end = text + len, .first = true};
    const char *p = skip_blanks(text, s->end);
    struct json_value v = {0};
    if (p == s->end) {
        fail(s, JSON_INVALID, p);
        return JSON_NONE;
    }
    if (*p == '{') {
        s->p = p + 1;
        return JSON_OBJECT;
    }
    p = *p == '[' ? read_nested(s, p, 0, &v) : read_scalar(s, p, &v);
    if (!p)
        return JSON_NONE;
    p = skip_blanks(p, s->end);
    if (p != s->end) {
        fail(s, JSON_INVALID, p);
        return JSON_NONE;
    }
    return (enum json_type)v.type;
}

/* After the outermost object's closing brace. */
static bool finish(struct json_scan *s, const char *p) {
    p = skip_blanks(p, s->end);
    if (p != s->end)
        fail(s, JSON_INVALID, p);
    return false;
}

bool json_scan_next(struct json_scan *s, struct json_value *ret_name,
                    struct json_value *ret_value) {
    const char *p = skip_blanks(s->p, s->end);
    if (p < s->end && *p == '}')
        return finish(s, p + 1);
    if (!s->first) {
        if (p == s->end || *p != ',') {
            fail(s, JSON_INVALID, p);
            return false;
        }
        p = skip_blanks(p + 1, s->end);
    }
    s->first = false;
    p = read_name(s, p, ret_name);
    if (p)
        p = *p == '{' || *p == '[' ? read_nested(s, p, 1, ret_value) : read_scalar(s, p, ret_value);
    if (!p)
        return false;
    s->p = p;
    return true;
}

const char *json_read_escape(const char *p, uint32_t *ret_code) {
    static const char letters[] = "bfnrt", codes[] = "\b\f\n\r\t";
    if (*p != 'u') {
        const char *letter = strchr(letters, *p);
        *ret_code = letter ? (uint32_t)codes[letter - letters] : (uint32_t)*p;
        return p + 1;
    }
    uint32_t code = (uint32_t)hex4(p + 1, p + 5);
    p += 5;
    if ((code & 0xfc00) == 0xd800) {
        code = 0x10000 + ((code & 0x3ff) << 10) + ((uint32_t)hex4(p + 2, p + 6) & 0x3ff);
        p += 6;
    }
    *ret_code = code;
    return p;
}

size_t json_unescape(const char *p, size_t len, char *out) {
    const char *end = p + len;
    char *o = out;
    while (p < end) {
        const char *backslash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((backslash ? backslash : end) - p);
        memcpy(o, p, plain);
        o += plain;
        p += plain;
        if (backslash) {
            uint32_t code;
            p = json_read_escape(p + 1, &code);
            o = utf8_put(o, code);
        }
    }
    return (size_t)(o - out);
}
