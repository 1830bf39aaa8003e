/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HDFS whose users log in by Kerberos, with a key distribution centre of its own: by keytab, by
 * delegation token, and not at all. MIT's library takes the ticket or keytab from the environment.
 */
#include <unistd.h>

#include "base/log.h"
#include "fake/service.h"
#include "net/http.h"
#include "storage/hdfs_helper.h"

static struct hdfs_server server;
static struct hdfs_lake *lake;
static char *kdc, *namenode;

static void set_file(const char *name, const char *folder, const char *file) {
    _cleanup_(freep) char *value = xasprintf("FILE:%s/%s", folder, file);
    setenv(name, value, 1);
}

static void have_keytab(void) {
    set_file("KRB5_CLIENT_KTNAME", kdc, "keytab");
    set_file("KRB5CCNAME", kdc, "tickets");
}

static void have_nothing(void) {
    set_file("KRB5_CLIENT_KTNAME", kdc, "no-keytab");
    set_file("KRB5CCNAME", kdc, "no-tickets");
}

static struct storage *open_as(bool kerberos, const char *token) {
    struct storage_options o = {.cache_dir = lake->cache,
                                .cache_max_bytes = 1 << 30,
                                .timeout_ms = 30000,
                                .hdfs_token = token,
                                .hdfs_kerberos = kerberos};
    _cleanup_(freep) char *url = xasprintf("hdfs://%s%s", namenode, lake->path);
    struct storage *st;
    struct err e;
    assert_ok(storage_open(url, &o, &st, &e), &e);
    return st;
}

static void write_and_read(struct storage *st, const char *name) {
    struct err e;
    char local[LIMIT_PATH];
    put_text(st, name, "entry");
    assert_int_equal(storage_put_new(st, name, "other", 5, &e), ERR_EXISTS);
    _cleanup_(freep) char *text = get_text(st, name);
    assert_string_equal(text, "entry");
    _cleanup_(freep) char *part = xasprintf("%s.part", name);
    publish_text(st, part, "rows");
    assert_ok(storage_localize(st, part, 4, local, &e), &e);
    storage_unlocalize(st, part);
}

static void a_keytab_logs_in(void **state ATTR_UNUSED) {
    have_keytab();
    struct storage *st = open_as(true, NULL);
    write_and_read(st, "t/keytab");
    storage_free(st);
}

static char *delegation_token(void) {
    _cleanup_(freep) char *url = xasprintf("http://%s/webhdfs/v1/?op=GETDELEGATIONTOKEN", namenode);
    _cleanup_(freep) char *answer =
        hdfs_exchange(&(struct http_request){.url = url, .negotiate = true}, NULL);
    const char *at = strstr(answer, "\"urlString\":\"");
    assert_non_null(at);
    return xstrndup(at + 13, strcspn(at + 13, "\""));
}

static void a_token_does_without(void **state ATTR_UNUSED) {
    have_keytab();
    _cleanup_(freep) char *token = delegation_token();
    have_nothing();
    struct storage *st = open_as(false, token);
    write_and_read(st, "t/token");
    storage_free(st);
}

static void who_does_not_log_in_is_refused(void **state ATTR_UNUSED) {
    have_nothing();
    for (int kerberos = 0; kerberos < 2; kerberos++) {
        struct storage *st = open_as(kerberos, NULL);
        struct storage_entry en;
        struct err e;
        assert_int_equal(storage_stat(st, "t/keytab", &en, &e), ERR_STORAGE);
        assert_non_null(strstr(e.msg, "401"));
        assert_non_null(strstr(e.hint, "hdfs.auth"));
        assert_non_null(strstr(e.hint, "KRB5_CLIENT_KTNAME"));
        assert_false(e.retry);
        storage_free(st);
    }
}

int main(void) {
    setenv("NO_PROXY", "127.0.0.1,localhost", 1);
    log_setup(LOG_ERROR, false);
    kdc = lake_folder_new();
    service_do("kdc", "start", kdc, "");
    _cleanup_(freep) char *conf = xasprintf("%s/krb5.conf", kdc);
    setenv("KRB5_CONFIG", conf, 1);
    setenv("HDFS_KERBEROS", kdc, 1); /* for hdfs.sh */
    hdfs_server_new(&server);
    namenode = xasprintf("localhost%s", strchr(server.namenode, ':'));
    lake = hdfs_lake_new(&server);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_keytab_logs_in),
        cmocka_unit_test(a_token_does_without),
        cmocka_unit_test(who_does_not_log_in_is_refused),
    };
    int failed = cmocka_run_group_tests_name("hdfs kerberos", tests, NULL, NULL);
    hdfs_lake_free(lake);
    hdfs_server_free(&server);
    service_do("kdc", "kill", kdc, "");
    lake_folder_free(kdc);
    free(namenode);
    return failed;
}
