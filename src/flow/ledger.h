/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: one line for each record that was acknowledged, in the order of the acks, to hold
 * against what ingest found:
 *
 *     {"topic":"clicks","partition":0,"offset":17,"event_id":"…"}
 *
 * event_id is null if the record has none or is no event. A line is made only after the ack, hence
 * after the record is durable: a kill may lose lines of acknowledged records but never leaves one
 * for a record that is not there. The file is appended to. Half a line, left by a kill, is cut when
 * the file is opened, so one producer at a time writes a ledger.
 */
#ifndef CM_FLOW_LEDGER_H
#define CM_FLOW_LEDGER_H

#include "stream/stream.h"

struct ledger;
/* Errors, here and below: ERR_STREAM. */
int ledger_open(const char *path, const char *topic, struct ledger **ret, struct err *e);
/* Adds the line of an acknowledged record; `value` is what was sent. In memory until written. */
void ledger_add(struct ledger *l, const struct ack *a, const char *value, size_t len);
/* Writes the lines added; synced once a second and by `last`. */
int ledger_write(struct ledger *l, bool last, struct err *e);
void ledger_close(struct ledger *l);

#endif
