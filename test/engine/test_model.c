/* SPDX-License-Identifier: Apache-2.0 */
/* The models that are built in, and the pattern made of the list of bots. */
#include "base/helper.h"
#include "engine/models.h"

static void the_models_are_built_in(void **state ATTR_UNUSED) {
    static const char *const names[] = {
        "sql/silver/repeated.sql",
        "sql/silver/met.sql",
        "sql/silver/committed.sql",
        "sql/silver/suspect_keys.sql",
        "sql/silver/arrived.sql",
        "sql/silver/bot_agents.sql",
        "sql/silver/typed.sql",
        "sql/silver/suspects.sql",
        "sql/silver/ranked.sql",
        "sql/silver/events.sql",
        "sql/silver/counters.sql",
        "sql/gold/clickstream_metrics.sql",
        "conf/bots.txt",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_non_null(strstr(model_text(names[i]), "SPDX"));
}

static void a_model_is_rendered_with_its_variables(void **state ATTR_UNUSED) {
    const struct model_var var = {"bots", "(?i)(bot)"};
    _cleanup_(freep) char *sql = model_render("sql/silver/bot_agents.sql", &var, 1);
    assert_non_null(strstr(sql, "THEN user_agent END, '(?i)(bot)')"));
    assert_non_null(strstr(sql, "-- Inputs: bronze_new; ${bots}"));
    assert_null(strstr(strstr(sql, "SELECT"), "${"));
    _cleanup_(freep) char *plain = model_render("sql/silver/counters.sql", NULL, 0);
    assert_string_equal(plain, model_text("sql/silver/counters.sql"));
}

static void bots_become_one_pattern(void **state ATTR_UNUSED) {
    struct err e;
    _cleanup_(freep) char *pattern = bots_pattern("# a comment\n\nbot\r\ncurl/\nlib.w+(x)", &e);
    assert_non_null(pattern);
    assert_string_equal(pattern, "(?i)(bot|curl/|lib[.]w[+][(]x[)])");
    _cleanup_(freep) char *own = bots_pattern(model_text("conf/bots.txt"), &e);
    assert_non_null(own);
}

static void a_list_that_cannot_be_a_pattern_is_refused(void **state ATTR_UNUSED) {
    static const struct {
        const char *list, *words;
    } cases[] = {
        {"", "the list of bots is empty"},
        {"# nothing\n\n", "the list of bots is empty"},
        {"bot\nit's", "'it's' holds the character '''"},
        {"a\\b", "holds the character '\\'"},
        {"a|b", "holds the character '|'"},
        {"$x", "holds the character '$'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e;
        assert_null(bots_pattern(cases[i].list, &e));
        assert_int_equal(e.code, ERR_CONFIG);
        assert_non_null(strstr(e.msg, cases[i].words));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_models_are_built_in),
        cmocka_unit_test(a_model_is_rendered_with_its_variables),
        cmocka_unit_test(bots_become_one_pattern),
        cmocka_unit_test(a_list_that_cannot_be_a_pattern_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
