/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: one table of keys gives the INI file, the environment, -c key=value and
 * docs/configuration.md. Later wins: default, clickmill.ini, POSTGRES_…, CLICKMILL_…, -c.
 * Unknown keys are errors that name the nearest key, wherever they stand. Only kafka.NAME is open:
 * it is a property of librdkafka, which the stream driver checks.
 */
#ifndef CM_BASE_CONFIG_H
#define CM_BASE_CONFIG_H

#include "base/err.h"
#include "base/value.h"

enum config_id {
    CFG_STREAM_URL,
    CFG_STREAM_TOPIC,
    CFG_STREAM_APP,
    CFG_STREAM_PARTITIONS,
    CFG_STREAM_REPLICATION,
    CFG_STREAM_TIMESTAMP,
    CFG_STREAM_TIMEOUT,
    CFG_LAKE_URL,
    CFG_LAKE_TIMEOUT,
    CFG_LAKE_CA_FILE,
    CFG_HDFS_USER,
    CFG_HDFS_AUTH,
    CFG_HDFS_TOKEN,
    CFG_HDFS_CERT_FILE,
    CFG_S3_ENDPOINT,
    CFG_S3_REGION,
    CFG_S3_PATH_STYLE,
    CFG_S3_PROFILE,
    CFG_CACHE_DIR,
    CFG_CACHE_MAX_BYTES,
    CFG_TABLE_CHECKPOINT_INTERVAL,
    CFG_TABLE_LOG_RETENTION,
    CFG_TABLE_LOG_ENTRIES,
    CFG_TABLE_VACUUM_RETENTION,
    CFG_TABLE_VACUUM_EVERY,
    CFG_TABLE_OPTIMIZE_FILES,
    CFG_TABLE_OPTIMIZE_TARGET,
    CFG_TABLE_UPKEEP_EVERY,
    CFG_ENGINE_URL,
    CFG_ENGINE_THREADS,
    CFG_ENGINE_MEMORY,
    CFG_ENGINE_TEMP_DIR,
    CFG_SINK_URL,
    CFG_SINK_TIMEOUT,
    CFG_INGEST_BATCH_ROWS,
    CFG_INGEST_BATCH_BYTES,
    CFG_INGEST_BATCH_AGE,
    CFG_INGEST_THREADS,
    CFG_INGEST_KEEP_RAW,
    CFG_INGEST_ZSTD_LEVEL,
    CFG_SILVER_BATCH_ROWS,
    CFG_SILVER_INDEX_DIR,
    CFG_SILVER_INDEX_MIN_ROWS,
    CFG_MODELS_DIR,
    CFG_CHECK_DIR,
    CFG_CHECK_BLOCK,
    CFG_CHECK_WARN,
    CFG_CHECK_OFF,
    CFG_CHECK_NULL_SHARE,
    CFG_CHECK_REJECT_SHARE,
    CFG_CHECK_REVENUE_CHANGE,
    CFG_CHECK_FRESHNESS,
    CFG_CHECK_CATEGORIES,
    CFG_CHECK_HISTORY,
    CFG_RUN_RETRIES,
    CFG_RUN_RETRY_DELAY,
    CFG_RUN_HISTORY,
    CFG_UP_EVERY,
    CFG_SERVE_LISTEN,
    CFG_SERVE_SAMPLE_EVERY,
    CFG_SERVE_STUCK_AFTER,
    CFG_LOG_LEVEL,
    CFG_LOG_FORMAT,
    CFG_DEBUG_CRASH_AT,
    CFG_N,
};

struct config_key {
    const char *name; /* "stream.url" */
    enum value_type type;
    const char *def;     /* default, as text */
    int64_t min, max;    /* both 0: no limits */
    const char *choices; /* "a|b|c" for texts, or NULL */
    const char *help;    /* one sentence */
};
extern const struct config_key config_keys[CFG_N];

/* kafka.NAME. In the environment CLICKMILL_KAFKA_NAME, each _ a dot: no property has a _ but log_level. */
struct config_property {
    char *name, *value; /* without the kafka. */
    char *origin;
};

struct config;

struct config_source {
    const char *file;       /* -f; NULL: clickmill.ini in the working folder if it is there */
    const char *const *set; /* -c texts, in order */
    size_t n_set;
    char *const *environ; /* as environ(7); NULL: none */
};

/* ERR_CONFIG; ERR_USAGE never. */
int config_load(const struct config_source *src, struct config **ret, struct err *e);
void config_free(struct config *cfg);
static inline void config_freep(struct config **cfg) {
    config_free(*cfg);
}

const char *config_text(const struct config *cfg, enum config_id id);
int64_t config_int(const struct config *cfg,
                   enum config_id id); /* INT, SIZE, DURATION (ms), BOOL */
/* Where the value came from: "default", "clickmill.ini:3", "environment CLICKMILL_…", "-c". */
const char *config_origin(const struct config *cfg, enum config_id id);
/* The kafka.* properties, each once, in the order in which they are to be applied. */
const struct config_property *config_properties(const struct config *cfg, size_t *ret_n);

#endif
