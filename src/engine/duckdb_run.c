/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job: views over the inputs, the stages, the counters, then COPY into a staging folder and from
 * there, file by file, into the lake. What was published is removed again if a later file fails.
 *
 * COPY … PARTITION_BY keeps a row group in memory for each partition it writes to. So the dates of
 * a batch are counted first and written in as many passes as memory asks for, each a range of
 * dates: one file for each date, also where a batch holds 400 of them in any order. A batch of a
 * few dates, the common case, is written in one pass; one of a single date without PARTITION_BY.
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "engine/duckdb_priv.h"

enum {
    ROW_BYTES = 400,           /* a row as COPY holds it, about */
    PARTITION_BYTES = 2500000, /* an open partition's buffers, however few its rows: measured */
    ROW_GROUP = 122880,        /* rows: DuckDB's own default */
    ROW_GROUP_MANY = 61440,    /* where many partitions are open at once */
    FEW_PARTITIONS = 4,
    FLUSH_ROWS = 10000, /* rows a thread collects before it hands them to the partitions */
    OPEN_FILES = 5000,
};

static int run_stages(struct session *s, const struct engine_job *job, struct err *e) {
    for (size_t i = 0; i < job->n_stages; i++) {
        const struct engine_stage *sg = &job->stages[i];
        struct buf sql = BUF_INIT(LIMIT_SQL);
        buf_add_str(&sql, sg->keep ? "CREATE TABLE " : "CREATE VIEW ");
        sql_name(&sql, sg->name);
        buf_addf(&sql, " AS\n%s", sg->sql);
        int64_t began = clock_mono_ns();
        int rc = session_exec(s, sg->name, buf_str(&sql), e);
        buf_release(&sql);
        if (rc < 0)
            return rc;
        log_debug("stage", F_STR("job", job->what), F_STR("stage", sg->name),
                  F_INT("ms", (clock_mono_ns() - began) / 1000000));
    }
    return 0;
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

/* Adds the output's columns but `without`, each cast to its declared type: COPY writes what it is given. */
static void add_cast_columns(struct buf *sql, const struct table_def *def, const char *without) {
    const char *comma = "";
    for (size_t i = 0; i < def->n_columns; i++) {
        const struct column *c = &def->columns[i];
        if (without && strcmp(c->name, without) == 0)
            continue;
        buf_addf(sql, "%sCAST(", comma);
        sql_name(sql, c->name);
        buf_addf(sql, " AS %s) AS ", column_type_sql(c->type));
        sql_name(sql, c->name);
        comma = ", ";
    }
}

struct partition {
    char *value; /* NULL: NULL */
    int64_t rows;
};

struct partitions {
    struct partition *v;
    size_t n;
};

struct writer {
    struct session *s;
    const struct engine_job *job;
    struct buf from;      /* what follows FROM: the rows to write */
    char dir[LIMIT_PATH]; /* staging folder */
    int passes;           /* so far: each has a folder of its number in dir */
    int row_group;
    struct table_files written; /* paths relative to dir */
};

/* Makes the pass's folder, or within it the folder of the one partition. The caller frees. */
static char *make_target(struct writer *w, const struct partition *only, struct err *e) {
    const char *by = w->job->output->partition_by;
    char *to = xasprintf("%s/%d", w->dir, w->passes++);
    if (by && !only)
        return to; /* COPY makes it */
    if (only && mkdir(to, 0777) == 0) {
        char *folder =
            xasprintf("%s/%s=%s", to, by, only->value ? only->value : "__HIVE_DEFAULT_PARTITION__");
        free(to);
        to = folder;
    }
    char id[UUID_TEXT];
    uuid_make(id);
    char *file = xasprintf("%s/part-%s.zstd.parquet", to, id);
    if (mkdir(to, 0777) != 0) {
        err_sys(e, ERR_STORAGE, errno, "%s: cannot make '%s'", w->job->what, to);
        free(TAKE_PTR(file));
    }
    free(to);
    return file;
}

/*
 * One COPY of the rows that `where` (may be NULL) picks. `only`: all of them are of this partition,
 * so one file is written, which spares COPY the sorting into partitions. NULL: of several.
 */
static int write_pass(struct writer *w, const char *where, const struct partition *only,
                      struct err *e) {
    const struct table_def *def = w->job->output;
    _cleanup_(freep) char *to = make_target(w, only, e);
    if (!to)
        return e->code;
    struct buf sql = BUF_INIT(LIMIT_SQL);
    buf_add_str(&sql, "COPY (SELECT ");
    add_cast_columns(&sql, def, only ? def->partition_by : NULL);
    buf_addf(&sql, " FROM %s AS chosen %s%s) TO ", buf_str(&w->from), where ? "WHERE " : "",
             where ? where : "");
    sql_text(&sql, to);
    /* Level 1 takes a third less time than zstd's default and gives no larger files here. */
    buf_addf(&sql,
             " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE %d, "
             "RETURN_STATS",
             w->row_group);
    if (def->partition_by && !only) {
        buf_add_str(&sql, ", FILENAME_PATTERN 'part-{uuid}', FILE_EXTENSION 'zstd.parquet', "
                          "PARTITION_BY (");
        sql_name(&sql, def->partition_by);
        buf_add_str(&sql, "))");
    } else {
        buf_add_str(&sql, ", WRITE_EMPTY_FILE false)");
    }
    duckdb_result r;
    int rc = session_result(w->s, def->name, buf_str(&sql), &r, e);
    buf_release(&sql);
    if (rc < 0)
        return rc;
    size_t before = w->written.n;
    rc = stats_files(w->s, &r, w->dir, def, &w->written, e);
    if (rc == 0 && only && only->value && w->written.n > before)
        w->written.v[before].partition = xstrdup(only->value);
    duckdb_destroy_result(&r);
    return rc;
}

static void partitions_release(struct partitions *p) {
    for (size_t i = 0; i < p->n; i++)
        free(p->v[i].value);
    free(p->v);
}

/* Counts the rows of each partition, by value, NULL first. Reads only the columns that needs. */
static int count_partitions(struct writer *w, struct partitions *ret, struct err *e) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    const char *by = w->job->output->partition_by;
    buf_addf(&sql,
             "SELECT CAST(\"%s\" AS VARCHAR), count(*) FROM %s AS rows_to_write GROUP BY "
             "\"%s\" ORDER BY \"%s\" NULLS FIRST",
             by, buf_str(&w->from), by, by);
    duckdb_result r;
    int rc = session_result(w->s, w->job->output->name, buf_str(&sql), &r, e);
    buf_release(&sql);
    if (rc < 0)
        return rc;
    for (duckdb_data_chunk c; (c = duckdb_fetch_chunk(r)); duckdb_destroy_data_chunk(&c)) {
        duckdb_vector value = duckdb_data_chunk_get_vector(c, 0);
        const duckdb_string_t *texts = duckdb_vector_get_data(value);
        const int64_t *rows = duckdb_vector_get_data(duckdb_data_chunk_get_vector(c, 1));
        uint64_t *valid = duckdb_vector_get_validity(value);
        idx_t n = duckdb_data_chunk_get_size(c);
        ret->v = xrealloc(ret->v, (ret->n + n) * sizeof *ret->v);
        for (idx_t i = 0; i < n; i++) {
            size_t len;
            const char *text = text_bytes(&texts[i], &len);
            bool null = valid && !duckdb_validity_row_is_valid(valid, i);
            ret->v[ret->n++] = (struct partition){null ? NULL : xstrndup(text, len), rows[i]};
        }
    }
    duckdb_destroy_result(&r);
    return 0;
}

/* Writes the partitions [from, to), which stand next to each other and are not NULL but for a single one. */
static int write_range(struct writer *w, const struct partitions *p, size_t from, size_t to,
                       struct err *e) {
    const struct table_def *def = w->job->output;
    enum column_type by = table_def_column(def, def->partition_by)->type;
    const char *type = column_type_sql(by);
    /* A text's folder would have to be escaped as COPY does it. */
    const struct partition *only = to - from == 1 && by != TYPE_STRING ? &p->v[from] : NULL;
    if (from == 0 && to == p->n)
        return write_pass(w, NULL, only, e);
    struct buf where = BUF_INIT(LIMIT_SQL);
    sql_name(&where, def->partition_by);
    if (!p->v[from].value) {
        buf_add_str(&where, " IS NULL");
    } else {
        buf_add_str(&where, " BETWEEN CAST(");
        sql_text(&where, p->v[from].value);
        buf_addf(&where, " AS %s) AND CAST(", type);
        sql_text(&where, p->v[to - 1].value);
        buf_addf(&where, " AS %s)", type);
    }
    int rc = write_pass(w, buf_str(&where), only, e);
    buf_release(&where);
    return rc;
}

/* Splits the partitions into ranges whose row groups fit in memory together. */
static int write_ranges(struct writer *w, const struct partitions *p, struct err *e) {
    w->row_group = p->n > FEW_PARTITIONS ? ROW_GROUP_MANY : ROW_GROUP;
    int64_t budget = w->s->du->o.memory_bytes / 2, held = 0;
    size_t from = 0;
    for (size_t i = 0; i < p->n; i++) {
        int64_t more = MAX(MIN(p->v[i].rows, w->row_group) * ROW_BYTES, PARTITION_BYTES);
        bool alone = i > from && !p->v[from].value;
        if (i > from && (held + more > budget || alone)) {
            if (write_range(w, p, from, i, e) < 0)
                return e->code;
            from = i;
            held = 0;
        }
        held += more;
    }
    return from < p->n ? write_range(w, p, from, p->n, e) : 0;
}

static int write_files(struct writer *w, struct err *e) {
    const struct engine_job *job = w->job;
    if (session_execf(w->s, e, "SET partitioned_write_flush_threshold = %d", FLUSH_ROWS) < 0 ||
        session_execf(w->s, e, "SET partitioned_write_max_open_files = %d", OPEN_FILES) < 0)
        return e->code;
    if (job->small) {
        struct buf sql = BUF_INIT(LIMIT_SQL);
        buf_addf(&sql, "CREATE TABLE rows_to_write AS\n%s", job->select);
        int rc = session_exec(w->s, job->output->name, buf_str(&sql), e);
        buf_release(&sql);
        if (rc < 0)
            return rc;
        buf_add_str(&w->from, "rows_to_write");
    } else {
        buf_addf(&w->from, "(\n%s\n)", job->select);
    }
    if (!job->output->partition_by)
        return write_pass(w, NULL, NULL, e);
    struct partitions p = {0};
    int rc = count_partitions(w, &p, e);
    if (rc == 0)
        rc = write_ranges(w, &p, e);
    partitions_release(&p);
    return rc;
}

static int check_rows(const struct writer *w, const struct engine_result *r, struct err *e) {
    int64_t rows = 0;
    for (size_t i = 0; i < w->written.n; i++)
        rows += w->written.v[i].rows;
    for (size_t i = 0; i < r->n_counters; i++)
        if (strcmp(r->counters[i].name, "rows") == 0 && r->counters[i].value != rows)
            return err_set(e, ERR_ENGINE,
                           "%s: the counters say %lld rows, but %lld were written to %s",
                           w->job->what, (long long)r->counters[i].value, (long long)rows,
                           w->job->output->name);
    return 0;
}

/* Moves the files into the lake: all of them, or none. */
static int publish(struct writer *w, struct storage *st, struct table_files *ret, struct err *e) {
    const char *table = w->job->output->name;
    for (size_t i = 0; i < w->written.n; i++) {
        struct table_file *f = &w->written.v[i];
        _cleanup_(freep) char *local = xasprintf("%s/%s", w->dir, f->path);
        /* The first folder is the pass; what follows is the partition's. */
        _cleanup_(freep) char *path = xstrdup(strchr(f->path, '/') + 1);
        _cleanup_(freep) char *full = xasprintf("%s/%s", table, path);
        if (storage_publish(st, local, full, e) < 0) {
            for (size_t k = 0; k < ret->n; k++) {
                struct err ignored;
                _cleanup_(freep) char *undo = xasprintf("%s/%s", table, ret->v[k].path);
                storage_remove(st, undo, &ignored);
            }
            table_files_release(ret);
            return err_wrap(e, "%s", w->job->what);
        }
        crash_point("engine.published");
        free(f->path);
        f->path = TAKE_PTR(path);
        f->mtime_ms = clock_now_us() / 1000;
        *table_files_add(ret) = *f;
        *f = (struct table_file){0};
    }
    return 0;
}

static int write_output(struct session *s, const struct engine_job *job, struct engine_result *r,
                        struct err *e) {
    struct writer w = {.s = s, .job = job, .from = BUF_INIT(LIMIT_SQL), .row_group = ROW_GROUP};
    if (storage_stage(s->st, w.dir, e) < 0)
        return err_wrap(e, "%s", job->what);
    int rc = write_files(&w, e);
    if (rc == 0)
        rc = check_rows(&w, r, e);
    if (rc == 0)
        rc = publish(&w, s->st, &r->files, e);
    storage_unstage(s->st, w.dir);
    buf_release(&w.from);
    table_files_release(&w.written);
    return rc;
}

int duck_run(struct engine *en, struct storage *st, const struct engine_job *job,
             struct engine_result *ret, struct err *e) {
    struct duck *du = (struct duck *)en;
    struct session s;
    struct engine_result r = {0};
    if (session_open(&s, du, du->db, st, job->what, e) < 0)
        return e->code;
    int rc = 0;
    for (size_t i = 0; i < job->n_inputs && rc == 0; i++)
        rc = session_view(&s, &job->inputs[i], NULL, e);
    if (rc == 0)
        rc = run_stages(&s, job, e);
    if (rc == 0 && job->counters)
        rc = run_counters(&s, job, &r, e);
    if (rc == 0 && job->output)
        rc = write_output(&s, job, &r, e);
    session_close(&s);
    if (rc < 0)
        engine_result_release(&r);
    else
        *ret = r;
    return rc;
}
