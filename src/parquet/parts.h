/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of any dates, in any order, from several threads -> one Parquet file for each date, in
 * bounded memory and one pass. (The engine calls this; a table's partition column is a DATE.)
 *
 * Each thread takes a lane and gives it back; a lane keeps an open row group for each date it has
 * met. A group that is full is encoded, in the thread that filled it, and appended to its date's
 * file; when the open groups of a lane together pass its share of the memory, the largest is, too.
 */
#ifndef CM_PARQUET_PARTS_H
#define CM_PARQUET_PARTS_H

#include "parquet/group.h"

struct parts;
struct lane;

struct parts_options {
    int zstd_level;
    int lanes;     /* >= 1: threads that are expected at a time */
    size_t memory; /* bytes of rows kept in open groups; it may take three times that */
};

/* dir: an empty local folder for the files; it stays the caller's. */
struct parts *parts_new(const struct table_def *def, const char *dir,
                        const struct parts_options *o);
/* The files' columns in file order: the table's without its partition column. */
const struct columns *parts_columns(const struct parts *p);

/* Any number of lanes may be out at a time; each belongs to one thread until it is given back. */
struct lane *parts_take(struct parts *p);
void parts_give_back(struct parts *p, struct lane *l);

/* The date of a row whose partition is NULL, and of all rows of a table without partitions. */
#define NO_DAY INT32_MIN
/* The number of the date's open group in this lane: from 0, the same until lane_settle. */
uint32_t lane_slot(struct lane *l, int32_t day);
/* How many there are by now. */
uint32_t lane_slots(const struct lane *l);
/* The group, with room for n more rows (at most half of GROUP_ROWS_MAX). ERR_STORAGE. */
int lane_group(struct lane *l, uint32_t slot, uint32_t n, struct row_group **ret, struct err *e);
/* To be called now and then: holds the lane to its share of the memory. ERR_STORAGE. */
int lane_settle(struct lane *l, struct err *e);

/*
 * Encodes what is still open and finishes the files (no fsync: publish does); no lane may be out.
 * Appends them to *ret, paths as they shall stand in the table; each lies in dir under the last
 * part of its path. After a failure (ERR_STORAGE) *ret is as before.
 */
int parts_finish(struct parts *p, struct table_files *ret, struct err *e);
/* Unfinished files are removed. */
void parts_free(struct parts *p);

#endif
