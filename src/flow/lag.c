/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/lag.h"

#include "base/clock.h"
#include "flow/note.h"

enum { RETENTION_EVERY_S = 60 };

void lag_memory_release(struct lag_memory *m) {
    free(m->peeks);
    *m = (struct lag_memory){0};
}

static int look_at_retention(struct lag_memory *m, struct stream *s, struct err *e) {
    int64_t now = clock_mono_ns();
    if (m->retention_ns && now - m->retention_ns < RETENTION_EVERY_S * 1000000000LL)
        return 0;
    int r = stream_retention(s, &m->retention, e);
    if (r == 0)
        m->retention_ns = now;
    return r;
}

static const struct peek *known(const struct lag_memory *m, int32_t partition, int64_t offset) {
    for (size_t i = 0; i < m->n_peeks; i++)
        if (m->peeks[i].partition == partition && m->peeks[i].offset == offset &&
            m->peeks[i].state == PEEK_FOUND)
            return &m->peeks[i];
    return NULL;
}

/* The oldest record of each partition that is not in bronze; what has not moved is not asked again. */
static int look_at_oldest(struct lag_memory *m, struct stream *s, const struct lag *v, size_t n,
                          struct err *e) {
    struct peek *all = xcalloc(MAX(n, 1), sizeof *all);
    size_t asked = 0, kept = n;
    for (size_t i = 0; i < n; i++) {
        int64_t at = MAX(v[i].position, v[i].begin);
        const struct peek *before = known(m, v[i].partition, at);
        if (before)
            all[--kept] = *before;
        else if (v[i].offsets > 0)
            all[asked++] = (struct peek){.partition = v[i].partition, .offset = at};
    }
    int r = asked ? stream_peek(s, all, asked, e) : 0;
    memmove(all + asked, all + kept, (n - kept) * sizeof *all);
    free(m->peeks);
    m->peeks = all;
    m->n_peeks = asked + n - kept;
    return r;
}

static double share(double part, int64_t whole) {
    return whole < 0 ? 0 : part >= (double)whole ? 1 : part / (double)whole;
}

static void judge(struct lag *l, const struct peek *oldest, const struct retention *keep,
                  int64_t now_us) {
    l->seconds = l->retention_used = 0;
    if (l->offsets == 0 || (oldest && oldest->state == PEEK_NONE))
        return;
    bool found = oldest && oldest->state == PEEK_FOUND, timed = found && oldest->timestamp_us >= 0;
    l->seconds = timed ? (double)MAX(now_us - oldest->timestamp_us, 0) / 1e6 : -1;
    if (!keep->known || (keep->ms >= 0 && !timed) || (keep->bytes >= 0 && !found))
        l->retention_used = -1;
    else
        l->retention_used =
            MAX(share(1e3 * l->seconds, keep->ms),
                found ? share((double)l->offsets * (double)oldest->bytes, keep->bytes) : 0);
}

static void judge_all(const struct lag_memory *m, struct lag *v, size_t n) {
    int64_t now = clock_now_us();
    for (size_t i = 0; i < n; i++) {
        const struct peek *oldest = NULL;
        for (size_t k = 0; k < m->n_peeks; k++)
            if (m->peeks[k].partition == v[i].partition)
                oldest = &m->peeks[k];
        judge(&v[i], oldest, &m->retention, now);
    }
}

/* at: the position in the table, -1: none. */
static struct lag lag_of(const struct bounds *b, int64_t at) {
    return (struct lag){.partition = b->partition,
                        .begin = b->begin,
                        .end = b->end,
                        .position = at,
                        .offsets = MAX(b->end - MAX(at, b->begin), 0),
                        .gone = at >= 0 ? MAX(b->begin - at, 0) : 0};
}

int lag_look(struct lag_memory *m, struct stream *s, const char *app, struct table *bronze,
             struct lag **ret, size_t *ret_n, struct err *e) {
    struct bounds *b = NULL;
    size_t n = 0;
    int r = stream_bounds(s, &b, &n, e);
    if (r == 0) /* the ends first, then the positions: else there could be a lag below zero */
        r = table_refresh(bronze, e);
    struct lag *v = xcalloc(MAX(n, 1), sizeof *v);
    _cleanup_(freep) char *source =
        r == 0 ? xasprintf("%s/%s/%s", app, s->cluster_id, s->topic) : NULL;
    for (size_t i = 0; r == 0 && i < n; i++)
        v[i] = lag_of(&b[i], note_position(bronze, source, b[i].partition));
    free(b);
    if (r == 0 && n > 0)
        r = look_at_retention(m, s, e);
    if (r == 0)
        r = look_at_oldest(m, s, v, n, e);
    if (r < 0) {
        free(v);
        return r;
    }
    judge_all(m, v, n);
    *ret = v;
    *ret_n = n;
    return 0;
}

static double worse(double a, double b) {
    return a < 0 || b < 0 ? -1 : MAX(a, b);
}

struct lag lag_total(const struct lag *v, size_t n) {
    struct lag sum = {.partition = -1};
    for (size_t i = 0; i < n; i++) {
        sum.offsets += v[i].offsets;
        sum.gone += v[i].gone;
        sum.seconds = worse(sum.seconds, v[i].seconds);
        sum.retention_used = worse(sum.retention_used, v[i].retention_used);
    }
    return sum;
}
