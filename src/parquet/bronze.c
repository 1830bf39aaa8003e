/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/bronze.h"
#include "parquet/bytes.h"
#include "parquet/group.h"

#include <assert.h>

_Static_assert(BRONZE_GROUP_ROWS_MAX == GROUP_ROWS_MAX, "bronze.h tells what a page can hold");

struct bronze_group {
    struct columns *columns;
    struct row_group *rows;
    struct encoder *encoder;
    size_t bytes;
};

struct bronze_group *bronze_group_new(const struct bronze_options *o) {
    struct bronze_group *g = xcalloc(1, sizeof *g);
    g->columns = columns_new(&bronze_events);
    g->rows = row_group_new(g->columns);
    g->encoder = encoder_new(o->zstd_level);
    return g;
}

void bronze_group_free(struct bronze_group *g) {
    if (!g)
        return;
    row_group_free(g->rows);
    encoder_free(g->encoder);
    free(g->columns);
    free(g);
}

void bronze_group_reset(struct bronze_group *g) {
    row_group_reset(g->rows);
    g->bytes = 0;
}

size_t bronze_group_rows(const struct bronze_group *g) {
    return g->rows->rows;
}

size_t bronze_group_bytes(const struct bronze_group *g) {
    return g->bytes;
}

/* A slice of rows (group.h). It lists those of events apart from those of rejected records. */
struct slice {
    const struct event *ev;
    const struct bronze_source *src;
    uint32_t first, n; /* rows of the group */
    uint32_t n_events;
    uint8_t events[DICT_BATCH];
};

_Static_assert(DICT_BATCH <= 256, "row numbers within a slice are bytes");

static void add_numbers(struct row_group *g, const struct slice *s) {
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

/* One pass over the events, which are large; what is absent costs a test. */
static void gather(const struct slice *s, struct gathered g[EVENT_TEXTS]) {
    struct gathered *to = g;
#define START(col, member)                                                                         \
    to->column = (int)col;                                                                         \
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

static void add_same(struct row_group *g, enum bronze_column column, uint32_t row, uint32_t n,
                     const char *s) {
    text_add_same(&g->col[column].text, row, n, s, (uint32_t)strlen(s));
}

/* Position and the like; rows of one topic come one after the other. */
static void add_sources(struct row_group *g, const struct slice *s) {
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
        add_same(g, COL_SOURCE_TOPIC, s->first + i, end - i, src[i].topic);
        add_same(g, COL_PROTOCOL, s->first + i, end - i, src[i].protocol);
    }
}

/* What only rejected records have, also when they are replayed, and the bytes of records. */
static void add_rest(struct row_group *g, const struct slice *s) {
    for (uint32_t i = 0; i < s->n; i++) {
        const struct event *ev = &s->ev[i];
        const struct bronze_source *src = &s->src[i];
        uint32_t row = s->first + i;
        if (ev->reject)
            add_same(g, COL_REJECT_REASON, row, 1, reject_name(ev->reject));
        if (ev->reject && ev->detail.p)
            text_add(&g->col[COL_REJECT_DETAIL].text,
                     &(struct text_value){ev->detail.p, ev->detail.len, row}, 1);
        if (!ev->reject && src->replayed)
            add_same(g, COL_REJECT_DETAIL, row, 1, src->replayed);
        if ((ev->reject || src->keep_raw) && src->raw)
            text_add(&g->col[COL_RAW].text,
                     &(struct text_value){src->raw, (uint32_t)src->raw_len, row}, 1);
    }
}

static void add_slice(struct row_group *g, const struct event *ev, const struct bronze_source *src,
                      uint32_t n) {
    struct slice s = {.ev = ev, .src = src, .first = g->rows, .n = n};
    struct gathered texts[EVENT_TEXTS];
    bool more = false;
    for (uint32_t i = 0; i < n; i++) {
        s.events[s.n_events] = (uint8_t)i;
        s.n_events += ev[i].reject == REJECT_NONE;
        more |= src[i].keep_raw || src[i].replayed;
    }
    row_group_begin(g, n);
    add_numbers(g, &s);
    gather(&s, texts);
    row_group_texts(g, texts, EVENT_TEXTS);
    add_sources(g, &s);
    if (s.n_events < n || more)
        add_rest(g, &s);
    row_group_end(g, n);
}

void bronze_group_add_many(struct bronze_group *g, const struct event *ev,
                           const struct bronze_source *src, size_t n) {
    assert(g->rows->rows + n <= GROUP_ROWS_MAX);
    for (size_t i = 0; i < n; i += DICT_BATCH)
        add_slice(g->rows, ev + i, src + i, (uint32_t)MIN(n - i, (size_t)DICT_BATCH));
    g->bytes = row_group_bytes(g->rows);
}

void bronze_group_add(struct bronze_group *g, const struct event *ev,
                      const struct bronze_source *src) {
    bronze_group_add_many(g, ev, src, 1);
}

struct encoded *bronze_encode(struct bronze_group *g) {
    g->bytes = 0;
    return row_group_encode(g->rows, g->encoder);
}
