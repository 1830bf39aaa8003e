/* SPDX-License-Identifier: Apache-2.0 */
/* One `table WORD NAME`: the table, and the answer to print. */
#ifndef CM_CMD_TABLE_JOB_H
#define CM_CMD_TABLE_JOB_H

#include "cmd/cmd.h"
#include "cmd/out.h"
#include "cmd/parts.h"
#include "flow/lake.h"

struct table_opts {
    bool as_json, deep, dry_run, force;
    int64_t retention_ms; /* -1: as configured */
};

struct table_job {
    const struct cmd *c;
    const struct table_opts *opts;
    struct parts p;
    struct lake l; /* open only where the word changes something */
    struct table *tb;
    struct out_table out;
    char remark[256]; /* a line below the table, in text only */
};

int table_job_checkpoint(struct table_job *job, struct err *e);
int table_job_optimize(struct table_job *job, struct err *e);
int table_job_vacuum(struct table_job *job, struct err *e);
int table_job_verify(struct table_job *job, struct err *e);

#endif
