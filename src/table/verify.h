/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of verify share: verify.c looks at the log, verify_files.c at the files. */
#ifndef CM_TABLE_VERIFY_H
#define CM_TABLE_VERIFY_H

#include "table/snapshot.h"

struct verify {
    struct table *tb;
    bool deep;
    table_check_fn *fn;
    void *arg;
};

/* Hands on a check: ok if `wrong` is NULL; takes both texts. */
int verify_check(const struct verify *v, const char *name, char *wrong, char *right, struct err *e);

/* files: live ones, with statistics if deep. */
int verify_files(const struct verify *v, const struct table_files *files, struct err *e);

#endif
