/* SPDX-License-Identifier: Apache-2.0 */
/* Tables whose columns the program learns as it runs: taken from the log, and changed by a commit. */
#include "fake/storage_mem.h"
#include "table/helper.h"

static const struct table_def any = {
    .name = "gold/mine", .view = "gold.mine", .partition_by = "event_date"};

static const struct column few[] = {{"n", TYPE_LONG}, {"event_date", TYPE_DATE}};
static const struct column more[] = {
    {"who", TYPE_STRING}, {"amount", TYPE_MONEY}, {"event_date", TYPE_DATE}};
static const struct table_def with_few = {"gold/mine", "gold.mine", few, 2, "event_date"};
static const struct table_def with_more = {"gold/mine", "gold.mine", more, 3, "event_date"};

static struct table *open_any(struct storage *st) {
    struct table *tb;
    struct err e;
    assert_ok(table_open(st, &any, &tb, &e), &e);
    return tb;
}

/* "n long, event_date date" */
static char *columns_of(const struct table *tb) {
    const struct table_def *def = table_definition(tb);
    struct buf b = BUF_INIT(KIB);
    assert_string_equal(def->name, "gold/mine");
    assert_string_equal(def->partition_by, "event_date");
    for (size_t i = 0; i < def->n_columns; i++)
        buf_addf(&b, "%s%s %s", i ? ", " : "", def->columns[i].name,
                 column_type_delta(def->columns[i].type));
    return buf_detach(&b);
}

static void assert_columns(const struct table *tb, const char *want) {
    _cleanup_(freep) char *columns = columns_of(tb);
    assert_string_equal(columns, want);
}

#define FEW "n long, event_date date"
#define MORE "who string, amount decimal(18,4), event_date date"

/* One file out (may be NULL), one in. */
static int replace(struct table *tb, const char *out, const char *in,
                   const struct table_def *define, struct err *e) {
    _cleanup_(change_freep) struct change *ch = change_new();
    if (out)
        change_remove(ch, out, "2026-11-22");
    change_add(ch, in, "2026-11-22");
    ch->c.define = define;
    return change_commit(ch, tb, e);
}

static void columns_come_from_the_log(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_any(st);
    struct err e;
    assert_columns(tb, "");
    assert_ok(replace(tb, NULL, "f1", &with_few, &e), &e);
    assert_columns(tb, FEW);
    struct table *other = open_any(st);
    assert_columns(other, FEW);
    assert_ok(replace(other, NULL, "f2", NULL, &e), &e); /* they stay as they are */
    assert_columns(other, FEW);
    table_close(other);
    table_close(tb);
    storage_free(st);
}

static void columns_are_changed_with_all_rows(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_any(st), *reader;
    struct err e;
    assert_ok(replace(tb, NULL, "f1", &with_few, &e), &e);
    reader = open_any(st);
    _cleanup_(freep) char *id = xstrdup(table_id(tb));
    assert_ok(replace(tb, "f1", "f2", &with_more, &e), &e);
    assert_columns(tb, MORE);
    assert_string_equal(table_id(tb), id); /* the same table: nobody who follows it begins anew */
    assert_columns(reader, FEW);           /* where it stands */
    assert_ok(table_refresh(reader, &e), &e);
    assert_columns(reader, MORE);
    assert_int_equal(table_live(reader)->n, 1);
    table_close(reader);
    reader = open_any(st);
    assert_columns(reader, MORE);
    table_close(reader);
    table_close(tb);
    storage_free(st);
}

/* A checkpoint holds the columns of its version; the log is cleaned behind one with others. */
static void columns_outlive_the_log(void **state ATTR_UNUSED) {
    char *folder = lake_folder_new();
    struct storage *st = lake_open(folder);
    struct table *tb = open_any(st);
    struct err e;
    assert_ok(replace(tb, NULL, "f1", &with_few, &e), &e);
    assert_ok(table_checkpoint(tb, &e), &e);
    assert_ok(replace(tb, "f1", "f2", &with_more, &e), &e);
    int64_t removed;
    const struct table_clean_options all = {.needed_after = INT64_MAX};
    assert_ok(table_clean_log(tb, &all, &removed, &e), &e); /* reads the checkpoint at 0 */
    assert_ok(table_checkpoint(tb, &e), &e);
    assert_ok(replace(tb, "f2", "f3", NULL, &e), &e);
    assert_ok(table_clean_log(tb, &all, &removed, &e), &e);
    assert_true(removed > 0);
    struct table *late = open_any(st);
    assert_columns(late, MORE);
    assert_int_equal(table_version(late), 2);
    table_close(late);
    table_close(tb);
    storage_free(st);
    lake_folder_free(folder);
}

/* What others wrote into the metaData stays: their properties, their description. */
static void the_rest_of_the_metadata_stays(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    put_text(st, "gold/mine/_delta_log/00000000000000000000.json",
             PROTOCOL
             "{\"metaData\":{\"id\":\"11111111-2222-4333-8444-555555555555\",\"description\":"
             "\"of \\\"ours\\\"\",\"format\":{\"provider\":\"parquet\",\"options\":{}},"
             "\"schemaString\":\"" SCHEMA(
                 DATE) "\",\"partitionColumns\":[\"event_date\"],"
                       "\"configuration\":{\"delta.logRetentionDuration\":\"interval 7 days\"},"
                       "\"createdTime\":1700000000000}}\n");
    struct table *tb = open_any(st);
    struct err e;
    assert_columns(tb, "event_date date");
    assert_ok(replace(tb, NULL, "f1", &with_more, &e), &e);
    _cleanup_(freep) char *entry = get_text(st, "gold/mine/_delta_log/00000000000000000001.json");
    assert_non_null(strstr(entry, "\"id\":\"11111111-2222-4333-8444-555555555555\""));
    assert_non_null(strstr(entry, "\"description\":\"of \\\"ours\\\"\""));
    assert_non_null(strstr(entry, "\"delta.logRetentionDuration\":\"interval 7 days\""));
    assert_non_null(strstr(entry, "\"createdTime\":1700000000000"));
    assert_non_null(strstr(entry, "decimal(18,4)"));
    assert_null(strstr(entry, "\"protocol\""));
    table_close(tb);
    storage_free(st);
}

/* Whatever the other did meanwhile: rows of other columns must not stay beside ours. */
static void a_change_of_columns_meets_no_other_commit(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_any(st);
    struct err e;
    assert_ok(replace(tb, NULL, "f1", &with_few, &e), &e);
    struct table *slow = open_any(st);
    _cleanup_(change_freep) struct change *ch = change_new();
    change_add(ch, "g1", "2026-11-23");
    assert_ok(change_commit(ch, tb, &e), &e);
    assert_int_equal(replace(slow, "f1", "f2", &with_more, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.msg, "added rows with the columns from before"));
    table_close(slow);
    table_close(tb);
    storage_free(st);
}

static void two_who_make_the_table_do_not_mix(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *one = open_any(st), *two = open_any(st);
    struct err e;
    assert_ok(replace(one, NULL, "f1", &with_few, &e), &e);
    assert_int_equal(replace(two, NULL, "f2", &with_more, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.msg, "changed the table's definition"));
    table_close(one);
    table_close(two);
    storage_free(st);
}

static void columns_we_do_not_use_are_refused(void **state ATTR_UNUSED) {
    static const struct {
        const char *fields, *says;
    } wrong[] = {
        {FIELD("a", "short") "," DATE, "column a has the type \"short\", which clickmill"},
        {FIELD("a", "decimal(10,2)") "," DATE, "column a has the type \"decimal(10,2)\""},
        {"{\\\"name\\\":\\\"a\\\",\\\"type\\\":{\\\"type\\\":\\\"array\\\"}}," DATE,
         "column a has the type {"},
        {FIELD("a", "long"), "the table has no column event_date"},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct storage *st = storage_mem_new();
        struct table *tb;
        struct err e;
        _cleanup_(freep) char *entry =
            xasprintf(PROTOCOL META_OF(SCHEMA("%s"), "[\"event_date\"]", ""), wrong[i].fields);
        put_text(st, "gold/mine/_delta_log/00000000000000000000.json", entry);
        assert_int_equal(table_open(st, &any, &tb, &e), ERR_STORAGE);
        if (!strstr(e.msg, wrong[i].says))
            fail_msg("%s", e.msg);
        storage_free(st);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_come_from_the_log),
        cmocka_unit_test(columns_are_changed_with_all_rows),
        cmocka_unit_test(columns_outlive_the_log),
        cmocka_unit_test(the_rest_of_the_metadata_stays),
        cmocka_unit_test(a_change_of_columns_meets_no_other_commit),
        cmocka_unit_test(two_who_make_the_table_do_not_mix),
        cmocka_unit_test(columns_we_do_not_use_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
