/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last stage of ingest, in the caller's thread: puts the units back in order, writes one file
 * a day of arrival, commits rows and positions as one. Starts and ends the other threads.
 */
#include "flow/ingest.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "flow/ingest_priv.h"
#include "flow/retry.h"
#include "flow/step.h"

struct open_file {
    int32_t day;
    struct parquet_file *file;
    char *local;
};

struct writer {
    struct ingest *in;
    struct table *tb;
    struct partition_state *parts;
    size_t n_parts;
    char stage[LIMIT_PATH];
    uint64_t files_made;
    /* the open batch */
    struct open_file *files;
    size_t n_files;
    int64_t records, bytes, events, rejected;
    /* units that came before their turn */
    struct unit *waiting[MAX_INFLIGHT];
    uint64_t next_seq;
    struct ingest_result sum;
};

char *ingest_app_id(const char *app, const struct stream *s, int32_t partition) {
    return xasprintf("%s/%s/%s/%d", app, s->cluster_id, s->topic, partition);
}

static struct partition_state *part_of(struct writer *w, int32_t partition) {
    for (size_t i = 0; i < w->n_parts; i++)
        if (w->parts[i].partition == partition)
            return &w->parts[i];
    return NULL;
}

static void batch_drop(struct writer *w) {
    for (size_t i = 0; i < w->n_files; i++) {
        parquet_file_free(w->files[i].file);
        free(w->files[i].local);
    }
    w->n_files = 0;
    w->records = w->bytes = w->events = w->rejected = 0;
    for (size_t i = 0; i < w->n_parts; i++)
        w->parts[i].in_batch = false;
}

static int file_for_day(struct writer *w, int32_t day, struct parquet_file **ret, struct err *e) {
    for (size_t i = 0; i < w->n_files; i++)
        if (w->files[i].day == day) {
            *ret = w->files[i].file;
            return 0;
        }
    char *local = xasprintf("%s/%llu.parquet", w->stage, (unsigned long long)w->files_made++);
    struct parquet_file *f;
    int r = parquet_file_create(&bronze_events, local, &f, e);
    if (r < 0) {
        free(local);
        return r;
    }
    w->files = xrealloc(w->files, (w->n_files + 1) * sizeof *w->files);
    w->files[w->n_files++] = (struct open_file){day, f, local};
    *ret = f;
    return 0;
}

/* Takes the unit's rows and positions into the open batch. */
static int batch_take(struct writer *w, struct unit *u, struct err *e) {
    for (size_t i = 0; i < u->n_pieces; i++) {
        struct parquet_file *f;
        int r = file_for_day(w, u->pieces[i].day, &f, e);
        if (r < 0)
            return r;
        w->events += (int64_t)encoded_rows(u->pieces[i].en);
        r = parquet_file_append(f, TAKE_PTR(u->pieces[i].en), e);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < u->n_ranges; i++) {
        struct partition_state *p = part_of(w, u->ranges[i].partition);
        assert(p && u->ranges[i].start >= (p->in_batch ? p->next : p->committed));
        p->in_batch = true;
        p->next = u->ranges[i].next;
    }
    w->records += (int64_t)u->span->n;
    w->bytes += (int64_t)u->span->bytes.len;
    w->rejected += u->rejected;
    return 0;
}

static int publish_file(struct writer *w, struct open_file *f, struct table_files *adds,
                        struct err *e) {
    struct table_file done = {0};
    int r = parquet_file_finish(f->file, &done, e);
    if (r < 0)
        return r;
    char day[DATE_TEXT];
    day_format(f->day, day);
    done.partition = xstrdup(day);
    done.path = table_new_file_path(&bronze_events, day);
    done.mtime_ms = clock_now_us() / 1000;
    *table_files_add(adds) = done;
    char *path = xasprintf("%s/%s", bronze_events.name, done.path);
    struct retry again = retry_start(w->in->o->timeout_ms);
    do
        r = storage_publish(w->in->st, f->local, path, e);
    while (r < 0 && retry_pause(&again, e));
    free(path);
    return r;
}

/* *ret_tried: how often the commit was tried; after a first failure its outcome may be open. */
static int commit_positions(struct writer *w, const struct table_files *adds, int *ret_tried,
                            struct err *e) {
    struct table_txn *txn = xcalloc(w->n_parts, sizeof *txn);
    size_t n = 0;
    for (size_t i = 0; i < w->n_parts; i++)
        if (w->parts[i].in_batch)
            txn[n++] =
                (struct table_txn){ingest_app_id(w->in->o->app, w->in->s, w->parts[i].partition),
                                   w->parts[i].committed, w->parts[i].next};
    struct table_metric metrics[] = {
        {"records", w->records}, {"events", w->events}, {"rejected", w->rejected}};
    struct table_commit c = {.operation = "STREAMING UPDATE",
                             .add = adds,
                             .txn = txn,
                             .n_txn = n,
                             .metrics = metrics,
                             .n_metrics = ARRAY_LEN(metrics),
                             .data_change = true};
    int64_t version;
    int r;
    struct retry again = retry_start(w->in->o->timeout_ms);
    do {
        (*ret_tried)++;
        r = table_commit(w->tb, &c, &version, e);
    } while (r < 0 && r != ERR_CONFLICT && retry_pause(&again, e));
    for (size_t i = 0; i < n; i++)
        free((char *)(uintptr_t)txn[i].app_id);
    free(txn);
    if (r == 0)
        log_debug("committed", F_STR("table", bronze_events.name), F_INT("version", version),
                  F_INT("records", w->records), F_INT("rejected", w->rejected));
    return r;
}

/* What is committed becomes the start of the next batch. */
static void batch_done(struct writer *w, size_t n_files) {
    struct position *at = xcalloc(MAX(w->n_parts, 1), sizeof *at);
    size_t n = 0;
    for (size_t i = 0; i < w->n_parts; i++)
        if (w->parts[i].in_batch) {
            w->parts[i].committed = w->parts[i].next;
            at[n++] = (struct position){w->parts[i].partition, w->parts[i].next};
        }
    stream_committed(w->in->s, at, n);
    free(at);
    w->sum.records += w->records;
    w->sum.bytes += w->bytes;
    w->sum.events += w->events;
    w->sum.rejected += w->rejected;
    w->sum.commits++;
    w->sum.files += (int64_t)n_files;
    if (w->in->o->on_commit)
        w->in->o->on_commit(w->in->o->arg, &w->sum);
}

static int batch_commit(struct writer *w, struct err *e) {
    if (w->records == 0)
        return 0;
    struct table_files adds = {0};
    int r = 0, tried = 0;
    for (size_t i = 0; r == 0 && i < w->n_files; i++)
        r = publish_file(w, &w->files[i], &adds, e);
    crash_point("ingest.after_data");
    if (r == 0)
        r = commit_positions(w, &adds, &tried, e);
    if (r == 0) {
        batch_done(w, adds.n);
    } else if (r == ERR_CONFLICT) {
        /* Another process read these records: ours are dropped, the positions are read again. */
        log_warn("batch dropped: another ingest was faster", F_STR("why", e->msg));
        if (tried == 1) /* else the conflict may be with our own entry of an earlier try */
            step_discard(w->in->st, &bronze_events, &adds, r);
        w->sum.conflicts++;
        atomic_fetch_add(&w->in->generation, 1);
        r = 0;
    }
    table_files_release(&adds);
    batch_drop(w);
    return r;
}

static void reply(struct ingest *in, struct position *answer) {
    pthread_mutex_lock(&in->lock);
    in->reply = answer;
    in->reply_ready = true;
    pthread_cond_signal(&in->replied);
    pthread_mutex_unlock(&in->lock);
}

/* Where do these partitions stand in the table? */
static int answer_assign(struct writer *w, const struct unit *u, struct err *e) {
    int r = table_refresh(w->tb, e);
    if (r < 0)
        return r;
    struct position *answer = xcalloc(MAX(u->n_partitions, 1), sizeof *answer);
    for (size_t i = 0; i < u->n_partitions; i++) {
        struct partition_state *p = part_of(w, u->partitions[i]);
        if (!p) {
            w->parts = xrealloc(w->parts, (w->n_parts + 1) * sizeof *w->parts);
            p = &w->parts[w->n_parts++];
        }
        char *app_id = ingest_app_id(w->in->o->app, w->in->s, u->partitions[i]);
        *p = (struct partition_state){.partition = u->partitions[i],
                                      .committed = table_txn(w->tb, app_id)};
        free(app_id);
        answer[i] = (struct position){p->partition, p->committed};
    }
    reply(w->in, answer);
    return 0;
}

static void forget_parts(struct writer *w, const struct unit *u) {
    for (size_t i = 0; i < u->n_partitions; i++) {
        struct partition_state *p = part_of(w, u->partitions[i]);
        if (p)
            *p = w->parts[--w->n_parts];
    }
}

static int handle_unit(struct writer *w, struct unit *u, struct err *e) {
    switch (u->kind) {
    case UNIT_SPAN: {
        if (u->generation != atomic_load(&w->in->generation))
            return 0; /* read before a batch was dropped: it will come again */
        int r = batch_take(w, u, e);
        return r == 0 && u->ends_batch ? batch_commit(w, e) : r;
    }
    case UNIT_ASSIGN:
        return answer_assign(w, u, e);
    case UNIT_REVOKE:
        if (u->lost) { /* what is open goes, also of the partitions that stay: read them again */
            batch_drop(w);
            atomic_fetch_add(&w->in->generation, 1);
        }
        forget_parts(w, u);
        reply(w->in, xcalloc(1, sizeof(struct position)));
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

static void ingest_init(struct ingest *in, struct stream *s, struct storage *st,
                        const struct ingest_options *o) {
    *in = (struct ingest){.s = s, .st = st, .o = o, .decoders_left = o->threads};
    pthread_mutex_init(&in->lock, NULL);
    pthread_cond_init(&in->replied, NULL);
    in->n_units = (size_t)MIN(2 * o->threads + 2, MAX_INFLIGHT);
    in->to_decode = queue_new(in->n_units);
    in->to_write = queue_new(in->n_units);
    in->free_units = queue_new(in->n_units);
    in->units = xcalloc(in->n_units, sizeof *in->units);
    for (size_t i = 0; i < in->n_units; i++) {
        in->units[i].span = span_new(SPAN_BYTES);
        queue_put(in->free_units, &in->units[i]);
    }
}

static void ingest_release(struct ingest *in) {
    for (size_t i = 0; i < in->n_units; i++) {
        span_free(in->units[i].span);
        free(in->units[i].ranges);
        free(in->units[i].pieces);
        free(in->units[i].partitions);
    }
    free(in->units);
    free(in->reply);
    queue_free(in->to_decode);
    queue_free(in->to_write);
    queue_free(in->free_units);
    pthread_cond_destroy(&in->replied);
    pthread_mutex_destroy(&in->lock);
}

/* Runs the three stages; the threads have ended when it returns. */
static int run_stages(struct writer *w, struct err *e) {
    struct ingest *in = w->in;
    pthread_t poll, decode[64];
    assert(in->o->threads >= 1 && in->o->threads <= (int)ARRAY_LEN(decode));
    pthread_create(&poll, NULL, ingest_poll_thread, in);
    for (int i = 0; i < in->o->threads; i++)
        pthread_create(&decode[i], NULL, ingest_decode_thread, in);
    int r = write_loop(w, e);
    pthread_join(poll, NULL);
    for (int i = 0; i < in->o->threads; i++)
        pthread_join(decode[i], NULL);
    if (r == 0 && in->poll_err.code) {
        *e = in->poll_err;
        r = e->code;
    }
    if (r == 0 && in->stopped_early)
        r = err_set(e, ERR_STOPPED,
                    "ingest: stopped by a signal before the end offsets were reached");
    return r;
}

int flow_ingest(struct stream *s, struct storage *st, const struct ingest_options *o,
                struct ingest_result *ret, struct err *e) {
    struct ingest in;
    struct writer w = {.in = &in};
    int r = table_open(st, &bronze_events, &w.tb, e);
    if (r < 0)
        return r;
    r = table_check_writable(w.tb, e);
    if (r == 0)
        r = storage_stage(st, w.stage, e);
    if (r < 0) {
        table_close(w.tb);
        return r;
    }
    ingest_init(&in, s, st, o);
    r = run_stages(&w, e);
    batch_drop(&w);
    storage_unstage(st, w.stage);
    table_close(w.tb);
    ingest_release(&in);
    free(w.files);
    free(w.parts);
    *ret = w.sum;
    return r;
}
