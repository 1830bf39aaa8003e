/* SPDX-License-Identifier: Apache-2.0 */
/* A real S3 server of the test program's own, and lakes in it. */
#ifndef CM_TEST_STORAGE_S3_HELPER_H
#define CM_TEST_STORAGE_S3_HELPER_H

#include "storage/conformance.h"
#include "storage/helper.h"

struct s3_server {
    char *folder;
    char *url, *bucket;
};

/* Nothing of the caller's own AWS settings counts; these keys do. secret NULL: none. */
void s3_test_keys(const char *id, const char *secret, const char *token);

/* test/services/s3.sh; ends with the test program. Without it the program fails. Sets its keys. */
void s3_server_new(struct s3_server *s);
void s3_server_free(struct s3_server *s);
void s3_server_do(const struct s3_server *s, const char *verb); /* stop, kill, start, restart */

/* Each lake is a prefix of its own. */
struct s3_lake {
    const char *endpoint;
    char *url, *cache;
};
struct s3_lake *s3_lake_new(const char *endpoint, const char *bucket);
void s3_lake_free(struct s3_lake *l);
/* Opened with so much patience. */
struct storage *s3_lake_open(const struct s3_lake *l, int64_t timeout_ms);

#endif
