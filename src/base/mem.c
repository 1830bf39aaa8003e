/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <assert.h>

static void *must(void *p) {
    if (!p) {
        fputs("clickmill: out of memory\n", stderr);
        _Exit(70);
    }
    return p;
}

void *xmalloc(size_t n) {
    return must(malloc(n ? n : 1));
}

void *xcalloc(size_t n, size_t size) {
    return must(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n) {
    return must(realloc(p, n ? n : 1));
}

char *xstrdup(const char *s) {
    return must(strdup(s));
}

char *xstrndup(const char *s, size_t n) {
    char *p = xmalloc(n + 1);
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *xasprintf(const char *fmt, ...) {
    char *s;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return must(n < 0 ? NULL : s);
}

void buf_release(struct buf *b) {
    free(b->data);
    *b = BUF_INIT(b->max);
}

void buf_reset(struct buf *b) {
    b->len = 0;
    b->overflow = false;
    if (b->data)
        b->data[0] = '\0';
}

bool buf_reserve(struct buf *b, size_t more) {
    assert(b->max > 0 && b->max <= SIZE_MAX / 2);
    if (more > b->max || b->len > b->max - more) {
        b->overflow = true;
        return false;
    }
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap *= 2;
    b->data = xrealloc(b->data, cap);
    b->data[b->len] = '\0';
    b->cap = cap;
    return true;
}

void buf_take(struct buf *b, struct buf *from) {
    assert(from->len <= b->max && !from->overflow);
    size_t max = b->max;
    buf_release(b);
    *b = *from;
    b->max = max;
    *from = BUF_INIT(from->max);
}

void buf_add(struct buf *b, const void *p, size_t n) {
    if (!buf_reserve(b, n))
        return;
    if (n)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_add_str(struct buf *b, const char *s) {
    buf_add(b, s, strlen(s));
}

void buf_add_char(struct buf *b, char c) {
    buf_add(b, &c, 1);
}

void buf_add_encoded(struct buf *b, const char *text, const char *also_plain) {
    for (; *text; text++) {
        char c = *text;
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     strchr("-._~", c) || strchr(also_plain, c);
        if (plain)
            buf_add_char(b, c);
        else
            buf_addf(b, "%%%02X", (unsigned char)c);
    }
}

void buf_add_quoted(struct buf *b, const char *text, size_t n, char quote) {
    buf_add_char(b, quote);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == quote)
            buf_add_char(b, quote);
        buf_add_char(b, text[i]);
    }
    buf_add_char(b, quote);
}

void buf_add_literal(struct buf *b, const char *text) {
    buf_add_quoted(b, text, strlen(text), '\'');
}

void buf_vaddf(struct buf *b, const char *fmt, va_list ap) {
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    assert(n >= 0);
    if (!buf_reserve(b, (size_t)n))
        return;
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    b->len += (size_t)n;
}

void buf_addf(struct buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(b, fmt, ap);
    va_end(ap);
}

char *buf_detach(struct buf *b) {
    char *p = b->data ? b->data : xstrdup("");
    *b = BUF_INIT(b->max);
    return p;
}

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(16) char data[];
};

enum { ARENA_BLOCK = 64 * 1024 };

static struct arena_block *block_new(size_t n) {
    size_t size = n > ARENA_BLOCK ? n : ARENA_BLOCK;
    struct arena_block *b = xmalloc(sizeof *b + size);
    b->next = NULL;
    b->size = size;
    b->used = 0;
    return b;
}

/* The next block with room for n bytes; the chain keeps blocks of earlier rounds. */
static struct arena_block *block_with_room(struct arena *a, size_t n) {
    struct arena_block **link = a->cur ? &a->cur->next : &a->first;
    while (*link && (*link)->size < n)
        link = &(*link)->next;
    if (!*link)
        *link = block_new(n);
    (*link)->used = 0;
    return a->cur = *link;
}

void *arena_alloc(struct arena *a, size_t n) {
    assert(n <= SIZE_MAX / 2);
    n = (n + 15) & ~(size_t)15;
    struct arena_block *b = a->cur;
    if (!b || b->size - b->used < n)
        b = block_with_room(a, n);
    void *p = b->data + b->used;
    b->used += n;
    a->used += n;
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n) {
    char *p = arena_alloc(a, n + 1);
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

void arena_reset(struct arena *a) {
    a->cur = NULL;
    a->used = 0;
    if (a->first) {
        a->cur = a->first;
        a->first->used = 0;
    }
}

void arena_release(struct arena *a) {
    for (struct arena_block *b = a->first, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (struct arena){0};
}
