/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/status.h"

#include "base/clock.h"
#include "base/json.h"
#include "flow/accounts.h"
#include "flow/lake.h"

static int stream_status(struct stream *s, const char *app, struct table *bronze,
                         struct status *ret, struct err *e) {
    struct lag_memory m = {0};
    int r = lag_look(&m, s, app, bronze, &ret->partitions, &ret->n_partitions, e);
    lag_memory_release(&m);
    ret->lag = lag_total(ret->partitions, ret->n_partitions);
    return r;
}

static int note_time(void *arg, const struct table_entry *en, struct err *e) {
    (void)e;
    *(int64_t *)arg = en->timestamp_ms;
    return 0;
}

static int layer_status(struct table *tb, struct layer_status *ret, struct err *e) {
    int64_t version = table_version(tb);
    *ret = (struct layer_status){
        .table = xstrdup(table_definition(tb)->view), .version = version, .sink_version = -1};
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

/* The newest received_at of a file, ms since 1970; 0: its statistics do not say. */
static int64_t newest_in(const struct table_file *f) {
    struct err ignored;
    _cleanup_(json_freep) struct json_doc *d =
        f->stats ? json_parse(f->stats, strlen(f->stats), ERR_STORAGE, &ignored) : NULL;
    const char *text =
        d ? json_str(json_get(json_get(json_root(d), "maxValues"), "received_at")) : NULL;
    int64_t us;
    return text && time_parse(text, &us) ? us / 1000 : 0;
}

static int note_newest(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    int64_t *newest = arg;
    for (size_t i = 0; i < en->add.n; i++)
        *newest = MAX(*newest, newest_in(&en->add.v[i]));
    return 0;
}

/*
 * The newest record stands in one of the newest commits, whoever of several writers made it. A
 * producer's clock may run far ahead: such times say nothing of how late we are.
 */
static int newest(struct table *bronze, struct status *ret, struct err *e) {
    enum { COMMITS = 16 };
    int64_t to = table_version(bronze), now = clock_now_us() / 1000;
    for (int64_t v = to; v >= 0 && v > to - COMMITS; v--) {
        int64_t found = 0;
        int r = table_each_entry(bronze, v - 1, v, note_newest, &found, e);
        if (r == ERR_NOT_FOUND)
            break; /* cleaned away */
        if (r < 0)
            return r;
        if (found <= now + LIMIT_FUTURE_US / 1000)
            ret->newest_ms = MAX(ret->newest_ms, found);
    }
    double age = (double)(now - ret->newest_ms) / 1000;
    ret->age_seconds = ret->newest_ms ? MAX(age, 0) : -1;
    return 0;
}

static int totals(struct lake *l, struct status *ret, struct err *e) {
    struct accounts a = {0};
    int r = accounts_read(l->bronze, &a, e);
    if (r < 0)
        return r;
    ret->events = a.events;
    ret->rejected = a.rejected;
    ret->replayed = a.replayed;
    ret->lost = a.lost;
    accounts_release(&a);
    struct silver_account s = {0};
    r = silver_account_read(l->silver, &s, e);
    ret->duplicates = s.duplicates;
    ret->conflicts = s.conflicts;
    free(s.broken);
    return r;
}

/* A table of the sink has a name; its columns are not asked for. */
static int sink_status(struct sink *sk, const struct lake_gold *g, struct layer_status *ret,
                       struct err *e) {
    const struct sink_table t = {.name = g->model->name};
    struct sink_watermark mark;
    int r = sink_peek(sk, &t, &mark, e);
    if (r < 0)
        return r;
    ret->sink_version = mark.version;
    bool same = table_id(g->tb) && strcmp(mark.table_id, table_id(g->tb)) == 0;
    ret->sink_is_current = ret->version < 0 || (same && mark.version >= ret->version);
    return 0;
}

static int gold_status(struct lake *l, size_t i, struct sink *sk, struct layer_status *ret,
                       struct err *e) {
    const struct lake_gold *g = &l->gold[i];
    int r = layer_status(g->tb, ret, e);
    ret->is_gold = true;
    ret->has_model = g->model != NULL;
    if (!g->model)
        return r;
    ret->behind = behind(g->tb, "gold", l->silver);
    if (g->model->wrong.code < 0)
        ret->problem = xstrdup(g->model->wrong.msg);
    return r == 0 && sk ? sink_status(sk, g, ret, e) : r;
}

static int layers(struct lake *l, struct sink *sk, struct status *ret, struct err *e) {
    ret->n_layers = lake_tables(l);
    ret->layers = xcalloc(ret->n_layers, sizeof *ret->layers);
    int r = layer_status(l->bronze, &ret->layers[0], e);
    if (r == 0)
        r = layer_status(l->silver, &ret->layers[1], e);
    ret->layers[1].behind = behind(l->silver, "silver", l->bronze);
    for (size_t i = 0; r == 0 && i < l->n_gold; i++)
        r = gold_status(l, i, sk, &ret->layers[2 + i], e);
    if (r < 0 || !sk)
        return r;
    ret->sink_version = ret->layers[2].sink_version;
    ret->sink_is_current = true;
    for (size_t i = 2; i < ret->n_layers; i++)
        ret->sink_is_current =
            ret->sink_is_current && (!ret->layers[i].has_model || ret->layers[i].sink_is_current);
    return 0;
}

static void refused(const struct models *ms, struct status *ret) {
    ret->refused = xcalloc(ms->n_refused + 1, sizeof *ret->refused);
    for (size_t i = 0; i < ms->n_refused; i++)
        ret->refused[ret->n_refused++] = xstrdup(ms->refused[i].msg);
}

int flow_status(struct stream *s, struct storage *st, struct sink *sk,
                const struct status_options *o, struct status *ret, struct err *e) {
    struct status out = {.sink_version = -1};
    struct lake l;
    int r = lake_open(&l, st, NULL, o->models_dir, e);
    if (r < 0)
        return r;
    if (s)
        r = stream_status(s, o->app, l.bronze, &out, e);
    if (r == 0)
        r = layers(&l, sk, &out, e);
    if (r == 0)
        r = newest(l.bronze, &out, e);
    if (r == 0)
        r = totals(&l, &out, e);
    if (r == 0 && o->check_history)
        r = check_history_read(o->check_history, &out.checks, e);
    refused(&l.defs.models, &out);
    lake_close(&l);
    if (r < 0)
        status_release(&out);
    else
        *ret = out;
    return r;
}

void status_release(struct status *s) {
    free(s->partitions);
    for (size_t i = 0; i < s->n_layers; i++) {
        free(s->layers[i].table);
        free(s->layers[i].problem);
    }
    free(s->layers);
    for (size_t i = 0; i < s->n_refused; i++)
        free(s->refused[i]);
    free(s->refused);
    check_kept_release(&s->checks);
    *s = (struct status){0};
}
