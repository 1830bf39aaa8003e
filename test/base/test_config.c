/* SPDX-License-Identifier: Apache-2.0 */
/* Where a value may come from, which source wins, and errors that name the place and the nearest key. */
#include "base/config.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/helper.h"
#include "base/limits.h"

/* What a user has set; ini NULL: no file. */
struct setting {
    const char *ini;
    size_t ini_len; /* 0: strlen */
    char *env[8];
    const char *set[4];
};

/* Loads it. The path of the file, which is gone then, is the caller's to free. */
static int load(const struct setting *s, struct config **ret, char **ret_path, struct err *e) {
    *e = (struct err){0};
    *ret = NULL;
    const char *ini = s->ini ? s->ini : "";
    char *path = file_with(ini, s->ini_len ? s->ini_len : strlen(ini));
    struct config_source src = {.file = path, .set = s->set, .environ = s->env};
    while (src.n_set < ARRAY_LEN(s->set) && s->set[src.n_set])
        src.n_set++;
    int r = config_load(&src, ret, e);
    unlink(path);
    *ret_path = path;
    return r;
}

static struct config *load_good(const struct setting *s) {
    struct config *cfg;
    struct err e;
    char *path;
    assert_ok(load(s, &cfg, &path, &e), &e);
    free(path);
    return cfg;
}

/* Fails with these words; a leading "INI" in them is the path of the file. */
static void assert_refused(const struct setting *s, const char *words) {
    struct config *cfg;
    struct err e;
    char *path;
    int r = load(s, &cfg, &path, &e);
    if (r == 0)
        fail_msg("taken; expected: %s", words);
    assert_int_equal(r, ERR_CONFIG);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_null(cfg);
    bool in_file = strncmp(words, "INI", 3) == 0;
    _cleanup_(freep) char *expected =
        xasprintf("%s%s", in_file ? path : "", words + (in_file ? 3 : 0));
    assert_string_equal(e.msg, expected);
    free(path);
}

/* "stream.url" is CLICKMILL_STREAM_URL. */
static char *env_name(const char *key) {
    char *name = xasprintf("CLICKMILL_%s", key);
    for (char *p = name; *p; p++)
        *p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
    return name;
}

static void the_table_is_whole(void **state ATTR_UNUSED) {
    struct config *cfg = load_good(&(struct setting){0});
    for (int i = 0; i < CFG_N; i++) {
        const struct config_key *k = &config_keys[i];
        assert_non_null(k->name);
        assert_non_null(strchr(k->name, '.'));
        assert_true(strlen(k->help) > 10 && k->help[strlen(k->help) - 1] == '.');
        assert_string_equal(config_text(cfg, (enum config_id)i), k->def);
        assert_string_equal(config_origin(cfg, (enum config_id)i), "default");
        assert_true(k->min <= k->max);
        assert_null(strchr(strchr(k->name, '.') + 1, '.'));
    }
    assert_int_equal(config_int(cfg, CFG_STREAM_TIMEOUT), 60000);
    assert_int_equal(config_int(cfg, CFG_ENGINE_MEMORY), 512LL * MIB);
    assert_int_equal(config_int(cfg, CFG_INGEST_KEEP_RAW), 0);
    config_free(cfg);
    config_free(NULL);
}

static void every_key_is_set_from_every_source(void **state ATTR_UNUSED) {
    for (int i = 0; i < CFG_N; i++) {
        const struct config_key *k = &config_keys[i];
        const char *value = *k->def ? k->def : "x";
        enum config_id id = (enum config_id)i;
        _cleanup_(freep) char *ini = xasprintf("\n[%.*s]\n%s=%s", (int)strcspn(k->name, "."),
                                               k->name, strchr(k->name, '.') + 1, value);
        _cleanup_(freep) char *variable = env_name(k->name),
                              *env = xasprintf("%s=%s", variable, value);
        _cleanup_(freep) char *set = xasprintf("%s=%s", k->name, value);
        _cleanup_(freep) char *env_origin = xasprintf("environment %s", variable);
        struct config *from_ini = load_good(&(struct setting){.ini = ini});
        struct config *from_env = load_good(&(struct setting){.env = {env}});
        struct config *from_set = load_good(&(struct setting){.set = {set}});
        const char *origin = config_origin(from_ini, id);
        assert_string_equal(origin + strlen(origin) - 2, ":3");
        assert_string_equal(config_origin(from_env, id), env_origin);
        assert_string_equal(config_origin(from_set, id), "-c");
        assert_string_equal(config_text(from_ini, id), value);
        assert_string_equal(config_text(from_env, id), value);
        assert_string_equal(config_text(from_set, id), value);
        config_free(from_ini);
        config_free(from_env);
        config_free(from_set);
    }
}

static char pg_host[] = "POSTGRES_HOST=pg", mill_sink[] = "CLICKMILL_SINK_URL=sqlite:env.db";

static void later_sources_win(void **state ATTR_UNUSED) {
    static const char ini[] = "[sink]\nurl = sqlite:ini.db\n";
    const struct {
        struct setting s;
        const char *url;
    } cases[] = {
        {{0}, "sqlite:data/analytics.db"},
        {{.ini = ini}, "sqlite:ini.db"},
        {{.ini = ini, .env = {pg_host}}, "postgresql://pg/"},
        {{.ini = ini, .env = {mill_sink, pg_host}}, "sqlite:env.db"},
        {{.ini = ini, .env = {pg_host, mill_sink}}, "sqlite:env.db"},
        {{.ini = ini, .env = {pg_host, mill_sink}, .set = {"sink.url=sqlite:1.db"}}, "sqlite:1.db"},
        {{.ini = ini, .set = {"sink.url=sqlite:1.db", "sink.url=sqlite:2.db"}}, "sqlite:2.db"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config *cfg = load_good(&cases[i].s);
        assert_string_equal(config_text(cfg, CFG_SINK_URL), cases[i].url);
        config_free(cfg);
    }
}

static void ini_files_are_read_as_people_write_them(void **state ATTR_UNUSED) {
    static const struct {
        const char *ini;
        enum config_id id;
        const char *text;
        int64_t number;
    } cases[] = {
        {"", CFG_STREAM_TOPIC, "clickstream", 0},
        {"\n\n \t\r\n", CFG_STREAM_TOPIC, "clickstream", 0},
        {"[stream]\ntopic=t", CFG_STREAM_TOPIC, "t", 0},
        {"[stream]\r\ntopic = t\r\n", CFG_STREAM_TOPIC, "t", 0},
        {"  [ stream ]  \n\t topic\t=\t two words \t\n", CFG_STREAM_TOPIC, "two words", 0},
        {"# c\n; c\n[stream]\n  # topic = no\n;topic = no\ntopic = t#1;2", CFG_STREAM_TOPIC,
         "t#1;2", 0},
        {"stream.topic = t", CFG_STREAM_TOPIC, "t", 0},
        {"[stream]\napp = a\n[sink]\n[stream]\ntopic = b", CFG_STREAM_TOPIC, "b", 0},
        {"[stream]\nurl = kafka://h?a=b&c=d", CFG_STREAM_URL, "kafka://h?a=b&c=d", 0},
        {"[run]\nhistory =\n", CFG_RUN_HISTORY, "", 0},
        {"[debug]\ncrash_at = \n", CFG_DEBUG_CRASH_AT, "", 0},
        {"[ingest]\nkeep_raw = Yes", CFG_INGEST_KEEP_RAW, "Yes", 1},
        {"[engine]\nmemory = 1GiB", CFG_ENGINE_MEMORY, "1GiB", 1LL << 30},
        {"[sink]\ntimeout = 1500ms", CFG_SINK_TIMEOUT, "1500ms", 1500},
        {"[log]\nlevel = debug", CFG_LOG_LEVEL, "debug", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config *cfg = load_good(&(struct setting){.ini = cases[i].ini});
        assert_string_equal(config_text(cfg, cases[i].id), cases[i].text);
        assert_int_equal(config_int(cfg, cases[i].id), cases[i].number);
        config_free(cfg);
    }
}

static void mistakes_in_a_file_name_the_line(void **state ATTR_UNUSED) {
    static const char *const cases[][2] = {
        {"[stream]\n\n# c\ntopic\n", "INI:4: expected key = value"},
        {"[stream\n", "INI:1: a section is written [name]"},
        {"[", "INI:1: a section is written [name]"},
        {"[stream] # c\n", "INI:1: a section is written [name]"},
        {"\n\n[stream]\ntopic =\n", "INI:4: stream.topic: the value is empty"},
        {"[stream]\ntopic = t ; the topic\n", "INI:2: a comment behind the value"},
        {"[stream]\ntopic = t\t# the topic\n", "INI:2: a comment behind the value"},
        {"[stream]\ntopic = # none\n", "INI:2: a comment behind the value"},
        {"[stream]\npartitions = 0\n", "INI:2: stream.partitions: '0' is out of range: 1 to 1024"},
        {"[sink]\ntimeout = soon\n",
         "INI:2: sink.timeout: 'soon' is no duration such as 500ms, 10s, 5m, 1h or 7d"},
        {"[stream]\ntopic = a\n[sink]\n[stream]\n\ntopic = a",
         "INI:6: stream.topic is set already in line 2"},
        {"[kafka]\nlinger.ms = 1\nacks = all\nlinger.ms = 2",
         "INI:4: kafka.linger.ms is set already in line 2"},
        {"\xEF\xBB\xBF[stream]\n", "INI:1: expected key = value"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(&(struct setting){.ini = cases[i][0]}, cases[i][1]);
}

static void unknown_keys_are_errors_wherever_they_stand(void **state ATTR_UNUSED) {
    static char stream_uri[] = "CLICKMILL_STREAM_URI=x", empty[] = "CLICKMILL_=x",
                root[] = "CLICKMILL_LAKEURL=x";
    const struct {
        struct setting s;
        const char *words;
    } cases[] = {
        {{.ini = "[stream]\ntopik = t"},
         "INI:2: unknown key 'stream.topik'; the nearest is 'stream.topic'"},
        {{.ini = "[steam]\ntopic = t"},
         "INI:2: unknown key 'steam.topic'; the nearest is 'stream.topic'"},
        {{.ini = "topic = t"}, "INI:1: unknown key 'topic'; the nearest is 'stream.topic'"},
        {{.ini = "[Stream]\ntopic = t"},
         "INI:2: unknown key 'Stream.topic'; the nearest is 'stream.topic'"},
        {{.ini = "[stream]\n = t"}, "INI:2: unknown key 'stream.'; the nearest is 'stream.url'"},
        {{.env = {stream_uri}},
         "environment CLICKMILL_STREAM_URI: unknown key 'stream.uri'; the nearest is 'stream.url'"},
        {{.env = {root}},
         "environment CLICKMILL_LAKEURL: unknown key 'lakeurl'; the nearest is 'lake.url'"},
        {{.set = {"sink.ulr=x"}}, "-c: unknown key 'sink.ulr'; the nearest is 'sink.url'"},
        {{.set = {"sink.url"}}, "-c sink.url: expected key=value"},
        {{.set = {"stream.topic="}}, "-c: stream.topic: the value is empty"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(&cases[i].s, cases[i].words);
    struct config *cfg;
    struct err e;
    char *path;
    assert_int_equal(load(&(struct setting){.env = {empty}}, &cfg, &path, &e), ERR_CONFIG);
    free(path);
    assert_int_equal(load(&(struct setting){.set = {"=x"}}, &cfg, &path, &e), ERR_CONFIG);
    free(path);
}

static void values_are_checked(void **state ATTR_UNUSED) {
    static const char *const cases[][2] = {
        {"log.level=verbose", "-c: log.level: 'verbose' is none of debug|info|warn|error"},
        {"log.level=debug|info", "-c: log.level: 'debug|info' is none of debug|info|warn|error"},
        {"log.level=inf", "-c: log.level: 'inf' is none of debug|info|warn|error"},
        {"log.level=", "-c: log.level: '' is none of debug|info|warn|error"},
        {"log.level=|", "-c: log.level: '|' is none of debug|info|warn|error"},
        {"engine.threads=257", "-c: engine.threads: '257' is out of range: 1 to 256"},
        {"engine.threads=-1", "-c: engine.threads: '-1' is out of range: 1 to 256"},
        {"engine.threads=two", "-c: engine.threads: 'two' is no whole number"},
        {"engine.memory=1MiB",
         "-c: engine.memory: '1MiB' is out of range: 67108864 to 17592186044416 bytes"},
        {"engine.memory=9223372036854775807KiB",
         "-c: engine.memory: '9223372036854775807KiB' is no size such as 64KiB, 256MiB or 1GiB"},
        {"stream.timeout=0", "-c: stream.timeout: '0' is out of range: 1 to 86400000 milliseconds"},
        {"ingest.keep_raw=maybe", "-c: ingest.keep_raw: 'maybe' is no true or false"},
        {"lake.url=", "-c: lake.url: the value is empty"},
        {"lake.url= ", "-c: lake.url: the value is empty"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(&(struct setting){.set = {cases[i][0]}}, cases[i][1]);
    struct config *cfg = load_good(&(struct setting){.set = {" log.level = warn "}});
    assert_string_equal(config_text(cfg, CFG_LOG_LEVEL), "warn");
    config_free(cfg);
}

/* What libpq finds in the URL under that name; "" if nothing. */
static const char *found_by_libpq(PQconninfoOption *options, const char *name) {
    for (; options->keyword; options++)
        if (strcmp(options->keyword, name) == 0)
            return options->val ? options->val : "";
    fail_msg("libpq knows no %s", name);
    return "";
}

/* Parts as they stand in a .env file, read back by libpq from the URL made of them. */
static void postgres_variables_become_a_url(void **state ATTR_UNUSED) {
    static const char *const names[] = {"HOST", "USER", "PASSWORD", "DB1", "PORT"};
    static const char *const keywords[] = {"host", "user", "password", "dbname", "port"};
    static const char *const cases[][ARRAY_LEN(names)] = {
        {"pg", "u", "p", "db", "5432"},
        {"pg", "u", NULL, NULL, NULL},
        {"pg", NULL, "p", "db", NULL},
        {"pg", "", "", "", ""},
        {"pg", "u@h", "p@/:?#&=%20 \t\"'\\", "d/b?x=1", "1"},
        {"pg", "\xc3\xa4", "\x01\x7f\xff", "\xe2\x82\xac", "65535"},
        {"/var/run/postgresql", "u", "p", "db", NULL},
        {"::1", "u", "p", "db", "5432"},
        {"h1,h2", "u", "a+b", "db", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct setting s = {0};
        for (size_t k = 0, n = 0; k < ARRAY_LEN(names); k++)
            if (cases[i][k])
                s.env[n++] = xasprintf("POSTGRES_%s=%s", names[k], cases[i][k]);
        struct config *cfg = load_good(&s);
        assert_string_equal(config_origin(cfg, CFG_SINK_URL), "environment POSTGRES_HOST");
        PQconninfoOption *options = PQconninfoParse(config_text(cfg, CFG_SINK_URL), NULL);
        if (!options)
            fail_msg("libpq does not read %s", config_text(cfg, CFG_SINK_URL));
        for (size_t k = 0; k < ARRAY_LEN(names); k++)
            assert_string_equal(found_by_libpq(options, keywords[k]),
                                cases[i][k] ? cases[i][k] : "");
        PQconninfoFree(options);
        config_free(cfg);
        for (size_t n = 0; n < ARRAY_LEN(s.env); n++)
            free(s.env[n]);
    }
}

static void postgres_variables_need_a_host_and_a_port(void **state ATTR_UNUSED) {
    static char user[] = "POSTGRES_USER=u",
                no_host[] = "POSTGRES_HOST=", bad_port[] = "POSTGRES_PORT=5432/x",
                great_port[] = "POSTGRES_PORT=65536", hostile[] = "POSTGRES_HOSTX=a";
    struct config *cfg = load_good(&(struct setting){.env = {user, no_host, bad_port, hostile}});
    assert_string_equal(config_origin(cfg, CFG_SINK_URL), "default");
    config_free(cfg);
    assert_refused(&(struct setting){.env = {pg_host, bad_port}},
                   "environment POSTGRES_PORT: '5432/x' is no whole number");
    assert_refused(&(struct setting){.env = {pg_host, great_port}},
                   "environment POSTGRES_PORT: '65536' is out of range: 1 to 65535");
}

static void odd_environments_do_no_harm(void **state ATTR_UNUSED) {
    static char bare[] = "CLICKMILL_STREAM_URL", pg[] = "POSTGRES_HOST", empty[] = "",
                other[] = "CLICKMILLER=1", equals[] = "=x", prefix[] = "CLICKMILL_",
                topic[] = "CLICKMILL_stream_TOPIC=a=b";
    struct config *cfg =
        load_good(&(struct setting){.env = {bare, pg, empty, other, equals, prefix, topic}});
    assert_string_equal(config_origin(cfg, CFG_STREAM_URL), "default");
    assert_string_equal(config_origin(cfg, CFG_SINK_URL), "default");
    assert_string_equal(config_text(cfg, CFG_STREAM_TOPIC), "a=b");
    config_free(cfg);
}

static void assert_file_refused(const char *path, const char *words) {
    struct config_source src = {.file = path};
    struct config *cfg = NULL;
    struct err e;
    assert_int_equal(config_load(&src, &cfg, &e), ERR_CONFIG);
    assert_null(cfg);
    if (!strstr(e.msg, words) || !strstr(e.msg, path))
        fail_msg("'%s' instead of '%s'", e.msg, words);
}

static void files_that_are_none_are_refused(void **state ATTR_UNUSED) {
    assert_file_refused("/no/such/file.ini", "No such file");
    assert_file_refused("/tmp", "Is a directory");
    assert_file_refused("/dev/zero", "larger than");
    assert_file_refused("", "No such file");
    static const char nul[] = "[stream]\ntopic = t\0\ntopik = x\n";
    char *path = file_with(nul, sizeof nul - 1);
    assert_file_refused(path, "holds a NUL byte");
    file_drop(path);
    char *huge = xmalloc(LIMIT_CONFIG + 1);
    memset(huge, '\n', LIMIT_CONFIG + 1);
    path = file_with(huge, LIMIT_CONFIG + 1);
    assert_file_refused(path, "larger than");
    file_drop(path);
    config_free(load_good(&(struct setting){.ini = huge, .ini_len = LIMIT_CONFIG / 2}));
    free(huge);
}

static void noise_is_refused_in_words(void **state ATTR_UNUSED) {
    uint64_t seed = 42;
    for (int round = 0; round < 300; round++) {
        char noise[200];
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (char)random_next(&seed);
        struct config *cfg;
        struct err e;
        char *path;
        int r = load(&(struct setting){.ini = noise, .ini_len = sizeof noise}, &cfg, &path, &e);
        assert_true(r == 0 || (r == ERR_CONFIG && strstr(e.msg, path)));
        config_free(cfg);
        free(path);
    }
}

/* Where the sources begin: clickmill.ini in the working folder, if there is one. */
static void the_working_folder_may_hold_a_file(void **state ATTR_UNUSED) {
    char folder[] = "/tmp/clickmill-base-XXXXXX";
    _cleanup_(freep) char *back = getcwd(NULL, 0);
    assert_true(mkdtemp(folder) && chdir(folder) == 0);
    struct config_source src = {0};
    struct config *cfg;
    struct err e;
    assert_ok(config_load(&src, &cfg, &e), &e);
    config_free(cfg);
    FILE *f = fopen("clickmill.ini", "w");
    fputs("[stream]\ntopic = here\n", f);
    fclose(f);
    assert_ok(config_load(&src, &cfg, &e), &e);
    assert_string_equal(config_text(cfg, CFG_STREAM_TOPIC), "here");
    assert_string_equal(config_origin(cfg, CFG_STREAM_TOPIC), "clickmill.ini:2");
    config_free(cfg);
    unlink("clickmill.ini");
    assert_int_equal(mkdir("clickmill.ini", 0700), 0);
    assert_int_equal(config_load(&src, &cfg, &e), ERR_CONFIG);
    rmdir("clickmill.ini");
    assert_int_equal(chdir(back), 0);
    rmdir(folder);
}

static void properties_of_kafka_pass_from_every_source(void **state ATTR_UNUSED) {
    char mechanism[] = "CLICKMILL_KAFKA_SASL_MECHANISMS=PLAIN";
    char linger[] = "CLICKMILL_KAFKA_LINGER_MS=7";
    const struct setting s = {.ini = "[kafka]\nlinger.ms = 5\nacks = all\n",
                              .env = {mechanism, linger},
                              .set = {"kafka.acks=all", "kafka.sasl.password=a=b"}};
    static const struct {
        const char *name, *value, *origin;
    } wanted[] = {{"sasl.mechanisms", "PLAIN", "environment CLICKMILL_KAFKA_SASL_MECHANISMS"},
                  {"linger.ms", "7", "environment CLICKMILL_KAFKA_LINGER_MS"},
                  {"acks", "all", "-c"},
                  {"sasl.password", "a=b", "-c"}};
    struct config *cfg = load_good(&s);
    size_t n;
    const struct config_property *p = config_properties(cfg, &n);
    assert_int_equal(n, ARRAY_LEN(wanted)); /* each once, in the order of their last source */
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(p[i].name, wanted[i].name);
        assert_string_equal(p[i].value, wanted[i].value);
        assert_string_equal(p[i].origin, wanted[i].origin);
    }
    config_free(cfg);
    assert_refused(&(struct setting){.set = {"kafka.=x"}},
                   "-c: unknown key 'kafka.'; the nearest is 'lake.url'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_whole),
        cmocka_unit_test(every_key_is_set_from_every_source),
        cmocka_unit_test(later_sources_win),
        cmocka_unit_test(ini_files_are_read_as_people_write_them),
        cmocka_unit_test(mistakes_in_a_file_name_the_line),
        cmocka_unit_test(unknown_keys_are_errors_wherever_they_stand),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(postgres_variables_become_a_url),
        cmocka_unit_test(postgres_variables_need_a_host_and_a_port),
        cmocka_unit_test(properties_of_kafka_pass_from_every_source),
        cmocka_unit_test(odd_environments_do_no_harm),
        cmocka_unit_test(files_that_are_none_are_refused),
        cmocka_unit_test(noise_is_refused_in_words),
        cmocka_unit_test(the_working_folder_may_hold_a_file),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
