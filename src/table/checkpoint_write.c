/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log up to a version -> a checkpoint. The entries and the checkpoint before are the source,
 * not the snapshot: that has no statistics and no removals, and need not grow by them.
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/models.h"
#include "table/checkpoint.h"
#include "table/retention.h"

/* What our own checkpoints carry, so that they are known again. FORMAT changes with `columns`. */
#define KEY "clickmill.checkpoint"
#define FORMAT "1"

enum { GROUP_BYTES = 16 * MIB }; /* a row group, which is in memory while it is written */

#define FILE_FIELDS "\"path\" VARCHAR, \"partitionValues\" MAP(VARCHAR, VARCHAR), \"size\" BIGINT, "
/* A checkpoint's columns (PROTOCOL.md "Checkpoint Schema"), as far as tables of ours have them. */
static const struct {
    const char *name, *type;
} columns[] = {
    {"txn", "STRUCT(\"appId\" VARCHAR, \"version\" BIGINT, \"lastUpdated\" BIGINT)"},
    {"add", "STRUCT(" FILE_FIELDS "\"modificationTime\" BIGINT, \"dataChange\" BOOLEAN, "
            "\"stats\" VARCHAR, \"tags\" MAP(VARCHAR, VARCHAR))"},
    {"remove", "STRUCT(" FILE_FIELDS "\"deletionTimestamp\" BIGINT, \"dataChange\" BOOLEAN, "
               "\"extendedFileMetadata\" BOOLEAN)"},
    {"metaData", "STRUCT(\"id\" VARCHAR, \"name\" VARCHAR, \"description\" VARCHAR, "
                 "\"format\" STRUCT(\"provider\" VARCHAR, \"options\" MAP(VARCHAR, VARCHAR)), "
                 "\"schemaString\" VARCHAR, \"partitionColumns\" VARCHAR[], "
                 "\"configuration\" MAP(VARCHAR, VARCHAR), \"createdTime\" BIGINT)"},
    {"protocol", "STRUCT(\"minReaderVersion\" INTEGER, \"minWriterVersion\" INTEGER)"},
};

static int note_number(void *arg, const char *const *v, size_t n ATTR_UNUSED,
                       struct err *e ATTR_UNUSED) {
    *(int64_t *)arg = strtoll(v[0], NULL, 10);
    return 0;
}

/* Did this program write the checkpoint, with the columns above? */
static int is_ours(struct parquet_session *s, const char *files, bool *ret, struct err *e) {
    int64_t n = 0;
    _cleanup_(freep) char *sql =
        xasprintf("SELECT count(*) FROM parquet_kv_metadata(%s) WHERE key = '" KEY
                  "' AND value = '" FORMAT "'",
                  files);
    int r = parquet_query(s, sql, note_number, &n, e);
    *ret = n > 0;
    return r;
}

/*
 * The checkpoint before in our columns: another writer's by way of JSON, which gives NULL for a
 * field that is not there, our own as it is, which is many times as fast.
 */
static int base_sql(struct parquet_session *s, const struct log_listing *l, struct buf *sql,
                    struct err *e) {
    struct buf files = BUF_INIT(LIMIT_SQL);
    bool none = l->checkpoint < 0, ours = false;
    int r = none ? 0 : checkpoint_add_files(s, l, &files, e);
    if (r == 0 && !none)
        r = is_ours(s, buf_str(&files), &ours, e);
    buf_add_str(sql, "SELECT ");
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        const char *name = columns[i].name, *comma = i ? ", " : "";
        if (ours)
            buf_addf(sql, "%sx.\"%s\"", comma, name);
        else if (none)
            buf_addf(sql, "%sCAST(NULL AS %s) AS \"%s\"", comma, columns[i].type, name);
        else
            buf_addf(sql, "%sCAST(to_json(x.\"%s\") AS %s) AS \"%s\"", comma, name, columns[i].type,
                     name);
    }
    buf_add_str(sql, none ? " WHERE FALSE" : " FROM read_parquet(");
    buf_add(sql, buf_str(&files), files.len);
    buf_add_str(sql, none ? "" : ") x");
    buf_release(&files);
    return r;
}

/* Appends 'file' to names and ('file', version) to versions; the largest entry sets the buffers' size. */
static int add_entry(struct parquet_session *s, const struct storage_file *f, int64_t version,
                     struct buf *names, struct buf *versions, int64_t *largest, struct err *e) {
    const char *comma = names->len ? ", " : "";
    struct stat sb;
    if (stat(f->local, &sb) != 0)
        return err_sys(e, ERR_STORAGE, errno, "cannot look at %s", f->local);
    *largest = MAX(*largest, sb.st_size);
    buf_add_str(names, comma);
    size_t at = names->len;
    int r = parquet_add_local(s, f->path, names, e);
    buf_addf(versions, "%s(%.*s, %lld)", comma, (int)(names->len - at), names->data + at,
             (long long)version);
    return r;
}

/* The entries after `after`, made local many at a time: each of its own would be a wait of its own. */
static int add_entries(struct parquet_session *s, int64_t after, struct buf *names,
                       struct buf *versions, int64_t *largest, struct err *e) {
    struct storage *st = s->tb->st;
    size_t n = (size_t)(s->tb->version - after);
    struct storage_file *v = xcalloc(n, sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = (struct storage_file){.path = log_entry_path(s->tb->def, after + 1 + (int64_t)i),
                                     .size = -1};
    int r = storage_localize_all(st, v, n, e);
    for (size_t i = 0; i < n; i++) {
        if (r == 0)
            r = add_entry(s, &v[i], after + 1 + (int64_t)i, names, versions, largest, e);
        if (v[i].done)
            storage_unlocalize(st, v[i].path); /* the session has it as well */
        free(v[i].local);
        free(v[i].path);
    }
    free(v);
    return r;
}

/* The entries after it, each action with its version. */
static int tail_sql(struct parquet_session *s, int64_t after, struct buf *sql, struct err *e) {
    struct buf names = BUF_INIT(LIMIT_SQL), versions = BUF_INIT(LIMIT_SQL);
    int64_t largest = MIB;
    int r = add_entries(s, after, &names, &versions, &largest, e);
    buf_add_str(sql, "SELECT v.version, j.* EXCLUDE (filename) FROM read_json([");
    buf_add(sql, names.data, names.len);
    buf_addf(sql,
             "], format = 'newline_delimited', filename = TRUE, maximum_object_size = %lld, "
             "columns = {",
             (long long)largest);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        buf_addf(sql, "%s'%s': '%s'", i ? ", " : "", columns[i].name, columns[i].type);
    buf_add_str(sql, "}) j JOIN (VALUES ");
    buf_add(sql, versions.data, versions.len);
    buf_add_str(sql, ") v(file, version) ON v.file = j.filename");
    buf_release(&names);
    buf_release(&versions);
    return r;
}

/* COPY answers with the number of rows. */
static int skip_row(void *arg ATTR_UNUSED, const char *const *v ATTR_UNUSED, size_t n ATTR_UNUSED,
                    struct err *e ATTR_UNUSED) {
    return 0;
}

/* Removals younger than this are kept, so that nobody's vacuum takes their files from under a reader. */
static int64_t removes_kept_ms(const struct table *tb) {
    int64_t ms = 0;
    struct err ignored; /* vacuum is where a retention that cannot be read is told */
    retention_of(tb, FILE_RETENTION, 0, &ms, &ignored);
    return MAX(ms, CHECKPOINT_KEEPS_REMOVES_MS);
}

static int make_file(struct parquet_session *s, const struct log_listing *l, const char *file,
                     struct err *e) {
    struct buf base = BUF_INIT(LIMIT_SQL), tail = BUF_INIT(LIMIT_SQL), sql = BUF_INIT(LIMIT_SQL);
    int r = base_sql(s, l, &base, e);
    if (r == 0)
        r = tail_sql(s, l->checkpoint, &tail, e);
    if (r == 0) {
        char since[32];
        snprintf(since, sizeof since, "%lld",
                 (long long)(clock_now_us() / 1000 - removes_kept_ms(s->tb)));
        struct model_var vars[] = {
            {"base", buf_str(&base)}, {"tail", buf_str(&tail)}, {"kept_since", since}};
        _cleanup_(freep) char *select =
            model_render("sql/table/checkpoint.sql", vars, ARRAY_LEN(vars));
        buf_addf(&sql,
                 "COPY (%s) TO '%s' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE_BYTES %d, "
                 "KV_METADATA {'" KEY "': '" FORMAT "'})",
                 select, file, GROUP_BYTES);
        r = sql.overflow ? err_set(e, ERR_STORAGE, "a statement of too many files")
                         : parquet_query(s, buf_str(&sql), skip_row, NULL, e);
    }
    buf_release(&base);
    buf_release(&tail);
    buf_release(&sql);
    return r;
}

/* What was written, read back. */
struct made {
    int64_t actions, adds, bytes, txns;
};

static int note_made(void *arg, const char *const *v, size_t n ATTR_UNUSED,
                     struct err *e ATTR_UNUSED) {
    *(struct made *)arg =
        (struct made){strtoll(v[0], NULL, 10), strtoll(v[1], NULL, 10),
                      v[2] ? strtoll(v[2], NULL, 10) : 0, strtoll(v[3], NULL, 10)};
    return 0;
}

/* A checkpoint that says anything else than the snapshot must not be: what is wrong with it would stay. */
static int check_file(struct parquet_session *s, const char *file, struct made *ret,
                      struct err *e) {
    _cleanup_(freep) char *sql = xasprintf(
        "SELECT count(*), count(\"add\"), CAST(sum(\"add\".size) AS BIGINT), count(txn) FROM "
        "read_parquet('%s')",
        file);
    int r = parquet_query(s, sql, note_made, ret, e);
    if (r)
        return r;
    const struct table *tb = s->tb;
    int64_t bytes = 0;
    for (size_t i = 0; i < tb->live.n; i++)
        bytes += tb->live.v[i].size;
    if (ret->adds == (int64_t)tb->live.n && ret->bytes == bytes && ret->txns == (int64_t)tb->n_txn)
        return 0;
    return err_set(e, ERR_STORAGE,
                   "the log says %zu files of %lld bytes and %zu positions, what would be the "
                   "checkpoint %lld, %lld and %lld: it was not written",
                   tb->live.n, (long long)bytes, tb->n_txn, (long long)ret->adds,
                   (long long)ret->bytes, (long long)ret->txns);
}

static int put_hint(const struct table *tb, const struct made *m, int64_t size, struct err *e) {
    _cleanup_(freep) char *path = xasprintf("%s/_delta_log/_last_checkpoint", tb->def->name);
    _cleanup_(freep) char *text = xasprintf(
        "{\"version\":%lld,\"size\":%lld,\"sizeInBytes\":%lld,\"numOfAddFiles\":%lld}",
        (long long)tb->version, (long long)m->actions, (long long)size, (long long)m->adds);
    return storage_put(tb->st, path, text, strlen(text), e);
}

static int write_one(struct parquet_session *s, const struct log_listing *l, struct err *e) {
    const struct table *tb = s->tb;
    _cleanup_(freep) char *file = xasprintf("%s/checkpoint.parquet", s->stage);
    _cleanup_(freep) char *path = checkpoint_path(tb->def, tb->version, 1, 1);
    struct made made = {0};
    struct storage_entry there = {0};
    int r = make_file(s, l, file, e);
    if (r == 0)
        r = check_file(s, file, &made, e);
    if (r)
        return r;
    r = storage_publish(tb->st, file, path, e);
    if (r == ERR_EXISTS) /* somebody else folded the same entries: one is as good as the other */
        r = 0;
    if (r == 0)
        r = storage_stat(tb->st, path, &there, e);
    return r ? r : put_hint(tb, &made, there.size, e);
}

int table_checkpoint(struct table *tb, struct err *e) {
    struct log_listing l;
    int r = tb->version < 0 ? 0 : table_check_writable(tb, e);
    if (r || tb->version < 0)
        return r;
    r = log_list(tb, true, &l, e);
    if (r || l.checkpoint >= tb->version)
        return r;
    struct parquet_session s;
    r = parquet_begin(&s, tb, e);
    if (r)
        return r;
    int64_t start = clock_mono_ns();
    r = write_one(&s, &l, e);
    parquet_end(&s);
    if (r)
        return err_wrap(e, "checkpoint of %s/%s at version %lld", tb->st->url, tb->def->name,
                        (long long)tb->version);
    log_debug("checkpoint", F_STR("table", tb->def->name), F_INT("version", tb->version),
              F_INT("ms", (clock_mono_ns() - start) / 1000000));
    return 0;
}
