/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the drivers have in common and how each is opened. Included by drivers and by tests only;
 * everybody else uses storage.h.
 */
#ifndef CM_STORAGE_DRIVERS_H
#define CM_STORAGE_DRIVERS_H

#include "storage/storage.h"

/* Appends an empty slot to fill. */
struct storage_entry *storage_entries_add(struct storage_entries *l);
/* Byte order of the names: the order list promises. */
void storage_entries_sort(struct storage_entries *l);

/*
 * ERR_CONFIG for a URL that cannot be used; `what` it was meant for. Keys and passwords may stand in it: it
 * is told only where there is no sign of them.
 */
int storage_refuse(const char *what, const char *url, const char *why, struct err *e);

/* The folder is made if missing. `url` is what messages call it. */
int storage_local_open(const char *url, const char *folder, struct storage **ret, struct err *e);
/* hdfs://, webhdfs:// and swebhdfs://: see hdfs_url.h. The folder is made at the first write. */
int storage_hdfs_open(const char *url, const struct storage_options *o, struct storage **ret,
                      struct err *e);

/* s3://BUCKET[/PREFIX]. Nobody is asked yet. */
int storage_s3_open(const char *url, const struct storage_options *o, struct storage **ret,
                    struct err *e);

#endif
