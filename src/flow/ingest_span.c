/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records, passed-over offsets and losses become ranges that tile: what a unit covers of a
 * partition begins where the unit before ended. Here it is decided where a span and a batch end
 * (rows, bytes or age), so that the later stages need no clocks.
 */
#include "base/clock.h"
#include "base/log.h"
#include "flow/ingest_poll.h"

struct unit *poller_unit(struct poller *p) {
    struct unit *u = queue_take(p->in->free_units);
    if (!u)
        return NULL;
    span_reset(u->span);
    u->n_ranges = u->n_losses = u->n_pieces = u->n_partitions = 0;
    u->rejected = 0;
    u->ends_batch = u->lost = false;
    return u;
}

bool poller_send(struct poller *p, struct unit *u, enum unit_kind kind) {
    u->kind = kind;
    u->seq = p->seq++;
    u->generation = p->generation;
    return queue_put(p->in->to_decode, u);
}

bool poller_need_unit(struct poller *p) {
    if (!p->u)
        p->u = poller_unit(p);
    return p->u != NULL;
}

bool poller_send_span(struct poller *p, bool ends_batch) {
    if (!poller_need_unit(p))
        return false;
    p->u->ends_batch = ends_batch;
    if (ends_batch) {
        p->batch_open = false;
        p->batch_records = p->batch_bytes = 0;
        atomic_store(&p->in->wide, false);
    }
    return poller_send(p, TAKE_PTR(p->u), UNIT_SPAN);
}

void poller_drop_span(struct poller *p) {
    p->batch_open = false;
    p->batch_records = p->batch_bytes = 0;
    if (!p->u)
        return;
    span_reset(p->u->span);
    p->u->n_ranges = p->u->n_losses = 0;
}

bool poller_span_is_full(const struct poller *p) {
    const struct unit *u = p->u;
    return u && (u->span->n >= SPAN_RECORDS || u->span->bytes.len >= SPAN_BYTES - LIMIT_RECORD ||
                 u->n_ranges >= SPAN_RANGES || u->n_losses >= SPAN_RANGES);
}

bool poller_batch_is_due(const struct poller *p) {
    const struct ingest_options *o = p->in->o;
    return p->batch_open && (atomic_load(&p->in->wide) || p->batch_records >= o->batch_rows ||
                             p->batch_bytes >= o->batch_bytes ||
                             clock_mono_ns() - p->batch_since_ns >= o->batch_age_ms * 1000000);
}

struct position *poller_position(struct poller *p, int32_t partition) {
    for (size_t i = 0; i < p->n_at; i++)
        if (p->at[i].partition == partition)
            return &p->at[i];
    return NULL;
}

/* The unit's range of the partition; a new one begins where we stand. */
static struct range *range_of(struct unit *u, const struct position *at) {
    for (size_t i = u->n_ranges; i > 0; i--)
        if (u->ranges[i - 1].partition == at->partition)
            return &u->ranges[i - 1];
    if (u->n_ranges == u->cap_ranges) {
        u->cap_ranges = u->cap_ranges ? 2 * u->cap_ranges : 16;
        u->ranges = xrealloc(u->ranges, u->cap_ranges * sizeof *u->ranges);
    }
    u->ranges[u->n_ranges] = (struct range){at->partition, at->offset, at->offset, 0};
    return &u->ranges[u->n_ranges++];
}

/* The partition is read up to `next`, of which `records` were records. */
static void advance(struct poller *p, struct position *at, int64_t next, int64_t records) {
    struct range *r = range_of(p->u, at);
    r->next = at->offset = next;
    r->records += records;
    if (!p->batch_open)
        p->batch_since_ns = clock_mono_ns();
    p->batch_open = true;
}

static int not_ours(const struct poller *p, int32_t partition, int64_t offset, struct err *e) {
    return err_set(
        e, ERR_BUG,
        "stream %s, topic '%s': offset %lld of partition %d was handed out, which is not "
        "assigned to us",
        p->in->s->url, p->in->s->topic, (long long)offset, partition);
}

static int repeated(const struct poller *p, const struct record *r, int64_t next, struct err *e) {
    return err_set(
        e, ERR_BUG,
        "stream %s, topic '%s': offset %lld of partition %d was handed out again, %lld was next",
        p->in->s->url, p->in->s->topic, (long long)r->offset, r->partition, (long long)next);
}

static int note_records(struct poller *p, size_t from, struct err *e) {
    const struct span *sp = p->u->span;
    struct position *at = NULL;
    /* Runs of one partition without a hole are noted at once. */
    for (size_t i = from, end; i < sp->n; i = end) {
        const struct record *r = &sp->v[i];
        if (!at || at->partition != r->partition)
            at = poller_position(p, r->partition);
        if (!at)
            return not_ours(p, r->partition, r->offset, e);
        if (r->offset < at->offset)
            return repeated(p, r, at->offset, e);
        if (at->offset < 0)
            at->offset = r->offset;
        for (end = i + 1; end < sp->n && sp->v[end].partition == r->partition &&
                          sp->v[end].offset == sp->v[end - 1].offset + 1;)
            end++;
        advance(p, at, sp->v[end - 1].offset + 1, (int64_t)(end - i));
    }
    return 0;
}

static void note_loss(struct poller *p, struct loss l) {
    struct position *at = poller_position(p, l.partition);
    if (!at)
        return; /* revoked meanwhile: whoever has it now is told too */
    if (at->offset >= 0)
        l.from = MAX(l.from, at->offset); /* told before, when it was last assigned */
    if (l.from >= l.to)
        return;
    log_warn("offsets are gone from the stream before they were read: accepted as lost",
             F_STR("topic", p->in->s->topic), F_INT("partition", l.partition),
             F_INT("from", l.from), F_INT("to", l.to));
    if (at->offset < 0)
        at->offset = l.from;
    advance(p, at, l.to, 0);
    struct unit *u = p->u;
    if (u->n_losses == u->cap_losses) {
        u->cap_losses = u->cap_losses ? 2 * u->cap_losses : 16;
        u->losses = xrealloc(u->losses, u->cap_losses * sizeof *u->losses);
    }
    u->losses[u->n_losses++] = l;
}

static void note_reached(struct poller *p, const struct position *reached) {
    struct position *at = poller_position(p, reached->partition);
    if (!at)
        return;
    if (at->offset < 0) /* where the beginning was we cannot tell: nothing to account for */
        at->offset = reached->offset;
    if (reached->offset > at->offset)
        advance(p, at, reached->offset, 0);
}

int poller_note(struct poller *p, const struct poll_result *pr, size_t from, size_t bytes,
                struct err *e) {
    const struct span *sp = p->u->span;
    int64_t records = (int64_t)(sp->n - from);
    int r = note_records(p, from, e);
    if (r == 0 && pr->kind == POLL_LOSS)
        note_loss(p, pr->loss);
    for (size_t i = 0; r == 0 && i < pr->n_reached; i++)
        note_reached(p, &pr->reached[i]);
    if (records > 0 || pr->kind == POLL_LOSS || pr->n_reached > 0)
        p->progress_ns = clock_mono_ns();
    p->batch_records += records;
    p->batch_bytes += (int64_t)(sp->bytes.len - bytes);
    return r;
}
