/* SPDX-License-Identifier: Apache-2.0 */
/* Lakes in a real S3 server, which checks every signature. */
#include <sys/stat.h>
#include <unistd.h>

#include "storage/s3_helper.h"

enum { PATIENCE_MS = 10000 };

static struct s3_server server;

static void *lake_new(void) {
    return s3_lake_new(server.url, server.bucket);
}

static struct storage *open_lake(void *lake) {
    return s3_lake_open(lake, PATIENCE_MS);
}

static void lake_free(void *lake) {
    s3_lake_free(lake);
}

int main(void) {
    static const struct storage_driver driver = {.name = "storage/s3",
                                                 .lake_new = lake_new,
                                                 .open = open_lake,
                                                 .lake_free = lake_free,
                                                 .rounds = 6,
                                                 .no_folders = true};
    setenv("NO_PROXY", "127.0.0.1", 1);
    s3_server_new(&server);
    int failed = storage_conformance(&driver);
    s3_server_free(&server);
    return failed;
}
