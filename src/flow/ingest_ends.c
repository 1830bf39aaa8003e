/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest --once: the end offsets are looked up at the start. A partition's end is reached when we
 * have read up to it, or when the table's position says that another process has committed it. So
 * several processes share the partitions, each waits for the rest, and takes over what a dead one
 * leaves behind.
 */
#include "base/clock.h"
#include "base/retry.h"
#include "base/util.h"
#include "flow/ingest_poll.h"

enum { ASK_EVERY_MS = 250 };

static int look_up(struct poller *p, struct bounds **ret, size_t *ret_n, struct err *e) {
    struct retry again = retry_start(p->in->o->timeout_ms);
    int r;
    do
        r = stream_bounds(p->in->s, ret, ret_n, e);
    while (r < 0 && retry_pause(&again, &r, e));
    return r;
}

/* What the table says now; ERR_STOPPED when the writer has failed. */
static int ask_table(struct poller *p) {
    int32_t *parts = xcalloc(MAX(p->n_ends, 1), sizeof *parts);
    for (size_t i = 0; i < p->n_ends; i++)
        parts[i] = p->ends[i].partition;
    struct position *answer = poller_ask(p, UNIT_ASK, parts, p->n_ends, false);
    free(parts);
    if (!answer)
        return ERR_STOPPED;
    for (size_t i = 0; i < p->n_ends; i++) {
        if (answer[i].offset != p->seen[i])
            p->progress_ns = clock_mono_ns(); /* another's progress is ours too */
        p->seen[i] = answer[i].offset;
    }
    free(answer);
    p->asked_ns = clock_mono_ns();
    return 0;
}

/*
 * All of it is in the table, or nothing was ever in it. Where the app has never read of the topic, and all
 * is gone, it is yet to be noted where it began.
 */
static bool is_committed(const struct bounds *b, int64_t seen) {
    return MAX(seen, 0) >= b->end;
}

/* A position beyond the end would pass for one that others have committed; but the stream was cut. */
static int check_not_cut(struct poller *p, struct err *e) {
    bool doubt = false;
    for (size_t i = 0; i < p->n_ends; i++)
        doubt = doubt || p->seen[i] > p->ends[i].end;
    if (!doubt)
        return 0;
    /* Or others went on since the ends were looked up: by now the stream holds what they committed. */
    _cleanup_(freep) struct bounds *now = NULL;
    size_t n = 0;
    int r = look_up(p, &now, &n, e);
    for (size_t i = 0; r == 0 && i < MIN(n, p->n_ends); i++)
        if (p->seen[i] > now[i].end) {
            err_set(e, ERR_STREAM,
                    "stream %s, topic '%s': position %lld of partition %d is outside of what the "
                    "stream holds: offsets %lld to %lld",
                    p->in->s->url, p->in->s->topic, (long long)p->seen[i], now[i].partition,
                    (long long)now[i].begin, (long long)now[i].end);
            r = err_hint(e, "the stream was cut or replaced after it was read");
        }
    return r;
}

int ends_start(struct poller *p, bool *ret_done, struct err *e) {
    int r = look_up(p, &p->ends, &p->n_ends, e);
    if (r < 0)
        return r;
    p->seen = xmalloc(MAX(p->n_ends, 1) * sizeof *p->seen);
    for (size_t i = 0; i < p->n_ends; i++)
        p->seen[i] = -1;
    r = ask_table(p);
    if (r == 0)
        r = check_not_cut(p, e);
    *ret_done = r == 0;
    for (size_t i = 0; i < p->n_ends; i++)
        *ret_done = *ret_done && is_committed(&p->ends[i], p->seen[i]);
    return r;
}

int ends_reached(struct poller *p, bool *ret, struct err *e) {
    bool others = false;
    *ret = false;
    for (size_t i = 0; i < p->n_ends; i++) {
        const struct position *at = poller_position(p, p->ends[i].partition);
        if (at && at->offset < p->ends[i].end)
            return 0;
        others = others || (!at && !is_committed(&p->ends[i], p->seen[i]));
    }
    *ret = !others;
    if (!others || clock_mono_ns() - p->asked_ns < ASK_EVERY_MS * 1000000LL)
        return 0;
    /* Ours is read; in the table it serves those who wait for us. */
    int r = poller_end_batch(p, e);
    return r == 0 ? ask_table(p) : r;
}

int ends_check_timeout(const struct poller *p, struct err *e) {
    int64_t idle_ms = (clock_mono_ns() - p->progress_ns) / 1000000;
    if (!p->in->o->once || idle_ms < p->in->o->timeout_ms)
        return 0;
    err_set(e, ERR_STREAM,
            "stream %s, topic '%s': the end offsets seen at the start were not reached: nothing "
            "came for %lld s",
            p->in->s->url, p->in->s->topic, (long long)(idle_ms / 1000));
    return err_hint(e, "is the stream still there? stream.timeout says how long to wait");
}
