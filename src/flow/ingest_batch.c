/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open batch of ingest: one file a day of arrival, and the positions it reaches. Committed as
 * one entry, only if the table still holds the positions it began at.
 */
#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/retry.h"
#include "base/util.h"
#include "flow/ingest_write.h"
#include "flow/note.h"
#include "flow/step.h"
#include "flow/totals.h"

enum {
    WIDE = 1024,    /* partitions, or losses, of one batch */
    OPEN_DAYS = 64, /* files open at once */
};

static void close_files(struct writer *w) {
    for (size_t i = 0; i < w->n_files; i++) {
        parquet_file_free(w->files[i].file);
        free(w->files[i].local);
    }
    w->n_files = 0;
}

void batch_drop(struct writer *w) {
    close_files(w);
    table_discard(w->tb, &w->adds, ERR_CONFLICT); /* no entry names them */
    table_files_release(&w->adds);
    w->n_covered = w->n_losses = 0;
    w->records = w->bytes = w->events = w->rejected = 0;
    for (size_t i = 0; i < w->n_parts; i++)
        w->parts[i].in_batch = false;
}

void batch_release(struct writer *w) {
    batch_drop(w);
    free(w->files);
    free(w->losses);
}

static int publish_files(struct writer *w, struct err *e);

static int file_for_day(struct writer *w, int32_t day, struct parquet_file **ret, struct err *e) {
    for (size_t i = 0; i < w->n_files; i++)
        if (w->files[i].day == day) {
            *ret = w->files[i].file;
            return 0;
        }
    char *local = xasprintf("%s/%llu.parquet", w->stage, (unsigned long long)w->files_made++);
    struct parquet_file *f;
    int r = w->n_files == OPEN_DAYS ? publish_files(w, e) : 0;
    if (r == 0)
        r = parquet_file_create(&bronze_events, local, &f, e);
    if (r < 0) {
        free(local);
        return r;
    }
    w->files = xrealloc(w->files, (w->n_files + 1) * sizeof *w->files);
    w->files[w->n_files++] = (struct open_file){day, f, local};
    *ret = f;
    return 0;
}

/* The ranges of a partition tile: each begins where the one before ended. */
static void cover(struct writer *w, const struct range *r) {
    struct partition_state *p = writer_part(w, r->partition);
    assert(p);
    if (!p->in_batch) {
        p->in_batch = true;
        p->from = p->next = p->committed >= 0 ? p->committed : r->start;
        p->records = 0;
        w->n_covered++;
    }
    assert(r->start == p->next && r->next > r->start);
    p->next = r->next;
    p->records += r->records;
}

int batch_take(struct writer *w, struct unit *u, struct err *e) {
    w->generation = u->generation;
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
    for (size_t i = 0; i < u->n_ranges; i++)
        cover(w, &u->ranges[i]);
    for (size_t i = 0; i < u->n_losses; i++) {
        if (w->n_losses == w->cap_losses) {
            w->cap_losses = w->cap_losses ? 2 * w->cap_losses : 16;
            w->losses = xrealloc(w->losses, w->cap_losses * sizeof *w->losses);
        }
        w->losses[w->n_losses++] = u->losses[i];
    }
    w->records += (int64_t)u->span->n;
    w->bytes += (int64_t)u->span->bytes.len;
    w->rejected += u->rejected;
    return 0;
}

bool batch_is_wide(const struct writer *w) {
    return w->n_covered >= WIDE || w->n_losses >= WIDE || w->adds.n + w->n_files >= WIDE;
}

static bool is_void(const struct writer *w) {
    return w->generation != atomic_load(&w->in->generation);
}

static int publish_file(struct writer *w, struct open_file *f, struct err *e) {
    struct table_file done = {0};
    int r = parquet_file_finish(f->file, &done, e);
    if (r < 0)
        return r;
    char day[DATE_TEXT];
    day_format(f->day, day);
    done.partition = xstrdup(day);
    done.path = table_new_file_path(&bronze_events, day);
    done.mtime_ms = clock_now_us() / 1000;
    *table_files_add(&w->adds) = done;
    char *path = xasprintf("%s/%s", bronze_events.name, done.path);
    struct retry again = retry_start(w->in->o->timeout_ms);
    bool tried = false;
    do {
        r = storage_publish(w->in->st, f->local, path, e);
        if (r == ERR_EXISTS && tried)
            r = 0; /* nobody else has this name: it is the try before, of which we got no answer */
        tried = true;
    } while (r < 0 && retry_pause(&again, &r, e));
    free(path);
    return r;
}

static int publish_files(struct writer *w, struct err *e) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_files; i++)
        r = publish_file(w, &w->files[i], e);
    close_files(w);
    return r;
}

/* What goes into the log entry besides files and counters. */
struct entry_parts {
    struct txn_list txn;
    struct table_text parameters[3];
    size_t n_parameters;
};

static void parts_add_text(struct entry_parts *p, const char *name, char *value) {
    p->parameters[p->n_parameters++] = (struct table_text){(char *)(uintptr_t)name, value};
}

static int64_t lost_of(const struct writer *w, int32_t partition) {
    int64_t lost = 0;
    for (size_t i = 0; i < w->n_losses; i++)
        if (w->losses[i].partition == partition)
            lost += w->losses[i].to - w->losses[i].from;
    return lost;
}

/* What the position adds up to with this batch. One begun without totals (totals.h) goes on so. */
static void parts_add_totals(const struct writer *w, struct entry_parts *p,
                             const struct partition_state *s, const char *position, bool first) {
    struct txn_list *l = &p->txn;
    if (s->committed < 0)
        total_start(l, position, "first", s->from);
    else if (total_of(w->tb, position, "first") < 0)
        return;
    int64_t lost = lost_of(w, s->partition);
    total_grow(l, w->tb, position, "skipped", s->next - s->from - s->records - lost);
    total_grow(l, w->tb, position, "lost", lost);
    total_grow(l, w->tb, position, "rejected", first ? w->rejected : 0);
    total_grow(l, w->tb, position, "more", first ? w->events - w->records : 0);
    _cleanup_(freep) char *topic = xasprintf("topic=%s", w->topic_id ? w->topic_id : "");
    if (w->topic_id && total_of(w->tb, position, topic) < 0)
        total_start(l, position, topic, 0);
}

static void parts_make(const struct writer *w, struct entry_parts *p) {
    *p = (struct entry_parts){0};
    struct covered *v = xcalloc(w->n_covered, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < w->n_parts; i++) {
        const struct partition_state *s = &w->parts[i];
        if (!s->in_batch)
            continue;
        v[n++] = (struct covered){s->partition, s->from, s->next, s->records};
        char *position = xasprintf("%s/%d", w->source, s->partition);
        txn_list_add(&p->txn, position, s->committed, s->next);
        parts_add_totals(w, p, s, position, n == 1);
    }
    parts_add_text(p, "positions", note_positions(v, n));
    if (w->n_losses)
        parts_add_text(p, "lost", note_losses(w->losses, w->n_losses));
    if (w->topic_id)
        parts_add_text(p, "topicId", xstrdup(w->topic_id));
    free(v);
}

static void parts_release(struct entry_parts *p) {
    txn_list_release(&p->txn);
    for (size_t i = 0; i < p->n_parameters; i++)
        free(p->parameters[i].value);
}

/* How a batch was tried to be committed. */
struct tries {
    int n;
    bool open; /* one ended with an error: its entry may stand in the log all the same */
};

static int commit_positions(struct writer *w, struct tries *tries, struct err *e) {
    struct entry_parts parts;
    parts_make(w, &parts);
    struct table_metric metrics[] = {
        {"records", w->records}, {"events", w->events}, {"rejected", w->rejected}};
    struct table_commit c = {.operation = "STREAMING UPDATE",
                             .add = &w->adds,
                             .txn = parts.txn.v,
                             .n_txn = parts.txn.n,
                             .metrics = metrics,
                             .n_metrics = ARRAY_LEN(metrics),
                             .parameters = parts.parameters,
                             .n_parameters = parts.n_parameters,
                             .data_change = true};
    int64_t version;
    int r;
    struct retry again = retry_start(w->in->o->timeout_ms);
    do {
        if (is_void(w)) {
            r = err_set(e, ERR_CONFLICT, "the partitions were taken away meanwhile");
            break;
        }
        tries->n++;
        r = table_commit(w->tb, &c, &version, e);
        tries->open = tries->open || (r < 0 && r != ERR_CONFLICT);
    } while (r < 0 && r != ERR_CONFLICT && retry_pause(&again, &r, e));
    parts_release(&parts);
    if (r == 0)
        log_debug("committed", F_STR("table", bronze_events.name), F_INT("version", version),
                  F_INT("records", w->records), F_INT("rejected", w->rejected));
    return r;
}

static int by_partition(const void *a, const void *b) {
    const struct position *x = a, *y = b;
    return (x->partition > y->partition) - (x->partition < y->partition);
}

void batch_tell(struct writer *w) {
    if (!w->in->o->on_commit)
        return;
    struct stream_stats stats;
    stream_stats(w->in->s, &stats);
    struct position *at = xcalloc(MAX(w->n_parts, 1), sizeof *at);
    for (size_t i = 0; i < w->n_parts; i++)
        at[i] = (struct position){w->parts[i].partition, w->parts[i].committed};
    qsort(at, w->n_parts, sizeof *at, by_partition);
    w->sum->rebalances = stats.rebalances;
    w->sum->positions = at;
    w->sum->n_positions = w->n_parts;
    w->in->o->on_commit(w->in->o->arg, w->sum);
    w->sum->positions = NULL;
    w->sum->n_positions = 0;
    free(at);
}

/* For the poll thread, which tells the stream: all calls on it are made there. */
static void hand_back(struct ingest *in, struct position at) {
    size_t i = 0;
    while (i < in->n_committed && in->committed[i].partition != at.partition)
        i++;
    if (i == in->n_committed) {
        if (in->n_committed == in->cap_committed) {
            in->cap_committed = in->cap_committed ? 2 * in->cap_committed : 16;
            in->committed = xrealloc(in->committed, in->cap_committed * sizeof *in->committed);
        }
        in->n_committed++;
    }
    in->committed[i] = at;
}

/* What is committed becomes the start of the next batch. */
static void batch_done(struct writer *w) {
    pthread_mutex_lock(&w->in->lock);
    for (size_t i = 0; i < w->n_parts; i++)
        if (w->parts[i].in_batch) {
            w->parts[i].committed = w->parts[i].next;
            hand_back(w->in, (struct position){w->parts[i].partition, w->parts[i].next});
        }
    pthread_mutex_unlock(&w->in->lock);
    w->sum->records += w->records;
    w->sum->bytes += w->bytes;
    w->sum->events += w->events;
    w->sum->rejected += w->rejected;
    w->sum->commits++;
    w->sum->files += (int64_t)w->adds.n;
    for (size_t i = 0; i < w->n_losses; i++)
        w->sum->lost += w->losses[i].to - w->losses[i].from;
}

/* Another process read these records, or will: ours are dropped, the positions are read again. */
static void batch_refused(struct writer *w, const struct tries *tries, const struct err *why) {
    log_warn(tries->n ? "batch dropped: another ingest was faster"
                      : "batch dropped: its partitions are no longer ours",
             F_STR("why", why->msg));
    if (tries->open) /* our own entry may be what we met: then the table names these files */
        table_files_release(&w->adds);
    w->sum->conflicts += tries->n > 0;
    w->sum->drops++;
    atomic_fetch_add(&w->in->generation, 1);
}

int batch_commit(struct writer *w, struct err *e) {
    if (w->n_covered == 0)
        return 0;
    struct tries tries = {0};
    int r = publish_files(w, e);
    crash_point("ingest.after_data");
    if (r == 0)
        r = commit_positions(w, &tries, e);
    bool refused = r == ERR_CONFLICT;
    if (r == 0)
        batch_done(w);
    else if (refused)
        batch_refused(w, &tries, e);
    if (!refused) /* in the table; or after an error possibly so, and not to be removed */
        table_files_release(&w->adds);
    batch_drop(w);
    if (r == 0 || refused)
        batch_tell(w);
    if (r == 0)
        step_checkpoint(w->tb, w->in->o->checkpoint_interval);
    return refused ? 0 : r;
}
