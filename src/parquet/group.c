/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/group.h"

#include "parquet/bytes.h"
#include "parquet/encode.h"

#include <assert.h>

enum { COLUMNS_MAX = 64 }; /* bits of row_group.twins */

struct encoder {
    struct encode_scratch *scratch;
    struct page_writer *writer;
};

struct row_group *row_group_new(const struct columns *columns) {
    assert(columns->n <= COLUMNS_MAX);
    struct row_group *g = xcalloc(1, sizeof *g + columns->n * sizeof g->col[0]);
    g->columns = columns;
    for (size_t i = 0; i < columns->n; i++) {
        const struct column_form *form = &columns->v[i];
        if (form->type == PARQUET_BYTES)
            text_init(&g->col[i].text, form->kind == TYPE_BINARY);
        else
            number_init(&g->col[i].number, form->type);
    }
    row_group_reset(g);
    return g;
}

void row_group_free(struct row_group *g) {
    if (!g)
        return;
    for (size_t i = 0; i < g->columns->n; i++) {
        if (row_group_is_text(g, i))
            text_release(&g->col[i].text);
        else
            number_release(&g->col[i].number);
    }
    free(g);
}

void row_group_reset(struct row_group *g) {
    g->rows = 0;
    g->twins = 0;
    for (size_t i = 0; i < g->columns->n; i++) {
        if (g->columns->v[i].twin >= 0)
            g->twins |= 1ULL << i;
        if (row_group_is_text(g, i))
            text_reset(&g->col[i].text);
        else
            number_reset(&g->col[i].number);
    }
}

void row_group_begin(struct row_group *g, uint32_t n) {
    assert(n <= DICT_BATCH && g->rows + n <= GROUP_ROWS_MAX);
    for (size_t i = 0; i < g->columns->n; i++)
        if (!row_group_is_text(g, i))
            number_reserve(&g->col[i].number, n);
}

/* Whether both columns have the same texts in the same rows. */
static bool same_texts(const struct gathered *a, const struct gathered *b) {
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        const struct text_value *x = &a->v[i], *y = &b->v[i];
        if (x->row != y->row || x->len != y->len ||
            (x->p != y->p && !same_text(x->p, y->p, x->len)))
            return false;
    }
    return true;
}

/* From the first row on that differs: gives the column its own texts, a copy up to there. */
static void check_twin(struct row_group *g, const struct gathered *texts,
                       const struct gathered *t) {
    int twin = g->columns->v[t->column].twin;
    const struct gathered *other = t;
    while (other > texts && other->column != twin)
        other--;
    assert(other->column == twin);
    if (same_texts(t, other))
        return;
    g->twins &= ~(1ULL << t->column);
    text_copy(&g->col[t->column].text, &g->col[twin].text);
}

void row_group_texts(struct row_group *g, const struct gathered *texts, size_t n) {
    for (size_t i = 0; g->twins && i < n; i++)
        if (g->twins >> texts[i].column & 1)
            check_twin(g, texts, &texts[i]);
    for (size_t i = 0; i < n; i++) {
        const struct gathered *t = &texts[i];
        if (t->n > 0 && !(g->twins >> t->column & 1))
            text_add(&g->col[t->column].text, t->v, t->n);
    }
}

size_t row_group_bytes(const struct row_group *g) {
    size_t bytes = 0;
    for (size_t i = 0; i < g->columns->n; i++) {
        const union column_data *c = &g->col[i];
        if (!row_group_is_text(g, i))
            bytes += c->number.n * number_size(c->number.type);
        else
            bytes += c->text.held + (c->text.direct ? 0 : c->text.n * sizeof *c->text.codes);
    }
    return bytes;
}

size_t row_group_memory(const struct row_group *g) {
    size_t bytes = sizeof *g + g->columns->n * sizeof g->col[0];
    for (size_t i = 0; i < g->columns->n; i++)
        bytes +=
            row_group_is_text(g, i) ? text_memory(&g->col[i].text) : number_held(&g->col[i].number);
    return bytes;
}

struct encoder *encoder_new(int zstd_level) {
    struct encoder *enc = xcalloc(1, sizeof *enc);
    enc->scratch = encode_scratch_new();
    enc->writer = page_writer_new(zstd_level);
    return enc;
}

void encoder_free(struct encoder *enc) {
    if (!enc)
        return;
    encode_scratch_free(enc->scratch);
    page_writer_free(enc->writer);
    free(enc);
}

struct encoded *row_group_encode(struct row_group *g, struct encoder *enc) {
    assert(g->rows > 0);
    size_t n = g->columns->n;
    struct encoded *en = xcalloc(1, sizeof *en + n * sizeof en->chunks[0]);
    en->rows = g->rows;
    en->bytes = BUF_INIT(SIZE_MAX / 2);
    page_writer_begin(enc->writer, &en->bytes, row_group_bytes(g) / 2);
    for (size_t i = 0; i < n; i++) {
        const struct column_form *form = &g->columns->v[i];
        struct chunk *c = &en->chunks[i];
        if (!row_group_is_text(g, i))
            encode_numbers(&g->col[i].number, g->rows, enc->scratch, enc->writer, c);
        else if (g->twins >> i & 1)
            page_repeat(enc->writer, c, &en->chunks[form->twin]);
        else
            encode_texts(&g->col[i].text, g->rows, form->kind != TYPE_BINARY, enc->scratch,
                         enc->writer, c);
    }
    en->bytes.data = xrealloc(en->bytes.data, en->bytes.len + 1);
    en->bytes.cap = en->bytes.len + 1;
    row_group_reset(g);
    return en;
}

void encoded_free(struct encoded *en) {
    if (!en)
        return;
    buf_release(&en->bytes);
    free(en);
}

size_t encoded_bytes(const struct encoded *en) {
    return en->bytes.len;
}

size_t encoded_rows(const struct encoded *en) {
    return en->rows;
}
