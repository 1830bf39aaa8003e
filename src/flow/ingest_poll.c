/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first stage of ingest: the only thread that calls the stream. Collects records into spans
 * and decides where a batch ends (rows, bytes or age), so that the later stages need no clocks.
 */
#include "base/clock.h"
#include "base/util.h"
#include "flow/ingest_priv.h"

enum { POLL_MS = 100 };

struct poller {
    struct ingest *in;
    struct unit *u; /* being filled */
    uint64_t seq;
    unsigned generation;
    /* the open batch */
    int64_t batch_records, batch_bytes, batch_since_ns;
    /* what we read, partition by partition */
    struct position *at;
    size_t n_at;
    /* once: where to stop */
    struct bounds *ends;
    size_t n_ends;
    int64_t progress_ns;
};

static bool give_up(const struct poller *p) {
    return atomic_load(&p->in->failed);
}

/* An empty unit; NULL when the writer has closed the way back. */
static struct unit *unit_take(struct poller *p) {
    struct unit *u = queue_take(p->in->free_units);
    if (!u)
        return NULL;
    span_reset(u->span);
    u->n_ranges = u->n_pieces = u->n_partitions = 0;
    u->rejected = 0;
    u->ends_batch = u->lost = false;
    return u;
}

static bool unit_send(struct poller *p, struct unit *u, enum unit_kind kind) {
    u->kind = kind;
    u->seq = p->seq++;
    u->generation = p->generation;
    return queue_put(p->in->to_decode, u);
}

static bool need_unit(struct poller *p) {
    if (!p->u)
        p->u = unit_take(p);
    return p->u != NULL;
}

static bool send_span(struct poller *p, bool ends_batch) {
    if (!need_unit(p))
        return false;
    p->u->ends_batch = ends_batch;
    if (ends_batch)
        p->batch_records = p->batch_bytes = 0;
    return unit_send(p, TAKE_PTR(p->u), UNIT_SPAN);
}

/* What is open of the batch goes to the writer to be committed. */
static bool end_batch(struct poller *p) {
    return p->batch_records == 0 || send_span(p, true);
}

static void note_range(struct unit *u, const struct record *r) {
    struct range *last = u->n_ranges ? &u->ranges[u->n_ranges - 1] : NULL;
    for (size_t i = u->n_ranges; last && last->partition != r->partition && i > 0; i--)
        last = &u->ranges[i - 1];
    if (last && last->partition == r->partition) {
        last->next = r->offset + 1;
        return;
    }
    if (u->n_ranges == u->cap_ranges) {
        u->cap_ranges = u->cap_ranges ? 2 * u->cap_ranges : 16;
        u->ranges = xrealloc(u->ranges, u->cap_ranges * sizeof *u->ranges);
    }
    u->ranges[u->n_ranges++] = (struct range){r->partition, r->offset, r->offset + 1};
}

static struct position *position_of(struct poller *p, int32_t partition) {
    for (size_t i = 0; i < p->n_at; i++)
        if (p->at[i].partition == partition)
            return &p->at[i];
    return NULL;
}

static void note_records(struct poller *p, size_t from, size_t bytes_before) {
    struct span *sp = p->u->span;
    if (from == sp->n)
        return;
    if (p->batch_records == 0)
        p->batch_since_ns = clock_mono_ns();
    for (size_t i = from; i < sp->n; i++)
        note_range(p->u, &sp->v[i]);
    for (size_t i = 0; i < p->u->n_ranges; i++) {
        struct position *at = position_of(p, p->u->ranges[i].partition);
        if (at)
            at->offset = p->u->ranges[i].next;
    }
    p->batch_records += (int64_t)(sp->n - from);
    p->batch_bytes += (int64_t)(sp->bytes.len - bytes_before);
    p->progress_ns = clock_mono_ns();
}

/* Hands a question through the pipeline and waits for the writer's answer. */
static struct position *ask_writer(struct poller *p, enum unit_kind kind, const int32_t *parts,
                                   size_t n, bool lost) {
    struct unit *u = unit_take(p);
    if (!u)
        return NULL;
    u->partitions = xrealloc(u->partitions, MAX(n, 1) * sizeof *parts);
    if (n)
        memcpy(u->partitions, parts, n * sizeof *parts);
    u->n_partitions = n;
    u->lost = lost;
    if (!unit_send(p, u, kind))
        return NULL;
    struct ingest *in = p->in;
    pthread_mutex_lock(&in->lock);
    while (!in->reply_ready && !atomic_load(&in->failed))
        pthread_cond_wait(&in->replied, &in->lock);
    struct position *answer = in->reply_ready ? TAKE_PTR(in->reply) : NULL;
    in->reply_ready = false;
    pthread_mutex_unlock(&in->lock);
    return answer;
}

/* Partitions became ours, or their positions must be read again: where do they stand in the table? */
static int assign(struct poller *p, const int32_t *parts, size_t n, struct err *e) {
    struct position *answer = ask_writer(p, UNIT_ASSIGN, parts, n, false);
    if (!answer)
        return ERR_STOPPED;
    for (size_t i = 0; i < n; i++) {
        struct position *at = position_of(p, parts[i]);
        if (!at) {
            p->at = xrealloc(p->at, (p->n_at + 1) * sizeof *p->at);
            at = &p->at[p->n_at++];
        }
        *at = answer[i];
    }
    int r = stream_assign(p->in->s, answer, n, e);
    free(answer);
    return r;
}

static int revoke(struct poller *p, const struct poll_result *pr) {
    free(ask_writer(p, UNIT_REVOKE, pr->partitions, pr->n_partitions, pr->lost));
    for (size_t i = 0; i < pr->n_partitions; i++) {
        struct position *at = position_of(p, pr->partitions[i]);
        if (at)
            *at = p->at[--p->n_at];
    }
    return give_up(p) ? ERR_STOPPED : 0;
}

/* The writer dropped its batch: everything in flight is void, read again from the table's positions. */
static int reassign(struct poller *p, struct err *e) {
    p->generation = atomic_load(&p->in->generation);
    p->batch_records = p->batch_bytes = 0;
    if (p->u) {
        span_reset(p->u->span);
        p->u->n_ranges = 0;
    }
    int32_t *parts = xmalloc(MAX(p->n_at, 1) * sizeof *parts);
    size_t n = p->n_at;
    for (size_t i = 0; i < n; i++)
        parts[i] = p->at[i].partition;
    int r = assign(p, parts, n, e);
    free(parts);
    return r;
}

static bool batch_is_due(const struct poller *p) {
    const struct ingest_options *o = p->in->o;
    return p->batch_records > 0 &&
           (p->batch_records >= o->batch_rows || p->batch_bytes >= o->batch_bytes ||
            clock_mono_ns() - p->batch_since_ns >= o->batch_age_ms * 1000000);
}

static bool ends_reached(const struct poller *p) {
    for (size_t i = 0; i < p->n_ends; i++) {
        bool there = p->ends[i].end == p->ends[i].begin;
        for (size_t k = 0; !there && k < p->n_at; k++)
            there = p->at[k].partition == p->ends[i].partition && p->at[k].offset >= p->ends[i].end;
        if (!there)
            return false;
    }
    return true;
}

static int poll_once(struct poller *p, struct err *e) {
    struct span *sp = p->u->span;
    size_t from = sp->n, bytes = sp->bytes.len;
    int64_t room = MIN((int64_t)(SPAN_RECORDS - from), p->in->o->batch_rows - p->batch_records);
    int wait = POLL_MS;
    if (p->batch_records > 0) {
        int64_t left = p->in->o->batch_age_ms - (clock_mono_ns() - p->batch_since_ns) / 1000000;
        wait = (int)MAX(0, MIN(left, POLL_MS));
    }
    struct poll_result pr = {0};
    int r = stream_poll(p->in->s, wait, sp, (size_t)MAX(room, 1), SPAN_BYTES, &pr, e);
    if (r < 0)
        return r;
    note_records(p, from, bytes);
    if (pr.kind == POLL_ASSIGN || pr.kind == POLL_REVOKE) {
        if (!pr.lost && !end_batch(p))
            return ERR_STOPPED;
        return pr.kind == POLL_ASSIGN ? assign(p, pr.partitions, pr.n_partitions, e)
                                      : revoke(p, &pr);
    }
    if (batch_is_due(p))
        return end_batch(p) ? 0 : ERR_STOPPED;
    if (p->u &&
        (p->u->span->n >= SPAN_RECORDS || p->u->span->bytes.len >= SPAN_BYTES - LIMIT_RECORD))
        return send_span(p, false) ? 0 : ERR_STOPPED;
    return 0;
}

static int check_timeout(const struct poller *p, struct err *e) {
    int64_t idle_ms = (clock_mono_ns() - p->progress_ns) / 1000000;
    if (!p->in->o->once || idle_ms < p->in->o->timeout_ms)
        return 0;
    err_set(e, ERR_STREAM,
            "stream %s, topic '%s': the end offsets seen at the start were not reached: nothing "
            "came for %lld s",
            p->in->s->url, p->in->s->topic, (long long)(idle_ms / 1000));
    return err_hint(e, "is the stream still there? stream.timeout says how long to wait");
}

static int poll_start(struct poller *p, struct err *e) {
    p->progress_ns = clock_mono_ns();
    int r = stream_subscribe(p->in->s, e);
    return r < 0 || !p->in->o->once ? r : stream_bounds(p->in->s, &p->ends, &p->n_ends, e);
}

/* Until the ends are reached, a stop is asked for or something fails. */
static int poll_loop(struct poller *p, struct err *e) {
    struct ingest *in = p->in;
    int r = 0;
    while (r == 0 && !give_up(p)) {
        /* After a dropped batch the ends were read, but not committed: the positions come first. */
        bool current = p->generation == atomic_load(&in->generation);
        if (in->o->once && current && ends_reached(p))
            break;
        if (stop_requested()) {
            in->stopped_early = in->o->once;
            break;
        }
        if (!need_unit(p))
            return ERR_STOPPED;
        if (!current)
            r = reassign(p, e);
        else
            r = poll_once(p, e);
        if (r == 0)
            r = check_timeout(p, e);
    }
    return r;
}

void *ingest_poll_thread(void *arg) {
    struct poller p = {.in = arg};
    struct err e = {0};
    int r = poll_start(&p, &e);
    while (r == 0) {
        r = poll_loop(&p, &e);
        if (r < 0 || !end_batch(&p))
            break;
        /* The last commit may still be refused: only an answer tells that nothing is open. */
        free(ask_writer(&p, UNIT_REVOKE, NULL, 0, false));
        if (give_up(&p) || stop_requested() || p.generation == atomic_load(&p.in->generation))
            break;
    }
    if (r < 0 && r != ERR_STOPPED)
        p.in->poll_err = e;
    struct unit *u = p.u ? TAKE_PTR(p.u) : unit_take(&p);
    if (u)
        unit_send(&p, u, UNIT_END);
    queue_close(p.in->to_decode);
    free(p.at);
    free(p.ends);
    return NULL;
}
