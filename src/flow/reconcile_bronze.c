/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second part of reconcile: what the commits of bronze say they read, against each other and
 * against the rows. Rows carry topic, partition and offset, but neither app nor cluster: where two
 * sources feed one table with the same topic, each is counted over the files of its own commits.
 */
#include "flow/accounts.h"
#include "flow/reconcile_priv.h"

/* What the rows of one partition add up to. */
enum { TOPIC, PARTITION, ROWS, RECORDS, OFFSETS, ONCE, LOW, HIGH, COLUMNS };

static const char sql_partitions[] =
    "SELECT source_topic, source_partition, count(*), count(*) FILTER (WHERE source_index = 0),"
    " count(DISTINCT source_offset), count(DISTINCT (source_offset, source_index)),"
    " min(source_offset), max(source_offset) FROM bronze.events"
    " WHERE NOT " RECONCILE_IS_REPLAYED " GROUP BY ALL ORDER BY ALL";

/*
 * Replayed rows (replay.h), each alone at the position of a rejected one: how many, at how many
 * positions, and the first that is not so.
 */
static const char sql_replayed[] =
    "SELECT sum(replayed), count(*) FILTER (WHERE replayed > 0),"
    " min(position) FILTER (WHERE replayed > 1 OR (replayed > 0 AND rejected = 0)) FROM"
    " (SELECT concat_ws('/', source_topic, source_partition, source_offset, source_index)"
    " AS position, count(*) FILTER (WHERE " RECONCILE_IS_REPLAYED ") AS replayed,"
    " count(*) FILTER (WHERE " RECONCILE_IS_REJECT ") AS rejected FROM bronze.events"
    " WHERE " RECONCILE_IS_REJECT " OR reject_detail IS NOT NULL"
    " GROUP BY source_topic, source_partition, source_offset, source_index, received_at)";

struct counting {
    struct accounts *a;
    bool one_source; /* only the rows of this source are looked at */
    size_t source;
    int64_t rows, once, records;
    char *differs; /* the first difference; NULL: none */
    char *topic;   /* of the partition where that is */
    int32_t partition;
    const char *account; /* the one source's that it is of; NULL: none's, or several' */
};

static void differs(struct counting *c, const char *topic, int64_t partition,
                    const struct account *acc, char *why) {
    if (c->differs) {
        free(why);
        return;
    }
    c->differs = why;
    c->topic = xstrdup(topic);
    c->partition = (int32_t)partition;
    c->account = acc ? c->a->sources[acc->source].name : NULL;
}

static int64_t number(const char *text) {
    return text ? strtoll(text, NULL, 10) : -1;
}

/* The accounts a row of the result belongs to: those of one topic and partition. */
static bool belongs(const struct counting *c, const struct account *acc, const char *topic,
                    int64_t partition) {
    return acc->partition == partition && (!c->one_source || acc->source == c->source) &&
           strcmp(c->a->sources[acc->source].topic, topic) == 0;
}

static void compare(struct counting *c, const char *const *v, const struct account *acc, size_t n,
                    int64_t read) {
    const char *topic = v[TOPIC] ? v[TOPIC] : "", *partition = v[PARTITION] ? v[PARTITION] : "";
    int64_t records = number(v[RECORDS]), offsets = number(v[OFFSETS]);
    char *why = NULL;
    if (n == 0)
        why = xasprintf("topic %s partition %s: %s rows that no commit accounts for", topic,
                        partition, v[ROWS]);
    else if (records != read || (n == 1 && offsets != read))
        why = xasprintf("topic %s partition %s: records read %lld, records there %lld with %lld "
                        "offsets",
                        topic, partition, (long long)read, (long long)records, (long long)offsets);
    else if (n == 1 && (number(v[LOW]) < acc->first || number(v[HIGH]) >= acc->to))
        why = xasprintf("topic %s partition %s: offsets %s to %s are there, %lld to %lld were read",
                        topic, partition, v[LOW], v[HIGH], (long long)acc->first,
                        (long long)acc->to - 1);
    if (why)
        differs(c, topic, number(v[PARTITION]), n == 1 ? acc : NULL, why);
}

static int count_partition(void *arg, const char *const *v, size_t n_values,
                           struct err *e ATTR_UNUSED) {
    struct counting *c = arg;
    struct account *last = NULL;
    size_t n = 0;
    int64_t read = 0;
    (void)n_values;
    for (size_t i = 0; i < c->a->n; i++)
        if (belongs(c, &c->a->v[i], v[TOPIC] ? v[TOPIC] : "", number(v[PARTITION]))) {
            last = &c->a->v[i];
            last->seen = true;
            read += account_records(last);
            n++;
        }
    compare(c, v, last, n, read);
    c->records += number(v[RECORDS]);
    c->rows += number(v[ROWS]);
    c->once += n > 1 ? number(v[ROWS]) : number(v[ONCE]); /* several sources: offsets meet */
    return 0;
}

static int count_files(struct reconcile *rc, struct counting *c, const struct table_files *files,
                       struct err *e) {
    return lake_query_bronze(&rc->lake, files, sql_partitions,
                             &(struct engine_rows){.row = count_partition, .arg = c}, e);
}

static bool topics_are_apart(const struct accounts *a) {
    for (size_t i = 0; i < a->n_sources; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(a->sources[i].topic, a->sources[k].topic) == 0)
                return false;
    return true;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct table_file *)a)->path, ((const struct table_file *)b)->path);
}

/* The live files that the source's commits added. */
static void live_of(const struct source *s, const struct table_files *live,
                    struct table_files *ret) {
    if (s->files.n)
        qsort(s->files.v, s->files.n, sizeof *s->files.v, by_path);
    for (size_t i = 0; i < live->n && s->files.n; i++)
        if (bsearch(&live->v[i], s->files.v, s->files.n, sizeof *s->files.v, by_path))
            table_file_copy(table_files_add(ret), &live->v[i]);
}

/* One by one, if every live file is somebody's (compaction would mix them): else all together. */
static int count_rows(struct reconcile *rc, struct counting *c, struct err *e) {
    const struct table_files *live = table_live(rc->lake.bronze);
    size_t n = topics_are_apart(c->a) ? 0 : c->a->n_sources, found = 0;
    struct table_files *of = xcalloc(MAX(n, 1), sizeof *of);
    for (size_t i = 0; i < n; i++) {
        live_of(&c->a->sources[i], live, &of[i]);
        found += of[i].n;
    }
    bool apart = n > 0 && found == live->n;
    int r = apart ? 0 : count_files(rc, c, live, e);
    c->one_source = apart;
    for (size_t i = 0; i < n && apart && r == 0; i++) {
        c->source = i;
        r = of[i].n ? count_files(rc, c, &of[i], e) : 0;
    }
    for (size_t i = 0; i < n; i++)
        table_files_release(&of[i]);
    free(of);
    return r;
}

/* Partitions of which something was read and nothing is there. */
static void find_missing(struct counting *c) {
    for (size_t i = 0; i < c->a->n; i++) {
        const struct account *acc = &c->a->v[i];
        const struct source *s = &c->a->sources[acc->source];
        if (account_records(acc) > 0 && !acc->seen)
            differs(c, s->topic, acc->partition, acc,
                    xasprintf("%s partition %d: records read %lld, none there", s->name,
                              acc->partition, (long long)account_records(acc)));
    }
}

static int check_records(struct reconcile *rc, struct counting *c, struct err *e) {
    struct reconcile_place first = {0};
    int r = 0;
    if (!c->differs) {
        reconcile_equal(rc, "bronze.records", "records read", c->a->records, "records there",
                        c->records);
        return 0;
    }
    if (c->account)
        r = reconcile_first_offset(rc, c->account, c->topic, c->partition, &first, e);
    if (r == ERR_CHECK) { /* the notes make no sense: bronze.gaps says so */
        err_clear(e);
        r = 0;
    }
    if (r == 0)
        reconcile_differs(rc, "bronze.records", TAKE_PTR(first.at),
                          xasprintf("%s%s%s", c->differs, first.what ? "; first: " : "",
                                    first.what ? first.what : ""));
    reconcile_place_release(&first);
    return r;
}

#define POSITION "source_topic, source_partition, source_offset, source_index"

static int check_once(struct reconcile *rc, const struct counting *c, struct err *e) {
    struct reconcile_place first = {0};
    if (c->rows == c->once) {
        reconcile_equal(rc, "bronze.once", "rows", c->rows, "positions", c->once);
        return 0;
    }
    int r = reconcile_first(rc,
                            "SELECT place, place || ' is there ' || copies || ' times' FROM (SELECT"
                            " concat_ws('/', " POSITION ") AS place, count(*) AS copies FROM"
                            " bronze.events WHERE NOT " RECONCILE_IS_REPLAYED " GROUP BY " POSITION
                            " HAVING count(*) > 1 ORDER BY " POSITION " LIMIT 1)",
                            &first, e);
    if (r == 0)
        reconcile_differs(rc, "bronze.once", TAKE_PTR(first.at),
                          xasprintf("rows %lld, positions %lld%s%s", (long long)c->rows,
                                    (long long)c->once, first.what ? ", first: " : "",
                                    first.what ? first.what : ""));
    reconcile_place_release(&first);
    return r;
}

/* marked: rows that say of themselves that they were replayed. */
static int check_replayed(struct reconcile *rc, const struct accounts *a, int64_t marked,
                          struct err *e) {
    char *v[3];
    if (a->replayed == 0 && marked == 0) {
        reconcile_check(rc, "bronze.replayed", true, xstrdup("none"));
        return 0;
    }
    int r = lake_one_row(&rc->lake, sql_replayed, v, ARRAY_LEN(v), e);
    if (r < 0)
        return r;
    int64_t rows = v[0] ? number(v[0]) : 0;
    char *detail = xasprintf("replayed by commits %lld, rows there %lld at %s positions%s%s",
                             (long long)a->replayed, (long long)rows, v[1],
                             v[2] ? ", the first wrong one: " : "", v[2] ? v[2] : "");
    if (rows == a->replayed && rows == number(v[1]) && !v[2])
        reconcile_check(rc, "bronze.replayed", true, detail);
    else
        reconcile_differs(rc, "bronze.replayed", TAKE_PTR(v[2]), detail);
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        free(v[i]);
    return 0;
}

static int check_rows(struct reconcile *rc, struct accounts *a, struct err *e) {
    static const char sql[] =
        "SELECT count(*), count(*) FILTER (WHERE " RECONCILE_IS_REJECT
        "), count(*) FILTER (WHERE " RECONCILE_IS_REPLAYED ") FROM bronze.events";
    int64_t data[3];
    struct counting c = {.a = a};
    int r = count_rows(rc, &c, e);
    if (r == 0)
        r = lake_counts(&rc->lake, sql, data, ARRAY_LEN(data), e);
    if (r == 0) {
        find_missing(&c);
        r = check_records(rc, &c, e);
    }
    if (r == 0) {
        reconcile_equal(rc, "bronze.events", "rows committed", a->events, "rows there", data[0]);
        reconcile_equal(rc, "bronze.rejected", "rejects committed", a->rejected, "rejects there",
                        data[1]);
        r = check_once(rc, &c, e);
    }
    free(c.differs);
    free(c.topic);
    return r < 0 ? r : check_replayed(rc, a, data[2], e);
}

/* That the ranges of the commits tile, and what is in them besides records. */
static void check_gaps(struct reconcile *rc, struct accounts *a) {
    int64_t skipped = 0;
    for (size_t i = 0; i < a->n; i++) {
        skipped += a->v[i].skipped;
        if (!a->broken && a->v[i].skipped < 0)
            a->broken = xasprintf("%s partition %d: more records and losses than offsets",
                                  a->sources[a->v[i].source].name, a->v[i].partition);
    }
    bool ok = !a->broken;
    reconcile_check(rc, "bronze.gaps", ok,
                    ok ? xasprintf("offsets of %zu partitions without a gap: records %lld, passed "
                                   "over %lld, accepted as lost %lld",
                                   a->n, (long long)a->records, (long long)skipped,
                                   (long long)a->lost)
                       : TAKE_PTR(a->broken));
}

int reconcile_bronze(struct reconcile *rc, struct err *e) {
    struct accounts a = {0};
    int r = accounts_audit(rc->lake.bronze, &a, e);
    if (r < 0)
        return r;
    check_gaps(rc, &a); /* first: what follows from it is then no riddle */
    if (!rc->lake.no_bronze)
        r = check_rows(rc, &a, e);
    accounts_release(&a);
    return r;
}
