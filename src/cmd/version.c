/* SPDX-License-Identifier: Apache-2.0 */
#include "version.h"
#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/out.h"
#include "engine/engine.h"
#include "stream/stream.h"

int versions_check(struct err *e) {
    const struct {
        const char *name, *built_for, *linked;
    } libraries[] = {{"DuckDB", CM_DUCKDB_VERSION, engine_library_version()},
                     {"librdkafka", CM_RDKAFKA_VERSION, stream_library_version()},
                     {"yyjson", CM_YYJSON_VERSION, json_library_version()}};
    for (size_t i = 0; i < ARRAY_LEN(libraries); i++)
        if (strcmp(libraries[i].built_for, libraries[i].linked) != 0) {
            err_set(e, ERR_BUG, "built for %s %s, but %s is linked", libraries[i].name,
                    libraries[i].built_for, libraries[i].linked);
            return err_hint(e, "build it again from a clean checkout: make clean build");
        }
    return 0;
}

struct version_opts {
    bool as_json;
};

static const struct opt options[] = {
    {"json", NULL, OPT_FLAG, offsetof(struct version_opts, as_json), "Print the result as JSON.", 0,
     0},
    {0},
};

static int run(struct cmd *c, struct err *e) {
    (void)e;
    if (!c->opts || !((const struct version_opts *)c->opts)->as_json) {
        printf("clickmill %s (%s), DuckDB %s, librdkafka %s, yyjson %s\n", CM_VERSION, CM_GIT,
               CM_DUCKDB_VERSION, CM_RDKAFKA_VERSION, CM_YYJSON_VERSION);
        return 0;
    }
    struct buf b = BUF_INIT(4096);
    struct json_out o = {.b = &b};
    json_obj(&o, NULL);
    json_put(&o, "version", CM_VERSION);
    json_put(&o, "git", CM_GIT);
    json_put(&o, "duckdb", CM_DUCKDB_VERSION);
    json_put(&o, "librdkafka", CM_RDKAFKA_VERSION);
    json_put(&o, "yyjson", CM_YYJSON_VERSION);
    json_obj_end(&o);
    puts(buf_str(&b));
    buf_release(&b);
    return 0;
}

const struct command cmd_version = {
    .name = "version",
    .operands = "",
    .summary = "The version of the program and of what is built in.",
    .options = options,
    .opts_size = sizeof(struct version_opts),
    .no_config = true,
    .run = run,
};
