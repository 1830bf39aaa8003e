/* SPDX-License-Identifier: Apache-2.0 */
/* What up shows: where the layers stand and the newest days' metrics, redrawn on a terminal. */
#ifndef CM_CMD_UP_TABLE_H
#define CM_CMD_UP_TABLE_H

#include "base/err.h"
#include "cmd/parts.h"

struct up_view {
    bool terminal;
    int64_t gold_version; /* shown last; elsewhere than on a terminal only changes are printed */
    int64_t ingested;     /* records, by this process */
    double seconds;
};

int up_show(struct up_view *v, const struct config *cfg, struct parts *p, struct err *e);

#endif
