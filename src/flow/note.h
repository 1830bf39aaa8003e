/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bronze commit says of the stream besides the positions in its txn actions: from where to
 * where it covers each partition, how many records that gave, and what was lost. It stands in
 * commitInfo.operationParameters, whose values are texts:
 *
 *     "positions": "[{\"partition\":0,\"from\":0,\"to\":100,\"records\":98}]"
 *     "lost":      "[{\"partition\":0,\"from\":5,\"to\":9}]"        only if there are losses
 *     "topicId":   "…"                                               only where the stream has one
 *
 * `to` is the version of the partition's txn in the same commit; `from` is the `to` of the commit
 * before, so the ranges of a partition tile. What lies in a range and is neither a record nor lost
 * was passed over: offsets the stream itself says hold nothing (transaction markers, aborted or
 * compacted records). Commits made before there were notes have none.
 */
#ifndef CM_FLOW_NOTE_H
#define CM_FLOW_NOTE_H

#include "stream/stream.h"
#include "table/table.h"

/* What one commit covers of one partition: offsets from <= o < to. */
struct covered {
    int32_t partition;
    int64_t from, to, records;
};

struct note {
    char *source; /* "<app>/<cluster id>/<topic>"; NULL: the entry moved no stream position */
    bool written; /* false: positions moved without a note; v has `to` only, from = records = -1 */
    struct covered *v;
    size_t n;
    struct loss *lost;
    size_t n_lost;
    char *topic_id; /* NULL: not known */
};

/* The parts of a txn appId "<app>/<cluster id>/<topic>/<partition>"; the app may hold slashes. */
struct source_parts {
    const char *app, *cluster, *topic; /* point into the appId */
    size_t app_len, cluster_len, topic_len, source_len;
    int32_t partition;
};
/* false: some other step's appId. */
bool source_parse(const char *app_id, struct source_parts *ret);

/* Reads an entry's note. ERR_CHECK on a note that does not fit the entry's txn actions. */
int note_read(const struct table_entry *en, struct note *ret, struct err *e);
void note_release(struct note *n);

/* The texts of the parameters; the caller frees. */
char *note_positions(const struct covered *v, size_t n);
char *note_losses(const struct loss *v, size_t n);

/*
 * Where the source ("<app>/<cluster>/<topic>") stands in a partition: the next offset bronze will take.
 * -1: the app has never read of this topic. 0: it has, and the partition is new: its first look noted
 * where all partitions began that were there (ingest_begin.c), so what comes later begins with offset 0.
 */
int64_t note_position(const struct table *tb, const char *source, int32_t partition);

/*
 * The topic id of this source ("<app>/<cluster>/<topic>"), from the table's state (totals.h) or the
 * newest commit that moved a position of it; NULL if there is none, or it is not known. The caller
 * frees *ret.
 */
int note_last_topic_id(struct table *tb, const char *source, char **ret, struct err *e);

#endif
