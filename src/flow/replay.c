/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/replay.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "engine/models.h"
#include "flow/replay_write.h"
#include "flow/step.h"

enum { MAX_TRIES = 100 }; /* commits of others that came first */

struct replay {
    const struct replay_options *o;
    struct rejects rj;
    struct replay_batch batch;
    struct event_decoder *dec;
    struct buf bytes;    /* of one record */
    struct buf last;     /* position of the last one accepted */
    int64_t done, total; /* for the progress */
    int64_t accepted;
    struct replay_result *sum;
};

/* ---- what is still rejected ------------------------------------------------------------------ */

static struct replay_still *still_of(struct replay_result *sum, const char *reason,
                                     const char *field, size_t field_len) {
    for (size_t i = 0; i < sum->n; i++)
        if (strcmp(sum->v[i].reason, reason) == 0 && strlen(sum->v[i].field) == field_len &&
            strncmp(sum->v[i].field, field, field_len) == 0)
            return &sum->v[i];
    sum->v = xrealloc(sum->v, (sum->n + 1) * sizeof *sum->v);
    sum->v[sum->n] =
        (struct replay_still){.reason = xstrdup(reason), .field = xstrndup(field, field_len)};
    return &sum->v[sum->n++];
}

/* A detail is "field: what was found": so there are a few dozen kinds of them at most. */
static void note_still(struct replay_result *sum, const char *reason, struct text detail,
                       const char *position) {
    const char *colon = detail.p ? memchr(detail.p, ':', detail.len) : NULL;
    size_t len = colon ? (size_t)(colon - detail.p) : 0;
    struct replay_still *s = still_of(sum, reason, detail.p ? detail.p : "", len);
    if (s->n++ == 0) {
        s->first = xstrdup(position);
        s->detail = xstrndup(detail.p ? detail.p : "", detail.len);
    }
    sum->still++;
}

static void forget_still(struct replay_result *sum) {
    for (size_t i = 0; i < sum->n; i++) {
        free(sum->v[i].reason);
        free(sum->v[i].field);
        free(sum->v[i].first);
        free(sum->v[i].detail);
    }
    free(TAKE_PTR(sum->v));
    sum->n = 0;
    sum->still = 0;
}

void replay_result_release(struct replay_result *r) {
    forget_still(r);
    *r = (struct replay_result){0};
}

/* ---- one record ------------------------------------------------------------------------------ */

/* What is asked for, in the order of sql_records. */
enum { POSITION, TOPIC, PARTITION, OFFSET, INDEX, RECEIVED, PROTOCOL, REASON, VALUE };

#define RECORD                                                                                     \
    "SELECT r.position, r.source_topic, r.source_partition, r.source_offset, r.source_index,"      \
    " epoch_us(r.received_at), r.protocol, r.reason, "
#define IN_ORDER                                                                                   \
    " ORDER BY r.ingest_date, r.source_topic, r.source_partition, r.source_offset,"                \
    " r.source_index, r.received_at"

static const char sql_as_they_came[] =
    RECORD "hex(r.bytes) FROM chosen r WHERE NOT r.replayed" IN_ORDER;

static const char sql_mapped[] =
    RECORD "hex(m.value) FROM chosen r JOIN mapping m ON m.source_topic = r.source_topic"
           " AND m.source_partition = r.source_partition AND m.source_offset = r.source_offset"
           " AND m.source_index = r.source_index"
           " WHERE NOT r.replayed AND m.value IS NOT NULL" IN_ORDER;

static int64_t number(const char *text) {
    return text ? strtoll(text, NULL, 10) : 0;
}

/*
 * The record that was accepted last: it was rejected twice, in a topic and in its copy in another
 * cluster; or the mapping, which was looked through, gives something else every time it is run.
 */
static bool is_repeated(struct replay *rp, const char *const *v) {
    struct buf key = BUF_INIT(64 * KIB);
    buf_addf(&key, "%s@%s", v[POSITION], v[RECEIVED]);
    bool same = strcmp(buf_str(&key), buf_str(&rp->last)) == 0;
    buf_take(&rp->last, &key);
    return same;
}

static int accept(struct replay *rp, const char *const *v, const struct event *ev, struct err *e) {
    if (is_repeated(rp, v))
        return 0;
    rp->accepted++;
    if (rp->o->dry_run)
        return 0;
    const struct bronze_source src = {.topic = v[TOPIC],
                                      .partition = (int32_t)number(v[PARTITION]),
                                      .offset = number(v[OFFSET]),
                                      .index = (int32_t)number(v[INDEX]),
                                      .received_us = number(v[RECEIVED]),
                                      .protocol = v[PROTOCOL] ? v[PROTOCOL] : "native",
                                      .raw = buf_str(&rp->bytes),
                                      .raw_len = rp->bytes.len,
                                      .keep_raw = rp->o->keep_raw,
                                      .replayed = v[REASON]};
    return replay_batch_add(&rp->batch, ev, &src, e);
}

static int take_record(void *arg, const char *const *v, size_t n ATTR_UNUSED, struct err *e) {
    static const char gone[] = "raw: its bytes are gone";
    struct replay *rp = arg;
    struct event ev = {0};
    int r = 0;
    buf_reset(&rp->bytes);
    if (v[VALUE]) {
        rejects_unhex(v[VALUE], &rp->bytes);
        event_decode(rp->dec, buf_str(&rp->bytes), rp->bytes.len, number(v[RECEIVED]), &ev);
    }
    if (!v[VALUE])
        note_still(rp->sum, v[REASON], (struct text){gone, sizeof gone - 1}, v[POSITION]);
    else if (ev.reject)
        note_still(rp->sum, reject_name(ev.reject), ev.detail, v[POSITION]);
    else
        r = accept(rp, v, &ev, e);
    event_decoder_reset(rp->dec);
    rp->done++;
    if (rp->o->on_progress)
        rp->o->on_progress(rp->o->arg, rp->done, rp->total);
    return r;
}

static int replay_files(struct replay *rp, const struct rejects *rj, const char *sql,
                        struct err *e) {
    _cleanup_(table_files_release) struct table_files files = {0};
    rejects_files(rj, &files);
    return rejects_ask(rj, &files, sql, &(struct engine_rows){.row = take_record, .arg = rp}, e);
}

/* ---- the mapping ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool is_text;
} wanted[] = {{"source_topic", true},
              {"source_partition", false},
              {"source_offset", false},
              {"source_index", false},
              {"value", true}};

static bool is_integer(const char *type) {
    static const char *const integers[] = {"TINYINT",  "SMALLINT",  "INTEGER",  "BIGINT", "HUGEINT",
                                           "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"};
    for (size_t i = 0; i < ARRAY_LEN(integers); i++)
        if (strcmp(type, integers[i]) == 0)
            return true;
    return false;
}

static int wrong_columns(const struct rejects_mapping *m, const char *name, const char *type,
                         bool is_text, struct err *e) {
    if (type)
        err_set(e, ERR_ENGINE, "rejects: %s: the column %s is of type %s, not %s", m->file, name,
                type, is_text ? "VARCHAR or BLOB" : "an integer");
    else
        err_set(e, ERR_ENGINE, "rejects: %s: the SELECT gives no column %s", m->file, name);
    return err_hint(e, "a mapping gives source_topic, source_partition, source_offset and "
                       "source_index as it finds them in rejects, and value: the repaired record");
}

static int check_header(void *arg, const char *const *names, const char *const *types, size_t n,
                        struct err *e) {
    const struct rejects_mapping *m = arg;
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        size_t at = 0;
        while (at < n && strcasecmp(names[at], wanted[i].name) != 0)
            at++;
        const char *type = at < n ? types[at] : NULL;
        bool text = type && (strcmp(type, "VARCHAR") == 0 ||
                             (strcmp(type, "BLOB") == 0 && strcmp(wanted[i].name, "value") == 0));
        if (!type || !(wanted[i].is_text ? text : is_integer(type)))
            return wrong_columns(m, wanted[i].name, type, wanted[i].is_text, e);
    }
    return 0;
}

#define KEY "source_topic, source_partition, source_offset, source_index"

/* Of the positions that the mapping gives: how many, and how many are wrong in which way. */
enum { GIVEN, UNKNOWN, FIRST_UNKNOWN, TWICE, FIRST_TWICE, UNCLEAR, FIRST_UNCLEAR };

static const char sql_check[] =
    "SELECT count(*), count(*) FILTER (WHERE times IS NULL), min(position) FILTER (WHERE times IS "
    "NULL),"
    " count(*) FILTER (WHERE n > 1), min(position) FILTER (WHERE n > 1),"
    " count(*) FILTER (WHERE times > 1), min(position) FILTER (WHERE times > 1) FROM"
    " (SELECT n, times, concat_ws('/', " KEY ") AS position FROM"
    " (SELECT " KEY ", count(*) AS n FROM mapping GROUP BY ALL) given LEFT JOIN"
    " (SELECT " KEY ", count(DISTINCT received_at) AS times FROM chosen GROUP BY ALL) known"
    " USING (" KEY "))";

static int check_positions(void *arg, const char *const *v, size_t n ATTR_UNUSED, struct err *e) {
    struct replay *rp = arg;
    const char *file = rp->rj.mapping->file;
    rp->total = number(v[GIVEN]);
    if (number(v[UNKNOWN]))
        err_set(e, ERR_ENGINE,
                "rejects: %s: %s of the %s positions it gives are none of a record that was "
                "rejected, or that was chosen, first: %s",
                file, v[UNKNOWN], v[GIVEN], v[FIRST_UNKNOWN]);
    else if (number(v[TWICE]))
        err_set(e, ERR_ENGINE, "rejects: %s: it gives %s positions more than once, first: %s", file,
                v[TWICE], v[FIRST_TWICE]);
    else if (number(v[UNCLEAR]))
        err_set(e, ERR_ENGINE,
                "rejects: %s: at %s of its positions several records were rejected, of topics of "
                "the same name in two clusters, first: %s",
                file, v[UNCLEAR], v[FIRST_UNCLEAR]);
    else
        return 0;
    return err_hint(e, "nothing was replayed; SELECT the positions FROM rejects, each once");
}

/* Before anything is committed. */
static int check_mapping(struct replay *rp, struct err *e) {
    _cleanup_(table_files_release) struct table_files files = {0};
    rejects_files(&rp->rj, &files);
    const struct engine_rows columns = {.header = check_header,
                                        .arg = (void *)(uintptr_t)rp->rj.mapping};
    int r = rejects_ask(&rp->rj, &files, "SELECT * FROM mapping", &columns, e);
    if (r == 0)
        r = rejects_ask(&rp->rj, &files, sql_check,
                        &(struct engine_rows){.row = check_positions, .arg = rp}, e);
    return r;
}

/* ---- all of it ------------------------------------------------------------------------------- */

struct days {
    int32_t *v;
    size_t n;
    int64_t records;
};

static int take_day(void *arg, const char *const *v, size_t n ATTR_UNUSED,
                    struct err *e ATTR_UNUSED) {
    struct days *d = arg;
    d->v = xrealloc(d->v, (d->n + 1) * sizeof *d->v);
    d->v[d->n++] = (int32_t)number(v[0]);
    d->records += number(v[1]);
    return 0;
}

/* One day after the other: a day's rows, and those replayed of them, stand in the day's files. */
static int replay_days(struct replay *rp, struct err *e) {
    _cleanup_(table_files_release) struct table_files files = {0};
    struct days d = {0};
    rejects_files(&rp->rj, &files);
    int r = rejects_ask(&rp->rj, &files,
                        "SELECT ingest_date - DATE '1970-01-01', count(*) FROM chosen"
                        " WHERE NOT replayed GROUP BY 1 ORDER BY 1",
                        &(struct engine_rows){.row = take_day, .arg = &d}, e);
    rp->total = d.records;
    for (size_t i = 0; r == 0 && i < d.n; i++) {
        struct rejects day = rp->rj;
        day.filter.from = day.filter.to = d.v[i];
        r = replay_files(rp, &day, sql_as_they_came, e);
    }
    free(d.v);
    return r;
}

static int replay_once(struct replay *rp, struct err *e) {
    replay_batch_begin(&rp->batch);
    int r = rp->rj.mapping ? check_mapping(rp, e) : 0;
    if (r == 0)
        r = rp->rj.mapping ? replay_files(rp, &rp->rj, sql_mapped, e) : replay_days(rp, e);
    return r == 0 ? replay_batch_commit(&rp->batch, e) : r;
}

/* Of two replays at once the one that comes second chooses anew: what is replayed is left out then. */
static int replay_until_settled(struct replay *rp, struct err *e) {
    for (int tries = 1;; tries++) {
        int r = replay_once(rp, e);
        replay_batch_drop(&rp->batch);
        if (r != ERR_CONFLICT)
            return r;
        if (tries == MAX_TRIES) {
            err_recode(e, ERR_STORAGE);
            return err_retry(e);
        }
        log_info("another process was faster: the rejects are chosen anew", F_STR("why", e->msg));
        r = table_refresh(rp->rj.bronze, e);
        if (r < 0)
            return r;
        forget_still(rp->sum);
        buf_reset(&rp->last);
        rp->done = 0;
        rp->accepted = rp->batch.committed;
    }
}

int flow_replay(struct storage *st, struct engine *en, const struct replay_options *o,
                struct replay_result *ret, struct err *e) {
    struct replay_result sum = {0};
    struct replay rp = {.o = o,
                        .rj = {.st = st, .en = en, .filter = o->filter, .mapping = o->mapping},
                        .bytes = BUF_INIT(LIMIT_SQL),
                        .last = BUF_INIT(64 * KIB),
                        .sum = &sum};
    int r = table_open(st, &bronze_events, &rp.rj.bronze, e);
    if (r < 0)
        return step_settle("rejects", r, e);
    r = table_check_writable(rp.rj.bronze, e);
    if (r == 0 && table_version(rp.rj.bronze) >= 0) {
        rp.dec = event_decoder_new();
        replay_batch_init(&rp.batch, st, rp.rj.bronze, o);
        r = replay_until_settled(&rp, e);
        sum.replayed = o->dry_run ? rp.accepted : rp.batch.committed;
        sum.commits = rp.batch.commits;
        replay_batch_release(&rp.batch);
        event_decoder_free(rp.dec);
    }
    buf_release(&rp.bytes);
    buf_release(&rp.last);
    table_close(rp.rj.bronze);
    *ret = sum;
    return step_settle("rejects", r, e);
}
