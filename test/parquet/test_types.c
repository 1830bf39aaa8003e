/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row group of any table: values of every type, wherever some are NULL, come out of its pages
 * again. Bronze's own columns are in test_group.c.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include "parquet/decode.h"
#include "parquet/group.h"
#include <cmocka.h>

enum { S, I, L, D, B, X, T, M, DAY, COLUMNS };

static const struct column every_type[] = {
    {"s", TYPE_STRING},  {"i", TYPE_INT},    {"l", TYPE_LONG},      {"d", TYPE_DOUBLE},
    {"b", TYPE_BOOLEAN}, {"x", TYPE_BINARY}, {"t", TYPE_TIMESTAMP}, {"m", TYPE_MONEY},
    {"day", TYPE_DATE},  {"p", TYPE_DATE}, /* the partition's: not in the file */
};
static const struct table_def every = {"silver/every", "silver.every", every_type,
                                       ARRAY_LEN(every_type), "p"};

/* The value of a row in a column, as a number (a text: its length); false: NULL. */
typedef bool (*value_fn)(uint32_t row, size_t column, int64_t *ret);

static void put(struct row_group *g, value_fn value, uint32_t at, uint32_t n) {
    static char letters[400];
    struct gathered texts[2];
    size_t n_texts = 0;
    memset(letters, 'x', sizeof letters);
    row_group_begin(g, n);
    for (size_t c = 0; c < COLUMNS; c++) {
        struct gathered *t = row_group_is_text(g, c) ? &texts[n_texts++] : NULL;
        if (t)
            *t = (struct gathered){.column = (int)c};
        for (uint32_t k = 0; k < n; k++) {
            int64_t v;
            struct number_column *to = &g->col[c].number;
            if (!value(at + k, c, &v))
                continue;
            if (t)
                t->v[t->n++] = (struct text_value){letters, (uint32_t)v, g->rows + k};
            else if (c == B)
                number_add_bool(to, g->rows + k, v);
            else if (c == I || c == DAY)
                number_add_i32(to, g->rows + k, (int32_t)v);
            else if (c == D)
                number_add_f64(to, g->rows + k, (double)v);
            else
                number_add_i64(to, g->rows + k, v);
        }
    }
    row_group_texts(g, texts, n_texts);
    row_group_end(g, n);
}

static void check_column(const struct encoded *en, const struct columns *cs, size_t c,
                         value_fn value) {
    struct found f = read_column(en, c, cs->v[c].type);
    uint32_t k = 0;
    for (uint32_t row = 0; row < en->rows; row++) {
        int64_t v;
        bool there = value(row, c, &v);
        assert_int_equal(f.present[row], there);
        if (!there)
            continue;
        double d = (double)v;
        int64_t bits;
        memcpy(&bits, &d, sizeof bits);
        if (cs->v[c].type == PARQUET_BYTES)
            assert_int_equal(f.texts[k].len, v);
        else
            assert_int_equal(f.numbers[k], c == D ? bits : v);
        k++;
    }
    assert_int_equal(f.values, k);
    assert_int_equal(en->chunks[c].stats.nulls, en->rows - k);
    found_release(&f);
}

static void check(value_fn value, uint32_t rows) {
    struct columns *cs = columns_new(&every);
    assert_int_equal(cs->n, COLUMNS);
    struct row_group *g = row_group_new(cs);
    struct encoder *enc = encoder_new(0);
    for (int round = 0; round < 2; round++) { /* the second in memory that was used before */
        for (uint32_t at = 0; at < rows; at += DICT_BATCH)
            put(g, value, at, MIN(rows - at, (uint32_t)DICT_BATCH));
        assert_int_equal(g->rows, rows);
        assert_true(row_group_memory(g) >= row_group_bytes(g));
        struct encoded *en = row_group_encode(g, enc);
        assert_int_equal(g->rows, 0);
        for (size_t c = 0; c < COLUMNS; c++)
            check_column(en, cs, c, value);
        encoded_free(en);
    }
    encoder_free(enc);
    row_group_free(g);
    free(cs);
}

static bool at_the_limits(uint32_t row, size_t column, int64_t *ret) {
    static const int64_t days[] = {INT32_MIN, INT32_MAX, 0, -1};
    static const int64_t money[] = {999999999999999999, -999999999999999999, 1, 0};
    static const int64_t longs[] = {INT64_MIN, INT64_MAX, 0, -1};
    *ret = column == I || column == DAY ? days[row % 4]
           : column == M                ? money[row % 4]
           : column == B                ? row % 3 == 0
           : column == S || column == X ? row % 4 * 100
           : column == D                ? (int64_t)row
                                        : longs[row % 4];
    return true;
}

static bool nothing(uint32_t row ATTR_UNUSED, size_t column ATTR_UNUSED, int64_t *ret) {
    *ret = 0;
    return false;
}

/* Another pattern of NULLs in each column. */
static bool now_and_then(uint32_t row, size_t column, int64_t *ret) {
    *ret = column == B ? row / 5 % 2 : row % 300;
    return (row * 2654435761u >> 7) % (column + 2) == 0 || (column == B && row % 64 == 63);
}

static void values_of_every_type(void **state) {
    (void)state;
    static const uint32_t rows[] = {1, 7, 8, 9, 63, 64, 65, 1000, 20000};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check(at_the_limits, rows[i]);
        check(nothing, rows[i]);
        check(now_and_then, rows[i]);
    }
}

static bool empty_texts(uint32_t row, size_t column, int64_t *ret) {
    *ret = row % 7 == 0; /* hundreds of thousands of lengths for a page of a few bytes */
    return column == X;
}

static void a_full_group_of_tiny_texts(void **state) {
    (void)state;
    check(empty_texts, GROUP_ROWS_MAX);
}

/* A row of one double, for its bounds. */
static struct column_stats double_stats(const double *v, uint32_t n) {
    struct columns *cs = columns_new(&every);
    struct row_group *g = row_group_new(cs);
    struct encoder *enc = encoder_new(0);
    row_group_begin(g, n);
    for (uint32_t i = 0; i < n; i++)
        number_add_f64(&g->col[D].number, i, v[i]);
    row_group_end(g, n);
    struct encoded *en = row_group_encode(g, enc);
    struct column_stats s = en->chunks[D].stats;
    encoded_free(en);
    encoder_free(enc);
    row_group_free(g);
    free(cs);
    return s;
}

static void what_is_no_number_has_no_bounds(void **state) {
    (void)state;
    const double plain[] = {2, 1, 3}, first[] = {NAN, 1, 3}, last[] = {1, 3, NAN};
    struct column_stats s = double_stats(plain, 3);
    assert_true(s.min.known && s.max.known);
    s = double_stats(first, 3);
    assert_false(s.min.known || s.max.known);
    s = double_stats(last, 3);
    assert_false(s.min.known || s.max.known);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_type),
        cmocka_unit_test(a_full_group_of_tiny_texts),
        cmocka_unit_test(what_is_no_number_has_no_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
