/* SPDX-License-Identifier: Apache-2.0 */
/* Data quality rules as files: headers, severities, parameters; the days they read; what is kept of them. */
#include "flow/checks.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "flow/check_days.h"
#include "flow/check_history.h"
#include "flow/world.h"
#include "storage/helper.h"

#define HEADER "-- Name: mine\n-- Description: Mine.\n-- Severity: warn\n"
#define SELECT "SELECT 1\n"

static void put_file(const char *dir, const char *name, const char *text) {
    _cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static struct checks load(const struct check_settings *s) {
    struct checks cs;
    struct err e;
    assert_ok(checks_load(s, &cs, &e), &e);
    return cs;
}

/* ---- those built in -------------------------------------------------------------------------- */

static void six_are_built_in(void **state ATTR_UNUSED) {
    static const char *const names[] = {"currencies",   "freshness",      "null_share",
                                        "reject_share", "revenue_change", "unknown_categories"};
    struct checks cs = load(&(struct check_settings){0});
    assert_int_equal(cs.n, ARRAY_LEN(names));
    for (size_t i = 0; i < cs.n; i++) {
        assert_string_equal(cs.v[i].name, names[i]);
        assert_string_equal(cs.v[i].wrong.msg, "");
        assert_true(cs.v[i].built_in && cs.v[i].severity == CHECK_WARN && cs.v[i].days >= 1);
        assert_true(strlen(cs.v[i].description) > 10);
        assert_null(strstr(cs.v[i].sql, "${"));
    }
    checks_release(&cs);
}

static void limits_stand_in_the_sql(void **state ATTR_UNUSED) {
    struct checks cs = load(&(struct check_settings){.null_share = "0.25",
                                                     .reject_share = "1e-3",
                                                     .revenue_change = "0.75",
                                                     .freshness_ms = 90000,
                                                     .categories = "men's, 'b"});
    assert_non_null(strstr(checks_named(&cs, "null_share")->sql, "> 0.25 * count(*)"));
    assert_non_null(strstr(checks_named(&cs, "reject_share")->sql, "> 1e-3 * count(*)"));
    assert_non_null(strstr(checks_named(&cs, "revenue_change")->sql, "> 0.75 * abs("));
    assert_non_null(strstr(checks_named(&cs, "freshness")->sql, "> 90000\n"));
    assert_non_null(strstr(checks_named(&cs, "unknown_categories")->sql, "trim('men''s, ''b')"));
    checks_release(&cs);
}

/* ---- headers --------------------------------------------------------------------------------- */

static void a_header_says_severity_and_days(void **state ATTR_UNUSED) {
    char *dir = temp_folder();
    put_file(dir, "mine.sql",
             "-- A note\n-- name: mine\n-- DESCRIPTION: One line\n--    and another.\n"
             "-- Severity: block\n--Days: 30\n\n" SELECT);
    put_file(dir, "plain.sql", "-- Name: plain\n-- Description: x\n-- Severity: warn\n" SELECT);
    put_file(dir, ".hidden.sql", "");
    struct checks cs = load(&(struct check_settings){.dir = dir});
    assert_int_equal(cs.n, 8);
    const struct check_rule *mine = checks_named(&cs, "mine"), *plain = checks_named(&cs, "plain");
    assert_string_equal(mine->wrong.msg, "");
    assert_string_equal(mine->description, "One line and another.");
    assert_true(mine->severity == CHECK_BLOCK && mine->days == 30 && !mine->built_in);
    assert_true(plain->severity == CHECK_WARN && plain->days == 1);
    checks_release(&cs);
    remove_folder(dir);
}

static void a_wrong_header_says_where_and_blocks_unless_it_warns(void **state ATTR_UNUSED) {
    static const struct {
        const char *text, *says;
        enum check_severity severity;
    } wrong[] = {
        {SELECT, "mine.sql:1: the header does not say its Name", CHECK_BLOCK},
        {"-- Name: mine\n-- Description: x\n" SELECT, "the header does not say its Severity",
         CHECK_BLOCK},
        {"-- Name: mine\n-- Severity: warn\n" SELECT, "does not say its Description", CHECK_WARN},
        {"-- Name: mine\n-- Severity: block\n" SELECT, "does not say its Description", CHECK_BLOCK},
        {"-- Name: mine\n-- Description: x\n-- Severity: Warn\n" SELECT,
         "mine.sql:3: the Severity must be warn or block, not 'Warn'", CHECK_BLOCK},
        {"-- Name: yours\n-- Description: x\n-- Severity: warn\n" SELECT,
         "mine.sql:1: the Name is 'yours', but the file is called mine.sql", CHECK_BLOCK},
        {HEADER "-- Days: 0\n" SELECT, "mine.sql:4: the Days must be a number from 1 to 3650",
         CHECK_WARN},
        {HEADER "-- Days: -1\n" SELECT, "not '-1'", CHECK_WARN},
        {HEADER "-- Days: 3651\n" SELECT, "not '3651'", CHECK_WARN},
        {HEADER "-- Days: two\n" SELECT, "not 'two'", CHECK_WARN},
        {HEADER "-- Days:\n" SELECT, "not ''", CHECK_WARN},
        {HEADER, "mine.sql: there is no SELECT behind the header", CHECK_WARN},
        {HEADER "SELECT '\x1b'\n", "mine.sql:4: there is a control character", CHECK_BLOCK},
    };
    char *dir = temp_folder();
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        put_file(dir, "mine.sql", wrong[i].text);
        struct checks cs = load(&(struct check_settings){.dir = dir});
        const struct check_rule *c = checks_named(&cs, "mine");
        assert_int_equal(c->wrong.code, ERR_ENGINE);
        if (!strstr(c->wrong.msg, wrong[i].says) || c->severity != wrong[i].severity)
            fail_msg("%zu: %s (%s)", i, c->wrong.msg, check_severity_names[c->severity]);
        checks_release(&cs);
    }
    remove_folder(dir);
}

static void severities_can_be_set(void **state ATTR_UNUSED) {
    char *dir = temp_folder();
    put_file(dir, "mine.sql", HEADER SELECT);
    put_file(dir, "select.sql", "");
    struct check_settings s = {
        .dir = dir, .block = " mine,\tfreshness ", .warn = "select", .off = "currencies"};
    struct checks cs = load(&s);
    assert_int_equal(checks_named(&cs, "mine")->severity, CHECK_BLOCK);
    assert_int_equal(checks_named(&cs, "freshness")->severity, CHECK_BLOCK);
    assert_int_equal(checks_named(&cs, "select")->severity, CHECK_WARN);
    assert_int_equal(checks_named(&cs, "currencies")->severity, CHECK_OFF);
    assert_int_equal(checks_named(&cs, "null_share")->severity, CHECK_WARN);
    assert_non_null(strstr(checks_named(&cs, "select")->wrong.msg, "it is a word of SQL itself"));
    checks_release(&cs);
    struct err e;
    s.off = "mine";
    assert_int_equal(checks_load(&s, &cs, &e), ERR_CONFIG);
    assert_string_equal(e.msg, "check.off: 'mine' stands in check.block already");
    s.off = "fresh";
    assert_int_equal(checks_load(&s, &cs, &e), ERR_CONFIG);
    assert_string_equal(e.msg, "check.off: there is no rule 'fresh'; the nearest is 'freshness'");
    assert_int_equal(checks_load(&(struct check_settings){.dir = "/dev/null/x"}, &cs, &e),
                     ERR_CONFIG);
    remove_folder(dir);
}

/* ---- days ------------------------------------------------------------------------------------ */

static void days_that_are_none_do_not_reach_the_sql(void **state ATTR_UNUSED) {
    struct dates d = {0};
    dates_add(&d, "2026-02-17");
    dates_add(&d, "x'); DROP TABLE y; --");
    _cleanup_(freep) char *sql = check_days_select(&d);
    assert_non_null(strstr(sql, "('2026-02-17')"));
    assert_null(strstr(sql, "DROP"));
    dates_release(&d);
}

/* ---- what is kept ---------------------------------------------------------------------------- */

static struct check_result found(enum check_state state) {
    struct check_result r = {.v = xcalloc(1, sizeof *r.v), .n = 1};
    r.v[0] = (struct check_outcome){.name = xstrdup("mine"),
                                    .severity = CHECK_BLOCK,
                                    .state = state,
                                    .rows = state == CHECK_FAILED,
                                    .first = BUF_INIT(100),
                                    .json = BUF_INIT(100)};
    buf_add_str(&r.v[0].json, "[{\"a\":\"1\"}]");
    return r;
}

/* Keeps one more check; what stands there then as "result since is_new". */
static char *keep(const char *path, int64_t now_us, enum check_state state) {
    struct check_kept k;
    struct err e;
    struct check_result r = found(state);
    assert_ok(check_history_read(path, &k, &e), &e);
    check_history_compare(&k, now_us, &r);
    check_kept_release(&k);
    assert_ok(check_history_append(path, now_us, &r, &e), &e);
    assert_ok(check_history_read(path, &k, &e), &e);
    assert_int_equal(k.n, 1);
    char *text =
        xasprintf("%s %s %s%s%s", k.v[0].result, k.v[0].since ? k.v[0].since : "-",
                  r.v[0].is_new ? "new " : "", k.v[0].first, k.v[0].error ? k.v[0].error : "");
    check_kept_release(&k);
    check_result_release(&r);
    return text;
}

#define assert_kept(path, at, state, says)                                                         \
    do {                                                                                           \
        _cleanup_(freep) char *text_ = keep(path, (at)*US_PER_SECOND, state);                      \
        assert_string_equal(text_, says);                                                          \
    } while (0)

static void since_lasts_as_long_as_the_failure(void **state ATTR_UNUSED) {
    char *dir = temp_folder();
    _cleanup_(freep) char *path = xasprintf("%s/data/checks", dir);
    assert_kept(path, 1, CHECK_PASSED, "passed - new ");
    assert_kept(path, 2, CHECK_PASSED, "passed - ");
    assert_kept(path, 3, CHECK_FAILED, "failed 1970-01-01T00:00:03.000Z new [{\"a\":\"1\"}]");
    assert_kept(path, 4, CHECK_FAILED, "failed 1970-01-01T00:00:03.000Z [{\"a\":\"1\"}]");
    assert_kept(path, 5, CHECK_ERROR, "error 1970-01-01T00:00:03.000Z new ");
    assert_kept(path, 6, CHECK_PASSED, "passed - new ");
    assert_kept(path, 7, CHECK_FAILED, "failed 1970-01-01T00:00:07.000Z new [{\"a\":\"1\"}]");
    remove_folder(dir);
}

static void lines_that_are_none_are_passed_over(void **state ATTR_UNUSED) {
    static const char *const texts[] = {
        "",
        "\n\n",
        "{",
        "[]\n",
        "{\"checked_at\":1,\"rules\":[]}\n",
        "{\"checked_at\":\"x\",\"rules\":[{}]}\n",
        "{\"checked_at\":\"x\",\"rules\":[]}", /* half a line */
    };
    char *dir = temp_folder();
    _cleanup_(freep) char *path = xasprintf("%s/checks", dir);
    struct check_kept k;
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        put_file(dir, "checks", texts[i]);
        assert_ok(check_history_read(path, &k, &e), &e);
        assert_null(k.checked_at);
        check_kept_release(&k);
    }
    put_file(dir, "checks", "{\"checked_at\":\"x\",\"blocked\":true,\"rules\":[]}\n{\"che");
    assert_ok(check_history_read(path, &k, &e), &e);
    assert_string_equal(k.checked_at, "x");
    assert_true(k.blocked);
    check_kept_release(&k);
    assert_ok(check_history_read("", &k, &e), &e);
    assert_int_equal(check_history_read(dir, &k, &e), ERR_STORAGE);
    remove_folder(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(six_are_built_in),
        cmocka_unit_test(limits_stand_in_the_sql),
        cmocka_unit_test(a_header_says_severity_and_days),
        cmocka_unit_test(a_wrong_header_says_where_and_blocks_unless_it_warns),
        cmocka_unit_test(severities_can_be_set),
        cmocka_unit_test(days_that_are_none_do_not_reach_the_sql),
        cmocka_unit_test(since_lasts_as_long_as_the_failure),
        cmocka_unit_test(lines_that_are_none_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
