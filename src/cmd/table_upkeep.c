/* SPDX-License-Identifier: Apache-2.0 */
/* table checkpoint|optimize|vacuum|verify NAME: upkeep of one table by hand. */
#include "base/clock.h"
#include "cmd/table_job.h"
#include "flow/upkeep.h"

int table_job_checkpoint(struct table_job *job, struct err *e) {
    static const char *const names[] = {"table", "checkpoint", "removed"};
    static const bool numbers[] = {false, true, true};
    struct upkeep_options o = parts_upkeep_options(job->c->cfg);
    struct upkeep_result sum = {0};
    int r = upkeep_log(&job->l, job->tb, &o, true, &sum, e);
    if (r < 0)
        return r;
    char version[32], removed[32];
    out_number(table_version(job->tb), version);
    out_number(sum.log_files, removed);
    out_columns(&job->out, names, numbers, ARRAY_LEN(names));
    const char *row[] = {table_definition(job->tb)->view, version, removed};
    if (table_version(job->tb) >= 0)
        out_row(&job->out, row);
    return 0;
}

int table_job_optimize(struct table_job *job, struct err *e) {
    static const char *const names[] = {
        "table", "commits", "files_before", "files_after", "bytes_before", "bytes_after", "rows"};
    static const bool numbers[] = {false, true, true, true, true, true, true};
    struct table_optimize_options o = {.target_bytes =
                                           config_int(job->c->cfg, CFG_TABLE_OPTIMIZE_TARGET),
                                       .min_files = 2,
                                       .full = true};
    struct table_optimize_result done;
    int r = table_optimize(job->tb, &o, &done, e);
    if (r < 0)
        return r;
    const int64_t values[] = {done.commits,      done.removed,     done.added,
                              done.bytes_before, done.bytes_after, done.rows};
    char texts[ARRAY_LEN(values)][32];
    const char *row[ARRAY_LEN(names)] = {table_definition(job->tb)->view};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        out_number(values[i], texts[i]);
        row[i + 1] = texts[i];
    }
    out_columns(&job->out, names, numbers, ARRAY_LEN(names));
    out_row(&job->out, row);
    return 0;
}

static int show_file(void *arg, const char *path, int64_t size, int64_t mtime_ms) {
    char bytes[32], at[TIME_TEXT];
    out_number(size, bytes);
    time_format_ms(mtime_ms * 1000, at);
    const char *row[] = {path, bytes, at};
    out_row(arg, row);
    return 0;
}

int table_job_vacuum(struct table_job *job, struct err *e) {
    static const char *const names[] = {"path", "bytes", "modified"};
    static const bool numbers[] = {false, true, false};
    struct upkeep_options o = parts_upkeep_options(job->c->cfg);
    struct table_vacuum_options v = {.asked_ms = job->opts->retention_ms,
                                     .force = job->opts->force,
                                     .dry_run = job->opts->dry_run,
                                     .on_file = show_file,
                                     .arg = &job->out};
    struct table_vacuum_result done = {0};
    out_columns(&job->out, names, numbers, ARRAY_LEN(names));
    int r = upkeep_vacuum(&job->l, job->tb, &o, v, &done, e);
    snprintf(job->remark, sizeof job->remark,
             "%lld files of %lld bytes %s; %lld that are not in the table are too young",
             (long long)done.files, (long long)done.bytes,
             v.dry_run ? "would be deleted" : "were deleted", (long long)done.kept);
    return r;
}

struct findings {
    struct table_job *job;
    char *first; /* what is wrong first */
};

static int show_check(void *arg, const char *name, bool ok, const char *detail,
                      struct err *e ATTR_UNUSED) {
    struct findings *f = arg;
    const char *row[] = {name, ok ? "true" : "false", detail};
    out_row(&f->job->out, row);
    if (!ok && !f->first)
        f->first = xasprintf("%s: %s", name, detail);
    return 0;
}

int table_job_verify(struct table_job *job, struct err *e) {
    static const char *const names[] = {"check", "ok", "detail"};
    static const bool numbers[] = {false, true, false};
    struct findings f = {.job = job};
    out_columns(&job->out, names, numbers, ARRAY_LEN(names));
    int r = table_verify(job->tb, job->opts->deep, show_check, &f, e);
    if (r == 0 && f.first) {
        err_set(e, ERR_CHECK, "table verify: %s: %s", table_definition(job->tb)->view, f.first);
        r = err_hint(e, "bring the file back from a copy; clickmill reconcile says what is missing "
                        "in the rows");
    }
    free(f.first);
    return r;
}
