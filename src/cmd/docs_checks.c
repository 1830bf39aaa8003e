/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/docs_checks.h"

#include "base/config.h"
#include "base/mem.h"
#include "flow/checks.h"

static const char beginning[] =
    "# Data quality rules\n\n"
    "Made by `make docs` from the rules themselves. A rule is a SELECT that must give no rows; the "
    "rows it gives are what is wrong. Each run asks the rules when gold is made and before it is "
    "loaded: silver, gold, **check**, load.\n\n"
    "| severity | where the rule gives rows, or cannot be run |\n|---|---|\n"
    "| `warn` | the log says so (`a data check failed`, with the first rows), and the load goes on "
    "|\n"
    "| `block` | nothing is loaded: the database keeps its old numbers, in every table. `run`, "
    "`load` and `check` end with exit code 8 and say which rule and which rows; `up` and `run "
    "--every` go on with the next round |\n\n"
    "A blocked load is not lost. The database remembers what it shows, so when the rules pass, "
    "as late data has come or the rule was mended, the next run loads everything that waits. "
    "`clickmill "
    "load --unchecked` loads in spite of the rules.\n\n"
    "```sh\nclickmill check\n```\n\n"
    "runs the rules by themselves and shows what each finds; `--json` has the first five rows of "
    "each, a name behind it runs that rule alone. What the last check of all rules found, and "
    "since "
    "when a rule fails, is in `clickmill status` (`--json`: `checks`); earlier ones are lines of "
    "JSON in `check.history`. For `/metrics`: `clickmill_check_failing` by rule, "
    "`clickmill_check_failures_total` and `clickmill_load_blocked`.\n\n"
    "## What a rule reads\n\n"
    "Rules are asked at every run, so they read a few days, not the lake. The **days to be "
    "judged** "
    "are those whose rows in gold have changed and wait to be loaded, however old they are, and "
    "the "
    "newest day there is. Of `silver.events` and every table of gold a rule is given these days "
    "and, with `Days: N` in its header, the N - 1 days before each of them; of `bronze.events` the "
    "N "
    "newest days of arrival. `days` (one column, `event_date`) lists the days to be judged. A "
    "database that was never loaded, or another one than before, makes all days wait, once. "
    "Which days wait the database is asked, so one that is away fails the check (7), too. Where "
    "no day waits, rules that have all passed (for `up`: none of which blocks) within the last "
    "minute (`check.history` says so) "
    "are not asked again but by `clickmill check`: `up`, and a `run` with nothing new, cost "
    "nothing "
    "for them.\n\n"
    "So a day that blocks stays judged until it passes: it waits. A day that only warned is "
    "loaded, "
    "and judged no more once a newer one has come.\n\n"
    "## Those built in\n\n"
    "All of them only warn: they say that something is unlikely, not that it is wrong. "
    "`check.block`, `check.warn` and `check.off` are lists of rules whose severity is another than "
    "their header says, as in `check.block = null_share, reject_share`.\n\n"
    "| rule | finds | limit | reads |\n|---|---|---|---|\n";

static const char own_rules[] =
    "\n"
    "- Revenue is compared with days that are over by UTC only: today is never half a day too low. "
    "Late events bring an old day back to be judged.\n"
    "- `reject_share` and `freshness` go by the day of arrival; a rejected record has no other.\n"
    "- A category list has commas between the names, which may hold anything else: "
    "`check.categories = men's clothing, women's clothing, jewelery, electronics`.\n\n"
    "## Your own\n\n"
    "Put a file `NAME.sql` into the folder `checks` (the key `check.dir`). The next run asks it; "
    "nothing is to be started again.\n\n"
    "```sql\n"
    "-- Name:        no_gifts\n"
    "-- Description: Sales at a price of 0.\n"
    "-- Severity:    block\n"
    "SELECT event_date, event_key, product_id\n"
    "FROM silver.events\n"
    "WHERE price = 0 AND (event_type IS NULL OR event_type = 'purchase')\n"
    "```\n\n"
    "```sql\n"
    "-- Name:        fewer_orders\n"
    "-- Description: Days with fewer than half of the orders of the week before.\n"
    "-- Severity:    warn\n"
    "-- Days:        8\n"
    "SELECT d.event_date, d.orders, avg(b.orders) AS before\n"
    "FROM gold.traffic_daily d\n"
    "JOIN days ON days.event_date = d.event_date\n"
    "JOIN gold.traffic_daily b ON b.event_date < d.event_date AND b.event_date >= d.event_date - "
    "7\n"
    "WHERE d.event_date < to_date(now())\n"
    "GROUP BY ALL HAVING d.orders < 0.5 * avg(b.orders)\n"
    "```\n\n"
    "- The **header** says Name (that of the file: a word of a-z, 0-9 and _ that SQL does not "
    "reserve), Description and Severity; Days may be left out and is 1.\n"
    "- It is **one SELECT** in DuckDB's words over `bronze.events`, `silver.events`, the tables "
    "`gold.…` and `days`. It can open no other file and change nothing, as with `clickmill sql`.\n"
    "- All rows are counted, the first five are kept, of these eight columns, of a value 80 bytes. "
    "ORDER BY decides which are the first.\n"
    "- A rule that is **wrong** is named with file, line and the engine's words, and stops no "
    "other "
    "rule. It counts as failed: of severity `block` it blocks, since nobody knows whether the data "
    "is good; a file whose header does not even say its severity blocks, too. `check.off` takes a "
    "rule out.\n"
    "- A rule **built in** that cannot be run is no fault of the data: the step fails with exit "
    "code 6, or 5 where a table or a file of the lake cannot be read, and nothing is loaded. A "
    "signal that "
    "comes meanwhile is a stop (9).\n"
    "- `load` by itself asks the rules first, so a schedule that runs the steps one by one is "
    "gated, too.\n";

static const char *limit_of(const char *rule) {
    static const struct {
        const char *rule;
        enum config_id key;
    } limits[] = {{"null_share", CFG_CHECK_NULL_SHARE},
                  {"reject_share", CFG_CHECK_REJECT_SHARE},
                  {"revenue_change", CFG_CHECK_REVENUE_CHANGE},
                  {"freshness", CFG_CHECK_FRESHNESS},
                  {"unknown_categories", CFG_CHECK_CATEGORIES}};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        if (strcmp(limits[i].rule, rule) == 0)
            return config_keys[limits[i].key].name;
    return NULL;
}

static void print_rule(const struct check_rule *c) {
    const char *key = limit_of(c->name);
    printf("| [%s](../%s) | %s | ", c->name, c->file, c->description);
    printf(key ? "`%s` |" : "%s|", key ? key : "");
    const char *from = strstr(c->sql, "FROM ") + 5; /* each reads one table */
    printf(" `%.*s`", (int)strcspn(from, " \n"), from);
    printf(c->days > 1 ? ", %d days |\n" : ", %d day |\n", c->days);
}

int docs_checks(struct err *e) {
    struct checks cs;
    int r = checks_load(&(struct check_settings){0}, &cs, e);
    if (r < 0)
        return r;
    fputs(beginning, stdout);
    for (size_t i = 0; i < cs.n; i++)
        print_rule(&cs.v[i]);
    fputs(own_rules, stdout);
    checks_release(&cs);
    return 0;
}
