/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder of the lake, by ListObjectsV2 with a delimiter: objects right below it, and the common
 * prefixes of those further down. Names are asked for percent-encoded, for XML cannot hold all of them.
 */
#include "base/clock.h"
#include "base/util.h"
#include "base/xml.h"
#include "storage/s3_priv.h"

enum { PAGE_COST = 100 }; /* names a page counts for: an empty one takes its time, too */

struct page {
    struct storage_entries found; /* names are keys, as they came */
    struct storage_entry object;  /* under construction */
    bool encoded, truncated, whole;
    char *next; /* token */
};

static int hex(char c) {
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

static void decode(char *s) {
    char *to = s;
    for (; *s; s++) {
        bool escaped =
            *s == '%' && hex(s[1]) >= 0 && hex(s[2]) >= 0 && (s[1] != '0' || s[2] != '0');
        *to++ = escaped ? (char)(hex(s[1]) << 4 | hex(s[2])) : *s == '+' ? ' ' : *s;
        s += escaped ? 2 : 0;
    }
    *to = '\0';
}

/* Takes over the key. */
static void add(struct page *p, char *key, bool is_dir) {
    struct storage_entry *en = storage_entries_add(&p->found);
    *en = p->object;
    en->name = key;
    en->is_dir = is_dir;
}

static void set(char **to, const char *text) {
    free(*to);
    *to = xstrdup(text);
}

static int bad(const char *what, const char *text, struct err *e) {
    return err_set(e, ERR_STORAGE, "S3's list makes no sense: %s is '%.100s'", what, text);
}

static int take_size(struct page *p, const char *text, struct err *e) {
    p->object.size = digits_parse(text);
    return p->object.size < 0 ? bad("Size", text, e) : 0;
}

static int take_time(struct page *p, const char *text, struct err *e) {
    int64_t us;
    if (!time_parse(text, &us))
        return bad("LastModified", text, e);
    p->object.mtime_ms = us / 1000;
    return 0;
}

static int take_element(void *arg, const char *path, const char *text, struct err *e) {
    struct page *p = arg;
    if (strcmp(path, "ListBucketResult/Contents/Key") == 0)
        set(&p->object.name, text);
    else if (strcmp(path, "ListBucketResult/Contents/Size") == 0)
        return take_size(p, text, e);
    else if (strcmp(path, "ListBucketResult/Contents/LastModified") == 0)
        return take_time(p, text, e);
    else if (strcmp(path, "ListBucketResult/CommonPrefixes/Prefix") == 0)
        add(p, xstrdup(text), true);
    else if (strcmp(path, "ListBucketResult/EncodingType") == 0)
        p->encoded = strcmp(text, "url") == 0;
    else if (strcmp(path, "ListBucketResult/IsTruncated") == 0)
        p->truncated = strcmp(text, "true") == 0;
    else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0)
        set(&p->next, text);
    else if (strcmp(path, "ListBucketResult") == 0)
        p->whole = true;
    else if (strcmp(path, "ListBucketResult/Contents") == 0) {
        if (!p->object.name)
            return bad("Contents", "without a Key", e);
        add(p, TAKE_PTR(p->object.name), false);
        p->object = (struct storage_entry){0};
    }
    return 0;
}

static void page_release(struct page *p) {
    storage_entries_release(&p->found);
    free(p->object.name);
    free(p->next);
}

/* The names right below the prefix and after start_after; others were not asked for, or are hidden. */
static void take_names(struct page *p, const char *prefix, const char *start_after,
                       struct storage_entries *l) {
    size_t n = strlen(prefix);
    for (size_t i = 0; i < p->found.n; i++) {
        struct storage_entry *en = &p->found.v[i];
        if (p->encoded)
            decode(en->name);
        size_t len = strlen(en->name);
        if (en->is_dir && len && en->name[len - 1] == '/')
            en->name[--len] = '\0';
        const char *name = en->name + n;
        if (len <= n || strncmp(en->name, prefix, n) != 0 || strchr(name, '/') || *name == '.' ||
            (start_after && strcmp(name, start_after) <= 0))
            continue;
        struct storage_entry *to = storage_entries_add(l);
        *to = *en;
        to->name = xstrdup(name);
    }
}

static int query_of(const char *prefix, const char *start_after, const char *token, char **ret,
                    struct err *e) {
    struct buf b = BUF_INIT(16 * LIMIT_PATH);
    if (token) {
        buf_add_str(&b, "continuation-token=");
        buf_add_encoded(&b, token, "");
        buf_add_char(&b, '&');
    }
    buf_add_str(&b, "delimiter=%2F&encoding-type=url&list-type=2&prefix=");
    buf_add_encoded(&b, prefix, "");
    if (start_after && *start_after) {
        buf_add_str(&b, "&start-after=");
        buf_add_encoded(&b, prefix, "");
        buf_add_encoded(&b, start_after, "");
    }
    if (b.overflow) { /* names have bounds, the token has none */
        buf_release(&b);
        return bad("NextContinuationToken", token ? token : "", e);
    }
    *ret = buf_detach(&b);
    return 0;
}

int s3_list_page(const struct buf *xml, const char *prefix, const char *start_after, int64_t *seen,
                 struct storage_entries *l, char **ret_token, struct err *e) {
    struct page p = {.next = NULL};
    int r = xml_walk(buf_str(xml), xml->len, take_element, &p, ERR_STORAGE, e);
    if (r == 0 && !p.whole)
        r = bad("the answer", buf_str(xml), e);
    if (r == 0 && p.truncated && (!p.next || !*p.next))
        r = bad("NextContinuationToken", "", e);
    *seen += PAGE_COST + (int64_t)p.found.n;
    if (r == 0 && *seen > LIMIT_LIST)
        r = err_set(e, ERR_STORAGE, "the list has no end: %lld names and pages came",
                    (long long)*seen);
    if (r == 0) {
        take_names(&p, prefix, start_after, l);
        *ret_token = p.truncated ? TAKE_PTR(p.next) : NULL;
    }
    page_release(&p);
    return r;
}

/* Asks for one page. *token: in as the page before gave it, out for the one after. */
static int ask_page(struct s3 *s, const char *prefix, const char *start_after, char **token,
                    int64_t *seen, struct storage_entries *l, struct err *e) {
    _cleanup_(freep) char *query = NULL;
    int r = query_of(prefix, start_after, *token, &query, e);
    if (r)
        return r;
    struct s3_call q = {.method = "GET", .query = query, .max_body = LIMIT_S3_LIST};
    struct http_answer a;
    char *next = NULL;
    r = s3_call(s, &q, &a, e);
    if (r)
        return r == ERR_NOT_FOUND ? err_recode(e, ERR_STORAGE) : r;
    r = s3_list_page(&a.body, prefix, start_after, seen, l, &next, e);
    http_answer_release(&a);
    if (r == 0 && next && *token && strcmp(next, *token) == 0)
        r = bad("NextContinuationToken", "the same again", e);
    free(*token);
    *token = next;
    return r;
}

int s3_list_folder(struct s3 *s, const char *dir, const char *start_after,
                   struct storage_entries *ret, struct err *e) {
    struct storage_entries l = {0};
    _cleanup_(freep) char *prefix = xasprintf("%s%s%s", s->at.prefix, dir, *dir ? "/" : "");
    _cleanup_(freep) char *token = NULL;
    int64_t seen = 0;
    int r;
    do {
        r = ask_page(s, prefix, start_after, &token, &seen, &l, e);
        if (r == 0 && token && stop_requested())
            r = err_set(e, ERR_STOPPED, "stopped in the middle of a list");
    } while (r == 0 && token);
    if (r) {
        storage_entries_release(&l);
        return r;
    }
    storage_entries_sort(&l);
    storage_entries_release(ret);
    *ret = l;
    return 0;
}
