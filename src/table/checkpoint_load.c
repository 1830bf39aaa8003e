/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint -> the table in memory. */
#include "table/checkpoint.h"

char *checkpoint_path(const struct table_def *def, int64_t version, int64_t part, int64_t parts) {
    if (parts == 1)
        return xasprintf("%s/_delta_log/%020lld.checkpoint.parquet", def->name, (long long)version);
    return xasprintf("%s/_delta_log/%020lld.checkpoint.%010lld.%010lld.parquet", def->name,
                     (long long)version, (long long)part, (long long)parts);
}

int checkpoint_add_files(struct parquet_session *s, const struct log_listing *l, struct buf *sql,
                         struct err *e) {
    buf_add_char(sql, '[');
    for (int64_t i = 1; i <= l->parts; i++) {
        _cleanup_(freep) char *path = checkpoint_path(s->tb->def, l->checkpoint, i, l->parts);
        if (i > 1)
            buf_add_str(sql, ", ");
        int r = parquet_add_local(s, path, sql, e);
        if (r)
            return r;
    }
    buf_add_char(sql, ']');
    return 0;
}

struct loader {
    struct table *tb;
    struct log_entry en;
    struct buf text; /* the few actions that are no files, as lines of an entry */
};

static int take_line(void *arg, const char *const *v, size_t n ATTR_UNUSED, struct err *e) {
    struct loader *ld = arg;
    buf_addf(&ld->text, "%s\n", v[0]);
    return ld->text.overflow ? err_set(e, ERR_STORAGE, "too many actions that are no files") : 0;
}

/* path, partition, size, modificationTime, stats, has a deletion vector */
static int take_add(void *arg, const char *const *v, size_t n ATTR_UNUSED, struct err *e) {
    struct loader *ld = arg;
    struct log_file_text t = {.path = v[0],
                              .partition = v[1],
                              .stats = v[4],
                              .size = v[2] ? strtoll(v[2], NULL, 10) : -1,
                              .mtime_ms = v[3] ? strtoll(v[3], NULL, 10) : 0,
                              .has_vector = *v[5] == 't'};
    return t.path ? log_files_add(&ld->en.add, "add", &t, e)
                  : err_set(e, ERR_STORAGE, "add without a path");
}

/* The protocol, metaData and txn rows, by way of the parser of entries: the same checks. */
static int load_rules(struct parquet_session *s, const char *files, struct loader *ld,
                      int64_t version, struct err *e) {
    _cleanup_(freep) char *sql = xasprintf(
        "SELECT CASE WHEN protocol IS NOT NULL THEN '{\"protocol\":' || to_json(protocol) || '}'"
        " WHEN \"metaData\" IS NOT NULL THEN '{\"metaData\":' || to_json(\"metaData\") || '}'"
        " ELSE '{\"txn\":' || to_json(txn) || '}' END FROM read_parquet(%s)"
        " WHERE protocol IS NOT NULL OR \"metaData\" IS NOT NULL OR txn IS NOT NULL",
        files);
    int r = parquet_query(s, sql, take_line, ld, e);
    return r ? r
             : log_entry_parse(s->tb->def, version, buf_str(&ld->text), ld->text.len, &ld->en, e);
}

static int note_column(void *arg, const char *const *v, size_t n ATTR_UNUSED,
                       struct err *e ATTR_UNUSED) {
    *(bool *)arg = strcmp(v[0], "0") != 0;
    return 0;
}

/* Other writers' checkpoints may lack the statistics as text, or have deletion vectors. */
static int has_column(struct parquet_session *s, const char *files, const char *name, bool *ret,
                      struct err *e) {
    _cleanup_(freep) char *sql =
        xasprintf("SELECT count(*) FROM parquet_schema(%s) WHERE name = '%s'", files, name);
    return parquet_query(s, sql, note_column, ret, e);
}

/* Of the statistics only the row count is wanted, which stands at their beginning with most writers. */
#define STATS_BEGINNING                                                                            \
    "CASE WHEN starts_with(\"add\".stats, '{\"numRecords\":') THEN left(\"add\".stats, 40)"        \
    " ELSE \"add\".stats END"

static int load_adds(struct parquet_session *s, const char *files, struct loader *ld,
                     struct err *e) {
    bool stats = false, vectors = false;
    int r = has_column(s, files, "stats", &stats, e);
    if (r == 0)
        r = has_column(s, files, "deletionVector", &vectors, e);
    if (r)
        return r;
    _cleanup_(freep) char *sql = xasprintf(
        "SELECT \"add\".path, \"add\".\"partitionValues\"['%s'], \"add\".size,"
        " \"add\".\"modificationTime\", %s, %s FROM read_parquet(%s) WHERE \"add\" IS NOT NULL",
        s->tb->def->partition_by,
        !stats               ? "NULL::VARCHAR"
        : s->tb->keeps_stats ? "\"add\".stats"
                             : STATS_BEGINNING,
        vectors ? "\"add\".\"deletionVector\" IS NOT NULL" : "FALSE", files);
    return parquet_query(s, sql, take_add, ld, e);
}

int checkpoint_load(struct table *tb, const struct log_listing *l, struct err *e) {
    struct parquet_session s;
    int r = parquet_begin(&s, tb, e);
    if (r)
        return r;
    struct buf files = BUF_INIT(LIMIT_SQL);
    struct loader ld = {.tb = tb, .text = BUF_INIT(LIMIT_LOG_ENTRY)};
    r = checkpoint_add_files(&s, l, &files, e);
    if (r == 0)
        r = load_rules(&s, buf_str(&files), &ld, l->checkpoint, e);
    if (r == 0)
        r = load_adds(&s, buf_str(&files), &ld, e);
    if (r == 0)
        r = snapshot_start(tb, &ld.en, e);
    if (r && r != ERR_STOPPED) {
        _cleanup_(freep) char *path = checkpoint_path(tb->def, l->checkpoint, 1, l->parts);
        err_wrap(e, "%s/%s", tb->st->url, path);
        err_hint(e,
                 "bring the checkpoint or the entries before it back from a copy; or " TABLE_ANEW);
    }
    log_entry_release(&ld.en);
    buf_release(&ld.text);
    buf_release(&files);
    parquet_end(&s);
    return r;
}
