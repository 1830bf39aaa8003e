/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a bronze file and, as NDJSON, the values a reader must find in it; test_bronze_parquet.py
 * compares the two through other people's readers.
 *
 *   bronze_writer OUT.parquet EXPECTED.ndjson seed=N [rows=N] [group=N] [level=N]
 *       random rows; how each column behaves (absent, constant, few, many or only different values,
 *       with gaps or without, short or long) is drawn anew for every 1,000 rows or so
 *   bronze_writer OUT.parquet EXPECTED.ndjson from=ROWS.ndjson [group=N] [level=N]
 *       the rows of a file: members named as the columns, raw as text
 *
 * Prints the stats of the add action. In EXPECTED, received_at is in microseconds, raw in hex.
 */
#include "base/json.h"
#include "base/limits.h"
#include "parquet/bronze.h"

#include <inttypes.h>

enum { TEXTS = 13 };

struct row {
    struct event ev;
    struct bronze_source src;
};

/* The texts of an event in column order, so that they can be drawn, read and written in loops. */
static const struct {
    const char *name;
    size_t at;
} texts[TEXTS] = {
    {"category", offsetof(struct event, category)},
    {"event_key", offsetof(struct event, event_key)},
    {"event_id", offsetof(struct event, event_id)},
    {"event_type", offsetof(struct event, event_type)},
    {"user_id", offsetof(struct event, user_id)},
    {"session_id", offsetof(struct event, session_id)},
    {"sku", offsetof(struct event, sku)},
    {"currency", offsetof(struct event, currency)},
    {"order_id", offsetof(struct event, order_id)},
    {"page_url", offsetof(struct event, page_url)},
    {"referrer", offsetof(struct event, referrer)},
    {"user_agent", offsetof(struct event, user_agent)},
    {"extra", offsetof(struct event, extra)},
};

static struct text *text_of(struct event *ev, int i) {
    return (struct text *)(void *)((char *)ev + texts[i].at);
}

/* How a column behaves for a while. */
struct habit {
    uint32_t null_in_8; /* of 8 rows, so many are NULL; 8: all, 9: every other row */
    uint32_t distinct;  /* how many values there are; 0: never the same twice */
    uint32_t length;    /* longest text */
    uint64_t salt;
};

struct random {
    uint64_t state;
    struct arena
        texts; /* of one call's rows: used again at once, which finds out who keeps pointers */
    struct habit text[TEXTS], product, price, ts, quantity, received, source;
    uint32_t rejects_in_8, ids; /* ids: 0 none, 1 the same as the key, 2 now and then */
    bool keep_raw;
    int64_t now, offset, serial;
};

static uint64_t draw(struct random *r) { /* splitmix64 */
    uint64_t z = (r->state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static uint32_t below(struct random *r, uint32_t n) {
    return (uint32_t)((draw(r) >> 32) % n);
}

static struct habit draw_habit(struct random *r) {
    static const uint32_t nulls[] = {0, 0, 0, 1, 4, 7, 8, 9};
    static const uint32_t distinct[] = {1, 2, 3, 17, 200, 3000, 60000, 0};
    static const uint32_t length[] = {1, 4, 8, 16, 40, 40, 130, 4096};
    return (struct habit){nulls[below(r, 8)], distinct[below(r, 8)], length[below(r, 8)], draw(r)};
}

static void draw_habits(struct random *r) {
    for (int i = 0; i < TEXTS; i++)
        r->text[i] = draw_habit(r);
    r->product = draw_habit(r);
    r->price = draw_habit(r);
    r->ts = draw_habit(r);
    r->quantity = draw_habit(r);
    r->received = draw_habit(r);
    r->source = draw_habit(r);
    r->rejects_in_8 = below(r, 4) == 0 ? below(r, 9) : 0;
    r->ids = below(r, 3);
    r->keep_raw = below(r, 6) == 0;
}

static bool is_null(struct random *r, const struct habit *h) {
    if (h->null_in_8 == 9)
        return r->serial % 2;
    return below(r, 8) < h->null_in_8;
}

/* A number that stands for the value: equal numbers, equal values. */
static uint64_t draw_value(struct random *r, const struct habit *h) {
    uint64_t n = h->distinct ? below(r, h->distinct) : (uint64_t)r->serial + 100000;
    return (n + 1) * 0x9e3779b97f4a7c15ULL ^ h->salt;
}

/* A text made from the number, of characters of one to four bytes. */
static struct text draw_text(struct random *r, const struct habit *h) {
    static const char *const chars[] = {"a",
                                        "b",
                                        "0",
                                        "-",
                                        "/",
                                        "\"",
                                        "\\",
                                        "\x7f",
                                        "\xc3\xa9",
                                        "\xe2\x82\xac",
                                        "\xef\xbf\xbf",
                                        "\xf0\x9f\x9b\x92",
                                        "\xf4\x8f\xbf\xbf",
                                        "z",
                                        "e",
                                        "q"};
    uint64_t v = draw_value(r, h);
    uint32_t len = (uint32_t)(v >> 40) % (h->length + 1), n = 0;
    struct text t = {arena_alloc(&r->texts, len + 24), 0};
    char *p = (char *)t.p;
    while (n + 4 <= len) {
        v = v * 6364136223846793005ULL + 1442695040888963407ULL;
        const char *c = chars[h->length > 40 ? 8 + v / 7 % 8 : v >> 60];
        memcpy(p + n, c, strlen(c));
        n += (uint32_t)strlen(c);
    }
    if (h->distinct == 0)
        n += (uint32_t)snprintf(p + n, 24, "%" PRIx64, (uint64_t)r->serial);
    t.len = n;
    return t;
}

static void draw_numbers(struct random *r, struct event *ev) {
    static const int32_t edges[] = {INT32_MIN, INT32_MAX, 0, -1};
    uint64_t v = draw_value(r, &r->product);
    ev->has_product_id = !is_null(r, &r->product);
    ev->product_id = r->product.length == 1 ? edges[v % 4] : (int32_t)v >> (r->product.length % 30);
    ev->has_price = !is_null(r, &r->price);
    ev->price = (double)(draw_value(r, &r->price) % 100000000000) / 100;
    ev->has_quantity = !is_null(r, &r->quantity);
    ev->quantity = (int32_t)(draw_value(r, &r->quantity) % (LIMIT_QUANTITY + 1));
    v = draw_value(r, &r->ts);
    switch (r->ts.length) {
    case 1:
        ev->event_ts = v % 2 ? INT64_MIN : INT64_MAX;
        break;
    case 4:
        ev->event_ts = (int64_t)v;
        break;
    case 8:
        ev->event_ts = (int64_t)(v >> 2);
        break;
    default:
        ev->event_ts = r->now + (int64_t)(v % 100000);
        break;
    }
}

static void draw_raw(struct random *r, struct bronze_source *src) {
    uint32_t n = below(r, 400) == 0 ? LIMIT_RECORD : below(r, 300);
    char *p = arena_alloc(&r->texts, n);
    for (uint32_t i = 0; i < n; i++)
        p[i] = (char)(n > 1000 ? i * i >> 3 : draw(r));
    src->raw = p;
    src->raw_len = n;
}

static void draw_row(struct random *r, struct row *row) {
    static const char *const topics[] = {"clicks", "clickstream", "c", "clickstream-2"};
    if (r->serial++ % 1000 == 0)
        draw_habits(r);
    *row = (struct row){0};
    struct event *ev = &row->ev;
    r->now += (int64_t)(draw_value(r, &r->received) % 1000);
    if (r->source.null_in_8 > 6)
        r->offset += below(r, 1000);
    row->src = (struct bronze_source){
        .topic = topics[below(r, 8) < r->source.null_in_8 ? below(r, 4) : 0],
        .partition = (int32_t)(draw_value(r, &r->source) % 3),
        .offset = r->offset++,
        .index = (int32_t)(draw_value(r, &r->source) % 2),
        .received_us = r->now,
        .protocol = "native",
        .keep_raw = r->keep_raw,
    };
    draw_raw(r, &row->src);
    if (below(r, 8) < r->rejects_in_8) {
        ev->reject = (enum reject)(1 + below(r, REJECT_UNKNOWN_PROTOCOL));
        ev->detail = draw_text(r, &r->text[0]);
        return;
    }
    draw_numbers(r, ev);
    for (int i = 0; i < TEXTS; i++)
        if (!is_null(r, &r->text[i]))
            *text_of(ev, i) = draw_text(r, &r->text[i]);
    ev->event_key = draw_text(r, &r->text[1]);
    ev->event_id = (struct text){0};
    if (r->ids == 1 || (r->ids == 2 && below(r, 2)))
        ev->event_id = (struct text){arena_strndup(&r->texts, ev->event_key.p, ev->event_key.len),
                                     ev->event_key.len};
}

/* A row from a JSON document, which must live as long as the row. */
static void read_row(const json *v, struct row *row) {
    *row = (struct row){0};
    struct event *ev = &row->ev;
    for (int i = 0; i < TEXTS; i++) {
        const char *s = json_str(json_get(v, texts[i].name));
        if (s)
            *text_of(ev, i) = (struct text){s, (uint32_t)strlen(s)};
    }
    ev->has_product_id = json_get(v, "product_id") && !json_is_null(json_get(v, "product_id"));
    ev->product_id = (int32_t)json_int(json_get(v, "product_id"), 0);
    ev->has_price = json_get(v, "price") && !json_is_null(json_get(v, "price"));
    ev->price = json_num(json_get(v, "price"), 0);
    ev->has_quantity = json_get(v, "quantity") && !json_is_null(json_get(v, "quantity"));
    ev->quantity = (int32_t)json_int(json_get(v, "quantity"), 0);
    ev->event_ts = json_int(json_get(v, "event_ts"), 0);
    const char *reason = json_str(json_get(v, "reject_reason"));
    for (int k = REJECT_TOO_LARGE; reason && k <= REJECT_UNKNOWN_PROTOCOL; k++)
        if (strcmp(reason, reject_name((enum reject)k)) == 0)
            ev->reject = (enum reject)k;
    const char *detail = json_str(json_get(v, "reject_detail")),
               *raw = json_str(json_get(v, "raw"));
    if (detail)
        ev->detail = (struct text){detail, (uint32_t)strlen(detail)};
    row->src = (struct bronze_source){
        .topic = json_str(json_get(v, "source_topic")),
        .partition = (int32_t)json_int(json_get(v, "source_partition"), 0),
        .offset = json_int(json_get(v, "source_offset"), 0),
        .index = (int32_t)json_int(json_get(v, "source_index"), 0),
        .received_us = json_int(json_get(v, "received_at"), 0),
        .protocol = json_str(json_get(v, "protocol")),
        .raw = raw,
        .raw_len = raw ? strlen(raw) : 0,
        .keep_raw = raw != NULL,
    };
}

static void put_raw(struct json_out *o, const struct row *row) {
    static const char digits[] = "0123456789abcdef";
    if (!row->src.raw || (!row->ev.reject && !row->src.keep_raw))
        return;
    struct buf b = BUF_INIT(2 * LIMIT_RECORD);
    for (size_t i = 0; i < row->src.raw_len; i++) {
        uint8_t c = (uint8_t)row->src.raw[i];
        buf_add_char(&b, digits[c >> 4]);
        buf_add_char(&b, digits[c & 15]);
    }
    json_put_n(o, "raw", buf_str(&b), b.len);
    buf_release(&b);
}

/* The row as a reader must find it; what is NULL is left out. */
static void expect(FILE *f, struct buf *b, struct row *row) {
    struct event *ev = &row->ev;
    const struct bronze_source *src = &row->src;
    buf_reset(b);
    struct json_out o = {.b = b};
    json_obj(&o, NULL);
    if (!ev->reject) {
        if (ev->has_product_id)
            json_put_int(&o, "product_id", ev->product_id);
        if (ev->has_price)
            json_put_double(&o, "price", ev->price);
        if (ev->has_quantity)
            json_put_int(&o, "quantity", ev->quantity);
        json_put_int(&o, "event_ts", ev->event_ts);
        for (int i = 0; i < TEXTS; i++)
            if (text_of(ev, i)->p)
                json_put_n(&o, texts[i].name, text_of(ev, i)->p, text_of(ev, i)->len);
    } else {
        json_put(&o, "reject_reason", reject_name(ev->reject));
        if (ev->detail.p)
            json_put_n(&o, "reject_detail", ev->detail.p, ev->detail.len);
    }
    json_put(&o, "protocol", src->protocol);
    json_put_int(&o, "received_at", src->received_us);
    json_put(&o, "source_topic", src->topic);
    json_put_int(&o, "source_partition", src->partition);
    json_put_int(&o, "source_offset", src->offset);
    json_put_int(&o, "source_index", src->index);
    put_raw(&o, row);
    json_obj_end(&o);
    fprintf(f, "%s\n", buf_str(b));
}

struct options {
    const char *from;
    int64_t rows, group, seed;
    int level;
};

enum { BATCH = 150 };

struct job {
    struct bronze_group *group;
    struct parquet_file *file;
    FILE *expected;
    struct buf line;
    size_t group_rows;
};

static int flush(struct job *j, struct err *e) {
    if (bronze_group_rows(j->group) == 0)
        return 0;
    return parquet_file_append(j->file, bronze_encode(j->group), e);
}

/* Adds n rows, at most as many as the group still takes. */
static int take(struct job *j, struct row *rows, size_t n, struct err *e) {
    struct event ev[BATCH];
    struct bronze_source src[BATCH];
    for (size_t i = 0; i < n; i++) {
        expect(j->expected, &j->line, &rows[i]);
        ev[i] = rows[i].ev;
        src[i] = rows[i].src;
    }
    if (n == 1)
        bronze_group_add(j->group, ev, src);
    else
        bronze_group_add_many(j->group, ev, src, n);
    return bronze_group_rows(j->group) >= j->group_rows ? flush(j, e) : 0;
}

static int take_random(struct job *j, const struct options *o, struct err *e) {
    static struct random r;
    static struct row rows[BATCH];
    r.state = (uint64_t)o->seed;
    r.now = 1771286400000000;
    int code = 0;
    for (size_t left = (size_t)o->rows, n; left > 0 && code == 0; left -= n) {
        n = 1 + below(&r, BATCH);
        n = MIN(n, left);
        n = MIN(n, j->group_rows - bronze_group_rows(j->group));
        arena_reset(&r.texts);
        for (size_t i = 0; i < n; i++)
            draw_row(&r, &rows[i]);
        code = take(j, rows, n, e);
    }
    arena_release(&r.texts);
    return code;
}

static int take_file(struct job *j, const struct options *o, struct err *e) {
    FILE *f = fopen(o->from, "r");
    if (!f)
        return err_set(e, ERR_STREAM, "cannot read %s", o->from);
    char *line = NULL;
    size_t cap = 0;
    int code = 0;
    for (ssize_t n; code == 0 && (n = getline(&line, &cap, f)) > 0;) {
        struct json_doc *d = json_parse(line, (size_t)n, ERR_STREAM, e);
        if (!d) {
            code = e->code;
            break;
        }
        struct row row;
        read_row(json_root(d), &row);
        code = take(j, &row, 1, e);
        json_free(d);
    }
    free(line);
    fclose(f);
    return code;
}

static int write_file(const char *path, struct job *j, const struct options *o, struct err *e) {
    int r = parquet_file_create(&bronze_events, path, &j->file, e);
    if (r == 0)
        r = o->from ? take_file(j, o, e) : take_random(j, o, e);
    if (r == 0)
        r = flush(j, e);
    struct table_file done = {0};
    if (r == 0)
        r = parquet_file_finish(j->file, &done, e);
    if (r == 0)
        printf("%s\n", done.stats);
    free(done.stats);
    parquet_file_free(j->file);
    return r;
}

int main(int argc, char **argv) {
    struct options o = {.rows = 1000, .group = 65536, .seed = 1, .level = 1};
    for (int i = 3; i < argc; i++) {
        if (!strncmp(argv[i], "from=", 5))
            o.from = argv[i] + 5;
        else if (!strncmp(argv[i], "rows=", 5))
            o.rows = atoll(argv[i] + 5);
        else if (!strncmp(argv[i], "group=", 6))
            o.group = atoll(argv[i] + 6);
        else if (!strncmp(argv[i], "seed=", 5))
            o.seed = atoll(argv[i] + 5);
        else if (!strncmp(argv[i], "level=", 6))
            o.level = atoi(argv[i] + 6);
        else
            argc = 0;
    }
    if (argc < 3) {
        fprintf(stderr, "usage: bronze_writer OUT.parquet EXPECTED.ndjson [name=value]...\n");
        return 2;
    }
    struct job j = {.expected = fopen(argv[2], "w"), .line = BUF_INIT(16 * LIMIT_RECORD)};
    if (!j.expected)
        return 2;
    j.group_rows = (size_t)o.group;
    j.group = bronze_group_new(&(struct bronze_options){.zstd_level = o.level});
    struct err e = {0};
    int r = write_file(argv[1], &j, &o, &e);
    if (r < 0)
        fprintf(stderr, "bronze_writer: %s\n", e.msg);
    bronze_group_free(j.group);
    buf_release(&j.line);
    if (fclose(j.expected) != 0)
        r = -1;
    return r < 0;
}
