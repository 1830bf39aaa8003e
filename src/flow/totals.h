/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters that outlive the entries they were counted in. What a position has added up to stands in
 * the table's state, as txn actions beside the position's own, so that checkpoints keep it whoever
 * writes them: appId "<the position's appId>#<name>", version = the total. A total is written by a
 * commit that changes it, together with the position, and like it is a compare-and-swap.
 *
 *     a position of ingest, "<app>/<cluster id>/<topic>/<partition>":
 *         #first      the first offset covered; it says that totals are carried at all
 *         #skipped    offsets that hold no record and are not lost
 *         #lost       offsets accepted as lost
 *         #rejected, #more    rejected events, events beyond one a record: of the commits whose
 *                             first position this is
 *         #topic=<id>         version 0: the topic's id, where the stream has one
 *     a position of gold, "gold/<silver table id>":
 *         #model      no total: the hash of the model that made the table (models.h)
 *     a position of silver, "silver/<bronze table id>":
 *         #events     bronze rows read; it says that totals are carried
 *         #rejected, #duplicates, #conflicts
 *     a position of replay, "replay/<bronze table id>":
 *         its own version is the total: the rejected records that were replayed (replay.h)
 *
 * So records = position - first - skipped - lost, events = records + more (and the rows replayed), and silver's rows are
 * events - rejected - duplicates - conflicts. Absent is 0. Positions that an older clickmill
 * began carry no totals: accounts.h then adds up the log.
 */
#ifndef CM_FLOW_TOTALS_H
#define CM_FLOW_TOTALS_H

#include "table/table.h"

/* The txn actions of a commit. */
struct txn_list {
    struct table_txn *v; /* app_id is the list's own */
    size_t n, cap;
};
void txn_list_add(struct txn_list *l, char *app_id, int64_t expected,
                  int64_t next); /* takes app_id */
void txn_list_release(struct txn_list *l);

/* The appId of replay; the caller frees. */
char *replay_position(const struct table *bronze);
/* The rows that were replayed so far. */
int64_t replay_total(const struct table *bronze);

/* -1: none. */
int64_t total_of(const struct table *tb, const char *position, const char *name);
/* The total begins with this value. */
void total_start(struct txn_list *l, const char *position, const char *name, int64_t value);
/* It becomes this value; nothing is written if it has it. */
void total_set(struct txn_list *l, const struct table *tb, const char *position, const char *name,
               int64_t value);
/* It grows by `more`; 0: nothing is written. */
void total_grow(struct txn_list *l, const struct table *tb, const char *position, const char *name,
                int64_t more);

#endif
