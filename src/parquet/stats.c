/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/stats.h"

#include <math.h>

#include "base/clock.h"
#include "parquet/bytes.h"

enum { CHAR_LAST = 0x10ffff, CHAR_BYTES = 4 };

struct bound bound_int(int64_t v) {
    return (struct bound){.known = true, .exact = true, .i = v};
}

struct bound bound_double(double v) {
    return (struct bound){.known = true, .exact = true, .d = v};
}

static bool continues(char c) {
    return ((uint8_t)c & 0xc0) == 0x80;
}

/* The longest start of at most `max` bytes that does not end inside a character. */
static uint32_t cut(const char *p, uint32_t len, uint32_t max) {
    if (len <= max)
        return len;
    uint32_t n = max;
    while (n > 0 && continues(p[n]))
        n--;
    return n;
}

/* The character that starts at p, at most n bytes; texts are valid UTF-8. */
static uint32_t decode(const char *p, uint32_t n) {
    uint8_t c = (uint8_t)*p;
    uint32_t v = n == 1 ? c : n == 2 ? c & 0x1fu : n == 3 ? c & 0x0fu : c & 0x07u;
    for (uint32_t i = 1; i < n; i++)
        v = v << 6 | ((uint8_t)p[i] & 0x3f);
    return v;
}

static uint32_t encode(uint32_t c, char *out) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    uint32_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (uint32_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(0xf00u >> n | c);
    return n;
}

/* The next text that does not begin with this one: its last character one higher. 0: none. */
static uint32_t raise(char *text, uint32_t len) {
    while (len > 0) {
        uint32_t start = len - 1;
        while (start > 0 && continues(text[start]))
            start--;
        uint32_t c = decode(text + start, len - start);
        if (c < CHAR_LAST) {
            c = c + 1 == 0xd800 ? 0xe000 : c + 1; /* surrogates are no characters */
            return start + encode(c, text + start);
        }
        len = start;
    }
    return 0;
}

struct bound bound_text_min(const char *p, uint32_t len) {
    struct bound b = {.known = true, .exact = len <= STAT_TEXT};
    b.len = (uint8_t)cut(p, len, STAT_TEXT);
    memcpy(b.text, p, b.len);
    return b;
}

struct bound bound_text_max(const char *p, uint32_t len) {
    struct bound b = bound_text_min(p, len);
    if (!b.exact) {
        b.len = (uint8_t)raise(b.text, b.len);
        b.known = b.len > 0;
    }
    return b;
}

static int compare(const struct bound *a, const struct bound *b, enum parquet_type type) {
    if (type == PARQUET_DOUBLE)
        return (a->d > b->d) - (a->d < b->d);
    if (type != PARQUET_BYTES)
        return (a->i > b->i) - (a->i < b->i);
    int order = memcmp(a->text, b->text, MIN(a->len, b->len));
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

void stats_merge(struct column_stats *into, int64_t into_rows, const struct column_stats *part,
                 int64_t part_rows, enum parquet_type type) {
    bool into_empty = into->nulls == into_rows, part_empty = part->nulls == part_rows;
    into->nulls += part->nulls;
    if (part_empty)
        return;
    if (into_empty) {
        into->min = part->min;
        into->max = part->max;
        return;
    }
    if (!part->min.known || (into->min.known && compare(&part->min, &into->min, type) < 0))
        into->min = part->min;
    if (!part->max.known || (into->max.known && compare(&part->max, &into->max, type) > 0))
        into->max = part->max;
}

/* A bound as the PLAIN encoding of its value, without the length of a text. */
static void put_bound(struct thrift *t, int field, const struct bound *b, enum parquet_type type) {
    char s[8];
    if (type == PARQUET_BYTES) {
        thrift_bytes(t, field, b->text, b->len);
    } else if (type == PARQUET_DOUBLE) {
        /* Readers may hold values of either zero: the smaller zero below, the larger above. */
        double d = b->d != 0 ? b->d : field == 6 ? -0.0 : 0.0;
        memcpy(s, &d, 8);
        thrift_bytes(t, field, s, 8);
    } else {
        store64(s, (uint64_t)b->i);
        thrift_bytes(t, field, s, type == PARQUET_INT32 ? 4 : 8);
    }
}

void stats_put(struct thrift *t, int field, const struct column_stats *s, enum parquet_type type) {
    thrift_struct(t, field);
    thrift_i64(t, 3, s->nulls);
    if (s->max.known)
        put_bound(t, 5, &s->max, type);
    if (s->min.known)
        put_bound(t, 6, &s->min, type);
    if (s->max.known)
        thrift_bool(t, 7, s->max.exact);
    if (s->min.known)
        thrift_bool(t, 8, s->min.exact);
    thrift_end(t);
}

/* Bytes of the first STAT_LOG_CHARS characters. */
static uint32_t log_cut(const struct bound *b) {
    uint32_t n = 0;
    for (int chars = 0; n < b->len; n++)
        if (!continues(b->text[n]) && ++chars > STAT_LOG_CHARS)
            break;
    return n;
}

/* Years of four digits: what the forms of dates and times can say. */
static bool is_plain_day(int64_t day) {
    return day >= day_from_civil(1, 1, 1) && day <= day_from_civil(9999, 12, 31);
}

/* Hundredths of cents -> "-12.3400", exactly. */
static void log_money(struct json_out *o, const char *name, int64_t v) {
    char out[32];
    uint64_t abs = v < 0 ? -(uint64_t)v : (uint64_t)v;
    snprintf(out, sizeof out, "%s%llu.%04llu", v < 0 ? "-" : "", (unsigned long long)(abs / 10000),
             (unsigned long long)(abs % 10000));
    json_put_raw(o, name, out);
}

static void log_value(struct json_out *o, const char *name, const struct bound *b,
                      enum column_type kind) {
    char time[TIME_TEXT], day[DATE_TEXT];
    switch (kind) {
    case TYPE_INT:
    case TYPE_LONG:
        json_put_int(o, name, b->i);
        break;
    case TYPE_DOUBLE:
        if (isfinite(b->d))
            json_put_double(o, name, b->d != 0 ? b->d : 0); /* no -0 */
        break;
    case TYPE_MONEY:
        log_money(o, name, b->i);
        break;
    case TYPE_DATE:
        if (is_plain_day(b->i)) {
            day_format((int32_t)b->i, day);
            json_put(o, name, day);
        }
        break;
    case TYPE_TIMESTAMP:
        if (is_plain_day(day_of_us(b->i))) {
            time_format_ms(b->i, time);
            json_put(o, name, time);
        }
        break;
    case TYPE_STRING:
    case TYPE_BOOLEAN:
    case TYPE_BINARY:
        break;
    }
}

void stats_log_min(struct json_out *o, const char *name, const struct bound *b,
                   enum column_type kind) {
    if (b->known && kind == TYPE_STRING)
        json_put_n(o, name, b->text, log_cut(b));
    else if (b->known)
        log_value(o, name, b, kind);
}

/* A text cut short gets the last of all characters behind it, as Spark's writer does. */
void stats_log_max(struct json_out *o, const char *name, const struct bound *b,
                   enum column_type kind) {
    if (!b->known)
        return;
    if (kind != TYPE_STRING) {
        log_value(o, name, b, kind);
        return;
    }
    uint32_t n = log_cut(b);
    if (n == b->len) {
        json_put_n(o, name, b->text, n);
        return;
    }
    char raised[STAT_TEXT + CHAR_BYTES + 4];
    memcpy(raised, b->text, n);
    n += encode(CHAR_LAST, raised + n);
    int order = memcmp(raised, b->text, MIN(n, b->len));
    if (order > 0 || (order == 0 && n >= b->len))
        json_put_n(o, name, raised, n);
}
