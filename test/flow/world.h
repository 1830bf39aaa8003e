/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of ingest share: a broker and a lake in memory, readers that run in threads of
 * their own, and looking at what came of it.
 */
#ifndef CM_TEST_FLOW_WORLD_H
#define CM_TEST_FLOW_WORLD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/util.h"
#include "engine/engine.h"
#include "fake/sink_mem.h"
#include "fake/storage_fault.h"
#include "fake/storage_mem.h"
#include "fake/stream_mem.h"
#include "flow/ingest.h"
#include "flow/reconcile.h"
#include "flow/status.h"
#include "flow/upkeep.h"
#include "stream/helper.h"
#include "table/table.h"

#define TOPIC "clicks"

struct world {
    struct mem_cluster *mc;
    struct storage *st;
    struct mem_db *db;
    struct engine *en;
    char *folder;
    int sent; /* numbers the records */
};

/* `partitions` 0: the topic is not made. */
struct world world_new(int32_t partitions);
void world_free(struct world *w);

/* Appends n events to a partition, each another one. */
void world_fill(struct world *w, int32_t partition, int n);

/* One ingest process, in a thread of its own. */
struct reader {
    struct world *w;
    struct mem_cluster *mc; /* the world's, unless set */
    const char *app;        /* "t", unless set */
    bool accept_loss;
    struct storage *st; /* the world's behind one that can be spoiled */
    struct ingest_options o;
    pthread_t thread;
    atomic_bool ended;
    atomic_llong commits, drops, conflicts, records; /* of the last on_commit */
    struct position at[64];                          /* the same */
    size_t n_at;
    /* when it has ended */
    int r;
    struct err e;
    struct ingest_result result;
};

/* --once, small batches, ends after 10 s without anything. */
void reader_init(struct reader *rd, struct world *w);
void reader_start(struct reader *rd);
/* Waits for its end; the code. */
int reader_join(struct reader *rd);
void reader_release(struct reader *rd);
/* All of it, in one call; the code. `e` may be NULL: it must succeed then. */
int run_once(struct world *w, const char *app, bool accept_loss, struct err *e);

/* Waits until the condition holds, for 30 s at most. */
#define wait_until(condition)                                                                      \
    do {                                                                                           \
        int64_t until_ = clock_mono_ns() + 30000000000LL;                                          \
        while (!(condition)) {                                                                     \
            assert_true(clock_mono_ns() < until_);                                                 \
            pause_ms(1);                                                                           \
        }                                                                                          \
    } while (0)
void pause_ms(int ms);

/* The steps after ingest. -> the events silver took. */
int64_t world_silver(struct world *w, int64_t batch_rows);
/* st NULL: the world's own. */
struct upkeep_result world_upkeep(struct world *w, struct storage *st,
                                  const struct upkeep_options *o);
/* The caller frees. */
struct sink *world_sink(struct world *w);
struct table *world_table(struct world *w, const struct table_def *def);

/* The position in the table, -1: none. */
int64_t world_position(struct world *w, const char *app, int32_t partition);
/* A SELECT of one number, over bronze.events and silver.events. */
int64_t world_count(struct world *w, const char *sql);
/* A parameter of a commit of bronze ("positions", "lost", "topicId"), NULL: absent. The caller frees. */
char *world_parameter(struct world *w, int64_t version, const char *name);
/* Bronze alone is looked at: all its checks hold. `says` (may be NULL) is in the detail of bronze.gaps. */
void assert_reconciled(struct world *w, const char *says);
/* Each of the offsets [0, end) but n_holes of them is in bronze once. */
void assert_partition(struct world *w, int32_t partition, int64_t records);

#endif
