/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes structures in Thrift's compact protocol, the form of Parquet's page headers and footer
 * (apache/thrift doc/specs/thrift-compact-protocol.md). Fields of a struct are written in rising
 * order of their ids; field 0 means "no header": an element of a list, or the outermost struct.
 */
#ifndef CM_PARQUET_THRIFT_H
#define CM_PARQUET_THRIFT_H

#include "base/mem.h"

enum { THRIFT_DEPTH = 8 };

/* The compact protocol's element types of lists. */
enum thrift_type { THRIFT_I32 = 5, THRIFT_BINARY = 8, THRIFT_STRUCT = 12 };

struct thrift {
    struct buf *out;
    int depth;
    int last[THRIFT_DEPTH]; /* id of the last field written, by nesting */
};

/* For a declaration: struct thrift t = THRIFT_INIT(&buf); */
#define THRIFT_INIT(b) ((struct thrift){.out = (b)})

void thrift_struct(struct thrift *t, int field); /* opens one */
void thrift_end(struct thrift *t);
void thrift_empty(struct thrift *t, int field); /* a struct without fields */
void thrift_list(struct thrift *t, int field, enum thrift_type element, size_t n);
void thrift_bool(struct thrift *t, int field, bool v);
void thrift_i16(struct thrift *t, int field, int16_t v);
void thrift_i32(struct thrift *t, int field, int32_t v);
void thrift_i64(struct thrift *t, int field, int64_t v);
void thrift_bytes(struct thrift *t, int field, const void *p, size_t n);
void thrift_text(struct thrift *t, int field, const char *s);

#endif
