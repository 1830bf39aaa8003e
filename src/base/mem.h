/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: allocations that end the program when there is none left (exit 70: a batch that was not
 * committed is read again after the restart, so ending is safe), growable buffers with a maximum,
 * and one arena per batch.
 */
#ifndef CM_BASE_MEM_H
#define CM_BASE_MEM_H

#include <stdarg.h>

void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) ATTR_PRINTF(1, 2);

/*
 * A growable byte buffer. `data` always ends in a NUL that `len` does not count. What would grow
 * it beyond `max` (at most SIZE_MAX / 2) is dropped and sets `overflow`; the caller checks it once at the end.
 */
struct buf {
    char *data;
    size_t len, cap, max;
    bool overflow;
};

/* For a declaration: struct buf b = BUF_INIT(LIMIT_…); */
#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})

void buf_release(struct buf *b);              /* frees; b can be used again */
void buf_reset(struct buf *b);                /* empties, keeps the memory */
bool buf_reserve(struct buf *b, size_t more); /* false = would pass max */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) ATTR_PRINTF(2, 3);
/*
 * The text for a URL: A-Z a-z 0-9 - . _ ~, which RFC 3986 calls unreserved, and the bytes of `also_plain` as
 * they are, all others as %XX.
 */
void buf_add_encoded(struct buf *b, const char *text, const char *also_plain);
/* The n bytes between two `quote`, each `quote` in them twice: a text ('), or a name ("), in SQL. */
void buf_add_quoted(struct buf *b, const char *text, size_t n, char quote);
void buf_add_literal(struct buf *b, const char *text); /* 'text', as SQL has it */
void buf_vaddf(struct buf *b, const char *fmt, va_list ap);
/* Moves the bytes of another one here, in place of what was; it is empty after. They must fit. */
void buf_take(struct buf *b, struct buf *from);
char *buf_detach(struct buf *b); /* the caller frees; never NULL; b is empty after */
static inline const char *buf_str(const struct buf *b) {
    return b->data ? b->data : "";
}

/* Bump allocator: everything is freed at once. Blocks are kept over a reset. */
struct arena {
    struct arena_block *first, *cur;
    size_t used; /* bytes handed out since the last reset */
};

void *arena_alloc(struct arena *a, size_t n); /* 16-byte aligned, not cleared, never NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) ATTR_PRINTF(2, 3);
void arena_reset(struct arena *a);
void arena_release(struct arena *a);

#endif
