/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of one row group, kept by column (bronze.h). Where every row of the group has an
 * event_id, event_key is the same text: event_id is then neither stored nor compressed, its pages
 * are copied from event_key's.
 */
#include "parquet/bronze.h"
#include "parquet/bytes.h"
#include "parquet/column.h"
#include "parquet/encode.h"
#include "parquet/encoded.h"

#include <assert.h>

_Static_assert(BRONZE_GROUP_ROWS_MAX == GROUP_ROWS_MAX, "bronze.h tells what a page can hold");

enum { ROW_COST = 8 * 5 + 4 * 4 + 2 * 12 }; /* about what the numbers and codes of a row take */

struct bronze_group {
    uint32_t rows;
    size_t bytes;
    bool twins; /* so far event_id equals event_key in every row, and is not stored */
    /* By column: one of the two is in use. */
    union {
        struct number_column number;
        struct text_column text;
    } col[BRONZE_COLUMNS];
    struct encode_scratch *scratch;
    struct page_writer *writer;
};

static bool is_text(int column) {
    return bronze_columns[column].type == PARQUET_BYTES;
}

struct bronze_group *bronze_group_new(const struct bronze_options *o) {
    struct bronze_group *g = xcalloc(1, sizeof *g);
    for (int i = 0; i < BRONZE_COLUMNS; i++) {
        if (is_text(i))
            text_init(&g->col[i].text, i == COL_RAW);
        else
            number_init(&g->col[i].number, bronze_columns[i].type);
    }
    g->twins = true;
    g->scratch = encode_scratch_new();
    g->writer = page_writer_new(o->zstd_level);
    return g;
}

void bronze_group_free(struct bronze_group *g) {
    if (!g)
        return;
    for (int i = 0; i < BRONZE_COLUMNS; i++) {
        if (is_text(i))
            text_release(&g->col[i].text);
        else
            number_release(&g->col[i].number);
    }
    encode_scratch_free(g->scratch);
    page_writer_free(g->writer);
    free(g);
}

void bronze_group_reset(struct bronze_group *g) {
    for (int i = 0; i < BRONZE_COLUMNS; i++) {
        if (is_text(i))
            text_reset(&g->col[i].text);
        else
            number_reset(&g->col[i].number);
    }
    g->rows = 0;
    g->bytes = 0;
    g->twins = true;
}

size_t bronze_group_rows(const struct bronze_group *g) {
    return g->rows;
}

size_t bronze_group_bytes(const struct bronze_group *g) {
    return g->bytes;
}

/*
 * Rows are added a slice at a time and column by column, so that one column's memory is at hand
 * while it is worked on. A slice lists the rows of events apart from those of rejected records.
 */
struct slice {
    const struct event *ev;
    const struct bronze_source *src;
    uint32_t first, n; /* rows of the group */
    uint32_t n_events;
    uint8_t events[DICT_BATCH];
};

_Static_assert(DICT_BATCH <= 256, "row numbers within a slice are bytes");

static void add_numbers(struct bronze_group *g, const struct slice *s) {
    for (uint32_t k = 0; k < s->n_events; k++) {
        const struct event *ev = &s->ev[s->events[k]];
        uint32_t row = s->first + s->events[k];
        if (ev->has_product_id)
            number_add_i32(&g->col[COL_PRODUCT_ID].number, row, ev->product_id);
        if (ev->has_price)
            number_add_f64(&g->col[COL_PRICE].number, row, ev->price);
        number_add_i64(&g->col[COL_EVENT_TS].number, row, ev->event_ts);
        if (ev->has_quantity)
            number_add_i32(&g->col[COL_QUANTITY].number, row, ev->quantity);
    }
}

/* The texts of an event: column, member. */
#define EACH_TEXT(X)                                                                               \
    X(COL_CATEGORY, category)                                                                      \
    X(COL_EVENT_KEY, event_key)                                                                    \
    X(COL_EVENT_ID, event_id)                                                                      \
    X(COL_EVENT_TYPE, event_type)                                                                  \
    X(COL_USER_ID, user_id)                                                                        \
    X(COL_SESSION_ID, session_id)                                                                  \
    X(COL_SKU, sku)                                                                                \
    X(COL_CURRENCY, currency)                                                                      \
    X(COL_ORDER_ID, order_id)                                                                      \
    X(COL_PAGE_URL, page_url)                                                                      \
    X(COL_REFERRER, referrer)                                                                      \
    X(COL_USER_AGENT, user_agent)                                                                  \
    X(COL_EXTRA, extra)

#define ONE_MORE(column, member) +1
enum { EVENT_TEXTS = 0 EACH_TEXT(ONE_MORE) };

/* The texts of a slice that are there, by column. */
struct gathered {
    enum bronze_column column;
    uint32_t n;
    struct text_value v[DICT_BATCH];
};

/* One pass over the events, which are large; what is absent costs a test. */
static void gather(const struct slice *s, struct gathered g[EVENT_TEXTS]) {
    struct gathered *to = g;
#define START(col, member)                                                                         \
    to->column = col;                                                                              \
    to->n = 0;                                                                                     \
    to++;
    EACH_TEXT(START)
#undef START
    for (uint32_t k = 0; k < s->n_events; k++) {
        const struct event *ev = &s->ev[s->events[k]];
        uint32_t row = s->first + s->events[k];
        to = g;
#define TAKE(col, member)                                                                          \
    if (ev->member.p)                                                                              \
        to->v[to->n++] = (struct text_value){ev->member.p, ev->member.len, row};                   \
    to++;
        EACH_TEXT(TAKE)
#undef TAKE
    }
}

static bool is_twin(const struct event *ev) {
    const struct text *key = &ev->event_key, *id = &ev->event_id;
    if (key->p == id->p)
        return key->len == id->len;
    return id->p && key->len == id->len && same_text(key->p, id->p, key->len);
}

/* From the first row on that is not: gives event_id its own column, a copy up to there. */
static void note_twins(struct bronze_group *g, const struct slice *s) {
    for (uint32_t k = 0; g->twins && k < s->n_events; k++)
        g->twins = is_twin(&s->ev[s->events[k]]);
    if (!g->twins)
        text_copy(&g->col[COL_EVENT_ID].text, &g->col[COL_EVENT_KEY].text);
}

static void add_texts(struct bronze_group *g, const struct slice *s) {
    struct gathered texts[EVENT_TEXTS];
    gather(s, texts);
    if (g->twins)
        note_twins(g, s);
    for (int i = 0; i < EVENT_TEXTS; i++) {
        const struct gathered *t = &texts[i];
        if (t->n > 0 && !(t->column == COL_EVENT_ID && g->twins))
            text_add(&g->col[t->column].text, t->v, t->n);
    }
}

/* Position and the like; rows of one topic come one after the other. */
static void add_sources(struct bronze_group *g, const struct slice *s) {
    const struct bronze_source *src = s->src;
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t row = s->first + i;
        number_add_i64(&g->col[COL_RECEIVED_AT].number, row, src[i].received_us);
        number_add_i32(&g->col[COL_SOURCE_PARTITION].number, row, src[i].partition);
        number_add_i64(&g->col[COL_SOURCE_OFFSET].number, row, src[i].offset);
        number_add_i32(&g->col[COL_SOURCE_INDEX].number, row, src[i].index);
    }
    for (uint32_t i = 0, end; i < s->n; i = end) {
        for (end = i + 1;
             end < s->n && src[end].topic == src[i].topic && src[end].protocol == src[i].protocol;)
            end++;
        text_add_same(&g->col[COL_SOURCE_TOPIC].text, s->first + i, end - i, src[i].topic);
        text_add_same(&g->col[COL_PROTOCOL].text, s->first + i, end - i, src[i].protocol);
    }
}

/* What only rejected records have, and the bytes of records. */
static void add_rest(struct bronze_group *g, const struct slice *s) {
    for (uint32_t i = 0; i < s->n; i++) {
        const struct event *ev = &s->ev[i];
        const struct bronze_source *src = &s->src[i];
        uint32_t row = s->first + i;
        if (ev->reject)
            text_add_same(&g->col[COL_REJECT_REASON].text, row, 1, reject_name(ev->reject));
        if (ev->reject && ev->detail.p)
            text_add(&g->col[COL_REJECT_DETAIL].text,
                     &(struct text_value){ev->detail.p, ev->detail.len, row}, 1);
        if ((ev->reject || src->keep_raw) && src->raw)
            text_add(&g->col[COL_RAW].text,
                     &(struct text_value){src->raw, (uint32_t)src->raw_len, row}, 1);
    }
}

static void add_slice(struct bronze_group *g, const struct event *ev,
                      const struct bronze_source *src, uint32_t n) {
    struct slice s = {.ev = ev, .src = src, .first = g->rows, .n = n};
    bool keep_raw = false;
    for (uint32_t i = 0; i < n; i++) {
        s.events[s.n_events] = (uint8_t)i;
        s.n_events += ev[i].reject == REJECT_NONE;
        keep_raw |= src[i].keep_raw;
    }
    add_numbers(g, &s);
    add_texts(g, &s);
    add_sources(g, &s);
    if (s.n_events < n || keep_raw)
        add_rest(g, &s);
    g->rows += n;
}

void bronze_group_add_many(struct bronze_group *g, const struct event *ev,
                           const struct bronze_source *src, size_t n) {
    assert(g->rows + n <= GROUP_ROWS_MAX);
    for (size_t i = 0; i < n; i += DICT_BATCH)
        add_slice(g, ev + i, src + i, (uint32_t)MIN(n - i, (size_t)DICT_BATCH));
    g->bytes = (size_t)g->rows * ROW_COST;
    for (int i = 0; i < BRONZE_COLUMNS; i++)
        if (is_text(i))
            g->bytes += g->col[i].text.held;
}

void bronze_group_add(struct bronze_group *g, const struct event *ev,
                      const struct bronze_source *src) {
    bronze_group_add_many(g, ev, src, 1);
}

struct bronze_encoded *bronze_encode(struct bronze_group *g) {
    assert(g->rows > 0);
    struct bronze_encoded *en = xcalloc(1, sizeof *en);
    en->rows = g->rows;
    en->bytes = BUF_INIT(SIZE_MAX / 2);
    page_writer_begin(g->writer, &en->bytes, bronze_group_bytes(g) / 2);
    for (int i = 0; i < BRONZE_COLUMNS; i++) {
        struct chunk *c = &en->chunks[i];
        if (!is_text(i))
            encode_numbers(&g->col[i].number, g->rows, g->scratch, g->writer, c);
        else if (i == COL_EVENT_ID && g->twins)
            page_repeat(g->writer, c, &en->chunks[COL_EVENT_KEY]);
        else
            encode_texts(&g->col[i].text, g->rows, i != COL_RAW, g->scratch, g->writer, c);
    }
    en->bytes.data = xrealloc(en->bytes.data, en->bytes.len + 1);
    en->bytes.cap = en->bytes.len + 1;
    bronze_group_reset(g);
    return en;
}

void bronze_encoded_free(struct bronze_encoded *en) {
    if (!en)
        return;
    buf_release(&en->bytes);
    free(en);
}

size_t bronze_encoded_bytes(const struct bronze_encoded *en) {
    return en->bytes.len;
}

size_t bronze_encoded_rows(const struct bronze_encoded *en) {
    return en->rows;
}
