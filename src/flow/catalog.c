/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/value.h"
#include "net/http.h"

/* FakeStore's own products, prices and spelling ("jewelery" is theirs). */
static const char built_in[] = "[{\"id\":1,\"category\":\"men's clothing\",\"price\":109.95},"
                               "{\"id\":2,\"category\":\"men's clothing\",\"price\":22.3},"
                               "{\"id\":3,\"category\":\"men's clothing\",\"price\":55.99},"
                               "{\"id\":4,\"category\":\"men's clothing\",\"price\":15.99},"
                               "{\"id\":5,\"category\":\"jewelery\",\"price\":695},"
                               "{\"id\":6,\"category\":\"jewelery\",\"price\":168},"
                               "{\"id\":7,\"category\":\"jewelery\",\"price\":9.99},"
                               "{\"id\":8,\"category\":\"jewelery\",\"price\":10.99},"
                               "{\"id\":9,\"category\":\"electronics\",\"price\":64},"
                               "{\"id\":10,\"category\":\"electronics\",\"price\":109},"
                               "{\"id\":11,\"category\":\"electronics\",\"price\":109},"
                               "{\"id\":12,\"category\":\"electronics\",\"price\":114},"
                               "{\"id\":13,\"category\":\"electronics\",\"price\":599},"
                               "{\"id\":14,\"category\":\"electronics\",\"price\":999.99},"
                               "{\"id\":15,\"category\":\"women's clothing\",\"price\":56.99},"
                               "{\"id\":16,\"category\":\"women's clothing\",\"price\":29.95},"
                               "{\"id\":17,\"category\":\"women's clothing\",\"price\":39.99},"
                               "{\"id\":18,\"category\":\"women's clothing\",\"price\":9.85},"
                               "{\"id\":19,\"category\":\"women's clothing\",\"price\":7.95},"
                               "{\"id\":20,\"category\":\"women's clothing\",\"price\":12.99}]";

static const char way_out[] = "leave out --catalog to use the built-in FakeStore catalog";

void catalog_release(struct catalog *c) {
    for (size_t i = 0; i < c->n; i++) {
        free(c->v[i].id);
        free(c->v[i].category);
        free(c->v[i].price);
        free(c->v[i].path);
    }
    free(c->v);
    *c = (struct catalog){0};
}

static char *as_json(const json *v) {
    struct buf b = BUF_INIT(LIMIT_RECORD);
    json_text(v, &b);
    return buf_detach(&b);
}

static bool is_blank(const char *s) {
    return s[strspn(s, " \t\r\n")] == '\0';
}

/* What is wrong with a product, or NULL: it must come through the data contract as it is. */
static const char *fault(const json *p) {
    const json *id = json_get(p, "id"), *category = json_get(p, "category");
    const char *id_text = json_str(id), *category_text = json_str(category);
    double price = json_num(json_get(p, "price"), NAN);
    if (!json_is_object(p))
        return "is no object";
    if (id_text ? is_blank(id_text) || strlen(id_text) > LIMIT_ID
                : json_int(id, INT64_MIN) == INT64_MIN)
        return "has no id (a whole number or a text)";
    if (!category_text || is_blank(category_text) || strlen(category_text) > LIMIT_ID)
        return "has no category (a text)";
    if (!(price >= 0 && price <= LIMIT_PRICE))
        return "has no price (a number from 0 to 1,000,000,000)";
    return NULL;
}

static void add_product(struct catalog *c, const json *p) {
    struct product *to = &c->v[c->n++];
    to->id = as_json(json_get(p, "id"));
    to->category = as_json(json_get(p, "category"));
    to->price = as_json(json_get(p, "price"));
    /* A text may hold what a URL may not. */
    if (json_str(json_get(p, "id")))
        to->path = xasprintf("/products/item-%zu", c->n);
    else
        to->path = xasprintf("/products/%s", to->id);
}

int catalog_parse(const char *name, const char *text, size_t n, struct catalog *ret,
                  struct err *e) {
    _cleanup_(json_freep) struct json_doc *doc = json_parse(text, n, ERR_STREAM, e);
    if (!doc) {
        err_wrap(e, "the catalog %s", name);
        return err_hint(e, "%s", way_out);
    }
    const json *list = json_root(doc);
    if (!json_is_array(list) || json_len(list) == 0) {
        err_set(e, ERR_STREAM, "the catalog %s is %s", name,
                json_is_array(list) ? "empty" : "no JSON array of products");
        return err_hint(e, "%s", way_out);
    }
    struct catalog c = {.v = xcalloc(json_len(list), sizeof *c.v)};
    for (struct json_iter it = json_iter(list); json_next(&it);) {
        const char *what = fault(it.value);
        if (what) {
            err_set(e, ERR_STREAM, "the catalog %s: product %zu %s", name, it.i, what);
            catalog_release(&c);
            return err_hint(e, "%s", way_out);
        }
        add_product(&c, it.value);
    }
    *ret = c;
    return 0;
}

static bool looks_like_html(const struct http_answer *a) {
    const char *body = buf_str(&a->body);
    body += strspn(body, " \t\r\n");
    const char *type = http_header(a, "Content-Type");
    return (type && strncasecmp(type, "text/html", 9) == 0) || *body == '<';
}

/* A bot check answers 403, or even 200, with a page for people. */
static int judge(const char *url, const struct http_answer *a, struct err *e) {
    const char *html = looks_like_html(a) ? " and a web page instead of JSON" : "";
    if (a->status == 200 && !html[0])
        return 0;
    err_set(e, ERR_STREAM, "the catalog %s cannot be fetched: the server answered %d%s", url,
            a->status, html);
    e->retry = a->status == 429 || a->status >= 500;
    return err_hint(e, "%s%s", way_out,
                    html[0] ? "; a web page is often a check against bots" : "");
}

static int load_url(const char *url, struct catalog *ret, struct err *e) {
    static const char *const headers[] = {"Accept: application/json", NULL};
    struct http_request q = {.url = url,
                             .headers = headers,
                             .timeout_ms = 20000,
                             .max_body = LIMIT_CATALOG,
                             .max_redirects = 5};
    struct http_options o = {.error_code = ERR_STREAM, .connect_timeout_ms = 5000};
    _cleanup_(http_client_freep) struct http_client *h = http_client_new(&o);
    struct http_answer a = {0};
    _cleanup_(freep) char *name = url_mask(url);
    int r = http_fetch(h, &q, &a, e);
    if (r < 0) {
        err_wrap(e, "the catalog cannot be fetched");
        return err_hint(e, "%s", way_out);
    }
    r = judge(name, &a, e);
    if (r == 0)
        r = catalog_parse(name, buf_str(&a.body), a.body.len, ret, e);
    http_answer_release(&a);
    return r;
}

static int read_whole(const char *path, struct buf *b, struct err *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, ERR_STREAM, errno, "cannot open the catalog %s", path);
    ssize_t n = 1;
    while (n > 0 && buf_reserve(b, 64 * KIB)) {
        n = read(fd, b->data + b->len, 64 * KIB);
        b->len += n > 0 ? (size_t)n : 0;
    }
    int why = errno;
    close(fd);
    if (n < 0)
        return err_sys(e, ERR_STREAM, why, "cannot read the catalog %s", path);
    if (b->overflow)
        return err_set(e, ERR_STREAM, "the catalog %s is larger than %d MiB", path,
                       LIMIT_CATALOG / MIB);
    return 0;
}

static int load_file(const char *path, struct catalog *ret, struct err *e) {
    struct buf b = BUF_INIT(LIMIT_CATALOG);
    int r = read_whole(path, &b, e);
    if (r < 0)
        err_hint(e, "%s", way_out);
    else
        r = catalog_parse(path, buf_str(&b), b.len, ret, e);
    buf_release(&b);
    return r;
}

int catalog_load(const char *from, struct catalog *ret, struct err *e) {
    if (!from)
        return catalog_parse("that is built in", built_in, sizeof built_in - 1, ret, e);
    return http_is_url(from) ? load_url(from, ret, e) : load_file(from, ret, e);
}
