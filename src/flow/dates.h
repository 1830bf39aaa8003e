/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of days, as they stand in partition values ("2026-11-22"): which dates did commits touch?
 */
#ifndef CM_FLOW_DATES_H
#define CM_FLOW_DATES_H

#include "base/err.h"
#include "table/table.h"

struct dates {
    char **v; /* sorted, each once */
    size_t n, cap;
};

void dates_add(struct dates *d, const char *date);
bool dates_has(const struct dates *d, const char *date);
void dates_release(struct dates *d);

/* Adds the partitions of files that the commits from < version <= to added or removed. */
int dates_changed(struct table *tb, int64_t from, int64_t to, struct dates *d, struct err *e);
/* The live files of these dates. ret: copies, the caller releases. */
void dates_files(const struct table *tb, const struct dates *d, struct table_files *ret);

#endif
