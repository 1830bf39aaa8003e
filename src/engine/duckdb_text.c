/* SPDX-License-Identifier: Apache-2.0 */
/* Values as texts, in the forms engine.h promises. What is not named here DuckDB writes itself. */
#include <math.h>

#include "base/clock.h"
#include "engine/duckdb_priv.h"

bool text_can(duckdb_logical_type type) {
    switch (duckdb_get_type_id(type)) {
    case DUCKDB_TYPE_BOOLEAN:
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_UTINYINT:
    case DUCKDB_TYPE_USMALLINT:
    case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_UBIGINT:
    case DUCKDB_TYPE_HUGEINT:
    case DUCKDB_TYPE_DOUBLE:
    case DUCKDB_TYPE_DECIMAL:
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_DATE:
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_TZ:
    case DUCKDB_TYPE_SQLNULL:
        return true;
    default:
        return false;
    }
}

const char *text_bytes(const duckdb_string_t *s, size_t *ret_len) {
    *ret_len = s->value.inlined.length;
    return *ret_len <= sizeof s->value.inlined.inlined ? s->value.inlined.inlined
                                                       : s->value.pointer.ptr;
}

static __int128 hugeint(const duckdb_hugeint *h) {
    return (__int128)(((unsigned __int128)(uint64_t)h->upper << 64) | h->lower);
}

/* value / 10^scale in plain digits. */
static void put_decimal(struct buf *b, __int128 value, int scale) {
    char out[64];
    size_t at = sizeof out;
    bool negative = value < 0;
    unsigned __int128 v = negative ? -(unsigned __int128)value : (unsigned __int128)value;
    for (int digit = 0; v || digit <= scale; digit++) {
        if (digit == scale && scale > 0)
            out[--at] = '.';
        out[--at] = (char)('0' + (int)(v % 10));
        v /= 10;
    }
    if (negative)
        out[--at] = '-';
    buf_add(b, out + at, sizeof out - at);
}

/* The shortest digits that read back the same, and a form that is plainly no integer. */
static void put_double(struct buf *b, double d) {
    if (!isfinite(d)) {
        buf_add_str(b, isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
        return;
    }
    char out[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, sizeof out, "%.*g", digits, d);
        if (strtod(out, NULL) == d)
            break;
    }
    buf_add_str(b, out);
    if (!strpbrk(out, ".e"))
        buf_add_str(b, ".0");
}

static void put_time(struct buf *b, int64_t us, bool utc) {
    duckdb_timestamp ts = {us};
    char out[TIME_TEXT];
    if (!duckdb_is_finite_timestamp(ts)) {
        buf_add_str(b, us < 0 ? "-infinity" : "infinity");
        return;
    }
    time_format(us, out);
    buf_add_str(b, out);
    if (!utc)
        b->data[--b->len] = '\0'; /* without the Z */
}

static void put_date(struct buf *b, duckdb_date date) {
    char out[DATE_TEXT];
    if (!duckdb_is_finite_date(date)) {
        buf_add_str(b, date.days < 0 ? "-infinity" : "infinity");
        return;
    }
    day_format(date.days, out);
    buf_add_str(b, out);
}

static void put_any_decimal(struct buf *b, const void *data, duckdb_logical_type type, idx_t row) {
    int scale = duckdb_decimal_scale(type);
    switch (duckdb_decimal_internal_type(type)) {
    case DUCKDB_TYPE_SMALLINT:
        put_decimal(b, ((const int16_t *)data)[row], scale);
        break;
    case DUCKDB_TYPE_INTEGER:
        put_decimal(b, ((const int32_t *)data)[row], scale);
        break;
    case DUCKDB_TYPE_BIGINT:
        put_decimal(b, ((const int64_t *)data)[row], scale);
        break;
    default:
        put_decimal(b, hugeint((const duckdb_hugeint *)data + row), scale);
        break;
    }
}

void text_value(struct buf *b, duckdb_vector v, duckdb_logical_type type, idx_t row) {
    const void *p = duckdb_vector_get_data(v);
    size_t len;
    switch (duckdb_get_type_id(type)) {
    case DUCKDB_TYPE_BOOLEAN:
        buf_add_str(b, ((const bool *)p)[row] ? "true" : "false");
        break;
    case DUCKDB_TYPE_TINYINT:
        buf_addf(b, "%d", ((const int8_t *)p)[row]);
        break;
    case DUCKDB_TYPE_SMALLINT:
        buf_addf(b, "%d", ((const int16_t *)p)[row]);
        break;
    case DUCKDB_TYPE_INTEGER:
        buf_addf(b, "%d", ((const int32_t *)p)[row]);
        break;
    case DUCKDB_TYPE_BIGINT:
        buf_addf(b, "%lld", (long long)((const int64_t *)p)[row]);
        break;
    case DUCKDB_TYPE_UTINYINT:
        buf_addf(b, "%u", ((const uint8_t *)p)[row]);
        break;
    case DUCKDB_TYPE_USMALLINT:
        buf_addf(b, "%u", ((const uint16_t *)p)[row]);
        break;
    case DUCKDB_TYPE_UINTEGER:
        buf_addf(b, "%u", ((const uint32_t *)p)[row]);
        break;
    case DUCKDB_TYPE_UBIGINT:
        buf_addf(b, "%llu", (unsigned long long)((const uint64_t *)p)[row]);
        break;
    case DUCKDB_TYPE_HUGEINT:
        put_decimal(b, hugeint((const duckdb_hugeint *)p + row), 0);
        break;
    case DUCKDB_TYPE_DOUBLE:
        put_double(b, ((const double *)p)[row]);
        break;
    case DUCKDB_TYPE_DECIMAL:
        put_any_decimal(b, p, type, row);
        break;
    case DUCKDB_TYPE_DATE:
        put_date(b, ((const duckdb_date *)p)[row]);
        break;
    case DUCKDB_TYPE_TIMESTAMP:
        put_time(b, ((const int64_t *)p)[row], false);
        break;
    case DUCKDB_TYPE_TIMESTAMP_TZ:
        put_time(b, ((const int64_t *)p)[row], true);
        break;
    default: {
        const char *text = text_bytes((const duckdb_string_t *)p + row, &len);
        buf_add(b, text, len);
        break;
    }
    }
    buf_add_char(b, '\0');
}
