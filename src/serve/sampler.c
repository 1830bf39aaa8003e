/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/sampler.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "flow/lag.h"
#include "flow/lake.h"
#include "table/table.h"

enum { BRONZE, SILVER, TABLES = 128, STOP_S = 5 }; /* TABLES: what is beyond is not shown */

/* The newest received_at in a table, up to one of its versions. */
struct newest {
    int64_t version; /* -1: none looked at */
    int64_t us;      /* 0: unknown */
};

struct sampler {
    struct sampler_options o;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    /* the thread's own */
    struct stream *s;
    struct storage *st;
    struct table_def defs[TABLES]; /* names are the sampler's own */
    struct table *tb[TABLES];
    bool fed[TABLES]; /* by a step; not where the model is gone */
    struct lag_memory lag;
    int64_t shown[TABLES];        /* version whose size is in the metrics */
    struct newest newest[TABLES]; /* of gold: of the silver it is made from */
    bool told;
    char **aside; /* the names of tables that are done without, as told */
    size_t n_aside;
    /* thread -> scrape */
    atomic_int n; /* tables that are open, bronze first: they only become more */
    atomic_llong committed_ms[TABLES], data_us[TABLES];
};

static void set(struct sampler *sa, enum meter id, const char *label, int64_t value) {
    metric_set(metrics_get(sa->o.m, id, label, NULL), (double)value);
}

/* ---- the partitions ---- */

/* Below zero: unknown, and then not shown. */
static void set_known(struct sampler *sa, enum meter id, const char *label, double value) {
    if (value < 0)
        metrics_drop(sa->o.m, id, label, NULL);
    else
        metric_set(metrics_get(sa->o.m, id, label, NULL), value);
}

static void show_partition(struct sampler *sa, const struct lag *l) {
    char number[METRIC_NUMBER];
    metric_number(l->partition, number);
    set(sa, M_PARTITION_BEGIN, number, l->begin);
    set(sa, M_PARTITION_END, number, l->end);
    set(sa, M_PARTITION_COMMITTED, number, MAX(l->position, 0));
    set(sa, M_PARTITION_LAG, number, l->offsets);
    set_known(sa, M_PARTITION_LAG_SECONDS, number, l->seconds);
    set_known(sa, M_PARTITION_RETENTION, number, l->retention_used);
}

static int sample_stream(struct sampler *sa, struct err *e) {
    if (!sa->o.open_stream)
        return 0;
    int r = sa->s ? 0 : sa->o.open_stream(sa->o.cfg, &sa->s, e);
    struct lag *v = NULL;
    size_t n = 0;
    if (r == 0)
        r = lag_look(&sa->lag, sa->s, config_text(sa->o.cfg, CFG_STREAM_APP), sa->tb[0], &v, &n, e);
    for (size_t i = 0; r == 0 && i < n; i++)
        show_partition(sa, &v[i]);
    free(v);
    return r;
}

/* ---- the tables ---- */

/* "2026-11-22T12:34:56.123Z", the digits behind the point may lack; 0: something else. */
static int64_t parse_time(const char *s) {
    int32_t day;
    int h, m;
    double sec;
    if (!s || strlen(s) < 19 || !day_parse(s, 10, &day) ||
        sscanf(s + 10, "T%2d:%2d:%lf", &h, &m, &sec) != 3)
        return 0;
    return day * US_PER_DAY + (h * 3600LL + m * 60) * US_PER_SECOND + (int64_t)(sec * 1e6);
}

static int note_entry(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    struct newest *n = arg;
    for (size_t i = 0; i < en->add.n; i++) {
        const char *stats = en->add.v[i].stats;
        struct err bad;
        _cleanup_(json_freep) struct json_doc *d =
            stats ? json_parse(stats, strlen(stats), ERR_STORAGE, &bad) : NULL;
        const json *max = d ? json_get(json_root(d), "maxValues") : NULL;
        int64_t us = parse_time(json_str(json_get(max, "received_at")));
        if (us <= clock_now_us() + LIMIT_FUTURE_US) /* a clock that runs far ahead tells nothing */
            n->us = MAX(n->us, us);
    }
    n->version = en->version;
    return 0;
}

/*
 * Takes in the commits up to `to`; of those before the first look, and where the log was cleaned
 * since the last one, only the last.
 */
static int advance(struct newest *n, struct table *tb, int64_t to, struct err *e) {
    int64_t from = n->version < 0 ? to - 1 : n->version;
    int r = to <= n->version ? 0 : table_each_entry(tb, from, to, note_entry, n, e);
    if (r == ERR_NOT_FOUND)
        r = table_each_entry(tb, to - 1, to, note_entry, n, e);
    return r == ERR_NOT_FOUND ? 0 : r; /* that one, too: there are newer ones to come */
}

static int note_time(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    atomic_store((atomic_llong *)arg, en->timestamp_ms);
    return 0;
}

static void show_size(struct sampler *sa, int i) {
    const struct table_files *live = table_live(sa->tb[i]);
    int64_t rows = 0, bytes = 0;
    for (size_t k = 0; k < live->n; k++) {
        rows += MAX(live->v[k].rows, 0);
        bytes += live->v[k].size;
    }
    const char *name = sa->defs[i].view;
    set(sa, M_TABLE_VERSION, name, table_version(sa->tb[i]));
    set(sa, M_TABLE_ROWS, name, rows);
    set(sa, M_TABLE_FILES, name, (int64_t)live->n);
    set(sa, M_TABLE_BYTES, name, bytes);
}

/* What a table is made from. */
static int below(int i) {
    return MIN(i - 1, SILVER);
}

/* The version of the table below that this one has taken in; -1: none. */
static int64_t taken_in(struct sampler *sa, int i) {
    const struct table *from = sa->tb[below(i)];
    if (!table_id(from))
        return -1;
    char *app_id = xasprintf("%s/%s", i == SILVER ? "silver" : "gold", table_id(from));
    int64_t at = table_txn(sa->tb[i], app_id);
    free(app_id);
    return at;
}

static int sample_table(struct sampler *sa, int i, struct err *e) {
    struct table *tb = sa->tb[i];
    int r = table_refresh(tb, e);
    if (r < 0)
        return r;
    int64_t version = table_version(tb), at = i > BRONZE ? taken_in(sa, i) : -1;
    if (version >= 0 && version != sa->shown[i]) {
        r = table_each_entry(tb, version - 1, version, note_time, &sa->committed_ms[i], e);
        if (r < 0 && r != ERR_NOT_FOUND) /* overtaken, and cleaned away already */
            return r;
        show_size(sa, i);
        sa->shown[i] = version;
    }
    int64_t from = i > BRONZE ? table_version(sa->tb[below(i)]) : -1;
    if (i > BRONZE)
        set_known(sa, M_TABLE_BEHIND, sa->defs[i].view,
                  sa->fed[i] && from >= 0 ? (double)(from - at) : -1);
    /* Gold holds no times of arrival: it is as new as the silver it was made from. */
    bool is_gold = i > SILVER;
    r = advance(&sa->newest[i], is_gold ? sa->tb[SILVER] : tb, is_gold ? at : version, e);
    atomic_store(&sa->data_us[i], sa->newest[i].us);
    return r;
}

/* sa->n: it is not open. */
static int find_open(const struct sampler *sa, const struct table_def *def) {
    int i = 0;
    while (i < sa->n && strcmp(sa->defs[i].name, def->name) != 0)
        i++;
    return i;
}

static int open_table(struct sampler *sa, const struct table_def *def, bool fed, struct err *e) {
    int i = find_open(sa, def);
    if (i == TABLES)
        return 0;
    sa->fed[i] = fed;
    if (i < sa->n)
        return 0;
    sa->defs[i] = *def; /* columns, if it has any, are the program's own */
    sa->defs[i].name = xstrdup(def->name);
    sa->defs[i].view = xstrdup(def->view);
    int r = table_open(sa->st, &sa->defs[i], &sa->tb[i], e);
    if (r == 0) {
        atomic_store(&sa->n, i + 1);
        return 0;
    }
    free((char *)(uintptr_t)sa->defs[i].name);
    free((char *)(uintptr_t)sa->defs[i].view);
    return r;
}

/* A table that no model feeds is in nobody's way; told once. */
static int leave_aside(struct sampler *sa, const char *name, struct err *e) {
    bool told = false;
    for (size_t i = 0; i < sa->n_aside; i++)
        told |= strcmp(sa->aside[i], name) == 0;
    if (!told) {
        log_err(LOG_WARN, "a table without a model is left aside", e);
        sa->aside = xrealloc(sa->aside, (sa->n_aside + 1) * sizeof *sa->aside);
        sa->aside[sa->n_aside++] = xstrdup(name);
    }
    err_clear(e);
    return 0;
}

static int open_all(struct sampler *sa, const struct lake_defs *d, struct err *e) {
    int r = 0;
    for (int i = 0; i < sa->n; i++)
        sa->fed[i] = false; /* those that are gone have nobody to say so */
    for (size_t i = 0; r == 0 && i < d->n; i++) {
        bool fed = i < d->n - d->n_others;
        r = open_table(sa, d->v[i], fed, e);
        if (r < 0 && lake_does_without(fed, e))
            r = leave_aside(sa, d->v[i]->name, e);
    }
    return r;
}

static int open_tables(struct sampler *sa, struct err *e) {
    struct lake_defs d = {0};
    int r = sa->st ? 0 : storage_open_configured(sa->o.cfg, &sa->st, e);
    if (r == 0 && !sa->o.all_tables)
        return open_table(sa, &bronze_events, true, e);
    if (r == 0)
        r = lake_defs_find(sa->st, config_text(sa->o.cfg, CFG_MODELS_DIR), &d, e);
    if (r == 0)
        r = open_all(sa, &d, e);
    lake_defs_release(&d);
    return r;
}

/* ---- the thread ---- */

static int sample(struct sampler *sa, struct err *e) {
    int r = open_tables(sa, e);
    if (r == 0)
        r = sample_stream(sa, e);
    for (int i = 0; r == 0 && i < sa->n; i++) {
        r = sample_table(sa, i, e);
        if (r < 0 && lake_does_without(sa->fed[i], e)) {
            metrics_drop(sa->o.m, M_TABLE_BEHIND, sa->defs[i].view, NULL);
            r = leave_aside(sa, sa->defs[i].name, e);
        }
    }
    return r;
}

static void report(struct sampler *sa, int r, const struct err *e) {
    if (r == ERR_STOPPED) /* so are we, in a moment */
        return;
    if (r == 0) {
        set(sa, M_SAMPLE_TIME, NULL, clock_now_us() / 1000000);
    } else {
        metric_add(metrics_get(sa->o.m, M_SAMPLE_ERRORS, NULL, NULL), 1);
        log_err(sa->told ? LOG_DEBUG : LOG_WARN, "metrics of partitions and tables stand still", e);
    }
    sa->told = r < 0;
}

static bool wait_or_stop(struct sampler *sa) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += sa->o.every_ms / 1000;
    until.tv_nsec += sa->o.every_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&sa->lock);
    int r = 0;
    while (!sa->stop && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&sa->wake, &sa->lock, &until);
    bool stop = sa->stop;
    pthread_mutex_unlock(&sa->lock);
    return stop;
}

static void *run(void *arg) {
    struct sampler *sa = arg;
    do {
        struct err e = {0};
        report(sa, sample(sa, &e), &e);
    } while (!wait_or_stop(sa));
    for (int i = 0; i < sa->n; i++)
        table_close(sa->tb[i]);
    storage_free(sa->st);
    stream_free(sa->s);
    lag_memory_release(&sa->lag);
    return NULL;
}

struct sampler *sampler_start(const struct sampler_options *o) {
    struct sampler *sa = xcalloc(1, sizeof *sa);
    sa->o = *o;
    for (int i = 0; i < TABLES; i++)
        sa->shown[i] = sa->newest[i].version = -1;
    pthread_condattr_t by_mono;
    pthread_condattr_init(&by_mono);
    pthread_condattr_setclock(&by_mono, CLOCK_MONOTONIC);
    pthread_cond_init(&sa->wake, &by_mono);
    pthread_condattr_destroy(&by_mono);
    pthread_mutex_init(&sa->lock, NULL);
    pthread_create(&sa->thread, NULL, run, sa);
    return sa;
}

void sampler_collect(struct sampler *sa) {
    double now = (double)clock_now_us() / 1e6;
    for (int i = 0; i < atomic_load(&sa->n); i++) {
        const char *name = sa->defs[i].view;
        int64_t ms = atomic_load(&sa->committed_ms[i]), us = atomic_load(&sa->data_us[i]);
        if (ms)
            metric_set(metrics_get(sa->o.m, M_TABLE_COMMIT_AGE, name, NULL),
                       MAX(now - (double)ms / 1e3, 0));
        if (us)
            metric_set(metrics_get(sa->o.m, M_TABLE_DATA_AGE, name, NULL),
                       MAX(now - (double)us / 1e6, 0));
    }
}

bool sampler_stop(struct sampler *sa) {
    if (!sa)
        return true;
    pthread_mutex_lock(&sa->lock);
    sa->stop = true;
    pthread_cond_signal(&sa->wake);
    pthread_mutex_unlock(&sa->lock);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_S;
    if (pthread_timedjoin_np(sa->thread, NULL, &until) != 0)
        return false;
    for (int i = 0; i < sa->n; i++) {
        free((char *)(uintptr_t)sa->defs[i].name);
        free((char *)(uintptr_t)sa->defs[i].view);
    }
    for (size_t i = 0; i < sa->n_aside; i++)
        free(sa->aside[i]);
    free(sa->aside);
    pthread_cond_destroy(&sa->wake);
    pthread_mutex_destroy(&sa->lock);
    free(sa);
    return true;
}
