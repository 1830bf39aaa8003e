/* SPDX-License-Identifier: Apache-2.0 */
/* What the commits add up to is known when their entries are gone, and does not change by that. */
#include "flow/silver.h"
#include "flow/upkeep.h"
#include "flow/world.h"

static void send_bad(struct world *w, int32_t partition, int n) {
    for (int i = 0; i < n; i++)
        mem_topic_append(w->mc, TOPIC, partition, "{\"product_id\":true}");
}

/* Two partitions in five commits: holes, rejects, a loss, repeats; three commits of silver. */
static void some_commits(struct world *w) {
    world_fill(w, 0, 50);
    mem_topic_add_holes(w->mc, TOPIC, 0, 3);
    send_bad(w, 1, 4);
    run_once(w, "t", false, NULL);
    world_silver(w, 1000000);
    world_fill(w, 1, 10);
    mem_topic_forget(w->mc, TOPIC, 1, 7);
    run_once(w, "t", true, NULL);
    world_silver(w, 1000000);
    w->sent -= 5; /* the same events once more */
    world_fill(w, 0, 5);
    send_bad(w, 0, 2);
    run_once(w, "t", false, NULL);
    world_silver(w, 1000000);
}

static char *entry_path(const struct table_def *def, int64_t v) {
    return xasprintf("%s/_delta_log/%020lld.json", def->name, (long long)v);
}

/* Folds the log into a checkpoint and removes all entries but the last. */
static void clean_log(struct world *w, const struct table_def *def) {
    struct table *tb = world_table(w, def);
    struct err e;
    assert_ok(table_checkpoint(tb, &e), &e);
    for (int64_t v = 0; v < table_version(tb); v++) {
        _cleanup_(freep) char *path = entry_path(def, v);
        assert_ok(storage_remove(w->st, path, &e), &e);
    }
    int64_t begin;
    assert_ok(table_log_begin(tb, &begin, &e), &e);
    assert_int_equal(begin, table_version(tb));
    table_close(tb);
}

/* Rewrites an entry: without the totals, or with another text. */
static bool edit(struct world *w, const struct table_def *def, int64_t v, const char *from,
                 const char *to) {
    bool changed = false;
    _cleanup_(freep) char *path = entry_path(def, v);
    struct buf old = BUF_INIT(MIB), new = BUF_INIT(MIB);
    struct err e;
    assert_ok(storage_get(w->st, path, &old, &e), &e);
    for (char *line = old.data, *next; line && *line; line = next) {
        char *end = strchr(line, '\n');
        next = end ? end + 1 : NULL;
        if (end)
            *end = '\0';
        char *at = from ? strstr(line, from) : NULL;
        changed |= at != NULL;
        if (!from && strncmp(line, "{\"txn\"", 6) == 0 && strchr(line, '#'))
            continue;
        if (at)
            buf_addf(&new, "%.*s%s%s\n", (int)(at - line), line, to, at + strlen(from));
        else
            buf_addf(&new, "%s\n", line);
    }
    assert_ok(storage_put(w->st, path, new.data, new.len, &e), &e);
    buf_release(&old);
    buf_release(&new);
    return changed;
}

/* In the only entry that has the text. */
static void edit_one(struct world *w, const struct table_def *def, const char *from,
                     const char *to) {
    struct table *tb = world_table(w, def);
    int changed = 0;
    for (int64_t v = 0; v <= table_version(tb); v++)
        changed += edit(w, def, v, from, to);
    assert_int_equal(changed, 1);
    table_close(tb);
}

static void forget_totals(struct world *w, const struct table_def *def) {
    struct table *tb = world_table(w, def);
    for (int64_t v = 0; v <= table_version(tb); v++)
        edit(w, def, v, NULL, NULL);
    table_close(tb);
}

/* What status counts. */
static void assert_counts(struct world *w) {
    struct status s;
    struct err e;
    assert_ok(flow_status(NULL, w->st, NULL, &(struct status_options){.app = "t"}, &s, &e), &e);
    assert_int_equal(s.events, 50 + 4 + 7 + 5 + 2);
    assert_int_equal(s.rejected, 6);
    assert_int_equal(s.duplicates, 5);
    assert_int_equal(s.conflicts, 0);
    assert_int_equal(s.lost, 3);
    status_release(&s);
}

/* The detail of a check of reconcile, and whether it is ok. The caller frees. */
static char *check(struct world *w, const char *name, bool *ret_ok) {
    struct reconcile_result rec = {0};
    struct err e;
    char *detail = NULL;
    struct sink *sk = world_sink(w);
    assert_ok(flow_reconcile(w->st, w->en, sk, NULL, &rec, &e), &e);
    for (size_t i = 0; i < rec.n; i++)
        if (strcmp(rec.v[i].name, name) == 0) {
            *ret_ok = rec.v[i].ok;
            detail = xstrdup(rec.v[i].detail);
        }
    assert_non_null(detail);
    reconcile_result_release(&rec);
    sink_free(sk);
    return detail;
}

static void assert_check(struct world *w, const char *name, bool ok, const char *says) {
    bool was;
    _cleanup_(freep) char *detail = check(w, name, &was);
    if (was != ok || !strstr(detail, says))
        fail_msg("%s is %s: %s", name, was ? "ok" : "not ok", detail);
}

static void assert_all_is_well(struct world *w) {
    assert_counts(w);
    assert_reconciled(w, "records 68, passed over 3, accepted as lost 3");
    assert_check(w, "silver.sum", true, "rows read 68");
    assert_check(w, "silver.events", true, "bronze rows 68");
    assert_check(w, "silver.rows", true, "57");
}

static void they_are_the_same_without_the_log(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    some_commits(&w);
    assert_all_is_well(&w);
    clean_log(&w, &bronze_events);
    assert_all_is_well(&w);
    clean_log(&w, &silver_events);
    assert_all_is_well(&w);
    world_free(&w);
}

/* And go on: also behind commits of somebody else, who knows nothing of them. */
static void they_go_on_behind_others(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    struct err e;
    world_fill(&w, 0, 10);
    run_once(&w, "t", false, NULL);
    static const char foreign[] =
        "{\"commitInfo\":{\"operation\":\"VACUUM START\",\"operationParameters\":"
        "{\"retentionCheckEnabled\":true},\"operationMetrics\":{}}}\n";
    for (int64_t v = 1; v < 4; v++) {
        _cleanup_(freep) char *path = entry_path(&bronze_events, v);
        assert_ok(storage_put_new(w.st, path, foreign, strlen(foreign), &e), &e);
    }
    clean_log(&w, &bronze_events);
    world_fill(&w, 0, 5);
    mem_topic_add_holes(w.mc, TOPIC, 0, 2);
    send_bad(&w, 1, 2);
    run_once(&w, "t", false, NULL);
    assert_reconciled(&w, "records 17, passed over 2, accepted as lost 0");
    struct status s;
    assert_ok(flow_status(NULL, w.st, NULL, &(struct status_options){.app = "t"}, &s, &e), &e);
    assert_int_equal(s.events, 17);
    assert_int_equal(s.rejected, 2);
    status_release(&s);
    world_free(&w);
}

/* Tables from before there were totals: the log is added up, as long as it is whole. */
static void old_tables_are_added_up_from_their_log(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    some_commits(&w);
    forget_totals(&w, &bronze_events);
    forget_totals(&w, &silver_events);
    assert_all_is_well(&w);
    world_fill(&w, 0, 1); /* a position that began without totals goes on without */
    run_once(&w, "t", false, NULL);
    assert_reconciled(&w, "records 69, passed over 3, accepted as lost 3");
    clean_log(&w, &bronze_events);
    assert_check(&w, "bronze.gaps", false, "carries no totals, and the log begins at version");
    clean_log(&w, &silver_events);
    assert_check(&w, "silver.sum", false, "carries no totals");
    world_free(&w);
}

static const struct upkeep_options checkpoints = {.checkpoint_interval = 1};

static int64_t log_begin(struct world *w, const struct table_def *def) {
    struct table *tb = world_table(w, def);
    struct err e;
    int64_t begin;
    assert_ok(table_log_begin(tb, &begin, &e), &e);
    table_close(tb);
    return begin;
}

/* Upkeep gives them totals; then the log can go, and they go on. */
static void old_tables_get_totals(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    some_commits(&w);
    forget_totals(&w, &bronze_events);
    forget_totals(&w, &silver_events);
    world_upkeep(&w, NULL, &checkpoints);
    assert_all_is_well(&w); /* the log is whole but for what silver and gold have read */
    world_silver(&w, 1000000);
    world_upkeep(&w, NULL, &checkpoints);
    assert_true(log_begin(&w, &bronze_events) > 3);
    assert_true(log_begin(&w, &silver_events) > 2);
    assert_all_is_well(&w);
    mem_topic_add_holes(w.mc, TOPIC, 1, 2);
    world_fill(&w, 1, 3);
    run_once(&w, "t", false, NULL);
    world_silver(&w, 1000000);
    world_upkeep(&w, NULL, &checkpoints);
    assert_reconciled(&w, "records 71, passed over 5, accepted as lost 3");
    assert_check(&w, "silver.sum", true, "rows read 71");
    world_free(&w);
}

static void ingest_before(void *arg, enum fault_call call, const char *path ATTR_UNUSED) {
    struct world *w = arg;
    static bool done;
    if (call != CALL_PUT_NEW || done)
        return;
    done = true;
    world_fill(w, 0, 1);
    send_bad(w, 1, 1);
    run_once(w, "t", false, NULL);
}

/* Positions that move while their totals are taken are looked at again. */
static void totals_are_taken_of_where_positions_stand(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    some_commits(&w);
    forget_totals(&w, &bronze_events);
    struct storage *st = storage_fault_new(w.st, false);
    storage_fault_hook(st, ingest_before, &w);
    world_upkeep(&w, st, &checkpoints);
    world_silver(&w, 1000000);
    assert_reconciled(&w, "records 70, passed over 3, accepted as lost 3");
    world_upkeep(&w, NULL, &checkpoints);
    assert_true(log_begin(&w, &bronze_events) > 4);
    assert_reconciled(&w, "records 70, passed over 3, accepted as lost 3");
    storage_free(st);
    world_free(&w);
}

/* Positions without totals whose log is not whole any more: the rest of it stays. */
static void what_cannot_be_added_up_is_not_cleaned(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    some_commits(&w);
    forget_totals(&w, &bronze_events);
    struct table *tb = world_table(&w, &bronze_events);
    struct err e;
    assert_ok(table_checkpoint(tb, &e), &e);
    _cleanup_(freep) char *first = entry_path(&bronze_events, 0);
    assert_ok(storage_remove(w.st, first, &e), &e);
    table_close(tb);
    world_upkeep(&w, NULL, &checkpoints);
    assert_int_equal(log_begin(&w, &bronze_events), 1);
    world_free(&w);
}

/* What silver has still to read stays, whatever its age. */
static void what_the_layer_above_needs_stays(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    some_commits(&w);
    struct table *tb = world_table(&w, &bronze_events);
    int64_t read = table_version(tb);
    table_close(tb);
    for (int i = 0; i < 3; i++) {
        world_fill(&w, 0, 2);
        run_once(&w, "t", false, NULL);
        world_upkeep(&w, NULL, &checkpoints);
    }
    int64_t begin = log_begin(&w, &bronze_events);
    assert_true(begin > 0 && begin <= read + 1);
    world_silver(&w, 1000000);
    world_upkeep(&w, NULL, &checkpoints);
    assert_true(log_begin(&w, &bronze_events) > read + 1);
    assert_reconciled(&w, "records 74, passed over 3, accepted as lost 3");
    assert_check(&w, "silver.events", true, "bronze rows 74");
    world_free(&w);
}

static void totals_that_are_wrong_are_found(void **state ATTR_UNUSED) {
    static const struct {
        const struct table_def *def;
        const char *from, *to, *check, *says;
    } cases[] = {
        {&bronze_events, "/0#skipped\",\"version\":3", "/0#skipped\",\"version\":2", "bronze.gaps",
         "records 57 and 58"},
        {&bronze_events, "/1#lost\",\"version\":3", "/1#lost\",\"version\":1", "bronze.gaps",
         "records 11 and 13"},
        {&silver_events, "#events\",\"version\":68", "#events\",\"version\":69", "silver.sum",
         "rows read 68 and 69, rejected 6 and 6"},
        {&silver_events, "#rejected\",\"version\":6", "#rejected\",\"version\":5", "silver.sum",
         "rejected 6 and 5"},
    };
    struct world w = world_new(2);
    some_commits(&w);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        edit_one(&w, cases[i].def, cases[i].from, cases[i].to);
        assert_check(&w, cases[i].check, false, cases[i].says);
        edit_one(&w, cases[i].def, cases[i].to, cases[i].from);
        assert_check(&w, cases[i].check, true, "");
    }
    world_free(&w);
}

/* A topic made anew is known as such, however long ago its predecessor was read. */
static void the_topic_is_known_without_the_log(void **state ATTR_UNUSED) {
    struct world w = world_new(1);
    struct err e;
    world_fill(&w, 0, 10);
    run_once(&w, "t", false, NULL);
    world_fill(&w, 0, 10);
    run_once(&w, "t", false, NULL);
    clean_log(&w, &bronze_events);
    assert_true(edit(&w, &bronze_events, 1, "\"topicId\":", "\"unknown\":"));
    mem_topic_delete(w.mc, TOPIC);
    mem_topic_create(w.mc, TOPIC, 1);
    world_fill(&w, 0, 30);
    assert_int_equal(run_once(&w, "t", false, &e), ERR_STREAM);
    assert_non_null(strstr(e.msg, "deleted and made again"));
    world_free(&w);
}

/* Silver that is made anew takes all of bronze, though the entries it came with are gone. */
static void silver_begins_behind_a_cleaned_log(void **state ATTR_UNUSED) {
    struct world w = world_new(2);
    some_commits(&w);
    clean_log(&w, &bronze_events);
    struct table *tb = world_table(&w, &silver_events);
    struct err e;
    for (int64_t v = 0; v <= 2; v++) {
        _cleanup_(freep) char *path = entry_path(&silver_events, v);
        assert_ok(storage_remove(w.st, path, &e), &e);
    }
    table_close(tb);
    world_silver(&w, 1000000);
    assert_all_is_well(&w);
    world_free(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_the_same_without_the_log),
        cmocka_unit_test(they_go_on_behind_others),
        cmocka_unit_test(old_tables_are_added_up_from_their_log),
        cmocka_unit_test(old_tables_get_totals),
        cmocka_unit_test(totals_are_taken_of_where_positions_stand),
        cmocka_unit_test(what_cannot_be_added_up_is_not_cleaned),
        cmocka_unit_test(what_the_layer_above_needs_stays),
        cmocka_unit_test(totals_that_are_wrong_are_found),
        cmocka_unit_test(the_topic_is_known_without_the_log),
        cmocka_unit_test(silver_begins_behind_a_cleaned_log),
    };
    return cmocka_run_group_tests_name("flow/totals", tests, NULL, NULL);
}
