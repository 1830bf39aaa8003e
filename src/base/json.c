/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <yyjson.h>

#include "base/util.h"

const char *json_library_version(void) {
    static char text[16];
    uint32_t v = yyjson_version(); /* 0xMMmmpp */
    snprintf(text, sizeof text, "%u.%u.%u", v >> 16, v >> 8 & 0xff, v & 0xff);
    return text;
}

struct json_doc *json_parse(const char *text, size_t len, int code, struct err *e) {
    yyjson_read_err why;
    yyjson_doc *d =
        yyjson_read_opts((char *)(uintptr_t)text, len, YYJSON_READ_BIGNUM_AS_RAW, NULL, &why);
    if (!d)
        err_set(e, code, "malformed JSON at byte %zu: %s", why.pos, why.msg);
    return (struct json_doc *)d;
}

void json_free(struct json_doc *d) {
    yyjson_doc_free((yyjson_doc *)d);
}

const json *json_root(const struct json_doc *d) {
    return yyjson_doc_get_root((yyjson_doc *)(uintptr_t)d);
}

static yyjson_val *val(const json *v) {
    return (yyjson_val *)(uintptr_t)v;
}

bool json_is_object(const json *v) {
    return yyjson_is_obj(val(v));
}

bool json_is_array(const json *v) {
    return yyjson_is_arr(val(v));
}

bool json_is_null(const json *v) {
    return yyjson_is_null(val(v));
}

const json *json_get(const json *object, const char *name) {
    return yyjson_obj_get(val(object), name);
}

const char *json_str(const json *v) {
    const char *s = yyjson_get_str(val(v));
    return s && strlen(s) == yyjson_get_len(val(v)) ? s : NULL;
}

int64_t json_int(const json *v, int64_t otherwise) {
    if (yyjson_is_sint(val(v)))
        return yyjson_get_sint(val(v));
    if (yyjson_is_uint(val(v)) && yyjson_get_uint(val(v)) <= INT64_MAX)
        return (int64_t)yyjson_get_uint(val(v));
    return otherwise;
}

double json_num(const json *v, double otherwise) {
    return yyjson_is_num(val(v)) ? yyjson_get_num(val(v)) : otherwise;
}

bool json_bool(const json *v, bool otherwise) {
    return yyjson_is_bool(val(v)) ? yyjson_get_bool(val(v)) : otherwise;
}

size_t json_len(const json *array) {
    return yyjson_arr_size(val(array));
}

struct json_iter json_iter(const json *container) {
    struct json_iter it = {.container = container};
    if (yyjson_is_obj(val(container))) {
        it.n = yyjson_obj_size(val(container));
        it.at = unsafe_yyjson_get_first(val(container));
    } else if (yyjson_is_arr(val(container))) {
        it.n = yyjson_arr_size(val(container));
        it.at = unsafe_yyjson_get_first(val(container));
    }
    return it;
}

bool json_next(struct json_iter *it) {
    if (it->i >= it->n)
        return false;
    it->i++;
    yyjson_val *at = (yyjson_val *)(uintptr_t)it->at;
    if (yyjson_is_obj(val(it->container))) {
        it->name = yyjson_get_str(at);
        at++;
    }
    it->value = at;
    it->at = unsafe_yyjson_get_next(at);
    return true;
}

void json_text(const json *v, struct buf *out) {
    size_t len = 0;
    char *s = yyjson_val_write(val(v), 0, &len);
    if (s)
        buf_add(out, s, len);
    free(s);
}

void json_put_str(struct buf *b, const char *s, size_t n) {
    const char *end = s + n;
    buf_add_char(b, '"');
    while (s < end) {
        size_t len = utf8_len(s, (size_t)(end - s));
        if (len == 0) {
            buf_add_str(b, "\xEF\xBF\xBD");
            len = 1;
        } else if (*s == '"' || *s == '\\') {
            buf_addf(b, "\\%c", *s);
        } else if (utf8_is_control(s, len)) {
            buf_addf(b, "\\u%04x", (unsigned char)s[len - 1]); /* C2 9B is U+009B */
        } else {
            buf_add(b, s, len);
        }
        s += len;
    }
    buf_add_char(b, '"');
}

static void before(struct json_out *o, const char *name) {
    if (o->comma)
        buf_add_char(o->b, ',');
    o->comma = true;
    if (name) {
        json_put_str(o->b, name, strlen(name));
        buf_add_char(o->b, ':');
    }
}

static void open_with(struct json_out *o, const char *name, char c) {
    before(o, name);
    buf_add_char(o->b, c);
    o->comma = false;
}

static void close_with(struct json_out *o, char c) {
    buf_add_char(o->b, c);
    o->comma = true;
}

void json_obj(struct json_out *o, const char *name) {
    open_with(o, name, '{');
}

void json_obj_end(struct json_out *o) {
    close_with(o, '}');
}

void json_arr(struct json_out *o, const char *name) {
    open_with(o, name, '[');
}

void json_arr_end(struct json_out *o) {
    close_with(o, ']');
}

void json_put(struct json_out *o, const char *name, const char *s) {
    if (s)
        json_put_n(o, name, s, strlen(s));
    else
        json_put_raw(o, name, "null");
}

void json_put_n(struct json_out *o, const char *name, const char *s, size_t n) {
    before(o, name);
    json_put_str(o->b, s, n);
}

void json_put_int(struct json_out *o, const char *name, int64_t v) {
    before(o, name);
    buf_addf(o->b, "%lld", (long long)v);
}

void json_put_double(struct json_out *o, const char *name, double v) {
    if (!isfinite(v)) {
        json_put_raw(o, name, "null");
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    json_put_raw(o, name, text);
}

void json_put_bool(struct json_out *o, const char *name, bool v) {
    json_put_raw(o, name, v ? "true" : "false");
}

void json_put_raw(struct json_out *o, const char *name, const char *text) {
    before(o, name);
    buf_add_str(o->b, text);
}
