/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "base/value.h"
#include "storage/aws_profile.h"
#include "storage/s3_priv.h"

void s3_place_release(struct s3_place *p) {
    free(p->bucket);
    free(p->prefix);
    free(p->base);
    free(p->host);
    free(p->path);
    free(p->region);
    *p = (struct s3_place){0};
}

static const char *first_of(const char *a, const char *b, const char *c, const char *d) {
    const char *all[] = {a, b, c, d};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i] && *all[i])
            return all[i];
    return NULL;
}

static bool bucket_ok(const char *name) {
    size_t n = strlen(name);
    if (n < 3 || n > 63 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != n)
        return false;
    return isalnum((unsigned char)name[0]) && isalnum((unsigned char)name[n - 1]);
}

/* Keys may stand in what cannot be used, so none of its text is told. */
static int refuse_url(const char *why, struct err *e) {
    err_set(e, ERR_CONFIG, "the lake's URL cannot be used: %s", why);
    return err_hint(e, "write s3://BUCKET/PREFIX; a store other than AWS is named by s3.endpoint, "
                       "keys stand in the environment or a profile");
}

/* s3://bucket or s3://bucket/prefix, slashes at the end do not matter. */
static int split_url(const char *url, struct s3_place *p, struct err *e) {
    const char *bucket = url + strlen("s3://");
    size_t n = strcspn(bucket, "/");
    const char *prefix = bucket + n + strspn(bucket + n, "/");
    size_t len = strlen(prefix);
    while (len && prefix[len - 1] == '/')
        len--;
    p->bucket = xstrndup(bucket, n);
    _cleanup_(freep) char *path = xstrndup(prefix, len);
    p->prefix = len ? xasprintf("%s/", path) : xstrdup("");
    if (strchr(url, '@'))
        return refuse_url("it has an '@'", e);
    if (!bucket_ok(p->bucket))
        return refuse_url("what follows s3:// is no bucket's name", e);
    if (len && !storage_path_ok(path))
        return refuse_url("what follows the bucket is no prefix for a lake: letters, digits, "
                          "-._=%~ and single slashes, no part that begins with a dot",
                          e);
    return 0;
}

/* "http[s]://host[:port]" without a path; a port that goes without saying is left out, as in Host. */
static int take_endpoint(const char *endpoint, bool by_path, struct s3_place *p, struct err *e) {
    const char *host = strstr(endpoint, "://");
    host = host ? host + 3 : endpoint;
    size_t n = strcspn(host, "/?#");
    if (!http_is_url(endpoint) || n == 0 || (host[n] && strcmp(host + n, "/") != 0) ||
        strchr(endpoint, '@')) {
        bool tell = !strchr(endpoint, '@');
        _cleanup_(freep) char *masked = url_mask(endpoint);
        err_set(e, ERR_CONFIG, "s3.endpoint%s%s is not the URL of a store", tell ? " " : "",
                tell ? masked : "");
        return err_hint(e,
                        "write http://HOST:PORT or https://HOST[:PORT]; keys do not belong there");
    }
    bool tls = strncasecmp(endpoint, "https", 5) == 0;
    const char *port = tls ? ":443" : ":80";
    size_t tail = strlen(port);
    if (n > tail && strncmp(host + n - tail, port, tail) == 0)
        n -= tail;
    _cleanup_(freep) char *name = xstrndup(host, n);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    p->host = by_path ? xstrdup(name) : xasprintf("%s.%s", p->bucket, name);
    p->base = xasprintf("%s://%s", tls ? "https" : "http", p->host);
    p->path = by_path ? xasprintf("/%s/", p->bucket) : xstrdup("/");
    return 0;
}

static int resolve(const struct storage_options *o, const struct aws_profile *profile,
                   struct s3_place *p, struct err *e) {
    const char *region =
        first_of(o->s3_region, getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"), profile->region);
    const char *endpoint = first_of(o->s3_endpoint, getenv("AWS_ENDPOINT_URL_S3"),
                                    getenv("AWS_ENDPOINT_URL"), profile->endpoint);
    p->region = xstrdup(region ? region : "us-east-1");
    p->is_aws = !endpoint;
    if (strspn(p->region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
        strlen(p->region))
        return err_set(e, ERR_CONFIG, "s3.region '%s' is no region's name", p->region);
    _cleanup_(freep) char *aws = xasprintf("https://s3.%s.amazonaws.com%s", p->region,
                                           strncmp(p->region, "cn-", 3) == 0 ? ".cn" : "");
    /* A bucket with dots in its name does not fit the certificate of *.s3.region. */
    bool by_path = o->s3_path_style == S3_PATH_STYLE_AUTO ? !p->is_aws || strchr(p->bucket, '.')
                                                          : o->s3_path_style == S3_PATH_STYLE_YES;
    return take_endpoint(endpoint ? endpoint : aws, by_path, p, e);
}

int s3_place_of(const char *url, const struct storage_options *o, struct s3_place *ret,
                struct err *e) {
    struct s3_place p = {0};
    struct aws_profile profile = {0};
    const char *name = first_of(o->s3_profile, getenv("AWS_PROFILE"), "default", NULL);
    int r = split_url(url, &p, e);
    if (r == 0)
        r = aws_profile_read(name, &profile, e);
    if (r == 0)
        r = resolve(o, &profile, &p, e);
    aws_profile_release(&profile);
    if (r)
        s3_place_release(&p);
    else
        *ret = p;
    return r;
}
