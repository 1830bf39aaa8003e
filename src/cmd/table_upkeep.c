/* SPDX-License-Identifier: Apache-2.0 */
/* table checkpoint NAME: upkeep of one table by hand. */
#include "cmd/table_job.h"
#include "flow/upkeep.h"

static void number_text(int64_t v, char out[32]) {
    snprintf(out, 32, "%lld", (long long)v);
}

int table_job_checkpoint(struct table_job *job, struct err *e) {
    static const char *const names[] = {"table", "checkpoint", "removed"};
    static const bool numbers[] = {false, true, true};
    struct upkeep_options o = parts_upkeep_options(job->c->cfg);
    struct upkeep_result sum = {0};
    int r = upkeep_log(&job->l, job->tb, &o, true, &sum, e);
    if (r < 0)
        return r;
    char version[32], removed[32];
    number_text(table_version(job->tb), version);
    number_text(sum.log_files, removed);
    out_columns(&job->out, names, numbers, ARRAY_LEN(names));
    const char *row[] = {table_definition(job->tb)->view, version, removed};
    if (table_version(job->tb) >= 0)
        out_row(&job->out, row);
    return 0;
}
