/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the drivers of this folder share with sink.c and with each other, apart from the contract
 * (sink.h): their open functions and the table of the watermarks.
 */
#ifndef CM_SINK_DRIVER_H
#define CM_SINK_DRIVER_H

#include "sink/sink.h"

/* `url` is the whole sink.url, scheme included; timeout_ms is set. */
int sink_sqlite_open(const char *url, const struct sink_options *o, struct sink **ret,
                     struct err *e);
int sink_postgres_open(const char *url, const struct sink_options *o, struct sink **ret,
                       struct err *e);
int sink_sqlite_check(const char *url, struct err *e);
int sink_postgres_check(const char *url, struct err *e);

/* clickmill_loads as a table that must fit, and the text that makes it (after CREATE TABLE). */
extern const struct sink_table sink_loads;
#define SINK_LOADS_NAME "clickmill_loads"
#define SINK_LOADS_COLUMNS                                                                         \
    "(table_name TEXT PRIMARY KEY, gold_table_id TEXT NOT NULL, gold_version BIGINT NOT NULL, "    \
    "loaded_at TIMESTAMPTZ NOT NULL)"

#endif
