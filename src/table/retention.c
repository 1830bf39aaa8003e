/* SPDX-License-Identifier: Apache-2.0 */
#include "table/retention.h"

#include <ctype.h>
#include <strings.h>

static const struct {
    const char *name;
    int64_t us;
} units[] = {
    {"week", 7 * 86400LL * 1000000},
    {"day", 86400LL * 1000000},
    {"hour", 3600LL * 1000000},
    {"minute", 60 * 1000000LL},
    {"second", 1000000},
    {"millisecond", 1000},
    {"microsecond", 1},
};

/* The next word, in lower case, and where it ends; false: there is none that fits. */
static bool next_word(const char **at, char out[16]) {
    while (isspace((unsigned char)**at))
        ++*at;
    size_t n = strcspn(*at, " \t\r\n");
    if (n == 0 || n > 15)
        return false;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)tolower((unsigned char)(*at)[i]);
    out[n] = '\0';
    *at += n;
    return true;
}

/* "day" and "days". */
static int64_t unit_us(const char *word) {
    size_t n = strlen(word);
    n -= n > 1 && word[n - 1] == 's';
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (strlen(units[i].name) == n && memcmp(units[i].name, word, n) == 0)
            return units[i].us;
    return 0;
}

static bool add_part(const char *number, const char *unit, int64_t *us) {
    int64_t n = 0, part;
    for (const char *p = number; *p; p++)
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, *p - '0', &n))
            return false;
    int64_t each = unit_us(unit);
    return each && !__builtin_mul_overflow(n, each, &part) &&
           !__builtin_add_overflow(*us, part, us);
}

bool interval_parse(const char *text, int64_t *ret_ms) {
    char number[16], unit[16];
    int64_t us = 0;
    const char *at = text;
    bool any = false, more = next_word(&at, number);
    if (more && strcmp(number, "interval") == 0)
        more = next_word(&at, number);
    for (; more; more = next_word(&at, number), any = true)
        if (!next_word(&at, unit) || !add_part(number, unit, &us))
            return false;
    if (!any || at[strspn(at, " \t\r\n")])
        return false;
    *ret_ms = us / 1000;
    return true;
}

const char *table_property(const struct table *tb, const char *name) {
    const json *meta = tb->meta ? json_get(json_root(tb->meta), "metaData") : NULL;
    return json_str(json_get(json_get(meta, "configuration"), name));
}

int retention_of(const struct table *tb, const char *property, int64_t otherwise_ms,
                 int64_t *ret_ms, struct err *e) {
    const char *text = table_property(tb, property);
    if (!text) {
        *ret_ms = otherwise_ms;
        return 0;
    }
    if (interval_parse(text, ret_ms))
        return 0;
    err_set(e, ERR_STORAGE, "%s/%s: %s is \"%s\", which is no duration that clickmill reads",
            tb->st->url, tb->def->name, property, text);
    return err_hint(e, "such as: ALTER TABLE … SET TBLPROPERTIES ('%s' = 'interval 30 days')",
                    property);
}
