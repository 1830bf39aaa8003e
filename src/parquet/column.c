/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/column.h"

#include "base/mem.h"
#include "parquet/bytes.h"

#include <assert.h>

enum {
    FIRST_DATA = 64 * KIB,
    DICT_JUDGED = 2048, /* distinct texts before a dictionary can be given up */
    DICT_PAUSE = 15,    /* groups without, after it was given up */
};

void number_init(struct number_column *c, enum parquet_type type) {
    *c = (struct number_column){.type = type};
    c->values = xmalloc((size_t)GROUP_ROWS_MAX * (type == PARQUET_INT32 ? 4 : 8));
}

void number_reset(struct number_column *c) {
    presence_reset(&c->present);
    c->n = 0;
}

void number_release(struct number_column *c) {
    presence_release(&c->present);
    free(c->values);
    *c = (struct number_column){0};
}

void text_init(struct text_column *c, bool plain) {
    *c = (struct text_column){.never_dict = plain};
    text_reset(c);
}

void text_reset(struct text_column *c) {
    presence_reset(&c->present);
    dict_reset(&c->dict);
    c->n = 0;
    c->plain = c->never_dict || c->skip_dict > 0;
    if (c->skip_dict > 0)
        c->skip_dict--;
    c->len = TEXT_HEAD;
    c->limit = 0;
    c->end = 0;
    c->n_pages = 0;
    c->min_prefix = UINT64_MAX;
    c->max_prefix = 0;
    c->min_at = c->max_at = 0;
    c->held = 0;
}

void text_release(struct text_column *c) {
    presence_release(&c->present);
    dict_release(&c->dict);
    free(c->codes);
    free(c->data);
    free(c->pages);
    *c = (struct text_column){0};
}

static void add_page(struct text_column *c, uint32_t row) {
    if (c->n_pages == c->pages_cap) {
        c->pages_cap = c->pages_cap ? 2 * c->pages_cap : 8;
        c->pages = xrealloc(c->pages, c->pages_cap * sizeof *c->pages);
    }
    c->pages[c->n_pages++] = (struct text_page){row, c->len};
}

/*
 * The way out of put_plain's straight line: begins a page if the current one is full and the rows
 * allow it, and makes room for `more` bytes.
 */
static void make_room(struct text_column *c, uint32_t row, size_t more) {
    if (c->n_pages == 0)
        add_page(c, 0);
    struct text_page *page = &c->pages[c->n_pages - 1];
    uint32_t start = row & ~7u;
    if (c->len > page->at && c->len - page->at + more > PAGE_BYTES && start >= c->end) {
        add_page(c, start);
        page = &c->pages[c->n_pages - 1];
    }
    if (c->len + more > c->cap) {
        c->cap = MAX(c->cap + c->cap / 2, (size_t)(TEXT_HEAD + FIRST_DATA));
        c->cap = MAX(c->cap, c->len + more);
        c->data = xrealloc(c->data, c->cap);
    }
    /* A full page that has to wait for its row: come here again next time. */
    c->limit = MAX(MIN(c->cap, page->at + PAGE_BYTES), c->len + more);
}

/* Bytes as unsigned numbers, a text before its continuations: the order of UTF8 and of Parquet. */
static int compare(const char *a, uint32_t a_len, const char *b, uint32_t b_len) {
    int order = memcmp(a, b, MIN(a_len, b_len));
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

/* The value at `at` against the one at `than`, both in data. */
static int compare_at(const struct text_column *c, size_t at, size_t than) {
    const char *a = c->data + at, *b = c->data + than;
    return compare(a + 4, load32(a), b + 4, load32(b));
}

static inline void note_range(struct text_column *c, size_t at, uint64_t prefix) {
    if (prefix <= c->min_prefix) {
        if (!c->min_at || prefix < c->min_prefix || compare_at(c, at, c->min_at) < 0)
            c->min_at = at;
        c->min_prefix = prefix;
    }
    if (prefix >= c->max_prefix) {
        if (!c->max_at || prefix > c->max_prefix || compare_at(c, at, c->max_at) > 0)
            c->max_at = at;
        c->max_prefix = prefix;
    }
}

static inline void put_plain(struct text_column *c, uint32_t row, const char *p, uint32_t len) {
    size_t more = 4 + (size_t)len;
    if (__builtin_expect(c->len + more > c->limit, 0))
        make_room(c, row, more);
    char *to = c->data + c->len;
    store32(to, len);
    copy_text(to + 4, p, len);
    note_range(c, c->len, text_prefix(p, len));
    c->len += more;
    c->end = row + 1;
    c->held += more;
}

void text_make_plain(struct text_column *c) {
    assert(!c->plain);
    c->plain = true;
    c->held = 0;
    uint32_t i = 0;
    for (uint32_t row = 0; i < c->n; row++) {
        if (!presence_at(&c->present, row))
            continue;
        uint32_t len;
        const char *p = dict_text(&c->dict, c->codes[i++], &len);
        put_plain(c, row, p, len);
    }
}

/*
 * Whether so few texts repeated that the column has more than about 32 Ki different ones: of n
 * picks among D texts, n²/2D repeat one before. So the verdict is in long before the group is full.
 */
static bool hopeless(const struct text_column *c) {
    uint64_t distinct = c->dict.n, repeats = c->n + 1 - distinct;
    return distinct >= DICT_JUDGED && repeats * 65536 < distinct * distinct;
}

static void give_up_dict(struct text_column *c) {
    text_make_plain(c);
    c->skip_dict = DICT_PAUSE;
}

static inline void put_code(struct text_column *c, uint32_t row, uint32_t code) {
    c->codes[c->n++] = (uint16_t)code;
    presence_mark(&c->present, row);
}

void text_add(struct text_column *c, uint32_t row, const char *p, uint32_t len) {
    if (!c->plain) {
        if (!c->codes)
            c->codes = xmalloc(GROUP_ROWS_MAX * sizeof *c->codes);
        uint32_t known = c->dict.n;
        uint32_t code = dict_code(&c->dict, p, len);
        if (code < known) {
            put_code(c, row, code);
            return;
        }
        c->held = c->dict.len;
        if (code < DICT_MAX && !hopeless(c)) {
            put_code(c, row, code);
            return;
        }
        give_up_dict(c);
    }
    put_plain(c, row, p, len);
    c->n++;
    presence_mark(&c->present, row);
}

void text_add_same(struct text_column *c, uint32_t row, const char *s) {
    if (!c->plain && c->n > 0) {
        uint32_t len, code = c->codes[c->n - 1];
        const char *last = dict_text(&c->dict, code, &len);
        if (strncmp(s, last, len) == 0 && s[len] == '\0') {
            put_code(c, row, code);
            return;
        }
    }
    text_add(c, row, s, (uint32_t)strlen(s));
}

static void copy_dict(struct dict *to, const struct dict *from) {
    dict_reset(to);
    for (uint32_t i = 0; i < from->n; i++) {
        uint32_t len;
        const char *p = dict_text(from, i, &len);
        dict_code(to, p, len);
    }
}

void text_copy(struct text_column *to, const struct text_column *from) {
    presence_copy(&to->present, &from->present);
    to->n = from->n;
    to->plain = from->plain;
    to->skip_dict = from->skip_dict;
    if (!from->plain) {
        copy_dict(&to->dict, &from->dict);
        if (!to->codes)
            to->codes = xmalloc(GROUP_ROWS_MAX * sizeof *to->codes);
        if (from->n)
            memcpy(to->codes, from->codes, from->n * sizeof *to->codes);
    }
    to->n_pages = 0;
    for (size_t i = 0; i < from->n_pages; i++) {
        to->len = from->pages[i].at;
        add_page(to, from->pages[i].row);
    }
    if (to->cap < from->len) {
        to->cap = from->len;
        to->data = xrealloc(to->data, to->cap);
    }
    if (from->len > TEXT_HEAD)
        memcpy(to->data + TEXT_HEAD, from->data + TEXT_HEAD, from->len - TEXT_HEAD);
    to->len = from->len;
    to->limit = 0;
    to->end = from->end;
    to->min_prefix = from->min_prefix;
    to->max_prefix = from->max_prefix;
    to->min_at = from->min_at;
    to->max_at = from->max_at;
    to->held = from->held;
}
