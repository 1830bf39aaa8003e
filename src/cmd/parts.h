/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts a verb works with, opened as the configuration says. The steps never see which driver
 * is behind one.
 */
#ifndef CM_CMD_PARTS_H
#define CM_CMD_PARTS_H

#include "base/config.h"
#include "engine/engine.h"
#include "flow/ingest.h"
#include "flow/run.h"
#include "flow/status.h"
#include "sink/sink.h"
#include "storage/storage.h"
#include "stream/stream.h"

struct parts {
    struct stream *s;
    struct storage *st;
    struct engine *en;
    struct sink *sk;
};

enum parts_flags {
    PART_STREAM = 1,
    PART_LAKE = 2,
    PART_ENGINE = 4,
    PART_SINK = 8,
    PART_SINK_READ = 16,  /* only to be looked at: nothing is made or changed */
    PART_ACCEPT_LOSS = 32 /* the stream: stream_options.accept_loss */
};

int parts_open(const struct config *cfg, int flags, struct parts *ret, struct err *e);
void parts_close(struct parts *p);

/* The stream alone. */
int parts_open_stream(const struct config *cfg, struct stream **ret, struct err *e);

/* kafka.*, whatever the stream: does librdkafka know each property and take its value? */
int parts_check_properties(const struct config *cfg, struct err *e);
/* URLs, topic, and how the properties fit together. Nothing is made and nobody is asked. */
int parts_check(const struct config *cfg, struct err *e);

struct ingest_options parts_ingest_options(const struct config *cfg);
struct silver_options parts_silver_options(const struct config *cfg);
struct run_options parts_run_options(const struct config *cfg);
struct status_options parts_status_options(const struct config *cfg);
struct upkeep_options parts_upkeep_options(const struct config *cfg);
/* table.upkeep_every has passed since *last_ns (0: never yet), which is then set anew. */
bool parts_upkeep_due(const struct config *cfg, int64_t *last_ns);

#endif
