/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/replay_write.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "flow/step.h"
#include "flow/totals.h"

enum {
    GROUP_ROWS = 64 * 1024,
    GROUP_BYTES = 48 * MIB,
    FILES = 1024, /* of one commit */
};

void replay_batch_init(struct replay_batch *b, struct storage *st, struct table *tb,
                       const struct replay_options *o) {
    *b = (struct replay_batch){.st = st, .tb = tb, .o = o, .position = replay_position(tb)};
    b->group = bronze_group_new(&(struct bronze_options){.zstd_level = o->zstd_level});
}

void replay_batch_begin(struct replay_batch *b) {
    b->at = table_txn(b->tb, b->position);
}

static void forget_files(struct replay_batch *b) {
    for (size_t i = 0; i < b->adds.n; i++) {
        unlink(b->locals[i]);
        free(b->locals[i]);
    }
    free(TAKE_PTR(b->locals));
    table_files_release(&b->adds);
    b->rows = 0;
}

void replay_batch_drop(struct replay_batch *b) {
    bronze_group_reset(b->group);
    parquet_file_free(TAKE_PTR(b->file));
    free(TAKE_PTR(b->local));
    forget_files(b);
}

void replay_batch_release(struct replay_batch *b) {
    replay_batch_drop(b);
    bronze_group_free(b->group);
    if (b->stage[0])
        storage_unstage(b->st, b->stage);
    free(b->position);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int open_file(struct replay_batch *b, struct err *e) {
    int r = b->stage[0] ? 0 : storage_stage(b->st, b->stage, e);
    if (r < 0) {
        b->stage[0] = '\0';
        return r;
    }
    b->local = xasprintf("%s/%llu.parquet", b->stage, (unsigned long long)b->files_made++);
    return parquet_file_create(&bronze_events, b->local, &b->file, e);
}

/* What the group holds goes to the day's file. */
static int flush(struct replay_batch *b, struct err *e) {
    if (bronze_group_rows(b->group) == 0)
        return 0;
    int r = b->file ? 0 : open_file(b, e);
    return r < 0 ? r : parquet_file_append(b->file, bronze_encode(b->group), e);
}

static int finish_file(struct replay_batch *b, struct err *e) {
    struct table_file done = {0};
    int r = flush(b, e);
    if (r < 0 || !b->file)
        return r;
    r = parquet_file_finish(b->file, &done, e);
    parquet_file_free(TAKE_PTR(b->file));
    if (r < 0)
        return r;
    char day[DATE_TEXT];
    day_format(b->day, day);
    done.partition = xstrdup(day);
    done.path = table_new_file_path(&bronze_events, day);
    done.mtime_ms = clock_now_us() / 1000;
    b->locals = xrealloc(b->locals, (b->adds.n + 1) * sizeof *b->locals);
    b->locals[b->adds.n] = TAKE_PTR(b->local);
    *table_files_add(&b->adds) = done;
    return 0;
}

int replay_batch_add(struct replay_batch *b, const struct event *ev,
                     const struct bronze_source *src, struct err *e) {
    int32_t day = day_of_us(src->received_us);
    int r = 0;
    if (b->rows && day != b->day)
        r = finish_file(b, e);
    if (r == 0 && (b->rows >= b->o->batch_rows || b->adds.n >= FILES))
        r = replay_batch_commit(b, e);
    if (r < 0)
        return r;
    b->day = day;
    b->rows++;
    bronze_group_add(b->group, ev, src);
    bool full =
        bronze_group_rows(b->group) >= GROUP_ROWS || bronze_group_bytes(b->group) >= GROUP_BYTES;
    return full ? flush(b, e) : 0;
}

/* ---- the commit ------------------------------------------------------------------------------ */

static int publish(struct replay_batch *b, struct err *e) {
    struct storage_file *v = xcalloc(b->adds.n, sizeof *v);
    for (size_t i = 0; i < b->adds.n; i++) {
        v[i].local = b->locals[i];
        v[i].path = xasprintf("%s/%s", bronze_events.name, b->adds.v[i].path);
    }
    int r = storage_publish_all(b->st, v, b->adds.n, e);
    for (size_t i = 0; i < b->adds.n; i++) {
        struct err ignored;
        if (r < 0 && v[i].done)
            storage_remove(b->st, v[i].path, &ignored); /* at worst vacuum finds it */
        free(v[i].path);
    }
    free(v);
    return r;
}

static int write_entry(struct replay_batch *b, struct err *e) {
    const struct table_txn txn = {b->position, b->at, MAX(b->at, 0) + b->rows};
    const struct table_metric metrics[] = {{"replayed", b->rows}};
    int64_t version;
    int r = table_commit(b->tb,
                         &(struct table_commit){.operation = "WRITE",
                                                .add = &b->adds,
                                                .txn = &txn,
                                                .n_txn = 1,
                                                .metrics = metrics,
                                                .n_metrics = ARRAY_LEN(metrics),
                                                .data_change = true},
                         &version, e);
    if (r < 0) {
        table_discard(b->tb, &b->adds, r);
        return r;
    }
    log_debug("replayed", F_INT("version", version), F_INT("rows", b->rows));
    b->at = txn.next;
    b->committed += b->rows;
    b->commits++;
    step_checkpoint(b->tb, b->o->checkpoint_interval);
    return 0;
}

int replay_batch_commit(struct replay_batch *b, struct err *e) {
    if (b->rows == 0)
        return 0;
    int r = finish_file(b, e);
    if (r == 0)
        r = publish(b, e);
    if (r == 0) {
        crash_point("replay.after_data");
        r = write_entry(b, e);
    }
    forget_files(b);
    return r;
}
