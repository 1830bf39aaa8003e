/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/rules.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

#include "base/clock.h"

int rules_expect(const struct sink *sk, const struct sink_table *t,
                 const struct sink_watermark *expected, const struct sink_watermark *found,
                 struct err *e) {
    if (expected->version == found->version &&
        (found->version < 0 || strcmp(expected->table_id, found->table_id) == 0))
        return 0;
    if (found->version < 0)
        return err_set(e, ERR_CONFLICT, "%s: %s was never loaded, but version %lld was expected",
                       sk->url, t->name, (long long)expected->version);
    return err_set(e, ERR_CONFLICT,
                   "%s: another load of %s was faster: it stands at version %lld of gold table %s, "
                   "not at %lld",
                   sk->url, t->name, (long long)found->version, found->table_id,
                   (long long)expected->version);
}

int rules_begin(const struct sink *sk, const struct sink_table *t, const struct sink_load_begin *b,
                struct err *e) {
    assert(t->n_columns > 0 && t->n_columns <= SINK_MAX_COLUMNS);
    assert(b->gold_version >= 0);
    assert(*b->gold_table_id && strlen(b->gold_table_id) < sizeof b->expected->table_id);
    for (size_t i = 0; i < b->n_dates; i++) {
        int32_t day;
        if (!day_parse(b->dates[i], strlen(b->dates[i]), &day))
            return err_set(e, ERR_SINK, "%s: load of %s: \"%.40s\" is no date (YYYY-MM-DD)",
                           sk->url, t->name, b->dates[i]);
    }
    return 0;
}

static bool is_integer(const char *s, int64_t *ret) {
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    *ret = v;
    return (*s == '-' || (*s >= '0' && *s <= '9')) && end != s && !*end && errno == 0;
}

/* No hexadecimal, no blanks, no NaN: what both databases take for a number. */
static bool is_number(const char *s) {
    char *end;
    size_t n = strspn(s, "+-.0123456789eE");
    double v = strtod(s, &end);
    return n > 0 && !s[n] && !*end && isfinite(v);
}

static bool value_fits(enum sink_type type, const char *s) {
    int64_t i;
    int32_t day;
    switch (type) {
    case SINK_TEXT:
    case SINK_TIMESTAMP:
        return true;
    case SINK_INT:
    case SINK_BIGINT:
        return is_integer(s, &i);
    case SINK_DOUBLE:
    case SINK_MONEY:
        return is_number(s);
    case SINK_DATE:
        return day_parse(s, strlen(s), &day);
    case SINK_BOOLEAN:
        return strcmp(s, "true") == 0 || strcmp(s, "false") == 0;
    }
    abort();
}

static const char *type_in_words(enum sink_type type) {
    switch (type) {
    case SINK_INT:
    case SINK_BIGINT:
        return "an integer";
    case SINK_DOUBLE:
    case SINK_MONEY:
        return "a finite number";
    case SINK_DATE:
        return "a date (YYYY-MM-DD)";
    case SINK_BOOLEAN:
        return "true or false";
    default:
        return "a text";
    }
}

int rules_row(const struct sink *sk, const struct sink_table *t, const char *const *values,
              uint32_t narrow, const char *shown, struct err *e) {
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct sink_column *c = &t->columns[i];
        const char *s = values[i];
        if (!s && !c->key)
            continue;
        if (!s)
            return err_set(e, ERR_SINK, "%s: row of %s: %s is NULL, but part of the key", sk->url,
                           t->name, c->name);
        if (!value_fits(c->type, s))
            return err_set(e, ERR_SINK, "%s: row of %s: %s is \"%.64s\", not %s", sk->url, t->name,
                           c->name, s, type_in_words(c->type));
        int64_t v;
        if (narrow & SINK_NARROW(i) && is_integer(s, &v) && (v > INT32_MAX || v < INT32_MIN)) {
            err_set(e, ERR_SINK, "%s: row of %s: %s is %s, more than an INT holds", sk->url,
                    t->name, c->name, s);
            return err_hint(e, "widen the column: ALTER TABLE %s ALTER COLUMN %s TYPE BIGINT;",
                            shown, c->name);
        }
    }
    return 0;
}

void rules_double(double v, char out[RULES_VALUE]) {
    if (v == 0)
        v = 0; /* -0 */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, RULES_VALUE, "%.*g", digits, v);
        if (strtod(out, NULL) == v)
            return;
    }
}

const char *rules_value(enum sink_type type, const char *text, char out[RULES_VALUE]) {
    switch (type) {
    case SINK_DOUBLE:
        rules_double(strtod(text, NULL), out);
        return out;
    case SINK_BOOLEAN:
        return *text == 't' || *text == '1' ? "true" : "false";
    case SINK_TIMESTAMP: {
        /* PostgreSQL, with TimeZone UTC: 2026-02-16 12:00:00.5+00 */
        size_t n = strlen(text);
        if (n < 13 || n + 2 > RULES_VALUE || text[10] != ' ')
            return text;
        bool offset = strcmp(text + n - 3, "+00") == 0;
        snprintf(out, RULES_VALUE, "%.10sT%.*sZ", text, (int)(n - 11 - (offset ? 3 : 0)),
                 text + 11);
        return out;
    }
    default:
        return text;
    }
}
