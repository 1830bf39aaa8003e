/* SPDX-License-Identifier: Apache-2.0 */
#include "version.h"
#include "cmd/cmd.h"
#include "cmd/out.h"

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
    if (c->opts && ((const struct version_opts *)c->opts)->as_json)
        printf("{\"version\":\"%s\",\"git\":\"%s\",\"duckdb\":\"%s\",\"yyjson\":\"%s\"}\n",
               CM_VERSION, CM_GIT, CM_DUCKDB_VERSION, CM_YYJSON_VERSION);
    else
        printf("clickmill %s (%s), DuckDB %s, yyjson %s\n", CM_VERSION, CM_GIT, CM_DUCKDB_VERSION,
               CM_YYJSON_VERSION);
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
