/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/spoil.h"

#include <inttypes.h>

#include "base/limits.h"

enum special { PLAIN, WHOLE, CUT_SHORT, LONG_CATEGORY, DEEP, HUGE_RECORD };

/* A member's text replaces the good one; "" leaves the member out. */
static const struct recipe {
    enum reject reason;
    enum special special;
    const char *before, *after; /* around the record; WHOLE: before is all of it */
    const char *id, *category, *price, *ts, *more;
} recipes[] = {
    {REJECT_TOO_LARGE, .special = LONG_CATEGORY},
    {REJECT_TOO_LARGE, .special = DEEP},
    {REJECT_TOO_LARGE, .special = HUGE_RECORD},
    {REJECT_INVALID_UTF8, .more = ",\"note\":\"caf\xE9\""},
    {REJECT_INVALID_UTF8, .more = ",\"note\":\"\xC0\xAF\""},
    {REJECT_INVALID_JSON, .special = CUT_SHORT},
    {REJECT_INVALID_JSON, .after = "}"},
    {REJECT_INVALID_JSON, .before = "\xEF\xBB\xBF"},
    {REJECT_INVALID_JSON, .more = ",\"note\":\"\\ud83d\""},
    {REJECT_INVALID_JSON, .price = "NaN"},
    {REJECT_INVALID_JSON, .special = WHOLE, .before = "GET /products/1 HTTP/1.1"},
    {REJECT_NOT_AN_OBJECT, .before = "[", .after = "]"},
    {REJECT_NOT_AN_OBJECT, .special = WHOLE, .before = "\"click\""},
    {REJECT_NOT_AN_OBJECT, .special = WHOLE, .before = "null"},
    {REJECT_MISSING_FIELD, .ts = ""},
    {REJECT_MISSING_FIELD, .price = ""},
    {REJECT_MISSING_FIELD, .id = "null"},
    {REJECT_MISSING_FIELD, .category = "\"  \""},
    {REJECT_WRONG_TYPE, .id = "1.5"},
    {REJECT_WRONG_TYPE, .ts = "\"yesterday\""},
    {REJECT_WRONG_TYPE, .category = "[\"shoes\"]"},
    {REJECT_WRONG_TYPE, .price = "true"},
    {REJECT_OUT_OF_RANGE, .price = "-1"},
    {REJECT_OUT_OF_RANGE, .price = "1e10"},
    {REJECT_OUT_OF_RANGE, .ts = "1"},
    {REJECT_OUT_OF_RANGE, .ts = "99999999999"},
    {REJECT_OUT_OF_RANGE, .more = ",\"quantity\":1000001"},
    {REJECT_OUT_OF_RANGE, .more = ",\"user_id\":\"a\\u0000b\""},
};

size_t spoil_count(void) {
    return ARRAY_LEN(recipes);
}

enum reject spoil_reason(size_t recipe) {
    return recipes[recipe].reason;
}

bool spoil_is_huge(size_t recipe) {
    return recipes[recipe].special == HUGE_RECORD;
}

static void put_repeated(struct buf *b, char c, size_t n) {
    while (n--)
        buf_add_char(b, c);
}

static void put_member(struct buf *b, const char *name, const char *text) {
    if (*text)
        buf_addf(b, "%s\"%s\":%s", b->data[b->len - 1] == '{' ? "" : ",", name, text);
}

static void put_special(struct buf *b, enum special special) {
    if (special == LONG_CATEGORY) {
        buf_add_str(b, ",\"category\":\"");
        put_repeated(b, 'x', LIMIT_ID + 1);
        buf_add_char(b, '"');
    } else if (special == DEEP) {
        buf_add_str(b, ",\"note\":");
        put_repeated(b, '[', LIMIT_DEPTH);
        put_repeated(b, ']', LIMIT_DEPTH);
    } else if (special == HUGE_RECORD) {
        buf_add_str(b, ",\"note\":\"");
        put_repeated(b, 'x', LIMIT_RECORD);
        buf_add_char(b, '"');
    }
}

void spoil(size_t recipe, const struct product *p, int64_t ts, struct buf *b) {
    const struct recipe *how = &recipes[recipe];
    buf_reset(b);
    buf_add_str(b, how->before ? how->before : "");
    if (how->special == WHOLE)
        return;
    char ts_text[24];
    snprintf(ts_text, sizeof ts_text, "%" PRId64, ts);
    buf_add_char(b, '{');
    put_member(b, "product_id", how->id ? how->id : p->id);
    put_member(b, "category", how->category ? how->category : p->category);
    put_member(b, "price", how->price ? how->price : p->price);
    put_member(b, "event_ts", how->ts ? how->ts : ts_text);
    buf_add_str(b, how->more ? how->more : "");
    put_special(b, how->special);
    if (how->special != CUT_SHORT)
        buf_add_char(b, '}');
    buf_add_str(b, how->after ? how->after : "");
}
