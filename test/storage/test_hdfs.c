/* SPDX-License-Identifier: Apache-2.0 */
/* The HDFS driver against a real NameNode and DataNode: the contract, and what happens to them. */
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "storage/hdfs_helper.h"

static struct hdfs_server server;

static void *lake_made(void) {
    return hdfs_lake_new(&server);
}

static struct storage *lake_opened(void *l) {
    return hdfs_lake_open(l, 30000, NULL);
}

static void lake_end(void *l) {
    hdfs_lake_free(l);
}

static const struct storage_driver driver = {
    .name = "hdfs", .lake_new = lake_made, .open = lake_opened, .lake_free = lake_end, .rounds = 4};

/* ---- what the contract does not say ---- */

static struct hdfs_lake *lake;
static struct storage *st;

static int begin(void **state ATTR_UNUSED) {
    lake = hdfs_lake_new(&server);
    st = hdfs_lake_open(lake, 30000, NULL);
    return 0;
}

static int end(void **state ATTR_UNUSED) {
    storage_free(st);
    hdfs_lake_free(lake);
    return 0;
}

static char *listing(const char *below) {
    _cleanup_(freep) char *path = xasprintf("%s%s", lake->path, below);
    return hdfs_ask(&server, "GET", path, "op=LISTSTATUS");
}

static void nothing_unfinished_stays(void **state ATTR_UNUSED) {
    struct err e;
    put_text(st, "t/a", "1");
    assert_int_equal(storage_put_new(st, "t/a", "2", 1, &e), ERR_EXISTS);
    assert_ok(storage_put(st, "t/a", "3", 1, &e), &e);
    _cleanup_(freep) char *stages = listing("/.stage");
    assert_non_null(strstr(stages, "\"type\":\"DIRECTORY\"")); /* this opening's */
    storage_free(st);
    _cleanup_(freep) char *after = listing("/.stage");
    assert_null(strstr(after, "pathSuffix"));
    st = hdfs_lake_open(lake, 30000, NULL);
}

/* What crashed processes left: a day old by the NameNode's clock, and younger. */
static void what_the_dead_left_is_removed(void **state ATTR_UNUSED) {
    static const struct {
        const char *name;
        int64_t age_ms;
        bool stays;
    } stages[] = {{"old", 25 * 3600000LL, false}, {"young", 23 * 3600000LL, true}};
    int64_t now = (int64_t)time(NULL) * 1000;
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        _cleanup_(freep) char *dir = xasprintf("%s/.stage/%s", lake->path, stages[i].name);
        _cleanup_(freep) char *file = xasprintf("%s/1", dir);
        _cleanup_(freep) char *age =
            xasprintf("op=SETTIMES&modificationtime=%lld", (long long)(now - stages[i].age_ms));
        hdfs_put(&server, file, "half");
        free(hdfs_ask(&server, "PUT", dir, age));
    }
    put_text(st, "t/a", "1");
    _cleanup_(freep) char *left = listing("/.stage");
    assert_null(strstr(left, "\"old\""));
    assert_non_null(strstr(left, "\"young\""));
    _cleanup_(freep) char *names = names_in(st, "", NULL);
    assert_string_equal(names, "t/");
}

static void a_folder_is_in_the_way(void **state ATTR_UNUSED) {
    struct err e;
    put_text(st, "t/sub/a", "1");
    assert_int_equal(storage_put_new(st, "t/sub", "2", 1, &e), ERR_EXISTS);
    assert_int_equal(publish_bytes(st, "t/sub", "2", 1, &e), ERR_EXISTS);
    _cleanup_(freep) char *names = names_in(st, "t/sub", NULL);
    assert_string_equal(names, "a"); /* nothing was moved into it */
}

static void a_file_is_no_folder(void **state ATTR_UNUSED) {
    struct storage_entries l = {0};
    struct err e;
    put_text(st, "t/a", "1");
    assert_int_equal(storage_list(st, "t/a", NULL, &l, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "is a file, not a folder"));
    assert_int_equal(storage_put_new(st, "t/a/b", "1", 1, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "not a directory"));
    assert_false(e.retry);
}

static void names_others_use_are_listed(void **state ATTR_UNUSED) {
    static const char *const names[] = {"b c", "\303\251t\303\251", "z", "_x", ".hidden", "a"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_(freep) char *path = xasprintf("%s/t/%s", lake->path, names[i]);
        hdfs_put(&server, path, "1");
    }
    _cleanup_(freep) char *found = names_in(st, "t", NULL);
    assert_string_equal(found, "_x a b c z \303\251t\303\251");
}

/* So that what is acknowledged is on the disks of the DataNodes. */
static long long syncs(void) {
    _cleanup_(freep) char *url = xasprintf(
        "http://%s/jmx?qry=Hadoop:service=DataNode,name=DataNodeActivity*", server.datanode);
    _cleanup_(freep) char *text = hdfs_exchange(&(struct http_request){.url = url}, NULL);
    const char *at = strstr(text, "\"FsyncCount\" : ");
    assert_non_null(at);
    return atoll(at + 15);
}

static void files_are_synced(void **state ATTR_UNUSED) {
    put_text(st, "t/a", "1");
    long long before = syncs(), after = before;
    put_text(st, "t/b", "1");
    for (int i = 0; i < 50 && (after = syncs()) == before; i++)
        usleep(100000);
    assert_true(after > before);
}

static void who_has_no_right_is_told(void **state ATTR_UNUSED) {
    struct err e;
    put_text(st, "t/a", "1");
    struct storage *other = hdfs_lake_open(lake, 30000, "somebody");
    _cleanup_(freep) char *text = get_text(other, "t/a");
    assert_string_equal(text, "1");
    assert_int_equal(storage_put_new(other, "t/b", "1", 1, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "AccessControlException"));
    assert_non_null(strstr(e.msg, "somebody"));
    assert_non_null(strstr(e.hint, "hdfs.user"));
    assert_false(e.retry);
    assert_int_equal(storage_remove(other, "t/a", &e), ERR_STORAGE);
    storage_free(other);
}

static void no_room_is_told(void **state ATTR_UNUSED) {
    struct err e;
    put_text(st, "t/a", "1");
    free(hdfs_ask(&server, "PUT", lake->path, "op=SETQUOTA&storagespacequota=1000000"));
    assert_int_equal(storage_put_new(st, "t/b", "1", 1, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "DSQuotaExceededException"));
    assert_non_null(strstr(e.hint, "quota"));
    assert_false(e.retry);
    _cleanup_(freep) char *names = names_in(st, "t", NULL);
    assert_string_equal(names, "a");
    free(hdfs_ask(&server, "PUT", lake->path,
                  "op=SETQUOTA&storagespacequota=9223372036854775807&namespacequota="
                  "9223372036854775807"));
}

static void the_wrong_port_is_told(void **state ATTR_UNUSED) {
    struct storage *wrong;
    struct storage_entry en;
    struct err e;
    assert_ok(hdfs_lake_try(lake, server.rpc, 30000, &wrong, &e), &e);
    assert_int_equal(storage_stat(wrong, "t/a", &en, &e), ERR_STORAGE);
    assert_non_null(strstr(e.hint, "RPC port"));
    storage_free(wrong);
}

static int open_by_tls(const char *ca, const char *cert, struct storage **ret, struct err *e) {
    _cleanup_(freep) char *url = xasprintf("swebhdfs://%s%s", server.tls, lake->path);
    _cleanup_(freep) char *ca_file = xasprintf("%s/%s", server.folder, ca ? ca : "");
    _cleanup_(freep) char *cert_file = xasprintf("%s/%s", server.folder, cert ? cert : "");
    struct storage_options o = {.cache_dir = lake->cache,
                                .cache_max_bytes = 1 << 30,
                                .timeout_ms = cert ? 30000 : 300,
                                .ca_file = ca ? ca_file : NULL,
                                .hdfs_cert_file = cert ? cert_file : NULL};
    return storage_open(url, &o, ret, e);
}

static void tls_works_and_is_checked(void **state ATTR_UNUSED) {
    struct storage *tls;
    struct storage_entry en;
    struct err e;
    assert_ok(open_by_tls("tls.crt", "tls.pem", &tls, &e), &e);
    put_text(tls, "t/a", "over TLS");
    _cleanup_(freep) char *text = get_text(tls, "t/a");
    assert_string_equal(text, "over TLS");
    storage_free(tls);
    assert_ok(open_by_tls(NULL, "tls.pem", &tls, &e), &e); /* signed by nobody we know */
    assert_int_equal(storage_stat(tls, "t/a", &en, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "certificate"));
    assert_false(e.retry);
    storage_free(tls);
}

static void tls_may_want_our_certificate(void **state ATTR_UNUSED) {
    struct storage *tls;
    struct storage_entry en;
    struct err e;
    assert_ok(open_by_tls("tls.crt", NULL, &tls, &e), &e);
    assert_int_equal(storage_stat(tls, "t/a", &en, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "certificate"));
    storage_free(tls);
}

/* The blocks are lost, the names are not. */
static void lost_bytes_are_an_error(void **state ATTR_UNUSED) {
    struct storage *hasty = hdfs_lake_open(lake, 300, NULL);
    struct buf b = BUF_INIT(100);
    struct err e;
    char local[LIMIT_PATH];
    put_text(st, "t/a", "gone soon");
    _cleanup_(freep) char *command = xasprintf(
        "find '%s/data' -name 'blk_*' ! -name '*.meta' -exec truncate -s 0 {} +", server.folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(storage_get(hasty, "t/a", &b, &e), ERR_STORAGE);
    assert_int_equal(b.len, 0);
    assert_int_equal(storage_localize(hasty, "t/a", 9, local, &e), ERR_STORAGE);
    storage_free(hasty);
}

int main(void) {
    setenv("NO_PROXY", "127.0.0.1", 1);
    log_setup(LOG_ERROR, false);
    hdfs_server_new(&server);
#define WITH(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        WITH(nothing_unfinished_stays),     WITH(what_the_dead_left_is_removed),
        WITH(a_folder_is_in_the_way),       WITH(a_file_is_no_folder),
        WITH(names_others_use_are_listed),  WITH(files_are_synced),
        WITH(who_has_no_right_is_told),     WITH(no_room_is_told),
        WITH(the_wrong_port_is_told),       WITH(tls_works_and_is_checked),
        WITH(tls_may_want_our_certificate), WITH(lost_bytes_are_an_error), /* of all lakes */
    };
#undef WITH
    int failed = storage_conformance(&driver);
    failed += cmocka_run_group_tests_name("hdfs, further", tests, NULL, NULL);
    hdfs_server_free(&server);
    return failed;
}
