/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/status.h"

#include "flow/ingest.h"
#include "flow/lake.h"

static int stream_status(struct stream *s, const char *app, struct table *bronze,
                         struct status *ret, struct err *e) {
    struct bounds *v = NULL;
    size_t n = 0;
    int r = stream_bounds(s, &v, &n, e);
    if (r < 0)
        return r;
    ret->partitions = xcalloc(MAX(n, 1), sizeof *ret->partitions);
    ret->n_partitions = n;
    for (size_t i = 0; i < n; i++) {
        char *app_id = ingest_app_id(app, s, v[i].partition);
        int64_t at = table_txn(bronze, app_id);
        free(app_id);
        ret->partitions[i] = (struct partition_status){v[i].partition, MAX(at, 0), v[i].end};
        ret->lag += MAX(v[i].end - MAX(at, 0), 0);
    }
    free(v);
    return 0;
}

static int note_time(void *arg, const struct table_entry *en, struct err *e) {
    (void)e;
    *(int64_t *)arg = en->timestamp_ms;
    return 0;
}

static int layer_status(struct table *tb, struct layer_status *ret, struct err *e) {
    int64_t version = table_version(tb);
    *ret = (struct layer_status){.table = table_definition(tb)->view, .version = version};
    const struct table_files *live = table_live(tb);
    ret->files = (int64_t)live->n;
    for (size_t i = 0; i < live->n; i++) {
        ret->rows += MAX(live->v[i].rows, 0);
        ret->bytes += live->v[i].size;
    }
    return version < 0
               ? 0
               : table_each_entry(tb, version - 1, version, note_time, &ret->committed_ms, e);
}

static int64_t behind(struct table *upper, const char *step, struct table *lower) {
    if (!table_id(lower))
        return 0;
    char *app_id = xasprintf("%s/%s", step, table_id(lower));
    int64_t at = table_txn(upper, app_id);
    free(app_id);
    return table_version(lower) - at;
}

static int totals(struct lake *l, struct status *ret, struct err *e) {
    int64_t to_bronze = table_version(l->bronze), to_silver = table_version(l->silver);
    int r = lake_sum_metric(l->bronze, "events", to_bronze, &ret->events, e);
    if (r == 0)
        r = lake_sum_metric(l->bronze, "rejected", to_bronze, &ret->rejected, e);
    if (r == 0)
        r = lake_sum_metric(l->silver, "duplicates", to_silver, &ret->duplicates, e);
    if (r == 0)
        r = lake_sum_metric(l->silver, "conflicts", to_silver, &ret->conflicts, e);
    return r;
}

static int sink_status(struct sink *sk, struct table *gold, struct status *ret, struct err *e) {
    struct sink_watermark mark;
    int r = sink_peek(sk, &sink_clickstream_metrics, &mark, e);
    if (r < 0)
        return r;
    ret->sink_version = mark.version;
    bool same = table_id(gold) && strcmp(mark.table_id, table_id(gold)) == 0;
    ret->sink_is_current = table_version(gold) < 0 || (same && mark.version >= table_version(gold));
    return 0;
}

int flow_status(struct stream *s, const char *app, struct storage *st, struct sink *sk,
                struct status *ret, struct err *e) {
    struct status out = {.sink_version = -1};
    struct lake l;
    int r = lake_open(&l, st, NULL, e);
    if (r < 0)
        return r;
    if (s)
        r = stream_status(s, app, l.bronze, &out, e);
    struct table *tables[] = {l.bronze, l.silver, l.gold};
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(tables); i++)
        r = layer_status(tables[i], &out.layers[i], e);
    out.layers[1].behind = behind(l.silver, "silver", l.bronze);
    out.layers[2].behind = behind(l.gold, "gold", l.silver);
    if (r == 0)
        r = totals(&l, &out, e);
    if (r == 0 && sk)
        r = sink_status(sk, l.gold, &out, e);
    lake_close(&l);
    if (r < 0)
        status_release(&out);
    else
        *ret = out;
    return r;
}

void status_release(struct status *s) {
    free(s->partitions);
    *s = (struct status){0};
}
