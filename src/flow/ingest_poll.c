/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first stage of ingest: the only thread that calls the stream. Follows the assignments: where
 * to read is asked of the writer, who has the table; what was committed it tells the stream.
 */
#include "flow/ingest_poll.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"

enum { POLL_MS = 100, FIRST_PAUSE_MS = 50, LONGEST_PAUSE_MS = 5000 };

static bool give_up(const struct poller *p) {
    return atomic_load(&p->in->failed);
}

struct position *poller_ask(struct poller *p, enum unit_kind kind, const int32_t *parts, size_t n,
                            bool lost) {
    struct unit *u = poller_unit(p);
    if (!u)
        return NULL;
    u->partitions = xrealloc(u->partitions, MAX(n, 1) * sizeof *parts);
    if (n)
        memcpy(u->partitions, parts, n * sizeof *parts);
    u->n_partitions = n;
    u->begins = p->begins;
    u->n_begins = p->n_begins;
    u->lost = lost;
    u->open = lost && p->batch_open;
    if (!poller_send(p, u, kind))
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

/* Tells the stream what the writer has committed of the partitions that are ours. Advisory. */
static void tell_committed(struct poller *p) {
    struct ingest *in = p->in;
    pthread_mutex_lock(&in->lock);
    struct position *v = TAKE_PTR(in->committed);
    size_t n = in->n_committed, kept = 0;
    in->n_committed = in->cap_committed = 0;
    pthread_mutex_unlock(&in->lock);
    for (size_t i = 0; i < n; i++)
        if (poller_position(p, v[i].partition))
            v[kept++] = v[i];
    if (kept)
        stream_committed(in->s, v, kept);
    free(v);
}

int poller_end_batch(struct poller *p, struct err *e) {
    if (!p->batch_open)
        return 0;
    int r = stream_confirm(p->in->s, e);
    if (r < 0)
        return r;
    return poller_send_span(p, true) ? 0 : ERR_STOPPED;
}

/* --- assignments --- */

static void set_positions(struct poller *p, const struct position *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct position *at = poller_position(p, v[i].partition);
        if (!at) {
            p->at = xrealloc(p->at, (p->n_at + 1) * sizeof *p->at);
            at = &p->at[p->n_at++];
        }
        *at = v[i];
    }
}

static bool never_read(const struct position *v, size_t n) {
    bool yes = false;
    for (size_t i = 0; i < n; i++)
        yes = yes || v[i].offset < 0;
    return yes;
}

/* The app's first look at the topic: where its partitions begin now is where reading begins. */
static int begin(struct poller *p, const int32_t *parts, size_t n, struct position **answer,
                 struct err *e) {
    int r = stream_bounds(p->in->s, &p->begins, &p->n_begins, e);
    if (r < 0)
        return r;
    free(*answer);
    *answer = poller_ask(p, UNIT_BEGIN, parts, n, false);
    free(p->begins);
    p->begins = NULL;
    p->n_begins = 0;
    return *answer ? 0 : ERR_STOPPED;
}

/* These partitions became ours, or must be read again: where do they stand in the table? */
static int take_over(struct poller *p, const int32_t *parts, size_t n, struct err *e) {
    struct position *answer = poller_ask(p, UNIT_ASSIGN, parts, n, false);
    if (!answer)
        return ERR_STOPPED;
    set_positions(p, answer, n);
    p->progress_ns = clock_mono_ns();
    int r = never_read(answer, n) ? begin(p, parts, n, &answer, e) : 0;
    if (r == 0) {
        set_positions(p, answer, n);
        r = n > 0 ? stream_assign(p->in->s, answer, n, e) : 0;
    }
    p->read_again =
        r < 0; /* if it can pass: with positions from the table, nothing being in flight */
    free(answer);
    return r;
}

/*
 * The open batch ends here. It is dropped where the stream cannot confirm it now: the group does not
 * wait, and it will be read again.
 */
static int end_or_drop(struct poller *p, struct err *e) {
    int r = poller_end_batch(p, e);
    if (r == 0 || r == ERR_STOPPED || !e->retry)
        return r;
    log_err(LOG_WARN, "the group changes: an open batch is dropped", e);
    atomic_fetch_add(&p->in->generation, 1);
    free(poller_ask(p, UNIT_REVOKE, NULL, 0, true));
    return give_up(p) ? ERR_STOPPED : 0;
}

static int revoke(struct poller *p, const struct poll_result *pr) {
    if (pr->lost) /* also what is on its way to the writer must not be committed */
        atomic_fetch_add(&p->in->generation, 1);
    free(poller_ask(p, UNIT_REVOKE, pr->partitions, pr->n_partitions, pr->lost));
    if (!pr->lost)
        tell_committed(p);
    for (size_t i = 0; i < pr->n_partitions; i++) {
        struct position *at = poller_position(p, pr->partitions[i]);
        if (at)
            *at = p->at[--p->n_at];
    }
    p->progress_ns = clock_mono_ns();
    return give_up(p) ? ERR_STOPPED : 0;
}

/* A batch was dropped: everything in flight is void, read again from the table's positions. */
static int read_again(struct poller *p, struct err *e) {
    p->generation = atomic_load(&p->in->generation);
    poller_drop_span(p);
    int32_t *parts = xmalloc(MAX(p->n_at, 1) * sizeof *parts);
    size_t n = p->n_at;
    for (size_t i = 0; i < n; i++)
        parts[i] = p->at[i].partition;
    int r = take_over(p, parts, n, e);
    free(parts);
    return r;
}

/* --- the loop --- */

static int poll_once(struct poller *p, struct err *e) {
    if (!poller_need_unit(p)) /* the one before may be on its way with the end of a batch */
        return ERR_STOPPED;
    struct span *sp = p->u->span;
    size_t from = sp->n, bytes = sp->bytes.len;
    int64_t room = MIN((int64_t)(SPAN_RECORDS - from), p->in->o->batch_rows - p->batch_records);
    int wait = POLL_MS;
    if (p->batch_open) {
        int64_t left = p->in->o->batch_age_ms - (clock_mono_ns() - p->batch_since_ns) / 1000000;
        wait = (int)MAX(0, MIN(left, POLL_MS));
    }
    struct poll_result pr = {0};
    int r = stream_poll(p->in->s, wait, sp, (size_t)MAX(room, 0), SPAN_BYTES, &pr, e);
    if (r == 0)
        r = poller_note(p, &pr, from, bytes, e);
    if (r < 0)
        return r;
    if (pr.kind == POLL_ASSIGN || pr.kind == POLL_REVOKE) {
        if (!pr.lost && (r = end_or_drop(p, e)) < 0)
            return r;
        return pr.kind == POLL_ASSIGN ? take_over(p, pr.partitions, pr.n_partitions, e)
                                      : revoke(p, &pr);
    }
    if (poller_batch_is_due(p))
        return poller_end_batch(p, e);
    bool full = (pr.full && p->batch_open) || poller_span_is_full(p);
    return !full || poller_send_span(p, false) ? 0 : ERR_STOPPED;
}

/* An error of the stream that can pass: waits a little. false: it ends us. */
static bool wait_and_see(struct poller *p, const struct err *e) {
    struct err ignored;
    if (!e->retry || stop_requested() || ends_check_timeout(p, &ignored) < 0)
        return false;
    if (p->pause_ms == 0)
        log_err(LOG_WARN, "trying again", e);
    p->pause_ms = p->pause_ms ? MIN(2 * p->pause_ms, LONGEST_PAUSE_MS) : FIRST_PAUSE_MS;
    stop_wait(p->pause_ms);
    return true;
}

/* 0 also for an error that can pass, after a pause. */
static int judge(struct poller *p, int r, const struct err *e) {
    if (r == 0)
        p->pause_ms = 0;
    else if (r != ERR_STOPPED && wait_and_see(p, e))
        return 0;
    return r;
}

static int step(struct poller *p, bool *done, struct err *e) {
    struct ingest *in = p->in;
    /* After a dropped batch the ends were read, but not committed: the positions come first. */
    if (p->read_again || p->generation != atomic_load(&in->generation))
        return read_again(p, e);
    int r = in->o->once ? ends_reached(p, done, e) : 0;
    return r == 0 && !*done ? poll_once(p, e) : r;
}

/* Until the ends are reached, a stop is asked for or something fails. */
static int poll_loop(struct poller *p, struct err *e) {
    struct ingest *in = p->in;
    int r = 0;
    for (bool done = false; r == 0 && !done && !give_up(p);) {
        if (stop_requested()) {
            in->stopped_early = in->o->once;
            break;
        }
        tell_committed(p);
        r = judge(p, step(p, &done, e), e);
        if (r == 0 && !done && p->pause_ms == 0) /* else the error itself will tell */
            r = ends_check_timeout(p, e);
    }
    return r;
}

static int poll_start(struct poller *p, bool *ret_done, struct err *e) {
    p->progress_ns = clock_mono_ns();
    int r = p->in->o->once ? ends_start(p, ret_done, e) : 0;
    return r == 0 && !*ret_done ? stream_subscribe(p->in->s, e) : r;
}

/* Nothing more is to be read: *ret_done when all that was read is committed, or dropped at a stop. */
static int finish(struct poller *p, bool *ret_done, struct err *e) {
    int r = poller_end_batch(p, e);
    if (r < 0)
        return stop_requested() && e->retry ? ERR_STOPPED : judge(p, r, e);
    /* The last commit may still be refused: only an answer tells that nothing is open. */
    free(poller_ask(p, UNIT_REVOKE, NULL, 0, false));
    *ret_done = give_up(p) || stop_requested() || p->generation == atomic_load(&p->in->generation);
    return 0;
}

void *ingest_poll_thread(void *arg) {
    struct poller p = {.in = arg};
    struct err e = {0};
    bool done = false;
    int r = poll_start(&p, &done, &e);
    while (r == 0 && !done && (r = poll_loop(&p, &e)) == 0)
        r = finish(&p, &done, &e);
    tell_committed(&p);
    if (r < 0 && r != ERR_STOPPED)
        p.in->poll_err = e;
    if (r == ERR_STOPPED && p.in->o->once && stop_requested())
        p.in->stopped_early = true;
    struct unit *u = p.u ? TAKE_PTR(p.u) : poller_unit(&p);
    if (u)
        poller_send(&p, u, UNIT_END);
    queue_close(p.in->to_decode);
    free(p.at);
    free(p.ends);
    free(p.seen);
    return NULL;
}
