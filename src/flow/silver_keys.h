/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Silver's use of the key index (index/keys.h): which rows of silver the events of a batch may be
 * repeats of, without reading silver. The index is brought up to silver's version first, from the
 * files that were added since; what is in doubt is dropped and made anew from silver.
 *
 * A cache: whatever fails here is a warning and an answer of false, and sql/silver/met.sql finds the same.
 */
#ifndef CM_FLOW_SILVER_KEYS_H
#define CM_FLOW_SILVER_KEYS_H

#include "engine/engine.h"
#include "index/keys.h"
#include "storage/storage.h"
#include "table/table.h"

struct silver_keys {
    const char *dir;  /* below it a folder for each table; NULL: no index */
    int64_t min_rows; /* of silver; with fewer a scan is as good. 0: none are too few */
    struct storage *st;
    struct engine *en;
    struct table *silver; /* may be refreshed */
    struct keys *k;       /* NULL: not open yet */
    bool off;             /* it failed once: not asked again */
};

/*
 * *ret: hash and received_at of all silver rows whose hash is in the files, in any order; the caller
 * releases. *ret_asked: rows of the files that are no rejects. false: not known, ask silver itself.
 */
bool silver_keys_find(struct silver_keys *sk, const struct table_files *fresh, int64_t fresh_rows,
                      struct key_list *ret, int64_t *ret_asked);
void silver_keys_close(struct silver_keys *sk);

#endif
