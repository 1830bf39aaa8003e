/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/thrift.h"

#include <assert.h>

enum { TYPE_TRUE = 1, TYPE_FALSE = 2, TYPE_I16 = 4, TYPE_I64 = 6, TYPE_LIST = 9 };

static void put_varint(struct buf *b, uint64_t v) {
    char s[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        s[n++] = (char)(v | 0x80);
    s[n++] = (char)v;
    buf_add(b, s, n);
}

/* Small numbers of both signs become small unsigned ones. */
static void put_zigzag(struct buf *b, int64_t v) {
    put_varint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

static void put_field(struct thrift *t, int field, int type) {
    if (field == 0)
        return;
    int step = field - t->last[t->depth];
    assert(step > 0);
    if (step <= 15) {
        buf_add_char(t->out, (char)(step << 4 | type));
    } else {
        buf_add_char(t->out, (char)type);
        put_zigzag(t->out, field);
    }
    t->last[t->depth] = field;
}

void thrift_struct(struct thrift *t, int field) {
    put_field(t, field, THRIFT_STRUCT);
    t->depth++;
    assert(t->depth < THRIFT_DEPTH);
    t->last[t->depth] = 0;
}

void thrift_end(struct thrift *t) {
    assert(t->depth > 0);
    t->depth--;
    buf_add_char(t->out, 0);
}

void thrift_empty(struct thrift *t, int field) {
    thrift_struct(t, field);
    thrift_end(t);
}

void thrift_list(struct thrift *t, int field, enum thrift_type element, size_t n) {
    put_field(t, field, TYPE_LIST);
    if (n < 15) {
        buf_add_char(t->out, (char)(n << 4 | element));
    } else {
        buf_add_char(t->out, (char)(0xf0 | element));
        put_varint(t->out, n);
    }
}

void thrift_bool(struct thrift *t, int field, bool v) {
    assert(field > 0);
    put_field(t, field, v ? TYPE_TRUE : TYPE_FALSE);
}

void thrift_i16(struct thrift *t, int field, int16_t v) {
    put_field(t, field, TYPE_I16);
    put_zigzag(t->out, v);
}

void thrift_i32(struct thrift *t, int field, int32_t v) {
    put_field(t, field, THRIFT_I32);
    put_zigzag(t->out, v);
}

void thrift_i64(struct thrift *t, int field, int64_t v) {
    put_field(t, field, TYPE_I64);
    put_zigzag(t->out, v);
}

void thrift_bytes(struct thrift *t, int field, const void *p, size_t n) {
    put_field(t, field, THRIFT_BINARY);
    put_varint(t->out, n);
    buf_add(t->out, p, n);
}

void thrift_text(struct thrift *t, int field, const char *s) {
    thrift_bytes(t, field, s, strlen(s));
}
