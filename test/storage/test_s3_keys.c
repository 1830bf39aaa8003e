/* SPDX-License-Identifier: Apache-2.0 */
/* The keys for S3: from the environment, profiles, a container's agent and a machine's metadata service. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "storage/s3_keys.h"
#include "storage/s3_play.h"

static int get(const char *profile, struct s3_key *ret, struct err *e) {
    struct s3_keys *ks = s3_keys_new(profile);
    int r = s3_keys_get(ks, ret, e);
    s3_keys_free(ks);
    return r;
}

static void assert_keys(const char *profile, const char *id, const char *secret,
                        const char *token) {
    struct s3_key k;
    struct err e;
    assert_ok(get(profile, &k, &e), &e);
    assert_string_equal(k.id, id);
    assert_string_equal(k.secret, secret);
    if (token)
        assert_string_equal(k.token, token);
    else
        assert_null(k.token);
    s3_key_release(&k);
}

static void assert_none(const char *profile, const char *says) {
    struct s3_key k = {.id = NULL};
    struct err e;
    assert_int_equal(get(profile, &k, &e), ERR_STORAGE);
    assert_has(e.msg, says);
    assert_null(strstr(e.msg, "hush"));
    assert_null(k.id);
}

/* ---- environment and profiles ---- */

static char *dir; /* of the profiles */

static void profiles(const char *credentials, const char *config) {
    _cleanup_(freep) char *one = xasprintf("%s/credentials", dir),
                          *two = xasprintf("%s/config", dir);
    unlink(one);
    unlink(two);
    if (credentials)
        make_file(one, credentials, strlen(credentials));
    if (config)
        make_file(two, config, strlen(config));
    s3_test_keys(NULL, NULL, NULL);
    setenv("AWS_SHARED_CREDENTIALS_FILE", one, 1);
    setenv("AWS_CONFIG_FILE", two, 1);
}

static void the_environment_comes_first(void **state ATTR_UNUSED) {
    profiles("[default]\naws_access_key_id=AKFILE\naws_secret_access_key=hush\n", NULL);
    setenv("AWS_ACCESS_KEY_ID", "AKENV", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "hush-env", 1);
    assert_keys(NULL, "AKENV", "hush-env", NULL);
    setenv("AWS_SESSION_TOKEN", "tok", 1);
    assert_keys(NULL, "AKENV", "hush-env", "tok");
    assert_keys("default", "AKFILE", "hush", NULL); /* but not before s3.profile */
    unsetenv("AWS_SECRET_ACCESS_KEY");
    assert_none(NULL, "only one is set");
    s3_test_keys(NULL, NULL, NULL);
}

static void profiles_are_read_as_the_aws_tools_do(void **state ATTR_UNUSED) {
    profiles("# mine\n"
             "[default]\n"
             "aws_access_key_id = AKDEFAULT\r\n"
             "  aws_secret_access_key = nested, not ours\n"
             "aws_secret_access_key=hush/+=\n"
             "; [shop]\n"
             "[ shop ]\n"
             "aws_access_key_id=AKSHOP\naws_secret_access_key=hush-shop\naws_session_token=tok==\n"
             "[profile odd]\naws_access_key_id=AKODD\naws_secret_access_key=hush-odd\n"
             "[last]\naws_access_key_id=AKLAST\naws_secret_access_key=hush-last",
             "[default]\nregion=eu-1\n[profile both]\naws_access_key_id=AKBOTH\n"
             "aws_secret_access_key=hush-both\n[profile\tshop]\naws_access_key_id=AKOTHER\n[odd]\n"
             "aws_access_key_id=no\naws_secret_access_key=no\n");
    assert_keys(NULL, "AKDEFAULT", "hush/+=", NULL);
    assert_keys("shop", "AKSHOP", "hush-shop", "tok==");
    assert_keys("both", "AKBOTH", "hush-both", NULL);
    assert_keys("last", "AKLAST", "hush-last", NULL);
    setenv("AWS_PROFILE", "shop", 1);
    assert_keys(NULL, "AKSHOP", "hush-shop", "tok==");
    assert_none("odd", "there is no AWS profile 'odd'");
    assert_none("none", "there is no AWS profile 'none'");
    setenv("AWS_PROFILE", "none", 1);
    assert_none(NULL, "there is no AWS profile 'none'");
}

static void profiles_without_keys_are_errors(void **state ATTR_UNUSED) {
    profiles("[half]\naws_access_key_id=AK\n[empty]\n",
             "[profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = default\n"
             "[profile sso]\nsso_session = corp\n[profile run]\ncredential_process = /bin/x\n");
    assert_none("half", "the AWS profile 'half' holds no keys");
    assert_none("empty", "holds no keys");
    assert_none("role", "gets its keys by role_arn");
    assert_none("sso", "gets its keys by sso_session");
    assert_none("run", "gets its keys by credential_process");
    assert_none(NULL, "no keys for S3");
    profiles(NULL, NULL);
    assert_none(NULL, "no keys for S3");
    _cleanup_(freep) char *file = xasprintf("%s/credentials", dir);
    assert_int_equal(mkdir(file, 0777), 0); /* not to be read */
    assert_none(NULL, "cannot read the AWS profiles in");
    rmdir(file);
}

/* ---- over HTTP ---- */

static char *answer_of(const char *id, int64_t seconds) {
    char end[TIME_TEXT];
    time_format_ms(clock_now_us() + seconds * US_PER_SECOND, end);
    return xasprintf("{\"Code\":\"Success\",\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"hush\","
                     "\"Token\":\"tok\",\"Expiration\":\"%s\"}",
                     id, end);
}

static struct s3_play *agent(void) {
    struct s3_play *p = s3_play_new();
    s3_test_keys(NULL, NULL, NULL);
    return p;
}

static void set_url(const char *name, struct s3_play *p, const char *path) {
    _cleanup_(freep) char *url = xasprintf("%s%s", p->endpoint, path);
    setenv(name, url, 1);
}

static void a_container_s_agent_is_asked(void **state ATTR_UNUSED) {
    struct s3_play *p = agent();
    _cleanup_(freep) char *good = answer_of("AKBOX", 3600);
    _cleanup_(freep) char *file = xasprintf("%s/token", dir);
    http_play_answer(p->http, "GET", "/v1/keys", 200, "", good);
    set_url("AWS_CONTAINER_CREDENTIALS_FULL_URI", p, "/v1/keys");
    assert_keys(NULL, "AKBOX", "hush", "tok");
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "said", 1);
    assert_keys(NULL, "AKBOX", "hush", "tok");
    _cleanup_(freep) char *head = http_play_head(p->http, "GET", "/v1/keys");
    assert_has(head, "Authorization: said\r\n");
    make_file(file, "from-file\n", 10);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file, 1);
    assert_keys(NULL, "AKBOX", "hush", "tok");
    _cleanup_(freep) char *other = http_play_head(p->http, "GET", "/v1/keys");
    assert_has(other, "Authorization: from-file\r\n");
    unlink(file);
    assert_none(NULL, "cannot read the token in");
    s3_play_free(p);
}

static void an_agent_elsewhere_is_not_asked(void **state ATTR_UNUSED) {
    static const char *const urls[] = {"http://evil.example/keys",
                                       "http://127.0.0.1.evil.example/",
                                       "http://localhost.example/",
                                       "ftp://127.0.0.1/",
                                       "http://169.254.170.200/",
                                       "127.0.0.1",
                                       "http://169.254.170.2:x@evil.example/",
                                       "http://127.0.0.1:80@evil.example",
                                       "https://me@evil.example/"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        s3_test_keys(NULL, NULL, NULL);
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", urls[i], 1);
        assert_none(NULL, "neither https nor an address of this machine");
    }
}

/* On EKS the machine's role is another's. */
static void a_web_identity_is_not_passed_over(void **state ATTR_UNUSED) {
    static const char *const names[] = {"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct s3_play *p = agent();
        unsetenv("AWS_EC2_METADATA_DISABLED");
        set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", p, "/");
        http_play_answer(p->http, "PUT", "/latest/api/token", 200, "", "imds-token");
        setenv(names[i], "x", 1);
        assert_none(NULL, "web identity");
        assert_int_equal(http_play_count(p->http, "PUT", "/latest/api/token"), 0);
        setenv("AWS_ACCESS_KEY_ID", "AKENV", 1); /* keys that are given come first */
        setenv("AWS_SECRET_ACCESS_KEY", "hush-env", 1);
        assert_keys(NULL, "AKENV", "hush-env", NULL);
        unsetenv(names[i]);
        s3_play_free(p);
    }
}

static void a_machine_s_role_is_asked_for_with_a_token(void **state ATTR_UNUSED) {
    struct s3_play *p = agent();
    _cleanup_(freep) char *good = answer_of("AKEC2", 3600);
    unsetenv("AWS_EC2_METADATA_DISABLED");
    set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", p, "/");
    http_play_answer(p->http, "PUT", "/latest/api/token", 200, "", "imds-token");
    http_play_answer(p->http, "GET", "/security-credentials/ ", 200, "", "shop-role\n");
    http_play_answer(p->http, "GET", "/security-credentials/shop-role", 200, "", good);
    assert_keys(NULL, "AKEC2", "hush", "tok");
    _cleanup_(freep) char *asked = http_play_head(p->http, "PUT", "/latest/api/token");
    assert_has(asked, "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n");
    _cleanup_(freep) char *head = http_play_head(p->http, "GET", "/shop-role");
    assert_has(head, "X-aws-ec2-metadata-token: imds-token\r\n");
    setenv("AWS_EC2_METADATA_DISABLED", "TRUE", 1);
    assert_none(NULL, "no keys for S3");
    s3_play_free(p);
}

static void bad_answers_are_errors(void **state ATTR_UNUSED) {
    static const struct {
        int status;
        const char *body, *says;
    } cases[] = {{200, "", "holds no keys"},
                 {200, "no JSON", "holds no keys"},
                 {200, "{\"AccessKeyId\":\"a\"}", "holds no keys"},
                 {200,
                  "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"hush\",\"Expiration\":\"soon\"}",
                  "holds no keys"},
                 {200, "{\"AccessKeyId\":1,\"SecretAccessKey\":[]}", "holds no keys"},
                 {403, "hush", "with 403"},
                 {404, "", "with 404"},
                 {500, "hush", "with 500"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct s3_play *p = agent();
        http_play_answer(p->http, "GET", "/v1/keys", cases[i].status, "", cases[i].body);
        set_url("AWS_CONTAINER_CREDENTIALS_FULL_URI", p, "/v1/keys");
        struct s3_key k;
        struct err e;
        assert_none(NULL, cases[i].says);
        assert_int_equal(get(NULL, &k, &e), ERR_STORAGE);
        assert_int_equal(e.retry, cases[i].status == 500);
        assert_int_equal(http_play_count(p->http, "GET", "/v1/keys"),
                         cases[i].status == 500 ? 6 : 2);
        s3_play_free(p);
    }
}

static void where_no_machine_s_service_is_there_are_no_keys(void **state ATTR_UNUSED) {
    s3_test_keys(NULL, NULL, NULL);
    unsetenv("AWS_EC2_METADATA_DISABLED");
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1", 1);
    assert_none(NULL, "no keys for S3");
    struct s3_play *p = agent(); /* there is one, and the machine has no role */
    unsetenv("AWS_EC2_METADATA_DISABLED");
    set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", p, "");
    http_play_answer(p->http, "PUT", "/latest/api/token", 200, "", "imds-token");
    http_play_answer(p->http, "GET", "/security-credentials/", 404, "", "");
    assert_none(NULL, "no keys for S3");
    s3_play_free(p);
}

static void keys_are_replaced_before_they_end(void **state ATTR_UNUSED) {
    struct s3_play *p = agent();
    _cleanup_(freep) char *first = answer_of("AK1", 200), *second = answer_of("AK2", 3600);
    struct s3_key k;
    struct err e;
    set_url("AWS_CONTAINER_CREDENTIALS_FULL_URI", p, "/v1/keys");
    http_play_answer(p->http, "GET", "/v1/keys", 200, "", first);
    http_play_then(p->http, 403, "", "");
    http_play_then(p->http, 200, "", second);
    struct s3_keys *ks = s3_keys_new(NULL);
    for (int i = 0; i < 4; i++) { /* 403: the old ones are good for a while, and it is not asked */
        assert_ok(s3_keys_get(ks, &k, &e), &e);
        assert_string_equal(k.id, "AK1");
        if (i < 3)
            s3_key_release(&k);
    }
    assert_int_equal(http_play_count(p->http, "GET", "/v1/keys"), 2);
    assert_true(s3_keys_renew(ks, &k)); /* but when the store takes them no more */
    s3_key_release(&k);
    assert_ok(s3_keys_get(ks, &k, &e), &e);
    assert_string_equal(k.id, "AK2");
    s3_key_release(&k);
    assert_int_equal(http_play_count(p->http, "GET", "/v1/keys"), 3);
    s3_keys_free(ks);
    s3_play_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_comes_first),
        cmocka_unit_test(profiles_are_read_as_the_aws_tools_do),
        cmocka_unit_test(profiles_without_keys_are_errors),
        cmocka_unit_test(a_container_s_agent_is_asked),
        cmocka_unit_test(an_agent_elsewhere_is_not_asked),
        cmocka_unit_test(a_web_identity_is_not_passed_over),
        cmocka_unit_test(a_machine_s_role_is_asked_for_with_a_token),
        cmocka_unit_test(bad_answers_are_errors),
        cmocka_unit_test(where_no_machine_s_service_is_there_are_no_keys),
        cmocka_unit_test(keys_are_replaced_before_they_end),
    };
    /* A proxy that is named and not there: these are asked past it. */
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    log_setup(LOG_ERROR, false);
    dir = lake_folder_new();
    int failed = cmocka_run_group_tests_name("storage/s3 keys", tests, NULL, NULL);
    lake_folder_free(dir);
    return failed;
}
