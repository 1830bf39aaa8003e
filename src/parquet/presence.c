/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/presence.h"

#include "base/mem.h"
#include "parquet/bytes.h"
#include "parquet/encoding.h"

#include <assert.h>

static void set_bits(uint8_t *bits, uint32_t from, uint32_t to) {
    if (from >= to)
        return;
    for (; from < to && from % 8; from++)
        bits[from / 8] |= (uint8_t)(1u << from % 8);
    if (to - from >= 8) {
        memset(bits + from / 8, 0xff, (to - from) / 8);
        from += (to - from) & ~7u;
    }
    for (; from < to; from++)
        bits[from / 8] |= (uint8_t)(1u << from % 8);
}

void presence_gap(struct presence *p, uint32_t row) {
    if (!p->bits)
        p->bits = xcalloc(LEVELS_MAX, 1);
    set_bits(p->bits, p->run_start, p->next);
    p->run_start = row;
}

void presence_finish(struct presence *p, uint32_t rows) {
    if (!presence_none(p) && !presence_all(p, rows))
        presence_gap(p, rows);
}

size_t presence_levels(const struct presence *p, uint32_t from, uint32_t to, uint32_t rows,
                       uint8_t *out) {
    assert(from % 8 == 0 && from < to && to <= rows);
    size_t n;
    if (presence_none(p) || presence_all(p, rows))
        n = hybrid_run(out + 4, !presence_none(p), 1, to - from);
    else
        n = hybrid_bits(out + 4, p->bits + from / 8, to - from);
    store32(out, (uint32_t)n);
    return 4 + n;
}

void presence_copy(struct presence *to, const struct presence *from) {
    to->next = from->next;
    to->run_start = from->run_start;
    if (from->bits && !to->bits)
        to->bits = xmalloc(LEVELS_MAX);
    if (from->bits)
        memcpy(to->bits, from->bits, LEVELS_MAX);
    else if (to->bits)
        memset(to->bits, 0, LEVELS_MAX);
}

void presence_reset(struct presence *p) {
    if (p->bits)
        memset(p->bits, 0, LEVELS_MAX);
    p->next = p->run_start = 0;
}

void presence_release(struct presence *p) {
    free(p->bits);
    *p = (struct presence){0};
}
