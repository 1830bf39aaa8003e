/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is read: the group's subscription, its rebalances, the positions, and what the cluster no
 * longer holds. Positions come from the table: partitions are assigned with their offsets, and
 * there is no seek.
 *
 * The topic is looked at once a second. A topic that was deleted and made again has other offsets
 * under the same name; librdkafka goes on reading as if nothing had happened where the new topic
 * is already long enough (rdkafka_topic.c says so itself), so we compare its id; and once more before
 * what was read is committed: an answer that comes after the last fetch tells what was fetched.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "stream/kafka_consume.h"

enum {
    CHECK_MS = 1000,
    CHECK_MISSING_MS = 200,
    CHECK_TIMEOUT_MS = 3000,
    CLOSE_MS = 3000,
    CONFIRM_MS = 3000
};

typedef rd_kafka_topic_partition_list_t part_list;

static part_list *list_new(size_t n) {
    return rd_kafka_topic_partition_list_new((int)MAX(n, 1));
}
static void list_freep(part_list **l) {
    if (*l)
        rd_kafka_topic_partition_list_destroy(*l);
}
#define _list_ _cleanup_(list_freep) part_list *

static int by_partition(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

struct part *part_of(struct kafka_consumer *c, int32_t partition) {
    bool ours = partition >= 0 && partition < c->n_parts && c->parts[partition].assigned;
    return ours ? &c->parts[partition] : NULL;
}

bool kafka_is_reading(const struct kafka *k) {
    const struct kafka_consumer *c = k->consumer;
    bool yes = c && c->subscribed;
    for (int32_t i = 0; c && !yes && i < c->n_parts; i++)
        yes = c->parts[i].assigned;
    return yes;
}

static int open_consumer(struct kafka *k, struct err *e) {
    rd_kafka_t *rk;
    int r = k->consumer ? 0 : kafka_handle(k, KAFKA_CONSUMER, &rk, e);
    if (k->consumer || r < 0)
        return r;
    struct kafka_consumer *c = xcalloc(1, sizeof *c);
    c->rk = rk;
    c->queue = rd_kafka_queue_get_consumer(rk);
    c->checks = rd_kafka_queue_new(rk);
    c->changes_end = &c->changes;
    k->consumer = c;
    return 0;
}

/* --- changes --- */

static struct change *add_change(struct kafka_consumer *c, enum poll_kind kind) {
    struct change *ch = xcalloc(1, sizeof *ch);
    ch->kind = kind;
    *c->changes_end = ch;
    c->changes_end = &ch->next;
    return ch;
}

static void change_free(struct change *ch) {
    if (ch && ch->list)
        rd_kafka_topic_partition_list_destroy(ch->list);
    free(ch);
}

static struct change *take_change(struct kafka_consumer *c) {
    struct change *ch = c->changes;
    c->changes = ch->next;
    if (!c->changes)
        c->changes_end = &c->changes;
    return ch;
}

/*
 * A static member that comes back gets what it had, though it subscribes to another topic now: the
 * broker calls for no new assignment then.
 */
static void check_topic(struct kafka *k, const part_list *list) {
    struct kafka_consumer *c = k->consumer;
    for (int i = 0; i < list->cnt; i++)
        if (strcmp(list->elems[i].topic, k->s.topic) != 0) {
            kafka_error(k, &c->failed, "the group '%s' gives us partitions of the topic '%s'",
                        k->group, list->elems[i].topic);
            err_hint(&c->failed,
                     "this kafka.group.instance.id had them before: choose another, or another "
                     "stream.app, or start again when kafka.session.timeout.ms has passed");
            return;
        }
}

static bool cooperative(const struct kafka_consumer *c) {
    const char *protocol = rd_kafka_rebalance_protocol(c->rk); /* NULL: it cannot be told now */
    return c->subscribed && protocol && strcmp(protocol, "COOPERATIVE") == 0;
}

/*
 * Answers a rebalance by reading nothing. The protocol may be told late, after a session that timed
 * out, and is of no account while the consumer is closed: librdkafka refuses the wrong way, and an
 * answer that never comes keeps rd_kafka_destroy for ever. So the other way is tried, too.
 */
static void read_nothing(struct kafka_consumer *c, const part_list *list, bool revoked) {
    if (!cooperative(c) && rd_kafka_assign(c->rk, NULL) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    rd_kafka_error_t *error = revoked ? rd_kafka_incremental_unassign(c->rk, list)
                                      : rd_kafka_incremental_assign(c->rk, list);
    if (error)
        rd_kafka_assign(c->rk, NULL);
    rd_kafka_error_destroy(error);
}

/* In our caller's thread, in the middle of a batch: see kafka_consume.h. */
void consume_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, part_list *list, void *opaque) {
    struct kafka *k = opaque;
    struct kafka_consumer *c = k->consumer;
    bool ours = err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (k->closing) {
        read_nothing(c, list, !ours);
        return;
    }
    if (!ours && err != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        log_warn("the group's rebalance failed", F_STR("why", rd_kafka_err2str(err)));
    atomic_fetch_add(&k->rebalances, 1);
    if (ours)
        check_topic(k, list);
    struct change *ch = add_change(c, ours ? POLL_ASSIGN : POLL_REVOKE);
    ch->list = rd_kafka_topic_partition_list_copy(list);
    ch->lost = rd_kafka_assignment_lost(rk);
}

/* The caller is done with what was revoked: librdkafka may go on with the rebalance. */
static void answer_revocation(struct kafka_consumer *c, struct change *ch) {
    read_nothing(c, ch->list, true);
    change_free(ch);
}

/* "We give you nothing new": common in cooperative rebalances, of no interest to the caller. */
static void answer_empty(struct kafka_consumer *c, struct change *ch) {
    if (ch->kind == POLL_REVOKE) {
        answer_revocation(c, ch);
        return;
    }
    if (cooperative(c))
        rd_kafka_error_destroy(rd_kafka_incremental_assign(c->rk, ch->list));
    else
        rd_kafka_assign(c->rk, ch->list);
    change_free(ch);
}

static void fill_partitions(struct kafka_consumer *c, const struct change *ch,
                            struct poll_result *ret) {
    size_t n = (size_t)ch->list->cnt;
    c->partitions = xrealloc(c->partitions, n * sizeof *c->partitions);
    for (size_t i = 0; i < n; i++)
        c->partitions[i] = ch->list->elems[i].partition;
    qsort(c->partitions, n, sizeof *c->partitions, by_partition);
    *ret = (struct poll_result){
        .kind = ch->kind, .partitions = c->partitions, .n_partitions = n, .lost = ch->lost};
}

bool group_change(struct kafka_consumer *c, struct poll_result *ret) {
    while (c->changes) {
        struct change *ch = take_change(c);
        if (ch->kind == POLL_LOSS) {
            *ret = (struct poll_result){.kind = POLL_LOSS, .loss = ch->loss};
            change_free(ch);
            return true;
        }
        if (ch->list->cnt == 0) {
            answer_empty(c, ch);
            continue;
        }
        fill_partitions(c, ch, ret);
        change_free(c->offered);
        c->offered = NULL;
        if (ch->kind == POLL_ASSIGN) {
            c->offered = ch;
            return true;
        }
        for (size_t i = 0; i < ret->n_partitions; i++)
            if (part_of(c, c->partitions[i]))
                c->parts[c->partitions[i]].assigned = false;
        held_drop(c, false);
        c->revoked = ch;
        return true;
    }
    return false;
}

/* --- what the topic is --- */

static int subscribe(struct kafka *k, struct err *e) {
    struct kafka_consumer *c = k->consumer;
    _list_ topics = list_new(1);
    rd_kafka_topic_partition_list_add(topics, k->s.topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(c->rk, topics);
    if (err)
        return kafka_failed(k, e, err, NULL, "cannot subscribe");
    c->subscribed = true;
    return 0;
}

static int topic_seen(struct kafka *k, const struct topic_info *t, struct err *e) {
    struct kafka_consumer *c = k->consumer;
    bool here = t->partitions > 0; /* one without a leader need not keep us from the others */
    c->ask_again_ns = clock_mono_ns() + (here ? CHECK_MS : CHECK_MISSING_MS) * 1000000LL;
    if (t->partitions == 0) {
        if (!c->missing_told)
            log_warn(c->subscribed ? "the topic is gone; waiting for it"
                                   : "there is no such topic; waiting for it",
                     F_STR("topic", k->s.topic));
        c->missing_told = true;
        return 0;
    }
    int r = kafka_identify(k, t, e);
    return r == 0 && here && c->subscribing && !c->subscribed ? subscribe(k, e) : r;
}

static int serve_check(struct kafka *k, struct err *e) {
    struct kafka_consumer *c = k->consumer;
    rd_kafka_event_t *ev = c->asked ? rd_kafka_queue_poll(c->checks, 0) : NULL;
    int r = 0;
    if (ev) {
        struct topic_info t;
        c->asked = false;
        c->ask_again_ns = clock_mono_ns() + CHECK_MISSING_MS * 1000000LL;
        if (rd_kafka_event_error(ev))
            atomic_fetch_add(&k->errors, 1); /* it is asked again */
        else if ((r = kafka_describe_read(k, ev, &t, e)) == 0) {
            kafka_went_well(k);
            r = topic_seen(k, &t, e);
        }
        rd_kafka_event_destroy(ev);
    }
    if (r < 0 && e->retry)
        r = 0;
    /* librdkafka reconnects without any pause while an answer is due: see kafka_private.h. */
    if (!c->asked && !atomic_load(&k->away) && clock_mono_ns() >= c->ask_again_ns &&
        (c->subscribing || kafka_is_reading(k))) {
        c->asked = true;
        kafka_describe_send(k, c->rk, CHECK_TIMEOUT_MS, c->checks);
    }
    return r;
}

int group_serve(struct kafka *k, struct err *e) {
    struct kafka_consumer *c = k->consumer;
    if (c->revoked)
        answer_revocation(c, TAKE_PTR(c->revoked));
    rd_kafka_poll(c->rk, 0);
    if (c->failed.code) {
        *e = c->failed;
        return e->code;
    }
    char why[512];
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(c->rk, why, sizeof why);
    if (fatal)
        return kafka_failed(k, e, fatal, why, "the consumer cannot go on");
    int r = *k->oversize ? kafka_oversize(k, k->oversize, e) : kafka_refused(k, e);
    if (r == 0)
        r = serve_check(k, e);
    if (r < 0 && !e->retry)
        c->failed = *e;
    return r;
}

int consume_subscribe(struct stream *s, struct err *e) {
    struct kafka *k = (struct kafka *)s;
    int r = open_consumer(k, e);
    if (r < 0 || k->consumer->subscribing)
        return r;
    r = consume_assign(s, NULL, 0, e);
    if (r < 0)
        return r;
    k->consumer->subscribing = true;
    return serve_check(k, e);
}

/* --- positions --- */

static void lose(struct kafka_consumer *c, int32_t partition, int64_t from, int64_t to) {
    add_change(c, POLL_LOSS)->loss = (struct loss){partition, from, to};
    log_warn("records were removed before they were read", F_INT("partition", partition),
             F_INT("from", from), F_INT("to", to));
}

/* Where to read from, given what the partition holds: *ret. Notes a loss where that is allowed. */
static int settle(struct kafka *k, const struct position *p, const struct bounds *b, int64_t *ret,
                  struct err *e) {
    *ret = p->offset == -1 ? b->begin : p->offset;
    if (*ret >= b->begin && *ret <= b->end)
        return 0;
    if (p->offset >= 0 && p->offset < b->begin && k->accept_loss) {
        lose(k->consumer, p->partition, p->offset, b->begin);
        *ret = b->begin;
        return 0;
    }
    kafka_error(k, e,
                "position %" PRId64 " of partition %" PRId32
                " is outside of what the stream holds: offsets %" PRId64 " to %" PRId64,
                p->offset, p->partition, b->begin, b->end);
    if (p->offset > b->end || p->offset < 0)
        return err_hint(e, "the stream was cut or replaced after it was read");
    err_wrap(e,
             "offsets %" PRId64 " to %" PRId64 " of partition %" PRId32
             " were removed before they were read",
             p->offset, b->begin - 1, p->partition);
    return err_hint(e, "retention was faster than ingest. `clickmill ingest --accept-loss` notes "
                       "the gap and goes on behind it");
}

static int check_partitions(struct kafka *k, const struct topic_info *t, const struct position *p,
                            size_t n, struct err *e) {
    for (size_t i = 0; i < n; i++)
        if (p[i].partition < 0 || p[i].partition >= t->partitions) {
            kafka_error(k, e, "the topic has no partition %" PRId32 ": it has %" PRId32,
                        p[i].partition, t->partitions);
            return err_hint(e, "was it replaced by another one with fewer partitions?");
        }
    return 0;
}

/* Asks the cluster what it holds, and fills the list with where reading begins. */
static int settle_all(struct kafka *k, const struct position *p, size_t n, part_list *list,
                      struct err *e) {
    struct topic_info t;
    int r = kafka_describe(k, k->timeout_ms, &t, e);
    if (r == 0)
        r = kafka_identify(k, &t, e);
    if (r == 0)
        r = check_partitions(k, &t, p, n, e);
    _cleanup_(freep) struct bounds *b = xcalloc(MAX(n, 1), sizeof *b);
    for (size_t i = 0; i < n; i++)
        b[i].partition = p[i].partition;
    if (r == 0)
        r = kafka_offsets(k, b, n, e);
    for (size_t i = 0; i < n && r == 0; i++) {
        int64_t from;
        r = settle(k, &p[i], &b[i], &from, e);
        if (r == 0)
            rd_kafka_topic_partition_list_add(list, k->s.topic, p[i].partition)->offset = from;
    }
    return r;
}

/* The cluster does not answer just now: librdkafka will find out itself whether they are right. */
static void take_as_they_are(struct kafka *k, const struct position *p, size_t n, part_list *list) {
    for (size_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, k->s.topic, p[i].partition)->offset =
            p[i].offset < 0 ? RD_KAFKA_OFFSET_BEGINNING : p[i].offset;
}

static void note_assigned(struct kafka_consumer *c, const part_list *list, bool all) {
    for (int32_t i = 0; all && i < c->n_parts; i++)
        c->parts[i].assigned = false;
    for (int i = 0; i < list->cnt; i++) {
        int32_t partition = list->elems[i].partition;
        if (partition >= c->n_parts) {
            size_t old = (size_t)c->n_parts, n = (size_t)partition + 1;
            c->parts = xrealloc(c->parts, n * sizeof *c->parts);
            memset(c->parts + old, 0, (n - old) * sizeof *c->parts);
            c->n_parts = partition + 1;
        }
        c->parts[partition].assigned = false;
    }
    held_drop(c, false); /* what was read at the old positions */
    for (int i = 0; i < list->cnt; i++)
        c->parts[list->elems[i].partition] =
            (struct part){.assigned = true, .next = MAX(list->elems[i].offset, -1)};
}

/* Partitions we have that are given up, or given a new position, by assigning `list`. */
static part_list *to_leave(struct kafka *k, const part_list *list, bool all) {
    struct kafka_consumer *c = k->consumer;
    part_list *gone = list_new((size_t)c->n_parts);
    for (int32_t i = 0; i < c->n_parts; i++)
        if (c->parts[i].assigned &&
            (all || rd_kafka_topic_partition_list_find(list, k->s.topic, i)))
            rd_kafka_topic_partition_list_add(gone, k->s.topic, i);
    return gone;
}

/* In a group the next rebalance puts it right: it may have taken away meanwhile what we ask for. */
static int assign_failed(struct kafka *k, rd_kafka_resp_err_t err, const char *why, struct err *e) {
    kafka_failed(k, e, err, why, "cannot assign partitions");
    if (k->consumer->subscribed && err != RD_KAFKA_RESP_ERR__FATAL)
        err_retry(e);
    return e->code;
}

/* Reads `list` from its offsets; what else is assigned stays, unless `all`. */
static int apply(struct kafka *k, part_list *list, bool all, struct err *e) {
    struct kafka_consumer *c = k->consumer;
    rd_kafka_error_t *error = NULL;
    if (cooperative(c)) {
        _list_ gone = to_leave(k, list, all);
        if (gone->cnt)
            error = rd_kafka_incremental_unassign(c->rk, gone);
        for (int i = 0; !error && i < gone->cnt; i++)
            c->parts[gone->elems[i].partition].assigned = false;
        if (!error)
            error = rd_kafka_incremental_assign(c->rk, list);
    } else {
        for (int32_t i = 0; i < c->n_parts && !all; i++)
            if (c->parts[i].assigned && !rd_kafka_topic_partition_list_find(list, k->s.topic, i))
                rd_kafka_topic_partition_list_add(list, k->s.topic, i)->offset =
                    c->parts[i].next < 0 ? RD_KAFKA_OFFSET_BEGINNING : c->parts[i].next;
        rd_kafka_resp_err_t err = rd_kafka_assign(c->rk, list->cnt ? list : NULL);
        if (err)
            return assign_failed(k, err, NULL, e);
    }
    if (error) {
        int r = assign_failed(k, rd_kafka_error_code(error), rd_kafka_error_string(error), e);
        rd_kafka_error_destroy(error);
        return r;
    }
    note_assigned(c, list, all);
    return 0;
}

int consume_assign(struct stream *s, const struct position *p, size_t n, struct err *e) {
    struct kafka *k = (struct kafka *)s;
    int r = open_consumer(k, e);
    if (r < 0)
        return r;
    struct kafka_consumer *c = k->consumer;
    if (c->revoked)
        answer_revocation(c, TAKE_PTR(c->revoked));
    _list_ list = list_new(n);
    r = n ? settle_all(k, p, n, list, e) : 0;
    if (r < 0 && e->retry && c->subscribed) {
        log_err(LOG_WARN, "positions were not checked", e);
        list->cnt = 0;
        take_as_they_are(k, p, n, list);
        r = 0;
    }
    if (r == 0)
        r = apply(k, list, c->offered == NULL, e);
    if (r < 0)
        return r;
    change_free(c->offered);
    c->offered = NULL;
    c->failed.code = 0;
    return 0;
}

int group_out_of_range(struct kafka *k, int32_t partition, const char *why, struct err *e) {
    struct position at = {partition, part_of(k->consumer, partition)->next};
    _list_ list = list_new(1);
    int r = settle_all(k, &at, 1, list, e);
    if (r < 0)
        return r;
    if (list->elems[0].offset > at.offset)
        return apply(k, list, false, e);
    /* There is something at this position, but not what was there before. */
    kafka_error(k, e, "position %" PRId64 " of partition %" PRId32 " is no longer valid: %s",
                at.offset, partition, why);
    return err_hint(e, "the topic lost its last records (an unclean leader election?) after they "
                       "were read");
}

int consume_confirm(struct stream *s, struct err *e) {
    struct kafka *k = (struct kafka *)s;
    struct topic_info t;
    int r = kafka_describe(k, MIN(k->timeout_ms, CONFIRM_MS), &t, e);
    /* A topic that is gone has no other one in its place: what we have is all there is of it. */
    return r == 0 ? kafka_identify(k, &t, e) : r;
}

void consume_committed(struct stream *s, const struct position *p, size_t n) {
    struct kafka *k = (struct kafka *)s;
    struct kafka_consumer *c = k->consumer;
    if (!c || !c->subscribed || n == 0)
        return;
    _list_ list = list_new(n);
    for (size_t i = 0; i < n; i++)
        if (p[i].offset >= 0)
            rd_kafka_topic_partition_list_add(list, k->s.topic, p[i].partition)->offset =
                p[i].offset;
    rd_kafka_commit(c->rk, list, 1);
}

/* --- the end --- */

/* Leaves the group, so that others need not wait for our session to expire; but not for ever. */
static void close_consumer(struct kafka_consumer *c) {
    /*
     * A rebalance that was told and never answered would keep it, and rd_kafka_destroy, for ever; and so
     * would an answer that comes when it is closed already, so this comes first.
     */
    if (c->offered)
        read_nothing(c, c->offered->list, false);
    for (const struct change *ch = c->changes; ch; ch = ch->next)
        if (ch->list)
            read_nothing(c, ch->list, ch->kind == POLL_REVOKE);
    rd_kafka_queue_t *q = rd_kafka_queue_new(c->rk);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(c->rk, q);
    int64_t until = clock_mono_ns() + CLOSE_MS * 1000000LL;
    while (!error && !rd_kafka_consumer_closed(c->rk) && clock_mono_ns() < until) {
        rd_kafka_message_t *late[64]; /* what was fetched lies in the same queue */
        ssize_t n = rd_kafka_consume_batch_queue(q, 20, late, ARRAY_LEN(late));
        for (ssize_t i = 0; i < n; i++)
            rd_kafka_message_destroy(late[i]);
    }
    rd_kafka_error_destroy(error);
    rd_kafka_queue_destroy(q);
}

void kafka_consumer_free(struct kafka *k) {
    struct kafka_consumer *c = k->consumer;
    if (!c)
        return;
    held_drop(c, true);
    if (c->revoked)
        answer_revocation(c, TAKE_PTR(c->revoked));
    if (c->subscribed)
        close_consumer(c);
    rd_kafka_queue_destroy(c->queue);
    rd_kafka_queue_destroy(c->checks);
    while (c->changes)
        change_free(take_change(c));
    change_free(c->offered);
    free(c->held);
    free(c->parts);
    free(c->partitions);
    free(c->reached);
    free(c);
    k->consumer = NULL;
}
