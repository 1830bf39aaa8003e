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

_Static_assert(BRONZE_GROUP_ROWS_MAX == GROUP_ROWS_MAX, "what bronze.h tells is what a page can hold");

enum { ROW_COST = 8 * 5 + 4 * 4 + 2 * 12 }; /* about what the numbers and codes of a row take */

struct bronze_group {
    uint32_t rows;
    bool twins; /* so far event_id equals event_key in every row, and is not stored */
    /* By column: one of the two is in use. */
    union {
        struct number_column number;
        struct text_column text;
    } col[BRONZE_COLUMNS];
    struct encode_scratch *scratch;
    struct page_writer *writer;
};

/* Group sizes repeat: the memory of the pages is about that of the last ones. */
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
    g->twins = true;
}

size_t bronze_group_rows(const struct bronze_group *g) {
    return g->rows;
}

size_t bronze_group_bytes(const struct bronze_group *g) {
    size_t n = (size_t)g->rows * ROW_COST;
    for (int i = 0; i < BRONZE_COLUMNS; i++)
        if (is_text(i))
            n += g->col[i].text.held;
    return n;
}

static inline void add_text(struct bronze_group *g, enum bronze_column column, struct text t) {
    if (t.p)
        text_add(&g->col[column].text, g->rows, t.p, t.len);
}

static inline void add_int(struct bronze_group *g, enum bronze_column column, int32_t v) {
    number_add_i32(&g->col[column].number, g->rows, v);
}

static inline void add_long(struct bronze_group *g, enum bronze_column column, int64_t v) {
    number_add_i64(&g->col[column].number, g->rows, v);
}

/* Adds event_key and event_id. */
static void add_key(struct bronze_group *g, struct text key, struct text id) {
    bool twin = id.p && key.len == id.len && (key.p == id.p || same_text(key.p, id.p, key.len));
    if (g->twins && !twin) {
        text_copy(&g->col[COL_EVENT_ID].text, &g->col[COL_EVENT_KEY].text);
        g->twins = false;
    }
    add_text(g, COL_EVENT_KEY, key);
    if (!g->twins)
        add_text(g, COL_EVENT_ID, id);
}

static void add_event(struct bronze_group *g, const struct event *ev) {
    if (ev->has_product_id)
        add_int(g, COL_PRODUCT_ID, ev->product_id);
    add_text(g, COL_CATEGORY, ev->category);
    if (ev->has_price)
        number_add_f64(&g->col[COL_PRICE].number, g->rows, ev->price);
    add_long(g, COL_EVENT_TS, ev->event_ts);
    add_key(g, ev->event_key, ev->event_id);
    add_text(g, COL_EVENT_TYPE, ev->event_type);
    add_text(g, COL_USER_ID, ev->user_id);
    add_text(g, COL_SESSION_ID, ev->session_id);
    add_text(g, COL_SKU, ev->sku);
    if (ev->has_quantity)
        add_int(g, COL_QUANTITY, ev->quantity);
    add_text(g, COL_CURRENCY, ev->currency);
    add_text(g, COL_ORDER_ID, ev->order_id);
    add_text(g, COL_PAGE_URL, ev->page_url);
    add_text(g, COL_REFERRER, ev->referrer);
    add_text(g, COL_USER_AGENT, ev->user_agent);
    add_text(g, COL_EXTRA, ev->extra);
}

void bronze_group_add(struct bronze_group *g, const struct event *ev, const struct bronze_source *src) {
    assert(g->rows < GROUP_ROWS_MAX);
    bool rejected = ev->reject != REJECT_NONE;
    if (!rejected) {
        add_event(g, ev);
    } else {
        text_add_same(&g->col[COL_REJECT_REASON].text, g->rows, reject_name(ev->reject));
        add_text(g, COL_REJECT_DETAIL, ev->detail);
    }
    text_add_same(&g->col[COL_PROTOCOL].text, g->rows, src->protocol);
    add_long(g, COL_RECEIVED_AT, src->received_us);
    text_add_same(&g->col[COL_SOURCE_TOPIC].text, g->rows, src->topic);
    add_int(g, COL_SOURCE_PARTITION, src->partition);
    add_long(g, COL_SOURCE_OFFSET, src->offset);
    add_int(g, COL_SOURCE_INDEX, src->index);
    if ((rejected || src->keep_raw) && src->raw)
        add_text(g, COL_RAW, (struct text){src->raw, (uint32_t)src->raw_len});
    g->rows++;
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
