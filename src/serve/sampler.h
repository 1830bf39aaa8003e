/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks every few seconds at what no step of this process can know by itself: where the partitions
 * end, where bronze stands, how old the tables are. A thread with a stream and a storage of its own,
 * so it waits for nobody and nobody, a scrape least of all, waits for it.
 */
#ifndef CM_SERVE_SAMPLER_H
#define CM_SERVE_SAMPLER_H

#include "base/config.h"
#include "serve/meters.h"
#include "stream/stream.h"

struct sampler_options {
    const struct config *cfg;
    struct metrics *m;
    /* Opens another stream on the same topic; NULL: no partitions are looked at. */
    int (*open_stream)(const struct config *cfg, struct stream **ret, struct err *e);
    bool all_tables; /* of the lake, as they come; else bronze alone */
    int64_t every_ms;
};

struct sampler;
struct sampler *sampler_start(const struct sampler_options *o);
/* The ages, as of now; before they are read. */
void sampler_collect(struct sampler *sa);
/*
 * Asks the thread to end and waits for it; false: it hangs in a call of the stream or the storage
 * and goes on hanging, so nothing it uses may be freed.
 */
bool sampler_stop(struct sampler *sa);

#endif
