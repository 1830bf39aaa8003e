/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RemoteException in the WebHDFS documentation: {"RemoteException":{"exception":NAME,"message":…}}.
 * The statuses are no help: 403 is a taken name, safe mode, a missing right and a missing DataNode.
 */
#include "storage/webhdfs_error.h"

#include <strings.h>

#include "base/json.h"

enum { STANDBY = 1, PASSES = 2 };

static const char *const right_hint =
    "the user is hdfs.user, or the owner of hdfs.token or of the Kerberos ticket: give it the "
    "lake's folder (hdfs dfs -chown), or name another one";
static const char *const login_hint =
    "the NameNode wants a login: set hdfs.auth to kerberos and have a ticket (kinit, or a keytab "
    "in KRB5_CLIENT_KTNAME), or give a delegation token in hdfs.token";
static const char *const space_hint =
    "no DataNode takes the bytes: they are full, gone or excluded (hdfs dfsadmin -report)";
static const char *const quota_hint =
    "the folder has a quota: raise it (hdfs dfsadmin -setSpaceQuota, -setQuota), or remove old "
    "files (clickmill table vacuum)";
static const char *const safe_mode_hint =
    "the NameNode is in safe mode until enough DataNodes have reported (hdfs dfsadmin -safemode "
    "get)";

static const struct exception {
    const char *name;
    const char *word; /* must be in the message; NULL: any */
    int code;
    int flags;
    const char *hint;
} exceptions[] = {
    {"FileNotFoundException", NULL, ERR_NOT_FOUND, 0, NULL},
    {"FileAlreadyExistsException", NULL, ERR_EXISTS, 0, NULL},
    {"IOException", "must both be directories", ERR_EXISTS, 0, NULL}, /* RENAME onto a folder */
    {"StandbyException", NULL, ERR_STORAGE, STANDBY | PASSES, NULL},
    {"ObserverRetryOnActiveException", NULL, ERR_STORAGE, STANDBY | PASSES, NULL},
    {"SafeModeException", NULL, ERR_STORAGE, PASSES, safe_mode_hint},
    {"RetriableException", NULL, ERR_STORAGE, PASSES, NULL},
    {"IOException", "Failed to find datanode", ERR_STORAGE, PASSES, space_hint},
    {"IOException", "could only be written to", ERR_STORAGE, PASSES, space_hint},
    {"IOException", "could only be replicated to", ERR_STORAGE, PASSES, space_hint},
    {"IOException", "Could not obtain block", ERR_STORAGE, PASSES, NULL},
    {"BlockMissingException", NULL, ERR_STORAGE, PASSES, NULL},
    {"ConnectException", NULL, ERR_STORAGE, PASSES, NULL},
    {"AccessControlException", "is not a directory", ERR_NOT_FOUND, 0, NULL},
    {"AccessControlException", NULL, ERR_STORAGE, 0, right_hint},
    {"SecurityException", NULL, ERR_STORAGE, 0, login_hint},
    {"AuthorizationException", NULL, ERR_STORAGE, 0, right_hint},
    {"AuthenticationException", NULL, ERR_STORAGE, 0, login_hint},
    {"InvalidToken", NULL, ERR_STORAGE, 0, "the delegation token in hdfs.token is no longer valid"},
    {"DSQuotaExceededException", NULL, ERR_STORAGE, 0, quota_hint},
    {"NSQuotaExceededException", NULL, ERR_STORAGE, 0, quota_hint},
};

int webhdfs_strange(const struct http_answer *a, struct err *e) {
    const char *body = buf_str(&a->body);
    if (a->status == 401) {
        err_set(e, ERR_STORAGE, "the server answered 401");
        return err_hint(e, "%s", login_hint);
    }
    err_set(e, ERR_STORAGE, "the server answered %d, which is no answer of WebHDFS", a->status);
    e->retry = a->status >= 500 || a->status == 429;
    e->wait_ms = http_wait_ms(a);
    if (strstr(body, "Hadoop IPC port"))
        return err_hint(e, "this is the NameNode's RPC port; the lake's URL needs the port of its "
                           "web page, 9870 by default");
    if (!e->retry)
        err_hint(e, "is this the NameNode's web address, with dfs.webhdfs.enabled not set to "
                    "false?");
    return e->code;
}

static const struct exception *find_exception(const char *name, const char *message) {
    for (size_t i = 0; i < ARRAY_LEN(exceptions); i++)
        if (strcmp(exceptions[i].name, name) == 0 &&
            (!exceptions[i].word || strstr(message, exceptions[i].word)))
            return &exceptions[i];
    return NULL;
}

static bool is_java_name(const char *s) {
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$");
    return n > 0 && n <= 100 && !s[n];
}

/* ret_known: what it threw, if it is one of ours to judge. */
static int read_refusal(const struct http_answer *a, const struct exception **ret_known,
                        struct err *e) {
    *ret_known = NULL;
    struct json_doc *doc = json_parse(buf_str(&a->body), a->body.len, ERR_STORAGE, e);
    const json *thrown = json_get(doc ? json_root(doc) : NULL, "RemoteException");
    const char *name = json_str(json_get(thrown, "exception"));
    const char *message = json_str(json_get(thrown, "message"));
    if (!name || !is_java_name(name)) {
        json_free(doc);
        return webhdfs_strange(a, e);
    }
    message = message ? message : "";
    const struct exception *x = find_exception(name, message);
    int first_line = (int)strcspn(message, "\r\n"); /* then a Java stack trace */
    err_set(e, x ? x->code : ERR_STORAGE, "%s: %.*s", name, MIN(first_line, 1000), message);
    e->retry = x ? x->flags & PASSES : a->status >= 500;
    if (x && x->hint)
        err_hint(e, "%s", x->hint);
    json_free(doc);
    *ret_known = x;
    return e->code;
}

int webhdfs_refusal(const struct http_answer *a, bool *ret_elsewhere, struct err *e) {
    const struct exception *x;
    read_refusal(a, &x, e);
    *ret_elsewhere = a->status >= 500 || (x && x->flags & STANDBY);
    return e->code;
}

int webhdfs_datanode_refusal(const struct http_answer *a, struct err *e) {
    const struct exception *x;
    read_refusal(a, &x, e);
    if (!x)
        err_retry(e);
    return e->code;
}
