/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/service.h"

#include <unistd.h>

#include "base/helper.h"

/* The variable each script takes its owner from. */
static const char *owner_of(const char *name) {
    static const char *const owners[][2] = {{"hdfs", "HDFS_OWNER"},
                                            {"kafka", "KAFKA_OWNER"},
                                            {"kdc", "KDC_OWNER"},
                                            {"postgres", "PG_OWNER"},
                                            {"s3", "S3_OWNER"}};
    for (size_t i = 0; i < ARRAY_LEN(owners); i++)
        if (strcmp(owners[i][0], name) == 0)
            return owners[i][1];
    abort();
}

static char *run(const char *name, const char *verb, const char *folder, const char *part) {
    const char *root = getenv("CM_SOURCE_ROOT");
    _cleanup_(freep) char *command =
        xasprintf("%s=%d '%s/test/services/%s.sh' %s '%s' %s", owner_of(name), (int)getpid(),
                  root ? root : ".", name, verb, folder, part);
    struct buf text = BUF_INIT(65536);
    char line[4096];
    FILE *f = popen(command, "r");
    while (f && fgets(line, sizeof line, f))
        buf_add_str(&text, line);
    if (!f || pclose(f) != 0) {
        fprintf(stderr, "%s failed\n", command);
        rmdir(folder); /* if nothing was made in it */
        exit(1);
    }
    return buf_detach(&text);
}

char *service_run(const char *name, const char *verb, const char *folder) {
    return run(name, verb, folder, "");
}

void service_do(const char *name, const char *verb, const char *folder, const char *part) {
    free(run(name, verb, folder, part));
}

char *service_value(const char *env, const char *variable) {
    size_t n = strlen(variable);
    for (const char *line = env; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, variable, n) == 0 && line[n] == '=') {
            const char *v = line + n + 1;
            return *v == '\'' ? xstrndup(v + 1, strcspn(v + 1, "'"))
                              : xstrndup(v, strcspn(v, "\n"));
        }
    fprintf(stderr, "%s is not in: %s\n", variable, env);
    exit(1);
}
