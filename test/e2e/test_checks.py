# SPDX-License-Identifier: Apache-2.0
"""Data quality rules as a user meets them: those built in, over data that breaks each and data just inside; his own;
what blocks a load, and what comes of it."""
import json
import re
import time

import pytest

from mill import ROOT, wait_for
from sinks import Sqlite

NOON, DAY = 1771329600, 86400  # 2026-02-17T12:00:00Z
TODAY = "2026-02-17"
SHIRT = {"product_id": 1, "category": "men's clothing", "price": 109.95, "event_ts": NOON}
BUILT_IN = ["currencies", "freshness", "null_share", "reject_share", "revenue_change", "unknown_categories"]
GIFTS = "SELECT event_date, event_key, price FROM silver.events\nWHERE price = 0 ORDER BY 1, 2\n"


def put_rule(mill, name="no_gifts", select=GIFTS, severity="block", more=""):
    folder = mill.home / "checks"
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.sql"
    file.write_text(f"-- Name:        {name}\n-- Description: Of a test.\n-- Severity:    {severity}\n{more}{select}")
    return file


def results(mill, *args):
    """{rule: what `check --json` says of it}, whether it blocks or not."""
    done = mill(*args, "check", "--json")
    assert done.code in (0, 8), done.err
    return {r["rule"]: r for r in json.loads(done.out)}


def take_in(mill, *events):
    """Up to gold."""
    mill.produce(*events)
    for step in ("ingest", "--once"), ("silver",), ("gold",):
        mill.ok(*step)


def days(n, **event):
    """One event on each of the n days before SHIRT's, the oldest first."""
    return [{**SHIRT, "event_ts": NOON - i * DAY, **event} for i in range(n, 0, -1)]


# ---- those built in -------------------------------------------------------------------------

PAGES = [{"event_type": "page_view", "event_ts": NOON + i} for i in range(20)]
VIEWS = [{**SHIRT, "event_type": "view", "event_ts": NOON + i} for i in range(38)]
NO_PRICE = {"product_id": 1, "category": "men's clothing", "event_type": "view", "event_ts": NOON}
HISTORY = [{**ev, "currency": "USD"} for ev in days(12)]
INSIDE = [*HISTORY, *VIEWS, NO_PRICE, *PAGES, {**SHIRT, "price": 164.92, "currency": "EUR"}, b"no JSON", b"nor is this", b"nor this"]
OUTSIDE = [{**NO_PRICE, "product_id": 2}, {**NO_PRICE, "product_id": 3}, b"x", b"{}", {**SHIRT, "category": "mens clothing", "price": 0.1,
           "currency": "GBP"}]
FOUND = {  # of 43 events of products 3 lack a price, of 80 records 5 are rejected, the mean of the days before is 109.95
    "null_share": {"event_date": TODAY, "events": "43", "without_price": "3", "without_category": "0", "without_product": "0"},
    "reject_share": {"records": "80", "rejected": "5", "most_common_reason": "invalid_json"},
    "revenue_change": {"event_date": TODAY, "revenue": "165.02", "mean_before": "109.95", "days_before": "12"},
    "unknown_categories": {"event_date": TODAY, "category": "mens clothing", "total_events": "1"},
    "currencies": {"event_date": TODAY, "currencies": "2", "the_first": "EUR, GBP"},
}
AT_0 = ["-c", "check.null_share=0", "-c", "check.reject_share=0", "-c", "check.revenue_change=0", "-c", "check.categories=men's clothing , a;b"]
FOUND_AT_0 = {
    "null_share": {"events": "41", "without_price": "1"},
    "reject_share": {"records": "54", "rejected": "1"},
    "revenue_change": {"event_date": TODAY, "revenue": "109.45"},
    "unknown_categories": {"category": "a", "total_events": "1"},
}


@pytest.mark.parametrize("settings, inside, outside, rows", [
    ([], INSIDE, OUTSIDE, FOUND),
    (AT_0, [*HISTORY, *VIEWS, SHIRT], [NO_PRICE, b"x", {**SHIRT, "category": "a", "event_type": "refund", "price": 0.5}], FOUND_AT_0),
], ids=["default", "at 0"])
def test_the_built_in_rules(mill, settings, inside, outside, rows):
    mill.common = settings
    take_in(mill, *inside)
    found = results(mill)
    assert sorted(found) == BUILT_IN and {(r["result"], r["severity"]) for r in found.values()} == {("passed", "warn")}, found
    take_in(mill, *outside)
    found = results(mill)
    assert {name for name, r in found.items() if r["result"] == "failed"} == set(rows)
    for name, row in rows.items():
        assert found[name]["rows"] == 1 and {c: found[name]["first"][0][c] for c in row} == row, name
    run = mill("run")
    assert run.code == 0 and run.err.count('level=warn msg="a data check failed"') == len(rows)
    assert re.search(rf'rule=unknown_categories rows=1 first="event_date {TODAY}, category ', run.err)
    mill.reconciled()


def test_freshness(mill):
    take_in(mill, SHIRT)
    assert results(mill)["freshness"]["result"] == "passed"
    time.sleep(0.1)
    found = results(mill, "-c", "check.freshness=100ms")["freshness"]
    assert found["result"] == "failed" and set(found["first"][0]) == {"newest_record", "seconds_old"}


def test_revenue_is_not_judged_without_a_history_or_before_the_day_is_over(mill):
    now = int(time.time())
    take_in(mill, *days(11), SHIRT, {**SHIRT, "price": 1000}, *days(12, event_ts=now))
    take_in(mill, *[{**SHIRT, "price": 1, "event_ts": now - i * DAY} for i in range(1, 14)], {**SHIRT, "event_ts": now})
    assert results(mill)["revenue_change"]["result"] == "passed"


def test_a_late_day_is_judged_with_the_days_before_it(mill):
    """It waits to be loaded; once it is, only the newest day is looked at."""
    mill.feed(*days(40), SHIRT)
    assert results(mill)["revenue_change"]["result"] == "passed"
    take_in(mill, {**SHIRT, "event_ts": NOON - 20 * DAY, "price": 900})
    found = results(mill)["revenue_change"]
    assert [r["event_date"] for r in found["first"]] == ["2026-01-28"] and found["first"][0]["days_before"] == "14"
    mill.ok("load")
    assert results(mill)["revenue_change"]["result"] == "passed"


def test_nothing_there_is_nothing_to_check(mill):
    assert "nothing to check" in mill.ok("check") and mill.json("check") == []
    mill.ok("run")
    mill.ok("load")
    put_rule(mill)
    mill.ok("check")
    mill.produce(SHIRT)
    mill.ok("ingest", "--once")
    assert {r["result"] for r in results(mill).values()} == {"passed"}, "bronze alone"


# ---- what blocks ----------------------------------------------------------------------------

def test_a_rule_that_blocks_leaves_the_old_numbers(mill, sink):
    put_rule(mill)
    mill.feed(SHIRT)
    before = sink.everything()
    mill.produce({**SHIRT, "price": 0, "event_id": "gift"}, {**SHIRT, "price": 5, "event_ts": NOON + DAY})
    mill.ok("ingest", "--once")
    says = ["no_gifts", "blocks the load", "1 rows", f"event_date {TODAY}, event_key gift, price 0.0000"]
    mill.fails(8, "run", says=says, hint="--unchecked")
    assert sink.everything() == before
    mill.fails(8, "run", says=says)
    mill.fails(8, "load", says=says)
    mill.fails(8, "check", says=says)
    mill.fails(8, "check", "no_gifts", says=says)
    mill.ok("check", "freshness")
    assert sink.everything() == before
    mill.reconciled()
    last = json.loads(mill.ok("run", "--history").splitlines()[-1])
    assert last["ok"] is False and last["failed_step"] == "check" and last["check"]["blocking"] == 1
    assert last["load"] == {"dates": 0, "upserted": 0, "deleted": 0, "failed": 0}
    layers = {layer["table"]: layer for layer in mill.json("status")["layers"]}
    assert layers["gold.clickstream_metrics"]["behind"] == 0 and not layers["gold.clickstream_metrics"]["sink_is_current"]

    put_rule(mill, select=GIFTS.replace("= 0", "< 0"))
    mill.ok("run")
    assert sink.metrics() == {("men's clothing", TODAY): (2, 109.95), ("men's clothing", "2026-02-18"): (1, 5.0)}
    mill.reconciled()


def test_late_data_unblocks(mill):
    sink = Sqlite(mill.home)
    put_rule(mill, "enough", "SELECT event_date, count(*) AS n FROM silver.events GROUP BY ALL HAVING count(*) < 2 ORDER BY ALL\n")
    take_in(mill, SHIRT, {**SHIRT, "event_ts": NOON - 40 * DAY})
    err = mill.fails(8, "load", says=["2 rows", "event_date 2026-01-08, n 1; event_date 2026-02-17, n 1"])
    assert "loads all that waits" in err
    take_in(mill, {**SHIRT, "price": 1})
    mill.fails(8, "load", says=["1 rows", "2026-01-08"])
    take_in(mill, {**SHIRT, "price": 1, "event_ts": NOON - 40 * DAY})
    mill.ok("load")
    assert {day: n for (_, day), (n, _) in sink.metrics().items()} == {TODAY: 2, "2026-01-08": 2}
    mill.reconciled()


def test_unchecked_loads_in_spite_of_it(mill):
    sink = Sqlite(mill.home)
    put_rule(mill)
    take_in(mill, {**SHIRT, "price": 0})
    mill.fails(8, "load")
    mill.ok("load", "--unchecked")
    assert sink.metrics() == {("men's clothing", TODAY): (1, 0.0)}


def test_severity_by_configuration(mill):
    put_rule(mill)
    take_in(mill, {**SHIRT, "price": 0, "currency": "EUR"}, {**SHIRT, "currency": "USD"})
    err = mill.fails(8, "-c", "check.block=currencies, no_gifts", "run", says=["'currencies' blocks", "'no_gifts' blocks"])
    assert "a data check failed" not in err
    done = mill("-c", "check.warn=no_gifts", "run")
    assert done.code == 0 and "rule=no_gifts rows=1" in done.err and "rule=currencies rows=1" in done.err
    off = results(mill, "-c", "check.off=no_gifts,currencies")
    assert {name for name, r in off.items() if r["result"] == "off"} == {"no_gifts", "currencies"}
    mill.fails(3, "-c", "check.block=no_gift", "check", says=["check.block", "no_gift", "'no_gifts'"])
    mill.fails(3, "-c", "check.block=no_gifts", "-c", "check.off=no_gifts", "run", says=["no_gifts", "check.block already"])
    mill.fails(3, "-c", "check.null_share=5%", "check", says=["check.null_share", "number from 0 to 1"])
    mill.fails(2, "check", "no_gift", says="there is no rule 'no_gift'")
    mill.fails(3, "-c", "check.dir=elsewhere", "check", says=["check.dir", "elsewhere"], hint="make it")


# ---- rules that are wrong -------------------------------------------------------------------

WRONG = [  # SELECT, what the message says
    ("SELECT event_key,\n    no_such FROM silver.events\n", [":5:", "no_such"]),
    ("SELECT event_key FRM silver.events\n", [":4:", "syntax error"]),
    ("SELECT * FROM gold.no_such\n", [":4:", "no_such"]),
    ("SELECT CAST(category AS INT) FROM silver.events\n", ["men's clothing"]),
    ("DELETE FROM silver.events\n", ["delete"]),
    ("SELECT 1; SELECT 2\n", ["2 statements"]),
    ("SELECT * FROM read_text('clickmill.ini')\n", []),
    ("SELECT * FROM read_csv('/etc/hostname')\n", []),
    ("COPY (SELECT 1) TO 'x.csv'\n", []),
    ("SELECT getenv('HOME')\n", []),
    ("\n", ["no SELECT behind the header"]),
]


def test_wrong_rules_are_named_and_block_if_they_should(mill):
    (mill.home / "clickmill.ini").write_text("")
    names = [f"wrong{i}" for i in range(len(WRONG))]
    for name, (select, _) in zip(names, WRONG):
        put_rule(mill, name, select)
    put_rule(mill, "zz_good", "SELECT 1 AS one WHERE false\n")
    take_in(mill, SHIRT)
    mill.fails(8, "run", says=["'wrong0' blocks the load, as it cannot be run: check: checks/wrong0.sql:5", "'wrong9'"])
    found = results(mill)
    for name, (_, says) in zip(names, WRONG):
        assert found[name]["result"] == "error" and f"checks/{name}.sql" in found[name]["error"], found[name]
        assert all(text in found[name]["error"] for text in says), found[name]
    assert {r["result"] for name, r in found.items() if name not in names} == {"passed"} and "zz_good" in found
    mill.fails(8, "-c", "check.off=" + ",".join(names[1:]), "load", says="wrong0.sql:5")
    done = mill("-c", "check.warn=" + ",".join(names), "run")
    assert done.code == 0 and done.err.count("a data check cannot be run") == len(names)
    assert mill.json("status")["sink_is_current"] and not (mill.home / "x.csv").exists()


def test_files_that_are_no_rules(mill):
    take_in(mill, SHIRT)
    rules = mill.home / "checks"
    put_rule(mill, "freshness")
    put_rule(mill, "Odd Name")
    (rules / "no_header.sql").write_text("SELECT 1\n")
    (rules / "bytes.sql").write_bytes(b"-- Name: bytes\n\xff\n")
    (rules / "loud.sql").write_text("-- Name: loud\n-- Description: x\n-- Severity: fatal\nSELECT 1\n")
    (rules / "never.sql").write_text("-- Name: never\n-- Description: x\n-- Severity: warn\n-- Days: 0\nSELECT 1\n")
    (rules / "README.txt").write_text("no rule")
    says = ["no rule can be called 'freshness': it is built in", "no rule can be called 'Odd Name'",
            "checks/no_header.sql:1: the header does not say its Name", "checks/bytes.sql:2: this is no UTF-8",
            "checks/loud.sql:3: the Severity must be warn or block, not 'fatal'"]
    err = mill.fails(8, "run", says=says)
    doctor = mill("doctor")
    assert doctor.code == 6 and doctor.out.count("WRONG checks") == 6 and all(text in doctor.out for text in says)
    assert "checks/never.sql:4: the Days must be a number from 1 to 3650" in err, "this one only warns"
    for file in rules.glob("*.sql"):
        file.unlink()
    mill.ok("run")
    assert "6 rules" in mill.ok("doctor")


def test_the_examples_of_the_page_work(mill):
    for text in re.findall(r"```sql\n(.*?)```", (ROOT / "docs/checks.md").read_text(), re.S):
        name = re.search(r"^-- Name: +(\w+)$", text, re.M)[1]
        (mill.home / "checks").mkdir(exist_ok=True)
        (mill.home / "checks" / f"{name}.sql").write_text(text)
    week = [{**ev, "order_id": f"{i} {ev['event_ts']}"} for ev in days(7) for i in range(3)]
    take_in(mill, *week, SHIRT, {**SHIRT, "price": 0, "event_type": "view"})
    found = results(mill)
    assert set(found) == {*BUILT_IN, "no_gifts", "fewer_orders"}
    assert found["fewer_orders"]["result"] == "failed" and found["fewer_orders"]["first"] == [
        {"event_date": TODAY, "orders": "1", "before": "3.0"}]
    assert found["no_gifts"]["result"] == "passed" and found["no_gifts"]["description"] == "Sales at a price of 0."
    take_in(mill, {**SHIRT, "price": 0}, {**SHIRT, "price": 1})
    found = results(mill)
    assert found["fewer_orders"]["result"] == "passed" and found["no_gifts"]["result"] == "failed"


# ---- what is shown --------------------------------------------------------------------------

def test_many_rows_and_odd_values_are_bounded(mill):
    put_rule(mill, "many", "SELECT i, chr(27) || '[2J' || chr(10) || repeat('\u00e4', 500) AS text, NULL AS nothing, "
             + ", ".join(f"{n} AS c{n}" for n in range(30)) + " FROM range(30000) t(i) ORDER BY i\n")
    take_in(mill, SHIRT)
    for done in mill("run"), mill("check"), mill("check", "--json"):
        assert done.code == 8 and len(done.out + done.err) < 20000 and "30000" in done.out + done.err
        assert "\x1b" not in done.out + done.err
    message = mill.fails(8, "check", says="30000 rows")
    assert len(message) < 3000 and len(message.splitlines()) == 2
    found = results(mill)["many"]
    assert found["rows"] == 30000 and [r["i"] for r in found["first"]] == ["0", "1", "2", "3", "4"]
    assert found["first"][0]["nothing"] is None and len(found["first"][0]) == 8
    text = mill.ok("-c", "check.warn=many", "check")
    assert "30,000" in text and len(text) < 20000


def test_days_and_the_tables_a_rule_reads(mill):
    """The newest day and what waits; with the days before each of them, if the header asks."""
    see = "SELECT count(DISTINCT event_date) AS n, (SELECT count(*) FROM days) AS judged FROM {table}\n"
    mill.feed(*days(10), SHIRT)
    put_rule(mill, "one", see.format(table="silver.events"), "warn")
    put_rule(mill, "three", see.format(table="silver.events"), "warn", "-- Days: 3\n")
    put_rule(mill, "golden", see.format(table="gold.products_daily"), "warn", "-- Days: 3\n")
    put_rule(mill, "raw", "SELECT count(*) AS n FROM bronze.events\n", "warn")

    def seen():
        r = results(mill)
        return [(int(r[n]["first"][0]["n"]), int(r[n]["first"][0]["judged"])) for n in ("one", "three", "golden")]
    assert seen() == [(1, 1), (3, 1), (3, 1)]
    take_in(mill, {**SHIRT, "price": 3, "event_ts": NOON - 8 * DAY})
    assert seen() == [(2, 2), (6, 2), (6, 2)]
    mill.ok("load")
    assert seen() == [(1, 1), (3, 1), (3, 1)]
    assert results(mill, "-c", "sink.url=sqlite:data/other.db")["one"]["first"][0] == {"n": "11", "judged": "11"}, "all of it waits"


def test_status_shows_the_last_results_and_since_when(mill):
    assert mill.json("status")["checks"] is None and "check" not in mill.ok("status")
    put_rule(mill)
    mill.feed(SHIRT)
    first = mill.json("status")["checks"]
    assert [r["rule"] for r in first["rules"]] == [*BUILT_IN, "no_gifts"] and not first["blocked"]
    assert all(r["since"] is None for r in first["rules"])
    take_in(mill, {**SHIRT, "price": 0, "event_id": "gift"})
    mill.fails(8, "run")
    blocked = mill.json("status")["checks"]
    rule = blocked["rules"][-1]
    assert blocked["blocked"] and (rule["result"], rule["severity"], rule["rows"]) == ("failed", "block", 1)
    assert rule["since"] == blocked["checked_at"] > first["checked_at"] and rule["first"][0]["event_key"] == "gift"
    mill("check", "freshness")
    assert mill.json("status")["checks"] == blocked, "a check of some rules is not kept"
    mill.fails(8, "load")
    later = mill.json("status")["checks"]
    assert later["rules"][-1]["since"] == rule["since"] and later["checked_at"] > rule["since"]
    text = mill.ok("status")
    assert f"check: no_gifts BLOCKS the load since {rule['since']}: 1 rows" in text and "gift" in text
    put_rule(mill, select="SELECT no_such\n", severity="warn")
    mill.ok("run")
    text = mill.ok("status")
    assert "check: no_gifts cannot be run since" in text and "no_such" in text
    (mill.home / "checks/no_gifts.sql").unlink()
    mill.ok("run")
    assert "6 rules passed" in mill.ok("status")


def test_the_history_is_bounded_and_may_be_broken(mill):
    mill.feed(SHIRT)
    file = mill.home / "data/checks.ndjson"
    line = file.read_bytes()
    file.write_bytes(line * (4 * 1024 * 1024 // len(line) + 1) + b'{"checked_at":"half a li')
    mill.ok("check")
    assert file.stat().st_size <= 2 * 1024 * 1024 and file.read_bytes().count(b"\n") > 1000
    assert file.read_bytes().splitlines()[0] == line.rstrip()
    file.write_bytes(b"no JSON\n[1]\n{}\n")
    assert mill.json("status")["checks"] is None
    mill.ok("check")
    assert mill.json("status")["checks"]["rules"]
    mill.common = ["-c", "check.history="]
    mill.ok("run")
    assert mill.json("status")["checks"] is None


# ---- what runs until stopped ----------------------------------------------------------------

QUICK = ("-c", "up.every=200ms", "-c", "ingest.batch_age=100ms", "-c", "serve.listen=off")


def test_up_is_blocked_goes_on_and_recovers(mill):
    sink = Sqlite(mill.home)
    file = put_rule(mill)
    up = mill.start(*QUICK, "up")
    mill.produce(SHIRT)
    wait_for(lambda: mill.json("status")["sink_version"] == 0, "the first load")
    mill.produce({**SHIRT, "price": 0})
    wait_for(lambda: "no_gifts" in up.err(), "it is told")
    before = sink.everything()
    mill.produce({**SHIRT, "price": 3})
    wait_for(lambda: mill.json("status")["layers"][2]["rows"] and mill.sql("SELECT sum(total_events) AS n FROM gold.clickstream_metrics")
             == [{"n": 3}], "gold goes on")
    time.sleep(0.5)
    assert up.alive() and sink.everything() == before and up.err().count("blocks the load") == 1
    file.unlink()
    wait_for(lambda: sink.metrics() == {("men's clothing", TODAY): (3, 112.95)}, "all of it is loaded")
    wait_for(lambda: not mill.json("status")["checks"]["blocked"], "it is kept")
    kept = len((mill.home / "data/checks.ndjson").read_bytes())
    time.sleep(1)
    assert len((mill.home / "data/checks.ndjson").read_bytes()) == kept, "nothing waits, nothing is asked"
    assert up.stop() == 0, up.err()
    mill.reconciled()


def test_a_stop_is_one(mill):
    """A rule that takes for ever, and a signal."""
    put_rule(mill, select="SELECT count(*) FROM range(10000000000) a(i) WHERE hash(i) = 1\n")
    take_in(mill, SHIRT)
    run = mill.start("-c", "log.level=debug", "run")
    wait_for(lambda: "job=check" in run.err(), "it asks the rules")
    time.sleep(0.3)
    assert run.alive(), run.err()
    assert run.stop() == 9 and "blocks" not in run.err()
    assert mill.json("status")["sink_version"] == -1


def test_a_fault_of_the_engine_is_not_the_datas(mill):
    """A file of silver's is broken: nobody can say whether the rules hold."""
    mill.feed(SHIRT)
    [file] = mill.data_files("silver.events")
    file.write_bytes(b"x" * file.stat().st_size)
    mill.fails(6, "check", says="sql/checks/")
    mill.fails(6, "-c", "sink.url=sqlite:another.db", "load", says="sql/checks/")  # where all days wait


def test_what_has_just_passed_is_asked_again_when_it_must_be(mill):
    """With nothing to load: not within a minute, unless a rule is another, has failed, or the verb is `check`."""
    mill.feed(SHIRT)
    kept = mill.home / "data/checks.ndjson"
    def asked(*verb):
        before = len(kept.read_text().splitlines())
        mill.ok(*verb)
        return len(kept.read_text().splitlines()) - before
    assert asked("run") == 0 and asked("load") == 0
    assert asked("check") == 1
    assert asked("-c", "check.null_share=0.3", "run") == 1
    assert asked("-c", "check.null_share=0.3", "run") == 0
    assert asked("-c", "check.freshness=1ms", "run") == 1  # it warns
    assert asked("-c", "check.freshness=1ms", "run") == 1
    assert asked("run") == 1 and asked("run") == 0
    old = re.sub(r'"checked_at":"20..', '"checked_at":"2001', kept.read_text())
    kept.write_text(old)
    assert asked("run") == 1
    mill.produce({**SHIRT, "price": 2})
    mill.ok("ingest", "--once")
    assert asked("run") == 1  # a day waits
