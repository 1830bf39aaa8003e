/* SPDX-License-Identifier: Apache-2.0 */
/* What is written is what is read: entries, snapshots, histories; and what others write is read too. */
#include "base/clock.h"
#include "fake/storage_fault.h"
#include "fake/storage_mem.h"
#include "table/helper.h"
#include "table/log.h"
#include "table/strmap.h"

static void a_table_that_is_not_there_is_empty(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    struct err e;
    assert_int_equal(table_version(tb), -1);
    assert_null(table_id(tb));
    assert_int_equal(table_live(tb)->n, 0);
    assert_int_equal(table_txn(tb, "app"), -1);
    assert_ptr_equal(table_definition(tb), TEST_DEF);
    assert_ok(table_refresh(tb, &e), &e);
    assert_int_equal(table_version(tb), -1);
    char *names = names_in(st, "", NULL);
    assert_string_equal(names, ""); /* reading makes nothing */
    free(names);
    table_close(tb);
    storage_free(st);
}

static void a_commit_is_read_back_by_all(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *writer = open_table(st), *watcher = open_table(st);
    struct change *ch = change_new();
    struct err e;
    change_add(ch, "b", "2026-11-22");
    change_add(ch, "a", NULL);
    change_txn(ch, "app/x/0", -1, 100);
    change_txn(ch, "app/x/1", -1, 0);
    assert_ok(change_commit(ch, writer, &e), &e);
    const char *want = "v0 a@NULL b@2026-11-22 | app/x/0=100 app/x/1=0";
    assert_state(writer, want);
    assert_state(watcher, "v-1");
    assert_ok(table_refresh(watcher, &e), &e);
    assert_state(watcher, want);
    struct table *later = open_table(st);
    assert_state(later, want);
    assert_string_equal(table_id(later), table_id(writer));
    assert_string_equal(table_id(watcher), table_id(writer));
    change_free(ch);
    table_close(later);
    table_close(watcher);
    table_close(writer);
    storage_free(st);
}

static void a_file_keeps_all_that_is_known_of_it(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    struct change *ch = change_new();
    struct err e;
    const char *stats =
        "{\"numRecords\":7,\"minValues\":{\"category\":\"a \\\"q\\\" \\\\ \xC5\xBC\"},"
        "\"maxValues\":{\"total_revenue\":109.95},\"nullCount\":{}}";
    struct table_file f = {.path = xstrdup("event_date=2026-11-22/part-1.zstd.parquet"),
                           .partition = xstrdup("2026-11-22"),
                           .size = 841454,
                           .rows = 7,
                           .mtime_ms = 1700000000123,
                           .stats = xstrdup(stats)};
    *table_files_add(&ch->add) = f;
    assert_ok(change_commit(ch, tb, &e), &e);
    struct table *again = open_table(st);
    for (int i = 0; i < 2; i++) {
        const struct table_files *live = table_live(i ? again : tb);
        assert_int_equal(live->n, 1);
        assert_string_equal(live->v[0].path, f.path);
        assert_string_equal(live->v[0].partition, f.partition);
        assert_int_equal(live->v[0].size, f.size);
        assert_int_equal(live->v[0].rows, 7);
        assert_int_equal(live->v[0].mtime_ms, f.mtime_ms);
        assert_null(live->v[0].stats); /* only the log has them */
    }
    _cleanup_(freep) char *text = get_entry(st, 0);
    struct log_entry en;
    assert_ok(log_entry_parse(TEST_DEF, 0, text, strlen(text), &en, &e), &e);
    assert_string_equal(en.add.v[0].file.stats, stats);
    log_entry_release(&en);
    change_free(ch);
    table_close(again);
    table_close(tb);
    storage_free(st);
}

/* One line of an entry as JSON. The caller frees. */
static struct json_doc *line_of(const char *entry, int line) {
    while (line--)
        entry = strchr(entry, '\n') + 1;
    struct err e;
    struct json_doc *d = json_parse(entry, strcspn(entry, "\n"), ERR_STORAGE, &e);
    if (!d)
        fail_msg("%s", e.msg);
    return d;
}

static void assert_all_texts(const json *object, size_t n) {
    assert_true(json_is_object(object));
    size_t seen = 0;
    for (struct json_iter it = json_iter(object); json_next(&it); seen++)
        assert_non_null(json_str(it.value));
    assert_int_equal(seen, n);
}

static const struct table_text two_parameters[] = {
    {(char *)(uintptr_t) "positions", (char *)(uintptr_t) "[{\"a\":1}]"},
    {(char *)(uintptr_t) "topicId", (char *)(uintptr_t) "x \"y\""}};

static void check_info(const char *entry) {
    _cleanup_(json_freep) struct json_doc *d = line_of(entry, 0);
    const json *info = json_get(json_root(d), "commitInfo");
    assert_string_equal(json_str(json_get(info, "operation")), "STREAMING UPDATE");
    const json *parameters = json_get(info, "operationParameters");
    assert_all_texts(parameters, 4);
    assert_string_equal(json_str(json_get(parameters, "positions")), "[{\"a\":1}]");
    assert_string_equal(json_str(json_get(parameters, "topicId")), "x \"y\"");
    assert_all_texts(json_get(info, "operationMetrics"), 1);
    assert_string_equal(json_str(json_get(json_get(info, "operationMetrics"), "records")), "-12");
    assert_true(json_bool(json_get(info, "isBlindAppend"), false));
    assert_int_equal(strncmp(json_str(json_get(info, "engineInfo")), "clickmill/", 10), 0);
    assert_int_equal(strlen(json_str(json_get(info, "txnId"))), 36);
    int64_t age = clock_now_us() / 1000 - json_int(json_get(info, "timestamp"), 0);
    assert_true(age >= 0 && age < 60000);
}

static void check_create(const char *entry) {
    _cleanup_(json_freep) struct json_doc *d = line_of(entry, 1), *m = line_of(entry, 2);
    const json *protocol = json_get(json_root(d), "protocol"),
               *meta = json_get(json_root(m), "metaData");
    assert_int_equal(json_int(json_get(protocol, "minReaderVersion"), -1), 1);
    assert_int_equal(json_int(json_get(protocol, "minWriterVersion"), -1), 2);
    assert_int_equal(strlen(json_str(json_get(meta, "id"))), 36);
    assert_int_equal(json_len(json_get(meta, "partitionColumns")), 1);
    assert_true(json_is_object(json_get(meta, "configuration")));
    const char *schema = json_str(json_get(meta, "schemaString"));
    assert_string_equal(
        schema,
        "{\"type\":\"struct\",\"fields\":["
        "{\"name\":\"category\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}},"
        "{\"name\":\"total_events\",\"type\":\"integer\",\"nullable\":true,\"metadata\":{}},"
        "{\"name\":\"total_revenue\",\"type\":\"double\",\"nullable\":true,\"metadata\":{}},"
        "{\"name\":\"event_date\",\"type\":\"date\",\"nullable\":true,\"metadata\":{}}]}");
}

static int read_parameters(void *arg ATTR_UNUSED, const struct table_entry *en,
                           struct err *e ATTR_UNUSED) {
    assert_int_equal(en->n_parameters, 4);
    for (size_t i = 0; i < ARRAY_LEN(two_parameters); i++)
        assert_string_equal(table_entry_parameter(en, two_parameters[i].name),
                            two_parameters[i].value);
    assert_string_equal(table_entry_parameter(en, "mode"), "Append");
    assert_null(table_entry_parameter(en, "records"));
    return 0;
}

static void the_first_entry_makes_the_table(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    struct change *ch = change_new();
    struct err e;
    ch->c.operation = "STREAMING UPDATE";
    change_add(ch, "p=a%20b/part", NULL);
    change_txn(ch, "app", -1, 5);
    change_metric(ch, "records", -12);
    ch->c.parameters = two_parameters;
    ch->c.n_parameters = ARRAY_LEN(two_parameters);
    assert_ok(change_commit(ch, tb, &e), &e);
    char *entry = get_entry(st, 0);
    assert_int_equal(entry[strlen(entry) - 1], '\n');
    check_info(entry);
    check_create(entry);
    assert_ok(table_each_entry(tb, -1, 0, read_parameters, NULL, &e), &e);
    struct json_doc *txn = line_of(entry, 3), *add = line_of(entry, 4);
    const json *a = json_get(json_root(add), "add"), *t = json_get(json_root(txn), "txn");
    assert_string_equal(json_str(json_get(t, "appId")), "app");
    assert_int_equal(json_int(json_get(t, "version"), -1), 5);
    assert_string_equal(json_str(json_get(a, "path")), "p=a%2520b/part");
    assert_true(json_is_null(json_get(json_get(a, "partitionValues"), "event_date")));
    assert_string_equal(json_str(json_get(a, "stats")), "{\"numRecords\":12}");
    assert_true(json_bool(json_get(a, "dataChange"), false));
    json_free(txn);
    json_free(add);
    free(entry);
    append_file(tb, "second", NULL);
    entry = get_entry(st, 1);
    assert_null(strstr(entry, "metaData"));
    assert_null(strstr(entry, "protocol"));
    free(entry);
    change_free(ch);
    table_close(tb);
    storage_free(st);
}

static void removes_take_files_out(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    struct err e;
    append_file(tb, "a", "2026-11-22");
    append_file(tb, "b", "2026-11-23");
    append_file(tb, "c", NULL);
    struct change *ch = change_new();
    change_remove(ch, "a", "2026-11-22");
    change_remove(ch, "c", NULL);
    change_add(ch, "d", "2026-11-22");
    assert_ok(change_commit(ch, tb, &e), &e);
    assert_state(tb, "v3 b@2026-11-23 d@2026-11-22");
    struct table *again = open_table(st);
    assert_state(again, "v3 b@2026-11-23 d@2026-11-22");
    char *entry = get_entry(st, 3);
    struct json_doc *info = line_of(entry, 0), *line = line_of(entry, 1);
    assert_false(
        json_bool(json_get(json_get(json_root(info), "commitInfo"), "isBlindAppend"), true));
    const json *rm = json_get(json_root(line), "remove");
    assert_string_equal(json_str(json_get(rm, "path")), "a");
    assert_true(json_bool(json_get(rm, "extendedFileMetadata"), false));
    assert_string_equal(json_str(json_get(json_get(rm, "partitionValues"), "event_date")),
                        "2026-11-22");
    assert_int_equal(json_int(json_get(rm, "size"), -1), 100);
    assert_true(json_int(json_get(rm, "deletionTimestamp"), -1) > 1700000000000);
    json_free(info);
    json_free(line);
    free(entry);
    change_free(ch);
    table_close(again);
    table_close(tb);
    storage_free(st);
}

static void the_snapshots_own_files_can_be_removed(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st), *other = open_table(st);
    struct err e;
    append_file(tb, "b", NULL);
    append_file(tb, "a", "2026-11-22");
    assert_ok(table_refresh(other, &e), &e);
    append_file(other, "c", "2026-11-23"); /* so that the commit reads on while it looks at live */
    struct table_commit c = {.operation = "DELETE", .remove = table_live(tb), .data_change = true};
    assert_ok(table_commit(tb, &c, NULL, &e), &e);
    assert_state(tb, "v3 c@2026-11-23");
    table_close(other);
    table_close(tb);
    storage_free(st);
}

static void refresh_reads_new_entries_only(void **state ATTR_UNUSED) {
    struct storage *mem = storage_mem_new(), *st = storage_fault_new(mem, false);
    struct table *writer = open_table(mem), *reader = open_table(mem);
    struct err e;
    for (int i = 0; i < 50; i++) {
        _cleanup_(freep) char *path = xasprintf("part-%d", i);
        append_file(writer, path, NULL);
    }
    table_close(reader);
    reader = open_table(st);
    storage_fault_arm(st, NULL);
    assert_ok(table_refresh(reader, &e), &e);
    assert_int_equal(storage_fault_calls(st),
                     2); /* the next entry, and that the last is still there */
    append_file(writer, "one", NULL);
    append_file(writer, "two", NULL);
    storage_fault_arm(st, NULL);
    assert_ok(table_refresh(reader, &e), &e);
    assert_int_equal(storage_fault_calls(st), 3);
    assert_int_equal(table_version(reader), 51);
    table_close(reader);
    table_close(writer);
    storage_free(st);
    storage_free(mem);
}

/* Versions and what they hold, as a text. */
static int note_entry(void *arg, const struct table_entry *en, struct err *e) {
    struct buf *b = arg;
    buf_addf(b, "[%lld %s", (long long)en->version, en->operation);
    for (size_t i = 0; i < en->add.n; i++)
        buf_addf(b, " +%s", en->add.v[i].path);
    for (size_t i = 0; i < en->remove.n; i++)
        buf_addf(b, " -%s", en->remove.v[i].path);
    for (size_t i = 0; i < en->n_txn; i++)
        buf_addf(b, " %s=%lld", en->txn[i].app_id, (long long)en->txn[i].next);
    buf_addf(b, " other=%zu records=%lld]", en->n_other_adds + en->n_other_removes,
             (long long)table_entry_metric(en, "records"));
    return strstr(b->data, "stop here") ? err_set(e, ERR_CHECK, "stopped") : 0;
}

static struct table *table_with_history(struct storage *st) {
    struct table *tb = open_table(st);
    struct err e;
    struct change *ch = change_new();
    change_add(ch, "a", NULL);
    change_add(ch, "b", NULL);
    change_txn(ch, "app", -1, 10);
    change_metric(ch, "records", 10);
    assert_ok(change_commit(ch, tb, &e), &e);
    change_free(ch);
    ch = change_new();
    ch->c.operation = "OPTIMIZE";
    ch->c.data_change = false;
    change_remove(ch, "a", NULL);
    change_remove(ch, "b", NULL);
    change_add(ch, "ab", NULL);
    assert_ok(change_commit(ch, tb, &e), &e);
    change_free(ch);
    ch = change_new();
    change_txn(ch, "app", 10, 20);
    change_remove(ch, "ab", NULL);
    assert_ok(change_commit(ch, tb, &e), &e);
    change_free(ch);
    return tb;
}

static void the_history_is_told_entry_by_entry(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = table_with_history(st);
    struct buf b = BUF_INIT(MIB);
    struct err e;
    assert_ok(table_each_entry(tb, -1, 2, note_entry, &b, &e), &e);
    assert_string_equal(buf_str(&b), "[0 WRITE +a +b app=10 other=0 records=10]"
                                     "[1 OPTIMIZE other=3 records=0]"
                                     "[2 WRITE -ab app=20 other=0 records=0]");
    buf_reset(&b);
    assert_ok(table_each_entry(tb, 0, 1, note_entry, &b, &e), &e);
    assert_string_equal(buf_str(&b), "[1 OPTIMIZE other=3 records=0]");
    buf_reset(&b);
    assert_ok(table_each_entry(tb, 2, 2, note_entry, &b, &e), &e);
    assert_string_equal(buf_str(&b), "");
    buf_reset(&b);
    buf_add_str(&b, "stop here ");
    assert_int_equal(table_each_entry(tb, -1, 2, note_entry, &b, &e), ERR_CHECK);
    assert_string_equal(e.msg, "stopped");
    assert_string_equal(buf_str(&b), "stop here [0 WRITE +a +b app=10 other=0 records=10]");
    buf_reset(&b);
    assert_int_equal(table_each_entry(tb, 1, 3, note_entry, &b, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "version 3 is gone"));
    buf_release(&b);
    table_close(tb);
    storage_free(st);
}

static int count_txn(void *arg, const char *app_id ATTR_UNUSED, int64_t version) {
    *(int64_t *)arg += version;
    return version == 4 ? 42 : 0;
}

static void txns_are_found_by_prefix(void **state ATTR_UNUSED) {
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    struct change *ch = change_new();
    struct err e;
    change_txn(ch, "app/c1/t/0", -1, 1);
    change_txn(ch, "app/c1/t/1", -1, 2);
    change_txn(ch, "app/c2/t/0", -1, 4);
    change_txn(ch, "application", -1, 8);
    assert_ok(change_commit(ch, tb, &e), &e);
    int64_t sum = 0;
    assert_int_equal(table_txn_each(tb, "app/c1/", count_txn, &sum), 0);
    assert_int_equal(sum, 3);
    assert_int_equal(table_txn_each(tb, "app/c2/", count_txn, &sum), 42);
    assert_int_equal(table_txn_each(tb, "none", count_txn, &sum), 0);
    change_free(ch);
    table_close(tb);
    storage_free(st);
}

/* A log as Spark leaves it: what we never write and must read. */
static void sparks_log_is_read(void **state ATTR_UNUSED) {
    static const char *const entries[] = {
        /* metaData first; an unknown action; members we know nothing of */
        META_WITH("\"delta.checkpointInterval\":\"10\"") PROTOCOL
        "{\"cdc\":{\"path\":\"_change_data/x\"}}\n{\"domainMetadata\":{\"domain\":\"d\"}}\n"
        "{\"add\":{\"path\":\"event_date=2026-11-22/"
        "part-00000-1.c000.snappy.parquet\",\"partitionValues\":"
        "{\"event_date\":\"2026-11-22\"},\"size\":10,\"modificationTime\":1,\"dataChange\":true,"
        "\"tags\":null,"
        "\"deletionVector\":null,\"baseRowId\":7,\"stats\":\"{\\\"numRecords\\\":3,"
        "\\\"maxValues\\\":{\\\"score\\\":"
        "\\\"NaN\\\"}}\"}}\n",
        /* only commitInfo, parameters that are no texts, no newline at the end */
        "{\"commitInfo\":{\"timestamp\":1,\"operation\":\"VACUUM "
        "START\",\"operationParameters\":{\"ok\":true,"
        "\"ms\":604800000},\"operationMetrics\":{\"numFiles\":5}}}",
        /* remove before add, stats on remove, empty partition value, broken stats, blank lines, CRLF */
        "{\"remove\":{\"path\":\"event_date=2026-11-22/"
        "part-00000-1.c000.snappy.parquet\",\"deletionTimestamp\":2,"
        "\"dataChange\":true,\"stats\":\"{\\\"numRecords\\\":3}\"}}\r\n\r\n"
        "{\"add\":{\"path\":\"p%3Dx/"
        "a%2520b.parquet\",\"partitionValues\":{\"event_date\":\"\"},\"size\":10,"
        "\"modificationTime\":1,\"dataChange\":true,\"stats\":\"not json\"}}\n\n",
    };
    struct storage *st = storage_mem_new();
    for (int i = 0; i < 3; i++)
        put_entry(st, i, entries[i]);
    put_entry(st, 3,
              "{\"commitInfo\":{\"timestamp\":\"x\",\"operation\":5,\"operationMetrics\":[],"
              "\"txnId\":1}}\n"
              "{\"txn\":{\"appId\":\"spark-app\",\"version\":5}}\n");
    put_text(st, TEST_LOG "/00000000000000000002.crc", "{}");
    put_text(st, TEST_LOG "/00000000000000000009.checkpoint.parquet.tmp", "x");
    put_text(st, TEST_LOG "/00000000000000000099.json.bak", "x");
    put_text(st, TEST_LOG "/0000000000000000099.json", "19 digits");
    put_text(st, TEST_LOG "/_last_checkpoint", "{}");
    put_text(st, TEST_LOG "/99999999999999999999.json", "beyond what is counted");
    struct table *tb = open_table(st);
    assert_state(tb, "v3 p=x/a%20b.parquet@NULL | spark-app=5");
    assert_int_equal(table_live(tb)->v[0].rows, -1);
    append_file(tb, "ours", NULL);
    struct buf b = BUF_INIT(MIB);
    struct err e;
    assert_ok(table_each_entry(tb, 0, 4, note_entry, &b, &e), &e);
    assert_non_null(strstr(buf_str(&b), "[1 VACUUM START other=0 records=0]"));
    buf_release(&b);
    table_close(tb);
    storage_free(st);
}

/* Random commits against a model that is a plain array of bools. */
static void many_commits_add_up(void **state ATTR_UNUSED) {
    enum { FILES = 300, COMMITS = 400 };
    static bool there[FILES];
    struct storage *st = storage_mem_new();
    struct table *tb = open_table(st);
    struct err e;
    unsigned seed = 1;
    for (int k = 0; k < COMMITS; k++) {
        struct change *ch = change_new();
        bool used[FILES] = {false};
        for (int i = 0; i < 6; i++) {
            int f = (int)((seed = seed * 1103515245 + 12345) >> 16) % FILES;
            _cleanup_(freep) char *path = xasprintf("part-%03d", f);
            if (used[f])
                continue;
            used[f] = true;
            if (there[f])
                change_remove(ch, path, NULL);
            else
                change_add(ch, path, NULL);
            there[f] = !there[f];
        }
        assert_ok(change_commit(ch, tb, &e), &e);
        change_free(ch);
    }
    struct table *again = open_table(st);
    struct buf want = BUF_INIT(MIB);
    buf_addf(&want, "v%d", COMMITS - 1);
    for (int f = 0; f < FILES; f++)
        if (there[f])
            buf_addf(&want, " part-%03d@NULL", f);
    assert_state(tb, buf_str(&want));
    assert_state(again, buf_str(&want));
    buf_release(&want);
    table_close(again);
    table_close(tb);
    storage_free(st);
}

static void maps_find_what_was_put(void **state ATTR_UNUSED) {
    enum { KEYS = 2000 };
    struct strmap m = {0};
    static char keys[KEYS][12];
    size_t v;
    assert_false(strmap_get(&m, "x", &v));
    strmap_remove(&m, "x");
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(keys[i], sizeof keys[i], "key-%zu", i);
        strmap_set(&m, keys[i], i);
    }
    for (size_t i = 0; i < KEYS; i += 3)
        strmap_remove(&m, keys[i]);
    strmap_set(&m, keys[1], 77);
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(strmap_get(&m, keys[i], &v), i % 3 != 0);
        if (i % 3)
            assert_int_equal(v, i == 1 ? 77 : i);
    }
    assert_int_equal(m.n, KEYS - (KEYS + 2) / 3);
    strmap_release(&m);
}

static void paths_are_escaped_in_the_log(void **state ATTR_UNUSED) {
    static const char *const pairs[][2] = {{"event_date=2026-11-22/part-1.zstd.parquet", NULL},
                                           {"p=a%20b/c", "p=a%2520b/c"},
                                           {"a~b_c.d-e", NULL},
                                           {"100%", "100%25"}};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        _cleanup_(freep) char *encoded = log_path_encode(pairs[i][0]);
        assert_string_equal(encoded, pairs[i][1] ? pairs[i][1] : pairs[i][0]);
        _cleanup_(freep) char *decoded = log_path_decode(encoded);
        assert_string_equal(decoded, pairs[i][0]);
    }
    static const char *const refused[] = {
        "/etc/passwd", "../x", "a/../../x", "%2e%2e/x", "a%2Fb%2F..%2Fc", "s3://b/k",
        "file:/x",     "a%",   "a%2",       "a%zz",     "a%00b",          "a b",
        "a%20b",       "",     ".hidden",   "a/"};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_null(log_path_decode(refused[i]));
    _cleanup_(freep) char *dated = table_new_file_path(TEST_DEF, "2026-11-22");
    _cleanup_(freep) char *null = table_new_file_path(TEST_DEF, NULL);
    assert_int_equal(strncmp(dated, "event_date=2026-11-22/part-", 27), 0);
    assert_int_equal(strncmp(null, "event_date=__HIVE_DEFAULT_PARTITION__/part-", 43), 0);
    assert_true(storage_path_ok(dated) && storage_path_ok(null));
    assert_string_equal(dated + strlen(dated) - 13, ".zstd.parquet");
}

static void definitions_are_sound(void **state ATTR_UNUSED) {
    static const struct table_def *const all[] = {&bronze_events, &silver_events, TEST_DEF};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        const struct table_def *def = all[i];
        assert_string_equal(def->columns[def->n_columns - 1].name, def->partition_by);
        assert_int_equal(table_def_column(def, def->partition_by)->type, TYPE_DATE);
        for (size_t k = 0; k < def->n_columns; k++)
            assert_ptr_equal(table_def_column(def, def->columns[k].name), &def->columns[k]);
    }
    assert_null(table_def_column(TEST_DEF, "price"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_that_is_not_there_is_empty),
        cmocka_unit_test(a_commit_is_read_back_by_all),
        cmocka_unit_test(a_file_keeps_all_that_is_known_of_it),
        cmocka_unit_test(the_first_entry_makes_the_table),
        cmocka_unit_test(removes_take_files_out),
        cmocka_unit_test(the_snapshots_own_files_can_be_removed),
        cmocka_unit_test(refresh_reads_new_entries_only),
        cmocka_unit_test(the_history_is_told_entry_by_entry),
        cmocka_unit_test(txns_are_found_by_prefix),
        cmocka_unit_test(sparks_log_is_read),
        cmocka_unit_test(many_commits_add_up),
        cmocka_unit_test(maps_find_what_was_put),
        cmocka_unit_test(paths_are_escaped_in_the_log),
        cmocka_unit_test(definitions_are_sound),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
