/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/column.h"

#include "base/mem.h"
#include "parquet/bytes.h"

#include <assert.h>

enum {
    FIRST_DATA = 1 << 12,
    FIRST_VALUES = 2 * DICT_BATCH,
    DATA_KEPT = 1 << 23, /* memory of texts kept over a reset */
    DICT_JUDGED = 2048,  /* distinct texts before a dictionary can be given up */
    DICT_PAUSE = 15,     /* groups without, after it was given up */
};

void number_init(struct number_column *c, enum parquet_type type) {
    *c = (struct number_column){.type = type};
}

size_t number_size(enum parquet_type type) {
    return type == PARQUET_BOOLEAN ? 1 : type == PARQUET_INT32 ? 4 : 8;
}

void number_grow(struct number_column *c) {
    c->cap = c->cap ? MIN(2 * c->cap, GROUP_ROWS_MAX + DICT_BATCH) : FIRST_VALUES;
    c->values = xrealloc(c->values, c->cap * number_size(c->type));
}

size_t number_held(const struct number_column *c) {
    return c->cap * number_size(c->type) + (c->present.bits ? LEVELS_MAX : 0);
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

void text_init(struct text_column *c, bool never_dict) {
    *c = (struct text_column){.never_dict = never_dict};
    text_reset(c);
}

void text_reset(struct text_column *c) {
    presence_reset(&c->present);
    dict_reset(&c->dict);
    c->n = 0;
    c->direct = c->never_dict || c->skip_dict > 0;
    if (c->skip_dict > 0)
        c->skip_dict--;
    c->held = 0;
    if (c->cap > DATA_KEPT) { /* of a flood of large records */
        free(c->data);
        c->data = NULL;
        c->cap = 0;
    }
    c->len = TEXT_HEAD;
    c->limit = 0;
    c->end = 0;
    c->n_pages = 0;
    c->min = c->max = (struct text_mark){0};
}

void text_release(struct text_column *c) {
    presence_release(&c->present);
    dict_release(&c->dict);
    free(c->codes);
    free(c->lens);
    free(c->data);
    free(c->pages);
    *c = (struct text_column){0};
}

size_t text_memory(const struct text_column *c) {
    return dict_memory(&c->dict) + c->codes_cap * sizeof *c->codes + c->lens_cap * sizeof *c->lens +
           c->cap + (c->present.bits ? LEVELS_MAX : 0);
}

/* The next size of an array that must hold n values. */
static uint32_t next_cap(uint32_t cap, uint32_t n) {
    return MAX(MAX(2 * cap, n), (uint32_t)FIRST_VALUES);
}

static inline void reserve_codes(struct text_column *c, size_t more) {
    if (c->n + more <= c->codes_cap)
        return;
    c->codes_cap = next_cap(c->codes_cap, c->n + (uint32_t)more);
    c->codes = xrealloc(c->codes, c->codes_cap * sizeof *c->codes);
}

static inline void reserve_lens(struct text_column *c, size_t more) {
    if (c->n + more <= c->lens_cap)
        return;
    c->lens_cap = next_cap(c->lens_cap, c->n + (uint32_t)more);
    c->lens = xrealloc(c->lens, c->lens_cap * sizeof *c->lens);
}

static void add_page(struct text_column *c, uint32_t row) {
    if (c->n_pages == c->pages_cap) {
        c->pages_cap = c->pages_cap ? 2 * c->pages_cap : 8;
        c->pages = xrealloc(c->pages, c->pages_cap * sizeof *c->pages);
    }
    c->pages[c->n_pages++] = (struct text_page){row, c->n, c->len};
}

/*
 * The way out of put_text's straight line: begins a page if the current one is full and the rows
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
static int compare(const struct text_column *c, const struct text_mark *a,
                   const struct text_mark *b) {
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    int order = memcmp(c->data + a->at, c->data + b->at, MIN(a->len, b->len));
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static inline void note_range(struct text_column *c, const struct text_mark *m) {
    if (!c->min.at || (m->prefix <= c->min.prefix && compare(c, m, &c->min) < 0))
        c->min = *m;
    if (!c->max.at || (m->prefix >= c->max.prefix && compare(c, m, &c->max) > 0))
        c->max = *m;
}

static inline void put_text(struct text_column *c, uint32_t row, const char *p, uint32_t len) {
    if (__builtin_expect(c->len + len >= c->limit, 0))
        make_room(c, row, (size_t)len + 1);
    copy_text(c->data + c->len, p, len);
    note_range(c, &(struct text_mark){text_prefix(p, len), c->len, len});
    c->lens[c->n] = len;
    c->len += len;
    c->end = row + 1;
    c->held += len + sizeof *c->lens;
}

void text_make_direct(struct text_column *c) {
    assert(!c->direct);
    c->direct = true;
    c->held = 0;
    uint32_t n = c->n;
    reserve_lens(c, 0);
    c->n = 0; /* counts again */
    for (uint32_t row = 0; c->n < n; row++) {
        if (!presence_at(&c->present, row))
            continue;
        uint32_t len;
        const char *p = dict_text(&c->dict, c->codes[c->n], &len);
        put_text(c, row, p, len);
        c->n++;
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
    text_make_direct(c);
    c->skip_dict = DICT_PAUSE;
}

static inline void put_code(struct text_column *c, uint32_t row, uint32_t code) {
    c->codes[c->n++] = (uint16_t)code;
    presence_mark(&c->present, row);
}

/* A text that is new, or not where it was guessed. False: the column is direct from here on. */
static bool add_new(struct text_column *c, const struct text_value *v, uint64_t hash) {
    uint32_t known = c->dict.n;
    uint32_t code = dict_code(&c->dict, v, hash);
    c->held = c->dict.len;
    if (code < known || (code < DICT_MAX && !hopeless(c))) {
        put_code(c, v->row, code);
        return true;
    }
    give_up_dict(c);
    return false;
}

/* Returns how many values went in before the dictionary was given up. */
static size_t add_coded(struct text_column *c, const struct text_value *v, size_t n) {
    uint64_t hash[DICT_BATCH];
    uint16_t guess[DICT_BATCH];
    reserve_codes(c, n);
    dict_guess(&c->dict, v, n, hash, guess);
    for (size_t i = 0; i < n; i++) {
        if (guess[i] && dict_is(&c->dict, guess[i] - 1u, &v[i]))
            put_code(c, v[i].row, guess[i] - 1u);
        else if (!add_new(c, &v[i], hash[i]))
            return i;
    }
    return n;
}

void text_add(struct text_column *c, const struct text_value *v, size_t n) {
    assert(n <= DICT_BATCH);
    size_t i = c->direct ? 0 : add_coded(c, v, n);
    if (i < n)
        reserve_lens(c, n - i);
    for (; i < n; i++) {
        put_text(c, v[i].row, v[i].p, v[i].len);
        c->n++;
        presence_mark(&c->present, v[i].row);
    }
}

void text_add_same(struct text_column *c, uint32_t row, uint32_t n, const char *p, uint32_t len) {
    struct text_value v = {p, len, row};
    uint32_t i = 0;
    if (c->direct || c->n == 0 || !dict_is(&c->dict, c->codes[c->n - 1], &v)) {
        text_add(c, &v, 1);
        i = 1;
    }
    if (!c->direct)
        reserve_codes(c, n - i);
    for (; i < n; i++) {
        v.row = row + i;
        if (c->direct)
            text_add(c, &v, 1);
        else
            put_code(c, v.row, c->codes[c->n - 1]);
    }
}

static void copy_data(struct text_column *to, const struct text_column *from) {
    for (size_t i = 0; i < from->n_pages; i++) {
        to->n = from->pages[i].value;
        to->len = from->pages[i].at;
        add_page(to, from->pages[i].row);
    }
    if (to->cap < from->len) {
        to->cap = from->len;
        to->data = xrealloc(to->data, to->cap);
    }
    memcpy(to->data + TEXT_HEAD, from->data + TEXT_HEAD, from->len - TEXT_HEAD);
    to->n = 0;
    reserve_lens(to, from->n);
    memcpy(to->lens, from->lens, from->n * sizeof *to->lens);
    to->len = from->len;
    to->end = from->end;
    to->min = from->min;
    to->max = from->max;
}

void text_copy(struct text_column *to, const struct text_column *from) {
    text_reset(to);
    presence_copy(&to->present, &from->present);
    to->direct = from->direct;
    to->skip_dict = from->skip_dict;
    to->held = from->held;
    if (from->n == 0)
        return;
    if (from->direct) {
        copy_data(to, from);
    } else {
        dict_copy(&to->dict, &from->dict);
        reserve_codes(to, from->n);
        memcpy(to->codes, from->codes, from->n * sizeof *to->codes);
    }
    to->n = from->n;
}
