/* SPDX-License-Identifier: Apache-2.0 */
/* The HDFS driver against servers that say what no HDFS says, and what it sends itself. */
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "fake/http_play.h"
#include "storage/helper.h"

#define STATUS(name, length)                                                                       \
    "{\"pathSuffix\":\"" name "\",\"type\":\"FILE\",\"length\":" length                            \
    ",\"modificationTime\":1,\"fileId\":7}"
#define NAMELESS "{\"type\":\"FILE\",\"length\":1,\"modificationTime\":1}" /* no fileId */
#define LISTING(entries, left)                                                                     \
    "{\"DirectoryListing\":{\"partialListing\":{\"FileStatuses\":{\"FileStatus\":[" entries        \
    "]}},\"remainingEntries\":" left "}}"

/* A NameNode and DataNode in one. */
struct play {
    struct http_play *http;
    char *cache;
};

static struct play *play_new(void) {
    struct play *p = xcalloc(1, sizeof *p);
    p->http = http_play_new();
    p->cache = lake_folder_new();
    return p;
}

static void play_free(struct play *p) {
    http_play_free(p->http);
    lake_folder_free(p->cache);
    free(p);
}

static void answer(struct play *p, const char *when, int status, const char *headers,
                   const char *body) {
    http_play_answer(p->http, NULL, when, status, headers, body);
}

/* The answer to OPEN or CREATE that names this server, or what a test wants instead. */
static void name_datanode(struct play *p, const char *when) {
    _cleanup_(freep) char *header =
        xasprintf("Location: http://127.0.0.1:%d/webhdfs/v1/datanode?n=%%C3%%BC\r\n",
                  http_play_port(p->http));
    answer(p, when, 307, header, "");
}

/* All that making an object of a byte asks for but RENAME. */
static void play_upload(struct play *p) {
    answer(p, "op=MKDIRS", 200, "", "{\"boolean\":true}");
    answer(p, "op=LISTSTATUS_BATCH", 200, "", LISTING("", "0"));
    answer(p, "op=DELETE", 200, "", "{\"boolean\":true}");
    answer(p, "op=GETFILESTATUS", 200, "", "{\"FileStatus\":" STATUS("", "1") "}");
    name_datanode(p, "op=CREATE");
    answer(p, "/datanode", 201, "", "");
}

static struct storage_options options_of(const struct play *p) {
    return (struct storage_options){.cache_dir = p->cache,
                                    .cache_max_bytes = 1 << 30,
                                    .timeout_ms = 200,
                                    .hdfs_user = "shop keeper"};
}

static struct storage *open_with(const struct play *p, const struct storage_options *o) {
    struct storage *st;
    struct err e;
    _cleanup_(freep) char *url = xasprintf("hdfs://127.0.0.1:%d/lake", http_play_port(p->http));
    assert_ok(storage_open(url, o, &st, &e), &e);
    return st;
}

static struct storage *open_lake(const struct play *p) {
    struct storage_options o = options_of(p);
    return open_with(p, &o);
}

/* ---- where the NameNode sends us ---- */

static void only_datanodes_are_followed(void **state ATTR_UNUSED) {
    static const char *const locations[] = {
        "file:///etc/passwd",
        "ftp://127.0.0.1/webhdfs/v1/x",
        "https://127.0.0.1:1/webhdfs/v1/x",
        "//127.0.0.1/webhdfs/v1/x",
        "/webhdfs/v1/x",
        "http:///webhdfs/v1/x",
        "http://127.0.0.1:1/latest/meta-data",
        "http://127.0.0.1:1/?/webhdfs/v1/x",
        "http://127.0.0.1:1/webhdfs/v1/a b",
        "http://127.0.0.1:1/webhdfs/v1/a\tb",
        "http://127.0.0.1:1/webhdfs/v1/\303\274",
        "http://127.0.0.1:1/elsewhere?delegation=s3cret",
        "ftp://127.0.0.1:1/webhdfs/v1/x?op=OPEN&delegation=s3cret",
        "http://me:s3cret@127.0.0.1:1/webhdfs/v1/x",
        "?delegation=s3cret&x=http://",
        "",
    };
    for (size_t i = 0; i < ARRAY_LEN(locations); i++) {
        struct play *p = play_new();
        _cleanup_(freep) char *header = xasprintf("Location: %s\r\n", locations[i]);
        answer(p, "op=OPEN", 307, header, "");
        struct storage *st = open_lake(p);
        struct buf b = BUF_INIT(100);
        struct err e;
        assert_int_equal(storage_get(st, "x", &b, &e), ERR_STORAGE);
        assert_has(e.msg, "names no DataNode");
        assert_null(strstr(e.msg, "s3cret"));
        assert_false(e.retry);
        storage_free(st);
        assert_int_equal(http_play_count(p->http, NULL, ""), 1);
        play_free(p);
    }
}

/* A server asked with `noredirect` would name it in a body; we do not ask so. */
static void a_datanode_is_named_by_a_redirect_only(void **state ATTR_UNUSED) {
    struct play *p = play_new();
    answer(p, "op=OPEN", 200, "", "{\"Location\":\"http://127.0.0.1:1/webhdfs/v1/x\"}");
    struct storage *st = open_lake(p);
    struct buf b = BUF_INIT(100);
    struct err e;
    assert_int_equal(storage_get(st, "x", &b, &e), ERR_STORAGE);
    assert_has(e.msg, "answered 200, which is no answer of WebHDFS");
    assert_false(e.retry);
    storage_free(st);
    play_free(p);
}

static void bodies_that_do_not_tell_their_end_are_not_taken(void **state ATTR_UNUSED) {
    struct play *p = play_new();
    struct err e;
    http_play_open_end(p->http, NULL, "op=GETFILESTATUS", "{\"FileStatus\":" STATUS("", "5") "}", 0,
                       0);
    name_datanode(p, "op=OPEN");
    http_play_open_end(p->http, NULL, "/datanode", "{}\n", 0, 0);
    struct storage *st = open_lake(p);
    struct buf b = BUF_INIT(100);
    assert_int_equal(storage_get(st, "x", &b, &e), ERR_STORAGE);
    assert_has(e.msg, "does not tell where it ends");
    assert_true(e.retry);
    assert_int_equal(b.len, 0);
    struct storage_entry en;
    assert_int_equal(storage_stat(st, "x", &en, &e), ERR_STORAGE);
    assert_has(e.msg, "does not tell where it ends");
    storage_free(st);
    play_free(p);
}

static void a_name_is_encoded_once(void **state ATTR_UNUSED) {
    struct play *p = play_new();
    name_datanode(p, "op=OPEN");
    answer(p, "/datanode", 200, "", "bytes");
    struct storage *st = open_lake(p);
    struct buf b = BUF_INIT(100);
    struct err e;
    assert_ok(storage_get(st, "d=1%20x/f", &b, &e), &e);
    assert_string_equal(buf_str(&b), "bytes");
    buf_release(&b);
    storage_free(st);
    assert_int_equal(http_play_count(p->http, "GET", "/webhdfs/v1/lake/d%3D1%2520x/f?op=OPEN"), 1);
    assert_int_equal(http_play_count(p->http, "GET", "/datanode?n=%C3%BC HTTP"), 1);
    play_free(p);
}

/* ---- who we say we are ---- */

static void each_login_says_what_it_should(void **state ATTR_UNUSED) {
    static const struct {
        struct storage_options o;
        const char *says, *says_not;
    } cases[] = {
        {{.hdfs_user = "a&b=c"}, "&user.name=a%26b%3Dc ", "delegation"},
        {{.hdfs_user = NULL}, "&user.name=", "delegation"},
        {{.hdfs_user = "me", .hdfs_token = "s3cret/x"}, "&delegation=s3cret/x ", "user.name"},
        {{.hdfs_user = "me", .hdfs_kerberos = true}, "op=GETFILESTATUS ", "user.name"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct play *p = play_new();
        answer(p, "op=", 404, "",
               "{\"RemoteException\":{\"exception\":\"FileNotFoundException\"}}");
        struct storage_options o = options_of(p);
        o.hdfs_user = cases[i].o.hdfs_user;
        o.hdfs_token = cases[i].o.hdfs_token;
        o.hdfs_kerberos = cases[i].o.hdfs_kerberos;
        struct storage *st = open_with(p, &o);
        struct storage_entry en;
        struct err e;
        assert_int_equal(storage_stat(st, "x", &en, &e), ERR_NOT_FOUND);
        storage_free(st);
        _cleanup_(freep) char *request = http_play_head(p->http, NULL, "");
        if (!strstr(request, cases[i].says) || strstr(request, cases[i].says_not))
            fail_msg("case %zu sends %s", i, request);
        assert_has(request, "X-XSRF-HEADER: ");
        play_free(p);
    }
}

static void a_login_that_fits_no_url_is_refused(void **state ATTR_UNUSED) {
    _cleanup_(freep) char *token = xcalloc(1, 6001);
    memset(token, '+', 6000); /* three bytes each in a URL */
    struct storage_options as[] = {{.hdfs_token = token}, {.hdfs_user = token}};
    static const char *const says[] = {"hdfs.token is too long", "hdfs.user is too long"};
    for (size_t i = 0; i < ARRAY_LEN(as); i++) {
        struct storage *st;
        struct err e;
        assert_int_equal(storage_open("hdfs://127.0.0.1:1/lake", &as[i], &st, &e), ERR_CONFIG);
        assert_has(e.msg, says[i]);
        assert_null(strchr(e.msg, '+'));
    }
}

static void tokens_stay_secret(void **state ATTR_UNUSED) {
    struct play *p = play_new();
    struct storage_options o = options_of(p);
    o.hdfs_token = "s3cret";
    struct storage *st = open_with(p, &o);
    http_play_stop(p->http); /* nobody answers */
    struct storage_entry en;
    struct err e;
    assert_int_equal(storage_stat(st, "x", &en, &e), ERR_STORAGE);
    assert_true(e.retry);
    assert_null(strstr(e.msg, "s3cret"));
    assert_null(strstr(st->url, "s3cret"));
    storage_free(st);
    play_free(p);
}

/* ---- answers that are none ---- */

static void what_is_no_webhdfs_is_named(void **state ATTR_UNUSED) {
    static const struct {
        int status;
        const char *headers, *body, *says, *hint;
        bool retry;
    } cases[] = {
        {404, "", "It looks like you are making an HTTP request to a Hadoop IPC port.",
         "answered 404", "RPC port", false},
        {404, "", "<html>nothing here</html>", "answered 404", "dfs.webhdfs.enabled", false},
        {200, "", "<html>welcome</html>", "no answer of WebHDFS", "web address", false},
        {200, "", "[1]", "no answer of WebHDFS", "", false},
        {200, "", "", "makes no sense", "", false},
        {200, "", "{}", "makes no sense", "", false},
        {200, "", "{\"FileStatus\":{\"type\":\"FILE\"}}", "makes no sense", "", false},
        {200, "", "{\"FileStatus\":" STATUS("", "-5") "}", "makes no sense", "", false},
        {200, "", "{\"FileStatus\":" STATUS("", "1e99") "}", "makes no sense", "", false},
        {200, "", "{\"FileStatus\":" NAMELESS "}", "makes no sense", "", false},
        {401, "WWW-Authenticate: Negotiate\r\n", "", "answered 401", "hdfs.auth", false},
        {503, "", "busy", "answered 503", "", true},
        {403, "",
         "{\"RemoteException\":{\"exception\":\"AccessControlException\",\"message\":\"denied\"}}",
         "AccessControlException: denied", "hdfs.user", false},
        {403, "", "{\"RemoteException\":{\"exception\":\"NewException\",\"message\":\"a\\nb\"}}",
         "NewException: a", "", false},
        {500, "", "{\"RemoteException\":{\"exception\":\"NewException\"}}", "NewException", "",
         true},
        {403, "", "{\"RemoteException\":{\"exception\":\"InvalidToken\",\"message\":\"old\"}}",
         "InvalidToken: old", "hdfs.token", false},
        {403, "", "{\"RemoteException\":{\"exception\":17}}", "answered 403", "", false},
        {403, "", "{\"RemoteException\":", "answered 403", "", false},
        {302, "Location: http://127.0.0.1:1/\r\n", "", "answered 302", "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct play *p = play_new();
        answer(p, "op=", cases[i].status, cases[i].headers, cases[i].body);
        struct storage *st = open_lake(p);
        struct storage_entry en;
        struct err e;
        assert_int_equal(storage_stat(st, "x", &en, &e), ERR_STORAGE);
        assert_has(e.msg, cases[i].says);
        assert_has(e.msg, "/lake/x");
        assert_null(strchr(e.msg, '\n'));
        if (!strstr(e.hint, cases[i].hint))
            fail_msg("the hint '%s' lacks '%s'", e.hint, cases[i].hint);
        assert_int_equal(e.retry, cases[i].retry);
        storage_free(st);
        play_free(p);
    }
}

static void hostile_listings_end(void **state ATTR_UNUSED) {
    static const char *const bodies[] = {
        LISTING(STATUS("same", "1"), "1"),   /* the same page, again and again */
        LISTING("", "1"),                    /* more is to come, and never does */
        LISTING(STATUS("a/../b", "1"), "0"), /* no name */
        LISTING(STATUS("a\\u0000b", "1"), "0"),
        LISTING(STATUS("a", "1"), "-1"),
        LISTING("7", "0"),
        LISTING("{}", "0"),
        "{\"DirectoryListing\":{\"partialListing\":[]}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct play *p = play_new();
        answer(p, "op=LISTSTATUS_BATCH", 200, "", bodies[i]);
        struct storage *st = open_lake(p);
        struct storage_entries l = {0};
        struct err e;
        assert_int_equal(storage_list(st, "d", NULL, &l, &e), ERR_STORAGE);
        assert_has(e.msg, "makes no sense");
        assert_int_equal(l.n, 0);
        storage_free(st);
        play_free(p);
    }
}

/* A name so long that no question for what follows it can be asked. */
static void a_name_without_end_ends_a_list(void **state ATTR_UNUSED) {
    _cleanup_(freep) char *name = xcalloc(1, 6 * LIMIT_PATH + 1);
    memset(name, 'a', 6 * LIMIT_PATH);
    _cleanup_(freep) char *page = xasprintf(LISTING(STATUS("%s", "1"), "1"), name);
    struct play *p = play_new();
    answer(p, "op=LISTSTATUS_BATCH", 200, "", page);
    struct storage *st = open_lake(p);
    struct storage_entries l = {0};
    struct err e;
    assert_int_equal(storage_list(st, "d", NULL, &l, &e), ERR_STORAGE);
    assert_has(e.msg, "makes no sense");
    storage_free(st);
    assert_int_equal(http_play_count(p->http, NULL, ""), 1);
    play_free(p);
}

static void a_stop_ends_a_list(void **state ATTR_UNUSED) {
    struct play *p = play_new();
    answer(p, "startAfter=a&", 200, "", LISTING(STATUS("b", "1"), "1"));
    answer(p, "startAfter=b&", 200, "", LISTING(STATUS("c", "1"), "0"));
    answer(p, "startAfter=&", 200, "", LISTING(STATUS("a", "1"), "2"));
    struct storage *st = open_lake(p);
    struct storage_entries l = {0};
    struct err e;
    stop_request();
    assert_int_equal(storage_list(st, "d", NULL, &l, &e), ERR_STOPPED);
    stop_reset();
    assert_ok(storage_list(st, "d", NULL, &l, &e), &e);
    assert_int_equal(l.n, 3);
    storage_entries_release(&l);
    storage_free(st);
    assert_int_equal(http_play_count(p->http, NULL, ""), 1 + 3);
    play_free(p);
}

static void endless_answers_are_cut_off(void **state ATTR_UNUSED) {
    struct play *p = play_new();
    http_play_open_end(p->http, NULL, "op=GETFILESTATUS", "{\"a\":\"0123456789abcdef", 100000000,
                       16);
    name_datanode(p, "op=OPEN");
    http_play_open_end(p->http, NULL, "/datanode", "0123456789abcdef", 100000000, 16);
    struct storage *st = open_lake(p);
    struct storage_entry en;
    struct err e;
    assert_int_equal(storage_stat(st, "x", &en, &e), ERR_STORAGE);
    assert_has(e.msg, "answered with more than");
    struct buf b = BUF_INIT(1000);
    assert_int_equal(storage_get(st, "x", &b, &e), ERR_STORAGE);
    assert_has(e.msg, "more than");
    assert_int_equal(b.len, 0);
    storage_free(st);
    play_free(p);
}

static void deep_json_is_refused(void **state ATTR_UNUSED) {
    char deep[200000];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    for (int status = 200; status <= 403; status += 203) {
        struct play *p = play_new();
        answer(p, "op=", status, "", deep);
        struct storage *st = open_lake(p);
        struct storage_entry en;
        struct err e;
        assert_int_equal(storage_stat(st, "x", &en, &e), ERR_STORAGE);
        storage_free(st);
        play_free(p);
    }
}

/* ---- uploads ---- */

static void an_upload_cut_off_leaves_nothing(void **state ATTR_UNUSED) {
    struct play *p = play_new();
    play_upload(p);
    http_play_cut_request(p->http, "PUT", "/datanode", 100000);
    struct storage *st = open_lake(p);
    st->patience_ms = 3000; /* long enough for two tries */
    size_t len = 4 * MIB;
    _cleanup_(freep) char *data = xcalloc(1, len);
    struct err e;
    assert_int_equal(storage_put_new(st, "x", data, len, &e), ERR_STORAGE);
    assert_true(e.retry);
    storage_free(st);
    assert_int_equal(http_play_count(p->http, "PUT", "op=RENAME"), 0);
    int creates = http_play_count(p->http, "PUT", "op=CREATE");
    assert_true(creates > 1); /* it was tried again, each time under another name */
    assert_int_equal(http_play_count(p->http, "DELETE", "op=DELETE"), creates + 1); /* the folder */
    play_free(p);
}

/* Only the old RENAME gives an answer with words; it moves into folders and says false for a lost race. */
static void an_old_rename_is_no_success(void **state ATTR_UNUSED) {
    struct play *p = play_new();
    play_upload(p);
    answer(p, "op=RENAME", 200, "", "{\"boolean\":true}");
    struct storage *st = open_lake(p);
    struct err e;
    assert_int_equal(storage_put_new(st, "x", "1", 1, &e), ERR_STORAGE);
    assert_has(e.msg, "renameoptions");
    storage_free(st);
    play_free(p);
}

static void a_rename_a_gateway_gave_up_on_is_tried_again(void **state ATTR_UNUSED) {
    struct play *p = play_new();
    play_upload(p);
    answer(p, "op=RENAME", 504, "", "<html>too slow</html>");
    struct storage *st = open_lake(p);
    struct err e;
    assert_int_equal(storage_put_new(st, "x", "1", 1, &e), ERR_STORAGE);
    assert_has(e.msg, "answered 504");
    assert_true(e.retry);
    storage_free(st);
    play_free(p);
}

int main(void) {
    setenv("NO_PROXY", "127.0.0.1", 1);
    log_setup(LOG_ERROR, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_datanodes_are_followed),
        cmocka_unit_test(a_datanode_is_named_by_a_redirect_only),
        cmocka_unit_test(bodies_that_do_not_tell_their_end_are_not_taken),
        cmocka_unit_test(a_name_is_encoded_once),
        cmocka_unit_test(each_login_says_what_it_should),
        cmocka_unit_test(a_login_that_fits_no_url_is_refused),
        cmocka_unit_test(tokens_stay_secret),
        cmocka_unit_test(what_is_no_webhdfs_is_named),
        cmocka_unit_test(hostile_listings_end),
        cmocka_unit_test(a_name_without_end_ends_a_list),
        cmocka_unit_test(a_stop_ends_a_list),
        cmocka_unit_test(endless_answers_are_cut_off),
        cmocka_unit_test(deep_json_is_refused),
        cmocka_unit_test(an_upload_cut_off_leaves_nothing),
        cmocka_unit_test(an_old_rename_is_no_success),
        cmocka_unit_test(a_rename_a_gateway_gave_up_on_is_tried_again),
    };
    return cmocka_run_group_tests_name("hdfs wire", tests, NULL, NULL);
}
