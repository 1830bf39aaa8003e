/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers stop at their maximum, arenas hand out what nobody else has and reuse it after a reset. */
#include "base/helper.h"
#include "base/limits.h"

static void a_buffer_stops_at_its_maximum(void **state ATTR_UNUSED) {
    char text[101];
    memset(text, 'x', sizeof text);
    struct buf b = BUF_INIT(100);
    buf_add(&b, text, 60);
    assert_false(b.overflow);
    buf_add(&b, text, 41);
    assert_true(b.overflow);
    assert_int_equal(b.len, 60);
    buf_add(&b, text, 40);
    assert_int_equal(b.len, 100);
    assert_true(b.overflow); /* until a reset */
    buf_add_char(&b, 'y');
    buf_addf(&b, "%d", 1);
    assert_int_equal(b.len, 100);
    assert_int_equal(strlen(b.data), 100);
    buf_reset(&b);
    assert_false(b.overflow);
    assert_string_equal(buf_str(&b), "");
    buf_addf(&b, "%.*s", 100, text);
    assert_int_equal(b.len, 100);
    assert_false(b.overflow);
    buf_release(&b);
}

static void a_size_beyond_everything_is_an_overflow(void **state ATTR_UNUSED) {
    static const size_t sizes[] = {101, SIZE_MAX / 2, SIZE_MAX - 1, SIZE_MAX};
    struct buf b = BUF_INIT(100);
    buf_add_str(&b, "some");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        b.overflow = false;
        assert_false(buf_reserve(&b, sizes[i]));
        assert_true(b.overflow);
        assert_string_equal(b.data, "some");
    }
    buf_release(&b);
}

static void a_buffer_always_ends_in_nul(void **state ATTR_UNUSED) {
    struct buf b = BUF_INIT(MIB);
    assert_string_equal(buf_str(&b), "");
    buf_add(&b, NULL, 0);
    assert_string_equal(b.data, "");
    buf_release(&b);
    assert_true(buf_reserve(&b, 500)); /* nothing written yet */
    assert_string_equal(b.data, "");
    for (size_t i = 1; i <= 3000; i++) {
        if (i % 2)
            buf_add_char(&b, 'a');
        else
            buf_addf(&b, "%c", 'b');
        assert_int_equal(strlen(b.data), i);
    }
    buf_release(&b);
    buf_release(&b);
    assert_int_equal(b.max, MIB);
}

static void a_detached_text_is_the_callers(void **state ATTR_UNUSED) {
    struct buf b = BUF_INIT(100);
    char *empty = buf_detach(&b);
    assert_string_equal(empty, "");
    buf_add_str(&b, "one");
    char *one = buf_detach(&b);
    buf_add_str(&b, "two");
    assert_string_equal(one, "one");
    assert_string_equal(b.data, "two");
    assert_int_equal(b.max, 100);
    free(empty);
    free(one);
    buf_release(&b);
}

static void texts_are_encoded_for_urls(void **state ATTR_UNUSED) {
    static const char *const cases[][3] = {{"/aZ9-._~/d=1/ %+&?#;'\"\303\251\377", "/",
                                            "/aZ9-._~/d%3D1/%20%25%2B%26%3F%23%3B%27%22%C3%A9%FF"},
                                           {"a/b=c%20 d", "", "a%2Fb%3Dc%2520%20d"},
                                           {"a/b=c", "=/", "a/b=c"},
                                           {"\001\177", "/", "%01%7F"},
                                           {"", "/", ""}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = BUF_INIT(100);
        buf_add_encoded(&b, cases[i][0], cases[i][1]);
        assert_string_equal(buf_str(&b), cases[i][2]);
        buf_release(&b);
    }
}

static void texts_are_quoted(void **state ATTR_UNUSED) {
    static const char *const cases[][2] = {
        {"men's", "'men''s'"}, {"", "''"}, {"''", "''''''"}, {"a\"b", "'a\"b'"}};
    struct buf b = BUF_INIT(64);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_reset(&b);
        buf_add_quoted(&b, cases[i][0], strlen(cases[i][0]), '\'');
        assert_string_equal(buf_str(&b), cases[i][1]);
    }
    buf_reset(&b);
    buf_add_quoted(&b, "a\"b'c", 4, '"'); /* four bytes of it */
    assert_string_equal(buf_str(&b), "\"a\"\"b'\"");
    buf_release(&b);
}

static void arena_pieces_are_aligned_and_apart(void **state ATTR_UNUSED) {
    struct arena a = {0};
    unsigned char *p[4000];
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        p[i] = arena_alloc(&a, i % 200);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)(i & 0xFF), i % 200);
    }
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        for (size_t k = 0; k < i % 200; k++)
            assert_int_equal(p[i][k], i & 0xFF);
    arena_release(&a);
    arena_release(&a);
}

/* The same sequence of sizes, some larger than a block, gets the same memory after a reset. */
static void a_reset_arena_reuses_its_blocks(void **state ATTR_UNUSED) {
    static const size_t sizes[] = {10, 60000, 60000, 1000000, 10, 300000, 0, 64 * 1024, 5};
    struct arena a = {0};
    void *before[ARRAY_LEN(sizes)];
    size_t used = 0;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            void *p = arena_alloc(&a, sizes[i]);
            memset(p, 0xAA, sizes[i]);
            if (round)
                assert_ptr_equal(p, before[i]);
            before[i] = p;
        }
        assert_true(a.used >= 1484561 && (round == 0 || a.used == used));
        used = a.used;
        arena_reset(&a);
        assert_int_equal(a.used, 0);
    }
    arena_release(&a);
    arena_reset(&a); /* of an empty one */
}

static void arena_texts_are_copies(void **state ATTR_UNUSED) {
    struct arena a = {0};
    char text[] = "a\0b";
    char *copy = arena_strndup(&a, text, 3);
    text[0] = 'x';
    assert_memory_equal(copy, "a\0b", 4);
    assert_string_equal(arena_strndup(&a, "", 0), "");
    assert_string_equal(arena_printf(&a, "%s-%d", "t", 42), "t-42");
    char *wide = arena_printf(&a, "%70000d", 1);
    assert_int_equal(strlen(wide), 70000);
    arena_release(&a);
}

static void nothing_is_still_something(void **state ATTR_UNUSED) {
    void *p = xmalloc(0);
    assert_non_null(p);
    p = xrealloc(p, 0);
    assert_non_null(p);
    free(p);
    p = xcalloc(0, 0);
    assert_non_null(p);
    free(p);
    char *s = xstrndup("abc", 2);
    assert_string_equal(s, "ab");
    free(s);
}

static void bytes_move_from_one_buffer_to_another(void **state ATTR_UNUSED) {
    struct buf a = BUF_INIT(5), b = BUF_INIT(100);
    buf_add_str(&a, "old");
    buf_add_str(&b, "12345");
    buf_take(&a, &b);
    assert_string_equal(buf_str(&a), "12345");
    assert_int_equal(b.len, 0);
    buf_add_char(&a, '6'); /* its maximum is still its own */
    assert_true(a.overflow);
    buf_add_str(&b, "again");
    assert_string_equal(buf_str(&b), "again");
    struct buf empty = BUF_INIT(1);
    buf_take(&b, &empty);
    assert_string_equal(buf_str(&b), "");
    buf_release(&a);
    buf_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_stops_at_its_maximum),
        cmocka_unit_test(a_size_beyond_everything_is_an_overflow),
        cmocka_unit_test(a_buffer_always_ends_in_nul),
        cmocka_unit_test(bytes_move_from_one_buffer_to_another),
        cmocka_unit_test(a_detached_text_is_the_callers),
        cmocka_unit_test(texts_are_encoded_for_urls),
        cmocka_unit_test(arena_pieces_are_aligned_and_apart),
        cmocka_unit_test(a_reset_arena_reuses_its_blocks),
        cmocka_unit_test(texts_are_quoted),
        cmocka_unit_test(arena_texts_are_copies),
        cmocka_unit_test(nothing_is_still_something),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
