/* SPDX-License-Identifier: Apache-2.0 */
/* The gold models as files: which there are, what their headers say, what of the user's is refused. */
#include <sys/stat.h>
#include <unistd.h>

#include "flow/gold_columns.h"
#include "flow/lake.h"
#include "flow/models.h"
#include "flow/world.h"
#include "storage/helper.h"

#define HEADER                                                                                     \
    "-- Name: mine\n-- Description: Mine.\n-- Inputs: silver_events\n-- Partition: event_date\n"   \
    "-- Grain: category, event_date\n"
#define SELECT "SELECT category, event_date FROM silver_events GROUP BY ALL\n"

static void put_file_n(const char *dir, const char *name, const char *text, size_t n) {
    _cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
}

static void put_file(const char *dir, const char *name, const char *text) {
    put_file_n(dir, name, text, strlen(text));
}

static struct models load(const char *dir) {
    struct models ms;
    struct err e;
    assert_ok(models_load(dir, &ms, &e), &e);
    return ms;
}

/* ---- those built in -------------------------------------------------------------------------- */

static void five_are_built_in(void **state ATTR_UNUSED) {
    static const char *const names[] = {"clickstream_metrics", "funnel_daily", "late_daily",
                                        "products_daily", "traffic_daily"};
    struct models ms = load(NULL);
    assert_int_equal(ms.n, ARRAY_LEN(names));
    assert_int_equal(ms.n_refused, 0);
    for (size_t i = 0; i < ms.n; i++) {
        const struct model *m = &ms.v[i];
        assert_string_equal(m->name, names[i]);
        if (m->wrong.code)
            fail_msg("%s", m->wrong.msg);
        assert_true(m->built_in && m->hash >= 0 && m->n_grain > 0);
        assert_true(strlen(m->description) > 10 && m->columns);
        assert_true(model_has_key(m, "event_date"));
    }
    /* The contract's table is known before any engine is asked. */
    assert_ptr_equal(ms.v[0].def.columns, gold_clickstream_metrics.columns);
    assert_int_equal(ms.v[1].def.n_columns, 0);
    models_release(&ms);
}

/* ---- headers --------------------------------------------------------------------------------- */

static void a_header_is_read_however_it_is_laid_out(void **state ATTR_UNUSED) {
    char *dir = temp_folder();
    put_file(dir, "mine.sql",
             "\n-- SPDX-License-Identifier: Apache-2.0\r\n--\n--  name :  no\n"
             "--Name:mine\n--\tDESCRIPTION:   One line\r\n--      and another.   \n-- A note.\n"
             "--   not of the description\n\n"
             "-- Inputs: people, silver_events bots\n-- Partition: event_date\n"
             "-- Grain: category,event_date\n-- Columns:\n--   category  what it is\n"
             "--             in words\n--   n  how many\n-- Money is a note, too.\n"
             "SELECT 1; -- Grain: this is no header\n");
    struct models ms = load(dir);
    const struct model *m = models_named(&ms, "mine");
    assert_non_null(m);
    assert_string_equal(m->wrong.msg, "");
    assert_string_equal(m->description, "One line and another.");
    assert_string_equal(m->columns, "category  what it is in words\nn  how many");
    assert_true(m->reads_people && m->reads_bots && !m->built_in);
    assert_int_equal(m->n_grain, 2);
    assert_true(model_has_key(m, "category") && !model_has_key(m, "n"));
    assert_string_equal(m->def.name, "gold/mine");
    assert_string_equal(m->def.view, "gold.mine");
    struct engine_stage stages[MODEL_STAGES];
    assert_int_equal(model_inputs(m, stages), 2);
    models_release(&ms);
    remove_folder(dir);
}

static void a_wrong_header_says_where(void **state ATTR_UNUSED) {
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {SELECT, "mine.sql:1: the header does not say its Name"},
        {"", "mine.sql:1: the header does not say its Name"},
        {"-- Name: mine\n" SELECT, "mine.sql:1: the header does not say its Description"},
        {"-- Name: mine\n-- Description:\n" SELECT, "mine.sql:2: the header does not say its Desc"},
        {"-- Name: mine\n-- Name: mine\n" SELECT, "mine.sql:2: Name stands in line 1 already"},
        {"-- Name: other\n-- Description: x\n-- Inputs: people\n-- Partition: event_date\n"
         "-- Grain: event_date\n" SELECT,
         "mine.sql:1: the Name is 'other', but the file is called mine.sql"},
        {"-- Name: mine\n-- Description: x\n-- Inputs: gold.funnel_daily\n-- Partition: "
         "event_date\n"
         "-- Grain: event_date\n" SELECT,
         "mine.sql:3: there is no input 'gold.funnel_daily'"},
        {"-- Name: mine\n-- Description: x\n-- Inputs: people\n-- Partition: category\n"
         "-- Grain: event_date\n" SELECT,
         "mine.sql:4: the Partition must be event_date, not 'category'"},
        {"-- Name: mine\n-- Description: x\n-- Inputs: people\n-- Partition: event_date\n"
         "-- Grain: category\n" SELECT,
         "mine.sql:5: the grain must hold event_date"},
        {"-- Name: mine\n-- Description: x\n-- Inputs: people\n-- Partition: event_date\n"
         "-- Grain: event_date, order\n" SELECT,
         "mine.sql:5: no column of the grain can be 'order': it is a word of SQL itself"},
        {"-- Name: mine\n-- Description: x\n-- Inputs: people\n-- Partition: event_date\n"
         "-- Grain: event_date event_date\n" SELECT,
         "mine.sql:5: no column of the grain can be 'event_date': it stands there twice"},
        {HEADER, "mine.sql: there is no SELECT behind the header"},
        {HEADER "\n-- only a note\n", "mine.sql: there is no SELECT behind the header"},
        {HEADER "SELECT '\x1b[2J'\n", "mine.sql:6: there is a control character"},
        {HEADER "\nSELECT '\xff'\n", "mine.sql:7: this is no UTF-8"},
    };
    char *dir = temp_folder();
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        put_file(dir, "mine.sql", wrong[i].text);
        struct models ms = load(dir);
        const struct model *m = models_named(&ms, "mine");
        assert_non_null(m);
        assert_int_equal(m->wrong.code, ERR_ENGINE);
        if (!strstr(m->wrong.msg, wrong[i].says))
            fail_msg("%zu: %s", i, m->wrong.msg);
        assert_int_equal(strncmp(m->wrong.msg, dir, strlen(dir)), 0); /* the file first of all */
        models_release(&ms);
    }
    put_file_n(dir, "mine.sql", HEADER "SELECT\0 1", sizeof HEADER + 9);
    struct models ms = load(dir);
    assert_non_null(
        strstr(models_named(&ms, "mine")->wrong.msg, "mine.sql:6: there is a control character"));
    models_release(&ms);
    remove_folder(dir);
}

/* ---- what decides on the rows ---------------------------------------------------------------- */

static int64_t hash_of(const char *dir, const char *text) {
    put_file(dir, "mine.sql", text);
    struct models ms = load(dir);
    const struct model *m = models_named(&ms, "mine");
    assert_string_equal(m->wrong.msg, "");
    int64_t hash = m->hash;
    models_release(&ms);
    return hash;
}

static void the_hash_changes_with_what_decides_on_the_rows(void **state ATTR_UNUSED) {
    char *dir = temp_folder();
    int64_t hash = hash_of(dir, HEADER SELECT);
    assert_true(hash >= 0);
    assert_int_equal(hash, hash_of(dir, HEADER SELECT));
    assert_int_equal(hash, hash_of(dir, "-- A note.\n" HEADER "--\n" SELECT));
    assert_int_not_equal(hash, hash_of(dir, HEADER SELECT "LIMIT 1"));
    assert_int_not_equal(
        hash, hash_of(dir, "-- Name: mine\n-- Description: Mine.\n-- Inputs: silver_events\n"
                           "-- Partition: event_date\n-- Grain: event_date\n" SELECT));
    assert_int_not_equal(
        hash, hash_of(dir, "-- Name: mine\n-- Description: Mine.\n-- Inputs: people\n"
                           "-- Partition: event_date\n-- Grain: category, event_date\n" SELECT));
    remove_folder(dir);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void odd_names_are_refused_and_printable(void **state ATTR_UNUSED) {
    static const struct {
        const char *name, *says;
    } odd[] = {
        {"Mine.sql", "no model can be called 'Mine': it must be a word of a-z, 0-9 and _"},
        {"my model.sql", "no model can be called 'my model': it must be a word"},
        {"2026.sql", "it must be a word of a-z, 0-9 and _ that begins with a letter"},
        {"select.sql", "it is a word of SQL itself"},
        {"funnel_daily.sql", "no model can be called 'funnel_daily': it is built in"},
        {"pg_class.sql", "it begins like the databases' and clickmill's own names"},
        {"clickmill_loads.sql", "it begins like the databases' and clickmill's own names"},
        {"a'; DROP TABLE x; --.sql", "'a'; DROP TABLE x; --': it must be a word"},
        {"a\nb\x1b[31m.sql", "'a?b?[31m': it must be a word"},
        {"a\xff.sql", "'a?': it must be a word"},
        {"a23456789012345678901234567890123456789012345678x.sql",
         "it must have 1 to 48 characters"},
    };
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        char *dir = temp_folder();
        put_file(dir, odd[i].name, HEADER SELECT);
        struct models ms = load(dir);
        assert_int_equal(ms.n, 5);
        assert_int_equal(ms.n_refused, 1);
        if (!strstr(ms.refused[0].msg, odd[i].says))
            fail_msg("%s", ms.refused[0].msg);
        for (const char *s = ms.refused[0].msg; *s; s++)
            assert_true((unsigned char)*s >= ' ');
        models_release(&ms);
        remove_folder(dir);
    }
}

static void what_is_no_model_is_left_alone(void **state ATTR_UNUSED) {
    char *dir = temp_folder();
    static const char *const names[] = {"README.md",    ".mine.sql", ".#mine.sql", "mine.sql~",
                                        "mine.sql.bak", ".sql",      "mine.txt"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        put_file(dir, names[i], "nonsense");
    struct models ms = load(dir);
    assert_int_equal(ms.n, 5);
    assert_int_equal(ms.n_refused, 0);
    models_release(&ms);
    remove_folder(dir);
}

static void what_cannot_be_read_is_told(void **state ATTR_UNUSED) {
    char *dir = temp_folder();
    _cleanup_(freep) char *pipe = xasprintf("%s/a_pipe.sql", dir),
                          *folder = xasprintf("%s/b_folder.sql", dir),
                          *link = xasprintf("%s/c_link.sql", dir), *big = xmalloc(2 * MIB);
    assert_int_equal(mkfifo(pipe, 0666), 0);
    assert_int_equal(mkdir(folder, 0777), 0);
    assert_int_equal(symlink("nowhere", link), 0);
    memset(big, ' ', 2 * MIB);
    put_file_n(dir, "d_big.sql", big, 2 * MIB);
    put_file(dir, "mine.sql", HEADER SELECT);
    struct models ms = load(dir);
    assert_int_equal(ms.n, 10);
    static const char *const says[] = {"a_pipe.sql is not a file", "b_folder.sql is not a file",
                                       "c_link.sql: No such file", "d_big.sql is larger than", ""};
    for (size_t i = 0; i < ARRAY_LEN(says); i++)
        if (!strstr(ms.v[5 + i].wrong.msg, says[i]))
            fail_msg("%s", ms.v[5 + i].wrong.msg);
    assert_int_equal(ms.v[9].wrong.code, 0); /* the good one among them */
    models_release(&ms);
    remove_folder(dir);
}

static void only_the_default_folder_may_be_missing(void **state ATTR_UNUSED) {
    struct models ms;
    struct err e;
    char *dir = temp_folder(), *before = getcwd(NULL, 0);
    assert_int_equal(chdir(dir), 0);
    ms = load(MODELS_DIR);
    assert_int_equal(ms.n, 5);
    models_release(&ms);
    ms = load("");
    assert_int_equal(ms.n, 5);
    models_release(&ms);
    assert_int_equal(models_load("moddels", &ms, &e), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "models.dir: cannot read the folder 'moddels': No such file"));
    put_file(dir, "plain", "");
    assert_int_equal(models_load("plain", &ms, &e), ERR_CONFIG);
    assert_int_equal(chdir(before), 0);
    free(before);
    remove_folder(dir);
}

/* ---- the columns of a table ------------------------------------------------------------------ */

static void a_table_with_too_many_columns_is_not_copied_in_part(void **state ATTR_UNUSED) {
    struct column v[SINK_MAX_COLUMNS + 1];
    struct table_def def = {.view = "gold.wide", .columns = v, .n_columns = SINK_MAX_COLUMNS};
    struct gold_columns *c = NULL;
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        v[i] = (struct column){"x", TYPE_LONG};
    assert_ok(gold_columns_copy(&def, &c, &e), &e);
    assert_true(gold_columns_same(&def, &c->def));
    gold_columns_free(TAKE_PTR(c));
    def.n_columns++;
    assert_int_equal(gold_columns_copy(&def, &c, &e), ERR_ENGINE);
    assert_non_null(strstr(e.msg, "gold.wide: the table has more than 32 columns"));
    assert_null(c);
}

static void rows_come_in_the_order_that_they_are_compared_in(void **state ATTR_UNUSED) {
    struct models ms = load(NULL);
    struct gold_sink to;
    struct err e;
    assert_ok(gold_sink_make(&ms.v[0], &ms.v[0].def, &to, &e), &e);
    _cleanup_(freep) char *sql = gold_select(&to.table, "g");
    assert_non_null(strstr(sql, " FROM g ORDER BY category NULLS FIRST, event_date NULLS FIRST"));
    models_release(&ms);
}

/* ---- names ----------------------------------------------------------------------------------- */

static int check_word(void *arg ATTR_UNUSED, const char *const *values, size_t n ATTR_UNUSED,
                      struct err *e ATTR_UNUSED) {
    if (!model_name_problem(values[0]))
        fail_msg("%s is reserved", values[0]);
    return 0;
}

/* A later DuckDB may reserve more. */
static void no_word_of_the_engine_is_a_name(void **state ATTR_UNUSED) {
    struct world w = world_new(0);
    struct err e;
    const struct engine_rows rows = {.row = check_word};
    assert_ok(engine_query(w.en, NULL, NULL, 0,
                           "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category IN "
                           "('reserved', 'type_function') AND keyword_name <> 'generated'",
                           false, &rows, &e),
              &e);
    assert_null(model_name_problem("events"));
    assert_null(model_name_problem("date"));
    assert_null(model_name_problem("a1_"));
    world_free(&w);
}

static void tables_are_found_by_any_of_their_names(void **state ATTR_UNUSED) {
    char *dir = temp_folder();
    struct storage *st = storage_mem_new();
    struct lake_defs d;
    struct err e;
    put_file(dir, "mine.sql", HEADER SELECT);
    put_file(dir, "orders.sql", "wrong");
    put_text(st, "gold/gone/_delta_log/x", "");
    put_text(st, "gold/Odd/x", "");
    assert_ok(lake_defs_find(st, dir, &d, &e), &e);
    assert_int_equal(d.n, 2 + 5 + 2 + 1);
    assert_ptr_equal(lake_defs_named(&d, "bronze/events"), &bronze_events);
    assert_ptr_equal(lake_defs_named(&d, "silver.events"), &silver_events);
    assert_string_equal(lake_defs_named(&d, "clickstream_metrics")->view,
                        "gold.clickstream_metrics");
    assert_string_equal(lake_defs_named(&d, "gold.mine")->name, "gold/mine");
    assert_string_equal(lake_defs_named(&d, "orders")->name,
                        "gold/orders"); /* what it made is there */
    assert_string_equal(lake_defs_named(&d, "gone")->name, "gold/gone");
    assert_null(lake_defs_named(&d, "events")); /* two of that name */
    assert_null(lake_defs_named(&d, "gold"));
    assert_null(lake_defs_named(&d, ""));
    lake_defs_release(&d);
    storage_free(st);
    remove_folder(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_are_built_in),
        cmocka_unit_test(a_header_is_read_however_it_is_laid_out),
        cmocka_unit_test(a_wrong_header_says_where),
        cmocka_unit_test(the_hash_changes_with_what_decides_on_the_rows),
        cmocka_unit_test(odd_names_are_refused_and_printable),
        cmocka_unit_test(what_is_no_model_is_left_alone),
        cmocka_unit_test(what_cannot_be_read_is_told),
        cmocka_unit_test(only_the_default_folder_may_be_missing),
        cmocka_unit_test(a_table_with_too_many_columns_is_not_copied_in_part),
        cmocka_unit_test(rows_come_in_the_order_that_they_are_compared_in),
        cmocka_unit_test(no_word_of_the_engine_is_a_name),
        cmocka_unit_test(tables_are_found_by_any_of_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
