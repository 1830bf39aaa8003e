/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

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

/* A text, and where it comes from. */
struct setting {
    const char *from, *text;
};

static struct setting variable(const char *name) {
    return (struct setting){name, getenv(name)};
}

/* The first that is there. */
static struct setting first_of(const struct setting *v, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (v[i].text && *v[i].text)
            return v[i];
    return (struct setting){0};
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

/* "http[s]://host[:port]", without a path but "/". */
static bool endpoint_ok(const char *endpoint) {
    if (!http_is_url(endpoint) || strchr(endpoint, '@'))
        return false;
    const char *host = strstr(endpoint, "://") + 3;
    size_t n = strcspn(host, "/?#");
    return n > 0 && (!host[n] || strcmp(host + n, "/") == 0);
}

static int check_endpoint(const struct setting *endpoint, struct err *e) {
    if (!endpoint->text || endpoint_ok(endpoint->text))
        return 0;
    storage_refuse(endpoint->from, endpoint->text, "this is not the URL of a store", e);
    return err_hint(e, "write http://HOST:PORT or https://HOST[:PORT]; keys do not belong there");
}

/* A port that goes without saying is left out, as in Host. */
static void take_endpoint(const char *endpoint, bool by_path, struct s3_place *p) {
    const char *host = strstr(endpoint, "://") + 3;
    bool tls = strncasecmp(endpoint, "https", 5) == 0;
    const char *port = tls ? ":443" : ":80";
    size_t n = strcspn(host, "/"), tail = strlen(port);
    if (n > tail && strncmp(host + n - tail, port, tail) == 0)
        n -= tail;
    _cleanup_(freep) char *name = xstrndup(host, n);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    p->host = by_path ? xstrdup(name) : xasprintf("%s.%s", p->bucket, name);
    p->base = xasprintf("%s://%s", tls ? "https" : "http", p->host);
    p->path = by_path ? xasprintf("/%s/", p->bucket) : xstrdup("/");
}

static int take_region(const struct storage_options *o, const struct aws_profile *profile,
                       struct s3_place *p, struct err *e) {
    const struct setting all[] = {{"s3.region", o->s3_region},
                                  variable("AWS_REGION"),
                                  variable("AWS_DEFAULT_REGION"),
                                  {"the AWS profile's region", profile->region},
                                  {"", "us-east-1"}};
    struct setting region = first_of(all, ARRAY_LEN(all));
    p->region = xstrdup(region.text);
    if (p->region[strspn(p->region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789-_")])
        return err_set(e, ERR_CONFIG, "%s '%s' is no region's name", region.from, region.text);
    return 0;
}

static int resolve(const struct storage_options *o, const struct aws_profile *profile,
                   struct s3_place *p, struct err *e) {
    const struct setting all[] = {{"s3.endpoint", o->s3_endpoint},
                                  variable("AWS_ENDPOINT_URL_S3"),
                                  variable("AWS_ENDPOINT_URL"),
                                  {"the AWS profile's endpoint_url", profile->endpoint}};
    struct setting endpoint = first_of(all, ARRAY_LEN(all));
    int r = take_region(o, profile, p, e);
    if (r == 0)
        r = check_endpoint(&endpoint, e);
    if (r)
        return r;
    bool is_aws = !endpoint.text;
    _cleanup_(freep) char *aws = xasprintf("https://s3.%s.amazonaws.com%s", p->region,
                                           strncmp(p->region, "cn-", 3) == 0 ? ".cn" : "");
    /* A bucket with dots in its name does not fit the certificate of *.s3.region. */
    bool by_path = o->s3_path_style == S3_PATH_STYLE_AUTO ? !is_aws || strchr(p->bucket, '.')
                                                          : o->s3_path_style == S3_PATH_STYLE_YES;
    take_endpoint(is_aws ? aws : endpoint.text, by_path, p);
    return 0;
}

int s3_place_of(const char *url, const struct storage_options *o, struct s3_place *ret,
                struct err *e) {
    struct s3_place p = {0};
    struct aws_profile profile = {0};
    const struct setting names[] = {{"s3.profile", o->s3_profile}, variable("AWS_PROFILE")};
    int r = split_url(url, &p, e);
    if (r == 0)
        r = aws_profile_read(first_of(names, ARRAY_LEN(names)).text, &profile, e);
    if (r == 0)
        r = resolve(o, &profile, &p, e);
    aws_profile_release(&profile);
    if (r)
        s3_place_release(&p);
    else
        *ret = p;
    return r;
}
