/* SPDX-License-Identifier: Apache-2.0 */
#include "event/extra.h"

#include "base/limits.h"
#include "event/bytes.h"
#include "event/extra_repeat.h"

#include <assert.h>
#include <sys/random.h>

/* Nothing gets longer by being rewritten; a comma before and a brace behind come on top. */
enum { OUT_MAX = LIMIT_RECORD + 16 };

/* What a record of ordinary size needs; more is given back at the end of a batch. */
enum { MEMBERS_KEPT = 4096, BYTES_KEPT = 64 * KIB };

static const uint32_t NO_MEMBER = UINT32_MAX;

void extra_init(struct extra *x) {
    *x = (struct extra){.out = BUF_INIT(OUT_MAX), .edited = BUF_INIT(OUT_MAX)};
    if (getrandom(&x->seed, sizeof x->seed, GRND_NONBLOCK) != (ssize_t)sizeof x->seed)
        x->seed = (uint64_t)(uintptr_t)x;
}

void extra_release(struct extra *x) {
    buf_release(&x->out);
    buf_release(&x->edited);
    free(x->members);
    free(x->table);
    x->members = NULL;
    x->table = NULL;
    x->cap = 0;
    x->table_cap = 0;
}

void extra_trim(struct extra *x) {
    if (x->cap > MEMBERS_KEPT || x->table_cap > 4 * MEMBERS_KEPT ||
        x->out.cap + x->edited.cap > 2 * BYTES_KEPT)
        extra_release(x);
}

static uint32_t member_new(struct extra *x) {
    if (x->n == x->cap) {
        x->cap = x->cap ? 2 * x->cap : 64;
        x->members = xrealloc(x->members, x->cap * sizeof *x->members);
    }
    x->members[x->n].use = MEMBER_KEEP;
    return x->n++;
}

/* Writing goes through a bare pointer: extra_add() has reserved room for all of a member. */
static inline uint32_t offset(const struct extra *x, const char *w) {
    return (uint32_t)(w - x->out.data);
}

static char *write_escaped(char *w, uint32_t code) {
    static const char letters[] = "bfnrt", codes[] = "\b\f\n\r\t", hex[] = "0123456789abcdef";
    *w++ = '\\';
    if (code == '"' || code == '\\') {
        *w++ = (char)code;
        return w;
    }
    const char *letter = memchr(codes, (int)code, sizeof codes - 1);
    if (letter) {
        *w++ = letters[letter - codes];
        return w;
    }
    memcpy(w, "u00", 3);
    w[3] = hex[code >> 4];
    w[4] = hex[code & 15];
    return w + 5;
}

/* The inside of a string, in its shortest spelling. */
static char *write_inside(char *w, const char *p, size_t len) {
    const char *end = p + len;
    while (p < end) {
        const char *backslash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((backslash ? backslash : end) - p);
        memcpy(w, p, plain);
        w += plain;
        p += plain;
        if (!backslash)
            break;
        uint32_t code;
        p = json_read_escape(p + 1, &code);
        w = code < 0x20 || code == '"' || code == '\\' ? write_escaped(w, code) : utf8_put(w, code);
    }
    return w;
}

static char *write_string(char *w, const char *p, size_t len, bool escaped) {
    *w++ = '"';
    if (escaped) {
        w = write_inside(w, p, len);
    } else {
        memcpy(w, p, len);
        w += len;
    }
    *w++ = '"';
    return w;
}

/* The string whose opening quote is at p: sets its length, returns whether it has escapes. */
static bool measure_string(const char *p, const char *end, size_t *ret_len) {
    const char *q = string_scan(p + 1, end);
    bool escaped = *q != '"';
    while (*q != '"')
        q = string_scan(q + 2, end); /* past the backslash and what it escapes */
    *ret_len = (size_t)(q - p - 1);
    return escaped;
}

/* One open bracket of a nested value. */
struct level {
    bool is_object, at_name;
    uint32_t first, open; /* of an object: its first member, the one being written; or NO_MEMBER */
};

static void close_member(struct extra *x, struct level *l, const char *w) {
    if (l->open == NO_MEMBER)
        return;
    x->members[l->open].value_end = offset(x, w);
    x->members[l->open].after = x->n;
    l->open = NO_MEMBER;
}

static void open_member(struct extra *x, struct level *l, const char *w, const char *name_end) {
    l->open = member_new(x);
    if (l->first == NO_MEMBER)
        l->first = l->open;
    struct extra_member *m = &x->members[l->open];
    m->start = offset(x, w) - 1;
    m->name = offset(x, w) + 1;
    m->value = offset(x, name_end) + 1; /* the colon follows, without blanks */
    l->at_name = false;
}

/* Comma and closing brackets; returns how many levels are left open. */
static size_t write_mark(struct extra *x, struct level *stack, size_t depth, char mark,
                         const char *w) {
    struct level *l = &stack[depth - 1];
    close_member(x, l, w);
    if (mark == ',') {
        l->at_name = l->is_object;
        return depth;
    }
    if (l->first != NO_MEMBER)
        extra_mark_repeats(x, l->first);
    return depth - 1;
}

static char *write_nested(struct extra *x, char *w, const char *p, const char *end) {
    struct level stack[LIMIT_DEPTH];
    size_t depth = 0;
    while (p < end) {
        char c = *p;
        if (c == '"') {
            size_t len;
            bool escaped = measure_string(p, end, &len);
            char *start = w;
            w = write_string(w, p + 1, len, escaped);
            if (stack[depth - 1].at_name)
                open_member(x, &stack[depth - 1], start, w);
            p += len + 2;
            continue;
        }
        p++;
        if (json_is_blank(c))
            continue;
        if (c == '{' || c == '[')
            stack[depth++] = (struct level){c == '{', c == '{', NO_MEMBER, NO_MEMBER};
        else if (c == ',' || c == '}' || c == ']')
            depth = write_mark(x, stack, depth, c, w);
        *w++ = c;
    }
    return w;
}

void extra_add(struct extra *x, const struct json_value *name, const struct json_value *value) {
    bool fits = buf_reserve(&x->out, (size_t)name->len + value->len + 8);
    assert(fits);
    uint32_t i = member_new(x), start = (uint32_t)x->out.len;
    char *w = x->out.data + start;
    *w++ = ',';
    w = write_string(w, name->p, name->len, name->escaped);
    *w++ = ':';
    uint32_t value_at = offset(x, w);
    if (value->type == JSON_STRING) {
        w = write_string(w, value->p, value->len, value->escaped);
    } else if (value->type >= JSON_ARRAY) {
        w = write_nested(x, w, value->p, value->p + value->len);
    } else {
        memcpy(w, value->p, value->len);
        w += value->len;
    }
    x->out.len = offset(x, w);
    struct extra_member *m = &x->members[i];
    m->start = start;
    m->name = start + 2;
    m->value = value_at;
    m->value_end = offset(x, w);
    m->after = x->n;
}

/* After repeats are settled: a top-level member whose value is null is as good as absent. */
static void drop_nulls(struct extra *x) {
    struct extra_member *m = x->members;
    for (uint32_t i = 0; i < x->n; i = m[i].after) {
        if (m[i].use == MEMBER_DROP)
            continue;
        const struct extra_member *from = m[i].use == MEMBER_KEEP ? &m[i] : &m[m[i].use];
        if (x->out.data[from->value] == 'n') {
            m[i].use = MEMBER_DROP;
            x->any_edit = true;
        }
    }
}

struct text extra_end(struct extra *x, struct arena *a) {
    if (x->n == 0)
        return (struct text){0};
    extra_mark_repeats(x, 0);
    drop_nulls(x);
    if (x->any_edit)
        extra_apply_marks(x);
    const struct buf *b = x->any_edit ? &x->edited : &x->out;
    if (b->len == 0)
        return (struct text){0};
    char *p = arena_alloc(a, b->len + 1);
    memcpy(p, b->data, b->len);
    p[0] = '{'; /* in place of the first comma */
    p[b->len] = '}';
    return (struct text){p, (uint32_t)b->len + 1};
}
