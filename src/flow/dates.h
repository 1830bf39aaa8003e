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

/* The days from <= day <= to; NULL: without end on that side. */
struct date_range {
    const char *from, *to;
};
bool date_range_has(const struct date_range *r, const char *date);

void dates_add(struct dates *d, const char *date);
bool dates_has(const struct dates *d, const char *date);
void dates_release(struct dates *d);

/*
 * Adds the partitions of files that the commits after version `from` added or removed. *ret_all:
 * there is no telling (from < 0, or the log does not reach back so far), and those of all live files
 * were added; there may have been others.
 */
int dates_changed(struct table *tb, int64_t from, struct dates *d, bool *ret_all, struct err *e);
/* Adds the partitions of the live files; of those in the range. */
void dates_of(const struct table *tb, struct dates *d);
void dates_of_range(const struct table *tb, const struct date_range *range, struct dates *d);
/* The live files of these dates. ret: copies, the caller releases. */
void dates_files(const struct table *tb, const struct dates *d, struct table_files *ret);

#endif
