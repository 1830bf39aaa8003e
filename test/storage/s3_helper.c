/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/s3_helper.h"

#include "fake/service.h"

static void set(const char *name, const char *value) {
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

void s3_test_keys(const char *id, const char *secret, const char *token) {
    static const char *const others[] = {"AWS_PROFILE",
                                         "AWS_REGION",
                                         "AWS_DEFAULT_REGION",
                                         "AWS_ENDPOINT_URL",
                                         "AWS_ENDPOINT_URL_S3",
                                         "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                         "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                         "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                         "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                         "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                         "AWS_WEB_IDENTITY_TOKEN_FILE",
                                         "AWS_ROLE_ARN"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        unsetenv(others[i]);
    set("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    set("AWS_CONFIG_FILE", "/dev/null");
    set("AWS_EC2_METADATA_DISABLED", "true");
    set("AWS_ACCESS_KEY_ID", secret ? id : NULL);
    set("AWS_SECRET_ACCESS_KEY", secret);
    set("AWS_SESSION_TOKEN", token);
}

void s3_server_new(struct s3_server *s) {
    s->folder = lake_folder_new();
    service_do("s3", "start", s->folder, "");
    _cleanup_(freep) char *env = service_run("s3", "env", s->folder);
    _cleanup_(freep) char *id = service_value(env, "TEST_S3_KEY"),
                          *secret = service_value(env, "TEST_S3_SECRET");
    s->url = service_value(env, "TEST_S3");
    s->bucket = service_value(env, "TEST_S3_BUCKET");
    s3_test_keys(id, secret, NULL);
}

void s3_server_do(const struct s3_server *s, const char *verb) {
    service_do("s3", verb, s->folder, "");
}

void s3_server_free(struct s3_server *s) {
    s3_server_do(s, "kill");
    lake_folder_free(s->folder);
    free(s->url);
    free(s->bucket);
    *s = (struct s3_server){0};
}

struct s3_lake *s3_lake_new(const char *endpoint, const char *bucket) {
    static int n;
    struct s3_lake *l = xcalloc(1, sizeof *l);
    l->endpoint = endpoint;
    l->url = xasprintf("s3://%s/team=a/50%%25~/lake-%d", bucket, ++n);
    l->cache = lake_folder_new();
    return l;
}

void s3_lake_free(struct s3_lake *l) {
    lake_folder_free(l->cache);
    free(l->url);
    free(l);
}

struct storage *s3_lake_open(const struct s3_lake *l, int64_t timeout_ms) {
    struct storage_options o = {.cache_dir = l->cache,
                                .cache_max_bytes = 1LL << 30,
                                .timeout_ms = timeout_ms,
                                .s3_endpoint = l->endpoint};
    struct storage *st;
    struct err e;
    assert_ok(storage_open(l->url, &o, &st, &e), &e);
    return st;
}
