/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DuckDB inside the program: the engine for one machine. It holds no data of its own between two
 * calls; what does not fit in memory is spilled to the temp folder while a call runs.
 */
#include "base/util.h"
#include "engine/drivers.h"
#include "engine/duckdb_priv.h"
#include "storage/local_fs.h"
#include "version.h"

/* Not before something is computed: a step with nothing to do needs no room. */
static int need_temp(struct duck *du, struct err *e) {
    pthread_mutex_lock(&du->temp_lock);
    int rc = du->temp.dir ? 0 : temp_open(&du->temp, du->temp_dir, e);
    pthread_mutex_unlock(&du->temp_lock);
    return rc;
}

int duck_open_db(struct duck *du, duckdb_database *ret, struct err *e) {
    if (need_temp(du, e) < 0)
        return e->code;
    char threads[16], memory[32], temp[32];
    _cleanup_(freep) char *spill =
        xasprintf("%s/spill-%lu", du->temp.dir, atomic_fetch_add(&du->databases, 1));
    snprintf(threads, sizeof threads, "%d", du->o.threads);
    snprintf(memory, sizeof memory, "%lldB", (long long)du->o.memory_bytes);
    snprintf(temp, sizeof temp, "%lldB", (long long)temp_free_bytes(&du->temp));
    const char *const settings[][2] = {
        {"threads", threads},
        {"memory_limit", memory},
        {"temp_directory", spill},
        {"max_temp_directory_size", temp},
        {"preserve_insertion_order", "false"},
        /* It saves no time on local files, and keeps 50 KiB of every file ever read, beyond the
           limit of memory. */
        {"enable_external_file_cache", "false"},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
        {"allow_community_extensions", "false"},
    };
    duckdb_config config;
    if (duckdb_create_config(&config) != DuckDBSuccess)
        return err_set(e, ERR_ENGINE, "DuckDB: no memory for its settings");
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(settings) && rc == 0; i++)
        if (duckdb_set_config(config, settings[i][0], settings[i][1]) != DuckDBSuccess)
            rc = err_set(e, ERR_ENGINE, "DuckDB does not take %s = %s", settings[i][0],
                         settings[i][1]);
    char *why = NULL;
    if (rc == 0 && duckdb_open_ext(NULL, ret, config, &why) != DuckDBSuccess)
        rc = err_set(e, ERR_ENGINE, "cannot open DuckDB: %s", why ? why : "no reason given");
    duckdb_free(why);
    duckdb_destroy_config(&config);
    return rc;
}

/* Sleeps until the session ends; every 50 ms it looks whether the process shall stop. */
static void *watch(void *arg) {
    struct session *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->done) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 50 * 1000 * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&s->ended, &s->lock, &until);
        if (!s->done && stop_requested())
            duckdb_interrupt(s->con);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/*
 * What the models' dialect has and DuckDB has not (sql/README.md). Temporary, so that they are
 * found from whatever database is in use.
 */
static const char *const session_setup[] = {
    "SET TimeZone = 'UTC'",
    /* A join with so few values opens only the row groups that may hold one of them; beyond, those
       between the smallest and the largest. */
    "SET dynamic_or_filter_threshold = 10000",
    "CREATE TEMP MACRO xxhash64(x) AS hash(x)",
    "CREATE TEMP MACRO timestamp_micros(x) AS make_timestamptz(x)",
    "CREATE TEMP MACRO unix_micros(x) AS epoch_us(x)",
    /* In UTC; DuckDB's own cast asks for the time zone of each instant. */
    "CREATE TEMP MACRO to_date(x) AS CAST(make_timestamp(epoch_us(x)) AS DATE)",
    "CREATE TEMP MACRO regexp_like(x, pattern) AS regexp_matches(x, pattern)",
};

static duckdb_scalar_function make_function(struct duck *du, const struct sql_function *sf) {
    duckdb_scalar_function f = duckdb_create_scalar_function();
    duckdb_scalar_function_set_name(f, sf->name);
    duckdb_logical_type type;
    for (size_t i = 0; i < ARRAY_LEN(sf->parameters); i++) {
        type = duckdb_create_logical_type(sf->parameters[i]);
        duckdb_scalar_function_add_parameter(f, type);
        duckdb_destroy_logical_type(&type);
    }
    if (sf->more) {
        type = duckdb_create_logical_type(DUCKDB_TYPE_ANY);
        duckdb_scalar_function_set_varargs(f, type);
        duckdb_destroy_logical_type(&type);
    }
    type = duckdb_create_logical_type(sf->result);
    duckdb_scalar_function_set_return_type(f, type);
    duckdb_destroy_logical_type(&type);
    duckdb_scalar_function_set_special_handling(f); /* it is called for rows with NULLs, too */
    if (sf->every_row)
        duckdb_scalar_function_set_volatile(f);
    duckdb_scalar_function_set_extra_info(f, du, NULL);
    duckdb_scalar_function_set_function(f, sf->run);
    return f;
}

int function_register(struct duck *du, duckdb_connection con, const struct sql_function *sf,
                      struct err *e) {
    duckdb_scalar_function f = make_function(du, sf);
    bool done = duckdb_register_scalar_function(con, f) == DuckDBSuccess;
    duckdb_destroy_scalar_function(&f);
    return done ? 0 : err_set(e, ERR_ENGINE, "DuckDB does not take the function %s", sf->name);
}

int duck_register(struct duck *du, duckdb_database db, struct err *e) {
    duckdb_connection con;
    if (duckdb_connect(db, &con) != DuckDBSuccess)
        return err_set(e, ERR_ENGINE, "cannot connect to DuckDB");
    int rc = outlets_register(du, con, e);
    if (rc == 0)
        rc = seen_register(du, con, e);
    duckdb_disconnect(&con);
    return rc;
}

/*
 * The engine's database, opened for the first session: a step that finds nothing to do is done in a
 * third of the time without.
 */
static int shared_db(struct duck *du, duckdb_database *ret, struct err *e) {
    pthread_mutex_lock(&du->open_lock);
    int rc = 0;
    if (!du->db) {
        duckdb_database db = NULL;
        rc = duck_open_db(du, &db, e);
        if (rc == 0)
            rc = duck_register(du, db, e);
        if (rc == 0)
            du->db = db;
        else
            duckdb_close(&db);
    }
    *ret = du->db;
    pthread_mutex_unlock(&du->open_lock);
    return rc;
}

int session_open(struct session *s, struct duck *du, duckdb_database db, struct storage *st,
                 const char *what, struct err *e) {
    *s = (struct session){.du = du, .what = what, .st = st};
    if (stop_requested())
        return err_set(e, ERR_STOPPED, "%s: stopped", what);
    if (!db && shared_db(du, &db, e) < 0)
        return e->code;
    if (duckdb_connect(db, &s->con) != DuckDBSuccess)
        return err_set(e, ERR_ENGINE, "%s: cannot connect to DuckDB", what);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->ended, NULL);
    int failed = pthread_create(&s->watcher, NULL, watch, s);
    if (failed) {
        duckdb_disconnect(&s->con);
        return err_sys(e, ERR_ENGINE, failed, "%s: cannot start a thread", what);
    }
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(session_setup) && rc == 0; i++)
        rc = session_exec(s, NULL, session_setup[i], e);
    unsigned long id = atomic_fetch_add(&du->sessions, 1);
    if (rc == 0)
        rc = session_execf(s, e, "ATTACH ':memory:' AS job_%lu", id);
    if (rc == 0)
        rc = session_execf(s, e, "USE job_%lu", id);
    if (rc < 0) {
        session_close(s);
        return rc;
    }
    snprintf(s->db, sizeof s->db, "job_%lu", id);
    return 0;
}

void session_close(struct session *s) {
    pthread_mutex_lock(&s->lock);
    s->done = true;
    pthread_cond_signal(&s->ended);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->watcher, NULL);
    if (s->db[0]) {
        duckdb_result r;
        char sql[64];
        duckdb_query(s->con, "USE memory", &r);
        duckdb_destroy_result(&r);
        snprintf(sql, sizeof sql, "DETACH %s", s->db);
        duckdb_query(s->con, sql, &r);
        duckdb_destroy_result(&r);
    }
    duckdb_disconnect(&s->con);
    seen_close(s);
    if (s->links)
        fs_remove_tree(s->links);
    free(s->links);
    pthread_cond_destroy(&s->ended);
    pthread_mutex_destroy(&s->lock);
    for (size_t i = 0; i < s->n_pinned; i++) {
        storage_unlocalize(s->st, s->pinned[i]);
        free(s->pinned[i]);
    }
    free(s->pinned);
}

/* What to do about a failed statement, where that can be known. */
static void add_hint(const struct duck *du, const char *msg, struct err *e) {
    if (strstr(msg, "max_temp_directory_size") || strstr(msg, "No space left"))
        err_hint(e, "free disk space for '%s', or put engine.temp_dir on a larger disk",
                 du->temp.dir);
    else if (e->too_much)
        err_hint(e, "raise engine.memory (now %lld MiB) or lower engine.threads (now %d)",
                 (long long)(du->o.memory_bytes / MIB), du->o.threads);
    else if (strstr(msg, "out of range for the destination type INT32"))
        err_hint(e, "a number outgrew its INT column: CAST it AS BIGINT in the model, and make the "
                    "column BIGINT in the sink (sql/README.md)");
}

/* DuckDB quotes the line behind its message: "\n\nLINE 7: SELECT foo". 0: it does not say. */
static int line_of(const char *msg) {
    const char *at = strstr(msg, "\nLINE ");
    int line;
    return at && sscanf(at, "\nLINE %d:", &line) == 1 ? line : 0;
}

char *session_place(const struct session *s, const char *part, int line) {
    if (s->file && line > 0)
        return xasprintf("%s: %s:%d", s->what, s->file, line);
    if (s->file || part)
        return xasprintf("%s: %s", s->what, s->file ? s->file : part);
    return xstrdup(s->what);
}

int session_fail(struct session *s, const char *part, duckdb_error_type type, const char *msg,
                 struct err *e) {
    if (!msg)
        msg = "DuckDB gives no reason";
    if (stop_requested())
        return err_set(e, ERR_STOPPED, "%s: stopped", s->what);
    /* DuckDB's own advice and the echo of the statement follow in further lines. */
    int len = (int)strcspn(msg, "\n");
    _cleanup_(freep) char *place = session_place(s, part, line_of(msg));
    err_set(e, ERR_ENGINE, "%s: %.*s", place, len, msg);
    e->too_much = type == DUCKDB_ERROR_OUT_OF_MEMORY;
    add_hint(s->du, msg, e);
    return e->code;
}

int session_result(struct session *s, const char *part, const char *sql, duckdb_result *ret,
                   struct err *e) {
    if (duckdb_query(s->con, sql, ret) == DuckDBSuccess)
        return 0;
    session_fail(s, part, duckdb_result_error_type(ret), duckdb_result_error(ret), e);
    duckdb_destroy_result(ret);
    return e->code;
}

int session_exec(struct session *s, const char *part, const char *sql, struct err *e) {
    duckdb_result r;
    if (session_result(s, part, sql, &r, e) < 0)
        return e->code;
    duckdb_destroy_result(&r);
    return 0;
}

int session_execf(struct session *s, struct err *e, const char *fmt, ...) {
    struct buf sql = BUF_INIT(LIMIT_SQL);
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&sql, fmt, ap);
    va_end(ap);
    int rc = session_exec(s, NULL, buf_str(&sql), e);
    buf_release(&sql);
    return rc;
}

void sql_name(struct buf *b, const char *name) {
    buf_add_quoted(b, name, strlen(name), '"');
}

static void duck_free(struct engine *en) {
    struct duck *du = (struct duck *)en;
    duckdb_close(&du->db);
    temp_close(&du->temp);
    pthread_mutex_destroy(&du->lock);
    pthread_mutex_destroy(&du->open_lock);
    pthread_mutex_destroy(&du->temp_lock);
    free(du->temp_dir);
    free(du);
}

/* DuckDB promises its hash to nobody: another version may have another. */
static const char *hash_name(void) {
    return duckdb_library_version();
}

static const struct engine_ops duck_ops = {
    .scheme = "duckdb",
    .hash_name = hash_name,
    .run = duck_run,
    .ask = duck_ask,
    .free = duck_free,
};

const char *engine_library_version(void) {
    return duckdb_library_version();
}

int engine_duckdb_open(const struct engine_options *o, struct engine **ret,
                       struct err *e ATTR_UNUSED) {
    struct duck *du = xcalloc(1, sizeof *du);
    du->base.ops = &duck_ops;
    du->o = *o;
    du->o.temp_dir = NULL;
    pthread_mutex_init(&du->lock, NULL);
    pthread_mutex_init(&du->open_lock, NULL);
    pthread_mutex_init(&du->temp_lock, NULL);
    du->temp_dir = xstrdup(o->temp_dir);
    temp_sweep(o->temp_dir);
    *ret = &du->base;
    return 0;
}
