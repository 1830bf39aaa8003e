/* SPDX-License-Identifier: Apache-2.0 */
/* Where a lake's URL and the options send requests to. */
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/s3_helper.h"
#include "storage/s3_priv.h"

static void place_is_that_of_url_and_options(void **state ATTR_UNUSED) {
    static const struct {
        const char *url;
        struct storage_options o;
        const char *base, *path, *prefix;
    } cases[] = {
        {"s3://shop", {0}, "https://shop.s3.us-east-1.amazonaws.com", "/", ""},
        {"s3://shop/", {0}, "https://shop.s3.us-east-1.amazonaws.com", "/", ""},
        {"s3://shop/a/b//", {0}, "https://shop.s3.us-east-1.amazonaws.com", "/", "a/b/"},
        {"s3://shop//a", {0}, "https://shop.s3.us-east-1.amazonaws.com", "/", "a/"},
        {"s3://shop.example/a", {0}, "https://s3.us-east-1.amazonaws.com", "/shop.example/", "a/"},
        {"s3://shop/a",
         {.s3_region = "cn-north-1"},
         "https://shop.s3.cn-north-1.amazonaws.com.cn",
         "/",
         "a/"},
        {"s3://shop/a",
         {.s3_path_style = S3_PATH_STYLE_YES},
         "https://s3.us-east-1.amazonaws.com",
         "/shop/",
         "a/"},
        {"s3://shop/a",
         {.s3_endpoint = "http://127.0.0.1:9000"},
         "http://127.0.0.1:9000",
         "/shop/",
         "a/"},
        {"s3://shop/a",
         {.s3_endpoint = "http://Store.Example:80/"},
         "http://store.example",
         "/shop/",
         "a/"},
        {"s3://shop/a",
         {.s3_endpoint = "https://store.example:443"},
         "https://store.example",
         "/shop/",
         "a/"},
        {"s3://shop/a",
         {.s3_endpoint = "https://store.example:80"},
         "https://store.example:80",
         "/shop/",
         "a/"},
        {"s3://shop/a",
         {.s3_endpoint = "https://store.example", .s3_path_style = S3_PATH_STYLE_NO},
         "https://shop.store.example",
         "/",
         "a/"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct s3_place p;
        struct err e;
        assert_ok(s3_place_of(cases[i].url, &cases[i].o, &p, &e), &e);
        assert_string_equal(p.base, cases[i].base);
        assert_string_equal(p.host, strstr(cases[i].base, "://") + 3);
        assert_string_equal(p.path, cases[i].path);
        assert_string_equal(p.prefix, cases[i].prefix);
        s3_place_release(&p);
    }
}

static void what_is_none_is_refused(void **state ATTR_UNUSED) {
    static const struct {
        const char *url;
        struct storage_options o;
        const char *says;
    } cases[] = {
        {"s3://", {0}, "no bucket's name"},
        {"s3:///a", {0}, "no bucket's name"},
        {"s3://ab", {0}, "no bucket's name"},
        {"s3://Shop/a", {0}, "no bucket's name"},
        {"s3://shop_x/a", {0}, "no bucket's name"},
        {"s3://-shop/a", {0}, "no bucket's name"},
        {"s3://key:secret@shop/a", {0}, "it has an '@'"},
        {"s3://key:sec/ret@shop/a", {0}, "it has an '@'"},
        {"s3://key:secret", {0}, "no bucket's name"},
        {"s3://shop/a?token=secret", {0}, "no prefix"},
        {"s3://shop/a//b", {0}, "no prefix"},
        {"s3://shop/../a", {0}, "no prefix"},
        {"s3://shop/a b", {0}, "no prefix"},
        {"s3://shop/\303\251", {0}, "no prefix"},
        {"s3://shop", {.s3_endpoint = "localhost:9000"}, "is not the URL of a store"},
        {"s3://shop", {.s3_endpoint = "http://"}, "is not the URL of a store"},
        {"s3://shop", {.s3_endpoint = "http://h/path"}, "is not the URL of a store"},
        {"s3://shop", {.s3_endpoint = "http://me:pw@h"}, "is not the URL of a store"},
        {"s3://shop", {.s3_endpoint = "ftp://h"}, "s3.endpoint ftp://h: this is not the URL"},
        {"s3://shop", {.s3_endpoint = "http://key:secret@h"}, "is not the URL of a store"},
        {"s3://shop", {.s3_endpoint = "http://key:sec/ret@h"}, "is not the URL of a store"},
        {"s3://shop", {.s3_endpoint = "http://h/?token=secret"}, "is not the URL of a store"},
        {"s3://shop", {.s3_endpoint = "key:secret@h"}, "is not the URL of a store"},
        {"s3://shop", {.s3_region = "us east"}, "no region's name"},
        {"s3://shop", {.s3_region = "x/../y"}, "no region's name"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct s3_place p;
        struct err e;
        if (s3_place_of(cases[i].url, &cases[i].o, &p, &e) != ERR_CONFIG ||
            !strstr(e.msg, cases[i].says) || strstr(e.msg, "secret") || strstr(e.hint, "secret"))
            fail_msg("%s %s", cases[i].url, e.msg);
    }
}

static void the_environment_is_asked_where_nothing_is_set(void **state ATTR_UNUSED) {
    const struct storage_options none = {0},
                                 set = {.s3_region = "r1", .s3_endpoint = "http://set.example"};
    struct s3_place p;
    struct err e;
    setenv("AWS_DEFAULT_REGION", "eu-1", 1);
    setenv("AWS_ENDPOINT_URL", "http://all.example", 1);
    assert_ok(s3_place_of("s3://shop", &none, &p, &e), &e);
    assert_string_equal(p.region, "eu-1");
    assert_string_equal(p.host, "all.example");
    s3_place_release(&p);
    setenv("AWS_REGION", "eu-2", 1);
    setenv("AWS_ENDPOINT_URL_S3", "http://s3.example", 1);
    assert_ok(s3_place_of("s3://shop", &none, &p, &e), &e);
    assert_string_equal(p.region, "eu-2");
    assert_string_equal(p.host, "s3.example");
    s3_place_release(&p);
    assert_ok(s3_place_of("s3://shop", &set, &p, &e), &e);
    assert_string_equal(p.region, "r1");
    assert_string_equal(p.host, "set.example");
    s3_place_release(&p);
    s3_test_keys(NULL, NULL, NULL);
}

static void a_profile_may_name_region_and_endpoint(void **state ATTR_UNUSED) {
    char *dir = lake_folder_new();
    _cleanup_(freep) char *config = xasprintf("%s/config", dir);
    static const char text[] = "[default]\nregion = d-1\n[profile shop]\nregion = p-1\n"
                               "endpoint_url = http://profile.example\n";
    make_file(config, text, strlen(text));
    setenv("AWS_CONFIG_FILE", config, 1);
    struct s3_place p;
    struct err e;
    const struct storage_options none = {0}, named = {.s3_profile = "shop"};
    assert_ok(s3_place_of("s3://shop", &none, &p, &e), &e);
    assert_string_equal(p.region, "d-1");
    assert_string_equal(p.host, "shop.s3.d-1.amazonaws.com");
    s3_place_release(&p);
    assert_ok(s3_place_of("s3://shop", &named, &p, &e), &e);
    assert_string_equal(p.region, "p-1");
    assert_string_equal(p.host, "profile.example");
    s3_place_release(&p);
    s3_test_keys(NULL, NULL, NULL);
    lake_folder_free(dir);
}

/* Who set it must be told where. */
static void what_is_refused_is_named_by_where_it_stands(void **state ATTR_UNUSED) {
    static const char *const variables[] = {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION",
                                            "AWS_DEFAULT_REGION"};
    const struct storage_options none = {0};
    struct s3_place p;
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        setenv(variables[i], "not fit", 1);
        assert_int_equal(s3_place_of("s3://shop", &none, &p, &e), ERR_CONFIG);
        assert_int_equal(strncmp(e.msg, variables[i], strlen(variables[i])), 0);
        assert_null(strstr(e.msg, "s3."));
        s3_test_keys(NULL, NULL, NULL);
    }
    static const char *const settings[] = {"region = no fit\n", "endpoint_url = nofit\n"};
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        char *dir = lake_folder_new();
        _cleanup_(freep) char *config = xasprintf("%s/config", dir);
        _cleanup_(freep) char *text = xasprintf("[default]\n%s", settings[i]);
        make_file(config, text, strlen(text));
        setenv("AWS_CONFIG_FILE", config, 1);
        assert_int_equal(s3_place_of("s3://shop", &none, &p, &e), ERR_CONFIG);
        assert_non_null(strstr(e.msg, i ? "profile's endpoint_url" : "profile's region"));
        s3_test_keys(NULL, NULL, NULL);
        lake_folder_free(dir);
    }
}

/* As somebody who may not look into HOME: a lake that needs no profile opens, one that names one does not. */
static void open_without_a_home(void *home) {
    const struct storage_options none = {0}, named = {.s3_profile = "shop"};
    struct s3_place p;
    struct err e;
    setenv("HOME", home, 1);
    unsetenv("AWS_SHARED_CREDENTIALS_FILE");
    unsetenv("AWS_CONFIG_FILE");
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(1);
    if (s3_place_of("s3://shop", &none, &p, &e) != 0)
        _exit(2);
    s3_place_release(&p);
    if (s3_place_of("s3://shop", &named, &p, &e) != ERR_STORAGE || !strstr(e.msg, "/.aws/"))
        _exit(3);
    setenv("AWS_PROFILE", "shop", 1);
    if (s3_place_of("s3://shop", &none, &p, &e) != ERR_STORAGE)
        _exit(4);
    unsetenv("AWS_PROFILE");
    _cleanup_(freep) char *file = xasprintf("%s/.aws/config", (char *)home);
    setenv("AWS_CONFIG_FILE", file, 1);
    if (s3_place_of("s3://shop", &none, &p, &e) != ERR_STORAGE)
        _exit(5);
    raise(SIGUSR1);
}

static void a_home_that_may_not_be_read_stops_nobody(void **state ATTR_UNUSED) {
    char *home = lake_folder_new();
    assert_int_equal(chmod(home, 0), 0);
    assert_true(dies_by(SIGUSR1, open_without_a_home, home));
    assert_int_equal(chmod(home, 0700), 0);
    lake_folder_free(home);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(place_is_that_of_url_and_options),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(the_environment_is_asked_where_nothing_is_set),
        cmocka_unit_test(a_profile_may_name_region_and_endpoint),
        cmocka_unit_test(what_is_refused_is_named_by_where_it_stands),
        cmocka_unit_test(a_home_that_may_not_be_read_stops_nobody),
    };
    s3_test_keys(NULL, NULL, NULL);
    return cmocka_run_group_tests_name("storage/s3 places", tests, NULL, NULL);
}
