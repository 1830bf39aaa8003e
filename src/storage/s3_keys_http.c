/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of the role a container or a machine has been given. Both answer with the same JSON. They are
 * asked directly, past any proxy, and quickly: elsewhere nobody answers at these addresses.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/util.h"
#include "net/http.h"
#include "storage/s3_keys.h"

enum { CONNECT_MS = 1000, WHOLE_MS = 5000, TRIES = 3, PAUSE_MS = 200 };

/* One question; `what` names the one asked. Fills body, which the caller releases. */
static int ask(const char *what, const char *method, const char *url, const char *header,
               struct buf *ret_body, struct err *e) {
    struct http_options o = {
        .error_code = ERR_STORAGE, .connect_timeout_ms = CONNECT_MS, .direct = true};
    _cleanup_(http_client_freep) struct http_client *h = http_client_new(&o);
    const char *headers[] = {header, NULL};
    struct http_request q = {.method = method,
                             .url = url,
                             .headers = headers,
                             .max_body = LIMIT_HTTP_ERROR,
                             .timeout_ms = WHOLE_MS};
    struct http_answer a;
    int r = 0;
    for (int tries = 1;; tries++) {
        r = http_fetch(h, &q, &a, e);
        bool silent = r < 0 && !e->unsure; /* nobody there: asking again is no use */
        bool failing = r < 0 ? e->retry && !silent : a.status >= 500;
        if (!failing || tries == TRIES || stop_wait(PAUSE_MS))
            break;
        if (r == 0)
            http_answer_release(&a);
    }
    if (r < 0)
        return err_wrap(e, "%s", what);
    if (a.status != 200) {
        r = err_set(e, a.status == 404 ? ERR_NOT_FOUND : ERR_STORAGE, "%s answers %s %s with %d",
                    what, method ? method : "GET", url, a.status);
        e->retry = a.status >= 500;
    } else {
        *ret_body = a.body;
        a.body = (struct buf){0};
    }
    http_answer_release(&a);
    return r;
}

static char *text_of(const json *v, const char *name) {
    const char *s = json_str(json_get(v, name));
    return s && *s ? xstrdup(s) : NULL;
}

/* {"AccessKeyId":…,"SecretAccessKey":…,"Token":…,"Expiration":"2026-11-22T12:34:56Z"} */
static int read_key(const char *what, const struct buf *body, struct s3_key *ret, struct err *e) {
    struct json_doc *doc = json_parse(buf_str(body), body->len, ERR_STORAGE, e);
    const json *v = doc ? json_root(doc) : NULL;
    const char *expires = json_str(json_get(v, "Expiration"));
    struct s3_key k = {.id = text_of(v, "AccessKeyId"),
                       .secret = text_of(v, "SecretAccessKey"),
                       .token = text_of(v, "Token")};
    bool whole = k.id && k.secret && (!expires || time_parse(expires, &k.expires_us));
    json_free(doc);
    if (whole) {
        *ret = k;
        return 0;
    }
    s3_key_release(&k);
    return err_set(e, ERR_STORAGE, "%s: its answer holds no keys", what);
}

static void erase(struct buf *b) {
    if (b->data)
        explicit_bzero(b->data, b->len);
    buf_release(b);
}

static int ask_key(const char *what, const char *url, const char *header, struct s3_key *ret,
                   struct err *e) {
    struct buf body = {0};
    int r = ask(what, NULL, url, header, &body, e);
    if (r == 0)
        r = read_key(what, &body, ret, e);
    erase(&body);
    return r;
}

/* ---- the container ---- */

static const char container[] = "the container's keys";

/* A secret may be sent to this machine, to the agents' own addresses, and over TLS. */
static bool may_be_asked(const char *url) {
    static const char *const hosts[] = {"127.0.0.1",     "localhost",      "[::1]",
                                        "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
    const char *host = strstr(url, "://");
    if (!host || memchr(host, '@', 3 + strcspn(host + 3, "/?#")))
        return false;
    if (strncmp(url, "https://", 8) == 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        size_t n = strlen(hosts[i]);
        if (strncmp(url, "http://", 7) == 0 && strncmp(url + 7, hosts[i], n) == 0 &&
            (!url[7 + n] || strchr(":/?", url[7 + n])))
            return true;
    }
    return false;
}

static char *read_line(const char *file, struct err *e) {
    FILE *f = fopen(file, "re");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n = f ? getline(&line, &cap, f) : -1;
    if (n < 0) {
        err_sys(e, ERR_STORAGE, f ? ENODATA : errno, "%s: cannot read the token in %s", container,
                file);
        free(TAKE_PTR(line));
    } else {
        line[strcspn(line, "\r\n")] = '\0';
    }
    if (f)
        fclose(f);
    return line;
}

/* "Authorization: …", or NULL in *ret if no token is named. */
static int authorization(char **ret, struct err *e) {
    const char *token = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
               *file = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    _cleanup_(freep) char *read = NULL;
    if (file && *file) {
        read = read_line(file, e);
        if (!read)
            return e->code;
        token = read;
    }
    *ret = token && *token ? xasprintf("Authorization: %s", token) : NULL;
    return 0;
}

int s3_keys_from_container(struct s3_key *ret, struct err *e) {
    const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
               *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (!(relative && *relative) && !(full && *full))
        return ERR_NOT_FOUND;
    _cleanup_(freep) char *url =
        relative && *relative ? xasprintf("http://169.254.170.2%s", relative) : xstrdup(full);
    if (!may_be_asked(url)) {
        err_set(e, ERR_STORAGE,
                "%s: AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor an "
                "address of this machine",
                container);
        return e->code;
    }
    _cleanup_(freep) char *header = NULL;
    int r = authorization(&header, e);
    if (r == 0)
        r = ask_key(container, url, header, ret, e);
    return r == ERR_NOT_FOUND ? err_recode(e, ERR_STORAGE) : r;
}

/* ---- the machine ---- */

static const char machine[] = "the metadata service";

int s3_keys_from_machine(struct s3_key *ret, struct err *e) {
    const char *disabled = getenv("AWS_EC2_METADATA_DISABLED"),
               *endpoint = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (disabled && strcasecmp(disabled, "true") == 0)
        return ERR_NOT_FOUND;
    if (!endpoint || !*endpoint)
        endpoint = "http://169.254.169.254";
    int len = (int)strlen(endpoint) - (endpoint[strlen(endpoint) - 1] == '/');
    _cleanup_(freep) char *token_url = xasprintf("%.*s/latest/api/token", len, endpoint);
    struct buf token = {0}, role = {0};
    int r =
        ask(machine, "PUT", token_url, "X-aws-ec2-metadata-token-ttl-seconds: 21600", &token, e);
    if (r == ERR_NOT_FOUND || (r == ERR_STORAGE && !e->unsure))
        return ERR_NOT_FOUND; /* this is no EC2 */
    if (r < 0)
        return r;
    _cleanup_(freep) char *header = xasprintf("X-aws-ec2-metadata-token: %s", buf_str(&token));
    _cleanup_(freep) char *roles =
        xasprintf("%.*s/latest/meta-data/iam/security-credentials/", len, endpoint);
    r = ask(machine, NULL, roles, header, &role, e); /* 404: the machine has no role */
    if (r == 0) {
        _cleanup_(freep) char *url =
            xasprintf("%s%.*s", roles, (int)strcspn(buf_str(&role), "\r\n"), buf_str(&role));
        r = ask_key(machine, url, header, ret, e);
    }
    erase(&token);
    buf_release(&role);
    return r;
}
