/* SPDX-License-Identifier: Apache-2.0 */
/* Logs we cannot read or must not write to: each a text, and the words it is refused with. */
#include "fake/storage_mem.h"
#include "table/helper.h"

#define VERSION_0 PROTOCOL META
#define PROTOCOL_OF(members) "{\"protocol\":{" members "}}\n"
#define WITH_SCHEMA(fields) PROTOCOL META_OF(SCHEMA(fields), "[\"event_date\"]", "")
#define COLUMNS_BUT_ONE CATEGORY "," REVENUE "," DATE

/* Refused on opening. entry 1 may be NULL. The words are looked for in message and hint. */
static const struct {
    const char *entries[2];
    const char *words[4];
} unreadable[] = {
    /* what asks for more */
    {{PROTOCOL_OF(
         "\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"deletionVectors\","
         "\"timestampNtz\"],\"writerFeatures\":[\"deletionVectors\"]") META},
     {"reader version 3", "deletionVectors, timestampNtz", "00000000000000000000.json"}},
    {{PROTOCOL_OF("\"minReaderVersion\":2,\"minWriterVersion\":5") META}, {"reader version 2"}},
    {{PROTOCOL_OF("\"minWriterVersion\":2") META}, {"no Delta reader version"}},
    {{VERSION_0,
      PROTOCOL_OF(
          "\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"v2Checkpoint\"]")},
     {"v2Checkpoint", "00000000000000000001.json"}},
    {{PROTOCOL_OF("\"minReaderVersion\":2,\"minWriterVersion\":5")
          META_WITH("\"delta.columnMapping.mode\":\"name\"")},
     {"column mapping", "name"}},
    {{VERSION_0 "{\"add\":{\"path\":\"a\",\"partitionValues\":{},\"size\":1,\"dataChange\":true,"
                "\"deletionVector\":{\"storageType\":\"u\"}}}\n"},
     {"deletion vector", "line 3"}},
    /* what is not the table we know */
    {{WITH_SCHEMA(COLUMNS_BUT_ONE)}, {"no column total_events", "integer"}},
    {{WITH_SCHEMA(COLUMNS_BUT_ONE "," FIELD("total_events", "long"))},
     {"column total_events", "\"long\"", "\"integer\""}},
    {{WITH_SCHEMA(COLUMNS_BUT_ONE "," FIELD("Total_Events", "integer"))},
     {"no column total_events (integer), but one named Total_Events"}},
    {{VERSION_0, META_OF(SCHEMA(COLUMNS_BUT_ONE), "[\"event_date\"]", "")},
     {"total_events", "00000000000000000001.json"}},
    {{PROTOCOL META_OF(SCHEMA(TEST_FIELDS), "[]", "")}, {"partitioned by [], not by event_date"}},
    {{PROTOCOL META_OF(SCHEMA(TEST_FIELDS), "[\"category\"]", "")},
     {"[\"category\"]", "event_date"}},
    {{PROTOCOL META_OF(SCHEMA(TEST_FIELDS), "[\"event_date\",\"category\"]", "")},
     {"partitioned by"}},
    {{PROTOCOL META_OF(SCHEMA(TEST_FIELDS), "\"event_date\"", "")}, {"partitioned by"}},
    {{PROTOCOL META_OF("{not json", "[\"event_date\"]", "")}, {"schemaString", "byte 1"}},
    {{PROTOCOL "{\"metaData\":{\"id\":\"x\",\"format\":{\"provider\":\"parquet\"}}}\n"},
     {"no schemaString"}},
    {{PROTOCOL
      "{\"metaData\":{\"id\":\"x\",\"format\":{\"provider\":\"orc\"},\"schemaString\":\"{}\"}}\n"},
     {"orc"}},
    /* what is no log */
    {{META}, {"first version has no protocol"}},
    {{PROTOCOL}, {"first version has no metaData"}},
    {{""}, {"without any action", "cut short"}},
    {{"\n\n"}, {"without any action"}},
    {{VERSION_0, "{\"commitInfo\":{}}\n{\"add\":{\"path\":\"a"},
     {"00000000000000000001.json", "line 2", "from byte 18", "byte"}},
    {{VERSION_0, "{\"add\":1}\n"}, {"add is no JSON object", "line 1"}},
    {{VERSION_0, "[]\n"}, {"no JSON object"}},
    {{VERSION_0, "{} {}\n"}, {"malformed JSON at byte 3"}},
    {{VERSION_0, "\x80\n"}, {"malformed JSON"}},
    {{VERSION_0, "{\"add\":{\"partitionValues\":{}}}\n"}, {"add without a path"}},
    {{VERSION_0, "{\"remove\":{\"path\":5}}\n"}, {"remove without a path"}},
    {{VERSION_0, "{\"txn\":{\"appId\":\"x\"}}\n"}, {"txn without"}},
    {{VERSION_0, "{\"txn\":{\"appId\":\"x\",\"version\":\"5\"}}\n"}, {"txn without"}},
    {{VERSION_0, "{\"txn\":{\"version\":5}}\n"}, {"txn without"}},
    {{VERSION_0, META META}, {"second metaData"}},
    {{VERSION_0, PROTOCOL PROTOCOL}, {"second protocol"}},
    /* paths that lead elsewhere */
    {{VERSION_0, "{\"add\":{\"path\":\"../../etc/passwd\"}}\n"},
     {"../../etc/passwd", "not a path inside the table"}},
    {{VERSION_0, "{\"add\":{\"path\":\"s3://other/part\"}}\n"}, {"s3://other/part"}},
    {{VERSION_0, "{\"add\":{\"path\":\"/abs/part\"}}\n"}, {"/abs/part"}},
    {{VERSION_0, "{\"add\":{\"path\":\"%2E%2E/x\"}}\n"}, {"%2E%2E/x"}},
};

static void assert_words(const struct err *e, const char *const *words, const char *what) {
    for (int i = 0; i < 4 && words[i]; i++)
        if (!strstr(e->msg, words[i]) && !strstr(e->hint, words[i]))
            fail_msg("\"%s\" is not in: %s\nHINT: %s\nof %s", words[i], e->msg, e->hint, what);
}

static void logs_that_cannot_be_read_are_refused(void **state ATTR_UNUSED) {
    for (size_t i = 0; i < ARRAY_LEN(unreadable); i++) {
        struct storage *st = storage_mem_new();
        struct table *tb;
        struct err e;
        put_entry(st, 0, unreadable[i].entries[0]);
        if (unreadable[i].entries[1])
            put_entry(st, 1, unreadable[i].entries[1]);
        int r = table_open(st, TEST_DEF, &tb, &e);
        if (r != ERR_STORAGE)
            fail_msg("was opened: %s%s", unreadable[i].entries[0], unreadable[i].entries[1]);
        assert_false(e.retry);
        assert_words(&e, unreadable[i].words, unreadable[i].entries[0]);
        storage_free(st);
    }
}

/* The same comes while the table is open: it stays readable where it was. */
static void an_open_table_stays_at_what_it_can_read(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    struct err e;
    append_file(tb, "a", NULL);
    put_entry(st, 1, "{\"add\":{\"path\":\"b\",\"partitionValues\":{}}}\n");
    put_entry(st, 2,
              "{\"remove\":{\"path\":\"a\"}}\n" PROTOCOL_OF(
                  "\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"x\"]"));
    assert_int_equal(table_refresh(tb, &e), ERR_STORAGE);
    assert_state(tb, "v1 a@NULL b@NULL");
    struct change *ch = change_new();
    change_add(ch, "c", NULL);
    assert_int_equal(change_commit(ch, tb, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "reader version 3"));
    assert_state(tb, "v1 a@NULL b@NULL");
    assert_null(get_entry(st, 3));
    change_free(ch);
    table_close(tb);
    storage_free(st);
}

/* Read, never written to. */
static const struct {
    const char *entry;
    const char *words[4];
} unwritable[] = {
    {PROTOCOL_OF(
         "\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"rowTracking\"]") META,
     {"writer version 7", "rowTracking", "cannot be written to"}},
    {PROTOCOL_OF("\"minReaderVersion\":1,\"minWriterVersion\":3") META, {"writer version 3"}},
    {PROTOCOL_OF("\"minReaderVersion\":1") META, {"no Delta writer version"}},
    {PROTOCOL META_WITH("\"delta.setTransactionRetentionDuration\":\"interval 7 days\""),
     {"setTransactionRetentionDuration", "interval 7 days", "UNSET"}},
    {WITH_SCHEMA(
         COLUMNS_BUT_ONE
         ",{\\\"name\\\":\\\"total_events\\\",\\\"type\\\":\\\"integer\\\",\\\"nullable\\\":true,"
         "\\\"metadata\\\":{\\\"delta.invariants\\\":\\\"{}\\\"}}"),
     {"column total_events", "invariant"}},
    {WITH_SCHEMA(TEST_FIELDS ",{\\\"name\\\":\\\"more\\\",\\\"type\\\":\\\"string\\\","
                             "\\\"nullable\\\":false,\\\"metadata\\\":{}}"),
     {"column more", "NOT NULL"}},
    /* The rule is named rather than the version that brought it. */
    {PROTOCOL_OF("\"minReaderVersion\":1,\"minWriterVersion\":4")
         META_OF(SCHEMA(TEST_FIELDS ",{\\\"name\\\":\\\"more\\\",\\\"type\\\":\\\"string\\\","
                                    "\\\"nullable\\\":true,\\\"metadata\\\":{"
                                    "\\\"delta.generationExpression\\\":\\\"1\\\"}}"),
                 "[\"event_date\"]", ""),
     {"column more", "generated", "delta.generationExpression"}},
    {PROTOCOL_OF("\"minReaderVersion\":1,\"minWriterVersion\":3")
         META_WITH("\"delta.constraints.sane\":\"total_events > 0\""),
     {"constraint", "delta.constraints.sane", "total_events > 0"}},
    {PROTOCOL_OF("\"minReaderVersion\":1,\"minWriterVersion\":4")
         META_WITH("\"delta.enableChangeDataFeed\":\"true\""),
     {"change data feed", "delta.enableChangeDataFeed"}},
    {WITH_SCHEMA(TEST_FIELDS ",{\\\"name\\\":\\\"s\\\",\\\"type\\\":{\\\"type\\\":\\\"struct\\\","
                             "\\\"fields\\\":[{\\\"name\\\":\\\"x\\\","
                             "\\\"type\\\":\\\"string\\\",\\\"nullable\\\":true,\\\"metadata\\\":{"
                             "\\\"delta.invariants\\\":\\\"{}\\\"}}]},"
                             "\\\"nullable\\\":true,\\\"metadata\\\":{}}"),
     {"nested", "invariant"}},
};

static void tables_with_rules_we_do_not_keep_are_not_written_to(void **state ATTR_UNUSED) {
    for (size_t i = 0; i < ARRAY_LEN(unwritable); i++) {
        struct storage *st = storage_mem_new();
        struct err e;
        put_entry(st, 0, unwritable[i].entry);
        struct table *tb = open_table(st);
        assert_int_equal(table_version(tb), 0);
        struct change *ch = change_new();
        change_add(ch, "a", NULL);
        if (change_commit(ch, tb, &e) != ERR_STORAGE)
            fail_msg("was written to: %s", unwritable[i].entry);
        assert_words(&e, unwritable[i].words, unwritable[i].entry);
        assert_null(get_entry(st, 1));
        change_free(ch);
        table_close(tb);
        storage_free(st);
    }
}

static void a_rule_that_is_lifted_binds_no_more(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct err e;
    put_entry(st, 0,
              PROTOCOL META_WITH("\"delta.setTransactionRetentionDuration\":\"interval 7 days\""));
    struct table *tb = open_table(st);
    put_entry(st, 1, META);
    assert_ok(table_refresh(tb, &e), &e);
    append_file(tb, "a", NULL);
    assert_state(tb, "v2 a@NULL");
    table_close(tb);
    storage_free(st);
}

/* A new column that may be NULL is nobody's harm. */
static void tables_with_more_columns_are_written_to(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    put_entry(st, 0, WITH_SCHEMA(FIELD("more", "string") "," TEST_FIELDS));
    struct table *tb = open_table(st);
    append_file(tb, "a", NULL);
    assert_state(tb, "v1 a@NULL");
    table_close(tb);
    storage_free(st);
}

static void append_only_tables_lose_no_rows(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct err e;
    put_entry(st, 0, PROTOCOL META_WITH("\"delta.appendOnly\":\"true\""));
    struct table *tb = open_table(st);
    append_file(tb, "a", NULL);
    struct change *ch = change_new();
    change_remove(ch, "a", NULL);
    change_add(ch, "b", NULL);
    assert_int_equal(change_commit(ch, tb, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "append-only"));
    ch->c.data_change = false; /* to rearrange them is allowed */
    assert_ok(change_commit(ch, tb, &e), &e);
    assert_state(tb, "v2 b@NULL");
    change_free(ch);
    table_close(tb);
    storage_free(st);
}

static void holes_in_the_log_are_refused(void **state ATTR_UNUSED) {
    static const struct {
        const char *missing, *words[4];
    } cases[] = {{"00000000000000000002.json", {"version 2 is missing", "goes on to 4"}},
                 {"00000000000000000000.json",
                  {"before version 1 are gone", "move the table's folder away"}}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct storage *st = storage_mem_new();
        struct table *tb = open_table(st);
        struct err e;
        for (int k = 0; k < 5; k++)
            append_file(tb, (char[]){(char)('a' + k), '\0'}, NULL);
        table_close(tb);
        _cleanup_(freep) char *path = xasprintf(TEST_LOG "/%s", cases[i].missing);
        assert_ok(storage_remove(st, path, &e), &e);
        assert_int_equal(table_open(st, TEST_DEF, &tb, &e), ERR_STORAGE);
        assert_words(&e, cases[i].words, cases[i].missing);
        storage_free(st);
    }
}

static void a_log_folded_into_a_checkpoint_is_refused(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb;
    struct err e;
    put_text(st, TEST_LOG "/00000000000000000010.checkpoint.parquet", "PAR1");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(table_open(st, TEST_DEF, &tb, &e), ERR_STORAGE);
        assert_words(&e, (const char *const[4]){"checkpoint", "move the table's folder away"},
                     "checkpoint");
        if (i == 0)
            put_entry(st, 10, "{\"commitInfo\":{}}\n");
    }
    storage_free(st);
}

static void an_open_table_whose_log_vanished_forks_nothing(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    struct err e;
    append_file(tb, "a", NULL);
    assert_ok(storage_remove(st, TEST_LOG "/00000000000000000000.json", &e), &e);
    assert_int_equal(table_refresh(tb, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "is gone"));
    struct change *ch = change_new();
    change_add(ch, "b", NULL);
    assert_int_equal(change_commit(ch, tb, &e), ERR_STORAGE);
    assert_null(get_entry(st, 1));
    change_free(ch);
    table_close(tb);
    storage_free(st);
}

static void entries_have_a_greatest_size(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    struct err e;
    struct change *ch = change_new();
    char *stats = xmalloc(64 * MIB);
    memset(stats, '9', 64 * MIB - 1);
    stats[64 * MIB - 1] = '\0';
    for (int i = 0; i < 5; i++) {
        change_add(ch, (char[]){(char)('a' + i), '\0'}, NULL);
        ch->add.v[i].stats = i ? xstrdup(stats) : NULL;
    }
    free(stats);
    assert_int_equal(change_commit(ch, tb, &e), ERR_STORAGE);
    assert_non_null(strstr(e.msg, "256 MiB"));
    assert_null(get_entry(st, 0));
    change_free(ch);
    table_close(tb);
    storage_free(st);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logs_that_cannot_be_read_are_refused),
        cmocka_unit_test(an_open_table_stays_at_what_it_can_read),
        cmocka_unit_test(tables_with_rules_we_do_not_keep_are_not_written_to),
        cmocka_unit_test(a_rule_that_is_lifted_binds_no_more),
        cmocka_unit_test(tables_with_more_columns_are_written_to),
        cmocka_unit_test(append_only_tables_lose_no_rows),
        cmocka_unit_test(holes_in_the_log_are_refused),
        cmocka_unit_test(a_log_folded_into_a_checkpoint_is_refused),
        cmocka_unit_test(an_open_table_whose_log_vanished_forks_nothing),
        cmocka_unit_test(entries_have_a_greatest_size),
    };
    return cmocka_run_group_tests_name("table/refuse", tests, NULL, NULL);
}
