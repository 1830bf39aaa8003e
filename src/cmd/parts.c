/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/parts.h"

#include "base/clock.h"
#include "base/retry.h"
#include "serve/server.h"

/* The caller frees the properties. */
static struct stream_options stream_options(const struct config *cfg, bool accept_loss,
                                            struct stream_property **ret_properties) {
    size_t n;
    const struct config_property *p = config_properties(cfg, &n);
    struct stream_property *properties = xcalloc(MAX(n, 1), sizeof *properties);
    for (size_t i = 0; i < n; i++)
        properties[i] = (struct stream_property){p[i].name, p[i].value};
    *ret_properties = properties;
    return (struct stream_options){
        .topic = config_text(cfg, CFG_STREAM_TOPIC),
        .app = config_text(cfg, CFG_STREAM_APP),
        .partitions = (int32_t)config_int(cfg, CFG_STREAM_PARTITIONS),
        .replication = (int32_t)config_int(cfg, CFG_STREAM_REPLICATION),
        .create_time = strcmp(config_text(cfg, CFG_STREAM_TIMESTAMP), "create") == 0,
        .timeout_ms = config_int(cfg, CFG_STREAM_TIMEOUT),
        .accept_loss = accept_loss,
        .properties = properties,
        .n_properties = n,
    };
}

static int open_stream(const struct config *cfg, bool accept_loss, struct stream **ret,
                       struct err *e) {
    _cleanup_(freep) struct stream_property *properties;
    struct stream_options o = stream_options(cfg, accept_loss, &properties);
    return stream_open(config_text(cfg, CFG_STREAM_URL), &o, ret, e);
}

int parts_open_stream(const struct config *cfg, struct stream **ret, struct err *e) {
    return open_stream(cfg, false, ret, e);
}

int parts_check_properties(const struct config *cfg, struct err *e) {
    size_t n;
    const struct config_property *p = config_properties(cfg, &n);
    for (size_t i = 0; i < n; i++) {
        struct stream_property one = {p[i].name, p[i].value};
        if (stream_check_property(&one, e) < 0)
            return err_wrap(e, "%s", p[i].origin);
    }
    return 0;
}

/* A lake far away is opened without asking anybody; a local one is not: it would be made. */
static int check_lake(const struct config *cfg, struct err *e) {
    const char *url = config_text(cfg, CFG_LAKE_URL);
    struct storage *st = NULL;
    int r = storage_check(url, e);
    if (r == 0 && strncmp(url, "file:", 5) != 0)
        r = storage_open_configured(cfg, &st, e);
    storage_free(st);
    return r;
}

int parts_check(const struct config *cfg, struct err *e) {
    _cleanup_(freep) struct stream_property *properties;
    struct stream_options o = stream_options(cfg, false, &properties);
    int r = stream_check(config_text(cfg, CFG_STREAM_URL), &o, e);
    if (r == 0)
        r = check_lake(cfg, e);
    if (r == 0)
        r = engine_check(config_text(cfg, CFG_ENGINE_URL), e);
    if (r == 0)
        r = sink_check(config_text(cfg, CFG_SINK_URL), e);
    return r == 0 ? server_check(config_text(cfg, CFG_SERVE_LISTEN), e) : r;
}

static int open_engine(const struct config *cfg, struct engine **ret, struct err *e) {
    struct engine_options o = {.threads = (int)config_int(cfg, CFG_ENGINE_THREADS),
                               .memory_bytes = config_int(cfg, CFG_ENGINE_MEMORY),
                               .temp_dir = config_text(cfg, CFG_ENGINE_TEMP_DIR)};
    return engine_open(config_text(cfg, CFG_ENGINE_URL), &o, ret, e);
}

static int open_sink(const struct config *cfg, bool read_only, struct sink **ret, struct err *e) {
    int64_t timeout = config_int(cfg, CFG_SINK_TIMEOUT);
    struct sink_options o = {.timeout_ms = (int)timeout, .read_only = read_only};
    struct retry again = retry_start(timeout);
    int r;
    do
        r = sink_open(config_text(cfg, CFG_SINK_URL), &o, ret, e);
    while (r < 0 && retry_pause(&again, &r, e));
    return r;
}

int parts_open(const struct config *cfg, int flags, struct parts *ret, struct err *e) {
    struct parts p = {0};
    int r = 0;
    if (flags & PART_STREAM)
        r = open_stream(cfg, flags & PART_ACCEPT_LOSS, &p.s, e);
    if (r == 0 && (flags & PART_LAKE))
        r = storage_open_configured(cfg, &p.st, e);
    if (r == 0 && (flags & PART_ENGINE))
        r = open_engine(cfg, &p.en, e);
    if (r == 0 && (flags & (PART_SINK | PART_SINK_READ)))
        r = open_sink(cfg, flags & PART_SINK_READ, &p.sk, e);
    if (r < 0)
        parts_close(&p);
    else
        *ret = p;
    return r;
}

void parts_close(struct parts *p) {
    sink_free(p->sk);
    engine_free(p->en);
    storage_free(p->st);
    stream_free(p->s);
    *p = (struct parts){0};
}

struct ingest_options parts_ingest_options(const struct config *cfg) {
    return (struct ingest_options){.app = config_text(cfg, CFG_STREAM_APP),
                                   .threads = (int)config_int(cfg, CFG_INGEST_THREADS),
                                   .batch_rows = config_int(cfg, CFG_INGEST_BATCH_ROWS),
                                   .batch_bytes = config_int(cfg, CFG_INGEST_BATCH_BYTES),
                                   .batch_age_ms = config_int(cfg, CFG_INGEST_BATCH_AGE),
                                   .keep_raw = config_int(cfg, CFG_INGEST_KEEP_RAW),
                                   .checkpoint_interval =
                                       config_int(cfg, CFG_TABLE_CHECKPOINT_INTERVAL),
                                   .zstd_level = (int)config_int(cfg, CFG_INGEST_ZSTD_LEVEL),
                                   .timeout_ms = config_int(cfg, CFG_STREAM_TIMEOUT)};
}

struct silver_options parts_silver_options(const struct config *cfg) {
    return (struct silver_options){.batch_rows = config_int(cfg, CFG_SILVER_BATCH_ROWS),
                                   .checkpoint_interval =
                                       config_int(cfg, CFG_TABLE_CHECKPOINT_INTERVAL),
                                   .index_dir = config_text(cfg, CFG_SILVER_INDEX_DIR),
                                   .index_min_rows = config_int(cfg, CFG_SILVER_INDEX_MIN_ROWS)};
}

static struct check_options check_options(const struct config *cfg) {
    const struct check_settings settings = {
        .dir = config_text(cfg, CFG_CHECK_DIR),
        .block = config_text(cfg, CFG_CHECK_BLOCK),
        .warn = config_text(cfg, CFG_CHECK_WARN),
        .off = config_text(cfg, CFG_CHECK_OFF),
        .null_share = config_text(cfg, CFG_CHECK_NULL_SHARE),
        .reject_share = config_text(cfg, CFG_CHECK_REJECT_SHARE),
        .revenue_change = config_text(cfg, CFG_CHECK_REVENUE_CHANGE),
        .freshness_ms = config_int(cfg, CFG_CHECK_FRESHNESS),
        .categories = config_text(cfg, CFG_CHECK_CATEGORIES)};
    return (struct check_options){.settings = settings,
                                  .models_dir = config_text(cfg, CFG_MODELS_DIR)};
}

struct run_options parts_run_options(const struct config *cfg) {
    return (struct run_options){.silver = parts_silver_options(cfg),
                                .checkpoint_interval =
                                    config_int(cfg, CFG_TABLE_CHECKPOINT_INTERVAL),
                                .models_dir = config_text(cfg, CFG_MODELS_DIR),
                                .check = check_options(cfg),
                                .check_history = config_text(cfg, CFG_CHECK_HISTORY),
                                .retries = config_int(cfg, CFG_RUN_RETRIES),
                                .retry_delay_ms = config_int(cfg, CFG_RUN_RETRY_DELAY),
                                .sink_url = config_text(cfg, CFG_SINK_URL),
                                .sink_timeout_ms = config_int(cfg, CFG_SINK_TIMEOUT)};
}

struct status_options parts_status_options(const struct config *cfg) {
    return (struct status_options){.app = config_text(cfg, CFG_STREAM_APP),
                                   .models_dir = config_text(cfg, CFG_MODELS_DIR),
                                   .check_history = config_text(cfg, CFG_CHECK_HISTORY)};
}

struct upkeep_options parts_upkeep_options(const struct config *cfg) {
    int64_t files = config_int(cfg, CFG_TABLE_OPTIMIZE_FILES);
    return (struct upkeep_options){
        .optimize_files = files == 1 ? 2 : files,
        .optimize_target_bytes = config_int(cfg, CFG_TABLE_OPTIMIZE_TARGET),
        .checkpoint_interval = config_int(cfg, CFG_TABLE_CHECKPOINT_INTERVAL),
        .log_retention_ms = config_int(cfg, CFG_TABLE_LOG_RETENTION),
        .log_entries = config_int(cfg, CFG_TABLE_LOG_ENTRIES),
        .file_retention_ms = config_int(cfg, CFG_TABLE_VACUUM_RETENTION),
        .vacuum_every_ms = config_int(cfg, CFG_TABLE_VACUUM_EVERY),
        .models_dir = config_text(cfg, CFG_MODELS_DIR)};
}

bool parts_upkeep_due(const struct config *cfg, int64_t *last_ns) {
    int64_t every_ms = config_int(cfg, CFG_TABLE_UPKEEP_EVERY), now = clock_mono_ns();
    if (every_ms == 0 || (*last_ns && now - *last_ns < every_ms * 1000000))
        return false;
    *last_ns = now;
    return true;
}
