/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last stage of ingest, in the caller's thread: puts the units back in order, commits batches,
 * and answers where partitions stand. Whether the topic is still the one that bronze knows is
 * decided here too, where the table is.
 */
#include "flow/ingest_write.h"

#include "base/log.h"
#include "base/retry.h"
#include "flow/note.h"

struct partition_state *writer_part(struct writer *w, int32_t partition) {
    for (size_t i = 0; i < w->n_parts; i++)
        if (w->parts[i].partition == partition)
            return &w->parts[i];
    return NULL;
}

/* --- is it the topic we know? --- */

struct known {
    const char *app, *cluster, *topic;
    bool ours;            /* a position of this app, cluster and topic */
    char elsewhere[1024]; /* another cluster with one of this app and topic */
};

static bool same(const char *s, size_t n, const char *text) {
    return strlen(text) == n && memcmp(s, text, n) == 0;
}

static int note_known(void *arg, const char *app_id, int64_t version ATTR_UNUSED) {
    struct known *k = arg;
    struct source_parts s;
    if (!source_parse(app_id, &s) || !same(s.app, s.app_len, k->app) ||
        !same(s.topic, s.topic_len, k->topic))
        return 0;
    if (same(s.cluster, s.cluster_len, k->cluster))
        k->ours = true;
    else
        snprintf(k->elsewhere, sizeof k->elsewhere, "%.*s", (int)s.cluster_len, s.cluster);
    return 0;
}

static int topic_gone(const struct ingest *in, struct err *e) {
    err_set(e, ERR_STREAM,
            "stream %s, topic '%s': there is no such topic (any more), though bronze holds "
            "positions of it",
            in->s->url, in->s->topic);
    return err_hint(e, "bring the topic back, or set another stream.app to read a new topic of "
                       "this name from its beginning");
}

static int check_topic_id(struct writer *w, const char *source, struct err *e) {
    const struct stream *s = w->in->s;
    char *before = NULL;
    int r = s->topic_id ? note_last_topic_id(w->tb, source, &before, e) : 0;
    if (r == 0 && before && strcmp(before, s->topic_id) != 0) {
        err_set(e, ERR_STREAM,
                "stream %s, topic '%s': the topic was deleted and made again (its id is %s, bronze "
                "has read %s): the positions in bronze are not positions in this topic",
                s->url, s->topic, s->topic_id, before);
        r = err_hint(e, "set another stream.app to read the new topic from its beginning");
    }
    free(before);
    return r;
}

/*
 * Before positions are given away: the stream's ids, compared with what the table knows. The poll
 * thread waits for the answer, so its stream may be looked at.
 */
static int check_source(struct writer *w, bool no_topic, struct err *e) {
    const struct stream *s = w->in->s;
    const char *id = s->topic_id ? s->topic_id : "";
    char *source = xasprintf("%s/%s/%s", w->in->o->app, s->cluster_id, s->topic);
    bool first = !w->source;
    if (!no_topic && !first && strcmp(source, w->source) == 0 &&
        strcmp(id, w->topic_id ? w->topic_id : "") == 0) {
        free(source);
        return 0;
    }
    struct known k = {.app = w->in->o->app, .cluster = s->cluster_id, .topic = s->topic};
    table_txn_each(w->tb, "", note_known, &k);
    int r = 0;
    if (k.ours)
        r = no_topic ? topic_gone(w->in, e) : check_topic_id(w, source, e);
    else if (k.elsewhere[0] && first)
        log_warn("bronze has positions of this app and topic in another cluster: this one is read "
                 "from its beginning, and silver finds what it has already as duplicates",
                 F_STR("topic", s->topic), F_STR("cluster", s->cluster_id),
                 F_STR("other", k.elsewhere));
    w->begun = w->begun && w->source && strcmp(w->source, source) == 0;
    free(w->source);
    free(w->topic_id);
    w->source = source;
    w->topic_id = s->topic_id ? xstrdup(s->topic_id) : NULL;
    return r;
}

/* --- questions of the poll thread --- */

static void reply(struct ingest *in, struct position *answer) {
    pthread_mutex_lock(&in->lock);
    in->reply = answer;
    in->reply_ready = true;
    pthread_cond_signal(&in->replied);
    pthread_mutex_unlock(&in->lock);
}

int writer_look_again(struct writer *w, struct err *e) {
    struct retry again = retry_start(w->in->o->timeout_ms);
    int r;
    do
        r = table_refresh(w->tb, e);
    while (r < 0 && retry_pause(&again, &r, e));
    return r;
}

/* Ours from now on, from where it stands in the table. */
static void take_over(struct writer *w, int32_t partition) {
    _cleanup_(freep) char *app_id = xasprintf("%s/%d", w->source, partition);
    struct partition_state *p = writer_part(w, partition);
    if (!p) {
        w->parts = xrealloc(w->parts, (w->n_parts + 1) * sizeof *w->parts);
        p = &w->parts[w->n_parts++];
    }
    *p = (struct partition_state){.partition = partition, .committed = table_txn(w->tb, app_id)};
}

/* Where do these partitions stand? But for UNIT_ASK they are ours from now on. */
static int answer_positions(struct writer *w, const struct unit *u, struct err *e) {
    int r = writer_look_again(w, e);
    if (r == 0)
        r = check_source(w, u->kind == UNIT_ASK && u->n_partitions == 0, e);
    if (r == 0 && u->kind == UNIT_BEGIN)
        r = begin_note(w, u, e);
    if (r < 0)
        return r;
    struct position *answer = xcalloc(MAX(u->n_partitions, 1), sizeof *answer);
    for (size_t i = 0; i < u->n_partitions; i++) {
        int64_t at = note_position(w->tb, w->source, u->partitions[i]);
        answer[i] = (struct position){u->partitions[i], w->begun ? MAX(at, 0) : at};
        if (u->kind != UNIT_ASK)
            take_over(w, u->partitions[i]);
    }
    reply(w->in, answer);
    return 0;
}

static void answer_revoke(struct writer *w, const struct unit *u) {
    bool dropped = u->lost && (w->n_covered > 0 || u->open);
    if (dropped && u->n_partitions) /* else poll has said why */
        log_warn("batch dropped: the group has given its partitions to others",
                 F_STR("topic", w->in->s->topic), F_INT("partitions", u->n_partitions));
    if (u->lost) /* what is open goes, also of the partitions that stay: they are read again */
        batch_drop(w);
    for (size_t i = 0; i < u->n_partitions; i++) {
        struct partition_state *p = writer_part(w, u->partitions[i]);
        if (p)
            *p = w->parts[--w->n_parts];
    }
    w->sum->drops += dropped;
    if (dropped)
        batch_tell(w);
    reply(w->in, xcalloc(1, sizeof(struct position)));
}

/* --- the loop --- */

/* Read before a batch was dropped, or its partitions were lost: it will come again. */
static void pass_over(struct writer *w, const struct unit *u) {
    if (!u->ends_batch)
        return;
    log_info("batch dropped: it will be read again, by whoever has its partitions then",
             F_STR("topic", w->in->s->topic));
    w->sum->drops++;
    batch_tell(w);
}

static int handle_unit(struct writer *w, struct unit *u, struct err *e) {
    switch (u->kind) {
    case UNIT_SPAN: {
        if (u->generation != atomic_load(&w->in->generation)) {
            pass_over(w, u);
            return 0;
        }
        int r = batch_take(w, u, e);
        if (r == 0 && u->ends_batch)
            return batch_commit(w, e);
        if (r == 0 && batch_is_wide(w))
            atomic_store(&w->in->wide, true);
        return r;
    }
    case UNIT_ASSIGN:
    case UNIT_BEGIN:
    case UNIT_ASK:
        return answer_positions(w, u, e);
    case UNIT_REVOKE:
        answer_revoke(w, u);
        return 0;
    case UNIT_END:
        return 0;
    }
    return 0;
}

static void unit_give_back(struct ingest *in, struct unit *u) {
    for (size_t i = 0; i < u->n_pieces; i++)
        encoded_free(u->pieces[i].en);
    u->n_pieces = 0;
    queue_put(in->free_units, u);
}

/* From here on units are only passed back, until the poll thread has ended. */
static void fail(struct ingest *in) {
    pthread_mutex_lock(&in->lock);
    atomic_store(&in->failed, true);
    pthread_cond_broadcast(&in->replied);
    pthread_mutex_unlock(&in->lock);
}

static int write_loop(struct writer *w, struct err *e) {
    struct ingest *in = w->in;
    int r = 0;
    struct unit *u;
    while ((u = queue_take(in->to_write))) {
        w->waiting[u->seq % MAX_INFLIGHT] = u;
        while ((u = w->waiting[w->next_seq % MAX_INFLIGHT])) {
            w->waiting[w->next_seq++ % MAX_INFLIGHT] = NULL;
            if (r == 0 && (r = handle_unit(w, u, e)) < 0)
                fail(in);
            unit_give_back(in, u);
        }
    }
    return r;
}

int ingest_write(struct ingest *in, struct table *tb, const char *stage, struct ingest_result *ret,
                 struct err *e) {
    struct writer w = {.in = in, .tb = tb, .stage = stage, .sum = ret};
    int r = write_loop(&w, e);
    struct stream_stats stats;
    stream_stats(in->s, &stats);
    ret->rebalances = stats.rebalances;
    batch_release(&w);
    free(w.source);
    free(w.topic_id);
    free(w.parts);
    return r;
}
