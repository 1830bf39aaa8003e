/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rows of a column hold a value. Columns are told of values only, never of NULLs: a row that
 * is passed over is NULL. So an absent column costs nothing per row, a column without NULLs two
 * instructions, and both are known at the end without looking at any bit.
 */
#ifndef CM_PARQUET_PRESENCE_H
#define CM_PARQUET_PRESENCE_H

#include "parquet/format.h"

struct presence {
    uint32_t next;      /* behind the last row with a value */
    uint32_t run_start; /* rows [run_start, next) have values and no bits yet */
    uint8_t *bits;      /* of rows before run_start; LEVELS_MAX bytes, NULL until the first gap */
};

void presence_gap(struct presence *p, uint32_t row);

/* Row `row`, behind all rows marked so far, has a value. */
static inline void presence_mark(struct presence *p, uint32_t row) {
    if (__builtin_expect(row != p->next, 0))
        presence_gap(p, row);
    p->next = row + 1;
}

/* The same for rows [row, row + n). */
static inline void presence_mark_run(struct presence *p, uint32_t row, uint32_t n) {
    if (__builtin_expect(row != p->next, 0))
        presence_gap(p, row);
    p->next = row + n;
}

static inline bool presence_none(const struct presence *p) {
    return p->next == 0;
}

static inline bool presence_all(const struct presence *p, uint32_t rows) {
    return p->run_start == 0 && p->next == rows;
}

/* Whether a row marked or passed over so far has a value. */
static inline bool presence_at(const struct presence *p, uint32_t row) {
    if (row >= p->run_start)
        return row < p->next;
    return p->bits[row / 8] >> row % 8 & 1;
}

/* Brings the bits up to date once the group has all its `rows`. */
void presence_finish(struct presence *p, uint32_t rows);

/* Bytes presence_levels may write. */
#define PRESENCE_LEVELS_BOUND (LEVELS_MAX + 64)
/*
 * The definition levels of rows [from, to), from a multiple of 8, as they stand in a data page of
 * version 1: a length of 4 bytes, then the hybrid (Encodings.md; 1: present). After
 * presence_finish.
 */
size_t presence_levels(const struct presence *p, uint32_t from, uint32_t to, uint32_t rows,
                       uint8_t *out);

void presence_copy(struct presence *to, const struct presence *from);
void presence_reset(struct presence *p);
void presence_release(struct presence *p);

#endif
