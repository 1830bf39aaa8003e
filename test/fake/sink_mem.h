/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sink in memory: the smallest thing that keeps sink.h's contract. One struct mem_db stands for
 * the database; any number of sinks open on it see each other's commits. For one thread.
 */
#ifndef CM_FAKE_SINK_MEM_H
#define CM_FAKE_SINK_MEM_H

#include "sink/sink.h"

struct mem_db;
struct mem_db *mem_db_new(void);
void mem_db_free(struct mem_db *db); /* after the sinks on it */

int sink_mem_open(struct mem_db *db, const struct sink_options *o, struct sink **ret,
                  struct err *e);

/* The nth call from now (1: the next) of any operation that can fail does so. */
void mem_db_fail(struct mem_db *db, int nth, bool retry);
/* The next commit goes through, but its answer is lost: an error with retry. */
void mem_db_lose_answer(struct mem_db *db);
/* Calls of operations that can fail, so far. */
int mem_db_calls(const struct mem_db *db);

#endif
