/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows put into a group must come out of its pages: all columns, whatever the texts do to the
 * dictionaries and wherever rows are NULL. Uncompressed; compressed files are read by other
 * people's readers in test/e2e/test_bronze_parquet.py.
 */
#include "base/schema.h"
#include "parquet/dict.h"
#include "parquet/rows.h"

static void columns_are_those_of_the_table(void **state) {
    (void)state;
    assert_int_equal(bronze_events.n_columns, BRONZE_COLUMNS + 1);
    assert_string_equal(bronze_events.columns[BRONZE_COLUMNS].name, bronze_events.partition_by);
    for (int i = 0; i < BRONZE_COLUMNS; i++)
        assert_string_equal(form_of(i)->name, bronze_events.columns[i].name);
    assert_string_equal(form_of(COL_EVENT_KEY)->name, "event_key");
    assert_string_equal(form_of(COL_RAW)->name, "raw");
    assert_int_equal(form_of(COL_EVENT_ID)->twin, COL_EVENT_KEY);
}

static void nulls_anywhere_at_every_size(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 200, 1000};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct rows r = rows_new(sizes[s]);
        for (uint32_t i = 0; i < r.n; i++) {
            struct event *ev = &r.ev[i];
            struct text t = text(&r, "t%u", i % 5);
            if (i % 2)
                ev->category = t;
            if (i == 0)
                ev->user_id = t;
            if (i == r.n - 1)
                ev->session_id = t;
            if (i != r.n / 2)
                ev->sku = t;
            if (i / 64 % 2)
                ev->currency = t;
            ev->page_url = t;
            ev->has_product_id = i % 3;
            ev->has_price = i > 64;
            ev->has_quantity = i < 64;
            ev->price = i;
        }
        check_rows(&r);
        rows_release(&r);
    }
}

static void texts_of_any_length(void **state) {
    (void)state;
    struct rows r = rows_new(300);
    static const uint32_t lengths[] = {0, 1, 3, 4, 7, 8, 15, 16, 17, 40, 41, 255, 256, 257, 4096};
    for (uint32_t i = 0; i < r.n; i++) {
        uint32_t len = lengths[i % ARRAY_LEN(lengths)];
        r.ev[i].page_url = text_of_length(&r, len, 'x');
        r.ev[i].user_agent = text_of_length(&r, len, (char)('a' + i % 20));
        r.ev[i].extra = text_of_length(&r, i * 13, (char)('a' + i % 7));
    }
    check_rows(&r);
    rows_release(&r);
}

static void raw_records_of_a_mebibyte(void **state) {
    (void)state;
    struct rows r = rows_new(50);
    for (uint32_t i = 0; i < r.n; i++) {
        struct text t = text_of_length(&r, i % 3 ? LIMIT_RECORD : i, (char)i);
        r.src[i].raw = t.p;
        r.src[i].raw_len = t.len;
        r.src[i].keep_raw = i % 7 != 0;
    }
    struct bronze_group *g = group_new();
    struct encoded *en = encode_checked(g, &r);
    assert_in_range(en->chunks[COL_RAW].data_pages, 5, 7); /* one at every eighth row */
    assert_false(en->chunks[COL_RAW].stats.min.known);
    encoded_free(en);
    bronze_group_free(g);
    rows_release(&r);
}

static void pages_of_a_mebibyte(void **state) {
    (void)state;
    struct rows r = rows_new(60000);
    for (uint32_t i = 0; i < r.n; i++) {
        r.ev[i].event_key = text(&r, "%064u", i);
        if (i % 5 == 0)
            r.ev[i].extra = text(&r, "{\"n\":\"%0120u\"}", i); /* rows with gaps between */
    }
    struct bronze_group *g = group_new();
    for (int again = 0; again < 2; again++) { /* the second time direct from the start */
        struct encoded *en = encode_checked(g, &r);
        assert_int_equal(en->chunks[COL_EVENT_KEY].data_pages, 60000 * 64 / MIB + 1);
        assert_int_equal(en->chunks[COL_EXTRA].data_pages, 12000 * 128 / MIB + 1);
        encoded_free(en);
    }
    bronze_group_free(g);
    rows_release(&r);
}

static int64_t encoding_of(const struct rows *r, enum bronze_column column) {
    struct bronze_group *g = group_new();
    struct encoded *en = encode_checked(g, r);
    int64_t encoding = en->chunks[column].encoding;
    encoded_free(en);
    bronze_group_free(g);
    return encoding;
}

static void texts_that_repeat_make_a_dictionary(void **state) {
    (void)state;
    struct rows r = rows_new(60000);
    for (uint32_t i = 0; i < r.n; i++)
        r.ev[i].user_id = text(&r, "user-%u", draw(10000));
    assert_int_equal(encoding_of(&r, COL_USER_ID), ENCODING_DICTIONARY);
    rows_release(&r);
}

static void a_dictionary_is_given_up_in_mid_group(void **state) {
    (void)state;
    struct rows r = rows_new(30000);
    for (uint32_t i = 0; i < r.n; i++) {
        if (i % 3 == 0)
            continue;
        r.ev[i].order_id = text(&r, "order-%u", i < 3000 ? i % 10 : i);
        r.ev[i].user_agent = text(&r, "%0200u", draw(6000)); /* repeat, but are too many bytes */
    }
    assert_int_equal(encoding_of(&r, COL_ORDER_ID), ENCODING_DELTA_LENGTH);
    assert_int_equal(encoding_of(&r, COL_USER_AGENT), ENCODING_DELTA_LENGTH);
    rows_release(&r);
}

static void few_rows_all_different_need_no_dictionary(void **state) {
    (void)state;
    struct rows r = rows_new(100);
    for (uint32_t i = 0; i < r.n; i++)
        r.ev[i].order_id = text(&r, "order-%u", i);
    assert_int_equal(encoding_of(&r, COL_ORDER_ID), ENCODING_DELTA_LENGTH);
    rows_release(&r);
}

static void a_column_tries_a_dictionary_again(void **state) {
    (void)state;
    struct rows different = rows_new(5000), same = rows_new(5000);
    for (uint32_t i = 0; i < 5000; i++) {
        different.ev[i].session_id = text(&different, "session-%u", i);
        same.ev[i].session_id = text(&same, "session-%u", i % 10);
    }
    struct bronze_group *g = group_new();
    encoded_free(encode_checked(g, &different));
    int groups = 0;
    for (bool dict = false; !dict; groups++) {
        struct encoded *en = encode_checked(g, &same);
        dict = en->chunks[COL_SESSION_ID].has_dict;
        encoded_free(en);
        assert_in_range(groups, 0, 20);
    }
    assert_in_range(groups, 2, 20);
    bronze_group_free(g);
    rows_release(&different);
    rows_release(&same);
}

/* Texts whose hashes meet in one chain of the table. */
static void texts_made_to_collide_only_cost_bytes(void **state) {
    (void)state;
    struct rows r = rows_new(3 * DICT_PROBES);
    struct dict empty = {0};
    uint32_t found = 0;
    for (uint32_t i = 0; found < r.n; i++) {
        struct text t = text(&r, "collide-%u", i);
        struct text_value v = {t.p, t.len, 0};
        uint64_t hash;
        uint16_t guess;
        dict_guess(&empty, &v, 1, &hash, &guess);
        if (hash % 1024 == 7)
            r.ev[found++].category = t;
    }
    struct dict d = {0};
    uint32_t code = 0;
    for (uint32_t i = 0; i < r.n && code < DICT_MAX; i++) {
        struct text_value v = {r.ev[i].category.p, r.ev[i].category.len, i};
        uint64_t hash;
        uint16_t guess;
        dict_guess(&d, &v, 1, &hash, &guess);
        code = dict_code(&d, &v, hash);
    }
    assert_int_equal(code, DICT_MAX);
    assert_int_equal(d.n, DICT_PROBES);
    dict_release(&d);
    assert_int_equal(encoding_of(&r, COL_CATEGORY), ENCODING_DELTA_LENGTH);
    rows_release(&r);
}

static void numbers_choose_their_encoding(void **state) {
    (void)state;
    struct rows r = rows_new(10000);
    for (uint32_t i = 0; i < r.n; i++) {
        r.ev[i].has_product_id = r.ev[i].has_price = r.ev[i].has_quantity = true;
        r.ev[i].product_id = i % 2 ? INT32_MIN + (int32_t)i : INT32_MAX - (int32_t)i;
        r.ev[i].quantity = (int32_t)i;
        r.ev[i].price = i % 20;
        r.src[i].partition = 7;
    }
    assert_int_equal(encoding_of(&r, COL_PRODUCT_ID), ENCODING_PLAIN);
    assert_int_equal(encoding_of(&r, COL_QUANTITY), ENCODING_DELTA);
    assert_int_equal(encoding_of(&r, COL_PRICE), ENCODING_DICTIONARY);
    assert_int_equal(encoding_of(&r, COL_SOURCE_PARTITION), ENCODING_DICTIONARY);
    assert_int_equal(encoding_of(&r, COL_SOURCE_OFFSET), ENCODING_DELTA);
    for (uint32_t i = 0; i < r.n; i++) {
        r.ev[i].price = i * 1.1;
        r.ev[i].event_ts = i % 2 ? INT64_MIN : INT64_MAX;
    }
    assert_int_equal(encoding_of(&r, COL_PRICE), ENCODING_PLAIN);
    assert_int_equal(encoding_of(&r, COL_EVENT_TS), ENCODING_PLAIN);
    r.n = 1000; /* few enough for a dictionary, but it would only cost */
    assert_int_equal(encoding_of(&r, COL_PRICE), ENCODING_PLAIN);
    rows_release(&r);
}

static void what_repeats_in_every_row_takes_no_room(void **state) {
    (void)state;
    struct rows r = rows_new(BRONZE_GROUP_ROWS_MAX);
    struct bronze_group *g = group_new();
    struct encoded *en = encode_checked(g, &r);
    for (int c = 0; c < BRONZE_COLUMNS; c++)
        if (c != COL_EVENT_TS && c != COL_SOURCE_OFFSET && c != COL_RECEIVED_AT)
            assert_in_range(en->chunks[c].size, 1, 100);
    encoded_free(en);
    bronze_group_free(g);
    rows_release(&r);
}

/* event_id is the key in every row, in all but row `odd`. */
static void check_twins(uint32_t odd, bool id_absent) {
    struct rows r = rows_new(3000);
    for (uint32_t i = 0; i < r.n; i++) {
        r.ev[i].event_key = text(&r, "event-%u", i % 700);
        if (i != odd)
            r.ev[i].event_id = i % 2 ? r.ev[i].event_key : text(&r, "event-%u", i % 700);
        else if (!id_absent)
            r.ev[i].event_id = text(&r, "other");
        if (i % 100 == 99)
            r.ev[i].reject = REJECT_WRONG_TYPE;
    }
    struct bronze_group *g = group_new();
    struct encoded *en = encode_checked(g, &r);
    if (odd >= r.n)
        assert_int_equal(en->chunks[COL_EVENT_ID].size, en->chunks[COL_EVENT_KEY].size);
    encoded_free(en);
    for (uint32_t i = 0; i < r.n; i++) /* all keys different: no dictionary */
        if (r.ev[i].event_id.p && i != odd)
            r.ev[i].event_id = r.ev[i].event_key = text(&r, "event-%u", i);
    encoded_free(encode_checked(g, &r));
    encoded_free(encode_checked(g, &r));
    bronze_group_free(g);
    rows_release(&r);
}

static void event_id_is_there_where_it_is_the_key(void **state) {
    (void)state;
    static const uint32_t odd[] = {0, 1, 63, 64, 65, 1000, 2998, 3000};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        check_twins(odd[i], true);
        check_twins(odd[i], false);
    }
}

/* The first row whose event_id is not its key comes when the keys fill more than a page already. */
static void event_id_leaves_its_key_behind_a_full_page(void **state) {
    (void)state;
    static const uint32_t odd[] = {1047, 1048, 2500};
    for (size_t k = 0; k < ARRAY_LEN(odd); k++) {
        struct rows r = rows_new(3000);
        for (uint32_t i = 0; i < r.n; i++) /* in row 1047 a page is full, but none may begin */
            r.ev[i].event_id = r.ev[i].event_key = text_of_length(&r, 1001, (char)('a' + i % 26));
        r.ev[odd[k]].event_id = text_of_length(&r, 1001, 'X');
        struct bronze_group *g = group_new();
        encoded_free(encode_checked(g, &r));
        for (uint32_t i = 0; i < r.n; i++) /* all different: direct */
            memcpy((char *)r.ev[i].event_key.p, &i, sizeof i);
        encoded_free(encode_checked(g, &r));
        bronze_group_add_many(g, r.ev, r.src, odd[k]);
        bronze_group_add_many(g, r.ev + odd[k], r.src + odd[k], r.n - odd[k]);
        struct encoded *en = bronze_encode(g);
        check_all(&r, en);
        assert_in_range(en->chunks[COL_EVENT_ID].data_pages, 3, 4);
        encoded_free(en);
        bronze_group_free(g);
        rows_release(&r);
    }
}

static void rejected_rows_have_only_their_reason(void **state) {
    (void)state;
    struct rows r = rows_new(500);
    for (uint32_t i = 0; i < r.n; i++) {
        r.ev[i].category = text(&r, "must not be stored");
        r.ev[i].has_product_id = true;
        r.src[i].raw = "{]";
        r.src[i].raw_len = i % 3;
        if (i % 4 == 0)
            continue;
        memset(&r.ev[i], 0xa5, sizeof r.ev[i]); /* what is not set must not be looked at */
        r.ev[i].reject = (enum reject)(i % REJECT_UNKNOWN_PROTOCOL + 1);
        r.ev[i].detail = i % 5 ? text(&r, "price: %u", i) : (struct text){0};
    }
    check_rows(&r);
    for (uint32_t i = 0; i < r.n; i++) /* not a single event */
        r.ev[i].reject = REJECT_INVALID_JSON;
    for (uint32_t i = 0; i < r.n; i += 4)
        r.ev[i].detail = (struct text){0};
    check_rows(&r);
    rows_release(&r);
}

static void rows_one_by_one_are_the_same_file(void **state) {
    (void)state;
    struct rows r = rows_new(1000);
    for (uint32_t i = 0; i < r.n; i++) {
        r.ev[i].category = text(&r, "category %u", i % 30);
        r.ev[i].event_id = i > 500 ? r.ev[i].event_key : (struct text){0};
        r.src[i].topic = i / 100 % 2 ? "clicks" : "other";
        r.src[i].protocol = i / 70 % 2 ? "native" : "other";
    }
    struct bronze_group *g = group_new();
    struct encoded *many = encode_checked(g, &r);
    for (uint32_t i = 0; i < r.n; i++)
        bronze_group_add(g, &r.ev[i], &r.src[i]);
    struct encoded *one = bronze_encode(g);
    assert_int_equal(encoded_bytes(one), encoded_bytes(many));
    assert_memory_equal(one->bytes.data, many->bytes.data, many->bytes.len);
    encoded_free(one);
    encoded_free(many);
    bronze_group_free(g);
    rows_release(&r);
}

static void a_reset_group_is_empty(void **state) {
    (void)state;
    struct rows r = rows_new(100);
    struct bronze_group *g = group_new();
    bronze_group_add_many(g, r.ev, r.src, r.n);
    assert_in_range(bronze_group_bytes(g), 100, 100000);
    bronze_group_reset(g);
    assert_int_equal(bronze_group_rows(g), 0);
    encoded_free(encode_checked(g, &r));
    bronze_group_free(g);
    rows_release(&r);
}

/* Rows drawn at random, in calls of random size. */
static void random_rows(void **state) {
    (void)state;
    struct bronze_group *g = group_new();
    struct bronze_group *packed = bronze_group_new(&(struct bronze_options){.zstd_level = 1});
    for (int round = 0; round < 150; round++) {
        struct rows r = rows_new(1 + draw(round % 10 ? 300 : 9000));
        uint32_t distinct = 1 + draw(5000), nulls = draw(5), rejects = draw(3);
        for (uint32_t i = 0; i < r.n; i++) {
            struct event *ev = &r.ev[i];
            if (draw(4) >= nulls)
                ev->category = text_of_length(&r, draw(50), (char)('a' + draw(3)));
            if (draw(4) >= nulls)
                ev->user_id = text(&r, "%u", draw(distinct));
            if (draw(9))
                ev->event_id = ev->event_key = text(&r, "%u", i);
            ev->has_quantity = draw(4) >= nulls;
            ev->quantity = (int32_t)draw(distinct);
            ev->event_ts = (int64_t)draw(1u << 31) << draw(33);
            ev->reject = draw(10) < rejects ? REJECT_TOO_LARGE : REJECT_NONE;
        }
        for (uint32_t i = 0, n; i < r.n; i += n) {
            n = 1 + draw(200);
            n = MIN(n, r.n - i);
            bronze_group_add_many(g, r.ev + i, r.src + i, n);
            bronze_group_add_many(packed, r.ev + i, r.src + i, n);
        }
        struct encoded *en = bronze_encode(g);
        check_all(&r, en);
        encoded_free(en);
        encoded_free(bronze_encode(packed));
        rows_release(&r);
    }
    bronze_group_free(g);
    bronze_group_free(packed);
    bronze_group_free(NULL);
    encoded_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_those_of_the_table),
        cmocka_unit_test(nulls_anywhere_at_every_size),
        cmocka_unit_test(texts_of_any_length),
        cmocka_unit_test(raw_records_of_a_mebibyte),
        cmocka_unit_test(pages_of_a_mebibyte),
        cmocka_unit_test(texts_that_repeat_make_a_dictionary),
        cmocka_unit_test(a_dictionary_is_given_up_in_mid_group),
        cmocka_unit_test(few_rows_all_different_need_no_dictionary),
        cmocka_unit_test(a_column_tries_a_dictionary_again),
        cmocka_unit_test(texts_made_to_collide_only_cost_bytes),
        cmocka_unit_test(numbers_choose_their_encoding),
        cmocka_unit_test(what_repeats_in_every_row_takes_no_room),
        cmocka_unit_test(event_id_is_there_where_it_is_the_key),
        cmocka_unit_test(event_id_leaves_its_key_behind_a_full_page),
        cmocka_unit_test(rejected_rows_have_only_their_reason),
        cmocka_unit_test(rows_one_by_one_are_the_same_file),
        cmocka_unit_test(a_reset_group_is_empty),
        cmocka_unit_test(random_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
