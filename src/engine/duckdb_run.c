/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job: views over the inputs, the stages, the counters, and the rows into files in a staging
 * folder (duckdb_outlet.c; some already during a stage). From there they go, file by file, into the lake.
 * What was published is removed again if a later file fails.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "engine/duckdb_priv.h"

/* What CREATE TABLE … AS returns: the rows it made. A view has none. */
static int64_t rows_made(duckdb_result *r) {
    int64_t rows = 0;
    duckdb_data_chunk chunk = duckdb_column_count(r) == 1 ? duckdb_fetch_chunk(*r) : NULL;
    if (chunk && duckdb_column_type(r, 0) == DUCKDB_TYPE_BIGINT)
        rows = *(const int64_t *)duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0));
    duckdb_destroy_data_chunk(&chunk);
    return rows;
}

/* Our own statement around the user's text: by itself that must be one that only reads. */
static int check_stage(struct session *s, const struct engine_stage *sg, struct err *e) {
    duckdb_prepared_statement ps;
    if (guard_prepare(s, sg->sql, true, &ps, e) < 0)
        return e->code;
    duckdb_destroy_prepare(&ps);
    return 0;
}

/* The text begins in the statement's first line: so the line of an error is that of the file. */
static int run_stage(struct session *s, const struct engine_stage *sg, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    buf_add_str(&sql, sg->keep ? "CREATE TABLE " : "CREATE VIEW ");
    sql_name(&sql, sg->name);
    buf_add_str(&sql, " AS ");
    if (sg->apart)
        outlet_add_stage(s, sg, &sql);
    else
        buf_add_str(&sql, sg->sql);
    int64_t began = clock_mono_ns();
    duckdb_result r;
    int rc = session_result(s, sg->name, buf_str(&sql), &r, e);
    buf_release(&sql);
    if (rc < 0)
        return sg->apart ? outlet_fail(s, rc, e) : rc;
    log_debug("stage", F_STR("job", s->what), F_STR("stage", sg->name),
              F_INT("rows", sg->keep ? rows_made(&r) : 0),
              F_INT("ms", (clock_mono_ns() - began) / 1000000));
    duckdb_destroy_result(&r);
    return 0;
}

int session_stages(struct session *s, const struct engine_stage *stages, size_t n, bool untrusted,
                   struct err *e) {
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        s->file = stages[i].file;
        if (untrusted)
            rc = check_stage(s, &stages[i], e);
        if (rc == 0)
            rc =
                stages[i].exchange ? exchange_stage(s, &stages[i], e) : run_stage(s, &stages[i], e);
        s->file = NULL;
    }
    return rc;
}

static int run_counters(struct session *s, const struct engine_job *job, struct engine_result *ret,
                        struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    buf_addf(&sql, "SELECT CAST(COLUMNS(*) AS BIGINT) FROM (\n%s\n)", job->counters);
    duckdb_result r;
    int rc = session_result(s, "counters", buf_str(&sql), &r, e);
    buf_release(&sql);
    if (rc < 0)
        return rc;
    duckdb_data_chunk chunk = duckdb_fetch_chunk(r);
    if (!chunk || duckdb_data_chunk_get_size(chunk) != 1)
        rc = err_set(e, ERR_ENGINE, "%s: counters: not one row", job->what);
    for (idx_t i = 0; rc == 0 && i < duckdb_column_count(&r); i++) {
        duckdb_vector v = duckdb_data_chunk_get_vector(chunk, i);
        uint64_t *valid = duckdb_vector_get_validity(v);
        ret->counters = xrealloc(ret->counters, (i + 1) * sizeof *ret->counters);
        ret->counters[ret->n_counters++] = (struct engine_counter){
            .name = xstrdup(duckdb_column_name(&r, i)),
            .value = !valid || duckdb_validity_row_is_valid(valid, 0)
                         ? ((const int64_t *)duckdb_vector_get_data(v))[0]
                         : 0,
        };
    }
    duckdb_destroy_data_chunk(&chunk);
    duckdb_destroy_result(&r);
    return rc;
}

static int check_rows(const struct engine_job *job, const struct table_files *written,
                      const struct engine_result *r, struct err *e) {
    int64_t rows = 0;
    for (size_t i = 0; i < written->n; i++)
        rows += written->v[i].rows;
    for (size_t i = 0; i < r->n_counters; i++)
        if (strcmp(r->counters[i].name, "rows") == 0 && r->counters[i].value != rows)
            return err_set(e, ERR_ENGINE,
                           "%s: the counters say %lld rows, but %lld were written to %s", job->what,
                           (long long)r->counters[i].value, (long long)rows, job->output->name);
    return 0;
}

static void take_back(struct session *s, const struct storage_file *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct err ignored;
        if (v[i].done)
            storage_remove(s->st, v[i].path, &ignored); /* at worst vacuum finds it */
    }
}

/* Moves the files from the staging folder into the lake: all of them, or none. */
static int publish(struct session *s, const struct engine_job *job, const char *dir,
                   struct table_files *written, struct table_files *ret, struct err *e) {
    struct storage_file *v = xcalloc(written->n, sizeof *v);
    for (size_t i = 0; i < written->n; i++) {
        const char *path = written->v[i].path, *slash = strrchr(path, '/');
        v[i].local = xasprintf("%s/%s", dir, slash ? slash + 1 : path);
        v[i].path = xasprintf("%s/%s", job->output->name, path);
    }
    int rc = storage_publish_all(s->st, v, written->n, e);
    if (rc == 0) {
        crash_point("engine.published");
        for (size_t i = 0; i < written->n; i++) {
            written->v[i].mtime_ms = clock_now_us() / 1000;
            *table_files_add(ret) = written->v[i];
            written->v[i] = (struct table_file){0};
        }
    } else {
        take_back(s, v, written->n);
        err_wrap(e, "%s", job->what);
    }
    for (size_t i = 0; i < written->n; i++) {
        free(v[i].local);
        free(v[i].path);
    }
    free(v);
    return rc;
}

static int write_output(struct session *s, const struct engine_job *job, const char *dir,
                        struct engine_result *r, struct err *e) {
    struct table_files written = {0};
    int rc = outlet_pour(s, job->select, &written, e);
    if (rc == 0)
        rc = check_rows(job, &written, r, e);
    if (rc == 0)
        rc = publish(s, job, dir, &written, &r->files, e);
    table_files_release(&written);
    return rc;
}

/* The stages, and what is made of them. dir: where the files are made; NULL without any. */
static int run_steps(struct session *s, const struct engine_job *job, const char *dir,
                     struct engine_result *r, struct err *e) {
    if (dir)
        outlet_open(s, job->output, dir);
    int rc = session_stages(s, job->stages, job->n_stages, job->untrusted, e);
    if (rc == 0 && job->counters)
        rc = run_counters(s, job, r, e);
    if (rc == 0 && dir)
        rc = write_output(s, job, dir, r, e);
    outlet_close(s);
    return rc;
}

static int run_staged(struct session *s, const struct engine_job *job, struct engine_result *r,
                      struct err *e) {
    char dir[LIMIT_PATH];
    if (storage_stage(s->st, dir, e) < 0)
        return err_wrap(e, "%s", job->what);
    int rc = run_steps(s, job, dir, r, e);
    storage_unstage(s->st, dir);
    return rc;
}

/* The models' function seen_before needs memory for the rows: given to who calls it. */
static bool calls_seen(const struct engine_job *job) {
    for (size_t i = 0; i < job->n_stages; i++)
        if (strstr(job->stages[i].sql, "seen_before("))
            return !job->untrusted;
    return false;
}

static int run_in(struct session *s, const struct engine_job *job, struct engine_result *r,
                  struct err *e) {
    struct buf paths = BUF_INIT(LIMIT_SQL);
    int64_t rows = job->n_inputs ? view_rows(job->inputs[0].files) : 0;
    s->twin = job->twin;
    s->twin_of = job->twin_of;
    int rc = calls_seen(job) ? seen_open(s, rows, e) : 0;
    for (size_t i = 0; i < job->n_inputs && rc == 0; i++)
        rc = session_view(s, &job->inputs[i], job->untrusted ? &paths : NULL, e);
    if (rc == 0 && job->untrusted)
        rc = guard_lock(s, buf_str(&paths), e);
    buf_release(&paths);
    if (rc == 0)
        rc = job->output ? run_staged(s, job, r, e) : run_steps(s, job, NULL, r, e);
    return rc;
}

int duck_run(struct engine *en, struct storage *st, const struct engine_job *job,
             struct engine_result *ret, struct err *e) {
    struct duck *du = (struct duck *)en;
    struct session s;
    struct engine_result r = {0};
    duckdb_database own = NULL;
    int rc = 0;
    if (job->untrusted && (rc = duck_open_db(du, &own, e)) == 0)
        rc = duck_register(du, own, e);
    if (rc == 0)
        rc = session_open(&s, du, own, st, job->what, e);
    if (rc == 0) {
        rc = run_in(&s, job, &r, e);
        session_close(&s);
    }
    duckdb_close(&own);
    if (rc < 0)
        engine_result_release(&r);
    else
        *ret = r;
    return rc;
}
