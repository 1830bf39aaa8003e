/* SPDX-License-Identifier: Apache-2.0 */
/* The HDFS driver against a real NameNode and DataNode: the contract, and what happens to them. */
#include "base/util.h"
#include "storage/hdfs_helper.h"

static struct hdfs_server server;

static void *lake_new(void) {
    return hdfs_lake_new(&server);
}

static struct storage *lake_opened(void *lake) {
    return hdfs_lake_open(lake, 30000, NULL);
}

static void lake_end(void *lake) {
    hdfs_lake_free(lake);
}

static const struct storage_driver driver = {
    .name = "hdfs", .lake_new = lake_new, .open = lake_opened, .lake_free = lake_end, .rounds = 4};

int main(void) {
    setenv("NO_PROXY", "127.0.0.1", 1);
    hdfs_server_new(&server);
    int failed = storage_conformance(&driver);
    hdfs_server_free(&server);
    return failed;
}
