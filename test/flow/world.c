/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/world.h"

#include <time.h>
#include <unistd.h>

#include "flow/silver.h"

struct world world_new(int32_t partitions) {
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0); /* nothing here needs a disk, and syncing one takes time */
    struct world w = {.mc = mem_cluster_new(),
                      .st = storage_mem_new(),
                      .db = mem_db_new(),
                      .folder = temp_folder()};
    struct err e;
    char *temp = xasprintf("%s/tmp", w.folder);
    struct engine_options o = {.threads = 1, .memory_bytes = 256 * MIB, .temp_dir = temp};
    assert_ok(engine_open("duckdb", &o, &w.en, &e), &e);
    free(temp);
    if (partitions)
        mem_topic_create(w.mc, TOPIC, partitions);
    return w;
}

void world_free(struct world *w) {
    engine_free(w->en);
    mem_db_free(w->db);
    storage_free(w->st);
    mem_cluster_free(w->mc);
    remove_folder(w->folder);
}

void world_fill(struct world *w, int32_t partition, int n) {
    char text[120];
    for (int i = 0; i < n; i++) {
        snprintf(text, sizeof text,
                 "{\"product_id\":%d,\"category\":\"c\",\"price\":1,\"event_ts\":1771286400}",
                 w->sent++);
        mem_topic_append(w->mc, TOPIC, partition, text);
    }
}

void pause_ms(int ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

/* --- readers --- */

static void on_commit(void *arg, const struct ingest_result *sum) {
    struct reader *rd = arg;
    rd->n_at = MIN(sum->n_positions, ARRAY_LEN(rd->at));
    if (rd->n_at)
        memcpy(rd->at, sum->positions, rd->n_at * sizeof *rd->at);
    atomic_store(&rd->records, sum->records);
    atomic_store(&rd->conflicts, sum->conflicts);
    atomic_store(&rd->drops, sum->drops);
    atomic_store(&rd->commits, sum->commits);
}

void reader_init(struct reader *rd, struct world *w) {
    *rd = (struct reader){.w = w, .mc = w->mc, .app = "t", .st = storage_fault_new(w->st, false)};
    rd->o = (struct ingest_options){.threads = 1,
                                    .batch_rows = 40,
                                    .batch_bytes = MIB,
                                    .batch_age_ms = 20,
                                    .zstd_level = 1,
                                    .once = true,
                                    .timeout_ms = 10000,
                                    .on_commit = on_commit,
                                    .arg = rd};
}

static void *run(void *arg) {
    struct reader *rd = arg;
    struct stream_options so = {
        .topic = TOPIC, .app = rd->app, .partitions = 1, .accept_loss = rd->accept_loss};
    struct stream *s;
    rd->o.app = rd->app;
    rd->r = stream_mem_open(rd->mc, &so, &s, &rd->e);
    if (rd->r == 0)
        rd->r = flow_ingest(s, rd->st, &rd->o, &rd->result, &rd->e);
    stream_free(s);
    atomic_store(&rd->ended, true);
    return NULL;
}

void reader_start(struct reader *rd) {
    atomic_store(&rd->ended, false);
    pthread_create(&rd->thread, NULL, run, rd);
}

int reader_join(struct reader *rd) {
    pthread_join(rd->thread, NULL);
    return rd->r;
}

void reader_release(struct reader *rd) {
    storage_free(rd->st);
}

int run_once(struct world *w, const char *app, bool accept_loss, struct err *e) {
    struct reader rd;
    reader_init(&rd, w);
    rd.app = app;
    rd.accept_loss = accept_loss;
    run(&rd);
    reader_release(&rd);
    if (e)
        *e = rd.e;
    else
        assert_ok(rd.r, &rd.e);
    return rd.r;
}

/* --- what comes after --- */

int64_t world_silver(struct world *w, int64_t batch_rows) {
    struct silver_result res;
    struct err e;
    assert_ok(
        flow_silver(w->st, w->en, &(struct silver_options){.batch_rows = batch_rows}, &res, &e),
        &e);
    return res.events;
}

struct upkeep_result world_upkeep(struct world *w, struct storage *st,
                                  const struct upkeep_options *o) {
    struct upkeep_result done;
    struct err e;
    assert_ok(flow_upkeep(st ? st : w->st, o, &done, &e), &e);
    return done;
}

struct sink *world_sink(struct world *w) {
    struct sink *sk;
    struct err e;
    assert_ok(sink_mem_open(w->db, &(struct sink_options){.timeout_ms = 1000}, &sk, &e), &e);
    return sk;
}

struct table *world_table(struct world *w, const struct table_def *def) {
    struct table *tb;
    struct err e;
    assert_ok(table_open(w->st, def, &tb, &e), &e);
    return tb;
}

/* --- looking at it --- */

int64_t world_position(struct world *w, const char *app, int32_t partition) {
    struct stream_options so = {.topic = TOPIC, .app = app};
    struct stream *s;
    struct err e;
    assert_ok(stream_mem_open(w->mc, &so, &s, &e), &e);
    struct table *tb = world_table(w, &bronze_events);
    char *app_id = xasprintf("%s/%s/%s/%d", app, s->cluster_id, s->topic, partition);
    int64_t at = table_txn(tb, app_id);
    free(app_id);
    table_close(tb);
    stream_free(s);
    return at;
}

static int take_number(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                       struct err *e ATTR_UNUSED) {
    *(int64_t *)arg = strtoll(values[0], NULL, 10);
    return 0;
}

int64_t world_count(struct world *w, const char *sql) {
    struct table *bronze = world_table(w, &bronze_events), *silver = world_table(w, &silver_events);
    const struct engine_input in[] = {
        {bronze_events.view, &bronze_events, table_live(bronze)},
        {silver_events.view, &silver_events, table_live(silver)},
    };
    struct err e;
    int64_t n = -1;
    const struct engine_rows rows = {.row = take_number, .arg = &n};
    assert_ok(engine_query(w->en, w->st, in, ARRAY_LEN(in), sql, false, &rows, &e), &e);
    table_close(bronze);
    table_close(silver);
    return n;
}

struct wanted {
    const char *name;
    char *value;
};

static int find_parameter(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    struct wanted *w = arg;
    const char *value = table_entry_parameter(en, w->name);
    w->value = value ? xstrdup(value) : NULL;
    return 0;
}

char *world_parameter(struct world *w, int64_t version, const char *name) {
    struct table *tb = world_table(w, &bronze_events);
    struct wanted want = {.name = name};
    struct err e;
    assert_ok(table_each_entry(tb, version - 1, version, find_parameter, &want, &e), &e);
    table_close(tb);
    return want.value;
}

void assert_reconciled(struct world *w, const char *says) {
    struct reconcile_result rec = {0};
    struct err e;
    bool ok = true, said = !says;
    struct sink *sk = world_sink(w);
    assert_ok(flow_reconcile(w->st, w->en, sk, NULL, &rec, &e), &e);
    for (size_t i = 0; i < rec.n; i++) {
        if (strncmp(rec.v[i].name, "bronze.", 7) != 0)
            continue;
        if (!rec.v[i].ok)
            print_error("%s: %s\n", rec.v[i].name, rec.v[i].detail);
        ok = ok && rec.v[i].ok;
        if (says && strcmp(rec.v[i].name, "bronze.gaps") == 0) {
            said = strstr(rec.v[i].detail, says) != NULL;
            if (!said)
                print_error("%s\n", rec.v[i].detail);
        }
    }
    assert_true(ok && said);
    reconcile_result_release(&rec);
    sink_free(sk);
}

void assert_partition(struct world *w, int32_t partition, int64_t records) {
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM bronze.events WHERE source_partition = %d",
             partition);
    assert_int_equal(world_count(w, sql), records);
    snprintf(sql, sizeof sql,
             "SELECT count(DISTINCT source_offset) FROM bronze.events WHERE source_partition = %d",
             partition);
    assert_int_equal(world_count(w, sql), records);
}
