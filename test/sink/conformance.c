/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/conformance.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "sink/helper.h"

#define D16 "2026-02-16"
#define D17 "2026-02-17"
#define TABLE (&sink_clickstream_metrics)

static const struct sink_driver *driver;
static void *db;

static int setup(void **state ATTR_UNUSED) {
    db = driver->db_new();
    return 0;
}

static int teardown(void **state ATTR_UNUSED) {
    driver->db_free(db);
    return 0;
}

static struct sink *open_with(struct sink_options o) {
    struct sink *sk;
    struct err e;
    assert_ok(driver->open(db, &o, &sk, &e), &e);
    return sk;
}

#define open_sink() open_with((struct sink_options){.timeout_ms = 5000})
#define _sink_ _cleanup_(sink_freep) struct sink *

static const struct load first = {
    .version = 3,
    .dates = D16 " " D17,
    .rows = "men's clothing|3|329.85|" D16 "\njewelery|1|695|" D16 "\njewelery|2|20.5|" D17 "\n",
};
static const char first_table[] =
    "jewelery|1|695|" D16 "\njewelery|2|20.5|" D17 "\nmen's clothing|3|329.85|" D16 "\n";

static void the_first_prepare_makes_an_empty_table(void **state ATTR_UNUSED) {
    _sink_ sk = open_sink();
    struct sink_watermark at;
    struct err e;
    assert_watermark(sk, "", -1); /* before there is any table */
    assert_table(sk, "");
    assert_ok(sink_prepare(sk, TABLE, &at, &e), &e);
    assert_int_equal(at.version, -1);
    assert_string_equal(at.table_id, "");
    assert_ok(sink_prepare(sk, TABLE, &at, &e), &e);
    assert_int_equal(at.version, -1);
    assert_table(sk, "");
}

static void a_load_shows_its_rows_and_its_version(void **state ATTR_UNUSED) {
    _sink_ sk = open_sink();
    load_ok(sk, &first, 3, 0, 0);
    assert_table(sk, first_table);
    _sink_ other = open_sink();
    assert_table(other, first_table);
    assert_watermark(other, GOLD_ID, 3);
}

static void the_same_load_again_changes_nothing(void **state ATTR_UNUSED) {
    _sink_ sk = open_sink();
    load_ok(sk, &first, 3, 0, 0);
    load_ok(sk, &first, 0, 3, 0);
    assert_table(sk, first_table);
}

static void a_load_changes_adds_and_deletes(void **state ATTR_UNUSED) {
    _sink_ sk = open_sink();
    load_ok(sk, &first, 3, 0, 0);
    load_ok(sk,
            &(struct load){.version = 4,
                           .dates = D16,
                           .rows = "men's clothing|3|329.85|" D16 "\nelectronics|1|1e-7|" D16 "\n"},
            1, 1, 1);
    assert_table(sk, "electronics|1|1e-07|" D16 "\njewelery|2|20.5|" D17
                     "\nmen's clothing|3|329.85|" D16 "\n");
    assert_watermark(sk, GOLD_ID, 4);
}

static void a_date_without_rows_is_emptied(void **state ATTR_UNUSED) {
    _sink_ sk = open_sink();
    load_ok(sk, &first, 3, 0, 0);
    load_ok(sk, &(struct load){.version = 4, .dates = D16}, 0, 0, 2);
    assert_table(sk, "jewelery|2|20.5|" D17 "\n");
}

static void a_load_without_dates_moves_the_watermark_only(void **state ATTR_UNUSED) {
    _sink_ sk = open_sink();
    load_ok(sk, &first, 3, 0, 0);
    load_ok(sk, &(struct load){.version = 9}, 0, 0, 0);
    assert_table(sk, first_table);
    assert_watermark(sk, GOLD_ID, 9);
}

static void replace_all_deletes_every_other_date(void **state ATTR_UNUSED) {
    _sink_ sk = open_sink();
    load_ok(sk, &first, 3, 0, 0);
    load_ok(sk,
            &(struct load){.id = "another",
                           .version = 0,
                           .dates = D17,
                           .replace_all = true,
                           .rows = "jewelery|2|20.5|" D17 "\n"},
            0, 1, 2);
    assert_table(sk, "jewelery|2|20.5|" D17 "\n");
    assert_watermark(sk, "another", 0);
    load_ok(sk, &(struct load){.id = "third", .version = 0, .replace_all = true}, 0, 0, 1);
    assert_table(sk, "");
}

static void null_values_are_loaded_and_compared(void **state ATTR_UNUSED) {
    _sink_ sk = open_sink();
    struct load l = {.version = 1, .dates = D16, .rows = "a|||" D16 "\nb|1||" D16 "\n"};
    load_ok(sk, &l, 2, 0, 0);
    load_ok(sk, &l, 0, 2, 0);
    assert_table(sk, l.rows);
    l.rows = "a|0||" D16 "\nb|||" D16 "\n";
    load_ok(sk, &l, 2, 0, 0);
    assert_table(sk, l.rows);
}

static void begins_with(struct sink *sk, const char *id, int64_t version, int expected) {
    struct sink_watermark at = {.version = version};
    struct err e = {0};
    snprintf(at.table_id, sizeof at.table_id, "%s", id);
    assert_int_equal(begin_load(sk, &(struct load){.version = 50}, &at, &e), expected);
    if (expected) {
        assert_false(e.retry);
        assert_says(&e, "clickstream_metrics");
    }
    sink_rollback(sk);
}

static void a_load_begins_only_where_the_sink_stands(void **state ATTR_UNUSED) {
    _sink_ a = open_sink();
    _sink_ b = open_sink();
    struct sink_watermark at;
    struct err e;
    assert_ok(sink_prepare(b, TABLE, &at, &e), &e);
    begins_with(b, GOLD_ID, 2, ERR_CONFLICT); /* never loaded */
    load_ok(a, &first, 3, 0, 0);
    assert_int_equal(begin_load(b, &(struct load){.version = 4, .dates = D16}, &at, &e),
                     ERR_CONFLICT);
    sink_rollback(b);
    begins_with(b, GOLD_ID, 2, ERR_CONFLICT);
    begins_with(b, GOLD_ID, 4, ERR_CONFLICT);
    begins_with(b, "another", 3, ERR_CONFLICT);
    begins_with(b, GOLD_ID, 3, 0);
    assert_table(b, first_table);
    assert_watermark(b, GOLD_ID, 3);
}

/* Also where there is no watermark yet that could be locked: version -1. */
static void a_second_loader_waits_then_gives_up_for_now(void **state ATTR_UNUSED) {
    _sink_ a = open_sink();
    _sink_ b = open_with((struct sink_options){.timeout_ms = 100});
    struct sink_watermark at;
    struct sink_load_result done;
    struct err e;
    for (int64_t version = 3; version < 5; version++) {
        struct load l = {.version = version, .dates = D16, .rows = "a|1|1|" D16 "\n"};
        struct load late = {.version = 4};
        assert_ok(sink_prepare(a, TABLE, &at, &e), &e);
        assert_ok(sink_prepare(b, TABLE, &at, &e), &e);
        assert_ok(begin_load(a, &l, &at, &e), &e);
        assert_int_equal(begin_load(b, &late, &at, &e), ERR_SINK);
        assert_true(e.retry);
        sink_rollback(b);
        assert_ok(sink_commit(a, &done, &e), &e);
        assert_int_equal(begin_load(b, &late, &at, &e), ERR_CONFLICT);
        sink_rollback(b);
    }
    load_ok(b, &(struct load){.version = 5}, 0, 0, 0);
}

static void a_rollback_leaves_nothing(void **state ATTR_UNUSED) {
    _sink_ sk = open_sink();
    struct sink_watermark at;
    struct err e;
    sink_rollback(sk); /* none is open */
    load_ok(sk, &first, 3, 0, 0);
    for (int rows = 0; rows < 2; rows++) {
        assert_ok(sink_prepare(sk, TABLE, &at, &e), &e);
        struct load l = {.version = 4, .dates = D16 " " D17, .rows = rows ? "x|1|1|" D16 "\n" : ""};
        assert_ok(begin_load(sk, &l, &at, &e), &e);
        sink_rollback(sk);
        assert_table(sk, first_table);
        assert_watermark(sk, GOLD_ID, 3);
    }
    sink_rollback(sk);
    load_ok(sk, &first, 0, 3, 0);
}

static void freeing_an_open_load_leaves_nothing(void **state ATTR_UNUSED) {
    _sink_ a = open_sink();
    struct sink_watermark at;
    struct err e;
    assert_ok(sink_prepare(a, TABLE, &at, &e), &e);
    assert_ok(begin_load(a, &first, &at, &e), &e);
    sink_free(TAKE_PTR(a));
    _sink_ b = open_sink();
    assert_table(b, "");
    load_ok(b, &first, 3, 0, 0);
}

static int keep_text(void *arg, const char *const *values, struct err *e ATTR_UNUSED) {
    buf_addf(arg, "%s\x1f", values[0]);
    return 0;
}

static void any_text_comes_back_as_it_was(void **state ATTR_UNUSED) {
    char longest[257];
    memset(longest, 'x', 256);
    longest[256] = '\0';
    /* In byte order. */
    const char *const texts[] = {"",
                                 "\t",
                                 "\n\r\n",
                                 " blank ",
                                 "\"quoted\"",
                                 "'; DROP TABLE clickstream_metrics; --",
                                 "42",
                                 "B",
                                 "NULL",
                                 "\\",
                                 "\\.",
                                 "\\N",
                                 "\\t",
                                 "a",
                                 "a\tb",
                                 "a\nb",
                                 "a,b",
                                 "a\\",
                                 "{a}",
                                 "\x7f",
                                 "\xc3\xa4",
                                 "\xe6\x97\xa5",
                                 "\xf0\x9f\x9b\x92"};
    _sink_ sk = open_sink();
    struct sink_watermark at;
    struct sink_load_result done;
    struct err e;
    struct buf wanted = BUF_INIT(MIB), found = BUF_INIT(MIB);
    assert_ok(sink_prepare(sk, TABLE, &at, &e), &e);
    assert_ok(begin_load(sk, &(struct load){.version = 1, .dates = D16}, &at, &e), &e);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_ok(sink_row(sk, (const char *[]){texts[i], "1", "1", D16}, &e), &e);
        assert_true(i == 0 || strcmp(texts[i - 1], texts[i]) < 0);
        buf_addf(&wanted, "%s\x1f", texts[i]);
    }
    assert_ok(sink_commit(sk, &done, &e), &e);
    assert_int_equal(done.upserted, ARRAY_LEN(texts));
    assert_ok(sink_read(sk, TABLE, keep_text, &found, &e), &e);
    assert_string_equal(buf_str(&found), buf_str(&wanted));
    buf_release(&wanted);
    buf_release(&found);
    _cleanup_(freep) char *row = xasprintf("%s|1|1|" D17 "\n", longest);
    load_ok(sk, &(struct load){.version = 2, .dates = D16 " " D17, .rows = row}, 1, 0,
            ARRAY_LEN(texts));
    assert_table(sk, row);
}

static int check_double(void *arg, const char *const *values, struct err *e ATTR_UNUSED) {
    const char *const *sent = arg;
    size_t i = (size_t)atoi(values[0]);
    assert_true(strtod(values[2], NULL) == strtod(sent[i], NULL));
    return 0;
}

static void numbers_come_back_exactly(void **state ATTR_UNUSED) {
    const char *sent[] = {"0",
                          "-0",
                          "0.1",
                          "0.30000000000000004",
                          "123456789.1234",
                          "1e-7",
                          "1e+15",
                          "99999999999999.98",
                          "1.7976931348623157e308",
                          "5e-324",
                          "-12.5",
                          "100"};
    _sink_ sk = open_sink();
    struct buf rows = BUF_INIT(MIB);
    for (size_t i = 0; i < ARRAY_LEN(sent); i++)
        buf_addf(&rows, "%02zu|%s|%s|" D16 "\n", i, i % 2 ? "2147483647" : "-2147483648", sent[i]);
    struct load l = {.version = 1, .dates = D16, .rows = buf_str(&rows)};
    load_ok(sk, &l, ARRAY_LEN(sent), 0, 0);
    load_ok(sk, &l, 0, ARRAY_LEN(sent), 0);
    struct err e;
    assert_ok(sink_read(sk, TABLE, check_double, sent, &e), &e);
    buf_release(&rows);
    load_ok(sk, &(struct load){.version = 2, .dates = D16, .rows = "m|2147483647|0.1|" D16 "\n"}, 1,
            0, ARRAY_LEN(sent));
    assert_table(sk, "m|2147483647|0.1|" D16 "\n");
}

static void refused(struct sink *sk, const char *rows, const char *why) {
    struct sink_load_result done;
    struct err e;
    struct load l = {.version = 7, .dates = D16, .rows = rows};
    assert_int_equal(try_load(sk, &l, &done, &e), ERR_SINK);
    assert_false(e.retry);
    assert_says(&e, why);
}

static void values_of_another_type_are_refused(void **state ATTR_UNUSED) {
    _sink_ sk = open_sink();
    load_ok(sk, &first, 3, 0, 0);
    refused(sk, "a|1|NaN|" D16 "\n", "total_revenue is \"NaN\", not a finite number");
    refused(sk, "a|1|Infinity|" D16 "\n", "total_revenue");
    refused(sk, "a|1|-inf|" D16 "\n", "total_revenue");
    refused(sk, "a|1|1e999|" D16 "\n", "total_revenue");
    refused(sk, "a|1|0x10|" D16 "\n", "total_revenue");
    refused(sk, "a|1| 1|" D16 "\n", "total_revenue");
    refused(sk, "a|1.5|1|" D16 "\n", "total_events is \"1.5\", not an integer");
    refused(sk, "a|x|1|" D16 "\n", "total_events");
    refused(sk, "a|99999999999999999999|1|" D16 "\n", "total_events");
    refused(sk, "a|1|1|2026-02-30\n", "event_date is \"2026-02-30\"");
    refused(sk, "a|1|1|16.02.2026\n", "event_date");
    refused(sk, "|1|1|" D16 "\n", "category is NULL");
    refused(sk, "ok|1|1|" D16 "\na|1|1|\n", "event_date is NULL");
    struct sink_load_result done;
    struct err e;
    assert_int_equal(try_load(sk, &(struct load){.version = 7, .dates = "today"}, &done, &e),
                     ERR_SINK);
    assert_says(&e, "\"today\" is no date");
    assert_table(sk, first_table);
    assert_watermark(sk, GOLD_ID, 3);
}

static void a_count_beyond_int_never_wraps(void **state ATTR_UNUSED) {
    _sink_ sk = open_sink();
    struct load l = {.version = 1, .dates = D16, .rows = "a|2147483648|1|" D16 "\n"};
    if (driver->wide) {
        load_ok(sk, &l, 1, 0, 0);
        assert_table(sk, l.rows);
        return;
    }
    struct sink_load_result done;
    struct err e;
    assert_int_equal(try_load(sk, &l, &done, &e), ERR_SINK);
    assert_says(&e, "2147483648, more than an INT holds");
    assert_says(&e, "ALTER COLUMN total_events TYPE BIGINT;");
    l.rows = "a|-2147483649|1|" D16 "\n";
    assert_int_equal(try_load(sk, &l, &done, &e), ERR_SINK);
}

static void a_row_sent_twice_is_refused(void **state ATTR_UNUSED) {
    static const char *const twice[] = {
        "a|1|1|" D16 "\nb|1|1|" D16 "\na|2|2|" D16 "\n",  /* new */
        "jewelery|1|695|" D16 "\njewelery|2|2|" D16 "\n", /* there already */
        "jewelery|1|695|" D16 "\njewelery|1|695|" D16 "\n",
    };
    _sink_ sk = open_sink();
    load_ok(sk, &first, 3, 0, 0);
    for (size_t i = 0; i < ARRAY_LEN(twice); i++) {
        struct sink_load_result done;
        struct err e;
        struct load l = {.version = 4, .dates = D16, .rows = twice[i]};
        assert_int_equal(try_load(sk, &l, &done, &e), ERR_SINK);
        assert_false(e.retry);
        assert_table(sk, first_table);
    }
}

static int stop_at_second(void *arg, const char *const *values ATTR_UNUSED, struct err *e) {
    return ++*(int *)arg == 2 ? err_set(e, ERR_CHECK, "enough") : 0;
}

static void reading_stops_when_told(void **state ATTR_UNUSED) {
    _sink_ sk = open_sink();
    struct err e;
    int n = 0;
    load_ok(sk, &first, 3, 0, 0);
    assert_int_equal(sink_read(sk, TABLE, stop_at_second, &n, &e), ERR_CHECK);
    assert_int_equal(n, 2);
    assert_string_equal(e.msg, "enough");
    load_ok(sk, &first, 0, 3, 0);
}

static void many_rows(struct buf *out, int n, int revenue) {
    for (int i = 0; i < n; i++)
        buf_addf(out, "category %05d|%d|%d.25|2026-%02d-%02d\n", i, i, i + revenue, i % 12 + 1,
                 i % 28 + 1);
}

static void many_rows_in_one_load(void **state ATTR_UNUSED) {
    enum { N = 5000 };
    _sink_ sk = open_sink();
    struct buf rows = BUF_INIT(64 * MIB);
    many_rows(&rows, N, 0);
    load_ok(sk, &(struct load){.version = 1, .replace_all = true, .rows = buf_str(&rows)}, N, 0, 0);
    assert_table(sk, buf_str(&rows));
    many_rows(&rows, 0, 1);
    buf_reset(&rows);
    many_rows(&rows, N / 2, 1);
    load_ok(sk, &(struct load){.version = 2, .replace_all = true, .rows = buf_str(&rows)}, N / 2, 0,
            N / 2);
    assert_table(sk, buf_str(&rows));
    buf_release(&rows);
}

static void read_only_makes_nothing(void **state ATTR_UNUSED) {
    _sink_ reader = open_with((struct sink_options){.timeout_ms = 1000, .read_only = true});
    struct sink_watermark at;
    struct err e;
    assert_watermark(reader, "", -1);
    assert_table(reader, "");
    if (driver->shared && strcmp(driver->name, "sqlite") == 0)
        return; /* what it reads is an empty database of its own */
    assert_int_equal(sink_prepare(reader, TABLE, &at, &e), ERR_SINK);
    _sink_ writer = open_sink();
    load_ok(writer, &first, 3, 0, 0);
    assert_table(reader, first_table);
    assert_watermark(reader, GOLD_ID, 3);
}

/* ---- With other processes ---- */

static void prepare_in_child(void) {
    struct sink *sk = open_sink();
    struct sink_watermark at;
    struct err e;
    int rc = sink_prepare(sk, TABLE, &at, &e);
    if (rc)
        fprintf(stderr, "%s\n", e.msg);
    _exit(rc ? 1 : 0);
}

static void eight_processes_prepare_at_once(void **state ATTR_UNUSED) {
    if (!driver->shared)
        return;
    for (int i = 0; i < 8; i++)
        if (fork() == 0)
            prepare_in_child();
    for (int i = 0; i < 8; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    _sink_ sk = open_sink();
    load_ok(sk, &first, 3, 0, 0);
}

static char before_commit[] = "load.before_commit", after_commit[] = "load.after_commit";

static void load_to_its_death(void *point) {
    struct sink *sk = open_sink();
    struct sink_load_result done;
    struct err e;
    crash_at(point, &e);
    try_load(sk, &(struct load){.version = 4, .dates = D16 " " D17, .rows = "x|1|1|" D16 "\n"},
             &done, &e);
    _exit(1);
}

static void a_kill_before_or_after_the_commit_leaves_all_or_nothing(void **state ATTR_UNUSED) {
    if (!driver->shared)
        return;
    _sink_ sk = open_sink();
    load_ok(sk, &first, 3, 0, 0);
    assert_true(dies_by(SIGKILL, load_to_its_death, before_commit));
    assert_table(sk, first_table);
    assert_watermark(sk, GOLD_ID, 3);
    assert_true(dies_by(SIGKILL, load_to_its_death, after_commit));
    assert_table(sk, "x|1|1|" D16 "\n");
    assert_watermark(sk, GOLD_ID, 4);
    load_ok(sk, &first, 3, 0, 1);
}

int sink_conformance(const struct sink_driver *d) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_first_prepare_makes_an_empty_table),
        T(a_load_shows_its_rows_and_its_version),
        T(the_same_load_again_changes_nothing),
        T(a_load_changes_adds_and_deletes),
        T(a_date_without_rows_is_emptied),
        T(a_load_without_dates_moves_the_watermark_only),
        T(replace_all_deletes_every_other_date),
        T(null_values_are_loaded_and_compared),
        T(a_load_begins_only_where_the_sink_stands),
        T(a_second_loader_waits_then_gives_up_for_now),
        T(a_rollback_leaves_nothing),
        T(freeing_an_open_load_leaves_nothing),
        T(any_text_comes_back_as_it_was),
        T(numbers_come_back_exactly),
        T(values_of_another_type_are_refused),
        T(a_count_beyond_int_never_wraps),
        T(a_row_sent_twice_is_refused),
        T(reading_stops_when_told),
        T(many_rows_in_one_load),
        T(read_only_makes_nothing),
        T(eight_processes_prepare_at_once),
        T(a_kill_before_or_after_the_commit_leaves_all_or_nothing),
    };
#undef T
    driver = d;
    return cmocka_run_group_tests_name(d->name, tests, NULL, NULL);
}
