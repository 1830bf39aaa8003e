/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading order: the table config_keys, then config_load, which applies the sources one after the other.
 */
#include "base/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/util.h"

static const int64_t day_ms = 86400000, ten_years_ms = 3650 * 86400000LL;

const struct config_key config_keys[CFG_N] = {
    [CFG_STREAM_URL] = {"stream.url", VALUE_URL, "local:data/stream",
                        .help = "Where events come from: local:PATH or kafka://HOST:PORT[,…]."},
    [CFG_STREAM_TOPIC] = {"stream.topic", VALUE_TEXT, "clickstream",
                          .help = "The topic that is written and read."},
    [CFG_STREAM_APP] =
        {"stream.app", VALUE_TEXT, "clickmill",
         .help = "Names this pipeline; positions in the bronze table are kept under it."},
    [CFG_STREAM_PARTITIONS] = {"stream.partitions", VALUE_INT, "1", 1, 1024,
                               .help = "Partitions of a topic that produce creates."},
    [CFG_STREAM_REPLICATION] = {"stream.replication", VALUE_INT, "1", 1, 32767,
                                .help = "Copies of each partition of a Kafka topic that produce "
                                        "creates."},
    [CFG_STREAM_TIMESTAMP] =
        {"stream.timestamp", VALUE_TEXT, "append", .choices = "append|create",
         .help = "A Kafka record's time: append, when the broker took it; create, what its "
                 "producer says. Topics are created so."},
    [CFG_STREAM_TIMEOUT] =
        {"stream.timeout", VALUE_DURATION, "60s", 1, day_ms,
         .help = "How long ingest waits for a stream or a lake that does not answer."},
    [CFG_LAKE_URL] =
        {"lake.url", VALUE_URL, "file:data/lake",
         .help = "Where the tables lie: file:PATH, hdfs://HOST:PORT/PATH or s3://BUCKET/PREFIX."},
    [CFG_LAKE_TIMEOUT] =
        {"lake.timeout", VALUE_DURATION, "30s", 1, day_ms,
         .help = "How long one call to a lake that is not on local disk is tried again."},
    [CFG_LAKE_CA_FILE] =
        {"lake.ca_file", VALUE_TEXT, "",
         .help = "PEM file of who signs the certificates of the lake's servers; empty: whom this "
                 "machine trusts."},
    [CFG_HDFS_USER] = {"hdfs.user", VALUE_TEXT, "",
                       .help = "User who owns the lake in HDFS; empty: the one who runs this. Only "
                               "where HDFS has no Kerberos."},
    [CFG_HDFS_AUTH] = {"hdfs.auth", VALUE_TEXT, "simple", .choices = "simple|kerberos",
                       .help = "How to log in to the NameNode: as hdfs.user, or with the Kerberos "
                               "ticket or keytab of this process."},
    [CFG_HDFS_TOKEN] = {"hdfs.token", VALUE_TEXT, "",
                        .help = "A delegation token of HDFS, used instead; best given as "
                                "CLICKMILL_HDFS_TOKEN."},
    [CFG_HDFS_CERT_FILE] =
        {"hdfs.cert_file", VALUE_TEXT, "",
         .help = "PEM file with the certificate and key to show to HDFS over TLS; empty: none."},
    [CFG_S3_ENDPOINT] =
        {"s3.endpoint", VALUE_URL, "",
         .help = "URL of the S3 store, as in http://localhost:9000; empty: "
                 "AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile's, or AWS itself."},
    [CFG_S3_REGION] = {"s3.region", VALUE_TEXT, "",
                       .help = "Region of the bucket; empty: AWS_REGION, AWS_DEFAULT_REGION, the "
                               "profile's, or us-east-1."},
    [CFG_S3_PATH_STYLE] = {"s3.path_style", VALUE_TEXT, "auto", .choices = "auto|yes|no",
                           .help =
                               "Whether the bucket's name stands in the path of URLs (yes) or in "
                               "front of the host's (no); auto: yes for every store but AWS."},
    [CFG_S3_PROFILE] = {"s3.profile", VALUE_TEXT, "",
                        .help =
                            "Profile of ~/.aws/credentials with the keys; empty: AWS_ACCESS_KEY_ID "
                            "and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role of this machine."},
    [CFG_CACHE_DIR] = {"cache.dir", VALUE_TEXT, "data/cache",
                       .help = "Folder on local disk for the files of a lake that is elsewhere: "
                               "those that are read, and those that are made, until they are "
                               "sent."},
    [CFG_CACHE_MAX_BYTES] =
        {"cache.max_bytes", VALUE_SIZE, "10GiB", MIB, 1LL << 50,
         .help = "Size of the files kept in cache.dir; those used longest ago are removed first."},
    [CFG_TABLE_CHECKPOINT_INTERVAL] =
        {"table.checkpoint_interval", VALUE_INT, "100", 0, 1000000000,
         .help = "Commits after which a table's log is folded into a checkpoint; 0: never."},
    [CFG_TABLE_LOG_RETENTION] =
        {"table.log_retention", VALUE_DURATION, "30d", 0, ten_years_ms,
         .help = "Age after which log entries that a checkpoint makes needless are removed; the "
                 "table's property delta.logRetentionDuration counts instead where it is set."},
    [CFG_TABLE_LOG_ENTRIES] =
        {"table.log_entries", VALUE_INT, "50000", 0, 1000000000,
         .help =
             "Log entries kept at most, however young: every opening lists them; 0: any number. "
             "Not where the table sets delta.logRetentionDuration."},
    [CFG_TABLE_VACUUM_RETENTION] =
        {"table.vacuum_retention", VALUE_DURATION, "7d", 3600000, 7 * 86400000LL,
         .help =
             "How long vacuum keeps files that are in the table no more: longer than any reader "
             "or writer takes. The table's property delta.deletedFileRetentionDuration counts "
             "instead where it is set, also for longer than a week."},
    [CFG_TABLE_VACUUM_EVERY] = {"table.vacuum_every", VALUE_DURATION, "1d", 0, ten_years_ms,
                                .help =
                                    "Pause between two vacuums of a table by run and up; 0: none."},
    [CFG_TABLE_OPTIMIZE_FILES] =
        {"table.optimize_files", VALUE_INT, "20", 0, 1000000,
         .help = "Small files of one partition that run and up join into one; 0: never, 1 is 2."},
    [CFG_TABLE_OPTIMIZE_TARGET] =
        {"table.optimize_target", VALUE_SIZE, "128MiB", 64LL * KIB, 16LL << 30,
         .help = "Size of the files that small files are joined into; one of half of that is not "
                 "small."},
    [CFG_TABLE_UPKEEP_EVERY] =
        {"table.upkeep_every", VALUE_DURATION, "10m", 0, ten_years_ms,
         .help = "Pause between two upkeeps of the tables by run --every and up; 0: none."},
    [CFG_ENGINE_URL] = {"engine.url", VALUE_URL, "duckdb",
                        .help = "What runs the models: duckdb, inside the program."},
    [CFG_ENGINE_THREADS] = {"engine.threads", VALUE_INT, "2", 1, 256,
                            .help = "Threads of the engine."},
    [CFG_ENGINE_MEMORY] =
        {"engine.memory", VALUE_SIZE, "512MiB", 64LL * MIB, 1LL << 44,
         .help = "Memory for the engine's buffers; beyond it, data is spilled to engine.temp_dir."},
    [CFG_ENGINE_TEMP_DIR] = {"engine.temp_dir", VALUE_TEXT, "data/tmp",
                             .help = "Folder for spilled data."},
    [CFG_SINK_URL] = {"sink.url", VALUE_URL, "sqlite:data/analytics.db",
                      .help = "The database people look at: sqlite:PATH or postgresql://… (all of "
                              "libpq's parameters)."},
    [CFG_SINK_TIMEOUT] = {"sink.timeout", VALUE_DURATION, "10s", 1, day_ms,
                          .help = "How long a database that does not answer is tried again."},
    [CFG_INGEST_BATCH_ROWS] = {"ingest.batch_rows", VALUE_INT, "1000000", 1, 100000000,
                               .help = "Events after which a batch is committed."},
    [CFG_INGEST_BATCH_BYTES] = {"ingest.batch_bytes", VALUE_SIZE, "512MiB", 1, 1LL << 40,
                                .help = "Bytes of records after which a batch is committed."},
    [CFG_INGEST_BATCH_AGE] = {"ingest.batch_age", VALUE_DURATION, "1s", 1, day_ms,
                              .help = "Age of its first record after which a batch is committed."},
    [CFG_INGEST_THREADS] = {"ingest.threads", VALUE_INT, "2", 1, 64,
                            .help = "Threads that decode and encode."},
    [CFG_INGEST_KEEP_RAW] =
        {"ingest.keep_raw", VALUE_BOOL, "false",
         .help = "Keep the bytes of every record in bronze, not only of rejected ones."},
    [CFG_INGEST_ZSTD_LEVEL] = {"ingest.zstd_level", VALUE_INT, "1", 1, 19,
                               .help = "Compression of bronze files."},
    [CFG_SILVER_BATCH_ROWS] =
        {"silver.batch_rows", VALUE_INT, "10000000", 1, 1000000000,
         .help = "Bronze rows after which one silver commit ends and the next begins."},
    [CFG_SILVER_INDEX_DIR] =
        {"silver.index_dir", VALUE_TEXT, "data/index",
         .help = "Folder on local disk for the index of the keys that silver holds: a cache, which "
                 "may be deleted at any time (docs/tables.md)."},
    [CFG_SILVER_INDEX_MIN_ROWS] =
        {"silver.index_min_rows", VALUE_INT, "2000000", 0, 1000000000000000000,
         .help = "Rows of silver below which silver itself is searched, which is as fast; also for "
                 "a batch of more than an eighth of silver. 0: never."},
    [CFG_MODELS_DIR] = {"models.dir", VALUE_TEXT, "models",
                        .help = "Folder of your own gold models, one .sql file each "
                                "(docs/models.md); the default need not be there."},
    [CFG_CHECK_DIR] = {"check.dir", VALUE_TEXT, "checks",
                       .help = "Folder of your own data quality rules, one .sql file each "
                               "(docs/checks.md); the default need not be there."},
    [CFG_CHECK_BLOCK] = {"check.block", VALUE_TEXT, "",
                         .help = "Names of rules, with commas, that block the load, whatever their "
                                 "header says."},
    [CFG_CHECK_WARN] = {"check.warn", VALUE_TEXT, "",
                        .help = "Names of rules, with commas, that only warn, whatever their "
                                "header says."},
    [CFG_CHECK_OFF] = {"check.off", VALUE_TEXT, "",
                       .help = "Names of rules, with commas, that are not run."},
    [CFG_CHECK_NULL_SHARE] =
        {"check.null_share", VALUE_RATIO, "0.05",
         .help = "Share of a day's product events that may lack product, category or price."},
    [CFG_CHECK_REJECT_SHARE] = {"check.reject_share", VALUE_RATIO, "0.05",
                                .help = "Share of a day's records that may be rejected."},
    [CFG_CHECK_REVENUE_CHANGE] =
        {"check.revenue_change", VALUE_RATIO, "0.5",
         .help = "How far a day's revenue may be from the mean of the 14 days before, as a share "
                 "of that mean."},
    [CFG_CHECK_FRESHNESS] = {"check.freshness", VALUE_DURATION, "1d", 1, ten_years_ms,
                             .help = "Age from which the newest record in bronze is too old."},
    [CFG_CHECK_CATEGORIES] =
        {"check.categories", VALUE_TEXT, "",
         .help = "The categories there are, with commas; empty: those of the 28 days before."},
    [CFG_CHECK_HISTORY] =
        {"check.history", VALUE_TEXT, "data/checks.ndjson",
         .help = "File to which every check appends a line of JSON, its older half dropped at "
                 "4 MiB; empty: none."},
    [CFG_RUN_RETRIES] = {"run.retries", VALUE_INT, "3", 0, 1000,
                         .help =
                             "How often run tries a failed step again when the failure can pass."},
    [CFG_RUN_RETRY_DELAY] = {"run.retry_delay", VALUE_DURATION, "1s", 0, day_ms,
                             .help = "Pause before the first further try; doubled each time."},
    [CFG_RUN_HISTORY] = {"run.history", VALUE_TEXT, "data/runs.ndjson",
                         .help = "File to which every run appends a line of JSON; empty: none."},
    [CFG_UP_EVERY] = {"up.every", VALUE_DURATION, "2s", 10, day_ms,
                      .help = "Pause between two rounds of silver, gold and load in up."},
    [CFG_SERVE_LISTEN] =
        {"serve.listen", VALUE_TEXT, "127.0.0.1:9464",
         .help =
             "Where what runs until stopped serves /healthz, /readyz and /metrics: ADDRESS:PORT "
             "(port 0: any; a taken port: the next free one), or off."},
    [CFG_SERVE_SAMPLE_EVERY] =
        {"serve.sample_every", VALUE_DURATION, "5s", 50, day_ms,
         .help = "Pause between two looks at the partitions and tables for /metrics."},
    [CFG_SERVE_STUCK_AFTER] =
        {"serve.stuck_after", VALUE_DURATION, "10m", 1000, day_ms,
         .help = "Time without a sign of life after which /healthz says 503; longer than "
                 "stream.timeout and than any one call of the engine."},
    [CFG_LOG_LEVEL] = {"log.level", VALUE_TEXT, "info", .choices = "debug|info|warn|error",
                       .help = "Lowest level logged."},
    [CFG_LOG_FORMAT] = {"log.format", VALUE_TEXT, "text", .choices = "text|json",
                        .help = "Log lines as key=value or JSON."},
    [CFG_DEBUG_CRASH_AT] =
        {"debug.crash_at", VALUE_TEXT, "",
         .help = "For drills: kill the program (SIGKILL) at this named point, NAME or NAME:COUNT."},
};

struct config {
    struct {
        char *text;
        char *origin;
        int64_t number;
    } v[CFG_N];
    struct config_property *properties;
    size_t n_properties;
};

static const char property_prefix[] = "kafka.", by_default[] = "default";

static bool is_property(const char *name) {
    size_t n = sizeof property_prefix - 1;
    return strncmp(name, property_prefix, n) == 0 && name[n];
}

/* CFG_N if there is none. */
static enum config_id find_key(const char *name) {
    for (int i = 0; i < CFG_N; i++)
        if (strcmp(config_keys[i].name, name) == 0)
            return (enum config_id)i;
    return CFG_N;
}

static int unknown_key(const char *origin, const char *name, struct err *e) {
    const char *nearest = config_keys[0].name;
    for (int i = 1; i < CFG_N; i++)
        if (edit_distance(name, config_keys[i].name) < edit_distance(name, nearest))
            nearest = config_keys[i].name;
    err_set(e, ERR_CONFIG, "%s: unknown key '%s'; the nearest is '%s'", origin, name, nearest);
    return err_hint(e, "`clickmill config list` shows all keys");
}

static bool is_choice(const char *choices, const char *text) {
    size_t n = strcspn(text, "|");
    if (text[n])
        return false;
    for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (strncmp(p, text, n) == 0 && (p[n] == '|' || p[n] == '\0'))
            return true;
    return false;
}

static int check_value(const struct config_key *k, const char *what, const char *text, int64_t *ret,
                       struct err *e) {
    *ret = 0;
    if (k->choices && !is_choice(k->choices, text))
        return err_set(e, ERR_CONFIG, "%s: '%s' is none of %s", what, text, k->choices);
    if (k->type == VALUE_TEXT || k->type == VALUE_URL) {
        bool may_be_none =
            k == &config_keys[CFG_RUN_HISTORY] || k == &config_keys[CFG_CHECK_HISTORY];
        if (!*text && *k->def && !may_be_none)
            return err_set(e, ERR_CONFIG, "%s: the value is empty", what);
        return 0;
    }
    double ratio; /* who wants it takes the text */
    return k->type == VALUE_RATIO ? value_parse_ratio(what, text, &ratio, e)
                                  : value_parse(k->type, what, text, k->min, k->max, ret, e);
}

static int set_key(struct config *cfg, enum config_id id, const char *text, const char *origin,
                   struct err *e) {
    char *what = xasprintf("%s: %s", origin, config_keys[id].name);
    int64_t number;
    int r = check_value(&config_keys[id], what, text, &number, e);
    free(what);
    if (r < 0)
        return r;
    free(cfg->v[id].text);
    free(cfg->v[id].origin);
    cfg->v[id].text = xstrdup(text);
    cfg->v[id].origin = xstrdup(origin);
    cfg->v[id].number = number;
    return 0;
}

static void property_free(struct config_property *p) {
    free(p->name);
    free(p->value);
    free(p->origin);
}

/* Goes to the end: where two names mean the same to librdkafka, the later source wins, too. */
static int set_property(struct config *cfg, const char *name, const char *text,
                        const char *origin) {
    size_t kept = 0;
    for (size_t i = 0; i < cfg->n_properties; i++) {
        struct config_property p = cfg->properties[i];
        if (strcmp(p.name, name) == 0)
            property_free(&p);
        else
            cfg->properties[kept++] = p;
    }
    cfg->properties = xrealloc(cfg->properties, (kept + 1) * sizeof *cfg->properties);
    cfg->properties[kept++] =
        (struct config_property){xstrdup(name), xstrdup(text), xstrdup(origin)};
    cfg->n_properties = kept;
    return 0;
}

static int set_by_name(struct config *cfg, const char *name, const char *text, const char *origin,
                       struct err *e) {
    if (is_property(name))
        return set_property(cfg, name + sizeof property_prefix - 1, text, origin);
    enum config_id id = find_key(name);
    return id == CFG_N ? unknown_key(origin, name, e) : set_key(cfg, id, text, origin, e);
}

/* Where a blank and a ; or # begin what looks like a comment. */
static bool has_comment(const char *s) {
    for (; *s; s++)
        if (isspace((unsigned char)*s) && (s[1] == ';' || s[1] == '#'))
            return true;
    return false;
}

/*
 * A key that stands in this file already, in another line: which of the two is meant? The file is the first
 * source there is, so what is not a default comes from it.
 */
static int check_once(const struct config *cfg, const char *name, const char *origin,
                      struct err *e) {
    enum config_id id = find_key(name);
    const char *before = id < CFG_N ? cfg->v[id].origin : by_default;
    for (size_t i = 0; i < cfg->n_properties && is_property(name); i++)
        if (strcmp(cfg->properties[i].name, name + sizeof property_prefix - 1) == 0)
            before = cfg->properties[i].origin;
    if (strcmp(before, by_default) == 0)
        return 0;
    return err_set(e, ERR_CONFIG, "%s: %s is set already in line %s", origin, name,
                   strrchr(before, ':') + 1);
}

/* One line of the INI file; `section` (its own memory) changes with [section] lines. */
static int ini_line(struct config *cfg, char *line, const char *origin, char **section,
                    struct err *e) {
    line = text_trim(line);
    if (!*line || *line == '#' || *line == ';')
        return 0;
    size_t n = strlen(line);
    if (*line == '[') {
        if (line[n - 1] != ']')
            return err_set(e, ERR_CONFIG, "%s: a section is written [name]", origin);
        line[n - 1] = '\0';
        free(*section);
        *section = xstrdup(text_trim(line + 1));
        return 0;
    }
    char *eq = strchr(line, '=');
    if (!eq)
        return err_set(e, ERR_CONFIG, "%s: expected key = value", origin);
    *eq = '\0';
    if (has_comment(eq + 1)) {
        err_set(e, ERR_CONFIG, "%s: a comment behind the value", origin);
        return err_hint(
            e,
            "comments stand on lines of their own; a value with ' #' or ' ;' in it is given by -c");
    }
    char *name =
        xasprintf("%s%s%s", *section ? *section : "", *section ? "." : "", text_trim(line));
    int r = check_once(cfg, name, origin, e);
    if (r == 0)
        r = set_by_name(cfg, name, text_trim(eq + 1), origin, e);
    free(name);
    return r;
}

static int read_file(const char *path, struct buf *ret, struct err *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_CONFIG, errno,
                       "cannot open config file '%s'", path);
    int r = 0;
    for (;;) {
        if (!buf_reserve(ret, 4096)) {
            r = err_set(e, ERR_CONFIG, "config file '%s' is larger than %d bytes", path,
                        LIMIT_CONFIG);
            break;
        }
        ssize_t n = read(fd, ret->data + ret->len, 4096);
        if (n < 0)
            r = err_sys(e, ERR_CONFIG, errno, "cannot read config file '%s'", path);
        if (n <= 0)
            break;
        ret->len += (size_t)n;
        ret->data[ret->len] = '\0';
    }
    close(fd);
    if (r == 0 && memchr(ret->data, '\0', ret->len))
        r = err_set(e, ERR_CONFIG, "config file '%s' is no text: it holds a NUL byte", path);
    return r;
}

static int load_file(struct config *cfg, const char *path, bool must, struct err *e) {
    _cleanup_(buf_release) struct buf text = BUF_INIT(LIMIT_CONFIG);
    int r = read_file(path, &text, e);
    if (r == ERR_NOT_FOUND) {
        if (must)
            return err_recode(e, ERR_CONFIG);
        err_clear(e);
        return 0;
    }
    char *section = NULL;
    char *rest = text.data, *line;
    for (int number = 1; r == 0 && (line = strsep(&rest, "\n")); number++) {
        char *origin = xasprintf("%s:%d", path, number);
        r = ini_line(cfg, line, origin, &section, e);
        free(origin);
    }
    free(section);
    return r;
}

/* NULL: not set, or empty. */
static const char *env_get(char *const *environ_list, const char *name) {
    size_t n = strlen(name);
    for (; environ_list && *environ_list; environ_list++)
        if (strncmp(*environ_list, name, n) == 0 && (*environ_list)[n] == '=')
            return (*environ_list)[n + 1] ? *environ_list + n + 1 : NULL;
    return NULL;
}

static void add_part(struct buf *url, const char *before, const char *text) {
    buf_add_str(url, before);
    buf_add_encoded(url, text, "");
}

/* POSTGRES_HOST and its companions, as they stand in a .env file, name the sink. */
static int load_postgres_env(struct config *cfg, char *const *env, struct err *e) {
    const char *host = env_get(env, "POSTGRES_HOST"), *user = env_get(env, "POSTGRES_USER");
    const char *password = env_get(env, "POSTGRES_PASSWORD"), *db = env_get(env, "POSTGRES_DB1");
    const char *port = env_get(env, "POSTGRES_PORT");
    int64_t number;
    if (!host)
        return 0;
    if (port && value_parse(VALUE_INT, "environment POSTGRES_PORT", port, 1, 65535, &number, e) < 0)
        return e->code;
    _cleanup_(buf_release) struct buf url = BUF_INIT(LIMIT_CONFIG);
    add_part(&url, "postgresql://", user ? user : "");
    if (password)
        add_part(&url, ":", password);
    add_part(&url, user || password ? "@" : "", host);
    if (port)
        add_part(&url, ":", port);
    add_part(&url, "/", db ? db : "");
    return set_key(cfg, CFG_SINK_URL, buf_str(&url), "environment POSTGRES_HOST", e);
}

/* STREAM_URL is stream.url: the first _ is the dot, further ones stay. Those of kafka.* are dots. */
static void name_of_variable(char *name) {
    for (char *p = name; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    char *dot = strchr(name, '_');
    if (dot)
        *dot = '.';
    for (; is_property(name) && dot; dot = strchr(dot, '_'))
        *dot = '.';
}

static int load_env(struct config *cfg, char *const *env, struct err *e) {
    static const char prefix[] = "CLICKMILL_";
    for (; env && *env; env++) {
        const char *eq = strchr(*env, '=');
        if (strncmp(*env, prefix, sizeof prefix - 1) != 0 || !eq) /* execve(2) takes any text */
            continue;
        char *origin = xasprintf("environment %.*s", (int)(eq - *env), *env);
        char *name = xstrndup(*env + sizeof prefix - 1, (size_t)(eq - *env) - (sizeof prefix - 1));
        name_of_variable(name);
        int r = set_by_name(cfg, name, eq + 1, origin, e);
        free(name);
        free(origin);
        if (r < 0)
            return r;
    }
    return 0;
}

static int load_set(struct config *cfg, const char *text, struct err *e) {
    const char *eq = strchr(text, '=');
    if (!eq)
        return err_set(e, ERR_CONFIG, "-c %s: expected key=value", text);
    char *name = xstrndup(text, (size_t)(eq - text)), *value = xstrdup(eq + 1);
    int r = set_by_name(cfg, text_trim(name), text_trim(value), "-c", e);
    free(name);
    free(value);
    return r;
}

int config_load(const struct config_source *src, struct config **ret, struct err *e) {
    _cleanup_(config_freep) struct config *cfg = xcalloc(1, sizeof *cfg);
    int r = 0;
    for (int i = 0; r == 0 && i < CFG_N; i++)
        r = set_key(cfg, (enum config_id)i, config_keys[i].def, by_default, e);
    if (r == 0)
        r = load_file(cfg, src->file ? src->file : "clickmill.ini", src->file != NULL, e);
    if (r == 0)
        r = load_postgres_env(cfg, src->environ, e);
    if (r == 0)
        r = load_env(cfg, src->environ, e);
    for (size_t i = 0; r == 0 && i < src->n_set; i++)
        r = load_set(cfg, src->set[i], e);
    if (r == 0)
        *ret = TAKE_PTR(cfg);
    return r;
}

void config_free(struct config *cfg) {
    if (!cfg)
        return;
    for (int i = 0; i < CFG_N; i++) {
        free(cfg->v[i].text);
        free(cfg->v[i].origin);
    }
    for (size_t i = 0; i < cfg->n_properties; i++)
        property_free(&cfg->properties[i]);
    free(cfg->properties);
    free(cfg);
}

const char *config_text(const struct config *cfg, enum config_id id) {
    return cfg->v[id].text;
}

int64_t config_int(const struct config *cfg, enum config_id id) {
    return cfg->v[id].number;
}

const char *config_origin(const struct config *cfg, enum config_id id) {
    return cfg->v[id].origin;
}

const struct config_property *config_properties(const struct config *cfg, size_t *ret_n) {
    *ret_n = cfg->n_properties;
    return cfg->properties;
}
