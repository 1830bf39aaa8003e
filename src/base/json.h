/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON for the program's own documents: the table log, catalogs, --json output. Shoppers' events
 * do not pass here: src/event has its own decoder.
 */
#ifndef CM_BASE_JSON_H
#define CM_BASE_JSON_H

#include "base/err.h"
#include "base/mem.h"

/* yyjson's own version, "0.10.0". */
const char *json_library_version(void);

struct json_doc; /* owns everything below it */
typedef struct yyjson_val
    json; /* one value; NULL stands for "absent" and is legal input everywhere */

/* NULL on malformed text; `e` (code: given) then says where. Depth is bounded by the library. */
struct json_doc *json_parse(const char *text, size_t len, int code, struct err *e);
void json_free(struct json_doc *d);
static inline void json_freep(struct json_doc **d) {
    json_free(*d);
}
const json *json_root(const struct json_doc *d);

bool json_is_object(const json *v);
bool json_is_array(const json *v);
bool json_is_null(const json *v);                           /* false for absent */
const json *json_get(const json *object, const char *name); /* NULL: absent or no object */
const char *json_str(const json *v); /* NULL: absent, no string, or one with a NUL */
int64_t json_int(const json *v,
                 int64_t otherwise); /* otherwise: absent, no integer or beyond int64 */
double json_num(const json *v, double otherwise);
bool json_bool(const json *v, bool otherwise);

size_t json_len(const json *array);
/* for (struct json_iter it = json_iter(v); json_next(&it);) … it.value, it.name (NULL in arrays). */
struct json_iter {
    const json *container, *value;
    const char *name;
    size_t i, n;
    const void *at;
};
struct json_iter json_iter(const json *container);
bool json_next(struct json_iter *it);
/* The value as compact JSON text. */
void json_text(const json *v, struct buf *out);

/*
 * Writing: a comma-keeping helper over a struct buf. Texts are escaped, also the control characters
 * JSON would allow (DEL, U+0080 to U+009F: terminals obey them); invalid UTF-8 becomes U+FFFD.
 */
struct json_out {
    struct buf *b;
    bool comma;
};
void json_put_str(struct buf *b, const char *s, size_t n); /* "…" with quotes */
void json_obj(struct json_out *o,
              const char *name); /* opens {; name NULL in arrays and at the top */
void json_obj_end(struct json_out *o);
void json_arr(struct json_out *o, const char *name);
void json_arr_end(struct json_out *o);
void json_put(struct json_out *o, const char *name, const char *s); /* s NULL: null */
void json_put_n(struct json_out *o, const char *name, const char *s, size_t n);
void json_put_int(struct json_out *o, const char *name, int64_t v);
void json_put_double(struct json_out *o, const char *name,
                     double v); /* shortest that reads back; NaN and inf: null */
void json_put_bool(struct json_out *o, const char *name, bool v);
void json_put_raw(struct json_out *o, const char *name, const char *text); /* JSON text as it is */

#endif
