/* SPDX-License-Identifier: Apache-2.0 */
/* The contract against a real broker. */
#include "stream/kafka_helper.h"

static struct kafka_server server;

int main(void) {
    const char *given = getenv("TEST_KAFKA");
    if (!given || !*given)
        kafka_server_new(&server);
    int failed = kafka_conformance(given && *given ? given : server.plain);
    if (server.folder)
        kafka_server_free(&server);
    return failed;
}
